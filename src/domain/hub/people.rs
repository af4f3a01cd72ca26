//! Who is here: browsers by the name their person chose, boxes by what they say of themselves.
//!
//! Identity does not belong here: a name is a courtesy, not a right.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::domain::{id::Id, time::Wall};

/// How many people and boxes are told of; more are counted only.
pub(super) const PEOPLE_MAX: usize = 200;
/// How many devices are remembered.
pub(super) const DEVICES_MAX: usize = 1000;
/// The most characters of a person's name.
pub(super) const NAME_CHARS_MAX: usize = 40;

/// What somebody is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum MemberKind {
    /// A browser.
    Web,
    /// A client of the tutorials' Socket.IO interface.
    SocketIo,
}

impl MemberKind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Web => "web",
            Self::SocketIo => "socketio",
        }
    }
}

/// A connection that came to a room, went to another, or left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presence {
    /// The connection's number, never used twice by one edge.
    pub connection: u64,
    /// What it is.
    pub kind: MemberKind,
    /// The room it looks at, and the name it goes by; none when it left.
    pub here: Option<(Id, String)>,
}

#[derive(Debug)]
struct Member {
    room: Id,
    name: String,
    since: Wall,
}

#[derive(Debug, Default)]
struct Device {
    room: Option<Id>,
    name: Option<String>,
    online: bool,
    /// Since when it is there, or away; zero where that was before the hub began.
    since: Wall,
}

#[derive(Debug, Default)]
pub(super) struct People {
    members: BTreeMap<(MemberKind, u64), Member>,
    devices: BTreeMap<String, Device>,
}

impl People {
    /// Takes note of `change`; returns the rooms in which other people are now.
    pub(super) fn here(&mut self, change: Presence, now: Wall) -> Vec<Id> {
        let key = (change.kind, change.connection);
        let mut rooms = BTreeSet::new();
        let since = match self.members.get(&key) {
            Some(old) => {
                let same = change.here.as_ref().is_some_and(|(room, name)| *room == old.room && *name == old.name);
                if same {
                    return Vec::new();
                }
                rooms.insert(old.room.clone());
                old.since
            }
            None => now,
        };
        match change.here {
            Some((room, name)) => {
                rooms.insert(room.clone());
                let name = name.chars().filter(|c| !c.is_control()).take(NAME_CHARS_MAX).collect();
                self.members.insert(key, Member { room, name, since });
            }
            None => {
                self.members.remove(&key);
            }
        }
        rooms.into_iter().collect()
    }

    /// Takes note of what a device says of itself; returns the rooms in which other devices are now.
    pub(super) fn device_said(&mut self, device: &str, leaf: &str, payload: &[u8], now: Wall) -> Vec<Id> {
        if !matches!(leaf, "availability" | "info")
            || (!self.devices.contains_key(device) && self.devices.len() >= DEVICES_MAX)
        {
            return Vec::new();
        }
        if leaf == "info" && payload.is_empty() {
            let gone = self.devices.remove(device);
            return gone.and_then(|device| device.room).into_iter().collect();
        }
        let known = self.devices.entry(device.to_owned()).or_default();
        let before = known.room.clone();
        if leaf == "availability" {
            let online = payload == b"online";
            if known.online == online {
                return Vec::new();
            }
            (known.online, known.since) = (online, now);
        } else {
            let info: Value = serde_json::from_slice(payload).unwrap_or(Value::Null);
            known.room = info.get("room").and_then(Value::as_str).and_then(|room| room.parse().ok());
            let name = info.get("name").and_then(Value::as_str);
            known.name = name.map(|name| name.chars().filter(|c| !c.is_control()).take(NAME_CHARS_MAX).collect());
        }
        BTreeSet::from_iter(before.into_iter().chain(known.room.clone())).into_iter().collect()
    }

    /// The payload of `people` of `room`: who is there, and `away` with its devices that are off, where there are some.
    pub(super) fn in_room(&self, room: &Id) -> String {
        let browsers = self
            .members
            .iter()
            .filter(|(_, member)| member.room == *room)
            .map(|((kind, _), member)| (member.name.as_str(), kind.as_str(), member.since));
        let boxes = self
            .devices
            .iter()
            .filter(|(_, device)| device.online && device.room.as_ref() == Some(room))
            .map(|(id, device)| (device.name.as_deref().unwrap_or(id), "box", device.since));
        let all: Vec<_> = browsers.chain(boxes).collect();
        let people: Vec<Value> = all
            .iter()
            .take(PEOPLE_MAX)
            .map(|(name, kind, since)| json!({"name": name, "kind": kind, "since": since.unix_ms()}))
            .collect();
        let mut told = json!({"people": people, "count": all.len()});
        let away: Vec<Value> = self
            .devices
            .iter()
            .filter(|(_, device)| !device.online && device.room.as_ref() == Some(room))
            .take(PEOPLE_MAX)
            .map(|(id, device)| {
                let seen = Some(device.since.unix_ms()).filter(|since| *since != 0);
                json!({"name": device.name.as_deref().unwrap_or(id), "kind": "box", "since": seen})
            })
            .collect();
        if !away.is_empty() {
            told["away"] = away.into();
        }
        told.to_string()
    }
}
