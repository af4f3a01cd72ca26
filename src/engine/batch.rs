//! What the engine hands out: publications in order, with the credit that they hold.
//!
//! Reading them does not belong here: the router's writer, the fan-out, the journal and the history each do that at their end.

use std::{
    any::Any,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use super::handle::Outcome;
use crate::domain::publication::Publication;

/// Publications that belong together, in order. Readers share it; the last one to drop it gives the credit back.
#[derive(Debug)]
pub struct Batch {
    /// What happened, by ascending `seq`; never empty for the readers of an outlet.
    pub publications: Vec<Publication>,
    /// The credit that the batch holds while somebody still has it.
    pub(super) _credit: Vec<Credit>,
}

/// Something of the sender's that is dropped with the batch: it learns so that everybody has taken what it sent.
pub type Guard = Box<dyn Any + Send + Sync>;

/// What a batch holds until its last reader drops it.
#[derive(Debug)]
pub(super) struct Credit {
    _permit: OwnedSemaphorePermit,
    _guard: Option<Guard>,
}

impl Credit {
    pub(super) fn new(permit: OwnedSemaphorePermit, guard: Option<Guard>) -> Self {
        Self { _permit: permit, _guard: guard }
    }
}

impl From<OwnedSemaphorePermit> for Credit {
    fn from(permit: OwnedSemaphorePermit) -> Self {
        Self::new(permit, None)
    }
}

/// Answers that wait until what they answer is on disk.
///
/// Dropping it without [`send`](Self::send) tells the askers that the hub stopped before it knew.
#[derive(Debug)]
pub struct Settled {
    pub(super) replies: Vec<(oneshot::Sender<Vec<Outcome>>, Vec<Outcome>)>,
}

impl Settled {
    /// Sends the answers off: everything they stand for is on disk.
    pub fn send(self) {
        for (reply, outcomes) in self.replies {
            // Whoever asked may have gone.
            let _ = reply.send(outcomes);
        }
    }

    /// Tells everybody who asked that it could not be kept: the disk failed after it was applied.
    pub fn fail(self) {
        drop(self);
    }

    /// Whether nobody waits.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.replies.is_empty()
    }
}

#[cfg(test)]
impl Batch {
    /// A batch that holds no credit.
    pub(crate) const fn without_credit(publications: Vec<Publication>) -> Self {
        Self { publications, _credit: Vec::new() }
    }
}

#[cfg(test)]
impl Settled {
    /// Answers to `replies`.
    pub(crate) const fn of(replies: Vec<(oneshot::Sender<Vec<Outcome>>, Vec<Outcome>)>) -> Self {
        Self { replies }
    }
}

/// A way out of the engine. It never blocks.
pub(super) struct Outlet {
    batches: mpsc::Sender<Arc<Batch>>,
    /// What its reader cares for while it is not attentive; everything, where there is none.
    concern: Option<Box<Concern>>,
    shared: Arc<Shared>,
}

/// Whether a publication concerns a reader.
pub(super) type Concern = dyn Fn(&Publication) -> bool + Send;

/// What both ends of an outlet know.
#[derive(Debug, Default)]
struct Shared {
    attentive: AtomicBool,
    /// The newest place in the one order that the reader was spared.
    spared_seq: AtomicU64,
}

/// The reading end of an outlet. Drop each batch as soon as it is handed on: its credit comes from the senders.
#[derive(Debug)]
pub struct OutletReceiver {
    batches: mpsc::Receiver<Arc<Batch>>,
    shared: Arc<Shared>,
}

/// An outlet with room for `batches_max`.
pub(super) fn outlet(batches_max: usize, concern: Option<Box<Concern>>) -> (Outlet, OutletReceiver) {
    let (sender, receiver) = mpsc::channel(batches_max);
    let shared = Arc::new(Shared::default());
    (Outlet { batches: sender, concern, shared: Arc::clone(&shared) }, OutletReceiver { batches: receiver, shared })
}

impl Outlet {
    /// Hands `batch` to the reader, unless nothing in it concerns it: a task that is not woken costs nobody time. False where the reader
    /// is gone.
    pub(super) fn offer(&self, batch: &Arc<Batch>) -> bool {
        if let Some(concern) = &self.concern
            && !self.shared.attentive.load(Ordering::SeqCst)
            && !batch.publications.iter().any(concern)
        {
            let newest = batch.publications.last().map_or(0, |last| last.seq);
            self.shared.spared_seq.store(newest, Ordering::SeqCst);
            return true;
        }
        self.batches.try_send(Arc::clone(batch)).is_ok()
    }
}

impl Outlet {
    /// Batches that wait for the reader.
    pub(super) fn waiting(&self) -> usize {
        self.batches.max_capacity() - self.batches.capacity()
    }
}

impl std::fmt::Debug for Outlet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outlet").field("everything", &self.concern.is_none()).finish_non_exhaustive()
    }
}

impl OutletReceiver {
    /// The next batch; none when the engine has stopped.
    ///
    /// # Cancel safety
    /// Cancelling loses nothing.
    pub async fn recv(&mut self) -> Option<Arc<Batch>> {
        self.batches.recv().await
    }

    /// The next batches, at most `limit`, behind those in `batches`; tells how many. 0 when the engine has stopped.
    ///
    /// # Cancel safety
    /// Cancelling loses nothing.
    pub async fn recv_many(&mut self, batches: &mut Vec<Arc<Batch>>, limit: usize) -> usize {
        self.batches.recv_many(batches, limit).await
    }

    /// The next batch, where there is one already.
    ///
    /// # Errors
    /// There is none now, or the engine has stopped.
    pub fn try_recv(&mut self) -> Result<Arc<Batch>, mpsc::error::TryRecvError> {
        self.batches.try_recv()
    }

    /// Takes no more; what waits is still received.
    pub fn close(&mut self) {
        self.batches.close();
    }

    /// Whether everything is wanted from now on, or only what the outlet was made for.
    pub fn attend(&self, attentive: bool) {
        self.shared.attentive.store(attentive, Ordering::SeqCst);
    }

    /// The place in the one order up to which the reader was spared what does not concern it; 0 while something still waits to be
    /// received, which may be older.
    #[must_use]
    pub fn spared_seq(&self) -> u64 {
        // In this order: what the engine handed in before it spared the reader this place is in the channel.
        let spared = self.shared.spared_seq.load(Ordering::SeqCst);
        if self.batches.is_empty() { spared } else { 0 }
    }
}
