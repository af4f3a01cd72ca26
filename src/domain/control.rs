//! Controls: what of a thing a person can read or move, without a word about how it is shown.
//!
//! The dashboard's generic card, home automation's discovery, the API's description and the law tests are derived from
//! them. Markup, topics of other systems and translations do not belong here.

use serde::Serialize;
use serde_json::Value;

/// One thing to read or to move.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Control {
    /// What it is called among the controls of its thing; never changes.
    pub id: &'static str,
    /// What it is called by people, in English.
    pub name: &'static str,
    /// The field of the state that it shows; none for a press.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<&'static str>,
    /// What it is.
    #[serde(flatten)]
    pub shape: Shape,
    /// How it is moved; none for a reading.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<Sending>,
}

/// What a control is.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Shape {
    /// Something to read.
    Reading {
        /// What its value means.
        reading: Reading,
    },
    /// A number between limits.
    Number {
        /// The least.
        min: f64,
        /// The greatest.
        max: f64,
        /// The distance between two values.
        step: f64,
        /// What it is counted in.
        #[serde(skip_serializing_if = "Option::is_none")]
        unit: Option<String>,
    },
    /// One of a few words.
    Select {
        /// The words.
        options: Vec<&'static str>,
    },
    /// On or off.
    Switch,
    /// A verb.
    Press,
}

/// What a reading's value means.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reading {
    /// One of these words.
    Enum(Vec<&'static str>),
    /// Any text.
    Text,
    /// A moment: Unix milliseconds, or null.
    Timestamp,
    /// A count.
    Count,
    /// True or false.
    Flag,
}

/// What to publish to the thing's `set` to move a control.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Sending {
    /// `{"action":ACTION}`, or the plain word ACTION.
    Action {
        /// The verb.
        action: &'static str,
    },
    /// `{"action":ACTION,FIELD:value}`.
    Field {
        /// The verb.
        action: &'static str,
        /// The field that takes the value.
        field: &'static str,
    },
    /// `{"value":value}`, or the plain value.
    Value {
        /// Always true.
        value: bool,
    },
}

impl Sending {
    /// The payload that moves the control to `value` (which a press does not look at).
    #[must_use]
    pub fn payload(&self, value: &Value) -> String {
        match self {
            Self::Action { action } => (*action).to_owned(),
            Self::Field { action, field } => serde_json::json!({"action": action, *field: value}).to_string(),
            Self::Value { .. } => value.to_string(),
        }
    }
}
