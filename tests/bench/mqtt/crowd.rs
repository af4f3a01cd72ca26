//! What many quiet clients cost, and whether one that never reads harms the others.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use crate::{
    flow::{self, Plan},
    latency::{self, Delay},
    server::Server,
    wire::{self, Client},
};

/// Memory in megabytes: before, with clients that only connected, with clients that subscribed too.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Idle {
    pub(crate) empty_mb: f64,
    pub(crate) connected_mb: f64,
    pub(crate) subscribed_mb: f64,
    pub(crate) connect_seconds: f64,
}

/// Connects `count` clients to `server`, then lets each subscribe to a topic of its own.
pub(crate) fn idle(server: &Server, count: usize) -> io::Result<Idle> {
    let empty_mb = server.memory_mb();
    let began = Instant::now();
    let mut clients = Vec::with_capacity(count);
    for number in 0..count {
        clients.push(Client::knock(server.port, &format!("idle{number}"), 512)?);
    }
    for client in &mut clients {
        client.wait_for(wire::CONNACK)?;
    }
    let connect_seconds = began.elapsed().as_secs_f64();
    let settle = || std::thread::sleep(Duration::from_millis(500));
    settle();
    let connected_mb = server.memory_mb();
    for (number, client) in clients.iter_mut().enumerate() {
        client.subscribe(&format!("idle/{number}/set"), 1)?;
    }
    settle();
    Ok(Idle { empty_mb, connected_mb, subscribed_mb: server.memory_mb(), connect_seconds })
}

/// What others see beside a publisher at full speed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Beside {
    pub(crate) delay: Delay,
    /// Messages a second that the flood's reading subscriber gets.
    pub(crate) flood_per_second: f64,
    pub(crate) flood_lost: u64,
    /// Memory of the server in the middle and at the end.
    pub(crate) memory_mb: (f64, f64),
}

/// A publisher at full speed with one reader, for `time`; with `stuck` also one that never reads. Beside them a device sends something
/// to somebody else every two milliseconds.
pub(crate) fn beside_flood(server: &Server, time: Duration, stuck: bool) -> Result<Beside, String> {
    let text = |e: io::Error| e.to_string();
    let mut never_reads = None;
    if stuck {
        let mut client = Client::connect(server.port, "stuck", 512).map_err(text)?;
        client.subscribe("bench/#", 0).map_err(text)?;
        never_reads = Some(client);
    }
    let mut device = Client::connect(server.port, "device", 16 << 10).map_err(text)?;
    let mut reader = Client::connect(server.port, "reader", 16 << 10).map_err(text)?;
    reader.subscribe("other/things", 0).map_err(text)?;
    let going = Arc::new(AtomicBool::new(true));
    let goes = Arc::clone(&going);
    let others = std::thread::spawn(move || -> io::Result<Vec<Duration>> {
        let mut packet = Vec::new();
        wire::put_publish(&mut packet, "other/things", 0, 0, 0, 0, flow::PAYLOAD_BYTES);
        let mut took = Vec::new();
        while goes.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(2));
            took.push(latency::delivery(&mut device, &mut reader, &packet, 0)?);
        }
        Ok(took)
    });
    let run = |part: u32| flow::run(server, Plan { publishers: 1, subscribers: 1, qos: 0, time: time / part });
    let first = run(2)?;
    let middle_mb = server.memory_mb();
    let second = run(2)?;
    let end_mb = server.memory_mb();
    going.store(false, Ordering::Relaxed);
    let took = others.join().map_err(|_| "the other device failed")?.map_err(text)?;
    drop(never_reads);
    Ok(Beside {
        delay: Delay::of(took),
        flood_per_second: (first.per_second() + second.per_second()) / 2.0,
        flood_lost: first.lost() + second.lost(),
        memory_mb: (middle_mb, end_mb),
    })
}
