//! Rooms that come and go, and who is in them.

use super::*;

fn create(id: &str, name: &str) -> RoomChange {
    RoomChange::Create { id: id.parse().unwrap(), name: name.to_owned() }
}

fn rename(id: &str, name: &str) -> RoomChange {
    RoomChange::Rename { id: id.parse().unwrap(), name: name.to_owned() }
}

fn delete(id: &str) -> RoomChange {
    RoomChange::Delete { id: id.parse().unwrap() }
}

fn rooms_of(bench: &Bench) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let info = bench.json("hub/info");
    info["rooms"].as_array().unwrap().iter().map(|room| (text(&room["id"]), text(&room["name"]))).collect()
}

fn pairs(rooms: &[(&str, &str)]) -> Vec<(String, String)> {
    rooms.iter().map(|(id, name)| ((*id).to_owned(), (*name).to_owned())).collect()
}

#[test]
fn a_room_that_was_made_has_the_templates_things() {
    let mut bench = Bench::new();
    bench.change_room(create("lab", " Das Labör ")).unwrap();
    assert_eq!(rooms_of(&bench), pairs(&[("lab", "Das Labör"), ("main", "Main")]));
    bench.send("anna", "lab/slider2/set", "7").unwrap();
    assert_eq!(
        (bench.text("lab/slider2/value").unwrap(), bench.text("main/slider2/value").unwrap()),
        ("7".into(), "0".into())
    );
    let told = bench.topics_heard();
    assert!(
        ["lab/pomodoro/remaining", "lab/people"].iter().all(|topic| told.contains(&(*topic).to_owned())),
        "{told:?}"
    );
}

#[test]
fn renaming_changes_no_id_and_no_value() {
    let mut bench = Bench::new();
    bench.send("anna", "main/slider1/set", "42").unwrap();
    bench.heard();
    bench.change_room(rename("main", "Büro")).unwrap();
    assert_eq!(bench.topics_heard(), ["hub/info"]);
    assert_eq!(rooms_of(&bench), pairs(&[("main", "Büro")]));
    assert_eq!(bench.text("main/slider1/value").as_deref(), Some("42"));
}

#[test]
fn deleting_a_room_clears_all_that_is_retained_below_it() {
    let mut bench = Bench::new();
    bench.change_room(create("lab", "Lab")).unwrap();
    bench.change_room(create("lab2", "Lab 2")).unwrap();
    bench.send("anna", "lab/pomodoro/set", "press").unwrap();
    bench.change_room(delete("lab")).unwrap();
    assert!(bench.retained.keys().all(|topic| !topic.as_str().starts_with("lockstep/lab/")));
    assert!(bench.text("lab2/slider1/value").is_some());
    // Its timer is gone with it.
    assert_eq!(bench.hub.next_wakeup(), None);
    assert_eq!(bench.send("anna", "lab/pomodoro/set", "press").unwrap_err().code, Code::UnknownRoom);
    bench.change_room(create("lab", "Lab")).unwrap();
    assert_eq!(bench.json("lab/pomodoro/state")["phase"], "idle");
}

#[test]
fn what_cannot_be_done_with_a_room_is_told() {
    let mut bench = Bench::new();
    bench.change_room(create("lab", "Lab")).unwrap();
    let before = bench.retained.clone();
    for (change, code) in [
        (create("hub", "Hub"), Code::Malformed),
        (create("device", "Device"), Code::Malformed),
        (create("main", "Main"), Code::Limit),
        (create("lab", "Lab"), Code::Limit),
        (create("x", " "), Code::Malformed),
        (create("x", &"x".repeat(65)), Code::Malformed),
        (create("x", "a\nb"), Code::Malformed),
        (rename("x", "X"), Code::UnknownRoom),
        (rename("main", ""), Code::Malformed),
        (delete("x"), Code::UnknownRoom),
        (delete("main"), Code::Forbidden),
    ] {
        let rejection = bench.change_room(change.clone()).expect_err(&format!("{change:?}"));
        assert_eq!(rejection.code, code, "{change:?}");
        assert_eq!(bench.retained, before);
    }
    bench.change_room(create("a", &"ö".repeat(64))).unwrap();
    bench.change_room(create("b", "B")).unwrap();
    assert_eq!(bench.change_room(create("c", "C")).unwrap_err().code, Code::Limit, "four rooms at the most");
    bench.change_room(delete("b")).unwrap();
    bench.change_room(create("c", "C")).unwrap();
}

#[test]
fn rooms_and_names_outlast_a_restart() {
    let mut bench = Bench::new();
    bench.change_room(create("lab", "Lab")).unwrap();
    bench.change_room(create("gone", "Gone")).unwrap();
    bench.change_room(rename("main", "Büro")).unwrap();
    bench.send("anna", "lab/slider1/set", "42").unwrap();
    bench.change_room(delete("gone")).unwrap();
    for _ in 0..2 {
        let revision = bench.hub.revision();
        bench.restart(spec(), Duration::from_secs(60), revision);
        assert_eq!(rooms_of(&bench), pairs(&[("lab", "Lab"), ("main", "Büro")]));
        assert_eq!(bench.text("lab/slider1/value").as_deref(), Some("42"));
    }
    bench.change_room(delete("lab")).unwrap();
}

#[test]
fn the_configuration_names_a_room_until_somebody_renames_it() {
    let mut bench = Bench::new();
    let mut renamed = spec();
    renamed.rooms[0].name = "Hall".to_owned();
    renamed.rooms.push(RoomSpec { id: id("attic"), name: "Attic".to_owned(), things: Vec::new() });
    bench.restart(renamed, Duration::from_secs(1), 0);
    assert_eq!(rooms_of(&bench), pairs(&[("attic", "Attic"), ("main", "Hall")]));
    // A room that leaves the configuration goes with it.
    bench.restart(spec(), Duration::from_secs(1), 0);
    assert_eq!(rooms_of(&bench), pairs(&[("main", "Main")]));
}

#[test]
fn info_tells_what_there_is() {
    let bench = Bench::new();
    let info = bench.json("hub/info");
    assert_eq!((&info["name"], &info["boot"], &info["root"]), (&"Lockstep".into(), &"b1".into(), &"lockstep".into()));
    let things = info["rooms"][0]["things"].as_array().unwrap();
    let kinds: Vec<_> =
        things.iter().map(|thing| (thing["id"].as_str().unwrap(), thing["kind"].as_str().unwrap())).collect();
    assert_eq!(kinds, [("pomodoro", "pomodoro"), ("slider1", "slider"), ("slider2", "slider")]);
    assert_eq!(
        things[1]["controls"],
        json!([{"id": "value", "name": "Value", "field": "value", "type": "number", "min": 0.0, "max": 100.0,
            "step": 1.0, "command": {"value": true}}])
    );
    assert_eq!(things[0]["event_types"], json!(["work_finished", "break_finished", "long_break_finished"]));
}

#[test]
fn garbage_in_the_place_of_info_is_no_room() {
    for garbage in
        ["", "x", "[]", r#"{"rooms":5}"#, r#"{"rooms":[5,{"id":"hub","created":true},{"id":"Ä","created":true}]}"#]
    {
        let mut bench = Bench::new();
        bench.retained.insert(topic("lockstep/hub/info"), garbage.into());
        bench.restart(spec(), Duration::from_secs(1), 0);
        assert_eq!(rooms_of(&bench), pairs(&[("main", "Main")]), "{garbage}");
    }
}

#[test]
fn people_come_go_and_are_counted() {
    let mut bench = Bench::new();
    bench.change_room(create("lab", "Lab")).unwrap();
    bench.heard();
    bench.here(1, Some(("main", "Anna\u{7}")));
    bench.pass(Duration::from_secs(1));
    bench.here(2, Some(("main", &"b".repeat(50))));
    bench.here(2, Some(("main", &"b".repeat(50))));
    let people = bench.json("main/people");
    assert_eq!(people["people"][0], json!({"name": "Anna", "kind": "web", "since": EPOCH_MS}));
    assert_eq!(people["people"][1], json!({"name": "b".repeat(40), "kind": "web", "since": EPOCH_MS + 1000}));
    bench.here(1, Some(("lab", "Anna")));
    assert_eq!((&bench.json("main/people")["count"], &bench.json("lab/people")["count"]), (&1.into(), &1.into()));
    bench.here(1, None);
    bench.here(1, None);
    assert_eq!(bench.json("lab/people"), json!({"people": [], "count": 0}));
    for connection in 10..310 {
        bench.here(connection, Some(("lab", "x")));
    }
    let people = bench.json("lab/people");
    assert_eq!((people["people"].as_array().unwrap().len(), &people["count"]), (200, &300.into()));
}

#[test]
fn a_box_is_here_while_it_is_online() {
    let mut bench = Bench::new();
    let say = |bench: &mut Bench, leaf: &str, payload: &str, retain: bool| {
        let publish = Publish {
            retain,
            ..Publish::new(topic(&format!("lockstep/device/box-1/{leaf}")), payload.to_owned(), origin("mqtt:box-1"))
        };
        bench.publish(&publish).unwrap();
    };
    say(&mut bench, "info", r#"{"name":"Kitchen box","room":"main"}"#, true);
    assert_eq!(bench.json("main/people")["count"], 0);
    say(&mut bench, "availability", "online", true);
    let here = json!({"people": [{"name": "Kitchen box", "kind": "box", "since": EPOCH_MS}], "count": 1});
    assert_eq!(bench.json("main/people"), here);
    // An event is passed on and says nothing about who is here.
    bench.heard();
    say(&mut bench, "event", r#"{"event_type":"short_press"}"#, false);
    say(&mut bench, "availability", "offline", false);
    assert_eq!(bench.topics_heard(), ["device/box-1/event", "device/box-1/availability"]);
    bench.restart(spec(), Duration::ZERO, 0);
    assert_eq!(bench.json("main/people")["count"], 1, "what a device retained outlasts the hub");
    say(&mut bench, "availability", "offline", true);
    let away = json!({"people": [], "count": 0, "away": [{"name": "Kitchen box", "kind": "box", "since": EPOCH_MS}]});
    assert_eq!(bench.json("main/people"), away, "with when it was seen last");
    say(&mut bench, "availability", "online", true);
    assert_eq!(bench.json("main/people")["away"], serde_json::Value::Null);
    say(&mut bench, "info", "", true);
    assert_eq!(bench.json("main/people")["count"], 0);
}
