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
    for _ in 0..count.parse()? {
        client.publish(format!("{ROOM}/set"), QoS::AtLeastOnce, false, "reset")?;
        wait_for("idle")?;
        light_is(value, "0")?;
        // gpio-sim's `pull` is the finger: down closes the button to ground.
        let pressed = Instant::now();
        fs::write(pull, "pull-down")?;
        lights.push(light_is(value, "1")? - pressed);
        thread::sleep(HOLD);
        let released = Instant::now();
        fs::write(pull, "pull-up")?;
        states.push(wait_for("work")?.saturating_duration_since(released));
    }
    client.publish(format!("{ROOM}/set"), QoS::AtLeastOnce, false, "reset")?;
    wait_for("idle")?;
    let median = |times: &mut Vec<Duration>| {
        times.sort();
        times.get(times.len() / 2).map(Duration::as_micros)
    };
    let worst = |times: &[Duration]| times.iter().max().map(Duration::as_micros);
    let (worst_light, worst_state) = (worst(&lights), worst(&states));
    println!(
        "{}",
        json!({
            "presses": lights.len(),
            "press_to_light_us": median(&mut lights), "press_to_light_worst_us": worst_light,
            "release_to_state_us": median(&mut states), "release_to_state_worst_us": worst_state,
        })
    );
    Ok(())
}

/// Waits until the light's line has that level.
fn light_is(value: &str, wanted: &str) -> Result<Instant> {
    let deadline = Instant::now() + LIMIT;
    loop {
        let level = fs::read_to_string(value)?;
        let now = Instant::now();
        if level.trim() == wanted {
            return Ok(now);
        }
        if now > deadline {
            bail!("the light is not {wanted} within {LIMIT:?}");
        }
        thread::yield_now();
    }
}
