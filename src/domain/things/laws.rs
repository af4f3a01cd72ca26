//! The laws that every kind keeps, for each kind in the list. A new kind is covered by standing there: its commands are
//! found through its controls.

use std::time::Duration;

use proptest::{collection::vec, prelude::*, sample::Index};
use serde_json::{Map, Value, json};

use super::Kind;
use crate::domain::{
    control::Shape,
    rejection::Rejection,
    thing::{Effect, Thing},
    time::{Mono, Now, Wall},
    wire::{Command, Fields},
};

/// Verbs and fields of today's kinds, beside those that the controls tell of: mixed with anything they must do no harm.
const WORDS: [&str; 22] = [
    "press",
    "start",
    "stop",
    "pause",
    "resume",
    "skip",
    "extend",
    "reset",
    "setup",
    "configure",
    "set",
    "up",
    "down",
    "move",
    "value",
    "steps",
    "seconds",
    "work_duration",
    "long_break_duration",
    "number_cycles",
    "auto_start",
    "state",
];

/// What a thing is shown, with the milliseconds that pass before.
#[derive(Debug, Clone)]
struct Step {
    pause_ms: u32,
    input: Input,
}

#[derive(Debug, Clone)]
enum Input {
    /// One of the thing's controls is moved: somewhere within its range, or to any value at all.
    Control { which: Index, within: f64, instead: Option<Value> },
    /// A command that nobody would send.
    Command(Value),
    /// Bytes.
    Payload(Vec<u8>),
    /// Time passes up to the next wake-up, if that is not far.
    Due,
    /// A wake at any time.
    Wake,
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-3i64..4).prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
        prop::sample::select(&WORDS[..]).prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 8, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Value::from),
            vec((prop::sample::select(&WORDS[..]), inner), 0..4)
                .prop_map(|fields| fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()),
        ]
    })
}

fn any_command() -> impl Strategy<Value = Value> {
    (prop::sample::select(&WORDS[..]), vec((prop::sample::select(&WORDS[..]), any_json()), 0..4)).prop_map(
        |(action, fields)| {
            let mut command: Map<String, Value> =
                fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
            command.insert("action".to_owned(), action.into());
            command.into()
        },
    )
}

fn any_step() -> impl Strategy<Value = Step> {
    let input = prop_oneof![
        6 => (any::<Index>(), 0.0..1.0, prop::option::weighted(0.1, any_json()))
            .prop_map(|(which, within, instead)| Input::Control { which, within, instead }),
        1 => any_command().prop_map(Input::Command),
        1 => vec(any::<u8>(), 0..20).prop_map(Input::Payload),
        1 => prop::sample::select(&WORDS[..]).prop_map(|word| Input::Payload(word.into())),
        3 => Just(Input::Due),
        1 => Just(Input::Wake),
    ];
    (prop_oneof![Just(0), 1u32..3000, 0u32..2_000_000], input).prop_map(|(pause_ms, input)| Step { pause_ms, input })
}

fn any_kind() -> impl Strategy<Value = Kind> {
    prop::sample::select(Kind::ALL)
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    vec(any_step(), 0..24)
}

/// A thing and what it takes for the time.
#[derive(Debug)]
struct Trial {
    thing: Box<dyn Thing>,
    now: Now,
}

/// What a step did.
#[derive(Debug, PartialEq)]
struct Stepped {
    woken: Effect,
    outcome: Result<Effect, Rejection>,
}

/// Everything that can be seen of a thing.
#[derive(Debug, PartialEq)]
struct Seen {
    state: Fields,
    leaves: Vec<(&'static str, String)>,
    reading: Option<(&'static str, String)>,
    /// Relative to now, since a restart begins the clock anew.
    next_wakeup: Option<Duration>,
    next_reading: Option<Duration>,
}

impl Trial {
    fn new(kind: Kind) -> Self {
        Self { thing: kind.default_settings().build(), now: at(1_000_000) }
    }

    /// A thing of `kind` after `steps`.
    fn after(kind: Kind, steps: &[Step]) -> Self {
        let mut trial = Self::new(kind);
        for step in steps {
            trial.step(step);
        }
        trial
    }

    /// What is due is done first, as the hub does it.
    fn step(&mut self, step: &Step) -> Stepped {
        self.pass(Duration::from_millis(step.pause_ms.into()));
        if let (Input::Due, Some(at)) = (&step.input, self.thing.next_wakeup()) {
            self.pass(at.since(self.now.mono));
        }
        Stepped { woken: self.thing.wake(self.now), outcome: self.input(&step.input) }
    }

    fn input(&mut self, input: &Input) -> Result<Effect, Rejection> {
        let payload = match input {
            Input::Control { which, within, instead } => self.control_payload(*which, *within, instead.clone()),
            Input::Command(command) => command.to_string().into_bytes(),
            Input::Payload(payload) => payload.clone(),
            Input::Due | Input::Wake => return Ok(self.thing.wake(self.now)),
        };
        self.thing.apply(&Command::parse(&payload)?, self.now)
    }

    fn control_payload(&self, which: Index, within: f64, instead: Option<Value>) -> Vec<u8> {
        let controls = self.thing.controls();
        let movable: Vec<_> =
            controls.iter().filter_map(|control| Some((control, control.command.as_ref()?))).collect();
        if movable.is_empty() {
            return Vec::new();
        }
        let (control, sending) = which.get(&movable);
        let value = instead.unwrap_or_else(|| match &control.shape {
            // The low end is the lively one: short phases end within a test.
            Shape::Number { min, max, .. } => json!((min + (max - min) * within.powi(6)).round()),
            Shape::Select { options } => options[Index::index(&which, options.len())].into(),
            Shape::Switch => (within < 0.5).into(),
            Shape::Press | Shape::Reading { .. } => Value::Null,
        });
        sending.payload(&value).into_bytes()
    }

    fn pass(&mut self, span: Duration) {
        self.now.mono = self.now.mono.after(span);
        self.now.wall = self.now.wall.after(span);
    }

    fn seen(&self) -> Seen {
        let from_now = |at: Option<Mono>| at.map(|at| at.since(self.now.mono));
        Seen {
            state: self.thing.state(self.now),
            leaves: self.thing.leaves(),
            reading: self.thing.reading(self.now),
            next_wakeup: from_now(self.thing.next_wakeup()),
            next_reading: from_now(self.thing.next_reading(self.now)),
        }
    }
}

fn at(ms: u64) -> Now {
    Now {
        mono: Mono::from_boot(Duration::from_millis(ms)),
        wall: Wall::from_unix_ms(1_760_000_000_000).after(Duration::from_millis(ms)),
        wall_synchronised: true,
    }
}

/// The state as the hub writes it.
fn written(trial: &Trial) -> Map<String, Value> {
    let state = trial.thing.state(trial.now);
    let json = state.with("rev", 7).with("by", "web:anna").with("sent_at", trial.now.wall.unix_ms()).to_json();
    serde_json::from_str(&json).expect("a state is a JSON object")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 384, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_same_input_gives_the_same_result(kind in any_kind(), steps in steps()) {
        let (mut one, mut other) = (Trial::new(kind), Trial::new(kind));
        for step in &steps {
            prop_assert_eq!(one.step(step), other.step(step));
            prop_assert_eq!(one.seen(), other.seen());
        }
    }

    #[test]
    fn a_rejection_changes_nothing(kind in any_kind(), steps in steps()) {
        // The twin never hears of what is rejected; nobody can tell the two apart, then or later.
        let (mut trial, mut twin) = (Trial::new(kind), Trial::new(kind));
        for step in &steps {
            if trial.step(step).outcome.is_err() {
                twin.step(&Step { input: Input::Wake, ..step.clone() });
            } else {
                twin.step(step);
            }
            prop_assert_eq!(trial.seen(), twin.seen());
        }
    }

    #[test]
    fn what_says_that_it_changed_nothing_changed_nothing(kind in any_kind(), steps in steps()) {
        let mut trial = Trial::new(kind);
        for step in &steps {
            trial.step(&Step { input: Input::Wake, ..step.clone() });
            let before = trial.seen();
            if let Ok(effect) = trial.input(&step.input) {
                prop_assert_eq!(effect.changed, trial.seen() != before);
                prop_assert!(effect.changed || (effect.events.is_empty() && effect.finished.is_none()));
                let known = trial.thing.event_types();
                prop_assert!(effect.events.iter().all(|event| known.contains(&event.event_type)));
            }
        }
    }

    #[test]
    fn an_early_wake_changes_nothing(kind in any_kind(), steps in steps(), part in 0.0..1.0) {
        let mut trial = Trial::after(kind, &steps);
        let ahead = trial.thing.next_wakeup().map_or(Duration::from_secs(3600), |at| at.since(trial.now.mono));
        trial.pass(Duration::from_millis((part * ahead.as_millis() as f64) as u64));
        if trial.thing.next_wakeup().is_none_or(|at| at > trial.now.mono) {
            let before = trial.seen();
            prop_assert_eq!(trial.thing.wake(trial.now), Effect::none());
            prop_assert_eq!(trial.seen(), before);
        }
    }

    #[test]
    fn after_a_wake_the_next_is_later(kind in any_kind(), steps in steps(), late_ms in 0u32..100_000_000, wall in any::<i64>()) {
        let mut trial = Trial::after(kind, &steps);
        trial.pass(Duration::from_millis(late_ms.into()));
        trial.now.wall = Wall::from_unix_ms(trial.now.wall.unix_ms().saturating_add(wall));
        trial.thing.wake(trial.now);
        let later = |at: Option<Mono>| at.is_none_or(|at| at > trial.now.mono);
        prop_assert!(later(trial.thing.next_wakeup()), "{:?}", trial.thing);
        prop_assert!(later(trial.thing.next_reading(trial.now)), "{:?}", trial.thing);
        // So a second wake has nothing left to do.
        let before = trial.seen();
        prop_assert_eq!(trial.thing.wake(trial.now), Effect::none());
        prop_assert_eq!(trial.seen(), before);
    }

    #[test]
    fn lateness_does_not_add_up(kind in any_kind(), steps in steps(), late_ms in vec(1u64..900, 1..12)) {
        let (mut exact, mut late) = (Trial::after(kind, &steps), Trial::after(kind, &steps));
        for late_ms in late_ms {
            let Some(due) = exact.thing.next_wakeup() else { break };
            prop_assert_eq!(late.thing.next_wakeup(), Some(due));
            let ahead = due.since(exact.now.mono);
            exact.pass(ahead);
            exact.thing.wake(exact.now);
            let lateness = Duration::from_millis(late_ms);
            // Only a wake that is late by less than the next phase can be made good.
            prop_assume!(exact.thing.next_wakeup().is_none_or(|at| at > exact.now.mono.after(lateness)));
            late.now = exact.now;
            late.pass(lateness);
            late.thing.wake(late.now);
            let (exact_state, late_state) = (exact.thing.state(late.now), late.thing.state(late.now));
            prop_assert_eq!(exact_state, late_state);
            prop_assert_eq!(exact.thing.next_wakeup(), late.thing.next_wakeup());
        }
    }

    #[test]
    fn a_restored_state_shows_the_same(kind in any_kind(), steps in steps(), boot_ms in 0u64..10_000_000) {
        let trial = Trial::after(kind, &steps);
        let mut again = Trial::new(kind);
        // Another boot: the monotonic clock begins anew, the wall clock goes on.
        again.now = Now { mono: at(boot_ms).mono, ..trial.now };
        let effect = again.thing.restore(&written(&trial), again.now);
        prop_assert!(effect.events.is_empty() && effect.finished.is_none());
        prop_assert_eq!(again.seen(), trial.seen());
    }

    #[test]
    fn no_input_panics(
        kind in any_kind(),
        steps in steps(),
        damage in vec((any::<Index>(), prop::option::of(any_json())), 0..6),
        clock in vec((any::<u64>(), any::<i64>(), any::<bool>()), 1..8),
        after in vec(any_step(), 0..8),
    ) {
        let trial = Trial::after(kind, &steps);
        let mut state = written(&trial);
        let names: Vec<String> = state.keys().cloned().collect();
        for (which, value) in damage {
            match value {
                Some(value) => state.insert(which.get(&names).clone(), value),
                None => state.remove(which.get(&names)),
            };
        }
        let mut again = Trial::new(kind);
        for (mono, wall, wall_synchronised) in clock {
            // Clocks go anywhere, the monotonic one backwards too, should a machine have such a fault.
            let mono = Mono::from_boot(Duration::from_nanos(mono));
            again.now = Now { mono, wall: Wall::from_unix_ms(wall), wall_synchronised };
            again.thing.restore(&state, again.now);
            for step in &after {
                again.step(step);
                again.seen();
            }
        }
    }
}
