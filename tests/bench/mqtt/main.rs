//! The door beside Debian's mosquitto, in one run, on one machine: throughput and loss, latency with the parts of the way, memory of quiet
//! clients, and a client that never reads. `cargo bench --bench mqtt` runs it all.
//!
//! ```text
//! cargo bench --bench mqtt -- [throughput] [latency] [idle] [slow] [--seconds N] [--rounds N] [--idle N]
//!                            [--only SERVER] [--flows 1x1,50x1,1x100] [--qos 0,1,2]
//! ```
//!
//! Server and load share this machine, so ratios carry over to others, and absolute figures do not.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a measurement that cannot go on should say where")]

mod crowd;
mod flow;
mod latency;
mod server;
mod wire;

use std::time::Duration;

use flow::{Flow, Plan};
use server::{Kind, Server};

struct Arguments {
    parts: Vec<String>,
    seconds: f64,
    rounds: usize,
    idle: usize,
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
        slow(&kinds, Duration::from_secs_f64(arguments.seconds) * 2);
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
        let mut medians = Vec::new();
        for kind in kinds {
            let measured = Server::start(*kind)
                .and_then(|server| latency::measure(&server, rounds, rest).map_err(|e| e.to_string()));
            match measured {
                Ok(delays) => {
                    let [zero, one, two] = delays.delivered;
                    let all = [delays.ping, delays.acknowledged, zero, one, two];
                    let line: Vec<String> =
                        all.iter().map(|delay| format!("{:.0} / {:.0}", delay.p50, delay.p99)).collect();
                    println!("| {} | {} |", kind.name(), line.join(" | "));
                    medians.push(all.map(|delay| delay.p50));
                }
                Err(reason) => println!("| {} | not measured: {reason} |", kind.name()),
            }
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

fn slow(kinds: &[Kind], time: Duration) {
    println!("\nA publisher at full speed for {} s, its reader, and others beside them\n", time.as_secs_f64());
    println!(
        "| server | a subscriber that never reads | the others' p50 / p99, µs | the reader gets, messages/s | it lost | memory in the middle / at the end, MB |"
    );
    println!("|---|---|---|---|---|---|");
    for kind in kinds {
        for stuck in [false, true] {
            match Server::start(*kind).and_then(|server| crowd::beside_flood(&server, time, stuck)) {
                Ok(beside) => println!(
                    "| {} | {} | {:.0} / {:.0} | {:.0} | {} | {:.0} / {:.0} |",
                    kind.name(),
                    if stuck { "yes" } else { "no" },
                    beside.delay.p50,
                    beside.delay.p99,
                    beside.flood_per_second,
                    beside.flood_lost,
                    beside.memory_mb.0,
                    beside.memory_mb.1
                ),
                Err(reason) => println!("| {} | {stuck} | not measured: {reason} |", kind.name()),
            }
        }
    }
}
