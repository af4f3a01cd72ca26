//! What goes over a link, in which direction, under which topic: a plain value, without sockets or tasks.
//!
//! The *hub* is on one side, the *far* broker on the other. The two directions never meet, so nothing can go round:
//!
//! * Out go the hub's own topics (states, leaves, events, rejections, people, `hub/…`) and its discovery documents.
//! * In come commands (`set`, as live messages only: a retained one would run again at every reconnect) and the birth of
//!   Home Assistant.
//! * `device/<id>/…` goes both ways, and each device belongs to the side on which it was heard first. What the link publishes to
//!   the hub carries a stamp, so that it is known when it comes back; the far broker's echoes are known by the device's owner and
//!   by what was sent. A device that moves to the other broker is followed once it is offline where it was.
//!
//! Safety: what came from one side is never sent back to it. Liveness: whenever both sides are up, the far side comes to hold
//! what the hub's retained tree holds, and nothing else below its root that is the hub's.
//!
//! Connections, queues and time do not belong here.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use serde_json::Value;

use crate::{
    discovery::{
        homeassistant::{is_named_ours, is_ours},
        info::HubInfo,
    },
    domain::{id::Id, publication::Qos, topic::Topic},
};

use super::rewrite;

/// The most retained topics of the hub that are mirrored; more are left out, and told in the log.
pub const REPLICA_TOPICS_MAX: usize = 50_000;
/// The most devices whose side is remembered.
const DEVICES_MAX: usize = 1_000;
/// The most messages to devices' topics whose echo is waited for.
const ECHOES_MAX: usize = 1_024;
/// The most leftovers at the far side that are remembered until they are cleared.
const LEFTOVERS_MAX: usize = 10_000;
/// The leaves of a device that are levels, whatever the retain flag of a live message says: an MQTT 3.1.1 broker clears it.
const LEVEL_LEAVES: [&str; 2] = ["availability", "info"];

/// How the topics of the two sides correspond.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// The hub's root.
    pub root: Id,
    /// What stands for the root at the far side; may have several levels.
    pub far_root: Topic,
    /// The prefix of discovery at the hub.
    pub prefix: Topic,
    /// The prefix of discovery at the far side.
    pub far_prefix: Topic,
    /// The id of the device as which the link tells of itself at the hub; it is not mirrored.
    pub link_device: Id,
}

/// A message, on its way in either direction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Where.
    pub topic: String,
    /// What.
    pub payload: Bytes,
    /// At the hub: whether it set or cleared a retained value. From the far side: whether it is a retained value that was there
    /// before. On its way out: whether to retain it.
    pub retain: bool,
    /// The quality of service.
    pub qos: Qos,
    /// Whether this link put it there.
    pub stamped: bool,
}

impl Message {
    /// A message with QoS 1.
    #[must_use]
    pub fn new(topic: impl Into<String>, payload: impl Into<Bytes>, retain: bool) -> Self {
        Self { topic: topic.into(), payload: payload.into(), retain, qos: Qos::AtLeastOnce, stamped: false }
    }
}

/// Which broker a device is connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Hub,
    Far,
}

/// The state of a link.
#[derive(Debug)]
pub struct Mirror {
    names: Names,
    info: Option<HubInfo>,
    /// What is retained at the hub and concerns the link.
    replica: BTreeMap<String, (Bytes, Qos)>,
    devices: BTreeMap<String, Side>,
    /// What was sent out to topics of devices and may come back.
    echoes: VecDeque<(String, Bytes)>,
    /// The documents that were sent out, as the far side has them.
    documents: BTreeMap<String, Bytes>,
    /// Retained topics of the far side that are the hub's, under their names at the hub.
    leftovers: BTreeSet<String>,
    /// Retained topics that found no room.
    left_out: usize,
}

impl Mirror {
    /// A link that has heard nothing yet.
    #[must_use]
    pub fn new(names: Names) -> Self {
        Self {
            names,
            info: None,
            replica: BTreeMap::new(),
            devices: BTreeMap::new(),
            echoes: VecDeque::new(),
            documents: BTreeMap::new(),
            leftovers: BTreeSet::new(),
            left_out: 0,
        }
    }

    /// How the topics correspond.
    #[must_use]
    pub const fn names(&self) -> &Names {
        &self.names
    }

    /// Whether the hub has told what it has.
    #[must_use]
    pub const fn knows_hub(&self) -> bool {
        self.info.is_some()
    }

    /// How many retained topics of the hub are not mirrored, for want of room.
    #[must_use]
    pub const fn left_out(&self) -> usize {
        self.left_out
    }

    /// The hub is there again and will say everything anew: what it no longer says is gone.
    pub fn hub_begins(&mut self) {
        let before = std::mem::take(&mut self.replica);
        let of_hub = before.into_keys().filter(|topic| self.device_of(topic).is_none());
        let room = LEFTOVERS_MAX.saturating_sub(self.leftovers.len());
        let of_hub: Vec<String> = of_hub.take(room).collect();
        self.leftovers.extend(of_hub);
        self.documents.clear();
        self.info = None;
        self.left_out = 0;
    }

    /// The far side is there again and will say everything anew.
    pub fn far_begins(&mut self) {
        self.echoes.clear();
        self.documents.clear();
        self.leftovers.clear();
    }

    /// What to tell the far side when it is there again: everything that is retained.
    #[must_use]
    pub fn everything(&self) -> Vec<Message> {
        let messages = self.replica.iter().filter_map(|(topic, (payload, qos))| {
            let of_far = self.device_of(topic).is_some_and(|device| self.devices.get(device) == Some(&Side::Far));
            if of_far { None } else { Some(Message { qos: *qos, ..self.outwards(topic, payload.clone(), true)? }) }
        });
        // The document of the hub comes before those that name it, and `online` after what it is about.
        let (mut first, rest): (Vec<_>, Vec<_>) =
            messages.partition(|message| message.topic.starts_with(&format!("{}/", self.names.far_prefix)));
        let online = self.far_availability();
        let (last, rest): (Vec<_>, Vec<_>) = rest.into_iter().partition(|message| message.topic == online);
        first.extend(rest);
        first.extend(last);
        first
    }

    /// The topic at the far side that tells whether the hub is there.
    #[must_use]
    pub fn far_availability(&self) -> String {
        format!("{}/hub/availability", self.names.far_root)
    }

    /// What is retained at the far side, is the hub's, and is no longer at the hub: to be cleared. Asked for once both sides have
    /// said everything.
    pub fn leftovers(&mut self) -> Vec<Message> {
        let gone = std::mem::take(&mut self.leftovers).into_iter().filter(|topic| !self.replica.contains_key(topic));
        let clearings: Vec<Message> = gone.filter_map(|topic| self.outwards(&topic, Bytes::new(), true)).collect();
        for clearing in &clearings {
            self.documents.remove(&clearing.topic);
        }
        clearings
    }

    /// Takes in what the hub published; returns what to tell the far side.
    pub fn hub_said(&mut self, message: Message) -> Option<Message> {
        if message.retain && self.concerns(&message.topic) {
            self.keep(&message);
        }
        if let Some(device) = self.device_of(&message.topic).map(str::to_owned) {
            let side = if message.stamped { Side::Far } else { Side::Hub };
            self.belongs(&device, side);
            if side == Side::Hub && device != self.names.link_device.as_str() {
                if self.echoes.len() >= ECHOES_MAX {
                    self.echoes.pop_front();
                }
                let out = self.outwards(&message.topic, message.payload.clone(), message.retain)?;
                self.echoes.push_back((out.topic.clone(), message.payload));
                return Some(Message { qos: message.qos, ..out });
            }
            return None;
        }
        if message.stamped || is_about_a_rejection(&message) {
            return None;
        }
        let out = Message { qos: message.qos, ..self.outwards(&message.topic, message.payload, message.retain)? };
        (!self.is_there_already(&out)).then_some(out)
    }

    /// Whether the far side has this document. A far side that is the hub itself would bring each one back for ever.
    fn is_there_already(&mut self, out: &Message) -> bool {
        if below(&out.topic, self.names.far_prefix.as_str()).is_none() || self.documents.len() >= REPLICA_TOPICS_MAX {
            return false;
        }
        self.documents.insert(out.topic.clone(), out.payload.clone()).is_some_and(|before| before == out.payload)
    }

    /// Takes in what the far broker sent; returns what to tell the hub.
    pub fn far_said(&mut self, message: Message) -> Option<Message> {
        let Names { root, far_root, prefix, far_prefix, .. } = &self.names;
        if let Some(rest) = below(&message.topic, far_prefix.as_str()) {
            if rest == "status" && !message.retain {
                // What a user of Home Assistant has deleted there comes again.
                self.documents.clear();
                return Some(stamped(Message::new(format!("{prefix}/status"), message.payload, false)));
            }
            if message.retain && !message.payload.is_empty() {
                self.remember_document(rest.to_owned(), &message.payload);
            }
            return None;
        }
        let rest = below(&message.topic, far_root.as_str())?;
        let topic = format!("{root}/{rest}");
        if let Some((device, leaf)) = rest.strip_prefix("device/").and_then(|rest| rest.split_once('/')) {
            let (device, leaf) = (device.to_owned(), leaf.to_owned());
            return self.far_device_said(&device, &leaf, topic, message);
        }
        if let [room, _, "set"] = rest.split('/').collect::<Vec<_>>()[..]
            && room != "hub"
        {
            // A retained command would run again at every reconnect.
            return (!message.retain).then(|| stamped(Message::new(topic, message.payload, false)));
        }
        if message.retain && !message.payload.is_empty() && self.leftovers.len() < LEFTOVERS_MAX {
            self.leftovers.insert(topic);
        }
        None
    }

    fn far_device_said(&mut self, device: &str, leaf: &str, topic: String, message: Message) -> Option<Message> {
        if device.parse::<Id>().is_err() || device == self.names.link_device.as_str() {
            return None;
        }
        let echo = |(sent, payload): &(String, Bytes)| *sent == message.topic && *payload == message.payload;
        if let Some(at) = self.echoes.iter().position(echo) {
            self.echoes.remove(at);
            return None;
        }
        if self.devices.get(device) == Some(&Side::Hub) {
            let availability = format!("{}/device/{device}/availability", self.names.root);
            let online = self.replica.get(&availability).is_some_and(|(payload, _)| &payload[..] == b"online");
            let known = self.replica.get(&topic).map_or(&[][..], |(payload, _)| payload) == &message.payload[..];
            if online || known || message.retain {
                return None;
            }
        }
        self.belongs(device, Side::Far);
        let level = message.retain || message.payload.is_empty() || LEVEL_LEAVES.contains(&leaf);
        let known = self.replica.get(&topic).is_some_and(|(payload, _)| *payload == message.payload);
        if message.retain && known {
            return None;
        }
        Some(Message { qos: message.qos, ..stamped(Message::new(topic, message.payload, level)) })
    }

    /// Notes a document of ours at the far side, so that it can be cleared if the hub has it no longer.
    fn remember_document(&mut self, rest: String, payload: &[u8]) {
        let object_id = rest.strip_prefix("device/").and_then(|rest| rest.strip_suffix("/config"));
        // The hub's id may not be known yet: whose it is is looked at when it comes to clearing.
        if let Some(object_id) = object_id
            && self.info.as_ref().is_none_or(|info| is_ours(info, object_id, payload))
            && serde_json::from_slice::<Value>(payload)
                .is_ok_and(|document| document["origin"]["name"] == crate::discovery::homeassistant::ORIGIN)
            && self.leftovers.len() < LEFTOVERS_MAX
        {
            self.leftovers.insert(format!("{}/{rest}", self.names.prefix));
        }
    }

    /// The message under its name at the far side; none for what is not mirrored outwards.
    fn outwards(&self, topic: &str, payload: Bytes, retain: bool) -> Option<Message> {
        let Names { root, far_root, prefix, far_prefix, link_device } = &self.names;
        if let Some(rest) = below(topic, root.as_str()) {
            if rest.ends_with("/set") || self.device_of(topic) == Some(link_device.as_str()) {
                return None;
            }
            let payload = if rest == "hub/info" { rewrite::info(payload, far_root) } else { payload };
            return Some(Message::new(format!("{far_root}/{rest}"), payload, retain));
        }
        let rest = below(topic, prefix.as_str())?;
        let object_id = rest.strip_prefix("device/")?.strip_suffix("/config")?;
        let info = self.info.as_ref()?;
        if object_id.ends_with(&format!("_device_{link_device}")) {
            return None;
        }
        let ours = payload.is_empty() && is_named_ours(info, object_id);
        if !ours && !is_ours(info, object_id, &payload) {
            return None;
        }
        let payload = rewrite::document(payload, root, far_root);
        Some(Message::new(format!("{far_prefix}/{rest}"), payload, retain))
    }

    fn concerns(&self, topic: &str) -> bool {
        let document = below(topic, self.names.prefix.as_str()).is_some_and(|rest| rest.starts_with("device/"));
        document || below(topic, self.names.root.as_str()).is_some()
    }

    fn keep(&mut self, message: &Message) {
        if message.topic.strip_prefix(self.names.root.as_str()) == Some("/hub/info") {
            self.info = HubInfo::read(&message.payload);
        }
        if message.payload.is_empty() {
            self.replica.remove(&message.topic);
        } else if self.replica.len() < REPLICA_TOPICS_MAX || self.replica.contains_key(&message.topic) {
            self.replica.insert(message.topic.clone(), (message.payload.clone(), message.qos));
        } else {
            self.left_out += 1;
        }
    }

    fn belongs(&mut self, device: &str, side: Side) {
        if self.devices.len() < DEVICES_MAX || self.devices.contains_key(device) {
            self.devices.insert(device.to_owned(), side);
        }
    }

    /// The device of a topic at the hub.
    fn device_of<'a>(&self, topic: &'a str) -> Option<&'a str> {
        let rest = below(topic, self.names.root.as_str())?.strip_prefix("device/")?;
        rest.split_once('/').map(|(device, _)| device)
    }
}

/// Whether the hub refuses a publish to a `rejected` topic there. A far side that is a hub too refuses every rejection that it is told;
/// where both are linked with each other, that would go round for ever.
fn is_about_a_rejection(message: &Message) -> bool {
    let rejected = |topic: &str| topic.ends_with("/rejected");
    rejected(&message.topic)
        && serde_json::from_slice::<Value>(&message.payload)
            .is_ok_and(|told| told["topic"].as_str().is_some_and(rejected))
}

fn stamped(message: Message) -> Message {
    Message { stamped: true, ..message }
}

/// The rest of `topic` below `root`.
fn below<'a>(topic: &'a str, root: &str) -> Option<&'a str> {
    topic.strip_prefix(root)?.strip_prefix('/').filter(|rest| !rest.is_empty())
}

#[cfg(test)]
mod tests;
