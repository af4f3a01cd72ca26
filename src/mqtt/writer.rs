//! The writer: feeds the router what the engine published, in order, and watches whether the router lives.
//!
//! At most two handings-in are outstanding; each is confirmed by a round trip, which is also the watchdog: a router that does not
//! answer in time, or whose channel is closed, is replaced, and what was not confirmed is handed in again. Batches are dropped, and
//! with them the senders' credit, only when they are confirmed. The writer waits for *sessions* that have fallen far behind in
//! draining their links, which they do as fast as they can, but never for a client.
//!
//! Handing in does not block: where the router's inbox is full, the writer looks again a moment later.

use std::{
    collections::{HashMap, HashSet, VecDeque, hash_map::RandomState},
    hash::BuildHasher as _,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    sync::{Notify, mpsc, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::{
    header,
    router::{self, Fed, Feed, Gone, RouterHandle},
    settings::{Limits, limit_met},
};
use crate::{
    domain::{
        publication::{Publication, Qos},
        topic::Topic,
    },
    engine::{Batch, OutletReceiver},
};

/// Handings-in that are not confirmed yet.
const OUTSTANDING_MAX: usize = 2;

/// Messages of one handing-in.
const MESSAGES_MAX: usize = 2048;

/// Topics whose mapped form is remembered.
const TOPICS_REMEMBERED_MAX: usize = 4096;

/// How long the writer waits at most for sessions that are behind, before it goes on and lets them be lapped.
const LAG_PATIENCE: Duration = Duration::from_millis(500);

/// How long the writer's thread stays awake after a handing-in, while the router works on it: a thread that sleeps is woken much later
/// than the router answers. Other tasks run meanwhile.
const AWAKE: Duration = Duration::from_micros(100);

/// How long it stays awake after the router's answer: sessions get their messages right behind it.
const AWAKE_AFTER_ANSWER: Duration = Duration::from_micros(20);

/// What the writer and all sessions share.
#[derive(Debug)]
pub(super) struct Flow {
    /// Bytes that the writer handed in so far.
    written_bytes: AtomicU64,
    /// The newest place in the one order that the writer handed in.
    written_seq: AtomicU64,
    /// Sessions that are far behind.
    lagging: AtomicUsize,
    caught_up: Notify,
    /// A session noticed that the router is gone.
    suspicion: Notify,
    /// QoS 1 and 2 messages for sessions whose router dies.
    ring: Mutex<Ring>,
    /// How many bytes a session may be behind before the writer waits for it.
    lag_bytes_max: u64,
    /// Bytes after which a handing-in is not added to.
    hand_in_bytes_max: u64,
}

impl Flow {
    pub(super) fn new(limits: &Limits) -> Self {
        let log_bytes = limits.router_segment_bytes.saturating_mul(limits.router_segments.saturating_sub(1).max(1));
        Self {
            written_bytes: AtomicU64::new(0),
            written_seq: AtomicU64::new(0),
            lagging: AtomicUsize::new(0),
            caught_up: Notify::new(),
            suspicion: Notify::new(),
            ring: Mutex::new(Ring { entries: VecDeque::new(), bytes: 0, bytes_max: limits.ring_bytes_max }),
            lag_bytes_max: (log_bytes / 4) as u64,
            hand_in_bytes_max: (log_bytes / 8) as u64,
        }
    }

    /// The newest place in the one order that was handed to a router.
    pub(super) fn written_seq(&self) -> u64 {
        self.written_seq.load(Ordering::Acquire)
    }

    /// Whether a session that has got as far as `written_bytes` is far behind.
    pub(super) fn is_far(&self, written_bytes: u64) -> bool {
        self.lag(written_bytes) > self.lag_bytes_max
    }

    /// Whether a session that was far behind has come close again.
    pub(super) fn is_near(&self, written_bytes: u64) -> bool {
        self.lag(written_bytes) < self.lag_bytes_max / 2
    }

    /// The writer hands in everything up to `seq` now: whoever subscribes later is not owed it.
    fn hands_in(&self, seq: Option<u64>) {
        if let Some(seq) = seq {
            self.written_seq.store(seq, Ordering::Release);
        }
    }

    /// The writer has handed in `written_bytes` altogether: what it only holds ready is nobody's lag.
    fn handed_in(&self, written_bytes: u64) {
        self.written_bytes.store(written_bytes, Ordering::Relaxed);
    }

    fn lag(&self, written_bytes: u64) -> u64 {
        self.written_bytes.load(Ordering::Relaxed).saturating_sub(written_bytes)
    }

    /// A session fell behind.
    pub(super) fn fell_behind(&self) {
        self.lagging.fetch_add(1, Ordering::AcqRel);
    }

    /// It has caught up, or is gone.
    pub(super) fn caught_up(&self) {
        if self.lagging.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.caught_up.notify_one();
        }
    }

    /// A session lost its link: the writer shall look after the router now, not with the next publish.
    pub(super) fn suspect(&self) {
        self.suspicion.notify_one();
    }

    /// QoS 1 and 2 publications after `seq`, as the router would have delivered them.
    pub(super) fn missed_since(&self, seq: u64, matches: impl Fn(&str) -> bool) -> Vec<(Bytes, Bytes)> {
        let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let first = ring.entries.partition_point(|publication| publication.seq <= seq);
        let later = ring.entries.range(first..);
        later
            .filter(|publication| matches(publication.topic.as_str()))
            .map(|publication| {
                (Bytes::copy_from_slice(publication.topic.as_str().as_bytes()), header::encode(publication, u64::MAX))
            })
            .collect()
    }
}

#[derive(Debug)]
struct Ring {
    entries: VecDeque<Publication>,
    bytes: usize,
    bytes_max: usize,
}

impl Ring {
    fn push(&mut self, publication: &Publication) {
        self.bytes += ring_bytes(publication);
        self.entries.push_back(publication.clone());
        while self.bytes > self.bytes_max
            && let Some(oldest) = self.entries.pop_front()
        {
            self.bytes -= ring_bytes(&oldest);
        }
    }
}

fn ring_bytes(publication: &Publication) -> usize {
    publication.topic.as_str().len() + publication.payload.len() + 200
}

/// What the door itself publishes below `$SYS`.
pub(super) type OwnMessages = mpsc::Receiver<Vec<Publication>>;

/// The writer before it runs.
pub(super) struct Writer {
    pub(super) outlet: OutletReceiver,
    pub(super) own: OwnMessages,
    pub(super) feed: Feed,
    pub(super) current: watch::Sender<Arc<RouterHandle>>,
    pub(super) flow: Arc<Flow>,
    pub(super) limits: Limits,
    pub(super) cancel: CancellationToken,
}

/// Something handed in and not confirmed: the messages, to hand them in again, and the batches, for their credit.
#[derive(Default)]
struct HandingIn {
    sent_at: Option<Instant>,
    messages: Vec<Fed>,
    bytes: u64,
    newest_seq: Option<u64>,
    batches: Vec<Arc<Batch>>,
}

enum Input {
    Batch(Arc<Batch>),
    Own(Vec<Publication>),
    Confirmed(Result<(), Gone>),
    Suspicion,
    Awake,
    End,
}

impl Writer {
    /// Runs until the engine closes its outlet or the door is cancelled.
    pub(super) async fn run(mut self) {
        let round_trip = metrics::histogram!("lockstep_router_round_trip_seconds");
        let mut outstanding: VecDeque<HandingIn> = VecDeque::new();
        let mut packer = Packer::default();
        let mut awake_until: Option<std::time::Instant> = None;
        loop {
            let input = self.input(outstanding.len(), awake_until.is_some()).await;
            let mut next = HandingIn::default();
            match input {
                Input::End => {
                    while !outstanding.is_empty()
                        && let Ok(Ok(())) =
                            tokio::time::timeout(self.limits.router_timeout, self.feed.confirmed()).await
                    {
                        outstanding.pop_front();
                    }
                    return;
                }
                Input::Confirmed(Ok(())) => {
                    if let Some(confirmed) = outstanding.pop_front() {
                        let took = confirmed.sent_at.map(|at| at.elapsed());
                        round_trip.record(took.unwrap_or_default().as_secs_f64());
                    }
                    if outstanding.is_empty() {
                        let until = std::time::Instant::now() + AWAKE_AFTER_ANSWER;
                        awake_until = awake_until.map(|at| at.min(until));
                    }
                    continue;
                }
                Input::Awake => {
                    awake_until = awake_until.filter(|at| std::time::Instant::now() < *at);
                    continue;
                }
                Input::Confirmed(Err(Gone)) => {
                    packer.names.clear();
                    self.replace(&mut outstanding).await;
                    continue;
                }
                // A sign of life tells; a dead router's channel is closed.
                Input::Suspicion => {}
                Input::Own(publications) => packer.pack(&publications, &self.flow, &mut next),
                Input::Batch(batch) => {
                    packer.pack(&batch.publications, &self.flow, &mut next);
                    next.batches.push(batch);
                    while next.messages.len() < MESSAGES_MAX
                        && next.bytes < self.flow.hand_in_bytes_max
                        && let Ok(batch) = self.outlet.try_recv()
                    {
                        packer.pack(&batch.publications, &self.flow, &mut next);
                        next.batches.push(batch);
                    }
                }
            }
            self.wait_for_sessions().await;
            next.sent_at = Some(Instant::now());
            self.flow.hands_in(next.newest_seq);
            let sent = self.feed.send(next.messages.iter().cloned(), self.limits.router_timeout).await;
            awake_until = Some(std::time::Instant::now() + AWAKE);
            self.flow.handed_in(packer.written_bytes);
            outstanding.push_back(next);
            if sent.is_err() {
                packer.names.clear();
                self.replace(&mut outstanding).await;
            } else if packer.names.len() > self.limits.router_names_max {
                limit_met("router_names");
                packer.names.clear();
                tracing::info!("the router has seen too many topics, a new one takes over");
                self.replace(&mut outstanding).await;
            }
            // A router that is quick must not keep this task going: those who read have to get their turn before the log laps them.
            tokio::task::yield_now().await;
        }
    }

    async fn input(&mut self, outstanding: usize, awake: bool) -> Input {
        let room = outstanding < OUTSTANDING_MAX;
        let Self { outlet, own, feed, flow, limits, cancel, .. } = self;
        tokio::select! {
            biased;
            confirmed = tokio::time::timeout(limits.router_timeout, feed.confirmed()), if outstanding > 0 => {
                Input::Confirmed(confirmed.unwrap_or_else(|_| {
                    limit_met("router_timeout");
                    Err(Gone)
                }))
            }
            batch = outlet.recv(), if room => batch.map_or(Input::End, Input::Batch),
            Some(messages) = own.recv(), if room => Input::Own(messages),
            () = flow.suspicion.notified(), if room => Input::Suspicion,
            () = cancel.cancelled(), if outstanding == 0 => Input::End,
            () = tokio::task::yield_now(), if awake => Input::Awake,
        }
    }

    async fn wait_for_sessions(&self) {
        let wait = async {
            while self.flow.lagging.load(Ordering::Acquire) > 0 {
                self.flow.caught_up.notified().await;
            }
        };
        if self.flow.lagging.load(Ordering::Acquire) > 0 && tokio::time::timeout(LAG_PATIENCE, wait).await.is_err() {
            limit_met("router_lag");
        }
    }

    /// Starts a new router, tells the sessions, and hands in again what was not confirmed.
    ///
    /// Sessions get from the ring what they missed of QoS 1 and 2; what they get twice they know by its `seq`.
    async fn replace(&mut self, outstanding: &mut VecDeque<HandingIn>) {
        metrics::counter!("lockstep_mqtt_router_replaced_total").increment(1);
        let generation = self.current.borrow().generation() + 1;
        tracing::warn!(generation, "the router is replaced");
        let limits = self.limits.clone();
        let (handle, feed) = loop {
            let limits = limits.clone();
            match tokio::task::spawn_blocking(move || router::start(generation, &limits)).await {
                Ok(Ok(started)) => break started,
                _ => tokio::time::sleep(self.limits.router_timeout).await,
            }
        };
        self.feed = feed;
        self.current.send_replace(Arc::new(handle)).retire();
        let again: Vec<HandingIn> = outstanding.drain(..).collect();
        for handed in again {
            // Where this fails too, the next round trip does, and everything begins anew.
            let _ = self.feed.send(handed.messages.iter().cloned(), self.limits.router_timeout).await;
            outstanding.push_back(handed);
        }
    }
}

/// Makes messages for the router out of publications.
#[derive(Default)]
struct Packer {
    /// Topics and their mapped form.
    topics: HashMap<Topic, Bytes>,
    /// The topics that the router has seen, as hashes: it never forgets one.
    names: HashSet<u64>,
    hasher: RandomState,
    /// Bytes of all messages so far.
    written_bytes: u64,
}

impl Packer {
    fn pack(&mut self, publications: &[Publication], flow: &Flow, out: &mut HandingIn) {
        let before = self.written_bytes;
        for publication in publications {
            if publication.qos != Qos::AtMostOnce {
                flow.ring.lock().unwrap_or_else(PoisonError::into_inner).push(publication);
            }
            let topic = self.mapped(&publication.topic);
            self.written_bytes += (topic.len() + header::HEADER_BYTES + publication.payload.len()) as u64;
            out.messages.push(Fed { topic, payload: header::encode(publication, self.written_bytes) });
        }
        out.bytes += self.written_bytes - before;
        let newest = publications.last().map(|last| last.seq).filter(|seq| *seq > 0);
        out.newest_seq = newest.or(out.newest_seq);
    }

    fn mapped(&mut self, topic: &Topic) -> Bytes {
        if let Some(mapped) = self.topics.get(topic) {
            return mapped.clone();
        }
        if self.topics.len() >= TOPICS_REMEMBERED_MAX {
            self.topics.clear();
        }
        self.names.insert(self.hasher.hash_one(topic.as_str()));
        let mapped = router::mapped_bytes(topic.as_str());
        self.topics.insert(topic.clone(), mapped.clone());
        mapped
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{origin::Origin, publication::Level};

    fn publication(seq: u64, topic: &str) -> Publication {
        Publication {
            seq,
            // A text of its own each time, as it comes from a socket.
            topic: Topic::parse(topic).unwrap(),
            payload: Bytes::from_static(b"x"),
            level: Level::Event,
            qos: Qos::AtMostOnce,
            origin: Origin::Hub,
            session: None,
            expires_at: None,
            properties: None,
        }
    }

    #[test]
    fn a_topic_that_comes_again_and_again_is_one_name_for_the_router() {
        let flow = Flow::new(&Limits::default());
        let (mut packer, mut out) = (Packer::default(), HandingIn::default());
        for seq in 1..=100 {
            packer.pack(&[publication(seq, if seq % 2 == 0 { "a/b" } else { "c/d" })], &flow, &mut out);
        }
        assert_eq!(packer.names.len(), 2);
        assert_eq!((out.messages.len(), out.newest_seq, out.bytes), (100, Some(100), packer.written_bytes));
        assert_eq!(flow.lag(0), 0, "what is only packed is nobody's lag");
        flow.handed_in(packer.written_bytes);
        assert_eq!(flow.lag(0), packer.written_bytes);
    }
}
