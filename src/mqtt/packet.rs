//! MQTT packets as values that are the same for both protocol versions.
//!
//! Bytes do not belong here: [`protocol`](super::protocol) reads them, [`frame`](super::frame) writes them.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;

use super::reason::Reason;
use crate::domain::{
    publication::{Properties, Qos},
    topic::Topic,
};

/// The protocol version that a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Version {
    /// MQTT 3.1.1 (protocol level 4).
    V311,
    /// MQTT 5 (protocol level 5).
    V5,
}

/// What a client may send after it is connected, and CONNECT itself.
#[derive(Debug, Clone, PartialEq)]
pub enum Packet {
    /// CONNECT (MQTT 5 §3.1).
    Connect(Box<Connect>),
    /// PUBLISH (§3.3).
    Publish(Publish),
    /// PUBACK (§3.4).
    Puback {
        /// Packet identifier.
        id: u16,
    },
    /// PUBREC (§3.5).
    Pubrec {
        /// Packet identifier.
        id: u16,
        /// Whether the receiver refuses the message (a reason of 0x80 or more).
        refused: bool,
    },
    /// PUBREL (§3.6).
    Pubrel {
        /// Packet identifier.
        id: u16,
    },
    /// PUBCOMP (§3.7).
    Pubcomp {
        /// Packet identifier.
        id: u16,
    },
    /// SUBSCRIBE (§3.8).
    Subscribe(Subscribe),
    /// UNSUBSCRIBE (§3.10).
    Unsubscribe(Unsubscribe),
    /// PINGREQ (§3.12).
    Pingreq,
    /// DISCONNECT (§3.14).
    Disconnect(Disconnect),
    /// AUTH (§3.15).
    Auth,
}

/// CONNECT.
#[derive(Debug, Clone, PartialEq)]
pub struct Connect {
    /// What the client speaks.
    pub version: Version,
    /// Its id; empty where the hub shall give it one.
    pub client_id: String,
    /// Clean session (3.1.1), clean start (5).
    pub clean_start: bool,
    /// Seconds; 0 for none.
    pub keep_alive: u16,
    /// Seconds that the session outlives the connection; [`u32::MAX`] for ever. For 3.1.1: 0 or for ever.
    pub session_expiry: u32,
    /// QoS 1 and 2 messages that the client takes unacknowledged.
    pub receive_maximum: u16,
    /// The largest packet that the client takes.
    pub packet_bytes_max: Option<u32>,
    /// The highest topic alias that the client takes.
    pub topic_alias_max: u16,
    /// Whether the client wants reason strings.
    pub problem_information: bool,
    /// Whether the client asks for response information.
    pub response_information: bool,
    /// The extended authentication it wants; the hub has none.
    pub authentication_method: Option<String>,
    /// User name.
    pub user: Option<String>,
    /// Password.
    pub password: Option<Bytes>,
    /// What to publish when the client vanishes.
    pub will: Option<Will>,
}

/// A will (MQTT 5 §3.1.2.5).
#[derive(Debug, Clone, PartialEq)]
pub struct Will {
    /// Where to.
    pub topic: Topic,
    /// What.
    pub payload: Bytes,
    /// Quality of service.
    pub qos: Qos,
    /// Whether it shall be retained.
    pub retain: bool,
    /// How long after the connection is gone.
    pub delay: Duration,
    /// Message expiry, counted from when it is published.
    pub expiry: Option<Duration>,
    /// Properties to pass on.
    pub properties: Option<Arc<Properties>>,
}

/// PUBLISH from a client.
#[derive(Debug, Clone, PartialEq)]
pub struct Publish {
    /// The topic as it stands in the packet; empty where an alias stands for it.
    pub topic: String,
    /// Topic alias (MQTT 5 §3.3.2.3.4); never 0.
    pub alias: Option<u16>,
    /// Packet identifier; 0 for QoS 0.
    pub id: u16,
    /// Quality of service.
    pub qos: Qos,
    /// Retain flag.
    pub retain: bool,
    /// Message expiry.
    pub expiry: Option<Duration>,
    /// What.
    pub payload: Bytes,
    /// Properties to pass on.
    pub properties: Option<Arc<Properties>>,
}

/// SUBSCRIBE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscribe {
    /// Packet identifier.
    pub id: u16,
    /// Subscription identifier (MQTT 5 §3.8.2.1.2).
    pub subscription_id: Option<u32>,
    /// What is subscribed to.
    pub entries: Vec<SubscribeEntry>,
}

/// One filter of a SUBSCRIBE with its options (MQTT 5 §3.8.3.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscribeEntry {
    /// The filter as it stands in the packet.
    pub filter: String,
    /// The most that the client wants to receive with.
    pub qos: Qos,
    /// Not to be sent what the session itself publishes.
    pub no_local: bool,
    /// To keep the publisher's retain flag.
    pub retain_as_published: bool,
    /// Which retained messages to send now.
    pub retain_handling: RetainHandling,
}

/// Which retained messages a SUBSCRIBE asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetainHandling {
    /// All of them.
    Send,
    /// All, where the subscription is new.
    SendIfNew,
    /// None.
    Skip,
}

/// UNSUBSCRIBE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsubscribe {
    /// Packet identifier.
    pub id: u16,
    /// The filters as they stand in the packet.
    pub filters: Vec<String>,
}

/// DISCONNECT from a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disconnect {
    /// 0x00 takes the will back; 0x04 and every error wants it published.
    pub reason: Reason,
    /// A new session expiry, in seconds.
    pub session_expiry: Option<u32>,
}

/// Why bytes are no packet, or no packet that may come now: the reason that the client is told before it is cut off.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Fault {
    /// What a v5 client is told.
    pub reason: Reason,
    /// What a person is told.
    pub text: &'static str,
}

impl Fault {
    /// Bytes that are no MQTT packet.
    #[must_use]
    pub const fn malformed(text: &'static str) -> Self {
        Self { reason: Reason::MALFORMED_PACKET, text }
    }

    /// A packet that may not come, or not now.
    #[must_use]
    pub const fn protocol(text: &'static str) -> Self {
        Self { reason: Reason::PROTOCOL_ERROR, text }
    }
}
