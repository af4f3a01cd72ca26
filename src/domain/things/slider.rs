//! The slider: a number between limits that anybody may move.
//!
//! Throttling of a drag does not belong here; whoever drags does that.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::domain::{
    control::{Control, Sending, Shape},
    rejection::{Code, Rejection},
    thing::{Effect, Thing},
    time::{Mono, Now},
    wire::{Body, Command, Fields, number},
};

/// The largest magnitude of a limit: beyond it, whole numbers would not be exact any more.
const LIMIT_MAX: f64 = 1e15;

/// The least step: values are written with at most nine decimal places.
const STEP_MIN: f64 = 1e-6;

/// How a slider is set up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The least value.
    pub min: f64,
    /// The greatest value.
    pub max: f64,
    /// The distance between two values, counted from `min`.
    pub step: f64,
    /// The value of a new slider.
    pub start: f64,
    /// What the value is counted in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { min: 0.0, max: 100.0, step: 1.0, start: 0.0, unit: None }
    }
}

impl Settings {
    /// What is wrong with the settings, each fault in one sentence.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        for (name, value) in [("min", self.min), ("max", self.max), ("step", self.step), ("start", self.start)] {
            if !value.is_finite() || value.abs() > LIMIT_MAX {
                faults.push(format!("`{name}` is {value}; a number between -1e15 and 1e15 is allowed"));
            }
        }
        if self.min >= self.max {
            faults.push(format!("`max` is {}; it must be greater than `min`, which is {}", self.max, self.min));
        }
        if self.step < STEP_MIN || self.step > self.max - self.min {
            faults.push(format!("`step` is {}; at least 1e-6 and at most `max` - `min` is allowed", self.step));
        }
        if self.start < self.min || self.start > self.max {
            faults.push(format!("`start` is {}; {} to {} is allowed", self.start, self.min, self.max));
        }
        faults
    }

    /// The nearest value that the slider can have; `value` lies within the limits.
    fn snap(&self, value: f64) -> f64 {
        let steps = ((value - self.min) / self.step).round();
        let mut snapped = (self.min + steps * self.step).min(self.max);
        if self.step.fract() != 0.0 || self.min.fract() != 0.0 {
            // Decimal steps such as 0.1 are not exact: people want to read 0.3, not 0.30000000000000004.
            snapped = (snapped * 1e9).round() / 1e9;
        }
        // Minus zero is zero.
        snapped.clamp(self.min, self.max) + 0.0
    }
}

/// A shared number.
#[derive(Debug, Clone, PartialEq)]
pub struct Slider {
    settings: Settings,
    value: f64,
}

/// A new slider at its start value.
#[must_use]
pub fn new(settings: Settings) -> Slider {
    let value = settings.snap(settings.start);
    Slider { settings, value }
}

impl Slider {
    /// Moves to `value`, or to the nearest step of it.
    fn move_to(&mut self, value: f64) -> Result<Effect, Rejection> {
        let Settings { min, max, .. } = self.settings;
        if !(min..=max).contains(&value) {
            let message = format!("{} is not between {} and {}.", number(value), number(min), number(max));
            return Err(Rejection::new(Code::OutOfRange, message));
        }
        Ok(self.settle_at(value))
    }

    /// Moves by whole steps and stops at the ends: what a rotary knob does.
    fn move_by(&mut self, steps: f64) -> Effect {
        let value = (self.value + steps * self.settings.step).clamp(self.settings.min, self.settings.max);
        self.settle_at(value)
    }

    fn settle_at(&mut self, value: f64) -> Effect {
        let value = self.settings.snap(value);
        let changed = value.to_bits() != self.value.to_bits();
        self.value = value;
        Effect { changed, ..Effect::none() }
    }
}

impl Thing for Slider {
    fn apply(&mut self, command: &Command, _now: Now) -> Result<Effect, Rejection> {
        let unknown = |verb: &str| {
            Err(Rejection::new(
                Code::UnknownCommand,
                format!(
                    "A slider takes a number, `up`, `down` or `move`, not `{}`.",
                    verb.chars().take(32).collect::<String>()
                ),
            ))
        };
        match &command.body {
            Body::Number(value) => self.move_to(*value),
            Body::Word(word) => match word.as_str() {
                "up" => Ok(self.move_by(1.0)),
                "down" => Ok(self.move_by(-1.0)),
                verb => unknown(verb),
            },
            Body::Object { action, fields } => match action.as_deref() {
                None | Some("set") => match fields.get("value").map(as_number) {
                    Some(Some(value)) => self.move_to(value),
                    _ => Err(Rejection::new(Code::Malformed, "`value` is a number.")),
                },
                Some("up") => Ok(self.move_by(1.0)),
                Some("down") => Ok(self.move_by(-1.0)),
                Some("move") => match fields.get("steps").map(as_number) {
                    Some(Some(steps)) if steps.fract() == 0.0 => Ok(self.move_by(steps)),
                    _ => Err(Rejection::new(Code::Malformed, "`steps` is a whole number.")),
                },
                Some(verb) => unknown(verb),
            },
        }
    }

    fn next_wakeup(&self) -> Option<Mono> {
        None
    }

    fn wake(&mut self, _now: Now) -> Effect {
        Effect::none()
    }

    fn state(&self, _now: Now) -> Fields {
        let fields = Fields::new()
            .with("value", number(self.value))
            .with("min", number(self.settings.min))
            .with("max", number(self.settings.max))
            .with("step", number(self.settings.step));
        match &self.settings.unit {
            Some(unit) => fields.with("unit", unit.as_str()),
            None => fields,
        }
    }

    fn restore(&mut self, state: &Map<String, Value>, _now: Now) -> Effect {
        // The limits are the configuration's; a value that they no longer allow moves to the nearest end.
        match state.get("value").and_then(as_number) {
            Some(value) => self.settle_at(value.clamp(self.settings.min, self.settings.max)),
            None => Effect::none(),
        }
    }

    fn leaves(&self) -> Vec<(&'static str, String)> {
        vec![("value", number(self.value).to_string())]
    }

    fn controls(&self) -> Vec<Control> {
        let Settings { min, max, step, ref unit, .. } = self.settings;
        vec![Control {
            id: "value",
            name: "Value",
            field: Some("value"),
            shape: Shape::Number { min, max, step, unit: unit.clone() },
            command: Some(Sending::Value { value: true }),
        }]
    }

    fn event_types(&self) -> &'static [&'static str] {
        &[]
    }
}

/// A finite number, as JSON writes it or as text (old clients send what an input field holds).
fn as_number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) if text.len() <= 32 => text.trim().parse().ok(),
        _ => None,
    }
    .filter(|number: &f64| number.is_finite())
}

#[cfg(test)]
mod tests;
