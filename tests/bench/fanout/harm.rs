//! What one browser that never reads does to five hundred others, and what a hundred browsers cost that only look on.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

use socket2::SockRef;

use crate::{
    fleet::Fleet,
    peers::{Kind, Server},
    spread::Spread,
};

const OTHERS: u32 = 500;
const ONLOOKERS: u32 = 100;
/// Messages a second: enough to fill the socket of whoever does not read, and far from what the hub can do.
const RATE: f64 = 1000.0;

/// What others see in one run.
struct Seen {
    p50_ms: f64,
    p99_ms: f64,
    middle_mb: f64,
    end_mb: f64,
    complete: bool,
}

/// The delays of the others and the memory of the hub, without and with a browser that never reads, by turns.
pub(crate) fn slow(time: Duration, pairs: usize) -> Result<(), String> {
    println!(
        "\n{OTHERS} browsers at {RATE} messages/s for {} s, {pairs} pairs by turns; medians, lowest to highest\n\n\
         | one more never reads | the others' p50, ms | the others' p99, ms | memory in the middle / at the end, MB |\n|---|---|---|---|",
        time.as_secs_f64()
    );
    let mut runs = [Vec::new(), Vec::new()];
    for pair in 0..pairs {
        for stuck in [pair % 2 == 1, pair % 2 == 0] {
            runs[usize::from(stuck)].push(beside(time, stuck)?);
        }
    }
    for (stuck, runs) in ["no", "yes"].iter().zip(&runs) {
        let spread = |of: fn(&Seen) -> f64| Spread::of(runs.iter().map(of));
        let lost = if runs.iter().all(|run| run.complete) { "" } else { " (not all arrived)" };
        println!(
            "| {stuck} | {:.1} | {:.1}{lost} | {:.1} / {:.1} |",
            spread(|run| run.p50_ms),
            spread(|run| run.p99_ms),
            spread(|run| run.middle_mb).median,
            spread(|run| run.end_mb).median
        );
    }
    Ok(())
}

fn beside(time: Duration, stuck: bool) -> Result<Seen, String> {
    let server = Server::start(Kind::Lockstep)?;
    let mut fleet = Fleet::connect(&server, OTHERS)?;
    let never_reads = if stuck { Some(never_reads(&server).map_err(|e| e.to_string())?) } else { None };
    fleet.run(RATE, Duration::from_secs(1));
    let mut first = fleet.run(RATE, time / 2);
    let middle_mb = server.memory_kilobytes() / 1024.0;
    let second = fleet.run(RATE, time / 2);
    let end_mb = server.memory_kilobytes() / 1024.0;
    drop(never_reads);
    let complete = first.is_complete() && second.is_complete();
    first.add(second);
    Ok(Seen { p50_ms: first.percentile_ms(0.5), p99_ms: first.percentile_ms(0.99), middle_mb, end_mb, complete })
}

/// A browser that wants everything and takes nothing.
fn never_reads(server: &Server) -> std::io::Result<TcpStream> {
    let mut stream = TcpStream::connect(("127.0.0.1", server.web))?;
    SockRef::from(&stream).set_recv_buffer_size(8192)?;
    let (upgrade, hello) = server.greetings(usize::MAX);
    stream.write_all(&upgrade)?;
    let mut answer = [0; 64];
    stream.read_exact(&mut answer)?;
    stream.write_all(&hello)?;
    Ok(stream)
}

/// What the hub does in `time` with a hundred browsers that only look on.
pub(crate) fn idle(time: Duration) -> Result<(), String> {
    let server = Server::start(Kind::Lockstep)?;
    let mut fleet = Fleet::connect(&server, ONLOOKERS)?;
    // Until the threads have gone that were there for the start alone: what they used goes with them.
    fleet.run(0.0, Duration::from_secs(12));
    let (cpu, run) = (server.cpu(), run_time(server.pid()));
    std::thread::sleep(time);
    let ticks = (server.cpu() - cpu).as_millis() / 10;
    let used = run_time(server.pid()).saturating_sub(run).as_secs_f64() * 1e3;
    println!(
        "\n{ONLOOKERS} browsers that only look on, {} s: {ticks} ticks of 10 ms, {used:.2} ms of processor time",
        time.as_secs()
    );
    drop(fleet);
    Ok(())
}

/// How long the threads of a process ran so far, to the nanosecond.
fn run_time(pid: u32) -> Duration {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let of = |task: fs::DirEntry| -> Option<u64> {
        fs::read_to_string(task.path().join("schedstat")).ok()?.split(' ').next()?.parse().ok()
    };
    Duration::from_nanos(tasks.filter_map(of).sum())
}
