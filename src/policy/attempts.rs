//! Failed logins, counted by address and name, so that guessing takes for ever.

use std::{
    collections::HashMap,
    net::IpAddr,
    time::{Duration, Instant},
};

/// How many failures are free.
const FREE_FAILURES: u32 = 5;
/// How many failures all guests of a room have together: a class that types badly, and no more.
const FREE_FAILURES_OF_A_ROOM: u32 = 50;
/// How long somebody has to wait then.
const PAUSE: Duration = Duration::from_secs(60);
/// How many pairs of address and name are remembered; older ones are forgotten.
const REMEMBERED_MAX: usize = 10_000;

/// From where, and as whom; from nowhere in particular for all guests of a room together.
type Key = (Option<IpAddr>, String);

#[derive(Debug, Default)]
pub(super) struct Attempts(HashMap<Key, (u32, Instant)>);

impl Attempts {
    pub(super) fn is_blocked(&self, key: &Key) -> bool {
        let free = if key.0.is_some() { FREE_FAILURES } else { FREE_FAILURES_OF_A_ROOM };
        self.0.get(key).is_some_and(|(failures, last)| *failures >= free && last.elapsed() < PAUSE)
    }

    pub(super) fn failed(&mut self, key: Key) {
        if self.0.len() >= REMEMBERED_MAX {
            self.0.retain(|_, (_, last)| last.elapsed() < PAUSE);
            if self.0.len() >= REMEMBERED_MAX {
                self.0.clear();
            }
        }
        let (failures, last) = self.0.entry(key).or_insert((0, Instant::now()));
        if last.elapsed() >= PAUSE {
            *failures = 0;
        }
        *failures += 1;
        *last = Instant::now();
    }

    pub(super) fn succeeded(&mut self, key: &Key) {
        self.0.remove(key);
    }
}
