//! The box's program: arguments in, exit code out.

use std::{fs, io::Write, process::ExitCode};

use anyhow::{Context, Result};
use lockstep_box::{
    args::{Command, HELP, Run},
    config::{self, Config},
    run,
};

/// The exit code of a command line that cannot be understood.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let command = match Command::from_env() {
        Ok(command) => command,
        Err(error) => {
            eprintln!("lockstep-box: {error}");
            return ExitCode::from(USAGE);
        }
    };
    let done = match command {
        Command::Run(run) => read(&run).and_then(|config| run::run(&config)),
        Command::Check(run) => read(&run).and_then(|config| check(&config)),
        Command::PrintConfig => print(config::DEFAULT),
        Command::Id => run::device_id(None).and_then(|id| print(&format!("{id}\n"))),
        Command::Help => print(HELP),
        Command::Version => print(concat!("lockstep-box ", env!("CARGO_PKG_VERSION"), "\n")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("lockstep-box: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn read(run: &Run) -> Result<Config> {
    let (text, source) = match &run.config {
        None => (String::new(), String::new()),
        Some(path) => {
            let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
            (text, path.display().to_string())
        }
    };
    let parsed = Config::parse(&text, &run.overrides);
    if source.is_empty() { Ok(parsed?) } else { parsed.with_context(|| source) }
}

#[cfg(feature = "gpio")]
fn check(config: &Config) -> Result<()> {
    lockstep_box::check::check(config)
}

#[cfg(not(feature = "gpio"))]
fn check(_config: &Config) -> Result<()> {
    anyhow::bail!("the configuration is fine; this build has no GPIO, so there is nothing more to check")
}

fn print(text: &str) -> Result<()> {
    std::io::stdout().write_all(text.as_bytes()).context("cannot print")
}
