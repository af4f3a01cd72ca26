//! Finds the hub in the local network (DNS-SD over multicast DNS, RFC 6762 and RFC 6763).
//!
//! One question from a port of its own, which responders answer to that port (RFC 6762 §6.7), asked again after one and three
//! seconds. Nothing runs when it is answered, so that an idle box does not wake up for other people's printers. What a message
//! looks like is in [`message`].

use std::{
    fs, io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use rustix::net::sockopt;
use tokio::{net::UdpSocket, time::Instant};

use crate::link::Place;

pub mod message;

use message::Service;

/// Where everybody listens for questions.
const EVERYBODY: (Ipv4Addr, u16) = (Ipv4Addr::new(224, 0, 0, 251), 5353);
/// The service types of MQTT brokers, without and with TLS.
const SERVICES: [&str; 2] = ["_mqtt._tcp.local", "_secure-mqtt._tcp.local"];
/// When to ask, from the beginning.
const ASK_AT: [Duration; 3] = [Duration::ZERO, Duration::from_secs(1), Duration::from_secs(3)];
/// How long to wait for an answer.
const FOUND_WITHIN: Duration = Duration::from_secs(4);
/// How long to go on looking for a Lockstep hub when another broker has answered already.
const OTHERS_WITHIN: Duration = Duration::from_millis(700);
/// The largest message that is taken (RFC 6762 §17).
const MESSAGE_BYTES_MAX: usize = 9000;

/// A Lockstep hub; another MQTT broker where there is no hub. `tls`: one that speaks TLS, and no other.
///
/// # Errors
/// Tells, for people, that nobody answered.
///
/// # Cancel safety
/// Cancelling gives the search up.
pub async fn find_hub(tls: bool) -> Result<Place, String> {
    look(tls).await.unwrap_or_else(|e| Err(format!("mDNS does not work here: {e}")))
}

async fn look(tls: bool) -> io::Result<Result<Place, String>> {
    let service = SERVICES[usize::from(tls)];
    let question = message::question(service);
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await?;
    let began = Instant::now();
    let mut give_up = began + FOUND_WITHIN;
    let mut asked = 0;
    let mut other = None;
    let mut buffer = vec![0; MESSAGE_BYTES_MAX];
    loop {
        let ask = ASK_AT.get(asked).map(|&after| began + after);
        tokio::select! {
            biased;
            () = tokio::time::sleep_until(ask.unwrap_or(give_up)), if ask.is_some() => {
                asked += 1;
                ask_everybody(&socket, &question).await?;
            }
            received = socket.recv_from(&mut buffer) => {
                // A port that was closed meanwhile is told by an error here, and concerns nobody.
                let Ok((length, from)) = received else { continue };
                for found in message::services(&buffer[..length], service) {
                    let Some(place) = place(&found, from, tls) else { continue };
                    if is_lockstep(&found) {
                        return Ok(Ok(place));
                    }
                    if other.is_none() {
                        other = Some(place);
                        give_up = give_up.min(Instant::now() + OTHERS_WITHIN);
                    }
                }
            }
            () = tokio::time::sleep_until(give_up) => break,
        }
    }
    Ok(other.ok_or_else(|| {
        let with = if tls { " (one with TLS, because there is a ca_file)" } else { "" };
        format!("no hub{with} answered by mDNS: is it on another network? Then give its address, --hub mqtt://HOST")
    }))
}

/// Asks on each network card; that one has no network is no reason not to ask on the others.
async fn ask_everybody(socket: &UdpSocket, question: &[u8]) -> io::Result<()> {
    let mut asked = Err(io::Error::new(io::ErrorKind::NetworkUnreachable, "there is no network"));
    for card in cards() {
        let chosen =
            sockopt::set_ip_multicast_if_with_ifindex(socket, &Ipv4Addr::UNSPECIFIED, &Ipv4Addr::UNSPECIFIED, card);
        if let Err(e) = chosen {
            asked = asked.or(Err(e.into()));
            continue;
        }
        match socket.send_to(question, EVERYBODY).await {
            Ok(_) => asked = Ok(()),
            Err(e) => asked = asked.or(Err(e)),
        }
    }
    asked
}

/// The indices of the network cards that are up and carry multicast (netdevice(7)).
fn cards() -> Vec<u32> {
    const UP: u32 = 0x1;
    const LOOPBACK: u32 = 0x8;
    const MULTICAST: u32 = 0x1000;
    let Ok(cards) = fs::read_dir("/sys/class/net") else { return Vec::new() };
    let index = |card: fs::DirEntry| {
        let read = |file| fs::read_to_string(card.path().join(file)).ok();
        let flags = u32::from_str_radix(read("flags")?.trim().strip_prefix("0x")?, 16).ok()?;
        let useful = flags & (UP | LOOPBACK | MULTICAST) == UP | MULTICAST;
        if useful { read("ifindex")?.trim().parse().ok() } else { None }
    };
    cards.flatten().filter_map(index).collect()
}

/// An address to connect to. The one that answered, where it is one of the service's, because that way is open; else IPv4 first,
/// since a link-local IPv6 address needs an interface beside it.
fn place(found: &Service, from: SocketAddr, tls: bool) -> Option<Place> {
    let reachable = |address: &&IpAddr| !matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local());
    let addresses = || found.addresses.iter().filter(reachable);
    let address = addresses()
        .find(|&&address| address == from.ip())
        .or_else(|| addresses().find(|address| address.is_ipv4()))
        .or_else(|| addresses().next())
        .copied()
        // A responder that does not say its address along is asked there where it answered from.
        .unwrap_or_else(|| from.ip());
    let name = tls.then(|| found.host.clone());
    (found.port > 0).then(|| Place { host: address.to_string(), port: found.port, tls, name })
}

/// Whether the broker says that it is a Lockstep hub: by its TXT record's `product`, or by its name.
fn is_lockstep(found: &Service) -> bool {
    let product = found.text.iter().any(|entry| entry.eq_ignore_ascii_case("product=lockstep"));
    product || found.instance.to_ascii_lowercase().starts_with("lockstep")
}

#[cfg(test)]
mod tests;
