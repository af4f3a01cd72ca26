//! Reads MQTT packets with mqtt-protocol-core, behind the guards that it needs on a server's socket.
//!
//! The crate's parsers are used, its connection state is not: packet identifiers, what is in flight, aliases and queues are the
//! session's own, so that they outlive sockets, and so that its known ways to panic (packet identifier 0, a topic alias maximum of 0,
//! a restored store) cannot be reached from outside. Every packet passes the checks here that the parsers leave out: fixed header
//! flags, lengths that do not add up, packet identifier 0, null characters, CONNECT's reserved bits.
//!
//! What a packet means does not belong here. No type of the crate leaves this module.

mod connect;

use std::{sync::Arc, time::Duration};

use bytes::{Buf, Bytes, BytesMut};
use mqtt_protocol_core::mqtt::{
    packet::{
        Properties as RawProperties, Property, Qos as RawQos, SubEntry, prelude::PropertyValueAccess, v3_1_1, v5_0,
    },
    result_code::MqttError,
};

pub use self::connect::ConnectFault;
use super::{
    packet::{Disconnect, Fault, Packet, Publish, RetainHandling, Subscribe, SubscribeEntry, Unsubscribe, Version},
    reason::Reason,
};
use crate::domain::{
    publication::{Properties, Qos},
    topic::Topic,
};

/// The bytes of one packet: its first byte, and what follows the remaining length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    first: u8,
    body: Bytes,
}

/// The packet types by their number (MQTT 5 §2.1.2).
mod kind {
    pub(super) const CONNECT: u8 = 1;
    pub(super) const PUBLISH: u8 = 3;
    pub(super) const PUBACK: u8 = 4;
    pub(super) const PUBREC: u8 = 5;
    pub(super) const PUBREL: u8 = 6;
    pub(super) const PUBCOMP: u8 = 7;
    pub(super) const SUBSCRIBE: u8 = 8;
    pub(super) const UNSUBSCRIBE: u8 = 10;
    pub(super) const PINGREQ: u8 = 12;
    pub(super) const DISCONNECT: u8 = 14;
    pub(super) const AUTH: u8 = 15;
}

impl Frame {
    /// Takes the next whole packet out of `buffer`; none while bytes are missing.
    ///
    /// # Errors
    /// A remaining length of more than four bytes, or a packet larger than `bytes_max`.
    pub fn take(buffer: &mut BytesMut, bytes_max: usize) -> Result<Option<Self>, Fault> {
        let Some(&first) = buffer.first() else { return Ok(None) };
        let mut length = 0_usize;
        let mut header = 1;
        loop {
            let Some(&byte) = buffer.get(header) else { return Ok(None) };
            length |= usize::from(byte & 0x7f) << (7 * (header - 1));
            header += 1;
            if byte & 0x80 == 0 {
                break;
            }
            if header == 5 {
                return Err(Fault::malformed("The remaining length has more than four bytes."));
            }
        }
        if header + length > bytes_max {
            return Err(Fault { reason: Reason::PACKET_TOO_LARGE, text: "The packet is larger than the hub takes." });
        }
        if buffer.len() < header + length {
            return Ok(None);
        }
        buffer.advance(header);
        Ok(Some(Self { first, body: buffer.split_to(length).freeze() }))
    }

    /// Whether it is a CONNECT.
    #[must_use]
    pub const fn is_connect(&self) -> bool {
        self.first >> 4 == kind::CONNECT
    }

    /// The bytes it holds.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.body.len() + 2
    }

    /// Whether it holds nothing but its header.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.body.is_empty()
    }

    /// Reads the packet as `version`.
    ///
    /// # Errors
    /// Says what is wrong with it; the connection must be closed then.
    pub fn read(&self, version: Version) -> Result<Packet, Fault> {
        let flags = self.first & 0x0f;
        let wanted = match self.first >> 4 {
            kind::PUBLISH => flags,
            kind::PUBREL | kind::SUBSCRIBE | kind::UNSUBSCRIBE => 0x02,
            _ => 0,
        };
        if flags != wanted {
            return Err(Fault::malformed("The reserved flags of the fixed header are wrong."));
        }
        match (self.first >> 4, version) {
            (kind::CONNECT, _) => Err(Fault::protocol("A second CONNECT.")),
            (kind::PUBLISH, _) => self.read_publish(flags, version),
            (kind::PUBACK, Version::V311) => Ok(Packet::Puback { id: self.bare_id()? }),
            (kind::PUBREC, Version::V311) => Ok(Packet::Pubrec { id: self.bare_id()?, refused: false }),
            (kind::PUBREL, Version::V311) => Ok(Packet::Pubrel { id: self.bare_id()? }),
            (kind::PUBCOMP, Version::V311) => Ok(Packet::Pubcomp { id: self.bare_id()? }),
            (kind::PUBACK, Version::V5) => {
                let (packet, read) = v5_0::Puback::parse(&self.body).map_err(fault)?;
                self.whole(read)?;
                Ok(Packet::Puback { id: packet.packet_id() })
            }
            (kind::PUBREC, Version::V5) => {
                let (packet, read) = v5_0::Pubrec::parse(&self.body).map_err(fault)?;
                self.whole(read)?;
                let refused = packet.reason_code().is_some_and(|code| code as u8 >= 0x80);
                Ok(Packet::Pubrec { id: packet.packet_id(), refused })
            }
            (kind::PUBREL, Version::V5) => {
                let (packet, read) = v5_0::Pubrel::parse(&self.body).map_err(fault)?;
                self.whole(read)?;
                Ok(Packet::Pubrel { id: packet.packet_id() })
            }
            (kind::PUBCOMP, Version::V5) => {
                let (packet, read) = v5_0::Pubcomp::parse(&self.body).map_err(fault)?;
                self.whole(read)?;
                Ok(Packet::Pubcomp { id: packet.packet_id() })
            }
            (kind::SUBSCRIBE, _) => self.read_subscribe(version),
            (kind::UNSUBSCRIBE, _) => self.read_unsubscribe(version),
            (kind::PINGREQ, _) => {
                self.whole(0)?;
                Ok(Packet::Pingreq)
            }
            (kind::DISCONNECT, Version::V311) => {
                self.whole(0)?;
                Ok(Packet::Disconnect(Disconnect { reason: Reason::SUCCESS, session_expiry: None }))
            }
            (kind::DISCONNECT, Version::V5) => {
                let (packet, read) = v5_0::Disconnect::parse(&self.body).map_err(fault)?;
                self.whole(read)?;
                let expiry = |property: &Property| match property {
                    Property::SessionExpiryInterval(interval) => Some(interval.val()),
                    _ => None,
                };
                Ok(Packet::Disconnect(Disconnect {
                    reason: Reason(packet.reason_code().map_or(0, |code| code as u8)),
                    session_expiry: packet.props().as_ref().and_then(|properties| properties.iter().find_map(expiry)),
                }))
            }
            (kind::AUTH, Version::V5) => {
                let (_, read) = v5_0::Auth::parse(&self.body).map_err(fault)?;
                self.whole(read)?;
                Ok(Packet::Auth)
            }
            _ => Err(Fault::protocol("A packet that only a server sends.")),
        }
    }

    /// Everything was read: nothing is left over (MQTT 5 §4.13).
    fn whole(&self, read: usize) -> Result<(), Fault> {
        if read == self.body.len() { Ok(()) } else { Err(Fault::malformed("The packet is longer than what is in it.")) }
    }

    /// The packet identifier of a packet that has nothing else (MQTT 3.1.1).
    fn bare_id(&self) -> Result<u16, Fault> {
        match self.body[..] {
            [high, low] => id(u16::from_be_bytes([high, low])),
            _ => Err(Fault::malformed("The packet has not exactly a packet identifier.")),
        }
    }

    fn read_publish(&self, flags: u8, version: Version) -> Result<Packet, Fault> {
        if flags & 0x06 == 0 && flags & 0x08 != 0 {
            return Err(Fault::malformed("DUP is set at QoS 0."));
        }
        let body: Arc<[u8]> = Arc::from(&self.body[..]);
        let mut publish = match version {
            Version::V311 => {
                let (packet, _) = v3_1_1::Publish::parse(flags, body).map_err(fault)?;
                Publish {
                    topic: packet.topic_name().to_owned(),
                    alias: None,
                    id: packet.packet_id().unwrap_or(0),
                    qos: qos(packet.qos()),
                    retain: packet.retain(),
                    expiry: None,
                    payload: Bytes::copy_from_slice(packet.payload().as_slice()),
                    properties: None,
                }
            }
            Version::V5 => {
                let (packet, _) = v5_0::Publish::parse(flags, body).map_err(fault)?;
                let mut publish = Publish {
                    topic: packet.topic_name().to_owned(),
                    alias: None,
                    id: packet.packet_id().unwrap_or(0),
                    qos: qos(packet.qos()),
                    retain: packet.retain(),
                    expiry: None,
                    payload: Bytes::copy_from_slice(packet.payload().as_slice()),
                    properties: None,
                };
                if !packet.props().is_empty() {
                    for property in packet.props() {
                        match property {
                            Property::TopicAlias(alias) => publish.alias = Some(alias.val()),
                            Property::MessageExpiryInterval(interval) => {
                                publish.expiry = Some(Duration::from_secs(interval.val().into()));
                            }
                            Property::SubscriptionIdentifier(_) => {
                                return Err(Fault::protocol("A client's PUBLISH has no subscription identifier."));
                            }
                            _ => {}
                        }
                    }
                    publish.properties = passed_on(packet.props(), &publish.payload)?;
                }
                publish
            }
        };
        if publish.qos != Qos::AtMostOnce {
            publish.id = id(publish.id)?;
        }
        if publish.alias == Some(0) {
            return Err(Fault { reason: Reason::TOPIC_ALIAS_INVALID, text: "A topic alias is not 0." });
        }
        Ok(Packet::Publish(publish))
    }

    fn read_subscribe(&self, version: Version) -> Result<Packet, Fault> {
        let (packet_id, subscription_id, entries) = match version {
            Version::V311 => {
                let (packet, read) = v3_1_1::Subscribe::parse(&self.body).map_err(fault)?;
                self.whole(read)?;
                let entries = packet.entries().iter().map(|entry| subscribe_entry(entry, version));
                (packet.packet_id(), None, entries.collect::<Result<Vec<_>, _>>()?)
            }
            Version::V5 => {
                let (packet, read) = v5_0::Subscribe::parse(&self.body).map_err(fault)?;
                self.whole(read)?;
                let subscription_id = packet.props().iter().find_map(|property| match property {
                    Property::SubscriptionIdentifier(id) => Some(id.val()),
                    _ => None,
                });
                let entries = packet.entries().iter().map(|entry| subscribe_entry(entry, version));
                (packet.packet_id(), subscription_id, entries.collect::<Result<Vec<_>, _>>()?)
            }
        };
        if subscription_id == Some(0) {
            return Err(Fault::protocol("A subscription identifier is not 0."));
        }
        Ok(Packet::Subscribe(Subscribe { id: id(packet_id)?, subscription_id, entries }))
    }

    fn read_unsubscribe(&self, version: Version) -> Result<Packet, Fault> {
        let (packet_id, read, entries) = match version {
            Version::V311 => {
                let (packet, read) = v3_1_1::Unsubscribe::parse(&self.body).map_err(fault)?;
                (packet.packet_id(), read, packet.entries().clone())
            }
            Version::V5 => {
                let (packet, read) = v5_0::Unsubscribe::parse(&self.body).map_err(fault)?;
                (packet.packet_id(), read, packet.entries().clone())
            }
        };
        self.whole(read)?;
        let filters: Vec<String> = entries.iter().map(|entry| entry.as_str().to_owned()).collect();
        if filters.is_empty() {
            return Err(Fault::protocol("An UNSUBSCRIBE names at least one filter."));
        }
        Ok(Packet::Unsubscribe(Unsubscribe { id: id(packet_id)?, filters }))
    }
}

fn subscribe_entry(entry: &SubEntry, version: Version) -> Result<SubscribeEntry, Fault> {
    let options = entry.sub_opts();
    let [byte] = *options.to_buffer();
    if version == Version::V311 && byte & 0xfc != 0 {
        return Err(Fault::malformed("The reserved bits of a requested QoS are set."));
    }
    Ok(SubscribeEntry {
        filter: entry.topic_filter().to_owned(),
        qos: qos(options.qos()),
        no_local: byte & 0x04 != 0,
        retain_as_published: byte & 0x08 != 0,
        retain_handling: match byte >> 4 & 0x03 {
            0 => RetainHandling::Send,
            1 => RetainHandling::SendIfNew,
            _ => RetainHandling::Skip,
        },
    })
}

/// The properties that the hub passes on; none where there are none of them.
fn passed_on(raw: &RawProperties, payload: &[u8]) -> Result<Option<Arc<Properties>>, Fault> {
    let mut properties = Properties::default();
    let mut any = false;
    for property in raw {
        match property {
            Property::PayloadFormatIndicator(_) => {
                properties.payload_is_utf8 = property.as_u8() == Some(1);
                if properties.payload_is_utf8 && std::str::from_utf8(payload).is_err() {
                    let text = "The payload is said to be UTF-8 and is not.";
                    return Err(Fault { reason: Reason::PAYLOAD_FORMAT_INVALID, text });
                }
            }
            Property::ContentType(value) => properties.content_type = Some(text(value.val())?),
            Property::ResponseTopic(value) => {
                if Topic::parse(value.val()).is_err() {
                    return Err(Fault { reason: Reason::TOPIC_INVALID, text: "The response topic is no topic." });
                }
                properties.response_topic = Some(value.val().to_owned());
            }
            Property::CorrelationData(value) => {
                properties.correlation_data = Some(Bytes::copy_from_slice(value.val()));
            }
            Property::UserProperty(_) => {
                if let Some((name, value)) = property.as_key_value() {
                    properties.user.push((text(name)?, text(value)?));
                }
            }
            _ => continue,
        }
        any = true;
    }
    Ok(any.then(|| Arc::new(properties)))
}

/// A text of the protocol has no null character (MQTT 5 §1.5.4).
fn text(text: &str) -> Result<String, Fault> {
    if text.contains('\0') { Err(Fault::malformed("A text has a null character.")) } else { Ok(text.to_owned()) }
}

const fn id(id: u16) -> Result<u16, Fault> {
    if id == 0 { Err(Fault::malformed("A packet identifier is not 0.")) } else { Ok(id) }
}

const fn qos(qos: RawQos) -> Qos {
    match qos {
        RawQos::AtMostOnce => Qos::AtMostOnce,
        RawQos::AtLeastOnce => Qos::AtLeastOnce,
        RawQos::ExactlyOnce => Qos::ExactlyOnce,
    }
}

fn fault(error: MqttError) -> Fault {
    match error {
        MqttError::ProtocolError => Fault::protocol("The packet breaks the protocol."),
        _ => Fault::malformed("The packet is malformed."),
    }
}
