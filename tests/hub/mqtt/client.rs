//! A small MQTT client of raw packets: it says and sees exactly what is on the wire.

use std::time::Duration;

use bytes::{BufMut, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::{
    packets::{
        CONNACK, Connack, Connect, DISCONNECT, Message, PINGRESP, PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL, Packet,
        Publish, SUBACK, UNSUBACK, connack, framed, message, put_string, put_varint, reason, take,
    },
    rig::{LIMIT, QUIET},
};

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
