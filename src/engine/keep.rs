//! What MQTT sessions want kept: who waits for which topics, and the way to the disk.
//!
//! A message of QoS 1 or 2 that a lasting session waits for is written when the engine hands it out, for every session that
//! [waits](Interest) for it; what the session does with it afterwards follows as [`KeepChange`]s. So its sender can be answered when it is
//! on disk, however far its delivery is. Sockets do not belong here, nor does when a file is written.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::sync::{mpsc, oneshot, watch};

use crate::domain::{
    publication::{Publication, Qos},
    topic::Filter,
};

/// Requests that wait for the journal before whoever asks has to wait.
const REQUESTS_MAX: usize = 1024;

/// Whose messages they are: a session, or a group of sessions that share them. The same text after a restart.
pub type Owner = Arc<str>;

/// Which message: the start of the hub that published it, and its place in the one order since then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// How often the hub had started, that time included.
    pub run: u64,
    /// The place in the order of that run.
    pub seq: u64,
}

/// How far a kept message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeptStage {
    /// It waits; in a run that ended badly it may have been sent all the same.
    Waiting,
    /// It was sent and not acknowledged when its connection ended.
    Sent,
    /// QoS 2: the client has it, PUBREL is owed (MQTT 5 §4.3.3).
    Released,
}

/// A message as its owner is owed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Kept {
    /// The smaller of the publisher's and the subscription's.
    pub qos: Qos,
    /// The retain flag that it is delivered with.
    pub retain: bool,
    /// The client's own identifier of the subscription.
    pub subscription_id: Option<u32>,
    /// How far it is.
    pub stage: KeptStage,
}

/// What a subscription asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Wanted {
    /// The most that it is delivered with; never 0.
    pub qos: Qos,
    /// Whether the publisher's retain flag is kept.
    pub retain_as_published: bool,
    /// The client's own identifier of the subscription.
    pub subscription_id: Option<u32>,
}

impl Wanted {
    /// How `publication` is owed to whoever asked; none where it comes with QoS 0, which nobody keeps.
    #[must_use]
    pub fn of(&self, publication: &Publication) -> Option<Kept> {
        let qos = self.qos.min(publication.qos);
        (qos != Qos::AtMostOnce).then(|| Kept {
            qos,
            retain: self.retain_as_published && publication.is_level(),
            subscription_id: self.subscription_id,
            stage: KeptStage::Waiting,
        })
    }
}

/// What an owner wants changed on disk.
#[derive(Debug)]
pub enum KeepChange {
    /// The owner's record is this now; none: it is gone, with all its messages and identifiers.
    Record(Option<Vec<u8>>),
    /// All its messages and identifiers are gone.
    Emptied,
    /// A message that its subscription did not bring: a retained value that was sent.
    Add {
        /// Where it is from.
        place: Place,
        /// For which subscription.
        subscription: u32,
        /// How.
        kept: Kept,
        /// What.
        message: Box<Publication>,
    },
    /// A message is another owner's from now on: a group's is a member's.
    Take {
        /// Whose it was.
        from: Owner,
        /// Which.
        place: Place,
        /// For which subscription.
        subscription: u32,
        /// How it is owed.
        wanted: Wanted,
    },
    /// A message is further.
    Stage {
        /// Which.
        place: Place,
        /// For which subscription.
        subscription: u32,
        /// How far.
        stage: KeptStage,
    },
    /// A message is done with.
    Done {
        /// Which.
        place: Place,
        /// For which subscription.
        subscription: u32,
    },
    /// Of a subscription there are only these messages; of what was published after `up_to` in this run it says nothing.
    Only {
        /// Which subscription.
        subscription: u32,
        /// The newest place it speaks of; none for all of them.
        up_to: Option<u64>,
        /// What there is.
        places: HashSet<Place>,
    },
    /// The client has released a packet identifier of QoS 2.
    Released(u16),
}

/// Changes of one owner, made together.
#[derive(Debug)]
pub struct KeepRequest {
    /// Whose.
    pub owner: Owner,
    /// What, in order.
    pub changes: Vec<KeepChange>,
    /// Whether they are not to wait until something else is written.
    pub urgent: bool,
    /// Told when they are on disk; dropped where that fails.
    pub reply: Option<oneshot::Sender<()>>,
    /// Told when they are taken in: what is published from then on comes behind them.
    pub taken: Option<oneshot::Sender<()>>,
}

/// Packet identifiers of QoS 2 that came with a batch: on disk with it or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// Whose.
    pub owner: Owner,
    /// Which.
    pub ids: Vec<u16>,
}

/// A message that an earlier run kept.
#[derive(Debug, Clone, PartialEq)]
pub struct RestoredMessage {
    /// Where it is from.
    pub place: Place,
    /// For which subscription.
    pub subscription: u32,
    /// How it is owed.
    pub kept: Kept,
    /// What; its `seq` is that of its own run.
    pub message: Publication,
}

/// What an earlier run kept for one owner.
#[derive(Debug, Clone, PartialEq)]
pub struct RestoredOwner {
    /// Whose.
    pub owner: Owner,
    /// Its record; none for a group.
    pub record: Option<Vec<u8>>,
    /// Its messages in the order in which they were published.
    pub messages: Vec<RestoredMessage>,
    /// Packet identifiers of QoS 2 that the client has not released.
    pub received: Vec<u16>,
}

/// The way of the sessions to the disk. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Keeper {
    interest: Arc<Interest>,
    requests: mpsc::Sender<KeepRequest>,
    written: watch::Receiver<u64>,
    run: u64,
}

/// The journal's end of a [`Keeper`].
#[derive(Debug)]
pub struct Keeps {
    /// What the owners ask for.
    pub requests: mpsc::Receiver<KeepRequest>,
    /// Up to which place of this run everything that somebody waits for is on disk.
    pub written: watch::Sender<u64>,
}

/// The changes could not be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the disk fails, or the hub is stopping")]
pub struct NotKept;

impl Keeper {
    /// The way in, and the journal's end of it; `run` is how often the hub has started.
    #[must_use]
    pub fn new(interest: Arc<Interest>, run: u64) -> (Self, Keeps) {
        let (requests, receiver) = mpsc::channel(REQUESTS_MAX);
        let (sender, written) = watch::channel(0);
        (Self { interest, requests, written, run }, Keeps { requests: receiver, written: sender })
    }

    /// Tells up to which place of this run everything that somebody waits for is on disk, as it grows.
    #[must_use]
    pub fn written(&self) -> watch::Receiver<u64> {
        self.written.clone()
    }

    /// Who waits for what.
    #[must_use]
    pub fn interest(&self) -> &Interest {
        &self.interest
    }

    /// How often the hub has started, this time included.
    #[must_use]
    pub const fn run(&self) -> u64 {
        self.run
    }

    /// Hands in `changes` of `owner`; they are written with whatever is written next.
    ///
    /// # Errors
    /// [`NotKept`], when the journal is closed.
    ///
    /// # Cancel safety
    /// Cancelled, nothing was handed in.
    pub async fn hand_in(&self, owner: &Owner, changes: Vec<KeepChange>, urgent: bool) -> Result<(), NotKept> {
        let request = KeepRequest { owner: Arc::clone(owner), changes, urgent, reply: None, taken: None };
        self.requests.send(request).await.map_err(|_| NotKept)
    }

    /// Hands in `changes` of `owner` and waits until they are taken in: what is published from then on comes behind them.
    ///
    /// # Errors
    /// [`NotKept`], when the journal is closed.
    ///
    /// # Cancel safety
    /// Cancelled, it is not known whether they were handed in.
    pub async fn take_in(&self, owner: &Owner, changes: Vec<KeepChange>) -> Result<(), NotKept> {
        let (taken, done) = oneshot::channel();
        let request = KeepRequest { owner: Arc::clone(owner), changes, urgent: true, reply: None, taken: Some(taken) };
        self.requests.send(request).await.map_err(|_| NotKept)?;
        done.await.map_err(|_| NotKept)
    }

    /// Hands in `changes` of `owner` and waits until they are on disk, with all that was handed in before.
    ///
    /// # Errors
    /// [`NotKept`], when the disk fails or the hub stops before that.
    ///
    /// # Cancel safety
    /// Cancelled, it is not known whether they were handed in.
    pub async fn keep(&self, owner: &Owner, changes: Vec<KeepChange>) -> Result<(), NotKept> {
        let (reply, kept) = oneshot::channel();
        let request = KeepRequest { owner: Arc::clone(owner), changes, urgent: true, reply: Some(reply), taken: None };
        self.requests.send(request).await.map_err(|_| NotKept)?;
        kept.await.map_err(|_| NotKept)
    }
}

/// Who waits for which topics. Shared by the door, which changes it, the engine, which asks whether there is anybody, and the journal,
/// which asks who.
#[derive(Debug, Default)]
pub struct Interest {
    tree: RwLock<Node>,
    count: AtomicUsize,
}

#[derive(Debug, Default)]
struct Node {
    below: HashMap<Box<str>, Node>,
    waiting: Vec<Waiting>,
}

#[derive(Debug, Clone)]
struct Waiting {
    owner: Owner,
    subscription: u32,
    wanted: Wanted,
    after: u64,
}

impl Interest {
    /// Whether nobody waits for anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count.load(Ordering::Acquire) == 0
    }

    /// The subscription `subscription` of `owner` waits for what `filter` matches and was published after `after` in this run. What it
    /// asked for before under this number is replaced, but for `after`.
    pub fn set(&self, owner: &Owner, subscription: u32, filter: &Filter, wanted: Wanted, after: u64) {
        let mut tree = self.tree.write().unwrap_or_else(PoisonError::into_inner);
        let mut node = &mut *tree;
        for level in filter.as_str().split('/') {
            node = node.below.entry(level.into()).or_default();
        }
        let known = |waiting: &&mut Waiting| waiting.owner == *owner && waiting.subscription == subscription;
        if let Some(waiting) = node.waiting.iter_mut().find(known) {
            waiting.wanted = wanted;
        } else {
            node.waiting.push(Waiting { owner: Arc::clone(owner), subscription, wanted, after });
            self.count.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// The subscription `subscription` of `owner` to `filter` waits no more.
    pub fn remove(&self, owner: &Owner, subscription: u32, filter: &Filter) {
        let mut tree = self.tree.write().unwrap_or_else(PoisonError::into_inner);
        let levels: Vec<&str> = filter.as_str().split('/').collect();
        let gone = |waiting: &Waiting| waiting.owner == *owner && waiting.subscription == subscription;
        let removed = tree.remove(&levels, &gone);
        self.count.fetch_sub(removed, Ordering::AcqRel);
    }

    /// Whether somebody waits for `topic`.
    #[must_use]
    pub fn is_waiting(&self, topic: &str) -> bool {
        let mut found = false;
        self.look(topic, |_| found = true);
        found
    }

    /// Who waits for `topic` as it is published at `seq`, and how.
    #[must_use]
    pub fn waiting(&self, topic: &str, seq: u64) -> Vec<(Owner, u32, Wanted)> {
        let mut found = Vec::new();
        self.look(topic, |waiting| {
            if seq > waiting.after {
                found.push((Arc::clone(&waiting.owner), waiting.subscription, waiting.wanted));
            }
        });
        found
    }

    fn look(&self, topic: &str, mut found: impl FnMut(&Waiting)) {
        if self.is_empty() {
            return;
        }
        let tree = self.tree.read().unwrap_or_else(PoisonError::into_inner);
        tree.look(topic, true, &mut found);
    }
}

impl Node {
    fn look(&self, rest: &str, first: bool, found: &mut impl FnMut(&Waiting)) {
        let wild = !(first && rest.starts_with('$'));
        if wild && let Some(below) = self.below.get("#") {
            below.waiting.iter().for_each(&mut *found);
        }
        let (level, rest) = match rest.split_once('/') {
            Some((level, rest)) => (level, Some(rest)),
            None => (rest, None),
        };
        let exact = self.below.get(level);
        let any = if wild { self.below.get("+") } else { None };
        for node in [exact, any].into_iter().flatten() {
            match rest {
                Some(rest) => node.look(rest, false, found),
                None => {
                    node.waiting.iter().for_each(&mut *found);
                    // `a/#` matches `a` too (MQTT 5 §4.7.1.2).
                    if let Some(below) = node.below.get("#") {
                        below.waiting.iter().for_each(&mut *found);
                    }
                }
            }
        }
    }

    fn remove(&mut self, levels: &[&str], gone: &impl Fn(&Waiting) -> bool) -> usize {
        let [level, rest @ ..] = levels else {
            let before = self.waiting.len();
            self.waiting.retain(|waiting| !gone(waiting));
            return before - self.waiting.len();
        };
        let Some(node) = self.below.get_mut(*level) else { return 0 };
        let removed = node.remove(rest, gone);
        if node.waiting.is_empty() && node.below.is_empty() {
            self.below.remove(*level);
        }
        removed
    }
}
