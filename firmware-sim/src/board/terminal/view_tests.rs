use std::time::Duration;

use ratatui::{Terminal, backend::TestBackend, buffer::Buffer};
use serde_json::json;

use super::*;
use crate::{
    agent::{Agent, Input},
    config::{Config, Overrides},
};

const START: Mono = Mono::new(Duration::from_secs(100));

fn agent(config: &Config) -> Agent {
    Agent::new(config, "box-1".parse().unwrap(), "r".to_owned(), true, START)
}

fn message(agent: &mut Agent, leaf: &str, payload: &str) {
    let topic = format!("lockstep/main/pomodoro/{leaf}");
    agent.input(Input::Message { topic, payload: payload.as_bytes().to_vec() }, START);
}

/// The box as a terminal of 80 by 24 shows it.
fn drawn(config: &Config, agent: &Agent, now: Mono, log: &[&str]) -> (String, Buffer, View) {
    drawn_at(config, agent, now, log, (80, 24))
}

fn drawn_at(
    config: &Config,
    agent: &Agent,
    now: Mono,
    log: &[&str],
    (width, height): (u16, u16),
) -> (String, Buffer, View) {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    let mut view = View { title: " box-1 ".to_owned(), ..View::default() };
    view.log.extend(log.iter().map(|line| (*line).to_owned()));
    let buttons: Vec<&Id> = config.buttons.iter().map(|button| &button.name).collect();
    let scene = Scene { shown: agent.shown(), lights: &config.lights, buttons: &buttons, chosen: 0, dials: false, now };
    terminal.draw(|frame| view.draw(frame, &scene)).unwrap();
    (terminal.backend().to_string(), terminal.backend().buffer().clone(), view)
}

/// The colours of the lamp's cells.
fn lamp_colours(buffer: &Buffer) -> Vec<Color> {
    let mut colours: Vec<_> = buffer.content().iter().filter(|cell| cell.symbol() == "█").map(|cell| cell.fg).collect();
    colours.dedup();
    colours
}

#[test]
fn a_running_box_shows_light_countdown_and_connection() {
    let config = Config::parse("", &Overrides::default()).unwrap();
    let mut agent = agent(&config);
    agent.input(Input::Connected { protocol: 5 }, START);
    message(&mut agent, "state", &json!({"phase": "work", "message": "Work"}).to_string());
    message(&mut agent, "remaining", "00:24:59");
    let (text, buffer, view) = drawn(&config, &agent, START, &["button: short press"]);
    for wanted in
        ["Work", "00:24:59", "● online", "light: work (solid, green)", "PRESS", "button: short press", "box-1"]
    {
        assert!(text.contains(wanted), "{wanted} in\n{text}");
    }
    assert_eq!(lamp_colours(&buffer), [Color::Rgb(0, 255, 0)]);
    assert_eq!(view.buttons.len(), 1);
    let button = view.buttons[0];
    assert_eq!(buffer[(button.x, button.y)].symbol(), "╭", "the mouse finds the button where it is drawn");
}

#[test]
fn a_press_turns_the_light_over_at_once() {
    let config = Config::parse("", &Overrides::default()).unwrap();
    let mut agent = agent(&config);
    agent.input(Input::Connected { protocol: 5 }, START);
    message(&mut agent, "state", &json!({"phase": "idle", "message": "Press Me!"}).to_string());
    assert_eq!(lamp_colours(&drawn(&config, &agent, START, &[]).1), [], "idle is dark");
    agent.input(Input::Edge { button: 0, down: true, at: START }, START);
    let (text, buffer, _) = drawn(&config, &agent, START, &[]);
    assert_eq!(lamp_colours(&buffer), [Color::Rgb(255, 255, 255)]);
    assert!(text.contains("▼▼▼") && text.contains("light: pressed"), "{text}");
}

#[test]
fn without_a_hub_nothing_of_it_is_shown() {
    let config = Config::parse("", &Overrides::default()).unwrap();
    let mut agent = agent(&config);
    agent.input(Input::Connected { protocol: 5 }, START);
    message(&mut agent, "state", &json!({"phase": "work", "message": "Work"}).to_string());
    message(&mut agent, "remaining", "00:24:59");
    agent.input(Input::Disconnected { reason: "cut".to_owned() }, START);
    let (text, buffer, _) = drawn(&config, &agent, START, &[]);
    assert!(!text.contains("Work") && !text.contains("00:24:59"), "{text}");
    assert!(text.contains("--:--:--") && text.contains("no connection to the hub"), "{text}");
    assert_eq!(lamp_colours(&buffer), [Color::Rgb(255, 0, 255)]);
    let dark = START + Duration::from_millis(100);
    assert_eq!(lamp_colours(&drawn(&config, &agent, dark, &[]).1), [], "between two flashes");
}

#[test]
fn three_lights_share_the_work_and_any_terminal_will_do() {
    let text = "[[light]]\nname = \"work\"\npin = 5\nshows = [\"work\"]\n[[light]]\nname = \"pause\"\npin = 6\nshows = [\"short_break\"]";
    let config = Config::parse(text, &Overrides::default()).unwrap();
    let mut agent = agent(&config);
    agent.input(Input::Connected { protocol: 5 }, START);
    message(&mut agent, "state", &json!({"phase": "work", "message": "Work"}).to_string());
    let (text, ..) = drawn(&config, &agent, START, &[]);
    assert!(text.contains("○○○") && text.contains("███"), "{text}");
    for (width, height) in [(1, 1), (3, 2), (20, 5), (300, 80)] {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        let buttons: Vec<&Id> = config.buttons.iter().map(|button| &button.name).collect();
        let scene = Scene {
            shown: agent.shown(),
            lights: &config.lights,
            buttons: &buttons,
            chosen: 9,
            dials: true,
            now: START,
        };
        terminal.draw(|frame| View::default().draw(frame, &scene)).unwrap();
    }
}

/// Each thing that a light can show, as `(phase, paused)` or what happened.
fn in_state(config: &Config, phase: &str, paused: bool) -> Agent {
    let mut agent = agent(config);
    agent.input(Input::Connected { protocol: 5 }, START);
    message(&mut agent, "state", &json!({"phase": phase, "message": "M", "paused": paused}).to_string());
    agent
}

#[test]
fn every_light_is_drawn_in_its_colour_and_told_in_words_however_narrow() {
    let config = Config::parse("", &Overrides::default()).unwrap();
    let away = || agent(&config);
    let rejected = || {
        let mut agent = in_state(&config, "work", false);
        for down in [true, false] {
            agent.input(Input::Edge { button: 0, down, at: START }, START);
        }
        let refused = json!({"code": "too_soon", "ref": "box-1.r.1"}).to_string();
        agent.input(
            Input::Message { topic: "lockstep/main/pomodoro/rejected".to_owned(), payload: refused.into_bytes() },
            START,
        );
        agent
    };
    let unsent = || {
        let mut agent = away();
        agent.input(Input::Edge { button: 0, down: true, at: START }, START);
        agent
    };
    let states = [
        (in_state(&config, "idle", false), "idle (solid, off)", None),
        (in_state(&config, "work", false), "work (solid, green)", Some((0, 255, 0))),
        (in_state(&config, "break_alarm", false), "break_alarm (blink, red)", Some((255, 0, 0))),
        (in_state(&config, "short_break", false), "short_break (solid, blue)", Some((0, 0, 255))),
        (in_state(&config, "work_alarm", false), "work_alarm (blink, yellow)", Some((255, 255, 0))),
        (in_state(&config, "long_break", false), "long_break (breathe, white)", None),
        (in_state(&config, "short_break", true), "paused (blink, blue)", Some((0, 0, 255))),
        (away(), "no_hub (flash, magenta)", Some((255, 0, 255))),
        (unsent(), "unsent (flash, red)", Some((255, 0, 0))),
        (rejected(), "rejected (flash, orange)", Some((255, 140, 0))),
    ];
    for (agent, words, colour) in states {
        for (width, height) in [(34, 14), (80, 24), (200, 60)] {
            let (text, buffer, view) = drawn_at(&config, &agent, START, &[], (width, height));
            assert!(text.contains(words), "{words} at {width} by {height} in\n{text}");
            if let Some((red, green, blue)) = colour {
                assert_eq!(lamp_colours(&buffer), [Color::Rgb(red, green, blue)], "{words}");
            }
            assert!(text.contains("PRESS") || text.contains("▼▼▼"), "{text}");
            assert!(text.contains("q quit"), "{text}");
            assert!(view.buttons[0].right() <= width && view.buttons[0].bottom() <= height);
        }
    }
}
