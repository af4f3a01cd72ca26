//! What the hub and the boxes say of themselves, read back from `hub/info` and `device/<id>/info`.
//!
//! Writing it does not belong here: the domain writes the one, the box the other.

use serde::Deserialize;
use serde_json::Value;

/// The largest `device/<id>/info` that is read, in bytes.
const BOX_INFO_BYTES_MAX: usize = 8192;

/// The most characters of a box's name, model or version that are passed on.
const BOX_TEXT_CHARS_MAX: usize = 64;

/// The most types of event that one box may tell.
const BOX_EVENT_TYPES_MAX: usize = 32;

/// What a button box tells unless its `info` says otherwise.
pub const BOX_EVENT_TYPES: [&str; 3] = ["short_press", "double_press", "long_press"];

/// `hub/info`, as far as a document needs it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct HubInfo {
    /// What the hub is known by for ever.
    pub id: String,
    /// What it is called by people.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The first level of its topics.
    pub root: String,
    /// Its rooms.
    pub rooms: Vec<RoomInfo>,
}

/// A room.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct RoomInfo {
    /// Its id.
    pub id: String,
    /// What it is called by people.
    pub name: String,
    /// Its things.
    pub things: Vec<ThingInfo>,
}

/// A thing of a room.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct ThingInfo {
    /// Its id in the room.
    pub id: String,
    /// What it is called by people.
    pub name: String,
    /// What can be read and moved.
    pub controls: Vec<ControlInfo>,
    /// What `event` may tell.
    #[serde(default)]
    pub event_types: Vec<String>,
    /// The leaf with the time left as `HH:MM:SS`, where the thing has one.
    #[serde(default)]
    pub reading: Option<String>,
}

/// Something of a thing to read or to move: [`Control`](crate::domain::control::Control) read back.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct ControlInfo {
    /// What it is called among the controls of its thing.
    pub id: String,
    /// What it is called by people.
    pub name: String,
    /// The field of the state that it shows.
    pub field: Option<String>,
    /// What it is.
    #[serde(flatten)]
    pub shape: ShapeInfo,
    /// How it is moved.
    pub command: Option<SendingInfo>,
}

/// [`Shape`](crate::domain::control::Shape) read back.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[expect(missing_docs, reason = "they are those of the shape that is written")]
pub enum ShapeInfo {
    Reading { reading: ReadingInfo },
    Number { min: f64, max: f64, step: f64, unit: Option<String> },
    Select { options: Vec<String> },
    Switch,
    Press,
}

/// [`Reading`](crate::domain::control::Reading) read back.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "they are those of the reading that is written")]
pub enum ReadingInfo {
    Enum(Vec<String>),
    Text,
    Timestamp,
    Count,
    Flag,
}

/// [`Sending`](crate::domain::control::Sending) read back.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
#[expect(missing_docs, reason = "they are those of the sending that is written")]
pub enum SendingInfo {
    Field { action: String, field: String },
    Action { action: String },
    Value { value: bool },
}

impl HubInfo {
    /// Reads the payload of `hub/info`; none where it is not of this kind.
    #[must_use]
    pub fn read(payload: &[u8]) -> Option<Self> {
        serde_json::from_slice(payload).ok()
    }

    /// The part of the hub's id that other systems' ids begin with: letters and digits only, at most 12.
    #[must_use]
    pub fn short_id(&self) -> String {
        self.id.chars().filter(char::is_ascii_alphanumeric).take(12).collect::<String>().to_ascii_lowercase()
    }
}

/// `device/<id>/info`, as far as a document needs it. Nothing in it is needed, nothing in it is trusted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BoxInfo {
    /// What it is called by people.
    pub name: Option<String>,
    /// The room where it stands.
    pub room: Option<String>,
    /// What it is made of.
    pub model: Option<String>,
    /// The version of its program.
    pub version: Option<String>,
    /// What its `event` may tell; none where it says nothing of it.
    pub event_types: Option<Vec<String>>,
}

impl BoxInfo {
    /// Reads the payload of `device/<id>/info`; what is missing or odd is left out. None where it is no JSON object.
    #[must_use]
    pub fn read(payload: &[u8]) -> Option<Self> {
        if payload.len() > BOX_INFO_BYTES_MAX {
            return None;
        }
        let info: Value = serde_json::from_slice(payload).ok()?;
        let info = info.as_object()?;
        let text = |name: &str| {
            let text = info.get(name)?.as_str()?.trim();
            let text: String = text.chars().filter(|c| !c.is_control()).take(BOX_TEXT_CHARS_MAX).collect();
            (!text.is_empty()).then_some(text)
        };
        let is_word = |word: &&str| {
            (1..=BOX_TEXT_CHARS_MAX).contains(&word.len())
                && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        };
        let words = |value: &Value| -> Option<Vec<String>> {
            let words = value.as_array()?.iter().filter_map(Value::as_str).filter(is_word);
            Some(words.take(BOX_EVENT_TYPES_MAX).map(str::to_owned).collect())
        };
        Some(Self {
            name: text("name"),
            room: text("room"),
            model: text("model"),
            version: text("version"),
            event_types: info.get("event_types").and_then(words),
        })
    }
}
