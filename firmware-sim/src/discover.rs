//! Finds the hub in the local network (DNS-SD over multicast DNS, RFC 6762 and RFC 6763).
//!
//! The daemon runs while it looks and no longer, so that an idle box does not wake up for other people's printers.

use std::time::Duration;

use mdns_sd::{ResolvedService, ServiceDaemon, ServiceEvent};

/// The service type of MQTT brokers.
const SERVICE: &str = "_mqtt._tcp.local.";
/// How long to wait for an answer.
const FOUND_WITHIN: Duration = Duration::from_secs(4);
/// How long to go on looking for a Lockstep hub when another broker has answered already.
const OTHERS_WITHIN: Duration = Duration::from_millis(700);

/// The host and port of a Lockstep hub; of another MQTT broker where there is no hub.
///
/// # Errors
/// Tells, for people, that nobody answered.
pub async fn find_hub() -> Result<(String, u16), String> {
    let daemon = ServiceDaemon::new().map_err(|e| format!("mDNS does not work here: {e}"))?;
    let found = look(&daemon).await;
    // It ends by itself when it has said good-bye; there is nothing to wait for.
    let _late = daemon.shutdown().is_err();
    found
}

async fn look(daemon: &ServiceDaemon) -> Result<(String, u16), String> {
    let events = daemon.browse(SERVICE).map_err(|e| format!("mDNS does not work here: {e}"))?;
    let mut other = None;
    let give_up = tokio::time::sleep(FOUND_WITHIN);
    tokio::pin!(give_up);
    loop {
        tokio::select! {
            event = events.recv_async() => match event {
                Ok(ServiceEvent::ServiceResolved(service)) => {
                    let Some(place) = place(&service) else { continue };
                    if is_lockstep(&service) {
                        return Ok(place);
                    }
                    if other.is_none() {
                        other = Some(place);
                        give_up.as_mut().reset(tokio::time::Instant::now() + OTHERS_WITHIN);
                    }
                }
                Ok(_) => {}
                Err(_) => break,
            },
            () = &mut give_up => break,
        }
    }
    other.ok_or_else(|| {
        "no hub answered by mDNS: is it on another network? Then give its address, --hub mqtt://HOST:1883".to_owned()
    })
}

/// An address to connect to: IPv4 first, since a link-local IPv6 address needs an interface beside it.
fn place(service: &ResolvedService) -> Option<(String, u16)> {
    let addresses = || service.get_addresses().iter().map(mdns_sd::ScopedIp::to_ip_addr);
    let v4 = addresses().find(std::net::IpAddr::is_ipv4).map(|address| address.to_string());
    let v6 = || {
        let global =
            |address: &std::net::IpAddr| matches!(address, std::net::IpAddr::V6(v6) if !v6.is_unicast_link_local());
        addresses().find(global).map(|address| format!("[{address}]"))
    };
    Some((v4.or_else(v6)?, service.get_port()))
}

/// Whether the broker says that it is a Lockstep hub: by its TXT record's `product`, or by its name.
fn is_lockstep(service: &ResolvedService) -> bool {
    let product =
        service.get_property_val_str("product").is_some_and(|product| product.eq_ignore_ascii_case("lockstep"));
    product || service.get_fullname().to_ascii_lowercase().starts_with("lockstep")
}
