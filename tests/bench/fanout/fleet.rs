//! Many browsers in one thread: they count what arrives and when it was sent.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    os::fd::{AsFd as _, OwnedFd},
    time::{Duration, Instant},
};

use rustix::{event::epoll, time::Timespec};

use crate::{peers::Server, wire};

/// What marks a measured message; digits follow.
const MARK: &[u8] = b"{\"t\":";

struct Browser {
    stream: TcpStream,
    /// The rest of a frame whose end has not come yet.
    rest: Vec<u8>,
}

pub(crate) struct Fleet<'a> {
    server: &'a Server,
    publisher: TcpStream,
    browsers: Vec<Browser>,
    poll: OwnedFd,
    epoch: Instant,
}

#[derive(Default)]
pub(crate) struct Outcome {
    pub(crate) delivered: usize,
    pub(crate) expected: usize,
    /// In microseconds.
    delays: Vec<u32>,
}

impl Outcome {
    pub(crate) const fn is_complete(&self) -> bool {
        self.delivered >= self.expected && self.expected > 0
    }

    pub(crate) fn percentile_ms(&mut self, part: f64) -> f64 {
        self.delays.sort_unstable();
        let at = (self.delays.len() as f64 * part) as usize;
        self.delays.get(at.min(self.delays.len().saturating_sub(1))).map_or(f64::NAN, |delay| f64::from(*delay) / 1e3)
    }

    /// Takes in what another run saw.
    pub(crate) fn add(&mut self, other: Self) {
        self.delivered += other.delivered;
        self.expected += other.expected;
        self.delays.extend(other.delays);
    }

    pub(crate) fn delays(mut self) -> String {
        format!("{:.1} / {:.1}", self.percentile_ms(0.5), self.percentile_ms(0.99))
    }
}

impl<'a> Fleet<'a> {
    /// Connects `count` browsers and waits until the last of them sees what is published.
    pub(crate) fn connect(server: &'a Server, count: u32) -> Result<Self, String> {
        let poll = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(|e| e.to_string())?;
        let mut browsers = Vec::new();
        // All knock at once, then all are let in.
        for number in 0..count as usize {
            let mut stream = TcpStream::connect(("127.0.0.1", server.web)).map_err(|e| e.to_string())?;
            stream.set_nodelay(true).map_err(|e| e.to_string())?;
            stream.write_all(&server.greetings(number).0).map_err(|e| e.to_string())?;
            browsers.push(Browser { stream, rest: Vec::new() });
        }
        for (number, browser) in browsers.iter_mut().enumerate() {
            while wire::find(&browser.rest, b"\r\n\r\n").is_none() {
                let mut buffer = [0; 4096];
                let bytes = browser.stream.read(&mut buffer).map_err(|e| e.to_string())?;
                if bytes == 0 {
                    return Err(format!("refused: {}", String::from_utf8_lossy(&browser.rest)));
                }
                browser.rest.extend_from_slice(&buffer[..bytes]);
            }
            let end = wire::find(&browser.rest, b"\r\n\r\n").unwrap_or(0) + 4;
            browser.rest.drain(..end);
            browser.stream.write_all(&server.greetings(number).1).map_err(|e| e.to_string())?;
            browser.stream.set_nonblocking(true).map_err(|e| e.to_string())?;
            let token = epoll::EventData::new_u64(number as u64);
            epoll::add(&poll, browser.stream.as_fd(), token, epoll::EventFlags::IN).map_err(|e| e.to_string())?;
        }
        let mut fleet = Self { server, publisher: server.publisher()?, browsers, poll, epoch: Instant::now() };
        let began = Instant::now();
        while !fleet.run(20.0, Duration::from_millis(50)).is_complete() {
            if began.elapsed() > Duration::from_secs(20) {
                return Err("not all browsers see what is published".to_owned());
            }
        }
        Ok(fleet)
    }

    /// Publishes `rate` messages a second for `time`, then waits for the last to arrive, two seconds at most.
    pub(crate) fn run(&mut self, rate: f64, time: Duration) -> Outcome {
        let mut outcome = Outcome::default();
        let began = Instant::now();
        let mut sent = 0_usize;
        // What could not be written at once.
        let mut waiting: Vec<u8> = Vec::new();
        self.publisher.set_nonblocking(true).expect("a socket");
        let mut events = Vec::with_capacity(1024);
        loop {
            let elapsed = began.elapsed();
            let over = elapsed >= time;
            let due = (elapsed.min(time).as_secs_f64() * rate) as usize;
            while sent < due && waiting.len() < 1 << 20 {
                let now = self.epoch.elapsed().as_nanos();
                let payload = format!("{{\"t\":{now:016},\"p\":\"{:060}\"}}", sent);
                // JSON has no numbers with leading zeros.
                let payload = payload.replacen(&format!("{now:016}"), &format!("{}", now + 1_000_000_000_000_000), 1);
                waiting.extend(self.server.publish(&payload));
                sent += 1;
                outcome.expected += self.browsers.len();
            }
            if over && (outcome.delivered >= outcome.expected || elapsed > time + Duration::from_secs(2)) {
                return outcome;
            }
            if !waiting.is_empty()
                && let Ok(bytes) = self.publisher.write(&waiting)
            {
                waiting.drain(..bytes);
            }
            let mut ignored = [0; 4096];
            let _ = self.publisher.read(&mut ignored);
            let pause = if waiting.is_empty() { 1_000_000 } else { 0 };
            events.clear();
            let timeout = Timespec { tv_sec: 0, tv_nsec: pause };
            if epoll::wait(&self.poll, rustix::buffer::spare_capacity(&mut events), Some(&timeout)).is_err() {
                continue;
            }
            for event in &events {
                let browser = &mut self.browsers[event.data.u64() as usize];
                read(browser, self.epoch, &mut outcome);
            }
        }
    }

    /// The most deliveries a second of which 99 % arrive within 50 ms, found by doubling, then halving the step.
    pub(crate) fn most_deliveries(&mut self) -> f64 {
        let (mut rate, mut best, mut grown) = (50.0, 0.0_f64, true);
        let mut step = 2.0_f64;
        for _ in 0..14 {
            let mut outcome = self.run(rate, Duration::from_secs(2));
            let good = outcome.is_complete() && outcome.percentile_ms(0.99) <= 50.0;
            if good {
                best = best.max(outcome.delivered as f64 / 2.0);
            } else {
                // What is still under way must not burden the next try.
                self.run(0.0, Duration::from_millis(500));
            }
            if good != grown {
                step = step.sqrt();
                grown = good;
            }
            rate = if good { rate * step } else { rate / step };
        }
        best
    }
}

fn read(browser: &mut Browser, epoch: Instant, outcome: &mut Outcome) {
    let mut buffer = [0; 65536];
    let Ok(bytes) = browser.stream.read(&mut buffer) else { return };
    let now = epoch.elapsed().as_nanos() + 1_000_000_000_000_000;
    let joined;
    let mut unread = if browser.rest.is_empty() {
        &buffer[..bytes]
    } else {
        browser.rest.extend_from_slice(&buffer[..bytes]);
        joined = std::mem::take(&mut browser.rest);
        &joined[..]
    };
    while let Some((header, length)) = wire::header(unread)
        && let Some(payload) = unread.get(header..header + length)
    {
        unread = &unread[header + length..];
        let Some(at) = wire::find(payload, MARK) else {
            if payload == b"2" {
                // Engine.IO asks whether one is still there.
                let _ = browser.stream.write_all(&wire::frame(1, b"3"));
            }
            continue;
        };
        let digits = payload[at + MARK.len()..].iter().take_while(|byte| byte.is_ascii_digit());
        let then = digits.fold(0_u128, |sum, digit| sum * 10 + u128::from(digit - b'0'));
        outcome.delivered += 1;
        outcome.delays.push(u32::try_from(now.saturating_sub(then) / 1000).unwrap_or(u32::MAX));
    }
    browser.rest = unread.to_vec();
}
