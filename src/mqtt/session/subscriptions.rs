//! What a session is subscribed to.
//!
//! Routing does not belong here; the router knows the same filters by their numbers.

use std::collections::HashMap;

use crate::{
    domain::{publication::Qos, topic::Subscription},
    engine::Wanted,
    mqtt::sys,
};

/// One subscription.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) subscription: Subscription,
    pub(super) qos: Qos,
    pub(super) no_local: bool,
    pub(super) retain_as_published: bool,
    /// The client's own identifier.
    pub(super) id: Option<u32>,
    /// Retained values up to here came from the engine's snapshot: their publications are dropped.
    pub(super) snapshot_seq: u64,
    /// The newest place in the one order that it got something from; what a dead router owes begins behind it.
    pub(super) last_seq: u64,
    /// The place in its filter's log that comes next; a jump means that the log lapped the session.
    pub(super) next_place: Option<u64>,
    /// QoS 1 and 2 up to here came from the writer's ring.
    pub(super) replayed_seq: u64,
    /// Where it wants what the broker says of itself.
    pub(super) _sys: Option<sys::Reader>,
}

impl Entry {
    /// What the journal is told that it asked for; not for QoS 0.
    pub(super) const fn wanted(&self) -> Wanted {
        Wanted { qos: self.qos, retain_as_published: self.retain_as_published, subscription_id: self.id }
    }
}

/// The subscriptions of a session, by their number at the router.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    by_number: HashMap<u32, Entry>,
    by_filter: HashMap<String, u32>,
    last_number: u32,
}

impl Subscriptions {
    pub(super) fn len(&self) -> usize {
        self.by_number.len()
    }

    pub(super) fn get_mut(&mut self, number: u32) -> Option<&mut Entry> {
        self.by_number.get_mut(&number)
    }

    pub(super) fn get(&self, number: u32) -> Option<&Entry> {
        self.by_number.get(&number)
    }

    /// The number of the subscription to `filter`, as the client wrote it.
    pub(super) fn find(&self, filter: &str) -> Option<u32> {
        self.by_filter.get(filter).copied()
    }

    /// Adds a subscription; gives it its number.
    pub(super) fn add(&mut self, filter: &str, entry: Entry) -> u32 {
        loop {
            self.last_number = self.last_number.wrapping_add(1).max(1);
            if !self.by_number.contains_key(&self.last_number) {
                break;
            }
        }
        self.by_number.insert(self.last_number, entry);
        self.by_filter.insert(filter.to_owned(), self.last_number);
        self.last_number
    }

    /// Puts back a subscription of an earlier run under the number that it had.
    pub(super) fn restore(&mut self, number: u32, filter: &str, entry: Entry) {
        self.last_number = self.last_number.max(number);
        self.by_number.insert(number, entry);
        self.by_filter.insert(filter.to_owned(), number);
    }

    /// Takes the subscription to `filter` away.
    pub(super) fn remove(&mut self, filter: &str) -> Option<(u32, Entry)> {
        let number = self.by_filter.remove(filter)?;
        self.by_number.remove(&number).map(|entry| (number, entry))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &Entry)> {
        self.by_number.iter().map(|(number, entry)| (*number, entry))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (u32, &mut Entry)> {
        self.by_number.iter_mut().map(|(number, entry)| (*number, entry))
    }

    /// The filters as the client wrote them, with their numbers.
    pub(super) fn texts(&self) -> impl Iterator<Item = (&str, u32)> {
        self.by_filter.iter().map(|(filter, number)| (filter.as_str(), *number))
    }

    /// The filters as the client wrote them.
    pub(super) fn filters(&self) -> impl Iterator<Item = &str> {
        self.by_filter.keys().map(String::as_str)
    }

    pub(super) fn clear(&mut self) {
        self.by_number.clear();
        self.by_filter.clear();
    }
}
