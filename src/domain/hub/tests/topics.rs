//! Who may publish where, and what a typo is told.

use super::*;

/// Code and nearest name that the refusal of a publish to `to` has, on `hub/rejected` and for the sender.
fn refused(to: &str) -> (Code, Option<String>) {
    let mut bench = Bench::new();
    let before = bench.retained.clone();
    let publish = Publish { retain: true, ..Publish::new(topic(to), "42", origin("mqtt:box")) };
    let rejection = bench.publish(&publish).expect_err(to);
    assert_eq!(bench.retained, before, "{to}");
    let heard = bench.heard();
    assert_eq!(heard.len(), 1, "{to}");
    assert_eq!(heard[0].0, "hub/rejected");
    let told: Value = serde_json::from_str(&heard[0].1).unwrap();
    assert_eq!(told["code"], rejection.code.as_str(), "{to}");
    assert_eq!(told["message"], rejection.message.as_str(), "{to}");
    assert_eq!((&told["topic"], &told["by"]), (&to.into(), &"mqtt:box".into()));
    let nearest = told["nearest"].as_str().map(str::to_owned);
    if let Some(nearest) = &nearest {
        assert!(rejection.message.contains(nearest.as_str()), "{to}: {}", rejection.message);
    }
    (rejection.code, nearest)
}

#[test]
fn a_typo_is_told_with_the_nearest_name_that_exists() {
    for (to, code, nearest) in [
        ("lockstep/mian/slider1/set", Code::UnknownRoom, Some("lockstep/main/slider1/set")),
        ("lockstep/man/pomodoro/set", Code::UnknownRoom, Some("lockstep/main/pomodoro/set")),
        ("lockstep/mian/slidr1/set", Code::UnknownRoom, Some("lockstep/main/slider1/set")),
        ("lockstep/mian/slider1/valve", Code::UnknownRoom, Some("lockstep/main/slider1/set")),
        ("lockstep/Main/slider1/set", Code::UnknownRoom, Some("lockstep/main/slider1/set")),
        ("lockstep/mian", Code::UnknownRoom, Some("lockstep/main")),
        ("lockstep/kitchen/slider1/set", Code::UnknownRoom, None),
        ("lockstep/main/slidr1/set", Code::UnknownThing, Some("lockstep/main/slider1/set")),
        ("lockstep/main/pomodor/set", Code::UnknownThing, Some("lockstep/main/pomodoro/set")),
        ("lockstep/main/lamp/set", Code::UnknownThing, None),
        ("lockstep/main/slider1/est", Code::UnknownLeaf, Some("lockstep/main/slider1/set")),
        ("lockstep/main/slider1/set/x", Code::UnknownLeaf, Some("lockstep/main/slider1/set")),
        ("lockstep/main/slider1", Code::UnknownLeaf, Some("lockstep/main/slider1/set")),
        ("lockstep/main/slider1/", Code::UnknownLeaf, Some("lockstep/main/slider1/set")),
        ("lockstep/main", Code::UnknownThing, None),
        ("lockstep/main/", Code::UnknownThing, None),
        ("lockstep", Code::UnknownRoom, None),
        ("lockstep/", Code::UnknownRoom, None),
        ("lockstep//slider1/set", Code::UnknownRoom, None),
        ("lockstep/máin/slider1/set", Code::UnknownRoom, Some("lockstep/main/slider1/set")),
    ] {
        assert_eq!(refused(to), (code, nearest.map(str::to_owned)), "{to}");
    }
}

#[test]
fn what_the_hub_owns_nobody_else_writes() {
    let set = |thing: &str| Some(format!("lockstep/main/{thing}/set"));
    for (to, nearest) in [
        ("lockstep/main/slider1/state", set("slider1")),
        ("lockstep/main/slider1/value", set("slider1")),
        ("lockstep/main/slider1/event", set("slider1")),
        ("lockstep/main/slider1/rejected", set("slider1")),
        ("lockstep/main/pomodoro/phase", set("pomodoro")),
        ("lockstep/main/pomodoro/message", set("pomodoro")),
        ("lockstep/main/pomodoro/remaining", set("pomodoro")),
        ("lockstep/main/people", None),
        ("lockstep/hub/availability", None),
        ("lockstep/hub/info", None),
        ("lockstep/hub/anything/else", None),
        ("lockstep/hub", None),
    ] {
        assert_eq!(refused(to), (Code::OwnedTopic, nearest), "{to}");
    }
}

#[test]
fn a_thing_without_a_leaf_is_told_so_in_words() {
    for to in ["main/slider1", "main/slider1/"] {
        let mut bench = Bench::new();
        let rejection = bench.send("ann", to, "1").unwrap_err();
        let suggestion = "did you mean `lockstep/main/slider1/set`?";
        assert!(rejection.message.contains("no leaf of it") && rejection.message.contains(suggestion), "{rejection:?}");
    }
}

#[test]
fn a_device_topic_needs_an_id_and_a_leaf() {
    for to in [
        "lockstep/device",
        "lockstep/device/",
        "lockstep/device/box",
        "lockstep/device/box/",
        "lockstep/device/Box 1/info",
    ] {
        assert_eq!(refused(to), (Code::UnknownLeaf, None), "{to}");
    }
}

#[test]
fn names_of_any_length_and_alphabet_are_refused_in_bounded_words() {
    for to in ["x".repeat(65_000), "é/".repeat(20_000), "x/".repeat(20_000), format!("main/{}", "ö".repeat(20_000))] {
        let mut bench = Bench::new();
        bench.send(&"n".repeat(60_000), &to, "1").unwrap_err();
        let (_, payload) = bench.heard().remove(0);
        assert!(payload.len() < 4096, "{} bytes", payload.len());
    }
}

#[test]
fn who_did_it_is_told_in_bounded_words() {
    let mut bench = Bench::new();
    let name = format!("mqtt:{}", "ñ".repeat(30_000));
    bench.send(&name, "main/slider1/set", "42").unwrap();
    bench.send(&name, "main/slider1/set", "420").unwrap_err();
    for (topic, payload) in bench.heard() {
        assert!(payload.len() < 2048, "{topic}: {} bytes", payload.len());
    }
}

#[test]
fn free_topics_pass_as_they_are() {
    let mut bench = Bench::new();
    for (to, retain) in [("é/x", true), ("lockstep2/main/slider1/set", false), ("/", true), ("lockste", false)] {
        let publish = Publish {
            retain,
            qos: Qos::ExactlyOnce,
            session: Some(7),
            ..Publish::new(topic(to), &b"\xff\x00"[..], origin("mqtt:box"))
        };
        assert_eq!(bench.publish(&publish), Ok(Accepted::default()), "{to}");
        let passed = bench.said.pop().unwrap();
        assert_eq!((passed.topic.as_str(), &passed.payload[..]), (to, &b"\xff\x00"[..]));
        assert_eq!(passed.level, if retain { Level::Retained } else { Level::Event });
        assert_eq!((passed.qos, passed.session, passed.origin), (Qos::ExactlyOnce, Some(7), origin("mqtt:box")));
    }
    assert!(bench.said.is_empty());
}

#[test]
fn a_command_runs_once_whatever_its_retain_flag_says() {
    let mut bench = Bench::new();
    let publish =
        Publish { retain: true, ..Publish::new(topic("lockstep/main/slider1/set"), "42", origin("mqtt:box")) };
    bench.publish(&publish).unwrap();
    assert_eq!(bench.text("main/slider1/value").as_deref(), Some("42"));
    assert_eq!(bench.text("main/slider1/set"), None);
    // Clearing a retained value that is not there is no command, and says so.
    let rejection = bench.publish(&Publish { payload: Bytes::new(), ..publish }).unwrap_err();
    assert_eq!(rejection.code, Code::Malformed);
}

#[test]
fn another_root_makes_another_hub() {
    let mut bench = Bench { hub: Hub::new(HubSpec { root: id("home"), ..spec() }), ..Bench::new() };
    let reaction = bench.hub.start([], 0, bench.now);
    assert!(reaction.publications.iter().all(|p| p.topic.as_str().starts_with("home/")));
    let command = Publish::new(topic("home/main/slider1/set"), "5", origin("anna"));
    assert!(bench.hub.is_command(&command.topic));
    assert!(!bench.hub.is_command(&topic("lockstep/main/slider1/set")));
    bench.publish(&command).unwrap();
}
