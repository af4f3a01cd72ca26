//! Fan-out, measured side by side: the hub, a floor that does nothing but write, mosquitto's WebSocket listener and Socket.IO
//! on Node. `cargo bench --bench fanout` runs it all; names of servers as arguments run some.
//!
//! Server and load share this machine, so ratios carry over to others, and absolute times do not.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a measurement that cannot go on should say where")]

mod fleet;
mod floor;
mod peers;
mod rounds;
mod wire;

use std::{
    io::Write as _,
    time::{Duration, Instant},
};

use fleet::Fleet;
use peers::{Kind, Server};

/// How long each rate is kept up.
const MEASURE: Duration = Duration::from_secs(5);
/// State changes a second, as a slider that is dragged makes.
const RATE: f64 = 60.0;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    if let [role, port] = &arguments[..]
        && let Some(batch) = role.strip_prefix("serve-floor-")
    {
        floor::serve(port.parse().expect("a port"), batch == "batch");
    }
    let wanted: Vec<Kind> = Kind::ALL
        .into_iter()
        .filter(|kind| arguments.is_empty() || arguments.iter().any(|argument| argument == kind.name()))
        .collect();
    println!(
        "| server | CPU a delivery at 100 / 1000 / 5000 browsers × 60/s, µs | p50 / p99 ms at 1000 | at 5000 | most deliveries/s | \
         device → browser → device, ms | 1000 connects, s | KB a browser | newcomer 1k / 10k, ms |\n|---|---|---|---|---|---|---|---|---|"
    );
    for kind in wanted {
        match measure(kind) {
            Ok(line) => println!("| {} | {line} |", kind.name()),
            Err(reason) => println!("| {} | not measured: {reason} |", kind.name()),
        }
        let _ = std::io::stdout().flush();
    }
}

fn measure(kind: Kind) -> Result<String, String> {
    let mut cpu = Vec::new();
    let mut delays = Vec::new();
    let mut connects = 0.0;
    let mut memory = 0.0;
    let mut most = 0.0;
    for browsers in [100, 1000, 5000] {
        let server = Server::start(kind)?;
        let idle_kilobytes = server.memory_kilobytes();
        let began = Instant::now();
        let mut fleet = Fleet::connect(&server, browsers)?;
        if browsers == 1000 {
            connects = began.elapsed().as_secs_f64();
            fleet.run(0.0, Duration::from_secs(1));
            memory = (server.memory_kilobytes() - idle_kilobytes) / f64::from(browsers);
        }
        fleet.run(RATE, Duration::from_secs(1));
        let before = server.cpu();
        let outcome = fleet.run(RATE, MEASURE);
        let used = server.cpu() - before;
        if !outcome.is_complete() {
            return Err(format!("{} of {} deliveries", outcome.delivered, outcome.expected));
        }
        cpu.push(format!("{:.2}", used.as_secs_f64() * 1e6 / outcome.delivered as f64));
        delays.push(outcome.delays());
        if browsers == 1000 {
            most = fleet.most_deliveries();
        }
    }
    let trip = rounds::round_trip(kind).map_or("–".to_owned(), |trip| format!("{:.3}", trip.as_secs_f64() * 1e3));
    let newcomer = |topics| {
        rounds::newcomer(kind, topics).map_or("–".to_owned(), |took| format!("{:.2}", took.as_secs_f64() * 1e3))
    };
    let (few, many) = (newcomer(1_000), newcomer(10_000));
    Ok(format!(
        "{} | {} | {} | {:.2} M | {trip} | {connects:.3} | {memory:.1} | {few} / {many}",
        cpu.join(" / "),
        delays[1],
        delays[2],
        most / 1e6
    ))
}
