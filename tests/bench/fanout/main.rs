//! Fan-out, measured side by side: the hub, a floor that does nothing but write, mosquitto's WebSocket listener and Socket.IO
//! on Node. `cargo bench --bench fanout` runs it all.
//!
//! ```text
//! cargo bench --bench fanout -- [SERVER …] [trip] [turns] [slow] [idle] [--seconds N] [--browsers 100,1000,5000] [--no-most]
//!                               [--turns N] [--idle-seconds N]
//! ```
//!
//! Server and load share this machine, so ratios carry over to others, and absolute times do not.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a measurement that cannot go on should say where")]

mod fleet;
mod floor;
mod harm;
mod peers;
mod rounds;
#[path = "../spread.rs"]
mod spread;
mod trip;
mod turns;
mod wire;

use std::{
    io::Write as _,
    time::{Duration, Instant},
};

use fleet::Fleet;
use peers::{Kind, Server};

/// State changes a second, as a slider that is dragged makes.
const RATE: f64 = 60.0;

struct Arguments {
    names: Vec<String>,
    /// How long each rate is kept up.
    time: Duration,
    idle: Duration,
    /// How often servers take turns.
    turns: usize,
    browsers: Vec<u32>,
    /// Whether the most deliveries are looked for, which takes half a minute each.
    most: bool,
}

fn arguments() -> Arguments {
    let mut given = std::env::args().skip(1);
    let mut arguments = Arguments {
        names: Vec::new(),
        time: Duration::from_secs(5),
        idle: Duration::from_secs(60),
        turns: 5,
        browsers: vec![100, 1000, 5000],
        most: true,
    };
    while let Some(argument) = given.next() {
        let mut value = || given.next().expect("a value behind the option");
        match &argument[..] {
            // What cargo says to every bench.
            "--bench" => {}
            "--seconds" => arguments.time = Duration::from_secs_f64(value().parse().expect("seconds")),
            "--idle-seconds" => arguments.idle = Duration::from_secs_f64(value().parse().expect("seconds")),
            "--turns" => arguments.turns = value().parse().expect("a number of turns"),
            "--browsers" => {
                arguments.browsers = value().split(',').map(|count| count.parse().expect("a number")).collect();
            }
            "--no-most" => arguments.most = false,
            name => arguments.names.push(name.to_owned()),
        }
    }
    arguments
}

fn main() {
    let arguments = arguments();
    if let [role, port] = &arguments.names[..]
        && let Some(batch) = role.strip_prefix("serve-floor-")
    {
        floor::serve(port.parse().expect("a port"), batch == "batch");
    }
    let wants = |name: &str| arguments.names.is_empty() || arguments.names.iter().any(|wanted| wanted == name);
    let wanted: Vec<Kind> = Kind::ALL.into_iter().filter(|kind| wants(kind.name())).collect();
    if !wanted.is_empty() {
        table(&wanted, &arguments);
    }
    let mut kinds = wanted.clone();
    kinds.retain(|kind| *kind != Kind::FloorBatch);
    if kinds.is_empty() {
        kinds = vec![Kind::FloorWs, Kind::Lockstep, Kind::Mosquitto, Kind::SocketIo];
    }
    if wants("trip") {
        trip::run(&kinds, arguments.turns);
    }
    if wants("turns") {
        turns::run(&kinds, arguments.turns, arguments.time.min(Duration::from_secs(4)));
    }
    if wants("slow")
        && let Err(reason) = harm::slow(arguments.time.min(Duration::from_secs(4)), 4)
    {
        println!("\nA browser that never reads: not measured: {reason}");
    }
    if wants("idle")
        && let Err(reason) = harm::idle(arguments.idle)
    {
        println!("\nBrowsers that only look on: not measured: {reason}");
    }
}

fn table(wanted: &[Kind], arguments: &Arguments) {
    let counts: Vec<String> = arguments.browsers.iter().map(u32::to_string).collect();
    let counts = counts.join(" / ");
    println!(
        "| server | CPU a delivery at {counts} browsers × 60/s, µs | p50 / p99 ms there | most deliveries/s | \
         1000 connects, s | KB a browser | newcomer 1k / 10k, ms |\n|---|---|---|---|---|---|---|"
    );
    for kind in wanted.iter().copied() {
        match measure(kind, arguments) {
            Ok(line) => println!("| {} | {line} |", kind.name()),
            Err(reason) => println!("| {} | not measured: {reason} |", kind.name()),
        }
        let _ = std::io::stdout().flush();
    }
}

fn measure(kind: Kind, arguments: &Arguments) -> Result<String, String> {
    let mut cpu = Vec::new();
    let mut delays = Vec::new();
    let mut connects = 0.0;
    let mut memory = 0.0;
    let mut most = 0.0;
    for browsers in arguments.browsers.iter().copied() {
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
        let outcome = fleet.run(RATE, arguments.time);
        let used = server.cpu() - before;
        let share = 100.0 * outcome.delivered as f64 / outcome.expected as f64;
        // A machine that is busy with other things does not get everything through in time.
        let lost = if outcome.is_complete() { String::new() } else { format!(" ({share:.0} % arrived)") };
        cpu.push(format!("{:.2}{lost}", used.as_secs_f64() * 1e6 / outcome.delivered as f64));
        delays.push(outcome.delays());
        if browsers == 1000 && arguments.most {
            most = fleet.most_deliveries();
        }
    }
    let newcomer = |topics| {
        rounds::newcomer(kind, topics).map_or("–".to_owned(), |took| format!("{:.2}", took.as_secs_f64() * 1e3))
    };
    let (few, many) = (newcomer(1_000), newcomer(10_000));
    Ok(format!(
        "{} | {} | {:.2} M | {connects:.3} | {memory:.1} | {few} / {many}",
        cpu.join(" / "),
        delays.join(" · "),
        most / 1e6
    ))
}
