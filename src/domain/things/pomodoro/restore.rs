//! How a Pomodoro takes up a state that was read back after the hub was off.
//!
//! Time that passed meanwhile counts: a phase that ended is over, and began its alarm when it ended. Downtime ends at most one
//! phase, so with `auto_start` the alarm waits for somebody instead of running on through an empty room. A restored timer never
//! has more left than it had when its state was written, whatever the wall clock says.

use std::time::Duration;

use serde_json::{Map, Value};

use super::{End, PHASE_MAX, Phase, Pomodoro, timer::Timer};
use crate::domain::{
    thing::{Effect, Thing},
    time::{Now, Wall},
};

pub(super) fn restore(pomodoro: &mut Pomodoro, state: &Map<String, Value>, now: Now) -> Effect {
    let before = pomodoro.state(now);
    pomodoro.settings.restore(state);
    let Some(phase) = phase_of(state) else {
        return Effect { changed: before != pomodoro.state(now), ..Effect::none() };
    };
    pomodoro.phase = phase;
    pomodoro.cycle = match (phase, state.get("cycle").and_then(Value::as_u64)) {
        (Phase::Idle | Phase::LongBreak, _) | (_, None) => 0,
        (_, Some(cycle)) => u32::try_from(cycle).unwrap_or(u32::MAX),
    };
    pomodoro.began = None;
    pomodoro.started_at = (phase != Phase::Idle).then(|| wall(state, "started_at").unwrap_or(now.wall));
    pomodoro.timer = timer_of(pomodoro, state, now);
    let over = pomodoro.timer.as_ref().and_then(|timer| timer.over(now.mono)).map(|(_, ended_at)| ended_at);
    if let Some(ended_at) = over {
        let auto_start = std::mem::replace(&mut pomodoro.settings.auto_start, false);
        let effect = pomodoro.end_phase(now, now.mono, ended_at, End::TimeUp);
        pomodoro.settings.auto_start = auto_start;
        return effect;
    }
    Effect { changed: before != pomodoro.state(now), ..Effect::none() }
}

fn phase_of(state: &Map<String, Value>) -> Option<Phase> {
    let number = usize::try_from(state.get("state")?.as_u64()?).ok()?;
    Phase::ALL.get(number).copied()
}

fn timer_of(pomodoro: &Pomodoro, state: &Map<String, Value>, now: Now) -> Option<Timer> {
    let timed = matches!(pomodoro.phase, Phase::Work | Phase::ShortBreak | Phase::LongBreak);
    let planned = match span(state, "phase_duration_ms").filter(|planned| !planned.is_zero()) {
        Some(planned) if timed => planned,
        // A state that another program wrote: the settings say how long the phase is.
        _ if timed && state.get("phase_duration_ms").is_none() => pomodoro.settings.duration_of(pomodoro.phase)?,
        _ => return fallback(pomodoro),
    };
    if state.get("paused").and_then(Value::as_bool) == Some(true) {
        let left = span(state, "remaining_ms").unwrap_or(planned).min(planned);
        return Some(Timer::paused(planned, left));
    }
    let Some(ends_at) = wall(state, "ends_at") else { return Some(Timer::paused(planned, planned)) };
    let left_when_written = wall(state, "sent_at").map_or(planned, |sent_at| ends_at.since(sent_at)).min(planned);
    Some(Timer::running(planned, left_when_written, ends_at, now))
}

/// Work and short break are never without a timer; a long break without one waits for a press.
fn fallback(pomodoro: &Pomodoro) -> Option<Timer> {
    match pomodoro.phase {
        Phase::Work | Phase::ShortBreak => {
            let planned = pomodoro.settings.duration_of(pomodoro.phase)?;
            Some(Timer::paused(planned, planned))
        }
        _ => None,
    }
}

fn wall(state: &Map<String, Value>, name: &str) -> Option<Wall> {
    state.get(name)?.as_i64().map(Wall::from_unix_ms)
}

fn span(state: &Map<String, Value>, name: &str) -> Option<Duration> {
    state.get(name)?.as_u64().map(|ms| Duration::from_millis(ms).min(PHASE_MAX))
}
