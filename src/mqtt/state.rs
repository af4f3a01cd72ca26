//! What all sessions of a door share: the ways out, the registry, the counts.
//!
//! What one session knows of its client does not belong here.

use std::{
    collections::{HashMap, VecDeque},
    net::IpAddr,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use tokio::sync::mpsc;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    gauge::Gauges,
    reason::Reason,
    router::Current,
    session::{Attach, COMMANDS_MAX, Command, Session},
    settings::{Settings, limit_met},
    shared::{Groups, Unshared},
    sys::Sys,
    writer::Flow,
};
use crate::{
    clock::Clock,
    engine::{EngineHandle, Keeper, Owner},
    figures,
    policy::Policy,
};

/// What all sessions of a door share.
#[derive(Debug)]
pub(super) struct State {
    pub(super) engine: EngineHandle,
    pub(super) clock: Clock,
    pub(super) settings: Settings,
    pub(super) policy: Policy,
    pub(super) flow: Arc<Flow>,
    pub(super) router: Current,
    pub(super) registry: Registry,
    pub(super) gauges: Gauges,
    pub(super) groups: Groups,
    pub(super) sys: Sys,
    pub(super) stats: Arc<Stats>,
    pub(super) connections: Arc<Connections>,
    pub(super) queue_bytes: Arc<AtomicUsize>,
    pub(super) filters: AtomicUsize,
    pub(super) tracker: TaskTracker,
    pub(super) cancel: CancellationToken,
    /// Counts the sessions that there ever were.
    pub(super) last_session: AtomicU64,
    /// The way to the disk, where sessions outlast the hub.
    pub(super) keeper: Option<Keeper>,
    /// Messages of groups that no member has joined since the start.
    pub(super) restored_groups: Mutex<HashMap<Owner, VecDeque<Unshared>>>,
}

impl State {
    /// Makes room for one more filter of a session that has `own` of them; tells whether there is any.
    pub(super) fn take_filter(&self, own: usize) -> bool {
        let limits = &self.settings.limits;
        if own >= limits.filters_per_session_max {
            return false;
        }
        let taken = self.filters.fetch_add(1, Ordering::Relaxed);
        if taken >= limits.filters_max {
            self.filters.fetch_sub(1, Ordering::Relaxed);
            return false;
        }
        true
    }

    /// Gives back the room of `count` filters.
    pub(super) fn give_filters(&self, count: usize) {
        self.filters.fetch_sub(count, Ordering::Relaxed);
    }

    /// Takes what an earlier run left for groups.
    pub(super) fn restore_groups(&self, groups: HashMap<Owner, VecDeque<Unshared>>) {
        *self.restored_groups.lock().unwrap_or_else(PoisonError::into_inner) = groups;
    }

    /// What an earlier run left for the group `owner`.
    pub(super) fn restored_for(&self, owner: &Owner) -> VecDeque<Unshared> {
        self.restored_groups.lock().unwrap_or_else(PoisonError::into_inner).remove(owner).unwrap_or_default()
    }

    /// Groups that an earlier run left messages for and that no member has joined. They are forgotten.
    pub(super) fn groups_without_members(&self) -> Vec<Owner> {
        self.restored_groups.lock().unwrap_or_else(PoisonError::into_inner).drain().map(|(owner, _)| owner).collect()
    }

    /// Registers a session that was found on disk; gives it its number and its inbox.
    pub(super) fn register(&self, client_id: &Arc<str>) -> (u64, mpsc::Receiver<Command>) {
        let number = self.last_session.fetch_add(1, Ordering::Relaxed) + 1;
        let (commands, inbox) = mpsc::channel(COMMANDS_MAX);
        self.registry.lock().insert(Arc::clone(client_id), Known { number, commands });
        (number, inbox)
    }

    /// Brings a connection to its session, which is made where there is none.
    pub(super) fn admit(self: &Arc<Self>, client_id: Arc<str>, attach: Box<Attach>) {
        let mut sessions = self.registry.lock();
        let attach = match sessions.get(&client_id) {
            Some(known) => match known.commands.try_send(Command::Attach(attach)) {
                Ok(()) => return,
                Err(mpsc::error::TrySendError::Closed(Command::Attach(attach))) => attach,
                // A session that does not even take commands is being taken over many times already.
                Err(_) => return limit_met("takeovers"),
            },
            None => attach,
        };
        let number = self.last_session.fetch_add(1, Ordering::Relaxed) + 1;
        let (commands, inbox) = mpsc::channel(COMMANDS_MAX);
        // There is room: the channel is new.
        let _ = commands.try_send(Command::Attach(attach));
        sessions.insert(Arc::clone(&client_id), Known { number, commands });
        drop(sessions);
        let session = Session::new(Arc::clone(self), number, client_id, inbox);
        self.tracker.spawn(Box::new(session).run());
    }
}

/// The sessions by client id.
#[derive(Debug, Default)]
pub(super) struct Registry(Mutex<HashMap<Arc<str>, Known>>);

#[derive(Debug)]
struct Known {
    number: u64,
    commands: mpsc::Sender<Command>,
}

impl std::fmt::Debug for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Attach(_) => "Attach",
            Self::Kick { .. } => "Kick",
        })
    }
}

impl Registry {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Arc<str>, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sessions, those without a connection included.
    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether there is a session of `client_id`.
    pub(super) fn knows(&self, client_id: &str) -> bool {
        self.lock().contains_key(client_id)
    }

    /// Forgets the session `number`, unless another one has its client id by now.
    pub(super) fn forget(&self, client_id: &str, number: u64) {
        let mut sessions = self.lock();
        if sessions.get(client_id).is_some_and(|known| known.number == number) {
            sessions.remove(client_id);
        }
    }

    /// Ends the connection of `client_id`; tells whether there is such a session.
    pub(super) fn kick(&self, client_id: &str, reason: Reason, text: &'static str) -> bool {
        let commands = self.lock().get(client_id).map(|known| known.commands.clone());
        commands.is_some_and(|commands| commands.try_send(Command::Kick { reason, text }).is_ok())
    }
}

/// Connections in total and per address.
#[derive(Debug)]
pub(super) struct Connections {
    counts: Mutex<Counts>,
    total_max: usize,
    per_address_max: usize,
}

#[derive(Debug, Default)]
struct Counts {
    total: usize,
    peak: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// Why a connection is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooMany(pub(super) &'static str);

impl Connections {
    pub(super) fn new(total_max: usize, per_address_max: usize) -> Arc<Self> {
        Arc::new(Self { counts: Mutex::default(), total_max, per_address_max })
    }

    /// Counts a connection from `address` for as long as the guard lives.
    pub(super) fn enter(self: &Arc<Self>, address: IpAddr) -> Result<ConnectionGuard, TooMany> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.total >= self.total_max {
            limit_met("connections");
            return Err(TooMany("The hub has no room for another connection."));
        }
        if !address.is_loopback() {
            let here = counts.by_address.entry(address).or_default();
            if *here >= self.per_address_max {
                limit_met("connections_per_address");
                return Err(TooMany("Too many connections come from this address."));
            }
            *here += 1;
        }
        counts.total += 1;
        counts.peak = counts.peak.max(counts.total);
        let counted = figures::Counted::connection("mqtt");
        Ok(ConnectionGuard { connections: Arc::downgrade(self), address, _counted: counted })
    }

    /// Connections now, and the most there ever were.
    pub(super) fn counts(&self) -> (usize, usize) {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        (counts.total, counts.peak)
    }
}

/// A connection that is counted.
#[derive(Debug)]
pub(super) struct ConnectionGuard {
    connections: Weak<Connections>,
    address: IpAddr,
    _counted: figures::Counted,
}

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        let Some(connections) = self.connections.upgrade() else { return };
        let mut counts = connections.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.total -= 1;
        if let std::collections::hash_map::Entry::Occupied(mut here) = counts.by_address.entry(self.address) {
            *here.get_mut() -= 1;
            if *here.get() == 0 {
                here.remove();
            }
        }
    }
}

/// What of the door is looked up when somebody asks for the figures. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Readings {
    pub(super) state: Arc<State>,
}

impl Readings {
    /// Brings the figures up to date.
    pub fn tell(&self) {
        let State { stats, registry, filters, queue_bytes, .. } = &*self.state;
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        metrics::gauge!("lockstep_mqtt_sessions").set(registry.len() as f64);
        metrics::gauge!("lockstep_mqtt_subscriptions").set(filters.load(Ordering::Relaxed) as f64);
        metrics::gauge!("lockstep_mqtt_queue_bytes").set(queue_bytes.load(Ordering::Relaxed) as f64);
        metrics::counter!("lockstep_mqtt_received_total").absolute(load(&stats.publishes_received));
        metrics::counter!("lockstep_mqtt_deliveries_total").absolute(load(&stats.publishes_sent));
        metrics::counter!("lockstep_mqtt_dropped_total").absolute(load(&stats.dropped));
    }
}

/// Counts for `$SYS` and `/metrics`.
#[derive(Debug, Default)]
pub(super) struct Stats {
    pub(super) connections: AtomicU64,
    pub(super) packets_received: AtomicU64,
    pub(super) packets_sent: AtomicU64,
    /// Bytes of whole streams, without TLS and WebSocket.
    pub(super) bytes_received: AtomicU64,
    pub(super) bytes_sent: AtomicU64,
    pub(super) publish_bytes_received: AtomicU64,
    /// Sessions that ended because their time was over.
    pub(super) expired: AtomicU64,
    pub(super) publishes_received: AtomicU64,
    pub(super) publishes_sent: AtomicU64,
    pub(super) publish_bytes_sent: AtomicU64,
    pub(super) dropped: AtomicU64,
}

impl Stats {
    pub(super) fn count(counter: &AtomicU64) {
        Self::add(counter, 1);
    }

    pub(super) fn add(counter: &AtomicU64, value: u64) {
        counter.fetch_add(value, Ordering::Relaxed);
    }
}
