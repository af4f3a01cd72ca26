//! Socket.IO: lets the unchanged clients of three tutorials share the hub's Pomodoro and sliders with everybody else.
//!
//! Protocols 4 and 5 (clients 2.x, 3.x and 4.x), by long-polling, by upgrade and by WebSocket alone; default namespace; the room by
//! `?room=`, `main` without it. The three demos' events have different names, so one namespace serves them all:
//!
//! | demo | in | out |
//! | --- | --- | --- |
//! | timer | `start`, `stop` | `timer` `{success, data: "HH:MM:SS", error}` |
//! | sliders | `Slider value changed` `{who, data}` | `after connect`, `update value` `{who, data}` |
//! | course page | `json` `{action: "press"}`, `{action: "setup", …}` | `json` `{state, message}`, with the setup on connect and after one |
//!
//! Besides, `rejected` `{code, message, event, who?}` tells the sender of an event why it did nothing.
//!
//! The edge only translates. Rules of the things do not belong here, nor does checking of `Host` and of passwords. The types of
//! socketioxide stay in here.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{Router, middleware, routing::any_service};
use socketioxide::{ParserConfig, SocketIo, extract::SocketRef, handler::ConnectHandler};
use tokio::{
    net::TcpListener,
    sync::{Semaphore, mpsc, watch},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::Shared;
use crate::{
    domain::{
        hub::{MemberKind, Presence},
        id::Id,
    },
    engine::{EngineHandle, OutletReceiver},
    figures,
};

mod board;
mod client;
mod fanout;
mod gate;
mod guest;
mod listeners;
mod mailbox;
mod settings;
mod translate;

use board::Board;
use client::{Desk, NotHere};
use fanout::{ASKS_MAX, Ask, Fanout};
use gate::Gate;
use guest::Guest;
use mailbox::Mailbox;
pub use settings::{EVENTS_BURST_SECONDS, Limits, Settings};

/// Where Engine.IO's clients look for their server.
pub(in crate::http) const PATH: &str = "/socket.io/";

/// How long clients may take to hear that the hub stops.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);

/// The Socket.IO edge while it runs.
pub(in crate::http) struct SocketIoEdge {
    io: SocketIo,
    routes: Router,
    tutorial_ports: Vec<u16>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl fmt::Debug for SocketIoEdge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SocketIoEdge").field("tutorial_ports", &self.tutorial_ports).finish_non_exhaustive()
    }
}

/// Starts the edge; `outlet` is its way out of the engine, made before the engine started or after. The engine need not run yet.
pub(in crate::http) fn start(shared: &Arc<Shared>, outlet: OutletReceiver, settings: Settings) -> Option<SocketIoEdge> {
    // A root that is no id has no things below it.
    let root: Id = shared.settings.root.parse().ok()?;
    let (asks, asked) = mpsc::channel(ASKS_MAX);
    let (rooms_sender, rooms) = watch::channel(None);
    let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
    let engine = shared.engine.clone();
    tasks.spawn(run_fanout(engine.clone(), root.clone(), rooms_sender, outlet, asked, stop.clone()));

    let members = Arc::new(AtomicU64::new(0));
    let desk = Desk { engine, asks, rooms, root, limits: settings.limits.clone(), members };
    let (io, routes) = routes(shared, desk, &settings, &stop, &tasks);
    let tutorial_ports = if settings.tutorials { settings.tutorial_ports } else { Vec::new() };
    Some(SocketIoEdge { io, routes, tutorial_ports, stop, tasks })
}

async fn run_fanout(
    engine: EngineHandle,
    root: Id,
    rooms: watch::Sender<client::Rooms>,
    outlet: OutletReceiver,
    asks: mpsc::Receiver<Ask>,
    stop: CancellationToken,
) {
    let Ok(snapshot) = engine.snapshot(Board::filters(&root)).await else { return };
    let mut board = Board::new(root);
    for value in &snapshot.values {
        board.set(&value.topic, &value.payload);
    }
    board.reached(snapshot.seq);
    Fanout::new(board, rooms).run(outlet, asks, stop).await;
}

fn routes(
    shared: &Arc<Shared>,
    desk: Desk,
    settings: &Settings,
    stop: &CancellationToken,
    tasks: &TaskTracker,
) -> (SocketIo, Router) {
    let limits = &settings.limits;
    let (service, io) = SocketIo::builder()
        .ping_interval(limits.ping_interval)
        .ping_timeout(limits.ping_timeout)
        .connect_timeout(limits.connect_timeout)
        .max_buffer_size(limits.packets_pending_max)
        .max_payload(limits.polling_bytes_max)
        .ws_max_message_size(limits.message_bytes_max)
        .ws_max_frame_size(limits.message_bytes_max)
        // Nothing of the three demos is binary.
        .with_parser(ParserConfig::common().max_incoming_binaries(0).max_incoming_binary_buf_size(0))
        .build_svc();
    let said_goodbye = stop.clone();
    let (stop, tasks) = (stop.clone(), tasks.clone());
    let arriving = desk.clone();
    let welcome = move |socket: SocketRef| welcome(socket, desk.clone(), stop.clone(), tasks.clone());
    // Before the client is told that it is connected, so that nothing it sends is missed.
    io.ns("/", welcome.with(move |socket: SocketRef| arrive(socket, arriving.clone())));

    let connections = Arc::new(Semaphore::new(limits.connections_max));
    let gate = Gate::new(Arc::clone(shared), settings.tutorials, connections, said_goodbye);
    let routes = Router::new()
        .route(PATH, any_service(service.clone()))
        .route(PATH.trim_end_matches('/'), any_service(service))
        .layer(middleware::from_fn_with_state(Arc::clone(&gate), gate::check))
        .layer(gate::cors(gate));
    (io, routes)
}

/// What a socket keeps from its arrival to its welcome.
#[derive(Clone)]
struct Arrival {
    room: Id,
    guest: Guest,
    mailbox: Arc<Mailbox>,
    /// The number by which the hub knows that they are here.
    member: u64,
}

/// Lets somebody in who has a room to go to, and listens to them from then on.
async fn arrive(socket: SocketRef, desk: Desk) -> Result<(), NotHere> {
    let Some(guest) = socket.req_parts().extensions.get::<Guest>().cloned() else {
        // The gate admits every session; one that came another way has no rights.
        return Err(NotHere("Nobody knows who you are.".to_owned()));
    };
    let room = desk.room_of(&socket).await?;
    let mailbox = Arc::new(Mailbox::new(desk.limits.clone()));
    client::listen(&socket, &mailbox);
    let member = desk.members.fetch_add(1, Ordering::Relaxed);
    let leaving = Arc::clone(&mailbox);
    socket.on_disconnect(async move |socket: SocketRef| {
        leaving.close();
        leave(&desk, &socket, member).await;
    });
    socket.extensions.insert(Arrival { room, guest, mailbox, member });
    Ok(())
}

/// Tells somebody who is in all there is, and carries out what they want.
async fn welcome(socket: SocketRef, desk: Desk, stop: CancellationToken, tasks: TaskTracker) {
    let Some(Arrival { room, guest, mailbox, member }) = socket.extensions.remove::<Arrival>() else { return };
    let join = Ask::Join { socket: socket.clone(), room: room.clone(), guest: guest.clone() };
    if desk.asks.send(join).await.is_err() {
        return;
    }
    let here = Some((room.clone(), guest.name.clone()));
    // A hub that is stopping has nobody here anyway.
    let _ = desk.engine.here(Presence { connection: member, kind: MemberKind::SocketIo, here }).await;
    if !socket.connected() {
        // They were gone before they had joined, and said so too early.
        leave(&desk, &socket, member).await;
        return;
    }
    tasks.spawn(async move {
        let _counted = figures::Counted::connection("socketio");
        tokio::select! {
            () = stop.cancelled() => {}
            () = client::serve(desk, socket, room, guest, mailbox) => {}
        }
    });
}

/// Takes note that somebody is gone; twice does no harm.
async fn leave(desk: &Desk, socket: &SocketRef, member: u64) {
    let _ = desk.engine.here(Presence { connection: member, kind: MemberKind::SocketIo, here: None }).await;
    // A fan-out that is gone has forgotten everybody.
    let _ = desk.asks.send(Ask::Leave { id: socket.id }).await;
}

impl SocketIoEdge {
    /// What the HTTP server has to serve at [`PATH`], with the checks of `Origin` and the answers to CORS in front of it.
    pub(in crate::http) fn routes(&self) -> Router {
        self.routes.clone()
    }

    /// The ports that the tutorials' clients have built in, on the loopback addresses, where that is configured, and what is served
    /// there. One that cannot be opened is said so in the log; everything else serves on.
    pub(in crate::http) fn tutorial_listeners(&self) -> (Vec<TcpListener>, Router) {
        let (opened, refusals) = listeners::open(&self.tutorial_ports);
        for refusal in refusals {
            tracing::warn!("{refusal}");
        }
        (opened, self.routes().fallback(listeners::elsewhere))
    }

    /// Says goodbye to every client and waits, for a bounded time, until all is done.
    pub(in crate::http) async fn stop(&self) {
        // Clients first: they are told while somebody still serves their requests.
        let told = tokio::time::timeout(STOP_TIMEOUT, self.io.close()).await;
        self.stop.cancel();
        self.tasks.close();
        let done = tokio::time::timeout(STOP_TIMEOUT, self.tasks.wait()).await;
        if told.is_err() || done.is_err() {
            tracing::debug!("some Socket.IO clients did not hear that the hub stops");
        }
    }
}
