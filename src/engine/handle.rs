//! How edges reach the engine: publish, ask for a snapshot.
//!
//! Identity and rights do not belong here; an edge has checked them before it submits.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use super::{
    batch::{Credit, Guard},
    keep::Received,
    tree::Snapshot,
};
use crate::domain::{
    hub::{Presence, RoomChange},
    publication::{Accepted, Publish},
    rejection::{Code, Rejection},
    topic::Filter,
};

/// What became of one publish.
pub type Outcome = Result<Accepted, Rejection>;

/// Whose credit a publish uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// What clients send.
    Client,
    /// What the hub owes on behalf of clients that may be gone: wills, availability, presence.
    Hub,
}

/// The engine is gone: the hub is stopping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the hub is stopping")]
pub struct Stopped;

#[derive(Debug)]
pub(super) enum Message {
    Publish {
        batch: Vec<Publish>,
        received: Option<Received>,
        reply: Option<oneshot::Sender<Vec<Outcome>>>,
        credit: Credit,
    },
    Snapshot {
        filters: Vec<Filter>,
        reply: oneshot::Sender<Snapshot>,
    },
    Here {
        change: Presence,
        credit: OwnedSemaphorePermit,
    },
    Room {
        change: RoomChange,
        reply: oneshot::Sender<Vec<Outcome>>,
        credit: OwnedSemaphorePermit,
    },
    Sizes {
        reply: oneshot::Sender<Sizes>,
    },
}

/// How much the engine holds, for `$SYS` and `/metrics`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sizes {
    /// Topics with a retained value.
    pub retained: usize,
    /// Bytes of the retained tree.
    pub retained_bytes: usize,
    /// The newest place in the one order.
    pub seq: u64,
    /// What waits in each queue, by its name: messages in the `inbox`, batches in the others.
    pub queues: Vec<(&'static str, usize)>,
}

/// The answers to a batch that was submitted, in its order.
#[derive(Debug)]
pub struct Receipt(pub(super) oneshot::Receiver<Vec<Outcome>>);

impl Receipt {
    /// Waits until every publish of the batch is carried out and, where that matters, on disk.
    ///
    /// # Errors
    /// [`Stopped`], when the hub stops or the disk fails before that is known; nothing may be acknowledged then.
    ///
    /// # Cancel safety
    /// Cancelling loses the answers, not the publishes.
    pub async fn outcomes(self) -> Result<Vec<Outcome>, Stopped> {
        self.0.await.map_err(|_| Stopped)
    }
}

/// The way to the engine. Cheap to clone.
#[derive(Debug, Clone)]
pub struct EngineHandle {
    pub(super) inbox: mpsc::Sender<Message>,
    pub(super) client_credit: Arc<Semaphore>,
    pub(super) hub_credit: Arc<Semaphore>,
    pub(super) client_credit_bytes_max: u32,
    pub(super) hub_credit_bytes_max: u32,
    pub(super) newest_seq: Arc<AtomicU64>,
}

impl EngineHandle {
    /// Hands in `batch` as soon as there is credit for it; the receipt tells what became of it.
    ///
    /// The publishes of a batch are carried out one after the other with nothing between them. Batches of one caller are
    /// carried out in the order in which this method returned.
    ///
    /// # Errors
    /// [`Stopped`], when the hub is stopping; nothing was carried out then.
    ///
    /// # Cancel safety
    /// Cancelled before it returns, nothing was carried out.
    pub async fn submit(&self, lane: Lane, batch: Vec<Publish>) -> Result<Receipt, Stopped> {
        let (reply, receipt) = oneshot::channel();
        self.send(lane, batch, None, Some(reply), None).await?;
        Ok(Receipt(receipt))
    }

    /// As [`submit`](Self::submit); `guard` is dropped when everybody has taken what follows from the batch, and `received` is on disk with
    /// it or not at all.
    ///
    /// # Errors
    /// As [`submit`](Self::submit), and as cancel safe.
    pub async fn submit_guarded(
        &self,
        lane: Lane,
        batch: Vec<Publish>,
        guard: Guard,
        received: Option<Received>,
    ) -> Result<Receipt, Stopped> {
        let (reply, receipt) = oneshot::channel();
        self.send(lane, batch, received, Some(reply), Some(guard)).await?;
        Ok(Receipt(receipt))
    }

    /// Hands in `batch` and forgets about it: what QoS 0 asks for. No task is woken to tell what became of it.
    ///
    /// # Errors
    /// As [`submit`](Self::submit), and as cancel safe.
    pub async fn submit_unanswered(&self, lane: Lane, batch: Vec<Publish>) -> Result<(), Stopped> {
        self.send(lane, batch, None, None, None).await
    }

    /// As [`submit_unanswered`](Self::submit_unanswered); `guard` is dropped when everybody has taken what follows from the batch.
    ///
    /// # Errors
    /// As [`submit`](Self::submit), and as cancel safe.
    pub async fn submit_unanswered_guarded(
        &self,
        lane: Lane,
        batch: Vec<Publish>,
        guard: Guard,
    ) -> Result<(), Stopped> {
        self.send(lane, batch, None, None, Some(guard)).await
    }

    /// Publishes one message and waits for its outcome; a hub that stops answers `busy`.
    pub async fn publish(&self, lane: Lane, publish: Publish) -> Outcome {
        let stopped = || Rejection::new(Code::Busy, "The hub is stopping, or could not keep it.");
        let receipt = self.submit(lane, vec![publish]).await.map_err(|Stopped| stopped())?;
        let outcomes = receipt.outcomes().await.map_err(|Stopped| stopped())?;
        outcomes.into_iter().next().unwrap_or_else(|| Err(stopped()))
    }

    /// The retained values that `filters` match, complete up to the snapshot's `seq`.
    ///
    /// # Errors
    /// [`Stopped`], when the hub is stopping.
    pub async fn snapshot(&self, filters: Vec<Filter>) -> Result<Snapshot, Stopped> {
        let (reply, snapshot) = oneshot::channel();
        self.inbox.send(Message::Snapshot { filters, reply }).await.map_err(|_| Stopped)?;
        snapshot.await.map_err(|_| Stopped)
    }

    /// Tells who came to a room, or left it.
    ///
    /// # Errors
    /// [`Stopped`], when the hub is stopping.
    pub async fn here(&self, change: Presence) -> Result<(), Stopped> {
        let credit = self.owed_credit().await?;
        self.inbox.send(Message::Here { change, credit }).await.map_err(|_| Stopped)
    }

    /// Creates, renames or deletes a room; answered when it is on disk.
    pub async fn change_room(&self, change: RoomChange) -> Outcome {
        let stopped = || Rejection::new(Code::Busy, "The hub is stopping, or could not keep it.");
        let (reply, outcomes) = oneshot::channel();
        let credit = self.owed_credit().await.map_err(|Stopped| stopped())?;
        self.inbox.send(Message::Room { change, reply, credit }).await.map_err(|_| stopped())?;
        outcomes.await.map_err(|_| stopped())?.into_iter().next().unwrap_or_else(|| Err(stopped()))
    }

    /// How much the engine holds.
    ///
    /// # Errors
    /// [`Stopped`], when the hub is stopping.
    pub async fn sizes(&self) -> Result<Sizes, Stopped> {
        let (reply, sizes) = oneshot::channel();
        self.inbox.send(Message::Sizes { reply }).await.map_err(|_| Stopped)?;
        sizes.await.map_err(|_| Stopped)
    }

    /// The newest place in the one order that was given away: whatever was acknowledged by now is not newer.
    #[must_use]
    pub fn newest_seq(&self) -> u64 {
        self.newest_seq.load(Ordering::Acquire)
    }

    /// How much of the clients' credit is in use, from 0 to 1.
    #[must_use]
    pub fn credit_used(&self) -> f64 {
        let free = u32::try_from(self.client_credit.available_permits()).unwrap_or(u32::MAX);
        1.0 - f64::from(free.min(self.client_credit_bytes_max)) / f64::from(self.client_credit_bytes_max)
    }

    /// The hub's own credit for a message that is no publish.
    async fn owed_credit(&self) -> Result<OwnedSemaphorePermit, Stopped> {
        let bytes = u32::try_from(MESSAGE_OVERHEAD_BYTES).unwrap_or(u32::MAX);
        Arc::clone(&self.hub_credit).acquire_many_owned(bytes).await.map_err(|_| Stopped)
    }

    async fn send(
        &self,
        lane: Lane,
        batch: Vec<Publish>,
        received: Option<Received>,
        reply: Option<oneshot::Sender<Vec<Outcome>>>,
        guard: Option<Guard>,
    ) -> Result<(), Stopped> {
        let (credit, bytes_max) = match lane {
            Lane::Client => (&self.client_credit, self.client_credit_bytes_max),
            Lane::Hub => (&self.hub_credit, self.hub_credit_bytes_max),
        };
        // One batch never takes it all, however large it is: others get a turn.
        let permits = credit_bytes(&batch).min(bytes_max / 4);
        let credit = Arc::clone(credit).acquire_many_owned(permits).await.map_err(|_| Stopped)?;
        let credit = Credit::new(credit, guard);
        self.inbox.send(Message::Publish { batch, received, reply, credit }).await.map_err(|_| Stopped)
    }
}

/// What a message costs besides its bytes: the memory of its bookkeeping.
pub(super) const MESSAGE_OVERHEAD_BYTES: usize = 256;

fn credit_bytes(batch: &[Publish]) -> u32 {
    let bytes: usize = batch.iter().map(|publish| publish.bytes() + MESSAGE_OVERHEAD_BYTES).sum();
    u32::try_from(bytes).unwrap_or(u32::MAX)
}
