//! Somebody, with what they may do.
//!
//! Files do not belong here: the rules come resolved.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};

use super::acl::{Rule, covers};
use crate::domain::{
    id::Id,
    topic::{Filter, Topic},
};

/// What somebody may do before any rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Reads everything.
    Viewer,
    /// Reads everything and moves things.
    Member,
    /// A member that also speaks for itself below `device/<own id>/`, and publishes to free topics.
    Device,
    /// Everything, rooms and users too.
    Admin,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Member, Self::Device, Self::Admin];

    /// The role's word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Member => "member",
            Self::Device => "device",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == word)
            .ok_or_else(|| format!("`{word}` is no role: viewer, member, device and admin are"))
    }
}

/// What somebody may receive. Two with equal rights may share what was made for one of them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct ReadRights {
    denied: Arc<[Filter]>,
    /// Nothing but this; none: everything.
    only: Option<Arc<[Filter]>>,
}

impl ReadRights {
    /// Whether a message of `topic` may be delivered.
    #[must_use]
    pub fn may_receive(&self, topic: &str) -> bool {
        let matched = |filters: &[Filter]| filters.iter().any(|filter| filter.matches(topic));
        !matched(&self.denied) && self.only.as_deref().is_none_or(matched)
    }

    /// Whether everything may be delivered, so that nobody has to ask.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.denied.is_empty() && self.only.is_none()
    }
}

/// Somebody who was let in. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Identity(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    user: Option<Arc<str>>,
    client_id: Option<Arc<str>>,
    role: Role,
    root: Id,
    read: ReadRights,
    write_denied: Vec<Filter>,
    write_allowed: Vec<Filter>,
    /// The only room of a guest.
    room: Option<Id>,
}

impl Identity {
    pub(super) fn new(root: &Id, user: Option<&str>, role: Role, client_id: Option<&str>, rules: Vec<Rule>) -> Self {
        let (mut read_denied, mut write_denied, mut write_allowed) = (Vec::new(), Vec::new(), Vec::new());
        for rule in rules {
            if rule.deny {
                read_denied.push(rule.filter.clone());
                write_denied.push(rule.filter);
            } else if rule.write {
                write_allowed.push(rule.filter);
            }
        }
        Self(Arc::new(Inner {
            user: user.map(Into::into),
            client_id: client_id.map(Into::into),
            role,
            root: root.clone(),
            read: ReadRights { denied: read_denied.into(), only: None },
            write_denied,
            write_allowed,
            room: None,
        }))
    }

    /// The same, bound to one room: sees it and what the hub says of itself, and moves nothing elsewhere.
    pub(super) fn in_room(self, room: &Id) -> Self {
        let Inner { user, client_id, role, root, read, write_denied, .. } = &*self.0;
        let own = [format!("{root}/{room}/#"), format!("{root}/hub/#")];
        let only = own.iter().filter_map(|filter| Filter::parse(filter).ok()).collect();
        Self(Arc::new(Inner {
            user: user.clone(),
            client_id: client_id.clone(),
            role: *role,
            root: root.clone(),
            read: ReadRights { denied: Arc::clone(&read.denied), only: Some(only) },
            write_denied: write_denied.clone(),
            // A rule for everybody opens no door to somebody whose name nobody knows.
            write_allowed: Vec::new(),
            room: Some(room.clone()),
        }))
    }

    /// The only room of a guest; none for everybody else.
    #[must_use]
    pub fn room(&self) -> Option<&Id> {
        self.0.room.as_ref()
    }

    /// The user name; none for somebody without a user.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.0.user.as_deref()
    }

    /// The MQTT client id, where there is one.
    #[must_use]
    pub fn client_id(&self) -> Option<&str> {
        self.0.client_id.as_deref()
    }

    /// The role.
    #[must_use]
    pub fn role(&self) -> Role {
        self.0.role
    }

    /// What may be received, to compare with somebody else's.
    #[must_use]
    pub fn read_rights(&self) -> &ReadRights {
        &self.0.read
    }

    /// Whether rooms and users may be changed.
    #[must_use]
    pub fn may_administer(&self) -> bool {
        self.0.role == Role::Admin
    }

    /// Whether things may be moved at all.
    #[must_use]
    pub fn may_move_things(&self) -> bool {
        self.0.role != Role::Viewer
    }

    /// Whether a message of `topic` may be delivered.
    #[must_use]
    pub fn may_receive(&self, topic: &str) -> bool {
        self.0.read.may_receive(topic)
    }

    /// Whether `filter` may be subscribed to. Wider filters than what is denied are allowed; delivery leaves out what is denied.
    #[must_use]
    pub fn may_subscribe(&self, filter: &Filter) -> bool {
        !self.0.read.denied.iter().any(|denied| covers(denied, filter))
    }

    /// Whether `topic` may be published to.
    #[must_use]
    pub fn may_publish(&self, topic: &Topic) -> bool {
        let text = topic.as_str();
        let matched = |filters: &[Filter]| filters.iter().any(|filter| filter.matches(text));
        !matched(&self.0.write_denied) && (self.role_may_publish(text) || matched(&self.0.write_allowed))
    }

    fn role_may_publish(&self, topic: &str) -> bool {
        let mut levels = topic.split('/');
        let below_root = levels.next() == Some(self.0.root.as_str());
        let first = levels.next();
        let here = self.0.room.as_ref().is_none_or(|room| first == Some(room.as_str()));
        let is_set = below_root && here && !matches!(first, Some("hub" | "device")) && topic.ends_with("/set");
        match self.0.role {
            Role::Viewer => false,
            Role::Member => is_set,
            Role::Device => {
                let own = below_root && first == Some("device") && {
                    let id = levels.next();
                    id.is_some() && (id == self.user() || id == self.client_id())
                };
                is_set || own || !(below_root || topic.starts_with('$'))
            }
            Role::Admin => true,
        }
    }
}
