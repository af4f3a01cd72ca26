//! `$SYS/#`: what the broker is doing, under mosquitto 2.0's names; `heap/…` alone is missing.
//!
//! The values live here, not in the retained tree: they are no state of the house and belong on no disk. While somebody is subscribed,
//! those that changed are published every ten seconds.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use tokio::{sync::mpsc, time::Instant};

use super::state::{State, Stats};
use crate::{
    domain::{
        origin::Origin,
        publication::{Level, Publication, Qos},
        topic::{Filter, Topic},
    },
    engine::Retained,
};

/// The three topics of one load.
macro_rules! topics {
    ($what:literal) => {
        [
            concat!("$SYS/broker/load/", $what, "/1min"),
            concat!("$SYS/broker/load/", $what, "/5min"),
            concat!("$SYS/broker/load/", $what, "/15min"),
        ]
    };
}

/// How often values are looked at.
pub(super) const INTERVAL: Duration = Duration::from_secs(10);

/// The values as they were last published.
#[derive(Debug)]
pub(super) struct Sys {
    started_at: Instant,
    values: Mutex<BTreeMap<&'static str, String>>,
    /// Shared by everybody who is subscribed.
    readers: Arc<()>,
}

/// Somebody is subscribed to these topics for as long as it is held.
pub(super) type Reader = Arc<()>;

impl Sys {
    pub(super) fn new() -> Self {
        Self { started_at: Instant::now(), values: Mutex::default(), readers: Arc::default() }
    }

    /// What a subscription to `filter` holds while there is one, where it can match these topics.
    pub(super) fn reader(&self, filter: &Filter) -> Option<Reader> {
        filter.as_str().starts_with("$SYS/").then(|| Arc::clone(&self.readers))
    }

    fn is_read(&self) -> bool {
        Arc::strong_count(&self.readers) > 1
    }

    /// The values, for somebody who subscribes.
    pub(super) fn values(&self) -> Vec<Retained> {
        let values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        let retained = |(topic, value): (&&'static str, &String)| {
            Some(Retained {
                topic: Topic::parse(topic).ok()?,
                payload: Bytes::copy_from_slice(value.as_bytes()),
                seq: 0,
                qos: Qos::AtMostOnce,
                level: Level::Derived,
                origin: Origin::Hub,
                expires_at: None,
                properties: None,
            })
        };
        values.iter().filter_map(retained).collect()
    }

    /// Takes the values of now; returns those that changed, where somebody reads them.
    fn update(&self, now: BTreeMap<&'static str, String>) -> Vec<Publication> {
        let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        let publications = if self.is_read() {
            let changed = now.iter().filter(|(topic, value)| values.get(*topic) != Some(*value));
            changed.filter_map(|(topic, value)| publication(topic, value)).collect()
        } else {
            Vec::new()
        };
        *values = now;
        publications
    }
}

fn publication(topic: &str, value: &str) -> Option<Publication> {
    Some(Publication {
        seq: 0,
        topic: Topic::parse(topic).ok()?,
        payload: Bytes::copy_from_slice(value.as_bytes()),
        level: Level::Derived,
        qos: Qos::AtMostOnce,
        origin: Origin::Hub,
        session: None,
        expires_at: None,
        properties: None,
    })
}

/// Keeps the values fresh and hands changes to the writer, until the door stops.
pub(super) async fn run(state: Arc<State>, writer: mpsc::Sender<Vec<Publication>>) {
    let mut loads = Loads::default();
    loop {
        let sizes = state.engine.sizes().await.unwrap_or_default();
        let changed = state.sys.update(measure(&state, &mut loads, sizes.retained, sizes.retained_bytes));
        if !changed.is_empty() && writer.send(changed).await.is_err() {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(INTERVAL) => {}
            () = state.cancel.cancelled() => return,
        }
    }
}

fn measure(state: &State, loads: &mut Loads, retained: usize, retained_bytes: usize) -> BTreeMap<&'static str, String> {
    let stats = &state.stats;
    let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed).to_string();
    let (connected, peak) = state.connections.counts();
    let sessions = state.registry.len();
    let away = sessions.saturating_sub(connected).to_string();
    let mut values = BTreeMap::from([
        ("$SYS/broker/version", concat!("lockstep ", env!("CARGO_PKG_VERSION")).to_owned()),
        ("$SYS/broker/uptime", format!("{} seconds", state.sys.started_at.elapsed().as_secs())),
        ("$SYS/broker/clients/connected", connected.to_string()),
        ("$SYS/broker/clients/active", connected.to_string()),
        ("$SYS/broker/clients/disconnected", away.clone()),
        ("$SYS/broker/clients/inactive", away),
        ("$SYS/broker/clients/total", sessions.max(connected).to_string()),
        ("$SYS/broker/clients/maximum", peak.to_string()),
        ("$SYS/broker/clients/expired", load(&stats.expired)),
        ("$SYS/broker/bytes/received", load(&stats.bytes_received)),
        ("$SYS/broker/bytes/sent", load(&stats.bytes_sent)),
        ("$SYS/broker/messages/received", load(&stats.packets_received)),
        ("$SYS/broker/messages/sent", load(&stats.packets_sent)),
        ("$SYS/broker/messages/stored", retained.to_string()),
        ("$SYS/broker/publish/messages/received", load(&stats.publishes_received)),
        ("$SYS/broker/publish/messages/sent", load(&stats.publishes_sent)),
        ("$SYS/broker/publish/messages/dropped", load(&stats.dropped)),
        ("$SYS/broker/publish/bytes/received", load(&stats.publish_bytes_received)),
        ("$SYS/broker/publish/bytes/sent", load(&stats.publish_bytes_sent)),
        ("$SYS/broker/retained messages/count", retained.to_string()),
        ("$SYS/broker/store/messages/count", retained.to_string()),
        ("$SYS/broker/store/messages/bytes", retained_bytes.to_string()),
        ("$SYS/broker/subscriptions/count", state.filters.load(Ordering::Relaxed).to_string()),
        ("$SYS/broker/shared_subscriptions/count", state.groups.len().to_string()),
    ]);
    loads.add(stats, &mut values);
    values
}

/// The moving averages below `$SYS/broker/load`, in things a minute.
#[derive(Debug, Default)]
struct Loads {
    before: [u64; LOADS],
    averages: [[f64; 3]; LOADS],
}

const LOADS: usize = 9;

/// Over how many minutes each average goes.
const SPANS_MIN: [f64; 3] = [1.0, 5.0, 15.0];

const LOAD_TOPICS: [[&str; 3]; LOADS] = [
    topics!("bytes/received"),
    topics!("bytes/sent"),
    topics!("connections"),
    topics!("messages/received"),
    topics!("messages/sent"),
    topics!("publish/dropped"),
    topics!("publish/received"),
    topics!("publish/sent"),
    topics!("sockets"),
];

impl Loads {
    /// Takes what was counted in the last [`INTERVAL`]: each average moves towards it by its share of its span.
    fn add(&mut self, stats: &Stats, values: &mut BTreeMap<&'static str, String>) {
        let now = [
            &stats.bytes_received,
            &stats.bytes_sent,
            &stats.connections,
            &stats.packets_received,
            &stats.packets_sent,
            &stats.dropped,
            &stats.publishes_received,
            &stats.publishes_sent,
            &stats.connections,
        ]
        .map(|counter| counter.load(Ordering::Relaxed));
        let interval_min = INTERVAL.as_secs_f64() / 60.0;
        for (place, count) in now.into_iter().enumerate() {
            let counted = count.saturating_sub(self.before[place]);
            let a_minute = u32::try_from(counted).map_or(f64::from(u32::MAX), f64::from) / interval_min;
            self.before[place] = count;
            for (span, average) in self.averages[place].iter_mut().enumerate() {
                *average += (a_minute - *average) * (1.0 - (-interval_min / SPANS_MIN[span]).exp());
                values.insert(LOAD_TOPICS[place][span], format!("{average:.2}"));
            }
        }
    }
}
