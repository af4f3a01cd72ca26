//! The agent: what a box does, whatever board it has.
//!
//! A value: inputs and the time go in, outputs come out, and [`Agent::next_wakeup`] says when it wants to be woken; waking early
//! is harmless. Sockets, pins, screens and clocks are not here.
//!
//! A press is never remembered: what cannot be sent at once is told by the light and forgotten.

use std::{collections::VecDeque, time::Duration};

use lockstep::domain::{id::Id, things::pomodoro::Phase};
use serde::Serialize;
use serde_json::json;

use crate::{
    clock::Mono,
    command::{Command, STEPS_MAX},
    config::{Button, Config, Dial, DialLines, LightWord, Patterns},
    gesture::{Gesture, Gestures},
};

mod hub;
mod report;
mod shown;
mod topics;

pub use hub::PhaseView;
pub use report::{Outcome, Report};
pub use shown::{Over, Overlay, Shown};
pub use topics::Topics;

/// How long the light is turned over to acknowledge a press.
pub const PRESSED: Duration = Duration::from_millis(80);
/// A command that the hub has not acknowledged by then is told as lost.
pub const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(5);
/// Connected, but without a state of the room for so long, the box says so.
pub const STATE_WITHIN: Duration = Duration::from_secs(3);
/// A dial that is turned on and on sends at most this often.
pub const DIAL_INTERVAL: Duration = Duration::from_millis(50);
/// The most commands that wait for their acknowledgement; more are refused as unsent.
pub const WAITING_MAX: usize = 32;

/// How the box stands to its hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Connection {
    /// No connection.
    Away,
    /// A connection, but no state of the room yet, or the broker says that the hub is offline.
    Waiting,
    /// What is shown is the hub's.
    Online,
}

/// What can happen to a box.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// A button's edge, with the time at which it was, as near as the board knows.
    Edge {
        /// Which of the configured buttons.
        button: usize,
        /// Whether it is down now.
        down: bool,
        /// When that began.
        at: Mono,
    },
    /// A button was found held at start.
    HeldAtStart {
        /// Which of the configured buttons.
        button: usize,
    },
    /// A dial was turned.
    Turn {
        /// Which of the configured dials.
        dial: usize,
        /// By how many clicks; negative is down.
        clicks: i32,
    },
    /// There is a connection.
    Connected {
        /// 5, or 4 for MQTT 3.1.1.
        protocol: u8,
    },
    /// There is none any more, or none could be had.
    Disconnected {
        /// Why, for people.
        reason: String,
    },
    /// A message came.
    Message {
        /// Its topic.
        topic: String,
        /// Its payload.
        payload: Vec<u8>,
    },
    /// What was published with that token is acknowledged.
    Acknowledged {
        /// The token of [`Output::Publish`].
        token: u64,
        /// Why it was refused all the same, where it was.
        refused: Option<String>,
    },
    /// What was to be published with that token could not even be queued.
    NotQueued {
        /// The token of [`Output::Publish`].
        token: u64,
    },
}

/// What a box wants done.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Subscribe at QoS 1.
    Subscribe(Vec<String>),
    /// Publish at QoS 1.
    Publish {
        /// The topic.
        topic: String,
        /// The payload.
        payload: String,
        /// Whether to retain it.
        retain: bool,
        /// Names it when its acknowledgement is told; none: nobody waits for that.
        token: Option<u64>,
    },
    /// Tell whoever watches.
    Tell(Report),
}

#[derive(Debug, Clone)]
struct Waiting {
    token: u64,
    reference: String,
    due: Mono,
}

#[derive(Debug, Clone)]
struct Turning {
    dial: Dial,
    /// Clicks that are not sent yet.
    clicks: i32,
    /// Not before then.
    next: Mono,
}

/// One box.
#[derive(Debug, Clone)]
pub struct Agent {
    name: String,
    board: &'static str,
    countdown: bool,
    topics: Topics,
    patterns: Patterns,
    buttons: Vec<(Button, Gestures)>,
    lights: Vec<Id>,
    dials: Vec<Turning>,
    /// Distinguishes this run's references from those of a run before.
    run: String,
    tokens: u64,
    waiting: VecDeque<Waiting>,
    hub_offline: bool,
    /// Why there is no connection, as it was told last.
    away_for: Option<String>,
    state_due: Option<Mono>,
    shown: Shown,
    outputs: Vec<Output>,
}

impl Agent {
    /// A box with the id `device`. `run` differs from start to start; `countdown` says whether its board can show one.
    pub fn new(config: &Config, device: Id, run: String, countdown: bool, now: Mono) -> Self {
        Self {
            name: config.name.clone(),
            board: config.board.word(),
            countdown,
            topics: Topics::new(config.hub.root.clone(), config.hub.room.clone(), device),
            buttons: config.buttons.iter().map(|button| (button.clone(), Gestures::new(button.timing))).collect(),
            lights: config.lights.iter().map(|light| light.name.clone()).collect(),
            dials: config.dials.iter().map(|dial| Turning { dial: dial.clone(), clicks: 0, next: now }).collect(),
            run,
            tokens: 0,
            waiting: VecDeque::new(),
            hub_offline: false,
            away_for: None,
            state_due: None,
            shown: Shown::new(&config.patterns, now),
            patterns: config.patterns.clone(),
            outputs: Vec::new(),
        }
    }

    /// The topics.
    pub const fn topics(&self) -> &Topics {
        &self.topics
    }

    /// What the board shows.
    pub const fn shown(&self) -> &Shown {
        &self.shown
    }

    /// Takes an input; what is due by `now` comes first.
    pub fn input(&mut self, input: Input, now: Mono) -> Vec<Output> {
        // An edge carries its own time, which may be before a timer that is due by now.
        if !matches!(input, Input::Edge { .. }) {
            self.wake_parts(now);
        }
        match input {
            Input::Edge { button, down, at } => self.edge(button, down, at, now),
            Input::HeldAtStart { button } => self.held_at_start(button),
            Input::Turn { dial, clicks } => self.turn(dial, clicks, now),
            Input::Connected { protocol } => self.connected(protocol, now),
            Input::Disconnected { reason } => self.disconnected(reason, now),
            Input::Message { topic, payload } => self.message(&topic, &payload, now),
            Input::Acknowledged { token, refused } => self.acknowledged(token, refused, now),
            Input::NotQueued { token } => self.not_queued(token, now),
        }
        std::mem::take(&mut self.outputs)
    }

    /// Does what is due by `now`.
    pub fn wake(&mut self, now: Mono) -> Vec<Output> {
        self.wake_parts(now);
        std::mem::take(&mut self.outputs)
    }

    /// When [`wake`](Self::wake) will have something to do.
    pub fn next_wakeup(&self) -> Option<Mono> {
        let gestures = self.buttons.iter().filter_map(|(_, gestures)| gestures.next_wakeup());
        let dials = self.dials.iter().filter(|turning| turning.clicks != 0).map(|turning| turning.next);
        let waiting = self.waiting.front().map(|waiting| waiting.due);
        let overlay = self.shown.overlay.map(|overlay| overlay.until);
        gestures.chain(dials).chain(waiting).chain(overlay).chain(self.state_due).min()
    }

    fn wake_parts(&mut self, now: Mono) {
        for index in 0..self.buttons.len() {
            let told = self.buttons[index].1.wake(now);
            self.gestures(index, told, now);
        }
        for index in 0..self.dials.len() {
            self.send_turn(index, now);
        }
        while self.waiting.front().is_some_and(|waiting| waiting.due <= now) {
            if let Some(Waiting { reference, .. }) = self.waiting.pop_front() {
                self.outcome(reference, Outcome::Lost, None, None);
                self.lay_over(Over::Word(LightWord::Unsent), now);
            }
        }
        if self.shown.overlay.is_some_and(|overlay| overlay.until <= now) {
            self.shown.overlay = None;
            self.tell_light();
        }
        if self.state_due.is_some_and(|due| due <= now) {
            self.state_due = None;
            let room = self.topics.room().clone();
            self.tell(Report::Notice {
                message: format!(
                    "connected, but nothing tells the state of the room `{room}`: is it the right --room?"
                ),
            });
        }
    }

    fn edge(&mut self, button: usize, down: bool, at: Mono, now: Mono) {
        let Some((_, gestures)) = self.buttons.get_mut(button) else { return };
        let was_down = gestures.is_down();
        let told = gestures.edge(down, at.min(now));
        if down && !was_down {
            self.acknowledge_press(now);
        }
        self.gestures(button, told, now);
        self.wake_parts(now);
    }

    fn held_at_start(&mut self, button: usize) {
        let Some((config, gestures)) = self.buttons.get_mut(button) else { return };
        gestures.held_at_start();
        let message = format!("the button `{}` is held down at start; it counts from its next press on", config.name);
        self.tell(Report::Notice { message });
    }

    /// Shows at once, before anybody answered, that a press was felt; and whether anybody will hear of it.
    fn acknowledge_press(&mut self, now: Mono) {
        let over =
            if self.shown.connection == Connection::Online { Over::Pressed } else { Over::Word(LightWord::Unsent) };
        self.lay_over(over, now);
    }

    fn gestures(&mut self, button: usize, told: Vec<Gesture>, now: Mono) {
        for gesture in told {
            let Some((config, _)) = self.buttons.get(button) else { return };
            let (name, command) = (config.name.clone(), config.command(gesture).cloned());
            self.tell(Report::Gesture { button: name.clone(), event_type: gesture });
            if self.shown.connection != Connection::Away {
                let payload = json!({"event_type": gesture.word(), "button": name}).to_string();
                self.publish(self.topics.event(), payload, false, None);
            }
            if let Some(command) = command {
                self.send(&command, now);
            }
        }
    }

    fn turn(&mut self, dial: usize, clicks: i32, now: Mono) {
        let Some(turning) = self.dials.get_mut(dial) else { return };
        turning.clicks = turning.clicks.saturating_add(clicks);
        if matches!(turning.dial.lines, DialLines::Buttons { .. }) {
            self.acknowledge_press(now);
        }
        self.send_turn(dial, now);
    }

    fn send_turn(&mut self, dial: usize, now: Mono) {
        let Some(turning) = self.dials.get_mut(dial) else { return };
        if turning.clicks == 0 || turning.next > now {
            return;
        }
        let clicks = std::mem::take(&mut turning.clicks);
        turning.next = now + DIAL_INTERVAL;
        let steps = clicks.saturating_mul(turning.dial.step).clamp(-STEPS_MAX, STEPS_MAX);
        let command = Command::Move { slider: turning.dial.slider.clone(), steps };
        self.send(&command, now);
    }

    /// Sends a command, or tells that it cannot.
    fn send(&mut self, command: &Command, now: Mono) {
        let thing = command.thing().to_owned();
        let sendable = self.shown.connection == Connection::Online && self.waiting.len() < WAITING_MAX;
        if !sendable {
            self.tell(Report::Command { reference: None, thing, command: command.to_string(), sent: false });
            self.lay_over(Over::Word(LightWord::Unsent), now);
            return;
        }
        self.tokens += 1;
        let reference = format!("{}{}", self.reference_prefix(), self.tokens);
        let payload = command.payload(&reference).to_string();
        self.waiting.push_back(Waiting {
            token: self.tokens,
            reference: reference.clone(),
            due: now + ACKNOWLEDGED_WITHIN,
        });
        self.publish(self.topics.set(&thing), payload, false, Some(self.tokens));
        self.tell(Report::Command { reference: Some(reference), thing, command: command.to_string(), sent: true });
    }

    fn reference_prefix(&self) -> String {
        format!("{}.{}.", self.topics.device(), self.run)
    }

    fn take_waiting(&mut self, token: u64) -> Option<Waiting> {
        let index = self.waiting.iter().position(|waiting| waiting.token == token)?;
        self.waiting.remove(index)
    }

    fn acknowledged(&mut self, token: u64, refused: Option<String>, now: Mono) {
        let Some(Waiting { reference, .. }) = self.take_waiting(token) else { return };
        if let Some(message) = refused {
            self.outcome(reference, Outcome::Rejected, None, Some(message));
            self.lay_over(Over::Word(LightWord::Rejected), now);
        } else {
            self.outcome(reference, Outcome::Delivered, None, None);
        }
    }

    fn not_queued(&mut self, token: u64, now: Mono) {
        if let Some(Waiting { reference, .. }) = self.take_waiting(token) {
            self.outcome(reference, Outcome::Lost, None, None);
            self.lay_over(Over::Word(LightWord::Unsent), now);
        }
    }

    fn outcome(&mut self, reference: String, outcome: Outcome, code: Option<String>, message: Option<String>) {
        self.tell(Report::Outcome { reference, outcome, code, message });
    }

    fn publish(&mut self, topic: String, payload: String, retain: bool, token: Option<u64>) {
        self.outputs.push(Output::Publish { topic, payload, retain, token });
    }

    fn tell(&mut self, report: Report) {
        self.outputs.push(Output::Tell(report));
    }

    /// The phase whose colour counts.
    fn phase(&self) -> Phase {
        self.shown.phase.as_ref().map_or(Phase::Idle, PhaseView::phase)
    }
}

#[cfg(test)]
mod tests;
