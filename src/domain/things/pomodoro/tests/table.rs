//! Every cell of the design's state × command table.

use super::*;
use Expect::{Reject, To};

/// What a cell of the table says.
#[derive(Debug, Clone, Copy)]
enum Expect {
    /// Afterwards this phase, paused or not, with this cycle.
    To(Phase, bool, u32),
    /// A rejection with this code and message, and nothing changed.
    Reject(Code, &'static str),
}

const STARTED: Expect = Reject(Code::AlreadyStarted, "Timer already started");
const STOPPED: Expect = Reject(Code::AlreadyStopped, "Timer already stopped");
const NOT_PAUSED: Expect = Reject(Code::NotPaused, "The timer is not paused.");
const NO_PHASE: Expect = Reject(Code::NotRunning, "There is no phase to skip.");
const NOT_RUNNING: Expect = Reject(Code::NotRunning, "There is no running phase to extend.");
const IDLE: Expect = To(Phase::Idle, false, 0);

/// The columns, in the order of the cells below: how each state is reached from idle. One cycle, so that the round is short.
fn columns() -> Vec<(&'static str, Desk)> {
    let work = "press";
    let alarm = ["press", "due"];
    let short = ["press", "due", "press"];
    let work_alarm = ["press", "due", "press", "due"];
    let second_alarm = ["press", "due", "press", "due", "press", "due"];
    let long = ["press", "due", "press", "due", "press", "due", "press"];
    let desk = |commands: &[&str]| {
        let mut all = vec![r#"{"action":"setup","number_cycles":1}"#];
        all.extend(commands);
        let mut desk = Desk::after(&all);
        // Behind the press guard.
        desk.pass(Duration::from_secs(5));
        desk
    };
    let with = |commands: &[&'static str], last: &'static str| {
        let all: Vec<&str> = commands.iter().copied().chain([last]).collect();
        desk(&all)
    };
    let mut untimed = Desk::after(&[r#"{"action":"setup","number_cycles":1,"long_break_duration":0}"#]);
    for command in ["press", "skip", "press", "skip", "press", "skip", "press"] {
        untimed.send(command).expect("a way to the long break");
    }
    vec![
        ("idle", desk(&[])),
        ("work", desk(&[work])),
        ("short break", desk(&short)),
        ("timed long break", desk(&long)),
        ("paused work", with(&[work], "pause")),
        ("paused short break", with(&short, "pause")),
        ("paused long break", with(&long, "pause")),
        ("break alarm", desk(&alarm)),
        ("break alarm at the end of the round", desk(&second_alarm)),
        ("work alarm", desk(&work_alarm)),
        ("untimed long break", untimed),
    ]
}

#[test]
fn every_cell_of_the_table() {
    use Phase::{BreakAlarm, LongBreak, ShortBreak, Work, WorkAlarm};
    // The columns of `columns`: idle; running 1, 3, 5; paused 1, 3, 5; alarm 2, 2 at the end of the round, 4; untimed 5.
    let [paused_work, paused_short, paused_long] = [To(Work, true, 0), To(ShortBreak, true, 1), To(LongBreak, true, 0)];
    let [work, short, long] = [To(Work, false, 0), To(ShortBreak, false, 1), To(LongBreak, false, 0)];
    let next = [To(ShortBreak, false, 1), To(LongBreak, false, 0), To(Work, false, 1)];
    let resumed = [work, short, long];
    let stop = [STOPPED, paused_work, paused_short, paused_long];
    let skipped = [To(BreakAlarm, false, 0), To(WorkAlarm, false, 1), IDLE];
    let rows: [(&str, Vec<Expect>); 12] = [
        ("press", [&[work, paused_work, paused_short, IDLE][..], &resumed, &next, &[IDLE]].concat()),
        ("start", [&[work, STARTED, STARTED, STARTED][..], &resumed, &next, &[IDLE]].concat()),
        ("stop", [&stop[..], &[STOPPED; 7]].concat()),
        ("pause", [&stop[..], &[STOPPED; 7]].concat()),
        ("resume", [&[NOT_PAUSED; 4][..], &resumed, &[NOT_PAUSED; 4]].concat()),
        ("skip", [&[NO_PHASE][..], &skipped, &skipped, &next, &[IDLE]].concat()),
        (
            "extend",
            [&[NOT_RUNNING][..], &resumed, &[paused_work, paused_short, paused_long], &[NOT_RUNNING; 4]].concat(),
        ),
        (
            r#"{"action":"extend","seconds":3600}"#,
            [&[NOT_RUNNING][..], &resumed, &[paused_work, paused_short, paused_long], &[NOT_RUNNING; 4]].concat(),
        ),
        ("reset", vec![IDLE; 11]),
        (r#"{"action":"setup","work_duration":600}"#, vec![IDLE; 11]),
        ("setup", vec![IDLE; 11]),
        (
            r#"{"action":"configure","work_duration":600,"break_duration":60}"#,
            vec![
                IDLE,
                work,
                short,
                long,
                paused_work,
                paused_short,
                paused_long,
                To(BreakAlarm, false, 0),
                To(BreakAlarm, false, 1),
                To(WorkAlarm, false, 1),
                long,
            ],
        ),
    ];
    for (command, cells) in rows {
        let columns = columns();
        assert_eq!(cells.len(), columns.len(), "{command}");
        for ((name, mut desk), expected) in columns.into_iter().zip(cells) {
            let before = desk.state();
            let outcome = desk.send(command);
            let after = desk.state();
            let context = format!("`{command}` in {name}: {outcome:?}");
            match expected {
                Reject(code, message) => {
                    assert_eq!(outcome, Err(Rejection::new(code, message)), "{context}");
                    assert_eq!(after, before, "{context}");
                }
                To(phase, paused, cycle) => {
                    let effect = outcome.unwrap_or_else(|e| panic!("{context}: {e}"));
                    assert_eq!(after["state"], phase.number(), "{context}");
                    assert_eq!(after["paused"], paused, "{context}");
                    assert_eq!(after["cycle"], cycle, "{context}");
                    assert_eq!(effect.changed, after != before, "{context}");
                    check_details(command, &before, &after, &effect, &context);
                }
            }
        }
    }
}

/// What the cells have in common beside the phase they lead to.
fn check_details(command: &str, before: &Map<String, Value>, after: &Map<String, Value>, effect: &Effect, at: &str) {
    let ran = |state: &Map<String, Value>| !state["ends_at"].is_null() || state["paused"] == true;
    match command {
        "skip" if ran(before) => {
            assert!(effect.finished.is_none(), "a skipped phase is not in the history: {at}");
            assert_eq!(effect.events.len(), 1, "{at}");
            assert_eq!(effect.events[0].fields.get("skipped"), Some(&true.into()), "{at}");
        }
        "extend" | r#"{"action":"extend","seconds":3600}"# => {
            let more = if command == "extend" { 60_000 } else { 3_600_000 };
            let field = if before["paused"] == true { "remaining_ms" } else { "ends_at" };
            let [from, to] = [before, after].map(|state| state[field].as_i64().expect("a number"));
            assert_eq!(to - from, more, "{at}");
        }
        "reset" | "setup" | r#"{"action":"setup","work_duration":600}"# => {
            assert!(effect.events.is_empty(), "nothing came to its end: {at}");
            assert_eq!(effect.finished.as_ref().map(|f| f.completed), ran(before).then_some(false), "{at}");
            let work = if command == "reset" || command == "setup" { 1500 } else { 600 };
            assert_eq!(after["work_duration"], work, "{at}");
        }
        _ if command.contains("configure") => {
            assert_eq!((&after["work_duration"], &after["break_duration"]), (&600.into(), &60.into()), "{at}");
            for kept in ["ends_at", "started_at", "phase_duration_ms"] {
                assert_eq!(after[kept], before[kept], "{kept}: {at}");
            }
            // In idle nothing runs: what is shown is the next work period.
            let left = if before["state"] == 0 { &json!(600_000) } else { &before["remaining_ms"] };
            assert_eq!(&after["remaining_ms"], left, "{at}");
        }
        _ => assert!(effect.events.is_empty(), "{at}"),
    }
}

#[test]
fn a_reset_without_anything_to_reset_changes_nothing() {
    let mut desk = Desk::new(Settings::default());
    assert_eq!(desk.send("reset"), Ok(Effect::none()));
    assert_eq!(desk.send("setup"), Ok(Effect::none()));
}

#[test]
fn durations_that_were_configured_count_from_the_next_phase() {
    let mut desk = Desk::after(&["press", r#"{"action":"configure","work_duration":60,"break_duration":7}"#]);
    let ends_at = desk.field("ends_at");
    desk.pass_until_due();
    assert_eq!(desk.field("started_at"), ends_at);
    desk.pass(Duration::from_secs(3));
    desk.send("press").expect("the alarm is acknowledged");
    assert_eq!(desk.field("phase_duration_ms"), 7000);
}

#[test]
fn the_alarm_begins_when_its_phase_ended() {
    let mut desk = Desk::after(&["press"]);
    let ends_at = desk.field("ends_at");
    desk.pass(Duration::from_secs(1500 + 77));
    let effect = desk.pomodoro.wake(desk.now);
    assert_eq!((desk.field("phase"), desk.field("started_at")), ("break_alarm".into(), ends_at.clone()));
    assert_eq!(effect.events[0].event_type, "work_finished");
    assert_eq!(effect.events[0].fields.get("ended_at"), Some(&ends_at));
}

#[test]
fn what_is_no_verb_of_a_pomodoro_is_told() {
    for (payload, code) in [
        ("jump", Code::UnknownCommand),
        (r#"{"action":"jump"}"#, Code::UnknownCommand),
        (r#"{"work_duration":60}"#, Code::Malformed),
        ("42", Code::Malformed),
    ] {
        let mut desk = Desk::after(&["press"]);
        let before = desk.state();
        assert_eq!(desk.code(payload), Some(code), "{payload}");
        assert_eq!(desk.state(), before);
    }
}
