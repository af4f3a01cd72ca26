//! The retained tree: the newest value of every topic that has one, and where in the one order it was set.
//!
//! Who may read what does not belong here, nor does the disk. Edges that need the tree often keep a replica: start it from
//! a [`Snapshot`], then [`apply`](Tree::apply) every later publication.

use std::{
    collections::{BTreeMap, VecDeque},
    ops::Bound,
    sync::Arc,
};

use bytes::Bytes;

use crate::domain::{
    origin::Origin,
    publication::{Level, Properties, Publication, Qos},
    time::Wall,
    topic::{Filter, Topic},
};

/// How many deletions a tree remembers for clients that come back.
pub const TOMBSTONES_MAX: usize = 10_000;

/// A retained value.
#[derive(Debug, Clone, PartialEq)]
pub struct Retained {
    /// Where.
    pub topic: Topic,
    /// What; never empty.
    pub payload: Bytes,
    /// The place in the one order at which it was set.
    pub seq: u64,
    /// The quality of service it was published with.
    pub qos: Qos,
    /// Whether it belongs on disk or can be computed from another value.
    pub level: Level,
    /// Who set it.
    pub origin: Origin,
    /// When it stops being worth delivering.
    pub expires_at: Option<Wall>,
    /// MQTT 5 properties to pass on.
    pub properties: Option<Arc<Properties>>,
}

impl Retained {
    pub(super) fn bytes(&self) -> usize {
        self.topic.as_str().len() + self.payload.len() + self.properties.as_ref().map_or(0, |p| p.bytes())
    }
}

/// What a set of filters matches, and the place in the one order up to which it is complete.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// Every publication up to this one is in the snapshot; everything later comes through an outlet.
    pub seq: u64,
    /// The retained values, by topic.
    pub values: Vec<Retained>,
}

/// One topic that changed.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// It has this value now.
    Set(Retained),
    /// It has none any more.
    Deleted {
        /// Where.
        topic: Topic,
        /// When, in the one order.
        seq: u64,
    },
}

impl Change {
    /// The place in the one order.
    #[must_use]
    pub const fn seq(&self) -> u64 {
        match self {
            Self::Set(retained) => retained.seq,
            Self::Deleted { seq, .. } => *seq,
        }
    }
}

/// What changed since a place in the one order, ascending.
#[derive(Debug, Clone, PartialEq)]
pub struct Changes {
    /// Every publication up to this one is considered.
    pub seq: u64,
    /// The changed topics; each once, by `seq`.
    pub changes: Vec<Change>,
}

/// The retained values of a hub.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    values: BTreeMap<Topic, Retained>,
    tombstones: VecDeque<(u64, Topic)>,
    /// The newest deletion that is no longer remembered: cursors older than this cannot be resumed.
    forgotten_seq: u64,
    bytes: usize,
    seq: u64,
}

impl Tree {
    /// A tree that holds what `snapshot` holds (taken with a filter that matches all: `#` and `$SYS/#` apart).
    #[must_use]
    pub fn from_snapshot(snapshot: Snapshot) -> Self {
        let mut tree = Self { seq: snapshot.seq, forgotten_seq: snapshot.seq, ..Self::default() };
        for retained in snapshot.values {
            tree.bytes += retained.bytes();
            tree.values.insert(retained.topic.clone(), retained);
        }
        tree
    }

    /// Takes in what `publication` sets or clears; one that is older than the tree already is (as after a snapshot) changes nothing.
    pub fn apply(&mut self, publication: &Publication) {
        if publication.seq <= self.seq {
            return;
        }
        self.seq = publication.seq;
        if !publication.is_level() {
            return;
        }
        let topic = &publication.topic;
        if publication.payload.is_empty() {
            if let Some(old) = self.values.remove(topic) {
                self.bytes -= old.bytes();
                self.tombstones.push_back((publication.seq, topic.clone()));
                if self.tombstones.len() > TOMBSTONES_MAX
                    && let Some((seq, _)) = self.tombstones.pop_front()
                {
                    self.forgotten_seq = seq;
                }
            }
            return;
        }
        let retained = Retained {
            topic: topic.clone(),
            payload: publication.payload.clone(),
            seq: publication.seq,
            qos: publication.qos,
            level: publication.level,
            origin: publication.origin.clone(),
            expires_at: publication.expires_at,
            properties: publication.properties.clone(),
        };
        self.bytes += retained.bytes();
        if let Some(old) = self.values.insert(topic.clone(), retained) {
            self.bytes -= old.bytes();
        }
    }

    /// The place in the one order that the tree has reached.
    #[must_use]
    pub const fn seq(&self) -> u64 {
        self.seq
    }

    /// How many topics have a retained value.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether no topic has a retained value.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The bytes of all topics, payloads and properties.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// The retained value of `topic`.
    #[must_use]
    pub fn get(&self, topic: &str) -> Option<&Retained> {
        self.values.get(topic)
    }

    /// Every retained value whose topic begins with `prefix`, by topic.
    pub fn below<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a Retained> {
        self.values
            .range::<str, _>((Bound::Included(prefix), Bound::Unbounded))
            .take_while(move |(topic, _)| topic.as_str().starts_with(prefix))
            .map(|(_, retained)| retained)
    }

    /// Every retained value that `filter` matches, by topic.
    pub fn matching<'a>(&'a self, filter: &'a Filter) -> impl Iterator<Item = &'a Retained> {
        self.below(filter.literal_prefix()).filter(move |retained| filter.matches(retained.topic.as_str()))
    }

    /// Every retained value that one of `filters` matches, each once, by topic.
    #[must_use]
    pub fn snapshot(&self, filters: &[Filter]) -> Snapshot {
        let values = match filters {
            [filter] => self.matching(filter).cloned().collect(),
            _ => {
                let mut found: BTreeMap<&Topic, &Retained> = BTreeMap::new();
                for filter in filters {
                    found.extend(self.matching(filter).map(|retained| (&retained.topic, retained)));
                }
                found.into_values().cloned().collect()
            }
        };
        Snapshot { seq: self.seq, values }
    }

    /// What changed after `seq` among the topics that `filters` match; none where `seq` is not of this tree or too long ago
    /// for its deletions to be remembered.
    #[must_use]
    pub fn changes_since(&self, seq: u64, filters: &[Filter]) -> Option<Changes> {
        if seq < self.forgotten_seq || seq > self.seq {
            return None;
        }
        let mut changes: Vec<Change> = self
            .snapshot(filters)
            .values
            .into_iter()
            .filter(|retained| retained.seq > seq && retained.level != Level::Reading)
            .map(Change::Set)
            .collect();
        let mut deleted: BTreeMap<&Topic, u64> = BTreeMap::new();
        for (at, topic) in self.tombstones.iter().filter(|(at, _)| *at > seq) {
            if !self.values.contains_key(topic) && filters.iter().any(|filter| filter.matches(topic.as_str())) {
                deleted.insert(topic, *at);
            }
        }
        changes.extend(deleted.into_iter().map(|(topic, seq)| Change::Deleted { topic: topic.clone(), seq }));
        changes.sort_by_key(Change::seq);
        Some(Changes { seq: self.seq, changes })
    }
}
