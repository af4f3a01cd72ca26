//! What a topic below the hub's root points at, and how to tell somebody that it points at nothing.
//!
//! Doing something about it does not belong here.

use std::collections::BTreeMap;

use super::Room;
use crate::domain::{
    id::Id,
    nearest::nearest,
    rejection::{Code, Rejection},
    topic::Topic,
};

/// The most characters of a topic that a rejection repeats.
const ECHO_CHARS_MAX: usize = 200;

/// A place below the root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Address<'a> {
    /// `hub/<leaf>`.
    HubLeaf(&'a str),
    /// `device/<id>/<anything>`.
    Device { device: &'a str, leaf: &'a str },
    /// `<room>/<thing>/<leaf>`.
    ThingLeaf { room: &'a str, thing: &'a str, leaf: &'a str },
    /// Anything else below the root.
    Nothing,
}

impl<'a> Address<'a> {
    /// What `topic` points at; none where it does not lie below `root`.
    pub(super) fn of(root: &Id, topic: &'a Topic) -> Option<Self> {
        let text = topic.as_str();
        let rest = text.strip_prefix(root.as_str())?;
        if rest.is_empty() {
            return Some(Self::Nothing);
        }
        let rest = rest.strip_prefix('/')?;
        Some(match rest.split_once('/') {
            Some(("hub", leaf)) => Self::HubLeaf(leaf),
            Some(("device", rest)) => match rest.split_once('/') {
                Some((device, leaf)) if !leaf.is_empty() => Self::Device { device, leaf },
                _ => Self::Nothing,
            },
            Some((room, rest)) => match rest.split_once('/') {
                Some((thing, leaf)) if !leaf.contains('/') => Self::ThingLeaf { room, thing, leaf },
                _ => Self::Nothing,
            },
            None => Self::Nothing,
        })
    }
}

/// Why nobody may publish to `topic`, which lies below `root`, and the nearest topic that would do.
pub(super) fn refusal(root: &Id, rooms: &BTreeMap<Id, Room>, topic: &Topic) -> (Rejection, Option<String>) {
    let levels: Vec<&str> = topic.levels().skip(1).take(8).collect();
    let shown = shorten(topic.as_str());
    if let ["hub", ..] = levels[..] {
        return (Rejection::new(Code::OwnedTopic, format!("`{shown}` is the hub's own.")), None);
    }
    if let ["device", ..] = levels[..] {
        let message = format!(
            "`{shown}` is no topic of a device: {root}/device/<id>/<leaf> is, with an id of a-z, 0-9, `_` and `-`."
        );
        return (Rejection::new(Code::UnknownLeaf, message), None);
    }
    let room_asked = levels.first().copied().unwrap_or_default();
    let Some(room) = rooms.get(room_asked) else {
        let suggestion = nearest(room_asked, rooms.keys().map(Id::as_str)).map(|name| {
            // Further on the topic may be wrong too: only what exists is suggested.
            let things = rooms.get(name).into_iter().flat_map(|room| room.things.keys().map(Id::as_str));
            match levels.get(1).and_then(|asked| nearest(asked, things)) {
                Some(thing) => format!("{root}/{name}/{thing}/set"),
                None => format!("{root}/{name}"),
            }
        });
        let message = format!("There is no room `{}`{}", shorten(room_asked), or(suggestion.as_deref()));
        return (Rejection::new(Code::UnknownRoom, message), suggestion);
    };
    let thing_asked = levels.get(1).copied().unwrap_or_default();
    if thing_asked == "people" && levels.len() == 2 {
        return (Rejection::new(Code::OwnedTopic, format!("`{shown}` is the hub's own.")), None);
    }
    let Some(slot) = room.things.get(thing_asked) else {
        let suggestion = nearest(thing_asked, room.things.keys().map(Id::as_str))
            .map(|thing| format!("{root}/{room_asked}/{thing}/set"));
        let message =
            format!("The room `{room_asked}` has no thing `{}`{}", shorten(thing_asked), or(suggestion.as_deref()));
        return (Rejection::new(Code::UnknownThing, message), suggestion);
    };
    let suggestion = Some(format!("{root}/{room_asked}/{thing_asked}/set"));
    let leaf = levels.get(2..).unwrap_or_default().join("/");
    let mut owned = ["state", "event", "rejected"].into_iter().chain(slot.leaf_names());
    if levels.len() == 3 && owned.any(|known| known == leaf.as_str()) {
        let message = format!("`{shown}` is the hub's own{}", or(suggestion.as_deref()));
        return (Rejection::new(Code::OwnedTopic, message), suggestion);
    }
    if leaf.is_empty() {
        let message = format!("`{shown}` names a thing and no leaf of it{}", or(suggestion.as_deref()));
        return (Rejection::new(Code::UnknownLeaf, message), suggestion);
    }
    let message = format!("The thing `{thing_asked}` has no leaf `{}`{}", shorten(&leaf), or(suggestion.as_deref()));
    (Rejection::new(Code::UnknownLeaf, message), suggestion)
}

fn or(suggestion: Option<&str>) -> String {
    suggestion.map_or_else(|| ".".to_owned(), |topic| format!("; did you mean `{}`?", shorten(topic)))
}

/// `text`, cut where it is very long.
pub(super) fn shorten(text: &str) -> String {
    if text.chars().count() <= ECHO_CHARS_MAX {
        return text.to_owned();
    }
    text.chars().take(ECHO_CHARS_MAX).chain(['…']).collect()
}
