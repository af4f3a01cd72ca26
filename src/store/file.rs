//! The journal's file: its tables, how it is opened, and one commit.
//!
//! When to commit does not belong here.

use std::{
    collections::BTreeMap,
    fs, io,
    ops::Bound,
    path::{Path, PathBuf},
};

use redb::{Database, DatabaseError, ReadableDatabase, ReadableTable, StorageError, TableDefinition};

use super::record::{HistoryEntry, read_value};
use crate::domain::publication::Publication;

/// The version of what the tables hold. A newer one than this is not touched.
const FORMAT: u64 = 1;

const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const RETAINED: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("retained");
const HISTORY: TableDefinition<'_, (&str, i64, u64), &[u8]> = TableDefinition::new("history");
const SESSIONS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("sessions");

/// Why the journal cannot be used. Each names the file and the way out.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder cannot be made or written to.
    #[error("cannot write to the folder `{folder}`; choose another with `--data-dir DIR`")]
    Folder {
        /// Which one.
        folder: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Another hub has the file.
    #[error("`{path}` is in use by another hub; stop that one, or choose another folder with `--data-dir DIR`")]
    InUse {
        /// Which file.
        path: PathBuf,
    },
    /// The file is no journal, or a broken one.
    #[error(
        "`{path}` is damaged or no journal of Lockstep ({reason}); put a backup in its place with `lockstep restore`, \
         or move it away to begin with nothing"
    )]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What was found.
        reason: String,
    },
    /// The file was written by a later version.
    #[error("`{path}` was written by a newer Lockstep (format {format}, this one knows {FORMAT})")]
    Newer {
        /// Which file.
        path: PathBuf,
        /// Its format.
        format: u64,
    },
    /// The system refuses to read or write it.
    #[error("cannot read `{path}`")]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// What an earlier run left.
#[derive(Debug, Default)]
pub struct Restored {
    /// The retained values, by topic.
    pub values: Vec<Publication>,
    /// The newest revision that may have been given.
    pub revision: u64,
    /// How often the hub has started on this file, this time included.
    pub starts: u64,
    /// The stored MQTT sessions: opaque bytes by client id.
    pub sessions: Vec<(String, Vec<u8>)>,
}

/// What one commit writes.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// Retained values to set, or to clear.
    pub(super) values: BTreeMap<String, Option<Vec<u8>>>,
    /// Finished phases.
    pub(super) history: Vec<HistoryEntry>,
    /// MQTT sessions to set, or to clear.
    pub(super) sessions: BTreeMap<String, Option<Vec<u8>>>,
    /// The newest revision that may be given from now on.
    pub(super) revision_ceiling: Option<u64>,
    /// Finished phases that ended before this are forgotten, in Unix milliseconds.
    pub(super) forget_before: Option<i64>,
}

impl Changes {
    pub(super) fn is_empty(&self) -> bool {
        self.values.is_empty()
            && self.history.is_empty()
            && self.sessions.is_empty()
            && self.revision_ceiling.is_none()
            && self.forget_before.is_none()
    }
}

/// The open file.
#[derive(Debug)]
pub(super) struct File {
    database: Database,
}

impl File {
    /// Opens the journal at `path`, or begins one.
    pub(super) fn open(path: &Path) -> Result<Self, OpenError> {
        if let Some(folder) = path.parent() {
            let unwritable = |source| OpenError::Folder { folder: folder.to_owned(), source };
            fs::create_dir_all(folder).map_err(unwritable)?;
            let probe = folder.join(".lockstep-write-test");
            fs::write(&probe, b"").and_then(|()| fs::remove_file(&probe)).map_err(unwritable)?;
        }
        match fs::metadata(path) {
            Ok(metadata) if metadata.len() == 0 => {
                return Err(OpenError::Damaged { path: path.to_owned(), reason: "it is empty".to_owned() });
            }
            Ok(_) => {}
            Err(e) if e.kind() == io::ErrorKind::NotFound => Self::create(path)?,
            Err(source) => return Err(OpenError::Read { path: path.to_owned(), source }),
        }
        Self::open_existing(path)
    }

    /// Begins a journal under another name and renames it when it is whole: a crash here leaves nothing half-made.
    fn create(path: &Path) -> Result<(), OpenError> {
        let new = path.with_extension("new");
        let _ = fs::remove_file(&new);
        let file = Self { database: Database::create(&new).map_err(|e| explain(path, e))? };
        file.commit(&Changes::default()).map_err(|reason| OpenError::Damaged { path: new.clone(), reason })?;
        drop(file);
        fs::rename(&new, path).map_err(|source| OpenError::Read { path: path.to_owned(), source })
    }

    fn open_existing(path: &Path) -> Result<Self, OpenError> {
        // A file with a broken inside may make the library give up instead of returning an error.
        let opened = std::panic::catch_unwind(|| Database::open(path));
        let damaged = |reason: String| OpenError::Damaged { path: path.to_owned(), reason };
        let database = opened.map_err(|_| damaged("its inside is broken".to_owned()))?.map_err(|e| explain(path, e))?;
        let file = Self { database };
        match file.format().map_err(damaged)? {
            Some(format) if format > FORMAT => Err(OpenError::Newer { path: path.to_owned(), format }),
            Some(_) => Ok(file),
            None => Err(damaged("it has no format number".to_owned())),
        }
    }

    fn format(&self) -> Result<Option<u64>, String> {
        let read = self.database.begin_read().map_err(|e| e.to_string())?;
        let meta = read.open_table(META).map_err(|e| e.to_string())?;
        Ok(meta.get("format").map_err(|e| e.to_string())?.map(|value| value.value()))
    }

    /// Reads everything that a start needs.
    pub(super) fn restore(&self) -> Result<Restored, String> {
        let text = |e: &dyn std::error::Error| e.to_string();
        let read = self.database.begin_read().map_err(|e| text(&e))?;
        let meta = read.open_table(META).map_err(|e| text(&e))?;
        let number = |name: &str| meta.get(name).map(|value| value.map_or(0, |value| value.value()));
        let mut restored = Restored {
            revision: number("revision_ceiling").map_err(|e| text(&e))?,
            starts: number("starts").map_err(|e| text(&e))? + 1,
            ..Restored::default()
        };
        for entry in read.open_table(RETAINED).map_err(|e| text(&e))?.iter().map_err(|e| text(&e))? {
            let (topic, value) = entry.map_err(|e| text(&e))?;
            let topic = topic.value();
            let value = read_value(topic, value.value());
            restored.values.push(value.ok_or_else(|| format!("the value of `{topic}` is unreadable"))?);
        }
        for entry in read.open_table(SESSIONS).map_err(|e| text(&e))?.iter().map_err(|e| text(&e))? {
            let (client_id, session) = entry.map_err(|e| text(&e))?;
            restored.sessions.push((client_id.value().to_owned(), session.value().to_vec()));
        }
        Ok(restored)
    }

    /// Writes `changes`, all of them or none; they are on disk when it returns.
    pub(super) fn commit(&self, changes: &Changes) -> Result<(), String> {
        self.try_commit(changes).map_err(|e| e.to_string())
    }

    fn try_commit(&self, changes: &Changes) -> Result<(), redb::Error> {
        let write = self.database.begin_write()?;
        {
            let mut meta = write.open_table(META)?;
            if meta.get("format")?.is_none() {
                meta.insert("format", FORMAT)?;
            }
            if let Some(ceiling) = changes.revision_ceiling {
                meta.insert("revision_ceiling", ceiling)?;
            }
            let mut retained = write.open_table(RETAINED)?;
            for (topic, value) in &changes.values {
                match value {
                    Some(value) => retained.insert(topic.as_str(), value.as_slice())?,
                    None => retained.remove(topic.as_str())?,
                };
            }
            let mut sessions = write.open_table(SESSIONS)?;
            for (client_id, session) in &changes.sessions {
                match session {
                    Some(session) => sessions.insert(client_id.as_str(), session.as_slice())?,
                    None => sessions.remove(client_id.as_str())?,
                };
            }
            let mut history = write.open_table(HISTORY)?;
            let mut number = meta.get("history_number")?.map_or(0, |value| value.value());
            for entry in &changes.history {
                number += 1;
                let value = serde_json::to_vec(entry).unwrap_or_default();
                history.insert((entry.room.as_str(), entry.ended_at, number), value.as_slice())?;
            }
            if !changes.history.is_empty() {
                meta.insert("history_number", number)?;
            }
            if let Some(before) = changes.forget_before {
                history.retain(|(_, ended_at, _), _| ended_at >= before)?;
            }
        }
        write.commit()?;
        Ok(())
    }

    /// Notes that the hub has started once more.
    pub(super) fn count_start(&self, starts: u64) -> Result<(), String> {
        let count = || -> Result<(), redb::Error> {
            let write = self.database.begin_write()?;
            write.open_table(META)?.insert("starts", starts)?;
            write.commit()?;
            Ok(())
        };
        count().map_err(|e| e.to_string())
    }

    /// The finished phases of `room` that ended from `from` until before `until`, oldest first, at most `count_max`.
    pub(super) fn history(
        &self,
        room: &str,
        from: i64,
        until: i64,
        count_max: usize,
    ) -> Result<Vec<HistoryEntry>, String> {
        let query = || -> Result<Vec<HistoryEntry>, redb::Error> {
            let read = self.database.begin_read()?;
            let table = read.open_table(HISTORY)?;
            let range = (Bound::Included((room, from, 0)), Bound::Excluded((room, until, 0)));
            let mut entries = Vec::new();
            for entry in table.range::<(&str, i64, u64)>(range)?.take(count_max) {
                let (_, value) = entry?;
                entries.extend(serde_json::from_slice::<HistoryEntry>(value.value()).ok());
            }
            Ok(entries)
        };
        query().map_err(|e| e.to_string())
    }

    /// Copies everything into a new file at `path`, as it is at this moment.
    pub(super) fn copy_to(&self, path: &Path) -> Result<(), String> {
        let copy = || -> Result<(), redb::Error> {
            let target = Database::create(path)?;
            let read = self.database.begin_read()?;
            let write = target.begin_write()?;
            {
                let mut meta = write.open_table(META)?;
                for entry in read.open_table(META)?.iter()? {
                    let (name, value) = entry?;
                    meta.insert(name.value(), value.value())?;
                }
                for table in [RETAINED, SESSIONS] {
                    let mut copy = write.open_table(table)?;
                    for entry in read.open_table(table)?.iter()? {
                        let (key, value) = entry?;
                        copy.insert(key.value(), value.value())?;
                    }
                }
                let mut history = write.open_table(HISTORY)?;
                for entry in read.open_table(HISTORY)?.iter()? {
                    let (key, value) = entry?;
                    history.insert(key.value(), value.value())?;
                }
            }
            write.commit()?;
            Ok(())
        };
        copy().map_err(|e| e.to_string())
    }
}

fn explain(path: &Path, error: DatabaseError) -> OpenError {
    let path = path.to_owned();
    match error {
        DatabaseError::DatabaseAlreadyOpen => OpenError::InUse { path },
        DatabaseError::Storage(StorageError::Io(source))
            if !matches!(source.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof) =>
        {
            OpenError::Read { path, source }
        }
        other => OpenError::Damaged { path, reason: other.to_string() },
    }
}
