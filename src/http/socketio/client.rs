//! One client: takes in what it sends, carries it out in order, and answers it.
//!
//! What everybody is told does not belong here; that is the fan-out.

use std::{
    fmt,
    sync::{Arc, atomic::AtomicU64},
};

use serde_json::Value;
use socketioxide::extract::{SocketRef, TryData};
use tokio::sync::{mpsc, watch};

use super::{
    board::Board,
    fanout::Ask,
    guest::{self, Guest},
    mailbox::{Mailbox, Posted, Wish},
    settings::Limits,
    translate::{self, Rejected, Timer, event},
};
use crate::{
    domain::{
        id::Id,
        publication::Publish,
        rejection::{Code, Rejection},
        topic::Topic,
    },
    engine::{EngineHandle, Lane, Outcome},
    figures,
};

/// The room of a client that names none.
const DEFAULT_ROOM: &str = "main";

/// Why a client does not come in; the text goes out as `connect_error` (`error` before 3.0).
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotHere(pub(super) String);

impl fmt::Display for NotHere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What every client's task needs.
#[derive(Debug, Clone)]
pub(super) struct Desk {
    pub(super) engine: EngineHandle,
    pub(super) asks: mpsc::Sender<Ask>,
    /// The board as it was when the fan-out last changed it.
    pub(super) rooms: watch::Receiver<Rooms>,
    pub(super) root: Id,
    pub(super) limits: Limits,
    /// Counts those who came.
    pub(super) members: Arc<AtomicU64>,
}

/// The rooms that there are; none until the fan-out knows.
pub(super) type Rooms = Option<Arc<std::collections::BTreeSet<Id>>>;

impl Desk {
    /// Finds the room that a client asks for.
    ///
    /// # Errors
    /// A sentence that names the room that there is not.
    pub(super) async fn room_of(&self, socket: &SocketRef) -> Result<Id, NotHere> {
        let asked = guest::query(socket.req_parts(), "room").unwrap_or_else(|| DEFAULT_ROOM.to_owned());
        let mut rooms = self.rooms.clone();
        let known = rooms.wait_for(Option::is_some).await.map_err(|_| NotHere("The hub is stopping.".to_owned()))?;
        known.as_ref().and_then(|rooms| rooms.get(asked.as_str()).cloned()).ok_or_else(|| {
            let asked: String = asked.chars().take(64).collect();
            NotHere(format!("There is no room `{asked}`."))
        })
    }
}

/// Listens to what a client sends. Nothing in here waits, so that the client's order is kept.
pub(super) fn listen(socket: &SocketRef, mailbox: &Arc<Mailbox>) {
    let take = |parse: fn(Value) -> Result<Wish, Rejection>, event: &'static str| {
        let mailbox = Arc::clone(mailbox);
        move |socket: SocketRef, TryData::<Value>(data)| {
            match parse(data.unwrap_or(Value::Null)) {
                Ok(wish) => {
                    post(&socket, &mailbox, Some(wish), event);
                }
                Err(rejection) => {
                    if post(&socket, &mailbox, None, event) {
                        figures::rejected(rejection.code);
                        answer(&socket, &rejection, event, None);
                    }
                }
            }
            std::future::ready(())
        }
    };
    socket.on(event::START, take(|_| Ok(Wish::Start), event::START));
    socket.on(event::STOP, take(|_| Ok(Wish::Stop), event::STOP));
    socket.on(event::JSON, take(translate::parse_course, event::JSON));
    socket.on(event::SLIDER_VALUE_CHANGED, take(|data| translate::parse_slide(&data), event::SLIDER_VALUE_CHANGED));
    let mailbox = Arc::clone(mailbox);
    // Events that nobody knows cost rate all the same.
    socket.on_fallback(move |socket: SocketRef| {
        post(&socket, &mailbox, None, "");
        std::future::ready(())
    });
}

/// Hands a wish to the client's task; tells whether the client is still welcome.
fn post(socket: &SocketRef, mailbox: &Mailbox, wish: Option<Wish>, event: &str) -> bool {
    match mailbox.post(wish) {
        Posted::Waits => true,
        Posted::Rejected(rejection) => {
            figures::rejected(rejection.code);
            answer(socket, &rejection, event, None);
            true
        }
        Posted::Flood => {
            tracing::debug!(id = %socket.id, "a Socket.IO client that sends far too much is cut off");
            // Closed already is just as well.
            let _ = socket.clone().disconnect();
            false
        }
    }
}

/// Carries out what waits in `mailbox` until the client is gone.
pub(super) async fn serve(desk: Desk, socket: SocketRef, room: Id, guest: Guest, mailbox: Arc<Mailbox>) {
    let client = Client { desk, socket, room, guest };
    while let Some(wish) = mailbox.next().await {
        if client.carry_out(wish).await.is_none() {
            break;
        }
    }
}

struct Client {
    desk: Desk,
    socket: SocketRef,
    room: Id,
    guest: Guest,
}

impl Client {
    /// Carries out one wish and answers it; none when the hub is stopping.
    async fn carry_out(&self, wish: Wish) -> Option<()> {
        let engine = &self.desk.engine;
        // Fresh from the engine: what to do with a press depends on it.
        let snapshot = engine.snapshot(Board::filters_of_room(&self.desk.root, &self.room)).await.ok()?;
        let seq_before = snapshot.seq;
        let mut board = Board::new(self.desk.root.clone());
        for value in &snapshot.values {
            board.set(&value.topic, &value.payload);
        }
        let outcome = match board.room(self.room.as_str()) {
            Some(room) => {
                let thing = match &wish {
                    Wish::Slide { slider, .. } if room.value(slider.as_str()).is_some() => Some(slider),
                    Wish::Slide { .. } => None,
                    _ => room.pomodoro().map(|(thing, _)| thing),
                };
                match thing {
                    Some(thing) => {
                        let topic = board.topic(&self.room, thing, "set");
                        self.publish(topic, translate::command(&wish, room)).await
                    }
                    None => Err(self.no_such_thing(&wish)),
                }
            }
            None => Err(Rejection::new(Code::UnknownRoom, format!("There is no room `{}`.", self.room))),
        };
        self.settle(wish, outcome, seq_before).await
    }

    async fn publish(&self, topic: Topic, payload: String) -> Outcome {
        if !self.guest.may_publish(&topic) {
            return Err(Rejection::new(Code::Forbidden, format!("You may not publish to {topic}.")));
        }
        self.desk.engine.publish(Lane::Client, Publish::new(topic, payload, self.guest.origin.clone())).await
    }

    fn no_such_thing(&self, wish: &Wish) -> Rejection {
        let message = match wish {
            Wish::Slide { slider, .. } => format!("There is no slider `{slider}` in this room."),
            _ => "There is no Pomodoro in this room.".to_owned(),
        };
        Rejection::new(Code::UnknownThing, message)
    }

    /// Tells the client what became of its wish, and brings its page back to the truth where it left it.
    async fn settle(&self, wish: Wish, outcome: Outcome, seq_before: u64) -> Option<()> {
        let event = translate::event_of(&wish);
        if let Err(rejection) = &outcome {
            if matches!(wish, Wish::Start | Wish::Stop) {
                // As the demo's server said it, but to the one who asked alone.
                let _ = self.socket.emit(event::TIMER, &Timer::fails(&rejection.message));
            } else {
                let who = match &wish {
                    Wish::Slide { slider, .. } => Some(slider.as_str()),
                    _ => None,
                };
                answer(&self.socket, rejection, event, who);
            }
        }
        let ask = match (wish, outcome) {
            (Wish::Slide { slider, text, .. }, outcome) => {
                let after = outcome.map_or(seq_before, |accepted| accepted.seq);
                Ask::Correct { id: self.socket.id, room: self.room.clone(), slider, text, after }
            }
            (Wish::Act(fields), outcome) if translate::is_setup(&fields) => match outcome {
                Ok(accepted) => Ask::ShareSetup { room: self.room.clone(), since: seq_before, after: accepted.seq },
                Err(_) => Ask::Setup { id: self.socket.id },
            },
            _ => return Some(()),
        };
        self.desk.asks.send(ask).await.ok()
    }
}

/// Tells a client why its event did nothing. One that does not read its answers misses them.
fn answer(socket: &SocketRef, rejection: &Rejection, event: &str, who: Option<&str>) {
    let _ = socket.emit(event::REJECTED, &Rejected::new(rejection, event, who));
}
