//! The HTTP side: the dashboard's files, the bridge between browsers and the engine, the API.
//!
//! One port serves it all. Browsers come by WebSocket (`/ws`), or by Server-Sent Events and POST; both ends meet in the
//! fan-out (`fanout`). Types of the HTTP libraries stay inside this module. MQTT does not belong here: a WebSocket that
//! carries it is handed on as a stream of bytes.

mod access;
mod api;
mod assets;
mod fanout;
mod guard;
mod login;
mod problem;
mod routes;
mod server;
mod session;
mod settings;
mod socket;
pub mod socketio;
mod stream;
mod websocket;
mod ws;

use std::{net::SocketAddr, sync::Arc};

use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use settings::{
    BoxFuture, ByteStream, HistorySource, InvitationTaker, Limits, LoginKeeper, MetricsText, MqttAcceptor,
    MqttConnection, RouterProbe, Settings, TlsAcceptor,
};

use self::{
    fanout::{Fanout, Shard},
    guard::Guard,
    socketio::SocketIoEdge,
};
use crate::{
    clock::Clock,
    domain::topic::Filter,
    engine::{EngineHandle, OutletReceiver},
};

/// What every part of the HTTP side shares.
#[derive(Debug)]
struct Shared {
    settings: Settings,
    engine: EngineHandle,
    fanout: Fanout,
    clock: Clock,
    guard: Guard,
    assets: assets::Assets,
    tasks: TaskTracker,
    stop: CancellationToken,
    browsers: Arc<tokio::sync::Semaphore>,
    /// Held by the readiness check that is under way.
    probing: tokio::sync::Mutex<()>,
}

/// A socket that listens, and what encrypts its connections.
pub struct Listener {
    /// The bound socket.
    pub socket: tokio::net::TcpListener,
    /// Makes an encrypted stream of a connection; none for plain HTTP.
    pub tls: Option<TlsAcceptor>,
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listener").field("socket", &self.socket).field("tls", &self.tls.is_some()).finish()
    }
}

/// The HTTP side while it runs.
#[derive(Debug)]
pub struct Http {
    addresses: Vec<SocketAddr>,
    shared: Arc<Shared>,
    socketio: Option<SocketIoEdge>,
}

/// Starts the HTTP side on `listeners`.
///
/// `outlets` are the engine's: each gets a task of its own that writes to its share of the browsers; one is enough for
/// thousands. The engine need not run yet.
///
/// # Errors
/// A listener that does not know its own address.
pub fn start(
    listeners: Vec<Listener>,
    engine: EngineHandle,
    outlets: Vec<OutletReceiver>,
    settings: Settings,
    clock: Clock,
) -> std::io::Result<Http> {
    start_with_socketio(listeners, engine, outlets, None, settings, clock)
}

/// As [`start`]; `socketio` serves Socket.IO too, with an outlet of its own.
///
/// # Errors
/// As [`start`].
pub fn start_with_socketio(
    listeners: Vec<Listener>,
    engine: EngineHandle,
    outlets: Vec<OutletReceiver>,
    socketio: Option<(socketio::Settings, OutletReceiver)>,
    settings: Settings,
    clock: Clock,
) -> std::io::Result<Http> {
    let addresses = listeners.iter().map(|listener| listener.socket.local_addr()).collect::<Result<_, _>>()?;
    let (fanout, receivers) = Fanout::new(outlets.len());
    let shared = Arc::new(Shared {
        guard: Guard::new(&settings),
        assets: assets::Assets::default(),
        browsers: Arc::new(tokio::sync::Semaphore::new(settings.limits.browsers_max)),
        probing: tokio::sync::Mutex::new(()),
        settings,
        engine,
        fanout,
        clock,
        tasks: TaskTracker::new(),
        stop: CancellationToken::new(),
    });
    shared.tasks.spawn(login::look_after(Arc::clone(&shared)));
    for (outlet, commands) in outlets.into_iter().zip(receivers) {
        let shared_too = Arc::clone(&shared);
        shared.tasks.spawn(async move {
            let everything = ["#", "$SYS/#"].into_iter().filter_map(|filter| Filter::parse(filter).ok()).collect();
            let Ok(snapshot) = shared_too.engine.snapshot(everything).await else { return };
            let boot = shared_too.settings.boot.as_str().into();
            let shard = Shard::new(snapshot, boot, shared_too.settings.limits.stall_max);
            let stop = shared_too.stop.clone();
            // The shard outlives the settings' other users only by its own drain.
            drop(shared_too);
            shard.run(outlet, commands, stop).await;
        });
    }
    let socketio = socketio.and_then(|(settings, outlet)| socketio::start(&shared, outlet, settings));
    let router = routes::router(Arc::clone(&shared), socketio.as_ref().map(SocketIoEdge::routes));
    let connections = Arc::new(tokio::sync::Semaphore::new(shared.settings.limits.connections_max));
    let serve = |listener, router| {
        let serve = server::serve(listener, router, Arc::clone(&shared), Arc::clone(&connections));
        shared.tasks.spawn(serve);
    };
    for listener in listeners {
        serve(listener, router.clone());
    }
    if let Some((sockets, routes)) = socketio.as_ref().map(SocketIoEdge::tutorial_listeners) {
        let router = routes::protected(routes, Arc::clone(&shared));
        for socket in sockets {
            serve(Listener { socket, tls: None }, router.clone());
        }
    }
    Ok(Http { addresses, shared, socketio })
}

impl Http {
    /// Where it listens, in the order of the listeners.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Takes no new connections, closes WebSockets with 1001, lets requests finish, and returns when all are gone or the
    /// time for that is over.
    pub async fn stop(self) {
        self.shared.stop.cancel();
        self.shared.tasks.close();
        if let Some(socketio) = &self.socketio {
            socketio.stop().await;
        }
        if tokio::time::timeout(self.shared.settings.limits.stop_max, self.shared.tasks.wait()).await.is_err() {
            tracing::warn!(left = self.shared.tasks.len(), "HTTP connections were cut off at the stop");
        }
    }
}
