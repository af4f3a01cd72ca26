//! One shard: the task that writes.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    future::poll_fn,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use bytes::{BufMut as _, Bytes, BytesMut};
use slab::Slab;
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::{
    BrowserId, Command, Hello,
    audience::{Audience, Key, Ready},
    backlog::{Backlog, Flushed, Snap},
    frames::{self, Wire},
    pages::Pages,
    replica::Replica,
};
use crate::{
    domain::{publication::Publication, topic::Filter},
    engine::OutletReceiver,
    http::{
        stream::Outgoing,
        ws::frame::{CloseCode, close_frame},
    },
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
    browsers: HashMap<BrowserId, Browser>,
    audiences: Slab<(Arc<Key>, Audience)>,
    audience_of: HashMap<Arc<Key>, usize>,
    /// Browsers with a backlog.
    behind: BTreeSet<BrowserId>,
    /// Browsers whose end was announced, and when they are cut.
    lingering: Vec<(Instant, BrowserId)>,
    /// Answers that wait for the publications that they tell of.
    early_answers: BTreeMap<u64, Vec<(BrowserId, Bytes)>>,
    /// Who waits for a place in the one order.
    waiting: Vec<(u64, oneshot::Sender<()>)>,
    counters: Counters,
}

#[derive(Debug)]
struct Browser {
    outgoing: Outgoing,
    audience: usize,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Has everything; stands at this place among its audience's ready ones.
    Ready(usize),
    /// Gets what it missed first.
    Behind(Box<Backlog>),
    /// The Close frame is written, or the connection is gone.
    Over,
}

#[derive(Debug)]
struct Counters {
    deliveries: metrics::Counter,
    stalls: metrics::Counter,
    events_lost: metrics::Counter,
    cut: metrics::Counter,
    coalesced: metrics::Counter,
    behind: metrics::Gauge,
}

/// A publication of the round that is under way.
struct Item<'a> {
    publication: &'a Publication,
    /// For all WebSockets; an event stream's frame names the audience's cursor too.
    framed: Option<Bytes>,
}

impl Item<'_> {
    fn frame(&mut self, key: &Key) -> Bytes {
        match (&self.framed, key.wire) {
            (Some(framed), Wire::WebSocket) => framed.clone(),
            (None, Wire::WebSocket) => self.framed.insert(self.frame_anew(key)).clone(),
            (_, Wire::EventStream) => self.frame_anew(key),
        }
    }

    fn frame_anew(&self, key: &Key) -> Bytes {
        let Publication { topic, payload, seq, .. } = self.publication;
        let json = frames::msg(topic.as_str(), payload, self.publication.is_level(), *seq);
        key.wire.frame(&json, &key.boot, Some(*seq))
    }
}

impl Shard {
    /// A shard whose copy of the tree begins with `snapshot`. A browser that takes nothing for `stall_max` is cut off.
    pub(in crate::http) fn new(snapshot: crate::engine::Snapshot, boot: Arc<str>, stall_max: Duration) -> Self {
        Self {
            replica: Replica::new(snapshot),
            pages: Pages::default(),
            boot,
            stall_max,
            browsers: HashMap::new(),
            audiences: Slab::new(),
            audience_of: HashMap::new(),
            behind: BTreeSet::new(),
            lingering: Vec::new(),
            early_answers: BTreeMap::new(),
            waiting: Vec::new(),
            counters: Counters {
                deliveries: metrics::counter!("lockstep_browser_deliveries_total"),
                stalls: metrics::counter!("lockstep_browser_stalls_total"),
                events_lost: metrics::counter!("lockstep_browser_events_lost_total"),
                cut: metrics::counter!("lockstep_browser_cut_total"),
                coalesced: metrics::counter!("lockstep_browser_coalesced_total"),
                behind: metrics::gauge!("lockstep_browsers_behind"),
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
        while !(stopping && self.browsers.is_empty()) {
            let deadline = self.deadline();
            tokio::select! {
                () = stop.cancelled(), if !stopping => {
                    stopping = true;
                    let all: Vec<_> = self.browsers.keys().copied().collect();
                    for id in all {
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
                () = tokio::task::coop::unconstrained(writable(&self.browsers, &self.behind)), if !self.behind.is_empty() => {}
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
            if self.browsers.is_empty() {
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
                items.push(Item { publication, framed: None });
            }
        }
        let mut fallen_behind = Vec::new();
        let mut matching: Vec<usize> = Vec::new();
        for (_, (key, audience)) in &mut self.audiences {
            if audience.ready.is_empty() && audience.others == 0 {
                continue;
            }
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
        if self.behind.is_empty() || items.iter().all(|item| item.publication.is_level()) {
            return;
        }
        for id in &self.behind {
            let Some(Browser { audience, state: State::Behind(backlog), .. }) = self.browsers.get_mut(id) else {
                continue;
            };
            let Some((key, _)) = self.audiences.get(*audience) else { continue };
            for item in items.iter_mut().filter(|item| !item.publication.is_level()) {
                if key.matches(&item.publication.topic) {
                    let frame = item.frame(key);
                    let lost = backlog.push_event(item.publication.seq, frame);
                    self.counters.events_lost.increment(lost as u64);
                }
            }
        }
    }

    fn fall_behind(&mut self, id: BrowserId, fallen: Option<Fallen>) {
        let Some(Fallen { since, rest, events, levels_missed }) = fallen else {
            self.over(id, true);
            return;
        };
        self.counters.stalls.increment(1);
        let mut backlog = Backlog::new(since, rest, self.levels_of(id).saturating_sub(levels_missed));
        for (seq, frame) in events {
            self.counters.events_lost.increment(backlog.push_event(seq, frame) as u64);
        }
        self.set_behind(id, backlog);
    }

    /// Takes a ready browser out of its audience's ready ones and gives it `backlog`.
    fn set_behind(&mut self, id: BrowserId, backlog: Backlog) {
        self.take_out(id, State::Behind(Box::new(backlog)));
        if self.behind.insert(id) {
            self.counters.behind.increment(1.0);
        }
    }

    fn behind_no_more(&mut self, id: BrowserId) {
        if self.behind.remove(&id) {
            self.counters.behind.decrement(1.0);
        }
    }

    /// How many values the audience of a browser was brought so far.
    fn levels_of(&self, id: BrowserId) -> u64 {
        let audience = self.browsers.get(&id).and_then(|browser| self.audiences.get(browser.audience));
        audience.map_or(0, |(_, audience)| audience.levels)
    }

    /// Moves a browser out of its audience's ready ones, into `state`.
    fn take_out(&mut self, id: BrowserId, state: State) {
        let Some(browser) = self.browsers.get_mut(&id) else { return };
        let before = std::mem::replace(&mut browser.state, state);
        let audience = browser.audience;
        let State::Ready(place) = before else { return };
        let Some((_, audience)) = self.audiences.get_mut(audience) else { return };
        audience.others += 1;
        if place < audience.ready.len() {
            audience.ready.swap_remove(place);
        }
        let moved = audience.ready.get(place).map(|ready| ready.id);
        if let Some(Browser { state: State::Ready(at), .. }) = moved.and_then(|moved| self.browsers.get_mut(&moved)) {
            *at = place;
        }
    }

    /// Puts a browser that has everything among its audience's ready ones.
    fn set_ready(&mut self, id: BrowserId) {
        let Some(browser) = self.browsers.get_mut(&id) else { return };
        let Some((_, audience)) = self.audiences.get_mut(browser.audience) else { return };
        audience.others = audience.others.saturating_sub(1);
        if let State::Behind(backlog) = &browser.state {
            self.counters.coalesced.increment(backlog.coalesced(audience.levels));
        }
        browser.state = State::Ready(audience.ready.len());
        audience.ready.push(Ready { id, outgoing: browser.outgoing.clone() });
        self.behind_no_more(id);
    }

    fn take(&mut self, command: Command, stopping: bool) {
        match command {
            Command::Join { id, outgoing, wire, rights, hello } => {
                let audience = self.enter(Key::new(rights, wire, &self.boot));
                let Hello { before_seq, after_seq } = hello;
                let text = format!("{before_seq}{}{after_seq}", self.replica.seq());
                let frame = wire.frame(text.as_bytes(), "", None);
                self.browsers.insert(id, Browser { outgoing, audience, state: State::Over });
                self.set_ready(id);
                self.answer(id, frame);
                if stopping {
                    self.close(id, CloseCode::GoingAway, "the hub stops");
                }
            }
            Command::Subscribe { id, filters, snap_id, resume } => self.subscribe(id, filters, snap_id, resume),
            Command::Unsubscribe { id, filters } => {
                if let Some(key) = self.key_of(id) {
                    self.change_audience(id, key.without(&filters));
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
        let Some(browser) = self.browsers.get_mut(&id) else { return };
        match &mut browser.state {
            State::Ready(_) => match browser.outgoing.write_now(&frame) {
                Err(_) => self.over(id, true),
                Ok(bytes) if bytes < frame.len() => {
                    let levels = self.levels_of(id);
                    self.set_behind(id, Backlog::new(since, Some(frame.slice(bytes..)), levels));
                }
                Ok(_) => {}
            },
            State::Behind(backlog) => {
                if !backlog.push_answer(frame) {
                    self.cut(id);
                }
            }
            State::Over => {}
        }
    }

    fn subscribe(&mut self, id: BrowserId, filters: Vec<Filter>, snap_id: Box<str>, resume: Option<u64>) {
        let Some(key) = self.key_of(id) else { return };
        self.change_audience(id, key.with(&filters));
        let seq = self.replica.seq();
        let resume_from = resume.filter(|from| self.replica.remembers(*from));
        let snap = Snap { id: snap_id, filters, seq, resume_from, page: 0, after: None };
        if matches!(self.browsers.get(&id), Some(Browser { state: State::Ready(_), .. })) {
            self.set_behind(id, Backlog::new(seq, None, self.levels_of(id)));
        }
        let Some(Browser { state: State::Behind(backlog), .. }) = self.browsers.get_mut(&id) else { return };
        if backlog.push_snap(snap) {
            self.flush(id);
        } else {
            self.cut(id);
        }
    }

    /// Ends a connection with a Close frame, as soon as the frame that is under way is out.
    fn close(&mut self, id: BrowserId, code: CloseCode, reason: &str) {
        let Some(key) = self.key_of(id) else { return };
        let frame = match key.wire {
            Wire::WebSocket => close_frame(code, reason),
            // An event stream has no word for it; its end says it.
            Wire::EventStream => Bytes::new(),
        };
        if matches!(self.browsers.get(&id), Some(Browser { state: State::Ready(_), .. })) {
            self.set_behind(id, Backlog::new(self.replica.seq(), None, self.levels_of(id)));
        }
        if let Some(Browser { state: State::Behind(backlog), .. }) = self.browsers.get_mut(&id) {
            backlog.close(frame);
            self.lingering.push((Instant::now() + LINGER, id));
            self.flush(id);
        }
    }

    fn cut(&mut self, id: BrowserId) {
        self.counters.cut.increment(1);
        self.over(id, true);
    }

    /// Writes nothing more to a browser; its session is told by the end of the connection.
    fn over(&mut self, id: BrowserId, cut: bool) {
        self.take_out(id, State::Over);
        self.behind_no_more(id);
        if let Some(browser) = self.browsers.get(&id)
            && cut
        {
            browser.outgoing.cut();
        }
    }

    fn leave(&mut self, id: BrowserId) {
        self.take_out(id, State::Over);
        if let Some(browser) = self.browsers.remove(&id) {
            browser.outgoing.cut();
            self.exit(browser.audience);
        }
        self.lingering.retain(|(_, lingering)| *lingering != id);
        self.behind_no_more(id);
    }

    fn key_of(&self, id: BrowserId) -> Option<Arc<Key>> {
        self.audiences.get(self.browsers.get(&id)?.audience).map(|(key, _)| Arc::clone(key))
    }

    /// Counts one more browser into the audience of `key`, which need not exist yet; not among the ready ones.
    fn enter(&mut self, key: Key) -> usize {
        let at = match self.audience_of.get(&key) {
            Some(at) => *at,
            None => {
                let key = Arc::new(key);
                let at = self.audiences.insert((Arc::clone(&key), Audience::default()));
                self.audience_of.insert(key, at);
                at
            }
        };
        if let Some((_, audience)) = self.audiences.get_mut(at) {
            audience.others += 1;
        }
        at
    }

    /// Counts one browser, which is not among the ready ones, out of an audience.
    fn exit(&mut self, at: usize) {
        let Some((key, audience)) = self.audiences.get_mut(at) else { return };
        audience.others = audience.others.saturating_sub(1);
        if audience.others == 0 && audience.ready.is_empty() {
            self.audience_of.remove(key);
            self.audiences.remove(at);
        }
    }

    fn change_audience(&mut self, id: BrowserId, key: Key) {
        let Some(browser) = self.browsers.get(&id) else { return };
        let was_ready = matches!(browser.state, State::Ready(_));
        let old = browser.audience;
        if was_ready {
            self.take_out(id, State::Over);
        }
        let new = self.enter(key);
        let levels = |at: usize| self.audiences.get(at).map_or(0, |(_, audience)| audience.levels);
        let (levels_old, levels_new) = (levels(old), levels(new));
        self.exit(old);
        if let Some(browser) = self.browsers.get_mut(&id) {
            browser.audience = new;
            if let State::Behind(backlog) = &mut browser.state {
                backlog.change_audience(levels_old, levels_new);
            }
        }
        if was_ready {
            self.set_ready(id);
        }
    }

    fn flush_behind(&mut self) {
        let behind: Vec<_> = self.behind.iter().copied().collect();
        for id in behind {
            self.flush(id);
        }
    }

    fn flush(&mut self, id: BrowserId) {
        let Some(Browser { outgoing, audience, state: State::Behind(backlog) }) = self.browsers.get_mut(&id) else {
            return;
        };
        let Some((key, _)) = self.audiences.get(*audience) else { return };
        match backlog.flush(outgoing, key, &self.replica, &mut self.pages) {
            Flushed::Waiting => {}
            Flushed::Drained => self.set_ready(id),
            Flushed::Closed => self.over(id, false),
            Flushed::Gone => self.over(id, true),
        }
    }

    /// When somebody has to be cut off, at the earliest.
    fn deadline(&self) -> Option<Instant> {
        let stalled = self.behind.iter().filter_map(|id| match self.browsers.get(id) {
            Some(Browser { state: State::Behind(backlog), .. }) => Some(backlog.progress_at + self.stall_max),
            _ => None,
        });
        stalled.chain(self.lingering.iter().map(|(at, _)| *at)).min()
    }

    fn cut_overdue(&mut self) {
        if self.behind.is_empty() && self.lingering.is_empty() {
            return;
        }
        let now = Instant::now();
        let overdue = |id: &BrowserId| match self.browsers.get(id) {
            Some(Browser { state: State::Behind(backlog), .. }) => backlog.progress_at + self.stall_max <= now,
            _ => false,
        };
        let stalled: Vec<_> = self.behind.iter().copied().filter(overdue).collect();
        for id in stalled {
            tracing::debug!(browser = id, "cut off: took nothing for too long");
            self.cut(id);
        }
        let (past, lingering) = self.lingering.drain(..).partition(|(at, _)| *at <= now);
        self.lingering = lingering;
        let past: Vec<(Instant, BrowserId)> = past;
        for (_, id) in past {
            self.over(id, true);
        }
    }
}

/// What becomes of a browser whose socket was full in the middle of a round.
struct Fallen {
    since: u64,
    rest: Option<Bytes>,
    events: Vec<(u64, Bytes)>,
    /// Values of the round that it did not get.
    levels_missed: u64,
}

/// Writes the items `matching` to everybody of an audience who is ready; none in `fallen_behind` for who is gone.
fn write_round(
    key: &Key,
    audience: &Audience,
    items: &mut [Item<'_>],
    matching: &[usize],
    fallen_behind: &mut Vec<(BrowserId, Option<Fallen>)>,
) -> u64 {
    if audience.ready.is_empty() {
        return 0;
    }
    // A single frame is shared as it is; several are put together once.
    let mut ends = Vec::with_capacity(matching.len());
    let mut length = 0;
    for i in matching {
        length += items[*i].frame(key).len();
        ends.push(length);
    }
    let buffer = match matching {
        [only] => items[*only].frame(key),
        _ => {
            let mut buffer = BytesMut::with_capacity(length);
            for i in matching {
                buffer.put_slice(&items[*i].frame(key));
            }
            buffer.freeze()
        }
    };
    let mut whole = 0;
    for ready in &audience.ready {
        match ready.outgoing.write_now(&buffer) {
            Ok(bytes) if bytes == length => whole += 1,
            Ok(bytes) => {
                let cut_at = ends.partition_point(|end| *end <= bytes);
                let in_front = |at: usize| at.checked_sub(1).map_or(0, |before| ends[before]);
                let partial = in_front(cut_at) < bytes;
                let rest = partial.then(|| {
                    // The frame's own bytes, so that the round's buffer does not live on with it.
                    items[matching[cut_at]].frame(key).slice(bytes - in_front(cut_at)..)
                });
                let reached = if partial { cut_at + 1 } else { cut_at };
                let since = match reached.checked_sub(1) {
                    Some(last) => items[matching[last]].publication.seq,
                    None => items.first().map_or(0, |first| first.publication.seq - 1),
                };
                let missed = &matching[reached..];
                let events: Vec<usize> = missed.iter().copied().filter(|i| !items[*i].publication.is_level()).collect();
                let levels_missed = (missed.len() - events.len()) as u64;
                let events = events.into_iter().map(|i| (items[i].publication.seq, items[i].frame(key))).collect();
                fallen_behind.push((ready.id, Some(Fallen { since, rest, events, levels_missed })));
            }
            Err(_) => fallen_behind.push((ready.id, None)),
        }
    }
    whole * matching.len() as u64
}

/// Ready when one of `behind` can take bytes.
async fn writable(browsers: &HashMap<BrowserId, Browser>, behind: &BTreeSet<BrowserId>) {
    poll_fn(|context| {
        let mut any = Poll::Pending;
        for id in behind {
            if let Some(Browser { outgoing, state: State::Behind(_), .. }) = browsers.get(id)
                && outgoing.poll_writable(context).is_ready()
            {
                any = Poll::Ready(());
            }
        }
        any
    })
    .await;
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
