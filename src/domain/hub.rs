//! The hub as a value: rooms with their things, and what a publish to any topic means.
//!
//! The retained tree, `seq`, limits of the tree and time's passing do not belong here: the engine has those. Rights do not
//! either: whoever hands a publish in has checked them.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    id::{Id, RESERVED_ROOMS},
    origin::Origin,
    publication::{Accepted, Level, Publication, Publish},
    rejection::{Code, Rejection},
    thing::{Effect, Finished},
    time::{Mono, Now},
    topic::Topic,
    wire::{self, Command},
};

mod address;
mod info;
mod people;
mod references;
mod room;
mod start;
mod tell;

use address::Address;
pub use info::RoomChange;
use people::People;
pub use people::{MemberKind, Presence};
use references::References;
use room::{Room, Slot};
pub use room::{RoomSpec, ThingSpec};
use tell::{by, free, owned};

/// How many rooms a hub may have, unless configured otherwise.
pub const ROOMS_MAX_DEFAULT: usize = 100;
/// The greatest revision that is believed when a state is read back: beyond it, JSON's readers are not exact any more.
const REVISION_MAX: u64 = 1 << 53;
/// How many things a room may have.
pub const THINGS_MAX: usize = 64;

/// What a hub is made from.
#[derive(Debug, Clone, PartialEq)]
pub struct HubSpec {
    /// What the hub is called by people.
    pub name: String,
    /// The hub's version.
    pub version: String,
    /// The first level of every topic that belongs to the hub.
    pub root: Id,
    /// A new one for each start, so that clients notice a restart.
    pub boot: String,
    /// The things of a room that is created while the hub runs.
    pub template: Vec<ThingSpec>,
    /// The rooms that exist from the start.
    pub rooms: Vec<RoomSpec>,
    /// How many rooms there may be.
    pub rooms_max: usize,
}

/// What a publish or a wake-up led to.
#[derive(Debug, Default)]
pub struct Reaction {
    /// What happened, in order; the engine gives each its `seq`.
    pub publications: Vec<Publication>,
    /// Timed phases that are over.
    pub finished: Vec<Record>,
}

/// A timed phase that is over, with where it was and who ended it.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// The room.
    pub room: Id,
    /// The thing.
    pub thing: Id,
    /// What is over.
    pub finished: Finished,
    /// Who ended it; the hub, where time was up.
    pub by: Origin,
}

/// The rooms, their things, and who is here.
#[derive(Debug)]
pub struct Hub {
    spec: HubSpec,
    /// What other systems know the hub by: the boot id of its first start, kept ever since in `hub/info`.
    id: String,
    rooms: BTreeMap<Id, Room>,
    people: People,
    references: References,
    wakeups: BTreeSet<(Mono, Id, Id)>,
    revision: u64,
    revision_ceiling: u64,
}

impl Hub {
    /// A hub with the rooms of `spec`, every thing in its first state.
    #[must_use]
    pub fn new(spec: HubSpec) -> Self {
        let rooms = spec.rooms.iter().map(|room| (room.id.clone(), Room::new(room, false))).collect();
        Self {
            id: spec.boot.clone(),
            spec,
            rooms,
            people: People::default(),
            references: References::default(),
            wakeups: BTreeSet::new(),
            revision: 0,
            revision_ceiling: u64::MAX,
        }
    }

    /// No revision above `ceiling` is given to a command: the disk knows of those up to it, so that after a crash none repeats.
    pub const fn allow_revisions(&mut self, ceiling: u64) {
        self.revision_ceiling = ceiling;
    }

    /// The newest revision that was given.
    #[must_use]
    pub const fn revision(&self) -> u64 {
        self.revision
    }

    /// The first level of every topic that belongs to the hub.
    #[must_use]
    pub const fn root(&self) -> &Id {
        &self.spec.root
    }

    /// The topic of a leaf of the hub itself, such as `availability`.
    #[must_use]
    pub fn hub_topic(&self, leaf: &str) -> Topic {
        Topic::of(&[self.spec.root.as_str(), "hub", leaf])
    }

    /// Whether carrying out a publish to `topic` changes something that must be on disk: a command does.
    #[must_use]
    pub fn is_command(&self, topic: &Topic) -> bool {
        matches!(self.address(topic), Some(Address::ThingLeaf { leaf: "set", .. }))
    }

    /// Tells everybody that the hub is there, or that it goes.
    pub fn announce(&self, online: bool) -> Reaction {
        let payload = if online { "online" } else { "offline" };
        let mut reaction = Reaction::default();
        reaction.publications.push(owned(self.hub_topic("availability"), payload, Level::Retained));
        reaction
    }

    /// Carries out one publish.
    ///
    /// # Errors
    /// Why it did nothing. The rejection is among the publications too, on `rejected` of the thing or of the hub.
    pub fn publish(&mut self, publish: &Publish, now: Now, reaction: &mut Reaction) -> Result<Accepted, Rejection> {
        match self.address(&publish.topic) {
            None => {
                reaction.publications.push(free(publish));
                Ok(Accepted::default())
            }
            Some(Address::Device { device, leaf }) => {
                let (device, leaf) = (device.to_owned(), leaf.to_owned());
                self.device_publish(&device, &leaf, publish, now, reaction)
            }
            Some(Address::ThingLeaf { room, thing, leaf: "set" })
                if self.rooms.get(room).is_some_and(|known| known.things.contains_key(thing)) =>
            {
                // Both are ids, or the look-up had not found them.
                let found = self.rooms.get_key_value(room).and_then(|(room_id, known)| {
                    let (thing_id, _) = known.things.get_key_value(thing)?;
                    Some((room_id.clone(), thing_id.clone()))
                });
                match found {
                    Some((room, thing)) => self.command(&room, &thing, publish, now, reaction),
                    None => Err(self.refuse(publish, reaction)),
                }
            }
            Some(_) => Err(self.refuse(publish, reaction)),
        }
    }

    fn device_publish(
        &mut self,
        device: &str,
        leaf: &str,
        publish: &Publish,
        now: Now,
        reaction: &mut Reaction,
    ) -> Result<Accepted, Rejection> {
        if device.parse::<Id>().is_err() {
            return Err(self.refuse(publish, reaction));
        }
        reaction.publications.push(free(publish));
        if publish.retain {
            for room in self.people.device_said(device, leaf, &publish.payload, now.wall) {
                self.publish_people(&room, reaction);
            }
        }
        Ok(Accepted::default())
    }

    /// Tells why a publish below the root is not taken, to its sender and on `hub/rejected`.
    fn refuse(&self, publish: &Publish, reaction: &mut Reaction) -> Rejection {
        let (rejection, nearest) = address::refusal(&self.spec.root, &self.rooms, &publish.topic);
        self.tell_refused(publish, &rejection, nearest.as_deref(), reaction);
        rejection
    }

    /// Puts a refusal that was decided elsewhere (a limit, a right) on `hub/rejected`.
    pub fn tell_refused(
        &self,
        publish: &Publish,
        rejection: &Rejection,
        nearest: Option<&str>,
        reaction: &mut Reaction,
    ) {
        let fields = wire::Fields::new()
            .with("code", rejection.code.as_str())
            .with("message", rejection.message.as_str())
            .with("topic", address::shorten(publish.topic.as_str()))
            .with("nearest", nearest)
            .with("by", by(&publish.origin));
        reaction.publications.push(owned(self.hub_topic("rejected"), fields.to_json(), Level::Event));
    }

    fn command(
        &mut self,
        room: &Id,
        thing: &Id,
        publish: &Publish,
        now: Now,
        reaction: &mut Reaction,
    ) -> Result<Accepted, Rejection> {
        let command = Command::parse(&publish.payload);
        let reference = match &command {
            Ok(command) => command.reference.clone(),
            Err(_) => wire::find_reference(&publish.payload),
        };
        let key = reference.as_deref().map(|reference| format!("{room}/{thing} {reference}"));
        if let Some(outcome) = key.as_deref().and_then(|key| self.references.recall(&publish.origin, key, now.mono)) {
            return outcome;
        }
        // What is due by time comes before what somebody wants now.
        self.wake_thing(room, thing, now, reaction);
        let outcome = command.and_then(|command| self.apply(room, thing, &command, &publish.origin, now, reaction));
        if let Err(rejection) = &outcome {
            let fields = wire::Fields::new()
                .with("code", rejection.code.as_str())
                .with("message", rejection.message.as_str())
                .with("command", wire::echo(&publish.payload))
                .with("by", by(&publish.origin))
                .with("ref", reference);
            let topic = Topic::of(&[self.spec.root.as_str(), room.as_str(), thing.as_str(), "rejected"]);
            reaction.publications.push(owned(topic, fields.to_json(), Level::Event));
        }
        // What the disk refuses today may be tried again tomorrow.
        let passing = matches!(&outcome, Err(rejection) if rejection.code == Code::Storage);
        if let Some(key) = key.filter(|_| !passing) {
            self.references.remember(&publish.origin, key, outcome.clone(), now.mono);
        }
        outcome
    }

    fn apply(
        &mut self,
        room: &Id,
        thing: &Id,
        command: &Command,
        origin: &Origin,
        now: Now,
        reaction: &mut Reaction,
    ) -> Result<Accepted, Rejection> {
        if self.revision >= self.revision_ceiling {
            return Err(Rejection::new(Code::Storage, "The hub cannot write to its disk at the moment."));
        }
        let slot = self
            .rooms
            .get_mut(room)
            .and_then(|room| room.things.get_mut(thing))
            .ok_or_else(|| Rejection::new(Code::UnknownThing, "There is no such thing."))?;
        if let Some(revision) = command.revision.filter(|revision| *revision != slot.revision) {
            let message = format!("The command is for revision {revision}; the thing has {} now.", slot.revision);
            return Err(Rejection::new(Code::Stale, message));
        }
        let effect = slot.thing.apply(command, now)?;
        let unchanged = Accepted { seq: 0, revision: Some(slot.revision) };
        if !effect.changed {
            return Ok(unchanged);
        }
        Ok(Accepted { seq: 0, revision: Some(self.changed(room, thing, origin, effect, now, reaction)) })
    }

    /// Gives the thing its new revision and publishes what `effect` did.
    fn changed(
        &mut self,
        room: &Id,
        thing: &Id,
        origin: &Origin,
        effect: Effect,
        now: Now,
        reaction: &mut Reaction,
    ) -> u64 {
        self.revision += 1;
        let revision = self.revision;
        if let Some(slot) = self.rooms.get_mut(room).and_then(|room| room.things.get_mut(thing)) {
            slot.revision = revision;
            slot.by = by(origin).into();
        }
        self.publish_thing(room, thing, now, false, reaction);
        for event in effect.events {
            let fields = wire::Fields::new()
                .with("event_type", event.event_type)
                .and(event.fields)
                .with("by", by(origin))
                .with("rev", revision);
            let topic = Topic::of(&[self.spec.root.as_str(), room.as_str(), thing.as_str(), "event"]);
            reaction.publications.push(owned(topic, fields.to_json(), Level::Event));
        }
        if let Some(finished) = effect.finished {
            reaction.finished.push(Record { room: room.clone(), thing: thing.clone(), finished, by: origin.clone() });
        }
        revision
    }

    /// When something is due next by time alone.
    #[must_use]
    pub fn next_wakeup(&self) -> Option<Mono> {
        self.wakeups.first().map(|(at, _, _)| *at)
    }

    /// Does everything that is due. Waking early is harmless.
    pub fn wake(&mut self, now: Now) -> Reaction {
        let mut reaction = Reaction::default();
        let due: Vec<(Id, Id)> = self
            .wakeups
            .iter()
            .take_while(|(at, _, _)| *at <= now.mono)
            .map(|(_, room, thing)| (room.clone(), thing.clone()))
            .collect();
        for (room, thing) in due {
            self.wake_thing(&room, &thing, now, &mut reaction);
        }
        reaction
    }

    fn wake_thing(&mut self, room: &Id, thing: &Id, now: Now, reaction: &mut Reaction) {
        let Some(slot) = self.rooms.get_mut(room).and_then(|room| room.things.get_mut(thing)) else { return };
        let effect = slot.thing.wake(now);
        if effect.changed {
            self.changed(room, thing, &Origin::Hub, effect, now, reaction);
        } else {
            self.publish_reading(room, thing, now, false, reaction);
        }
    }

    /// Takes note of somebody who came to a room, went to another or left.
    pub fn here(&mut self, change: Presence, now: Now) -> Reaction {
        let mut reaction = Reaction::default();
        for room in self.people.here(change, now.wall) {
            self.publish_people(&room, &mut reaction);
        }
        reaction
    }

    /// The one topic levels of which the hub gives a meaning to; none for a free topic.
    fn address<'a>(&self, topic: &'a Topic) -> Option<Address<'a>> {
        Address::of(&self.spec.root, topic)
    }
}

/// Whether `room` can be the id of a room.
#[must_use]
pub fn is_room_id(room: &Id) -> bool {
    !RESERVED_ROOMS.contains(&room.as_str())
}

#[cfg(test)]
mod tests;
