//! Time as data: the domain is told what time it is and never asks.
//!
//! Reading a clock does not belong here; that is `clock` in the hub.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A moment on the monotonic clock, counted from the machine's boot.
///
/// The clock behind it counts suspended time (`CLOCK_BOOTTIME`), so that a timer that ended while the machine slept is over
/// when it wakes. Resolution: one nanosecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Mono(Duration);

impl Mono {
    /// The moment that lies `since_boot` after the machine's boot.
    #[must_use]
    pub const fn from_boot(since_boot: Duration) -> Self {
        Self(since_boot)
    }

    /// How long after the machine's boot this moment lies.
    #[must_use]
    pub const fn since_boot(self) -> Duration {
        self.0
    }

    /// The moment `delay` later; the end of time where that overflows.
    #[must_use]
    pub const fn after(self, delay: Duration) -> Self {
        Self(self.0.saturating_add(delay))
    }

    /// How much later this moment is than `earlier`; zero where it is not later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

/// A moment on the wall clock, in milliseconds since 1970-01-01T00:00:00Z. May jump.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Wall(i64);

impl Wall {
    /// The moment `unix_ms` milliseconds after the Unix epoch (before it, where negative).
    #[must_use]
    pub const fn from_unix_ms(unix_ms: i64) -> Self {
        Self(unix_ms)
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub const fn unix_ms(self) -> i64 {
        self.0
    }

    /// The moment `delay` later; the end of time where that overflows.
    #[must_use]
    pub fn after(self, delay: Duration) -> Self {
        Self(self.0.saturating_add(millis(delay)))
    }

    /// The moment `span` earlier; the beginning of time where that overflows.
    #[must_use]
    pub fn before(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(millis(span)))
    }

    /// How much later this moment is than `earlier`; zero where it is not later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

/// `span` in whole milliseconds, at most [`i64::MAX`].
#[must_use]
pub fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

/// What time it is, as every input of the domain is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// The monotonic clock: what timers run by.
    pub mono: Mono,
    /// The wall clock: what people and states are told.
    pub wall: Wall,
    /// Whether the wall clock is known to be right. False on a machine without a battery clock until the kernel reports that
    /// the clock was synchronised.
    pub wall_synchronised: bool,
}
