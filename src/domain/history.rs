//! Finished phases as they are kept and told: one [`HistoryEntry`] each, asked for in pages.
//!
//! When a phase is over does not belong here (that is the thing's), nor where entries are kept.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{hub::Record, time::millis};

/// How a phase came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Time was up.
    Completed,
    /// Somebody ended it before.
    BrokenOff,
}

impl Outcome {
    /// The outcome's word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::BrokenOff => "broken_off",
        }
    }
}

/// A finished phase.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HistoryEntry {
    /// The room's id.
    pub room: String,
    /// The thing's id.
    pub thing: String,
    /// Which phase.
    pub phase: String,
    /// When it began, in Unix milliseconds.
    pub started_at: i64,
    /// When it was over, in Unix milliseconds.
    pub ended_at: i64,
    /// How long it should have been.
    pub planned_seconds: f64,
    /// How long it ran, pauses apart.
    pub actual_seconds: f64,
    /// How it ended.
    pub outcome: Outcome,
    /// Who ended it; `hub` where time was up.
    pub by: String,
}

impl From<&Record> for HistoryEntry {
    fn from(record: &Record) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "a day in milliseconds is exact")]
        let seconds = |span| millis(span) as f64 / 1000.0;
        Self {
            room: record.room.to_string(),
            thing: record.thing.to_string(),
            phase: record.finished.phase.to_owned(),
            started_at: record.finished.started_at.unix_ms(),
            ended_at: record.finished.ended_at.unix_ms(),
            planned_seconds: seconds(record.finished.planned),
            actual_seconds: seconds(record.finished.actual),
            outcome: if record.finished.completed { Outcome::Completed } else { Outcome::BrokenOff },
            by: record.by.to_string(),
        }
    }
}

/// The place of an entry in its room's history; written `1760000000000-7`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// When the phase was over, in Unix milliseconds.
    pub ended_at: i64,
    /// Tells entries of one millisecond apart.
    pub number: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ended_at, self.number)
    }
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.rsplit_once('-').and_then(|(at, number)| Some((at.parse().ok()?, number.parse().ok()?)));
        let (ended_at, number) = parts.ok_or_else(|| "this is no place in a history".to_owned())?;
        Ok(Self { ended_at, number })
    }
}

/// Which finished phases are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryQuery {
    /// The room's id.
    pub room: String,
    /// Those that ended from then on, in Unix milliseconds.
    pub from: i64,
    /// Those that ended before that, in Unix milliseconds.
    pub until: i64,
    /// Only those behind this place.
    pub after: Option<Place>,
    /// At most so many.
    pub entries_max: usize,
}

/// Finished phases, oldest first.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct HistoryPage {
    /// The phases.
    pub entries: Vec<HistoryEntry>,
    /// The place of the last one, where there are more behind it.
    pub next: Option<Place>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_as_it_is_written() {
        for place in [Place { ended_at: 1_760_000_000_000, number: 7 }, Place { ended_at: -5, number: u64::MAX }] {
            assert_eq!(place.to_string().parse(), Ok(place));
        }
        for text in ["", "-", "7", "7-", "a-1", "1--1", "1-18446744073709551616"] {
            assert!(text.parse::<Place>().is_err(), "{text}");
        }
    }
}
