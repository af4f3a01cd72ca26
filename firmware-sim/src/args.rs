//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::config::Overrides;

/// A button and a light that share a Lockstep hub's Pomodoro.
#[derive(Debug, Parser)]
#[command(name = "lockstep-box", version, about, args_conflicts_with_subcommands = true)]
pub struct Arguments {
    /// What to do instead of being a box.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// How to be a box.
    #[command(flatten)]
    pub run: Run,
}

/// What to do instead of being a box.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Reads the configuration, finds the GPIO chip, lights each light and waits for a press
    Check(Box<Run>),
    /// Prints the built-in configuration, annotated
    PrintConfig,
    /// Prints the id that is derived from this machine
    Id,
}

/// How to be a box; each flag goes over the configuration file.
#[derive(Debug, Args)]
pub struct Run {
    /// Configuration file; what it leaves out is as `lockstep-box print-config` shows
    #[arg(long, value_name = "FILE", env = "LOCKSTEP_BOX_CONFIG")]
    pub config: Option<PathBuf>,
    /// Where the hub is: mqtt://HOST or mqtt://HOST:1883, mqtts://HOST for TLS, or auto to find it by mDNS
    #[arg(long, value_name = "URL", env = "LOCKSTEP_BOX_HUB")]
    pub hub: Option<String>,
    /// The room whose Pomodoro the box shows [default: main]
    #[arg(long)]
    pub room: Option<String>,
    /// The first level of the hub's topics [default: lockstep]
    #[arg(long)]
    pub root: Option<String>,
    /// What the box is made of: terminal, headless or gpio [default: terminal]
    #[arg(long)]
    pub board: Option<String>,
    /// The box's id [default: derived from the machine]
    #[arg(long)]
    pub id: Option<String>,
    /// Who logs in
    #[arg(long)]
    pub user: Option<String>,
    /// File whose first line is the password
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<String>,
    /// Certificate authorities in PEM, for mqtts://
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<String>,
}

impl Run {
    /// What goes over the configuration file.
    pub fn overrides(&self) -> Overrides {
        Overrides {
            hub: self.hub.clone(),
            root: self.root.clone(),
            room: self.room.clone(),
            id: self.id.clone(),
            user: self.user.clone(),
            password_file: self.password_file.clone(),
            ca_file: self.ca_file.clone(),
            board: self.board.clone(),
        }
    }
}
