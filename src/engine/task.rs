//! The owning task itself.
//!
//! What a publish means does not belong here (that is the domain), nor does anything that may wait.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{Semaphore, mpsc, oneshot, watch},
    time::Instant,
};

use super::{
    batch::{self, Batch, Concern, Credit, Outlet, OutletReceiver, Settled},
    handle::{EngineHandle, MESSAGE_OVERHEAD_BYTES, Message, Outcome, Sizes},
    keep::{Interest, Received},
    tree::{Retained, Snapshot, Tree},
};
use crate::{
    clock::Clock,
    domain::{
        hub::{Hub, Reaction, Record, RoomChange},
        publication::{Level, Publication, Publish, Qos},
        rejection::{Code, Rejection},
        time::Now,
    },
    figures,
};

/// How long the hub trusts its timer before it looks at the clocks again while a timer runs: a machine that was suspended, or a wall
/// clock that jumped, is noticed within it. An idle hub sleeps as long as it likes.
const LOOK_AT_CLOCKS_AFTER: Duration = Duration::from_secs(1);

/// How many wake-ups may have publications under way, from the timer to the last reader. While that many are, the next one is
/// put off: time that passed is no worse for being told late, and a late second is skipped.
const WAKES_UNDER_WAY_MAX: usize = 4096;

/// How many batches without credit there may be: the start's, the end's.
const BATCHES_WITHOUT_CREDIT_MAX: usize = 8;

/// How many revisions are reserved on disk at a time.
pub const REVISION_BLOCK: u64 = 10_000;

/// What bounds the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineLimits {
    /// Bytes of publishes that clients may have under way, from the inbox to the last reader.
    pub client_credit_bytes_max: u32,
    /// The same for what the hub itself owes: wills, availability.
    pub hub_credit_bytes_max: u32,
    /// Messages that wait in the inbox.
    pub inbox_messages_max: usize,
    /// Topics with a retained value.
    pub retained_topics_max: usize,
    /// Bytes of all retained values together.
    pub retained_bytes_max: usize,
    /// Bytes of one retained value.
    pub retained_value_bytes_max: usize,
}

impl Default for EngineLimits {
    fn default() -> Self {
        Self {
            client_credit_bytes_max: 16 << 20,
            hub_credit_bytes_max: 4 << 20,
            inbox_messages_max: 1024,
            retained_topics_max: 100_000,
            retained_bytes_max: 256 << 20,
            retained_value_bytes_max: 1 << 20,
        }
    }
}

/// Whether what must last can be written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum StoreHealth {
    /// It can.
    #[default]
    Healthy,
    /// It cannot at the moment.
    Failing {
        /// Why, in a sentence for people.
        reason: String,
    },
}

/// What goes to the journal: a batch, and the answers that wait for it. The batch may be empty where only answers wait.
#[derive(Debug)]
pub struct JournalEntry {
    /// What happened.
    pub batch: Arc<Batch>,
    /// Who is told when it is on disk.
    pub settled: Settled,
    /// The newest revision that the batch gives away, where it gives one.
    pub revision: Option<u64>,
    /// Finished phases for the history.
    pub finished: Vec<Record>,
    /// Packet identifiers that belong to the batch.
    pub received: Option<Received>,
}

/// The journal's side of the engine.
#[derive(Debug)]
pub struct Storage {
    /// Where entries go.
    pub entries: mpsc::Sender<JournalEntry>,
    /// How the disk is.
    pub health: watch::Receiver<StoreHealth>,
    /// Up to which revision the disk knows of; grows when the journal has reserved more.
    pub revision_ceiling: watch::Receiver<u64>,
    /// Whether lasting sessions wait for anything; the journal knows who.
    pub interest: Arc<Interest>,
}

/// The engine before it runs.
#[derive(Debug)]
pub struct Engine {
    hub: Hub,
    clock: Clock,
    limits: EngineLimits,
    tree: Tree,
    /// With the name of who reads.
    outlets: Vec<(&'static str, Outlet)>,
    storage: Option<Storage>,
    inbox: mpsc::Receiver<Message>,
    /// The newest place that was given away, for the handles.
    newest_seq: Arc<AtomicU64>,
    wake_credit: Arc<Semaphore>,
    /// Messages that an outlet could not take although there was credit: a reader that is gone.
    lost_outlets: usize,
}

impl Engine {
    /// An engine for `hub`, and the way to it. Everything submitted before [`run`](Self::run) waits for it.
    #[must_use]
    pub fn new(hub: Hub, clock: Clock, limits: EngineLimits) -> (Self, EngineHandle) {
        let (sender, inbox) = mpsc::channel(limits.inbox_messages_max);
        let client_credit_bytes_max = limits.client_credit_bytes_max.max(4096);
        let hub_credit_bytes_max = limits.hub_credit_bytes_max.max(4096);
        let handle = EngineHandle {
            inbox: sender,
            client_credit: Arc::new(Semaphore::new(client_credit_bytes_max as usize)),
            hub_credit: Arc::new(Semaphore::new(hub_credit_bytes_max as usize)),
            client_credit_bytes_max,
            hub_credit_bytes_max,
            newest_seq: Arc::default(),
        };
        let newest_seq = Arc::clone(&handle.newest_seq);
        let engine = Self {
            hub,
            clock,
            limits,
            tree: Tree::default(),
            outlets: Vec::new(),
            storage: None,
            inbox,
            newest_seq,
            wake_credit: Arc::new(Semaphore::new(WAKES_UNDER_WAY_MAX)),
            lost_outlets: 0,
        };
        (engine, handle)
    }

    /// A new way out: gets every batch from the start on.
    pub fn outlet(&mut self) -> OutletReceiver {
        self.outlet_for("other")
    }

    /// A new way out for `reader`, whose name its queue has in the figures. Several may share one.
    pub fn outlet_for(&mut self, reader: &'static str) -> OutletReceiver {
        self.add_outlet(reader, None)
    }

    /// A new way out for `reader` that gets the batches in which something is its `concern`, and all of them while it
    /// [attends](OutletReceiver::attend).
    pub fn outlet_about(
        &mut self,
        reader: &'static str,
        concern: impl Fn(&Publication) -> bool + Send + 'static,
    ) -> OutletReceiver {
        self.add_outlet(reader, Some(Box::new(concern)))
    }

    fn add_outlet(&mut self, reader: &'static str, concern: Option<Box<Concern>>) -> OutletReceiver {
        let (outlet, receiver) = batch::outlet(batches_under_way_max(&self.limits), concern);
        self.outlets.push((reader, outlet));
        receiver
    }

    /// Where what must last goes. Without it nothing lasts, and everything is acknowledged at once.
    pub fn set_storage(&mut self, storage: Storage) {
        self.storage = Some(storage);
    }

    /// Puts back the retained tree of an earlier run, then everything that the hub itself shows, `online` included.
    ///
    /// Call it once, after the outlets were made and before [`run`](Self::run). `revision` is the newest one that may have been given.
    pub fn start(&mut self, restored: Vec<Publication>, revision: u64) {
        let now = self.clock.now();
        let values = restored.iter().map(|value| (&value.topic, &value.payload[..]));
        let mut reaction = self.hub.start(values, revision, now);
        let mut publications: Vec<Publication> = restored.into_iter().filter(|value| self.puts_back(value)).collect();
        publications.append(&mut reaction.publications);
        publications.append(&mut self.hub.announce(true).publications);
        reaction.publications = publications;
        self.hand_out(reaction, Vec::new(), Vec::new());
    }

    /// Whether [`start`](Self::start) only puts `value` back: what the hub itself says is said anew. Values that are put back come first,
    /// so that whoever had been told of them knows them by their place.
    #[must_use]
    pub fn puts_back(&self, value: &Publication) -> bool {
        let below = value.topic.as_str().strip_prefix(self.hub.root().as_str()).and_then(|rest| rest.strip_prefix('/'));
        below.is_none_or(|below| below.starts_with("device/"))
    }

    /// Runs until every [`EngineHandle`] is gone or `stop` is done; then says `offline` and closes the outlets.
    pub async fn run(mut self, stop: impl Future<Output = ()>) {
        tokio::pin!(stop);
        let timer = tokio::time::sleep(Duration::ZERO);
        tokio::pin!(timer);
        let mut armed = None;
        loop {
            let now = self.clock.now();
            let due = self.hub.next_wakeup();
            let put_off = due.is_some_and(|at| at <= now.mono) && !self.wake(now);
            if due.is_some_and(|at| at <= now.mono) {
                // Whoever publishes gets a turn between two wake-ups.
                tokio::task::yield_now().await;
            }
            let due = self.hub.next_wakeup();
            if armed != due {
                armed = due;
                if let Some(at) = due {
                    let ahead = if put_off { LOOK_AT_CLOCKS_AFTER } else { at.since(self.clock.now().mono) };
                    timer.as_mut().reset(Instant::now() + ahead.min(LOOK_AT_CLOCKS_AFTER));
                }
            }
            tokio::select! {
                biased;
                () = &mut stop => break,
                () = &mut timer, if armed.is_some() => armed = None,
                message = self.inbox.recv() => match message {
                    Some(message) => self.take(message),
                    None => break,
                },
            }
        }
        let reaction = self.hub.announce(false);
        self.hand_out(reaction, Vec::new(), Vec::new());
    }

    /// Does what is due; tells whether there was credit for it.
    fn wake(&mut self, now: Now) -> bool {
        let Ok(permit) = Arc::clone(&self.wake_credit).try_acquire_owned() else { return false };
        let reaction = self.hub.wake(now);
        self.hand_out(reaction, vec![permit.into()], Vec::new());
        true
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Publish { batch, received, reply, credit } => {
                let now = self.clock.now();
                let mut reaction = Reaction::default();
                let mut outcomes = Vec::with_capacity(if reply.is_some() { batch.len() } else { 0 });
                let mut durable = false;
                for publish in &batch {
                    let from = reaction.publications.len();
                    let (outcome, lasts) = self.publish(publish, now, &mut reaction);
                    self.stamp(&mut reaction.publications[from..]);
                    durable |= lasts && outcome.is_ok();
                    if reply.is_some() {
                        let seq = self.tree.seq();
                        outcomes.push(outcome.map(|accepted| crate::domain::publication::Accepted { seq, ..accepted }));
                    }
                }
                let replies: Vec<_> = reply.map(|reply| (reply, outcomes)).into_iter().collect();
                self.hand_out_stamped(reaction, vec![credit], replies, durable, received);
            }
            Message::Snapshot { filters, reply } => {
                let snapshot: Snapshot = self.tree.snapshot(&filters);
                // Whoever asked may have gone.
                let _ = reply.send(snapshot);
            }
            Message::Here { change, credit } => {
                let reaction = self.hub.here(change, self.clock.now());
                self.hand_out(reaction, vec![credit.into()], Vec::new());
            }
            Message::Room { change, reply, credit } => self.change_room(change, reply, credit),
            Message::Sizes { reply } => {
                let _ = reply.send(self.sizes());
            }
        }
    }

    fn sizes(&self) -> Sizes {
        let mut queues = vec![("inbox", self.inbox.len())];
        let mut add = |name, length| match queues.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known += length,
            None => queues.push((name, length)),
        };
        for (reader, outlet) in &self.outlets {
            add(*reader, outlet.waiting());
        }
        if let Some(Storage { entries, .. }) = &self.storage {
            add("journal", entries.max_capacity() - entries.capacity());
        }
        Sizes { retained: self.tree.len(), retained_bytes: self.tree.bytes(), seq: self.tree.seq(), queues }
    }

    fn change_room(
        &mut self,
        change: RoomChange,
        reply: oneshot::Sender<Vec<Outcome>>,
        credit: tokio::sync::OwnedSemaphorePermit,
    ) {
        if let Some(rejection) = self.storage_refuses() {
            let _ = reply.send(vec![Err(rejection)]);
            return;
        }
        let (RoomChange::Create { id, .. } | RoomChange::Rename { id, .. } | RoomChange::Delete { id }) = &change;
        let below = format!("{}/{id}/", self.hub.root());
        let retained: Vec<_> = self.tree.below(&below).map(|retained| retained.topic.clone()).collect();
        match self.hub.change_room(change, retained.into_iter(), self.clock.now()) {
            Ok(mut reaction) => {
                self.stamp(&mut reaction.publications);
                let accepted = crate::domain::publication::Accepted { seq: self.tree.seq(), revision: None };
                self.hand_out_stamped(reaction, vec![credit.into()], vec![(reply, vec![Ok(accepted)])], true, None);
            }
            Err(rejection) => {
                figures::rejected(rejection.code);
                let _ = reply.send(vec![Err(rejection)]);
            }
        }
    }

    /// Carries out one publish and counts it where it is rejected; tells too whether its answer waits for the disk.
    fn publish(&mut self, publish: &Publish, now: Now, reaction: &mut Reaction) -> (Outcome, bool) {
        let (outcome, lasts) = self.apply(publish, now, reaction);
        if let Err(rejection) = &outcome {
            figures::rejected(rejection.code);
        }
        (outcome, lasts)
    }

    fn apply(&mut self, publish: &Publish, now: Now, reaction: &mut Reaction) -> (Outcome, bool) {
        let command = self.hub.is_command(&publish.topic);
        let lasts = command || publish.durable || (publish.retain && publish.qos != Qos::AtMostOnce);
        let refused = if lasts { self.storage_refuses() } else { None }
            .or_else(|| if publish.retain && !command { self.tree_refuses(publish) } else { None });
        if let Some(rejection) = refused {
            self.hub.tell_refused(publish, &rejection, None, reaction);
            return (Err(rejection), false);
        }
        if let Some(storage) = &self.storage {
            self.hub.allow_revisions(*storage.revision_ceiling.borrow());
        }
        (self.hub.publish(publish, now, reaction), lasts)
    }

    fn storage_refuses(&self) -> Option<Rejection> {
        match &*self.storage.as_ref()?.health.borrow() {
            StoreHealth::Healthy => None,
            StoreHealth::Failing { reason } => {
                Some(Rejection::new(Code::Storage, format!("The hub cannot write to its disk: {reason}.")))
            }
        }
    }

    fn tree_refuses(&self, publish: &Publish) -> Option<Rejection> {
        let limits = &self.limits;
        if publish.payload.is_empty() {
            return None;
        }
        if publish.bytes() > limits.retained_value_bytes_max {
            let message = format!("A retained value has at most {} bytes.", limits.retained_value_bytes_max);
            return Some(Rejection::new(Code::TooLarge, message));
        }
        let old = self.tree.get(publish.topic.as_str());
        if old.is_none() && self.tree.len() >= limits.retained_topics_max {
            let message = format!("There are {} retained topics already.", self.tree.len());
            return Some(Rejection::new(Code::Limit, message));
        }
        let others = self.tree.bytes() - old.map_or(0, Retained::bytes);
        if others + publish.bytes() > limits.retained_bytes_max {
            return Some(Rejection::new(Code::Limit, "The retained values have no room for more bytes."));
        }
        None
    }

    /// Gives publications their places in the one order and takes them into the tree.
    fn stamp(&mut self, publications: &mut [Publication]) {
        for publication in publications {
            publication.seq = self.tree.seq() + 1;
            self.tree.apply(publication);
        }
        self.newest_seq.store(self.tree.seq(), Ordering::Release);
    }

    fn hand_out(
        &mut self,
        mut reaction: Reaction,
        credit: Vec<Credit>,
        replies: Vec<(oneshot::Sender<Vec<Outcome>>, Vec<Outcome>)>,
    ) {
        self.stamp(&mut reaction.publications);
        self.hand_out_stamped(reaction, credit, replies, false, None);
    }

    fn hand_out_stamped(
        &mut self,
        reaction: Reaction,
        credit: Vec<Credit>,
        replies: Vec<(oneshot::Sender<Vec<Outcome>>, Vec<Outcome>)>,
        durable: bool,
        received: Option<Received>,
    ) {
        let Reaction { publications, finished } = reaction;
        let batch = Arc::new(Batch { publications, _credit: credit });
        let settled = Settled { replies };
        let (now_settled, later) =
            if durable { (None, settled) } else { (Some(settled), Settled { replies: Vec::new() }) };
        match &self.storage {
            Some(storage) => {
                let revision = Some(self.hub.revision());
                let entry = JournalEntry { batch: Arc::clone(&batch), settled: later, revision, finished, received };
                // A journal that is gone drops the answers, which tells whoever waits for them.
                if entry.is_of_interest(&storage.interest) {
                    let _ = storage.entries.try_send(entry);
                }
            }
            None => later.send(),
        }
        // The journal has it first: what a session says of a message comes to the journal behind the message. The readers come last,
        // because a thread runs first whom it woke last: an answer is a system call, and others wait for what is handed on.
        if let Some(settled) = now_settled {
            settled.send();
        }
        if !batch.publications.is_empty() {
            let before = self.outlets.len();
            self.outlets.retain(|(_, outlet)| outlet.offer(&batch));
            self.lost_outlets += before - self.outlets.len();
        }
    }
}

impl Storage {
    /// The same, for lasting sessions that wait as `interest` says.
    #[must_use]
    pub fn with_interest(self, interest: Arc<Interest>) -> Self {
        Self { interest, ..self }
    }
}

impl JournalEntry {
    fn is_of_interest(&self, interest: &Interest) -> bool {
        let somebody_waits = !interest.is_empty();
        !self.settled.is_empty()
            || !self.finished.is_empty()
            || self.received.is_some()
            || self.batch.publications.iter().any(|publication| {
                publication.level == Level::Retained || somebody_waits && publication.qos != Qos::AtMostOnce
            })
    }
}

/// How many batches can be under way: each holds at least one message's overhead of credit, or is a wake-up, so an outlet
/// with this much room is never full.
fn batches_under_way_max(limits: &EngineLimits) -> usize {
    let credit = [limits.client_credit_bytes_max, limits.hub_credit_bytes_max].map(|bytes| bytes.max(4096) as usize);
    credit.iter().sum::<usize>() / MESSAGE_OVERHEAD_BYTES + WAKES_UNDER_WAY_MAX + BATCHES_WITHOUT_CREDIT_MAX
}

/// Makes the way to a journal: the engine's side, and the journal's.
#[must_use]
pub fn storage(
    limits: &EngineLimits,
    health: watch::Receiver<StoreHealth>,
    revision_ceiling: watch::Receiver<u64>,
) -> (Storage, mpsc::Receiver<JournalEntry>) {
    let (entries, receiver) = mpsc::channel(batches_under_way_max(limits));
    (Storage { entries, health, revision_ceiling, interest: Arc::default() }, receiver)
}
