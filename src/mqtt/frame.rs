//! Packets that the hub sends, as bytes.
//!
//! When to send them does not belong here. The tests read every one of them back with the protocol crate.

use bytes::{BufMut, BytesMut};

use super::{packet::Version, reason::Reason};
use crate::domain::publication::{BOOT, Properties, Qos};

/// A PUBLISH on its way out, besides its topic and payload.
#[derive(Debug, Clone, Copy)]
pub struct PublishHead {
    /// Quality of service.
    pub qos: Qos,
    /// Packet identifier; for QoS 0 not sent.
    pub id: u16,
    /// Whether it was sent before on an earlier connection.
    pub dup: bool,
    /// Retain flag.
    pub retain: bool,
    /// What is left of the message expiry, in seconds.
    pub expiry_s: Option<u32>,
    /// Topic alias.
    pub alias: Option<u16>,
    /// Subscription identifier.
    pub subscription_id: Option<u32>,
}

const PUBLISH: u8 = 0x30;
const CONNACK: u8 = 0x20;
const PUBACK: u8 = 0x40;
const PUBREC: u8 = 0x50;
const PUBREL: u8 = 0x62;
const PUBCOMP: u8 = 0x70;
const SUBACK: u8 = 0x90;
const UNSUBACK: u8 = 0xb0;
const PINGRESP: u8 = 0xd0;
const DISCONNECT: u8 = 0xe0;

/// Property identifiers (MQTT 5 §2.2.2.2).
mod property {
    pub(super) const PAYLOAD_FORMAT: u8 = 0x01;
    pub(super) const MESSAGE_EXPIRY: u8 = 0x02;
    pub(super) const CONTENT_TYPE: u8 = 0x03;
    pub(super) const RESPONSE_TOPIC: u8 = 0x08;
    pub(super) const CORRELATION_DATA: u8 = 0x09;
    pub(super) const SUBSCRIPTION_ID: u8 = 0x0b;
    pub(super) const SESSION_EXPIRY: u8 = 0x11;
    pub(super) const ASSIGNED_CLIENT_ID: u8 = 0x12;
    pub(super) const SERVER_KEEP_ALIVE: u8 = 0x13;
    pub(super) const REASON_STRING: u8 = 0x1f;
    pub(super) const RECEIVE_MAXIMUM: u8 = 0x21;
    pub(super) const TOPIC_ALIAS_MAX: u8 = 0x22;
    pub(super) const TOPIC_ALIAS: u8 = 0x23;
    pub(super) const USER: u8 = 0x26;
    pub(super) const MAXIMUM_PACKET_SIZE: u8 = 0x27;
}

/// How many bytes `value` takes as a variable byte integer (MQTT 5 §1.5.5).
#[must_use]
pub const fn varint_len(value: usize) -> usize {
    match value {
        0..=0x7f => 1,
        0x80..=0x3fff => 2,
        0x4000..=0x1f_ffff => 3,
        _ => 4,
    }
}

fn put_varint(out: &mut BytesMut, mut value: usize) {
    loop {
        let byte = u8::try_from(value & 0x7f).unwrap_or(0x7f);
        value >>= 7;
        if value == 0 {
            out.put_u8(byte);
            return;
        }
        out.put_u8(byte | 0x80);
    }
}

/// A length in two bytes. Whatever is put here was read from a packet or is made by the hub, so it fits; a longer text is cut.
fn put_string(out: &mut BytesMut, bytes: &[u8]) {
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    out.put_u16(length);
    out.put_slice(&bytes[..usize::from(length)]);
}

/// The properties of a message that are passed on, as they stand in a PUBLISH, without the length in front.
#[must_use]
pub fn message_properties(properties: &Properties) -> BytesMut {
    let mut out = BytesMut::with_capacity(properties.bytes() + 16);
    if properties.payload_is_utf8 {
        out.put_slice(&[property::PAYLOAD_FORMAT, 1]);
    }
    if let Some(content_type) = &properties.content_type {
        out.put_u8(property::CONTENT_TYPE);
        put_string(&mut out, content_type.as_bytes());
    }
    if let Some(topic) = &properties.response_topic {
        out.put_u8(property::RESPONSE_TOPIC);
        put_string(&mut out, topic.as_bytes());
    }
    if let Some(data) = &properties.correlation_data {
        out.put_u8(property::CORRELATION_DATA);
        put_string(&mut out, data);
    }
    for (name, value) in &properties.user {
        out.put_u8(property::USER);
        put_string(&mut out, name.as_bytes());
        put_string(&mut out, value.as_bytes());
    }
    out
}

/// Appends a PUBLISH, unless it would be larger than `bytes_max`; tells whether it was appended.
///
/// `properties` is what [`message_properties`] made; 3.1.1 gets none of them.
pub fn publish(
    out: &mut BytesMut,
    version: Version,
    head: PublishHead,
    topic: &[u8],
    properties: &[u8],
    payload: &[u8],
    bytes_max: usize,
) -> bool {
    let id_len = if head.qos == Qos::AtMostOnce { 0 } else { 2 };
    let mut rest = 2 + topic.len() + id_len + payload.len();
    let mut properties_len = 0;
    if version == Version::V5 {
        properties_len = properties.len()
            + head.expiry_s.map_or(0, |_| 5)
            + head.alias.map_or(0, |_| 3)
            + head.subscription_id.map_or(0, |id| 1 + varint_len(id as usize));
        rest += varint_len(properties_len) + properties_len;
    }
    if 1 + varint_len(rest) + rest > bytes_max {
        return false;
    }
    out.reserve(1 + varint_len(rest) + rest);
    out.put_u8(PUBLISH | u8::from(head.dup) << 3 | (head.qos as u8) << 1 | u8::from(head.retain));
    put_varint(out, rest);
    put_string(out, topic);
    if id_len > 0 {
        out.put_u16(head.id);
    }
    if version == Version::V5 {
        put_varint(out, properties_len);
        if let Some(expiry) = head.expiry_s {
            out.put_u8(property::MESSAGE_EXPIRY);
            out.put_u32(expiry);
        }
        if let Some(alias) = head.alias {
            out.put_u8(property::TOPIC_ALIAS);
            out.put_u16(alias);
        }
        if let Some(id) = head.subscription_id {
            out.put_u8(property::SUBSCRIPTION_ID);
            put_varint(out, id as usize);
        }
        out.put_slice(properties);
    }
    out.put_slice(payload);
    true
}

/// What a CONNACK tells a v5 client (MQTT 5 §3.2.2.3).
#[derive(Debug, Clone, Default)]
pub struct ConnackProperties {
    /// The session expiry that the hub uses instead of the one asked for.
    pub session_expiry: Option<u32>,
    /// QoS 1 and 2 publishes that the hub takes unacknowledged.
    pub receive_maximum: u16,
    /// The largest packet that the hub takes.
    pub packet_bytes_max: u32,
    /// The id that the hub gave.
    pub assigned_client_id: Option<String>,
    /// The highest topic alias that the hub takes.
    pub topic_alias_max: u16,
    /// The keep-alive that the client shall use instead of its own.
    pub server_keep_alive: Option<u16>,
    /// Which start of the hub this is, as the user property [`BOOT`]; empty tells nothing. Left out where the client takes no
    /// packet so large (§3.2.2.3.10).
    pub boot: String,
}

/// A CONNACK that accepts, to a client that takes packets up to `bytes_max`.
pub fn connack(
    out: &mut BytesMut,
    version: Version,
    session_present: bool,
    properties: &ConnackProperties,
    bytes_max: usize,
) {
    if version == Version::V311 {
        out.put_slice(&[CONNACK, 2, u8::from(session_present), 0]);
        return;
    }
    let mut props = BytesMut::new();
    if let Some(expiry) = properties.session_expiry {
        props.put_u8(property::SESSION_EXPIRY);
        props.put_u32(expiry);
    }
    props.put_u8(property::RECEIVE_MAXIMUM);
    props.put_u16(properties.receive_maximum.max(1));
    props.put_u8(property::MAXIMUM_PACKET_SIZE);
    props.put_u32(properties.packet_bytes_max.max(1));
    if let Some(id) = &properties.assigned_client_id {
        props.put_u8(property::ASSIGNED_CLIENT_ID);
        put_string(&mut props, id.as_bytes());
    }
    if properties.topic_alias_max > 0 {
        props.put_u8(property::TOPIC_ALIAS_MAX);
        props.put_u16(properties.topic_alias_max);
    }
    if let Some(keep_alive) = properties.server_keep_alive {
        props.put_u8(property::SERVER_KEEP_ALIVE);
        props.put_u16(keep_alive);
    }
    let len_with_boot = props.len() + 5 + BOOT.len() + properties.boot.len();
    let rest_with_boot = 2 + varint_len(len_with_boot) + len_with_boot;
    if !properties.boot.is_empty() && 1 + varint_len(rest_with_boot) + rest_with_boot <= bytes_max {
        props.put_u8(property::USER);
        put_string(&mut props, BOOT.as_bytes());
        put_string(&mut props, properties.boot.as_bytes());
    }
    out.put_u8(CONNACK);
    put_varint(out, 2 + varint_len(props.len()) + props.len());
    out.put_slice(&[u8::from(session_present), 0]);
    put_varint(out, props.len());
    out.put_slice(&props);
}

/// A CONNACK that refuses, with the reason in words where the version has room for it.
pub fn connack_refusal(out: &mut BytesMut, version: Version, reason: Reason, text: &str, bytes_max: usize) {
    if version == Version::V311 {
        out.put_slice(&[CONNACK, 2, 0, reason.return_code()]);
        return;
    }
    let with_text = 2 + varint_len(3 + text.len()) + 3 + text.len();
    let text = if 1 + varint_len(with_text) + with_text > bytes_max { "" } else { text };
    let props_len = if text.is_empty() { 0 } else { 3 + text.len() };
    out.put_u8(CONNACK);
    put_varint(out, 2 + varint_len(props_len) + props_len);
    out.put_slice(&[0, reason.0]);
    put_reason_string(out, text);
}

/// The property length and, where there is `text`, the reason string.
fn put_reason_string(out: &mut BytesMut, text: &str) {
    if text.is_empty() {
        out.put_u8(0);
    } else {
        put_varint(out, 3 + text.len());
        out.put_u8(property::REASON_STRING);
        put_string(out, text.as_bytes());
    }
}

/// Which acknowledgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AckKind {
    /// PUBACK.
    Puback,
    /// PUBREC.
    Pubrec,
    /// PUBREL.
    Pubrel,
    /// PUBCOMP.
    Pubcomp,
}

/// A PUBACK, PUBREC, PUBREL or PUBCOMP. `text` goes with an error, as long as the packet stays below `bytes_max`.
pub fn ack(out: &mut BytesMut, version: Version, kind: AckKind, id: u16, reason: Reason, text: &str, bytes_max: usize) {
    out.put_u8(match kind {
        AckKind::Puback => PUBACK,
        AckKind::Pubrec => PUBREC,
        AckKind::Pubrel => PUBREL,
        AckKind::Pubcomp => PUBCOMP,
    });
    if version == Version::V311 || reason == Reason::SUCCESS {
        out.put_u8(2);
        out.put_u16(id);
        return;
    }
    let with_text = 3 + varint_len(text.len() + 3) + 3 + text.len();
    if text.is_empty() || 1 + varint_len(with_text) + with_text > bytes_max {
        out.put_u8(3);
        out.put_u16(id);
        out.put_u8(reason.0);
        return;
    }
    put_varint(out, with_text);
    out.put_u16(id);
    out.put_u8(reason.0);
    put_reason_string(out, text);
}

/// A SUBACK: a granted QoS or a reason for every filter. 3.1.1 knows one refusal only, 0x80.
pub fn suback(out: &mut BytesMut, version: Version, id: u16, reasons: &[Reason]) {
    acks_of(out, version, SUBACK, id, reasons);
}

/// An UNSUBACK. In 3.1.1 it has no reasons.
pub fn unsuback(out: &mut BytesMut, version: Version, id: u16, reasons: &[Reason]) {
    acks_of(out, version, UNSUBACK, id, if version == Version::V311 { &[] } else { reasons });
}

fn acks_of(out: &mut BytesMut, version: Version, first: u8, id: u16, reasons: &[Reason]) {
    let properties_len = usize::from(version == Version::V5);
    out.put_u8(first);
    put_varint(out, 2 + properties_len + reasons.len());
    out.put_u16(id);
    if version == Version::V5 {
        out.put_u8(0);
    }
    for reason in reasons {
        out.put_u8(if version == Version::V311 && reason.is_error() { 0x80 } else { reason.0 });
    }
}

/// A PINGRESP.
pub fn pingresp(out: &mut BytesMut) {
    out.put_slice(&[PINGRESP, 0]);
}

/// A DISCONNECT; nothing for 3.1.1, where a server just closes.
pub fn disconnect(out: &mut BytesMut, version: Version, reason: Reason, text: &str, bytes_max: usize) {
    if version == Version::V311 {
        return;
    }
    out.put_u8(DISCONNECT);
    let with_text = 1 + varint_len(text.len() + 3) + 3 + text.len();
    if text.is_empty() || 2 + with_text > bytes_max {
        out.put_slice(&[1, reason.0]);
        return;
    }
    put_varint(out, with_text);
    out.put_u8(reason.0);
    put_reason_string(out, text);
}
