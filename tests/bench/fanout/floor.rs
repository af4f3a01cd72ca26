//! The floor: one thread and epoll, ready-made frames, nothing else. `batch` writes a socket once for all that is queued.
//!
//! A connection that begins with `P` publishes, as `[length, two bytes][payload]`, and gets what browsers send in that form.
//! `GET /N` gets N ready-made frames at once.

use std::{
    collections::HashMap,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    os::fd::AsFd as _,
};

use rustix::event::epoll;

use crate::wire;

const LISTENER: u64 = u64::MAX;

struct Peer {
    stream: TcpStream,
    publishes: bool,
    open: bool,
    read: Vec<u8>,
}

pub(crate) fn serve(port: u16, batch: bool) -> ! {
    let listener = lockstep::listen::bind(([127, 0, 0, 1], port).into()).expect("a free port");
    let poll = epoll::create(epoll::CreateFlags::CLOEXEC).expect("epoll");
    epoll::add(&poll, listener.as_fd(), epoll::EventData::new_u64(LISTENER), epoll::EventFlags::IN).expect("added");
    let mut peers: HashMap<u64, Peer> = HashMap::new();
    let mut next = 0;
    let mut events = Vec::with_capacity(1024);
    let mut ready = HashMap::new();
    loop {
        events.clear();
        epoll::wait(&poll, rustix::buffer::spare_capacity(&mut events), None).expect("events");
        let mut queued: Vec<Vec<u8>> = Vec::new();
        for event in &events {
            let token = event.data.u64();
            if token == LISTENER {
                accept(&listener, &poll, &mut peers, &mut next);
            } else if !read(&mut peers, token, &mut queued, &mut ready) {
                peers.remove(&token);
            }
        }
        if batch && !queued.is_empty() {
            queued = vec![queued.concat()];
        }
        for frames in &queued {
            for peer in peers.values_mut().filter(|peer| peer.open && !peer.publishes) {
                // Whoever is full misses it: the floor has no queues.
                let _ = peer.stream.write(frames);
            }
        }
    }
}

fn accept(listener: &TcpListener, poll: &std::os::fd::OwnedFd, peers: &mut HashMap<u64, Peer>, next: &mut u64) {
    while let Ok((stream, _)) = listener.accept() {
        stream.set_nonblocking(true).expect("a socket");
        stream.set_nodelay(true).expect("a socket");
        epoll::add(poll, stream.as_fd(), epoll::EventData::new_u64(*next), epoll::EventFlags::IN).expect("added");
        peers.insert(*next, Peer { stream, publishes: false, open: false, read: Vec::new() });
        *next += 1;
    }
}

/// Reads what is there; queues frames for all browsers. False when the connection is over.
fn read(
    peers: &mut HashMap<u64, Peer>,
    token: u64,
    queued: &mut Vec<Vec<u8>>,
    ready: &mut HashMap<usize, Vec<u8>>,
) -> bool {
    let Some(peer) = peers.get_mut(&token) else { return true };
    let mut buffer = [0; 65536];
    match peer.stream.read(&mut buffer) {
        Ok(0) => return false,
        Ok(bytes) => peer.read.extend_from_slice(&buffer[..bytes]),
        Err(e) => return e.kind() == std::io::ErrorKind::WouldBlock,
    }
    if !peer.open {
        if peer.read.first() == Some(&b'P') {
            (peer.open, peer.publishes) = (true, true);
            peer.read.remove(0);
        } else if let Some(end) = wire::find(&peer.read, b"\r\n\r\n") {
            let path = String::from_utf8_lossy(&peer.read[5..end]).split(' ').next().unwrap_or("").to_owned();
            peer.read.drain(..end + 4);
            peer.open = true;
            let answer = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
            peer.stream.write_all(answer).expect("room for the answer");
            if let Ok(count) = path.parse::<usize>() {
                let frames = ready.entry(count).or_insert_with(|| ready_made(count)).clone();
                peer.stream.set_nonblocking(false).expect("a socket");
                peer.stream.write_all(&frames).expect("written");
                peer.stream.set_nonblocking(true).expect("a socket");
            }
        }
    }
    if peer.publishes {
        while let [high, low, rest @ ..] = &peer.read[..]
            && let Some(payload) = rest.get(..usize::from(u16::from_be_bytes([*high, *low])))
        {
            let mut framed = wire::frame(2, payload);
            let masked = framed.len() - payload.len() - 4;
            framed.drain(masked..masked + 4);
            framed[1] &= 0x7F;
            framed[0] = 0x81;
            let length = payload.len();
            queued.push(framed);
            peer.read.drain(..2 + length);
        }
        return true;
    }
    let mut echoed = Vec::new();
    while let Some((header, length)) = peer.read.get(1).map(|second| second & 0x7F).and_then(|short| match short {
        126 | 127 => None,
        short => Some((6, usize::from(short))),
    }) && let Some(payload) = peer.read.get(header..header + length)
    {
        echoed.extend((length as u16).to_be_bytes());
        echoed.extend(payload);
        peer.read.drain(..header + length);
    }
    if !echoed.is_empty() {
        for peer in peers.values_mut().filter(|peer| peer.publishes) {
            peer.stream.write_all(&echoed).expect("room");
        }
    }
    true
}

/// Frames as the hub's newcomers get them, in number and size.
fn ready_made(count: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for i in 0..count {
        let payload = format!(
            "{{\"topic\":\"bench/level/{i:05}\",\"payload\":{{\"value\":{i},\"unit\":\"C\"}},\"format\":\"json\",\"seq\":{i}}}"
        );
        out.extend([0x81, payload.len() as u8]);
        out.extend(payload.as_bytes());
    }
    out
}
