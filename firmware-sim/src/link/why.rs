//! Why a connection ended, in words for people, and what that means for the next one.

use std::io;

use super::packet::{Malformed, Properties, Version};

/// How a connection ended.
#[derive(Debug)]
pub(super) struct End {
    pub(super) reason: String,
    pub(super) why: Why,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// The network, or the broker's own reasons.
    Other,
    /// The other side does not seem to know this version of MQTT.
    Version,
    /// Another box with the same id connected.
    TakenOver,
    /// User, password or rights.
    Refused,
    /// Nobody listens any more.
    Stopped,
}

impl Why {
    pub(super) fn because(self, reason: impl Into<String>) -> End {
        End { reason: reason.into(), why: self }
    }
}

pub(super) const SILENT: &str = "the hub does not answer any more";
const TAKEN_OVER: &str = "another box with the same id connected: give one of them another --id";
const CLOSED: &str = "the hub closed the connection";
const REFUSED: &str = "the hub refused user or password: see --user and --password-file";

/// The CONNACK's `code` (MQTT 5 §3.2.2.2; MQTT 3.1.1 §3.2.2.3), which is not zero.
pub(super) fn refused(version: Version, code: u8, properties: Properties) -> End {
    match (version, code) {
        // A broker that knows 3.1.1 only answers in its own form.
        (_, 1) | (Version::V5, 0x84) => {
            let name = if version == Version::V5 { "MQTT 5" } else { "MQTT 3.1.1" };
            Why::Version.because(format!("the broker does not know {name}"))
        }
        (_, 4 | 5) | (Version::V5, 0x86 | 0x87) => Why::Refused.because(REFUSED),
        (_, code) => Why::Other.because(match properties.reason {
            Some(said) => format!("the hub refused the connection: {said}"),
            None => format!("the hub refused the connection (code 0x{code:02x})"),
        }),
    }
}

/// A DISCONNECT from the broker (MQTT 5 §3.14.2.1).
pub(super) fn ended(code: u8, properties: Properties) -> End {
    match (code, properties.reason) {
        (0x8e, _) => Why::TakenOver.because(TAKEN_OVER),
        (_, Some(said)) => Why::Other.because(format!("the hub ended the connection: {said}")),
        (code, None) => Why::Other.because(format!("the hub ended the connection (code 0x{code:02x})")),
    }
}

/// The connection broke before (`!connected`) or after the CONNACK.
///
/// An answer that is no MQTT 5, or none but a closed connection, is what a 3.1.1 broker does. 3.1.1 is only tried after 5:
/// when that fails too, 5 gets its turn again.
pub(super) fn broke(error: &io::Error, connected: bool) -> End {
    let why = if connected || !hung_up(error) { Why::Other } else { Why::Version };
    why.because(io(error))
}

pub(super) fn malformed(malformed: Malformed, connected: bool) -> End {
    let why = if connected { Why::Other } else { Why::Version };
    why.because(format!("the other side does not speak MQTT as it should: {malformed}"))
}

/// Whether the other side ended it, with or without a word.
pub(super) fn hung_up(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(error.kind(), Kind::ConnectionAborted | Kind::ConnectionReset | Kind::UnexpectedEof | Kind::BrokenPipe)
}

/// Why the network failed.
pub(super) fn io(error: &io::Error) -> String {
    #[cfg(feature = "tls")]
    if let Some(reason) = super::tls::reason(error) {
        return reason;
    }
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "nobody listens there".to_owned(),
        _ if hung_up(error) => CLOSED.to_owned(),
        _ => error.to_string(),
    }
}
