//! SUBSCRIBE and UNSUBSCRIBE: the table, the router's link, and the retained values that go with it.
//!
//! The order makes it complete: first the router confirms the subscription, then the engine's snapshot is taken. Everything later than
//! the snapshot comes through the router; what comes through it although the snapshot has it is dropped, for the new subscription only.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use bytes::Bytes;
use tokio::{sync::mpsc, time::Instant};

use super::{Pending, SHARES_MAX, Session, keep::Due, queue::Replay, subscriptions::Entry};
use crate::{
    domain::topic::{Filter, SHARE_PREFIX, Subscription},
    engine::{Retained, Snapshot, Stopped},
    mqtt::{
        frame,
        header::{self, Message},
        packet::{RetainHandling, Subscribe, SubscribeEntry, Unsubscribe},
        reason::Reason,
        router::{Delivered, Gone, Link},
        settings::limit_met,
        shared::Member,
        state::Stats,
    },
    policy,
};

/// A SUBSCRIBE that is being carried out.
pub(super) struct Subscribing {
    id: u16,
    epoch: u64,
    reasons: Vec<Reason>,
    /// The numbers of new subscriptions.
    fresh: HashSet<u32>,
    /// The subscriptions that get retained values.
    replays: Vec<(u32, Filter)>,
    /// New subscriptions that the router has not confirmed.
    unconfirmed: usize,
    pub(super) snapshot: Option<Pending<Result<Snapshot, Stopped>>>,
    /// The snapshot, while the subscriptions are being kept.
    taken: Option<Snapshot>,
    /// What arrived for a new subscription before the snapshot.
    waiting: Vec<(u32, Bytes, Message, Option<u64>)>,
    /// What was published for a new subscription before the router had it.
    meanwhile: Vec<(u32, Bytes, Message)>,
}

impl Subscribing {
    pub(super) fn is_fresh(&self, number: u32) -> bool {
        self.fresh.contains(&number)
    }

    pub(super) fn wait(&mut self, number: u32, topic: Bytes, message: Message, place: Option<u64>) {
        self.waiting.push((number, topic, message, place));
    }
}

impl Session {
    pub(super) async fn subscribe(&mut self, subscribe: Subscribe) {
        let mut subscribing = Subscribing {
            id: subscribe.id,
            epoch: self.epoch,
            reasons: Vec::new(),
            fresh: HashSet::new(),
            replays: Vec::new(),
            unconfirmed: 0,
            snapshot: None,
            taken: None,
            waiting: Vec::new(),
            meanwhile: Vec::new(),
        };
        let mut orders = Vec::new();
        for entry in subscribe.entries {
            let joins = entry.filter.starts_with(SHARE_PREFIX);
            match self.add_subscription(&entry, subscribe.subscription_id, &mut subscribing, &mut orders) {
                Ok(reason) => {
                    if joins && !reason.is_error() {
                        self.join(&entry.filter).await;
                    }
                    subscribing.reasons.push(reason);
                }
                Err(text) => return self.detach(Reason::PROTOCOL_ERROR, text),
            }
        }
        subscribing.unconfirmed = orders.len();
        let done = self.order(&orders).await;
        self.subscribing = Some(subscribing);
        match done {
            Ok(()) if orders.is_empty() => self.ask_for_snapshot(),
            Ok(()) => {}
            // The subscriptions are in the table: they are made when there is a router again.
            Err(Gone) => self.lose_link(),
        }
    }

    /// Puts one filter into the table; tells what is granted, or what ends the connection.
    fn add_subscription(
        &mut self,
        entry: &SubscribeEntry,
        id: Option<u32>,
        subscribing: &mut Subscribing,
        orders: &mut Vec<(u32, String)>,
    ) -> Result<Reason, &'static str> {
        let Ok(subscription) = Subscription::parse(&entry.filter) else { return Ok(Reason::FILTER_INVALID) };
        let limits = &self.state.settings.limits;
        let levels = entry.filter.split('/').count();
        if entry.filter.len() > limits.topic_bytes_max || levels > limits.topic_levels_max {
            limit_met("filter");
            return Ok(Reason::FILTER_INVALID);
        }
        if subscription.group.is_some() && entry.no_local {
            return Err("A shared subscription cannot leave out one's own messages.");
        }
        let forbidden = &self.state.settings.forbidden_filters;
        if forbidden.iter().any(|forbidden| policy::covers(forbidden, &subscription.filter)) {
            metrics::counter!("lockstep_mqtt_denied_total", "action" => "subscribe").increment(1);
            return Ok(Reason::UNSPECIFIED);
        }
        if !self.access.as_ref().is_some_and(|access| access.may_subscribe(&subscription.filter)) {
            metrics::counter!("lockstep_mqtt_denied_total", "action" => "subscribe").increment(1);
            return Ok(Reason::NOT_AUTHORIZED);
        }
        let known = self.subscriptions.find(&entry.filter);
        if known.is_none() && !self.state.take_filter(self.subscriptions.len()) {
            limit_met("filters");
            return Ok(Reason::QUOTA_EXCEEDED);
        }
        let shared = subscription.group.is_some();
        let number = match known.and_then(|number| self.subscriptions.get_mut(number).map(|entry| (number, entry))) {
            Some((number, known)) => {
                known.qos = entry.qos;
                known.no_local = entry.no_local;
                known.retain_as_published = entry.retain_as_published;
                known.id = id;
                let after = self.state.flow.written_seq();
                self.wait_durably(number, after);
                number
            }
            None => {
                // What is older was published before this SUBSCRIBE was read, even where it is still on its way through the router.
                let last_seq = self.state.engine.newest_seq();
                let old_levels_seq = if replays(entry, known) { 0 } else { last_seq };
                let number = self.subscriptions.add(
                    &entry.filter,
                    Entry {
                        subscription: subscription.clone(),
                        qos: entry.qos,
                        no_local: entry.no_local,
                        retain_as_published: entry.retain_as_published,
                        id,
                        snapshot_seq: old_levels_seq,
                        last_seq,
                        next_place: None,
                        replayed_seq: 0,
                        _sys: self.state.sys.reader(&subscription.filter),
                    },
                );
                if !shared {
                    self.wait_durably(number, 0);
                    subscribing.fresh.insert(number);
                    orders.push((number, subscription.filter.as_str().to_owned()));
                }
                number
            }
        };
        if !shared && replays(entry, known) {
            subscribing.replays.push((number, subscription.filter));
        }
        Ok(Reason(entry.qos as u8))
    }

    /// Becomes a member of the group of the shared subscription `filter`.
    pub(super) async fn join(&mut self, filter: &str) {
        let Some(number) = self.subscriptions.find(filter) else { return };
        let Some(entry) = self.subscriptions.get(number) else { return };
        let Some(group) = entry.subscription.group.clone() else { return };
        let shares = self.shares.get_or_insert_with(|| mpsc::channel(SHARES_MAX));
        let member = Member {
            session: self.number,
            shares: shares.0.clone(),
            subscription: number,
            wanted: entry.wanted(),
            online: self.online.is_some(),
            lasting: self.keeping.is_lasting(),
        };
        let filter = entry.subscription.filter.clone();
        self.state.groups.join(&self.state, &group, &filter, member).await;
    }

    /// Tells the groups whether this member is connected.
    pub(super) fn rejoin(&self) {
        for (_, entry) in self.subscriptions.iter() {
            if let Some(group) = &entry.subscription.group {
                self.state.groups.set_online(group, &entry.subscription.filter, self.number, self.online.is_some());
            }
        }
    }

    /// Sends the router what is to be subscribed to; opens the link where there is none.
    async fn order(&mut self, orders: &[(u32, String)]) -> Result<(), Gone> {
        if orders.is_empty() {
            return Ok(());
        }
        let timeout = self.state.settings.limits.router_timeout;
        let ordering = async {
            if self.link.is_none() {
                let router = self.router.borrow_and_update().clone();
                self.link = Some(router.open().await?);
            }
            match &self.link {
                Some(link) => order_all(link, orders).await,
                None => Err(Gone),
            }
        };
        tokio::time::timeout(timeout, ordering).await.unwrap_or(Err(Gone))
    }

    /// The router confirmed a subscription.
    pub(super) fn take_subscribed(&mut self) {
        let Some(subscribing) = &mut self.subscribing else { return };
        subscribing.unconfirmed = subscribing.unconfirmed.saturating_sub(1);
        if subscribing.unconfirmed == 0 && subscribing.snapshot.is_none() && subscribing.taken.is_none() {
            self.ask_for_snapshot();
        }
    }

    fn ask_for_snapshot(&mut self) {
        self.take_published_meanwhile();
        let Some(subscribing) = &mut self.subscribing else { return };
        subscribing.unconfirmed = 0;
        let filters: Vec<Filter> = subscribing.replays.iter().map(|(_, filter)| filter.clone()).collect();
        if filters.is_empty() && subscribing.fresh.is_empty() {
            return self.take_snapshot(Ok(Snapshot { seq: 0, values: Vec::new() }));
        }
        let engine = self.state.engine.clone();
        subscribing.snapshot = Some(Box::pin(async move { engine.snapshot(filters).await }));
    }

    /// QoS 1 and 2 that were published after the SUBSCRIBE was read and before the router had it: a client that knows that it has sent
    /// its SUBSCRIBE may rely on them. What was noted before is not noted again.
    fn take_published_meanwhile(&mut self) {
        let Some(subscribing) = &mut self.subscribing else { return };
        for number in &subscribing.fresh {
            let Some(entry) = self.subscriptions.get(*number) else { continue };
            let filter = &entry.subscription.filter;
            let noted = subscribing.meanwhile.iter().filter(|(of, _, _)| of == number);
            let after = noted.map(|(_, _, message)| message.seq).fold(entry.last_seq, u64::max);
            for (topic, payload) in self.state.flow.missed_since(after, |topic| filter.matches(topic)) {
                if let Some(message) = header::decode(payload) {
                    subscribing.meanwhile.push((*number, topic, message));
                }
            }
        }
    }

    /// The retained values are here.
    pub(super) fn take_snapshot(&mut self, snapshot: Result<Snapshot, Stopped>) {
        let Some(subscribing) = &mut self.subscribing else { return };
        let Ok(snapshot) = snapshot else {
            self.subscribing = None;
            return self.stop_with_the_hub();
        };
        subscribing.snapshot = None;
        subscribing.taken = Some(snapshot);
        if self.keeping.is_lasting() {
            // SUBACK is sent when the subscriptions are on disk.
            self.keeping.note_record();
            self.keeping.owe(Due::Subscribed);
        } else {
            self.finish_subscribing();
        }
    }

    /// SUBACK, the retained values, then what arrived meanwhile.
    pub(super) fn finish_subscribing(&mut self) {
        let Some(subscribing) = self.subscribing.take() else { return };
        let Snapshot { seq, mut values } = subscribing.taken.unwrap_or(Snapshot { seq: 0, values: Vec::new() });
        if subscribing.epoch == self.epoch
            && let Some(online) = &mut self.online
        {
            frame::suback(&mut online.socket.out, online.version, subscribing.id, &subscribing.reasons);
            Stats::count(&self.state.stats.packets_sent);
        }
        if subscribing.replays.iter().any(|(_, filter)| filter.as_str().starts_with("$SYS")) {
            values.extend(self.state.sys.values());
        }
        let values: Arc<Vec<Retained>> = Arc::new(values);
        for (number, _) in &subscribing.replays {
            if subscribing.fresh.contains(number)
                && let Some(entry) = self.subscriptions.get_mut(*number)
            {
                entry.snapshot_seq = seq;
            }
        }
        for number in &subscribing.fresh {
            // What was published while the router was asked may have come or not.
            let came = subscribing.waiting.iter().map(|(of, _, message, _)| (of, message));
            let came = came.chain(subscribing.meanwhile.iter().map(|(of, _, message)| (of, message)));
            let came = came.filter(|(of, _)| *of == number);
            let came = came.filter_map(|(_, message)| self.keeping.place(message.seq, message.qos, *number));
            let places = came.map(|kept| kept.place).collect();
            self.note_only(*number, Some(seq), places);
        }
        for (number, _) in &subscribing.replays {
            if !values.is_empty() && self.online.is_some() {
                let values = Arc::clone(&values);
                self.queue.push_replay(Replay { subscription: *number, values, next: 0, waits: false });
            }
        }
        let mut newest = HashMap::new();
        for (number, topic, message) in subscribing.meanwhile {
            newest.insert(number, message.seq);
            self.deliver(number, topic, message, None);
        }
        for (number, seq) in newest {
            if let Some(entry) = self.subscriptions.get_mut(number) {
                entry.replayed_seq = seq;
            }
        }
        for (number, topic, message, place) in subscribing.waiting {
            self.deliver(number, topic, message, place);
        }
    }

    pub(super) async fn unsubscribe(&mut self, unsubscribe: Unsubscribe) {
        let mut reasons = Vec::new();
        let mut dropped = Vec::new();
        for filter in &unsubscribe.filters {
            let Some((number, entry)) = self.subscriptions.remove(filter) else {
                reasons.push(Reason::NO_SUBSCRIPTION);
                continue;
            };
            self.state.give_filters(1);
            match &entry.subscription.group {
                Some(group) => self.state.groups.leave(&self.state, group, &entry.subscription.filter, self.number),
                None => {
                    self.stop_waiting_for(number, &entry.subscription.filter);
                    dropped.push(entry.subscription.filter.as_str().to_owned());
                }
            }
            reasons.push(Reason::SUCCESS);
        }
        let timeout = self.state.settings.limits.router_timeout;
        if let Some(link) = &self.link {
            let dropping = async {
                for filter in &dropped {
                    link.unsubscribe(filter).await?;
                }
                Ok(())
            };
            if tokio::time::timeout(timeout, dropping).await.unwrap_or(Err(Gone)).is_err() {
                self.lose_link();
            }
        }
        if self.keeping.is_lasting() {
            self.keeping.note_record();
            self.keeping.owe(Due::Unsuback { id: unsubscribe.id, reasons, epoch: self.epoch });
        } else if let Some(online) = &mut self.online {
            frame::unsuback(&mut online.socket.out, online.version, unsubscribe.id, &reasons);
            Stats::count(&self.state.stats.packets_sent);
        }
    }

    /// The router is gone, or was too slow: everything is subscribed to again as soon as there is another, and at this one where the
    /// writer finds that it lives.
    pub(super) fn lose_link(&mut self) {
        self.note_caught_up();
        self.link = None;
        self.relink_at = Some(Instant::now() + self.state.settings.limits.router_timeout);
        self.state.flow.suspect();
    }

    /// There is another router: takes what the old one has left, then links to the new one.
    pub(super) async fn change_router(&mut self) {
        if self.link.as_ref().is_some_and(|link| link.generation() == self.router.borrow_and_update().generation()) {
            return;
        }
        while let Some(Ok(Some(delivered))) = self.link.as_mut().map(Link::try_next) {
            self.take_delivered(delivered);
        }
        self.note_caught_up();
        self.relink().await;
    }

    /// Links to the current router and takes from the ring what the dead one owed.
    pub(super) async fn relink(&mut self) {
        self.relink_at = None;
        self.link = None;
        let orders: Vec<(u32, String)> = self
            .subscriptions
            .iter()
            .filter(|(_, entry)| entry.subscription.group.is_none())
            .map(|(number, entry)| (number, entry.subscription.filter.as_str().to_owned()))
            .collect();
        let confirmed = match self.order(&orders).await {
            Ok(()) => self.confirmed(orders.len()).await,
            Err(Gone) => Err(Gone),
        };
        let Ok(early) = confirmed else {
            self.link = None;
            self.relink_at = Some(Instant::now() + self.state.settings.limits.router_timeout);
            return;
        };
        for (number, filter) in orders {
            if !self.subscribing.as_ref().is_some_and(|subscribing| subscribing.is_fresh(number)) {
                self.take_missed(number, &filter);
            }
        }
        for delivered in early {
            self.take_delivered(delivered);
        }
        match &self.subscribing {
            Some(subscribing) if subscribing.snapshot.is_none() && subscribing.taken.is_none() => {
                self.ask_for_snapshot()
            }
            Some(_) => self.take_published_meanwhile(),
            None => {}
        }
    }

    /// Waits until the new router has confirmed `count` subscriptions; messages that come meanwhile are taken.
    async fn confirmed(&mut self, mut count: usize) -> Result<Vec<Delivered>, Gone> {
        for (_, entry) in self.subscriptions.iter_mut() {
            entry.next_place = None;
        }
        let timeout = self.state.settings.limits.router_timeout;
        let mut early = Vec::new();
        while count > 0 {
            let Some(link) = &mut self.link else { return Err(Gone) };
            match tokio::time::timeout(timeout, link.next()).await.unwrap_or(Err(Gone))? {
                Delivered::Subscribed => count -= 1,
                Delivered::Resting => link.resume().await?,
                message => early.push(message),
            }
        }
        Ok(early)
    }

    fn take_missed(&mut self, number: u32, filter: &str) {
        let Ok(filter) = Filter::parse(filter) else { return };
        let Some(after) = self.subscriptions.get(number).map(|entry| entry.last_seq) else { return };
        let missed = self.state.flow.missed_since(after, |topic| filter.matches(topic));
        let mut newest = after;
        for (topic, payload) in missed {
            if let Some(message) = header::decode(payload) {
                newest = newest.max(message.seq);
                self.deliver(number, topic, message, None);
            }
        }
        if let Some(entry) = self.subscriptions.get_mut(number) {
            entry.replayed_seq = entry.replayed_seq.max(newest);
        }
    }
}

/// Whether retained values are to be sent for `entry`, of which a subscription is `known` (MQTT 5 §3.8.3.1).
fn replays(entry: &SubscribeEntry, known: Option<u32>) -> bool {
    match entry.retain_handling {
        RetainHandling::Send => true,
        RetainHandling::SendIfNew => known.is_none(),
        RetainHandling::Skip => false,
    }
}

async fn order_all(link: &Link, orders: &[(u32, String)]) -> Result<(), Gone> {
    for (number, filter) in orders {
        link.subscribe(filter, *number).await?;
    }
    Ok(())
}
