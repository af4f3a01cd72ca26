//! Putting a backup in the file's place, and looking whether the file is sound, while no hub runs.
//!
//! Making a backup does not belong here: that is [`StoreReader::copy_to`](super::StoreReader::copy_to), asked of the
//! running hub.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{
    error::OpenError,
    file::{self, StoreFile},
};

/// Why a backup was not put in place; the file is as it was.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// There is no backup.
    #[error("there is no file `{}`", path.display())]
    Missing {
        /// Where it should be.
        path: PathBuf,
    },
    /// The backup, or the place where it should go, cannot be used.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The system refuses.
    #[error("{} cannot be put in place of {}", from.display(), to.display())]
    Replace {
        /// The backup.
        from: PathBuf,
        /// The file of the hub.
        to: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// What was put in place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restoration {
    /// How many retained values the hub has now.
    pub values: usize,
    /// Where the file is that was in use until now; none where there was none.
    pub previous: Option<PathBuf>,
}

/// Puts the backup `from` in the place of the hub's file `to`; what was there is kept beside it.
///
/// # Errors
/// A hub is running there, the backup is damaged or no backup, or the folder cannot be written; nothing is changed then.
pub fn restore(from: &Path, to: &Path) -> Result<Restoration, RestoreError> {
    let failed = |source| RestoreError::Replace { from: from.into(), to: to.into(), source };
    if !from.try_exists().map_err(failed)? {
        return Err(RestoreError::Missing { path: from.into() });
    }
    let fresh_folder = to.with_extension("restore");
    {
        // No hub may run there; it is looked at again when the folder is free.
        let _folder = file::lock_folder(to)?;
        make_empty(&fresh_folder).map_err(failed)?;
        let fresh = fresh_folder.join("copy");
        fs::copy(from, &fresh).map_err(failed)?;
        // The copy is opened, not the backup: opening writes.
        let checked = StoreFile::open(&fresh, Box::new(file::open_database));
        let restored = match checked {
            Ok((_, restored)) => restored,
            Err(error) => {
                fs::remove_dir_all(&fresh_folder).map_err(failed)?;
                return Err(tell_of(error, from).into());
            }
        };
        fs::File::open(&fresh).and_then(|file| file.sync_all()).map_err(failed)?;
        let previous = if to.try_exists().map_err(failed)? {
            let previous = free_name(to);
            fs::rename(to, &previous).map_err(failed)?;
            Some(previous)
        } else {
            None
        };
        fs::rename(&fresh, to).map_err(failed)?;
        file::sync_folder(to).map_err(failed)?;
        fs::remove_dir_all(&fresh_folder).map_err(failed)?;
        Ok(Restoration { values: restored.values.len(), previous })
    }
}

/// Looks whether the hub could start with its file `path`, which stays as it is; none where there is no such file. Returns how many
/// retained values it holds.
///
/// # Errors
/// What the hub would say at its start. [`OpenError::InUse`] while one runs.
pub fn check(path: &Path) -> Result<Option<usize>, OpenError> {
    let failed = |source: io::Error| OpenError::Access { path: path.into(), source: source.into() };
    if !path.try_exists().map_err(failed)? {
        return Ok(None);
    }
    let fresh_folder = path.with_extension("check");
    // Held to the end: a hub that starts meanwhile would write into what is copied.
    let _folder = file::lock_folder(path)?;
    make_empty(&fresh_folder).map_err(failed)?;
    let fresh = fresh_folder.join("copy");
    // A copy is opened: opening writes, and mends what it can.
    let opened = match fs::copy(path, &fresh) {
        Ok(_) => StoreFile::open(&fresh, Box::new(file::open_database)).map_err(|error| tell_of(error, path)),
        Err(error) => Err(failed(error)),
    };
    fs::remove_dir_all(&fresh_folder).map_err(failed)?;
    opened.map(|(_, restored)| Some(restored.values.len()))
}

/// Makes `folder` anew, without what an earlier try may have left in it.
fn make_empty(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    fs::create_dir(folder)
}

/// The first of `NAME.before-restore-1`, `-2` … that is free.
fn free_name(path: &Path) -> PathBuf {
    let mut number = 1_u32;
    loop {
        let candidate = path.with_extension(format!("before-restore-{number}"));
        if !candidate.exists() {
            return candidate;
        }
        number += 1;
    }
}

/// The error of a copy, told of the file that it is a copy of.
fn tell_of(error: OpenError, original: &Path) -> OpenError {
    let path = original.to_path_buf();
    match error {
        OpenError::Damaged { detail, .. } => OpenError::Damaged { path, detail },
        OpenError::Newer { found, .. } => OpenError::Newer { path, found },
        OpenError::Access { source, .. } => OpenError::Access { path, source },
        other => other,
    }
}
