//! `lockstep lan`: lets the machines on the network in, and tells what to type on each of them.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use clap::{Args, Subcommand};

use super::users;
use crate::{
    config::{Config, LAN_FILE},
    control::{self, Answer, Order, Status},
    policy::{INVITATION_LASTS, Role, Users},
};

/// How long the hub may take to start anew.
const RESTART_TIME_MAX: Duration = Duration::from_secs(20);
/// The users that a hub on a network needs.
const USERS: [(&str, Role); 3] = [("admin", Role::Admin), ("box", Role::Device), ("homeassistant", Role::Device)];

#[derive(Debug, Clone, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Clone, Subcommand)]
enum Command {
    /// Listen to this machine only, as before
    Off,
}

pub(super) fn run(arguments: &Arguments, config: &Config) -> anyhow::Result<()> {
    match arguments.command {
        None => open(config),
        Some(Command::Off) => close(config),
    }
}

fn open(config: &Config) -> anyhow::Result<()> {
    let file = config.data_dir.join(LAN_FILE);
    fs::create_dir_all(&config.data_dir)
        .with_context(|| format!("cannot make the folder `{}`", config.data_dir.display()))?;

    // Users first: nothing is opened before there are some.
    let mut known = Users::read(&config.users_file)?;
    let mut made = Vec::new();
    for (name, role) in USERS {
        if known.get(name).is_none() {
            let password = users::generate()?;
            users::add(&mut known, name, role, &password)?;
            made.push((name, password));
        }
    }
    if !made.is_empty() {
        known.write(&config.users_file)?;
    }

    let http = reachable(&config.http_listen, 8080);
    let mqtt = reachable(&config.mqtt_listen, 1883);
    let text = format!(
        "# Made by `lockstep lan`; `lockstep lan off` takes it away.\n[http]\nlisten = {}\n\n[mqtt]\nlisten = {}\n",
        listed(&http),
        listed(&mqtt)
    );
    let new = file.with_extension("new");
    fs::write(&new, text)
        .and_then(|()| fs::rename(&new, &file))
        .with_context(|| format!("cannot write `{}`", file.display()))?;

    let addresses = lan_addresses();
    let Some(address) = addresses.first().copied() else {
        bail!("this machine has no address on a network; connect it and type `lockstep lan` again");
    };
    let running = restart(config)?;
    let (http_port, mqtt_port) = match &running {
        Some(status) => {
            let port =
                |all: &[SocketAddr]| all.iter().find(|address| !address.ip().is_loopback()).map(SocketAddr::port);
            let (Some(http), Some(mqtt)) = (port(&status.http), port(&status.mqtt)) else {
                bail!(
                    "the hub runs with addresses from its command line or environment, which are stronger; \
                     start it without --http and --mqtt, and type `lockstep lan` again"
                );
            };
            (http, mqtt)
        }
        None => (port_of(&http), port_of(&mqtt)),
    };
    let invitation = match &running {
        Some(_) => invite(config)?,
        None => None,
    };
    let base = &config.base_path;
    let page = |address: Ipv4Addr| format!("http://{address}:{http_port}{base}/");
    tell_pages(&addresses, &page, invitation.as_deref());
    tell(address, mqtt_port, &made);
    if running.is_none() {
        println!("\nThe hub is not running. Start it with `lockstep`, and it listens there.");
        println!("Then `lockstep lan` shows a code for a phone, too.");
    }
    Ok(())
}

/// A one-use code that lets somebody in as `admin`.
fn invite(config: &Config) -> anyhow::Result<Option<String>> {
    match control::order(&config.data_dir, &Order::Invite { user: USERS[0].0.to_owned() })? {
        Answer::Invitation { code } => Ok(Some(code)),
        _ => Ok(None),
    }
}

fn close(config: &Config) -> anyhow::Result<()> {
    let file = config.data_dir.join(LAN_FILE);
    match fs::remove_file(&file) {
        Ok(()) => {}
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            println!("`lockstep lan` was not on.");
            return Ok(());
        }
        Err(e) => return Err(e).with_context(|| format!("cannot remove `{}`", file.display())),
    }
    match restart(config)? {
        Some(status) if status.http.iter().chain(&status.mqtt).any(|address| !address.ip().is_loopback()) => {
            println!(
                "The addresses of `lockstep lan` are taken away, but the configuration lets other machines in too."
            );
        }
        Some(_) => println!(
            "Only this machine can reach the hub now. The users stay; `lockstep passwd NAME --delete` removes one."
        ),
        None => println!("Only this machine will reach the hub when it starts. The users stay."),
    }
    Ok(())
}

/// Lets the running hub start anew, and waits for it; none where none runs.
fn restart(config: &Config) -> anyhow::Result<Option<Status>> {
    let Some(before) = control::status(&config.data_dir)? else { return Ok(None) };
    control::order(&config.data_dir, &Order::Restart)?;
    let began = Instant::now();
    while began.elapsed() < RESTART_TIME_MAX {
        // While it starts there is nobody to answer.
        if let Ok(Some(status)) = control::status(&config.data_dir)
            && status.boot != before.boot
        {
            return Ok(Some(status));
        }
        thread::sleep(Duration::from_millis(50));
    }
    bail!("the hub did not come back within {} s; its log says why", RESTART_TIME_MAX.as_secs())
}

/// The configured addresses, with those of this machine alone made reachable on the same port.
fn reachable(configured: &[SocketAddr], port_default: u16) -> Vec<SocketAddr> {
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for address in configured {
        let port = if address.port() == 0 { port_default } else { address.port() };
        let ip = if address.ip().is_loopback() { IpAddr::V4(Ipv4Addr::UNSPECIFIED) } else { address.ip() };
        let address = SocketAddr::new(ip, port);
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    addresses
}

fn listed(addresses: &[SocketAddr]) -> String {
    let quoted: Vec<String> = addresses.iter().map(|address| format!("\"{address}\"")).collect();
    format!("[{}]", quoted.join(", "))
}

fn port_of(addresses: &[SocketAddr]) -> u16 {
    addresses.first().map_or(0, SocketAddr::port)
}

fn tell_pages(addresses: &[Ipv4Addr], page: &dyn Fn(Ipv4Addr) -> String, invitation: Option<&str>) {
    println!("The page");
    for address in addresses {
        println!("  {}", page(*address));
    }
    let Some(address) = addresses.first().copied() else { return };
    let link = match invitation {
        // Behind `#`: browsers keep that to themselves, so no server and no log ever sees it.
        Some(code) => format!("{}login#code={code}", page(address)),
        None => page(address),
    };
    // A code that does not fit is no loss: the address stands beside it.
    if let Ok(code) = qrcode::QrCode::new(&link) {
        println!("\n{}", code.render::<qrcode::render::unicode::Dense1x2>().quiet_zone(true).build());
    }
    if invitation.is_some() {
        let minutes = INVITATION_LASTS.as_secs() / 60;
        println!(
            "Scan it with a phone's camera, or open the link: it lets one browser in as admin, once, within {minutes} minutes."
        );
        println!("  {link}");
    }
    println!();
}

fn tell(address: Ipv4Addr, mqtt: u16, made: &[(&str, String)]) {
    let password = |user: &str| made.iter().find(|(name, _)| *name == user).map(|(_, password)| password.as_str());
    let shown = |user: &str| match password(user) {
        Some(password) => format!("{password}   (shown this once)"),
        None => format!("as before; `lockstep passwd {user}` sets another"),
    };
    println!("You");
    println!("  user      admin\n  password  {}", shown("admin"));
    println!("\nHome Assistant: Settings, Devices & services, Add integration, MQTT");
    println!(
        "  broker    {address}\n  port      {mqtt}\n  user      homeassistant\n  password  {}",
        shown("homeassistant")
    );
    println!("\nA button box");
    match password("box") {
        Some(password) => println!("  (umask 077; echo '{password}' > box-password)"),
        None => println!("  (its password as before, in the file box-password)"),
    }
    println!("  lockstep-box --hub mqtt://{address}:{mqtt} --user box --password-file box-password");
}

/// This machine's addresses that others on the network can reach, the one of the default route first.
pub(super) fn lan_addresses() -> Vec<Ipv4Addr> {
    let mut addresses = local_addresses(&fs::read_to_string("/proc/net/fib_trie").unwrap_or_default());
    // Connecting a datagram socket sends nothing; it only chooses a route.
    let routed = UdpSocket::bind("0.0.0.0:0").and_then(|socket| {
        socket.connect("192.0.2.1:9")?;
        socket.local_addr()
    });
    if let Ok(SocketAddr::V4(first)) = routed
        && !first.ip().is_loopback()
    {
        addresses.retain(|address| address != first.ip());
        addresses.insert(0, *first.ip());
    }
    addresses
}

/// The addresses of this machine in the kernel's routing table (`/proc/net/fib_trie`): leaves that are «host LOCAL».
fn local_addresses(table: &str) -> Vec<Ipv4Addr> {
    let mut addresses = Vec::new();
    let mut leaf: Option<Ipv4Addr> = None;
    for line in table.lines() {
        let line = line.trim();
        if let Some(text) = line.strip_prefix("|-- ") {
            leaf = text.parse().ok();
        } else if line.ends_with("host LOCAL")
            && let Some(address) = leaf
            && !address.is_loopback()
            && !address.is_link_local()
            && !addresses.contains(&address)
        {
            addresses.push(address);
        }
    }
    addresses
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_table_tells_this_machines_addresses() {
        let table = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n     |-- 192.168.1.0\n        \
                     /24 link UNICAST\n     |-- 192.168.1.7\n        /32 host LOCAL\n     |-- 192.168.1.255\n        \
                     /32 link BROADCAST\nLocal:\n     |-- 127.0.0.1\n        /32 host LOCAL\n     |-- 169.254.3.4\n        \
                     /32 host LOCAL\n     |-- 192.168.1.7\n        /32 host LOCAL\n";
        assert_eq!(local_addresses(table), [Ipv4Addr::new(192, 168, 1, 7)]);
        assert_eq!(local_addresses("what?\n|-- x\n/32 host LOCAL"), [] as [Ipv4Addr; 0]);
    }

    #[test]
    fn loopback_is_opened_on_the_same_port_and_the_rest_stays() {
        let addresses = |list: &[&str]| -> Vec<SocketAddr> { list.iter().map(|text| text.parse().unwrap()).collect() };
        assert_eq!(reachable(&addresses(&["127.0.0.1:9000", "[::1]:9000"]), 8080), addresses(&["0.0.0.0:9000"]));
        assert_eq!(reachable(&addresses(&["127.0.0.1:0"]), 8080), addresses(&["0.0.0.0:8080"]));
        assert_eq!(reachable(&addresses(&["10.0.0.1:80"]), 8080), addresses(&["10.0.0.1:80"]));
    }

    #[test]
    fn made_passwords_are_long_and_all_different() {
        let made: std::collections::BTreeSet<String> = (0..100).map(|_| users::generate().unwrap()).collect();
        assert_eq!(made.len(), 100);
        assert!(made.iter().all(|password| password.len() == 19 && password.matches('-').count() == 3));
    }
}
