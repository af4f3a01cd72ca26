//! Commands and states on the wire: what a `set` payload may look like, and how a state is written.
//!
//! What a verb does does not belong here; each kind knows its own.

use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::{Map, Value};

use super::rejection::{Code, Rejection};

/// The largest command payload, in bytes.
pub const COMMAND_BYTES_MAX: usize = 4096;

/// The most characters of a `ref`.
pub const REF_LENGTH_MAX: usize = 128;

/// The most bytes of a command that a rejection repeats.
const ECHO_BYTES_MAX: usize = 256;

/// What arrives on `set`: a plain word, a plain number, or a JSON object.
#[derive(Debug, Clone, PartialEq)]
pub struct Command {
    /// What to do.
    pub body: Body,
    /// The sender's own name for this command, so that a repeat does nothing twice.
    pub reference: Option<String>,
    /// The only revision of the thing at which the command makes sense.
    pub revision: Option<u64>,
}

/// The part of a command that a kind reads.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// A verb without details, in lower case: `press`.
    Word(String),
    /// A number: `42`.
    Number(f64),
    /// A JSON object without its `ref` and `rev`; its `action`, where it has one, apart.
    Object {
        /// The verb.
        action: Option<String>,
        /// Everything else.
        fields: Map<String, Value>,
    },
}

impl Command {
    /// Reads a command's payload.
    ///
    /// # Errors
    /// `too_large` above [`COMMAND_BYTES_MAX`]; `malformed` for what is neither a word, nor a number, nor a JSON object, and
    /// for a `ref` or `rev` of another type than text and whole number.
    pub fn parse(payload: &[u8]) -> Result<Self, Rejection> {
        if payload.len() > COMMAND_BYTES_MAX {
            return Err(Rejection::new(Code::TooLarge, format!("A command has at most {COMMAND_BYTES_MAX} bytes.")));
        }
        let text = std::str::from_utf8(payload).map_err(|_| malformed("A command is UTF-8 text."))?.trim();
        match text.as_bytes().first() {
            None => Err(malformed("The command is empty.")),
            Some(b'{') => Self::parse_object(text),
            Some(b'0'..=b'9' | b'-' | b'+' | b'.') => {
                let number: f64 = text.parse().map_err(|_| malformed("That is no number."))?;
                if number.is_finite() {
                    Ok(Self::plain(Body::Number(number)))
                } else {
                    Err(Rejection::new(Code::OutOfRange, "The number is too large."))
                }
            }
            Some(_) => Self::parse_word(text),
        }
    }

    fn parse_word(text: &str) -> Result<Self, Rejection> {
        let word = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
        if (1..=32).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            Ok(Self::plain(Body::Word(word.to_ascii_lowercase())))
        } else {
            Err(malformed("A command is a word, a number or a JSON object."))
        }
    }

    fn parse_object(text: &str) -> Result<Self, Rejection> {
        let mut fields: Map<String, Value> =
            serde_json::from_str(text).map_err(|e| malformed(format!("The JSON is broken: {e}.")))?;
        let reference = match fields.remove("ref") {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) if text.chars().count() <= REF_LENGTH_MAX => Some(text),
            Some(Value::Number(number)) => Some(number.to_string()),
            Some(_) => return Err(malformed(format!("`ref` is a text of at most {REF_LENGTH_MAX} characters."))),
        };
        let revision = match fields.remove("rev") {
            None | Some(Value::Null) => None,
            Some(value) => Some(value.as_u64().ok_or_else(|| malformed("`rev` is a whole number."))?),
        };
        let action = match fields.remove("action") {
            None | Some(Value::Null) => None,
            Some(Value::String(action)) => Some(action),
            Some(_) => return Err(malformed("`action` is a text.")),
        };
        Ok(Self { body: Body::Object { action, fields }, reference, revision })
    }

    /// A command without `ref` and `rev`.
    #[must_use]
    pub const fn plain(body: Body) -> Self {
        Self { body, reference: None, revision: None }
    }
}

/// The `ref` of a command that could not be read as one, where it can be found, so that the rejection can carry it.
#[must_use]
pub fn find_reference(payload: &[u8]) -> Option<String> {
    if payload.len() > COMMAND_BYTES_MAX {
        return None;
    }
    let value: Value = serde_json::from_slice(payload).ok()?;
    match value.get("ref")? {
        Value::String(text) => Some(text.clone()).filter(|text| text.chars().count() <= REF_LENGTH_MAX),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A command as a rejection repeats it: its JSON, or its text; shortened where it is long.
#[must_use]
pub fn echo(payload: &[u8]) -> Value {
    if payload.len() <= ECHO_BYTES_MAX {
        serde_json::from_slice(payload).unwrap_or_else(|_| String::from_utf8_lossy(payload).into_owned().into())
    } else {
        let mut text = String::from_utf8_lossy(&payload[..ECHO_BYTES_MAX]).into_owned();
        text.push('…');
        text.into()
    }
}

fn malformed(message: impl Into<String>) -> Rejection {
    Rejection::new(Code::Malformed, message)
}

/// Named values in the order in which they are written; what a state or an event consists of.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Fields(Vec<(&'static str, Value)>);

impl Fields {
    /// No fields.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// These and one more.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.0.push((name, value.into()));
        self
    }

    /// These, then `more`.
    #[must_use]
    pub fn and(mut self, more: Self) -> Self {
        self.0.extend(more.0);
        self
    }

    /// The value of `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(field, _)| *field == name).map(|(_, value)| value)
    }

    /// The names, in order.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().map(|(name, _)| *name)
    }

    /// The fields as a JSON object, as they are restored from.
    #[must_use]
    pub fn to_map(&self) -> Map<String, Value> {
        self.0.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
    }

    /// The fields as JSON text.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Values in memory always have a JSON form.
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl Serialize for Fields {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// A number as people write it: without a fraction where there is none.
#[must_use]
pub fn number(value: f64) -> Value {
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    if value.fract() == 0.0 && value.abs() <= EXACT_MAX {
        #[expect(clippy::cast_possible_truncation, reason = "a whole number of at most 2^53 fits")]
        let whole = value as i64;
        whole.into()
    } else {
        value.into()
    }
}

#[cfg(test)]
mod tests;
