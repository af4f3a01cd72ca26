//! The link to the hub: one MQTT connection at a time, made again with growing, jittered delays.
//!
//! Each connection is a new client with nothing left over from the one before, so that nothing is ever sent late. The last
//! will says `offline`. MQTT 5 is tried first, and 3.1.1 where a broker does not know it. What the messages mean is not here.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{sync::mpsc, task::JoinHandle};

use crate::{clock, config::HubAddress};

mod backoff;
mod login;
mod packet;
mod session;
mod stream;
#[cfg(feature = "tls")]
mod tls;
mod why;

use backoff::Backoff;
pub use login::{Login, LoginError};
use packet::Version;
use why::Why;

/// Events that wait for the run loop; then the connection is not read on.
const EVENTS_MAX: usize = 64;
/// What waits to be sent; more is refused.
const ORDERS_MAX: usize = 64;
/// Publishes that wait for their acknowledgement; then the queue is not read on.
const IN_FLIGHT_MAX: usize = 64;
/// The largest packet that is taken.
const PACKET_BYTES_MAX: u32 = 64 * 1024;
/// From the first SYN to the CONNACK.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// How long a clean stop may take.
const STOP_WITHIN: Duration = Duration::from_secs(2);
/// A connection that lasted this long was a good one: the next delay is short again.
const GOOD_AFTER: Duration = Duration::from_secs(5);

/// What the link tells.
#[derive(Debug)]
pub enum LinkEvent {
    /// There is a connection; publishes go to this publisher until it ends.
    Connected {
        /// 5, or 4 for MQTT 3.1.1.
        protocol: u8,
        /// The way out.
        publisher: Publisher,
    },
    /// There is none any more, or none could be had.
    Disconnected {
        /// Why, for people.
        reason: String,
    },
    /// A message came.
    Message {
        /// Its topic.
        topic: String,
        /// Its payload.
        payload: Vec<u8>,
    },
    /// A publish with a token is acknowledged.
    Acknowledged {
        /// The token.
        token: u64,
        /// Why it was refused all the same, where it was.
        refused: Option<String>,
    },
}

/// Something to be sent.
#[derive(Debug)]
enum Order {
    Publish { topic: String, payload: String, retain: bool, token: Option<u64> },
    Subscribe(Vec<String>),
    Disconnect,
}

/// The way out over one connection.
#[derive(Debug, Clone)]
pub struct Publisher(mpsc::Sender<Order>);

impl Publisher {
    /// Queues a publish at QoS 1; false when the queue is full or the connection gone.
    pub fn publish(&self, topic: &str, payload: &str, retain: bool, token: Option<u64>) -> bool {
        let order = Order::Publish { topic: topic.to_owned(), payload: payload.to_owned(), retain, token };
        self.0.try_send(order).is_ok()
    }

    /// Queues subscriptions at QoS 1; false when they cannot be.
    pub fn subscribe(&self, filters: &[String]) -> bool {
        self.0.try_send(Order::Subscribe(filters.to_vec())).is_ok()
    }

    fn disconnect(&self) {
        // Where this fails the connection is gone, which was the purpose.
        let _gone = self.0.try_send(Order::Disconnect).is_err();
    }
}

/// The link: a task that keeps a connection.
#[derive(Debug)]
pub struct Link {
    events: mpsc::Receiver<LinkEvent>,
    stopping: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Link {
    /// Starts to connect to `address`, and to connect again, until it is stopped.
    pub fn start(address: HubAddress, login: Login) -> Self {
        let (tell, events) = mpsc::channel(EVENTS_MAX);
        let stopping = Arc::new(AtomicBool::new(false));
        let task = tokio::spawn(keep_connected(address, login, tell, Arc::clone(&stopping)));
        Self { events, stopping, task }
    }

    /// The next event; none after the task has ended, which it does when it is stopped only.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn next(&mut self) -> Option<LinkEvent> {
        self.events.recv().await
    }

    /// Says good-bye over `publisher`, after what is queued there, and ends.
    pub async fn stop(mut self, publisher: Option<Publisher>) {
        self.stopping.store(true, Ordering::Relaxed);
        if let Some(publisher) = publisher {
            publisher.disconnect();
            let drained = async { while self.events.recv().await.is_some() {} };
            // A peer that does not listen is not waited for; its broker sends the will.
            let _late = tokio::time::timeout(STOP_WITHIN, drained).await.is_err();
        }
        self.task.abort();
    }
}

async fn keep_connected(address: HubAddress, login: Login, tell: mpsc::Sender<LinkEvent>, stopping: Arc<AtomicBool>) {
    let mut backoff = Backoff::new();
    let mut version = Version::V5;
    loop {
        let began = clock::now();
        let end = match locate(&address, &login).await {
            Ok(place) => session::session(&place, version, &login, &tell).await,
            Err(reason) => Why::Other.because(reason),
        };
        if end.why == Why::Stopped || stopping.load(Ordering::Relaxed) {
            return;
        }
        if tell.send(LinkEvent::Disconnected { reason: end.reason }).await.is_err() {
            return;
        }
        if clock::now().since(began) >= GOOD_AFTER {
            backoff = Backoff::new();
        }
        if end.why == Why::Version {
            version = if version == Version::V5 { Version::V3 } else { Version::V5 };
            if version == Version::V3 {
                continue;
            }
        }
        tokio::time::sleep(backoff.next(end.why)).await;
    }
}

/// A place to connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// A name or address; an IPv6 address may be in brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Whether by TLS.
    pub tls: bool,
    /// The name that its certificate should have, where that is not the host.
    pub name: Option<String>,
}

/// Where to connect to now; `auto` is looked for each time, since a hub may have moved.
async fn locate(address: &HubAddress, login: &Login) -> Result<Place, String> {
    match address {
        HubAddress::At { host, port, tls } => Ok(Place { host: host.clone(), port: *port, tls: *tls, name: None }),
        #[cfg(feature = "mdns")]
        HubAddress::Auto => crate::discover::find_hub(login.wants_tls()).await,
        #[cfg(not(feature = "mdns"))]
        HubAddress::Auto => {
            let _ = login;
            Err("this build has no mDNS".to_owned())
        }
    }
}
