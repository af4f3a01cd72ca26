//! The hub as a whole: topics, rooms, revisions, stories.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use serde_json::{Value, json};

use super::{Hub, HubSpec, MemberKind, Presence, Reaction, Record, RoomChange, RoomSpec, ThingSpec};
use crate::domain::{
    id::Id,
    origin::Origin,
    publication::{Accepted, Level, Publication, Publish, Qos},
    rejection::{Code, Rejection},
    things::Kind,
    time::{Mono, Now, Wall},
    topic::Topic,
};

mod commands;
mod readings;
mod rooms;
mod simulation;
mod stories;
mod topics;

/// The wall clock at the beginning of each test.
const EPOCH_MS: i64 = 1_760_000_000_000;

fn id(text: &str) -> Id {
    text.parse().unwrap()
}

fn topic(text: &str) -> Topic {
    Topic::parse(text).unwrap()
}

/// `anna` is a browser, `mqtt:box` an MQTT client.
fn origin(name: &str) -> Origin {
    match name.split_once(':') {
        Some(("mqtt", client)) => Origin::Mqtt(client.into()),
        Some(("user", user)) => Origin::User(user.into()),
        _ => Origin::Web(name.into()),
    }
}

fn thing_spec(id: &str, kind: Kind) -> ThingSpec {
    ThingSpec { id: id.parse().unwrap(), name: id.to_uppercase(), settings: kind.default_settings() }
}

fn spec() -> HubSpec {
    let things = vec![
        thing_spec("pomodoro", Kind::Pomodoro),
        thing_spec("slider1", Kind::Slider),
        thing_spec("slider2", Kind::Slider),
    ];
    HubSpec {
        name: "Lockstep".to_owned(),
        version: "0.0.0".to_owned(),
        root: id("lockstep"),
        boot: "b1".to_owned(),
        template: things.clone(),
        rooms: vec![RoomSpec { id: id("main"), name: "Main".to_owned(), things }],
        rooms_max: 4,
    }
}

/// A hub with the time that it is told, what it retains, and what it said.
#[derive(Debug)]
struct Bench {
    hub: Hub,
    now: Now,
    retained: BTreeMap<Topic, Bytes>,
    said: Vec<Publication>,
    finished: Vec<Record>,
}

impl Bench {
    fn new() -> Self {
        let now = Now {
            mono: Mono::from_boot(Duration::from_secs(100)),
            wall: Wall::from_unix_ms(EPOCH_MS),
            wall_synchronised: true,
        };
        let mut bench =
            Self { hub: Hub::new(spec()), now, retained: BTreeMap::new(), said: Vec::new(), finished: Vec::new() };
        let reaction = bench.hub.start([], 0, now);
        bench.take(reaction);
        bench.said.clear();
        bench
    }

    fn take(&mut self, reaction: Reaction) {
        for publication in &reaction.publications {
            if publication.is_deletion() {
                self.retained.remove(&publication.topic);
            } else if publication.is_level() {
                self.retained.insert(publication.topic.clone(), publication.payload.clone());
            }
        }
        self.said.extend(reaction.publications);
        self.finished.extend(reaction.finished);
    }

    fn publish(&mut self, publish: &Publish) -> Result<Accepted, Rejection> {
        let mut reaction = Reaction::default();
        let outcome = self.hub.publish(publish, self.now, &mut reaction);
        self.take(reaction);
        outcome
    }

    /// `who` publishes `payload` to `to`, which stands below the root.
    fn send(&mut self, who: &str, to: &str, payload: &str) -> Result<Accepted, Rejection> {
        self.publish(&Publish::new(topic(&format!("lockstep/{to}")), payload.to_owned(), origin(who)))
    }

    fn pass(&mut self, span: Duration) {
        self.now.mono = self.now.mono.after(span);
        self.now.wall = self.now.wall.after(span);
    }

    fn wake(&mut self) {
        let reaction = self.hub.wake(self.now);
        self.take(reaction);
    }

    /// Time passes and the hub is woken whenever it wants to be.
    fn live(&mut self, span: Duration) {
        let until = self.now.mono.after(span);
        while let Some(due) = self.hub.next_wakeup().filter(|due| *due <= until) {
            assert!(due > self.now.mono, "the hub wants to be woken again and again");
            self.pass(due.since(self.now.mono));
            self.wake();
        }
        self.pass(until.since(self.now.mono));
    }

    /// The hub is killed and starts again from what a disk would have kept: everything retained but for readings.
    fn restart(&mut self, spec: HubSpec, off: Duration, revision: u64) {
        self.pass(off);
        self.now.mono = Mono::from_boot(Duration::from_secs(5));
        self.hub = Hub::new(spec);
        let kept = std::mem::take(&mut self.retained);
        let reaction =
            self.hub.start(kept.iter().map(|(topic, payload)| (topic, payload.as_ref())), revision, self.now);
        self.retained = kept.into_iter().filter(|(topic, _)| topic.as_str().contains("/device/")).collect();
        self.take(reaction);
    }

    fn change_room(&mut self, change: RoomChange) -> Result<(), Rejection> {
        let (RoomChange::Create { id, .. } | RoomChange::Rename { id, .. } | RoomChange::Delete { id }) = &change;
        let below = format!("lockstep/{id}/");
        let retained: Vec<Topic> =
            self.retained.keys().filter(|topic| topic.as_str().starts_with(&below)).cloned().collect();
        let reaction = self.hub.change_room(change, retained.into_iter(), self.now)?;
        self.take(reaction);
        Ok(())
    }

    fn here(&mut self, connection: u64, here: Option<(&str, &str)>) {
        let here = here.map(|(room, name)| (id(room), name.to_owned()));
        let reaction = self.hub.here(Presence { connection, kind: MemberKind::Web, here }, self.now);
        self.take(reaction);
    }

    /// The retained payload of `leaf`, below the root.
    fn text(&self, leaf: &str) -> Option<String> {
        let payload = self.retained.get(format!("lockstep/{leaf}").as_str())?;
        Some(String::from_utf8(payload.to_vec()).unwrap())
    }

    fn json(&self, leaf: &str) -> Value {
        serde_json::from_str(&self.text(leaf).unwrap_or_else(|| panic!("no {leaf}"))).unwrap()
    }

    /// What was said since the last call: topics below the root with their payloads.
    fn heard(&mut self) -> Vec<(String, String)> {
        let said = std::mem::take(&mut self.said);
        said.into_iter()
            .map(|publication| {
                let topic = publication.topic.as_str().trim_start_matches("lockstep/").to_owned();
                (topic, String::from_utf8_lossy(&publication.payload).into_owned())
            })
            .collect()
    }

    fn topics_heard(&mut self) -> Vec<String> {
        self.heard().into_iter().map(|(topic, _)| topic).collect()
    }
}

#[test]
fn a_new_hub_says_everything_there_is() {
    let mut bench = Bench { hub: Hub::new(spec()), ..Bench::new() };
    let reaction = bench.hub.start([], 0, bench.now);
    bench.take(reaction);
    assert_eq!(
        bench.topics_heard(),
        [
            "main/pomodoro/state",
            "main/pomodoro/phase",
            "main/pomodoro/message",
            "main/pomodoro/remaining",
            "main/slider1/state",
            "main/slider1/value",
            "main/slider2/state",
            "main/slider2/value",
            "main/people",
            "hub/info",
        ]
    );
    assert_eq!(bench.text("main/pomodoro/message").as_deref(), Some("Press Me!"));
    assert_eq!(bench.text("main/slider1/value").as_deref(), Some("0"));
    assert_eq!(bench.json("main/people"), json!({"people": [], "count": 0}));
    assert_eq!(bench.hub.announce(true).publications[0].payload, "online");
    assert_eq!(bench.hub.announce(false).publications[0].topic.as_str(), "lockstep/hub/availability");
}

#[test]
fn levels_are_what_the_disk_goes_by() {
    let mut bench = Bench::new();
    bench.send("anna", "main/pomodoro/set", "press").unwrap();
    bench.send("anna", "main/pomodoro/set", "jump").unwrap_err();
    let levels: Vec<_> = bench
        .said
        .iter()
        .map(|p| (p.topic.as_str().trim_start_matches("lockstep/main/pomodoro/"), p.level, p.qos))
        .collect();
    assert_eq!(
        levels,
        [
            ("state", Level::Retained, Qos::AtLeastOnce),
            ("phase", Level::Derived, Qos::AtLeastOnce),
            ("message", Level::Derived, Qos::AtLeastOnce),
            ("rejected", Level::Event, Qos::AtLeastOnce),
        ]
    );
    assert_eq!(bench.said.iter().find(|p| p.level == Level::Reading), None, "25:00 was shown already");
}
