//! A newcomer's first view, and what it takes to measure one message after the other.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    time::{Duration, Instant},
};

use crate::{
    peers::{Kind, Server},
    wire,
};

const NEWCOMERS: usize = 21;

pub(crate) fn read_until(stream: &mut TcpStream, needle: &[u8]) -> Option<Vec<u8>> {
    let mut all = Vec::new();
    let mut buffer = [0; 65536];
    loop {
        let bytes = stream.read(&mut buffer).ok().filter(|bytes| *bytes > 0)?;
        all.extend_from_slice(&buffer[..bytes]);
        // The needle is at the end, or across two reads.
        let from = all.len().saturating_sub(bytes + needle.len());
        if wire::find(&all[from..], needle).is_some() {
            return Some(all);
        }
    }
}

pub(crate) fn connect(server: &Server) -> Option<TcpStream> {
    let stream = TcpStream::connect(("127.0.0.1", server.web)).ok()?;
    stream.set_nodelay(true).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    Some(stream)
}

/// The median time from knocking to having seen all of `topics` retained topics.
pub(crate) fn newcomer(kind: Kind, topics: usize) -> Option<Duration> {
    let server = Server::start(kind).ok()?;
    if matches!(kind, Kind::Lockstep | Kind::Mosquitto) {
        let mut device = server.publisher().ok()?;
        for i in 0..topics {
            let payload = format!("{{\"value\":{i},\"unit\":\"C\"}}");
            device.write_all(&wire::mqtt_publish(&format!("bench/level/{i:05}"), payload.as_bytes(), true)).ok()?;
        }
        // A request behind them is answered when they are through.
        device.write_all(&wire::mqtt_subscribe("nothing")).ok()?;
        read_until(&mut device, &[0x90, 3, 0, 1])?;
    }
    if kind == Kind::SocketIo {
        let mut device = server.publisher().ok()?;
        // What comes before it is let in is not heard.
        read_until(&mut device, b"40{")?;
        device.write_all(&wire::frame(1, format!("421[\"retain\",{topics}]").as_bytes())).ok()?;
        read_until(&mut device, b"431[")?;
    }
    let newest = format!("bench/level/{:05}", topics - 1);
    let last = if kind == Kind::Lockstep { "\"last\":true" } else { &newest };
    let (mut upgrade, hello) = server.greetings(1);
    if matches!(kind, Kind::FloorWs | Kind::FloorBatch) {
        upgrade = wire::upgrade(&format!("/{topics}"), "");
    }
    // One that is not counted waits until all of them have come so far that browsers see them.
    let mut early = connect(&server)?;
    early.write_all(&upgrade).ok()?;
    let seen = read_until(&mut early, b"\r\n\r\n")?;
    early.write_all(&hello).ok()?;
    if wire::find(&seen, newest.as_bytes()).is_none() {
        read_until(&mut early, newest.as_bytes())?;
    }
    drop(early);
    let mut took = Vec::new();
    for _ in 0..NEWCOMERS {
        let began = Instant::now();
        let mut browser = connect(&server)?;
        browser.write_all(&upgrade).ok()?;
        let seen = read_until(&mut browser, b"\r\n\r\n")?;
        browser.write_all(&hello).ok()?;
        if wire::find(&seen, last.as_bytes()).is_none() {
            let page = read_until(&mut browser, last.as_bytes())?;
            if kind == Kind::Lockstep && wire::find(&page, b"]}").is_none() {
                read_until(&mut browser, b"]}")?;
            }
        }
        took.push(began.elapsed());
    }
    took.sort();
    took.get(NEWCOMERS / 2).copied()
}
