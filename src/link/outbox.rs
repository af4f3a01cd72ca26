//! What waits to be sent to one side of a link, in bounded memory.
//!
//! Sending does not belong here.

use std::collections::{BTreeMap, VecDeque};

use super::mirror::Message;

/// The most events and commands that wait; the oldest goes first when there are more.
const EVENTS_MAX: usize = 1_000;

/// A queue in which a newer level takes the place of an older one of its topic. Of levels there are as many as topics, which
/// the mirror bounds; events and commands have a bound here.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    /// The place of each waiting message in the order; a level that is replaced keeps the later place.
    order: VecDeque<(u64, Waiting)>,
    levels: BTreeMap<String, (u64, Message)>,
    events: usize,
    next: u64,
    /// Events that found no room, since the start.
    pub(super) dropped: u64,
}

#[derive(Debug)]
enum Waiting {
    Level(String),
    Event(Message),
}

impl Outbox {
    pub(super) fn is_empty(&self) -> bool {
        self.levels.is_empty() && self.events == 0
    }

    pub(super) fn clear(&mut self) {
        self.order.clear();
        self.levels.clear();
        self.events = 0;
    }

    pub(super) fn push(&mut self, message: Message) {
        self.next += 1;
        if message.retain {
            self.order.push_back((self.next, Waiting::Level(message.topic.clone())));
            self.levels.insert(message.topic.clone(), (self.next, message));
            self.forget_replaced();
            return;
        }
        if self.events >= EVENTS_MAX {
            let oldest = self.order.iter().position(|(_, waiting)| matches!(waiting, Waiting::Event(_)));
            if let Some(at) = oldest {
                self.order.remove(at);
                self.events -= 1;
                self.dropped += 1;
            }
        }
        self.events += 1;
        self.order.push_back((self.next, Waiting::Event(message)));
    }

    pub(super) fn pop(&mut self) -> Option<Message> {
        while let Some((place, waiting)) = self.order.pop_front() {
            match waiting {
                Waiting::Event(message) => {
                    self.events -= 1;
                    return Some(message);
                }
                Waiting::Level(topic) => {
                    if self.levels.get(&topic).is_some_and(|(newest, _)| *newest == place) {
                        return self.levels.remove(&topic).map(|(_, message)| message);
                    }
                }
            }
        }
        None
    }

    /// Keeps the order as short as what waits, up to a factor: places of levels that were replaced are dropped.
    fn forget_replaced(&mut self) {
        if self.order.len() > 64 + 2 * (self.levels.len() + self.events) {
            let levels = &self.levels;
            self.order.retain(|(place, waiting)| match waiting {
                Waiting::Event(_) => true,
                Waiting::Level(topic) => levels.get(topic).is_some_and(|(newest, _)| newest == place),
            });
        }
    }
}

#[cfg(test)]
mod tests;
