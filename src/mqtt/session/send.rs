//! From the queue into the socket: as much as the client takes, in the order in which it came.
//!
//! What gets into the queue does not belong here.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;

use super::{
    Online, Session,
    inflight::Stage,
    keep::Due,
    queue::{Delivery, Next, Replay},
    subscriptions::Entry,
};
use crate::{
    domain::{publication::Qos, topic::Filter},
    engine::Retained,
    mqtt::{
        frame::{self, AckKind, PublishHead},
        packet::Version,
        reason::Reason,
        settings::limit_met,
        state::Stats,
    },
};

/// Bytes that wait in the socket's buffer; more wait in the queue.
const OUT_BYTES: usize = 64 << 10;

/// Retained values of QoS 2 that are written together before they are sent.
const WRITTEN_TOGETHER: usize = 100;

impl Session {
    /// Moves what waits into the socket's buffer, as far as the client takes it.
    pub(super) fn fill(&mut self) {
        self.send_again();
        while let Some(online) = &mut self.online {
            if online.socket.out.len() >= OUT_BYTES {
                break;
            }
            let has_room = online.sent_now < online.window;
            match self.queue.front() {
                None => break,
                Some(Next::Message(delivery)) => {
                    if delivery.qos != Qos::AtMostOnce && (!has_room || !self.inflight.has_id_for(delivery)) {
                        break;
                    }
                    if delivery.qos == Qos::ExactlyOnce && self.keeping.must_wait_for(delivery.kept) {
                        break;
                    }
                    if let Some(delivery) = self.queue.pop() {
                        self.send(delivery);
                    }
                }
                Some(Next::Replay(replay)) => {
                    let replay = Replay {
                        subscription: replay.subscription,
                        values: Arc::clone(&replay.values),
                        next: replay.next,
                        waits: replay.waits,
                    };
                    if !self.send_replay(replay) {
                        break;
                    }
                }
            }
        }
        if self.queue.is_empty() && self.holding_since.is_none() {
            // A reader that has caught up is trusted anew.
            self.patience = self.state.settings.limits.reader_patience;
        }
        self.look_after_holds();
    }

    /// Sends retained values, as many as the client takes now; tells whether all of them are sent.
    fn send_replay(&mut self, mut replay: Replay) -> bool {
        let Some(entry) = self.subscriptions.get(replay.subscription).cloned() else {
            self.queue.pop();
            return true;
        };
        if replay.waits {
            return false;
        }
        let filter: Filter = entry.subscription.filter.clone();
        while let Some(value) = replay.values.get(replay.next) {
            let Some(online) = &self.online else { return true };
            if online.socket.out.len() >= OUT_BYTES || (online.sent_now >= online.window) {
                if let Some(Next::Replay(waiting)) = self.queue.front() {
                    waiting.next = replay.next;
                }
                return false;
            }
            if filter.matches(value.topic.as_str()) && self.may_receive(value.topic.as_str().as_bytes()) {
                let mut delivery = retained_delivery(value, entry.qos, entry.id);
                delivery.kept = self.replayed_place(value, delivery.qos, replay.subscription);
                if delivery.qos == Qos::ExactlyOnce && delivery.kept.is_some() {
                    self.keep_page(&mut replay, &entry);
                    if let Some(Next::Replay(waiting)) = self.queue.front() {
                        (waiting.next, waiting.waits) = (replay.next, true);
                    }
                    return false;
                }
                if !self.inflight.has_id_for(&delivery) {
                    if let Some(Next::Replay(waiting)) = self.queue.front() {
                        waiting.next = replay.next;
                    }
                    return false;
                }
                self.keep_replayed(&delivery, value);
                self.send(delivery);
            }
            replay.next += 1;
        }
        self.queue.pop();
        true
    }

    /// Has the next retained values of QoS 2 written. They are sent when they are on disk: a receiver holds such a message under an
    /// identifier that must not be forgotten.
    fn keep_page(&mut self, replay: &mut Replay, entry: &Entry) {
        let mut deliveries = Vec::new();
        while deliveries.len() < WRITTEN_TOGETHER
            && let Some(value) = replay.values.get(replay.next)
        {
            let topic = value.topic.as_str();
            if entry.subscription.filter.matches(topic) && self.may_receive(topic.as_bytes()) {
                let mut delivery = retained_delivery(value, entry.qos, entry.id);
                if delivery.qos != Qos::ExactlyOnce {
                    break;
                }
                delivery.kept = self.replayed_place(value, delivery.qos, replay.subscription);
                self.keep_replayed(&delivery, value);
                deliveries.push(delivery);
            }
            replay.next += 1;
        }
        self.keeping.owe(Due::Replayed { subscription: replay.subscription, deliveries });
    }

    /// Sends what an earlier connection had been sent and not acknowledged (MQTT 5 §4.4).
    fn send_again(&mut self) {
        while let Some(online) = &mut self.online
            && online.sent_now < online.window
            && let Some(id) = online.resend.pop_front()
        {
            let Some(flight) = self.inflight.iter().find(|flight| flight.id == id) else { continue };
            online.sent_now += 1;
            match flight.stage.clone() {
                Stage::Released { kept: true } => self.acknowledge(AckKind::Pubrel, id, Reason::SUCCESS, ""),
                Stage::Released { kept: false } => self.acknowledge_when_kept(AckKind::Pubrel, id),
                Stage::Sent(delivery) => {
                    let now = self.state.clock.now().wall;
                    let head = PublishHead {
                        qos: delivery.qos,
                        id,
                        dup: true,
                        retain: delivery.retain,
                        expiry_s: delivery.expires_at.map(|at| seconds_until(at.since(now))),
                        alias: None,
                        subscription_id: delivery.subscription_id,
                    };
                    let bytes_max = online.bytes_max;
                    let (topic, properties, payload) = (&delivery.topic, &delivery.properties, &delivery.payload);
                    if !frame::publish(
                        &mut online.socket.out,
                        online.version,
                        head,
                        topic,
                        properties,
                        payload,
                        bytes_max,
                    ) {
                        online.sent_now -= 1;
                        let flight = self.inflight.done(id);
                        self.keeping.note_done(flight.and_then(|flight| flight.kept));
                    }
                }
            }
        }
    }

    /// Writes a message into the socket's buffer.
    fn send(&mut self, delivery: Delivery) {
        let now = delivery.expires_at.map(|_| self.state.clock.now().wall);
        if let (Some(at), Some(now)) = (delivery.expires_at, now)
            && at <= now
        {
            return self.keeping.note_done(delivery.kept);
        }
        let Some(online) = &mut self.online else { return };
        let mut head = PublishHead {
            qos: delivery.qos,
            id: 0,
            dup: false,
            retain: delivery.retain,
            expiry_s: delivery.expires_at.zip(now).map(|(at, now)| seconds_until(at.since(now))),
            alias: None,
            subscription_id: delivery.subscription_id,
        };
        let (alias, topic_is_known) = alias_for(online, &delivery.topic);
        head.alias = alias;
        let topic: &[u8] = if topic_is_known { &[] } else { &delivery.topic };
        let before = online.socket.out.len();
        if delivery.qos != Qos::AtMostOnce {
            head.id = self.inflight.add(delivery.clone());
        }
        let (version, bytes_max) = (online.version, online.bytes_max);
        let out = &mut online.socket.out;
        if frame::publish(out, version, head, topic, &delivery.properties, &delivery.payload, bytes_max) {
            if head.id != 0 {
                online.sent_now += 1;
            }
            if let (Some(alias), false) = (alias, topic_is_known) {
                online.aliases_out.insert(delivery.topic.to_vec(), alias);
            }
            Stats::count(&self.state.stats.publishes_sent);
            Stats::count(&self.state.stats.packets_sent);
            Stats::add(&self.state.stats.publish_bytes_sent, (online.socket.out.len() - before) as u64);
        } else {
            // A packet that the client does not take counts as delivered (MQTT 5 §3.1.2.11.4).
            limit_met("client_packet_size");
            if head.id != 0 {
                self.inflight.done(head.id);
                self.keeping.note_done(delivery.kept);
            }
        }
    }
}

/// The alias for `topic`, and whether the client knows it already: the first topics get one, as long as the client takes more.
fn alias_for(online: &Online, topic: &[u8]) -> (Option<u16>, bool) {
    if online.version == Version::V311 || online.alias_out_max == 0 {
        return (None, false);
    }
    if let Some(alias) = online.aliases_out.get(topic) {
        return (Some(*alias), true);
    }
    let next = u16::try_from(online.aliases_out.len() + 1).unwrap_or(u16::MAX);
    ((next <= online.alias_out_max).then_some(next), false)
}

/// What is left of an expiry, rounded up: a message that is still worth delivering has at least a second.
fn seconds_until(left: Duration) -> u32 {
    u32::try_from(left.as_millis().div_ceil(1000)).unwrap_or(u32::MAX)
}

fn retained_delivery(value: &Retained, qos: Qos, subscription_id: Option<u32>) -> Delivery {
    Delivery {
        topic: Bytes::copy_from_slice(value.topic.as_str().as_bytes()),
        payload: value.payload.clone(),
        properties: value
            .properties
            .as_ref()
            .map_or_else(Bytes::new, |properties| frame::message_properties(properties).freeze()),
        qos: value.qos.min(qos),
        retain: true,
        expires_at: value.expires_at,
        subscription_id,
        kept: None,
    }
}
