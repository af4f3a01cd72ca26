//! CONNECT: the packet that a connection begins with (MQTT 3.1.1 §3.1, MQTT 5 §3.1).
//!
//! Who is let in does not belong here, nor what the hub answers.

use std::time::Duration;

use bytes::Bytes;
use mqtt_protocol_core::mqtt::packet::{Property, prelude::PropertyValueAccess, v3_1_1, v5_0};

use super::{Frame, fault, passed_on, text};
use crate::{
    domain::{publication::Qos, topic::Topic},
    mqtt::{
        packet::{Connect, Fault, Version, Will},
        reason::Reason,
    },
};

impl Frame {
    /// Reads the first packet of a connection.
    ///
    /// # Errors
    /// [`ConnectFault`]: with the version where a CONNACK can tell the client, without it where nothing but closing is left.
    pub fn read_connect(&self) -> Result<Connect, ConnectFault> {
        if !self.is_connect() || self.first & 0x0f != 0 {
            return Err(ConnectFault { version: None, fault: Fault::protocol("The first packet is no CONNECT.") });
        }
        let (version, flags) = match *self.body {
            [0, 4, b'M', b'Q', b'T', b'T', 4, flags, ..] => (Version::V311, flags),
            [0, 4, b'M', b'Q', b'T', b'T', 5, flags, ..] => (Version::V5, flags),
            [0, 4, b'M', b'Q', b'T', b'T', 6..=u8::MAX, ..] => return Err(ConnectFault::version(Version::V5)),
            [0, 4, b'M', b'Q', b'T', b'T', _, ..] | [0, 6, b'M', b'Q', b'I', b's', b'd', b'p', ..] => {
                return Err(ConnectFault::version(Version::V311));
            }
            _ => return Err(ConnectFault { version: None, fault: Fault::malformed("This is not MQTT.") }),
        };
        let with_version = |fault| ConnectFault { version: Some(version), fault };
        check_connect_flags(flags, version).map_err(with_version)?;
        match version {
            Version::V311 => self.read_connect_v311(flags),
            Version::V5 => self.read_connect_v5(flags),
        }
        .map_err(with_version)
    }

    fn read_connect_v311(&self, flags: u8) -> Result<Connect, Fault> {
        let (packet, read) = v3_1_1::Connect::parse(&self.body).map_err(fault)?;
        self.whole(read)?;
        let will = match (packet.will_topic(), packet.will_payload()) {
            (Some(topic), Some(payload)) => Some(Will {
                topic: will_topic(topic)?,
                payload: Bytes::copy_from_slice(payload),
                qos: will_qos(flags),
                retain: flags & 0x20 != 0,
                delay: Duration::ZERO,
                expiry: None,
                properties: None,
            }),
            _ => None,
        };
        if packet.client_id().is_empty() && !packet.clean_session() {
            return Err(Fault { reason: Reason::CLIENT_ID_INVALID, text: "A session that is kept needs a client id." });
        }
        Ok(Connect {
            version: Version::V311,
            client_id: text(packet.client_id())?,
            clean_start: packet.clean_session(),
            keep_alive: packet.keep_alive(),
            session_expiry: if packet.clean_session() { 0 } else { u32::MAX },
            receive_maximum: u16::MAX,
            packet_bytes_max: None,
            topic_alias_max: 0,
            problem_information: true,
            response_information: false,
            authentication_method: None,
            user: packet.user_name().map(text).transpose()?,
            password: packet.password().map(Bytes::copy_from_slice),
            will,
        })
    }

    fn read_connect_v5(&self, flags: u8) -> Result<Connect, Fault> {
        let (packet, read) = v5_0::Connect::parse(&self.body).map_err(fault)?;
        self.whole(read)?;
        let will = match (packet.will_topic(), packet.will_payload()) {
            (Some(topic), Some(payload)) => Some(read_will(&packet, topic, payload, flags)?),
            _ => None,
        };
        let mut connect = Connect {
            version: Version::V5,
            client_id: text(packet.client_id())?,
            clean_start: packet.clean_start(),
            keep_alive: packet.keep_alive(),
            session_expiry: 0,
            receive_maximum: u16::MAX,
            packet_bytes_max: None,
            topic_alias_max: 0,
            problem_information: true,
            response_information: false,
            authentication_method: None,
            user: packet.user_name().map(text).transpose()?,
            password: packet.password().map(Bytes::copy_from_slice),
            will,
        };
        for property in packet.props() {
            match property {
                Property::SessionExpiryInterval(interval) => connect.session_expiry = interval.val(),
                Property::ReceiveMaximum(maximum) => connect.receive_maximum = maximum.val(),
                Property::MaximumPacketSize(size) => connect.packet_bytes_max = Some(size.val()),
                Property::TopicAliasMaximum(maximum) => connect.topic_alias_max = maximum.val(),
                Property::RequestProblemInformation(_) => {
                    connect.problem_information = property.as_u8() == Some(1);
                }
                Property::RequestResponseInformation(_) => {
                    connect.response_information = property.as_u8() == Some(1);
                }
                Property::AuthenticationMethod(method) => {
                    connect.authentication_method = Some(method.val().to_owned());
                }
                _ => {}
            }
        }
        if connect.receive_maximum == 0 || connect.packet_bytes_max == Some(0) {
            return Err(Fault::protocol("A receive maximum and a maximum packet size are not 0."));
        }
        Ok(connect)
    }
}

/// Why a first packet is no CONNECT that the hub takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectFault {
    /// The version to answer in; none where no answer would be understood.
    pub version: Option<Version>,
    /// What is wrong.
    pub fault: Fault,
}

impl ConnectFault {
    const fn version(version: Version) -> Self {
        let fault = Fault { reason: Reason::UNSUPPORTED_VERSION, text: "The hub speaks MQTT 3.1.1 and 5." };
        Self { version: Some(version), fault }
    }
}

/// The parsers skip these (MQTT 3.1.1 §3.1.2.3, MQTT 5 §3.1.2.3).
fn check_connect_flags(flags: u8, version: Version) -> Result<(), Fault> {
    let (will, will_qos, will_retain) = (flags & 0x04 != 0, flags >> 3 & 0x03, flags & 0x20 != 0);
    let (password, user) = (flags & 0x40 != 0, flags & 0x80 != 0);
    if flags & 0x01 != 0 {
        Err(Fault::malformed("The reserved connect flag is set."))
    } else if will_qos == 3 || (!will && (will_qos != 0 || will_retain)) {
        Err(Fault::malformed("The will flags contradict each other."))
    } else if version == Version::V311 && password && !user {
        Err(Fault::malformed("A password needs a user name in MQTT 3.1.1."))
    } else {
        Ok(())
    }
}

fn read_will(packet: &v5_0::Connect, topic: &str, payload: &[u8], flags: u8) -> Result<Will, Fault> {
    let payload = Bytes::copy_from_slice(payload);
    let mut will = Will {
        topic: will_topic(topic)?,
        qos: will_qos(flags),
        retain: flags & 0x20 != 0,
        delay: Duration::ZERO,
        expiry: None,
        properties: passed_on(packet.will_props(), &payload)?,
        payload,
    };
    for property in packet.will_props() {
        match property {
            Property::WillDelayInterval(interval) => will.delay = Duration::from_secs(interval.val().into()),
            Property::MessageExpiryInterval(interval) => {
                will.expiry = Some(Duration::from_secs(interval.val().into()));
            }
            _ => {}
        }
    }
    Ok(will)
}

fn will_topic(topic: &str) -> Result<Topic, Fault> {
    Topic::parse(topic).map_err(|_| Fault { reason: Reason::TOPIC_INVALID, text: "The will's topic is none." })
}

const fn will_qos(flags: u8) -> Qos {
    match flags >> 3 & 0x03 {
        0 => Qos::AtMostOnce,
        1 => Qos::AtLeastOnce,
        _ => Qos::ExactlyOnce,
    }
}
