//! Revisions, repeated and stale commands.

use super::*;

const SLIDER: &str = "main/slider1/set";

#[test]
fn a_repeated_ref_gets_the_same_outcome_and_changes_nothing() {
    let mut bench = Bench::new();
    let first = bench.send("anna", SLIDER, r#"{"value":42,"ref":"a1"}"#).unwrap();
    bench.send("bob", SLIDER, "50").unwrap();
    let rejected = bench.send("anna", SLIDER, r#"{"value":420,"ref":"a2"}"#).unwrap_err();
    bench.heard();
    bench.pass(Duration::from_millis(59_999));
    assert_eq!(bench.send("anna", SLIDER, r#"{"value":42,"ref":"a1"}"#), Ok(first));
    assert_eq!(bench.send("anna", SLIDER, r#"{"value":1,"ref":"a1"}"#), Ok(first), "the ref decides, not the rest");
    assert_eq!(bench.send("anna", SLIDER, r#"{"value":420,"ref":"a2"}"#), Err(rejected));
    assert_eq!(bench.heard(), []);
    assert_eq!(bench.text("main/slider1/value").as_deref(), Some("50"));
    bench.pass(Duration::from_millis(1));
    bench.send("anna", SLIDER, r#"{"value":42,"ref":"a1"}"#).unwrap();
    assert_eq!(bench.text("main/slider1/value").as_deref(), Some("42"), "after 60 s it is a new command");
}

#[test]
fn a_ref_belongs_to_its_origin_and_its_thing() {
    let mut bench = Bench::new();
    for (who, to, value) in [
        ("anna", "main/slider1/set", 1),
        ("anna", "main/slider2/set", 2),
        ("bob", "main/slider1/set", 3),
        ("mqtt:anna", "main/slider1/set", 4),
        ("user:anna", "main/slider1/set", 5),
    ] {
        bench.send(who, to, &format!(r#"{{"value":{value},"ref":"a1"}}"#)).unwrap();
        assert_eq!(bench.text(&to.replace("set", "value")), Some(value.to_string()), "{who} {to}");
    }
}

#[test]
fn a_press_that_is_sent_twice_with_one_ref_presses_once() {
    let mut bench = Bench::new();
    let press = r#"{"action":"press","ref":"p1"}"#;
    let first = bench.send("mqtt:box", "main/pomodoro/set", press);
    bench.live(Duration::from_secs(5));
    assert_eq!(bench.send("mqtt:box", "main/pomodoro/set", press), first);
    assert_eq!(bench.json("main/pomodoro/state")["paused"], false);
}

#[test]
fn a_ref_is_found_even_where_the_command_is_broken() {
    let mut bench = Bench::new();
    for (payload, reference) in [
        (r#"{"action":7,"ref":"x"}"#, json!("x")),
        (r#"{"action":7,"ref":5}"#, json!("5")),
        (r#"{"value":420,"ref":6}"#, json!("6")),
        (r#"{"value":42,"rev":-1,"ref":"y"}"#, json!("y")),
        (r#"{"value":"#, Value::Null),
        ("420", Value::Null),
    ] {
        bench.send("anna", SLIDER, payload).unwrap_err();
        let (topic, told) = bench.heard().pop().unwrap();
        let told: Value = serde_json::from_str(&told).unwrap();
        assert_eq!((topic.as_str(), &told["ref"]), ("main/slider1/rejected", &reference), "{payload}");
    }
}

#[test]
fn memory_for_refs_is_bounded() {
    let mut bench = Bench::new();
    for n in 0..300 {
        bench.send("anna", SLIDER, &format!(r#"{{"value":{},"ref":"{n}"}}"#, n % 100)).unwrap();
    }
    for n in 0..5000 {
        bench.send(&format!("web{n}"), SLIDER, r#"{"value":1,"ref":"x"}"#).unwrap();
        bench.pass(Duration::from_millis(1));
    }
    assert!(bench.hub.references.origins() <= super::super::references::REFERENCE_ORIGINS_MAX);
    // The newest are remembered.
    bench.send("bob", SLIDER, "77").unwrap();
    bench.send("web4999", SLIDER, r#"{"value":1,"ref":"x"}"#).unwrap();
    assert_eq!(bench.text("main/slider1/value").as_deref(), Some("77"));
}

#[test]
fn a_stale_revision_is_rejected() {
    let mut bench = Bench::new();
    let seen = bench.send("anna", SLIDER, "10").unwrap().revision.unwrap();
    bench.send("bob", SLIDER, "20").unwrap();
    let rejection = bench.send("anna", SLIDER, &format!(r#"{{"value":30,"rev":{seen}}}"#)).unwrap_err();
    assert_eq!(rejection.code, Code::Stale);
    assert_eq!(bench.text("main/slider1/value").as_deref(), Some("20"));
    let current = bench.json("main/slider1/state")["rev"].as_u64().unwrap();
    bench.send("anna", SLIDER, &format!(r#"{{"value":30,"rev":{current}}}"#)).unwrap();
    // Another thing's changes do not make a command stale.
    bench.send("bob", "main/slider2/set", "5").unwrap();
    let current = bench.json("main/slider1/state")["rev"].as_u64().unwrap();
    bench.send("anna", SLIDER, &format!(r#"{{"value":31,"rev":{current}}}"#)).unwrap();
}

#[test]
fn a_change_by_time_makes_a_command_stale_even_if_the_hub_is_late() {
    let mut bench = Bench::new();
    let seen = bench.send("anna", "main/pomodoro/set", "press").unwrap().revision.unwrap();
    bench.pass(Duration::from_secs(1501));
    // The hub was not woken yet: what is due comes first.
    let press = format!(r#"{{"action":"press","rev":{seen}}}"#);
    assert_eq!(bench.send("anna", "main/pomodoro/set", &press).unwrap_err().code, Code::Stale);
    assert_eq!(bench.json("main/pomodoro/state")["phase"], "break_alarm");
}

#[test]
fn revisions_never_repeat_after_a_start() {
    let mut bench = Bench::new();
    bench.send("anna", SLIDER, "1").unwrap();
    for (reserved, expected) in [(10_000, 10_001), (20_000, 20_001), (0, 20_002)] {
        bench.restart(spec(), Duration::from_secs(1), reserved);
        let value = bench.json("main/slider1/state")["value"].as_u64().unwrap();
        // With nothing said about revisions those in the states still count.
        let given = bench.send("anna", SLIDER, &(value + 1).to_string()).unwrap().revision;
        assert_eq!(given, Some(expected));
    }
}

#[test]
fn a_restart_alone_gives_no_revision_and_leaves_who_did_it() {
    let mut bench = Bench::new();
    bench.send("anna", SLIDER, "42").unwrap();
    bench.send("bob", "main/pomodoro/set", "press").unwrap();
    bench.live(Duration::from_secs(10));
    let before = [bench.json("main/slider1/state"), bench.json("main/pomodoro/state")];
    bench.restart(spec(), Duration::from_secs(60), 10_000);
    for (before, leaf) in before.into_iter().zip(["main/slider1/state", "main/pomodoro/state"]) {
        let mut after = bench.json(leaf);
        assert_eq!(after["sent_at"], bench.now.wall.unix_ms());
        after["sent_at"] = before["sent_at"].clone();
        assert_eq!(after, before);
    }
    bench.restart(spec(), Duration::from_secs(1500), 10_000);
    let state = bench.json("main/pomodoro/state");
    assert_eq!((&state["phase"], &state["by"], &state["rev"]), (&"break_alarm".into(), &"hub".into(), &10_001.into()));
}

#[test]
fn a_revision_from_nowhere_is_not_believed() {
    for rev in ["18446744073709551615", "9007199254740993", "-1", "\"x\""] {
        let mut bench = Bench::new();
        bench.retained.insert(topic("lockstep/main/slider1/state"), format!(r#"{{"value":5,"rev":{rev}}}"#).into());
        bench.restart(spec(), Duration::ZERO, 100);
        let given = bench.send("anna", SLIDER, "6").unwrap().revision.unwrap();
        assert!((101..200).contains(&given), "{rev}: {given}");
    }
}

#[test]
fn beyond_the_reserved_revisions_nothing_is_applied_and_nothing_remembered() {
    let mut bench = Bench::new();
    bench.hub.allow_revisions(1);
    bench.send("anna", SLIDER, "1").unwrap();
    let command = r#"{"value":2,"ref":"a1"}"#;
    assert_eq!(bench.send("anna", SLIDER, command).unwrap_err().code, Code::Storage);
    assert_eq!(bench.text("main/slider1/value").as_deref(), Some("1"));
    bench.hub.allow_revisions(100);
    // The disk healed: the same command, sent again, is carried out.
    bench.send("anna", SLIDER, command).unwrap();
    assert_eq!(bench.text("main/slider1/value").as_deref(), Some("2"));
}

#[test]
fn one_rejection_is_told_on_the_things_own_topic_and_nothing_else_happens() {
    for (to, payload, code) in [
        (SLIDER, "101", Code::OutOfRange),
        (SLIDER, "{", Code::Malformed),
        (SLIDER, "", Code::Malformed),
        (SLIDER, "jump", Code::UnknownCommand),
        ("main/pomodoro/set", "resume", Code::NotPaused),
        ("main/pomodoro/set", r#"{"action":"setup","work_duration":0}"#, Code::OutOfRange),
    ] {
        let mut bench = Bench::new();
        let before = bench.retained.clone();
        assert_eq!(bench.send("anna", to, payload).unwrap_err().code, code, "{payload}");
        assert_eq!(bench.topics_heard(), [to.replace("set", "rejected")]);
        assert_eq!((bench.retained, bench.hub.revision()), (before, 0));
    }
    let mut bench = Bench::new();
    let huge = format!(r#"{{"value":1,"x":"{}"}}"#, "é".repeat(3000));
    assert_eq!(bench.send("anna", SLIDER, &huge).unwrap_err().code, Code::TooLarge);
    assert!(bench.heard()[0].1.len() < 1024, "what is echoed is short");
}
