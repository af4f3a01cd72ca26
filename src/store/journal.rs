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

mod collector;

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::Duration,
};

use tokio::sync::{mpsc, oneshot, watch};

use self::collector::Collector;
use super::{
    changes::Changes,
    error::{OpenError, StoreError},
    file::{self, Opener, Restored, StoreFile, StoreReader},
    kept::KeptQueues,
};
use crate::{
    domain::history::{HistoryPage, HistoryQuery},
    engine::{Interest, JournalEntry, Keeper, Keeps, REVISION_BLOCK, StoreHealth},
    policy::Logins,
};

/// How many requests may wait for the journal before whoever asks has to wait.
const REQUESTS_MAX: usize = 256;

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
        let (requests, requested) = mpsc::channel(REQUESTS_MAX);
        // One commit at a time, and readers that ask for a look.
        let (jobs, work) = mpsc::channel(16);
        let (file, Keeps { requests: keeps, written }) = (self.file, self.keeps);
        let disk = thread::Builder::new().name("disk".into()).spawn(move || write_to_disk(file, work))?;
        // The readers' way must not keep the disk thread alive once the journal has ended.
        let readers = jobs.downgrade();
        let collector =
            Collector::new(self.settings, self.queues, self.revision, written, jobs, health, revision_ceiling);
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
            return Err("the file exists already".to_owned());
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

#[cfg(test)]
mod tests;
