//! What every shared thing has in common.
//!
//! One kind's rules do not belong here: each kind is one file in [`things`](super::things). Topics, revisions and repeated
//! commands are the [`hub`](super::hub)'s.
//!
//! The laws that every kind keeps, tested for each in `things/laws.rs`: the same input gives the same result; a rejection changes
//! nothing; an early wake changes nothing; after a wake the next one is later; lateness does not add up;
//! `restore(state())` shows the same state; no input panics.

use std::{fmt, time::Duration};

use serde_json::{Map, Value};

use super::{
    control::Control,
    rejection::Rejection,
    time::{Mono, Now, Wall},
    wire::{Command, Fields},
};

/// What a command or a wake did.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Effect {
    /// Whether the state is another one now.
    pub changed: bool,
    /// What happened, for those who wait for edges.
    pub events: Vec<Event>,
    /// A timed phase that came to its end, or was broken off.
    pub finished: Option<Finished>,
}

impl Effect {
    /// Nothing happened, and that is fine.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// The state changed.
    #[must_use]
    pub fn changed() -> Self {
        Self { changed: true, ..Self::default() }
    }
}

/// Something that happened once: the payload of `event`.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// What happened: one of the kind's event types.
    pub event_type: &'static str,
    /// Details.
    pub fields: Fields,
}

/// A timed phase that is over, as the history keeps it.
#[derive(Debug, Clone, PartialEq)]
pub struct Finished {
    /// Which one.
    pub phase: &'static str,
    /// When it began.
    pub started_at: Wall,
    /// When it was over.
    pub ended_at: Wall,
    /// How long it should have been.
    pub planned: Duration,
    /// How long it ran, pauses apart.
    pub actual: Duration,
    /// Whether it ran to its end.
    pub completed: bool,
}

/// A shared object: a value that commands and time change.
pub trait Thing: fmt::Debug + Send {
    /// Carries out `command`.
    ///
    /// # Errors
    /// A [`Rejection`]; then nothing has changed.
    fn apply(&mut self, command: &Command, now: Now) -> Result<Effect, Rejection>;

    /// When the thing wants to be woken: at its next change by time alone.
    fn next_wakeup(&self) -> Option<Mono>;

    /// Does what is due. Waking early is harmless; late, a timer still ended when it ended.
    fn wake(&mut self, now: Now) -> Effect;

    /// The state, as the fields of its JSON: everything that [`restore`](Self::restore) needs.
    fn state(&self, now: Now) -> Fields;

    /// Takes over a state that was read back, with `sent_at` among its fields. What cannot be used keeps its value.
    fn restore(&mut self, state: &Map<String, Value>, now: Now) -> Effect;

    /// The plain leaves: one value each, as text, for displays that read no JSON.
    fn leaves(&self) -> Vec<(&'static str, String)>;

    /// The leaf that changes with time alone, as it is now.
    fn reading(&self, _now: Now) -> Option<(&'static str, String)> {
        None
    }

    /// When [`reading`](Self::reading) changes next.
    fn next_reading(&self, _now: Now) -> Option<Mono> {
        None
    }

    /// What a person can read or move.
    fn controls(&self) -> Vec<Control>;

    /// Every type of event that the thing can tell.
    fn event_types(&self) -> &'static [&'static str];
}
