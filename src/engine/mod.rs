//! The engine: one task that owns the things, the retained tree and the one order.
//!
//! Everything that happens arrives in one bounded inbox as a publish. The engine gives it its place (`seq`), lets the domain
//! apply it, and hands out what follows as [`Batch`]es through its [outlets](OutletReceiver), in one order for all of them. It awaits
//! its inbox and its timer and nothing else.
//!
//! **Nobody waits in a circle.** An outlet never blocks the engine, because input is admitted by *credit*: a publish is let
//! in only with a permit, and the permit travels with the batch until every reader of the batch has dropped it. So what is
//! under way is bounded, and whoever is slow slows the senders down, never the engine. The hub's own wake-ups, wills and the
//! like have a credit of their own.
//!
//! Sockets, protocols, disks and clocks' reading do not belong here: edges and store read outlets, [`Clock`](crate::clock::Clock)
//! tells the time.

mod batch;
mod handle;
mod keep;
mod task;
mod tree;

pub use batch::{Batch, Guard, OutletReceiver, Settled};
pub use handle::{EngineHandle, Lane, Outcome, Receipt, Sizes, Stopped};
pub use keep::{
    Interest, KeepChange, KeepRequest, Keeper, Keeps, Kept, KeptStage, NotKept, Owner, Place, Received,
    RestoredMessage, RestoredOwner, Wanted,
};
pub use task::{Engine, EngineLimits, JournalEntry, REVISION_BLOCK, Storage, StoreHealth, storage};
pub use tree::{Change, Changes, Retained, Snapshot, TOMBSTONES_MAX, Tree};

#[cfg(test)]
mod tests;
