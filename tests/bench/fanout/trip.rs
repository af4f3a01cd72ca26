//! Device → browser → device: a message to a browser, and its answer back to the device, one after the other.
//!
//! The servers take turns, and all get the same pauses: what a way costs is decided by how deeply the cores sleep between two of them.

use std::{
    io::Write as _,
    time::{Duration, Instant},
};

use crate::{
    peers::{Kind, Server},
    rounds::{connect, read_until},
    spread::Spread,
    wire,
};

/// Ways of one server in one turn.
const ROUNDS: usize = 400;

/// Pauses in front of each: a finger that is quick on a slider, and hardly any.
const RESTS: [Duration; 2] = [Duration::from_micros(5_000), Duration::from_micros(200)];

/// The median way from a device to a browser and back, in milliseconds, with a pause of `rest` in front of each.
pub(crate) fn round_trip(kind: Kind, rest: Duration) -> Option<f64> {
    let server = Server::start(kind).ok()?;
    let mut browser = connect(&server)?;
    let (upgrade, hello) = server.greetings(1);
    browser.write_all(&upgrade).ok()?;
    read_until(&mut browser, b"\r\n\r\n")?;
    browser.write_all(&hello).ok()?;
    match kind {
        Kind::Lockstep => drop(read_until(&mut browser, b"\"last\":true")?),
        // SUBACK
        Kind::Mosquitto => drop(read_until(&mut browser, &[0x90, 3, 0, 1])?),
        // The answer to its CONNECT packet.
        Kind::SocketIo => drop(read_until(&mut browser, b"40{")?),
        _ => {}
    }
    let mut device = server.publisher().ok()?;
    device.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    let answer = match kind {
        Kind::Lockstep => wire::frame(1, br#"{"type":"pub","topic":"pong/x","payload":"<pong>"}"#),
        Kind::Mosquitto => wire::frame(2, &wire::mqtt_publish("pong/x", b"<pong>", false)),
        Kind::SocketIo => wire::frame(1, br#"42["publish","<pong>"]"#),
        _ => wire::frame(1, b"<pong>"),
    };
    match kind {
        Kind::FloorWs | Kind::FloorBatch => {}
        Kind::SocketIo => drop(read_until(&mut device, b"40{")?),
        Kind::Lockstep | Kind::Mosquitto => {
            device.write_all(&wire::mqtt_subscribe("pong/#")).ok()?;
            read_until(&mut device, &[0x90, 3, 0, 1])?;
        }
    }
    let mut took = Vec::new();
    for _ in 0..ROUNDS {
        std::thread::sleep(rest);
        let began = Instant::now();
        device.write_all(&server.publish("\"<ping>\"")).ok()?;
        read_until(&mut browser, b"<ping>")?;
        browser.write_all(&answer).ok()?;
        read_until(&mut device, b"<pong>")?;
        took.push(began.elapsed());
    }
    took.sort();
    took.get(ROUNDS / 2).map(|median| median.as_secs_f64() * 1e3)
}

/// Lets `kinds` take turns, `turns` times, with each pause. Who cannot is left out.
pub(crate) fn run(kinds: &[Kind], turns: usize) {
    for rest in RESTS {
        let mut all: Vec<(Kind, Vec<f64>)> = kinds.iter().map(|kind| (*kind, Vec::new())).collect();
        for _ in 0..turns {
            all.retain_mut(|(kind, took)| {
                let median = round_trip(*kind, rest);
                took.extend(median);
                median.is_some()
            });
        }
        println!(
            "\nDevice → browser → device, {ROUNDS} ways with {} ms before each, {turns} turns: medians, lowest to highest\n\n\
             | server | ms | times floor-ws, turn by turn |\n|---|---|---|",
            rest.as_secs_f64() * 1e3
        );
        let floor = all.iter().find(|(kind, _)| *kind == Kind::FloorWs).map(|(_, took)| took.clone());
        for (kind, took) in &all {
            let times = floor.as_ref().map_or("–".to_owned(), |floor| {
                format!("{:.2}", Spread::of(took.iter().zip(floor).map(|(ours, theirs)| ours / theirs)))
            });
            println!("| {} | {:.3} | {times} |", kind.name(), Spread::of(took.iter().copied()));
        }
    }
}
