//! One MQTT client's session: one task that outlives its sockets (MQTT 5 §4.1).
//!
//! It owns everything the client may rely on: subscriptions, what waits for it, what is in flight both ways, its will. It awaits its
//! socket, its router link, the engine's answers and its commands all at once, so that none of them can hold up another: its link is
//! always drained, acknowledgements always leave, and only PUBLISH waits for credit.
//!
//! Accepting connections and telling sessions apart do not belong here.

mod answers;
mod credit;
mod egress;
mod inflight;
mod ingress;
mod keep;
mod life;
mod queue;
mod record;
mod restore;
mod send;
mod subscribe;
mod subscriptions;

use std::{
    collections::{HashMap, HashSet, VecDeque},
    future::Future,
    io,
    net::IpAddr,
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use bytes::BytesMut;
use tokio::{sync::mpsc, time::Instant};

use self::{
    answers::Answer,
    inflight::Inflight,
    ingress::{Held, Receiving, Submitting},
    keep::Keeping,
    queue::{Bounds, Queue},
    subscribe::Subscribing,
    subscriptions::Subscriptions,
};
use super::{
    gauge::{Gauge, Holds},
    packet::{Connect, Version, Will},
    reason::Reason,
    router::{Current, Delivered, Gone, Link},
    shared::Share,
    socket::{Socket, Stream, Turn},
    state::{ConnectionGuard, State},
};
use crate::{
    domain::topic::Topic,
    engine::{NotKept, Outcome, Snapshot, Stopped},
    policy::{Identity, Reloads},
};

pub use self::restore::Lasting;

/// Commands that wait for a session.
pub(super) const COMMANDS_MAX: usize = 16;

/// Messages of shared subscriptions that wait for a session to take them.
const SHARES_MAX: usize = 256;

/// A connection whose CONNECT was accepted, on its way to its session.
pub(super) struct Attach {
    pub(super) stream: Box<dyn Stream>,
    pub(super) inbound: BytesMut,
    pub(super) connect: Connect,
    pub(super) access: Identity,
    pub(super) address: IpAddr,
    /// Whether the hub made the client id.
    pub(super) assigned: bool,
    pub(super) guard: ConnectionGuard,
}

/// What a session is told from outside.
pub(super) enum Command {
    /// A connection for it.
    Attach(Box<Attach>),
    /// To end its connection.
    Kick { reason: Reason, text: &'static str },
}

/// The connected half of a session.
struct Online {
    socket: Socket,
    version: Version,
    keep_alive: Duration,
    heard_at: Instant,
    /// QoS 1 and 2 messages that may be unacknowledged.
    window: usize,
    /// How many are, on this connection.
    sent_now: usize,
    /// What is sent again first: the flights of the earlier connection.
    resend: VecDeque<u16>,
    bytes_max: usize,
    reasons_in_words: bool,
    aliases_in: HashMap<u16, Topic>,
    aliases_out: HashMap<Vec<u8>, u16>,
    alias_out_max: u16,
    /// Nothing more is read: the end, or a fault, is among what is held.
    deaf: bool,
    connected_at: Instant,
    address: IpAddr,
    _guard: ConnectionGuard,
}

type Pending<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A session before and while it runs.
pub(super) struct Session {
    state: Arc<State>,
    number: u64,
    client_id: Arc<str>,
    commands: mpsc::Receiver<Command>,
    access: Option<Identity>,
    reloads: Reloads,
    online: Option<Online>,
    /// Which connection of this session it is; answers to an earlier one are not sent.
    epoch: u64,
    version: Version,

    held: VecDeque<Held>,
    held_bytes: usize,
    /// The identifiers of the QoS 1 and 2 publishes among them.
    held_ids: HashSet<u16>,
    submitting: Option<Submitting>,
    answers: VecDeque<Answer>,
    receiving: HashMap<u16, Receiving>,
    unanswered: usize,
    unwritten: credit::Unwritten,
    last_topic: Option<Topic>,
    gauge: Arc<Gauge>,
    rate: credit::Rate,

    link: Option<Link>,
    router: Current,
    relink_at: Option<Instant>,
    subscriptions: Subscriptions,
    subscribing: Option<Subscribing>,
    /// What comes for it as a member of groups; made when it joins the first one, because it has room for a block of messages at once.
    shares: Option<(mpsc::Sender<Share>, mpsc::Receiver<Share>)>,
    queue: Queue,
    inflight: Inflight,
    holds: Holds,
    holding_since: Option<Instant>,
    /// When the socket moved last, where that was found to be too long ago.
    stood_still_at: Option<Instant>,
    /// Messages that had to go for want of room, not counted yet.
    dropped: u64,
    patience: Duration,
    behind: bool,
    /// The bytes that the writer had handed in with the newest message that the session has taken.
    taken_bytes: u64,
    /// When the session, being behind, last took what its link held.
    empty_at: Option<Instant>,

    will: Option<Will>,
    will_at: Option<Instant>,
    expiry_s: u32,
    ends_at: Option<Instant>,
    takeovers: VecDeque<Instant>,
    ended: bool,
    /// The hub stops: what is kept of the session stays.
    stopping: bool,

    keeping: Keeping,
    keep_alive_s: u16,
    /// It was connected when an earlier run ended; whoever returns takes the will back.
    awaited: bool,
}

/// What woke the session.
enum Input {
    Command(Command),
    Socket(io::Result<Turn>),
    Link(Result<Delivered, Gone>),
    Share(Share),
    Submitted(Result<(), Stopped>),
    Answered(Result<Vec<Outcome>, Stopped>),
    Snapshot(Result<Snapshot, Stopped>),
    Router,
    Kept(Option<Result<(), NotKept>>),
    Released,
    Written,
    Reload,
    Timer,
    Stop,
}

impl Session {
    pub(super) fn new(state: Arc<State>, number: u64, client_id: Arc<str>, commands: mpsc::Receiver<Command>) -> Self {
        let limits = &state.settings.limits;
        let bounds = Bounds {
            messages_max: limits.queue_messages_max,
            bytes_max: limits.queue_bytes_max,
            total_bytes_max: limits.queue_bytes_total_max,
            total_bytes: Arc::clone(&state.queue_bytes),
        };
        let patience = limits.reader_patience;
        let rate = credit::Rate::new(limits.publishes_per_second_max);
        Self {
            gauge: state.gauges.register(number),
            number,
            commands,
            access: None,
            reloads: state.policy.reloads(),
            online: None,
            epoch: 0,
            version: Version::V5,
            held: VecDeque::new(),
            held_bytes: 0,
            held_ids: HashSet::new(),
            submitting: None,
            answers: VecDeque::new(),
            receiving: HashMap::new(),
            unanswered: 0,
            unwritten: credit::Unwritten::default(),
            last_topic: None,
            rate,
            link: None,
            router: state.router.clone(),
            relink_at: None,
            subscriptions: Subscriptions::default(),
            subscribing: None,
            shares: None,
            queue: Queue::new(bounds),
            inflight: Inflight::default(),
            holds: Holds::default(),
            holding_since: None,
            stood_still_at: None,
            dropped: 0,
            patience,
            behind: false,
            taken_bytes: 0,
            empty_at: None,
            will: None,
            will_at: None,
            expiry_s: 0,
            ends_at: None,
            takeovers: VecDeque::new(),
            ended: false,
            stopping: false,
            keeping: Keeping::new(state.keeper.clone(), &client_id),
            keep_alive_s: 0,
            awaited: false,
            client_id,
            state,
        }
    }

    /// Runs until the session is over: its connection gone and its expiry past, or the hub stopping.
    ///
    /// Boxed, because a future holds what it is given more than once: a session is waited in far longer than it is run.
    pub(super) async fn run(mut self: Box<Self>) {
        while !self.ended {
            self.advance().await;
            self.fill();
            if self.ended {
                break;
            }
            self.flush();
            let input = self.input().await;
            self.take(input).await;
        }
        self.end().await;
    }

    async fn input(&mut self) -> Input {
        let deadline = self.deadline();
        let reading = self.is_reading();
        let wants_room = self.next_is_publish() && !self.unwritten.has_room();
        let wants_release = self.gauge.is_held() && self.next_is_publish();
        let Self {
            commands,
            online,
            submitting,
            answers,
            subscribing,
            link,
            gauge,
            state,
            shares,
            router,
            reloads,
            unwritten,
            keeping,
            ..
        } = self;
        let linked = link.is_some() || self.relink_at.is_some();
        tokio::select! {
            command = commands.recv() => command.map_or(Input::Stop, Input::Command),
            turn = async {
                match online {
                    Some(online) => online.socket.turn(reading).await,
                    None => std::future::pending().await,
                }
            } => Input::Socket(turn),
            delivered = async {
                match link {
                    Some(link) => link.next().await,
                    None => std::future::pending().await,
                }
            } => Input::Link(delivered),
            Some(share) = async {
                match shares {
                    Some((_, inbox)) => inbox.recv().await,
                    None => std::future::pending().await,
                }
            } => Input::Share(share),
            done = async {
                match submitting {
                    Some(submitting) => submitting.future.as_mut().await,
                    None => std::future::pending().await,
                }
            } => Input::Submitted(done),
            outcomes = async {
                match answers.front_mut() {
                    Some(answer) => answer.future.as_mut().await,
                    None => std::future::pending().await,
                }
            } => Input::Answered(outcomes),
            snapshot = async {
                match subscribing.as_mut().and_then(|subscribing| subscribing.snapshot.as_mut()) {
                    Some(snapshot) => snapshot.as_mut().await,
                    None => std::future::pending().await,
                }
            } => Input::Snapshot(snapshot),
            kept = keeping.kept() => Input::Kept(kept),
            Ok(()) = router.changed(), if linked => Input::Router,
            () = reloads.next() => Input::Reload,
            () = unwritten.progress(), if wants_room => Input::Written,
            () = gauge.released(), if wants_release => Input::Released,
            () = sleep_until(deadline), if deadline.is_some() => Input::Timer,
            () = state.cancel.cancelled() => Input::Stop,
        }
    }

    async fn take(&mut self, input: Input) {
        match input {
            Input::Command(Command::Attach(attach)) => self.attach(*attach).await,
            Input::Command(Command::Kick { reason, text }) => self.detach(reason, text),
            Input::Socket(turn) => {
                self.take_turn(turn);
                self.let_others_read().await;
            }
            Input::Link(delivered) => self.drain(delivered).await,
            Input::Share(share) => self.take_share(share),
            Input::Submitted(done) => self.take_submitted(done),
            Input::Answered(outcomes) => self.take_outcomes(outcomes),
            Input::Snapshot(snapshot) => self.take_snapshot(snapshot),
            Input::Router => self.change_router().await,
            Input::Kept(kept) => self.take_kept(kept),
            Input::Released | Input::Written => {}
            Input::Reload => self.revise().await,
            Input::Timer => self.take_timer().await,
            Input::Stop => {
                self.take_last_words().await;
                self.stop_with_the_hub();
            }
        }
        self.tell_dropped();
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("client_id", &self.client_id)
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn future_bytes<A, F: Future>(_: fn(A) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn a_session_that_waits_takes_little_memory() {
        // Thousands of them wait for years, so what grows here is to be worth it.
        assert!(size_of::<Session>() <= 2048, "the session itself: {} bytes", size_of::<Session>());
        let future = future_bytes(Session::run);
        assert!(future <= 2048, "what waits in its task: {future} bytes");
    }
}
