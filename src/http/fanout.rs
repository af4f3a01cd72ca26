//! The fan-out: brings every publication to every browser that asked for it, and waits for none of them.
//!
//! A *shard* is one task that owns the sockets' writing side of its browsers, a [replica](replica) of the retained tree and
//! one outlet of the engine. It drains what is queued, frames each publication once, and writes each socket once for all of
//! it; browsers with the same filters, rights and way of delivery (an [audience](audience)) get the very same bytes. A browser
//! whose socket is full gets a [backlog] and leaves its audience until that is drained.
//!
//! Reading from browsers does not belong here, nor does the decision who may do what; sessions tell the shard what to do by
//! [`Command`]s.

mod audience;
mod backlog;
mod frames;
mod members;
mod pages;
mod replica;
mod round;
mod shard;

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

pub(in crate::http) use audience::boot_for;
pub(in crate::http) use frames::{Wire, put_entry};
pub(in crate::http) use shard::Shard;

use super::{stream::Outgoing, ws::frame::CloseCode};
use crate::{domain::topic::Filter, policy::ReadRights};

/// Commands that wait for one shard; whoever has more to say waits.
const COMMANDS_MAX: usize = 1024;

/// A browser's number: never given twice while the hub runs.
pub(in crate::http) type BrowserId = u64;

/// What a session tells the shard that writes for it.
#[derive(Debug)]
pub(in crate::http) enum Command {
    /// A browser is here. First command of each session.
    Join { id: BrowserId, outgoing: Outgoing, wire: Wire, rights: ReadRights, hello: Hello },
    /// It wants to see more.
    Subscribe { id: BrowserId, filters: Vec<Filter>, snap_id: Box<str>, resume: Option<u64> },
    /// It wants to see less.
    Unsubscribe { id: BrowserId, filters: Vec<Filter> },
    /// It gets `frame` as soon as everything up to `after_seq` is on its way.
    Answer { id: BrowserId, frame: Bytes, after_seq: u64 },
    /// `told` is answered when everything up to `seq` is on its way to the browsers of a shard: its number, or that of one of them.
    Reached { shard: u64, seq: u64, told: oneshot::Sender<()> },
    /// Its connection ends.
    Close { id: BrowserId, code: CloseCode, reason: &'static str },
    /// Its session is over. Last command of each session.
    Leave { id: BrowserId },
}

impl Command {
    const fn id(&self) -> BrowserId {
        match self {
            Self::Join { id, .. }
            | Self::Subscribe { id, .. }
            | Self::Unsubscribe { id, .. }
            | Self::Answer { id, .. }
            | Self::Close { id, .. }
            | Self::Leave { id }
            | Self::Reached { shard: id, .. } => *id,
        }
    }
}

/// The first frame of a connection, but for the place in the one order.
#[derive(Debug)]
pub(in crate::http) struct Hello {
    /// JSON up to the number.
    pub(in crate::http) before_seq: String,
    /// JSON from the number on.
    pub(in crate::http) after_seq: String,
}

/// The way to the shards. Cheap to clone.
#[derive(Debug, Clone)]
pub(in crate::http) struct Fanout {
    shards: Arc<[mpsc::Sender<Command>]>,
    next_id: Arc<AtomicU64>,
}

impl Fanout {
    /// The way to `count` shards, and what each of them reads.
    pub(in crate::http) fn new(count: usize) -> (Self, Vec<mpsc::Receiver<Command>>) {
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..count).map(|_| mpsc::channel(COMMANDS_MAX)).unzip();
        (Self { shards: senders.into(), next_id: Arc::default() }, receivers)
    }

    /// A number for a new browser.
    pub(in crate::http) fn new_id(&self) -> BrowserId {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// Waits until every shard has brought everything up to `seq` on its way; false when the hub is stopping.
    pub(in crate::http) async fn reached(&self, seq: u64) -> bool {
        for shard in 0..self.shards.len() as u64 {
            if !self.reached_by(shard, seq).await {
                return false;
            }
        }
        true
    }

    /// Waits until the shard of the browser `id` has brought everything up to `seq` on its way; false when the hub is stopping.
    pub(in crate::http) async fn reached_by(&self, id: BrowserId, seq: u64) -> bool {
        let (told, reached) = oneshot::channel();
        self.tell(Command::Reached { shard: id, seq, told }).await && reached.await.is_ok()
    }

    /// Tells the browser's shard; false when the hub is stopping.
    ///
    /// # Cancel safety
    /// Cancelled before it returns, nothing was told.
    pub(in crate::http) async fn tell(&self, command: Command) -> bool {
        let count = self.shards.len().max(1) as u64;
        let shard = usize::try_from(command.id() % count).unwrap_or(0);
        match self.shards.get(shard) {
            Some(shard) => shard.send(command).await.is_ok(),
            None => false,
        }
    }
}

#[cfg(test)]
mod tests;
