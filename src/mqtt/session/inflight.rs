//! What a client was sent and has not acknowledged: QoS 1 and 2 (MQTT 5 §4.3, §4.4).
//!
//! It outlives sockets: what is still here when the client comes back is sent again, in order.
//!
//! A message that is on disk has its packet identifier by its place there, so that after a restart it is sent again under the same one,
//! which is all that a receiver knows a QoS 2 message by, and no sending waits for the disk.

use std::collections::{HashSet, VecDeque};

use super::queue::{Delivery, KeptAt};
use crate::domain::publication::Qos;

/// Packet identifiers up to here are given to whoever comes; those above belong to places on disk, of QoS 2.
const FREE_IDS: u16 = 16_383;

/// One message on its way.
#[derive(Debug, Clone)]
pub(super) struct Flight {
    pub(super) id: u16,
    pub(super) stage: Stage,
    /// Where it is on disk.
    pub(super) kept: Option<KeptAt>,
}

/// How far it is.
#[derive(Debug, Clone)]
pub(super) enum Stage {
    /// Sent; PUBACK or PUBREC is awaited.
    Sent(Box<Delivery>),
    /// QoS 2: PUBREL is sent, or is about to be, and PUBCOMP is awaited.
    Released {
        /// Whether it may be sent at once: that the client has the message is on disk, or need not be.
        kept: bool,
    },
}

/// What is in flight, in the order in which it was first sent.
#[derive(Debug, Default)]
pub(super) struct Inflight {
    flights: VecDeque<Flight>,
    ids: HashSet<u16>,
    last_id: u16,
}

impl Inflight {
    /// Whether `delivery` can be added: its packet identifier is not in use.
    pub(super) fn has_id_for(&self, delivery: &Delivery) -> bool {
        delivery.qos != Qos::ExactlyOnce
            || delivery.kept.is_none_or(|kept| !self.ids.contains(&id_of(kept, delivery.qos)))
    }

    /// Adds a message; gives it a packet identifier that is free. For one that has its own, ask [`has_id_for`](Self::has_id_for) first.
    pub(super) fn add(&mut self, delivery: Delivery) -> u16 {
        let own = delivery.kept.map(|kept| id_of(kept, delivery.qos)).filter(|id| !self.ids.contains(id));
        let id = own.unwrap_or_else(|| self.free_id());
        let kept = delivery.kept;
        self.push(Flight { id, stage: Stage::Sent(Box::new(delivery)), kept });
        id
    }

    /// Adds a message that an earlier run had released.
    pub(super) fn add_released(&mut self, kept: KeptAt) {
        self.push(Flight {
            id: id_of(kept, Qos::ExactlyOnce),
            stage: Stage::Released { kept: true },
            kept: Some(kept),
        });
    }

    fn push(&mut self, flight: Flight) {
        self.ids.insert(flight.id);
        self.flights.push_back(flight);
    }

    fn free_id(&mut self) -> u16 {
        loop {
            self.last_id = self.last_id % FREE_IDS + 1;
            if !self.ids.contains(&self.last_id) {
                return self.last_id;
            }
        }
    }

    /// A PUBACK came; returns what it fits.
    pub(super) fn acknowledged(&mut self, id: u16) -> Option<Flight> {
        let fits = |flight: &Flight| {
            flight.id == id && matches!(&flight.stage, Stage::Sent(delivery) if delivery.qos == Qos::AtLeastOnce)
        };
        self.remove(fits)
    }

    /// A PUBREC came; tells whether PUBREL is to be sent, and where the message is on disk.
    pub(super) fn received(&mut self, id: u16) -> Option<Option<KeptAt>> {
        let flight = self.flights.iter_mut().find(|flight| flight.id == id)?;
        match &flight.stage {
            Stage::Sent(delivery) if delivery.qos == Qos::ExactlyOnce => {
                flight.stage = Stage::Released { kept: flight.kept.is_none() };
                Some(flight.kept)
            }
            Stage::Sent(_) => None,
            Stage::Released { .. } => Some(flight.kept),
        }
    }

    /// That the client has the message is on disk.
    pub(super) fn release_kept(&mut self, id: u16) {
        if let Some(flight) = self.flights.iter_mut().find(|flight| flight.id == id)
            && let Stage::Released { kept } = &mut flight.stage
        {
            *kept = true;
        }
    }

    /// A PUBREC refused the message, or PUBCOMP came; returns what it fits.
    pub(super) fn done(&mut self, id: u16) -> Option<Flight> {
        self.remove(|flight| flight.id == id)
    }

    fn remove(&mut self, fits: impl Fn(&Flight) -> bool) -> Option<Flight> {
        let flight = self.flights.remove(self.flights.iter().position(fits)?)?;
        self.ids.remove(&flight.id);
        Some(flight)
    }

    /// What to send again.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Flight> {
        self.flights.iter()
    }

    /// Messages that are not acknowledged at all, where they are on disk.
    pub(super) fn sent(&self) -> impl Iterator<Item = KeptAt> {
        self.flights.iter().filter(|flight| matches!(flight.stage, Stage::Sent(_))).filter_map(|flight| flight.kept)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.flights.len()
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.flights.clear();
        self.ids.clear();
    }
}

/// The packet identifier of a place on disk. Neighbours differ; where two that are far apart meet, the later one waits (QoS 2), or takes a
/// free one.
fn id_of(kept: KeptAt, qos: Qos) -> u16 {
    let KeptAt { place, subscription } = kept;
    let number = place
        .seq
        .wrapping_add(u64::from(subscription).wrapping_mul(7_919))
        .wrapping_add(place.run.wrapping_mul(104_729));
    let (first, count) = match qos {
        Qos::ExactlyOnce => (FREE_IDS + 1, u64::from(u16::MAX - FREE_IDS)),
        _ => (1, u64::from(FREE_IDS)),
    };
    // The remainder is below the count, which fits.
    first + u16::try_from(number % count).unwrap_or(0)
}
