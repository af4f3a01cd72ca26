//! What the hub says to a browser, as JSON, and how each way of delivery frames it.
//!
//! To whom it goes does not belong here.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use bytes::{BufMut as _, Bytes, BytesMut};
use serde_json::value::RawValue;

use crate::http::ws::frame::{Opcode, SERVER_HEADER_BYTES_MAX, put_server_header, server_frame};

/// How frames travel to a browser.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::http) enum Wire {
    /// WebSocket text frames.
    WebSocket,
    /// Server-Sent Events (HTML, §9.2).
    EventStream,
}

impl Wire {
    /// The frame that carries `json`, with the place in the one order at which a browser may resume after it.
    pub(super) fn frame(self, json: &[u8], boot: &str, cursor: Option<u64>) -> Bytes {
        match self {
            Self::WebSocket => server_frame(Opcode::Text, json),
            Self::EventStream => {
                let mut out = BytesMut::with_capacity(json.len() + 48 + boot.len());
                self.open(&mut out, json.len(), boot, cursor);
                out.put_slice(json);
                out.put_slice(self.close());
                out.freeze()
            }
        }
    }

    /// What goes in front of `length` bytes of JSON.
    pub(super) fn open(self, out: &mut BytesMut, length: usize, boot: &str, cursor: Option<u64>) {
        match self {
            Self::WebSocket => {
                out.reserve(SERVER_HEADER_BYTES_MAX);
                put_server_header(out, Opcode::Text, length);
            }
            Self::EventStream => {
                if let Some(seq) = cursor {
                    out.put_slice(format!("id: {boot}:{seq}\n").as_bytes());
                }
                out.put_slice(b"data: ");
            }
        }
    }

    /// What goes behind it.
    pub(super) const fn close(self) -> &'static [u8] {
        match self {
            Self::WebSocket => b"",
            Self::EventStream => b"\n\n",
        }
    }
}

/// `{"type":"msg",…}` for a publication, or for a topic's newest value.
pub(super) fn msg(topic: &str, payload: &[u8], is_level: bool, seq: u64) -> Vec<u8> {
    let mut out = Vec::with_capacity(96 + topic.len() + payload.len());
    out.extend_from_slice(br#"{"type":"msg","#);
    put_topic(&mut out, topic);
    if is_level && payload.is_empty() {
        out.extend_from_slice(br#","deleted":true,"retain":true"#);
    } else {
        put_payload(&mut out, payload);
        out.extend_from_slice(if is_level { br#","retain":true"# } else { br#","retain":false"# });
    }
    put_seq(&mut out, seq);
    out
}

/// One entry of a snapshot's `topics`; an empty payload stands for a topic that has none any more.
pub(in crate::http) fn put_entry(out: &mut Vec<u8>, topic: &str, payload: &[u8], seq: u64) {
    out.push(b'{');
    put_topic(out, topic);
    if payload.is_empty() {
        out.extend_from_slice(br#","deleted":true"#);
    } else {
        put_payload(out, payload);
    }
    put_seq(out, seq);
}

/// The beginning of a `snap` page; its entries and `]}` follow.
pub(super) fn snap_head(id: &str, seq: u64, page: u32, last: bool, resumed: bool) -> String {
    format!(r#"{{"type":"snap","id":{id},"seq":{seq},"page":{page},"last":{last},"resumed":{resumed},"topics":["#)
}

/// `{"type":"resync"}`: events were lost.
pub(super) const RESYNC: &[u8] = br#"{"type":"resync"}"#;

fn put_topic(out: &mut Vec<u8>, topic: &str) {
    out.extend_from_slice(br#""topic":"#);
    put_text(out, topic);
}

fn put_seq(out: &mut Vec<u8>, seq: u64) {
    out.extend_from_slice(br#","seq":"#);
    out.extend_from_slice(seq.to_string().as_bytes());
    out.push(b'}');
}

/// The payload and its format: JSON as JSON, other UTF-8 as a string, the rest as base64.
fn put_payload(out: &mut Vec<u8>, payload: &[u8]) {
    out.extend_from_slice(br#","payload":"#);
    let format: &[u8] = match (serde_json::from_slice::<&RawValue>(payload), std::str::from_utf8(payload)) {
        (Ok(json), _) => {
            let start = out.len();
            out.extend_from_slice(json.get().as_bytes());
            // Inside strings JSON has no line ends; between values a space does the same, and fits an event stream too.
            for byte in &mut out[start..] {
                if matches!(byte, b'\n' | b'\r') {
                    *byte = b' ';
                }
            }
            br#","format":"json""#
        }
        (Err(_), Ok(text)) => {
            put_text(out, text);
            br#","format":"text""#
        }
        (Err(_), Err(_)) => {
            out.push(b'"');
            out.extend_from_slice(BASE64.encode(payload).as_bytes());
            out.push(b'"');
            br#","format":"base64""#
        }
    };
    out.extend_from_slice(format);
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    // Writing text into memory cannot fail.
    let _ = serde_json::to_writer(out, text);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn read(bytes: &[u8]) -> Value {
        serde_json::from_slice(bytes).expect("JSON")
    }

    #[test]
    fn a_payload_says_what_it_is() {
        let of = |payload: &[u8]| read(&msg("a/b", payload, false, 7));
        let expected = |payload: Value, format: &str| json!({"type": "msg", "topic": "a/b", "payload": payload, "format": format, "retain": false, "seq": 7});
        assert_eq!(of(b"42"), expected(json!(42), "json"));
        assert_eq!(of(b" {\"a\":\n1} "), expected(json!({"a": 1}), "json"));
        assert_eq!(of(b"press"), expected(json!("press"), "text"));
        assert_eq!(of(b"NaN"), expected(json!("NaN"), "text"));
        assert_eq!(of(b""), expected(json!(""), "text"));
        assert_eq!(of("\u{0}\u{2028}\"".as_bytes()), expected(json!("\u{0}\u{2028}\""), "text"));
        assert_eq!(of(&[0xFF, 0x00]), expected(json!("/wA="), "base64"));
        let deep = "[".repeat(10_000);
        assert_eq!(of(deep.as_bytes()), expected(json!(deep), "text"));
    }

    #[test]
    fn a_cleared_level_is_a_deletion() {
        let expected = json!({"type": "msg", "topic": "a", "deleted": true, "retain": true, "seq": 1});
        assert_eq!(read(&msg("a", b"", true, 1)), expected);
    }

    proptest! {
        #[test]
        fn any_payload_becomes_one_line_of_json_that_carries_it(topic in "[^\u{0}+#]{1,20}", payload: Vec<u8>) {
            let bytes = msg(&topic, &payload, false, 1);
            prop_assert!(!bytes.iter().any(|byte| matches!(byte, b'\n' | b'\r')));
            let frame = read(&bytes);
            prop_assert_eq!(&frame["topic"], &json!(topic));
            let carried = match frame["format"].as_str() {
                Some("json") => serde_json::from_slice::<Value>(&payload).ok() == Some(frame["payload"].clone()),
                Some("text") => frame["payload"].as_str().map(str::as_bytes) == Some(&payload[..]),
                Some("base64") => BASE64.decode(frame["payload"].as_str().unwrap_or("")).ok() == Some(payload),
                _ => false,
            };
            prop_assert!(carried);
        }
    }
}
