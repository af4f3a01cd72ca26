//! What the rooms show, as far as the tutorials' clients can see it: a replica of every Pomodoro and slider, kept from
//! publications.
//!
//! A value: sockets, tasks and Socket.IO frames do not belong here.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::domain::{
    id::Id,
    publication::Publication,
    topic::{Filter, Topic},
    wire,
};

/// The time that a countdown shows when a phase is over.
pub(super) const TIME_UP: &str = "00:00:00";

/// The thing that the timer's and the course's clients mean, where a room has several Pomodoros.
const POMODORO: &str = "pomodoro";

/// What one publication means for the clients of a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum News {
    /// The countdown shows another time, or stands still from now on.
    Time,
    /// A phase is over.
    TimeUp,
    /// The Pomodoro is in another of its six states.
    Phase,
    /// The Pomodoro is set up in another way.
    Setup,
    /// A slider has another value.
    Value(Id),
    /// The room is no more.
    Gone,
}

/// A Pomodoro as its clients see it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Pomodoro {
    /// 0 to 5.
    pub(super) state: u8,
    pub(super) message: String,
    pub(super) paused: bool,
    pub(super) work_duration: u32,
    pub(super) break_duration: u32,
    pub(super) number_cycles: u32,
    /// The revision.
    pub(super) rev: u64,
}

impl Pomodoro {
    fn has_setup_of(&self, other: &Self) -> bool {
        (self.work_duration, self.break_duration, self.number_cycles)
            == (other.work_duration, other.break_duration, other.number_cycles)
    }
}

/// A slider's state, as far as it tells a slider from other kinds.
#[derive(Debug, Deserialize)]
struct Slider {
    value: f64,
    #[serde(rename = "min")]
    _min: f64,
    #[serde(rename = "max")]
    _max: f64,
}

/// One room.
#[derive(Debug, Default)]
pub(super) struct Room {
    pomodoros: BTreeMap<Id, Pomodoro>,
    /// What each Pomodoro's countdown shows; may be known before the Pomodoro itself.
    times: BTreeMap<Id, String>,
    sliders: BTreeMap<Id, String>,
}

impl Room {
    /// The Pomodoro that the room's clients share: the one called so, else the first.
    pub(super) fn pomodoro(&self) -> Option<(&Id, &Pomodoro)> {
        self.pomodoros.get_key_value(POMODORO).or_else(|| self.pomodoros.first_key_value())
    }

    /// What its countdown shows, as `HH:MM:SS`.
    pub(super) fn time(&self) -> Option<&str> {
        self.pomodoro().and_then(|(id, _)| self.times.get(id)).map(String::as_str)
    }

    /// Every slider with its value as text, by id.
    pub(super) fn sliders(&self) -> impl Iterator<Item = (&Id, &str)> {
        self.sliders.iter().map(|(id, value)| (id, value.as_str()))
    }

    /// The value of one slider, as text.
    pub(super) fn value(&self, slider: &str) -> Option<&str> {
        self.sliders.get(slider).map(String::as_str)
    }

    fn is_chosen(&self, thing: &Id) -> bool {
        self.pomodoro().is_some_and(|(id, _)| id == thing)
    }

    fn is_empty(&self) -> bool {
        self.pomodoros.is_empty() && self.sliders.is_empty()
    }
}

/// Every room with a thing that the tutorials' clients know.
#[derive(Debug)]
pub(super) struct Board {
    root: Id,
    rooms: BTreeMap<Id, Room>,
    seq: u64,
}

impl Board {
    pub(super) const fn new(root: Id) -> Self {
        Self { root, rooms: BTreeMap::new(), seq: 0 }
    }

    /// What must be read once to start from.
    pub(super) fn filters(root: &Id) -> Vec<Filter> {
        let filter = |rest| Filter::parse(&format!("{root}/{rest}")).ok();
        ["+/+/state", "+/+/remaining"].into_iter().filter_map(filter).collect()
    }

    /// The states of one room's things.
    pub(super) fn filters_of_room(root: &Id, room: &Id) -> Vec<Filter> {
        Filter::parse(&format!("{root}/{room}/+/state")).into_iter().collect()
    }

    /// The place in the one order up to which the board is complete.
    pub(super) const fn seq(&self) -> u64 {
        self.seq
    }

    /// The board is complete up to `seq`, whatever has been set on it so far.
    pub(super) const fn reached(&mut self, seq: u64) {
        self.seq = seq;
    }

    /// Nothing that was published up to `seq`, besides what was set, concerns the board.
    pub(super) fn pass_over(&mut self, seq: u64) {
        self.seq = self.seq.max(seq);
    }

    pub(super) fn room(&self, room: &str) -> Option<&Room> {
        self.rooms.get(room)
    }

    /// The rooms' ids, in order.
    pub(super) fn rooms(&self) -> impl Iterator<Item = &Id> {
        self.rooms.iter().filter(|(_, room)| !room.is_empty()).map(|(id, _)| id)
    }

    /// The topic of a thing's leaf.
    pub(super) fn topic(&self, room: &Id, thing: &Id, leaf: &str) -> Topic {
        Topic::of(&[self.root.as_str(), room.as_str(), thing.as_str(), leaf])
    }

    /// Takes in one publication; tells what it means, and for which room. One that the board already knows means nothing.
    pub(super) fn apply(&mut self, publication: &Publication) -> Option<(Id, Vec<News>)> {
        if publication.seq <= self.seq {
            return None;
        }
        self.seq = publication.seq;
        let (room, thing, leaf) = self.address(&publication.topic)?;
        let news = match leaf {
            "state" => self.set_state(&room, &thing, &publication.payload),
            "remaining" => self.set_time(&room, &thing, &publication.payload),
            "event" => self.event(&room, &thing, &publication.payload),
            _ => Vec::new(),
        };
        (!news.is_empty()).then_some((room, news))
    }

    /// Takes in a retained value to start from.
    pub(super) fn set(&mut self, topic: &Topic, payload: &[u8]) {
        match self.address(topic) {
            Some((room, thing, "state")) => drop(self.set_state(&room, &thing, payload)),
            Some((room, thing, "remaining")) => drop(self.set_time(&room, &thing, payload)),
            _ => {}
        }
    }

    /// The room, the thing and the leaf of a topic below the root; none for any other topic.
    fn address<'a>(&self, topic: &'a Topic) -> Option<(Id, Id, &'a str)> {
        let mut levels = topic.as_str().strip_prefix(self.root.as_str())?.strip_prefix('/')?.splitn(3, '/');
        let (room, thing, leaf) = (levels.next()?, levels.next()?, levels.next()?);
        // Cheap first: only three leaves matter.
        if !matches!(leaf, "state" | "remaining" | "event") || room == "device" {
            return None;
        }
        Some((room.parse().ok()?, thing.parse().ok()?, leaf))
    }

    fn set_state(&mut self, room: &Id, thing: &Id, payload: &[u8]) -> Vec<News> {
        if payload.is_empty() {
            return self.remove(room, thing);
        }
        if let Ok(pomodoro) = serde_json::from_slice::<Pomodoro>(payload) {
            let known = self.rooms.entry(room.clone()).or_default();
            let news = match known.pomodoros.get(thing) {
                Some(before) => pomodoro_news(before, &pomodoro),
                None => vec![News::Setup],
            };
            known.pomodoros.insert(thing.clone(), pomodoro);
            return if known.is_chosen(thing) { news } else { Vec::new() };
        }
        if let Ok(slider) = serde_json::from_slice::<Slider>(payload) {
            let value = wire::number(slider.value).to_string();
            let known = self.rooms.entry(room.clone()).or_default();
            let before = known.sliders.insert(thing.clone(), value.clone());
            return if before.as_ref() == Some(&value) { Vec::new() } else { vec![News::Value(thing.clone())] };
        }
        Vec::new()
    }

    fn set_time(&mut self, room: &Id, thing: &Id, payload: &[u8]) -> Vec<News> {
        if payload.is_empty() {
            return Vec::new();
        }
        let room = self.rooms.entry(room.clone()).or_default();
        room.times.insert(thing.clone(), String::from_utf8_lossy(payload).into_owned());
        if room.is_chosen(thing) { vec![News::Time] } else { Vec::new() }
    }

    fn event(&self, room: &Id, thing: &Id, payload: &[u8]) -> Vec<News> {
        #[derive(Deserialize)]
        struct Event<'a> {
            event_type: &'a str,
        }
        let over =
            serde_json::from_slice(payload).is_ok_and(|event: Event<'_>| event.event_type.ends_with("_finished"));
        if over && self.rooms.get(room).is_some_and(|room| room.is_chosen(thing)) {
            vec![News::TimeUp]
        } else {
            Vec::new()
        }
    }

    fn remove(&mut self, room: &Id, thing: &Id) -> Vec<News> {
        let Some(known) = self.rooms.get_mut(room) else { return Vec::new() };
        known.pomodoros.remove(thing);
        known.times.remove(thing);
        known.sliders.remove(thing);
        if known.is_empty() {
            self.rooms.remove(room);
            return vec![News::Gone];
        }
        Vec::new()
    }
}

fn pomodoro_news(before: &Pomodoro, after: &Pomodoro) -> Vec<News> {
    let mut news = Vec::new();
    if !after.has_setup_of(before) {
        news.push(News::Setup);
    } else if (after.state, &after.message) != (before.state, &before.message) {
        news.push(News::Phase);
    }
    if after.paused && !before.paused {
        news.push(News::Time);
    }
    news
}

#[cfg(test)]
mod tests;
