//! What everybody is told: states, leaves and readings of things, and who is in a room.
//!
//! What changes a thing does not belong here.

use std::sync::Arc;

use super::{Hub, Reaction, address};
use crate::domain::{
    id::Id,
    origin::Origin,
    publication::{Level, Publication, Publish, Qos},
    time::Now,
    topic::Topic,
};

impl Hub {
    /// Publishes a thing's state and those of its leaves that changed (all of them, where `everything` is asked for), and
    /// notes when the thing wants to be woken.
    pub(super) fn publish_thing(&mut self, room: &Id, thing: &Id, now: Now, everything: bool, reaction: &mut Reaction) {
        let Some(slot) = self.rooms.get_mut(room).and_then(|room| room.things.get_mut(thing)) else { return };
        let topic = |leaf: &str| Topic::of(&[self.spec.root.as_str(), room.as_str(), thing.as_str(), leaf]);
        let state =
            slot.thing.state(now).with("rev", slot.revision).with("by", &*slot.by).with("sent_at", now.wall.unix_ms());
        reaction.publications.push(owned(topic("state"), state.to_json(), Level::Retained));
        let leaves = slot.thing.leaves();
        for (leaf, text) in &leaves {
            if everything || !slot.leaves.contains(&(*leaf, text.clone())) {
                reaction.publications.push(owned(topic(leaf), text.clone(), Level::Derived));
            }
        }
        slot.leaves = leaves;
        self.publish_reading(room, thing, now, everything, reaction);
    }

    /// Publishes the thing's reading where it is another one now, and notes when the thing wants to be woken.
    pub(super) fn publish_reading(
        &mut self,
        room: &Id,
        thing: &Id,
        now: Now,
        everything: bool,
        reaction: &mut Reaction,
    ) {
        let Some(slot) = self.rooms.get_mut(room).and_then(|room| room.things.get_mut(thing)) else { return };
        if let Some((leaf, text)) = slot.thing.reading(now)
            && (everything || slot.reading.as_deref() != Some(&text))
        {
            let topic = Topic::of(&[self.spec.root.as_str(), room.as_str(), thing.as_str(), leaf]);
            slot.reading = Some(text.clone());
            reaction.publications.push(Publication { qos: Qos::AtMostOnce, ..owned(topic, text, Level::Reading) });
        }
        let wakeup = [slot.thing.next_wakeup(), slot.thing.next_reading(now)].into_iter().flatten().min();
        if slot.wakeup != wakeup {
            if let Some(old) = slot.wakeup {
                self.wakeups.remove(&(old, room.clone(), thing.clone()));
            }
            slot.wakeup = wakeup;
            if let Some(new) = wakeup {
                self.wakeups.insert((new, room.clone(), thing.clone()));
            }
        }
    }

    pub(super) fn publish_people(&self, room: &Id, reaction: &mut Reaction) {
        if self.rooms.contains_key(room) {
            let topic = Topic::of(&[self.spec.root.as_str(), room.as_str(), "people"]);
            reaction.publications.push(owned(topic, self.people.in_room(room), Level::Derived));
        }
    }
}

/// `origin` as states and rejections tell it: cut where a client id is very long.
pub(super) fn by(origin: &Origin) -> String {
    address::shorten(&origin.to_string())
}

/// A publication of the hub's own.
pub(super) fn owned(topic: Topic, payload: impl Into<bytes::Bytes>, level: Level) -> Publication {
    Publication {
        seq: 0,
        topic,
        payload: payload.into(),
        level,
        qos: Qos::AtLeastOnce,
        origin: Origin::Hub,
        session: None,
        expires_at: None,
        properties: None,
    }
}

/// A publication that passes on what somebody sent.
pub(super) fn free(publish: &Publish) -> Publication {
    Publication {
        seq: 0,
        topic: publish.topic.clone(),
        payload: publish.payload.clone(),
        level: if publish.retain { Level::Retained } else { Level::Event },
        qos: publish.qos,
        origin: publish.origin.clone(),
        session: publish.session,
        expires_at: publish.expires_at,
        properties: publish.properties.as_ref().map(Arc::clone),
    }
}
