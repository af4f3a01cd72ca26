//! Who somebody is on HTTP, and what follows from it.
//!
//! How passwords and tokens are checked does not belong here; that is the policy.

use std::sync::Arc;

use crate::domain::{
    origin::Origin,
    topic::{Filter, Topic},
};

/// What a person or a script may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Reads.
    Viewer,
    /// Also sends commands.
    Member,
    /// Also makes rooms and users.
    Admin,
}

impl Role {
    /// The role as it is sent.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Member => "member",
            Self::Admin => "admin",
        }
    }
}

/// Somebody, with their rights. Cheap to clone; equal rights compare equal, whoever has them.
#[derive(Debug, Clone)]
pub(in crate::http) struct Access {
    pub(in crate::http) user: Option<Arc<str>>,
    pub(in crate::http) rights: Rights,
}

/// What somebody may receive and publish. Browsers with equal rights share what is framed for them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::http) struct Rights {
    role: Role,
}

impl Rights {
    pub(in crate::http) const fn of_role(role: Role) -> Self {
        Self { role }
    }

    pub(in crate::http) const fn role(&self) -> Role {
        self.role
    }

    pub(in crate::http) fn may_receive(&self, _topic: &Topic) -> bool {
        true
    }

    pub(in crate::http) fn may_subscribe(&self, _filter: &Filter) -> bool {
        true
    }

    pub(in crate::http) fn may_publish(&self, _topic: &Topic) -> bool {
        self.role >= Role::Member
    }
}

impl Access {
    /// Who a publish of a script is by.
    pub(in crate::http) fn origin(&self) -> Origin {
        self.user.clone().map_or_else(|| Origin::Web("http".into()), Origin::User)
    }
}
