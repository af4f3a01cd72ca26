//! What waits for one client: bounded in messages and bytes, oldest QoS 0 first to go.
//!
//! Packet identifiers and what is in flight do not belong here.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;

use crate::{
    domain::{publication::Qos, time::Wall},
    engine::{Place, Retained},
};

/// A message for one subscription of the session.
#[derive(Debug, Clone)]
pub(super) struct Delivery {
    pub(super) topic: Bytes,
    pub(super) payload: Bytes,
    /// Properties as they stand in a PUBLISH.
    pub(super) properties: Bytes,
    /// The smaller of the publisher's and the subscription's.
    pub(super) qos: Qos,
    pub(super) retain: bool,
    pub(super) expires_at: Option<Wall>,
    pub(super) subscription_id: Option<u32>,
    /// Where it is on disk, in a session that lasts.
    pub(super) kept: Option<KeptAt>,
}

/// Where a message is on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct KeptAt {
    pub(super) place: Place,
    /// The subscription that it came for.
    pub(super) subscription: u32,
}

/// The memory of a message besides its bytes.
const OVERHEAD_BYTES: usize = 200;

impl Delivery {
    pub(super) fn bytes(&self) -> usize {
        self.topic.len() + self.payload.len() + self.properties.len() + OVERHEAD_BYTES
    }
}

/// Retained values that a subscription is still owed, in the place in the queue where they belong.
#[derive(Debug)]
pub(super) struct Replay {
    /// The subscription's number.
    pub(super) subscription: u32,
    /// What the engine's snapshot holds; shared by the subscriptions of one SUBSCRIBE.
    pub(super) values: Arc<Vec<Retained>>,
    /// The next one to look at.
    pub(super) next: usize,
    /// Whether values of QoS 2 before that one are being written: they come first.
    pub(super) waits: bool,
}

/// What comes next.
#[derive(Debug)]
pub(super) enum Next<'a> {
    Message(&'a Delivery),
    Replay(&'a mut Replay),
}

/// What became of a message that was to be queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pushed {
    /// It waits.
    Waits,
    /// Older messages of QoS 0 had to go for it, or it is one itself that had to go.
    Dropped,
    /// It is of QoS 1 or 2 and there is no room.
    Full,
}

/// The bounds of a queue.
#[derive(Debug, Clone)]
pub(super) struct Bounds {
    pub(super) messages_max: usize,
    pub(super) bytes_max: usize,
    pub(super) total_bytes_max: usize,
    /// Bytes that wait for all clients together.
    pub(super) total_bytes: Arc<AtomicUsize>,
}

#[derive(Debug)]
enum Lasting {
    Message(Delivery),
    Replay(Replay),
}

/// The queue. Two lines, so that the oldest QoS 0 message is found at once; `order` says which line is next.
#[derive(Debug)]
pub(super) struct Queue {
    fleeting: VecDeque<(u64, Delivery)>,
    lasting: VecDeque<(u64, Lasting)>,
    order: u64,
    bytes: usize,
    bounds: Bounds,
}

impl Queue {
    pub(super) const fn new(bounds: Bounds) -> Self {
        Self { fleeting: VecDeque::new(), lasting: VecDeque::new(), order: 0, bytes: 0, bounds }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.fleeting.is_empty() && self.lasting.is_empty()
    }

    /// Messages that wait.
    pub(super) fn len(&self) -> usize {
        self.fleeting.len() + self.lasting.len()
    }

    /// Bytes that wait.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Appends `delivery`.
    pub(super) fn push(&mut self, delivery: Delivery) -> Pushed {
        let bytes = delivery.bytes();
        let mut pushed = Pushed::Waits;
        while self.is_over(bytes) {
            match self.fleeting.pop_front() {
                Some((_, oldest)) => {
                    self.taken(oldest.bytes());
                    pushed = Pushed::Dropped;
                }
                None if delivery.qos == Qos::AtMostOnce => return Pushed::Dropped,
                None => return Pushed::Full,
            }
        }
        self.bytes += bytes;
        self.bounds.total_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.order += 1;
        if delivery.qos == Qos::AtMostOnce {
            self.fleeting.push_back((self.order, delivery));
        } else {
            self.lasting.push_back((self.order, Lasting::Message(delivery)));
        }
        pushed
    }

    /// Appends the retained values of a subscription. They are shared with the retained tree and count nothing.
    pub(super) fn push_replay(&mut self, replay: Replay) {
        self.order += 1;
        self.lasting.push_back((self.order, Lasting::Replay(replay)));
    }

    /// Puts retained values of the subscription `number` that are on disk now in front, and lets the rest of them follow.
    pub(super) fn put_replayed(&mut self, number: u32, deliveries: Vec<Delivery>) {
        let waiting = |item: &(u64, Lasting)| matches!(&item.1, Lasting::Replay(replay) if replay.subscription == number && replay.waits);
        let at = self.lasting.iter().position(waiting);
        // The connection that they were for may be gone: then they are the oldest that the next one gets.
        let order = at.and_then(|at| self.lasting.get(at)).map_or(0, |(order, _)| *order);
        if let Some((_, Lasting::Replay(replay))) = at.and_then(|at| self.lasting.get_mut(at)) {
            replay.waits = false;
        }
        for delivery in deliveries.into_iter().rev() {
            let bytes = delivery.bytes();
            self.bytes += bytes;
            self.bounds.total_bytes.fetch_add(bytes, Ordering::Relaxed);
            self.lasting.insert(at.unwrap_or(0), (order, Lasting::Message(delivery)));
        }
    }

    /// Whether a message of `bytes` is one too many.
    pub(super) fn is_over(&self, bytes: usize) -> bool {
        self.len() >= self.bounds.messages_max
            || self.bytes + bytes > self.bounds.bytes_max
            || self.bounds.total_bytes.load(Ordering::Relaxed) + bytes > self.bounds.total_bytes_max
    }

    fn taken(&mut self, bytes: usize) {
        self.bytes -= bytes;
        self.bounds.total_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    fn fleeting_is_next(&self) -> bool {
        match (self.fleeting.front(), self.lasting.front()) {
            (Some((fleeting, _)), Some((lasting, _))) => fleeting < lasting,
            (fleeting, _) => fleeting.is_some(),
        }
    }

    /// What comes next, to look at.
    pub(super) fn front(&mut self) -> Option<Next<'_>> {
        if self.fleeting_is_next() {
            return self.fleeting.front().map(|(_, delivery)| Next::Message(delivery));
        }
        match self.lasting.front_mut() {
            Some((_, Lasting::Message(delivery))) => Some(Next::Message(delivery)),
            Some((_, Lasting::Replay(replay))) => Some(Next::Replay(replay)),
            None => None,
        }
    }

    /// Takes away what comes next; none where that was a replay.
    pub(super) fn pop(&mut self) -> Option<Delivery> {
        let delivery = if self.fleeting_is_next() {
            self.fleeting.pop_front().map(|(_, delivery)| delivery)
        } else {
            match self.lasting.pop_front() {
                Some((_, Lasting::Message(delivery))) => Some(delivery),
                _ => None,
            }
        };
        if let Some(delivery) = &delivery {
            self.taken(delivery.bytes());
        }
        delivery
    }

    /// Drops what a client that is gone does not get: QoS 0, and retained values that it had not been sent.
    pub(super) fn keep_lasting(&mut self) {
        let mut freed = 0;
        for (_, delivery) in self.fleeting.drain(..) {
            freed += delivery.bytes();
        }
        self.taken(freed);
        self.lasting.retain(|(_, item)| matches!(item, Lasting::Message(_)));
        self.fleeting.shrink_to_fit();
    }

    /// Where the messages are on disk.
    pub(super) fn kept(&self) -> impl Iterator<Item = KeptAt> {
        self.lasting.iter().filter_map(|(_, item)| match item {
            Lasting::Message(delivery) => delivery.kept,
            Lasting::Replay(_) => None,
        })
    }

    /// Drops the messages whose topic `may_stay` refuses: rights that were taken away. Tells where they are on disk.
    pub(super) fn retain(&mut self, may_stay: impl Fn(&[u8]) -> bool) -> Vec<KeptAt> {
        let mut freed = 0;
        let mut dropped = Vec::new();
        let mut stays = |delivery: &Delivery| {
            let stays = may_stay(&delivery.topic);
            if !stays {
                freed += delivery.bytes();
                dropped.extend(delivery.kept);
            }
            stays
        };
        self.fleeting.retain(|(_, delivery)| stays(delivery));
        self.lasting.retain(|(_, item)| match item {
            Lasting::Message(delivery) => stays(delivery),
            Lasting::Replay(_) => true,
        });
        self.taken(freed);
        dropped
    }

    /// Drops everything.
    pub(super) fn clear(&mut self) {
        self.fleeting.clear();
        self.lasting.clear();
        self.taken(self.bytes);
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.clear();
    }
}
