//! `$SYS/#`: what the broker is doing, under mosquitto's names.
//!
//! The values live here, not in the retained tree: they are no state of the house and belong on no disk. While somebody is subscribed,
//! those that changed are published every ten seconds.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
    time::Duration,
};

use bytes::Bytes;
use tokio::{sync::mpsc, time::Instant};

use super::state::State;
use crate::{
    domain::{
        origin::Origin,
        publication::{Level, Publication, Qos},
        topic::Topic,
    },
    engine::Retained,
};

/// How often values are looked at.
pub(super) const INTERVAL: Duration = Duration::from_secs(10);

/// The values as they were last published.
#[derive(Debug)]
pub(super) struct Sys {
    started_at: Instant,
    values: Mutex<BTreeMap<&'static str, String>>,
}

impl Sys {
    pub(super) fn new() -> Self {
        Self { started_at: Instant::now(), values: Mutex::default() }
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

    /// Takes the values of now; returns those that changed.
    fn update(&self, now: BTreeMap<&'static str, String>) -> Vec<Publication> {
        let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        let changed: Vec<_> = now.iter().filter(|(topic, value)| values.get(*topic) != Some(*value)).collect();
        let publications = changed.into_iter().filter_map(|(topic, value)| publication(topic, value)).collect();
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
    loop {
        let sizes = state.engine.sizes().await.unwrap_or_default();
        let changed = state.sys.update(measure(&state, sizes.retained, sizes.retained_bytes));
        if !changed.is_empty() && writer.send(changed).await.is_err() {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(INTERVAL) => {}
            () = state.cancel.cancelled() => return,
        }
    }
}

fn measure(state: &State, retained: usize, retained_bytes: usize) -> BTreeMap<&'static str, String> {
    let stats = &state.stats;
    let load = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed).to_string();
    let (connected, peak) = state.connections.counts();
    let sessions = state.registry.len();
    BTreeMap::from([
        ("$SYS/broker/version", concat!("lockstep ", env!("CARGO_PKG_VERSION")).to_owned()),
        ("$SYS/broker/uptime", format!("{} seconds", state.sys.started_at.elapsed().as_secs())),
        ("$SYS/broker/clients/connected", connected.to_string()),
        ("$SYS/broker/clients/active", connected.to_string()),
        ("$SYS/broker/clients/disconnected", sessions.saturating_sub(connected).to_string()),
        ("$SYS/broker/clients/inactive", sessions.saturating_sub(connected).to_string()),
        ("$SYS/broker/clients/total", sessions.max(connected).to_string()),
        ("$SYS/broker/clients/maximum", peak.to_string()),
        ("$SYS/broker/messages/received", load(&stats.packets_received)),
        ("$SYS/broker/publish/messages/received", load(&stats.publishes_received)),
        ("$SYS/broker/publish/messages/sent", load(&stats.publishes_sent)),
        ("$SYS/broker/publish/messages/dropped", load(&stats.dropped)),
        ("$SYS/broker/publish/bytes/sent", load(&stats.publish_bytes_sent)),
        ("$SYS/broker/retained messages/count", retained.to_string()),
        ("$SYS/broker/store/messages/count", retained.to_string()),
        ("$SYS/broker/store/messages/bytes", retained_bytes.to_string()),
        ("$SYS/broker/subscriptions/count", state.filters.load(Ordering::Relaxed).to_string()),
    ])
}
