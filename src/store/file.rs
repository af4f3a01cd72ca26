//! The file: how it is opened, made, written in one transaction, read and copied.
//!
//! When to commit does not belong here; that is [`journal`](super::journal). Tables with rules of their own have files of their own.

use std::{
    fs, io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use redb::{
    Builder, Database, DatabaseError, ReadTransaction, ReadableDatabase, ReadableTable, TableDefinition, TableError,
    WriteTransaction,
};

use super::{
    changes::Changes,
    error::{OpenError, StoreError, damaged, open_error},
    history, kept, logins,
    record::{read_value, write_value},
};
use crate::{
    domain::{
        history::{HistoryPage, HistoryQuery},
        publication::Publication,
    },
    engine::RestoredOwner,
    policy::{Login, TokenHash},
};

/// The version of the tables; a file with a greater one was written by a newer hub.
pub(super) const FORMAT: u64 = 1;

/// What redb may keep of the file in memory: everything is read once at the start, later almost nothing.
const CACHE_BYTES: usize = 8 * 1024 * 1024;

const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
/// Topic → value, see [`write_value`].
const RETAINED: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("retained");

const FORMAT_KEY: &str = "format";
const STORE_ID_KEY: &str = "store_id";
const COMMITS_KEY: &str = "commits";
const STARTS_KEY: &str = "starts";
const REVISION_CEILING_KEY: &str = "revision_ceiling";

/// What an earlier run left.
#[derive(Debug, Default, PartialEq)]
pub struct Restored {
    /// The retained values, by topic.
    pub values: Vec<Publication>,
    /// The newest revision that may have been given.
    pub revision: u64,
    /// How often the hub has started on this file, this time included.
    pub starts: u64,
    /// What is kept for MQTT sessions.
    pub sessions: Vec<RestoredOwner>,
    /// Who was logged in.
    pub logins: Vec<(TokenHash, Login)>,
}

/// Opens the database behind a path; tests put a disk in between that fails.
pub(super) type Opener = Box<dyn Fn(&Path) -> Result<Database, DatabaseError> + Send>;

pub(super) fn open_database(path: &Path) -> Result<Database, DatabaseError> {
    Builder::new().set_cache_size(CACHE_BYTES).open(path)
}

/// The open file of one hub.
pub(super) struct StoreFile {
    path: PathBuf,
    opener: Opener,
    /// None after a failure, until it is opened again.
    database: Option<Database>,
    store_id: u64,
    /// How many commits the file has seen; an older copy has seen fewer.
    commits: u64,
    /// Makes history keys of one millisecond unique.
    lines: u64,
    /// Holds the folder for this process.
    _folder: fs::File,
}

impl std::fmt::Debug for StoreFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoreFile").field("path", &self.path).finish_non_exhaustive()
    }
}

impl StoreFile {
    /// Opens the file at `path`, which is made where there is none, and reads what it holds.
    pub(super) fn open(path: &Path, opener: Opener) -> Result<(Self, Restored), OpenError> {
        let folder = lock_folder(path)?;
        if !path.try_exists().map_err(|source| OpenError::Access { path: path.into(), source: source.into() })? {
            create(path)?;
        }
        // Damaged pages can make redb panic; that is a damaged file too.
        let opened = catch_unwind(AssertUnwindSafe(|| {
            let mut database = opener(path).map_err(|error| open_error(path, error))?;
            match database.check_integrity() {
                Ok(true) => {}
                Ok(false) => return Err(damaged(path, "its check failed, and only a part of it could be repaired")),
                Err(error) => return Err(open_error(path, error)),
            }
            let meta = boot(path, &database)?;
            let restored = load(path, &database, &meta)?;
            Ok((database, meta, restored))
        }));
        let (database, meta, restored) =
            opened.unwrap_or_else(|_| Err(damaged(path, "its pages contradict each other")))?;
        let file = Self {
            path: path.into(),
            opener,
            database: Some(database),
            store_id: meta.store_id,
            commits: meta.commits,
            lines: 0,
            _folder: folder,
        };
        Ok((file, restored))
    }

    /// Writes `changes`, all or nothing, and returns when they are on disk. After a failure the next call opens the file again.
    pub(super) fn commit(&mut self, changes: &Changes) -> Result<(), StoreError> {
        let database = match self.database.take() {
            Some(database) => database,
            None => self.reopen()?,
        };
        let lines = self.lines;
        let commits = self.commits + 1;
        // A panic on a damaged page must not end the journal: it is a disk that fails.
        catch_unwind(AssertUnwindSafe(|| write(&database, changes, commits, lines)))
            .unwrap_or_else(|_| Err(StoreError::Record("its pages contradict each other".into())))?;
        self.commits = commits;
        self.lines += changes.history.len() as u64;
        self.database = Some(database);
        Ok(())
    }

    /// What the file holds now, whatever is written later.
    pub(super) fn reader(&mut self) -> Result<StoreReader, StoreError> {
        let database = match self.database.take() {
            Some(database) => database,
            None => self.reopen()?,
        };
        let reader = StoreReader { transaction: database.begin_read()? };
        self.database = Some(database);
        Ok(reader)
    }

    fn reopen(&self) -> Result<Database, StoreError> {
        let database = (self.opener)(&self.path)?;
        let meta = Meta::read(&database.begin_read()?.open_table(META)?)?;
        // Only what has changed since is rewritten, so the file must hold the rest.
        if meta.store_id != self.store_id || meta.commits < self.commits {
            return Err(StoreError::Replaced);
        }
        Ok(database)
    }
}

/// How long a folder's lock is waited for before another hub is said to have it.
const LOCK_PATIENCE: std::time::Duration = std::time::Duration::from_millis(500);
/// How often it is tried in that time.
const LOCK_AGAIN_AFTER: std::time::Duration = std::time::Duration::from_millis(10);

/// Takes the folder of `path` for this process alone; it is made where there is none.
pub(super) fn lock_folder(path: &Path) -> Result<fs::File, OpenError> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let unusable = |source| OpenError::Folder { path: folder.into(), source };
    fs::create_dir_all(folder).map_err(unusable)?;
    let lock = fs::File::open(folder).map_err(unusable)?;
    let began = std::time::Instant::now();
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(lock),
            // A program that the hub before was just starting has its lock for a moment too, until it is itself.
            Err(fs::TryLockError::WouldBlock) if began.elapsed() < LOCK_PATIENCE => {
                std::thread::sleep(LOCK_AGAIN_AFTER)
            }
            Err(fs::TryLockError::WouldBlock) => return Err(OpenError::InUse { path: path.into() }),
            Err(fs::TryLockError::Error(source)) => return Err(unusable(source)),
        }
    }
}

/// Makes an empty file of a hub beside its place and moves it there, so that a half-made one is never met.
fn create(path: &Path) -> Result<(), OpenError> {
    let folder = path.parent().unwrap_or(Path::new(".")).to_path_buf();
    let unusable = |source| OpenError::Folder { path: folder.clone(), source };
    let fresh = path.with_extension("new");
    match fs::remove_file(&fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(unusable(error)),
        _ => {}
    }
    let made = (|| -> Result<(), StoreError> {
        let database = Builder::new().set_cache_size(CACHE_BYTES).create(&fresh)?;
        let transaction = database.begin_write()?;
        {
            let mut meta = transaction.open_table(META)?;
            meta.insert(FORMAT_KEY, FORMAT)?;
            meta.insert(STORE_ID_KEY, random()?)?;
            meta.insert(COMMITS_KEY, 0)?;
            meta.insert(STARTS_KEY, 0)?;
            meta.insert(REVISION_CEILING_KEY, 0)?;
        }
        transaction.open_table(RETAINED)?;
        history::make_table(&transaction)?;
        kept::make_tables(&transaction)?;
        logins::make_table(&transaction)?;
        transaction.commit()?;
        Ok(())
    })();
    match made {
        Ok(()) => {}
        Err(StoreError::Io(source)) => return Err(unusable(source)),
        Err(StoreError::Database(error)) => match *error {
            redb::Error::Io(source) => return Err(unusable(source)),
            error => return Err(OpenError::Access { path: path.into(), source: StoreError::of(error) }),
        },
        Err(source) => return Err(OpenError::Access { path: path.into(), source }),
    }
    fs::rename(&fresh, path).map_err(unusable)?;
    sync_folder(path).map_err(unusable)
}

/// Makes a new name in the folder of `path` last.
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => fs::File::open(parent)?.sync_all(),
        _ => fs::File::open(".")?.sync_all(),
    }
}

fn random() -> io::Result<u64> {
    getrandom::u64().map_err(io::Error::other)
}

struct Meta {
    format: u64,
    store_id: u64,
    commits: u64,
    starts: u64,
    revision_ceiling: u64,
}

impl Meta {
    fn read(table: &impl ReadableTable<&'static str, u64>) -> Result<Self, StoreError> {
        let get = |key: &str| -> Result<u64, StoreError> {
            Ok(table.get(key)?.ok_or_else(|| StoreError::Record(format!("`{key}` is missing")))?.value())
        };
        Ok(Self {
            format: get(FORMAT_KEY)?,
            store_id: get(STORE_ID_KEY)?,
            commits: get(COMMITS_KEY)?,
            starts: get(STARTS_KEY)?,
            revision_ceiling: get(REVISION_CEILING_KEY)?,
        })
    }
}

/// Counts the start, which also proves that the file can be written.
fn boot(path: &Path, database: &Database) -> Result<Meta, OpenError> {
    let access = |source: StoreError| OpenError::Access { path: path.into(), source };
    let read = database.begin_read().map_err(|error| access(error.into()))?;
    let table = match read.open_table(META) {
        Ok(table) => table,
        Err(TableError::Storage(error)) => return Err(access(error.into())),
        Err(error) => return Err(damaged(path, error)),
    };
    let mut meta = Meta::read(&table).map_err(|error| damaged(path, error))?;
    drop((table, read));
    if meta.format > FORMAT {
        return Err(OpenError::Newer { path: path.into(), found: meta.format });
    }
    meta.starts += 1;
    meta.commits += 1;
    (|| -> Result<(), StoreError> {
        let transaction = database.begin_write()?;
        {
            let mut table = transaction.open_table(META)?;
            table.insert(STARTS_KEY, meta.starts)?;
            table.insert(COMMITS_KEY, meta.commits)?;
        }
        kept::make_tables(&transaction)?;
        logins::make_table(&transaction)?;
        transaction.commit()?;
        Ok(())
    })()
    .map_err(access)?;
    Ok(meta)
}

fn load(path: &Path, database: &Database, meta: &Meta) -> Result<Restored, OpenError> {
    let read = || -> Result<Restored, StoreError> {
        let reader = StoreReader { transaction: database.begin_read()? };
        Ok(Restored {
            values: reader.values()?,
            sessions: kept::read(&reader.transaction)?,
            logins: logins::read(&reader.transaction)?,
            revision: meta.revision_ceiling,
            starts: meta.starts,
        })
    };
    read().map_err(|error| damaged(path, error))
}

fn write(database: &Database, changes: &Changes, commits: u64, lines: u64) -> Result<(), StoreError> {
    let transaction = database.begin_write()?;
    {
        let mut table = transaction.open_table(META)?;
        table.insert(COMMITS_KEY, commits)?;
        if let Some(ceiling) = changes.revision_ceiling {
            table.insert(REVISION_CEILING_KEY, ceiling)?;
        }
    }
    if !changes.retained.is_empty() {
        let mut table = transaction.open_table(RETAINED)?;
        for (topic, publication) in &changes.retained {
            if publication.payload.is_empty() {
                table.remove(topic.as_str())?;
            } else {
                table.insert(topic.as_str(), write_value(publication).as_slice())?;
            }
        }
    }
    kept::write(&transaction, &changes.kept)?;
    logins::write(&transaction, &changes.logins)?;
    history::write(&transaction, changes, commits, lines)?;
    transaction.commit()?;
    Ok(())
}

/// What the file held at one moment. Reading it neither waits for commits nor holds them up; it blocks.
pub(super) struct StoreReader {
    transaction: ReadTransaction,
}

impl std::fmt::Debug for StoreReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StoreReader")
    }
}

impl StoreReader {
    pub(super) fn values(&self) -> Result<Vec<Publication>, StoreError> {
        let mut values = Vec::new();
        for entry in self.transaction.open_table(RETAINED)?.range::<&str>(..)? {
            let (topic, bytes) = entry?;
            let topic = topic.value();
            let value = read_value(topic, bytes.value());
            values.push(value.ok_or_else(|| StoreError::Record(format!("the value of `{topic}` is unreadable")))?);
        }
        Ok(values)
    }

    /// The finished phases that `query` asks for.
    pub(super) fn history(&self, query: &HistoryQuery) -> Result<HistoryPage, StoreError> {
        history::read(&self.transaction, query)
    }

    /// Copies everything but the logins into a new file at `path`, which must not exist; there it is whole or not at all.
    pub(super) fn copy_to(&self, path: &Path) -> Result<(), StoreError> {
        let fresh = path.with_extension("part");
        let copied = self.copy_into(&fresh).and_then(|()| Ok(fs::hard_link(&fresh, path)?));
        let removed = fs::remove_file(&fresh);
        copied?;
        removed?;
        Ok(sync_folder(path)?)
    }

    fn copy_into(&self, fresh: &Path) -> Result<(), StoreError> {
        let file = fs::OpenOptions::new().read(true).write(true).create_new(true).open(fresh)?;
        let database = Builder::new().set_cache_size(CACHE_BYTES).create_file(file)?;
        let transaction = database.begin_write()?;
        copy_table(&self.transaction, &transaction, META)?;
        copy_table(&self.transaction, &transaction, RETAINED)?;
        history::copy(&self.transaction, &transaction)?;
        kept::copy(&self.transaction, &transaction)?;
        transaction.commit()?;
        Ok(())
    }
}

/// Copies one table.
pub(super) fn copy_table<K, V>(
    from: &ReadTransaction,
    to: &WriteTransaction,
    table: TableDefinition<'static, K, V>,
) -> Result<(), StoreError>
where
    K: redb::Key + 'static,
    V: redb::Value + 'static,
{
    let from = from.open_table(table)?;
    let mut to = to.open_table(table)?;
    for entry in from.iter()? {
        let (key, value) = entry?;
        to.insert(key.value(), value.value())?;
    }
    Ok(())
}

#[cfg(test)]
pub(super) mod tests;
