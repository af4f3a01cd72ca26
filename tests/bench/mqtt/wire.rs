//! As much of MQTT 3.1.1 as a load needs: packets as bytes, and a reader that finds them again.

use std::{
    io::{self, Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

pub(crate) const CONNACK: u8 = 2;
pub(crate) const PUBLISH: u8 = 3;
pub(crate) const PUBACK: u8 = 4;
pub(crate) const PUBREC: u8 = 5;
pub(crate) const PUBREL: u8 = 6;
pub(crate) const PUBCOMP: u8 = 7;
pub(crate) const SUBACK: u8 = 9;
pub(crate) const PINGRESP: u8 = 13;

pub(crate) const PINGREQ: &[u8] = &[0xc0, 0];

/// What a measured payload begins with: the publisher, and the number of the message.
pub(crate) const HEAD_BYTES: usize = 4 + 8;

fn put_length(out: &mut Vec<u8>, mut length: usize) {
    loop {
        let more = if length > 127 { 0x80 } else { 0 };
        out.push((length % 128) as u8 | more);
        length /= 128;
        if length == 0 {
            return;
        }
    }
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u16).to_be_bytes());
    out.extend(text.as_bytes());
}

fn connect(id: &str) -> Vec<u8> {
    let mut body = Vec::new();
    put_text(&mut body, "MQTT");
    // Clean session, no keep-alive.
    body.extend([4, 2, 0, 0]);
    put_text(&mut body, id);
    let mut out = vec![0x10];
    put_length(&mut out, body.len());
    out.extend(body);
    out
}

fn subscribe(filter: &str, qos: u8) -> Vec<u8> {
    let mut body = vec![0, 1];
    put_text(&mut body, filter);
    body.push(qos);
    let mut out = vec![0x82];
    put_length(&mut out, body.len());
    out.extend(body);
    out
}

/// Appends a PUBLISH whose payload has `bytes` and begins with `publisher` and `number`. `id` is sent with QoS 1 and 2.
pub(crate) fn put_publish(out: &mut Vec<u8>, topic: &str, qos: u8, id: u16, publisher: u32, number: u64, bytes: usize) {
    out.push(0x30 | qos << 1);
    put_length(out, 2 + topic.len() + if qos > 0 { 2 } else { 0 } + bytes);
    put_text(out, topic);
    if qos > 0 {
        out.extend(id.to_be_bytes());
    }
    out.extend(publisher.to_be_bytes());
    out.extend(number.to_be_bytes());
    out.resize(out.len() + bytes.saturating_sub(HEAD_BYTES), b'x');
}

/// Appends one of the four acknowledgements.
pub(crate) fn put_ack(out: &mut Vec<u8>, kind: u8, id: u16) {
    out.extend([kind << 4 | if kind == PUBREL { 2 } else { 0 }, 2]);
    out.extend(id.to_be_bytes());
}

/// A packet that came: its first byte and what follows the length.
pub(crate) struct Seen<'a> {
    first: u8,
    pub(crate) body: &'a [u8],
}

impl Seen<'_> {
    pub(crate) const fn kind(&self) -> u8 {
        self.first >> 4
    }

    pub(crate) const fn qos(&self) -> u8 {
        self.first >> 1 & 3
    }

    /// The packet identifier: behind the topic in a PUBLISH, first in everything else.
    pub(crate) fn id(&self) -> u16 {
        let at = if self.kind() == PUBLISH { 2 + self.topic_bytes() } else { 0 };
        self.body.get(at..at + 2).map_or(0, |id| u16::from_be_bytes([id[0], id[1]]))
    }

    fn topic_bytes(&self) -> usize {
        self.body.get(..2).map_or(0, |length| u16::from_be_bytes([length[0], length[1]]).into())
    }

    /// Who published it, and its number.
    pub(crate) fn head(&self) -> Option<(u32, u64)> {
        let at = 2 + self.topic_bytes() + if self.qos() > 0 { 2 } else { 0 };
        let head = self.body.get(at..at + HEAD_BYTES)?;
        Some((u32::from_be_bytes(head[..4].try_into().ok()?), u64::from_be_bytes(head[4..].try_into().ok()?)))
    }
}

/// A client's connection. Blocking, unless [`set_nonblocking`](Self::set_nonblocking).
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    unread: Vec<u8>,
    from: usize,
    to: usize,
}

impl Client {
    /// Connects; returns when the server has accepted.
    pub(crate) fn connect(port: u16, id: &str, buffer_bytes: usize) -> io::Result<Self> {
        let mut client = Self::knock(port, id, buffer_bytes)?;
        client.wait_for(CONNACK)?;
        Ok(client)
    }

    /// Connects without waiting for the answer.
    pub(crate) fn knock(port: u16, id: &str, buffer_bytes: usize) -> io::Result<Self> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        stream.set_write_timeout(Some(Duration::from_secs(10)))?;
        stream.write_all(&connect(id))?;
        Ok(Self { stream, unread: vec![0; buffer_bytes], from: 0, to: 0 })
    }

    pub(crate) fn subscribe(&mut self, filter: &str, qos: u8) -> io::Result<()> {
        self.stream.write_all(&subscribe(filter, qos))?;
        self.wait_for(SUBACK)
    }

    /// Reads until a packet of `kind` came; what comes before is passed over.
    pub(crate) fn wait_for(&mut self, kind: u8) -> io::Result<()> {
        let mut came = false;
        while !came {
            self.read(|seen| came |= seen.kind() == kind)?;
        }
        Ok(())
    }

    /// Reads once, and gives every whole packet to `take`; tells how many bytes came.
    pub(crate) fn read(&mut self, mut take: impl FnMut(Seen<'_>)) -> io::Result<usize> {
        if self.from == self.to {
            (self.from, self.to) = (0, 0);
        } else if self.to == self.unread.len() {
            self.unread.copy_within(self.from..self.to, 0);
            (self.from, self.to) = (0, self.to - self.from);
        }
        let bytes = self.stream.read(&mut self.unread[self.to..])?;
        if bytes == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.to += bytes;
        while let Some((header, length)) = header(&self.unread[self.from..self.to]) {
            let Some(body) = self.unread[self.from..self.to].get(header..header + length) else { break };
            take(Seen { first: self.unread[self.from], body });
            self.from += header + length;
        }
        Ok(bytes)
    }

    pub(crate) fn set_nonblocking(&self) -> io::Result<()> {
        self.stream.set_nonblocking(true)
    }
}

/// The lengths of the fixed header and of what follows it.
fn header(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut length = 0;
    for (at, byte) in bytes.get(1..)?.iter().take(4).enumerate() {
        length |= usize::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Some((at + 2, length));
        }
    }
    None
}
