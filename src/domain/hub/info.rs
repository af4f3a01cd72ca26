//! `hub/info`: what there is, for clients that build their view from it; and rooms that come and go while the hub runs.
//!
//! The document is also how rooms that were made while the hub ran outlast a restart.

use serde_json::{Value, json};

use super::{Hub, Level, Origin, Publication, Reaction, Room, RoomSpec, Slot, THINGS_MAX, is_room_id, owned};
use crate::domain::{
    id::Id,
    rejection::{Code, Rejection},
    time::Now,
    topic::Topic,
};

/// The most characters of a room's name.
pub(super) const ROOM_NAME_CHARS_MAX: usize = 64;

/// A change to the set of rooms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RoomChange {
    /// Makes a room from the template.
    Create {
        /// Its id.
        id: Id,
        /// What it is called by people.
        name: String,
    },
    /// Gives a room another name; its id stays.
    Rename {
        /// Which one.
        id: Id,
        /// What it is called from now on.
        name: String,
    },
    /// Takes a room away that was made while the hub ran, with all that is retained below it.
    Delete {
        /// Which one.
        id: Id,
    },
}

impl Hub {
    pub(super) fn publish_info(&self, reaction: &mut Reaction) {
        reaction.publications.push(owned(self.hub_topic("info"), self.info().to_string(), Level::Retained));
    }

    /// The payload of `hub/info`.
    #[must_use]
    pub fn info(&self) -> Value {
        let thing = |(id, slot): (&Id, &Slot)| {
            json!({
                "id": id, "kind": slot.settings.kind(), "name": slot.name,
                "controls": slot.thing.controls(), "event_types": slot.thing.event_types(),
                "reading": slot.reading.as_ref().map(|_| "remaining"),
            })
        };
        let room = |(id, room): (&Id, &Room)| {
            let things: Vec<Value> = room.things.iter().map(thing).collect();
            json!({"id": id, "name": room.name, "created": room.created, "renamed": room.renamed, "things": things})
        };
        let rooms: Vec<Value> = self.rooms.iter().map(room).collect();
        json!({
            "id": self.id, "name": self.spec.name, "version": self.spec.version, "boot": self.spec.boot, "root": self.spec.root,
            "rooms_max": self.spec.rooms_max, "things_max": THINGS_MAX, "rooms": rooms,
        })
    }

    /// Makes the rooms again that were made while an earlier hub ran, and takes over names that were given then.
    pub(super) fn restore_rooms(&mut self, payload: &[u8]) {
        let info: Value = serde_json::from_slice(payload).unwrap_or(Value::Null);
        if let Some(id) = info.get("id").and_then(Value::as_str).filter(|id| !id.is_empty()) {
            id.clone_into(&mut self.id);
        }
        for room in info.get("rooms").and_then(Value::as_array).into_iter().flatten() {
            let Some(id) = room.get("id").and_then(Value::as_str).and_then(|id| id.parse::<Id>().ok()) else {
                continue;
            };
            let name = room.get("name").and_then(Value::as_str).unwrap_or(id.as_str()).to_owned();
            let created = room.get("created").and_then(Value::as_bool).unwrap_or(false);
            let renamed = room.get("renamed").and_then(Value::as_bool).unwrap_or(false);
            if let Some(known) = self.rooms.get_mut(&id) {
                if renamed {
                    (known.name, known.renamed) = (name, true);
                }
            } else if created && is_room_id(&id) && self.rooms.len() < self.spec.rooms_max {
                let spec = RoomSpec { id: id.clone(), name, things: self.spec.template.clone() };
                self.rooms.insert(id, Room::new(&spec, true));
            }
        }
    }

    /// Creates, renames or deletes a room. `retained` are the topics below the room that have a retained value: deleting clears them.
    ///
    /// # Errors
    /// Why nothing was done: a reserved or taken id, an unknown room, one of the configuration, too many rooms, a bad name.
    pub fn change_room(
        &mut self,
        change: RoomChange,
        retained: impl Iterator<Item = Topic>,
        now: Now,
    ) -> Result<Reaction, Rejection> {
        let mut reaction = Reaction::default();
        match change {
            RoomChange::Create { id, name } => {
                let name = checked_name(&name)?;
                if !is_room_id(&id) {
                    return Err(Rejection::new(
                        Code::Malformed,
                        format!("`{id}` is a name that the hub keeps for itself."),
                    ));
                }
                if self.rooms.contains_key(&id) {
                    return Err(Rejection::new(Code::Limit, format!("There is a room `{id}` already.")));
                }
                if self.rooms.len() >= self.spec.rooms_max {
                    return Err(Rejection::new(Code::Limit, format!("There are {} rooms already.", self.rooms.len())));
                }
                let spec = RoomSpec { id: id.clone(), name, things: self.spec.template.clone() };
                self.rooms.insert(id.clone(), Room::new(&spec, true));
                for thing in self.things_of(&id) {
                    self.publish_thing(&id, &thing, now, true, &mut reaction);
                }
                self.publish_people(&id, &mut reaction);
            }
            RoomChange::Rename { id, name } => {
                let name = checked_name(&name)?;
                let room = self.rooms.get_mut(&id).ok_or_else(|| unknown(&id))?;
                (room.name, room.renamed) = (name, true);
            }
            RoomChange::Delete { id } => {
                if !self.rooms.get(&id).ok_or_else(|| unknown(&id))?.created {
                    let message = format!("`{id}` stands in the configuration; it can be taken away there.");
                    return Err(Rejection::new(Code::Forbidden, message));
                }
                for thing in self.things_of(&id) {
                    let wakeup = self.rooms.get(&id).and_then(|room| room.things.get(&thing)?.wakeup);
                    if let Some(at) = wakeup {
                        self.wakeups.remove(&(at, id.clone(), thing));
                    }
                }
                self.rooms.remove(&id);
                let cleared = |topic| Publication { origin: Origin::Hub, ..owned(topic, "", Level::Retained) };
                reaction.publications.extend(retained.map(cleared));
            }
        }
        self.publish_info(&mut reaction);
        Ok(reaction)
    }

    fn things_of(&self, room: &Id) -> Vec<Id> {
        self.rooms.get(room).into_iter().flat_map(|room| room.things.keys().cloned()).collect()
    }
}

fn unknown(id: &Id) -> Rejection {
    Rejection::new(Code::UnknownRoom, format!("There is no room `{id}`."))
}

fn checked_name(name: &str) -> Result<String, Rejection> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > ROOM_NAME_CHARS_MAX || name.chars().any(char::is_control) {
        let message = format!("A room's name has 1 to {ROOM_NAME_CHARS_MAX} characters.");
        return Err(Rejection::new(Code::Malformed, message));
    }
    Ok(name.to_owned())
}
