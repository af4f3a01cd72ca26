//! What changes with time alone, and how states and plain leaves read.

use super::*;

fn remaining_heard(bench: &mut Bench) -> Vec<String> {
    bench.heard().into_iter().filter(|(topic, _)| topic.ends_with("/remaining")).map(|(_, payload)| payload).collect()
}

#[test]
fn remaining_ticks_once_a_second_and_nothing_else_does() {
    let mut bench = Bench::new();
    bench.send("anna", "main/pomodoro/set", "press").unwrap();
    bench.heard();
    bench.live(Duration::from_secs(5));
    let heard = bench.heard();
    assert!(heard.iter().all(|(topic, _)| topic == "main/pomodoro/remaining"), "{heard:?}");
    let faces: Vec<_> = heard.into_iter().map(|(_, payload)| payload).collect();
    assert_eq!(faces, ["00:24:59", "00:24:58", "00:24:57", "00:24:56", "00:24:55"]);
    // A late second is skipped, not caught up.
    bench.pass(Duration::from_millis(3500));
    bench.wake();
    assert_eq!(remaining_heard(&mut bench), ["00:24:52"]);
    bench.live(Duration::from_millis(500));
    assert_eq!(remaining_heard(&mut bench), ["00:24:51"]);
}

#[test]
fn remaining_through_a_whole_phase() {
    let mut bench = Bench::new();
    bench.send("anna", "main/pomodoro/set", r#"{"action":"setup","work_duration":3,"break_duration":7}"#).unwrap();
    assert_eq!(remaining_heard(&mut bench), ["00:00:03"], "idle: the next work time");
    bench.send("anna", "main/pomodoro/set", "press").unwrap();
    bench.live(Duration::from_secs(60));
    assert_eq!(remaining_heard(&mut bench), ["00:00:02", "00:00:01", "00:00:00"], "then the alarm: no second zero");
    assert_eq!(bench.hub.next_wakeup(), None, "an alarm needs no timer");
    bench.send("anna", "main/pomodoro/set", "press").unwrap();
    assert_eq!(remaining_heard(&mut bench), ["00:00:07"]);
    bench.live(Duration::from_millis(2500));
    bench.send("anna", "main/pomodoro/set", "pause").unwrap();
    assert_eq!(remaining_heard(&mut bench), ["00:00:06", "00:00:05"]);
    bench.live(Duration::from_secs(60));
    assert_eq!(remaining_heard(&mut bench), Vec::<String>::new(), "paused: frozen");
    bench.send("anna", "main/pomodoro/set", "resume").unwrap();
    bench.live(Duration::from_millis(500));
    assert_eq!(remaining_heard(&mut bench), ["00:00:04"]);
    bench.send("anna", "main/pomodoro/set", "reset").unwrap();
    assert_eq!(remaining_heard(&mut bench), ["00:00:03"]);
}

#[test]
fn readings_are_marked_as_such() {
    let mut bench = Bench::new();
    bench.send("anna", "main/pomodoro/set", "press").unwrap();
    bench.said.clear();
    bench.live(Duration::from_secs(1));
    assert_eq!((bench.said[0].level, bench.said[0].qos), (Level::Reading, Qos::AtMostOnce));
}

#[test]
fn states_are_written_exactly_so() {
    let mut bench = Bench::new();
    bench.pass(Duration::from_millis(250));
    bench.send("anna", "main/slider1/set", "42").unwrap();
    assert_eq!(
        bench.text("main/slider1/state").unwrap(),
        r#"{"value":42,"min":0,"max":100,"step":1,"rev":1,"by":"web:anna","sent_at":1760000000250}"#
    );
    bench.send("mqtt:box", "main/pomodoro/set", "press").unwrap();
    assert_eq!(
        bench.text("main/pomodoro/state").unwrap(),
        concat!(
            r#"{"state":1,"phase":"work","message":"Work","paused":false,"started_at":1760000000250,"#,
            r#""ends_at":1760001500250,"remaining_ms":null,"phase_duration_ms":1500000,"work_duration":1500,"#,
            r#""break_duration":300,"long_break_duration":900,"number_cycles":3,"auto_start":false,"#,
            r#""press_while_running":"pause","cycle":0,"rev":2,"by":"mqtt:box","sent_at":1760000000250}"#
        )
    );
    bench.live(Duration::from_secs(1500));
    let event = bench.heard().into_iter().find(|(topic, _)| topic == "main/pomodoro/event").unwrap().1;
    assert_eq!(
        event,
        r#"{"event_type":"work_finished","cycle":0,"skipped":false,"ended_at":1760001500250,"by":"hub","rev":3}"#
    );
    assert_eq!(bench.finished.len(), 1);
    assert_eq!((bench.finished[0].by.clone(), bench.finished[0].room.as_str()), (Origin::Hub, "main"));
    bench.send("anna", "main/pomodoro/set", r#"{"action":"jump","ref":"r1"}"#).unwrap_err();
    assert_eq!(
        bench.heard().pop().unwrap().1,
        concat!(
            r#"{"code":"unknown_command","message":"`jump` is none of press, start, stop, pause, resume, skip, extend, "#,
            r#"reset, setup and configure.","command":{"action":"jump","ref":"r1"},"by":"web:anna","ref":"r1"}"#
        )
    );
}

#[test]
fn a_leaf_that_did_not_change_is_not_said_again() {
    let mut bench = Bench::new();
    bench.send("anna", "main/pomodoro/set", "press").unwrap();
    bench.pass(Duration::from_millis(2500));
    bench.wake();
    bench.heard();
    bench.send("anna", "main/pomodoro/set", "pause").unwrap();
    assert_eq!(bench.topics_heard(), ["main/pomodoro/state"]);
    bench.send("anna", "main/slider1/set", "0").unwrap();
    assert_eq!(bench.topics_heard(), Vec::<String>::new(), "a slider that stays where it is");
}
