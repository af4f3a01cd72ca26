//! The journal's thread: collects what is to be written, decides when, and tells whoever waits.
//!
//! Writing does not belong here; that is the other thread's.

use std::time::Duration;

use tokio::{
    sync::{mpsc, oneshot, watch},
    time::Instant,
};

use super::{Committed, Job, JournalSettings, Request};
use crate::{
    domain::{
        history::HistoryEntry,
        publication::{Level, Qos},
    },
    engine::{JournalEntry, KeepRequest, REVISION_BLOCK, Settled, StoreHealth},
    policy::note_login_change,
    store::{changes::Changes, kept::KeptQueues},
};

/// How many entries are taken in before it is looked whether a commit is due.
const ENTRIES_AT_ONCE: usize = 256;

/// How many finished phases are kept in memory while the disk fails; the oldest go first.
const HISTORY_WAITING_MAX: usize = 10_000;

/// Somebody who waits until everything that was handed in before is on disk. Dropped, it tells that it is not.
#[derive(Debug)]
enum Waiting {
    Answers(Settled),
    Request(oneshot::Sender<()>),
}

impl Waiting {
    fn kept(self) {
        match self {
            Self::Answers(settled) => settled.send(),
            Self::Request(reply) => drop(reply.send(())),
        }
    }

    fn failed(self) {
        match self {
            Self::Answers(settled) => settled.fail(),
            Self::Request(reply) => drop(reply),
        }
    }
}

struct Failure {
    delay: Duration,
    next_try: Instant,
}

struct InFlight {
    /// The newest place that it has.
    newest: u64,
    done: oneshot::Receiver<Committed>,
    waiting: Vec<Waiting>,
    begun: Instant,
}

/// Collects what is to be written. Its maps hold one value a topic, so they are bounded by the retained tree, and what sessions keep, so
/// they are bounded by the sessions' queues.
pub(super) struct Collector {
    settings: JournalSettings,
    changes: Changes,
    queues: KeptQueues,
    /// The newest place that was taken in, and the newest up to which all is on disk.
    newest: u64,
    written: watch::Sender<u64>,
    waiting: Vec<Waiting>,
    /// Whether the next commit may come at once: somebody waits, or something is of QoS 1 or 2.
    urgent: bool,
    /// Since when something that is not urgent waits.
    lazy_since: Option<Instant>,
    last_begun: Option<Instant>,
    failure: Option<Failure>,
    /// The newest revision that was given, and the newest that the file knows of.
    revision: u64,
    ceiling: u64,
    jobs: mpsc::Sender<Job>,
    health: watch::Sender<StoreHealth>,
    revision_ceiling: watch::Sender<u64>,
}

impl Collector {
    /// One for a file that knows of revisions up to a block beyond `revision`.
    pub(super) fn new(
        settings: JournalSettings,
        queues: KeptQueues,
        revision: u64,
        written: watch::Sender<u64>,
        jobs: mpsc::Sender<Job>,
        health: watch::Sender<StoreHealth>,
        revision_ceiling: watch::Sender<u64>,
    ) -> Self {
        Self {
            settings,
            changes: Changes::default(),
            queues,
            written,
            newest: 0,
            waiting: Vec::new(),
            urgent: false,
            lazy_since: None,
            last_begun: None,
            failure: None,
            revision,
            ceiling: revision + REVISION_BLOCK,
            jobs,
            health,
            revision_ceiling,
        }
    }

    pub(super) async fn run(
        mut self,
        mut entries: mpsc::Receiver<JournalEntry>,
        mut keeps: mpsc::Receiver<KeepRequest>,
        mut requests: mpsc::Receiver<Request>,
    ) -> Option<oneshot::Sender<()>> {
        let mut in_flight: Option<InFlight> = None;
        let mut taken = Vec::with_capacity(ENTRIES_AT_ONCE);
        let (mut entries_open, mut keeps_open, mut requests_open) = (true, true, true);
        let mut stop = None;
        loop {
            if in_flight.is_none() {
                if !entries_open && !keeps_open && !requests_open {
                    return self.end(None).await;
                }
                if self.due().is_some_and(|due| due <= Instant::now()) {
                    in_flight = self.begin().await;
                }
            }
            if stop.is_some() && in_flight.is_none() {
                while let Ok(entry) = entries.try_recv() {
                    self.take_entry(entry);
                }
                while let Ok(request) = keeps.try_recv() {
                    self.take_keep(request);
                }
                return self.end(stop).await;
            }
            let due = if in_flight.is_none() { self.due() } else { None };
            tokio::select! {
                biased;
                committed = async { (&mut in_flight.as_mut()?.done).await.ok() }, if in_flight.is_some() => {
                    if let Some(commit) = in_flight.take() {
                        self.finish(commit, committed);
                    }
                }
                () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
                request = requests.recv(), if requests_open => match request {
                    Some(Request::Stop { reply }) => { stop = Some(reply); requests_open = false; }
                    Some(request) => self.take_request(request),
                    None => requests_open = false,
                },
                request = keeps.recv(), if keeps_open => match request {
                    Some(request) => {
                        // What a session says of a message comes behind the message.
                        while let Ok(entry) = entries.try_recv() {
                            self.take_entry(entry);
                        }
                        self.take_keep(request);
                    }
                    None => keeps_open = false,
                },
                count = entries.recv_many(&mut taken, ENTRIES_AT_ONCE), if entries_open => {
                    entries_open = count > 0;
                    for entry in taken.drain(..) {
                        self.take_entry(entry);
                    }
                }
            }
        }
    }

    fn take_entry(&mut self, entry: JournalEntry) {
        for publication in entry.batch.publications.iter().filter(|publication| publication.level == Level::Retained) {
            self.changes.retained.insert(publication.topic.clone(), publication.clone());
            if publication.qos == Qos::AtMostOnce {
                self.lazy_since.get_or_insert_with(Instant::now);
            } else {
                self.urgent = true;
            }
        }
        self.newest = entry.batch.publications.last().map_or(self.newest, |publication| publication.seq);
        for publication in &entry.batch.publications {
            self.urgent |= self.queues.publish(publication, &mut self.changes.kept);
        }
        if let Some(received) = entry.received {
            self.queues.receive(received, &mut self.changes.kept);
            self.lazy_since.get_or_insert_with(Instant::now);
        }
        if !entry.finished.is_empty() {
            self.changes.history.extend(entry.finished.iter().map(HistoryEntry::from));
            self.bound_history();
            self.urgent = true;
        }
        if let Some(revision) = entry.revision {
            self.revision = self.revision.max(revision);
            if self.revision + REVISION_BLOCK / 2 > self.ceiling {
                self.changes.revision_ceiling = Some(self.revision + REVISION_BLOCK);
                self.urgent = true;
            }
        }
        if !entry.settled.is_empty() {
            self.wait(Waiting::Answers(entry.settled));
        }
    }

    fn take_keep(&mut self, request: KeepRequest) {
        for change in request.changes {
            self.queues.change(&request.owner, change, &mut self.changes.kept);
        }
        if let Some(taken) = request.taken {
            // Whoever waited may have gone.
            let _ = taken.send(());
        }
        if request.urgent {
            self.urgent = true;
        } else {
            self.lazy_since.get_or_insert_with(Instant::now);
        }
        if let Some(reply) = request.reply {
            self.wait(Waiting::Request(reply));
        }
    }

    fn take_request(&mut self, request: Request) {
        match request {
            Request::Flush { reply } => self.wait(Waiting::Request(reply)),
            Request::Forget { before } => {
                self.changes.history_cutoff = self.changes.history_cutoff.max(Some(before));
                self.lazy_since.get_or_insert_with(Instant::now);
            }
            Request::ForgetRoom { room, reply } => {
                self.changes.history.retain(|line| line.room != room);
                self.changes.history_forgotten.insert(room);
                self.wait(Waiting::Request(reply));
            }
            Request::Logins { logins, reply } => {
                for (token, change) in logins.take_changes() {
                    note_login_change(&mut self.changes.logins, token, change);
                }
                self.wait(Waiting::Request(reply));
            }
            // Taken by the loop.
            Request::Stop { reply } => drop(reply),
        }
    }

    fn wait(&mut self, waiting: Waiting) {
        if self.failure.is_some() {
            waiting.failed();
        } else {
            self.waiting.push(waiting);
            self.urgent = true;
        }
    }

    fn bound_history(&mut self) {
        let surplus = self.changes.history.len().saturating_sub(HISTORY_WAITING_MAX);
        if surplus > 0 {
            tracing::warn!(lines = surplus, "the history lost lines: the disk has failed for too long");
            self.changes.history.drain(..surplus);
        }
    }

    /// When the next commit is to begin.
    fn due(&self) -> Option<Instant> {
        if let Some(failure) = &self.failure {
            return Some(failure.next_try);
        }
        let wanted = if self.urgent {
            Some(Instant::now())
        } else {
            self.lazy_since.map(|since| since + self.settings.lazy_delay)
        };
        let earliest = self.last_begun.map(|begun| begun + self.settings.commit_gap);
        wanted.map(|wanted| earliest.map_or(wanted, |earliest| wanted.max(earliest)))
    }

    /// Hands over what has collected. Where nothing is to be written, whoever waits is answered: all before is on disk.
    async fn begin(&mut self) -> Option<InFlight> {
        self.urgent = false;
        self.lazy_since = None;
        let waiting = std::mem::take(&mut self.waiting);
        if self.changes.is_empty() && self.failure.is_none() {
            waiting.into_iter().for_each(Waiting::kept);
            self.written.send_replace(self.newest);
            return None;
        }
        let begun = Instant::now();
        self.last_begun = Some(begun);
        #[expect(clippy::cast_precision_loss, reason = "so many messages do not exist")]
        metrics::gauge!("lockstep_journal_session_messages").set(self.queues.len() as f64);
        let changes = Box::new(std::mem::take(&mut self.changes));
        let (reply, done) = oneshot::channel();
        // A closed channel shows in `done`, whose sender goes with it.
        let _ = self.jobs.send(Job::Commit { changes, reply }).await;
        Some(InFlight { newest: self.newest, done, waiting, begun })
    }

    fn finish(&mut self, commit: InFlight, committed: Option<Committed>) {
        metrics::histogram!("lockstep_journal_commit_seconds").record(commit.begun.elapsed().as_secs_f64());
        let reason = match committed {
            Some(Committed { result: Ok(()), changes }) => {
                if let Some(ceiling) = changes.revision_ceiling {
                    self.ceiling = ceiling;
                    self.revision_ceiling.send_replace(ceiling);
                }
                commit.waiting.into_iter().for_each(Waiting::kept);
                self.written.send_replace(commit.newest);
                if self.failure.take().is_some() {
                    tracing::info!("the journal can be written again; everything is on disk");
                    self.health.send_replace(StoreHealth::Healthy);
                }
                return;
            }
            Some(Committed { changes, result: Err(error) }) => {
                self.changes.put_beneath(*changes);
                self.bound_history();
                error.to_string()
            }
            None => "the thread that writes it has ended".to_owned(),
        };
        commit.waiting.into_iter().for_each(Waiting::failed);
        self.waiting.drain(..).for_each(Waiting::failed);
        metrics::counter!("lockstep_journal_failures_total").increment(1);
        let delay = match &self.failure {
            None => self.settings.retry_delay,
            Some(failure) => (failure.delay * 2).min(self.settings.retry_delay_max),
        };
        if self.failure.is_none() {
            tracing::error!(reason, "the journal cannot be written; what must last is refused until it can");
        }
        self.failure = Some(Failure { delay, next_try: Instant::now() + delay });
        self.health.send_replace(StoreHealth::Failing { reason });
    }

    /// Writes the rest and lets go of the file.
    async fn end(mut self, stop: Option<oneshot::Sender<()>>) -> Option<oneshot::Sender<()>> {
        // After a clean stop the next revision follows the last one.
        self.changes.revision_ceiling = Some(self.revision);
        if let Some(mut commit) = self.begin().await {
            let committed = (&mut commit.done).await.ok();
            self.finish(commit, committed);
        }
        stop
    }
}
