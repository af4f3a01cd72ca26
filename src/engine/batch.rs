//! What the engine hands out: publications in order, with the credit that they hold.
//!
//! Reading them does not belong here: the router's writer, the fan-out, the journal and the history each do that at their end.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use super::handle::Outcome;
use crate::domain::publication::Publication;

/// Publications that belong together, in order. Readers share it; the last one to drop it gives the credit back.
#[derive(Debug)]
pub struct Batch {
    /// What happened, by ascending `seq`; never empty for the readers of an outlet.
    pub publications: Vec<Publication>,
    /// The credit that the batch holds while somebody still has it.
    pub(super) _credit: Vec<OwnedSemaphorePermit>,
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

/// A way out of the engine: gets every batch, in order, and never blocks.
pub type Outlet = mpsc::Sender<Arc<Batch>>;

/// The reading end of an [`Outlet`]. Drop each batch as soon as it is handed on: its credit comes from the senders.
pub type OutletReceiver = mpsc::Receiver<Arc<Batch>>;
