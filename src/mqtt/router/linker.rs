//! The thread that makes the router's calls that may block, for all sessions.
//!
//! What comes out of a link does not belong here: sessions read for themselves.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use rumqttd::{
    Notification,
    local::{LinkRx, LinkTx},
    protocol::{
        Disconnect, DisconnectReasonCode, Filter as RawFilter, Packet, PingReq, Publish, QoS, RetainForwardRule,
        Subscribe, SubscribeProperties, Unsubscribe,
    },
};
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

use super::{Gone, Link, RouterHandle};

/// Links that are closed behind one round trip.
const CLOSING_TOGETHER: usize = 64;

/// What the linker does for others.
#[derive(Debug)]
pub(super) enum Order {
    Open { reply: oneshot::Sender<Link> },
    Subscribe { link: u64, filter: String, subscription: u32 },
    Unsubscribe { link: u64, filter: String },
    Close { link: u64 },
    Poison,
    Hang { released: std::sync::mpsc::Receiver<()> },
}

/// Makes a link under a name.
pub(super) type Build = dyn Fn(&str) -> Result<(LinkTx, LinkRx), Gone> + Send;

/// The linker's own link.
pub(super) struct Own {
    pub(super) tx: LinkTx,
    pub(super) rx: LinkRx,
    /// Rings at the router for this link without touching its buffer.
    pub(super) bell: LinkTx,
}

/// The thread that makes the calls that may block. It ends with its router, or when nobody has a way to it any more.
pub(super) struct Linker {
    build: Box<Build>,
    own: Own,
    /// Signs of life on the linker's own link that are not answered yet.
    pings: usize,
    /// Links that nobody uses any more and that the router still has.
    closing: Vec<u64>,
    /// Links through which something was sent, and whose buffer the router may have exchanged for a large one.
    used: Vec<u64>,
    timeout: Duration,
    /// The open links, with the number in the name by which the router knows each.
    links: HashMap<u64, (u64, LinkTx)>,
    next: u64,
    /// Numbers of links that are closed. The router never forgets the name of a link, so that names have to be used again.
    free_names: Vec<u64>,
    orders: mpsc::WeakSender<Order>,
    generation: u64,
    retired: Arc<AtomicBool>,
}

impl Linker {
    /// A linker for the router of `handle`, which does not keep that alive.
    pub(super) fn new(build: Box<Build>, own: Own, handle: &RouterHandle, timeout: Duration) -> Self {
        Self {
            build,
            own,
            pings: 0,
            closing: Vec::new(),
            used: Vec::new(),
            timeout,
            links: HashMap::new(),
            next: 1,
            free_names: Vec::new(),
            orders: handle.orders.downgrade(),
            generation: handle.generation,
            retired: Arc::clone(&handle.retired),
        }
    }

    /// Carries out what is ordered, until the router is gone or nobody can order any more.
    pub(super) fn run(mut self, mut inbox: mpsc::Receiver<Order>) {
        while let Some(order) = inbox.blocking_recv() {
            self.give_back_room();
            let mut done = self.carry_out(order);
            while done.is_ok()
                && self.closing.len() < CLOSING_TOGETHER
                && let Ok(order) = inbox.try_recv()
            {
                done = self.carry_out(order);
            }
            if done.and_then(|()| self.close_all()).is_err() {
                return;
            }
        }
        if self.retired.load(Ordering::Acquire) {
            // A router has no other way to end: it holds an end of its own inbox. One that is dead already needs none.
            let _ = self.poison();
        }
    }

    fn carry_out(&mut self, order: Order) -> Result<(), Gone> {
        match order {
            Order::Open { reply } => self.open(reply),
            Order::Subscribe { link, filter, subscription } => self.send(link, subscribe(filter, subscription)),
            Order::Unsubscribe { link, filter } => {
                self.send(link, Packet::Unsubscribe(Unsubscribe { pkid: 1, filters: vec![filter] }, None))
            }
            Order::Close { link } => {
                self.closing.push(link);
                Ok(())
            }
            Order::Poison => self.poison(),
            Order::Hang { released } => self.hang(&released),
        }
    }

    /// Closes what nobody uses any more, behind a round trip.
    ///
    /// A packet in a link's buffer is found by the router's next look at the link, which an earlier order may have asked for already;
    /// a `Ready` of the link that lies between would then kill the router. After the round trip there is none left.
    fn close_all(&mut self) -> Result<(), Gone> {
        if self.closing.is_empty() {
            return Ok(());
        }
        send_now(&mut self.own.tx, [Packet::PingReq(PingReq)])?;
        self.pings += 1;
        let deadline = (Instant::now() + self.timeout).into_std();
        while self.pings > 0 {
            match self.own.rx.recv_deadline(deadline) {
                Ok(Some(Notification::DeviceAck(ack))) => {
                    self.pings -= usize::from(matches!(Packet::from(ack), Packet::PingResp(_)));
                }
                Ok(_) => {}
                // A router that hangs is replaced by the writer; here it is tried again with the next order.
                Err(_) => return Ok(()),
            }
        }
        for link in std::mem::take(&mut self.closing) {
            let reason_code = DisconnectReasonCode::NormalDisconnection;
            self.send(link, Packet::Disconnect(Disconnect { reason_code }, None))?;
            // The router takes orders as they come: the next one of this name finds it free.
            self.free_names.extend(self.links.remove(&link).map(|(name, _)| name));
        }
        Ok(())
    }

    /// Gives back the room for packets of links that were used before. Hardly a link is ever used again, and a new one has room for 200
    /// packets; the router exchanges the buffer that it empties for the one that it emptied before, which may be the writer's.
    fn give_back_room(&mut self) {
        let links = &self.links;
        self.used.retain(|link| {
            let Some((_, tx)) = links.get(link) else { return false };
            let mut buffer = tx.buffer();
            // What the router has not taken stays, and is looked at again with a later order.
            if buffer.is_empty() {
                *buffer = VecDeque::new();
            }
            !buffer.is_empty()
        });
    }

    /// Publishes the topic that the router cannot read, to a filter that makes it look.
    fn poison(&mut self) -> Result<(), Gone> {
        let publish = Packet::Publish(Publish::new("é", "x", false), None);
        send_now(&mut self.own.tx, [subscribe("t/poison".to_owned(), 1), publish])
    }

    /// Holds the lock that the router takes next, until the other end of `released` is gone.
    fn hang(&mut self, released: &std::sync::mpsc::Receiver<()>) -> Result<(), Gone> {
        let held = self.own.tx.buffer();
        let rung = send_now(&mut self.own.bell, [Packet::PingReq(PingReq)]);
        let _ = released.recv();
        drop(held);
        rung
    }

    fn open(&mut self, reply: oneshot::Sender<Link>) -> Result<(), Gone> {
        let handle = RouterHandle {
            orders: self.orders.upgrade().ok_or(Gone)?,
            generation: self.generation,
            retired: Arc::clone(&self.retired),
        };
        let number = self.next;
        self.next += 1;
        // Without a free one, the names in use are those up to the number of links.
        let name = self.free_names.pop().unwrap_or(self.links.len() as u64);
        let (tx, rx) = (self.build)(&format!("c{name}"))?;
        *tx.buffer() = VecDeque::new();
        self.links.insert(number, (name, tx));
        let link = Link { number, rx, handle, resting: false };
        // Whoever asked may have gone; the link closes itself then.
        let _ = reply.send(link);
        Ok(())
    }

    fn send(&mut self, link: u64, packet: Packet) -> Result<(), Gone> {
        let Some((_, tx)) = self.links.get_mut(&link) else { return Ok(()) };
        if self.used.last() != Some(&link) {
            self.used.push(link);
        }
        send_now(tx, [packet])
    }
}

/// Puts `packets` into the link's buffer and tells the router once. Blocks while the router's inbox is full.
fn send_now(tx: &mut LinkTx, packets: impl IntoIterator<Item = Packet>) -> Result<(), Gone> {
    let mut packets = packets.into_iter().peekable();
    let mut last = None;
    {
        let mut buffer = tx.buffer();
        while let Some(packet) = packets.next() {
            if packets.peek().is_none() {
                last = Some(packet);
            } else {
                buffer.push_back(packet);
            }
        }
    }
    let Some(last) = last else { return Ok(()) };
    let sending = std::pin::pin!(tx.send(last));
    // The call is declared async and never waits: it blocks.
    match sending.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(_)) | Poll::Pending => Ok(()),
        Poll::Ready(Err(_)) => Err(Gone),
    }
}

fn subscribe(filter: String, subscription: u32) -> Packet {
    let filters = vec![RawFilter {
        path: filter,
        qos: QoS::AtMostOnce,
        nolocal: false,
        preserve_retain: false,
        retain_forward_rule: RetainForwardRule::Never,
    }];
    let properties = SubscribeProperties { id: Some(subscription as usize), user_properties: Vec::new() };
    Packet::Subscribe(Subscribe { pkid: 1, filters }, Some(properties))
}
