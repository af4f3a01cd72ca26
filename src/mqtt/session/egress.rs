//! What the client is to be sent on its subscriptions: from the link into the queue.
//!
//! The link is drained always. What the client does not take waits in its queue; a reader that is slow but moving holds the publishers
//! whose messages it gets, for a while, and then loses its own. What the client sends does not belong here.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::{
    Session,
    keep::Due,
    queue::{Delivery, Pushed},
};
use crate::{
    domain::publication::Qos,
    mqtt::{
        header::{self, Message},
        reason::Reason,
        router::{Delivered, Gone, Link},
        settings::{limit_met, limit_met_times},
        shared::Share,
        state::Stats,
    },
};

/// Messages that are taken from the link before the socket gets a turn.
const DRAIN_MAX: usize = 1024;

/// How full a queue is, as a part of its bounds, when it begins to hold publishers, and when it lets them go.
const HOLD_ABOVE: usize = 16;
const RELEASE_BELOW: usize = 64;

/// How long nothing comes over the link of a session that is behind before it is taken for drained: the router was about to go on.
pub(super) const EMPTY_FOR: Duration = Duration::from_millis(5);

/// How long nothing may come before a session that stops takes it for everything.
const QUIET_AT_STOP: Duration = Duration::from_millis(20);

/// How often a reader that holds publishers is looked after.
pub(super) const HOLD_LOOK: Duration = Duration::from_millis(50);

impl Session {
    /// Takes what the link has, beginning with `first`, up to [`DRAIN_MAX`] messages.
    pub(super) async fn drain(&mut self, first: Result<Delivered, Gone>) {
        let mut next = first;
        // Whether the link may hold more than what is found in it.
        let mut rested = false;
        for taken in 1.. {
            match next {
                Ok(Delivered::Resting) => {
                    rested = true;
                    let timeout = self.state.settings.limits.router_timeout;
                    let resumed = match &mut self.link {
                        Some(link) => tokio::time::timeout(timeout, link.resume()).await.unwrap_or(Err(Gone)),
                        None => Ok(()),
                    };
                    if resumed.is_err() {
                        return self.lose_link();
                    }
                }
                Ok(delivered) => self.take_delivered(delivered),
                Err(Gone) => return self.lose_link(),
            }
            if taken == DRAIN_MAX {
                return self.note_lag(true);
            }
            next = match self.link.as_mut().map(Link::try_next) {
                Some(Ok(Some(delivered))) => Ok(delivered),
                Some(Err(Gone)) => Err(Gone),
                Some(Ok(None)) | None => return self.note_lag(rested),
            };
        }
    }

    /// Tells the writer whether this session keeps up, after what the link held was taken; `more` where the router may have more for it
    /// already. A link that is empty is not behind, however old its newest message is.
    fn note_lag(&mut self, more: bool) {
        if !more || self.state.flow.is_near(self.taken_bytes) {
            self.note_caught_up();
        } else if self.behind {
            self.empty_at = Some(Instant::now());
        } else if self.state.flow.is_far(self.taken_bytes) {
            self.behind = true;
            self.empty_at = Some(Instant::now());
            self.state.flow.fell_behind();
        }
    }

    /// Takes what still comes before the hub stops, `offline` above all.
    pub(super) async fn take_last_words(&mut self) {
        while self.online.is_some()
            && let Some(link) = &mut self.link
            && let Ok(Ok(delivered)) = tokio::time::timeout(QUIET_AT_STOP, link.next()).await
        {
            self.take_delivered(delivered);
        }
        self.fill();
    }

    pub(super) fn take_delivered(&mut self, delivered: Delivered) {
        match delivered {
            Delivered::Message { subscription, topic, payload, place } => {
                self.take_message(subscription, topic, payload, place);
            }
            Delivered::Subscribed => self.take_subscribed(),
            Delivered::Resting => {}
        }
    }

    pub(super) fn note_caught_up(&mut self) {
        self.empty_at = None;
        if std::mem::take(&mut self.behind) {
            self.state.flow.caught_up();
        }
    }

    fn take_message(&mut self, number: u32, topic: Bytes, payload: Bytes, place: Option<u64>) {
        let Some(message) = header::decode(payload) else { return };
        // What comes from the ring has no such place.
        if message.written_bytes < u64::MAX {
            self.taken_bytes = message.written_bytes;
        }
        if let Some(subscribing) = &mut self.subscribing
            && subscribing.is_fresh(number)
        {
            subscribing.wait(number, topic, message, place);
            return;
        }
        self.deliver(number, topic, message, place);
    }

    /// Takes a message for the subscription `number`, unless that is gone or does not want it.
    pub(super) fn deliver(&mut self, number: u32, topic: Bytes, message: Message, place: Option<u64>) {
        let own_number = self.number;
        let online = self.online.is_some();
        let Some(entry) = self.subscriptions.get_mut(number) else { return };
        if let Some(place) = place {
            let lapped = entry.next_place.is_some_and(|expected| place > expected);
            entry.next_place = Some(place + 1);
            if lapped {
                return self.lapped();
            }
        }
        entry.last_seq = entry.last_seq.max(message.seq);
        let came_twice = message.qos != Qos::AtMostOnce && message.seq <= entry.replayed_seq;
        let in_snapshot = message.level && message.seq <= entry.snapshot_seq;
        let own = entry.no_local && message.session == Some(own_number);
        let qos = message.qos.min(entry.qos);
        if message.seq > 0 && came_twice || (qos == Qos::AtMostOnce && !online) {
            return;
        }
        let retain = entry.retain_as_published && message.level;
        let subscription_id = entry.id;
        let publisher = message.session;
        let kept = self.keeping.place(message.seq, qos, number);
        if message.seq > 0 && in_snapshot || own || !self.may_receive(&topic) {
            return self.keeping.note_done(kept);
        }
        let delivery = Delivery {
            topic,
            payload: message.payload,
            properties: message.properties,
            qos,
            retain,
            expires_at: message.expires_at,
            subscription_id,
            kept,
        };
        self.enqueue(delivery, publisher);
    }

    pub(super) fn take_share(&mut self, share: Share) {
        let Share { group, wanted, subscription, .. } = &share;
        let taken = group.as_ref().and_then(|(owner, place)| self.take_over(owner, *place, *subscription, *wanted));
        if !self.may_receive(&share.topic) {
            return self.keeping.note_done(taken);
        }
        let qos = share.message.qos.min(share.wanted.qos);
        if qos == Qos::AtMostOnce {
            self.keeping.note_done(taken);
        }
        let delivery = Delivery {
            topic: share.topic,
            payload: share.message.payload,
            properties: share.message.properties,
            qos,
            retain: share.wanted.retain_as_published && share.message.level,
            expires_at: share.message.expires_at,
            subscription_id: share.wanted.subscription_id,
            kept: taken.filter(|_| qos != Qos::AtMostOnce),
        };
        if delivery.qos == Qos::AtMostOnce && self.online.is_none() {
            return;
        }
        let publisher = share.message.session;
        if delivery.kept.is_some() && qos == Qos::ExactlyOnce {
            // Nobody else may get it any more when this member has it under an identifier.
            return self.keeping.owe(Due::Share { delivery: Box::new(delivery), publisher });
        }
        self.enqueue(delivery, publisher);
    }

    pub(super) fn may_receive(&self, topic: &[u8]) -> bool {
        let Some(access) = &self.access else { return false };
        let forbidden = &self.state.settings.forbidden_filters;
        if !forbidden.is_empty()
            && std::str::from_utf8(topic).is_ok_and(|topic| forbidden.iter().any(|forbidden| forbidden.matches(topic)))
        {
            return false;
        }
        access.read_rights().is_everything() || std::str::from_utf8(topic).is_ok_and(|topic| access.may_receive(topic))
    }

    pub(super) fn enqueue(&mut self, delivery: Delivery, publisher: Option<u64>) {
        if self.queue.is_over(delivery.bytes()) {
            // What the client may be sent is no longer waiting: the window is filled before anything is too much.
            self.fill();
        }
        let kept = delivery.kept;
        match self.queue.push(delivery) {
            Pushed::Waits => {}
            Pushed::Dropped => self.dropped += 1,
            Pushed::Full => {
                self.keeping.note_done(kept);
                self.dropped += 1;
                self.detach(Reason::QUOTA_EXCEEDED, "More messages wait for you than the hub keeps.");
                return;
            }
        }
        if let Some(publisher) = publisher
            && self.is_full(HOLD_ABOVE)
        {
            self.hold(publisher);
        }
        // A burst is written as it comes, not collected first.
        if self.queue.len() >= 64 {
            self.fill();
        }
    }

    /// Counts what had to go since it was last told.
    pub(super) fn tell_dropped(&mut self) {
        let dropped = std::mem::take(&mut self.dropped);
        if dropped > 0 {
            limit_met_times("queue", dropped);
            Stats::add(&self.state.stats.dropped, dropped);
        }
    }

    fn is_full(&self, part: usize) -> bool {
        let limits = &self.state.settings.limits;
        self.queue.bytes() > limits.queue_bytes_max / part || self.queue.len() > limits.queue_messages_max / part
    }

    /// Makes the publisher with the number `publisher` wait, while this reader moves and has patience left.
    fn hold(&mut self, publisher: u64) {
        if publisher == self.number || self.patience.is_zero() || self.holds.has(publisher) || !self.is_moving() {
            return;
        }
        self.holding_since.get_or_insert_with(Instant::now);
        self.holds.hold(publisher, &self.state.gauges);
    }

    /// Whether the client took something lately. The clock is read once for a socket that stands still, not for each message.
    fn is_moving(&mut self) -> bool {
        let moved_at = self.online.as_ref().map(|online| online.socket.moved_at);
        if moved_at == self.stood_still_at {
            return false;
        }
        let stall = self.state.settings.limits.reader_stall;
        let moving = moved_at.is_some_and(|at| at.elapsed() < stall);
        if !moving {
            self.stood_still_at = moved_at;
        }
        moving
    }

    /// Lets publishers go where there is no reason to hold them any more.
    pub(super) fn look_after_holds(&mut self) {
        let Some(since) = self.holding_since else { return };
        let held_for = since.elapsed();
        let drained = !self.is_full(RELEASE_BELOW);
        if drained || !self.is_moving() || held_for >= self.patience {
            // Whoever gets on with it in time may ask for time again; that is what lets a reader set a publisher's pace.
            self.patience = if drained {
                self.state.settings.limits.reader_patience
            } else {
                self.patience.saturating_sub(held_for)
            };
            self.holding_since = None;
            self.holds.release();
            if !drained && !self.is_moving() {
                limit_met("reader_stall");
            }
            if self.patience.is_zero() {
                limit_met("reader_patience");
            }
        }
    }

    /// The router's log went on without this session: it cannot know what it missed.
    fn lapped(&mut self) {
        limit_met("router_log");
        let lasting = self.subscriptions.iter().any(|(_, entry)| entry.qos != Qos::AtMostOnce);
        tracing::warn!(client = %self.client_id, "a session was too slow for the router's log");
        if lasting {
            self.detach(Reason::QUOTA_EXCEEDED, "Messages for you were lost; connect again.");
        }
    }
}
