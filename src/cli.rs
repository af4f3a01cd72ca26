//! The command line.
//!
//! What a command does beyond reading its arguments and telling the result does not belong here.

mod backup;
mod certificate;
mod health;
mod lan;
mod users;

use std::{io::IsTerminal, path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand};

use crate::{
    app,
    clock::Clock,
    config::{Config, LogFormat, Overrides},
    control, discovery, link,
};

/// The exit code for what the person who runs the hub can mend: a bad value, a taken port.
const EXIT_REFUSED: u8 = 2;

/// A shared-state hub: an MQTT broker, a browser dashboard and shared things in one program.
///
/// Without a command it serves: the dashboard on http://127.0.0.1:8080, MQTT 3.1.1 and 5 on 127.0.0.1:1883, both for this machine only.
#[derive(Debug, Parser)]
#[command(name = "lockstep", version, max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    command: Option<Command>,
}

/// What every command takes.
#[derive(Debug, Clone, Args)]
struct Options {
    /// A configuration file; only what differs from the default needs to stand in it
    #[arg(long, value_name = "FILE", global = true, env = "LOCKSTEP_CONFIG")]
    config: Option<PathBuf>,
    /// Where the hub keeps what must last [default: ~/.local/share/lockstep]
    #[arg(long, value_name = "DIR", global = true)]
    data_dir: Option<PathBuf>,
    /// Where the dashboard and the API listen; port 0 takes a free one [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR", global = true)]
    http: Option<String>,
    /// Where MQTT listens; port 0 takes a free one [default: 127.0.0.1:1883]
    #[arg(long, value_name = "ADDR", global = true)]
    mqtt: Option<String>,
    /// Any other value of the configuration, such as hub.name=Home
    #[arg(long = "set", value_name = "KEY=VALUE", global = true, value_parser = key_value)]
    set: Vec<(String, String)>,
    /// Once everything listens, print one line of JSON on standard output and nothing else
    #[arg(long)]
    ready_json: bool,
}

#[derive(Debug, Clone, Subcommand)]
enum Command {
    /// Check the configuration and tell everything that is wrong with it
    CheckConfig,
    /// Print the annotated default configuration
    PrintConfig,
    /// Make a user, or set a user's password and role
    Passwd(users::Arguments),
    /// Let phones, boxes and Home Assistant on the network in: addresses, users, and what to type where
    Lan(lan::Arguments),
    /// Ask the running hub for a copy of its states, rooms, history and MQTT sessions
    ///
    /// Users, guests, access rules, addresses, certificates and the configuration are files of their own and not in it. The command
    /// tells which of them there are, so that you can copy them too.
    Backup(backup::BackupArguments),
    /// Put a backup in place; the hub must be stopped
    ///
    /// Users, guests, access rules, addresses, certificates and the configuration stay as they are: no backup has them.
    Restore(backup::RestoreArguments),
    /// Make a certificate for TLS
    Tls(certificate::Arguments),
    /// Tell by the exit code whether the hub answers (0) or not (1)
    Healthcheck,
    /// Let the running hub read its users and access rules again
    Reload,
    /// Look for everything that could keep the hub from running well
    Doctor,
    /// Print the documents by which Home Assistant finds the hub
    Discovery(discovery::command::Arguments),
    /// Mirror the hub and another broker, such as Home Assistant's
    Link(link::command::Arguments),
}

fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((key.trim().to_owned(), value.trim().to_owned())),
        _ => Err("it has the form KEY=VALUE, as in hub.name=Home".to_owned()),
    }
}

impl Options {
    fn overrides(&self) -> Overrides {
        let mut list: Vec<(String, String, &'static str)> = Vec::new();
        for (key, value) in &self.set {
            list.push((key.clone(), value.clone(), "--set"));
        }
        if let Some(folder) = &self.data_dir {
            list.push(("storage.data_dir".to_owned(), folder.display().to_string(), "--data-dir"));
        }
        if let Some(address) = &self.http {
            list.push(("http.listen".to_owned(), address.clone(), "--http"));
        }
        if let Some(address) = &self.mqtt {
            list.push(("mqtt.listen".to_owned(), address.clone(), "--mqtt"));
        }
        Overrides(list)
    }

    /// The options by which another command means the same hub, with a space in front; empty where it needs none.
    fn typed_again(&self) -> String {
        let mut text = String::new();
        for (option, path) in [("--config", &self.config), ("--data-dir", &self.data_dir)] {
            let Some(path) = path else { continue };
            let path = path.display().to_string();
            let is_plain = path.chars().all(|c| c.is_alphanumeric() || "/._-+@%:,=".contains(c));
            let path = if is_plain { path } else { format!("'{}'", path.replace('\'', r"'\''")) };
            text.push_str(&format!(" {option} {path}"));
        }
        text
    }

    /// The configuration, or its faults on standard error.
    fn load(&self) -> Result<Config, ExitCode> {
        Config::load(self.config.as_deref(), &self.overrides()).map_err(|faults| {
            for fault in faults {
                eprintln!("lockstep: {fault}");
            }
            ExitCode::from(EXIT_REFUSED)
        })
    }
}

/// Runs the command that the arguments ask for.
#[must_use]
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    match cli.command {
        None => serve(&cli.options),
        Some(Command::CheckConfig) => match cli.options.load() {
            Ok(config) => {
                println!(
                    "The configuration is fine: {} room(s), data in {}.",
                    config.rooms.len(),
                    config.data_dir.display()
                );
                ExitCode::SUCCESS
            }
            Err(code) => code,
        },
        Some(Command::Discovery(arguments)) => match cli.options.load() {
            Ok(config) => finish(discovery::command::run(&arguments, &config.discovery, &|boot| config.hub_spec(boot))),
            Err(code) => code,
        },
        Some(Command::Link(arguments)) => run_link(&cli.options, arguments),
        Some(Command::PrintConfig) => {
            print!("{}", crate::config::DEFAULT);
            ExitCode::SUCCESS
        }
        Some(command) => match cli.options.load() {
            Ok(config) => match carry_out(command, &config, &cli.options) {
                Ok(code) => code,
                Err(e) => {
                    eprintln!("lockstep: {e:#}");
                    ExitCode::from(EXIT_REFUSED)
                }
            },
            Err(code) => code,
        },
    }
}

/// Carries out a command that needs the configuration.
fn carry_out(command: Command, config: &Config, options: &Options) -> anyhow::Result<ExitCode> {
    match command {
        Command::Passwd(arguments) => users::run(&arguments, config)?,
        Command::Lan(arguments) => lan::run(&arguments, config, &options.typed_again())?,
        Command::Backup(arguments) => backup::backup(&arguments, config, options.config.as_deref())?,
        Command::Restore(arguments) => backup::restore(&arguments, config)?,
        Command::Tls(arguments) => certificate::run(&arguments, config)?,
        Command::Healthcheck => return Ok(health::check(config)),
        Command::Reload => println!("{}", control::order(&config.data_dir, &control::Order::Reload)?),
        Command::Doctor => return Ok(health::doctor(config)),
        // Carried out where their arguments are read.
        Command::CheckConfig | Command::PrintConfig | Command::Discovery(_) | Command::Link(_) => {}
    }
    Ok(ExitCode::SUCCESS)
}

/// Replaces this process by a new one of the same program with the same arguments.
fn start_anew() -> ExitCode {
    use std::os::unix::process::CommandExt;
    let program = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("lockstep"));
    // After an upgrade the kernel tells the old file by this name; the new one is where it was.
    let program =
        program.to_str().and_then(|path| path.strip_suffix(" (deleted)")).map_or(program.clone(), PathBuf::from);
    let failure = std::process::Command::new(program).args(std::env::args_os().skip(1)).exec();
    eprintln!("lockstep: cannot start anew: {failure}");
    ExitCode::FAILURE
}

fn serve(options: &Options) -> ExitCode {
    let config = match options.load() {
        Ok(config) => config,
        Err(code) => return code,
    };
    if let Err(e) = start_log(&config) {
        eprintln!("lockstep: `log.level` is `{}`: {e}", config.log_level);
        return ExitCode::from(EXIT_REFUSED);
    }
    match app::serve(config, options.ready_json) {
        Ok(app::Ended::Stopped) => ExitCode::SUCCESS,
        Ok(app::Ended::Restart) => start_anew(),
        Err(e) => {
            eprintln!("lockstep: {e:#}");
            ExitCode::from(EXIT_REFUSED)
        }
    }
}

fn run_link(options: &Options, arguments: link::command::Arguments) -> ExitCode {
    let config = match options.load() {
        Ok(config) => config,
        Err(code) => return code,
    };
    if let Err(e) = start_log(&config) {
        eprintln!("lockstep: `log.level` is `{}`: {e}", config.log_level);
        return ExitCode::from(EXIT_REFUSED);
    }
    finish(app::until_told(|stop| link::command::run(arguments, Clock::system(), stop)))
}

fn finish(done: anyhow::Result<()>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("lockstep: {e:#}");
            ExitCode::from(EXIT_REFUSED)
        }
    }
}

fn start_log(config: &Config) -> anyhow::Result<()> {
    // The router builds a span for every message at any level; the door tells what matters.
    let filter = tracing_subscriber::EnvFilter::try_new(format!("rumqttd=off,{}", config.log_level))?;
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    match config.log_format {
        LogFormat::Text => log.with_target(false).init(),
        LogFormat::Json => log.json().init(),
    }
    Ok(())
}
