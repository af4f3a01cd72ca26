//! The command line.

use std::{env, ffi::OsString, path::PathBuf};

use lexopt::{Arg, Parser, ValueExt};

use crate::config::Overrides;

/// What `--help` prints.
pub const HELP: &str = "\
A button and a light that share a Lockstep hub's Pomodoro.

Usage: lockstep-box [OPTIONS]
       lockstep-box check [OPTIONS]   read the configuration, find the GPIO chip, light each light, wait for a press
       lockstep-box print-config      print the built-in configuration, with an explanation of each key
       lockstep-box id                print the id that is derived from this machine

Options, each over the configuration file:
  --config FILE         what FILE leaves out is as `lockstep-box print-config` shows [env: LOCKSTEP_BOX_CONFIG]
  --hub URL             mqtt://HOST, mqtts://HOST for TLS, or auto: found in the local network [env: LOCKSTEP_BOX_HUB]
  --room ROOM           the room whose Pomodoro the box shows [default: main]
  --root ROOT           the first level of the hub's topics [default: lockstep]
  --board BOARD         terminal (a picture), gpio (pins) or headless (words in, JSON lines out)
                        [default: terminal where this build has it, else gpio]
  --id ID               the box's id [default: derived from this machine]
  --user NAME           who logs in
  --password-file FILE  its first line is the password
  --ca-file FILE        certificate authorities (PEM) for mqtts:// [default: the system's]
  --cert-file FILE      the box's own certificate (PEM), for a hub that asks for one
  --key-file FILE       and its key (PEM)
  -h, --help            print this
  -V, --version         print the version
";

/// What the program is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Be a box.
    Run(Run),
    /// Read the configuration and try the parts.
    Check(Run),
    /// Print the built-in configuration.
    PrintConfig,
    /// Print the id that is derived from this machine.
    Id,
    /// Print [`HELP`].
    Help,
    /// Print the version.
    Version,
}

/// How to be a box.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Run {
    /// The configuration file.
    pub config: Option<PathBuf>,
    /// What goes over it.
    pub overrides: Overrides,
}

impl Command {
    /// Reads the program's arguments, and the environment for what they leave out.
    ///
    /// # Errors
    /// One sentence that names the argument.
    pub fn from_env() -> Result<Self, String> {
        let mut command = Self::parse(env::args_os().skip(1))?;
        if let Self::Run(run) | Self::Check(run) = &mut command {
            let given = |name| env::var_os(name).filter(|value| !value.is_empty());
            run.config = run.config.take().or_else(|| given("LOCKSTEP_BOX_CONFIG").map(PathBuf::from));
            if let (None, Some(hub)) = (&run.overrides.hub, given("LOCKSTEP_BOX_HUB")) {
                let hub = hub.into_string().map_err(|_| "LOCKSTEP_BOX_HUB is not UTF-8".to_owned())?;
                run.overrides.hub = Some(hub);
            }
        }
        Ok(command)
    }

    /// Reads `arguments`, without the program's name.
    ///
    /// # Errors
    /// One sentence that names the argument.
    pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, String> {
        Self::read(&mut Parser::from_args(arguments)).map_err(|e| format!("{e}; see lockstep-box --help"))
    }

    fn read(parser: &mut Parser) -> Result<Self, lexopt::Error> {
        let mut run = Run::default();
        let mut word = None;
        while let Some(argument) = parser.next()? {
            match argument {
                Arg::Short('h') | Arg::Long("help") => return Ok(Self::Help),
                Arg::Short('V') | Arg::Long("version") => return Ok(Self::Version),
                Arg::Long("config") => run.config = Some(parser.value()?.into()),
                Arg::Long(name) => match run.overrides.by_name(name) {
                    Some(place) => *place = Some(parser.value()?.string()?),
                    None => return Err(argument.unexpected()),
                },
                Arg::Value(value) if word.is_none() => match value.to_str() {
                    Some(known @ ("check" | "print-config" | "id")) => word = Some(known.to_owned()),
                    _ => return Err(Arg::Value(value).unexpected()),
                },
                Arg::Short(_) | Arg::Value(_) => return Err(argument.unexpected()),
            }
        }
        let bare = run == Run::default();
        match word.as_deref() {
            None => Ok(Self::Run(run)),
            Some("check") => Ok(Self::Check(run)),
            Some(word) if !bare => Err(lexopt::Error::from(format!("`lockstep-box {word}` takes no options"))),
            Some("id") => Ok(Self::Id),
            Some(_) => Ok(Self::PrintConfig),
        }
    }
}

impl Overrides {
    fn by_name(&mut self, name: &str) -> Option<&mut Option<String>> {
        match name {
            "hub" => Some(&mut self.hub),
            "room" => Some(&mut self.room),
            "root" => Some(&mut self.root),
            "board" => Some(&mut self.board),
            "id" => Some(&mut self.id),
            "user" => Some(&mut self.user),
            "password-file" => Some(&mut self.password_file),
            "ca-file" => Some(&mut self.ca_file),
            "cert-file" => Some(&mut self.cert_file),
            "key-file" => Some(&mut self.key_file),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Command, String> {
        Command::parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn every_option_of_the_help_is_known_and_every_known_one_is_there() {
        let named: Vec<_> = HELP.lines().filter_map(|line| line.trim().strip_prefix("--")).collect();
        assert_eq!(named.len(), 11);
        for line in named {
            let name = line.split(' ').next().unwrap();
            let Ok(Command::Run(run)) = parse(&format!("--{name} x")) else { panic!("--{name}") };
            assert_ne!(run, Run::default(), "--{name}");
        }
        assert!(HELP.lines().all(|line| line.chars().count() <= 120));
    }

    #[test]
    fn the_command_lines() {
        let Command::Check(run) = parse("check --config=a.toml --hub auto").unwrap() else { panic!() };
        assert_eq!((run.config, run.overrides.hub.as_deref()), (Some(PathBuf::from("a.toml")), Some("auto")));
        assert!(matches!(parse("--hub auto check"), Ok(Command::Check(_))));
        assert_eq!(parse("print-config"), Ok(Command::PrintConfig));
        assert_eq!(parse("id"), Ok(Command::Id));
        assert_eq!(parse(""), Ok(Command::Run(Run::default())));
        assert_eq!(parse("check --help"), Ok(Command::Help));
        assert_eq!(parse("-V"), Ok(Command::Version));
    }

    #[test]
    fn a_wrong_command_line_is_one_sentence_that_names_it() {
        let told = |line: &str| parse(line).unwrap_err();
        assert_eq!(told("--hubb x"), "invalid option '--hubb'; see lockstep-box --help");
        assert_eq!(told("chek"), "unexpected argument \"chek\"; see lockstep-box --help");
        assert_eq!(told("check id"), "unexpected argument \"id\"; see lockstep-box --help");
        assert_eq!(told("--hub"), "missing argument for option '--hub'; see lockstep-box --help");
        assert_eq!(told("id --room x"), "`lockstep-box id` takes no options; see lockstep-box --help");
    }
}
