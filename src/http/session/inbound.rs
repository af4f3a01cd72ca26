//! What a browser says, from JSON to a request with checked parts.
//!
//! Whether the browser may do it does not belong here.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::domain::{
    id::Id,
    origin::Origin,
    publication::{Publish, Qos},
    rejection::{Code, Rejection},
    topic::{Filter, Topic},
};

/// The most bytes of a `ref` or an `id`, quotes included.
const REFERENCE_BYTES_MAX: usize = 128;
/// The most characters of a person's name.
const NAME_CHARS_MAX: usize = 40;

/// A request of a browser.
#[derive(Debug, PartialEq)]
pub(in crate::http) enum Request {
    Subscribe {
        filters: Vec<Filter>,
        id: Box<str>,
        boot: Option<String>,
        seq: Option<u64>,
    },
    Unsubscribe {
        filters: Vec<Filter>,
    },
    Publish {
        publish: Box<Publish>,
        reference: Option<Box<str>>,
    },
    /// Without a name it is nobody's business who looks.
    Here {
        room: Id,
        name: Option<String>,
    },
    Ping {
        id: Option<Box<str>>,
    },
}

/// A frame of a browser, as it was written.
#[derive(Debug, Deserialize)]
pub(in crate::http) struct Inbound<'a> {
    #[serde(default)]
    r#type: String,
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow, rename = "ref")]
    reference: Option<&'a RawValue>,
    filters: Option<Vec<String>>,
    boot: Option<String>,
    seq: Option<u64>,
    topic: Option<String>,
    #[serde(borrow)]
    payload: Option<&'a RawValue>,
    format: Option<String>,
    retain: Option<bool>,
    room: Option<String>,
    name: Option<String>,
}

fn malformed(message: impl Into<String>) -> Rejection {
    Rejection::new(Code::Malformed, message)
}

impl<'a> Inbound<'a> {
    /// Takes `text` as a frame.
    ///
    /// # Errors
    /// A rejection for the browser, and the frame's `ref` where it could be read.
    pub(super) fn parse(text: &'a str) -> Result<Self, (Rejection, Option<Box<str>>)> {
        #[derive(Deserialize)]
        struct Reference<'a> {
            #[serde(borrow, rename = "ref")]
            reference: Option<&'a RawValue>,
        }
        serde_json::from_str(text).map_err(|e| {
            let reference = serde_json::from_str::<Reference<'_>>(text).ok().and_then(|frame| frame.reference);
            (malformed(format!("This is no frame: {e}.")), short(reference))
        })
    }

    /// Takes `text` as a `pub` frame, whose `type` may be missing.
    ///
    /// # Errors
    /// A rejection for the sender.
    pub(in crate::http) fn parse_publish(text: &'a str) -> Result<Self, Rejection> {
        let mut frame = Self::parse(text).map_err(|(rejection, _)| rejection)?;
        if frame.r#type.is_empty() {
            frame.r#type.push_str("pub");
        }
        Ok(frame)
    }

    /// What the sender goes by, where the frame says so.
    pub(in crate::http) fn name(&self) -> Option<String> {
        self.name.as_deref().and_then(clean_name)
    }

    /// What the outcome is to be told by, as JSON.
    pub(super) fn reference(&self) -> Option<Box<str>> {
        short(self.reference)
    }

    /// Which snapshot it asks for, as JSON.
    pub(super) fn snapshot(&self) -> Option<Box<str>> {
        if self.r#type == "sub" { short(self.id) } else { None }
    }

    /// Takes the frame as a request of `origin`.
    ///
    /// # Errors
    /// Says what is missing or wrong.
    pub(in crate::http) fn read(self, origin: &Origin) -> Result<Request, Rejection> {
        if self.reference.is_some() && self.reference().is_none() {
            return Err(malformed(format!("`ref` is a text or a number of at most {REFERENCE_BYTES_MAX} bytes.")));
        }
        match self.r#type.as_str() {
            "sub" => Ok(Request::Subscribe {
                id: short(self.id).unwrap_or_else(|| "null".into()),
                filters: filters(self.filters)?,
                boot: self.boot,
                seq: self.seq,
            }),
            "unsub" => Ok(Request::Unsubscribe { filters: filters(self.filters)? }),
            "pub" => self.publish(origin),
            "here" => self.here(),
            "ping" => Ok(Request::Ping { id: short(self.id) }),
            other => {
                let other: String = other.chars().take(40).collect();
                Err(malformed(format!("There is no frame `{other}`; there are sub, unsub, pub, here and ping.")))
            }
        }
    }

    fn publish(self, origin: &Origin) -> Result<Request, Rejection> {
        let topic = self.topic.as_deref().ok_or_else(|| malformed("A pub frame has a `topic`."))?;
        let topic = Topic::parse(topic).map_err(|e| malformed(format!("`topic`: {e}.")))?;
        let payload = payload(self.payload, self.format.as_deref())?;
        let mut publish = Publish::new(topic, payload, origin.clone());
        publish.retain = self.retain.unwrap_or(false);
        // The answer stands for what is on disk.
        publish.qos = Qos::AtLeastOnce;
        Ok(Request::Publish { reference: self.reference(), publish: Box::new(publish) })
    }

    fn here(self) -> Result<Request, Rejection> {
        let room = self.room.as_deref().unwrap_or("main");
        let room = room.parse().map_err(|e| malformed(format!("`room`: {e}.")))?;
        let name = self.name.as_deref().ok_or_else(|| malformed("A here frame has a `name`."))?;
        Ok(Request::Here { room, name: clean_name(name) })
    }
}

fn clean_name(name: &str) -> Option<String> {
    let name: String = name.trim().chars().filter(|c| !c.is_control()).take(NAME_CHARS_MAX).collect();
    (!name.is_empty()).then_some(name)
}

/// A text or a number that comes back as it is; none when it is anything else.
fn short(value: Option<&RawValue>) -> Option<Box<str>> {
    let json = value?.get();
    let plain = json.starts_with(|c: char| c == '"' || c == '-' || c.is_ascii_digit());
    (plain && json.len() <= REFERENCE_BYTES_MAX).then(|| json.into())
}

fn filters(texts: Option<Vec<String>>) -> Result<Vec<Filter>, Rejection> {
    let texts =
        texts.filter(|texts| !texts.is_empty()).ok_or_else(|| malformed("`filters` has at least one filter."))?;
    let parse = |text: &String| Filter::parse(text).map_err(|e| malformed(format!("`filters`: {e}.")));
    texts.iter().map(parse).collect()
}

/// The bytes that `payload` stands for: a text without a format is plain text, any other value its JSON.
///
/// # Errors
/// Says what is wrong with it.
pub(in crate::http) fn payload(payload: Option<&RawValue>, format: Option<&str>) -> Result<Bytes, Rejection> {
    let json = payload.ok_or_else(|| malformed("`payload` is missing."))?.get();
    let text = || serde_json::from_str::<String>(json).map_err(|_| malformed("`payload` is a text in this format."));
    match format {
        None if json.starts_with('"') => Ok(text()?.into()),
        None | Some("json") => Ok(Bytes::copy_from_slice(json.as_bytes())),
        Some("text") => Ok(text()?.into()),
        Some("base64") => match BASE64.decode(text()?) {
            Ok(bytes) => Ok(bytes.into()),
            Err(e) => Err(malformed(format!("`payload` is not base64: {e}."))),
        },
        Some(_) => Err(malformed("`format` is `json`, `text` or `base64`.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Request, (Code, Option<Box<str>>)> {
        let frame = Inbound::parse(text).map_err(|(rejection, reference)| (rejection.code, reference))?;
        let reference = frame.reference();
        frame.read(&Origin::Web("anna".into())).map_err(|rejection| (rejection.code, reference))
    }

    fn published(text: &str) -> Bytes {
        match read(text) {
            Ok(Request::Publish { publish, .. }) => publish.payload,
            other => panic!("no publish: {other:?}"),
        }
    }

    #[test]
    fn a_payload_is_sent_as_its_format_says() {
        let of = |rest: &str| published(&format!(r#"{{"type":"pub","topic":"a","payload":{rest}}}"#));
        assert_eq!(of("42"), "42");
        assert_eq!(of("1.0"), "1.0", "numbers are not written anew");
        assert_eq!(of(r#""press""#), "press");
        assert_eq!(of(r#""press","format":"json""#), "\"press\"");
        assert_eq!(of(r#"{"a": [1]}"#), "{\"a\": [1]}");
        assert_eq!(of(r#""/wA=","format":"base64""#), &[0xFF, 0x00][..]);
        assert_eq!(of(r#""\u00e9","format":"text""#), "é");
    }

    #[test]
    fn a_name_of_nothing_is_none() {
        for (text, name) in [("  ", None), ("", None), (" Anna\u{7} ", Some("Anna".to_owned()))] {
            let frame = serde_json::json!({"type": "here", "name": text}).to_string();
            assert_eq!(read(&frame), Ok(Request::Here { room: "main".parse().unwrap(), name }));
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_the_ref() {
        let told = |text: &str| read(text).expect_err("a rejection");
        let reference = Some(r#""a1""#.into());
        assert_eq!(told("nonsense"), (Code::Malformed, None));
        assert_eq!(told(r#"{"type":"pub","topic":7,"ref":"a1"}"#), (Code::Malformed, reference.clone()));
        assert_eq!(
            told(r#"{"type":"pub","topic":"a/#","payload":1,"ref":"a1"}"#),
            (Code::Malformed, reference.clone())
        );
        assert_eq!(told(r#"{"type":"pub","topic":"a","ref":"a1"}"#), (Code::Malformed, reference.clone()));
        assert_eq!(told(r#"{"type":"dance","ref":"a1"}"#), (Code::Malformed, reference));
        assert_eq!(told(r#"{"type":"sub","filters":[]}"#).0, Code::Malformed);
        assert_eq!(told(r#"{"type":"sub","filters":["a#"]}"#).0, Code::Malformed);
        assert_eq!(told(r#"{"type":"here","room":"main"}"#).0, Code::Malformed);
        assert_eq!(told(r#"{"type":"ping","ref":{"a":1}}"#), (Code::Malformed, None));
    }
}
