//! The start: what was retained when the hub stopped is taken up again.
//!
//! Reading the disk does not belong here.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{Address, Hub, REVISION_MAX, Reaction, Room};
use crate::domain::{id::Id, origin::Origin, time::Now, topic::Topic};

impl Hub {
    /// Takes up what was retained when the hub stopped, and says what everybody shall see now: every state and leaf, and
    /// `hub/info`. Call it once, before anything else.
    ///
    /// `revision` is the newest revision that may have been given before; no revision up to it is given again.
    pub fn start<'a>(
        &mut self,
        restored: impl IntoIterator<Item = (&'a Topic, &'a [u8])>,
        revision: u64,
        now: Now,
    ) -> Reaction {
        self.revision = revision;
        let mut reaction = Reaction::default();
        let mut states: Vec<(Id, Id, Map<String, Value>)> = Vec::new();
        for (topic, payload) in restored {
            match self.address(topic) {
                Some(Address::HubLeaf("info")) => self.restore_rooms(payload),
                Some(Address::ThingLeaf { room, thing, leaf: "state" }) => {
                    if let (Ok(room), Ok(thing), Ok(state)) =
                        (room.parse(), thing.parse(), serde_json::from_slice(payload))
                    {
                        states.push((room, thing, state));
                    }
                }
                Some(Address::Device { device, leaf }) => {
                    let _ = self.people.device_said(device, leaf, payload, now.wall);
                }
                _ => {}
            }
        }
        // No state may give a revision that another one of them has.
        let revisions = states.iter().filter_map(|(_, _, state)| state.get("rev")?.as_u64());
        self.revision = revisions.filter(|rev| *rev <= REVISION_MAX).fold(self.revision, u64::max);
        let mut told = BTreeSet::new();
        for (room, thing, state) in states {
            if self.restore_thing(&room, &thing, &state, now, &mut reaction) {
                told.insert((room, thing));
            }
        }
        for (room, thing) in self.addresses().into_iter().filter(|address| !told.contains(address)) {
            self.publish_thing(&room, &thing, now, true, &mut reaction);
        }
        for room in self.rooms.keys().cloned().collect::<Vec<_>>() {
            self.publish_people(&room, &mut reaction);
        }
        self.publish_info(&mut reaction);
        reaction
    }

    /// Tells whether the state that came back is another one now, and so was published already.
    fn restore_thing(
        &mut self,
        room: &Id,
        thing: &Id,
        state: &Map<String, Value>,
        now: Now,
        reaction: &mut Reaction,
    ) -> bool {
        let Some(slot) = self.rooms.get_mut(room).and_then(|room| room.things.get_mut(thing)) else { return false };
        slot.revision = state.get("rev").and_then(Value::as_u64).filter(|rev| *rev <= REVISION_MAX).unwrap_or(0);
        slot.by = state.get("by").and_then(Value::as_str).unwrap_or("hub").into();
        let effect = slot.thing.restore(state, now);
        // A state that came back as it was is no change: its revision and its author stay.
        let as_it_was = slot.thing.state(now).to_map().iter().all(|(name, value)| state.get(name) == Some(value));
        if !as_it_was {
            self.changed(room, thing, &Origin::Hub, effect, now, reaction);
        }
        !as_it_was
    }

    fn addresses(&self) -> Vec<(Id, Id)> {
        let pairs = |(id, room): (&Id, &Room)| {
            let id = id.clone();
            room.things.keys().map(move |thing| (id.clone(), thing.clone())).collect::<Vec<_>>()
        };
        self.rooms.iter().flat_map(pairs).collect()
    }
}
