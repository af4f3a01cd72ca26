//! `lockstep healthcheck` and `lockstep doctor`.

use std::{
    fs,
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    process::ExitCode,
    time::Duration,
};

use crate::{
    app::JOURNAL_FILE,
    config::Config,
    control,
    policy::{self, Users},
    store,
};

/// How long the hub may take to answer.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(5);

/// Asks the hub's `/healthz`.
pub(super) fn check(config: &Config) -> ExitCode {
    // The running hub knows its ports best; in a container only the configuration may be readable.
    let addresses = match control::status(&config.data_dir) {
        Ok(Some(status)) => status.http,
        _ => config.http_listen.clone(),
    };
    let Some(address) = addresses.first() else { return ExitCode::FAILURE };
    match ask(*address, &config.base_path) {
        Ok(()) => {
            println!("The hub answers.");
            ExitCode::SUCCESS
        }
        Err(e) => {
            eprintln!("lockstep: the hub does not answer on {address}: {e}");
            ExitCode::FAILURE
        }
    }
}

fn ask(address: SocketAddr, base_path: &str) -> io::Result<()> {
    let ip = match address.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
    };
    let mut stream = TcpStream::connect_timeout(&SocketAddr::new(ip, address.port()), ANSWER_TIME_MAX)?;
    stream.set_read_timeout(Some(ANSWER_TIME_MAX))?;
    write!(stream, "GET {base_path}/healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = [0; 12];
    stream.read_exact(&mut answer)?;
    if &answer == b"HTTP/1.1 200" {
        Ok(())
    } else {
        Err(io::Error::other(String::from_utf8_lossy(&answer).into_owned()))
    }
}

/// Looks at everything that a start needs, and tells all of it.
pub(super) fn doctor(config: &Config) -> ExitCode {
    let mut problems = 0_u32;
    let mut tell = |what: &str, found: Result<String, String>| match found {
        Ok(text) => println!("ok       {what}: {text}"),
        Err(text) => {
            problems += 1;
            println!("PROBLEM  {what}: {text}");
        }
    };
    let running = control::status(&config.data_dir);
    tell("configuration", Ok(format!("{} room(s), {} thing(s) in a new one", config.rooms.len(), config.things.len())));
    tell(
        "hub",
        match &running {
            Ok(Some(status)) => Ok(format!("version {} runs as process {}", status.version, status.pid)),
            Ok(None) => Ok("not running".to_owned()),
            Err(e) => Err(e.to_string()),
        },
    );
    let is_running = matches!(running, Ok(Some(_)));
    tell("data folder", data_folder(config));
    if !is_running {
        tell("what lasts", what_lasts(config));
    }
    tell(
        "users",
        Users::read(&config.users_file).map(|users| format!("{}", users.iter().count())).map_err(|e| e.to_string()),
    );
    let settings = policy::Settings {
        root: config.root.clone(),
        loopback_only: config.is_loopback_only(),
        anonymous: None,
        users_file: config.users_file.clone(),
        acl_file: config.acl_file.clone(),
    };
    // What is wrong with the users is told already.
    tell("access rules", policy::check_rules(&settings).map(|()| "readable".to_owned()).map_err(|e| e.to_string()));
    tell(
        "who gets in",
        if config.is_loopback_only() {
            Ok("this machine only".to_owned())
        } else if config.anonymous.is_some() || config.users_file.exists() {
            Ok("other machines, by users or `security.anonymous`".to_owned())
        } else {
            Err("other machines, but there are no users; type `lockstep lan`".to_owned())
        },
    );
    for address in config.listening().filter(|address| address.port() != 0) {
        let found = match TcpListener::bind(address) {
            Ok(_) => Ok("free".to_owned()),
            Err(_) if is_running => Ok("in use, as it should be".to_owned()),
            Err(e) => Err(e.to_string()),
        };
        tell(&address.to_string(), found);
    }
    if is_running {
        tell(
            "/healthz",
            if check(config) == ExitCode::SUCCESS { Ok("200".to_owned()) } else { Err("no answer".to_owned()) },
        );
    }
    if problems == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Whether the hub could start with its file; a running one has it open.
fn what_lasts(config: &Config) -> Result<String, String> {
    match store::check(&config.data_dir.join(JOURNAL_FILE)) {
        Ok(Some(values)) => Ok(format!("{JOURNAL_FILE} is sound and has {values} retained value(s)")),
        Ok(None) => Ok("nothing yet".to_owned()),
        // With its causes, as the hub says it.
        Err(e) => Err(format!("{:#}", anyhow::Error::new(e))),
    }
}

fn data_folder(config: &Config) -> Result<String, String> {
    let folder = config.data_dir.display();
    if !config.data_dir.exists() {
        return Ok(format!("{folder} is made at the first start"));
    }
    let probe = config.data_dir.join(".lockstep-doctor");
    fs::write(&probe, b"")
        .and_then(|()| fs::remove_file(&probe))
        .map_err(|e| format!("cannot write to {folder}: {e}"))?;
    match fs::metadata(config.data_dir.join(JOURNAL_FILE)) {
        Ok(file) => Ok(format!("{folder}, {} KiB of what lasts", file.len() / 1024)),
        Err(_) => Ok(format!("{folder}, with nothing in it yet")),
    }
}
