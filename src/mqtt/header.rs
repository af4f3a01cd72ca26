//! What rides in front of a payload through the router: everything that it must not know.
//!
//! The router knows a topic and bytes. The place in the one order, QoS, retain flag, publisher, expiry and properties are written in
//! front of the payload by the [writer](super::writer) and read by every session that gets the message. One buffer, shared by all.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::frame;
use crate::domain::{
    publication::{Publication, Qos},
    time::Wall,
};

/// Bytes of a header without properties.
pub(super) const HEADER_BYTES: usize = 8 + 1 + 8 + 8 + 8 + 4;

/// A message as it comes out of the router.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    /// Its place in the one order; 0 for what the door itself says below `$SYS`.
    pub(super) seq: u64,
    /// The bytes that the writer had handed in, this message included: how far behind a reader is.
    pub(super) written_bytes: u64,
    /// The quality of service it was published with.
    pub(super) qos: Qos,
    /// Whether it set or cleared the topic's retained value.
    pub(super) level: bool,
    /// The session that published it.
    pub(super) session: Option<u64>,
    /// When it stops being worth delivering.
    pub(super) expires_at: Option<Wall>,
    /// The properties to pass on, as they stand in a PUBLISH.
    pub(super) properties: Bytes,
    /// What was published.
    pub(super) payload: Bytes,
}

const LEVEL: u8 = 0x04;
const EXPIRES: u8 = 0x08;

/// The header and the payload of `publication` in one buffer.
pub(super) fn encode(publication: &Publication, written_bytes: u64) -> Bytes {
    let properties = publication.properties.as_ref().map(|properties| frame::message_properties(properties));
    let properties: &[u8] = properties.as_deref().unwrap_or_default();
    let mut out = BytesMut::with_capacity(HEADER_BYTES + properties.len() + publication.payload.len());
    out.put_u64(publication.seq);
    let expires = if publication.expires_at.is_some() { EXPIRES } else { 0 };
    let level = if publication.is_level() { LEVEL } else { 0 };
    out.put_u8(publication.qos as u8 | level | expires);
    out.put_u64(written_bytes);
    out.put_u64(publication.session.unwrap_or(0));
    out.put_i64(publication.expires_at.map_or(0, Wall::unix_ms));
    out.put_u32(u32::try_from(properties.len()).unwrap_or(0));
    out.put_slice(properties);
    out.put_slice(&publication.payload);
    out.freeze()
}

/// Reads what [`encode`] made; none for anything else.
pub(super) fn decode(mut bytes: Bytes) -> Option<Message> {
    if bytes.len() < HEADER_BYTES {
        return None;
    }
    let seq = bytes.get_u64();
    let flags = bytes.get_u8();
    let written_bytes = bytes.get_u64();
    let session = bytes.get_u64();
    let expires_at = bytes.get_i64();
    let properties_len = usize::try_from(bytes.get_u32()).ok()?;
    if bytes.len() < properties_len {
        return None;
    }
    let properties = if properties_len == 0 { Bytes::new() } else { bytes.split_to(properties_len) };
    Some(Message {
        seq,
        written_bytes,
        qos: match flags & 0x03 {
            0 => Qos::AtMostOnce,
            1 => Qos::AtLeastOnce,
            _ => Qos::ExactlyOnce,
        },
        level: flags & LEVEL != 0,
        session: (session != 0).then_some(session),
        expires_at: (flags & EXPIRES != 0).then(|| Wall::from_unix_ms(expires_at)),
        properties,
        payload: bytes,
    })
}
