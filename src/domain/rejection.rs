//! Why a command did nothing, or a publish was not taken: a closed list of stable codes.
//!
//! Faults of the hub's own surroundings do not belong here, but for the two that a sender must know: no room and no disk.

use serde::{Deserialize, Serialize};

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $code:literal,)*) => {
        /// The stable code of a rejection.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Code {
            $($(#[$doc])* $variant,)*
        }

        impl Code {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The code as it is sent.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code),* }
            }
        }
    };
}

codes! {
    /// The payload is not what the topic takes.
    Malformed = "malformed",
    /// A verb that this kind does not have.
    UnknownCommand = "unknown_command",
    /// A number outside its limits.
    OutOfRange = "out_of_range",
    /// A press so soon after a phase began that it was meant for the phase before.
    TooSoon = "too_soon",
    /// A press that the configuration turned off.
    Ignored = "ignored",
    /// «Timer already started».
    AlreadyStarted = "already_started",
    /// «Timer already stopped».
    AlreadyStopped = "already_stopped",
    /// There is no running phase to do that to.
    NotRunning = "not_running",
    /// There is nothing to resume.
    NotPaused = "not_paused",
    /// The sender knew another revision than the current one.
    Stale = "stale",
    /// Too much is under way; later it will do.
    Busy = "busy",
    /// The disk refuses, so nothing that must last is taken.
    Storage = "storage",
    /// No such room.
    UnknownRoom = "unknown_room",
    /// No such thing in the room.
    UnknownThing = "unknown_thing",
    /// No such leaf of the thing.
    UnknownLeaf = "unknown_leaf",
    /// The hub alone publishes there.
    OwnedTopic = "owned_topic",
    /// The sender may not do that.
    Forbidden = "forbidden",
    /// The message is too large.
    TooLarge = "too_large",
    /// Too many messages in too short a time.
    RateLimited = "rate_limited",
    /// A limit of the hub is reached.
    Limit = "limit",
}

/// Why a command did nothing: a stable code and one sentence for people.
#[derive(Debug, Clone, PartialEq, Eq, Hash, thiserror::Error)]
#[error("{message}")]
pub struct Rejection {
    /// What a program goes by.
    pub code: Code,
    /// What a person reads.
    pub message: String,
}

impl Rejection {
    /// A rejection with `code` and the sentence `message`.
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}
