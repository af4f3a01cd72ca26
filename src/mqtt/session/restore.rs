//! Sessions of an earlier run: put back from the disk before anybody is let in.
//!
//! What is written does not belong here; that is [`keep`](super::keep)'s and [`record`](super::record)'s.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use bytes::Bytes;
use tokio::{sync::oneshot, time::Instant};

use super::{
    Receiving, Session,
    queue::{Delivery, KeptAt, Pushed},
    record::Record,
    subscriptions::Entry,
};
use crate::{
    domain::{time::Wall, topic::Subscription},
    engine::{Interest, KeepChange, Keeper, KeptStage, Owner, RestoredMessage, RestoredOwner},
    mqtt::{
        frame,
        header::Message,
        shared::{self, Unshared},
        state::State,
    },
    policy::Identity,
};

/// How long a client without a keep-alive is waited for after a crash before its will is published.
const RETURN_WITHOUT_KEEP_ALIVE: Duration = Duration::from_secs(90);

/// The sessions that an earlier run kept, read and not put back yet.
#[derive(Debug)]
pub struct Lasting {
    pub(in crate::mqtt) keeper: Keeper,
    sessions: Vec<(Record, RestoredOwner)>,
    groups: HashMap<Owner, VecDeque<Unshared>>,
    /// Everything up to here was only put back: whoever had been told of it is not told again.
    put_back: u64,
}

impl Lasting {
    /// Reads what an earlier run kept; from now on `keeper` tells the journal who waits for what.
    ///
    /// Call it before the engine starts. `put_back` is the place of the last retained value that it will only put back.
    #[must_use]
    pub fn read(keeper: Keeper, restored: Vec<RestoredOwner>, put_back: u64) -> Self {
        let mut lasting = Self { keeper, sessions: Vec::new(), groups: HashMap::new(), put_back };
        for owner in restored {
            match (owner.owner.get(..1), &owner.record) {
                (Some("g"), _) => {
                    let messages = owner.messages.into_iter().map(unshared).collect();
                    lasting.groups.insert(owner.owner, messages);
                }
                (Some("c"), Some(record)) => match Record::read(record) {
                    Ok(record) => lasting.sessions.push((record, owner)),
                    Err(error) => {
                        // It stays on disk until its client comes back to a new one.
                        tracing::warn!(client = &owner.owner[1..], %error, "a session on disk cannot be used");
                    }
                },
                _ => tracing::warn!(owner = &*owner.owner, "messages on disk are nobody's"),
            }
        }
        for (record, owner) in lasting.sessions.iter().filter(|(record, _)| record.expiry_s > 0) {
            for subscribed in &record.subscriptions {
                let Ok(Subscription { group, filter }) = Subscription::parse(&subscribed.filter) else { continue };
                let interest = lasting.keeper.interest();
                match group {
                    Some(group) => {
                        shared::wait_durably(interest, &shared::group_owner(&group, &filter), &filter, put_back)
                    }
                    None if subscribed.qos == crate::domain::publication::Qos::AtMostOnce => {}
                    None => {
                        interest.set(&owner.owner, subscribed.number, &filter, subscribed.wanted(), put_back);
                    }
                }
            }
        }
        lasting
    }

    /// Puts the sessions back; returns when all of them are linked to the router, so that they miss nothing.
    pub(in crate::mqtt) async fn put_back(self, state: &Arc<State>) {
        let count = self.sessions.len();
        state.restore_groups(self.groups);
        let mut linked = Vec::with_capacity(count);
        let mut dropped = Vec::new();
        for (record, restored) in self.sessions {
            let client_id: Arc<str> = restored.owner[1..].into();
            let Some(access) = state.policy.remembered(record.user.as_deref(), &client_id) else {
                tracing::info!(client = %client_id, "a session is dropped: its user may not connect any more");
                forget(&self.keeper, &restored.owner, KeepChange::Record(None)).await;
                dropped.push((record, restored.owner));
                continue;
            };
            let (number, inbox) = state.register(&client_id);
            let mut session = Box::new(Session::new(Arc::clone(state), number, client_id, inbox));
            session.restore(access, record, restored, self.put_back);
            let (done, ready) = oneshot::channel();
            state.tracker.spawn(async move {
                session.link_again().await;
                // Whoever waited may have given up.
                let _ = done.send(());
                session.run().await;
            });
            linked.push(ready);
        }
        for ready in linked {
            let _ = ready.await;
        }
        for (record, owner) in dropped {
            wait_no_more(state, self.keeper.interest(), &record, &owner);
        }
        for owner in state.groups_without_members() {
            forget(&self.keeper, &owner, KeepChange::Emptied).await;
        }
        if count > 0 {
            tracing::info!(count, "sessions were put back");
        }
    }
}

/// Nothing is kept any more for a session that was dropped, nor for groups that nobody else is in.
fn wait_no_more(state: &State, interest: &Interest, record: &Record, owner: &Owner) {
    for subscribed in &record.subscriptions {
        match Subscription::parse(&subscribed.filter) {
            Ok(Subscription { group: Some(group), filter }) => {
                state.groups.forget_without_members(interest, &group, &filter);
            }
            Ok(Subscription { group: None, filter }) => interest.remove(owner, subscribed.number, &filter),
            Err(_) => {}
        }
    }
}

async fn forget(keeper: &Keeper, owner: &Owner, change: KeepChange) {
    // A journal that is gone already has nobody who would look.
    let _ = keeper.hand_in(owner, vec![change], false).await;
}

fn unshared(restored: RestoredMessage) -> Unshared {
    let RestoredMessage { place, message, .. } = restored;
    let properties = message.properties.as_ref().map(|properties| frame::message_properties(properties).freeze());
    let topic = Bytes::copy_from_slice(message.topic.as_str().as_bytes());
    let level = message.is_level();
    let message = Message {
        seq: place.seq,
        written_bytes: 0,
        qos: message.qos,
        level,
        session: None,
        expires_at: message.expires_at,
        properties: properties.unwrap_or_default(),
        payload: message.payload,
    };
    (topic, message, Some(place))
}

impl Session {
    /// Becomes what an earlier run left of it.
    fn restore(&mut self, access: Identity, record: Record, restored: RestoredOwner, put_back: u64) {
        let limits = &self.state.settings.limits;
        let expiry_max = u32::try_from(limits.session_expiry_max.as_secs()).unwrap_or(u32::MAX);
        self.epoch = 1;
        self.access = Some(access);
        self.version = record.version;
        self.keep_alive_s = record.keep_alive_s;
        self.expiry_s = record.expiry_s.min(expiry_max);
        self.will = record.will.clone();
        self.awaited = record.online;
        self.keeping.restored(record.expiry_s > 0);
        self.restore_deadlines(&record);
        for subscribed in record.subscriptions {
            let Ok(subscription) = Subscription::parse(&subscribed.filter) else { continue };
            let entry = Entry {
                _sys: self.state.sys.reader(&subscription.filter),
                subscription,
                qos: subscribed.qos,
                no_local: subscribed.no_local,
                retain_as_published: subscribed.retain_as_published,
                id: subscribed.id,
                snapshot_seq: put_back,
                last_seq: put_back,
                next_place: None,
                replayed_seq: 0,
            };
            self.subscriptions.restore(subscribed.number, &subscribed.filter, entry);
        }
        self.state.filters.fetch_add(self.subscriptions.len(), Ordering::Relaxed);
        self.receiving = restored.received.into_iter().map(|id| (id, Receiving::Received)).collect();
        self.restore_messages(restored.messages, record.online);
    }

    /// What waits, and what may have been sent: that is sent again as such.
    fn restore_messages(&mut self, messages: Vec<RestoredMessage>, was_online: bool) {
        let window = usize::from(self.state.settings.limits.inflight_max);
        let mut may_be_sent = was_online;
        for RestoredMessage { place, subscription, kept, message } in messages {
            let at = KeptAt { place, subscription };
            let delivery = Delivery {
                topic: Bytes::copy_from_slice(message.topic.as_str().as_bytes()),
                payload: message.payload.clone(),
                properties: message
                    .properties
                    .as_ref()
                    .map_or_else(Bytes::new, |properties| frame::message_properties(properties).freeze()),
                qos: kept.qos,
                retain: kept.retain,
                expires_at: message.expires_at,
                subscription_id: kept.subscription_id,
                kept: Some(at),
            };
            match kept.stage {
                KeptStage::Released => self.inflight.add_released(at),
                KeptStage::Sent => drop(self.inflight.add(delivery)),
                KeptStage::Waiting => {
                    may_be_sent &= self.inflight.len() < window && self.inflight.has_id_for(&delivery);
                    if may_be_sent {
                        self.inflight.add(delivery);
                    } else if self.queue.push(delivery) == Pushed::Full {
                        self.keeping.note_done(Some(at));
                    }
                }
            }
        }
    }

    /// When the session ends and its will is due, by the wall clock where that was known: the time that the hub was away counts.
    ///
    /// A client that was connected when the hub went away gets one and a half times its keep-alive to return.
    fn restore_deadlines(&mut self, record: &Record) {
        let wall = self.state.clock.now().wall;
        let now = Instant::now();
        let expiry = (self.expiry_s != u32::MAX).then(|| Duration::from_secs(self.expiry_s.into()));
        // A clock that is wrong after the start never gives more than there was.
        let left = |at: Wall, most: Duration| now.checked_add(at.since(wall).min(most));
        let delay = self.will.as_ref().map(|will| will.delay);
        self.ends_at = match (record.ends_at, expiry) {
            (_, None) => None,
            (Some(at), Some(expiry)) => left(at, expiry),
            (None, Some(expiry)) => now.checked_add(expiry),
        };
        self.will_at = match (delay, record.online) {
            (None, _) => None,
            (Some(delay), false) => record.will_at.map_or(Some(now), |at| left(at, delay)),
            (Some(delay), true) => {
                let keep_alive = Duration::from_secs(record.keep_alive_s.into());
                let patience = if keep_alive.is_zero() { RETURN_WITHOUT_KEEP_ALIVE } else { keep_alive * 3 / 2 };
                now.checked_add(patience + delay)
            }
        };
        if self.expiry_s == 0 {
            // Nothing but the will is left of it.
            self.ends_at = self.will_at.or(Some(now));
        } else if let (Some(will_at), Some(ends_at)) = (self.will_at, self.ends_at) {
            self.will_at = Some(will_at.min(ends_at));
        }
    }

    /// Subscribes at the router and joins its groups.
    async fn link_again(&mut self) {
        self.relink().await;
        let shared = self.subscriptions.iter().any(|(_, entry)| entry.subscription.group.is_some());
        if shared {
            let filters: Vec<String> = self.subscriptions.filters().map(str::to_owned).collect();
            for filter in filters {
                self.join(&filter).await;
            }
        }
    }
}
