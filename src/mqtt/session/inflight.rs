//! What a client was sent and has not acknowledged: QoS 1 and 2 (MQTT 5 §4.3, §4.4).
//!
//! It outlives sockets: what is still here when the client comes back is sent again, in order.

use std::collections::VecDeque;

use super::queue::Delivery;
use crate::domain::publication::Qos;

/// One message on its way.
#[derive(Debug, Clone)]
pub(super) struct Flight {
    pub(super) id: u16,
    pub(super) stage: Stage,
}

/// How far it is.
#[derive(Debug, Clone)]
pub(super) enum Stage {
    /// Sent; PUBACK or PUBREC is awaited.
    Sent(Box<Delivery>),
    /// QoS 2: PUBREL is sent, PUBCOMP is awaited.
    Released,
}

/// What is in flight, in the order in which it was first sent.
#[derive(Debug, Default)]
pub(super) struct Inflight {
    flights: VecDeque<Flight>,
    last_id: u16,
}

impl Inflight {
    /// Adds a message; gives it a packet identifier that is free.
    pub(super) fn add(&mut self, delivery: Delivery) -> u16 {
        loop {
            self.last_id = self.last_id.checked_add(1).unwrap_or(1);
            if !self.flights.iter().any(|flight| flight.id == self.last_id) {
                break;
            }
        }
        self.flights.push_back(Flight { id: self.last_id, stage: Stage::Sent(Box::new(delivery)) });
        self.last_id
    }

    /// A PUBACK came; tells whether it fits.
    pub(super) fn acknowledged(&mut self, id: u16) -> bool {
        let fits = |flight: &Flight| {
            flight.id == id && matches!(&flight.stage, Stage::Sent(delivery) if delivery.qos == Qos::AtLeastOnce)
        };
        self.remove(fits)
    }

    /// A PUBREC came; tells whether PUBREL is to be sent.
    pub(super) fn received(&mut self, id: u16) -> bool {
        let Some(flight) = self.flights.iter_mut().find(|flight| flight.id == id) else { return false };
        match &flight.stage {
            Stage::Sent(delivery) if delivery.qos == Qos::ExactlyOnce => {
                flight.stage = Stage::Released;
                true
            }
            Stage::Sent(_) => false,
            Stage::Released => true,
        }
    }

    /// A PUBREC refused the message, or PUBCOMP came; tells whether it fits.
    pub(super) fn done(&mut self, id: u16) -> bool {
        self.remove(|flight| flight.id == id)
    }

    fn remove(&mut self, fits: impl Fn(&Flight) -> bool) -> bool {
        match self.flights.iter().position(fits) {
            Some(at) => self.flights.remove(at).is_some(),
            None => false,
        }
    }

    /// What to send again.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Flight> {
        self.flights.iter()
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.flights.clear();
    }
}
