//! What the client sends: packets in their order, publishes to the engine, acknowledgements back.
//!
//! PUBLISH, SUBSCRIBE, UNSUBSCRIBE and the end keep their order among each other, whatever holds the first of them up. Acknowledgements
//! and pings pass by. What the client is sent on its subscriptions does not belong here.

use std::{collections::VecDeque, io, sync::Arc};

use tokio::time::Instant;

use super::{
    Pending, Session,
    answers::{Answer, Owed},
    inflight::Flight,
    queue::KeptAt,
};
use crate::{
    domain::{
        origin::Origin,
        publication::{Publish as Admitted, Qos},
        topic::Topic,
    },
    engine::{KeepChange, KeptStage, Lane, Receipt, Received, Stopped},
    mqtt::{
        frame::{self, AckKind},
        packet::{Disconnect, Fault, Packet, Publish, Subscribe, Unsubscribe, Version},
        protocol::Frame,
        reason::Reason,
        settings::limit_met,
        socket::Turn,
        state::Stats,
    },
};

/// Packets, and bytes of them, that are read while the first one has to wait. Then the socket is not read.
const HELD_MAX: usize = 1024;
const HELD_BYTES_MAX: usize = 256 << 10;

/// Publishes of one batch.
const BATCH_MAX: usize = 512;

/// Batches whose outcome is awaited.
const ANSWERS_MAX: usize = 64;

/// A packet that keeps its place.
pub(super) enum Held {
    Publish(Publish),
    /// The hub's own answer to a request of this client.
    Own(Admitted),
    Subscribe(Subscribe),
    Unsubscribe(Unsubscribe),
    Disconnect(Disconnect),
    Fault(Fault),
    End,
}

/// A batch on its way into the engine.
pub(super) struct Submitting {
    pub(super) future: Pending<Result<(), Stopped>>,
}

/// How far a QoS 2 message from the client is (MQTT 5 §4.3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Receiving {
    /// Its outcome is awaited; the connection with this number wants the PUBREC.
    Submitted { epoch: u64 },
    /// PUBREC is sent; PUBREL is awaited.
    Received,
    /// PUBREL came; PUBCOMP is sent when that is on disk.
    Releasing,
}

impl Session {
    /// Whether the socket is read at the moment.
    pub(super) fn is_reading(&self) -> bool {
        let room = self.held.len() < HELD_MAX && self.held_bytes < HELD_BYTES_MAX;
        room && self.online.as_ref().is_some_and(|online| !online.deaf)
    }

    /// Whether a PUBLISH is what waits.
    pub(super) fn next_is_publish(&self) -> bool {
        matches!(self.held.front(), Some(Held::Publish(_)))
    }

    pub(super) fn take_turn(&mut self, turn: io::Result<Turn>) {
        let Some(online) = &mut self.online else { return };
        match turn {
            Ok(Turn::Wrote) => {}
            Ok(Turn::Read) => {
                online.heard_at = Instant::now();
                self.ingest();
            }
            Ok(Turn::End) | Err(_) => {
                online.deaf = true;
                self.held.push_back(Held::End);
            }
        }
    }

    /// Reads whole packets out of what was received, as long as there is room to hold them.
    fn ingest(&mut self) {
        let packet_bytes_max = self.state.settings.limits.packet_bytes_max as usize;
        while self.is_reading() {
            let Some(online) = &mut self.online else { return };
            let frame = match Frame::take(&mut online.socket.inbound, packet_bytes_max) {
                Ok(Some(frame)) => frame,
                Ok(None) => return,
                Err(fault) => {
                    if fault.reason == Reason::PACKET_TOO_LARGE {
                        limit_met("packet_bytes");
                    }
                    return self.hold_fault(fault);
                }
            };
            Stats::count(&self.state.stats.packets_received);
            match frame.read(online.version) {
                Ok(packet) => self.take_packet(packet, frame.len()),
                Err(fault) => return self.hold_fault(fault),
            }
        }
    }

    fn hold_fault(&mut self, fault: Fault) {
        if let Some(online) = &mut self.online {
            online.deaf = true;
        }
        self.held.push_back(Held::Fault(fault));
    }

    fn take_packet(&mut self, packet: Packet, bytes: usize) {
        match packet {
            Packet::Publish(publish) => {
                Stats::count(&self.state.stats.publishes_received);
                Stats::add(&self.state.stats.publish_bytes_received, bytes as u64);
                if let Err(fault) = self.count(&publish) {
                    return self.hold_fault(fault);
                }
                self.held_bytes += bytes;
                self.held.push_back(Held::Publish(publish));
            }
            Packet::Subscribe(subscribe) => self.held.push_back(Held::Subscribe(subscribe)),
            Packet::Unsubscribe(unsubscribe) => self.held.push_back(Held::Unsubscribe(unsubscribe)),
            Packet::Disconnect(disconnect) => {
                if let Some(online) = &mut self.online {
                    online.deaf = true;
                }
                self.held.push_back(Held::Disconnect(disconnect));
            }
            Packet::Pingreq => {
                if let Some(online) = &mut self.online {
                    frame::pingresp(&mut online.socket.out);
                    Stats::count(&self.state.stats.packets_sent);
                }
            }
            Packet::Puback { id } => {
                let flight = self.inflight.acknowledged(id);
                self.one_acknowledged(flight);
            }
            Packet::Pubrec { id, refused: true } | Packet::Pubcomp { id } => {
                let flight = self.inflight.done(id);
                self.one_acknowledged(flight);
            }
            Packet::Pubrec { id, refused: false } => self.take_pubrec(id),
            Packet::Pubrel { id } => self.take_pubrel(id),
            Packet::Connect(_) => self.hold_fault(Fault::protocol("A second CONNECT.")),
            Packet::Auth => self.hold_fault(Fault::protocol("AUTH without an authentication method.")),
        }
    }

    fn one_acknowledged(&mut self, flight: Option<Flight>) {
        let Some(flight) = flight else { return };
        self.keeping.note_done(flight.kept);
        if let Some(online) = &mut self.online {
            online.sent_now = online.sent_now.saturating_sub(1);
        }
    }

    /// The client has the message: it is not sent again, whatever happens.
    fn take_pubrec(&mut self, id: u16) {
        match self.inflight.received(id) {
            None => self.acknowledge(AckKind::Pubrel, id, Reason::PACKET_ID_NOT_FOUND, ""),
            Some(None) => self.acknowledge(AckKind::Pubrel, id, Reason::SUCCESS, ""),
            Some(Some(KeptAt { place, subscription })) => {
                self.keeping.note(KeepChange::Stage { place, subscription, stage: KeptStage::Released });
                self.acknowledge_when_kept(AckKind::Pubrel, id);
            }
        }
    }

    /// The client has forgotten the message, and may use its identifier for another as soon as it is told so.
    fn take_pubrel(&mut self, id: u16) {
        if !self.receiving.contains_key(&id) {
            self.acknowledge(AckKind::Pubcomp, id, Reason::PACKET_ID_NOT_FOUND, "");
        } else if self.keeping.is_lasting() {
            self.receiving.insert(id, Receiving::Releasing);
            self.keeping.note(KeepChange::Released(id));
            self.acknowledge_when_kept(AckKind::Pubcomp, id);
        } else {
            self.receiving.remove(&id);
            self.acknowledge(AckKind::Pubcomp, id, Reason::SUCCESS, "");
        }
    }

    /// Where a PUBLISH of QoS 1 or 2 is next: lets the other sessions read what reached them before it. The runtime may begin with the
    /// socket that was noticed last; a SUBSCRIBE that came before the PUBLISH, over whichever connection, then still has the message
    /// (see [`take_published_meanwhile`](Self::take_published_meanwhile)).
    pub(super) async fn let_others_read(&mut self) {
        if matches!(self.held.front(), Some(Held::Publish(publish)) if publish.qos != Qos::AtMostOnce) {
            // The first lets those go on whose packets were noticed already. Before the second returns, the runtime has looked at all
            // sockets, and those whose packets it found have gone on too.
            tokio::task::yield_now().await;
            tokio::task::yield_now().await;
        }
    }

    /// Carries out what is held, as far as nothing has to be awaited.
    pub(super) async fn advance(&mut self) {
        loop {
            if self.submitting.is_some() || self.subscribing.is_some() || self.ended {
                return;
            }
            match self.held.front() {
                None => return,
                Some(Held::Publish(_) | Held::Own(_)) => {
                    if !self.submit() {
                        return;
                    }
                }
                Some(_) => match self.held.pop_front() {
                    Some(Held::Subscribe(subscribe)) => self.subscribe(subscribe).await,
                    Some(Held::Unsubscribe(unsubscribe)) => self.unsubscribe(unsubscribe).await,
                    Some(Held::Disconnect(disconnect)) => self.take_disconnect(disconnect),
                    Some(Held::Fault(fault)) => {
                        tracing::debug!(client = %self.client_id, reason = %fault.reason, "{}", fault.text);
                        self.detach(fault.reason, fault.text);
                    }
                    Some(Held::End) => self.detach(Reason::UNSPECIFIED, ""),
                    _ => {}
                },
            }
            // There may be room again for what was received.
            self.ingest();
        }
    }

    fn take_disconnect(&mut self, disconnect: Disconnect) {
        if let Some(expiry) = disconnect.session_expiry {
            if self.expiry_s == 0 && expiry != 0 {
                return self.detach(Reason::PROTOCOL_ERROR, "A session expiry of 0 cannot be changed by DISCONNECT.");
            }
            self.expiry_s = expiry;
            self.keeping.note_record();
        }
        if disconnect.reason == Reason::SUCCESS {
            self.will = None;
        }
        self.detach(Reason::SUCCESS, "");
    }

    /// Hands the publishes at the front to the engine; tells whether something was done.
    fn submit(&mut self) -> bool {
        let waits = self.gauge.is_held() || !self.unwritten.has_room();
        if waits && self.next_is_publish() || self.answers.len() >= ANSWERS_MAX {
            return false;
        }
        let mut batch = Vec::new();
        let mut owed = Vec::new();
        let mut fault = None;
        let mut received = Vec::new();
        while batch.len() < BATCH_MAX {
            if !matches!(self.held.front(), Some(Held::Publish(_) | Held::Own(_))) {
                break;
            }
            if self.rate.take().is_err() {
                limit_met("publishes_per_second");
                break;
            }
            match self.held.pop_front() {
                Some(Held::Own(publish)) => {
                    owed.push(Owed { qos: Qos::AtMostOnce, id: 0, epoch: 0, refused: None, response: None });
                    batch.push(publish);
                }
                Some(Held::Publish(publish)) => {
                    self.held_ids.remove(&publish.id);
                    self.held_bytes = self.held_bytes.saturating_sub(publish.topic.len() + publish.payload.len());
                    match self.admit(publish) {
                        Ok(Some((admitted, owes))) => {
                            if owes.qos == Qos::ExactlyOnce && admitted.is_some() && self.keeping.is_lasting() {
                                received.push(owes.id);
                            }
                            batch.extend(admitted);
                            owed.push(owes);
                        }
                        Ok(None) => {}
                        Err(found) => {
                            fault = Some(found);
                            break;
                        }
                    }
                }
                _ => break,
            }
        }
        if self.held.is_empty() {
            self.held_bytes = 0;
        }
        if let Some(fault) = fault {
            self.held.clear();
            self.held_ids.clear();
            self.hold_fault(fault);
        }
        if batch.is_empty() && !owed.iter().any(|owed| owed.qos != Qos::AtMostOnce) {
            return !self.held.is_empty() && self.rate.blocked_until().is_none();
        }
        let received =
            (!received.is_empty()).then(|| Received { owner: Arc::clone(self.keeping.owner()), ids: received });
        self.hand_in(batch, owed, received);
        true
    }

    fn hand_in(&mut self, batch: Vec<Admitted>, owed: Vec<Owed>, received: Option<Received>) {
        let engine = self.state.engine.clone();
        if batch.is_empty() {
            self.answers.push_back(Answer { future: Box::pin(std::future::ready(Ok(Vec::new()))), owed });
            return;
        }
        let guard = self.unwritten.add(batch.iter().map(Admitted::bytes).sum());
        let mut future: Pending<Result<(), Stopped>> = if owed.iter().all(Owed::is_nothing) {
            Box::pin(async move { engine.submit_unanswered_guarded(Lane::Client, batch, guard).await })
        } else {
            let (receipts, receipt) = tokio::sync::oneshot::channel::<Receipt>();
            let answer = async move { receipt.await.map_err(|_| Stopped)?.outcomes().await };
            self.answers.push_back(Answer { future: Box::pin(answer), owed });
            Box::pin(async move {
                let receipt = engine.submit_guarded(Lane::Client, batch, guard, received).await?;
                // The session that waits for it may have ended.
                let _ = receipts.send(receipt);
                Ok(())
            })
        };
        // Where there is credit, which is nearly always, it is done at once.
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        if let std::task::Poll::Ready(done) = future.as_mut().poll(&mut cx) {
            self.take_submitted(done);
        } else {
            self.submitting = Some(Submitting { future });
        }
    }

    pub(super) fn take_submitted(&mut self, done: Result<(), Stopped>) {
        self.submitting = None;
        if done.is_err() {
            self.stop_with_the_hub();
        }
    }

    /// Checks a publish: nothing for one that was there before, a fault for one that ends the connection.
    fn admit(&mut self, publish: Publish) -> Result<Option<(Option<Admitted>, Owed)>, Fault> {
        let topic = self.topic_of(&publish)?;
        if publish.qos != Qos::AtMostOnce && !self.is_new(&publish) {
            return Ok(None);
        }
        let refused = self.refusal(&topic);
        let response = self.response_of(&topic, &publish);
        let owed = Owed { qos: publish.qos, id: publish.id, epoch: self.epoch, refused, response };
        if refused.is_some() {
            return Ok(Some((None, owed)));
        }
        let durable = publish.qos != Qos::AtMostOnce && self.is_durable(&topic, publish.qos);
        let admitted = Admitted {
            topic,
            payload: publish.payload,
            retain: publish.retain,
            qos: publish.qos,
            origin: Origin::Mqtt(Arc::clone(&self.client_id)),
            session: Some(self.number),
            expires_at: publish.expiry.map(|expiry| self.state.clock.now().wall.after(expiry)),
            properties: publish.properties,
            durable,
        };
        Ok(Some((Some(admitted), owed)))
    }

    /// Whether a publish of QoS 1 or 2 is acknowledged when it is on disk: a lasting session waits for it, or its sender's own session
    /// lasts and knows it by its identifier.
    fn is_durable(&self, topic: &Topic, qos: Qos) -> bool {
        qos == Qos::ExactlyOnce && self.keeping.is_lasting()
            || self.state.keeper.as_ref().is_some_and(|keeper| keeper.interest().is_waiting(topic.as_str()))
    }

    fn topic_of(&mut self, publish: &Publish) -> Result<Topic, Fault> {
        let invalid =
            Fault { reason: Reason::TOPIC_INVALID, text: "The topic is empty, or has a wildcard or a null character." };
        let alias_invalid =
            Fault { reason: Reason::TOPIC_ALIAS_INVALID, text: "The topic alias is not set, or above the maximum." };
        let aliases_max = self.state.settings.limits.topic_alias_max;
        let Some(online) = &mut self.online else { return Topic::parse(&publish.topic).map_err(|_| invalid) };
        if let Some(alias) = publish.alias {
            if alias > aliases_max {
                limit_met("topic_alias");
                return Err(alias_invalid);
            }
            if publish.topic.is_empty() {
                return online.aliases_in.get(&alias).cloned().ok_or(alias_invalid);
            }
        }
        let topic = match &self.last_topic {
            Some(last) if last.as_str() == publish.topic => last.clone(),
            _ => Topic::parse(&publish.topic).map_err(|_| invalid)?,
        };
        self.last_topic = Some(topic.clone());
        if let Some(alias) = publish.alias {
            online.aliases_in.insert(alias, topic.clone());
        }
        Ok(topic)
    }

    /// Counts a QoS 1 or 2 publish as it is read (MQTT 5 §4.9): what is read behind it, such as a PUBREL, may be carried out before
    /// it, and must not make room for it.
    fn count(&mut self, publish: &Publish) -> Result<(), Fault> {
        let counts = self.version == Version::V5 && publish.qos != Qos::AtMostOnce;
        // What is sent again was counted the first time.
        if !counts || self.receiving.contains_key(&publish.id) {
            return Ok(());
        }
        self.held_ids.insert(publish.id);
        let under_way = self.unanswered + self.receiving.len() + self.held_ids.len();
        if under_way > usize::from(self.state.settings.limits.receive_maximum) {
            limit_met("receive_maximum");
            return Err(Fault {
                reason: Reason::RECEIVE_MAXIMUM_EXCEEDED,
                text: "More publishes are unacknowledged than allowed.",
            });
        }
        Ok(())
    }

    /// Whether a QoS 1 or 2 publish has not been there before (MQTT 5 §4.3.3).
    fn is_new(&mut self, publish: &Publish) -> bool {
        let epoch = self.epoch;
        if publish.qos == Qos::ExactlyOnce {
            match self.receiving.get_mut(&publish.id) {
                Some(Receiving::Received | Receiving::Releasing) => {
                    self.acknowledge(AckKind::Pubrec, publish.id, Reason::SUCCESS, "");
                    return false;
                }
                Some(Receiving::Submitted { epoch: wanted_by }) => {
                    *wanted_by = epoch;
                    return false;
                }
                None => {}
            }
        }
        if publish.qos == Qos::ExactlyOnce {
            self.receiving.insert(publish.id, Receiving::Submitted { epoch });
        } else {
            self.unanswered += 1;
        }
        true
    }

    fn refusal(&self, topic: &Topic) -> Option<(Reason, &'static str)> {
        let limits = &self.state.settings.limits;
        if topic.as_str().len() > limits.topic_bytes_max || topic.levels().count() > limits.topic_levels_max {
            limit_met("topic");
            Some((Reason::TOPIC_INVALID, "The topic is longer, or has more levels, than the hub takes."))
        } else if topic.as_str().starts_with("$SYS") {
            Some((Reason::NOT_AUTHORIZED, "The hub alone publishes below $SYS."))
        } else if !self.may_publish(topic) {
            metrics::counter!("lockstep_mqtt_denied_total", "action" => "publish").increment(1);
            Some((Reason::NOT_AUTHORIZED, "You may not publish there."))
        } else {
            None
        }
    }

    /// Forgets what an ended connection had not been able to hand in.
    pub(super) fn forget_held(&mut self) {
        let own: VecDeque<Held> = self.held.drain(..).filter(|held| matches!(held, Held::Own(_))).collect();
        self.held = own;
        self.held_ids.clear();
        self.held_bytes = 0;
    }
}
