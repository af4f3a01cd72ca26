//! The fan-out: tells every client of a room what happens there, in the one order.
//!
//! It never waits for a client. One that reads too slowly has a bounded number of packets waiting, and gets the newest values
//! when there is room again, never all that it missed. What clients send does not belong here.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use serde::Serialize;
use socketioxide::{SendError, SocketError, extract::SocketRef, socket::Sid};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, MissedTickBehavior},
};
use tokio_util::sync::CancellationToken;

use super::{
    board::{Board, News, Room, TIME_UP},
    client::Rooms,
    guest::Guest,
    translate::{Course, Greeting, Timer, UpdateValue, event},
};
use crate::{domain::id::Id, engine::OutletReceiver};

/// What clients' tasks ask of the fan-out.
#[derive(Debug)]
pub(super) enum Ask {
    /// Somebody comes: greet them with all there is, then tell them what happens.
    Join { socket: SocketRef, room: Id, guest: Guest },
    /// Somebody is gone.
    Leave { id: Sid },
    /// A client set the Pomodoro up: once `after` is reached, everybody in the room shall have been told the setup since `since`.
    ShareSetup { room: Id, since: u64, after: u64 },
    /// A client's setup was rejected: tell it the one that holds.
    Setup { id: Sid },
    /// A client moved a slider to `text`: once `after` is reached, tell it the value, where that is another.
    Correct { id: Sid, room: Id, slider: Id, text: String, after: u64 },
}

impl Ask {
    /// The place in the one order that the board must have reached.
    const fn after(&self) -> u64 {
        match self {
            Self::ShareSetup { after, .. } | Self::Correct { after, .. } => *after,
            Self::Join { .. } | Self::Leave { .. } | Self::Setup { .. } => 0,
        }
    }
}

/// How many asks wait for the fan-out.
pub(super) const ASKS_MAX: usize = 1024;

/// How many batches are taken in before clients are told, so that a slider that moves fast costs one packet.
const BATCHES_AT_ONCE_MAX: usize = 64;

/// How soon a client that had no room for a packet is tried again.
const TRY_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// Something that a client shows.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Shown {
    Setup,
    Time,
    Value(Id),
}

#[derive(Debug)]
struct Listener {
    socket: SocketRef,
    room: Id,
    guest: Guest,
    /// What it shows wrongly because there was no room for a packet.
    behind: BTreeSet<Shown>,
}

/// What a room's clients are to be told at the end of a round.
#[derive(Debug, Default)]
struct Pending {
    time: bool,
    time_up: bool,
    values: BTreeSet<Id>,
}

/// The fan-out's state.
#[derive(Debug)]
pub(super) struct Fanout {
    board: Board,
    listeners: BTreeMap<Sid, Listener>,
    members: BTreeMap<Id, BTreeSet<Sid>>,
    pending: BTreeMap<Id, Pending>,
    /// When each room's clients were last told the setup, in the one order.
    setup_shared: BTreeMap<Id, u64>,
    /// Asks that came before the publications they are about.
    early: Vec<Ask>,
    rooms: watch::Sender<Rooms>,
}

impl Fanout {
    pub(super) fn new(board: Board, rooms: watch::Sender<Rooms>) -> Self {
        let fanout = Self {
            board,
            listeners: BTreeMap::new(),
            members: BTreeMap::new(),
            pending: BTreeMap::new(),
            setup_shared: BTreeMap::new(),
            early: Vec::new(),
            rooms,
        };
        fanout.tell_rooms();
        fanout
    }

    /// Runs until `stop`, or until the engine is gone.
    pub(super) async fn run(
        mut self,
        mut outlet: OutletReceiver,
        mut asks: mpsc::Receiver<Ask>,
        stop: CancellationToken,
    ) {
        let mut again = tokio::time::interval_at(Instant::now() + TRY_AGAIN_AFTER, TRY_AGAIN_AFTER);
        again.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut batches = Vec::with_capacity(BATCHES_AT_ONCE_MAX);
        loop {
            let somebody_behind = self.listeners.values().any(|listener| !listener.behind.is_empty());
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                _ = again.tick(), if somebody_behind => self.try_again(),
                taken = outlet.recv_many(&mut batches, BATCHES_AT_ONCE_MAX) => {
                    if taken == 0 {
                        break;
                    }
                    for batch in batches.drain(..) {
                        for publication in &batch.publications {
                            if let Some((room, news)) = self.board.apply(publication) {
                                self.note(&room, news);
                            }
                        }
                    }
                    self.board.pass_over(outlet.spared_seq());
                    self.tell();
                    self.answer_early();
                }
                ask = asks.recv() => {
                    let Some(ask) = ask else { break };
                    self.board.pass_over(outlet.spared_seq());
                    self.take(ask);
                }
            }
        }
    }

    /// Tells at once what must not be merged, and notes the rest for the end of the round.
    fn note(&mut self, room: &Id, news: Vec<News>) {
        let known = self.rooms.borrow().as_ref().is_some_and(|rooms| rooms.contains(room));
        if !known {
            self.tell_rooms();
        }
        for news in news {
            match news {
                News::Phase => self.course(room, false),
                News::Setup => self.course(room, true),
                News::Time => self.pending.entry(room.clone()).or_default().time = true,
                News::TimeUp => self.pending.entry(room.clone()).or_default().time_up = true,
                News::Value(slider) => drop(self.pending.entry(room.clone()).or_default().values.insert(slider)),
                News::Gone => self.close_room(room),
            }
        }
    }

    fn tell(&mut self) {
        for (room_id, pending) in std::mem::take(&mut self.pending) {
            let Some(room) = self.board.room(room_id.as_str()) else { continue };
            let time_told = pending.time_up && room.time() == Some(TIME_UP);
            for id in self.members.get(&room_id).into_iter().flatten() {
                let Some(listener) = self.listeners.get_mut(id) else { continue };
                if pending.time_up && listener.may_see(&Shown::Time, room, &self.board) {
                    listener.send(Shown::Time, event::TIMER, &Timer::shows(TIME_UP));
                }
                if pending.time && !time_told {
                    listener.show(&Shown::Time, &self.board);
                }
                for slider in &pending.values {
                    listener.show(&Shown::Value(slider.clone()), &self.board);
                }
            }
        }
    }

    /// Tells a room's clients the Pomodoro's state, with its setup or without.
    fn course(&mut self, room_id: &Id, setup: bool) {
        let Some(room) = self.board.room(room_id.as_str()) else { return };
        let Some((_, pomodoro)) = room.pomodoro() else { return };
        if setup {
            self.setup_shared.insert(room_id.clone(), self.board.seq());
        }
        let message = if setup { Course::setup(pomodoro) } else { Course::state(pomodoro) };
        for id in self.members.get(room_id).into_iter().flatten() {
            if let Some(listener) = self.listeners.get_mut(id)
                && listener.may_see(&Shown::Setup, room, &self.board)
            {
                listener.send(Shown::Setup, event::JSON, &message);
            }
        }
    }

    fn take(&mut self, ask: Ask) {
        if ask.after() > self.board.seq() {
            // At most one a client: its task waits for nothing else meanwhile, but may ask again.
            if self.early.len() < ASKS_MAX {
                self.early.push(ask);
            }
            return;
        }
        match ask {
            Ask::Join { socket, room, guest } => self.join(socket, room, guest),
            Ask::Leave { id } => self.leave(id),
            Ask::ShareSetup { room, since, .. } => {
                if self.setup_shared.get(&room).is_none_or(|shared| *shared <= since) {
                    self.course(&room, true);
                }
            }
            Ask::Setup { id } => self.correct(id, &Shown::Setup),
            Ask::Correct { id, room, slider, text, .. } => {
                let value = self.board.room(room.as_str()).and_then(|room| room.value(slider.as_str()));
                if value.is_some_and(|value| value != text) {
                    self.correct(id, &Shown::Value(slider));
                }
            }
        }
    }

    fn answer_early(&mut self) {
        if self.early.is_empty() {
            return;
        }
        for ask in std::mem::take(&mut self.early) {
            self.take(ask);
        }
    }

    fn join(&mut self, socket: SocketRef, room_id: Id, guest: Guest) {
        let mut listener = Listener { socket, room: room_id.clone(), guest, behind: BTreeSet::new() };
        let Some(room) = self.board.room(room_id.as_str()) else {
            let _ = listener.socket.disconnect();
            return;
        };
        // What has no room is caught up with like everything else.
        let _ = listener.socket.emit(event::AFTER_CONNECT, &Greeting::to(&room_id));
        for (slider, _) in room.sliders() {
            listener.show(&Shown::Value(slider.clone()), &self.board);
        }
        listener.show(&Shown::Time, &self.board);
        listener.show(&Shown::Setup, &self.board);
        let id = listener.socket.id;
        self.members.entry(room_id).or_default().insert(id);
        self.listeners.insert(id, listener);
    }

    fn leave(&mut self, id: Sid) {
        let Some(listener) = self.listeners.remove(&id) else { return };
        if let Some(members) = self.members.get_mut(&listener.room) {
            members.remove(&id);
            if members.is_empty() {
                self.members.remove(&listener.room);
            }
        }
    }

    fn close_room(&mut self, room: &Id) {
        for id in self.members.remove(room).into_iter().flatten() {
            if let Some(listener) = self.listeners.remove(&id) {
                let _ = listener.socket.disconnect();
            }
        }
        self.pending.remove(room);
        self.setup_shared.remove(room);
        self.tell_rooms();
    }

    fn tell_rooms(&self) {
        self.rooms.send_replace(Some(Arc::new(self.board.rooms().cloned().collect())));
    }

    fn correct(&mut self, id: Sid, shown: &Shown) {
        if let Some(listener) = self.listeners.get_mut(&id) {
            listener.show(shown, &self.board);
        }
    }

    fn try_again(&mut self) {
        for listener in self.listeners.values_mut().filter(|listener| !listener.behind.is_empty()) {
            for shown in std::mem::take(&mut listener.behind) {
                listener.show(&shown, &self.board);
            }
        }
    }
}

impl Listener {
    /// Sends the newest value of what is shown.
    fn show(&mut self, shown: &Shown, board: &Board) {
        let Some(room) = board.room(self.room.as_str()) else { return };
        if !self.may_see(shown, room, board) {
            return;
        }
        match shown {
            Shown::Time => {
                if let Some(time) = room.time() {
                    self.send(Shown::Time, event::TIMER, &Timer::shows(time));
                }
            }
            Shown::Setup => {
                if let Some((_, pomodoro)) = room.pomodoro() {
                    self.send(Shown::Setup, event::JSON, &Course::setup(pomodoro));
                }
            }
            Shown::Value(slider) => {
                if let Some(value) = room.value(slider.as_str()) {
                    let message = UpdateValue { who: slider.as_str(), data: value };
                    self.send(shown.clone(), event::UPDATE_VALUE, &message);
                }
            }
        }
    }

    /// Whether the client may read the thing that is shown: asked each time, because rights change.
    fn may_see(&self, shown: &Shown, room: &Room, board: &Board) -> bool {
        let thing = match shown {
            Shown::Value(slider) => Some(slider),
            Shown::Setup | Shown::Time => room.pomodoro().map(|(thing, _)| thing),
        };
        thing.is_some_and(|thing| self.guest.may_receive(&board.topic(&self.room, thing, "state")))
    }

    /// Sends `message` if there is room, else notes what the client shows wrongly from now on.
    fn send(&mut self, shown: Shown, event: &str, message: &impl Serialize) {
        if self.behind.contains(&shown) {
            return;
        }
        // One that is closed says so itself, by leaving.
        if let Err(SendError::Socket(SocketError::InternalChannelFull)) = self.socket.emit(event, message) {
            self.behind.insert(shown);
        }
    }
}
