//! What of a session is on disk besides its messages: who it is, what it is subscribed to, its will, when it ends.
//!
//! A version in front, then JSON. When it is written does not belong here.

use std::{sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde::{Deserialize, Serialize};

use crate::{
    domain::{
        publication::{Properties, Qos},
        time::Wall,
        topic::{Subscription, Topic},
    },
    engine::Wanted,
    mqtt::packet::{Version, Will},
};

/// The version of the records that this hub writes, and the only one that it reads.
const VERSION: u8 = 1;

/// Why a record cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(in crate::mqtt) enum Unreadable {
    /// A newer hub wrote it.
    #[error("it is of version {0}, and this hub knows version {VERSION}")]
    Version(u8),
    /// It is no record.
    #[error("it is damaged: {0}")]
    Damaged(String),
}

/// A session's record.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::mqtt) struct Record {
    /// What the client spoke last.
    pub(in crate::mqtt) version: Version,
    /// Its user; none for somebody without one.
    pub(in crate::mqtt) user: Option<String>,
    /// Seconds that the session outlives its connection; 0 where only its will is kept.
    pub(in crate::mqtt) expiry_s: u32,
    /// Seconds; 0 for none.
    pub(in crate::mqtt) keep_alive_s: u16,
    /// Whether it has a connection, as far as the file knows.
    pub(in crate::mqtt) online: bool,
    /// When it ends, where it has no connection and does not last for ever.
    pub(in crate::mqtt) ends_at: Option<Wall>,
    /// When its will is due, where it has no connection.
    pub(in crate::mqtt) will_at: Option<Wall>,
    pub(in crate::mqtt) will: Option<Will>,
    pub(in crate::mqtt) subscriptions: Vec<Subscribed>,
}

/// One subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::mqtt) struct Subscribed {
    /// Its number, which its messages on disk have too.
    pub(in crate::mqtt) number: u32,
    /// The filter as the client wrote it.
    pub(in crate::mqtt) filter: String,
    pub(in crate::mqtt) qos: Qos,
    pub(in crate::mqtt) no_local: bool,
    pub(in crate::mqtt) retain_as_published: bool,
    /// The client's own identifier.
    pub(in crate::mqtt) id: Option<u32>,
}

impl Subscribed {
    /// What the journal is told that it asked for; not for QoS 0.
    pub(in crate::mqtt) const fn wanted(&self) -> Wanted {
        Wanted { qos: self.qos, retain_as_published: self.retain_as_published, subscription_id: self.id }
    }
}

#[derive(Serialize, Deserialize)]
struct RawRecord {
    v311: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    expiry_s: u32,
    keep_alive_s: u16,
    online: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ends_at: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    will_at: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    will: Option<RawWill>,
    subscriptions: Vec<RawSubscribed>,
}

#[derive(Serialize, Deserialize)]
struct RawSubscribed {
    number: u32,
    filter: String,
    qos: u8,
    #[serde(default)]
    no_local: bool,
    #[serde(default)]
    retain_as_published: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<u32>,
}

#[derive(Serialize, Deserialize)]
struct RawWill {
    topic: String,
    payload: String,
    qos: u8,
    retain: bool,
    delay_s: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expiry_s: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    properties: Option<RawProperties>,
}

#[derive(Serialize, Deserialize)]
struct RawProperties {
    utf8: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    content_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    response_topic: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    correlation_data: Option<String>,
    #[serde(default)]
    user: Vec<(String, String)>,
}

impl Record {
    /// The record as bytes.
    pub(in crate::mqtt) fn write(&self) -> Vec<u8> {
        let raw = RawRecord {
            v311: self.version == Version::V311,
            user: self.user.clone(),
            expiry_s: self.expiry_s,
            keep_alive_s: self.keep_alive_s,
            online: self.online,
            ends_at: self.ends_at.map(Wall::unix_ms),
            will_at: self.will_at.map(Wall::unix_ms),
            will: self.will.as_ref().map(write_will),
            subscriptions: self.subscriptions.iter().map(write_subscribed).collect(),
        };
        let mut bytes = vec![VERSION];
        // A value in memory always has a JSON form.
        bytes.extend(serde_json::to_vec(&raw).unwrap_or_default());
        bytes
    }

    /// Reads it back.
    ///
    /// # Errors
    /// The bytes are of another version, or no record.
    pub(in crate::mqtt) fn read(bytes: &[u8]) -> Result<Self, Unreadable> {
        let (version, json) = bytes.split_first().ok_or_else(|| damaged("it is empty"))?;
        if *version != VERSION {
            return Err(Unreadable::Version(*version));
        }
        let raw: RawRecord = serde_json::from_slice(json).map_err(|error| damaged(&error))?;
        Ok(Self {
            version: if raw.v311 { Version::V311 } else { Version::V5 },
            user: raw.user,
            expiry_s: raw.expiry_s,
            keep_alive_s: raw.keep_alive_s,
            online: raw.online,
            ends_at: raw.ends_at.map(Wall::from_unix_ms),
            will_at: raw.will_at.map(Wall::from_unix_ms),
            will: raw.will.map(read_will).transpose()?,
            subscriptions: raw.subscriptions.into_iter().map(read_subscribed).collect::<Result<_, _>>()?,
        })
    }
}

fn damaged(detail: impl ToString) -> Unreadable {
    Unreadable::Damaged(detail.to_string())
}

fn read_qos(qos: u8) -> Result<Qos, Unreadable> {
    match qos {
        0 => Ok(Qos::AtMostOnce),
        1 => Ok(Qos::AtLeastOnce),
        2 => Ok(Qos::ExactlyOnce),
        _ => Err(damaged(format!("there is no QoS {qos}"))),
    }
}

fn write_subscribed(subscribed: &Subscribed) -> RawSubscribed {
    let Subscribed { number, filter, qos, no_local, retain_as_published, id } = subscribed.clone();
    RawSubscribed { number, filter, qos: qos as u8, no_local, retain_as_published, id }
}

fn read_subscribed(raw: RawSubscribed) -> Result<Subscribed, Unreadable> {
    Subscription::parse(&raw.filter).map_err(damaged)?;
    let RawSubscribed { number, filter, qos, no_local, retain_as_published, id } = raw;
    Ok(Subscribed { number, filter, qos: read_qos(qos)?, no_local, retain_as_published, id })
}

fn write_will(will: &Will) -> RawWill {
    RawWill {
        topic: will.topic.as_str().to_owned(),
        payload: BASE64.encode(&will.payload),
        qos: will.qos as u8,
        retain: will.retain,
        delay_s: will.delay.as_secs(),
        expiry_s: will.expiry.map(|expiry| expiry.as_secs()),
        properties: will.properties.as_ref().map(|properties| RawProperties {
            utf8: properties.payload_is_utf8,
            content_type: properties.content_type.clone(),
            response_topic: properties.response_topic.clone(),
            correlation_data: properties.correlation_data.as_ref().map(|data| BASE64.encode(data)),
            user: properties.user.clone(),
        }),
    }
}

fn read_will(raw: RawWill) -> Result<Will, Unreadable> {
    let properties = match raw.properties {
        None => None,
        Some(raw) => Some(Arc::new(Properties {
            payload_is_utf8: raw.utf8,
            content_type: raw.content_type,
            response_topic: raw.response_topic,
            correlation_data: match raw.correlation_data {
                None => None,
                Some(text) => Some(BASE64.decode(text).map_err(damaged)?.into()),
            },
            user: raw.user,
        })),
    };
    Ok(Will {
        topic: Topic::parse(&raw.topic).map_err(damaged)?,
        payload: BASE64.decode(raw.payload).map_err(damaged)?.into(),
        qos: read_qos(raw.qos)?,
        retain: raw.retain,
        delay: Duration::from_secs(raw.delay_s),
        expiry: raw.expiry_s.map(Duration::from_secs),
        properties,
    })
}

#[cfg(test)]
mod tests;
