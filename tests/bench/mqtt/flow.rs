//! Publishers at full speed, and readers that count what arrives, each side in a thread of its own.

use std::{
    io::{self, Write as _},
    os::fd::{AsFd as _, OwnedFd},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use rustix::{event::epoll, time::Timespec};

use crate::{
    server::Server,
    wire::{self, Client},
};

/// Bytes of a payload.
pub(crate) const PAYLOAD_BYTES: usize = 100;

/// QoS 1 and 2 messages that a publisher has unacknowledged.
const WINDOW: usize = 50;

/// Bytes that a publisher writes in one go.
const BLOCK_BYTES: usize = 32 << 10;

/// How long readers wait for what does not come.
const GIVE_UP_AFTER: Duration = Duration::from_secs(4);

/// Who publishes what to whom.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) publishers: usize,
    pub(crate) subscribers: usize,
    pub(crate) qos: u8,
    pub(crate) time: Duration,
}

/// What became of it.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Flow {
    pub(crate) expected: u64,
    pub(crate) received: u64,
    /// Messages that came twice or in the wrong order.
    pub(crate) disorder: u64,
    pub(crate) seconds: f64,
    /// Processor time of the server for each delivery, in microseconds.
    pub(crate) cpu_us: f64,
    pub(crate) memory_mb: f64,
}

impl Flow {
    pub(crate) fn per_second(&self) -> f64 {
        self.received as f64 / self.seconds
    }

    pub(crate) const fn lost(&self) -> u64 {
        self.expected.saturating_sub(self.received)
    }
}

struct Publisher {
    client: Client,
    topic: String,
    number: u32,
    next: u64,
    /// The next packet identifier.
    id: u16,
    unacknowledged: usize,
    out: Vec<u8>,
    written: usize,
}

impl Publisher {
    /// Writes until the server takes no more or the window is full; with `more` false, only what is begun.
    fn write(&mut self, qos: u8, more: &AtomicBool) -> io::Result<()> {
        loop {
            if self.written == self.out.len() {
                self.out.clear();
                self.written = 0;
                while more.load(Ordering::Relaxed)
                    && self.out.len() < BLOCK_BYTES
                    && (qos == 0 || self.unacknowledged < WINDOW)
                {
                    self.id = self.id.checked_add(1).unwrap_or(1);
                    wire::put_publish(&mut self.out, &self.topic, qos, self.id, self.number, self.next, PAYLOAD_BYTES);
                    self.next += 1;
                    self.unacknowledged += usize::from(qos > 0);
                }
                if self.out.is_empty() {
                    return Ok(());
                }
            }
            match self.client.stream.write(&self.out[self.written..]) {
                Ok(bytes) => self.written += bytes,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(e) => return Err(e),
            }
        }
    }

    fn read(&mut self) -> io::Result<()> {
        let (mut acknowledged, mut release) = (0, Vec::new());
        let read = self.client.read(|seen| match seen.kind() {
            wire::PUBACK | wire::PUBCOMP => acknowledged += 1,
            wire::PUBREC => wire::put_ack(&mut release, wire::PUBREL, seen.id()),
            _ => {}
        });
        self.unacknowledged -= acknowledged;
        self.out.extend(release);
        match read {
            Err(e) if e.kind() != io::ErrorKind::WouldBlock => Err(e),
            _ => Ok(()),
        }
    }

    const fn is_done(&self) -> bool {
        self.unacknowledged == 0 && self.written == self.out.len()
    }
}

struct Reader {
    client: Client,
    /// The number that each publisher's next message must have.
    next: Vec<u64>,
    out: Vec<u8>,
}

impl Reader {
    /// Reads all there is; adds what came, and what came in disorder.
    fn read(&mut self, counts: &mut (u64, u64)) -> io::Result<()> {
        loop {
            let Self { client, next, out } = self;
            let read = client.read(|seen| match seen.kind() {
                wire::PUBLISH => {
                    match seen.qos() {
                        0 => {}
                        1 => wire::put_ack(out, wire::PUBACK, seen.id()),
                        _ => wire::put_ack(out, wire::PUBREC, seen.id()),
                    }
                    let Some((publisher, number)) = seen.head() else { return };
                    let expected = &mut next[publisher as usize];
                    if number < *expected {
                        counts.1 += 1;
                    } else {
                        counts.0 += 1;
                        *expected = number + 1;
                    }
                }
                wire::PUBREL => wire::put_ack(out, wire::PUBCOMP, seen.id()),
                _ => {}
            });
            if !self.out.is_empty()
                && let Ok(bytes) = self.client.stream.write(&self.out)
            {
                self.out.drain(..bytes);
            }
            match read {
                Ok(_) => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(e) => return Err(e),
            }
        }
    }
}

/// Runs `plan` against `server`.
pub(crate) fn run(server: &Server, plan: Plan) -> Result<Flow, String> {
    let text = |e: io::Error| e.to_string();
    let mut readers = Vec::new();
    for number in 0..plan.subscribers {
        let buffer = if plan.subscribers > 8 { 32 << 10 } else { 256 << 10 };
        let mut client = Client::connect(server.port, &format!("reader{number}"), buffer).map_err(text)?;
        client.subscribe("bench/#", plan.qos).map_err(text)?;
        client.set_nonblocking().map_err(text)?;
        readers.push(Reader { client, next: vec![0; plan.publishers], out: Vec::new() });
    }
    let mut publishers = Vec::new();
    for number in 0..plan.publishers {
        let client = Client::connect(server.port, &format!("publisher{number}"), 16 << 10).map_err(text)?;
        client.set_nonblocking().map_err(text)?;
        let topic = format!("bench/level/{number}");
        let (number, id) = (number as u32, 0);
        let (next, unacknowledged, out, written) = (0, 0, Vec::new(), 0);
        publishers.push(Publisher { client, topic, number, next, id, unacknowledged, out, written });
    }
    let cpu_before = server.cpu();
    let expected = Arc::new(AtomicU64::new(u64::MAX));
    let awaited = Arc::clone(&expected);
    let began = Instant::now();
    let counting = std::thread::spawn(move || count(readers, &awaited));
    let sent = publish(&mut publishers, plan).map_err(text)?;
    expected.store(sent * plan.subscribers as u64, Ordering::Release);
    let ((received, disorder), last_at) = counting.join().map_err(|_| "the reader failed")?.map_err(text)?;
    let cpu = (server.cpu() - cpu_before).as_secs_f64();
    if received < sent * plan.subscribers as u64 {
        println!("Lost; limits met: {}", server.limits_met());
    }
    Ok(Flow {
        expected: sent * plan.subscribers as u64,
        received,
        disorder,
        seconds: last_at.saturating_duration_since(began).as_secs_f64(),
        cpu_us: cpu * 1e6 / received.max(1) as f64,
        memory_mb: server.memory_mb(),
    })
}

/// Publishes at full speed for the planned time, and waits for every acknowledgement; tells how many messages it were.
fn publish(publishers: &mut [Publisher], plan: Plan) -> io::Result<u64> {
    let poll = watch(publishers.iter().map(|publisher| &publisher.client), epoll::EventFlags::OUT)?;
    let more = Arc::new(AtomicBool::new(true));
    let stop = Arc::clone(&more);
    let timer = std::thread::spawn(move || {
        std::thread::sleep(plan.time);
        stop.store(false, Ordering::Relaxed);
    });
    let mut events = Vec::with_capacity(1024);
    let mut last_at = Instant::now();
    while more.load(Ordering::Relaxed) || !publishers.iter().all(Publisher::is_done) {
        if wait(&poll, &mut events)? == 0 && last_at.elapsed() > GIVE_UP_AFTER + plan.time {
            break;
        }
        for event in &events {
            last_at = Instant::now();
            let publisher = &mut publishers[event.data.u64() as usize];
            // Edges are told once: everything that came is read, everything that fits is written.
            let flags = event.flags;
            if flags.contains(epoll::EventFlags::IN) {
                publisher.read()?;
            }
            publisher.write(plan.qos, &more)?;
        }
    }
    let _ = timer.join();
    Ok(publishers.iter().map(|publisher| publisher.next).sum())
}

/// Counts what arrives until all that is expected is there, or nothing comes any more: how much, and when the last came.
fn count(mut readers: Vec<Reader>, expected: &AtomicU64) -> io::Result<((u64, u64), Instant)> {
    let poll = watch(readers.iter().map(|reader| &reader.client), epoll::EventFlags::empty())?;
    let mut events = Vec::with_capacity(1024);
    let mut counts = (0, 0);
    let mut last_at = Instant::now();
    loop {
        let came = wait(&poll, &mut events)?;
        for event in &events {
            readers[event.data.u64() as usize].read(&mut counts)?;
        }
        if came > 0 {
            last_at = Instant::now();
        }
        let all = expected.load(Ordering::Acquire);
        if counts.0 >= all || (all < u64::MAX && last_at.elapsed() > GIVE_UP_AFTER) {
            return Ok((counts, last_at));
        }
    }
}

fn watch<'a>(clients: impl Iterator<Item = &'a Client>, also: epoll::EventFlags) -> io::Result<OwnedFd> {
    let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    for (number, client) in clients.enumerate() {
        let flags = epoll::EventFlags::IN | epoll::EventFlags::ET | also;
        epoll::add(&poll, client.stream.as_fd(), epoll::EventData::new_u64(number as u64), flags)?;
    }
    Ok(poll)
}

/// Waits for events, 20 ms at most; tells how many there are.
fn wait(poll: &OwnedFd, events: &mut Vec<epoll::Event>) -> io::Result<usize> {
    events.clear();
    let timeout = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
    match epoll::wait(poll, rustix::buffer::spare_capacity(events), Some(&timeout)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(events.len()),
        Err(e) => Err(e.into()),
    }
}
