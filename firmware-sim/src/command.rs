//! What a gesture does: a command of the configuration, and its payload on the wire.
//!
//! What a verb means is the hub's business, and is not here.

use std::fmt;

use lockstep::domain::{id::Id, things::pomodoro::EXTEND_SECONDS_MAX};
use serde_json::{Value, json};

/// The thing that verbs without a thing are for.
pub const POMODORO: &str = "pomodoro";

/// The most steps that one command may move a slider.
pub const STEPS_MAX: i32 = 1_000_000;

/// The verbs of the Pomodoro that need nothing else.
const VERBS: [&str; 7] = ["press", "start", "stop", "pause", "resume", "skip", "reset"];

/// A command that a gesture sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// A verb of the Pomodoro.
    Verb(&'static str),
    /// Lengthens the Pomodoro's running phase, in seconds.
    Extend(u64),
    /// Moves a slider by steps.
    Move {
        /// The slider.
        slider: Id,
        /// How many of its steps; negative is down.
        steps: i32,
    },
}

impl Command {
    /// Parses a command of the configuration; `None` for the empty text.
    ///
    /// # Errors
    /// A sentence that says what is allowed.
    pub fn parse(text: &str) -> Result<Option<Self>, String> {
        let wrong =
            || format!("{text:?} is no command: {}, \"extend 60\", \"slider1 +5\" and \"\" are", VERBS.join(", "));
        let mut words = text.split_whitespace();
        let (first, second) = (words.next(), words.next());
        if words.next().is_some() {
            return Err(wrong());
        }
        match (first, second) {
            (None, _) => Ok(None),
            (Some("extend"), Some(seconds)) => match seconds.parse() {
                Ok(seconds) if (1..=EXTEND_SECONDS_MAX).contains(&seconds) => Ok(Some(Self::Extend(seconds))),
                _ => Err(format!("{text:?}: extend takes 1 to {EXTEND_SECONDS_MAX} seconds")),
            },
            (Some(verb), None) => {
                VERBS.iter().find(|known| **known == verb).map(|known| Some(Self::Verb(known))).ok_or_else(wrong)
            }
            (Some(slider), Some(steps)) => {
                let slider = slider.parse().map_err(|_| wrong())?;
                let steps: i32 = steps.parse().map_err(|_| wrong())?;
                if steps == 0 || !(-STEPS_MAX..=STEPS_MAX).contains(&steps) {
                    return Err(format!("{text:?}: a slider moves by 1 to {STEPS_MAX} steps, up or down"));
                }
                Ok(Some(Self::Move { slider, steps }))
            }
        }
    }

    /// The thing in the room that it is for.
    pub fn thing(&self) -> &str {
        match self {
            Self::Verb(_) | Self::Extend(_) => POMODORO,
            Self::Move { slider, .. } => slider.as_str(),
        }
    }

    /// The payload for the thing's `set`, named `reference` so that its rejection can be told from others'.
    pub fn payload(&self, reference: &str) -> Value {
        match self {
            Self::Verb(verb) => json!({"action": verb, "ref": reference}),
            Self::Extend(seconds) => json!({"action": "extend", "seconds": seconds, "ref": reference}),
            Self::Move { steps, .. } => json!({"action": "move", "steps": steps, "ref": reference}),
        }
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Verb(verb) => f.write_str(verb),
            Self::Extend(seconds) => write!(f, "extend {seconds}"),
            Self::Move { slider, steps } => write!(f, "{slider} {steps:+}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use lockstep::domain::wire;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_commands_of_the_configuration() {
        assert_eq!(Command::parse(""), Ok(None));
        assert_eq!(Command::parse(" press "), Ok(Some(Command::Verb("press"))));
        assert_eq!(Command::parse("extend 60"), Ok(Some(Command::Extend(60))));
        let slider = "slider1".parse().unwrap();
        assert_eq!(Command::parse("slider1 -5"), Ok(Some(Command::Move { slider, steps: -5 })));
        for wrong in ["pres", "extend 0", "extend 3601", "extend x", "slider1 0", "Slider +1", "a b c", "extend"] {
            assert!(Command::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_hub_reads_every_command() {
        for text in VERBS.iter().copied().chain(["extend 60", "slider1 +5"]) {
            let command = Command::parse(text).unwrap().unwrap();
            assert_eq!(command.to_string(), text);
            let read = wire::Command::parse(command.payload("r1").to_string().as_bytes()).unwrap();
            assert_eq!(read.reference.as_deref(), Some("r1"));
            let wire::Body::Object { action: Some(_), .. } = read.body else { panic!("{read:?}") };
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in ".{0,40}") {
            if let Ok(Some(command)) = Command::parse(&text) {
                prop_assert_eq!(Command::parse(&command.to_string()), Ok(Some(command)));
            }
        }
    }
}
