//! One connection, from its CONNECT to its end.

use std::{collections::BTreeMap, io, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::mpsc,
    time::timeout,
};

use super::{
    CONNECT_WITHIN, IN_FLIGHT_MAX, LinkEvent, Login, ORDERS_MAX, Order, PACKET_BYTES_MAX, Place, Publisher,
    packet::{self, Outgoing, Packet, Properties, Version},
    stream::{self, Stream},
    why::{self, End, Why},
};
use crate::clock::{self, Alarm, Mono};

/// Packets are read in pieces of this size.
const READ_BYTES: usize = 2048;

/// Connects and serves until the connection ends.
pub(super) async fn session(place: &Place, version: Version, login: &Login, tell: &mpsc::Sender<LinkEvent>) -> End {
    match timeout(CONNECT_WITHIN, Session::open(place, version, login)).await {
        Ok(Ok(session)) => session.serve(tell).await,
        Ok(Err(end)) => end,
        // After 3.1.1, which is tried second, 5 gets its turn again.
        Err(_) => (if version == Version::V5 { Why::Other } else { Why::Version }).because("no answer in time"),
    }
}

struct Session {
    stream: Box<dyn Stream>,
    version: Version,
    incoming: Vec<u8>,
    outgoing: Outgoing,
    keep_alive: Duration,
    in_flight_max: usize,
    /// The publishes that wait for their acknowledgement, by packet id; only some are asked after.
    in_flight: BTreeMap<u16, Option<u64>>,
    packet_id: u16,
}

impl Session {
    async fn open(place: &Place, version: Version, login: &Login) -> Result<Self, End> {
        let stream = stream::open(place, login).await.map_err(|reason| Why::Other.because(reason))?;
        let mut session = Self {
            stream,
            version,
            incoming: Vec::new(),
            outgoing: Outgoing::new(version),
            keep_alive: login.keep_alive,
            in_flight_max: IN_FLIGHT_MAX,
            in_flight: BTreeMap::new(),
            packet_id: 0,
        };
        session.outgoing.connect(login, PACKET_BYTES_MAX);
        session.write().await.map_err(|e| why::broke(&e, false))?;
        loop {
            match session.take(false)? {
                Some(Packet::ConnAck { code: 0, properties }) => {
                    session.accepted(&properties);
                    return Ok(session);
                }
                Some(Packet::ConnAck { code, properties }) => return Err(why::refused(version, code, properties)),
                Some(Packet::Disconnect { code, properties }) => return Err(why::ended(code, properties)),
                Some(_) => return Err(Why::Version.because("the other side's first word is no CONNACK")),
                None => session.read().await.map_err(|e| why::broke(&e, false))?,
            }
        }
    }

    fn accepted(&mut self, properties: &Properties) {
        if let Some(seconds) = properties.keep_alive_s {
            self.keep_alive = Duration::from_secs(u64::from(seconds));
        }
        if let Some(maximum) = properties.receive_maximum {
            self.in_flight_max = self.in_flight_max.min(usize::from(maximum)).max(1);
        }
    }

    async fn serve(mut self, tell: &mpsc::Sender<LinkEvent>) -> End {
        let (orders, mut queue) = mpsc::channel(ORDERS_MAX);
        let connected = LinkEvent::Connected { protocol: self.version.level(), publisher: Publisher(orders) };
        if tell.send(connected).await.is_err() {
            return Why::Stopped.because("stopped");
        }
        let alarm = match Alarm::new() {
            Ok(alarm) => alarm,
            Err(e) => return Why::Other.because(format!("there is no timer: {e}")),
        };
        let mut pinged = false;
        let mut said = true;
        loop {
            // A ping that is out decides about the connection, whatever is said meanwhile.
            if said
                && !pinged
                && let Err(e) = alarm.set(self.next_ping())
            {
                return why::broke(&e, true);
            }
            tokio::select! {
                read = self.stream.read_buf(&mut self.incoming) => {
                    if let Err(e) = read.and_then(some_bytes) {
                        return why::broke(&e, true);
                    }
                    pinged = false;
                    if let Err(end) = self.packets(tell).await {
                        return end;
                    }
                }
                order = queue.recv(), if self.in_flight.len() < self.in_flight_max => {
                    if let Some(end) = self.orders(order, &mut queue).await {
                        return end;
                    }
                }
                rung = alarm.ring() => {
                    if let Err(e) = rung.and_then(|()| alarm.set(self.next_ping())) {
                        return why::broke(&e, true);
                    }
                    if pinged {
                        return Why::Other.because(why::SILENT);
                    }
                    pinged = true;
                    self.outgoing.ping();
                }
            }
            said = !self.outgoing.bytes.is_empty();
            if said && let Err(e) = self.write().await {
                return why::broke(&e, true);
            }
        }
    }

    /// A keep-alive of zero is the broker's word for never (MQTT 5 §3.1.2.10).
    fn next_ping(&self) -> Option<Mono> {
        (!self.keep_alive.is_zero()).then(|| clock::now() + self.keep_alive)
    }

    /// Does what the packets that are here ask for.
    async fn packets(&mut self, tell: &mpsc::Sender<LinkEvent>) -> Result<(), End> {
        while let Some(packet) = self.take(true)? {
            let event = match packet {
                Packet::Publish { topic, payload, packet_id } => {
                    if let Some(packet_id) = packet_id {
                        self.outgoing.puback(packet_id);
                    }
                    LinkEvent::Message { topic, payload }
                }
                Packet::PubAck { packet_id, code, properties } => match self.in_flight.remove(&packet_id) {
                    Some(Some(token)) => LinkEvent::Acknowledged { token, refused: refusal(code, properties) },
                    Some(None) | None => continue,
                },
                Packet::Disconnect { code, properties } => return Err(why::ended(code, properties)),
                Packet::ConnAck { .. } | Packet::SubAck | Packet::PingResp => continue,
            };
            if tell.send(event).await.is_err() {
                return Err(Why::Stopped.because("stopped"));
            }
        }
        Ok(())
    }

    /// Carries out `first` and what waits behind it; tells when that was the end.
    async fn orders(&mut self, first: Option<Order>, queue: &mut mpsc::Receiver<Order>) -> Option<End> {
        let mut next = first;
        loop {
            match next {
                Some(Order::Publish { topic, payload, retain, token }) => {
                    let packet_id = self.next_packet_id();
                    self.in_flight.insert(packet_id, token);
                    self.outgoing.publish(&topic, &payload, retain, packet_id);
                }
                Some(Order::Subscribe(filters)) => {
                    let packet_id = self.next_packet_id();
                    self.outgoing.subscribe(&filters, packet_id);
                }
                // No publisher is left: nobody wants this connection any more.
                Some(Order::Disconnect) | None => {
                    self.outgoing.disconnect();
                    // A peer that is gone needs no good-bye; its broker sends the will.
                    let _gone = self.write().await.is_err() || self.stream.shutdown().await.is_err();
                    return Some(Why::Stopped.because("stopped"));
                }
            }
            if self.in_flight.len() >= self.in_flight_max {
                return None;
            }
            match queue.try_recv() {
                Ok(order) => next = Some(order),
                Err(_) => return None,
            }
        }
    }

    /// The next packet id that is not in use; there are far more than publishes in flight.
    fn next_packet_id(&mut self) -> u16 {
        loop {
            self.packet_id = self.packet_id.checked_add(1).unwrap_or(1);
            if !self.in_flight.contains_key(&self.packet_id) {
                return self.packet_id;
            }
        }
    }

    fn take(&mut self, connected: bool) -> Result<Option<Packet>, End> {
        packet::take(&mut self.incoming, self.version, PACKET_BYTES_MAX as usize)
            .map_err(|malformed| why::malformed(malformed, connected))
    }

    async fn read(&mut self) -> io::Result<()> {
        self.incoming.reserve(READ_BYTES);
        self.stream.read_buf(&mut self.incoming).await.and_then(some_bytes)
    }

    /// Writes what is to be said. A peer that takes nothing for as long as a connection may take is gone.
    async fn write(&mut self) -> io::Result<()> {
        let bytes = std::mem::take(&mut self.outgoing.bytes);
        let written = timeout(CONNECT_WITHIN, async {
            self.stream.write_all(&bytes).await?;
            self.stream.flush().await
        });
        written.await.unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, why::SILENT)))
    }
}

/// A read of nothing is the end.
fn some_bytes(count: usize) -> io::Result<()> {
    if count > 0 { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

/// Why a publish was refused, where it was (MQTT 5 §3.4.2.1).
fn refusal(code: u8, properties: Properties) -> Option<String> {
    let said = properties.reason;
    (code >= 0x80).then(|| said.unwrap_or_else(|| format!("the hub refused it (code 0x{code:02x})")))
}
