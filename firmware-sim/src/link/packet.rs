//! MQTT packets: the few that a box sends, and those that a broker sends to it, in versions 5 and 3.1.1.
//!
//! A box publishes and subscribes at QoS 1, without topic aliases and without a session that lasts, so that this is all
//! there is. Sockets and when to send what are not here.

use super::Login;

/// The version of MQTT that a connection speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    /// MQTT 3.1.1.
    V3,
    /// MQTT 5.
    V5,
}

impl Version {
    /// The protocol level on the wire (§3.1.2.2).
    pub(super) const fn level(self) -> u8 {
        match self {
            Self::V3 => 4,
            Self::V5 => 5,
        }
    }
}

/// The longest text or binary field (§1.5.4).
const FIELD_BYTES_MAX: usize = u16::MAX as usize;

/// What a broker says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Packet {
    /// The answer to the first packet; `code` is zero for yes.
    ConnAck { code: u8, properties: Properties },
    /// A message; with a packet id it wants to be acknowledged.
    Publish { topic: String, payload: Vec<u8>, packet_id: Option<u16> },
    /// Ours was taken, or, from 0x80 on, was not.
    PubAck { packet_id: u16, code: u8, properties: Properties },
    /// The subscriptions are there.
    SubAck,
    /// It is alive.
    PingResp,
    /// It ends the connection (version 5 only).
    Disconnect { code: u8, properties: Properties },
}

/// The properties that a box looks at; the others are passed over.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Properties {
    /// Why, for people.
    pub(super) reason: Option<String>,
    /// The keep-alive in seconds that the broker wants instead.
    pub(super) keep_alive_s: Option<u16>,
    /// How many publishes may wait for their acknowledgement.
    pub(super) receive_maximum: Option<u16>,
}

/// The other side does not speak MQTT, or not as the standard has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Malformed(&'static str);

/// What a TLS port answers to anything else (RFC 8446 §5.1); no MQTT packet begins so.
const TLS_ALERT: u8 = 21;
const NOT_A_BROKERS: Malformed = Malformed("a packet came that brokers do not send");

/// Takes the first packet out of `buffer`; none when it is not whole yet.
///
/// # Errors
/// What is there is no packet that a broker sends to a box, or is longer than `bytes_max`.
pub(super) fn take(buffer: &mut Vec<u8>, version: Version, bytes_max: usize) -> Result<Option<Packet>, Malformed> {
    let Some((&first, after)) = buffer.split_first() else { return Ok(None) };
    // Before its length: something else, such as a web server, is found out at its first byte.
    if first == TLS_ALERT {
        return Err(Malformed("it speaks TLS, so write mqtts://"));
    }
    if !matches!(first, 0x20 | 0x30..=0x3f | 0x40 | 0x90 | 0xd0 | 0xe0) {
        return Err(NOT_A_BROKERS);
    }
    let Some((length, length_bytes)) = remaining_length(after)? else { return Ok(None) };
    let whole = 1 + length_bytes + length;
    if whole > bytes_max {
        return Err(Malformed("a packet was too long"));
    }
    let Some(body) = buffer.get(1 + length_bytes..whole) else { return Ok(None) };
    let packet = parse(first, body, version)?;
    buffer.drain(..whole);
    Ok(Some(packet))
}

/// The remaining length and the bytes that it took (§2.1.4); none when it is not whole yet.
fn remaining_length(bytes: &[u8]) -> Result<Option<(usize, usize)>, Malformed> {
    let mut length = 0;
    for (index, &byte) in bytes.iter().take(4).enumerate() {
        length |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Ok(Some((length, index + 1)));
        }
    }
    if bytes.len() < 4 { Ok(None) } else { Err(Malformed("a packet's length was wrong")) }
}

fn parse(first: u8, body: &[u8], version: Version) -> Result<Packet, Malformed> {
    let mut fields = Fields(body);
    match first {
        0x20 => {
            fields.byte()?;
            let code = fields.byte()?;
            Ok(Packet::ConnAck { code, properties: fields.properties_to_the_end()? })
        }
        0x30..=0x3f => {
            let topic = fields.text()?;
            let packet_id = match (first >> 1) & 3 {
                0 => None,
                1 => Some(fields.packet_id()?),
                _ => return Err(Malformed("a message came at QoS 2, which was not asked for")),
            };
            if version == Version::V5 {
                fields.properties()?;
            }
            Ok(Packet::Publish { topic, payload: fields.0.to_vec(), packet_id })
        }
        0x40 => {
            let packet_id = fields.packet_id()?;
            let code = fields.byte().unwrap_or(0);
            Ok(Packet::PubAck { packet_id, code, properties: fields.properties_to_the_end()? })
        }
        0x90 => Ok(Packet::SubAck),
        0xd0 => Ok(Packet::PingResp),
        0xe0 if version == Version::V5 => {
            let code = fields.byte().unwrap_or(0);
            Ok(Packet::Disconnect { code, properties: fields.properties_to_the_end()? })
        }
        _ => Err(NOT_A_BROKERS),
    }
}

/// The fields of a packet that are still to be read.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn bytes(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (bytes, rest) = self.0.split_at_checked(count).ok_or(Malformed("a packet ended too early"))?;
        self.0 = rest;
        Ok(bytes)
    }

    fn byte(&mut self) -> Result<u8, Malformed> {
        Ok(self.bytes(1)?[0])
    }

    fn number(&mut self) -> Result<u16, Malformed> {
        let bytes = self.bytes(2)?;
        Ok(u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    fn packet_id(&mut self) -> Result<u16, Malformed> {
        let id = self.number()?;
        if id == 0 { Err(Malformed("a packet id was zero")) } else { Ok(id) }
    }

    fn binary(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.number()?;
        self.bytes(usize::from(length))
    }

    fn text(&mut self) -> Result<String, Malformed> {
        let text = std::str::from_utf8(self.binary()?).map_err(|_| Malformed("a text was not UTF-8"))?;
        Ok(text.to_owned())
    }

    /// Properties where a shorter packet may leave them out; 3.1.1 always does.
    fn properties_to_the_end(&mut self) -> Result<Properties, Malformed> {
        if self.0.is_empty() { Ok(Properties::default()) } else { self.properties() }
    }

    /// MQTT 5 §2.2.2.
    fn properties(&mut self) -> Result<Properties, Malformed> {
        let (length, length_bytes) = remaining_length(self.0)?.ok_or(Malformed("a packet ended too early"))?;
        self.bytes(length_bytes)?;
        let mut fields = Fields(self.bytes(length)?);
        let mut properties = Properties::default();
        while !fields.0.is_empty() {
            match fields.byte()? {
                0x1f => properties.reason = Some(fields.text()?),
                0x13 => properties.keep_alive_s = Some(fields.number()?),
                0x21 => properties.receive_maximum = Some(fields.number()?),
                0x01 | 0x17 | 0x19 | 0x24 | 0x25 | 0x28..=0x2a => drop(fields.byte()?),
                0x22 | 0x23 => drop(fields.number()?),
                0x02 | 0x11 | 0x18 | 0x27 => drop(fields.bytes(4)?),
                0x03 | 0x08 | 0x09 | 0x12 | 0x15 | 0x16 | 0x1a | 0x1c => drop(fields.binary()?),
                0x26 => {
                    fields.binary()?;
                    fields.binary()?;
                }
                0x0b => {
                    let (_, bytes) = remaining_length(fields.0)?.ok_or(Malformed("a packet ended too early"))?;
                    fields.bytes(bytes)?;
                }
                _ => return Err(Malformed("a property was unknown")),
            }
        }
        Ok(properties)
    }
}

/// What a box says, one packet after the other, ready to be written.
#[derive(Debug)]
pub(super) struct Outgoing {
    version: Version,
    pub(super) bytes: Vec<u8>,
}

impl Outgoing {
    pub(super) const fn new(version: Version) -> Self {
        Self { version, bytes: Vec::new() }
    }

    /// A clean start, and the will `offline` (§3.1).
    pub(super) fn connect(&mut self, login: &Login, packet_bytes_max: u32) {
        let mut flags = 0b0010_1110; // will retained, will QoS 1, will, clean
        if login.user.is_some() {
            flags |= 0b1100_0000;
        }
        let keep_alive_s = u16::try_from(login.keep_alive.as_secs()).unwrap_or(u16::MAX);
        let mut body = Body::default();
        body.text("MQTT").byte(self.version.level()).byte(flags).number(keep_alive_s);
        if self.version == Version::V5 {
            body.byte(5).byte(0x27).bytes(&packet_bytes_max.to_be_bytes());
        }
        body.text(&login.client_id);
        if self.version == Version::V5 {
            body.byte(0); // of the will
        }
        body.text(&login.will_topic).text("offline");
        if let Some((user, password)) = &login.user {
            body.text(user).text(password);
        }
        self.packet(0x10, &body);
    }

    /// At QoS 1 (§3.3).
    pub(super) fn publish(&mut self, topic: &str, payload: &str, retain: bool, packet_id: u16) {
        let mut body = Body::default();
        body.text(topic).number(packet_id);
        self.no_properties(&mut body);
        body.bytes(payload.as_bytes());
        self.packet(0x32 | u8::from(retain), &body);
    }

    /// At QoS 1 (§3.8).
    pub(super) fn subscribe(&mut self, filters: &[String], packet_id: u16) {
        let mut body = Body::default();
        body.number(packet_id);
        self.no_properties(&mut body);
        for filter in filters {
            body.text(filter).byte(1);
        }
        self.packet(0x82, &body);
    }

    pub(super) fn puback(&mut self, packet_id: u16) {
        self.packet(0x40, Body::default().number(packet_id));
    }

    pub(super) fn ping(&mut self) {
        self.packet(0xc0, &Body::default());
    }

    /// A good-bye, after which the broker forgets the will (§3.14).
    pub(super) fn disconnect(&mut self) {
        self.packet(0xe0, &Body::default());
    }

    fn no_properties(&self, body: &mut Body) {
        if self.version == Version::V5 {
            body.byte(0);
        }
    }

    fn packet(&mut self, first: u8, body: &Body) {
        self.bytes.push(first);
        let mut length = body.0.len();
        loop {
            let byte = (length & 0x7f) as u8;
            length >>= 7;
            self.bytes.push(if length > 0 { byte | 0x80 } else { byte });
            if length == 0 {
                break;
            }
        }
        self.bytes.extend_from_slice(&body.0);
    }
}

#[derive(Default)]
struct Body(Vec<u8>);

impl Body {
    fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    fn byte(&mut self, byte: u8) -> &mut Self {
        self.bytes(&[byte])
    }

    fn number(&mut self, number: u16) -> &mut Self {
        self.bytes(&number.to_be_bytes())
    }

    /// A text with its length; the configuration lets none be longer than its field, so nothing is cut.
    fn text(&mut self, text: &str) -> &mut Self {
        let text = &text.as_bytes()[..text.len().min(FIELD_BYTES_MAX)];
        self.number(text.len() as u16).bytes(text)
    }
}

#[cfg(test)]
#[path = "packet_tests.rs"]
mod tests;
