//! A small MQTT client of raw packets: it says and sees exactly what is on the wire.

use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::rig::{LIMIT, QUIET};

/// What a CONNECT says.
#[derive(Debug, Clone)]
pub(super) struct Connect {
    pub(super) v5: bool,
    pub(super) id: String,
    pub(super) clean: bool,
    pub(super) keep_alive: u16,
    pub(super) expiry: Option<u32>,
    pub(super) receive_maximum: Option<u16>,
    pub(super) packet_max: Option<u32>,
    pub(super) alias_max: Option<u16>,
    pub(super) will: Option<Will>,
    pub(super) user: Option<(String, String)>,
    /// Whether reasons may come in words; said only where set.
    pub(super) problem_information: Option<bool>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Will {
    pub(super) topic: String,
    pub(super) payload: String,
    pub(super) qos: u8,
    pub(super) retain: bool,
    pub(super) delay: Option<u32>,
}

impl Connect {
    pub(super) fn v5(id: &str) -> Self {
        Self {
            v5: true,
            id: id.to_owned(),
            clean: true,
            keep_alive: 0,
            expiry: None,
            receive_maximum: None,
            packet_max: None,
            alias_max: None,
            will: None,
            user: None,
            problem_information: None,
        }
    }

    pub(super) fn v311(id: &str) -> Self {
        Self { v5: false, ..Self::v5(id) }
    }

    /// A session that lasts `expiry` seconds.
    pub(super) fn lasting(id: &str, expiry: u32) -> Self {
        Self { clean: false, expiry: Some(expiry), ..Self::v5(id) }
    }

    pub(super) fn bytes(&self) -> BytesMut {
        let mut body = BytesMut::new();
        put_string(&mut body, b"MQTT");
        body.put_u8(if self.v5 { 5 } else { 4 });
        let mut flags = u8::from(self.clean) << 1;
        if let Some(will) = &self.will {
            flags |= 0x04 | will.qos << 3 | u8::from(will.retain) << 5;
        }
        if self.user.is_some() {
            flags |= 0xc0;
        }
        body.put_u8(flags);
        body.put_u16(self.keep_alive);
        if self.v5 {
            let mut props = BytesMut::new();
            if let Some(expiry) = self.expiry {
                props.put_u8(0x11);
                props.put_u32(expiry);
            }
            if let Some(maximum) = self.receive_maximum {
                props.put_u8(0x21);
                props.put_u16(maximum);
            }
            if let Some(maximum) = self.packet_max {
                props.put_u8(0x27);
                props.put_u32(maximum);
            }
            if let Some(wanted) = self.problem_information {
                props.put_slice(&[0x17, u8::from(wanted)]);
            }
            if let Some(maximum) = self.alias_max {
                props.put_u8(0x22);
                props.put_u16(maximum);
            }
            put_varint(&mut body, props.len());
            body.put_slice(&props);
        }
        put_string(&mut body, self.id.as_bytes());
        if let Some(will) = &self.will {
            if self.v5 {
                let mut props = BytesMut::new();
                if let Some(delay) = will.delay {
                    props.put_u8(0x18);
                    props.put_u32(delay);
                }
                put_varint(&mut body, props.len());
                body.put_slice(&props);
            }
            put_string(&mut body, will.topic.as_bytes());
            put_string(&mut body, will.payload.as_bytes());
        }
        if let Some((user, password)) = &self.user {
            put_string(&mut body, user.as_bytes());
            put_string(&mut body, password.as_bytes());
        }
        framed(0x10, &body)
    }
}

/// A PUBLISH to send.
#[derive(Debug, Clone, Default)]
pub(super) struct Publish<'a> {
    pub(super) topic: &'a str,
    pub(super) payload: &'a [u8],
    pub(super) qos: u8,
    pub(super) retain: bool,
    pub(super) dup: bool,
    pub(super) id: u16,
    /// Properties as they stand in the packet, v5 only.
    pub(super) props: &'a [u8],
}

/// A packet from the hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Packet {
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) body: Bytes,
}

/// A CONNACK.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Connack {
    pub(super) present: bool,
    pub(super) reason: u8,
    pub(super) props: Vec<(u8, Vec<u8>)>,
}

/// A PUBLISH from the hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) topic: String,
    pub(super) payload: Vec<u8>,
    pub(super) qos: u8,
    pub(super) retain: bool,
    pub(super) dup: bool,
    pub(super) id: u16,
    pub(super) props: Vec<(u8, Vec<u8>)>,
}

impl Message {
    pub(super) fn text(&self) -> &str {
        std::str::from_utf8(&self.payload).unwrap()
    }

    pub(super) fn prop(&self, id: u8) -> Option<&[u8]> {
        self.props.iter().find(|(known, _)| *known == id).map(|(_, value)| &value[..])
    }
}

impl Connack {
    pub(super) fn prop(&self, id: u8) -> Option<&[u8]> {
        self.props.iter().find(|(known, _)| *known == id).map(|(_, value)| &value[..])
    }
}

pub(super) const CONNACK: u8 = 2;
pub(super) const PUBLISH: u8 = 3;
pub(super) const PUBACK: u8 = 4;
pub(super) const PUBREC: u8 = 5;
pub(super) const PUBREL: u8 = 6;
pub(super) const PUBCOMP: u8 = 7;
pub(super) const SUBACK: u8 = 9;
pub(super) const UNSUBACK: u8 = 11;
pub(super) const PINGRESP: u8 = 13;
pub(super) const DISCONNECT: u8 = 14;

/// TCP, or TLS over it.
pub(super) trait Transport: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Transport for T {}

pub(super) struct Client {
    pub(super) stream: Box<dyn Transport>,
    inbound: BytesMut,
    /// Messages that came while something else was awaited.
    early: std::collections::VecDeque<Packet>,
    v5: bool,
    next_id: u16,
}

impl Client {
    pub(super) async fn open(port: u16, v5: bool) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self::over(stream, v5)
    }

    /// A client over a stream that is there already.
    pub(super) fn over(stream: impl Transport + 'static, v5: bool) -> Self {
        Self {
            stream: Box::new(stream),
            inbound: BytesMut::new(),
            early: std::collections::VecDeque::new(),
            v5,
            next_id: 0,
        }
    }

    /// A connection that is let in, as soon as there is a hub that does; for clients of a hub that comes and goes.
    pub(super) async fn persistent(port: u16, connect: &Connect) -> (Self, Connack) {
        let began = std::time::Instant::now();
        loop {
            if let Ok(stream) = TcpStream::connect(("127.0.0.1", port)).await {
                stream.set_nodelay(true).unwrap();
                let mut client = Self::over(stream, connect.v5);
                let _ = client.try_raw(&connect.bytes()).await;
                if let Some(packet) = client.next().await.filter(|packet| packet.kind == CONNACK) {
                    let connack = connack(&packet, connect.v5);
                    return (client, connack);
                }
            }
            assert!(began.elapsed() < crate::support::LIMIT, "there is no hub any more");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub(super) async fn connect(&mut self, connect: &Connect) -> Connack {
        self.raw(&connect.bytes()).await;
        let packet = self.expect(CONNACK).await;
        connack(&packet, self.v5)
    }

    /// Sends bytes as they are.
    pub(super) async fn raw(&mut self, bytes: &[u8]) {
        self.try_raw(bytes).await.unwrap();
    }

    /// Sends bytes to a hub that may have closed.
    pub(super) async fn try_raw(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    /// Sends a packet.
    pub(super) async fn send(&mut self, first: u8, body: &[u8]) {
        self.raw(&framed(first, body)).await;
    }

    fn id(&mut self) -> u16 {
        self.next_id = self.next_id % 60_000 + 1;
        self.next_id
    }

    pub(super) fn publish_bytes(&self, publish: &Publish<'_>) -> BytesMut {
        let mut body = BytesMut::new();
        put_string(&mut body, publish.topic.as_bytes());
        if publish.qos > 0 {
            body.put_u16(publish.id);
        }
        if self.v5 {
            put_varint(&mut body, publish.props.len());
            body.put_slice(publish.props);
        }
        body.put_slice(publish.payload);
        framed(0x30 | u8::from(publish.dup) << 3 | publish.qos << 1 | u8::from(publish.retain), &body)
    }

    /// Sends a PUBLISH and waits for nothing.
    pub(super) async fn put(&mut self, publish: Publish<'_>) {
        let bytes = self.publish_bytes(&publish);
        self.raw(&bytes).await;
    }

    /// Publishes with a handshake to the end; returns the reason of its acknowledgement.
    pub(super) async fn publish(&mut self, topic: &str, payload: &str, qos: u8, retain: bool) -> u8 {
        let id = self.id();
        self.put(Publish { topic, payload: payload.as_bytes(), qos, retain, id, ..Publish::default() }).await;
        match qos {
            0 => 0,
            1 => reason(&self.expect_past_messages(PUBACK).await),
            _ => {
                let first = reason(&self.expect_past_messages(PUBREC).await);
                if first < 0x80 {
                    self.send(0x62, &id.to_be_bytes()).await;
                    self.expect_past_messages(PUBCOMP).await;
                }
                first
            }
        }
    }

    /// Subscribes with options as they stand in the packet; returns the reasons.
    pub(super) async fn subscribe_with(&mut self, filters: &[(&str, u8)], props: &[u8]) -> Vec<u8> {
        let id = self.id();
        let mut body = BytesMut::new();
        body.put_u16(id);
        if self.v5 {
            put_varint(&mut body, props.len());
            body.put_slice(props);
        }
        for (filter, options) in filters {
            put_string(&mut body, filter.as_bytes());
            body.put_u8(*options);
        }
        self.send(0x82, &body).await;
        let suback = self.expect(SUBACK).await;
        assert_eq!(&suback.body[..2], id.to_be_bytes(), "the SUBACK is another one's");
        suback.body[if self.v5 { 3 } else { 2 }..].to_vec()
    }

    pub(super) async fn subscribe(&mut self, filter: &str, qos: u8) {
        assert_eq!(self.subscribe_with(&[(filter, qos)], &[]).await, [qos], "{filter} was not granted");
    }

    pub(super) async fn unsubscribe(&mut self, filters: &[&str]) -> Packet {
        let id = self.id();
        let mut body = BytesMut::new();
        body.put_u16(id);
        if self.v5 {
            body.put_u8(0);
        }
        for filter in filters {
            put_string(&mut body, filter.as_bytes());
        }
        self.send(0xa2, &body).await;
        let unsuback = self.expect(UNSUBACK).await;
        assert_eq!(&unsuback.body[..2], id.to_be_bytes());
        unsuback
    }

    /// A ping; nothing comes before its answer.
    pub(super) async fn ping(&mut self) {
        self.send(0xc0, &[]).await;
        self.expect(PINGRESP).await;
    }

    /// The same where messages may come before the answer; they are kept.
    pub(super) async fn ping_past_messages(&mut self) {
        self.send(0xc0, &[]).await;
        self.expect_past_messages(PINGRESP).await;
    }

    pub(super) async fn disconnect(mut self) {
        self.send(0xe0, &[]).await;
        assert_eq!(self.next().await, None, "the hub does not close after DISCONNECT");
    }

    /// The next packet; none when the hub has closed.
    pub(super) async fn next(&mut self) -> Option<Packet> {
        timeout(LIMIT, self.read()).await.expect("nothing comes from the hub")
    }

    /// The next packet within `limit`, if any comes.
    pub(super) async fn within(&mut self, limit: Duration) -> Option<Packet> {
        timeout(limit, self.read()).await.ok().flatten()
    }

    /// The next packet, however long it takes; none at the end of the connection.
    pub(super) async fn read(&mut self) -> Option<Packet> {
        if let Some(packet) = self.early.pop_front() {
            return Some(packet);
        }
        self.read_new().await
    }

    async fn read_new(&mut self) -> Option<Packet> {
        loop {
            if let Some(packet) = take(&mut self.inbound) {
                return Some(packet);
            }
            match self.stream.read_buf(&mut self.inbound).await {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    /// The next packet, which must be of this kind.
    pub(super) async fn expect(&mut self, kind: u8) -> Packet {
        let packet = self.next().await.unwrap_or_else(|| panic!("the hub closed instead of sending {kind}"));
        assert_eq!(packet.kind, kind, "{packet:?}");
        packet
    }

    /// The next packet that is no PUBLISH, which must be of this kind; messages before it are kept.
    pub(super) async fn expect_past_messages(&mut self, kind: u8) -> Packet {
        loop {
            let packet = timeout(LIMIT, self.read_new()).await.expect("nothing comes").expect("the hub closed");
            if packet.kind != PUBLISH {
                assert_eq!(packet.kind, kind, "{packet:?}");
                return packet;
            }
            self.early.push_back(packet);
        }
    }

    /// The next packet, which must be a PUBLISH; it is acknowledged.
    pub(super) async fn message(&mut self) -> Message {
        let message = self.unacknowledged().await;
        self.acknowledge(&message).await;
        message
    }

    pub(super) async fn acknowledge(&mut self, message: &Message) {
        match message.qos {
            1 => self.send(0x40, &message.id.to_be_bytes()).await,
            2 => {
                self.send(0x50, &message.id.to_be_bytes()).await;
                self.expect_past_messages(PUBREL).await;
                self.send(0x70, &message.id.to_be_bytes()).await;
            }
            _ => {}
        }
    }

    pub(super) async fn unacknowledged(&mut self) -> Message {
        let packet = self.expect(PUBLISH).await;
        message(&packet, self.v5)
    }

    /// Nothing comes.
    pub(super) async fn quiet(&mut self) {
        if let Some(packet) = self.within(QUIET).await {
            panic!("something came: {packet:?}");
        }
    }

    /// The hub closes; returns the reason of its DISCONNECT, where it sent one.
    pub(super) async fn closed(&mut self) -> Option<u8> {
        let mut told = None;
        while let Some(packet) = self.next().await {
            assert_eq!(packet.kind, DISCONNECT, "{packet:?}");
            told = Some(packet.body.first().copied().unwrap_or(0));
        }
        told
    }

    pub(super) fn read_message(&self, packet: &Packet) -> Message {
        message(packet, self.v5)
    }
}

fn take(buffer: &mut BytesMut) -> Option<Packet> {
    let first = *buffer.first()?;
    let (mut length, mut header) = (0_usize, 1);
    loop {
        let byte = *buffer.get(header)?;
        length |= usize::from(byte & 0x7f) << (7 * (header - 1));
        header += 1;
        if byte & 0x80 == 0 {
            break;
        }
    }
    if buffer.len() < header + length {
        return None;
    }
    buffer.advance(header);
    Some(Packet { kind: first >> 4, flags: first & 0x0f, body: buffer.split_to(length).freeze() })
}

fn connack(packet: &Packet, v5: bool) -> Connack {
    let props = if v5 && packet.body.len() > 2 { read_props(&mut packet.body.slice(2..)) } else { Vec::new() };
    Connack { present: packet.body[0] & 1 == 1, reason: packet.body[1], props }
}

fn message(packet: &Packet, v5: bool) -> Message {
    let mut body = packet.body.clone();
    let length = usize::from(body.get_u16());
    let topic = String::from_utf8(body.split_to(length).to_vec()).unwrap();
    let qos = packet.flags >> 1 & 3;
    let id = if qos > 0 { body.get_u16() } else { 0 };
    let props = if v5 { read_props(&mut body) } else { Vec::new() };
    Message { topic, payload: body.to_vec(), qos, retain: packet.flags & 1 == 1, dup: packet.flags & 8 == 8, id, props }
}

/// The reason of an acknowledgement.
pub(super) fn reason(packet: &Packet) -> u8 {
    packet.body.get(2).copied().unwrap_or(0)
}

fn read_varint(body: &mut Bytes) -> usize {
    let (mut value, mut shift) = (0, 0);
    loop {
        let byte = body.get_u8();
        value |= usize::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            return value;
        }
    }
}

fn read_props(body: &mut Bytes) -> Vec<(u8, Vec<u8>)> {
    let length = read_varint(body);
    let mut props = body.split_to(length);
    let mut read = Vec::new();
    while props.has_remaining() {
        let id = props.get_u8();
        let take = match id {
            0x01 | 0x17 | 0x19 | 0x24 | 0x25 | 0x28 | 0x29 | 0x2a => 1,
            0x13 | 0x21 | 0x22 | 0x23 => 2,
            0x02 | 0x11 | 0x18 | 0x27 => 4,
            0x0b => {
                let value = read_varint(&mut props);
                read.push((id, value.to_string().into_bytes()));
                continue;
            }
            0x26 => {
                let first = usize::from(props.get_u16());
                let mut pair = props.split_to(first).to_vec();
                pair.push(b'=');
                let second = usize::from(props.get_u16());
                pair.extend_from_slice(&props.split_to(second));
                read.push((id, pair));
                continue;
            }
            _ => usize::from(props.get_u16()),
        };
        read.push((id, props.split_to(take).to_vec()));
    }
    read
}

pub(super) fn put_string(out: &mut BytesMut, bytes: &[u8]) {
    out.put_u16(u16::try_from(bytes.len()).unwrap());
    out.put_slice(bytes);
}

fn put_varint(out: &mut BytesMut, mut value: usize) {
    loop {
        let byte = (value & 0x7f) as u8;
        value >>= 7;
        out.put_u8(if value > 0 { byte | 0x80 } else { byte });
        if value == 0 {
            return;
        }
    }
}

pub(super) fn framed(first: u8, body: &[u8]) -> BytesMut {
    let mut out = BytesMut::new();
    out.put_u8(first);
    put_varint(&mut out, body.len());
    out.put_slice(body);
    out
}

/// A property that is a text.
pub(super) fn text_prop(id: u8, text: &str) -> Vec<u8> {
    let mut out = BytesMut::new();
    out.put_u8(id);
    put_string(&mut out, text.as_bytes());
    out.to_vec()
}
