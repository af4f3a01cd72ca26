//! Who caused something.
//!
//! Whether they were allowed to does not belong here; that is decided before an input reaches the domain.

use std::{fmt, sync::Arc};

/// Who caused a publication; shown as `web:anna`, `mqtt:box-1`, `user:anna` or `hub`. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// A browser, by the name that its person chose.
    Web(Arc<str>),
    /// An MQTT client, by its client id.
    Mqtt(Arc<str>),
    /// Somebody who logged in, by user name.
    User(Arc<str>),
    /// The hub itself: a timer that ended, a start.
    Hub,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Web(name) => write!(f, "web:{name}"),
            Self::Mqtt(client_id) => write!(f, "mqtt:{client_id}"),
            Self::User(name) => write!(f, "user:{name}"),
            Self::Hub => f.write_str("hub"),
        }
    }
}
