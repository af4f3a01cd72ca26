//! What bounds one publisher: bytes under way between its socket and the router, and publishes a second.
//!
//! Who is held by whom does not belong here; that is [`gauge`](crate::mqtt::gauge)'s.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use crate::engine::Guard;

/// Bytes that one publisher may have under way between its socket and the router. It bounds what a reader that falls behind still
/// gets from a publisher that it holds, and what others wait for behind one that sends all it can.
const UNWRITTEN_BYTES_MAX: usize = 128 << 10;

/// What the session has handed to the engine and not everybody has taken, the router first of all.
#[derive(Debug, Default)]
pub(super) struct Unwritten(Arc<UnderWay>);

#[derive(Debug, Default)]
struct UnderWay {
    bytes: AtomicUsize,
    less: Notify,
}

/// Counts a batch for as long as it lives.
#[derive(Debug)]
struct Counted {
    under_way: Arc<UnderWay>,
    bytes: usize,
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.under_way.bytes.fetch_sub(self.bytes, Ordering::AcqRel);
        self.under_way.less.notify_one();
    }
}

impl Unwritten {
    /// Whether more may be handed in.
    pub(super) fn has_room(&self) -> bool {
        self.0.bytes.load(Ordering::Acquire) < UNWRITTEN_BYTES_MAX
    }

    /// Counts `bytes` until the guard is dropped.
    pub(super) fn add(&self, bytes: usize) -> Guard {
        self.0.bytes.fetch_add(bytes, Ordering::AcqRel);
        Box::new(Counted { under_way: Arc::clone(&self.0), bytes })
    }

    /// Waits until there is room.
    ///
    /// # Cancel safety
    /// Cancelling loses nothing.
    pub(super) async fn progress(&self) {
        while !self.has_room() {
            self.0.less.notified().await;
        }
    }
}

/// Publishes a second, as a bucket that holds one second's worth.
#[derive(Debug)]
pub(super) struct Rate {
    per_second: f64,
    left: f64,
    at: Instant,
}

impl Rate {
    pub(super) fn new(per_second: u32) -> Self {
        let per_second = f64::from(per_second.max(1));
        Self { per_second, left: per_second, at: Instant::now() }
    }

    /// Takes one; otherwise tells when there will be one.
    pub(super) fn take(&mut self) -> Result<(), Instant> {
        if self.left < 1.0 {
            let now = Instant::now();
            self.left = (self.left + (now - self.at).as_secs_f64() * self.per_second).min(self.per_second);
            self.at = now;
        }
        if self.left < 1.0 {
            return Err(self.at + Duration::from_secs_f64((1.0 - self.left) / self.per_second));
        }
        self.left -= 1.0;
        Ok(())
    }

    /// When the next one may pass, where none may now.
    pub(super) fn blocked_until(&self) -> Option<Instant> {
        (self.left < 1.0).then(|| self.at + Duration::from_secs_f64((1.0 - self.left) / self.per_second))
    }
}
