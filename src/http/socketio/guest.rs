//! Who is behind a session, and what they may do.
//!
//! How that is found out does not belong here: whoever starts the edge says how requests are admitted.

use std::{fmt, sync::Arc};

use axum::http::{StatusCode, request::Parts};

use crate::domain::{origin::Origin, topic::Topic};

/// What somebody may do, asked anew each time, so that a change of rights works at once.
pub trait Rights: Send + Sync + fmt::Debug {
    /// Whether they may publish to `topic`.
    fn may_publish(&self, topic: &Topic) -> bool;

    /// Whether they may read `topic`.
    fn may_receive(&self, topic: &Topic) -> bool;
}

/// Somebody who was admitted. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Guest {
    /// Who causes what their commands change.
    pub origin: Origin,
    /// What they may do.
    pub rights: Arc<dyn Rights>,
}

/// Why somebody was not admitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denied {
    /// The HTTP status of the refusal.
    pub status: StatusCode,
    /// One sentence for people.
    pub message: String,
}

/// Decides from the head of the request that opens a session who it is. Called once a session.
pub type Admit = Arc<dyn Fn(&Parts) -> Result<Guest, Denied> + Send + Sync>;

/// What `?name=` may have at most, in characters.
const NAME_CHARS_MAX: usize = 64;

/// What somebody is called who gives no name.
const NAMELESS: &str = "socket.io";

/// Admits everybody to everything, by the name in `?name=`: for a hub on loopback alone.
#[must_use]
pub fn admit_everybody() -> Admit {
    Arc::new(|parts| Ok(Guest { origin: Origin::Web(name(parts).into()), rights: Arc::new(Everything) }))
}

/// The name that the client gives in `?name=`.
#[must_use]
pub fn name(parts: &Parts) -> String {
    query(parts, "name")
        .map(|name| name.chars().filter(|c| !c.is_control()).take(NAME_CHARS_MAX).collect::<String>())
        .filter(|name| !name.trim().is_empty())
        .unwrap_or_else(|| NAMELESS.to_owned())
}

/// The first value of `key` in the query, decoded.
pub(super) fn query(parts: &Parts, key: &str) -> Option<String> {
    let pairs = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(&parts.uri).ok()?;
    pairs.0.into_iter().find(|(name, _)| name == key).map(|(_, value)| value)
}

#[derive(Debug)]
struct Everything;

impl Rights for Everything {
    fn may_publish(&self, _topic: &Topic) -> bool {
        true
    }

    fn may_receive(&self, _topic: &Topic) -> bool {
        true
    }
}
