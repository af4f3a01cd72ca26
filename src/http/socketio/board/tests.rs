use std::time::Duration;

use super::*;
use crate::domain::{
    hub::{Hub, HubSpec, Reaction, RoomSpec, ThingSpec},
    origin::Origin,
    publication::Publish,
    things::Kind,
    time::{Mono, Now, Wall},
};

/// A hub and a board that sees what it publishes.
struct Pair {
    hub: Hub,
    board: Board,
    seq: u64,
    now: Now,
}

fn id(text: &str) -> Id {
    text.parse().unwrap()
}

impl Pair {
    fn new() -> Self {
        let things: Vec<ThingSpec> = [("pomodoro", Kind::Pomodoro), ("slider1", Kind::Slider)]
            .into_iter()
            .map(|(name, kind)| ThingSpec { id: id(name), name: name.to_owned(), settings: kind.default_settings() })
            .collect();
        let room = RoomSpec { id: id("main"), name: "Main".to_owned(), things: things.clone() };
        let spec = HubSpec {
            name: "Test".to_owned(),
            version: "0".to_owned(),
            root: id("lockstep"),
            boot: "b".to_owned(),
            template: things,
            rooms: vec![room],
            rooms_max: 10,
        };
        let now = Now {
            mono: Mono::from_boot(Duration::from_secs(100)),
            wall: Wall::from_unix_ms(1_760_000_000_000),
            wall_synchronised: true,
        };
        let mut pair = Self { hub: Hub::new(spec), board: Board::new(id("lockstep")), seq: 0, now };
        let started = pair.hub.start([], 0, now);
        pair.see(started);
        pair
    }

    fn see(&mut self, reaction: Reaction) -> Vec<News> {
        let mut seen = Vec::new();
        for mut publication in reaction.publications {
            self.seq += 1;
            publication.seq = self.seq;
            seen.extend(self.board.apply(&publication).into_iter().flat_map(|(_, news)| news));
        }
        seen
    }

    fn say(&mut self, thing: &str, command: &str) -> Vec<News> {
        let topic = self.board.topic(&id("main"), &id(thing), "set");
        let mut reaction = Reaction::default();
        self.now.mono = self.now.mono.after(Duration::from_millis(1500));
        let _ = self.hub.publish(
            &Publish::new(topic, command.to_owned(), Origin::Web("t".into())),
            self.now,
            &mut reaction,
        );
        self.see(reaction)
    }

    fn wait(&mut self, span: Duration) -> Vec<News> {
        self.now.mono = self.now.mono.after(span);
        self.now.wall = self.now.wall.after(span);
        let reaction = self.hub.wake(self.now);
        self.see(reaction)
    }

    fn pomodoro(&self) -> (u8, &str, &str) {
        let room = self.board.room("main").unwrap();
        let pomodoro = room.pomodoro().unwrap().1;
        (pomodoro.state, &pomodoro.message, room.time().unwrap())
    }
}

#[test]
fn a_start_shows_every_thing() {
    let pair = Pair::new();
    assert_eq!(pair.pomodoro(), (0, "Press Me!", "00:25:00"));
    assert_eq!(pair.board.room("main").unwrap().value("slider1"), Some("0"));
    assert_eq!(pair.board.rooms().map(Id::as_str).collect::<Vec<_>>(), ["main"]);
}

#[test]
fn a_board_starts_from_retained_values_in_any_order() {
    let pair = Pair::new();
    let state =
        r#"{"state":1,"message":"Work","paused":true,"work_duration":9,"break_duration":9,"number_cycles":1,"rev":3}"#;
    let values = [("remaining", "00:00:07"), ("state", state)];
    for values in [values, [values[1], values[0]]] {
        let mut board = Board::new(id("lockstep"));
        for (leaf, payload) in values {
            board.set(&pair.board.topic(&id("main"), &id("pomodoro"), leaf), payload.as_bytes());
        }
        let room = board.room("main").unwrap();
        assert_eq!((room.time(), room.pomodoro().unwrap().1.state), (Some("00:00:07"), 1));
    }
}

#[test]
fn a_phase_from_start_to_end() {
    let mut pair = Pair::new();
    assert_eq!(pair.say("pomodoro", "start"), [News::Phase]);
    assert_eq!(pair.wait(Duration::from_secs(1)), [News::Time]);
    assert_eq!(pair.pomodoro(), (1, "Work", "00:24:59"));
    let paused = pair.say("pomodoro", "pause");
    assert!(paused.contains(&News::Time) && !paused.contains(&News::Phase), "{paused:?}");
    assert_eq!(pair.say("pomodoro", "pause"), [], "a rejection is no news");
    assert_eq!(pair.say("pomodoro", "resume"), [], "the page shows no pause");
    let over = pair.wait(Duration::from_secs(1500));
    assert!(over.contains(&News::Phase) && over.contains(&News::TimeUp), "{over:?}");
    assert_eq!(pair.pomodoro(), (2, "Break time", TIME_UP));
}

#[test]
fn a_setup_is_told_from_a_change_of_state() {
    let mut pair = Pair::new();
    assert_eq!(pair.say("pomodoro", r#"{"action":"setup","number_cycles":2}"#), [News::Setup]);
    assert_eq!(pair.say("pomodoro", r#"{"action":"setup","number_cycles":2}"#), []);
    assert_eq!(pair.say("pomodoro", r#"{"action":"configure","auto_start":true}"#), [], "no field of the page");
    pair.say("pomodoro", "press");
    assert!(pair.say("pomodoro", r#"{"action":"setup"}"#).contains(&News::Phase));
}

#[test]
fn a_slider_moves_and_repeats_are_no_news() {
    let mut pair = Pair::new();
    assert_eq!(pair.say("slider1", "37"), [News::Value(id("slider1"))]);
    assert_eq!(pair.say("slider1", "37"), []);
    assert_eq!(pair.board.room("main").unwrap().value("slider1"), Some("37"));
}

#[test]
fn what_the_board_already_knows_means_nothing() {
    let mut pair = Pair::new();
    pair.board.reached(1_000);
    assert_eq!(pair.say("slider1", "37"), []);
    assert_eq!(pair.board.room("main").unwrap().value("slider1"), Some("0"));
}

#[test]
fn a_room_without_things_is_gone() {
    let mut pair = Pair::new();
    let mut clear = |thing: &str| {
        let topic = Topic::of(&["lockstep", "main", thing, "state"]);
        pair.seq += 1;
        let mut reaction = Reaction::default();
        let _ = pair.hub.publish(&Publish::new(Topic::of(&["free"]), "", Origin::Hub), pair.now, &mut reaction);
        let mut publication = reaction.publications.remove(0);
        (publication.topic, publication.seq) = (topic, pair.seq);
        pair.board.apply(&publication)
    };
    assert_eq!(clear("pomodoro"), None);
    assert_eq!(clear("slider1"), Some((id("main"), vec![News::Gone])));
    assert_eq!(pair.board.rooms().count(), 0);
}
