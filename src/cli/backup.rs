//! `lockstep backup` and `lockstep restore`.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::{
    app::JOURNAL_FILE,
    config::{Config, LAN_FILE},
    control::{self, Order},
    policy, store,
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

/// Asks for a backup; `config_file` is the configuration file that is in use, if any.
pub(super) fn backup(arguments: &BackupArguments, config: &Config, config_file: Option<&Path>) -> anyhow::Result<()> {
    let path = std::path::absolute(&arguments.file)?;
    println!("{}", control::order(&config.data_dir, &Order::Backup { path })?);
    println!("It has the states of all things, the rooms, retained values, the history and the MQTT sessions.");
    let left_out = left_out(config, config_file);
    if left_out.is_empty() {
        println!("Logins are not in it.");
    } else {
        println!("Logins are not in it, nor are these files. Copy them too, and keep the copies secret:");
        for file in left_out {
            println!("  {}", std::path::absolute(&file).unwrap_or(file).display());
        }
    }
    Ok(())
}

/// The files that the hub lives on and no backup has, as far as there are such.
fn left_out(config: &Config, config_file: Option<&Path>) -> Vec<PathBuf> {
    let certificates = config.tls_certificate_file.parent().unwrap_or(Path::new("."));
    let mut files = vec![
        config.users_file.clone(),
        policy::guests_file(&config.users_file),
        config.acl_file.clone(),
        config.data_dir.join(LAN_FILE),
        config.tls_certificate_file.clone(),
        config.tls_key_file.clone(),
        // What `lockstep tls init` makes: without it a new certificate has to be trusted anew everywhere.
        certificates.join("ca.pem"),
        certificates.join("ca.key"),
    ];
    files.extend(config.tls_client_ca_file.clone());
    if let Some(link) = &config.link {
        files.extend(link.login.as_ref().and_then(|login| login.password_file.clone()));
        files.extend(link.ca_file.clone());
    }
    files.extend(config_file.map(Path::to_owned));
    let mut seen = std::collections::BTreeSet::new();
    files.retain(|file| file.exists() && seen.insert(file.clone()));
    files
}

pub(super) fn restore(arguments: &RestoreArguments, config: &Config) -> anyhow::Result<()> {
    let restoration = store::restore(&arguments.file, &config.data_dir.join(JOURNAL_FILE))?;
    println!("The hub has {} retained values from {} now.", restoration.values, arguments.file.display());
    if let Some(previous) = restoration.previous {
        println!("What it had before is in {}.", previous.display());
    }
    println!("Users, guests, access rules, addresses and certificates are as they were: no backup has them.");
    Ok(())
}
