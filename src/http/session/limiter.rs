//! How often a browser may speak: a bucket that fills evenly.

use std::time::Duration;

use crate::domain::time::Mono;

/// Admits so many frames a second on average, and at most that many at once.
#[derive(Debug)]
pub(super) struct Limiter {
    /// The time that one frame stands for; zero for no limit.
    interval: Duration,
    /// When the bucket is full again.
    full_at: Mono,
}

impl Limiter {
    pub(super) fn new(per_second_max: u32, now: Mono) -> Self {
        Self { interval: Duration::from_secs(1).checked_div(per_second_max).unwrap_or_default(), full_at: now }
    }

    /// Whether one more frame is taken at `now`.
    pub(super) fn admit(&mut self, now: Mono) -> bool {
        let full_at = self.full_at.max(now).after(self.interval);
        if full_at.since(now) > Duration::from_secs(1) {
            return false;
        }
        self.full_at = full_at;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_is_worth_its_frames_at_once_or_spread() {
        let at = |ms| Mono::from_boot(Duration::from_millis(ms));
        let mut limiter = Limiter::new(200, at(0));
        assert_eq!((0..300).filter(|_| limiter.admit(at(0))).count(), 200);
        assert!(!limiter.admit(at(4)) && limiter.admit(at(5)) && !limiter.admit(at(5)));
        assert_eq!((0..1000).filter(|i| limiter.admit(at(10_000 + i * 5))).count(), 1000);
    }
}
