//! The finger and the eye of the GPIO test: presses a simulated line and measures how soon the light and the hub answer.
//!
//! `finger COUNT PULL-FILE VALUE-FILE HUB` runs where the box runs. PULL-FILE is gpio-sim's `pull` of the button's line, VALUE-FILE
//! its `value` of a light that a press from idle turns on. Prints one line of JSON with medians in microseconds.

use std::{
    fs,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use rumqttc::{Client, Event, Incoming, MqttOptions, QoS};
use serde_json::{Value, json};

const ROOM: &str = "lockstep/main/pomodoro";
const LIMIT: Duration = Duration::from_secs(10);
/// How long each press lasts.
const HOLD: Duration = Duration::from_millis(150);
/// A light that was not seen by then winked unseen; with `HOLD` still far from a long press.
const SEEN_WITHIN: Duration = Duration::from_millis(300);
/// The most winks that may be missed.
const MISSED_MAX: usize = 5;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [count, pull, value, hub] = arguments.as_slice() else { bail!("finger COUNT PULL-FILE VALUE-FILE HUB") };
    let (host, port) = hub.rsplit_once(':').context("HUB is HOST:PORT")?;
    let mut options = MqttOptions::new("finger", host, port.parse()?);
    options.set_keep_alive(Duration::from_secs(60));
    let (client, mut connection) = Client::new(options, 16);
    client.subscribe(format!("{ROOM}/state"), QoS::AtLeastOnce)?;
    let (tell, phases) = mpsc::channel();
    thread::spawn(move || {
        for event in connection.iter() {
            let Ok(event) = event else { return };
            if let Event::Incoming(Incoming::Publish(publish)) = event {
                let at = Instant::now();
                let state: Value = serde_json::from_slice(&publish.payload).unwrap_or_default();
                let phase = state["phase"].as_str().unwrap_or_default().to_owned();
                if tell.send((phase, at)).is_err() {
                    return;
                }
            }
        }
    });
    let wait_for = |wanted: &str| -> Result<Instant> {
        loop {
            let (phase, at) = phases.recv_timeout(LIMIT).with_context(|| format!("{wanted} did not come"))?;
            if phase == wanted {
                return Ok(at);
            }
        }
    };
    let (mut lights, mut states) = (Vec::new(), Vec::new());
    let (count, mut missed): (usize, usize) = (count.parse()?, 0);
    client.publish(format!("{ROOM}/set"), QoS::AtLeastOnce, false, "reset")?;
    wait_for("idle")?;
    while lights.len() < count {
        light_is(value, "0", LIMIT)?.context("the light does not go off")?;
        // gpio-sim's `pull` is the finger: down closes the button to ground.
        let pressed = Instant::now();
        fs::write(pull, "pull-down")?;
        let seen = light_is(value, "1", SEEN_WITHIN)?;
        thread::sleep(HOLD);
        let released = Instant::now();
        fs::write(pull, "pull-up")?;
        let worked = wait_for("work")?;
        client.publish(format!("{ROOM}/set"), QoS::AtLeastOnce, false, "reset")?;
        wait_for("idle")?;
        // On a machine that stands still for that long the light's wink can be over before anybody looks.
        let Some(lit) = seen else {
            missed += 1;
            if missed > MISSED_MAX {
                bail!("the light was not seen after {missed} presses");
            }
            continue;
        };
        lights.push(lit - pressed);
        states.push(worked.saturating_duration_since(released));
    }
    let median = |times: &mut Vec<Duration>| {
        times.sort();
        times.get(times.len() / 2).map(Duration::as_micros)
    };
    let worst = |times: &[Duration]| times.iter().max().map(Duration::as_micros);
    let (worst_light, worst_state) = (worst(&lights), worst(&states));
    println!(
        "{}",
        json!({
            "presses": lights.len(), "winks_missed": missed,
            "press_to_light_us": median(&mut lights), "press_to_light_worst_us": worst_light,
            "release_to_state_us": median(&mut states), "release_to_state_worst_us": worst_state,
        })
    );
    Ok(())
}

/// Waits until the light's line has that level; none when it does not get it within `limit`.
fn light_is(value: &str, wanted: &str, limit: Duration) -> Result<Option<Instant>> {
    let deadline = Instant::now() + limit;
    loop {
        let level = fs::read_to_string(value)?;
        let now = Instant::now();
        if level.trim() == wanted {
            return Ok(Some(now));
        }
        if now > deadline {
            return Ok(None);
        }
        thread::yield_now();
    }
}
