//! The box's one clock.
//!
//! Everything below the run loop takes a [`Mono`] as an argument; nothing but this module reads a clock. It is
//! `CLOCK_MONOTONIC` because the kernel stamps GPIO edges with it, so a press can be measured by the kernel's stamps and
//! compared with timers of our own. Wall-clock time is not here: the countdown on the box is the hub's.

use std::{io, os::fd::OwnedFd, time::Duration};

use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};
use tokio::io::unix::AsyncFd;

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

/// A deadline that costs one wake-up: the kernel's own timer. The runtime's wakes up two or three times on its way to a deadline
/// that is seconds away, which would be most of what an idle box does.
#[derive(Debug)]
pub struct Alarm(AsyncFd<OwnedFd>);

impl Alarm {
    /// An alarm that is not set.
    ///
    /// # Errors
    /// The system has no more file descriptors.
    pub fn new() -> io::Result<Self> {
        let timer =
            rustix::time::timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        #[expect(
            deprecated,
            reason = "its successor is unsafe; an OwnedFd keeps its descriptor open, as that one asks for"
        )]
        let timer = AsyncFd::new(timer)?;
        Ok(Self(timer))
    }

    /// Sets it to `deadline` instead of what it was set to; none: never.
    ///
    /// # Errors
    /// The kernel does not take the deadline.
    pub fn set(&self, deadline: Option<Mono>) -> io::Result<()> {
        // Zero would be never.
        let at = deadline.map_or(Duration::ZERO, |deadline| deadline.0.max(Duration::from_nanos(1)));
        let it_value =
            Timespec { tv_sec: at.as_secs().try_into().unwrap_or(i64::MAX), tv_nsec: at.subsec_nanos() as _ };
        let it_interval = Timespec { tv_sec: 0, tv_nsec: 0 };
        rustix::time::timerfd_settime(&self.0, TimerfdTimerFlags::ABSTIME, &Itimerspec { it_interval, it_value })?;
        Ok(())
    }

    /// Waits for the deadline, or for ever without one.
    ///
    /// # Errors
    /// The timer cannot be read.
    ///
    /// # Cancel safety
    /// Nothing is lost: until it is set anew it rings once.
    pub async fn ring(&self) -> io::Result<()> {
        loop {
            let mut ready = self.0.readable().await?;
            let mut times = [0; 8];
            if let Ok(read) = ready.try_io(|timer| Ok(rustix::io::read(timer, &mut times)?)) {
                return read.map(drop);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
    }

    #[test]
    fn an_alarm_rings_at_the_deadline_that_it_was_set_to_last() {
        run(async {
            let alarm = Alarm::new().unwrap();
            let begin = now();
            alarm.set(Some(begin + Duration::from_secs(3600))).unwrap();
            alarm.set(Some(begin + Duration::from_millis(30))).unwrap();
            alarm.ring().await.unwrap();
            assert!(now().since(begin) >= Duration::from_millis(30));
            alarm.set(Some(begin)).unwrap();
            alarm.ring().await.unwrap();
        });
    }

    #[test]
    fn an_alarm_that_was_taken_back_does_not_ring() {
        run(async {
            let alarm = Alarm::new().unwrap();
            alarm.set(Some(now() + Duration::from_millis(5))).unwrap();
            alarm.set(None).unwrap();
            let other = Alarm::new().unwrap();
            other.set(Some(now() + Duration::from_millis(50))).unwrap();
            tokio::select! {
                _ = alarm.ring() => panic!("it rang"),
                _ = other.ring() => {}
            }
        });
    }
}
