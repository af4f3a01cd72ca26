//! What the agent tells about itself: the lines of the headless board, the log of the others.

use lockstep::domain::id::Id;
use serde::Serialize;

use super::{Connection, PhaseView};
use crate::{gesture::Gesture, pattern::Mode};

/// One thing that happened, one line of JSON.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Report {
    /// The box runs.
    Start {
        /// Its id.
        id: Id,
        /// Where it looks for the hub.
        hub: String,
        /// The room that it shows.
        room: Id,
        /// Its board.
        board: &'static str,
        /// The program's version.
        version: &'static str,
    },
    /// The connection changed.
    Connection {
        /// How it is now.
        connection: Connection,
        /// The MQTT version, 4 for 3.1.1, where there is a connection.
        #[serde(skip_serializing_if = "Option::is_none")]
        protocol: Option<u8>,
        /// Why there is none.
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// The light changed.
    Light {
        /// The pattern's word, or `pressed` for the short acknowledgement of a press.
        light: &'static str,
        /// How it moves.
        mode: &'static str,
        /// Its colour, `#rrggbb`; an acknowledgement turns whatever there is over.
        #[serde(skip_serializing_if = "Option::is_none")]
        colour: Option<String>,
    },
    /// The hub's state changed.
    Phase(PhaseView),
    /// The countdown changed.
    Remaining {
        /// `00:24:59`
        remaining: String,
    },
    /// A finger did something.
    Gesture {
        /// The button.
        button: Id,
        /// What.
        event_type: Gesture,
    },
    /// A gesture's command went out, or could not.
    Command {
        /// Its own name, which a rejection repeats; none when it was not sent.
        #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
        reference: Option<String>,
        /// The thing.
        thing: String,
        /// The command as configured.
        command: String,
        /// Whether it went out. What did not is not sent later.
        sent: bool,
    },
    /// What became of a command.
    Outcome {
        /// The command's own name.
        #[serde(rename = "ref")]
        reference: String,
        /// What became of it.
        outcome: Outcome,
        /// Why not: the hub's stable code.
        #[serde(skip_serializing_if = "Option::is_none")]
        code: Option<String>,
        /// Why not, for people.
        #[serde(skip_serializing_if = "Option::is_none")]
        message: Option<String>,
    },
    /// Something for whoever set the box up.
    Notice {
        /// One sentence.
        message: String,
    },
}

/// What became of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The hub has it.
    Delivered,
    /// The hub refused it.
    Rejected,
    /// Nobody knows: the connection ended first.
    Lost,
}

impl Mode {
    /// The word in the configuration.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Solid => "solid",
            Self::Blink => "blink",
            Self::Breathe => "breathe",
            Self::Flash(_) => "flash",
        }
    }
}
