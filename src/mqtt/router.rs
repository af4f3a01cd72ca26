//! rumqttd's router, the broker's core: who subscribed to what, and a log for every filter.
//!
//! It is embedded through `Router::new().spawn()` and `LinkBuilder`, and sees nothing that a client said: link ids are numbers of our
//! own, topics carry an ASCII prefix (`t/` in front, `d/` for those that begin with `$`), every subscription is QoS 0 and has a number
//! of our own, and what it must not know rides in front of the payload ([`header`](super::header)).
//!
//! Two of its calls may block, `build` and `send`: a thread of its own, the *linker*, makes them for all sessions. The
//! [writer](super::writer) hands in by a call that does not, so that no thread has to be woken on a message's way into the router.
//! Sessions only read. When to replace a router does not belong here.

mod linker;

use std::{
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
    protocol::{Packet, PingReq, Publish},
};
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

use self::linker::{Build, Linker, Order, Own};
use super::settings::Limits;

/// The router is dead, or is taken for dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the router is gone")]
pub(super) struct Gone;

/// Orders that wait for the linker.
const ORDERS_MAX: usize = 4096;

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
    let bell = LinkTx::new(own_rx.id(), bell_events, Arc::default());
    let (orders, inbox) = mpsc::channel(ORDERS_MAX);
    let handle = RouterHandle { orders, generation, retired: Arc::default() };
    let linker = Linker::new(build, Own { tx: own, rx: own_rx, bell }, &handle, limits.router_timeout);
    std::thread::Builder::new().name("mqtt-linker".to_owned()).spawn(move || linker.run(inbox)).map_err(|_| Gone)?;
    Ok((handle, Feed { tx, rx }))
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
