//! One shard: the task that writes. It says when: after what a round brought, what was ordered, and what can be written again.
//!
//! Who is there ([`members`](super::members)) and how a round is framed ([`round`](super::round)) do not belong here.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::{
    BrowserId, Command, Hello,
    audience::Key,
    backlog::{Backlog, Flushed, Snap},
    frames::Wire,
    members::{Member, Members},
    pages::Pages,
    replica::Replica,
    round::{Fallen, Item, write_round},
};
use crate::{
    domain::topic::Filter,
    engine::OutletReceiver,
    http::ws::frame::{CloseCode, close_frame},
};

/// Publications that are taken in before the sockets are written to.
const ROUND_PUBLICATIONS_MAX: usize = 4096;
/// Bytes of publications that are taken in before the sockets are written to.
const ROUND_BYTES_MAX: usize = 1 << 20;
/// Commands that are carried out between two rounds.
const COMMANDS_PER_ROUND: usize = 256;
/// How long a connection whose end was announced stays open for the other side to agree.
const LINGER: Duration = Duration::from_secs(2);

/// One shard of the fan-out.
#[derive(Debug)]
pub(in crate::http) struct Shard {
    replica: Replica,
    pages: Pages,
    boot: Arc<str>,
    stall_max: Duration,
    members: Members,
    /// Browsers whose end was announced, and when they are cut.
    lingering: Vec<(Instant, BrowserId)>,
    /// Answers that wait for the publications that they tell of.
    early_answers: BTreeMap<u64, Vec<(BrowserId, Bytes)>>,
    /// Who waits for a place in the one order.
    waiting: Vec<(u64, oneshot::Sender<()>)>,
    counters: Counters,
}

#[derive(Debug)]
struct Counters {
    deliveries: metrics::Counter,
    stalls: metrics::Counter,
    events_lost: metrics::Counter,
    cut: metrics::Counter,
}

impl Shard {
    /// A shard whose copy of the tree begins with `snapshot`. A browser that takes nothing for `stall_max` is cut off.
    pub(in crate::http) fn new(snapshot: crate::engine::Snapshot, boot: Arc<str>, stall_max: Duration) -> Self {
        Self {
            replica: Replica::new(snapshot),
            pages: Pages::default(),
            boot,
            stall_max,
            members: Members::new(),
            lingering: Vec::new(),
            early_answers: BTreeMap::new(),
            waiting: Vec::new(),
            counters: Counters {
                deliveries: metrics::counter!("lockstep_browser_deliveries_total"),
                stalls: metrics::counter!("lockstep_browser_stalls_total"),
                events_lost: metrics::counter!("lockstep_browser_events_lost_total"),
                cut: metrics::counter!("lockstep_browser_cut_total"),
            },
        }
    }

    /// Runs until `stop`, then says goodbye to everybody and returns when they are gone.
    pub(in crate::http) async fn run(
        mut self,
        mut outlet: OutletReceiver,
        mut commands: mpsc::Receiver<Command>,
        stop: CancellationToken,
    ) {
        let mut batches = Vec::new();
        let mut stopping = false;
        let mut outlet_open = true;
        while !(stopping && self.members.is_empty()) {
            let deadline = self.deadline();
            tokio::select! {
                () = stop.cancelled(), if !stopping => {
                    stopping = true;
                    for id in self.members.ids() {
                        self.close(id, CloseCode::GoingAway, "the hub stops");
                    }
                }
                command = commands.recv() => match command {
                    Some(command) => self.obey(command, stopping, &outlet),
                    // Every session is over.
                    None => break,
                },
                batch = outlet.recv(), if outlet_open => match batch {
                    Some(batch) => batches.push(batch),
                    None => outlet_open = false,
                },
                () = tokio::task::coop::unconstrained(self.members.writable()), if self.members.anybody_behind() => {}
                () = sleep_until(deadline), if deadline.is_some() => {}
            }
            for _ in 0..COMMANDS_PER_ROUND {
                match commands.try_recv() {
                    Ok(command) => self.obey(command, stopping, &outlet),
                    Err(_) => break,
                }
            }
            let mut bytes = 0;
            let mut count = 0;
            while count < ROUND_PUBLICATIONS_MAX && bytes < ROUND_BYTES_MAX {
                if let Some(batch) = batches.last() {
                    count += batch.publications.len();
                    bytes += batch.publications.iter().map(|publication| publication.payload.len()).sum::<usize>();
                }
                match outlet.try_recv() {
                    Ok(batch) => batches.push(batch),
                    Err(_) => break,
                }
            }
            if !batches.is_empty() {
                self.round(&batches);
                batches.clear();
            }
            self.replica.pass_over(outlet.spared_seq());
            self.send_early_answers();
            if self.members.is_empty() {
                // Only what is retained is kept up with; nobody else is there for events.
                outlet.attend(false);
            }
            self.flush_behind();
            self.cut_overdue();
        }
        // What is left in the outlet holds its senders' credit.
        outlet.close();
        // Whoever came between the last goodbye and now is cut off.
        commands.close();
        while let Some(command) = commands.recv().await {
            if let Command::Join { outgoing, .. } = command {
                outgoing.cut();
            }
        }
    }

    /// Carries out `command`; nothing is spared the shard from the moment on in which somebody comes.
    fn obey(&mut self, command: Command, stopping: bool, outlet: &OutletReceiver) {
        if matches!(command, Command::Join { .. }) {
            outlet.attend(true);
        }
        self.take(command, stopping);
    }

    /// Brings what `batches` hold to everybody.
    fn round(&mut self, batches: &[Arc<crate::engine::Batch>]) {
        let mut items: Vec<Item<'_>> = Vec::new();
        for publication in batches.iter().flat_map(|batch| &batch.publications) {
            if self.replica.apply(publication) {
                if publication.is_level() {
                    self.pages.forget(&publication.topic);
                }
                items.push(Item::new(publication));
            }
        }
        let mut fallen_behind = Vec::new();
        let mut matching: Vec<usize> = Vec::new();
        for (key, audience) in self.members.audiences() {
            matching.clear();
            matching.extend((0..items.len()).filter(|i| key.matches(&items[*i].publication.topic)));
            if matching.is_empty() {
                continue;
            }
            let levels = matching.iter().filter(|i| items[**i].publication.is_level()).count();
            audience.levels += levels as u64;
            let written = write_round(key, audience, &mut items, &matching, &mut fallen_behind);
            self.counters.deliveries.increment(written);
        }
        // Events for those that were behind before; they are in no audience's ready list.
        self.queue_events(&mut items);
        for (id, fallen) in fallen_behind {
            self.fall_behind(id, fallen);
        }
    }

    fn queue_events(&mut self, items: &mut [Item<'_>]) {
        if !self.members.anybody_behind() || items.iter().all(|item| item.publication.is_level()) {
            return;
        }
        let lost_now = &self.counters.events_lost;
        self.members.each_behind(|key, backlog| {
            for item in items.iter_mut().filter(|item| !item.publication.is_level()) {
                if key.matches(&item.publication.topic) {
                    let frame = item.frame(key);
                    lost_now.increment(backlog.push_event(item.publication.seq, frame) as u64);
                }
            }
        });
    }

    fn fall_behind(&mut self, id: BrowserId, fallen: Option<Fallen>) {
        let Some(Fallen { since, rest, events, levels_missed }) = fallen else {
            self.members.cut(id);
            return;
        };
        self.counters.stalls.increment(1);
        let mut backlog = Backlog::new(since, rest, self.members.levels_of(id).saturating_sub(levels_missed));
        for (seq, frame) in events {
            self.counters.events_lost.increment(backlog.push_event(seq, frame) as u64);
        }
        self.members.set_behind(id, backlog);
    }

    fn take(&mut self, command: Command, stopping: bool) {
        match command {
            Command::Join { id, outgoing, wire, rights, hello } => {
                self.members.join(id, outgoing, Key::new(rights, wire, &self.boot));
                let Hello { before_seq, after_seq } = hello;
                let text = format!("{before_seq}{}{after_seq}", self.replica.seq());
                let frame = wire.frame(text.as_bytes(), "", None);
                self.answer(id, frame);
                if stopping {
                    self.close(id, CloseCode::GoingAway, "the hub stops");
                }
            }
            Command::Subscribe { id, filters, snap_id, resume } => self.subscribe(id, filters, snap_id, resume),
            Command::Unsubscribe { id, filters } => {
                if let Some(key) = self.members.key_of(id) {
                    self.members.change_audience(id, key.without(&filters));
                }
            }
            Command::Answer { id, frame, after_seq } if after_seq > self.replica.seq() => {
                self.early_answers.entry(after_seq).or_default().push((id, frame));
            }
            Command::Answer { id, frame, .. } => self.answer(id, frame),
            Command::Reached { seq, told, .. } => {
                self.waiting.push((seq, told));
                self.tell_reached();
            }
            Command::Close { id, code, reason } => self.close(id, code, reason),
            Command::Leave { id } => self.leave(id),
        }
    }

    fn tell_reached(&mut self) {
        let reached = self.replica.seq();
        for (_, told) in self.waiting.extract_if(.., |(seq, _)| *seq <= reached) {
            // Whoever asked may have gone.
            let _ = told.send(());
        }
    }

    fn send_early_answers(&mut self) {
        self.tell_reached();
        while let Some(entry) = self.early_answers.first_entry()
            && *entry.key() <= self.replica.seq()
        {
            for (id, frame) in entry.remove() {
                self.answer(id, frame);
            }
        }
    }

    /// Sends `frame` to one browser, behind everything that it was sent before.
    fn answer(&mut self, id: BrowserId, frame: Bytes) {
        let since = self.replica.seq();
        match self.members.get(id) {
            Some(Member::Ready(outgoing)) => match outgoing.write_now(&frame) {
                Err(_) => self.members.cut(id),
                Ok(bytes) if bytes < frame.len() => {
                    let levels = self.members.levels_of(id);
                    self.members.set_behind(id, Backlog::new(since, Some(frame.slice(bytes..)), levels));
                }
                Ok(_) => {}
            },
            Some(Member::Behind(_, _, backlog)) => {
                let taken = backlog.push_answer(frame);
                if !taken {
                    self.cut(id);
                }
            }
            None => {}
        }
    }

    fn subscribe(&mut self, id: BrowserId, filters: Vec<Filter>, snap_id: Box<str>, resume: Option<u64>) {
        let Some(key) = self.members.key_of(id) else { return };
        self.members.change_audience(id, key.with(&filters));
        let seq = self.replica.seq();
        let resume_from = resume.filter(|from| self.replica.remembers(*from));
        let snap = Snap { id: snap_id, filters, seq, resume_from, page: 0, after: None };
        if self.members.is_ready(id) {
            self.members.set_behind(id, Backlog::new(seq, None, self.members.levels_of(id)));
        }
        let Some(backlog) = self.members.backlog(id) else { return };
        if backlog.push_snap(snap) {
            self.flush(id);
        } else {
            self.cut(id);
        }
    }

    /// Ends a connection with a Close frame, as soon as the frame that is under way is out.
    fn close(&mut self, id: BrowserId, code: CloseCode, reason: &str) {
        let Some(key) = self.members.key_of(id) else { return };
        let frame = match key.wire {
            Wire::WebSocket => close_frame(code, reason),
            // An event stream has no word for it; its end says it.
            Wire::EventStream => Bytes::new(),
        };
        if self.members.is_ready(id) {
            self.members.set_behind(id, Backlog::new(self.replica.seq(), None, self.members.levels_of(id)));
        }
        if let Some(backlog) = self.members.backlog(id) {
            backlog.close(frame);
            self.lingering.push((Instant::now() + LINGER, id));
            self.flush(id);
        }
    }

    /// Ends the connection of a browser that does not take what it asked for.
    fn cut(&mut self, id: BrowserId) {
        self.counters.cut.increment(1);
        self.members.cut(id);
    }

    fn leave(&mut self, id: BrowserId) {
        self.members.leave(id);
        self.lingering.retain(|(_, lingering)| *lingering != id);
    }

    fn flush_behind(&mut self) {
        for id in self.members.behind() {
            self.flush(id);
        }
    }

    fn flush(&mut self, id: BrowserId) {
        let Some(Member::Behind(outgoing, key, backlog)) = self.members.get(id) else { return };
        match backlog.flush(outgoing, key, &self.replica, &mut self.pages) {
            Flushed::Waiting => {}
            Flushed::Drained => self.members.set_ready(id),
            Flushed::Closed => self.members.over(id),
            Flushed::Gone => self.members.cut(id),
        }
    }

    /// When somebody has to be cut off, at the earliest.
    fn deadline(&self) -> Option<Instant> {
        let stalled = self.members.progress().map(|(_, at)| at + self.stall_max);
        stalled.chain(self.lingering.iter().map(|(at, _)| *at)).min()
    }

    fn cut_overdue(&mut self) {
        if !self.members.anybody_behind() && self.lingering.is_empty() {
            return;
        }
        let now = Instant::now();
        let stalled: Vec<_> =
            self.members.progress().filter(|(_, at)| *at + self.stall_max <= now).map(|(id, _)| id).collect();
        for id in stalled {
            tracing::debug!(browser = id, "cut off: took nothing for too long");
            self.cut(id);
        }
        let (past, lingering) = self.lingering.drain(..).partition(|(at, _)| *at <= now);
        self.lingering = lingering;
        let past: Vec<(Instant, BrowserId)> = past;
        for (_, id) in past {
            self.members.cut(id);
        }
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
