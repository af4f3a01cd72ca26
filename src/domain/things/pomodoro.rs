//! The six-state shared Pomodoro.
//!
//! The six numbers and messages, and what a press and the end of a phase do, are those of the course assignment «Shared
//! Pomodoro»; `paused` lies over work, short break and a timed long break and is never a seventh number. Sounds, lights and
//! countdowns on a screen do not belong here.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::domain::{
    control::Control,
    rejection::{Code, Rejection},
    thing::{Effect, Event, Finished, Thing},
    time::{Mono, Now, Wall, millis},
    wire::{Body, Command, Fields},
};

mod controls;
mod restore;
mod settings;
mod timer;

pub use settings::{Settings, WhileRunning};
use timer::Timer;

/// The longest a phase may become, extensions included.
pub const PHASE_MAX: Duration = Duration::from_secs(86_400);

/// The most seconds that one `extend` adds.
pub const EXTEND_SECONDS_MAX: u64 = 3600;

/// The seconds that an `extend` without a number adds.
pub const EXTEND_SECONDS_DEFAULT: u64 = 60;

/// Where the round stands. The number is the course's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Nothing runs.
    Idle = 0,
    /// A work period.
    Work = 1,
    /// Work is over; rings until somebody presses.
    BreakAlarm = 2,
    /// A short break.
    ShortBreak = 3,
    /// The break is over; rings until somebody presses.
    WorkAlarm = 4,
    /// The long break at the end of a round.
    LongBreak = 5,
}

impl Phase {
    /// Every phase, by its number.
    pub const ALL: [Self; 6] =
        [Self::Idle, Self::Work, Self::BreakAlarm, Self::ShortBreak, Self::WorkAlarm, Self::LongBreak];

    /// The number that the course gave it.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The word for programs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Work => "work",
            Self::BreakAlarm => "break_alarm",
            Self::ShortBreak => "short_break",
            Self::WorkAlarm => "work_alarm",
            Self::LongBreak => "long_break",
        }
    }

    /// The phase with that word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|phase| phase.as_str() == word)
    }

    /// The message for people, exactly the course's.
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            Self::Idle => "Press Me!",
            Self::Work => "Work",
            Self::BreakAlarm => "Break time",
            Self::ShortBreak => "Short Break",
            Self::WorkAlarm => "Back to work",
            Self::LongBreak => "Long break time",
        }
    }

    /// Whether it rings until somebody presses.
    #[must_use]
    pub const fn is_alarm(self) -> bool {
        matches!(self, Self::BreakAlarm | Self::WorkAlarm)
    }

    const fn finished_event(self) -> &'static str {
        match self {
            Self::Work => "work_finished",
            Self::ShortBreak => "break_finished",
            _ => "long_break_finished",
        }
    }
}

/// How a phase came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    TimeUp,
    Skipped,
}

/// A shared Pomodoro timer.
#[derive(Debug, Clone, PartialEq)]
pub struct Pomodoro {
    settings: Settings,
    phase: Phase,
    cycle: u32,
    /// When the phase began; an alarm begins when the phase before it ended. None in idle.
    started_at: Option<Wall>,
    /// The same moment for the press guard; none in idle and after a restart.
    began: Option<Mono>,
    timer: Option<Timer>,
}

/// A new Pomodoro, idle.
#[must_use]
pub fn new(settings: Settings) -> Pomodoro {
    Pomodoro { settings, phase: Phase::Idle, cycle: 0, started_at: None, began: None, timer: None }
}

impl Pomodoro {
    fn is_running(&self) -> bool {
        self.timer.as_ref().is_some_and(Timer::is_running)
    }

    fn is_paused(&self) -> bool {
        self.timer.as_ref().is_some_and(|timer| !timer.is_running())
    }

    fn press(&mut self, now: Now) -> Result<Effect, Rejection> {
        if self.is_paused() {
            return self.resume(now);
        }
        match self.phase {
            Phase::Idle | Phase::BreakAlarm | Phase::WorkAlarm => Ok(self.advance(now)),
            Phase::LongBreak => Ok(self.reset(now)),
            Phase::Work | Phase::ShortBreak => self.press_while_running(now),
        }
    }

    fn press_while_running(&mut self, now: Now) -> Result<Effect, Rejection> {
        if self.settings.press_while_running == WhileRunning::Ignore {
            return Err(Rejection::new(Code::Ignored, "A press does nothing while the timer runs."));
        }
        let guard = Duration::from_millis(self.settings.press_guard_ms.into());
        if self.began.is_some_and(|began| now.mono.since(began) < guard) {
            return Err(Rejection::new(Code::TooSoon, "The phase has only just begun; press again to pause it."));
        }
        self.pause(now)
    }

    fn start(&mut self, now: Now) -> Result<Effect, Rejection> {
        if self.is_running() {
            return Err(Rejection::new(Code::AlreadyStarted, "Timer already started"));
        }
        if self.is_paused() {
            return self.resume(now);
        }
        Ok(self.advance(now))
    }

    /// What is due when nothing runs: the phase that a person starts, or acknowledges into.
    fn advance(&mut self, now: Now) -> Effect {
        match self.phase {
            Phase::Idle | Phase::WorkAlarm => self.enter(Phase::Work, now.mono, now.wall),
            Phase::BreakAlarm => self.enter(self.break_due(), now.mono, now.wall),
            _ => self.enter(Phase::Idle, now.mono, now.wall),
        }
        Effect::changed()
    }

    const fn break_due(&self) -> Phase {
        if self.cycle >= self.settings.number_cycles { Phase::LongBreak } else { Phase::ShortBreak }
    }

    fn enter(&mut self, phase: Phase, began: Mono, started_at: Wall) {
        match phase {
            Phase::ShortBreak => self.cycle = self.cycle.saturating_add(1),
            Phase::LongBreak | Phase::Idle => self.cycle = 0,
            _ => {}
        }
        self.phase = phase;
        self.timer = self.settings.duration_of(phase).map(|planned| Timer::start(planned, began, started_at));
        (self.began, self.started_at) = match phase {
            Phase::Idle => (None, None),
            _ => (Some(began), Some(started_at)),
        };
    }

    fn pause(&mut self, now: Now) -> Result<Effect, Rejection> {
        match &mut self.timer {
            Some(timer) if timer.is_running() => {
                timer.pause(now.mono);
                Ok(Effect::changed())
            }
            _ => Err(Rejection::new(Code::AlreadyStopped, "Timer already stopped")),
        }
    }

    fn resume(&mut self, now: Now) -> Result<Effect, Rejection> {
        match &mut self.timer {
            Some(timer) if !timer.is_running() => {
                timer.resume(now);
                Ok(Effect::changed())
            }
            _ => Err(Rejection::new(Code::NotPaused, "The timer is not paused.")),
        }
    }

    fn skip(&mut self, now: Now) -> Result<Effect, Rejection> {
        match self.phase {
            Phase::Idle => Err(Rejection::new(Code::NotRunning, "There is no phase to skip.")),
            _ if self.timer.is_some() => Ok(self.end_phase(now, now.mono, now.wall, End::Skipped)),
            _ => Ok(self.advance(now)),
        }
    }

    fn extend(&mut self, seconds: u64) -> Result<Effect, Rejection> {
        let Some(timer) = &mut self.timer else {
            return Err(Rejection::new(Code::NotRunning, "There is no running phase to extend."));
        };
        if !(1..=EXTEND_SECONDS_MAX).contains(&seconds) {
            return Err(Rejection::new(Code::OutOfRange, format!("`seconds` is 1 to {EXTEND_SECONDS_MAX}.")));
        }
        let more = Duration::from_secs(seconds);
        if timer.planned() + more > PHASE_MAX {
            return Err(Rejection::new(Code::OutOfRange, "A phase has at most 86400 seconds in all."));
        }
        timer.extend(more);
        Ok(Effect::changed())
    }

    /// Goes to idle, whatever was.
    fn reset(&mut self, now: Now) -> Effect {
        let finished = self.broken_off(now);
        let changed = self.phase != Phase::Idle;
        self.enter(Phase::Idle, now.mono, now.wall);
        Effect { changed, finished, ..Effect::none() }
    }

    fn setup(&mut self, settings: Settings, now: Now) -> Effect {
        let changed = settings != self.settings;
        self.settings = settings;
        let effect = self.reset(now);
        Effect { changed: effect.changed || changed, ..effect }
    }

    fn broken_off(&self, now: Now) -> Option<Finished> {
        let timer = self.timer.as_ref()?;
        Some(Finished {
            phase: self.phase.as_str(),
            started_at: self.started_at?,
            ended_at: now.wall,
            planned: timer.planned(),
            actual: timer.planned().saturating_sub(timer.left(now.mono)),
            completed: false,
        })
    }

    /// The end of a timed phase, at `ended` and `ended_at`, which may lie before `now`.
    fn end_phase(&mut self, now: Now, ended: Mono, ended_at: Wall, end: End) -> Effect {
        let over = self.phase;
        let finished = match (end, &self.timer, self.started_at) {
            (End::TimeUp, Some(timer), Some(started_at)) => Some(Finished {
                phase: over.as_str(),
                started_at,
                ended_at,
                planned: timer.planned(),
                actual: timer.planned(),
                completed: true,
            }),
            _ => None,
        };
        let fields = Fields::new()
            .with("cycle", self.cycle)
            .with("skipped", end == End::Skipped)
            .with("ended_at", ended_at.unix_ms());
        let next = match (over, self.settings.auto_start) {
            (Phase::Work, false) => Phase::BreakAlarm,
            (Phase::Work, true) => self.break_due(),
            (Phase::ShortBreak, false) => Phase::WorkAlarm,
            (Phase::ShortBreak, true) => Phase::Work,
            _ => Phase::Idle,
        };
        // Lateness does not add up: the next phase began when this one ended, unless it would be over by now too.
        let over_too = self.settings.duration_of(next).is_some_and(|planned| ended.after(planned) <= now.mono);
        let (began, started_at) = if over_too { (now.mono, now.wall) } else { (ended, ended_at) };
        self.enter(next, began, started_at);
        Effect { changed: true, events: vec![Event { event_type: over.finished_event(), fields }], finished }
    }
}

impl Thing for Pomodoro {
    fn apply(&mut self, command: &Command, now: Now) -> Result<Effect, Rejection> {
        let no_fields = Map::new();
        let (verb, fields) = match &command.body {
            Body::Word(word) => (word.as_str(), &no_fields),
            Body::Object { action: Some(action), fields } => (action.as_str(), fields),
            Body::Object { action: None, .. } => {
                return Err(Rejection::new(Code::Malformed, "`action` says what to do, as in {\"action\":\"press\"}."));
            }
            Body::Number(_) => return Err(Rejection::new(Code::Malformed, "A Pomodoro takes a verb, not a number.")),
        };
        match verb {
            "press" => self.press(now),
            "start" => self.start(now),
            "stop" | "pause" => self.pause(now),
            "resume" => self.resume(now),
            "skip" => self.skip(now),
            "extend" => self.extend(settings::seconds(fields, "seconds")?.unwrap_or(EXTEND_SECONDS_DEFAULT)),
            "reset" => Ok(self.reset(now)),
            "setup" => Ok(self.setup(self.settings.changed_by(fields)?, now)),
            "configure" => {
                let settings = self.settings.changed_by(fields)?;
                let changed = settings != self.settings;
                self.settings = settings;
                Ok(Effect { changed, ..Effect::none() })
            }
            _ => Err(Rejection::new(
                Code::UnknownCommand,
                format!(
                    "`{}` is none of press, start, stop, pause, resume, skip, extend, reset, setup and configure.",
                    verb.chars().take(32).collect::<String>()
                ),
            )),
        }
    }

    fn next_wakeup(&self) -> Option<Mono> {
        self.timer.as_ref().and_then(Timer::ends)
    }

    fn wake(&mut self, now: Now) -> Effect {
        let Some(timer) = &mut self.timer else { return Effect::none() };
        let stamped_anew = timer.follow_clock(now);
        match timer.over(now.mono) {
            Some((ended, ended_at)) => {
                let effect = self.end_phase(now, ended, ended_at, End::TimeUp);
                // The wall clock may have jumped since: the phase that begins is told by the clock as it is now.
                if let Some(timer) = &mut self.timer {
                    timer.follow_clock(now);
                }
                effect
            }
            None => Effect { changed: stamped_anew, ..Effect::none() },
        }
    }

    fn state(&self, now: Now) -> Fields {
        let timer = self.timer.as_ref();
        let remaining_ms = if self.is_running() { None } else { Some(millis(self.left(now.mono))) };
        let fields = Fields::new()
            .with("state", self.phase.number())
            .with("phase", self.phase.as_str())
            .with("message", self.phase.message())
            .with("paused", self.is_paused())
            .with("started_at", self.started_at.map(Wall::unix_ms))
            .with("ends_at", timer.and_then(Timer::ends_at).map(Wall::unix_ms))
            .with("remaining_ms", remaining_ms)
            .with("phase_duration_ms", timer.map(|timer| millis(timer.planned())));
        self.settings.write(fields).with("cycle", self.cycle)
    }

    fn restore(&mut self, state: &Map<String, Value>, now: Now) -> Effect {
        restore::restore(self, state, now)
    }

    fn leaves(&self) -> Vec<(&'static str, String)> {
        vec![("phase", self.phase.as_str().to_owned()), ("message", self.phase.message().to_owned())]
    }

    fn reading(&self, now: Now) -> Option<(&'static str, String)> {
        Some(("remaining", timer::clock_face(self.left(now.mono))))
    }

    fn next_reading(&self, now: Now) -> Option<Mono> {
        self.timer.as_ref().and_then(|timer| timer.next_second(now.mono))
    }

    fn controls(&self) -> Vec<Control> {
        controls::controls()
    }

    fn event_types(&self) -> &'static [&'static str] {
        &["work_finished", "break_finished", "long_break_finished"]
    }
}

impl Pomodoro {
    /// What a countdown shows: the time left, in idle the next work period, else nothing.
    fn left(&self, now: Mono) -> Duration {
        match &self.timer {
            Some(timer) => timer.left(now),
            None if self.phase == Phase::Idle => Duration::from_secs(self.settings.work_duration.into()),
            None => Duration::ZERO,
        }
    }
}

#[cfg(test)]
mod tests;
