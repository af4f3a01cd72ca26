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

use std::{fmt, sync::Arc, time::Duration};

use axum::{Router, middleware, routing::any_service};
use socketioxide::{ParserConfig, SocketIo, extract::SocketRef, handler::ConnectHandler};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    domain::id::Id,
    engine::{EngineHandle, OutletReceiver, Stopped},
};

mod board;
mod client;
mod fanout;
mod gate;
mod guest;
mod listeners;
mod mailbox;
mod origins;
mod settings;
mod translate;

use board::Board;
use client::{Desk, NotHere};
use fanout::{ASKS_MAX, Ask, Fanout};
use gate::Gate;
pub use guest::{Admit, Denied, Guest, Rights, admit_everybody, name};
pub use listeners::TutorialListeners;
use mailbox::Mailbox;
use origins::Origins;
pub use settings::{EVENTS_BURST_SECONDS, Limits, Settings};

/// Where Engine.IO's clients look for their server.
const PATH: &str = "/socket.io/";

/// How long clients may take to hear that the hub stops.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);

/// The Socket.IO edge while it runs.
pub struct SocketIoEdge {
    io: SocketIo,
    routes: Router,
    settings: Settings,
    connections: Arc<Semaphore>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl fmt::Debug for SocketIoEdge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SocketIoEdge").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// Starts the edge for the hub behind `engine`, whose topics begin with `root`; `outlet` is its way out, made before the engine
/// started or after. `admit` says who may come in.
///
/// # Errors
/// [`Stopped`], when the hub is stopping already.
pub async fn start(
    engine: EngineHandle,
    outlet: OutletReceiver,
    root: Id,
    settings: Settings,
    admit: Admit,
) -> Result<SocketIoEdge, Stopped> {
    let snapshot = engine.snapshot(Board::filters(&root)).await?;
    let mut board = Board::new(root.clone());
    for value in &snapshot.values {
        board.set(&value.topic, &value.payload);
    }
    board.reached(snapshot.seq);

    let (asks, asked) = mpsc::channel(ASKS_MAX);
    let (rooms_sender, rooms) = watch::channel(None);
    let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
    tasks.spawn(Fanout::new(board, rooms_sender).run(outlet, asked, stop.clone()));

    let desk = Desk { engine, asks, rooms, root, limits: settings.limits.clone() };
    let connections = Arc::new(Semaphore::new(settings.limits.connections_max));
    let (io, routes) = routes(desk, &settings, admit, &connections, &stop, &tasks);
    Ok(SocketIoEdge { io, routes, settings, connections, stop, tasks })
}

fn routes(
    desk: Desk,
    settings: &Settings,
    admit: Admit,
    connections: &Arc<Semaphore>,
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
    let (stop, tasks) = (stop.clone(), tasks.clone());
    let arriving = desk.clone();
    let welcome = move |socket: SocketRef| welcome(socket, desk.clone(), stop.clone(), tasks.clone());
    // Before the client is told that it is connected, so that nothing it sends is missed.
    io.ns("/", welcome.with(move |socket: SocketRef| arrive(socket, arriving.clone())));

    let origins = Origins::new(&settings.allowed_origins, settings.tutorials);
    let gate = Gate {
        origins: origins.clone(),
        admit,
        connections: Arc::clone(connections),
        connections_max: limits.connections_max,
    };
    let routes = Router::new()
        .route(PATH, any_service(service.clone()))
        .route(PATH.trim_end_matches('/'), any_service(service))
        .layer(middleware::from_fn_with_state(Arc::new(gate), gate::check))
        .layer(gate::cors(origins));
    (io, routes)
}

/// What a socket keeps from its arrival to its welcome.
#[derive(Clone)]
struct Arrival {
    room: Id,
    guest: Guest,
    mailbox: Arc<Mailbox>,
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
    let (asks, leaving) = (desk.asks, Arc::clone(&mailbox));
    socket.on_disconnect(async move |socket: SocketRef| {
        leaving.close();
        // A fan-out that is gone has forgotten everybody.
        let _ = asks.send(Ask::Leave { id: socket.id }).await;
    });
    socket.extensions.insert(Arrival { room, guest, mailbox });
    Ok(())
}

/// Tells somebody who is in all there is, and carries out what they want.
async fn welcome(socket: SocketRef, desk: Desk, stop: CancellationToken, tasks: TaskTracker) {
    let Some(Arrival { room, guest, mailbox }) = socket.extensions.remove::<Arrival>() else { return };
    let join = Ask::Join { socket: socket.clone(), room: room.clone(), guest: guest.clone() };
    if desk.asks.send(join).await.is_err() {
        return;
    }
    if !socket.connected() {
        // They were gone before they had joined, and said so too early.
        let _ = desk.asks.send(Ask::Leave { id: socket.id }).await;
        return;
    }
    tasks.spawn(async move {
        tokio::select! {
            () = stop.cancelled() => {}
            () = client::serve(desk, socket, room, guest, mailbox) => {}
        }
    });
}

impl SocketIoEdge {
    /// What the HTTP server has to serve: `/socket.io/`, with the checks of `Origin` and the answers to CORS in front of it.
    #[must_use]
    pub fn routes(&self) -> Router {
        self.routes.clone()
    }

    /// How many sessions there are.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.settings.limits.connections_max - self.connections.available_permits()
    }

    /// Opens the ports that the tutorials' clients have built in, on the loopback addresses, where that is configured. A port
    /// that cannot be opened is said so in the log and in the answer; everything else serves on.
    pub async fn start_tutorial_listeners(&self) -> TutorialListeners {
        let ports: &[u16] = if self.settings.tutorials { &self.settings.tutorial_ports } else { &[] };
        listeners::start(ports, self.routes(), &self.stop, &self.tasks).await
    }

    /// Says goodbye to every client and waits, for a bounded time, until all is done.
    pub async fn stop(self) {
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
