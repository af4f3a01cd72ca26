//! How values are written: a JSON head, then the payload as it is.
//!
//! Where they are written does not belong here.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::domain::{
    origin::Origin,
    publication::{Level, Properties, Publication, Qos},
    time::Wall,
    topic::Topic,
};

/// What stands before a retained payload. Names are short because there is one for each topic.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Head {
    #[serde(rename = "q", default)]
    qos: u8,
    #[serde(rename = "o", default)]
    origin: String,
    #[serde(rename = "e", default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<i64>,
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
    properties: Option<HeadProperties>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct HeadProperties {
    #[serde(default)]
    utf8: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    content_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    response_topic: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    correlation_data: Option<Vec<u8>>,
    #[serde(default)]
    user: Vec<(String, String)>,
}

/// A retained value as it is written.
pub(super) fn write_value(publication: &Publication) -> Vec<u8> {
    let head = Head {
        qos: match publication.qos {
            Qos::AtMostOnce => 0,
            Qos::AtLeastOnce => 1,
            Qos::ExactlyOnce => 2,
        },
        origin: publication.origin.to_string(),
        expires_at: publication.expires_at.map(Wall::unix_ms),
        properties: publication.properties.as_deref().map(|properties| HeadProperties {
            utf8: properties.payload_is_utf8,
            content_type: properties.content_type.clone(),
            response_topic: properties.response_topic.clone(),
            correlation_data: properties.correlation_data.as_ref().map(|data| data.to_vec()),
            user: properties.user.clone(),
        }),
    };
    // A value in memory always has a JSON form.
    let mut bytes = serde_json::to_vec(&head).unwrap_or_default();
    bytes.push(0);
    bytes.extend_from_slice(&publication.payload);
    bytes
}

/// Reads a retained value back; none where the bytes are not one.
pub(super) fn read_value(topic: &str, bytes: &[u8]) -> Option<Publication> {
    let end = bytes.iter().position(|byte| *byte == 0)?;
    let head: Head = serde_json::from_slice(&bytes[..end]).ok()?;
    Some(Publication {
        seq: 0,
        topic: Topic::parse(topic).ok()?,
        payload: Bytes::copy_from_slice(&bytes[end + 1..]),
        level: Level::Retained,
        qos: match head.qos {
            0 => Qos::AtMostOnce,
            1 => Qos::AtLeastOnce,
            _ => Qos::ExactlyOnce,
        },
        origin: read_origin(&head.origin),
        session: None,
        expires_at: head.expires_at.map(Wall::from_unix_ms),
        properties: head.properties.map(|properties| {
            Arc::new(Properties {
                payload_is_utf8: properties.utf8,
                content_type: properties.content_type,
                response_topic: properties.response_topic,
                correlation_data: properties.correlation_data.map(Bytes::from),
                user: properties.user,
            })
        }),
    })
}

fn read_origin(text: &str) -> Origin {
    match text.split_once(':') {
        Some(("web", name)) => Origin::Web(name.into()),
        Some(("mqtt", client_id)) => Origin::Mqtt(client_id.into()),
        Some(("user", name)) => Origin::User(name.into()),
        _ => Origin::Hub,
    }
}
