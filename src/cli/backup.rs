//! `lockstep backup` and `lockstep restore`.

use std::path::PathBuf;

use clap::Args;

use crate::{
    app::JOURNAL_FILE,
    config::Config,
    control::{self, Order},
    store,
};

#[derive(Debug, Clone, Args)]
pub(super) struct BackupArguments {
    /// The file to write; it must not exist
    file: PathBuf,
}

#[derive(Debug, Clone, Args)]
pub(super) struct RestoreArguments {
    /// A file that `lockstep backup` wrote
    file: PathBuf,
}

pub(super) fn backup(arguments: &BackupArguments, config: &Config) -> anyhow::Result<()> {
    let path = std::path::absolute(&arguments.file)?;
    println!("{}", control::order(&config.data_dir, &Order::Backup { path })?);
    Ok(())
}

pub(super) fn restore(arguments: &RestoreArguments, config: &Config) -> anyhow::Result<()> {
    let restoration = store::restore(&arguments.file, &config.data_dir.join(JOURNAL_FILE))?;
    println!("The hub has {} retained values from {} now.", restoration.values, arguments.file.display());
    if let Some(previous) = restoration.previous {
        println!("What it had before is in {}.", previous.display());
    }
    Ok(())
}
