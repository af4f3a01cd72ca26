//! The journal: writes what must last, in groups, on a thread of its own.
//!
//! A commit begins at once when nothing was written lately, else 20 ms after the one before; what nobody waits for rides along
//! within a second. Of each topic only the latest value is written. When the disk refuses, nothing is forgotten: the latest
//! values stay in memory, the file is opened anew after a while, and everything is written then.
//!
//! What a value means does not belong here, nor refusing anybody: the engine does that, by [`StoreHealth`].

use std::{
    io,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use tokio::sync::{mpsc, oneshot, watch};
use tracing::{error, info, warn};

use super::{
    file::{Changes, File, OpenError, Restored},
    record::{HistoryEntry, write_value},
};
use crate::{
    domain::publication::{Level, Publication, Qos},
    engine::{JournalEntry, REVISION_BLOCK, Settled, StoreHealth},
};

/// How far apart commits are while there is a stream of them.
const COMMIT_APART: Duration = Duration::from_millis(20);
/// How long something that nobody waits for may wait.
const RIDE_ALONG: Duration = Duration::from_secs(1);
/// How long after a failure the file is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// How many requests may wait.
const REQUESTS_MAX: usize = 256;
/// The most finished phases that one query returns.
const HISTORY_ENTRIES_MAX: usize = 20_000;

/// An open journal that does not run yet.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    revision: u64,
}

#[derive(Debug)]
enum Request {
    History { room: String, from: i64, until: i64, reply: oneshot::Sender<Result<Vec<HistoryEntry>, String>> },
    Session { client_id: String, session: Option<Vec<u8>>, reply: oneshot::Sender<()> },
    Forget { before: i64 },
    Backup { path: PathBuf, reply: oneshot::Sender<Result<(), String>> },
    Stop { reply: oneshot::Sender<()> },
}

/// The way to a running journal. Cheap to clone.
#[derive(Debug, Clone)]
pub struct JournalHandle {
    requests: mpsc::Sender<Request>,
}

impl Journal {
    /// Opens the journal at `path`, or begins one, and reads what an earlier run left. Blocks.
    ///
    /// # Errors
    /// Why the file cannot be used; a damaged or foreign one is never replaced by an empty one.
    pub fn open(path: &Path) -> Result<(Self, Restored), OpenError> {
        let file = File::open(path)?;
        let damaged = |reason| OpenError::Damaged { path: path.to_owned(), reason };
        let restored = file.restore().map_err(damaged)?;
        file.count_start(restored.starts).map_err(damaged)?;
        let ceiling = Changes { revision_ceiling: Some(restored.revision + REVISION_BLOCK), ..Changes::default() };
        file.commit(&ceiling).map_err(damaged)?;
        Ok((Self { path: path.to_owned(), file, revision: restored.revision }, restored))
    }

    /// Up to which revision the file knows of.
    #[must_use]
    pub const fn revision_ceiling(&self) -> u64 {
        self.revision + REVISION_BLOCK
    }

    /// Starts writing `entries` on a thread of its own, until they end or [`JournalHandle::stop`].
    ///
    /// # Errors
    /// The system's, when it has no thread to give.
    pub fn start(
        self,
        entries: mpsc::Receiver<JournalEntry>,
        health: watch::Sender<StoreHealth>,
        revision_ceiling: watch::Sender<u64>,
    ) -> io::Result<JournalHandle> {
        let (requests, receiver) = mpsc::channel(REQUESTS_MAX);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let writer = Writer {
            revision: self.revision,
            ceiling: self.revision_ceiling(),
            path: self.path,
            file: Some(self.file),
            health,
            revision_ceiling,
            changes: Changes::default(),
            waiting: Vec::new(),
            saved: Vec::new(),
            due: None,
            last_commit: None,
        };
        thread::Builder::new()
            .name("journal".into())
            .spawn(move || runtime.block_on(writer.run(entries, receiver)))
            .map(|_| JournalHandle { requests })
    }
}

impl JournalHandle {
    /// The finished phases of `room` that ended from `from` until before `until` (Unix milliseconds), oldest first.
    ///
    /// # Errors
    /// A sentence, when the file cannot be read at the moment.
    pub async fn history(&self, room: String, from: i64, until: i64) -> Result<Vec<HistoryEntry>, String> {
        self.ask(|reply| Request::History { room, from, until, reply }).await?
    }

    /// Keeps `session` for `client_id`, or forgets it; done when it is on disk.
    ///
    /// # Errors
    /// A sentence, when the hub stops before that.
    pub async fn keep_session(&self, client_id: String, session: Option<Vec<u8>>) -> Result<(), String> {
        self.ask(|reply| Request::Session { client_id, session, reply }).await
    }

    /// Forgets finished phases that ended before `before` (Unix milliseconds).
    pub async fn forget_before(&self, before: i64) {
        // A journal that is gone forgets nothing, which harms nobody.
        let _ = self.requests.send(Request::Forget { before }).await;
    }

    /// Writes a copy of everything to `path`, which must not exist.
    ///
    /// # Errors
    /// A sentence that says why there is no copy.
    pub async fn backup(&self, path: PathBuf) -> Result<(), String> {
        self.ask(|reply| Request::Backup { path, reply }).await?
    }

    /// Writes what is left and ends.
    pub async fn stop(&self) {
        let _ = self.ask(|reply| Request::Stop { reply }).await;
    }

    async fn ask<T>(&self, request: impl FnOnce(oneshot::Sender<T>) -> Request) -> Result<T, String> {
        let (reply, answer) = oneshot::channel();
        let gone = || "the journal is closed".to_owned();
        self.requests.send(request(reply)).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())
    }
}

struct Writer {
    path: PathBuf,
    file: Option<File>,
    health: watch::Sender<StoreHealth>,
    revision_ceiling: watch::Sender<u64>,
    /// The newest revision given, and the newest that the file knows of.
    revision: u64,
    ceiling: u64,
    changes: Changes,
    waiting: Vec<Settled>,
    saved: Vec<oneshot::Sender<()>>,
    due: Option<Instant>,
    last_commit: Option<Instant>,
}

impl Writer {
    async fn run(mut self, mut entries: mpsc::Receiver<JournalEntry>, mut requests: mpsc::Receiver<Request>) {
        let mut stopped = Vec::new();
        let mut open = true;
        while open {
            let due = self.due;
            let timer = async move {
                match due {
                    Some(due) => tokio::time::sleep_until(due.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = timer => self.commit(),
                request = requests.recv() => match request {
                    Some(Request::Stop { reply }) => {
                        stopped.push(reply);
                        while let Ok(entry) = entries.try_recv() {
                            self.take(entry);
                        }
                        open = false;
                    }
                    Some(request) => self.answer(request),
                    None => open = false,
                },
                entry = entries.recv() => match entry {
                    Some(entry) => {
                        self.take(entry);
                        while let Ok(entry) = entries.try_recv() {
                            self.take(entry);
                        }
                    }
                    None => open = false,
                },
            }
        }
        // After a clean stop the next revision follows the last one.
        self.changes.revision_ceiling = Some(self.revision);
        self.commit();
        for reply in stopped {
            let _ = reply.send(());
        }
    }

    fn take(&mut self, entry: JournalEntry) {
        let mut urgent = !entry.settled.is_empty();
        for publication in entry.batch.publications.iter().filter(|p| p.level == Level::Retained) {
            urgent |= publication.qos != Qos::AtMostOnce;
            self.note(publication);
        }
        self.changes.history.extend(entry.finished.iter().map(HistoryEntry::from));
        if let Some(revision) = entry.revision {
            self.revision = self.revision.max(revision);
            if self.revision + REVISION_BLOCK / 2 > self.ceiling {
                self.changes.revision_ceiling = Some(self.revision + REVISION_BLOCK);
            }
        }
        if !entry.settled.is_empty() {
            self.waiting.push(entry.settled);
        }
        self.want_commit(urgent);
    }

    fn note(&mut self, publication: &Publication) {
        let value = (!publication.payload.is_empty()).then(|| write_value(publication));
        self.changes.values.insert(publication.topic.as_str().to_owned(), value);
    }

    fn want_commit(&mut self, urgent: bool) {
        if self.file.is_none() {
            return;
        }
        let now = Instant::now();
        let wanted = match self.last_commit {
            _ if !urgent => now + RIDE_ALONG,
            Some(last) => now.max(last + COMMIT_APART),
            None => now,
        };
        self.due = Some(self.due.map_or(wanted, |due| due.min(wanted)));
    }

    fn answer(&mut self, request: Request) {
        let closed = || "the hub's file cannot be read at the moment".to_owned();
        match request {
            Request::History { room, from, until, reply } => {
                // What is not written yet belongs to the answer too.
                self.commit();
                let found = match &self.file {
                    Some(file) => file.history(&room, from, until, HISTORY_ENTRIES_MAX),
                    None => Err(closed()),
                };
                let _ = reply.send(found);
            }
            Request::Session { client_id, session, reply } => {
                self.changes.sessions.insert(client_id, session);
                self.saved.push(reply);
                self.want_commit(true);
            }
            Request::Forget { before } => {
                self.changes.forget_before = Some(before);
                self.want_commit(false);
            }
            Request::Backup { path, reply } => {
                self.commit();
                let done = match &self.file {
                    Some(_) if path.exists() => Err(format!("`{}` exists already", path.display())),
                    Some(file) => file.copy_to(&path),
                    None => Err(closed()),
                };
                let _ = reply.send(done);
            }
            Request::Stop { reply } => drop(reply),
        }
    }

    fn commit(&mut self) {
        self.due = None;
        if self.file.is_none() {
            self.reopen();
        }
        let Some(file) = &self.file else { return };
        let began = Instant::now();
        let written = if self.changes.is_empty() { Ok(()) } else { file.commit(&self.changes) };
        self.last_commit = Some(Instant::now());
        match written {
            Ok(()) => {
                metrics::histogram!("lockstep_journal_commit_seconds").record(began.elapsed().as_secs_f64());
                if let Some(ceiling) = self.changes.revision_ceiling {
                    self.ceiling = ceiling;
                    self.revision_ceiling.send_replace(ceiling);
                }
                self.changes = Changes::default();
                self.waiting.drain(..).for_each(Settled::send);
                for reply in self.saved.drain(..) {
                    let _ = reply.send(());
                }
                if *self.health.borrow() != StoreHealth::Healthy {
                    info!(path = %self.path.display(), "the journal can be written again");
                    self.health.send_replace(StoreHealth::Healthy);
                }
            }
            Err(reason) => self.failed(reason),
        }
    }

    /// Nobody may be told that it is kept; the values themselves stay in memory and are written later.
    fn failed(&mut self, reason: String) {
        metrics::counter!("lockstep_journal_failures_total").increment(1);
        if *self.health.borrow() == StoreHealth::Healthy {
            error!(path = %self.path.display(), reason, "the journal cannot be written; commands are refused until it can");
        }
        self.health.send_replace(StoreHealth::Failing { reason });
        self.waiting.drain(..).for_each(Settled::fail);
        self.saved.clear();
        self.file = None;
        self.due = Some(Instant::now() + RETRY_AFTER);
    }

    fn reopen(&mut self) {
        match File::open(&self.path) {
            Ok(file) => self.file = Some(file),
            Err(e) => {
                warn!(path = %self.path.display(), error = %e, "the journal cannot be opened; trying again");
                self.due = Some(Instant::now() + RETRY_AFTER);
            }
        }
    }
}
