//! A simulated hub in a rough world, from seeds: clients whose messages are lost or doubled, kills, restarts from what was
//! retained, clocks that jump. A model beside it knows what must hold.
//!
//! A seed that fails is named by the assertion; `LOCKSTEP_SEED=n cargo test simulation` runs it alone.

use super::*;

/// A small generator (SplitMix64, Steele, Lea and Flood 2014): a seed gives the same world on every machine.
#[derive(Debug)]
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }

    fn pick<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[usize::try_from(self.roll(words.len() as u64)).unwrap()]
    }
}

/// What a client knows without the hub.
#[derive(Debug, Default)]
struct Model {
    /// Every revision that any state had, with that state less `sent_at`: none may come back with another.
    states: BTreeMap<(String, u64), Value>,
    newest_revision: u64,
    /// The slider's value as its last accepted command left it.
    slider: f64,
}

impl Model {
    fn look(&mut self, bench: &mut Bench, context: &str) {
        for publication in std::mem::take(&mut bench.said) {
            let Some(thing) = publication.topic.as_str().strip_suffix("/state") else { continue };
            let mut state: Value = serde_json::from_slice(&publication.payload).unwrap();
            state.as_object_mut().unwrap().remove("sent_at");
            let revision = state["rev"].as_u64().unwrap();
            let known = self.states.entry((thing.to_owned(), revision)).or_insert_with(|| state.clone());
            assert_eq!(*known, state, "revision {revision} of {thing} came back as another: {context}");
            self.newest_revision = self.newest_revision.max(revision);
        }
        let state = bench.json("main/pomodoro/state");
        check_pomodoro(&state, context);
        assert_eq!(bench.text("main/pomodoro/phase").unwrap(), state["phase"].as_str().unwrap(), "{context}");
        assert_eq!(bench.text("main/pomodoro/message").unwrap(), state["message"].as_str().unwrap(), "{context}");
        assert_eq!(bench.json("main/slider1/state")["value"].as_f64(), Some(self.slider), "{context}");
        assert!(bench.hub.next_wakeup().is_none_or(|at| at > bench.now.mono), "{context}");
    }
}

/// What holds in each state of a Pomodoro.
fn check_pomodoro(state: &Value, context: &str) {
    let number = state["state"].as_u64().unwrap();
    let timed = number % 2 == 1 && (number != 5 || !state["phase_duration_ms"].is_null());
    let (paused, ends_at, left) = (state["paused"] == true, &state["ends_at"], state["remaining_ms"].as_i64());
    assert_eq!(ends_at.is_null(), !timed || paused, "{context}: {state}");
    assert_eq!(left.is_none(), timed && !paused, "{context}: {state}");
    assert!(timed || !paused, "{context}: {state}");
    assert!(left.is_none_or(|left| (0..=86_400_000).contains(&left)), "{context}: {state}");
    assert_eq!(state["started_at"].is_null(), number == 0, "{context}: {state}");
    assert!(
        state["cycle"].as_u64().unwrap() <= 100 && (![0, 5].contains(&number) || state["cycle"] == 0),
        "{context}: {state}"
    );
}

#[test]
fn the_simulation_holds_in_every_world() {
    let alone = std::env::var("LOCKSTEP_SEED").ok().map(|seed| seed.parse::<u64>().unwrap());
    for seed in alone.map_or(0..300, |seed| seed..seed + 1) {
        live_through(seed);
    }
}

fn live_through(seed: u64) {
    let mut dice = Dice(seed);
    let mut bench = Bench::new();
    let mut model = Model::default();
    let mut reserved = 1000;
    // Short phases, so that much happens.
    let setup = format!(
        r#"{{"action":"setup","work_duration":{},"break_duration":{},"long_break_duration":{},"number_cycles":2,"auto_start":{}}}"#,
        1 + dice.roll(90),
        1 + dice.roll(30),
        dice.roll(40),
        dice.roll(2) == 0
    );
    bench.send("anna", "main/pomodoro/set", &setup).unwrap();
    for step in 0..120 {
        let deed = dice.roll(20);
        let context = format!("seed {seed}, step {step}, deed {deed}");
        match deed {
            0..=5 => {
                let span = Duration::from_millis(dice.roll(40_000));
                bench.live(span);
            }
            6 => {
                // A machine that sleeps, or is very busy.
                bench.pass(Duration::from_millis(dice.roll(200_000)));
                bench.wake();
            }
            7 => {
                let jump = i64::try_from(dice.roll(20_000_000)).unwrap() - 10_000_000;
                bench.now.wall = Wall::from_unix_ms(bench.now.wall.unix_ms() + jump);
                bench.live(Duration::from_secs(1));
            }
            8 | 9 => restart(&mut dice, &mut bench, &mut reserved, &context),
            10..=12 => slide(&mut dice, &mut bench, &mut model, step, &context),
            _ => {
                let who = dice.pick(&["anna", "mqtt:box", "user:root"]);
                let what =
                    dice.pick(&["press", "press", "start", "stop", "resume", "skip", "extend", "reset", "jump", "{"]);
                bench.wake();
                let woken = bench.json("main/pomodoro/state");
                let outcome = bench.send(who, "main/pomodoro/set", what);
                if outcome.is_err() {
                    assert_eq!(bench.json("main/pomodoro/state"), woken, "a rejection changed something: {context}");
                }
            }
        }
        if bench.hub.next_wakeup().is_some_and(|at| at <= bench.now.mono) {
            bench.wake();
        }
        assert!(bench.hub.revision() >= model.newest_revision, "{context}");
        model.look(&mut bench, &context);
    }
}

/// A client drags a slider: the message or its answer may be lost, and then it is sent again with its ref.
fn slide(dice: &mut Dice, bench: &mut Bench, model: &mut Model, step: u64, context: &str) {
    let value = dice.roll(120);
    let command = format!(r#"{{"value":{value},"ref":"s{step}"}}"#);
    if dice.roll(4) == 0 {
        return; // lost on its way
    }
    let first = bench.send("anna", "main/slider1/set", &command);
    assert_eq!(first.is_ok(), value <= 100, "{context}");
    if first.is_ok() {
        #[expect(clippy::cast_precision_loss, reason = "a small number")]
        let value = value as f64;
        model.slider = value;
    }
    if dice.roll(3) == 0 {
        // The answer was lost. Somebody else moves the slider, then the repeat arrives.
        bench.send("mqtt:box", "main/slider1/set", "5").unwrap();
        model.slider = 5.0;
        let revision = bench.hub.revision();
        assert_eq!(bench.send("anna", "main/slider1/set", &command), first, "{context}");
        assert_eq!(bench.hub.revision(), revision, "{context}");
    }
}

/// The hub is killed and starts again, now and then on a machine whose clock is wrong.
fn restart(dice: &mut Dice, bench: &mut Bench, reserved: &mut u64, context: &str) {
    let before = bench.json("main/pomodoro/state");
    let journalled = before["ends_at"].as_i64().map(|ends_at| (ends_at - before["sent_at"].as_i64().unwrap()).max(0));
    bench.now.wall_synchronised = dice.roll(3) != 0;
    if dice.roll(3) == 0 {
        let jump = i64::try_from(dice.roll(4_000_000_000)).unwrap() - 2_000_000_000;
        bench.now.wall = Wall::from_unix_ms(bench.now.wall.unix_ms() + jump);
    }
    assert!(bench.hub.revision() <= *reserved, "{context}");
    bench.finished.clear();
    bench.said.clear();
    bench.restart(spec(), Duration::from_millis(dice.roll(300_000)), *reserved);
    *reserved += 1000;
    let after = bench.json("main/pomodoro/state");
    let ended = bench.said.iter().filter(|p| p.topic.as_str().ends_with("/pomodoro/event")).count();
    assert!(ended <= 1 && bench.finished.len() == ended, "downtime ends one phase at the most: {context}");
    match journalled {
        None => assert_eq!(
            (&after["state"], &after["remaining_ms"]),
            (&before["state"], &before["remaining_ms"]),
            "{context}"
        ),
        Some(journalled) if ended == 0 => {
            let left = after["ends_at"].as_i64().unwrap() - bench.now.wall.unix_ms();
            assert!(left <= journalled, "{left} ms left of {journalled}: {context}");
            assert_eq!(after["state"], before["state"], "{context}");
        }
        Some(_) => assert!(after["ends_at"].is_null(), "after downtime an alarm waits for somebody: {context}"),
    }
}
