//! A session's life: connections that come and go, keep-alive, will, expiry, end.
//!
//! Who may connect does not belong here; that is decided before.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    Attach, Command, Held, Online, Session,
    egress::{EMPTY_FOR, HOLD_LOOK},
};
use crate::{
    domain::{origin::Origin, publication::Publish, topic::Topic},
    mqtt::{
        frame::{self, ConnackProperties},
        packet::{Version, Will},
        reason::Reason,
        settings::limit_met,
        socket::Socket,
        state::Stats,
    },
};

/// Takeovers of one session within this span are two clients that use the same id.
const TAKEOVERS_TOGETHER: Duration = Duration::from_secs(60);

/// So many of them are told about.
const TAKEOVERS_TOLD: usize = 3;

/// How long a client that was told why has to close by itself before the hub does: it need not find an end while it still reads.
const CLOSES_ITSELF: Duration = Duration::from_millis(600);

impl Session {
    /// Takes over a connection: the session's first, one after a gap, or another one while there is one (MQTT 5 §3.1.4).
    pub(super) async fn attach(&mut self, attach: Attach) {
        let Attach { stream, inbound, mut connect, access, address, assigned, guard } = attach;
        // A session without an expiry ends with its connection, also where another one follows at once.
        let ends = connect.clean_start || self.expiry_s == 0;
        if self.awaited {
            // It was connected when the hub went away, and has returned in time.
            self.will = None;
        }
        if self.online.is_some() {
            self.give_up_connection(ends);
        }
        let present = self.epoch > 0 && !ends;
        if ends && self.epoch > 0 {
            self.publish_will_now();
            self.reset();
        }
        self.will_at = None;
        self.ends_at = None;
        self.awaited = false;
        self.epoch += 1;
        self.forget_held();
        self.access = Some(access);
        self.version = connect.version;
        self.will = connect.will.take();
        let expiry_max = u32::try_from(self.state.settings.limits.session_expiry_max.as_secs()).unwrap_or(u32::MAX);
        if connect.session_expiry > expiry_max && connect.session_expiry != u32::MAX {
            limit_met("session_expiry");
        }
        self.expiry_s = connect.session_expiry.min(expiry_max);
        self.set_lasting(self.expiry_s > 0);
        self.begin_on_disk().await;
        self.keeping.note_record();
        let limits = &self.state.settings.limits;
        let server_keep_alive = self.server_keep_alive(connect.version, connect.keep_alive);
        let keep_alive = server_keep_alive.unwrap_or(connect.keep_alive);
        self.keep_alive_s = keep_alive;
        let mut socket = Socket::new(stream, inbound, Arc::clone(&self.state.stats));
        let properties = ConnackProperties {
            session_expiry: (self.expiry_s != connect.session_expiry).then_some(self.expiry_s),
            receive_maximum: limits.receive_maximum,
            packet_bytes_max: limits.packet_bytes_max,
            assigned_client_id: assigned.then(|| self.client_id.to_string()),
            topic_alias_max: limits.topic_alias_max,
            server_keep_alive,
            boot: self.state.settings.boot.clone(),
        };
        let bytes_max = connect.packet_bytes_max.map_or(usize::MAX, |bytes| bytes as usize);
        frame::connack(&mut socket.out, connect.version, present, &properties, bytes_max);
        let now = Instant::now();
        self.online = Some(Online {
            socket,
            version: connect.version,
            keep_alive: Duration::from_secs(keep_alive.into()),
            heard_at: now,
            window: usize::from(connect.receive_maximum.min(limits.inflight_max)),
            sent_now: 0,
            resend: self.inflight.iter().map(|flight| flight.id).collect(),
            bytes_max,
            reasons_in_words: connect.problem_information,
            aliases_in: std::collections::HashMap::new(),
            aliases_out: std::collections::HashMap::new(),
            alias_out_max: connect.topic_alias_max.min(limits.topic_alias_max),
            deaf: false,
            connected_at: now,
            address,
            _guard: guard,
        });
        self.recheck_rights().await;
        self.rejoin();
        Stats::count(&self.state.stats.connections);
        Stats::count(&self.state.stats.packets_sent);
        tracing::debug!(client = %self.client_id, %address, present, "connected");
        // What came right behind the CONNECT.
        self.take_turn(Ok(crate::mqtt::socket::Turn::Read));
    }

    fn server_keep_alive(&self, version: Version, asked: u16) -> Option<u16> {
        let most = u16::try_from(self.state.settings.server_keep_alive?.as_secs()).ok()?;
        (version == Version::V5 && (asked == 0 || asked > most)).then_some(most)
    }

    /// Another connection uses the session now; where that happens again and again, both sides are told why.
    fn give_up_connection(&mut self, session_ends: bool) {
        let now = Instant::now();
        self.takeovers.push_back(now);
        while self.takeovers.front().is_some_and(|at| now - *at > TAKEOVERS_TOGETHER) {
            self.takeovers.pop_front();
        }
        let again = self.takeovers.len() >= TAKEOVERS_TOLD;
        if again {
            self.takeovers.truncate(TAKEOVERS_TOLD * 2);
            let addresses = self.online.as_ref().map(|online| online.address);
            tracing::warn!(client = %self.client_id, address = ?addresses, "two clients use this client id and drive each other out");
        }
        let text = if again {
            "Another connection uses your client id, again: two clients have the same id."
        } else {
            "Another connection uses your client id now."
        };
        let expiry = self.expiry_s;
        // With a clean start the session ends here, so that a delayed will is due too.
        if session_ends {
            self.expiry_s = 0;
        }
        self.drop_connection(Reason::SESSION_TAKEN_OVER, text);
        self.expiry_s = expiry;
        if self.will_at.is_none_or(|at| at <= Instant::now()) || session_ends {
            self.publish_will_now();
        }
    }

    /// Ends the connection, and with it the session where it has no expiry.
    pub(super) fn detach(&mut self, reason: Reason, text: &str) {
        if self.online.is_none() {
            return;
        }
        self.drop_connection(reason, text);
        if self.expiry_s == 0 {
            self.will_at = self.will.as_ref().map(|_| Instant::now());
            self.ended = true;
            return;
        }
        let now = Instant::now();
        if self.expiry_s != u32::MAX {
            self.ends_at = now.checked_add(Duration::from_secs(self.expiry_s.into()));
        }
    }

    /// Closes the socket in a task of its own, and keeps what outlives it.
    fn drop_connection(&mut self, reason: Reason, text: &str) {
        let Some(mut online) = self.online.take() else { return };
        let is_told = reason.is_error() && !(reason == Reason::UNSPECIFIED && text.is_empty());
        if is_told {
            let text = if online.reasons_in_words { text } else { "" };
            frame::disconnect(&mut online.socket.out, online.version, reason, text, online.bytes_max);
            Stats::count(&self.state.stats.packets_sent);
            metrics::counter!("lockstep_mqtt_disconnect_total", "reason" => format!("{reason}")).increment(1);
        }
        tracing::debug!(
            client = %self.client_id,
            %reason,
            connected_s = online.connected_at.elapsed().as_secs(),
            read_bytes = online.socket.read_bytes,
            written_bytes = online.socket.written_bytes,
            "disconnected"
        );
        let limit = self.state.settings.limits.goodbye_timeout;
        let guard = online._guard;
        let mut socket = online.socket;
        // Who is told something still sends: the reason would be lost with a connection that is reset.
        let lingers = reason.is_error() && reason != Reason::SHUTTING_DOWN;
        let closes_itself = lingers && is_told && online.version == Version::V5;
        let stop = self.state.cancel.clone();
        self.state.tracker.spawn(async move {
            let drained = socket.drain(limit).await;
            let closing = async {
                if drained && closes_itself {
                    socket.linger(CLOSES_ITSELF.min(limit)).await;
                }
                if drained {
                    socket.close(limit).await;
                }
                if lingers {
                    socket.linger(limit).await;
                }
            };
            tokio::select! {
                () = closing => {}
                () = stop.cancelled(), if lingers => {}
            }
            drop(guard);
        });
        self.held.retain(|held| matches!(held, Held::Own(_)));
        self.held_ids.clear();
        self.queue.keep_lasting();
        self.holding_since = None;
        self.holds.release();
        self.rejoin();
        self.note_disconnected();
        let now = Instant::now();
        self.will_at = self.will.as_ref().and_then(|will| {
            let delay = if self.expiry_s == u32::MAX {
                will.delay
            } else {
                will.delay.min(Duration::from_secs(self.expiry_s.into()))
            };
            now.checked_add(delay)
        });
    }

    /// Drops everything that a clean start forgets (MQTT 5 §3.1.2.4).
    fn reset(&mut self) {
        self.stop_waiting();
        self.keeping.note_emptied();
        self.state.give_filters(self.subscriptions.len());
        for (_, entry) in self.subscriptions.iter() {
            if let Some(group) = &entry.subscription.group {
                self.state.groups.leave(&self.state, group, &entry.subscription.filter, self.number);
            }
        }
        self.note_caught_up();
        self.link = None;
        self.subscriptions.clear();
        self.subscribing = None;
        self.queue.clear();
        self.inflight.clear();
        self.receiving.clear();
    }

    /// The policy was read anew: who may not be here any more goes, and takes nothing along that is not theirs now.
    pub(super) async fn revise(&mut self) {
        let Some(access) = &self.access else { return };
        self.access = self.state.policy.revise(access);
        if self.access.is_none() {
            self.will = None;
            self.expiry_s = 0;
            self.detach(Reason::NOT_AUTHORIZED, "You may not be connected any more.");
            self.ended = true;
        } else {
            self.recheck_rights().await;
        }
    }

    pub(super) fn may_publish(&self, topic: &Topic) -> bool {
        self.access.as_ref().is_some_and(|access| access.may_publish(topic))
    }

    /// What the session was allowed under earlier rights may not be allowed any more.
    async fn recheck_rights(&mut self) {
        let Some(access) = self.access.clone() else { return };
        let forbidden: Vec<String> = self
            .subscriptions
            .filters()
            .filter(|text| {
                self.subscriptions
                    .find(text)
                    .and_then(|number| self.subscriptions.get(number))
                    .is_some_and(|entry| !access.may_subscribe(&entry.subscription.filter))
            })
            .map(str::to_owned)
            .collect();
        for filter in forbidden {
            self.drop_subscription(&filter).await;
        }
        let dropped =
            self.queue.retain(|topic| std::str::from_utf8(topic).is_ok_and(|topic| access.may_receive(topic)));
        dropped.into_iter().for_each(|kept| self.keeping.note_done(Some(kept)));
    }

    /// Whether something happens by itself, and when.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let mut deadline: Option<Instant> = None;
        let mut at_latest = |at: Option<Instant>| {
            deadline = match (deadline, at) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            };
        };
        if let Some(online) = &self.online
            && !online.keep_alive.is_zero()
        {
            at_latest(Some(online.heard_at + online.keep_alive * 3 / 2));
        }
        if self.online.is_none() {
            at_latest(self.will_at);
            at_latest(self.ends_at);
        }
        at_latest(self.empty_at.map(|at| at + EMPTY_FOR));
        if self.holding_since.is_some() {
            at_latest(Some(Instant::now() + HOLD_LOOK));
        }
        if self.next_is_publish() {
            at_latest(self.rate.blocked_until());
        }
        if self.link.is_none() {
            at_latest(self.relink_at);
        }
        deadline
    }

    pub(super) async fn take_timer(&mut self) {
        let now = Instant::now();
        self.look_after_holds();
        if self.empty_at.is_some_and(|at| at + EMPTY_FOR <= now) {
            self.note_caught_up();
        }
        if let Some(online) = &mut self.online
            && !online.keep_alive.is_zero()
            && now >= online.heard_at + online.keep_alive * 3 / 2
        {
            if self.held.is_empty() {
                self.detach(Reason::KEEP_ALIVE_TIMEOUT, "Nothing was heard for one and a half times the keep-alive.");
            } else {
                // The socket is not read because its publishes have to wait: that is the hub's doing.
                online.heard_at = now;
            }
        }
        if self.online.is_none() {
            if self.will_at.is_some_and(|at| at <= now) {
                self.publish_will_now();
            }
            if self.ends_at.is_some_and(|at| at <= now) {
                Stats::count(&self.state.stats.expired);
                self.ended = true;
            }
        }
        if self.link.is_none() && self.relink_at.is_some_and(|at| at <= now) {
            self.relink().await;
        }
    }

    /// Publishes the will, where there is one and it may be.
    fn publish_will_now(&mut self) {
        self.will_at = None;
        let Some(will) = self.will.take() else { return };
        self.keeping.note_record();
        if !self.may_publish(&will.topic) {
            metrics::counter!("lockstep_mqtt_denied_total", "action" => "will").increment(1);
            return;
        }
        let publish = self.will_publish(will);
        self.submit_will(publish);
    }

    fn will_publish(&self, will: Will) -> Publish {
        let expires_at = will.expiry.map(|expiry| self.state.clock.now().wall.after(expiry));
        Publish {
            topic: will.topic,
            payload: will.payload,
            retain: will.retain,
            qos: will.qos,
            origin: Origin::Mqtt(Arc::clone(&self.client_id)),
            session: Some(self.number),
            expires_at,
            properties: will.properties,
            durable: false,
        }
    }

    /// The end: the will where it is due, then nothing is left of the session. A connection that came in the last moment is passed on.
    pub(super) async fn end(mut self: Box<Self>) {
        self.detach(Reason::SHUTTING_DOWN, "The hub is stopping.");
        if !self.stopping {
            self.publish_will_now();
            self.forget();
        }
        if let Some(submitting) = self.submitting.take() {
            // What was read is carried out, also where its sender has gone.
            self.state.tracker.spawn(submitting.future);
        }
        self.stop_waiting();
        self.keep_last_changes().await;
        self.keeping.set_lasting(false);
        self.reset();
        self.state.gauges.forget(self.number);
        self.state.registry.forget(&self.client_id, self.number);
        self.commands.close();
        while let Some(command) = self.commands.recv().await {
            if let Command::Attach(attach) = command {
                self.state.admit(Arc::clone(&self.client_id), attach);
            }
        }
    }

    /// Ends a subscription that the client may not have any more.
    async fn drop_subscription(&mut self, filter: &str) {
        let Some((number, entry)) = self.subscriptions.remove(filter) else { return };
        limit_met("rights_withdrawn");
        self.keeping.note_record();
        if entry.subscription.group.is_none() {
            self.stop_waiting_for(number, &entry.subscription.filter);
        }
        self.state.give_filters(1);
        match (&entry.subscription.group, &self.link) {
            (Some(group), _) => self.state.groups.leave(&self.state, group, &entry.subscription.filter, self.number),
            (None, Some(link)) => {
                if link.unsubscribe(entry.subscription.filter.as_str()).await.is_err() {
                    self.lose_link();
                }
            }
            (None, None) => {}
        }
    }
}
