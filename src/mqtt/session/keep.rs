//! The disk's half of a session: what changed and is not handed in yet, and what waits for it.
//!
//! A session that outlives its connection outlives the hub too, `kill -9` included. Its messages are written when they are published
//! ([`engine::Interest`](crate::engine::Interest)); here it says what became of them, and who it is. The acknowledgements that take
//! something off the other side's hands wait for the disk: SUBACK, UNSUBACK, PUBREL and PUBCOMP; and so does a PUBLISH of QoS 2 to
//! such a session, which its receiver holds under an identifier that must not be forgotten. No other PUBLISH does.
//!
//! A session without an expiry keeps nothing but its will. When changes are handed in and what then becomes of whatever waited for
//! them is in [`on_disk`]; how a record is written does not belong here either.

mod on_disk;

use tokio::sync::watch;

use super::{
    Pending,
    queue::{Delivery, KeptAt},
};
use crate::{
    domain::publication::Qos,
    engine::{KeepChange, Keeper, NotKept, Owner, Place},
    mqtt::{frame::AckKind, reason::Reason},
};

/// Marks the number of a subscription in the place of a retained value that was replayed on it.
const REPLAYED: u32 = 0x8000_0000;

/// The owner's name of a session on disk.
pub(in crate::mqtt) fn session_owner(client_id: &str) -> Owner {
    ["c", client_id].concat().into()
}

/// What may only be sent when everything that was said before is on disk.
#[derive(Debug)]
pub(super) enum Due {
    /// SUBACK, and the retained values behind it.
    Subscribed,
    Unsuback {
        id: u16,
        reasons: Vec<Reason>,
        epoch: u64,
    },
    /// A message of a group that is this member's now.
    Share {
        delivery: Box<Delivery>,
        publisher: Option<u64>,
    },
    /// Retained values of QoS 2.
    Replayed {
        subscription: u32,
        deliveries: Vec<Delivery>,
    },
    /// PUBREL or PUBCOMP.
    Ack {
        kind: AckKind,
        id: u16,
        epoch: u64,
    },
}

/// The disk's half of a session.
pub(super) struct Keeping {
    keeper: Option<Keeper>,
    owner: Owner,
    /// Whether the session outlives its connection.
    lasting: bool,
    /// Whether the file has a record of it.
    recorded: bool,
    record_due: bool,
    changes: Vec<KeepChange>,
    urgent: bool,
    due: Vec<Due>,
    /// What the engine must have before the next changes are written: the will that they say is published.
    first: Option<Pending<()>>,
    under_way: Option<UnderWay>,
    /// Up to where the messages of this run are on disk.
    written: Option<watch::Receiver<u64>>,
    /// Whether the next message has to wait for that.
    waits: bool,
}

struct UnderWay {
    future: Pending<Result<(), NotKept>>,
    due: Vec<Due>,
}

impl Keeping {
    pub(super) fn new(keeper: Option<Keeper>, client_id: &str) -> Self {
        Self {
            written: keeper.as_ref().map(Keeper::written),
            waits: false,
            keeper,
            owner: session_owner(client_id),
            lasting: false,
            recorded: false,
            record_due: false,
            changes: Vec::new(),
            urgent: false,
            due: Vec::new(),
            first: None,
            under_way: None,
        }
    }

    pub(super) const fn is_lasting(&self) -> bool {
        self.lasting
    }

    pub(super) const fn owner(&self) -> &Owner {
        &self.owner
    }

    /// The session was found on disk.
    pub(super) fn restored(&mut self, lasting: bool) {
        self.recorded = true;
        self.set_lasting(lasting);
    }

    /// Whether the session outlives its connection from now on; one that does not any more leaves nothing.
    pub(super) fn set_lasting(&mut self, lasting: bool) {
        let lasting = lasting && self.keeper.is_some();
        if self.lasting != lasting {
            metrics::gauge!("lockstep_mqtt_lasting_sessions").increment(if lasting { 1.0 } else { -1.0 });
        }
        self.lasting = lasting;
    }

    /// The record is another one now.
    pub(super) fn note_record(&mut self) {
        self.record_due = self.keeper.is_some();
    }

    /// All messages and identifiers are gone.
    pub(super) fn note_emptied(&mut self) {
        if self.lasting {
            self.changes.push(KeepChange::Emptied);
        }
    }

    pub(super) fn note(&mut self, change: KeepChange) {
        if self.lasting {
            self.changes.push(change);
        }
    }

    /// A message is done with.
    pub(super) fn note_done(&mut self, kept: Option<KeptAt>) {
        if let Some(KeptAt { place, subscription }) = kept {
            self.note(KeepChange::Done { place, subscription });
        }
    }

    /// Where a live message for the subscription `number` is on disk; none for QoS 0 and in a session that does not last.
    pub(super) fn place(&self, seq: u64, qos: Qos, number: u32) -> Option<KeptAt> {
        if !self.lasting || qos == Qos::AtMostOnce {
            return None;
        }
        let run = self.keeper.as_ref()?.run();
        Some(KeptAt { place: Place { run, seq }, subscription: number })
    }

    /// To be sent when all of the above is on disk.
    pub(super) fn owe(&mut self, due: Due) {
        self.due.push(due);
        self.urgent = true;
    }

    /// The engine is to have what `first` brings before the next changes are written. Gives it back where nothing is written.
    pub(super) fn put_first(&mut self, first: Pending<()>) -> Option<Pending<()>> {
        if self.recorded && self.first.is_none() {
            self.first = Some(first);
            None
        } else {
            Some(first)
        }
    }

    /// Whether a message of QoS 2 may not be sent yet. One that is not on disk may come from its sender again after a crash, under
    /// another identifier, and a receiver that holds the first would have it twice.
    pub(super) fn must_wait_for(&mut self, kept: Option<KeptAt>) -> bool {
        let (Some(kept), Some(keeper), Some(written)) = (kept, &self.keeper, &self.written) else { return false };
        if kept.subscription & REPLAYED != 0 {
            // It was not put into the queue before.
            return false;
        }
        self.waits = kept.place.run == keeper.run() && *written.borrow() < kept.place.seq;
        self.waits
    }

    /// Waits until something is on disk and may be sent: messages (none), or what was [owed](Self::owe).
    ///
    /// # Cancel safety
    /// Cancelling loses nothing.
    pub(super) async fn kept(&mut self) -> Option<Result<(), NotKept>> {
        let Self { under_way, written, waits, .. } = self;
        let owed = async {
            match under_way {
                Some(under_way) => under_way.future.as_mut().await,
                None => std::future::pending().await,
            }
        };
        let messages = async {
            match written {
                Some(written) if *waits => written.changed().await,
                _ => std::future::pending().await,
            }
        };
        tokio::select! {
            kept = owed => Some(kept),
            Ok(()) = messages => {
                *waits = false;
                None
            }
        }
    }

    fn is_idle(&self) -> bool {
        !self.record_due && self.changes.is_empty() && self.due.is_empty()
    }
}

impl Drop for Keeping {
    fn drop(&mut self) {
        self.set_lasting(false);
    }
}
