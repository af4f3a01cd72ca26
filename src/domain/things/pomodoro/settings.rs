//! The Pomodoro's settings: their limits, and how `setup` and `configure` change them.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Phase;
use crate::domain::{
    rejection::{Code, Rejection},
    wire::Fields,
};

/// The longest duration that can be set, in seconds.
const DURATION_SECONDS_MAX: u32 = 86_400;
/// The most cycles that can be set.
const CYCLES_MAX: u32 = 100;
/// The longest press guard that can be configured, in milliseconds.
const PRESS_GUARD_MS_MAX: u32 = 60_000;

/// What a press does while a phase runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhileRunning {
    /// It pauses the timer.
    #[default]
    Pause,
    /// Nothing.
    Ignore,
}

impl WhileRunning {
    /// The words.
    pub(super) const WORDS: [&'static str; 2] = ["pause", "ignore"];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Ignore => "ignore",
        }
    }
}

/// How a Pomodoro is set up. Durations are whole seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// A work period, 1 to 86,400 s.
    pub work_duration: u32,
    /// A short break, 1 to 86,400 s.
    pub break_duration: u32,
    /// The long break, 0 to 86,400 s; 0 lasts until somebody presses.
    pub long_break_duration: u32,
    /// How many short breaks a round has before the long one, 1 to 100.
    pub number_cycles: u32,
    /// Whether the two alarms are skipped.
    pub auto_start: bool,
    /// What a press does while a phase runs.
    pub press_while_running: WhileRunning,
    /// How long after the beginning of a phase a press cannot pause it, in milliseconds.
    pub press_guard_ms: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            work_duration: 1500,
            break_duration: 300,
            long_break_duration: 900,
            number_cycles: 3,
            auto_start: false,
            press_while_running: WhileRunning::Pause,
            press_guard_ms: 1000,
        }
    }
}

impl Settings {
    /// What is wrong with the settings, each fault in one sentence.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        [
            ("work_duration", self.work_duration, 1, DURATION_SECONDS_MAX),
            ("break_duration", self.break_duration, 1, DURATION_SECONDS_MAX),
            ("long_break_duration", self.long_break_duration, 0, DURATION_SECONDS_MAX),
            ("number_cycles", self.number_cycles, 1, CYCLES_MAX),
            ("press_guard_ms", self.press_guard_ms, 0, PRESS_GUARD_MS_MAX),
        ]
        .into_iter()
        .filter(|(_, value, min, max)| !(min..=max).contains(&value))
        .map(|(name, value, min, max)| format!("`{name}` is {value}; {min} to {max} is allowed"))
        .collect()
    }

    /// How long `phase` is; none where it is not timed.
    pub(super) fn duration_of(&self, phase: Phase) -> Option<Duration> {
        let seconds = match phase {
            Phase::Work => self.work_duration,
            Phase::ShortBreak => self.break_duration,
            Phase::LongBreak if self.long_break_duration > 0 => self.long_break_duration,
            _ => return None,
        };
        Some(Duration::from_secs(seconds.into()))
    }

    /// These settings with the changes that `fields` ask for. Missing and null fields keep their value.
    ///
    /// # Errors
    /// One bad field rejects them all, `out_of_range` for a number outside its limits, else `malformed`. So does a field that
    /// does not exist: a typo must not look like success.
    pub(super) fn changed_by(&self, fields: &Map<String, Value>) -> Result<Self, Rejection> {
        let mut settings = self.clone();
        for (name, value) in fields.iter().filter(|(_, value)| !value.is_null()) {
            match name.as_str() {
                "work_duration" => settings.work_duration = whole(name, value, 1, DURATION_SECONDS_MAX)?,
                "break_duration" => settings.break_duration = whole(name, value, 1, DURATION_SECONDS_MAX)?,
                "long_break_duration" => settings.long_break_duration = whole(name, value, 0, DURATION_SECONDS_MAX)?,
                "number_cycles" => settings.number_cycles = whole(name, value, 1, CYCLES_MAX)?,
                "auto_start" => {
                    settings.auto_start =
                        value.as_bool().ok_or_else(|| malformed("`auto_start` is true or false.".to_owned()))?;
                }
                "press_while_running" => {
                    settings.press_while_running = match value.as_str() {
                        Some("pause") => WhileRunning::Pause,
                        Some("ignore") => WhileRunning::Ignore,
                        _ => return Err(malformed("`press_while_running` is \"pause\" or \"ignore\".".to_owned())),
                    }
                }
                _ => {
                    let name: String = name.chars().take(32).collect();
                    return Err(malformed(format!("`{name}` is no setting of a Pomodoro.")));
                }
            }
        }
        Ok(settings)
    }

    /// `fields` and the settings that a state shows.
    pub(super) fn write(&self, fields: Fields) -> Fields {
        fields
            .with("work_duration", self.work_duration)
            .with("break_duration", self.break_duration)
            .with("long_break_duration", self.long_break_duration)
            .with("number_cycles", self.number_cycles)
            .with("auto_start", self.auto_start)
            .with("press_while_running", self.press_while_running.as_str())
    }

    /// Takes over the settings of a state that was read back, each by itself: what cannot be used keeps its value.
    pub(super) fn restore(&mut self, state: &Map<String, Value>) {
        for name in [
            "work_duration",
            "break_duration",
            "long_break_duration",
            "number_cycles",
            "auto_start",
            "press_while_running",
        ] {
            if let Some(value) = state.get(name)
                && let Ok(settings) = self.changed_by(&Map::from_iter([(name.to_owned(), value.clone())]))
            {
                *self = settings;
            }
        }
    }
}

/// The whole number of seconds in `fields` under `name`; none where it is missing or null.
///
/// # Errors
/// `malformed` for what is no number, `out_of_range` for a number that is fractional, negative or huge.
pub(super) fn seconds(fields: &Map<String, Value>, name: &str) -> Result<Option<u64>, Rejection> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => whole(name, value, 0, u32::MAX).map(|seconds| Some(seconds.into())),
    }
}

fn whole(name: &str, value: &Value, min: u32, max: u32) -> Result<u32, Rejection> {
    let number = value.as_f64().filter(|_| value.is_number());
    let number = number.ok_or_else(|| malformed(format!("`{name}` is a whole number.")))?;
    if number.fract() == 0.0 && number >= f64::from(min) && number <= f64::from(max) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is whole and within u32")]
        let whole = number as u32;
        Ok(whole)
    } else {
        Err(Rejection::new(Code::OutOfRange, format!("`{name}` is a whole number from {min} to {max}.")))
    }
}

fn malformed(message: String) -> Rejection {
    Rejection::new(Code::Malformed, message)
}
