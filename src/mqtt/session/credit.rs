//! What bounds one publisher: bytes under way between its socket and the router, and publishes a second.
//!
//! Who is held by whom does not belong here; that is [`gauge`](crate::mqtt::gauge)'s.

use std::{collections::VecDeque, time::Duration};

use tokio::{sync::watch, time::Instant};

/// Bytes that one publisher may have under way between its socket and the router. It bounds what a reader that falls behind still
/// gets from a publisher that it holds.
const UNWRITTEN_BYTES_MAX: usize = 512 << 10;

/// What the session has handed to the engine and the writer has not handed to the router.
#[derive(Debug)]
pub(super) struct Unwritten {
    bytes: usize,
    applied: VecDeque<(u64, usize)>,
    written: watch::Receiver<u64>,
}

impl Unwritten {
    pub(super) const fn new(written: watch::Receiver<u64>) -> Self {
        Self { bytes: 0, applied: VecDeque::new(), written }
    }

    /// Whether more may be handed in.
    pub(super) const fn has_room(&self) -> bool {
        self.bytes < UNWRITTEN_BYTES_MAX
    }

    pub(super) fn add(&mut self, bytes: usize) {
        self.bytes += bytes;
    }

    /// The engine has carried out what had `bytes`; its last publication is `seq`.
    pub(super) fn applied(&mut self, seq: u64, bytes: usize) {
        self.applied.push_back((seq, bytes));
        self.settle();
    }

    fn settle(&mut self) {
        let written = *self.written.borrow_and_update();
        while let Some((seq, bytes)) = self.applied.front()
            && *seq <= written
        {
            self.bytes -= bytes;
            self.applied.pop_front();
        }
    }

    /// Waits until the writer has got further.
    ///
    /// # Cancel safety
    /// Cancelling loses nothing.
    pub(super) async fn progress(&mut self) {
        if self.written.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
        self.settle();
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
