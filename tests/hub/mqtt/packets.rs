//! MQTT packets as bytes: those that a client sends, and those that it reads.

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// What a CONNECT says.
#[derive(Debug, Clone)]
pub(super) struct Connect {
    pub(super) v5: bool,
    pub(super) id: String,
    pub(super) clean: bool,
    pub(super) keep_alive: u16,
    pub(super) expiry: Option<u32>,
    pub(super) receive_maximum: Option<u16>,
    pub(super) packet_max: Option<u32>,
    pub(super) alias_max: Option<u16>,
    pub(super) will: Option<Will>,
    pub(super) user: Option<(String, String)>,
    /// Whether reasons may come in words; said only where set.
    pub(super) problem_information: Option<bool>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Will {
    pub(super) topic: String,
    pub(super) payload: String,
    pub(super) qos: u8,
    pub(super) retain: bool,
    pub(super) delay: Option<u32>,
}

impl Connect {
    pub(super) fn v5(id: &str) -> Self {
        Self {
            v5: true,
            id: id.to_owned(),
            clean: true,
            keep_alive: 0,
            expiry: None,
            receive_maximum: None,
            packet_max: None,
            alias_max: None,
            will: None,
            user: None,
            problem_information: None,
        }
    }

    pub(super) fn v311(id: &str) -> Self {
        Self { v5: false, ..Self::v5(id) }
    }

    /// A session that lasts `expiry` seconds.
    pub(super) fn lasting(id: &str, expiry: u32) -> Self {
        Self { clean: false, expiry: Some(expiry), ..Self::v5(id) }
    }

    pub(super) fn bytes(&self) -> BytesMut {
        let mut body = BytesMut::new();
        put_string(&mut body, b"MQTT");
        body.put_u8(if self.v5 { 5 } else { 4 });
        let mut flags = u8::from(self.clean) << 1;
        if let Some(will) = &self.will {
            flags |= 0x04 | will.qos << 3 | u8::from(will.retain) << 5;
        }
        if self.user.is_some() {
            flags |= 0xc0;
        }
        body.put_u8(flags);
        body.put_u16(self.keep_alive);
        if self.v5 {
            let mut props = BytesMut::new();
            if let Some(expiry) = self.expiry {
                props.put_u8(0x11);
                props.put_u32(expiry);
            }
            if let Some(maximum) = self.receive_maximum {
                props.put_u8(0x21);
                props.put_u16(maximum);
            }
            if let Some(maximum) = self.packet_max {
                props.put_u8(0x27);
                props.put_u32(maximum);
            }
            if let Some(wanted) = self.problem_information {
                props.put_slice(&[0x17, u8::from(wanted)]);
            }
            if let Some(maximum) = self.alias_max {
                props.put_u8(0x22);
                props.put_u16(maximum);
            }
            put_varint(&mut body, props.len());
            body.put_slice(&props);
        }
        put_string(&mut body, self.id.as_bytes());
        if let Some(will) = &self.will {
            if self.v5 {
                let mut props = BytesMut::new();
                if let Some(delay) = will.delay {
                    props.put_u8(0x18);
                    props.put_u32(delay);
                }
                put_varint(&mut body, props.len());
                body.put_slice(&props);
            }
            put_string(&mut body, will.topic.as_bytes());
            put_string(&mut body, will.payload.as_bytes());
        }
        if let Some((user, password)) = &self.user {
            put_string(&mut body, user.as_bytes());
            put_string(&mut body, password.as_bytes());
        }
        framed(0x10, &body)
    }
}

/// A PUBLISH to send.
#[derive(Debug, Clone, Default)]
pub(super) struct Publish<'a> {
    pub(super) topic: &'a str,
    pub(super) payload: &'a [u8],
    pub(super) qos: u8,
    pub(super) retain: bool,
    pub(super) dup: bool,
    pub(super) id: u16,
    /// Properties as they stand in the packet, v5 only.
    pub(super) props: &'a [u8],
}

/// A packet from the hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Packet {
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) body: Bytes,
}

/// A CONNACK.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Connack {
    pub(super) present: bool,
    pub(super) reason: u8,
    pub(super) props: Vec<(u8, Vec<u8>)>,
}

/// A PUBLISH from the hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) topic: String,
    pub(super) payload: Vec<u8>,
    pub(super) qos: u8,
    pub(super) retain: bool,
    pub(super) dup: bool,
    pub(super) id: u16,
    pub(super) props: Vec<(u8, Vec<u8>)>,
}

impl Message {
    pub(super) fn text(&self) -> &str {
        std::str::from_utf8(&self.payload).unwrap()
    }

    pub(super) fn prop(&self, id: u8) -> Option<&[u8]> {
        self.props.iter().find(|(known, _)| *known == id).map(|(_, value)| &value[..])
    }
}

impl Connack {
    pub(super) fn prop(&self, id: u8) -> Option<&[u8]> {
        self.props.iter().find(|(known, _)| *known == id).map(|(_, value)| &value[..])
    }
}

pub(super) const CONNACK: u8 = 2;
pub(super) const PUBLISH: u8 = 3;
pub(super) const PUBACK: u8 = 4;
pub(super) const PUBREC: u8 = 5;
pub(super) const PUBREL: u8 = 6;
pub(super) const PUBCOMP: u8 = 7;
pub(super) const SUBACK: u8 = 9;
pub(super) const UNSUBACK: u8 = 11;
pub(super) const PINGRESP: u8 = 13;
pub(super) const DISCONNECT: u8 = 14;

/// Takes a whole packet from the front of what was received, where there is one.
pub(super) fn take(buffer: &mut BytesMut) -> Option<Packet> {
    let first = *buffer.first()?;
    let (mut length, mut header) = (0_usize, 1);
    loop {
        let byte = *buffer.get(header)?;
        length |= usize::from(byte & 0x7f) << (7 * (header - 1));
        header += 1;
        if byte & 0x80 == 0 {
            break;
        }
    }
    if buffer.len() < header + length {
        return None;
    }
    buffer.advance(header);
    Some(Packet { kind: first >> 4, flags: first & 0x0f, body: buffer.split_to(length).freeze() })
}

/// Reads a CONNACK.
pub(super) fn connack(packet: &Packet, v5: bool) -> Connack {
    let props = if v5 && packet.body.len() > 2 { read_props(&mut packet.body.slice(2..)) } else { Vec::new() };
    Connack { present: packet.body[0] & 1 == 1, reason: packet.body[1], props }
}

/// Reads a PUBLISH.
pub(super) fn message(packet: &Packet, v5: bool) -> Message {
    let mut body = packet.body.clone();
    let length = usize::from(body.get_u16());
    let topic = String::from_utf8(body.split_to(length).to_vec()).unwrap();
    let qos = packet.flags >> 1 & 3;
    let id = if qos > 0 { body.get_u16() } else { 0 };
    let props = if v5 { read_props(&mut body) } else { Vec::new() };
    Message { topic, payload: body.to_vec(), qos, retain: packet.flags & 1 == 1, dup: packet.flags & 8 == 8, id, props }
}

/// The reason of an acknowledgement.
pub(super) fn reason(packet: &Packet) -> u8 {
    packet.body.get(2).copied().unwrap_or(0)
}

fn read_varint(body: &mut Bytes) -> usize {
    let (mut value, mut shift) = (0, 0);
    loop {
        let byte = body.get_u8();
        value |= usize::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            return value;
        }
    }
}

fn read_props(body: &mut Bytes) -> Vec<(u8, Vec<u8>)> {
    let length = read_varint(body);
    let mut props = body.split_to(length);
    let mut read = Vec::new();
    while props.has_remaining() {
        let id = props.get_u8();
        let take = match id {
            0x01 | 0x17 | 0x19 | 0x24 | 0x25 | 0x28 | 0x29 | 0x2a => 1,
            0x13 | 0x21 | 0x22 | 0x23 => 2,
            0x02 | 0x11 | 0x18 | 0x27 => 4,
            0x0b => {
                let value = read_varint(&mut props);
                read.push((id, value.to_string().into_bytes()));
                continue;
            }
            0x26 => {
                let first = usize::from(props.get_u16());
                let mut pair = props.split_to(first).to_vec();
                pair.push(b'=');
                let second = usize::from(props.get_u16());
                pair.extend_from_slice(&props.split_to(second));
                read.push((id, pair));
                continue;
            }
            _ => usize::from(props.get_u16()),
        };
        read.push((id, props.split_to(take).to_vec()));
    }
    read
}

pub(super) fn put_string(out: &mut BytesMut, bytes: &[u8]) {
    out.put_u16(u16::try_from(bytes.len()).unwrap());
    out.put_slice(bytes);
}

pub(super) fn put_varint(out: &mut BytesMut, mut value: usize) {
    loop {
        let byte = (value & 0x7f) as u8;
        value >>= 7;
        out.put_u8(if value > 0 { byte | 0x80 } else { byte });
        if value == 0 {
            return;
        }
    }
}

pub(super) fn framed(first: u8, body: &[u8]) -> BytesMut {
    let mut out = BytesMut::new();
    out.put_u8(first);
    put_varint(&mut out, body.len());
    out.put_slice(body);
    out
}

/// A property that is a text.
pub(super) fn text_prop(id: u8, text: &str) -> Vec<u8> {
    let mut out = BytesMut::new();
    out.put_u8(id);
    put_string(&mut out, text.as_bytes());
    out.to_vec()
}
