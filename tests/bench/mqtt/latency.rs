//! One message at a time: how long it takes, and which part of the way costs how much.
//!
//! Three ways of growing length tell the parts apart, from outside and for every server alike: a ping goes in and out of the client's
//! own connection; a QoS 1 publish to nobody goes to whoever decides about it and back; a message goes to another connection.

use std::{
    io::{self, Write as _},
    time::{Duration, Instant},
};

use crate::{
    flow::PAYLOAD_BYTES,
    server::Server,
    wire::{self, Client},
};

/// Medians and 99th percentiles, in microseconds.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Delay {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

impl Delay {
    pub(crate) fn of(mut took: Vec<Duration>) -> Self {
        took.sort();
        let at = |part: f64| {
            let at = (took.len() as f64 * part) as usize;
            took.get(at.min(took.len().saturating_sub(1))).map_or(f64::NAN, |took| took.as_secs_f64() * 1e6)
        };
        Self { p50: at(0.5), p99: at(0.99) }
    }
}

/// The ways that were measured.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Delays {
    pub(crate) ping: Delay,
    pub(crate) acknowledged: Delay,
    pub(crate) delivered: [Delay; 3],
}

/// Rounds that nobody counts when the turn comes to another server: its memory is cold.
const WARM_UP: usize = 3;

/// The clients of one server, and what they have seen so far.
pub(crate) struct Ways {
    device: Client,
    readers: Vec<Client>,
    took: [Vec<Duration>; 5],
}

impl Ways {
    pub(crate) fn open(server: &Server) -> io::Result<Self> {
        let device = Client::connect(server.port, "device", 16 << 10)?;
        let readers = (0..3_u8).map(|qos| {
            let mut reader = Client::connect(server.port, &format!("reader{qos}"), 16 << 10)?;
            reader.subscribe(&topic(qos), qos)?;
            Ok(reader)
        });
        Ok(Self { device, readers: readers.collect::<io::Result<_>>()?, took: Default::default() })
    }

    /// A turn: `rounds` of each way, with a pause of `rest` in front of each round. Servers take turns, because which core sleeps how
    /// deeply changes by the second and moves a median more than what is compared.
    pub(crate) fn turn(&mut self, rounds: usize, rest: Duration) -> io::Result<()> {
        let Self { device, readers, took } = self;
        let [ping, acknowledged, delivered @ ..] = took;
        rounds_of(rounds, rest, ping, || {
            let began = Instant::now();
            device.stream.write_all(wire::PINGREQ)?;
            device.wait_for(wire::PINGRESP)?;
            Ok(began.elapsed())
        })?;
        let mut packet = Vec::new();
        wire::put_publish(&mut packet, "nobody/reads", 1, 1, 0, 0, PAYLOAD_BYTES);
        rounds_of(rounds, rest, acknowledged, || {
            let began = Instant::now();
            device.stream.write_all(&packet)?;
            device.wait_for(wire::PUBACK)?;
            Ok(began.elapsed())
        })?;
        for (qos, (reader, took)) in (0..3_u8).zip(readers.iter_mut().zip(delivered)) {
            packet.clear();
            wire::put_publish(&mut packet, &topic(qos), qos, 1, 0, 0, PAYLOAD_BYTES);
            rounds_of(rounds, rest, took, || delivery(device, reader, &packet, qos))?;
        }
        Ok(())
    }

    pub(crate) fn delays(self) -> Delays {
        let [ping, acknowledged, delivered @ ..] = self.took.map(Delay::of);
        Delays { ping, acknowledged, delivered }
    }
}

fn topic(qos: u8) -> String {
    format!("bench/{qos}")
}

fn rounds_of(
    rounds: usize,
    rest: Duration,
    took: &mut Vec<Duration>,
    mut round: impl FnMut() -> io::Result<Duration>,
) -> io::Result<()> {
    for number in 0..WARM_UP + rounds {
        std::thread::sleep(rest);
        let one = round()?;
        if number >= WARM_UP {
            took.push(one);
        }
    }
    Ok(())
}

/// One message from `device` to `reader`. Of QoS 2, what the device must say before everybody delivers is part of the time; all other
/// acknowledgements come after it.
pub(crate) fn delivery(device: &mut Client, reader: &mut Client, packet: &[u8], qos: u8) -> io::Result<Duration> {
    let began = Instant::now();
    device.stream.write_all(packet)?;
    if qos == 2 {
        device.wait_for(wire::PUBREC)?;
        acknowledge(device, wire::PUBREL, 1)?;
    }
    let mut id = None;
    while id.is_none() {
        reader.read(|seen| {
            if seen.kind() == wire::PUBLISH {
                id = Some(seen.id());
            }
        })?;
    }
    let took = began.elapsed();
    let id = id.unwrap_or_default();
    match qos {
        0 => {}
        1 => {
            acknowledge(reader, wire::PUBACK, id)?;
            device.wait_for(wire::PUBACK)?;
        }
        _ => {
            acknowledge(reader, wire::PUBREC, id)?;
            reader.wait_for(wire::PUBREL)?;
            acknowledge(reader, wire::PUBCOMP, id)?;
            device.wait_for(wire::PUBCOMP)?;
        }
    }
    Ok(took)
}

fn acknowledge(client: &mut Client, kind: u8, id: u16) -> io::Result<()> {
    let mut out = Vec::new();
    wire::put_ack(&mut out, kind, id);
    client.stream.write_all(&out)
}
