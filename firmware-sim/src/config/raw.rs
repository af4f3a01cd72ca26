//! The configuration as the file says it: types, no meaning.

use serde::Deserialize;

use super::{DEFAULT, Overrides};

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Raw {
    pub(super) hub: RawHub,
    #[serde(rename = "box")]
    pub(super) own: RawBox,
    pub(super) gestures: RawGestures,
    pub(super) button: Vec<RawButton>,
    pub(super) light: Vec<RawLight>,
    pub(super) buzzer: RawBuzzer,
    pub(super) dial: Vec<RawDial>,
    pub(super) gpio: RawGpio,
    pub(super) patterns: RawPatterns,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawHub {
    pub(super) url: String,
    pub(super) root: String,
    pub(super) room: String,
    pub(super) user: String,
    pub(super) password_file: String,
    pub(super) ca_file: String,
    pub(super) keep_alive_s: i64,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawBox {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) board: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawGestures {
    pub(super) long_press_ms: i64,
    pub(super) double_window_ms: i64,
}

/// A pin: `17` or a text.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub(super) enum RawPin {
    Line(i64),
    Text(String),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawButton {
    pub(super) name: String,
    pub(super) pin: Option<RawPin>,
    #[serde(default)]
    pub(super) short_press: String,
    #[serde(default)]
    pub(super) double_press: String,
    #[serde(default)]
    pub(super) long_press: String,
    #[serde(default)]
    pub(super) long_release: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLight {
    pub(super) name: String,
    pub(super) pin: Option<RawPin>,
    pub(super) red: Option<RawPin>,
    pub(super) green: Option<RawPin>,
    pub(super) blue: Option<RawPin>,
    #[serde(default)]
    pub(super) active_low: bool,
    #[serde(default)]
    pub(super) shows: Vec<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawBuzzer {
    pub(super) pin: Option<RawPin>,
    pub(super) sounds: Vec<String>,
    pub(super) on_ms: i64,
    pub(super) period_ms: i64,
    pub(super) stop_after_s: i64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawDial {
    pub(super) slider: String,
    pub(super) a: Option<RawPin>,
    pub(super) b: Option<RawPin>,
    pub(super) up: Option<RawPin>,
    pub(super) down: Option<RawPin>,
    #[serde(default = "one")]
    pub(super) step: i64,
}

const fn one() -> i64 {
    1
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawGpio {
    pub(super) chip: String,
    pub(super) pull: String,
    pub(super) active_low: bool,
    pub(super) debounce_ms: i64,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawPattern {
    pub(super) colour: String,
    pub(super) mode: String,
    pub(super) period_ms: Option<i64>,
    pub(super) flashes: Option<i64>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawPatterns {
    pub(super) idle: RawPattern,
    pub(super) work: RawPattern,
    pub(super) break_alarm: RawPattern,
    pub(super) short_break: RawPattern,
    pub(super) work_alarm: RawPattern,
    pub(super) long_break: RawPattern,
    pub(super) paused: RawPattern,
    pub(super) no_hub: RawPattern,
    pub(super) unsent: RawPattern,
    pub(super) rejected: RawPattern,
}

impl RawPatterns {
    /// The patterns in the order of [`LightWord::ALL`](super::LightWord::ALL).
    pub(super) const fn all(&self) -> [&RawPattern; 10] {
        [
            &self.idle,
            &self.work,
            &self.break_alarm,
            &self.short_break,
            &self.work_alarm,
            &self.long_break,
            &self.paused,
            &self.no_hub,
            &self.unsent,
            &self.rejected,
        ]
    }
}

impl Raw {
    pub(super) fn overlay(&mut self, overrides: &Overrides) {
        let Overrides { hub, root, room, id, user, password_file, ca_file, board } = overrides.clone();
        let lay = |value: Option<String>, over: &mut String| {
            if let Some(value) = value {
                *over = value;
            }
        };
        lay(hub, &mut self.hub.url);
        lay(root, &mut self.hub.root);
        lay(room, &mut self.hub.room);
        lay(id, &mut self.own.id);
        lay(user, &mut self.hub.user);
        lay(password_file, &mut self.hub.password_file);
        lay(ca_file, &mut self.hub.ca_file);
        lay(board, &mut self.own.board);
    }
}

/// The text laid over the default: tables key by key, lists as a whole.
pub(super) fn merged(text: &str) -> Result<Raw, String> {
    // By itself first, so that a fault is told with the line where it stands.
    toml::from_str::<Raw>(text).map_err(|e| told(&e, text))?;
    let read = |text: &str| toml::from_str::<toml::Table>(text).map_err(|e| told(&e, text));
    let mut table = read(DEFAULT)?;
    lay_over(&mut table, read(text)?);
    table.try_into().map_err(|e: toml::de::Error| e.message().to_owned())
}

fn lay_over(table: &mut toml::Table, over: toml::Table) {
    for (key, value) in over {
        match (table.get_mut(&key), value) {
            (Some(toml::Value::Table(under)), toml::Value::Table(over)) => lay_over(under, over),
            (_, value) => {
                table.insert(key, value);
            }
        }
    }
}

/// A fault as one line.
fn told(error: &toml::de::Error, text: &str) -> String {
    let line = error.span().map(|span| text.bytes().take(span.start).filter(|&b| b == b'\n').count() + 1);
    let message = error.message().replace('\n', ", ");
    line.map_or_else(|| message.clone(), |line| format!("line {line}: {message}"))
}
