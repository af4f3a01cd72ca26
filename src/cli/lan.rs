//! `lockstep lan`: lets the machines on the network in, and tells what to type on each of them.

use std::{
    fs,
    io::ErrorKind,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket},
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
/// Why `lan.toml` would change nothing.
const ADDRESSES_ARE_FIXED: &str = "the hub runs with addresses from its command line or environment, which are stronger; start it \
                                   without --http and --mqtt, and type `lockstep lan` again";

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

/// Opens the hub for the network, or closes it again. `options` are those that mean this hub, as one types them again.
pub(super) fn run(arguments: &Arguments, config: &Config, options: &str) -> anyhow::Result<()> {
    match arguments.command {
        None => open(config, &lan_addresses(), options),
        Some(Command::Off) => close(config),
    }
}

fn open(config: &Config, addresses: &[Ipv4Addr], options: &str) -> anyhow::Result<()> {
    let plan = Plan::check(config, addresses)?;
    plan.write_users(config)?;
    match plan.carry_out(config) {
        Ok(opened) => {
            plan.tell(config, addresses, &opened, options);
            Ok(())
        }
        Err(e) => {
            // They stand hashed in the file: whoever does not see them now never will.
            plan.tell_made();
            Err(e)
        }
    }
}

/// What is to be done, looked at before anything is written or started anew.
struct Plan {
    address: Ipv4Addr,
    http: Vec<SocketAddr>,
    mqtt: Vec<SocketAddr>,
    running: Option<Status>,
    users: Users,
    /// Who is new, with the password.
    made: Vec<(&'static str, String)>,
}

/// Where the hub listens now.
struct Opened {
    http_port: u16,
    mqtt_port: u16,
    is_running: bool,
    invitation: Option<String>,
}

impl Plan {
    /// Refuses what can be refused.
    fn check(config: &Config, addresses: &[Ipv4Addr]) -> anyhow::Result<Self> {
        let Some(address) = addresses.first().copied() else {
            bail!("this machine has no address on a network; connect it and type `lockstep lan` again");
        };
        let (http, mqtt) = (reachable(&config.http_listen, 8080), reachable(&config.mqtt_listen, 1883));
        let running = control::status(&config.data_dir)?;
        if let Some(status) = &running {
            // A hub that starts anew and does not get its port is gone.
            for (wanted, held, is_fixed) in
                [(&http, &status.http, status.http_is_fixed), (&mqtt, &status.mqtt, status.mqtt_is_fixed)]
            {
                if !is_fixed {
                    check_free(wanted, held, address)?;
                } else if held.iter().all(|address| address.ip().is_loopback()) {
                    bail!(ADDRESSES_ARE_FIXED);
                }
            }
        }
        let mut users = Users::read(&config.users_file)?;
        let mut made = Vec::new();
        for (name, role) in USERS {
            if users.get(name).is_none() {
                let password = users::generate()?;
                users::add(&mut users, name, role, &password)?;
                made.push((name, password));
            }
        }
        Ok(Self { address, http, mqtt, running, users, made })
    }

    /// Users first: nothing is opened before there are some.
    fn write_users(&self, config: &Config) -> anyhow::Result<()> {
        fs::create_dir_all(&config.data_dir)
            .with_context(|| format!("cannot make the folder `{}`", config.data_dir.display()))?;
        if !self.made.is_empty() {
            self.users.write(&config.users_file)?;
        }
        Ok(())
    }

    fn carry_out(&self, config: &Config) -> anyhow::Result<Opened> {
        let file = config.data_dir.join(LAN_FILE);
        let text = format!(
            "# Made by `lockstep lan`; `lockstep lan off` takes it away.\n[http]\nlisten = {}\n\n[mqtt]\nlisten = {}\n",
            listed(&self.http),
            listed(&self.mqtt)
        );
        let new = file.with_extension("new");
        fs::write(&new, text)
            .and_then(|()| fs::rename(&new, &file))
            .with_context(|| format!("cannot write `{}`", file.display()))?;
        let Some(before) = &self.running else {
            return Ok(Opened {
                http_port: port_of(&self.http),
                mqtt_port: port_of(&self.mqtt),
                is_running: false,
                invitation: None,
            });
        };
        let status = restart(config, before)?;
        let port = |all: &[SocketAddr]| all.iter().find(|address| !address.ip().is_loopback()).map(SocketAddr::port);
        // A hub of an earlier version does not tell beforehand.
        let (Some(http_port), Some(mqtt_port)) = (port(&status.http), port(&status.mqtt)) else {
            bail!(ADDRESSES_ARE_FIXED);
        };
        Ok(Opened { http_port, mqtt_port, is_running: true, invitation: invite(config)? })
    }

    fn tell(&self, config: &Config, addresses: &[Ipv4Addr], opened: &Opened, options: &str) {
        let (port, base) = (opened.http_port, &config.base_path);
        let page = |address: Ipv4Addr| format!("http://{address}:{port}{base}/");
        tell_pages(addresses, &page, opened.invitation.as_deref());
        tell(self.address, opened.mqtt_port, &self.made, options);
        if !opened.is_running {
            println!("\nThe hub is not running. Start it with `lockstep{options}`, and it listens there.");
            println!("Then `lockstep lan{options}` shows a code for a phone, too.");
        }
    }

    fn tell_made(&self) {
        if self.made.is_empty() {
            return;
        }
        println!("New users were made before it failed. Their passwords are shown this once:");
        for (name, password) in &self.made {
            println!("  {name:<15}{password}");
        }
    }
}

/// Refuses addresses that the hub does not listen on yet and that another program has. `lan` is this machine's.
fn check_free(wanted: &[SocketAddr], held: &[SocketAddr], lan: Ipv4Addr) -> anyhow::Result<()> {
    for address in wanted {
        let port = address.port();
        if held.iter().any(|held| held.port() == port && !held.ip().is_loopback()) {
            continue;
        }
        // Not all addresses at once: on this machine's own the hub has the port itself.
        let ip = if address.ip().is_unspecified() { lan.into() } else { address.ip() };
        if TcpListener::bind((ip, port)).is_err_and(|e| e.kind() == ErrorKind::AddrInUse) {
            bail!(
                "another program uses port {port} of {ip}, so the hub could not listen there; stop that program, or give the \
                 hub another port in its configuration"
            );
        }
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
        Err(e) if e.kind() == ErrorKind::NotFound => {
            println!("`lockstep lan` was not on.");
            return Ok(());
        }
        Err(e) => return Err(e).with_context(|| format!("cannot remove `{}`", file.display())),
    }
    let running = control::status(&config.data_dir)?;
    match running.map(|before| restart(config, &before)).transpose()? {
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

/// Lets the running hub start anew, and waits for it.
fn restart(config: &Config, before: &Status) -> anyhow::Result<Status> {
    control::order(&config.data_dir, &Order::Restart)?;
    let began = Instant::now();
    while began.elapsed() < RESTART_TIME_MAX {
        // While it starts there is nobody to answer.
        if let Ok(Some(status)) = control::status(&config.data_dir)
            && status.boot != before.boot
        {
            return Ok(status);
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

fn tell(address: Ipv4Addr, mqtt: u16, made: &[(&str, String)], options: &str) {
    let password = |user: &str| made.iter().find(|(name, _)| *name == user).map(|(_, password)| password.as_str());
    let shown = |user: &str| match password(user) {
        Some(password) => format!("{password}   (shown this once)"),
        None => format!("as before; `lockstep passwd {user}{options}` sets another"),
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
mod tests;
