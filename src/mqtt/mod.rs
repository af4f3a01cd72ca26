//! The door: the MQTT front end that owns the sockets, the protocol and everything that a client can say.
//!
//! rumqttd's router is the broker's core behind it: all fan-out to MQTT subscribers goes through it. It sees internal ids, ASCII topics
//! and opaque payloads only.
//!
//! ```text
//! socket ─▶ protocol ─▶ session ─▶ engine ─▶ writer ─▶ rumqttd's router ─▶ session ─▶ frame ─▶ socket
//! ```
//!
//! | module | what it does |
//! | --- | --- |
//! | [`listener`] | connections up to the accepted CONNECT |
//! | `session` | one task for each client's session; it outlives its sockets |
//! | [`protocol`], [`frame`], [`packet`], [`reason`] | bytes and packets, both versions |
//! | `writer`, `router`, `header` | publications into the router, and the router itself |
//! | `shared` | shared subscriptions |
//! | `gauge` | back-pressure from readers to publishers |
//! | `sys` | `$SYS/#` |
//! | `probe` | whether a publish gets through all of it |
//!
//! What a topic below the root means, what is retained and what lasts do not belong here: that is the engine's.

pub mod frame;
mod gauge;
mod header;
pub mod listener;
pub mod packet;
mod probe;
pub mod protocol;
pub mod reason;
mod router;
mod session;
pub mod settings;
mod shared;
mod socket;
mod state;
mod sys;
mod writer;

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, AtomicUsize},
    },
};

use tokio::{
    net::TcpListener,
    sync::{mpsc, watch},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{
    gauge::Gauges,
    reason::Reason,
    shared::Groups,
    state::{Connections, Registry, State},
    sys::Sys,
    writer::{Flow, Writer},
};
pub use self::{
    listener::{Acceptor, Peer},
    probe::Probe,
    session::Lasting,
    settings::{Limits, Settings},
    socket::Stream,
    state::Readings,
};
use crate::{
    clock::Clock,
    engine::{EngineHandle, OutletReceiver},
    policy::Policy,
    tls,
};

/// How long a stop waits for the engine's last publications.
const LAST_WORDS: std::time::Duration = std::time::Duration::from_millis(300);

/// Why the door could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The router did not start.
    #[error("the MQTT router did not start")]
    StartRouter,
}

/// The running door.
#[derive(Debug)]
pub struct Door {
    state: Arc<State>,
    writer_cancel: CancellationToken,
    writer_done: watch::Receiver<bool>,
}

/// What the door stands on.
#[derive(Debug)]
pub struct Foundation {
    /// Where publishes go.
    pub engine: EngineHandle,
    /// Where publications come from.
    pub outlet: OutletReceiver,
    /// What time it is.
    pub clock: Clock,
    /// Who is let in, and what they may do.
    pub policy: Policy,
    /// How the door behaves.
    pub settings: Settings,
}

/// Opens the door; nobody is let in before [`Door::listen`].
///
/// # Errors
/// [`OpenError`], when the router or its writer does not start.
pub async fn start(foundation: Foundation) -> Result<Door, OpenError> {
    start_lasting(foundation, None).await
}

/// The same, with sessions that outlast the hub: those in `lasting` are there again before it returns.
///
/// # Errors
/// As [`start`].
pub async fn start_lasting(foundation: Foundation, lasting: Option<Lasting>) -> Result<Door, OpenError> {
    let Foundation { engine, outlet, clock, policy, settings } = foundation;
    let limits = settings.limits.clone();
    let router_limits = limits.clone();
    let (handle, feed) = tokio::task::spawn_blocking(move || router::start(0, &router_limits))
        .await
        .ok()
        .and_then(Result::ok)
        .ok_or(OpenError::StartRouter)?;
    let (current, router) = watch::channel(Arc::new(handle));
    let flow = Arc::new(Flow::new(&limits));
    let (own_messages, own) = mpsc::channel(4);
    let writer_cancel = CancellationToken::new();
    let writer = Writer {
        outlet,
        own,
        feed,
        current,
        flow: Arc::clone(&flow),
        limits: limits.clone(),
        cancel: writer_cancel.clone(),
    };
    let state = Arc::new(State {
        engine,
        clock,
        connections: Connections::new(limits.connections_max, limits.connections_per_address_max),
        settings,
        policy,
        flow,
        router,
        registry: Registry::default(),
        gauges: Gauges::default(),
        groups: Groups::default(),
        sys: Sys::new(),
        stats: Arc::default(),
        queue_bytes: Arc::new(AtomicUsize::new(0)),
        filters: AtomicUsize::new(0),
        tracker: TaskTracker::new(),
        cancel: CancellationToken::new(),
        last_session: AtomicU64::new(0),
        keeper: lasting.as_ref().map(|lasting| lasting.keeper.clone()),
        restored_groups: Mutex::default(),
    });
    // Before anything reaches the router.
    if let Some(lasting) = lasting {
        lasting.put_back(&state).await;
    }
    let (done, writer_done) = watch::channel(false);
    tokio::spawn(async move {
        writer.run().await;
        done.send_replace(true);
    });
    state.tracker.spawn(sys::run(Arc::clone(&state), own_messages));
    Ok(Door { state, writer_cancel, writer_done })
}

impl Door {
    /// Lets clients in at `listener`: over TLS with `tls`, plainly without.
    ///
    /// # Errors
    /// The address of the listener cannot be read.
    pub fn listen(&self, listener: TcpListener, tls: Option<tls::Acceptor>) -> std::io::Result<SocketAddr> {
        let address = listener.local_addr()?;
        self.state.tracker.spawn(listener::listen(Arc::clone(&self.state), listener, tls));
        Ok(address)
    }

    /// The way in for streams that another edge has upgraded.
    #[must_use]
    pub fn acceptor(&self) -> Acceptor {
        Acceptor { state: Arc::clone(&self.state) }
    }

    /// What tells whether a publish gets through the engine and the router, and back.
    #[must_use]
    pub fn probe(&self) -> Probe {
        Probe { state: Arc::clone(&self.state) }
    }

    /// What brings the door's figures up to date.
    #[must_use]
    pub fn readings(&self) -> Readings {
        Readings { state: Arc::clone(&self.state) }
    }

    /// Ends the connection of `client_id`, as an administrator; tells whether there is such a session.
    #[must_use]
    pub fn kick(&self, client_id: &str) -> bool {
        self.state.registry.kick(client_id, Reason::ADMINISTRATIVE, "An administrator ended the connection.")
    }

    /// Connections now.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.state.connections.counts().0
    }

    /// Kills the router, to see what happens then. For tests.
    #[doc(hidden)]
    pub async fn kill_router(&self) {
        let router = self.state.router.borrow().clone();
        router.poison().await;
    }

    /// Lets the router hang until the returned end is dropped. For tests.
    #[doc(hidden)]
    #[must_use]
    pub async fn hang_router(&self) -> std::sync::mpsc::Sender<()> {
        let router = self.state.router.borrow().clone();
        let (release, released) = std::sync::mpsc::channel();
        router.hang(released).await;
        release
    }

    /// Which router is at work: 0 for the first one. For tests.
    #[doc(hidden)]
    #[must_use]
    pub fn router_generation(&self) -> u64 {
        self.state.router.borrow().generation()
    }

    /// Closes the door: every client is told and let go, no will is published. Returns when all are gone.
    ///
    /// Where the engine has stopped before, what it said last still reaches everybody who reads.
    pub async fn stop(&self) {
        let mut done = self.writer_done.clone();
        // While the engine goes on there is no last word to wait for.
        let _ = tokio::time::timeout(LAST_WORDS, done.wait_for(|done| *done)).await;
        self.state.cancel.cancel();
        self.state.tracker.close();
        self.state.tracker.wait().await;
        self.writer_cancel.cancel();
    }
}
