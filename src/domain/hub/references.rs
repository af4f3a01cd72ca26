//! The outcomes of commands that carried a `ref`, so that a repeat gets the same answer and changes nothing.
//!
//! Bounded in three ways: by age, by origin, and by the number of origins.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use crate::domain::{origin::Origin, publication::Accepted, rejection::Rejection, time::Mono};

/// How long an outcome is remembered.
pub(super) const REFERENCE_AGE_MAX: Duration = Duration::from_secs(60);
/// How many outcomes are remembered for one origin; the oldest goes first.
pub(super) const REFERENCES_PER_ORIGIN_MAX: usize = 256;
/// How many origins are remembered; the one that was quiet for longest goes first.
pub(super) const REFERENCE_ORIGINS_MAX: usize = 4096;

type Outcome = Result<Accepted, Rejection>;

#[derive(Debug, Default)]
pub(super) struct References {
    by_origin: HashMap<Origin, VecDeque<(Mono, String, Outcome)>>,
}

impl References {
    pub(super) fn recall(&self, origin: &Origin, reference: &str, now: Mono) -> Option<Outcome> {
        let (_, _, outcome) = self
            .by_origin
            .get(origin)?
            .iter()
            .find(|(at, known, _)| known == reference && now.since(*at) < REFERENCE_AGE_MAX)?;
        Some(outcome.clone())
    }

    pub(super) fn remember(&mut self, origin: &Origin, reference: String, outcome: Outcome, now: Mono) {
        if !self.by_origin.contains_key(origin) && self.by_origin.len() >= REFERENCE_ORIGINS_MAX {
            self.forget_old(now);
        }
        let known = self.by_origin.entry(origin.clone()).or_default();
        while known
            .front()
            .is_some_and(|(at, _, _)| known.len() >= REFERENCES_PER_ORIGIN_MAX || now.since(*at) >= REFERENCE_AGE_MAX)
        {
            known.pop_front();
        }
        known.push_back((now, reference, outcome));
    }

    #[cfg(test)]
    pub(super) fn origins(&self) -> usize {
        self.by_origin.len()
    }

    fn forget_old(&mut self, now: Mono) {
        self.by_origin.retain(|_, known| known.back().is_some_and(|(at, _, _)| now.since(*at) < REFERENCE_AGE_MAX));
        if self.by_origin.len() >= REFERENCE_ORIGINS_MAX {
            let quietest = self
                .by_origin
                .iter()
                .min_by_key(|(_, known)| known.back().map(|(at, _, _)| *at))
                .map(|(o, _)| o.clone());
            if let Some(quietest) = quietest {
                self.by_origin.remove(&quietest);
            }
        }
    }
}
