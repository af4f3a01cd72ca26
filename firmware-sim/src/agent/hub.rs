//! What comes from the hub: its state, its countdown, its rejections, its coming and going.

use lockstep::domain::things::pomodoro::Phase;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Agent, Connection, Outcome, Output, Over, Report, STATE_WITHIN, Waiting, topics::About};
use crate::{clock::Mono, config::LightWord};

/// The longest countdown that is taken, in characters: `24:00:00` and some room.
const REMAINING_CHARS_MAX: usize = 12;

/// The part of the hub's state that a box shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhaseView {
    /// The phase.
    #[serde(deserialize_with = "read_phase", serialize_with = "write_phase")]
    phase: Phase,
    /// The message for people.
    #[serde(default)]
    pub message: String,
    /// Whether it is paused.
    #[serde(default)]
    pub paused: bool,
    /// When it ends, in Unix milliseconds.
    #[serde(default)]
    pub ends_at: Option<i64>,
    /// The work periods done in this round.
    #[serde(default)]
    pub cycle: u32,
    /// The revision.
    #[serde(default)]
    pub rev: u64,
    /// Who caused it.
    #[serde(default)]
    pub by: String,
}

impl PhaseView {
    /// The phase.
    pub const fn phase(&self) -> Phase {
        self.phase
    }
}

fn read_phase<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Phase, D::Error> {
    let word = String::deserialize(deserializer)?;
    Phase::from_word(&word).ok_or_else(|| serde::de::Error::custom(format!("no phase `{word}`")))
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn write_phase<S: serde::Serializer>(phase: &Phase, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(phase.as_str())
}

/// The part of a rejection that a box needs.
#[derive(Deserialize)]
struct Rejected {
    code: String,
    #[serde(default)]
    message: String,
    #[serde(default, rename = "ref")]
    reference: Option<String>,
}

impl Agent {
    pub(super) fn connected(&mut self, protocol: u8, now: Mono) {
        self.forget(now);
        self.state_due = Some(now + STATE_WITHIN);
        self.shown.connection = Connection::Waiting;
        self.tell(Report::Connection { connection: Connection::Waiting, protocol: Some(protocol), reason: None });
        self.outputs.push(Output::Subscribe(self.topics.filters(self.countdown)));
        self.publish(self.topics.availability(), "online".to_owned(), true, None);
        let info = json!({
            "name": self.name,
            "kind": "box",
            "room": self.topics.room(),
            "version": env!("CARGO_PKG_VERSION"),
            "board": self.board,
            "buttons": self.buttons.iter().map(|(button, _)| &button.name).collect::<Vec<_>>(),
            "lights": self.lights,
            "sliders": self.dials.iter().map(|turning| &turning.dial.slider).collect::<Vec<_>>(),
        });
        self.publish(self.topics.info(), info.to_string(), true, None);
    }

    pub(super) fn disconnected(&mut self, reason: String, now: Mono) {
        let again = self.shown.connection == Connection::Away && self.away_for.as_ref() == Some(&reason);
        self.forget(now);
        if !again {
            self.away_for = Some(reason.clone());
            self.tell(Report::Connection { connection: Connection::Away, protocol: None, reason: Some(reason) });
        }
    }

    /// Forgets what the last connection brought: nothing is shown of a hub that is not there, nothing is sent later.
    fn forget(&mut self, now: Mono) {
        for Waiting { reference, .. } in std::mem::take(&mut self.waiting) {
            self.outcome(reference, Outcome::Lost, None, None);
        }
        for turning in &mut self.dials {
            turning.clicks = 0;
        }
        self.hub_offline = false;
        self.state_due = None;
        self.shown.phase = None;
        self.shown.remaining = None;
        self.shown.connection = Connection::Away;
        self.choose_word(now);
    }

    pub(super) fn message(&mut self, topic: &str, payload: &[u8], now: Mono) {
        match self.topics.about(topic) {
            Some(About::State) => self.state(payload, now),
            Some(About::Remaining) => self.remaining(payload),
            Some(About::Rejected) => self.rejected(payload, now),
            Some(About::HubAvailability) => self.hub_availability(payload, now),
            None => {}
        }
    }

    fn state(&mut self, payload: &[u8], now: Mono) {
        if self.shown.connection == Connection::Away {
            return;
        }
        match serde_json::from_slice::<PhaseView>(payload) {
            Ok(view) => {
                self.state_due = None;
                if self.shown.phase.as_ref() != Some(&view) {
                    self.tell(Report::Phase(view.clone()));
                }
                self.shown.phase = Some(view);
                if !self.hub_offline && self.shown.connection != Connection::Online {
                    self.shown.connection = Connection::Online;
                    self.tell(Report::Connection { connection: Connection::Online, protocol: None, reason: None });
                }
                self.choose_word(now);
            }
            Err(e) => self.tell(Report::Notice { message: format!("the hub's state cannot be read: {e}") }),
        }
    }

    fn remaining(&mut self, payload: &[u8]) {
        let Ok(text) = std::str::from_utf8(payload) else { return };
        let plain = text.len() <= REMAINING_CHARS_MAX && text.bytes().all(|b| b.is_ascii_digit() || b == b':');
        if plain && self.shown.connection != Connection::Away && self.shown.remaining.as_deref() != Some(text) {
            self.shown.remaining = Some(text.to_owned());
            self.tell(Report::Remaining { remaining: text.to_owned() });
        }
    }

    fn rejected(&mut self, payload: &[u8], now: Mono) {
        let Ok(Rejected { code, message, reference }) = serde_json::from_slice(payload) else { return };
        let Some(reference) = reference.filter(|reference| reference.starts_with(&self.reference_prefix())) else {
            return;
        };
        self.waiting.retain(|waiting| waiting.reference != reference);
        self.outcome(reference, Outcome::Rejected, Some(code), Some(message));
        self.lay_over(Over::Word(LightWord::Rejected), now);
    }

    /// With a broker of its own the hub can be away while the connection stays.
    fn hub_availability(&mut self, payload: &[u8], now: Mono) {
        let offline = payload == b"offline";
        if offline == self.hub_offline || self.shown.connection == Connection::Away {
            return;
        }
        self.hub_offline = offline;
        if offline {
            self.shown.connection = Connection::Waiting;
            let reason = Some("the hub is offline".to_owned());
            self.tell(Report::Connection { connection: Connection::Waiting, protocol: None, reason });
        } else if self.shown.phase.is_some() {
            self.shown.connection = Connection::Online;
            self.tell(Report::Connection { connection: Connection::Online, protocol: None, reason: None });
        }
        self.choose_word(now);
    }
}
