//! Shared subscriptions (MQTT 5 §4.8.2): a group has a router link of its own and hands each message to one of its members.
//!
//! The router's own groups are not used: leaving one filter there leaves all groups, one group name on two filters loses half, and a
//! member that is behind gets a message twice. What a member does with its message does not belong here.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use bytes::Bytes;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::{
    header::{self, Message},
    router::{Delivered, Gone, Link},
    settings::limit_met,
    state::State,
};
use crate::{
    domain::{
        publication::Qos,
        topic::{Filter, SHARE_PREFIX},
    },
    engine::{Interest, KeepChange, Owner, Place, Wanted},
};

/// A message for one member.
#[derive(Debug)]
pub(super) struct Share {
    pub(super) topic: Bytes,
    pub(super) message: Message,
    /// The member's own subscription.
    pub(super) subscription: u32,
    pub(super) wanted: Wanted,
    /// Whose it is on disk, and where.
    pub(super) group: Option<(Owner, Place)>,
}

/// A session in a group.
#[derive(Debug, Clone)]
pub(super) struct Member {
    pub(super) session: u64,
    pub(super) shares: mpsc::Sender<Share>,
    /// The session's own number for it.
    pub(super) subscription: u32,
    pub(super) wanted: Wanted,
    /// Whether the session outlives its connection: then the group's messages are kept.
    pub(super) lasting: bool,
    /// Members without a connection get messages only while nobody else is there.
    pub(super) online: bool,
}

type Key = (Arc<str>, Filter);

/// All groups of a door.
#[derive(Debug, Default)]
pub(super) struct Groups(Mutex<HashMap<Key, Group>>);

/// A message that no member has.
pub(super) type Unshared = (Bytes, Message, Option<Place>);

/// The owner's name of a group on disk.
pub(super) fn group_owner(group: &str, filter: &Filter) -> Owner {
    ["g", SHARE_PREFIX, group, "/", filter.as_str()].concat().into()
}

/// Has everything that `filter` matches kept for the group from behind `after` on.
pub(super) fn wait_durably(interest: &Interest, owner: &Owner, filter: &Filter, after: u64) {
    interest.set(owner, 0, filter, WANTED, after);
}

/// What a group keeps: everything, whatever its members want of it.
const WANTED: Wanted = Wanted { qos: Qos::ExactlyOnce, retain_as_published: true, subscription_id: None };

#[derive(Debug)]
struct Group {
    owner: Owner,
    members: Arc<Mutex<Members>>,
    ready: watch::Receiver<bool>,
    cancel: CancellationToken,
}

#[derive(Debug, Default)]
struct Members {
    list: Vec<Member>,
    turn: usize,
    /// Whether messages are kept for the group, since a member lasts.
    kept: bool,
}

/// Messages of QoS 1 and 2 that wait in a group while no member takes any.
const WAITING_MAX: usize = 10_000;

/// How long a group waits before it offers a message again that no member had room for.
const OFFER_AGAIN: Duration = Duration::from_millis(5);

impl Groups {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Key, Group>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds or changes a member; returns when the group's own subscription is in force.
    pub(super) async fn join(&self, state: &Arc<State>, group: &Arc<str>, filter: &Filter, member: Member) {
        let mut ready = {
            let mut groups = self.lock();
            let group = groups.entry((Arc::clone(group), filter.clone())).or_insert_with(|| {
                let owner = group_owner(group, filter);
                let members = Arc::default();
                let (confirm, ready) = watch::channel(false);
                let cancel = state.cancel.child_token();
                let task = Task {
                    state: Arc::downgrade(state),
                    filter: filter.clone(),
                    members: Arc::clone(&members),
                    confirm,
                    waiting: state.restored_for(&owner),
                    owner: Arc::clone(&owner),
                    done: Vec::new(),
                    last_seq: state.flow.written_seq(),
                    replayed_seq: 0,
                };
                state.tracker.spawn(task.run(cancel.clone(), state.router.clone()));
                Group { owner, members, ready, cancel }
            });
            group.members.lock().unwrap_or_else(PoisonError::into_inner).put(member);
            group.ready.clone()
        };
        // A router that is being replaced is waited for once its time is up: the group goes on trying.
        let _ = tokio::time::timeout(state.settings.limits.router_timeout, ready.wait_for(|ready| *ready)).await;
        if let Some(found) = self.lock().get(&(Arc::clone(group), filter.clone())) {
            let mut members = found.members.lock().unwrap_or_else(PoisonError::into_inner);
            members.keep(state, &found.owner, filter);
        }
    }

    /// How many groups there are, each with its filter.
    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    /// Takes the session `number` out of a group; the last one ends it.
    pub(super) fn leave(&self, state: &State, group: &Arc<str>, filter: &Filter, number: u64) {
        let key = (Arc::clone(group), filter.clone());
        let mut groups = self.lock();
        let Some(found) = groups.get(&key) else { return };
        let mut members = found.members.lock().unwrap_or_else(PoisonError::into_inner);
        members.list.retain(|member| member.session != number);
        members.keep(state, &found.owner, filter);
        let empty = members.list.is_empty();
        drop(members);
        if empty && let Some(group) = groups.remove(&key) {
            group.cancel.cancel();
        }
    }

    /// Nothing is kept any more for a group that nobody has joined.
    pub(super) fn forget_without_members(&self, interest: &Interest, group: &Arc<str>, filter: &Filter) {
        if !self.lock().contains_key(&(Arc::clone(group), filter.clone())) {
            interest.remove(&group_owner(group, filter), 0, filter);
        }
    }

    /// Notes whether the session `number` has a connection.
    pub(super) fn set_online(&self, group: &Arc<str>, filter: &Filter, number: u64, online: bool) {
        if let Some(group) = self.lock().get(&(Arc::clone(group), filter.clone())) {
            let mut members = group.members.lock().unwrap_or_else(PoisonError::into_inner);
            for member in members.list.iter_mut().filter(|member| member.session == number) {
                member.online = online;
            }
        }
    }
}

impl Members {
    /// Has messages kept for the group from now on, or not any more, as its members are now.
    fn keep(&mut self, state: &State, owner: &Owner, filter: &Filter) {
        let Some(keeper) = &state.keeper else { return };
        let lasting = self.list.iter().any(|member| member.lasting);
        match (self.kept, lasting) {
            (false, true) => wait_durably(keeper.interest(), owner, filter, state.flow.written_seq()),
            (true, false) if !state.cancel.is_cancelled() => {
                keeper.interest().remove(owner, 0, filter);
                let (keeper, owner) = (keeper.clone(), Arc::clone(owner));
                state.tracker.spawn(async move { keeper.hand_in(&owner, vec![KeepChange::Emptied], true).await });
            }
            _ => {}
        }
        self.kept = lasting;
    }

    fn put(&mut self, member: Member) {
        self.list.retain(|known| known.session != member.session);
        self.list.push(member);
    }

    /// Hands the message to the next member that has room, and tells whether that one keeps it; gives it back where nobody has.
    fn offer(&mut self, owner: &Owner, unshared: Unshared) -> Result<bool, Box<Unshared>> {
        let mut refused = unshared;
        for online in [true, false] {
            if !online && self.list.iter().any(|member| member.online) {
                break;
            }
            for _ in 0..self.list.len() {
                self.turn = (self.turn + 1) % self.list.len();
                let member = &self.list[self.turn];
                if member.online != online {
                    continue;
                }
                let share = Share {
                    topic: refused.0,
                    message: refused.1,
                    subscription: member.subscription,
                    wanted: member.wanted,
                    group: refused.2.map(|place| (Arc::clone(owner), place)),
                };
                match member.shares.try_send(share) {
                    Ok(()) => return Ok(member.lasting),
                    Err(mpsc::error::TrySendError::Full(share) | mpsc::error::TrySendError::Closed(share)) => {
                        refused = (share.topic, share.message, share.group.map(|(_, place)| place));
                    }
                }
            }
        }
        Err(Box::new(refused))
    }
}

/// The task of one group.
struct Task {
    state: Weak<State>,
    filter: Filter,
    members: Arc<Mutex<Members>>,
    confirm: watch::Sender<bool>,
    waiting: VecDeque<Unshared>,
    owner: Owner,
    /// Messages that are done with and on disk.
    done: Vec<Place>,
    last_seq: u64,
    replayed_seq: u64,
}

impl Task {
    async fn run(mut self, cancel: CancellationToken, mut router: super::router::Current) {
        loop {
            let handle = router.borrow_and_update().clone();
            let serving = async {
                let link = handle.open().await?;
                link.subscribe(self.filter.as_str(), 1).await?;
                self.serve(link).await
            };
            tokio::select! {
                () = cancel.cancelled() => return,
                _ = serving => {}
            }
            let Some(state) = self.state.upgrade() else { return };
            state.flow.suspect();
            drop(state);
            tokio::select! {
                () = cancel.cancelled() => return,
                _ = router.changed() => {}
            }
        }
    }

    async fn serve(&mut self, mut link: Link) -> Result<(), Gone> {
        loop {
            self.flush().await;
            let delivered = if self.waiting.is_empty() {
                link.next().await?
            } else {
                self.offer_waiting();
                match tokio::time::timeout(OFFER_AGAIN, link.next()).await {
                    Ok(delivered) => delivered?,
                    Err(_) => continue,
                }
            };
            match delivered {
                Delivered::Resting => link.resume().await?,
                Delivered::Subscribed => {
                    self.take_missed();
                    self.confirm.send_replace(true);
                }
                Delivered::Message { topic, payload, .. } => {
                    if let Some(message) = header::decode(payload) {
                        self.take(topic, message);
                    }
                }
            }
        }
    }

    /// What a dead router owed the group; nothing for the first one.
    fn take_missed(&mut self) {
        let Some(state) = self.state.upgrade() else { return };
        let filter = self.filter.clone();
        for (topic, payload) in state.flow.missed_since(self.last_seq, |topic| filter.matches(topic)) {
            if let Some(message) = header::decode(payload) {
                let seq = message.seq;
                self.take(topic, message);
                self.replayed_seq = seq;
            }
        }
    }

    fn take(&mut self, topic: Bytes, message: Message) {
        if message.qos != Qos::AtMostOnce && message.seq <= self.replayed_seq {
            return;
        }
        self.last_seq = self.last_seq.max(message.seq);
        let lasting = message.qos != Qos::AtMostOnce;
        let place = if lasting { self.place(message.seq) } else { None };
        let unshared = (topic, message, place);
        if !self.waiting.is_empty() && lasting {
            return self.wait(unshared);
        }
        match self.offer(unshared) {
            Ok(()) => {}
            Err(refused) if lasting => self.wait(*refused),
            Err(_) => limit_met("shared_group"),
        }
    }

    /// Where a message is on disk; none where nobody keeps it.
    fn place(&self, seq: u64) -> Option<Place> {
        let kept = self.members.lock().unwrap_or_else(PoisonError::into_inner).kept;
        let run = self.state.upgrade()?.keeper.as_ref()?.run();
        kept.then_some(Place { run, seq })
    }

    fn offer(&mut self, unshared: Unshared) -> Result<(), Box<Unshared>> {
        let place = unshared.2;
        let keeps = self.members.lock().unwrap_or_else(PoisonError::into_inner).offer(&self.owner, unshared)?;
        if !keeps {
            self.done.extend(place);
        }
        Ok(())
    }

    fn wait(&mut self, unshared: Unshared) {
        if self.waiting.len() >= WAITING_MAX {
            self.done.extend(unshared.2);
            limit_met("shared_group");
            return;
        }
        self.waiting.push_back(unshared);
    }

    /// Tells the journal what is done with.
    async fn flush(&mut self) {
        if self.done.is_empty() {
            return;
        }
        let done = self.done.drain(..).map(|place| KeepChange::Done { place, subscription: 0 }).collect();
        let keeper = self.state.upgrade().and_then(|state| state.keeper.clone());
        if let Some(keeper) = keeper {
            // A journal that is gone keeps nothing that would be wrong.
            let _ = keeper.hand_in(&self.owner, done, false).await;
        }
    }

    fn offer_waiting(&mut self) {
        while let Some(unshared) = self.waiting.pop_front() {
            if let Err(refused) = self.offer(unshared) {
                self.waiting.push_front(*refused);
                return;
            }
        }
    }
}
