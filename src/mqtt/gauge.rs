//! Back-pressure: a reader that falls behind holds exactly those publishers whose messages it gets.
//!
//! How long a reader may do that does not belong here; its session knows.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::sync::Notify;

/// How many readers hold a publisher at the moment.
#[derive(Debug, Default)]
pub(super) struct Gauge {
    holders: AtomicUsize,
    released: Notify,
}

impl Gauge {
    /// Whether somebody holds it.
    pub(super) fn is_held(&self) -> bool {
        self.holders.load(Ordering::Acquire) > 0
    }

    /// Waits until nobody does.
    pub(super) async fn released(&self) {
        while self.is_held() {
            self.released.notified().await;
        }
    }

    fn hold(&self) {
        self.holders.fetch_add(1, Ordering::AcqRel);
    }

    fn release(&self) {
        if self.holders.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.released.notify_one();
        }
    }
}

/// The gauges of all sessions, by session number.
#[derive(Debug, Default)]
pub(super) struct Gauges(Mutex<HashMap<u64, Arc<Gauge>>>);

impl Gauges {
    /// The gauge of the session `number`, made where there is none.
    pub(super) fn register(&self, number: u64) -> Arc<Gauge> {
        Arc::clone(self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(number).or_default())
    }

    /// Forgets the session `number`.
    pub(super) fn forget(&self, number: u64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&number);
    }

    fn find(&self, number: u64) -> Option<Arc<Gauge>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&number).map(Arc::clone)
    }
}

/// The publishers that one reader holds. Dropping it lets them go.
#[derive(Debug, Default)]
pub(super) struct Holds(HashMap<u64, Arc<Gauge>>);

impl Holds {
    /// Whether the publisher `number` is held.
    pub(super) fn has(&self, number: u64) -> bool {
        self.0.contains_key(&number)
    }

    /// Holds the publisher `number`, once.
    pub(super) fn hold(&mut self, number: u64, gauges: &Gauges) {
        if !self.0.contains_key(&number)
            && let Some(gauge) = gauges.find(number)
        {
            gauge.hold();
            self.0.insert(number, gauge);
        }
    }

    /// Lets everybody go.
    pub(super) fn release(&mut self) {
        for (_, gauge) in self.0.drain() {
            gauge.release();
        }
    }
}

impl Drop for Holds {
    fn drop(&mut self) {
        self.release();
    }
}
