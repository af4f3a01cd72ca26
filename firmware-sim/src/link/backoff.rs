//! How long to wait before the next attempt.

use std::{
    hash::{BuildHasher, RandomState},
    time::Duration,
};

use super::why::Why;

const FIRST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(8);
/// Two boxes with one id would throw each other out for ever; so slowly that it does not matter, and that people can read why.
const TAKEN_OVER: Duration = Duration::from_secs(15);

/// Doubles from a quarter of a second to eight seconds. What is waited is between half of that and all of it, so that a
/// classroom of boxes does not come back at one moment.
#[derive(Debug)]
pub(super) struct Backoff(Duration);

impl Backoff {
    pub(super) const fn new() -> Self {
        Self(FIRST)
    }

    pub(super) fn next(&mut self, why: Why) -> Duration {
        // RandomState is keyed anew by the system's generator for each value; no other randomness is needed here.
        self.next_with(why, RandomState::new().hash_one(0))
    }

    fn next_with(&mut self, why: Why, random: u64) -> Duration {
        let whole = match why {
            Why::TakenOver => TAKEN_OVER,
            Why::Refused => LONGEST,
            Why::Other | Why::Version | Why::Stopped => self.0,
        };
        self.0 = (self.0 * 2).min(LONGEST);
        let half = whole / 2;
        let half_nanos = u64::try_from(half.as_nanos()).unwrap_or(u64::MAX).max(1);
        half + Duration::from_nanos(random % half_nanos)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn delays_grow_within_their_bounds(randoms in prop::collection::vec(any::<u64>(), 1..20)) {
            let mut backoff = Backoff::new();
            for (attempt, random) in randoms.into_iter().enumerate() {
                let whole = (FIRST * 2_u32.pow(attempt.min(5) as u32)).min(LONGEST);
                let wait = backoff.next_with(Why::Other, random);
                prop_assert!(wait >= whole / 2 && wait <= whole, "{attempt}: {wait:?}");
            }
        }
    }

    #[test]
    fn a_box_that_was_thrown_out_does_not_hurry_back() {
        assert!(Backoff::new().next(Why::TakenOver) >= TAKEN_OVER / 2);
    }
}
