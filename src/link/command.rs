//! `lockstep link`: a link as a program of its own, beside a hub that runs.
//!
//! Mirroring does not belong here.

use std::{future::Future, path::PathBuf};

use anyhow::ensure;
use clap::Args;

use super::{HubSide, Login, Protocol, Settings, carry::SAME_HUB, start};
use crate::{
    address::Address,
    clock::Clock,
    domain::{id::Id, topic::Topic},
};

/// What `lockstep link` takes.
#[derive(Debug, Clone, Args)]
pub struct Arguments {
    /// The broker to link to: mqtt://HOST or mqtts://HOST, with :PORT where it is another one than usual
    pub far: Address,
    /// The user there
    #[arg(long)]
    pub user: Option<String>,
    /// A file whose first line is the password there
    #[arg(long, value_name = "FILE", requires = "user")]
    pub password_file: Option<PathBuf>,
    /// Certificates (PEM) to trust there, instead of those that this machine trusts
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// The MQTT version to speak there: auto, 5 or 3.1.1
    #[arg(long, value_name = "VERSION", default_value = "auto", value_parser = protocol)]
    pub protocol: Protocol,
    /// What stands for the hub's root there, such as `home/lockstep` [default: the hub's root]
    #[arg(long, value_name = "TOPIC", value_parser = topic)]
    pub far_root: Option<Topic>,
    /// Home Assistant's discovery prefix
    #[arg(long, value_name = "TOPIC", default_value = "homeassistant", value_parser = topic)]
    pub prefix: Topic,
    /// The hub
    #[arg(long, value_name = "URL", default_value = "mqtt://127.0.0.1:1883")]
    pub hub: Address,
    /// The user at the hub
    #[arg(long, value_name = "USER")]
    pub hub_user: Option<String>,
    /// A file whose first line is the password at the hub
    #[arg(long, value_name = "FILE", requires = "hub_user")]
    pub hub_password_file: Option<PathBuf>,
    /// Certificates (PEM) to trust at the hub
    #[arg(long, value_name = "FILE")]
    pub hub_ca_file: Option<PathBuf>,
    /// The hub's root
    #[arg(long, value_name = "ID", default_value = "lockstep")]
    pub root: Id,
}

/// Reads a protocol version as people write it.
///
/// # Errors
/// Says what is allowed.
pub fn protocol(text: &str) -> Result<Protocol, String> {
    match text {
        "auto" => Ok(Protocol::Auto),
        "5" => Ok(Protocol::V5),
        "3.1.1" | "311" => Ok(Protocol::V311),
        _ => Err("auto, 5 and 3.1.1 are allowed".to_owned()),
    }
}

fn topic(text: &str) -> Result<Topic, String> {
    Topic::parse(text.trim_matches('/')).map_err(|e| e.to_string())
}

/// Runs the link until `stop`.
///
/// # Errors
/// What cannot be read or trusted, and a hub that is linked with itself.
pub async fn run(arguments: Arguments, clock: Clock, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
    let settings = Settings {
        login: arguments.user.map(|user| Login { user, password_file: arguments.password_file }),
        ca_file: arguments.ca_file,
        protocol: arguments.protocol,
        far_root: arguments.far_root,
        prefix: arguments.prefix,
        ..Settings::new(arguments.far)
    };
    // A far side that speaks 3.1.1 cannot tell which hub it is.
    ensure!((&settings.far.host, settings.far.port) != (&arguments.hub.host, arguments.hub.port), SAME_HUB);
    let hub = HubSide::Remote {
        address: arguments.hub,
        login: arguments.hub_user.map(|user| Login { user, password_file: arguments.hub_password_file }),
        ca_file: arguments.hub_ca_file,
    };
    let link = start(hub, &arguments.root, &settings, clock)?;
    let is_with_itself = tokio::select! {
        () = stop => false,
        () = link.is_with_itself() => true,
    };
    link.stop().await;
    ensure!(!is_with_itself, SAME_HUB);
    Ok(())
}
