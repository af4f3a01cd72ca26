//! A room: a named set of things.
//!
//! What its topics mean does not belong here.

use std::{collections::BTreeMap, sync::Arc};

use crate::domain::{id::Id, thing::Thing, things::Settings, time::Mono};

/// What a thing is made from.
#[derive(Debug, Clone, PartialEq)]
pub struct ThingSpec {
    /// The thing's id in its room.
    pub id: Id,
    /// What it is called by people.
    pub name: String,
    /// Its kind and how it is set up.
    pub settings: Settings,
}

/// What a room is made from.
#[derive(Debug, Clone, PartialEq)]
pub struct RoomSpec {
    /// The room's id.
    pub id: Id,
    /// What it is called by people.
    pub name: String,
    /// Its things.
    pub things: Vec<ThingSpec>,
}

#[derive(Debug)]
pub(super) struct Room {
    pub(super) name: String,
    /// Whether it was made while the hub ran, and so is remembered by the hub instead of its configuration.
    pub(super) created: bool,
    /// Whether people gave it another name than its configuration.
    pub(super) renamed: bool,
    pub(super) things: BTreeMap<Id, Slot>,
}

impl Room {
    pub(super) fn new(spec: &RoomSpec, created: bool) -> Self {
        let slot = |thing: &ThingSpec| (thing.id.clone(), Slot::new(thing));
        Self { name: spec.name.clone(), created, renamed: false, things: spec.things.iter().map(slot).collect() }
    }
}

/// A thing with what the hub knows of it.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) name: String,
    pub(super) settings: Settings,
    pub(super) thing: Box<dyn Thing>,
    pub(super) revision: u64,
    pub(super) by: Arc<str>,
    /// The leaves as they were published last.
    pub(super) leaves: Vec<(&'static str, String)>,
    pub(super) reading: Option<String>,
    pub(super) wakeup: Option<Mono>,
}

impl Slot {
    fn new(spec: &ThingSpec) -> Self {
        Self {
            name: spec.name.clone(),
            settings: spec.settings.clone(),
            thing: spec.settings.build(),
            revision: 0,
            by: "hub".into(),
            leaves: Vec::new(),
            reading: None,
            wakeup: None,
        }
    }

    /// The leaves besides `state`, `event`, `rejected` and `set`.
    pub(super) fn leaf_names(&self) -> impl Iterator<Item = &'static str> + '_ {
        let reading = self.reading.as_ref().map(|_| "remaining");
        self.leaves.iter().map(|(leaf, _)| *leaf).chain(reading)
    }
}
