//! The tutorials' words: what their clients send, and what they expect to read.
//!
//! Sockets and waiting do not belong here.

use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    board::{Pomodoro, Room},
    mailbox::Wish,
};
use crate::domain::{
    id::Id,
    rejection::{Code, Rejection},
};

/// The names of the events.
pub(super) mod event {
    /// Timer demo, in.
    pub(in super::super) const START: &str = "start";
    /// Timer demo, in.
    pub(in super::super) const STOP: &str = "stop";
    /// Timer demo, out.
    pub(in super::super) const TIMER: &str = "timer";
    /// Slider demo, out: a greeting.
    pub(in super::super) const AFTER_CONNECT: &str = "after connect";
    /// Slider demo, in.
    pub(in super::super) const SLIDER_VALUE_CHANGED: &str = "Slider value changed";
    /// Slider demo, out.
    pub(in super::super) const UPDATE_VALUE: &str = "update value";
    /// Course page, in and out.
    pub(in super::super) const JSON: &str = "json";
    /// Lockstep's own, out: why an event did nothing, to the one who sent it.
    pub(in super::super) const REJECTED: &str = "rejected";
}

/// `timer`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Timer<'a> {
    success: bool,
    data: Option<&'a str>,
    error: Option<&'a str>,
}

impl<'a> Timer<'a> {
    /// The time left, as `HH:MM:SS`.
    pub(super) const fn shows(time: &'a str) -> Self {
        Self { success: true, data: Some(time), error: None }
    }

    /// Why the button did nothing.
    pub(super) const fn fails(error: &'a str) -> Self {
        Self { success: false, data: None, error: Some(error) }
    }
}

/// `update value`: the value is text, as an input field has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct UpdateValue<'a> {
    pub(super) who: &'a str,
    pub(super) data: &'a str,
}

/// `after connect`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Greeting {
    data: String,
}

impl Greeting {
    pub(super) fn to(room: &Id) -> Self {
        Self { data: format!("You are in the room {room}.") }
    }
}

/// `json`: a state, with or without how the Pomodoro is set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Course<'a> {
    state: u8,
    message: &'a str,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    setup: Option<Setup>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
struct Setup {
    work_duration: u32,
    break_duration: u32,
    number_cycles: u32,
}

impl<'a> Course<'a> {
    /// What every change of state tells.
    pub(super) fn state(pomodoro: &'a Pomodoro) -> Self {
        Self { state: pomodoro.state, message: &pomodoro.message, setup: None }
    }

    /// What a client is told that comes, and everybody after a setup.
    pub(super) fn setup(pomodoro: &'a Pomodoro) -> Self {
        let setup = Setup {
            work_duration: pomodoro.work_duration,
            break_duration: pomodoro.break_duration,
            number_cycles: pomodoro.number_cycles,
        };
        Self { setup: Some(setup), ..Self::state(pomodoro) }
    }
}

/// `rejected`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Rejected<'a> {
    code: &'static str,
    message: &'a str,
    /// The event that did nothing.
    event: &'a str,
    /// The slider that it was about.
    #[serde(skip_serializing_if = "Option::is_none")]
    who: Option<&'a str>,
}

impl<'a> Rejected<'a> {
    pub(super) fn new(rejection: &'a Rejection, event: &'a str, who: Option<&'a str>) -> Self {
        Self { code: rejection.code.as_str(), message: &rejection.message, event, who }
    }
}

/// Reads `Slider value changed`.
///
/// # Errors
/// `malformed` for what is no `{who, data}` with a number as text or number; `unknown_thing` for what cannot be a slider's name.
pub(super) fn parse_slide(data: &Value) -> Result<Wish, Rejection> {
    let malformed = || {
        let message = "Expected is {\"who\":\"slider1\",\"data\":\"25\"}, with a number as data.";
        Rejection::new(Code::Malformed, message)
    };
    let who = data.get("who").and_then(Value::as_str).ok_or_else(malformed)?;
    let text = match data.get("data") {
        Some(Value::String(text)) if text.len() <= NUMBER_BYTES_MAX => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => return Err(malformed()),
    };
    let value: f64 = text.trim().parse().ok().filter(|value: &f64| value.is_finite()).ok_or_else(malformed)?;
    let slider = who.parse().map_err(|_| {
        let who: String = who.chars().take(NUMBER_BYTES_MAX).collect();
        Rejection::new(Code::UnknownThing, format!("There is no slider `{who}` in this room."))
    })?;
    Ok(Wish::Slide { slider, value, text })
}

/// The longest text that is read as a number.
const NUMBER_BYTES_MAX: usize = 32;

/// Reads `json`.
///
/// # Errors
/// `malformed` for what is no object with an `action`.
pub(super) fn parse_course(data: Value) -> Result<Wish, Rejection> {
    let malformed =
        || Rejection::new(Code::Malformed, "Expected is {\"action\":\"press\"} or {\"action\":\"setup\", …}.");
    let Value::Object(fields) = data else { return Err(malformed()) };
    match fields.get("action").and_then(Value::as_str) {
        Some("press") => Ok(Wish::Press),
        Some(_) => Ok(Wish::Act(fields)),
        None => Err(malformed()),
    }
}

/// Whether an action of the course page is its Save.
pub(super) fn is_setup(fields: &Map<String, Value>) -> bool {
    fields.get("action").and_then(Value::as_str) == Some("setup")
}

/// The name under which a wish came.
pub(super) const fn event_of(wish: &Wish) -> &'static str {
    match wish {
        Wish::Start => event::START,
        Wish::Stop => event::STOP,
        Wish::Press | Wish::Act(_) => event::JSON,
        Wish::Slide { .. } => event::SLIDER_VALUE_CHANGED,
    }
}

/// What `set` of the wished thing is sent.
pub(super) fn command(wish: &Wish, room: &Room) -> String {
    match wish {
        Wish::Start => "start".to_owned(),
        Wish::Stop => "stop".to_owned(),
        Wish::Press => press(room),
        Wish::Act(fields) => Value::Object(without_nulls(fields)).to_string(),
        Wish::Slide { value, .. } => crate::domain::wire::number(*value).to_string(),
    }
}

/// The course page shows no pause, so its press never pauses: it is a `start`, which does all that a press does but for
/// pausing, and for ending a long break that runs out by itself.
fn press(room: &Room) -> String {
    match room.pomodoro() {
        Some((_, pomodoro)) if pomodoro.state == LONG_BREAK && !pomodoro.paused => {
            // Only for as long as it is that break: whatever comes after it must not be paused.
            format!(r#"{{"action":"press","rev":{}}}"#, pomodoro.rev)
        }
        _ => "start".to_owned(),
    }
}

/// The number of the long break.
const LONG_BREAK: u8 = 5;

/// A page with an empty field sends null for it (`NaN` has no JSON): the field keeps its value.
fn without_nulls(fields: &Map<String, Value>) -> Map<String, Value> {
    fields.iter().filter(|(_, value)| !value.is_null()).map(|(name, value)| (name.clone(), value.clone())).collect()
}

#[cfg(test)]
mod tests;
