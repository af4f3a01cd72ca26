//! Wall clocks that jump, and what a restart makes of them.

use super::*;

const SECOND: Duration = Duration::from_secs(1);

impl Desk {
    fn jump_wall(&mut self, ms: i64) {
        self.now.wall = Wall::from_unix_ms(self.now.wall.unix_ms() + ms);
    }

    /// The hub is off for `off` of real time and starts again on another boot; its wall clock is `wall_off_by_ms` wrong then.
    fn restart(&self, off: Duration, wall_off_by_ms: i64, wall_synchronised: bool) -> (Self, Effect) {
        let mut again = Self::new(Settings::default());
        again.now = Now { mono: Mono::from_boot(7 * SECOND), wall: self.now.wall.after(off), wall_synchronised };
        again.jump_wall(wall_off_by_ms);
        let effect = again.pomodoro.restore(&self.written(), again.now);
        (again, effect)
    }

    fn left(&self) -> Duration {
        self.pomodoro.next_wakeup().expect("it runs").since(self.now.mono)
    }
}

#[test]
fn a_wall_clock_that_jumps_does_not_change_how_long_a_phase_is() {
    for jump_ms in [3_600_000, -3_600_000, 501, -501, 1_000_000_000_000] {
        let mut desk = Desk::after(&["press"]);
        desk.pass(600 * SECOND);
        desk.jump_wall(jump_ms);
        let effect = desk.pomodoro.wake(desk.now);
        assert!(effect.changed, "{jump_ms}");
        assert_eq!(desk.left(), 900 * SECOND, "{jump_ms}");
        assert_eq!(desk.field("ends_at"), desk.now.wall.unix_ms() + 900_000, "stamped anew: {jump_ms}");
        assert_eq!(desk.field("started_at"), EPOCH_MS + 2000, "what was is not rewritten");
    }
}

#[test]
fn a_clock_that_is_steered_by_small_steps_is_not_news() {
    let mut desk = Desk::after(&["press"]);
    desk.pass(600 * SECOND);
    desk.jump_wall(-400);
    assert_eq!(desk.pomodoro.wake(desk.now), Effect::none());
    assert_eq!(desk.left(), 900 * SECOND);
}

#[test]
fn a_phase_that_runs_on_over_a_restart_ends_when_it_would_have() {
    let desk = Desk::after(&["press"]);
    let (again, effect) = desk.restart(600 * SECOND, 0, true);
    assert_eq!(again.field("ends_at"), desk.field("ends_at"));
    assert_eq!((again.left(), effect.events.len()), (900 * SECOND, 0));
}

#[test]
fn a_phase_that_ended_while_the_hub_was_off_is_over_since_then() {
    for off in [1500 * SECOND, 1501 * SECOND, 100_000 * SECOND] {
        let desk = Desk::after(&["press"]);
        let (again, effect) = desk.restart(off, 0, true);
        assert_eq!((again.field("phase"), again.field("started_at")), ("break_alarm".into(), desk.field("ends_at")));
        assert_eq!(effect.events[0].event_type, "work_finished");
        let finished = effect.finished.expect("a work period for the history");
        assert_eq!(json!(finished.ended_at.unix_ms()), desk.field("ends_at"));
        assert!(finished.completed);
    }
}

#[test]
fn downtime_ends_one_phase_at_most() {
    let desk = Desk::after(&[r#"{"action":"setup","auto_start":true}"#, "press"]);
    let (mut again, effect) = desk.restart(100_000 * SECOND, 0, true);
    assert_eq!((again.field("phase"), effect.events.len()), ("break_alarm".into(), 1));
    assert_eq!((again.field("auto_start"), again.pomodoro.next_wakeup()), (true.into(), None));
    // From the press on it starts by itself again.
    again.send("press").expect("the alarm is acknowledged");
    again.pass_until_due();
    assert_eq!(again.field("phase"), "work");
}

#[test]
fn a_paused_phase_stays_paused_over_a_restart() {
    let mut desk = Desk::after(&["press"]);
    desk.pass(600 * SECOND);
    desk.send("pause").expect("it runs");
    let (mut again, _) = desk.restart(100_000 * SECOND, -5_000_000, true);
    assert_eq!((again.field("paused"), again.field("remaining_ms")), (true.into(), 900_000.into()));
    again.send("resume").expect("it is paused");
    assert_eq!(again.left(), 900 * SECOND);
}

#[test]
fn a_restored_timer_never_has_more_left_than_was_journalled() {
    let mut desk = Desk::after(&["press"]);
    desk.pass(600 * SECOND);
    for wall_synchronised in [true, false] {
        let (again, _) = desk.restart(60 * SECOND, -86_400_000, wall_synchronised);
        assert_eq!(again.left(), 900 * SECOND);
        assert_eq!(again.field("ends_at"), again.now.wall.unix_ms() + 900_000, "people see what is counted");
    }
}

#[test]
fn a_clock_that_is_set_right_after_the_restart_gives_the_phase_its_true_end() {
    // A Pi without a battery clock: off for 60 s, its clock a day or half a century late, set right by the network 10 s later.
    for late_ms in [-50_000, -86_400_000, -EPOCH_MS] {
        let desk = Desk::after(&["press"]);
        let (mut again, _) = desk.restart(60 * SECOND, late_ms, false);
        again.pass(10 * SECOND);
        again.pomodoro.wake(again.now);
        again.jump_wall(-late_ms);
        again.now.wall_synchronised = true;
        again.pomodoro.wake(again.now);
        assert_eq!(again.left(), (1500 - 70) * SECOND, "{late_ms}");
        assert_eq!(again.field("ends_at"), desk.field("ends_at"), "{late_ms}");
        // From now on a jump is only a jump.
        again.jump_wall(3_600_000);
        again.pomodoro.wake(again.now);
        assert_eq!(again.left(), (1500 - 70) * SECOND);
    }
}

#[test]
fn a_phase_that_turns_out_to_be_over_ended_when_it_ended() {
    let desk = Desk::after(&["press"]);
    let (mut again, _) = desk.restart(2000 * SECOND, -86_400_000, false);
    assert_eq!(again.field("phase"), "work");
    again.jump_wall(86_400_000);
    again.now.wall_synchronised = true;
    let effect = again.pomodoro.wake(again.now);
    assert_eq!((again.field("phase"), again.field("started_at")), ("break_alarm".into(), desk.field("ends_at")));
    assert_eq!(effect.events[0].event_type, "work_finished");
}

#[test]
fn an_unconfirmed_clock_that_goes_back_gives_no_more_time() {
    let desk = Desk::after(&["press"]);
    let (mut again, _) = desk.restart(600 * SECOND, 0, false);
    again.jump_wall(-300_000);
    again.pomodoro.wake(again.now);
    assert_eq!(again.left(), 900 * SECOND);
    again.now.wall_synchronised = true;
    again.pomodoro.wake(again.now);
    assert_eq!(again.left(), 900 * SECOND);
}

#[test]
fn what_was_extended_since_the_restart_stays_extended_when_the_clock_is_set_right() {
    let desk = Desk::after(&["press"]);
    let (mut again, _) = desk.restart(60 * SECOND, -86_400_000, false);
    again.send(r#"{"action":"extend","seconds":300}"#).expect("it runs");
    again.jump_wall(86_400_000);
    again.now.wall_synchronised = true;
    again.pomodoro.wake(again.now);
    assert_eq!(again.left(), (1500 - 60 + 300) * SECOND);
}

#[test]
fn a_state_that_another_program_wrote_is_taken_as_far_as_it_goes() {
    for (state, phase, paused, left) in [
        (json!({"state": 1}), "work", true, Some(1_500_000)),
        (json!({"state": 3, "work_duration": 60, "break_duration": 7}), "short_break", true, Some(7000)),
        (json!({"state": 4}), "work_alarm", false, Some(0)),
        (json!({"state": 5, "long_break_duration": 0}), "long_break", false, Some(0)),
        (json!({"state": 6, "work_duration": 60}), "idle", false, Some(60_000)),
        (json!({"state": "work", "work_duration": 0, "break_duration": 60}), "idle", false, Some(1_500_000)),
        (json!({"state": 1, "ends_at": EPOCH_MS + 5000}), "work", false, None),
        (json!({}), "idle", false, Some(1_500_000)),
    ] {
        let mut desk = Desk::new(Settings::default());
        let map = state.as_object().expect("an object").clone();
        desk.pomodoro.restore(&map, desk.now);
        let seen = (desk.field("phase"), desk.field("paused"), desk.field("remaining_ms"));
        assert_eq!(seen, (phase.into(), paused.into(), left.into()), "{state}");
    }
}
