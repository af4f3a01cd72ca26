//! The configuration: `config/box.toml`, checked.
//!
//! `raw` mirrors the file; what is here has no text that is still to be understood. Command-line flags are laid over the file
//! by [`Overrides`]; reading clocks, pins and sockets is not here.

use std::{path::PathBuf, time::Duration};

use lockstep::domain::{id::Id, things::pomodoro::Phase};

use crate::{
    command::Command,
    gesture::{Gesture, Timing},
    pattern::{Pattern, Rgb},
};

mod check;
mod keys;
mod pin;
mod raw;

pub use pin::Pin;

/// The configuration as the program comes with it.
pub const DEFAULT: &str = include_str!("../../../config/box.toml");

/// The most buttons, lights and dials of one box.
pub const PARTS_MAX: usize = 16;

/// A checked configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Where the hub is, and as whom to log in.
    pub hub: Hub,
    /// The box's own id; `None`: derived from the machine's.
    pub id: Option<Id>,
    /// The box's name for people.
    pub name: String,
    /// Which board it is.
    pub board: BoardKind,
    /// Its buttons.
    pub buttons: Vec<Button>,
    /// Its lights.
    pub lights: Vec<Light>,
    /// Its buzzer.
    pub buzzer: Option<Buzzer>,
    /// What moves a slider.
    pub dials: Vec<Dial>,
    /// The GPIO lines in general.
    pub gpio: Gpio,
    /// What the lights show.
    pub patterns: Patterns,
}

/// Which board the box has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BoardKind {
    /// A picture of the box in a terminal.
    Terminal,
    /// Words on standard input, JSON lines on standard output.
    Headless,
    /// Lines of a Linux GPIO character device.
    Gpio,
}

impl BoardKind {
    /// The word in the configuration.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Terminal => "terminal",
            Self::Headless => "headless",
            Self::Gpio => "gpio",
        }
    }
}

/// Where the hub is, and as whom to log in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hub {
    /// Where it is.
    pub address: HubAddress,
    /// The first level of its topics.
    pub root: Id,
    /// The room whose Pomodoro the box shows.
    pub room: Id,
    /// Who logs in; none: nobody.
    pub user: Option<String>,
    /// The file whose first line is the password.
    pub password_file: Option<PathBuf>,
    /// Certificate authorities in PEM; none: the system's.
    pub ca_file: Option<PathBuf>,
    /// The box's own certificate chain and its key in PEM, for a hub that asks for one.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// The MQTT keep-alive.
    pub keep_alive: Duration,
}

/// Where the hub is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HubAddress {
    /// To be found by mDNS.
    Auto,
    /// At a host and port.
    At {
        /// A name or address; an IPv6 address is in brackets.
        host: String,
        /// The port.
        port: u16,
        /// Whether by TLS.
        tls: bool,
    },
}

impl std::fmt::Display for HubAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::At { host, port, tls } => write!(f, "{}://{host}:{port}", if *tls { "mqtts" } else { "mqtt" }),
        }
    }
}

/// A button and what its gestures do.
#[derive(Debug, Clone, PartialEq)]
pub struct Button {
    /// Its name in events.
    pub name: Id,
    /// Its pin; a board without pins does not need one.
    pub pin: Option<Pin>,
    /// How long its gestures take.
    pub timing: Timing,
    commands: [Option<Command>; 4],
}

impl Button {
    /// What `gesture` does.
    pub fn command(&self, gesture: Gesture) -> Option<&Command> {
        self.commands[gesture as usize].as_ref()
    }
}

/// A light and what it shows.
#[derive(Debug, Clone, PartialEq)]
pub struct Light {
    /// Its name.
    pub name: Id,
    /// Its pins.
    pub pins: LightPins,
    /// Whether a low line lights it.
    pub active_low: bool,
    /// The patterns that it shows; empty: all.
    pub shows: Vec<LightWord>,
}

impl Light {
    /// Whether the light takes part in showing `word`.
    pub fn takes_part(&self, word: LightWord) -> bool {
        self.shows.is_empty() || self.shows.contains(&word)
    }
}

/// The pins of a light.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LightPins {
    /// A single LED.
    Single(Pin),
    /// Red, green and blue.
    Rgb([Pin; 3]),
}

impl LightPins {
    /// The pins, in order.
    pub fn all(&self) -> &[Pin] {
        match self {
            Self::Single(pin) => std::slice::from_ref(pin),
            Self::Rgb(pins) => pins,
        }
    }
}

/// A buzzer and when it sounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Buzzer {
    /// Its pin; a board without pins does not need one.
    pub pin: Option<Pin>,
    /// The patterns during which it sounds.
    pub sounds: Vec<LightWord>,
    /// One beep.
    pub on: Duration,
    /// From one beep to the next.
    pub period: Duration,
    /// It is quiet after that long; none: never.
    pub stop_after: Option<Duration>,
}

/// Something that moves a slider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dial {
    /// The slider.
    pub slider: Id,
    /// Its lines.
    pub lines: DialLines,
    /// Steps of the slider for one click.
    pub step: i32,
}

/// The lines of a [`Dial`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DialLines {
    /// A rotary encoder's two lines.
    Encoder {
        /// The first.
        a: Pin,
        /// The second.
        b: Pin,
    },
    /// Two buttons.
    Buttons {
        /// One step up.
        up: Pin,
        /// One step down.
        down: Pin,
    },
}

impl DialLines {
    /// The two pins.
    pub const fn pins(&self) -> [Pin; 2] {
        match *self {
            Self::Encoder { a, b } => [a, b],
            Self::Buttons { up, down } => [up, down],
        }
    }
}

/// What holds for all GPIO lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gpio {
    /// `auto`, a label, or a path.
    pub chip: String,
    /// The bias of input lines.
    pub pull: Pull,
    /// Whether a pressed button is low.
    pub active_low: bool,
    /// The kernel's debounce period.
    pub debounce: Duration,
}

/// The bias of an input line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pull {
    /// Towards the supply.
    Up,
    /// Towards ground.
    Down,
    /// By a resistor outside, or not at all.
    None,
}

/// What a light can have to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LightWord {
    /// A phase that is not paused.
    Phase(Phase),
    /// A paused phase.
    Paused,
    /// No connection, or no state yet.
    NoHub,
    /// A gesture did not reach the hub.
    Unsent,
    /// The hub refused a command.
    Rejected,
}

impl LightWord {
    /// Every word, in the order of `index`.
    pub const ALL: [Self; 10] = [
        Self::Phase(Phase::Idle),
        Self::Phase(Phase::Work),
        Self::Phase(Phase::BreakAlarm),
        Self::Phase(Phase::ShortBreak),
        Self::Phase(Phase::WorkAlarm),
        Self::Phase(Phase::LongBreak),
        Self::Paused,
        Self::NoHub,
        Self::Unsent,
        Self::Rejected,
    ];

    /// The word in the configuration and in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Phase(phase) => phase.as_str(),
            Self::Paused => "paused",
            Self::NoHub => "no_hub",
            Self::Unsent => "unsent",
            Self::Rejected => "rejected",
        }
    }

    const fn index(self) -> usize {
        match self {
            Self::Phase(phase) => phase.number() as usize,
            Self::Paused => 6,
            Self::NoHub => 7,
            Self::Unsent => 8,
            Self::Rejected => 9,
        }
    }
}

/// What the lights show, by word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patterns([Paint; 10]);

/// A pattern as it is configured: without a colour of its own it has the phase's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Paint {
    pattern: Pattern,
    colour: Option<Rgb>,
}

impl Patterns {
    /// The pattern for `word` while the hub is in `phase`.
    pub fn of(&self, word: LightWord, phase: Phase) -> Pattern {
        let Paint { pattern, colour } = self.0[word.index()];
        let of_phase = || self.0[LightWord::Phase(phase).index()].colour.unwrap_or(Rgb::WHITE);
        Pattern { colour: colour.unwrap_or_else(of_phase), ..pattern }
    }
}

/// What the command line says, over what the file says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `--hub`
    pub hub: Option<String>,
    /// `--root`
    pub root: Option<String>,
    /// `--room`
    pub room: Option<String>,
    /// `--id`
    pub id: Option<String>,
    /// `--user`
    pub user: Option<String>,
    /// `--password-file`
    pub password_file: Option<String>,
    /// `--ca-file`
    pub ca_file: Option<String>,
    /// `--cert-file`
    pub cert_file: Option<String>,
    /// `--key-file`
    pub key_file: Option<String>,
    /// `--board`
    pub board: Option<String>,
}

/// Why there is no configuration: one line a fault. Each names line and key of the file, or key, value and what is allowed.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct ConfigError(Vec<String>);

impl Config {
    /// Reads the text of a configuration file, lays it over the default and `overrides` over both.
    ///
    /// # Errors
    /// Tells all faults, one a line.
    pub fn parse(text: &str, overrides: &Overrides) -> Result<Self, ConfigError> {
        let mut raw = raw::merged(text).map_err(ConfigError)?;
        raw.overlay(overrides);
        check::check(raw).map_err(ConfigError)
    }
}

#[cfg(test)]
mod tests;
