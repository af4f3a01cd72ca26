//! mDNS: the hub tells the local network where its MQTT and its page are (`_mqtt._tcp`, `_http._tcp`; RFC 6762, RFC 6763).
//!
//! Only listeners that other machines can reach are told of, so a hub on loopback tells nothing. Finding others does not belong here.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use mdns_sd::{IfKind, ServiceDaemon, ServiceInfo};

/// How long the farewell may take.
const STOP_WITHIN: Duration = Duration::from_secs(1);

/// The most bytes of a label of a DNS name (RFC 1035 §2.3.4).
const LABEL_BYTES_MAX: usize = 63;

/// What the hub tells of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// What the hub is called by people: the name of the services.
    pub name: String,
    /// The machine's host name, without a domain.
    pub host: String,
    /// The hub's version.
    pub version: String,
    /// The first level of the hub's topics.
    pub root: String,
    /// The path of the page.
    pub path: String,
    /// Where MQTT listens, and whether with TLS.
    pub mqtt: Vec<(SocketAddr, bool)>,
    /// Where HTTP listens, and whether with TLS.
    pub http: Vec<(SocketAddr, bool)>,
}

/// One service to tell of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// `_mqtt._tcp.local.`, `_http._tcp.local.` and the like.
    pub service_type: &'static str,
    /// The name for people.
    pub instance: String,
    /// The machine's name in `.local.`.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The one address where it listens; none for all of the machine's.
    pub address: Option<IpAddr>,
    /// The TXT record.
    pub properties: Vec<(&'static str, String)>,
}

/// The services of a hub: one for each listener that other machines can reach.
#[must_use]
pub fn services(settings: &Settings) -> Vec<Service> {
    let host =
        format!("{}.local.", label(&settings.host.replace(|c: char| !c.is_ascii_alphanumeric() && c != '-', "-")));
    let service =
        |service_type, (address, tls): &(SocketAddr, bool), properties: Vec<(&'static str, String)>| Service {
            service_type,
            instance: label(&settings.name),
            host: host.clone(),
            port: address.port(),
            address: Some(address.ip()).filter(|ip| !ip.is_unspecified()),
            // A box that looks for a hub passes over brokers without this product.
            properties: [("product", "lockstep".to_owned()), ("version", settings.version.clone())]
                .into_iter()
                .chain([("tls", u8::from(*tls).to_string())])
                .chain(properties)
                .collect(),
        };
    let open = |listener: &&(SocketAddr, bool)| !listener.0.ip().is_loopback();
    let mqtt = settings.mqtt.iter().filter(open).map(|listener| {
        let service_type = if listener.1 { "_secure-mqtt._tcp.local." } else { "_mqtt._tcp.local." };
        service(service_type, listener, vec![("root", settings.root.clone()), ("mqtt", "3.1.1,5".to_owned())])
    });
    let http = settings.http.iter().filter(open).map(|listener| {
        let service_type = if listener.1 { "_https._tcp.local." } else { "_http._tcp.local." };
        let path = if settings.path.is_empty() { "/" } else { &settings.path };
        service(service_type, listener, vec![("path", path.to_owned())])
    });
    let mut services: Vec<Service> = mqtt.chain(http).collect();
    // Two listeners of one kind, such as IPv4 and IPv6, are one service where they share the port.
    services.dedup_by(|a, b| {
        (a.service_type, a.port) == (b.service_type, b.port) && a.address.is_none() == b.address.is_none()
    });
    services
}

/// The services, told of for as long as this lives.
pub struct Advertisement {
    daemon: ServiceDaemon,
}

impl std::fmt::Debug for Advertisement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Advertisement")
    }
}

impl Advertisement {
    /// Takes the services back and ends.
    pub async fn stop(self) {
        if let Ok(ended) = self.daemon.shutdown() {
            // A network that takes no farewell forgets the services by their time to live.
            let _ = tokio::time::timeout(STOP_WITHIN, ended.recv_async()).await;
        }
    }
}

/// Tells the network of the hub's services; none where there is nothing to tell. That it cannot be told is logged, and no reason
/// not to serve.
#[must_use]
pub fn start(settings: &Settings) -> Option<Advertisement> {
    let services = services(settings);
    if services.is_empty() {
        return None;
    }
    let daemon = ServiceDaemon::new().and_then(|daemon| {
        daemon.disable_interface(vec![IfKind::LoopbackV4, IfKind::LoopbackV6])?;
        Ok(daemon)
    });
    match daemon.and_then(|daemon| tell(daemon, &services)) {
        Ok(advertisement) => Some(advertisement),
        Err(e) => {
            tracing::warn!("the hub cannot be found by mDNS: {e}");
            None
        }
    }
}

fn tell(daemon: ServiceDaemon, services: &[Service]) -> mdns_sd::Result<Advertisement> {
    for service in services {
        let properties: Vec<(&str, &str)> =
            service.properties.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let addresses: Vec<IpAddr> = service.address.into_iter().collect();
        let (kind, instance, host) = (service.service_type, &service.instance, &service.host);
        let mut info = ServiceInfo::new(kind, instance, host, &addresses[..], service.port, &properties[..])?;
        if service.address.is_none() {
            // The addresses of all interfaces, also those that the machine gets later.
            info = info.enable_addr_auto();
        }
        daemon.register(info)?;
        tracing::info!(service = kind, port = service.port, "the hub can be found by mDNS as {instance}");
    }
    Ok(Advertisement { daemon })
}

/// `text` as one label: never empty, at most 63 bytes, cut between characters.
fn label(text: &str) -> String {
    let mut end = text.len().min(LABEL_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let label = text[..end].trim_matches(['-', ' ']);
    if label.is_empty() { "lockstep".to_owned() } else { label.to_owned() }
}

#[cfg(test)]
mod tests;
