//! The link to the hub: one MQTT connection at a time, made again with growing, jittered delays.
//!
//! Each connection is a new client with nothing left over from the one before, so that nothing is ever sent late. The last
//! will says `offline`. MQTT 5 is tried first, and 3.1.1 where a broker does not know it. What the messages mean is not here.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{sync::mpsc, task::JoinHandle};

use crate::{clock, config::HubAddress};

mod backoff;
mod login;
#[cfg(feature = "tls")]
mod tls;
mod v4;
mod v5;

use backoff::Backoff;
pub use login::{Login, LoginError};

/// Events that wait for the run loop; then the connection is not read on.
const EVENTS_MAX: usize = 64;
/// Publishes that wait for the connection; more are refused.
const PUBLISHES_MAX: usize = 64;
/// Publishes that wait for their acknowledgement; the client keeps a table of that length, by default of 65,535 places.
const IN_FLIGHT_MAX: u16 = 64;
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

/// The publishes that are under way, in order, with their tokens.
#[derive(Debug, Clone, Default)]
struct Sent(Arc<Mutex<VecDeque<Option<u64>>>>);

impl Sent {
    fn push(&self, token: Option<u64>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_back(token);
    }

    fn take_back(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop_back();
    }

    fn next(&self) -> Option<u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop_front().flatten()
    }
}

/// The tokens of the publishes on the wire, by packet id.
#[derive(Debug)]
struct OnWire {
    sent: Sent,
    by_packet_id: std::collections::BTreeMap<u16, u64>,
}

impl OnWire {
    const fn new(sent: Sent) -> Self {
        Self { sent, by_packet_id: std::collections::BTreeMap::new() }
    }

    /// The next publish went out as `packet_id`.
    fn went_out(&mut self, packet_id: u16) {
        if let Some(token) = self.sent.next() {
            self.by_packet_id.insert(packet_id, token);
        }
    }

    fn acknowledged(&mut self, packet_id: u16) -> Option<u64> {
        self.by_packet_id.remove(&packet_id)
    }
}

#[derive(Debug, Clone)]
enum Client {
    V4(rumqttc::AsyncClient),
    V5(rumqttc::v5::AsyncClient),
}

/// The way out over one connection.
#[derive(Debug, Clone)]
pub struct Publisher {
    client: Client,
    sent: Sent,
}

impl Publisher {
    /// Queues a publish at QoS 1; false when the queue is full or the connection gone.
    pub fn publish(&self, topic: &str, payload: &str, retain: bool, token: Option<u64>) -> bool {
        // The token first: the connection's task may take the publish at once.
        self.sent.push(token);
        let queued = match &self.client {
            Client::V4(client) => client.try_publish(topic, rumqttc::QoS::AtLeastOnce, retain, payload).is_ok(),
            Client::V5(client) => {
                let qos = rumqttc::v5::mqttbytes::QoS::AtLeastOnce;
                client.try_publish(topic, qos, retain, payload.to_owned()).is_ok()
            }
        };
        if !queued {
            self.sent.take_back();
        }
        queued
    }

    /// Queues subscriptions at QoS 1; false when they cannot be.
    pub fn subscribe(&self, filters: &[String]) -> bool {
        match &self.client {
            Client::V4(client) => {
                let filter = |path: &String| rumqttc::SubscribeFilter::new(path.clone(), rumqttc::QoS::AtLeastOnce);
                client.try_subscribe_many(filters.iter().map(filter)).is_ok()
            }
            Client::V5(client) => {
                let qos = rumqttc::v5::mqttbytes::QoS::AtLeastOnce;
                let filter = |path: &String| rumqttc::v5::mqttbytes::v5::Filter::new(path.clone(), qos);
                client.try_subscribe_many(filters.iter().map(filter)).is_ok()
            }
        }
    }

    fn disconnect(&self) {
        // Where this fails the connection is gone, which was the purpose.
        let _gone = match &self.client {
            Client::V4(client) => client.try_disconnect().is_err(),
            Client::V5(client) => client.try_disconnect().is_err(),
        };
    }
}

/// How a connection ended.
#[derive(Debug)]
struct End {
    reason: String,
    why: Why,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    /// The network, or the broker's own reasons.
    Other,
    /// The other side does not seem to know this version of MQTT.
    Version,
    /// Another box with the same id connected.
    TakenOver,
    /// User, password or rights.
    Refused,
    /// Nobody listens any more.
    Stopped,
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
    let mut version5 = true;
    loop {
        let began = clock::now();
        let end = match locate(&address).await {
            Ok((host, port, tls)) if version5 => v5::session(&host, port, tls, &login, &tell).await,
            Ok((host, port, tls)) => v4::session(&host, port, tls, &login, &tell).await,
            Err(reason) => End { reason, why: Why::Other },
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
            version5 = !version5;
            if !version5 {
                continue;
            }
        }
        tokio::time::sleep(backoff.next(end.why)).await;
    }
}

/// Where to connect to now; `auto` is looked for each time, since a hub may have moved.
async fn locate(address: &HubAddress) -> Result<(String, u16, bool), String> {
    match address {
        HubAddress::At { host, port, tls } => Ok((host.clone(), *port, *tls)),
        #[cfg(feature = "mdns")]
        HubAddress::Auto => crate::discover::find_hub().await.map(|(host, port)| (host, port, false)),
        #[cfg(not(feature = "mdns"))]
        HubAddress::Auto => Err("this build has no mDNS".to_owned()),
    }
}

const TAKEN_OVER: &str = "another box with the same id connected: give one of them another --id";
const CLOSED: &str = "the hub closed the connection";
const SILENT: &str = "the hub does not answer any more";
const REFUSED: &str = "the hub refused user or password: see --user and --password-file";

/// How the connection is carried; none: plain TCP, which is the default.
#[cfg(feature = "tls")]
fn transport(tls: bool, login: &Login) -> Option<rumqttc::Transport> {
    let config = login.tls.clone().filter(|_| tls)?;
    Some(rumqttc::Transport::Tls(rumqttc::TlsConfiguration::Rustls(config)))
}

/// How the connection is carried: plain TCP, the configuration accepts nothing else in this build.
#[cfg(not(feature = "tls"))]
const fn transport(_tls: bool, _login: &Login) -> Option<rumqttc::Transport> {
    None
}

/// Why the network failed, in words for people where there are some.
fn io_reason(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::ConnectionRefused => "nobody listens there".to_owned(),
        std::io::ErrorKind::ConnectionAborted
        | std::io::ErrorKind::ConnectionReset
        | std::io::ErrorKind::UnexpectedEof => CLOSED.to_owned(),
        _ => error.to_string(),
    }
}
