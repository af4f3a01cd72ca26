//! Gestures: what a finger did, told from a button's edges.
//!
//! Pure: edges and the time come in, gestures come out. Bounces are not here; the kernel filters them before an edge
//! exists. The words are Home Assistant's.

use std::time::Duration;

use serde::Serialize;

use crate::clock::Mono;

/// What a finger did with one button.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Gesture {
    /// Pressed and let go.
    ShortPress,
    /// Pressed twice within the double-press window.
    DoublePress,
    /// Held for the long-press time; told while it is still held.
    LongPress,
    /// Let go after a long press.
    LongRelease,
}

impl Gesture {
    /// Every gesture, in the order of the configuration's keys.
    pub const ALL: [Self; 4] = [Self::ShortPress, Self::DoublePress, Self::LongPress, Self::LongRelease];

    /// The word on the wire and in the configuration.
    pub const fn word(self) -> &'static str {
        match self {
            Self::ShortPress => "short_press",
            Self::DoublePress => "double_press",
            Self::LongPress => "long_press",
            Self::LongRelease => "long_release",
        }
    }
}

/// How long the pieces of a gesture may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// Held this long it is a long press.
    pub long_press: Duration,
    /// A second press that starts this soon after the first one's end makes a double press. `None`: there are no double
    /// presses, and a short press is told at once when it ends instead of after the window.
    pub double_window: Option<Duration>,
}

/// Where one button is between two edges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Finger {
    /// Up, nothing pending.
    Away,
    /// Down since then, for the first time (`second: false`) or the second.
    Down { since: Mono, second: bool },
    /// Down past the long-press time.
    Holding,
    /// Up since then, and a second press would make a double.
    Between { since: Mono },
    /// Down since before we looked: means nothing until it is let go.
    Stuck,
}

/// The gesture recogniser of one button.
#[derive(Debug, Clone)]
pub struct Gestures {
    timing: Timing,
    finger: Finger,
    /// The latest time seen, so that a stamp from before it cannot turn time back.
    latest: Mono,
}

impl Gestures {
    /// A button that is up.
    pub const fn new(timing: Timing) -> Self {
        Self { timing, finger: Finger::Away, latest: Mono::new(Duration::ZERO) }
    }

    /// Tells that the button was found held at start; nothing comes of it until it is let go.
    pub const fn held_at_start(&mut self) {
        self.finger = Finger::Stuck;
    }

    /// Whether the button is down, as far as we know.
    pub const fn is_down(&self) -> bool {
        matches!(self.finger, Finger::Down { .. } | Finger::Holding | Finger::Stuck)
    }

    /// An edge at `at`. A repeated level (its opposite was lost) changes nothing.
    pub fn edge(&mut self, down: bool, at: Mono) -> Vec<Gesture> {
        let mut told = self.wake(at);
        let at = self.latest;
        match (self.finger, down) {
            (Finger::Away, true) => self.finger = Finger::Down { since: at, second: false },
            (Finger::Between { .. }, true) => self.finger = Finger::Down { since: at, second: true },
            (Finger::Down { second: false, .. }, false) => {
                if self.timing.double_window.is_some() {
                    self.finger = Finger::Between { since: at };
                } else {
                    self.finger = Finger::Away;
                    told.push(Gesture::ShortPress);
                }
            }
            (Finger::Down { second: true, .. }, false) => {
                self.finger = Finger::Away;
                told.push(Gesture::DoublePress);
            }
            (Finger::Holding, false) => {
                self.finger = Finger::Away;
                told.push(Gesture::LongRelease);
            }
            (Finger::Stuck, false) => self.finger = Finger::Away,
            (Finger::Down { .. } | Finger::Holding | Finger::Stuck, true)
            | (Finger::Away | Finger::Between { .. }, false) => {}
        }
        told
    }

    /// What time alone brings by `now`: a long press, or a short one whose double did not come. Early calls do nothing.
    pub fn wake(&mut self, now: Mono) -> Vec<Gesture> {
        self.latest = self.latest.max(now);
        if self.next_wakeup().is_none_or(|due| due > self.latest) {
            return Vec::new();
        }
        match self.finger {
            Finger::Down { second, .. } => {
                self.finger = Finger::Holding;
                // A second press that turned long is no double: the first was a short one after all.
                if second { vec![Gesture::ShortPress, Gesture::LongPress] } else { vec![Gesture::LongPress] }
            }
            Finger::Between { .. } => {
                self.finger = Finger::Away;
                vec![Gesture::ShortPress]
            }
            Finger::Away | Finger::Holding | Finger::Stuck => Vec::new(),
        }
    }

    /// When [`wake`](Self::wake) will have something to say.
    pub fn next_wakeup(&self) -> Option<Mono> {
        match self.finger {
            Finger::Down { since, .. } => Some(since + self.timing.long_press),
            Finger::Between { since } => self.timing.double_window.map(|window| since + window),
            Finger::Away | Finger::Holding | Finger::Stuck => None,
        }
    }
}

#[cfg(test)]
#[path = "gesture_tests.rs"]
mod tests;
