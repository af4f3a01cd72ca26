use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::config::Overrides;

const CONFIG: &str = "
    [[button]]\nname = \"button\"\npin = 17\nshort_press = \"press\"\nlong_press = \"reset\"
    [[button]]\nname = \"second\"\npin = 18\nshort_press = \"slider1 +5\"\ndouble_press = \"skip\"
    [[dial]]\nslider = \"slider1\"\na = 5\nb = 6\nstep = 2
";

fn at(ms: u64) -> Mono {
    Mono::new(Duration::from_secs(1000) + Duration::from_millis(ms))
}

struct Desk {
    agent: Agent,
    ms: u64,
}

impl Desk {
    fn new() -> Self {
        let config = Config::parse(CONFIG, &Overrides::default()).unwrap();
        Self { agent: Agent::new(&config, "box-1".parse().unwrap(), "r".to_owned(), true, at(0)), ms: 0 }
    }

    fn online() -> Self {
        let mut desk = Self::new();
        desk.input(Input::Connected { protocol: 5 });
        desk.state("idle", false);
        desk
    }

    fn input(&mut self, input: Input) -> Vec<Output> {
        self.agent.input(input, at(self.ms))
    }

    /// Lets time pass, waking whenever the agent asks for it.
    fn pass(&mut self, ms: u64) -> Vec<Output> {
        let until = self.ms + ms;
        let mut outputs = Vec::new();
        while let Some(due) = self.agent.next_wakeup().filter(|&due| due <= at(until)) {
            outputs.extend(self.agent.wake(due));
        }
        self.ms = until;
        outputs.extend(self.agent.wake(at(until)));
        outputs
    }

    fn message(&mut self, topic: &str, payload: &str) -> Vec<Output> {
        self.input(Input::Message { topic: topic.to_owned(), payload: payload.as_bytes().to_vec() })
    }

    fn state(&mut self, phase: &str, paused: bool) -> Vec<Output> {
        let state = json!({"state": 0, "phase": phase, "message": "m", "paused": paused, "ends_at": null, "rev": 1});
        self.message("lockstep/main/pomodoro/state", &state.to_string())
    }

    fn edge(&mut self, button: usize, down: bool) -> Vec<Output> {
        let at = at(self.ms);
        self.input(Input::Edge { button, down, at })
    }

    /// A short press of `button`, everything that came of it.
    fn press(&mut self, button: usize) -> Vec<Output> {
        let mut outputs = self.edge(button, true);
        outputs.extend(self.pass(90));
        outputs.extend(self.edge(button, false));
        outputs
    }
}

/// The commands among the outputs: topic and payload, with the token.
fn commands(outputs: &[Output]) -> Vec<(String, Value, u64)> {
    let command = |output: &Output| match output {
        Output::Publish { topic, payload, retain: false, token: Some(token) } => {
            Some((topic.clone(), serde_json::from_str(payload).unwrap(), *token))
        }
        _ => None,
    };
    outputs.iter().filter_map(command).collect()
}

fn lights(outputs: &[Output]) -> Vec<&'static str> {
    let light = |output: &Output| match output {
        Output::Tell(Report::Light { light, .. }) => Some(*light),
        _ => None,
    };
    outputs.iter().filter_map(light).collect()
}

fn outcomes(outputs: &[Output]) -> Vec<Outcome> {
    let outcome = |output: &Output| match output {
        Output::Tell(Report::Outcome { outcome, .. }) => Some(*outcome),
        _ => None,
    };
    outputs.iter().filter_map(outcome).collect()
}

#[test]
fn it_says_who_it_is_when_connected() {
    let mut desk = Desk::new();
    let outputs = desk.input(Input::Connected { protocol: 5 });
    let published = |wanted: &str| {
        outputs.iter().find_map(|output| match output {
            Output::Publish { topic, payload, retain: true, .. } if topic == wanted => Some(payload.clone()),
            _ => None,
        })
    };
    assert_eq!(published("lockstep/device/box-1/availability").as_deref(), Some("online"));
    let info: Value = serde_json::from_str(&published("lockstep/device/box-1/info").unwrap()).unwrap();
    assert_eq!((&info["room"], &info["name"]), (&json!("main"), &json!("Button box")));
    assert!(outputs.iter().any(|output| matches!(output, Output::Subscribe(filters) if filters.len() == 5)));
    assert_eq!(desk.agent.shown().connection, Connection::Waiting);
}

#[test]
fn a_press_is_shown_at_once_and_sent_when_it_ends() {
    let mut desk = Desk::online();
    let down = desk.edge(0, true);
    assert_eq!(lights(&down), ["pressed"]);
    assert_eq!(commands(&down), []);
    assert_eq!(lights(&desk.pass(80)), ["idle"]);
    let up = desk.edge(0, false);
    let sent = commands(&up);
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].0, "lockstep/main/pomodoro/set");
    assert_eq!(sent[0].1, json!({"action": "press", "ref": "box-1.r.1"}));
    let event = json!({"event_type": "short_press", "button": "button"}).to_string();
    assert!(up.iter().any(|output| matches!(output, Output::Publish { topic, payload, retain: false, token: None }
        if topic == "lockstep/device/box-1/event" && *payload == event)));
    assert_eq!(outcomes(&desk.input(Input::Acknowledged { token: sent[0].2, refused: None })), [Outcome::Delivered]);
    assert_eq!(desk.agent.next_wakeup(), None, "an idle box is not woken");
}

#[test]
fn a_press_while_the_hub_is_away_is_told_and_forgotten() {
    let mut desk = Desk::new();
    let outputs = desk.press(0);
    assert_eq!(lights(&outputs)[0], "unsent");
    assert!(outputs.iter().any(|output| matches!(output, Output::Tell(Report::Command { sent: false, .. }))));
    assert!(!outputs.iter().any(|output| matches!(output, Output::Publish { .. })), "nothing is queued");
    desk.pass(2000);
    let mut later = desk.input(Input::Connected { protocol: 5 });
    later.extend(desk.state("idle", false));
    later.extend(desk.pass(60_000));
    assert_eq!(commands(&later), [], "and nothing is sent later");
}

#[test]
fn a_press_that_nobody_answered_is_told_as_lost() {
    let mut desk = Desk::online();
    assert_eq!(commands(&desk.press(0)).len(), 1);
    let outputs = desk.pass(5_000);
    assert_eq!(outcomes(&outputs), [Outcome::Lost]);
    assert_eq!(lights(&outputs), ["unsent"]);
    assert_eq!(commands(&desk.press(0)).len(), 1);
    assert_eq!(outcomes(&desk.input(Input::Disconnected { reason: "cut".into() })), [Outcome::Lost]);
    assert_eq!(desk.agent.shown().word, LightWord::NoHub);
}

#[test]
fn a_rejection_of_ones_own_command_is_shown_and_others_are_not() {
    let mut desk = Desk::online();
    desk.press(0);
    desk.pass(1000);
    let rejected = |reference: &str| json!({"code": "too_soon", "message": "m", "ref": reference}).to_string();
    let others = desk.message("lockstep/main/pomodoro/rejected", &rejected("box-2.r.1"));
    assert_eq!(others, []);
    let own = desk.message("lockstep/main/pomodoro/rejected", &rejected("box-1.r.1"));
    assert_eq!(outcomes(&own), [Outcome::Rejected]);
    assert_eq!(lights(&own), ["rejected"]);
    assert_eq!(lights(&desk.pass(800)), ["idle"]);
}

#[test]
fn the_light_follows_the_hub_and_shows_nothing_stale() {
    let mut desk = Desk::online();
    assert_eq!(lights(&desk.state("work", false)), ["work"]);
    assert_eq!(lights(&desk.state("work", true)), ["paused"]);
    assert_eq!(desk.agent.shown().pattern.colour, crate::pattern::Rgb::new(0, 255, 0), "in the phase's colour");
    assert_eq!(lights(&desk.state("short_break", true)), ["paused"]);
    assert_eq!(lights(&desk.state("break_alarm", false)), ["break_alarm"]);
    desk.message("lockstep/main/pomodoro/remaining", "00:00:00");
    let gone = desk.input(Input::Disconnected { reason: "cut".into() });
    assert_eq!(lights(&gone), ["no_hub"]);
    assert_eq!((&desk.agent.shown().phase, &desk.agent.shown().remaining), (&None, &None));
    assert_eq!(desk.input(Input::Disconnected { reason: "cut".into() }), [], "told once");
}

#[test]
fn a_hub_that_leaves_its_broker_is_away() {
    let mut desk = Desk::online();
    desk.state("work", false);
    assert_eq!(lights(&desk.message("lockstep/hub/availability", "offline")), ["no_hub"]);
    assert_eq!(commands(&desk.press(0)), []);
    desk.pass(1000);
    assert_eq!(lights(&desk.message("lockstep/hub/availability", "online")), ["work"]);
}

#[test]
fn a_room_without_a_state_is_told() {
    let mut desk = Desk::new();
    desk.input(Input::Connected { protocol: 4 });
    let outputs = desk.pass(3_000);
    assert!(
        matches!(&outputs[..], [Output::Tell(Report::Notice { message })] if message.contains("`main`")),
        "{outputs:?}"
    );
    assert_eq!(desk.agent.next_wakeup(), None);
}

#[test]
fn long_and_double_presses_have_their_own_commands() {
    let mut desk = Desk::online();
    desk.edge(0, true);
    assert_eq!(commands(&desk.pass(800))[0].1["action"], "reset");
    assert_eq!(commands(&desk.edge(0, false)), []);
    let mut outputs = desk.press(1);
    outputs.extend(desk.pass(100));
    outputs.extend(desk.press(1));
    outputs.extend(desk.pass(1000));
    let sent = commands(&outputs);
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].1["action"], "skip");
    let mut single = desk.press(1);
    single.extend(desk.pass(1000));
    assert_eq!(commands(&single)[0].0, "lockstep/main/slider1/set");
    assert_eq!(commands(&single)[0].1["steps"], 5);
}

#[test]
fn a_dial_is_gathered_and_nothing_of_it_is_lost() {
    let mut desk = Desk::online();
    let mut steps = 0;
    let mut sent = 0;
    for _ in 0..100 {
        let mut outputs = desk.input(Input::Turn { dial: 0, clicks: 1 });
        outputs.extend(desk.pass(3));
        for (_, payload, token) in commands(&outputs) {
            steps += payload["steps"].as_i64().unwrap();
            sent += 1;
            desk.input(Input::Acknowledged { token, refused: None });
        }
    }
    for (_, payload, _) in commands(&desk.pass(50)) {
        steps += payload["steps"].as_i64().unwrap();
    }
    assert_eq!(steps, 200, "100 clicks of two steps");
    assert!(sent <= 7, "{sent} commands in 300 ms");
}

fn any_input() -> impl Strategy<Value = Input> {
    let topics = prop_oneof![
        Just("lockstep/main/pomodoro/state".to_owned()),
        Just("lockstep/main/pomodoro/remaining".to_owned()),
        Just("lockstep/main/slider1/rejected".to_owned()),
        Just("lockstep/hub/availability".to_owned()),
        "[a-z/]{0,30}",
    ];
    let payloads = prop_oneof![
        Just(b"offline".to_vec()),
        Just(b"online".to_vec()),
        Just(br#"{"phase":"work","rev":1}"#.to_vec()),
        Just(br#"{"phase":"long_break","paused":true}"#.to_vec()),
        Just(br#"{"code":"busy","ref":"box-1.r.1"}"#.to_vec()),
        prop::collection::vec(any::<u8>(), 0..40),
    ];
    prop_oneof![
        4 => (0_usize..4, any::<bool>(), 0_u64..100_000)
            .prop_map(|(button, down, ms)| Input::Edge { button, down, at: at(ms) }),
        1 => (0_usize..4).prop_map(|button| Input::HeldAtStart { button }),
        2 => (0_usize..3, any::<i32>()).prop_map(|(dial, clicks)| Input::Turn { dial, clicks }),
        2 => Just(Input::Connected { protocol: 5 }),
        1 => Just(Input::Disconnected { reason: String::new() }),
        4 => (topics, payloads).prop_map(|(topic, payload)| Input::Message { topic, payload }),
        1 => (0_u64..50).prop_map(|token| Input::Acknowledged { token, refused: None }),
        1 => (0_u64..50).prop_map(|token| Input::NotQueued { token }),
    ]
}

proptest! {
    /// Whatever comes in any order: nothing panics; a command goes out only while the hub's state is known; away, nothing of
    /// the hub is shown; a wake leaves nothing due; an early wake does nothing; the light always follows the state.
    #[test]
    fn the_agents_laws(steps in prop::collection::vec((any_input(), 0_u64..3_000), 0..60)) {
        let mut desk = Desk::new();
        for (input, wait) in steps {
            let outputs = desk.input(input);
            let sendable = desk.agent.shown().connection == Connection::Online;
            prop_assert!(sendable || commands(&outputs).is_empty());
            let before = desk.agent.next_wakeup();
            if before.is_some_and(|due| due > at(desk.ms)) {
                prop_assert_eq!(desk.agent.clone().wake(at(desk.ms)), vec![]);
            }
            desk.pass(wait);
            prop_assert!(desk.agent.next_wakeup().is_none_or(|due| due > at(desk.ms)));
            let shown = desk.agent.shown();
            if shown.connection == Connection::Away {
                prop_assert_eq!((&shown.phase, &shown.remaining), (&None, &None));
            }
            prop_assert_eq!(shown.word == LightWord::NoHub, shown.connection != Connection::Online);
            prop_assert!(desk.agent.waiting.len() <= WAITING_MAX);
        }
    }
}
