//! `lockstep passwd`: users, their roles and passwords.

use std::{
    fs,
    io::{self, BufRead, IsTerminal, Write},
    path::PathBuf,
};

use anyhow::{Context, anyhow, bail};
use clap::Args;

use crate::{
    config::Config,
    control::{self, Order, OrderError},
    policy::{Role, User, Users, hash_password},
};

/// The shortest password that is taken.
const PASSWORD_CHARS_MIN: usize = 8;

#[derive(Debug, Clone, Args)]
pub(super) struct Arguments {
    /// The user's name
    #[arg(required_unless_present = "list")]
    name: Option<String>,
    /// What the user may do: viewer, member, device or admin [default: member for a new user]
    #[arg(long)]
    role: Option<Role>,
    /// Read the password from the first line of this file instead of asking for it
    #[arg(long, value_name = "FILE", conflicts_with_all = ["generate", "delete", "list"])]
    password_file: Option<PathBuf>,
    /// Make a password up and print it
    #[arg(long, conflicts_with_all = ["delete", "list"])]
    generate: bool,
    /// Take the user away
    #[arg(long, conflicts_with_all = ["role", "list"])]
    delete: bool,
    /// List the users and their roles
    #[arg(long)]
    list: bool,
}

pub(super) fn run(arguments: &Arguments, config: &Config) -> anyhow::Result<()> {
    let mut users = Users::read(&config.users_file)?;
    let Some(name) = &arguments.name else {
        for user in users.iter() {
            println!("{}\t{}", user.name, user.role);
        }
        return Ok(());
    };
    if arguments.delete {
        if !users.remove(name) {
            bail!("there is no user `{name}`; `lockstep passwd --list` tells who there is");
        }
        users.write(&config.users_file)?;
        println!("{name} is gone.");
    } else {
        let password = password(arguments, name)?;
        let role = arguments.role.or_else(|| users.get(name).map(|user| user.role)).unwrap_or(Role::Member);
        add(&mut users, name, role, &password)?;
        users.write(&config.users_file)?;
        println!("{name} can log in as {role}.");
        if arguments.generate {
            println!("The password, shown this once: {password}");
        }
    }
    tell_running_hub(config)
}

/// Adds a user, or sets one's role and password.
pub(super) fn add(users: &mut Users, name: &str, role: Role, password: &str) -> anyhow::Result<()> {
    let hash = hash_password(password.as_bytes()).map_err(|e| anyhow!("cannot hash the password: {e}"))?;
    users.set(User { name: name.to_owned(), role, hash }).map_err(|e| anyhow!(e))
}

/// Lets a hub that runs read the users again.
pub(super) fn tell_running_hub(config: &Config) -> anyhow::Result<()> {
    match control::order(&config.data_dir, &Order::Reload) {
        Ok(answer) => println!("{answer}"),
        Err(OrderError::NotRunning { .. }) => {}
        Err(e) => return Err(e).context("the users are written, but the running hub does not know yet"),
    }
    Ok(())
}

fn password(arguments: &Arguments, name: &str) -> anyhow::Result<String> {
    let password = if arguments.generate {
        generate()?
    } else if let Some(path) = &arguments.password_file {
        let text = fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()))?;
        text.lines().next().unwrap_or_default().to_owned()
    } else if io::stdin().is_terminal() {
        let first = ask(&format!("Password of {name}: "))?;
        if first != ask("Once more: ")? {
            bail!("the two are not the same; nothing was changed");
        }
        first
    } else {
        let mut line = String::new();
        io::stdin().lock().read_line(&mut line).context("cannot read the password from standard input")?;
        line.trim_end_matches(['\r', '\n']).to_owned()
    };
    if password.chars().count() < PASSWORD_CHARS_MIN {
        bail!("a password has at least {PASSWORD_CHARS_MIN} characters");
    }
    Ok(password)
}

/// A password of about 79 bits, without letters that look like others: `k7mp-w3xq-9htr-d4vz`.
pub(super) fn generate() -> anyhow::Result<String> {
    const LETTERS: &[u8; 31] = b"abcdefghjkmnpqrstuvwxyz23456789";
    let mut password = String::with_capacity(19);
    while password.len() < 19 {
        if password.len() % 5 == 4 {
            password.push('-');
            continue;
        }
        let mut byte = [0_u8];
        getrandom::fill(&mut byte).map_err(|e| anyhow!("the system gives no randomness: {e}"))?;
        // What would make some letters likelier than others is thrown away.
        if usize::from(byte[0]) < 256 / LETTERS.len() * LETTERS.len() {
            password.push(char::from(LETTERS[usize::from(byte[0]) % LETTERS.len()]));
        }
    }
    Ok(password)
}

/// Asks on the terminal, without showing what is typed.
fn ask(question: &str) -> anyhow::Result<String> {
    use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
    let stdin = io::stdin();
    eprint!("{question}");
    io::stderr().flush()?;
    let shown = tcgetattr(&stdin).context("cannot ask on this terminal")?;
    let mut hidden = shown.clone();
    hidden.local_modes.remove(LocalModes::ECHO);
    tcsetattr(&stdin, OptionalActions::Now, &hidden)?;
    let mut line = String::new();
    let read = stdin.lock().read_line(&mut line);
    tcsetattr(&stdin, OptionalActions::Now, &shown)?;
    eprintln!();
    read?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}
