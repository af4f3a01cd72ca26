//! Who is behind a session, and what they may do.
//!
//! How that is found out does not belong here: the HTTP side knows it from the request that opens the session.

use axum::http::request::Parts;

use crate::{
    domain::{origin::Origin, topic::Topic},
    http::access::Access,
    policy::Identity,
};

/// What `?name=` may have at most, in characters.
const NAME_CHARS_MAX: usize = 40;

/// What somebody is called who gives no name.
const NAMELESS: &str = "Socket.IO";

/// Somebody who was admitted. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Guest {
    /// Who causes what their commands change.
    pub(super) origin: Origin,
    /// What they go by among the people of the room.
    pub(super) name: String,
    identity: Identity,
}

impl Guest {
    /// The one who opens a session with `parts`, and has `access`.
    pub(super) fn new(access: Access, parts: &Parts) -> Self {
        let given = query(parts, "name")
            .map(|name| name.chars().filter(|c| !c.is_control()).take(NAME_CHARS_MAX).collect::<String>())
            .filter(|name| !name.trim().is_empty());
        let name = given.or_else(|| access.identity.user().map(str::to_owned)).unwrap_or_else(|| NAMELESS.to_owned());
        let origin = match access.user() {
            Some(user) => Origin::User(user),
            None => Origin::Web(name.as_str().into()),
        };
        Self { origin, name, identity: access.identity }
    }

    pub(super) fn may_publish(&self, topic: &Topic) -> bool {
        self.identity.may_publish(topic)
    }

    pub(super) fn may_receive(&self, topic: &Topic) -> bool {
        self.identity.may_receive(topic.as_str())
    }
}

/// The first value of `key` in the query, decoded.
pub(super) fn query(parts: &Parts, key: &str) -> Option<String> {
    let pairs = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(&parts.uri).ok()?;
    pairs.0.into_iter().find(|(name, _)| name == key).map(|(_, value)| value)
}
