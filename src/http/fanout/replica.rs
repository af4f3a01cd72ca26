//! The fan-out's own copy of the retained tree, which it can walk by topic and by what changed when.
//!
//! A browser that falls behind is given no queue: it keeps the place that it has reached, and what it misses is what
//! changed after that place. So the copy is indexed by `seq`, deletions included. Frames do not belong here.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    ops::Bound,
};

use bytes::Bytes;

use crate::{
    domain::{
        publication::Publication,
        topic::{Filter, Topic},
    },
    engine::Snapshot,
};

/// How many deletions are remembered for browsers that come back.
pub(super) const TOMBSTONES_MAX: usize = 10_000;

/// The retained values, as the publications up to [`seq`](Self::seq) made them.
#[derive(Debug, Default)]
pub(super) struct Replica {
    values: BTreeMap<Topic, (u64, Bytes)>,
    /// The newest change of each topic that has a value or a remembered deletion.
    changes: BTreeMap<u64, Topic>,
    deleted: HashMap<Topic, u64>,
    /// Deletions in order; an entry whose topic was set again since is stale.
    tombstones: VecDeque<(u64, Topic)>,
    forgotten_seq: u64,
    seq: u64,
}

impl Replica {
    /// A copy that begins with `snapshot`, taken with filters that match everything.
    pub(super) fn new(snapshot: Snapshot) -> Self {
        let mut replica = Self { seq: snapshot.seq, forgotten_seq: snapshot.seq, ..Self::default() };
        for value in snapshot.values {
            replica.changes.insert(value.seq, value.topic.clone());
            replica.values.insert(value.topic, (value.seq, value.payload));
        }
        replica
    }

    /// The place in the one order that the copy has reached.
    pub(super) const fn seq(&self) -> u64 {
        self.seq
    }

    /// Whether what changed since `seq` is still known, deletions included.
    pub(super) const fn remembers(&self, seq: u64) -> bool {
        self.forgotten_seq <= seq && seq <= self.seq
    }

    /// Nothing that was published up to `seq`, besides what was taken in, concerns the tree.
    pub(super) fn pass_over(&mut self, seq: u64) {
        self.seq = self.seq.max(seq);
    }

    /// Takes in `publication`; false where it is older than the copy.
    pub(super) fn apply(&mut self, publication: &Publication) -> bool {
        if publication.seq <= self.seq {
            return false;
        }
        self.seq = publication.seq;
        if publication.is_level() {
            self.set(&publication.topic, publication.payload.clone());
        }
        true
    }

    fn set(&mut self, topic: &Topic, payload: Bytes) {
        let seq = self.seq;
        if payload.is_empty() {
            let Some((old, _)) = self.values.remove(topic) else { return };
            self.changes.remove(&old);
            self.deleted.insert(topic.clone(), seq);
            self.tombstones.push_back((seq, topic.clone()));
            if self.tombstones.len() > TOMBSTONES_MAX {
                self.forget_oldest();
            }
        } else if let Some(value) = self.values.get_mut(topic) {
            self.changes.remove(&value.0);
            *value = (seq, payload);
        } else {
            if let Some(old) = self.deleted.remove(topic) {
                self.changes.remove(&old);
            }
            self.values.insert(topic.clone(), (seq, payload));
        }
        self.changes.insert(seq, topic.clone());
    }

    fn forget_oldest(&mut self) {
        let Some((seq, topic)) = self.tombstones.pop_front() else { return };
        self.forgotten_seq = seq;
        if self.deleted.get(&topic) == Some(&seq) {
            self.deleted.remove(&topic);
            self.changes.remove(&seq);
        }
    }

    /// What changed after `after` and up to `until`, ascending: each topic once, with its newest value, empty for a deletion.
    pub(super) fn changes(&self, after: u64, until: u64) -> impl Iterator<Item = (u64, &Topic, &[u8])> {
        let range = (Bound::Excluded(after), Bound::Included(until.max(after.saturating_add(1))));
        self.changes
            .range(range)
            .take_while(move |(seq, _)| **seq <= until)
            .map(|(seq, topic)| (*seq, topic, self.values.get(topic).map_or(&[][..], |(_, payload)| payload)))
    }

    /// The values that one of `filters` matches, by topic, each once, from the first topic behind `after` on.
    pub(super) fn matching<'a>(&'a self, filters: &'a [Filter], after: Option<&'a Topic>) -> Matching<'a> {
        let sources = filters.iter().map(|filter| {
            let prefix = filter.literal_prefix();
            let from = match after {
                Some(after) if after.as_str() >= prefix => Bound::Excluded(after.as_str()),
                _ => Bound::Included(prefix),
            };
            let found = self
                .values
                .range::<str, _>((from, Bound::Unbounded))
                .take_while(move |(topic, _)| topic.as_str().starts_with(prefix))
                .filter(move |(topic, _)| filter.matches(topic.as_str()));
            (Box::new(found) as Source<'a>).peekable()
        });
        Matching { sources: sources.collect() }
    }
}

type Source<'a> = Box<dyn Iterator<Item = (&'a Topic, &'a (u64, Bytes))> + 'a>;

/// Values by topic, merged from what several filters match.
pub(super) struct Matching<'a> {
    sources: Vec<std::iter::Peekable<Source<'a>>>,
}

impl<'a> Iterator for Matching<'a> {
    type Item = (&'a Topic, &'a (u64, Bytes));

    fn next(&mut self) -> Option<Self::Item> {
        if let [only] = &mut self.sources[..] {
            return only.next();
        }
        let least = self.sources.iter_mut().filter_map(|source| source.peek().map(|(topic, _)| *topic)).min()?;
        let mut found = None;
        for source in &mut self.sources {
            found = source.next_if(|(topic, _)| *topic == least).or(found);
        }
        found
    }
}

#[cfg(test)]
mod tests;
