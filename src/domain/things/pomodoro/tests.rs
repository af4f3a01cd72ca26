//! The Pomodoro by itself: the design's table cell by cell, the limits of every field, the clocks.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{Phase, Pomodoro, Settings, new};
use crate::domain::{
    rejection::{Code, Rejection},
    thing::{Effect, Thing},
    time::{Mono, Now, Wall},
    wire::Command,
};

mod clocks;
mod limits;
mod table;

/// The wall clock at the beginning of each test.
const EPOCH_MS: i64 = 1_760_000_000_000;

/// A Pomodoro with the time that it is told.
#[derive(Debug)]
struct Desk {
    pomodoro: Pomodoro,
    now: Now,
}

impl Desk {
    fn new(settings: Settings) -> Self {
        let now = Now {
            mono: Mono::from_boot(Duration::from_secs(1000)),
            wall: Wall::from_unix_ms(EPOCH_MS),
            wall_synchronised: true,
        };
        Self { pomodoro: new(settings), now }
    }

    /// A desk with the default settings, on which `commands` were carried out, each 2 s after the one before; `due` waits until
    /// time is up.
    fn after(commands: &[&str]) -> Self {
        let mut desk = Self::new(Settings::default());
        for command in commands {
            if *command == "due" {
                desk.pass_until_due();
            } else {
                desk.pass(Duration::from_secs(2));
                desk.send(command).unwrap_or_else(|e| panic!("{command}: {e}"));
            }
        }
        desk
    }

    fn send(&mut self, payload: &str) -> Result<Effect, Rejection> {
        self.pomodoro.apply(&Command::parse(payload.as_bytes())?, self.now)
    }

    fn code(&mut self, payload: &str) -> Option<Code> {
        self.send(payload).err().map(|rejection| rejection.code)
    }

    fn pass(&mut self, span: Duration) {
        self.now.mono = self.now.mono.after(span);
        self.now.wall = self.now.wall.after(span);
    }

    fn pass_until_due(&mut self) -> Effect {
        let due = self.pomodoro.next_wakeup().expect("something is due");
        self.pass(due.since(self.now.mono));
        self.pomodoro.wake(self.now)
    }

    fn state(&self) -> Map<String, Value> {
        self.pomodoro.state(self.now).to_map()
    }

    fn field(&self, name: &str) -> Value {
        self.state()[name].clone()
    }

    fn remaining(&self) -> String {
        self.pomodoro.reading(self.now).expect("a Pomodoro has a reading").1
    }

    /// The state as the hub writes it.
    fn written(&self) -> Map<String, Value> {
        let mut state = self.state();
        state.insert("sent_at".to_owned(), self.now.wall.unix_ms().into());
        state
    }
}

#[test]
fn the_six_states_have_the_numbers_and_messages_of_the_course() {
    let all: Vec<_> = Phase::ALL.iter().map(|phase| (phase.number(), phase.as_str(), phase.message())).collect();
    assert_eq!(
        all,
        [
            (0, "idle", "Press Me!"),
            (1, "work", "Work"),
            (2, "break_alarm", "Break time"),
            (3, "short_break", "Short Break"),
            (4, "work_alarm", "Back to work"),
            (5, "long_break", "Long break time"),
        ]
    );
}

#[test]
fn the_defaults_are_the_designs() {
    let settings = Settings::default();
    assert_eq!((settings.work_duration, settings.break_duration, settings.long_break_duration), (1500, 300, 900));
    assert_eq!((settings.number_cycles, settings.auto_start, settings.press_guard_ms), (3, false, 1000));
}

#[test]
fn a_state_has_these_fields_in_this_order() {
    let mut desk = Desk::after(&["press"]);
    desk.pass(Duration::from_millis(10));
    assert_eq!(
        desk.pomodoro.state(desk.now).to_json(),
        concat!(
            r#"{"state":1,"phase":"work","message":"Work","paused":false,"started_at":1760000002000,"#,
            r#""ends_at":1760001502000,"remaining_ms":null,"phase_duration_ms":1500000,"work_duration":1500,"#,
            r#""break_duration":300,"long_break_duration":900,"number_cycles":3,"auto_start":false,"#,
            r#""press_while_running":"pause","cycle":0}"#
        )
    );
    let desk = Desk::new(Settings::default());
    assert_eq!(
        desk.pomodoro.state(desk.now).to_json(),
        concat!(
            r#"{"state":0,"phase":"idle","message":"Press Me!","paused":false,"started_at":null,"ends_at":null,"#,
            r#""remaining_ms":1500000,"phase_duration_ms":null,"work_duration":1500,"break_duration":300,"#,
            r#""long_break_duration":900,"number_cycles":3,"auto_start":false,"press_while_running":"pause","cycle":0}"#
        )
    );
}

#[test]
fn a_round_has_four_work_periods_and_three_short_breaks() {
    let mut desk = Desk::new(Settings::default());
    let mut phases = Vec::new();
    desk.send("press").expect("idle starts");
    while desk.pomodoro.phase != Phase::Idle {
        phases.push((desk.pomodoro.phase.number(), desk.pomodoro.cycle));
        if desk.pomodoro.phase.is_alarm() {
            desk.pass(Duration::from_secs(30));
            desk.send("press").expect("an alarm is acknowledged");
        } else {
            desk.pass_until_due();
        }
    }
    #[rustfmt::skip]
    assert_eq!(phases, [
        (1, 0), (2, 0), (3, 1), (4, 1), (1, 1), (2, 1), (3, 2), (4, 2), (1, 2), (2, 2), (3, 3), (4, 3), (1, 3), (2, 3), (5, 0),
    ]);
}

#[test]
fn a_number_of_cycles_that_was_lowered_below_the_counter_still_ends_the_round() {
    let mut desk = Desk::after(&["press", "due", "press", "due", "press", "due", "press", "due"]);
    assert_eq!(desk.field("cycle"), 2);
    desk.send(r#"{"action":"configure","number_cycles":1}"#).expect("a legal number");
    desk.pass(Duration::from_secs(2));
    desk.send("press").expect("the alarm is acknowledged");
    desk.pass_until_due();
    desk.send("press").expect("the alarm is acknowledged");
    assert_eq!((desk.pomodoro.phase, desk.pomodoro.cycle), (Phase::LongBreak, 0));
}

#[test]
fn a_press_right_after_the_phase_began_does_not_pause_it() {
    for commands in [&["press"][..], &["press", "due", "press"], &["press", "due", "press", "due", "press"]] {
        let mut desk = Desk::after(commands);
        let before = desk.state();
        for _ in 0..2 {
            assert_eq!(desk.code("press"), Some(Code::TooSoon), "{commands:?}");
            desk.pass(Duration::from_millis(499));
        }
        assert_eq!(desk.code("press"), Some(Code::TooSoon), "998 ms after {commands:?}");
        assert_eq!(desk.state(), before);
        desk.pass(Duration::from_millis(2));
        assert_eq!(desk.code("press"), None, "1000 ms after {commands:?}");
        assert_eq!(desk.field("paused"), true);
    }
}

#[test]
fn the_guard_is_for_presses_alone_and_can_be_turned_off() {
    let mut desk = Desk::after(&["press"]);
    desk.send("pause").expect("a pause means what it says");
    desk.send("press").expect("a press resumes at once");
    let mut desk = Desk::new(Settings { press_guard_ms: 0, ..Settings::default() });
    desk.send("press").expect("idle starts");
    desk.send("press").expect("no guard");
    assert_eq!(desk.field("paused"), true);
}

#[test]
fn presses_that_are_turned_off_while_running_still_start_and_resume() {
    let mut desk = Desk::after(&[r#"{"action":"configure","press_while_running":"ignore"}"#, "press"]);
    desk.pass(Duration::from_secs(60));
    let before = desk.state();
    assert_eq!(desk.code("press"), Some(Code::Ignored));
    assert_eq!(desk.state(), before);
    desk.send("pause").expect("stop is not a press");
    desk.send("press").expect("a press resumes");
    assert_eq!(desk.field("paused"), false);
    desk.pass_until_due();
    // What was ignored is not remembered: the alarm rings until somebody presses.
    assert_eq!(desk.pomodoro.phase, Phase::BreakAlarm);
}

#[test]
fn a_pause_freezes_the_time_and_resuming_runs_it_on() {
    let mut desk = Desk::after(&["press"]);
    desk.pass(Duration::from_millis(600_400));
    desk.send("pause").expect("it runs");
    assert_eq!((desk.field("ends_at"), desk.field("remaining_ms")), (Value::Null, 899_600.into()));
    assert_eq!((desk.remaining(), desk.pomodoro.next_wakeup()), ("00:15:00".to_owned(), None));
    desk.pass(Duration::from_secs(86_400));
    assert_eq!((desk.field("remaining_ms"), desk.remaining().as_str()), (899_600.into(), "00:15:00"));
    desk.send("resume").expect("it is paused");
    assert_eq!(desk.field("ends_at"), desk.now.wall.unix_ms() + 899_600);
    let effect = desk.pass_until_due();
    let finished = effect.finished.expect("a work period for the history");
    assert_eq!((finished.planned, finished.actual), (Duration::from_secs(1500), Duration::from_secs(1500)));
    assert!(finished.completed);
}

#[test]
fn with_auto_start_the_alarms_are_skipped_and_their_events_are_told() {
    let mut desk =
        Desk::after(&[r#"{"action":"setup","auto_start":true,"number_cycles":1,"long_break_duration":60}"#, "press"]);
    let mut told = Vec::new();
    while desk.pomodoro.phase != Phase::Idle {
        let effect = desk.pass_until_due();
        let event = &effect.events[0];
        told.push((event.event_type, event.fields.get("skipped").cloned(), desk.pomodoro.phase.number()));
    }
    let no = Some(Value::from(false));
    assert_eq!(
        told,
        [
            ("work_finished", no.clone(), 3),
            ("break_finished", no.clone(), 1),
            ("work_finished", no.clone(), 5),
            ("long_break_finished", no, 0),
        ]
    );
}

#[test]
fn remaining_is_a_clock_face_once_a_second() {
    let mut desk = Desk::new(Settings::default());
    assert_eq!(desk.remaining(), "00:25:00", "idle shows the next work period");
    desk.send(r#"{"action":"setup","work_duration":3661}"#).expect("a legal duration");
    assert_eq!(desk.remaining(), "01:01:01");
    desk.send("press").expect("idle starts");
    assert_eq!(desk.remaining(), "01:01:01");
    let mut faces = Vec::new();
    for _ in 0..3 {
        let next = desk.pomodoro.next_reading(desk.now).expect("it runs");
        desk.pass(next.since(desk.now.mono));
        faces.push(desk.remaining());
    }
    assert_eq!(faces, ["01:01:00", "01:00:59", "01:00:58"]);
    desk.pass(Duration::from_millis(3_657_999));
    assert_eq!(desk.remaining(), "00:00:01", "never zero before the end");
    desk.pass_until_due();
    assert_eq!((desk.remaining().as_str(), desk.pomodoro.next_reading(desk.now)), ("00:00:00", None), "an alarm");
    let mut desk = Desk::after(&[r#"{"action":"setup","long_break_duration":0,"number_cycles":1}"#]);
    for command in ["press", "skip", "press", "skip", "press", "skip", "press"] {
        desk.send(command).expect("a way to the long break");
    }
    assert_eq!((desk.pomodoro.phase, desk.remaining().as_str()), (Phase::LongBreak, "00:00:00"), "untimed");
}
