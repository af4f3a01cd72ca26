//! What one client wants, while it waits for its turn: bounded, and with the newest value of each slider instead of all.
//!
//! Filled in the order in which the client spoke, by code that never waits; emptied by the client's own task. What a wish
//! means to the hub does not belong here.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde_json::{Map, Value};
use tokio::{sync::Notify, time::Instant};

use super::settings::{EVENTS_BURST_SECONDS, Limits};
use crate::domain::{
    hub::THINGS_MAX,
    id::Id,
    rejection::{Code, Rejection},
};

/// What a client asked for.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Wish {
    /// The timer demo's button.
    Start,
    /// The timer demo's other button.
    Stop,
    /// The course page's tomato.
    Press,
    /// Any other action of the course page, `setup` above all, as it came.
    Act(Map<String, Value>),
    /// A slider was moved.
    Slide {
        /// Which one.
        slider: Id,
        /// Where to.
        value: f64,
        /// The same as the client wrote it.
        text: String,
    },
}

/// How many times the allowed rate a client may send before it is cut off.
const FLOOD_FACTOR: u32 = 10;

/// What became of an event.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Posted {
    /// It waits for its turn.
    Waits,
    /// It does not; why.
    Rejected(Rejection),
    /// It was one too many of far too many: cut the client off.
    Flood,
}

/// One client's wishes.
#[derive(Debug)]
pub(super) struct Mailbox {
    limits: Limits,
    inside: Mutex<Inside>,
    filled: Notify,
}

#[derive(Debug)]
struct Inside {
    waiting: VecDeque<Wish>,
    rate: Rate,
    closed: bool,
}

impl Mailbox {
    pub(super) fn new(limits: Limits) -> Self {
        let rate = Rate::new(limits.events_per_second_max);
        let inside = Inside { waiting: VecDeque::new(), rate, closed: false };
        Self { limits, inside: Mutex::new(inside), filled: Notify::new() }
    }

    /// Takes an event in, or none that can be carried out (`None`): it counts all the same.
    pub(super) fn post(&self, wish: Option<Wish>) -> Posted {
        let mut inside = self.inside();
        let in_time = match inside.rate.spend(Instant::now()) {
            Spent::InTime => true,
            Spent::TooFast => false,
            Spent::Flood => return Posted::Flood,
        };
        let Some(wish) = wish else { return Posted::Waits };
        if let Wish::Slide { slider, .. } = &wish {
            let same = |waiting: &Wish| matches!(waiting, Wish::Slide { slider: other, .. } if other == slider);
            if let Some(earlier) = inside.waiting.iter_mut().find(|waiting| same(waiting)) {
                *earlier = wish;
                return Posted::Waits;
            }
        } else if !in_time {
            let message = format!("At most {} events a second are taken.", self.limits.events_per_second_max);
            return Posted::Rejected(Rejection::new(Code::RateLimited, message));
        }
        let (mut moves, mut others) = (0, 0);
        for waiting in &inside.waiting {
            match waiting {
                Wish::Slide { .. } => moves += 1,
                _ => others += 1,
            }
        }
        let full = match wish {
            Wish::Slide { .. } => moves >= THINGS_MAX,
            _ => others >= self.limits.events_pending_max,
        };
        if full {
            return Posted::Rejected(Rejection::new(Code::Busy, "Too much is under way; try again."));
        }
        inside.waiting.push_back(wish);
        drop(inside);
        self.filled.notify_one();
        Posted::Waits
    }

    /// The next wish, as soon as there is one and the client's rate allows it; none when the client is gone.
    ///
    /// # Cancel safety
    /// Cancelling takes nothing out.
    pub(super) async fn next(&self) -> Option<Wish> {
        loop {
            let pause = {
                let mut inside = self.inside();
                if inside.closed {
                    return None;
                }
                match inside.rate.debt(Instant::now()) {
                    None => match inside.waiting.pop_front() {
                        Some(wish) => return Some(wish),
                        None => None,
                    },
                    // Moves wait out what was sent too fast, and merge meanwhile.
                    Some(debt) if !inside.waiting.is_empty() => Some(debt),
                    Some(_) => None,
                }
            };
            match pause {
                Some(pause) => tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = self.filled.notified() => {}
                },
                None => self.filled.notified().await,
            }
        }
    }

    /// The client is gone.
    pub(super) fn close(&self) {
        let mut inside = self.inside();
        inside.closed = true;
        inside.waiting.clear();
        drop(inside);
        self.filled.notify_one();
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        // Nothing in here panics while it holds the lock.
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A bucket that empties at the allowed rate: how many events a client is ahead of it.
#[derive(Debug)]
struct Rate {
    per_second: f64,
    ahead: f64,
    at: Instant,
}

#[derive(Debug, PartialEq, Eq)]
enum Spent {
    InTime,
    TooFast,
    Flood,
}

impl Rate {
    fn new(per_second_max: u32) -> Self {
        Self { per_second: f64::from(per_second_max.max(1)), ahead: 0.0, at: Instant::now() }
    }

    fn spend(&mut self, now: Instant) -> Spent {
        self.drain(now);
        self.ahead += 1.0;
        let allowed = self.per_second * f64::from(EVENTS_BURST_SECONDS);
        if self.ahead > allowed * f64::from(FLOOD_FACTOR) {
            Spent::Flood
        } else if self.ahead > allowed {
            Spent::TooFast
        } else {
            Spent::InTime
        }
    }

    /// How long it takes until the client is within its rate again; none where it is.
    fn debt(&mut self, now: Instant) -> Option<Duration> {
        self.drain(now);
        let over = self.ahead - self.per_second * f64::from(EVENTS_BURST_SECONDS);
        (over > 0.0).then(|| Duration::from_secs_f64(over / self.per_second).min(DEBT_WAIT_MAX))
    }

    fn drain(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.ahead = (self.ahead - passed * self.per_second).max(0.0);
        self.at = now;
    }
}

/// The longest that a slider lags behind a client that sends too fast.
const DEBT_WAIT_MAX: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests;
