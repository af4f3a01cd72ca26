//! The box's one clock.
//!
//! Everything below the run loop takes a [`Mono`] as an argument; nothing but this module reads a clock. It is
//! `CLOCK_MONOTONIC` because the kernel stamps GPIO edges with it, so a press can be measured by the kernel's stamps and
//! compared with timers of our own. Wall-clock time is not here: the countdown on the box is the hub's.

use std::time::Duration;

/// An instant on `CLOCK_MONOTONIC`, as the time since its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Mono(Duration);

impl Mono {
    /// The instant `since_start` after the clock's start.
    pub const fn new(since_start: Duration) -> Self {
        Self(since_start)
    }

    /// The instant that a kernel stamp in nanoseconds names.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(Duration::from_nanos(nanos))
    }

    /// The instant in nanoseconds, as the kernel writes it.
    pub const fn as_nanos(self) -> u128 {
        self.0.as_nanos()
    }

    /// The time from `earlier` to `self`; zero when `earlier` is later.
    pub const fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl std::ops::Add<Duration> for Mono {
    type Output = Self;

    fn add(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(wait))
    }
}

/// Reads the clock.
pub fn now() -> Mono {
    let read = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    // Neither part of the monotonic clock is ever negative; zero is the harmless answer if a kernel disagreed.
    let seconds = u64::try_from(read.tv_sec).unwrap_or(0);
    let nanos = u32::try_from(read.tv_nsec).unwrap_or(0).min(999_999_999);
    Mono(Duration::new(seconds, nanos))
}

/// Waits until `deadline`, or for ever without one.
///
/// # Cancel safety
/// Dropping the future only forgets the wait.
pub async fn sleep_until(deadline: Option<Mono>) {
    match deadline {
        Some(deadline) => tokio::time::sleep(deadline.since(now())).await,
        None => std::future::pending().await,
    }
}
