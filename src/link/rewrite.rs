//! Payloads that name topics, for a far side where the root is another one.
//!
//! What is mirrored does not belong here.

use bytes::Bytes;
use serde_json::Value;

use crate::domain::{id::Id, topic::Topic};

/// `hub/info` with the root that the far side knows.
pub(super) fn info(payload: Bytes, far_root: &Topic) -> Bytes {
    let Ok(mut info) = serde_json::from_slice::<Value>(&payload) else { return payload };
    if info["root"] == far_root.as_str() || !info.is_object() {
        return payload;
    }
    info["root"] = far_root.as_str().into();
    info.to_string().into()
}

/// A discovery document with the topics of the far side. What reads the broker's own `$SYS` goes: that broker is another one.
pub(super) fn document(payload: Bytes, root: &Id, far_root: &Topic) -> Bytes {
    let Ok(mut document) = serde_json::from_slice::<Value>(&payload) else { return payload };
    if let Some(components) = document.get_mut("components").and_then(Value::as_object_mut) {
        let of_broker = |component: &Value| {
            component.get("state_topic").and_then(Value::as_str).is_some_and(|topic| topic.starts_with("$SYS/"))
        };
        components.retain(|_, component| !of_broker(component));
    }
    if root.as_str() != far_root.as_str() {
        rename_topics(&mut document, root.as_str(), far_root.as_str());
    }
    document.to_string().into()
}

fn rename_topics(value: &mut Value, root: &str, far_root: &str) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(topic) if name.ends_with("topic") => {
                        if let Some(rest) = topic.strip_prefix(root).filter(|rest| rest.starts_with('/')) {
                            *topic = format!("{far_root}{rest}");
                        }
                    }
                    _ => rename_topics(value, root, far_root),
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| rename_topics(value, root, far_root)),
        _ => {}
    }
}
