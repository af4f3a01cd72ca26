//! When a session hands in what changed, and what becomes of whatever waited for that.
//!
//! What is kept between two of these belongs to [`Keeping`](super::Keeping).

use std::{collections::HashSet, sync::Arc, time::Duration};

use super::{Due, REPLAYED, UnderWay};
use crate::{
    domain::publication::{Publication, Publish, Qos},
    engine::{KeepChange, Kept, KeptStage, Lane, NotKept, Owner, Place, Retained, Wanted},
    mqtt::{
        frame::{self, AckKind},
        reason::Reason,
        session::{
            Pending, Session,
            ingress::Receiving,
            queue::{Delivery, KeptAt},
            record::{Record, Subscribed},
        },
    },
};

/// How long a session that ends waits for the journal to take its last words.
const LAST_CHANGES: Duration = Duration::from_secs(2);

impl Session {
    /// Hands in what changed. One request is under way at a time; what changes meanwhile goes into the next.
    pub(in crate::mqtt::session) fn flush(&mut self) {
        if self.keeping.under_way.is_some() || self.keeping.is_idle() {
            return;
        }
        let Some(keeper) = self.keeping.keeper.clone() else { return };
        let changes = self.take_changes();
        if changes.is_empty() && self.keeping.due.is_empty() {
            return;
        }
        let keeping = &mut self.keeping;
        let (owner, due) = (Arc::clone(&keeping.owner), std::mem::take(&mut keeping.due));
        let (urgent, waits, first) = (std::mem::take(&mut keeping.urgent), !due.is_empty(), keeping.first.take());
        let mut future: Pending<Result<(), NotKept>> = Box::pin(async move {
            if let Some(first) = first {
                first.await;
            }
            if waits { keeper.keep(&owner, changes).await } else { keeper.hand_in(&owner, changes, urgent).await }
        });
        // Where the journal has room, which is nearly always, it has them at once.
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        match future.as_mut().poll(&mut cx) {
            std::task::Poll::Pending => keeping.under_way = Some(UnderWay { future, due }),
            std::task::Poll::Ready(_) if due.is_empty() => {}
            std::task::Poll::Ready(kept) => {
                keeping.under_way = Some(UnderWay { future: Box::pin(std::future::ready(kept)), due });
            }
        }
    }

    fn take_changes(&mut self) -> Vec<KeepChange> {
        let mut changes = std::mem::take(&mut self.keeping.changes);
        if std::mem::take(&mut self.keeping.record_due) {
            let wanted = self.keeping.lasting || self.will.is_some();
            if wanted || self.keeping.recorded {
                changes.push(KeepChange::Record(wanted.then(|| self.record(self.online.is_some()).write())));
                self.keeping.urgent = true;
            }
            self.keeping.recorded = wanted;
        }
        changes
    }

    /// Where the session began anew, has the journal forget what was before it: nothing that comes now may be taken for that.
    pub(in crate::mqtt::session) async fn begin_on_disk(&mut self) {
        let begins = self.keeping.changes.iter().any(|change| matches!(change, KeepChange::Emptied));
        let (Some(keeper), true) = (self.keeping.keeper.clone(), begins) else { return };
        if let Some(UnderWay { future, due }) = self.keeping.under_way.take() {
            let kept = tokio::time::timeout(LAST_CHANGES, future).await.unwrap_or(Err(NotKept));
            self.keeping.under_way = Some(UnderWay { future: Box::pin(std::future::ready(kept)), due });
            self.take_kept(Some(kept));
        }
        let (owner, changes) = (Arc::clone(&self.keeping.owner), std::mem::take(&mut self.keeping.changes));
        if let Some(first) = self.keeping.first.take() {
            // The will of the session that was.
            let _ = tokio::time::timeout(LAST_CHANGES, first).await;
        }
        // A journal that is gone keeps nothing that could be taken for something else.
        let _ = tokio::time::timeout(LAST_CHANGES, keeper.take_in(&owner, changes)).await;
    }

    /// What was handed in is taken; and where something waited for it, it is on disk.
    pub(in crate::mqtt::session) fn take_kept(&mut self, kept: Option<Result<(), NotKept>>) {
        let Some(kept) = kept else { return };
        let Some(under_way) = self.keeping.under_way.take() else { return };
        if kept.is_err() && !under_way.due.is_empty() {
            // What cannot be kept is not acknowledged.
            self.detach(Reason::SERVER_UNAVAILABLE, "The hub cannot keep anything at the moment.");
        }
        for due in under_way.due {
            match due {
                Due::Subscribed => self.finish_subscribing(),
                Due::Unsuback { id, reasons, epoch } if epoch == self.epoch => {
                    if let Some(online) = &mut self.online {
                        frame::unsuback(&mut online.socket.out, online.version, id, &reasons);
                    }
                }
                Due::Unsuback { .. } => {}
                Due::Share { delivery, publisher } => self.enqueue(*delivery, publisher),
                Due::Replayed { subscription, deliveries } => {
                    if self.subscriptions.get(subscription).is_some() {
                        self.queue.put_replayed(subscription, deliveries);
                    } else {
                        deliveries.iter().for_each(|delivery| self.keeping.note_done(delivery.kept));
                    }
                }
                Due::Ack { kind, id, epoch } => {
                    if kind == AckKind::Pubcomp && self.receiving.get(&id) == Some(&Receiving::Releasing) {
                        self.receiving.remove(&id);
                    }
                    if kind == AckKind::Pubrel && kept.is_ok() {
                        self.inflight.release_kept(id);
                    }
                    if epoch == self.epoch {
                        self.acknowledge(kind, id, Reason::SUCCESS, "");
                    }
                }
            }
        }
    }

    /// Sends PUBREL or PUBCOMP: at once, or in a lasting session when what it stands for is on disk.
    pub(in crate::mqtt::session) fn acknowledge_when_kept(&mut self, kind: AckKind, id: u16) {
        if self.keeping.lasting {
            self.keeping.owe(Due::Ack { kind, id, epoch: self.epoch });
        } else {
            self.acknowledge(kind, id, Reason::SUCCESS, "");
        }
    }

    /// Makes the session one that lasts, or one that does not any more.
    pub(in crate::mqtt::session) fn set_lasting(&mut self, lasting: bool) {
        if self.keeping.lasting && !lasting {
            self.stop_waiting();
            self.keeping.note_emptied();
        }
        let begins = !self.keeping.lasting && lasting;
        self.keeping.set_lasting(lasting);
        if begins {
            // What an unreadable record may have left.
            self.keeping.note_emptied();
        }
    }

    /// Publications for the subscription `number` are kept from now on, or not any more, as its options are now. `after` is the newest
    /// place that it had with its earlier options.
    pub(in crate::mqtt::session) fn wait_durably(&mut self, number: u32, after: u64) {
        let (Some(keeper), true) = (self.keeping.keeper.clone(), self.keeping.lasting) else { return };
        let Some(entry) = self.subscriptions.get(number).filter(|entry| entry.subscription.group.is_none()) else {
            return;
        };
        let filter = &entry.subscription.filter;
        if entry.qos == Qos::AtMostOnce {
            keeper.interest().remove(&self.keeping.owner, number, filter);
            self.note_only(number, None, HashSet::new());
        } else {
            keeper.interest().set(&self.keeping.owner, number, filter, entry.wanted(), after);
        }
    }

    /// The subscription `number` is gone; what waits for it already is still delivered.
    pub(in crate::mqtt::session) fn stop_waiting_for(&mut self, number: u32, filter: &crate::domain::topic::Filter) {
        if let (Some(keeper), true) = (self.keeping.keeper.clone(), self.keeping.lasting) {
            keeper.interest().remove(&self.keeping.owner, number, filter);
            self.note_only(number, None, HashSet::new());
        }
    }

    /// No subscription waits any more.
    pub(in crate::mqtt::session) fn stop_waiting(&mut self) {
        let (Some(keeper), true) = (&self.keeping.keeper, self.keeping.lasting) else { return };
        for (number, entry) in self.subscriptions.iter().filter(|(_, entry)| entry.subscription.group.is_none()) {
            keeper.interest().remove(&self.keeping.owner, number, &entry.subscription.filter);
        }
    }

    /// Of the subscription `number` there is only what this session has, and `places`.
    pub(in crate::mqtt::session) fn note_only(&mut self, number: u32, up_to: Option<u64>, mut places: HashSet<Place>) {
        if !self.keeping.lasting {
            return;
        }
        let own = |kept: KeptAt| (kept.subscription == number).then_some(kept.place);
        places.extend(self.queue.kept().filter_map(own));
        places.extend(self.inflight.iter().filter_map(|flight| flight.kept).filter_map(own));
        self.keeping.note(KeepChange::Only { subscription: number, up_to, places });
    }

    /// Where a retained value that is sent on the subscription `number` is on disk.
    pub(in crate::mqtt::session) fn replayed_place(&self, value: &Retained, qos: Qos, number: u32) -> Option<KeptAt> {
        self.keeping.place(value.seq, qos, number | REPLAYED)
    }

    /// Keeps a retained value that is sent: its handshake outlasts the hub.
    pub(in crate::mqtt::session) fn keep_replayed(&mut self, delivery: &Delivery, value: &Retained) {
        let Some(KeptAt { place, subscription }) = delivery.kept else { return };
        let message = Box::new(Publication {
            seq: value.seq,
            topic: value.topic.clone(),
            payload: value.payload.clone(),
            level: value.level,
            qos: value.qos,
            origin: value.origin.clone(),
            session: None,
            expires_at: value.expires_at,
            properties: value.properties.clone(),
        });
        let subscription_id = delivery.subscription_id;
        let kept = Kept { qos: delivery.qos, retain: true, subscription_id, stage: KeptStage::Waiting };
        self.keeping.note(KeepChange::Add { place, subscription, kept, message });
    }

    /// The connection is gone: what was sent on it will be sent again as such.
    pub(in crate::mqtt::session) fn note_disconnected(&mut self) {
        self.keeping.note_record();
        for KeptAt { place, subscription } in self.inflight.sent() {
            self.keeping.note(KeepChange::Stage { place, subscription, stage: KeptStage::Sent });
        }
    }

    /// The record as of now; `online` is whether whoever reads it is to wait for the client to return.
    pub(in crate::mqtt::session) fn record(&self, online: bool) -> Record {
        let now = self.state.clock.now().wall;
        let at = |at: tokio::time::Instant| now.after(at.saturating_duration_since(tokio::time::Instant::now()));
        let subscriptions = self.subscriptions.texts().filter_map(|(filter, number)| {
            let entry = self.subscriptions.get(number)?;
            Some(Subscribed {
                number,
                filter: filter.to_owned(),
                qos: entry.qos,
                no_local: entry.no_local,
                retain_as_published: entry.retain_as_published,
                id: entry.id,
            })
        });
        let lasting = self.keeping.lasting;
        Record {
            version: self.version,
            user: self.access.as_ref().and_then(|access| access.user()).map(str::to_owned),
            expiry_s: if lasting { self.expiry_s } else { 0 },
            keep_alive_s: self.keep_alive_s,
            online,
            ends_at: self.ends_at.map(at),
            will_at: self.will_at.map(at),
            will: self.will.clone(),
            subscriptions: if lasting { subscriptions.collect() } else { Vec::new() },
        }
    }

    /// The hub stops, and with it the connection; the session goes on with the next start.
    pub(in crate::mqtt::session) fn stop_with_the_hub(&mut self) {
        self.stopping = true;
        let was_online = self.online.is_some();
        self.detach(Reason::SHUTTING_DOWN, "The hub is stopping.");
        self.keep_for_next_start(was_online);
        self.ended = true;
    }

    /// The hub stops: what is kept of the session is what it is now. Whoever was connected is waited for after the next start.
    fn keep_for_next_start(&mut self, was_online: bool) {
        let changed = was_online || self.keeping.record_due;
        if changed && (self.keeping.lasting || self.will.is_some() && self.keeping.keeper.is_some()) {
            let record = self.record(was_online).write();
            self.keeping.changes.push(KeepChange::Record(Some(record)));
        }
        self.keeping.record_due = false;
    }

    /// Nothing is to be left of the session.
    pub(in crate::mqtt::session) fn forget(&mut self) {
        if self.keeping.recorded || self.keeping.lasting {
            self.keeping.changes = vec![KeepChange::Record(None)];
        }
        self.keeping.record_due = false;
    }

    /// Hands in what is left to say; the session is over. Not longer than [`LAST_CHANGES`].
    pub(in crate::mqtt::session) async fn keep_last_changes(&mut self) {
        let Some(keeper) = self.keeping.keeper.clone() else { return };
        let (changes, owner) = (std::mem::take(&mut self.keeping.changes), Arc::clone(&self.keeping.owner));
        let (under_way, first) = (self.keeping.under_way.take(), self.keeping.first.take());
        if changes.is_empty() && under_way.is_none() && first.is_none() {
            return;
        }
        let last = async {
            if let Some(under_way) = under_way {
                // What it brings is written even if it is too late for its acknowledgements.
                let _ = under_way.future.await;
            }
            if let Some(first) = first {
                first.await;
            }
            keeper.hand_in(&owner, changes, true).await
        };
        if !matches!(tokio::time::timeout(LAST_CHANGES, last).await, Ok(Ok(()))) {
            tracing::warn!(client = %self.client_id, "the end of a session could not be written");
        }
    }

    /// Publishes the will on credit of its own: what a client owes does not wait behind what others send. It is in the journal's hands
    /// before the record says that it is published.
    pub(in crate::mqtt::session) fn submit_will(&mut self, publish: Publish) {
        let engine = self.state.engine.clone();
        let submitting: Pending<()> = Box::pin(async move {
            // A hub that is stopping says «offline» for itself.
            if let Ok(receipt) = engine.submit(Lane::Hub, vec![publish]).await {
                let _ = receipt.outcomes().await;
            }
        });
        if let Some(submitting) = self.keeping.put_first(submitting) {
            self.state.tracker.spawn(submitting);
        }
        self.keeping.note_record();
    }

    /// What a member of a group wants of a message that the group had.
    pub(in crate::mqtt::session) fn take_over(
        &mut self,
        group: &Owner,
        place: Place,
        number: u32,
        wanted: Wanted,
    ) -> Option<KeptAt> {
        if !self.keeping.lasting {
            return None;
        }
        self.keeping.note(KeepChange::Take { from: Arc::clone(group), place, subscription: number, wanted });
        Some(KeptAt { place, subscription: number })
    }
}
