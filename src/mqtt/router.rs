//! rumqttd's router, the broker's core: who subscribed to what, and a log for every filter.
//!
//! It is embedded through `Router::new().spawn()` and `LinkBuilder`, and sees nothing that a client said: link ids are numbers of our
//! own, topics carry an ASCII prefix (`t/` in front, `d/` for those that begin with `$`), every subscription is QoS 0 and has a number
//! of our own, and what it must not know rides in front of the payload ([`header`](super::header)).
//!
//! Two of its calls may block, `build` and `send`: a thread of its own, the *linker*, makes them for all sessions. The
//! [writer](super::writer) hands in by a call that does not, so that no thread has to be woken on a message's way into the router.
//! Sessions only read. When to replace a router does not belong here.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::{BufMut, Bytes, BytesMut};
use flume::TrySendError;
use rumqttd::{
    Notification, Router, RouterConfig,
    local::{LinkBuilder, LinkError, LinkRx, LinkTx},
    protocol::{
        Disconnect, DisconnectReasonCode, Filter as RawFilter, Packet, PingReq, Publish, QoS, RetainForwardRule,
        Subscribe, SubscribeProperties, Unsubscribe,
    },
};
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

use super::settings::Limits;

/// The router is dead, or is taken for dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the router is gone")]
pub(super) struct Gone;

/// Orders that wait for the linker.
const ORDERS_MAX: usize = 4096;

/// Links that are closed behind one round trip.
const CLOSING_TOGETHER: usize = 64;

/// How long the writer waits before it looks again whether the router's inbox has room.
const INBOX_LOOK: Duration = Duration::from_millis(1);

/// Messages that the router hands a link in one go before it looks after others.
const FORWARDS_MAX: u64 = 500;

/// The way to one router. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct RouterHandle {
    orders: mpsc::Sender<Order>,
    generation: u64,
    /// Set when another router has taken over.
    retired: Arc<AtomicBool>,
}

#[derive(Debug)]
enum Order {
    Open { reply: oneshot::Sender<Link> },
    Subscribe { link: u64, filter: String, subscription: u32 },
    Unsubscribe { link: u64, filter: String },
    Close { link: u64 },
    Poison,
    Hang { released: std::sync::mpsc::Receiver<()> },
}

type Build = dyn Fn(&str) -> Result<(LinkTx, LinkRx), Gone> + Send;

/// Starts a router, its linker, and the link that the writer publishes through.
///
/// Blocks until the router answers: call it on a thread of its own.
pub(super) fn start(generation: u64, limits: &Limits) -> Result<(RouterHandle, Feed), Gone> {
    let config = RouterConfig {
        max_connections: limits.sessions_max.saturating_mul(2).max(64),
        max_outgoing_packet_count: FORWARDS_MAX,
        max_segment_size: limits.router_segment_bytes.max(1024),
        max_segment_count: limits.router_segments.max(2),
        ..RouterConfig::default()
    };
    let events = Router::new(usize::try_from(generation).unwrap_or(0), config).spawn();
    let bell_events = events.clone();
    let build: Box<Build> = Box::new(move |id| {
        let (tx, rx, _) =
            LinkBuilder::new(id, events.clone()).clean_session(true).dynamic_filters(true).build().map_err(|_| Gone)?;
        Ok((tx, rx))
    });
    let (tx, rx) = build("writer")?;
    let (own, own_rx) = build("linker")?;
    // Rings at the router for the linker's link without touching that link's buffer.
    let bell = LinkTx::new(own_rx.id(), bell_events, Arc::default());
    let (orders, inbox) = mpsc::channel(ORDERS_MAX);
    let retired = Arc::new(AtomicBool::new(false));
    let handle = RouterHandle { orders, generation, retired: Arc::clone(&retired) };
    let linker = Linker {
        build,
        own,
        own_rx,
        pings: 0,
        closing: Vec::new(),
        used: Vec::new(),
        timeout: limits.router_timeout,
        bell,
        links: HashMap::new(),
        next: 1,
        free_names: Vec::new(),
        orders: handle.orders.downgrade(),
        generation,
        retired,
    };
    std::thread::Builder::new().name("mqtt-linker".to_owned()).spawn(move || linker.run(inbox)).map_err(|_| Gone)?;
    Ok((handle, Feed { tx, rx }))
}

/// The thread that makes the calls that may block. It ends with its router, or when nobody has a way to it any more.
struct Linker {
    build: Box<Build>,
    own: LinkTx,
    own_rx: LinkRx,
    /// Signs of life on the linker's own link that are not answered yet.
    pings: usize,
    /// Links that nobody uses any more and that the router still has.
    closing: Vec<u64>,
    /// Links through which something was sent, and whose buffer the router may have exchanged for a large one.
    used: Vec<u64>,
    timeout: Duration,
    bell: LinkTx,
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
    fn run(mut self, mut inbox: mpsc::Receiver<Order>) {
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
        send_now(&mut self.own, [Packet::PingReq(PingReq)])?;
        self.pings += 1;
        let deadline = (Instant::now() + self.timeout).into_std();
        while self.pings > 0 {
            match self.own_rx.recv_deadline(deadline) {
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
        send_now(&mut self.own, [subscribe("t/poison".to_owned(), 1), publish])
    }

    /// Holds the lock that the router takes next, until the other end of `released` is gone.
    fn hang(&mut self, released: &std::sync::mpsc::Receiver<()>) -> Result<(), Gone> {
        let held = self.own.buffer();
        let rung = send_now(&mut self.bell, [Packet::PingReq(PingReq)]);
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

impl RouterHandle {
    /// Which router: grows by one with each replacement.
    pub(super) const fn generation(&self) -> u64 {
        self.generation
    }

    /// Another router has taken over: this one may end when nobody is linked to it any more.
    pub(super) fn retire(&self) {
        self.retired.store(true, Ordering::Release);
    }

    /// A new link.
    pub(super) async fn open(&self) -> Result<Link, Gone> {
        let (reply, link) = oneshot::channel();
        self.orders.send(Order::Open { reply }).await.map_err(|_| Gone)?;
        link.await.map_err(|_| Gone)
    }

    /// Kills the router by the topic that it cannot read: for tests of what happens then.
    pub(super) async fn poison(&self) {
        // A router that is dead already needs none.
        let _ = self.orders.send(Order::Poison).await;
    }

    /// Lets the router hang: for tests of what happens then.
    pub(super) async fn hang(&self, released: std::sync::mpsc::Receiver<()>) {
        let _ = self.orders.send(Order::Hang { released }).await;
    }
}

/// What comes out of a link.
#[derive(Debug)]
pub(super) enum Delivered {
    /// A message for a subscription.
    Message {
        /// The number that the subscription was made with.
        subscription: u32,
        /// The topic without the prefix.
        topic: Bytes,
        /// Header and payload.
        payload: Bytes,
        /// Its place in the log of its filter: without a gap, unless the log lapped this link.
        place: Option<u64>,
    },
    /// A subscription is in force: everything published from now on arrives.
    Subscribed,
    /// The router waits until [`Link::resume`] is called.
    Resting,
}

/// A session's end at the router. Dropping it takes back everything it subscribed to.
#[derive(Debug)]
pub(super) struct Link {
    number: u64,
    rx: LinkRx,
    handle: RouterHandle,
    /// Set while a [`resume`](Self::resume) is owed.
    resting: bool,
}

impl Link {
    /// Which router it belongs to.
    pub(super) const fn generation(&self) -> u64 {
        self.handle.generation
    }

    /// Asks for everything that `filter` (a client's) matches, to be marked with `subscription`. [`Delivered::Subscribed`] follows.
    pub(super) async fn subscribe(&self, filter: &str, subscription: u32) -> Result<(), Gone> {
        let order = Order::Subscribe { link: self.number, filter: mapped(filter), subscription };
        self.handle.orders.send(order).await.map_err(|_| Gone)
    }

    /// Takes it back. What is under way still arrives.
    pub(super) async fn unsubscribe(&self, filter: &str) -> Result<(), Gone> {
        let order = Order::Unsubscribe { link: self.number, filter: mapped(filter) };
        self.handle.orders.send(order).await.map_err(|_| Gone)
    }

    /// What comes next.
    ///
    /// # Cancel safety
    /// Cancelling loses nothing.
    pub(super) async fn next(&mut self) -> Result<Delivered, Gone> {
        loop {
            let notification = self.rx.next().await.map_err(|_| Gone)?;
            if let Some(delivered) = self.read(notification)? {
                return Ok(delivered);
            }
        }
    }

    /// What is there already.
    pub(super) fn try_next(&mut self) -> Result<Option<Delivered>, Gone> {
        loop {
            let polled = {
                let next = std::pin::pin!(self.rx.next());
                next.poll(&mut Context::from_waker(Waker::noop()))
            };
            let notification = match polled {
                Poll::Ready(notification) => notification.map_err(|_| Gone)?,
                Poll::Pending => return Ok(None),
            };
            if let Some(delivered) = self.read(notification)? {
                return Ok(Some(delivered));
            }
        }
    }

    fn read(&mut self, notification: Option<Notification>) -> Result<Option<Delivered>, Gone> {
        match notification {
            Some(Notification::Forward(forward)) => {
                let id = forward.properties.and_then(|properties| properties.subscription_identifiers.first().copied());
                let subscription = id.and_then(|id| u32::try_from(id).ok()).unwrap_or(0);
                let topic = unmapped(forward.publish.topic);
                let place = forward.cursor.map(|(_, place)| place);
                Ok(Some(Delivered::Message { subscription, topic, payload: forward.publish.payload, place }))
            }
            Some(Notification::DeviceAck(ack)) => match Packet::from(ack) {
                Packet::SubAck(..) => Ok(Some(Delivered::Subscribed)),
                _ => Ok(None),
            },
            Some(Notification::Unschedule) => {
                self.resting = true;
                Ok(Some(Delivered::Resting))
            }
            Some(Notification::Disconnect(..)) => Err(Gone),
            _ => Ok(None),
        }
    }

    /// Lets the router go on after [`Delivered::Resting`]. Does nothing where the router does not wait.
    ///
    /// Not to be cancelled: whoever calls it awaits it outside of any `select!`, and treats a timeout as [`Gone`].
    pub(super) async fn resume(&mut self) -> Result<(), Gone> {
        if std::mem::take(&mut self.resting) { self.rx.wake().await.map_err(|_| Gone) } else { Ok(()) }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // Nothing may touch the link after this order (a `Ready` for a link that is gone kills the router): the receiver is
        // dropped with `self`. Where the linker's inbox is full of other orders, a task of its own waits for room.
        let order = Order::Close { link: self.number };
        if let Err(mpsc::error::TrySendError::Full(order)) = self.handle.orders.try_send(order)
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let orders = self.handle.orders.clone();
            runtime.spawn(async move { orders.send(order).await });
        }
    }
}

/// The writer's link.
pub(super) struct Feed {
    tx: LinkTx,
    rx: LinkRx,
}

/// A message for the router.
#[derive(Debug, Clone)]
pub(super) struct Fed {
    /// The topic with its prefix ([`mapped_bytes`]).
    pub(super) topic: Bytes,
    /// Header and payload.
    pub(super) payload: Bytes,
}

impl Feed {
    /// Hands in `messages` and asks for a sign of life behind them. A router that has no room for as long as `patience` is gone.
    pub(super) async fn send(
        &mut self,
        messages: impl IntoIterator<Item = Fed>,
        patience: Duration,
    ) -> Result<(), Gone> {
        {
            let mut buffer = self.tx.buffer();
            let publish = |fed: Fed| Packet::Publish(Publish::new(fed.topic, fed.payload, false), None);
            buffer.extend(messages.into_iter().map(publish));
            buffer.push_back(Packet::PingReq(PingReq));
        }
        let began = Instant::now();
        loop {
            // Of what tells the router that there is something, this alone neither blocks nor means anything: nothing is so called.
            match self.tx.try_unsubscribe(String::new()) {
                Ok(_) => return Ok(()),
                Err(LinkError::TrySend(TrySendError::Full(_))) if began.elapsed() < patience => {
                    tokio::time::sleep(INBOX_LOOK).await;
                }
                Err(_) => return Err(Gone),
            }
        }
    }

    /// Waits for the sign of life of one [`send`](Self::send).
    pub(super) async fn confirmed(&mut self) -> Result<(), Gone> {
        loop {
            match self.rx.next().await.map_err(|_| Gone)? {
                Some(Notification::DeviceAck(ack)) => {
                    if matches!(Packet::from(ack), Packet::PingResp(_)) {
                        return Ok(());
                    }
                }
                Some(Notification::Disconnect(..)) => return Err(Gone),
                _ => {}
            }
        }
    }
}

/// A client's topic or filter as the router knows it.
fn mapped(topic: &str) -> String {
    let prefix = if topic.starts_with('$') { "d/" } else { "t/" };
    [prefix, topic].concat()
}

/// A topic as the router knows it.
pub(super) fn mapped_bytes(topic: &str) -> Bytes {
    let mut out = BytesMut::with_capacity(topic.len() + 2);
    out.put_slice(if topic.starts_with('$') { b"d/" } else { b"t/" });
    out.put_slice(topic.as_bytes());
    out.freeze()
}

/// The topic behind the prefix.
fn unmapped(topic: Bytes) -> Bytes {
    if topic.len() < 2 { Bytes::new() } else { topic.slice(2..) }
}

/// What a router knows, shared: the current one and the changes to it.
pub(super) type Current = tokio::sync::watch::Receiver<Arc<RouterHandle>>;
