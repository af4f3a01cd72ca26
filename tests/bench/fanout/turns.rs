//! Servers in turns, several times: what a delivery costs each of them moves with what else the machine does and with which core serves
//! whom, so that a ratio is taken within a turn, and its median decides.

use std::{fs, time::Duration};

use crate::{
    RATE,
    fleet::Fleet,
    peers::{Kind, Server},
    spread::Spread,
};

const BROWSERS: u32 = 1000;

/// What one server did in one turn.
struct Turn {
    /// Processor time of the server for each delivery, in microseconds.
    cpu_us: f64,
    p50_ms: f64,
    p99_ms: f64,
    /// TCP segments that this machine sent for each delivery, the readers' acknowledgements included.
    segments: f64,
    /// The part of what was expected that arrived.
    arrived: f64,
}

/// Lets `kinds` deliver by turns, `turns` times. Who cannot is left out from then on.
pub(crate) fn run(kinds: &[Kind], turns: usize, time: Duration) {
    let mut all: Vec<(Kind, Vec<Turn>)> = kinds.iter().map(|kind| (*kind, Vec::new())).collect();
    for _ in 0..turns {
        all.retain_mut(|(kind, turns)| match one(*kind, time) {
            Ok(turn) => {
                turns.push(turn);
                true
            }
            Err(reason) => {
                println!("{}: not measured: {reason}", kind.name());
                false
            }
        });
    }
    println!(
        "\n{BROWSERS} browsers × {RATE}/s for {} s, {turns} turns: medians, lowest to highest\n\n\
         | server | CPU a delivery, µs | p50, ms | p99, ms | TCP segments a delivery | arrived |\n|---|---|---|---|---|---|",
        time.as_secs_f64()
    );
    let spread = |turns: &[Turn], of: fn(&Turn) -> f64| Spread::of(turns.iter().map(of));
    for (kind, turns) in &all {
        println!(
            "| {} | {:.2} | {:.1} | {:.1} | {:.2} | {:.1} % |",
            kind.name(),
            spread(turns, |turn| turn.cpu_us),
            spread(turns, |turn| turn.p50_ms),
            spread(turns, |turn| turn.p99_ms),
            spread(turns, |turn| turn.segments).median,
            100.0 * spread(turns, |turn| turn.arrived).lowest,
        );
    }
    let of = |wanted: Kind| all.iter().find(|(kind, _)| *kind == wanted).map(|(_, turns)| turns);
    for (one, other) in [
        (Kind::Lockstep, Kind::FloorWs),
        (Kind::Lockstep, Kind::Mosquitto),
        (Kind::FloorWs, Kind::Mosquitto),
        (Kind::Lockstep, Kind::SocketIo),
    ] {
        if let (Some(ours), Some(theirs)) = (of(one), of(other)) {
            let ratio = |of: fn(&Turn) -> f64| Spread::of(ours.iter().zip(theirs).map(|(a, b)| of(a) / of(b)));
            println!(
                "\n{} by {}, turn by turn: CPU {:.2}, p99 {:.2}",
                one.name(),
                other.name(),
                ratio(|turn| turn.cpu_us),
                ratio(|turn| turn.p99_ms)
            );
        }
    }
}

fn one(kind: Kind, time: Duration) -> Result<Turn, String> {
    let server = Server::start(kind)?;
    let mut fleet = Fleet::connect(&server, BROWSERS)?;
    fleet.run(RATE, Duration::from_secs(1));
    let (cpu, segments) = (server.cpu(), segments_sent());
    let mut outcome = fleet.run(RATE, time);
    let (cpu, segments) = (server.cpu() - cpu, segments_sent() - segments);
    let delivered = outcome.delivered as f64;
    Ok(Turn {
        cpu_us: cpu.as_secs_f64() * 1e6 / delivered,
        p50_ms: outcome.percentile_ms(0.5),
        p99_ms: outcome.percentile_ms(0.99),
        segments: segments as f64 / delivered,
        arrived: delivered / outcome.expected as f64,
    })
}

/// TCP segments that this machine sent so far.
fn segments_sent() -> u64 {
    let table = fs::read_to_string("/proc/net/snmp").unwrap_or_default();
    let mut lines = table.lines().filter_map(|line| line.strip_prefix("Tcp: "));
    let (Some(names), Some(values)) = (lines.next(), lines.next()) else { return 0 };
    let of = names.split(' ').zip(values.split(' ')).find(|(name, _)| *name == "OutSegs");
    of.and_then(|(_, value)| value.parse().ok()).unwrap_or(0)
}
