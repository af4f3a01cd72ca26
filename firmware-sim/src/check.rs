//! `lockstep-box check`: finds the chip, lights each light, waits for a press and says what it saw.
//!
//! For whoever has just wired a box; the hub is not needed, and not asked.

use std::time::Duration;

use anyhow::{Context, Result};

use crate::{
    agent::Input,
    board::{
        BoardEvent,
        gpio::{GpioBoard, chips, find_chip, lights},
    },
    clock,
    config::Config,
    gesture::Gestures,
};

/// How long each line is lit.
const LIT: Duration = Duration::from_millis(400);
/// How long to wait for a press.
const PRESS_WITHIN: Duration = Duration::from_secs(15);

/// Tries the parts one after the other.
///
/// # Errors
/// Names the part that cannot be had, or that no button was pressed.
pub fn check(config: &Config) -> Result<()> {
    println!("configuration: fine (room {}, hub {})", config.hub.room, config.hub.address);
    for chip in chips() {
        println!("chip: {} {} with {} lines", chip.path.display(), chip.label, chip.lines);
    }
    let chip = find_chip(&config.gpio.chip)?;
    println!("header: {} ({})", chip.path.display(), chip.label);
    for light in &config.lights {
        for (pin, part) in light.pins.all().iter().zip(["", " green", " blue"]) {
            let part = if light.pins.all().len() > 1 && part.is_empty() { " red" } else { part };
            println!("light {}{part}: {pin} is on now", light.name);
            lights::light_for(&chip, pin.line(), light.active_low, LIT)?;
        }
    }
    if let Some(pin) = config.buzzer.as_ref().and_then(|buzzer| buzzer.pin) {
        println!("buzzer: {pin} sounds now");
        lights::light_for(&chip, pin.line(), false, LIT)?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start")?;
    runtime.block_on(wait_for_press(config))
}

async fn wait_for_press(config: &Config) -> Result<()> {
    let mut board = GpioBoard::open(config)?;
    let names: Vec<_> = config.buttons.iter().map(|button| button.name.as_str()).collect();
    println!("press a button within {} s: {}", PRESS_WITHIN.as_secs(), names.join(" or "));
    let mut gestures: Vec<_> = config.buttons.iter().map(|button| Gestures::new(button.timing)).collect();
    let give_up = tokio::time::sleep(PRESS_WITHIN);
    tokio::pin!(give_up);
    let done = loop {
        let next = gestures.iter().filter_map(Gestures::next_wakeup).min();
        let mut told = Vec::new();
        tokio::select! {
            event = board.next() => match event? {
                BoardEvent::Input(Input::Edge { button, down, at }) => {
                    let Some(recogniser) = gestures.get_mut(button) else { continue };
                    println!("button {}: {}", config.buttons[button].name, if down { "down" } else { "up" });
                    told.extend(recogniser.edge(down, at).into_iter().map(|gesture| (button, gesture)));
                }
                BoardEvent::Input(Input::HeldAtStart { button }) => {
                    println!(
                        "button {} is down already: is it wired between its pin and ground, is it stuck, or is gpio.active_low wrong?",
                        config.buttons[button].name
                    );
                    gestures[button].held_at_start();
                }
                BoardEvent::Input(Input::Turn { dial, clicks }) => println!("dial {}: {clicks:+}", config.dials[dial].slider),
                BoardEvent::Input(_) | BoardEvent::Redraw | BoardEvent::Quit => {}
            },
            () = clock::sleep_until(next) => {
                let now = clock::now();
                for (button, recogniser) in gestures.iter_mut().enumerate() {
                    told.extend(recogniser.wake(now).into_iter().map(|gesture| (button, gesture)));
                }
            }
            () = &mut give_up => break Err(anyhow::anyhow!(
                "no press was seen within {} s: is the button wired between its pin and ground, and is that the pin of the configuration?",
                PRESS_WITHIN.as_secs()
            )),
        }
        if let Some((button, gesture)) = told.first() {
            let does = config.buttons[*button].command(*gesture).map_or("nothing".to_owned(), ToString::to_string);
            println!("button {}: {}, which does: {does}", config.buttons[*button].name, gesture.word());
            break Ok(());
        }
    };
    board.stop();
    if done.is_ok() {
        println!("all fine");
    }
    done
}
