//! The door beside Debian's mosquitto, in one run, on one machine: throughput and loss, latency with the parts of the way, memory of quiet
//! clients, and a client that never reads. `cargo bench --bench mqtt` runs it all.
//!
//! ```text
//! cargo bench --bench mqtt -- [throughput] [latency] [idle] [slow] [--seconds N] [--rounds N] [--idle N]
//!                            [--pairs N] [--only SERVER] [--flows 1x1,50x1,1x100] [--qos 0,1,2]
//! ```
//!
//! Server and load share this machine, so ratios carry over to others, and absolute figures do not.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a measurement that cannot go on should say where")]

mod crowd;
mod flow;
mod latency;
mod server;
#[path = "../spread.rs"]
mod spread;
mod wire;

use std::time::Duration;

use crowd::Beside;
use flow::{Flow, Plan};
use latency::{Delays, Ways};
use server::{Kind, Server};
use spread::Spread;

/// Rounds of each way in one turn of a server.
const TURN_ROUNDS: usize = 20;

struct Arguments {
    parts: Vec<String>,
    seconds: f64,
    rounds: usize,
    idle: usize,
    /// How often it is measured without and with a subscriber that never reads.
    pairs: usize,
    only: Option<String>,
    /// Publishers and subscribers.
    flows: Vec<(usize, usize)>,
    qos: Vec<u8>,
}

fn arguments() -> Arguments {
    let mut given = std::env::args().skip(1);
    let mut arguments = Arguments {
        parts: Vec::new(),
        seconds: 3.0,
        rounds: 3000,
        idle: 5000,
        pairs: 4,
        only: None,
        flows: vec![(1, 1), (50, 1), (1, 100)],
        qos: vec![0, 1, 2],
    };
    while let Some(argument) = given.next() {
        let mut value = || given.next().expect("a value behind the option");
        match &argument[..] {
            // What cargo says to every bench.
            "--bench" => {}
            "--seconds" => arguments.seconds = value().parse().expect("a number of seconds"),
            "--rounds" => arguments.rounds = value().parse().expect("a number of rounds"),
            "--idle" => arguments.idle = value().parse().expect("a number of clients"),
            "--pairs" => arguments.pairs = value().parse().expect("a number of pairs"),
            "--only" => arguments.only = Some(value()),
            "--qos" => arguments.qos = value().split(',').map(|qos| qos.parse().expect("a QoS")).collect(),
            "--flows" => {
                let flow = |text: &str| {
                    let (publishers, subscribers) = text.split_once('x').expect("PUBLISHERSxSUBSCRIBERS");
                    (publishers.parse().expect("a number"), subscribers.parse().expect("a number"))
                };
                arguments.flows = value().split(',').map(flow).collect();
            }
            part => arguments.parts.push(part.to_owned()),
        }
    }
    arguments
}

fn main() {
    let arguments = arguments();
    let mut kinds = vec![Kind::Lockstep, Kind::Mosquitto];
    kinds.retain(|kind| arguments.only.as_ref().is_none_or(|only| only == kind.name()));
    if kinds.contains(&Kind::Mosquitto)
        && let Err(reason) = server::mosquitto()
    {
        println!("Without the one to compare with: {reason}.");
        kinds.retain(|kind| *kind != Kind::Mosquitto);
    }
    let wants = |part: &str| arguments.parts.is_empty() || arguments.parts.iter().any(|wanted| wanted == part);
    if wants("throughput") {
        throughput(&kinds, &arguments);
    }
    if wants("latency") {
        delays(&kinds, arguments.rounds);
    }
    if wants("idle") {
        idle(&kinds, arguments.idle);
    }
    if wants("slow") {
        slow(&kinds, Duration::from_secs_f64(arguments.seconds), arguments.pairs);
    }
}

fn throughput(kinds: &[Kind], arguments: &Arguments) {
    let time = Duration::from_secs_f64(arguments.seconds);
    println!("\nThroughput at full speed for {} s each, {} bytes\n", time.as_secs_f64(), flow::PAYLOAD_BYTES);
    println!(
        "| publishers → subscribers | QoS | server | messages/s delivered | lost | out of order | CPU a delivery, µs | memory after, MB |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    let mut ratios = Vec::new();
    for &(publishers, subscribers) in &arguments.flows {
        for &qos in &arguments.qos {
            let plan = Plan { publishers, subscribers, qos, time };
            let flows: Vec<Flow> = kinds.iter().filter_map(|kind| one_flow(*kind, plan)).collect();
            if let [ours, theirs] = flows[..] {
                let ratio = ours.per_second() / theirs.per_second();
                ratios.push(format!("{publishers}→{subscribers} QoS {qos}: {ratio:.2}"));
            }
        }
    }
    if !ratios.is_empty() {
        println!("\nTimes mosquitto's throughput: {}", ratios.join(" · "));
    }
}

fn one_flow(kind: Kind, plan: Plan) -> Option<Flow> {
    let Plan { publishers, subscribers, qos, .. } = plan;
    match Server::start(kind).and_then(|server| flow::run(&server, plan)) {
        Ok(flow) => {
            println!(
                "| {publishers} → {subscribers} | {qos} | {} | {:.0} | {} of {} | {} | {:.2} | {:.0} |",
                kind.name(),
                flow.per_second(),
                flow.lost(),
                flow.expected,
                flow.disorder,
                flow.cpu_us,
                flow.memory_mb
            );
            Some(flow)
        }
        Err(reason) => {
            println!("| {publishers} → {subscribers} | {qos} | {} | not measured: {reason} |", kind.name());
            None
        }
    }
}

fn delays(kinds: &[Kind], rounds: usize) {
    for (how, rest) in [("one after the other", Duration::ZERO), ("every millisecond", Duration::from_millis(1))] {
        println!("\nLatency, {how}, {rounds} rounds; p50 / p99 in µs\n");
        println!(
            "| server | ping, socket and session | QoS 1 to nobody, acknowledged | delivered QoS 0 | QoS 1 | QoS 2 |"
        );
        println!("|---|---|---|---|---|---|");
        let measured = match by_turns(kinds, rounds, rest) {
            Ok(measured) => measured,
            Err(reason) => {
                println!("not measured: {reason}");
                continue;
            }
        };
        let mut medians = Vec::new();
        for (kind, delays) in kinds.iter().zip(measured) {
            let [zero, one, two] = delays.delivered;
            let all = [delays.ping, delays.acknowledged, zero, one, two];
            let line: Vec<String> = all.iter().map(|delay| format!("{:.0} / {:.0}", delay.p50, delay.p99)).collect();
            println!("| {} | {} |", kind.name(), line.join(" | "));
            medians.push(all.map(|delay| delay.p50));
        }
        for (kind, [ping, acknowledged, zero, ..]) in kinds.iter().zip(&medians) {
            let share = |part: f64| 100.0 * part / zero;
            println!(
                "\n{}, the share of each hop of a QoS 0 delivery: both sockets and the session {:.0} %, the engine there and back \
                 {:.0} %, the rest of the way (writer, router, the reader's session) {:.0} %",
                kind.name(),
                share(*ping),
                share(acknowledged - ping),
                share(zero - acknowledged)
            );
        }
        if let [ours, theirs] = &medians[..] {
            let ratios: Vec<String> =
                (0..3).map(|qos| format!("QoS {qos}: {:.2}", ours[qos + 2] / theirs[qos + 2])).collect();
            println!("\nTimes mosquitto's median: {}", ratios.join(" · "));
        }
    }
}

/// Latency of all `kinds`, which take turns.
fn by_turns(kinds: &[Kind], rounds: usize, rest: Duration) -> Result<Vec<Delays>, String> {
    let servers = kinds.iter().map(|kind| Server::start(*kind)).collect::<Result<Vec<_>, _>>()?;
    let ways = servers.iter().map(|server| Ways::open(server).map_err(|e| e.to_string()));
    let mut ways = ways.collect::<Result<Vec<_>, _>>()?;
    for _ in 0..rounds.div_ceil(TURN_ROUNDS) {
        for ways in &mut ways {
            ways.turn(TURN_ROUNDS, rest).map_err(|e| e.to_string())?;
        }
    }
    Ok(ways.into_iter().map(Ways::delays).collect())
}

fn idle(kinds: &[Kind], count: usize) {
    println!("\n{count} idle clients\n");
    println!(
        "| server | memory empty, MB | all connected | KB each | all subscribed too | KB each | connected in, s |"
    );
    println!("|---|---|---|---|---|---|---|");
    for kind in kinds {
        match Server::start(*kind).and_then(|server| crowd::idle(&server, count).map_err(|e| e.to_string())) {
            Ok(idle) => {
                let each = |mb: f64| (mb - idle.empty_mb) * 1024.0 / count as f64;
                println!(
                    "| {} | {:.0} | {:.0} | {:.1} | {:.0} | {:.1} | {:.2} |",
                    kind.name(),
                    idle.empty_mb,
                    idle.connected_mb,
                    each(idle.connected_mb),
                    idle.subscribed_mb,
                    each(idle.subscribed_mb),
                    idle.connect_seconds
                );
            }
            Err(reason) => println!("| {} | not measured: {reason} |", kind.name()),
        }
    }
}

fn slow(kinds: &[Kind], time: Duration, pairs: usize) {
    println!(
        "\nA publisher at full speed for {} s, its reader, and others beside them; {pairs} pairs, without and with a subscriber that never \
         reads by turns; medians, lowest to highest\n",
        time.as_secs_f64()
    );
    println!(
        "| server | one never reads | the others' p50, µs | the others' p99, µs | the reader gets, messages/s | it lost | memory in the \
         middle / at the end, MB |"
    );
    println!("|---|---|---|---|---|---|---|");
    for kind in kinds {
        let mut runs = [Vec::new(), Vec::new()];
        for pair in 0..pairs {
            // Now this one first, now that one.
            for stuck in [pair % 2 == 1, pair % 2 == 0] {
                match Server::start(*kind).and_then(|server| crowd::beside_flood(&server, time, stuck)) {
                    Ok(beside) => runs[usize::from(stuck)].push(beside),
                    Err(reason) => println!("| {} | {stuck} | not measured: {reason} |", kind.name()),
                }
            }
        }
        let p99 = |runs: &[Beside]| Spread::of(runs.iter().map(|run| run.delay.p99));
        for (stuck, runs) in ["no", "yes"].iter().zip(&runs) {
            let spread = |of: fn(&Beside) -> f64| Spread::of(runs.iter().map(of));
            println!(
                "| {} | {stuck} | {:.0} | {:.0} | {:.0} | {} | {:.0} / {:.0} |",
                kind.name(),
                spread(|run| run.delay.p50),
                p99(runs),
                spread(|run| run.flood_per_second),
                runs.iter().map(|run| run.flood_lost).sum::<u64>(),
                spread(|run| run.memory_mb.0).median,
                spread(|run| run.memory_mb.1).median
            );
        }
        let [without, with] = runs.each_ref().map(|runs| p99(runs));
        println!(
            "\n{}: the median p99 with it is {:.2} times that without it; without it alone the runs differ by {:.2} times\n",
            kind.name(),
            with.median / without.median,
            without.highest / without.lowest
        );
    }
}
