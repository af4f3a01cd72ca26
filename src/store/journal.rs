//! The journal: keeps the file in step with the engine, by group commit.
//!
//! One thread collects what is to be written and merges it, another writes; so neither the engine nor anybody who delivers
//! ever waits for the disk. A commit begins at once when none was begun in the last 20 ms, one is under way at a time, and
//! what comes meanwhile goes into the next, the latest value per topic. Values of QoS 0 ride along, within a second.
//!
//! When the disk fails, [`StoreHealth`] says so (the engine then refuses what must last), what is not on disk stays in
//! memory, and the file is opened again and brought up to date with growing pauses.
//!
//! Tables do not belong here; those are [`file`](super::file)'s.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::Duration,
};

use tokio::{
    sync::{mpsc, oneshot, watch},
    time::Instant,
};

use super::{
    file::{self, Changes, OpenError, Opener, Restored, StoreError, StoreFile, StoreReader},
    kept::KeptQueues,
};
use crate::{
    domain::{
        history::{HistoryEntry, HistoryPage, HistoryQuery},
        publication::{Level, Qos},
    },
    engine::{Interest, JournalEntry, KeepRequest, Keeper, Keeps, REVISION_BLOCK, Settled, StoreHealth},
    policy::{Logins, note_login_change},
};

/// How many requests may wait for the journal before whoever asks has to wait.
const REQUESTS_MAX: usize = 256;
/// How many entries are taken in before it is looked whether a commit is due.
const ENTRIES_AT_ONCE: usize = 256;
/// How many finished phases are kept in memory while the disk fails; the oldest go first.
const HISTORY_WAITING_MAX: usize = 10_000;
/// How the journal takes its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JournalSettings {
    /// The least time from the begin of one commit to the begin of the next.
    pub commit_gap: Duration,
    /// The longest that a value of QoS 0 waits for a commit.
    pub lazy_delay: Duration,
    /// The first pause after a failure; each further one is twice as long.
    pub retry_delay: Duration,
    /// The longest pause between two attempts.
    pub retry_delay_max: Duration,
}

impl Default for JournalSettings {
    fn default() -> Self {
        Self {
            commit_gap: Duration::from_millis(20),
            lazy_delay: Duration::from_secs(1),
            retry_delay: Duration::from_millis(250),
            retry_delay_max: Duration::from_secs(5),
        }
    }
}

/// An open journal that does not run yet.
#[derive(Debug)]
pub struct Journal {
    file: StoreFile,
    settings: JournalSettings,
    /// The newest revision that may have been given.
    revision: u64,
    queues: KeptQueues,
    /// What the sessions ask for; closed where there are none.
    keeps: Keeps,
}

impl Journal {
    /// Opens the journal at `path`, or begins one, and reads what an earlier run left. Blocks.
    ///
    /// # Errors
    /// The folder cannot be used, another process has it, or the file is damaged, foreign or newer: one sentence that names
    /// it. A file that cannot be read is never taken for an empty one.
    pub fn open(path: &Path) -> Result<(Self, Restored), OpenError> {
        Self::open_with(path, Box::new(file::open_database))
    }

    pub(super) fn open_with(path: &Path, opener: Opener) -> Result<(Self, Restored), OpenError> {
        let (mut file, restored) = StoreFile::open(path, opener)?;
        let reserved = Changes { revision_ceiling: Some(restored.revision + REVISION_BLOCK), ..Changes::default() };
        file.commit(&reserved).map_err(|source| OpenError::Access { path: path.to_owned(), source })?;
        let queues = KeptQueues::new(restored.starts, &restored.sessions);
        // Nobody has the other end.
        let (_, keeps) = Keeper::new(Arc::default(), restored.starts);
        let settings = JournalSettings::default();
        Ok((Self { file, settings, revision: restored.revision, queues, keeps }, restored))
    }

    /// The same, which keeps what MQTT sessions ask for in `keeps`, and the messages that `interest` tells of.
    #[must_use]
    pub fn with_sessions(mut self, interest: Arc<Interest>, keeps: Keeps) -> Self {
        self.queues.ask(interest);
        Self { keeps, ..self }
    }

    /// The same with `settings`.
    #[must_use]
    pub fn with_settings(self, settings: JournalSettings) -> Self {
        Self { settings, ..self }
    }

    /// Up to which revision the file knows of.
    #[must_use]
    pub const fn revision_ceiling(&self) -> u64 {
        self.revision + REVISION_BLOCK
    }

    /// Begins to write what `entries` bring, on threads of its own, until [`JournalHandle::stop`] or until `entries` and all
    /// handles are gone; tells in `health` how the disk does and in `revision_ceiling` what is reserved.
    ///
    /// # Errors
    /// The system's, when it has no thread to give.
    pub fn start(
        self,
        entries: mpsc::Receiver<JournalEntry>,
        health: watch::Sender<StoreHealth>,
        revision_ceiling: watch::Sender<u64>,
    ) -> io::Result<JournalHandle> {
        let ceiling = self.revision_ceiling();
        let (requests, requested) = mpsc::channel(REQUESTS_MAX);
        // One commit at a time, and readers that ask for a look.
        let (jobs, work) = mpsc::channel(16);
        let (file, Keeps { requests: keeps, written }) = (self.file, self.keeps);
        let disk = thread::Builder::new().name("disk".into()).spawn(move || write_to_disk(file, work))?;
        // The readers' way must not keep the disk thread alive once the journal has ended.
        let readers = jobs.downgrade();
        let collector = Collector {
            settings: self.settings,
            changes: Changes::default(),
            queues: self.queues,
            written,
            newest: 0,
            waiting: Vec::new(),
            urgent: false,
            lazy_since: None,
            last_begun: None,
            failure: None,
            revision: self.revision,
            ceiling,
            jobs,
            health,
            revision_ceiling,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        thread::Builder::new().name("journal".into()).spawn(move || {
            let stopped = runtime.block_on(collector.run(entries, keeps, requested));
            if disk.join().is_err() {
                tracing::error!("the thread that writes the journal panicked");
            }
            // Only now the file is closed.
            if let Some(reply) = stopped {
                let _ = reply.send(());
            }
        })?;
        Ok(JournalHandle { requests, readers })
    }
}

/// The way to a running journal. Cheap to clone.
#[derive(Debug, Clone)]
pub struct JournalHandle {
    requests: mpsc::Sender<Request>,
    readers: mpsc::WeakSender<Job>,
}

impl JournalHandle {
    /// The finished phases that `query` asks for, oldest first.
    ///
    /// # Errors
    /// A sentence, when the file cannot be read at the moment.
    pub async fn history(&self, query: HistoryQuery) -> Result<HistoryPage, String> {
        self.look(move |reader| reader.history(&query)).await
    }

    /// Forgets all finished phases of `room`; done when it is on disk.
    ///
    /// # Errors
    /// A sentence, when the disk fails or the hub stops before that.
    pub async fn forget_room(&self, room: String) -> Result<(), String> {
        self.ask(|reply| Request::ForgetRoom { room, reply }).await
    }

    /// Writes down what has changed of `logins`; done when it is on disk. Where the disk fails it is written as soon as that works again.
    ///
    /// # Errors
    /// A sentence, when the disk fails or the hub stops before that.
    pub async fn keep_logins(&self, logins: Logins) -> Result<(), String> {
        self.ask(|reply| Request::Logins { logins, reply }).await
    }

    /// Writes a copy of everything but the logins to `path`, which must not exist: whole or not at all.
    ///
    /// # Errors
    /// A sentence that says why there is no copy.
    pub async fn backup(&self, path: PathBuf) -> Result<(), String> {
        if path.exists() {
            return Err(format!("`{}` exists already", path.display()));
        }
        self.look(move |reader| reader.copy_to(&path)).await
    }

    /// Forgets finished phases that ended before `before` (Unix milliseconds).
    pub async fn forget_before(&self, before: i64) {
        // A journal that is gone forgets nothing, which harms nobody.
        let _ = self.requests.send(Request::Forget { before }).await;
    }

    /// Writes what is left, closes the file and ends.
    pub async fn stop(&self) {
        let _ = self.ask(|reply| Request::Stop { reply }).await;
    }

    /// Reads on a thread of its own what is on disk, everything that was handed in before included.
    async fn look<T: Send + 'static>(
        &self,
        read: impl FnOnce(&StoreReader) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, String> {
        self.ask(|reply| Request::Flush { reply }).await?;
        let gone = || "the journal is closed".to_owned();
        let (reply, reader) = oneshot::channel();
        let jobs = self.readers.upgrade().ok_or_else(gone)?;
        jobs.send(Job::Read(reply)).await.map_err(|_| gone())?;
        drop(jobs);
        let reader = reader.await.map_err(|_| gone())?.map_err(|e| e.to_string())?;
        let read = tokio::task::spawn_blocking(move || read(&reader)).await;
        read.map_err(|_| "reading the journal's file failed".to_owned())?.map_err(|e| e.to_string())
    }

    async fn ask(&self, request: impl FnOnce(oneshot::Sender<()>) -> Request) -> Result<(), String> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(request(reply)).await.map_err(|_| "the journal is closed".to_owned())?;
        answer.await.map_err(|_| "the journal cannot be written at the moment".to_owned())
    }
}

#[derive(Debug)]
enum Request {
    Flush { reply: oneshot::Sender<()> },
    Forget { before: i64 },
    ForgetRoom { room: String, reply: oneshot::Sender<()> },
    Logins { logins: Logins, reply: oneshot::Sender<()> },
    Stop { reply: oneshot::Sender<()> },
}

/// What the thread that owns the file is asked to do.
#[derive(Debug)]
enum Job {
    Commit { changes: Box<Changes>, reply: oneshot::Sender<Committed> },
    Read(oneshot::Sender<Result<StoreReader, StoreError>>),
}

#[derive(Debug)]
struct Committed {
    changes: Box<Changes>,
    result: Result<(), StoreError>,
}

fn write_to_disk(mut file: StoreFile, mut work: mpsc::Receiver<Job>) {
    while let Some(job) = work.blocking_recv() {
        match job {
            Job::Commit { changes, reply } => {
                let result = file.commit(&changes);
                let _ = reply.send(Committed { changes, result });
            }
            Job::Read(reply) => {
                let _ = reply.send(file.reader());
            }
        }
    }
}

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
struct Collector {
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
    async fn run(
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

#[cfg(test)]
mod tests;
