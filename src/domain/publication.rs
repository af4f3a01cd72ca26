//! What goes in and what comes out: a publish on its way to the hub, and a publication with its place in the one order.
//!
//! Protocol frames do not belong here; each edge has its own.

use std::sync::Arc;

use bytes::Bytes;

use super::{origin::Origin, time::Wall, topic::Topic};

/// Quality of service (MQTT 5 §4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Qos {
    /// At most once.
    #[default]
    AtMostOnce,
    /// At least once.
    AtLeastOnce,
    /// Exactly once.
    ExactlyOnce,
}

/// The user property of a CONNACK in which a hub tells which start of it this is (MQTT 5 §3.2.2.3.10). By it a link knows that both
/// of its ends are one hub.
pub const BOOT: &str = "lockstep-boot";

/// The MQTT 5 properties of a message that a hub passes on unchanged (MQTT 5 §3.3.2.3).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Properties {
    /// Payload format indicator: the payload is UTF-8 text (§3.3.2.3.2).
    pub payload_is_utf8: bool,
    /// Content type (§3.3.2.3.9).
    pub content_type: Option<String>,
    /// Where the sender wants the answer (§3.3.2.3.5).
    pub response_topic: Option<String>,
    /// What the sender knows the answer by (§3.3.2.3.6).
    pub correlation_data: Option<Bytes>,
    /// User properties, in the sender's order (§3.3.2.3.7).
    pub user: Vec<(String, String)>,
}

impl Properties {
    /// How many bytes of memory the properties hold, roughly.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.content_type.as_ref().map_or(0, String::len)
            + self.response_topic.as_ref().map_or(0, String::len)
            + self.correlation_data.as_ref().map_or(0, Bytes::len)
            + self.user.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>()
    }
}

/// A publish that somebody sent, admitted by an edge: identity and rights are checked, size is not.
#[derive(Debug, Clone, PartialEq)]
pub struct Publish {
    /// Where to.
    pub topic: Topic,
    /// What.
    pub payload: Bytes,
    /// Whether it shall become the topic's retained value (an empty payload clears it).
    pub retain: bool,
    /// The sender's quality of service; decides with `retain` whether the answer waits for the disk.
    pub qos: Qos,
    /// Who sent it.
    pub origin: Origin,
    /// The number of the MQTT session that sent it, so that «no local» (MQTT 5 §3.8.3.1) can leave it out.
    pub session: Option<u64>,
    /// When it stops being worth delivering (message expiry, MQTT 5 §3.3.2.3.3).
    pub expires_at: Option<Wall>,
    /// Properties to pass on; none for the many messages that have none.
    pub properties: Option<Arc<Properties>>,
    /// Whether its acknowledgement waits until it is on disk although it is not retained (a session with an expiry waits for it).
    pub durable: bool,
}

impl Publish {
    /// A publish with nothing but a topic and a payload: QoS 0, not retained.
    #[must_use]
    pub fn new(topic: Topic, payload: impl Into<Bytes>, origin: Origin) -> Self {
        Self {
            topic,
            payload: payload.into(),
            retain: false,
            qos: Qos::AtMostOnce,
            origin,
            session: None,
            expires_at: None,
            properties: None,
            durable: false,
        }
    }

    /// The bytes it costs while it waits: topic, payload and properties.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.topic.as_str().len() + self.payload.len() + self.properties.as_ref().map_or(0, |p| p.bytes())
    }
}

/// What a publication means for the retained tree and for the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Level {
    /// An event: delivered once, never retained.
    Event,
    /// It set (or, empty, cleared) the topic's retained value, which belongs on disk.
    Retained,
    /// It set the retained value of a leaf that can be computed from another: kept in memory only.
    Derived,
    /// It set the retained value of a leaf that changes with time alone, such as the seconds left: never on disk, never
    /// queued for somebody who is slow or away, and no part of what a client that comes back has missed.
    Reading,
}

/// Something that happened: a topic and a payload with its place in the one order.
#[derive(Debug, Clone, PartialEq)]
pub struct Publication {
    /// The place in the one order of everything that this hub published since it started; grows by one.
    pub seq: u64,
    /// Where.
    pub topic: Topic,
    /// What; empty for a retained value that was cleared.
    pub payload: Bytes,
    /// An event, or a level that was set.
    pub level: Level,
    /// The quality of service it was published with.
    pub qos: Qos,
    /// Who caused it.
    pub origin: Origin,
    /// The MQTT session that sent it, where one did.
    pub session: Option<u64>,
    /// When it stops being worth delivering.
    pub expires_at: Option<Wall>,
    /// MQTT 5 properties to pass on.
    pub properties: Option<Arc<Properties>>,
}

impl Publication {
    /// Whether it set or cleared the topic's retained value.
    #[must_use]
    pub const fn is_level(&self) -> bool {
        !matches!(self.level, Level::Event)
    }

    /// Whether it cleared the topic's retained value.
    #[must_use]
    pub fn is_deletion(&self) -> bool {
        self.is_level() && self.payload.is_empty()
    }
}

/// What became of a publish that was carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Accepted {
    /// The place of the last publication that it caused; of the newest one before it, where it changed nothing.
    pub seq: u64,
    /// The thing's revision after a command; none for a publish to a free topic.
    pub revision: Option<u64>,
}
