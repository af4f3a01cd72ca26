//! Why the file could not be opened, read or written: sentences for people.

use std::{
    io,
    path::{Path, PathBuf},
};

use redb::DatabaseError;

use super::file::FORMAT;

/// Why the file could not be opened; one sentence with the file's name and the way out.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder cannot be made, or not be written to.
    #[error("the data directory {} cannot be used; choose one that you may write to with --data-dir", path.display())]
    Folder {
        /// Which folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Another process has it.
    #[error(
        "another hub is running on {}; stop it, or give this one a directory of its own with --data-dir",
        path.display()
    )]
    InUse {
        /// Which file.
        path: PathBuf,
    },
    /// It cannot be read or written.
    #[error("{} cannot be opened", path.display())]
    Access {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: StoreError,
    },
    /// It is not a file of a hub, or it is damaged.
    #[error(
        "{} is damaged or is not a file of a hub ({detail}); put a backup in its place with `lockstep restore`, or move it away \
         to start with nothing",
        path.display()
    )]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What was found.
        detail: String,
    },
    /// A newer hub wrote it.
    #[error("{} is of format {found}, and this hub knows formats up to {FORMAT}; use the newer hub", path.display())]
    Newer {
        /// Which file.
        path: PathBuf,
        /// Its format.
        found: u64,
    },
}

/// Why something could not be read from the file or written to it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// What redb says.
    #[error("{0}")]
    Database(Box<redb::Error>),
    /// Bytes that are no record.
    #[error("{0}")]
    Record(String),
    /// What the system says.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The file in its place is another one, or an older copy.
    #[error("it was replaced while the hub was running; restart the hub")]
    Replaced,
}

impl StoreError {
    pub(super) fn of(error: impl Into<redb::Error>) -> Self {
        Self::Database(Box::new(error.into()))
    }
}

macro_rules! from_redb {
    ($($error:ident),*) => { $(
        impl From<redb::$error> for StoreError {
            fn from(error: redb::$error) -> Self {
                Self::of(error)
            }
        }
    )* };
}
from_redb!(DatabaseError, TransactionError, TableError, StorageError, CommitError);

impl From<serde_json::Error> for StoreError {
    fn from(error: serde_json::Error) -> Self {
        Self::Record(error.to_string())
    }
}

pub(super) fn damaged(path: &Path, detail: impl ToString) -> OpenError {
    OpenError::Damaged { path: path.into(), detail: detail.to_string() }
}

pub(super) fn open_error(path: &Path, error: DatabaseError) -> OpenError {
    use redb::StorageError::{Corrupted, Io};
    match error {
        DatabaseError::DatabaseAlreadyOpen => OpenError::InUse { path: path.into() },
        DatabaseError::UpgradeRequired(_) | DatabaseError::RepairAborted => damaged(path, error),
        DatabaseError::Storage(Corrupted(detail)) => damaged(path, detail),
        DatabaseError::Storage(Io(error))
            if matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof) =>
        {
            damaged(path, error)
        }
        error => OpenError::Access { path: path.into(), source: error.into() },
    }
}
