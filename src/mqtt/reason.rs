//! Reason codes (MQTT 5 §2.4), and what they are in MQTT 3.1.1, which has few.
//!
//! Which reason applies when does not belong here.

use std::fmt;

use crate::domain::rejection::Code;

/// A reason code as it stands in a packet.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Reason(pub u8);

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $code:literal,)*) => {
        impl Reason {
            $($(#[$doc])* pub const $name: Self = Self($code);)*
        }
    };
}

reasons! {
    /// Success; for DISCONNECT: normal.
    SUCCESS = 0x00,
    /// DISCONNECT, but publish the will.
    WITH_WILL = 0x04,
    /// UNSUBACK: there was no such subscription.
    NO_SUBSCRIPTION = 0x11,
    /// Anything else.
    UNSPECIFIED = 0x80,
    /// Bytes that are no packet.
    MALFORMED_PACKET = 0x81,
    /// A packet that may not come, or not now.
    PROTOCOL_ERROR = 0x82,
    /// Neither 3.1.1 nor 5.
    UNSUPPORTED_VERSION = 0x84,
    /// A client id that the hub does not take.
    CLIENT_ID_INVALID = 0x85,
    /// Wrong user name or password.
    BAD_CREDENTIALS = 0x86,
    /// Not allowed.
    NOT_AUTHORIZED = 0x87,
    /// The hub cannot serve.
    SERVER_UNAVAILABLE = 0x88,
    /// The hub has no room at the moment.
    SERVER_BUSY = 0x89,
    /// The hub is stopping.
    SHUTTING_DOWN = 0x8b,
    /// An authentication method that the hub does not have.
    BAD_AUTHENTICATION_METHOD = 0x8c,
    /// Nothing was heard for 1.5 × keep-alive.
    KEEP_ALIVE_TIMEOUT = 0x8d,
    /// Another connection uses the session now.
    SESSION_TAKEN_OVER = 0x8e,
    /// A filter that is none.
    FILTER_INVALID = 0x8f,
    /// A topic that is none, or that does not exist.
    TOPIC_INVALID = 0x90,
    /// The packet identifier is in use.
    PACKET_ID_IN_USE = 0x91,
    /// The packet identifier is not known.
    PACKET_ID_NOT_FOUND = 0x92,
    /// More unacknowledged messages than allowed.
    RECEIVE_MAXIMUM_EXCEEDED = 0x93,
    /// A topic alias of 0, above the maximum, or never set.
    TOPIC_ALIAS_INVALID = 0x94,
    /// A packet larger than allowed.
    PACKET_TOO_LARGE = 0x95,
    /// Too many messages a second.
    MESSAGE_RATE_TOO_HIGH = 0x96,
    /// A limit is reached.
    QUOTA_EXCEEDED = 0x97,
    /// An administrator ended it.
    ADMINISTRATIVE = 0x98,
    /// The payload is not the UTF-8 that it says it is.
    PAYLOAD_FORMAT_INVALID = 0x99,
}

impl Reason {
    /// Whether it says that something failed.
    #[must_use]
    pub const fn is_error(self) -> bool {
        self.0 >= 0x80
    }

    /// The CONNACK return code of MQTT 3.1.1 (§3.2.2.3) that says it best.
    #[must_use]
    pub const fn return_code(self) -> u8 {
        match self {
            Self::SUCCESS => 0,
            Self::UNSUPPORTED_VERSION => 1,
            Self::CLIENT_ID_INVALID => 2,
            Self::BAD_CREDENTIALS => 4,
            Self::NOT_AUTHORIZED => 5,
            _ => 3,
        }
    }

    /// What a publisher is told when the domain refused a publish; none where it counts as delivered, as a command does that the
    /// thing rejects: that goes out on the thing's `rejected`.
    #[must_use]
    pub const fn of_publish(code: Code) -> Option<Self> {
        match code {
            Code::UnknownRoom | Code::UnknownThing | Code::UnknownLeaf => Some(Self::TOPIC_INVALID),
            Code::OwnedTopic | Code::Forbidden => Some(Self::NOT_AUTHORIZED),
            Code::TooLarge | Code::Limit | Code::Busy | Code::Storage | Code::RateLimited => Some(Self::QUOTA_EXCEEDED),
            _ => None,
        }
    }
}

impl fmt::Debug for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#04x}", self.0)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#04x}", self.0)
    }
}
