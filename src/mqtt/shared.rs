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
use crate::domain::{publication::Qos, topic::Filter};

/// A message for one member.
#[derive(Debug)]
pub(super) struct Share {
    pub(super) topic: Bytes,
    pub(super) message: Message,
    pub(super) qos: Qos,
    pub(super) retain_as_published: bool,
    pub(super) subscription_id: Option<u32>,
}

/// A session in a group.
#[derive(Debug, Clone)]
pub(super) struct Member {
    pub(super) session: u64,
    pub(super) shares: mpsc::Sender<Share>,
    pub(super) qos: Qos,
    pub(super) retain_as_published: bool,
    pub(super) subscription_id: Option<u32>,
    /// Members without a connection get messages only while nobody else is there.
    pub(super) online: bool,
}

type Key = (Arc<str>, Filter);

/// All groups of a door.
#[derive(Debug, Default)]
pub(super) struct Groups(Mutex<HashMap<Key, Group>>);

#[derive(Debug)]
struct Group {
    members: Arc<Mutex<Members>>,
    ready: watch::Receiver<bool>,
    cancel: CancellationToken,
}

#[derive(Debug, Default)]
struct Members {
    list: Vec<Member>,
    turn: usize,
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
                let members = Arc::default();
                let (confirm, ready) = watch::channel(false);
                let cancel = state.cancel.child_token();
                let task = Task {
                    state: Arc::downgrade(state),
                    filter: filter.clone(),
                    members: Arc::clone(&members),
                    confirm,
                    waiting: VecDeque::new(),
                    last_seq: state.flow.written_seq(),
                    replayed_seq: 0,
                };
                state.tracker.spawn(task.run(cancel.clone(), state.router.clone()));
                Group { members, ready, cancel }
            });
            group.members.lock().unwrap_or_else(PoisonError::into_inner).put(member);
            group.ready.clone()
        };
        // A router that is being replaced is waited for once its time is up: the group goes on trying.
        let _ = tokio::time::timeout(state.settings.limits.router_timeout, ready.wait_for(|ready| *ready)).await;
    }

    /// How many groups there are, each with its filter.
    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    /// Takes the session `number` out of a group; the last one ends it.
    pub(super) fn leave(&self, group: &Arc<str>, filter: &Filter, number: u64) {
        let key = (Arc::clone(group), filter.clone());
        let mut groups = self.lock();
        let Some(found) = groups.get(&key) else { return };
        let mut members = found.members.lock().unwrap_or_else(PoisonError::into_inner);
        members.list.retain(|member| member.session != number);
        let empty = members.list.is_empty();
        drop(members);
        if empty && let Some(group) = groups.remove(&key) {
            group.cancel.cancel();
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
    fn put(&mut self, member: Member) {
        self.list.retain(|known| known.session != member.session);
        self.list.push(member);
    }

    /// Hands the message to the next member that has room; gives it back where nobody has.
    fn offer(&mut self, topic: Bytes, message: Message) -> Result<(), Box<(Bytes, Message)>> {
        let mut refused = (topic, message);
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
                    qos: member.qos,
                    retain_as_published: member.retain_as_published,
                    subscription_id: member.subscription_id,
                };
                match member.shares.try_send(share) {
                    Ok(()) => return Ok(()),
                    Err(mpsc::error::TrySendError::Full(share) | mpsc::error::TrySendError::Closed(share)) => {
                        refused = (share.topic, share.message);
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
    waiting: VecDeque<(Bytes, Message)>,
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
        if !self.waiting.is_empty() && lasting {
            return self.wait(topic, message);
        }
        let offered = self.members.lock().unwrap_or_else(PoisonError::into_inner).offer(topic, message);
        match offered {
            Ok(()) => {}
            Err(refused) if lasting => self.wait(refused.0, refused.1),
            Err(_) => limit_met("shared_group"),
        }
    }

    fn wait(&mut self, topic: Bytes, message: Message) {
        if self.waiting.len() >= WAITING_MAX {
            limit_met("shared_group");
            return;
        }
        self.waiting.push_back((topic, message));
    }

    fn offer_waiting(&mut self) {
        while let Some((topic, message)) = self.waiting.pop_front() {
            let offered = self.members.lock().unwrap_or_else(PoisonError::into_inner).offer(topic, message);
            if let Err(refused) = offered {
                self.waiting.push_front(*refused);
                return;
            }
        }
    }
}
