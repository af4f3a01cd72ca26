//! The configuration: what people write, checked, and turned into what the parts of the hub take.
//!
//! Doing anything by it does not belong here: nothing is opened, bound or made.

mod http;
mod layers;
mod log;
mod mqtt;
mod raw;

use std::{
    env,
    net::SocketAddr,
    path::{Path, PathBuf},
    thread,
};

pub use layers::{Fault, Overrides};
pub use raw::{Anonymous, LogFormat};
use raw::{Raw, RawDiscovery, RawLink, RawRoom, RawThing};

use crate::{
    discovery,
    domain::{
        hub::{HubSpec, RoomSpec, THINGS_MAX, ThingSpec, is_room_id},
        id::Id,
        topic::Topic,
    },
    engine::EngineLimits,
    link,
};

/// The most threads that may be asked for.
const THREADS_MAX: usize = 64;

/// The annotated default: `config/hub.toml`.
pub const DEFAULT: &str = include_str!("../../config/hub.toml");

/// What `lockstep lan` keeps in the data folder: addresses that other machines can reach. Stronger than the configuration
/// file, weaker than the environment and the command line.
pub const LAN_FILE: &str = "lan.toml";

/// The configuration of a hub, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// What the hub is called by people.
    pub name: String,
    /// The first level of the hub's topics.
    pub root: Id,
    /// How many threads carry messages; at least one.
    pub threads: usize,
    /// Where HTTP listens; never empty.
    pub http_listen: Vec<SocketAddr>,
    /// Whether the environment or the command line says so, which is stronger than what `lockstep lan` writes.
    pub http_listen_is_fixed: bool,
    /// Host names that browsers may use besides this machine's own.
    pub allowed_hosts: Vec<String>,
    /// Other origins whose pages may use the hub.
    pub allowed_origins: Vec<String>,
    /// The path before everything: empty, or with a slash in front and none behind.
    pub base_path: String,
    /// What bounds the HTTP side.
    pub http_limits: crate::http::Limits,
    /// How many tasks write to browsers; at least one.
    pub http_writers: usize,
    /// Where HTTP listens with TLS.
    pub http_listen_tls: Vec<SocketAddr>,
    /// Where MQTT listens.
    pub mqtt_listen: Vec<SocketAddr>,
    /// Whether the environment or the command line says so.
    pub mqtt_listen_is_fixed: bool,
    /// Where MQTT listens with TLS.
    pub mqtt_listen_tls: Vec<SocketAddr>,
    /// How the door behaves, and what bounds it.
    pub mqtt: crate::mqtt::Settings,
    /// The hub's certificate chain.
    pub tls_certificate_file: PathBuf,
    /// The certificate's key.
    pub tls_key_file: PathBuf,
    /// Who signs the certificates that clients must show; none asks for none.
    pub tls_client_ca_file: Option<PathBuf>,
    /// What somebody without a user may do; none where nobody decided.
    pub anonymous: Option<Anonymous>,
    /// The users.
    pub users_file: PathBuf,
    /// Who may use which topic.
    pub acl_file: PathBuf,
    /// Where the hub keeps what must last.
    pub data_dir: PathBuf,
    /// How long finished phases are kept, in days.
    pub history_days: u32,
    /// What bounds the engine.
    pub limits: EngineLimits,
    /// How many rooms there may be.
    pub rooms_max: usize,
    /// Whether the tutorials' clients are served without a change.
    pub socketio_tutorials: bool,
    /// What home automation is told.
    pub discovery: discovery::Settings,
    /// Whether the local network is told by mDNS.
    pub mdns: bool,
    /// The link to another broker, where there is one.
    pub link: Option<link::Settings>,
    /// How much is logged.
    pub log_level: String,
    /// How it is written.
    pub log_format: LogFormat,
    /// The things of a new room.
    pub things: Vec<ThingSpec>,
    /// The rooms.
    pub rooms: Vec<RoomSpec>,
}

impl Config {
    /// Reads the configuration: `overrides` over the environment over `file` over the default.
    ///
    /// # Errors
    /// Every fault, each a line that names the key, the value, what is allowed and where it was set.
    pub fn load(file: Option<&Path>, overrides: &Overrides) -> Result<Self, Vec<Fault>> {
        let mut layers = layers::read(file, overrides)?;
        let mut raw: Raw = layers.merged()?;
        let lan_file = data_dir_of(&raw).join(LAN_FILE);
        if lan_file.is_file() {
            layers.insert_file(&lan_file)?;
            raw = layers.merged()?;
        }
        let mut faults = Vec::new();
        let mut config = Self::check(raw, &mut |key: &str, text: String| faults.push(layers.fault(key, text)));
        config.http_listen_is_fixed = layers.is_set_above_files("http.listen");
        config.mqtt_listen_is_fixed = layers.is_set_above_files("mqtt.listen");
        if faults.is_empty() { Ok(config) } else { Err(faults) }
    }

    fn check(raw: Raw, fault: &mut dyn FnMut(&str, String)) -> Self {
        let root = raw.hub.root.parse().unwrap_or_else(|e| {
            fault("hub.root", format!("{e}"));
            // Only until the fault is reported.
            Id::known("lockstep")
        });
        if raw.hub.name.trim().is_empty() || raw.hub.name.chars().count() > 64 {
            fault("hub.name", "it has 1 to 64 characters".to_owned());
        }
        let http_listen = addresses("http.listen", &raw.http.listen.0, fault);
        if http_listen.is_empty() && raw.http.listen.0.is_empty() {
            fault("http.listen", "at least one address is needed".to_owned());
        }
        let http_limits = http::limits(&raw.http, fault);
        let threads = threads(raw.hub.threads, fault);
        let http_writers = http::writers(&raw.http, threads, fault);
        let http_listen_tls = addresses("http.listen_tls", &raw.http.listen_tls.0, fault);
        let mqtt_listen = addresses("mqtt.listen", &raw.mqtt.listen.0, fault);
        let mqtt_listen_tls = addresses("mqtt.listen_tls", &raw.mqtt.listen_tls.0, fault);
        let mqtt = mqtt::settings(&raw.mqtt, &root, fault);
        let base_path = raw.http.base_path.trim_end_matches('/').to_owned();
        if !(base_path.is_empty() || (base_path.starts_with('/') && !base_path.contains(['?', '#', ' ']))) {
            fault("http.base_path", "a path begins with `/`, as in \"/hub\"".to_owned());
        }
        for origin in &raw.http.allowed_origins {
            if !(origin.starts_with("http://") || origin.starts_with("https://")) || origin.matches('/').count() != 2 {
                fault(
                    "http.allowed_origins",
                    format!("`{origin}` is no origin; one is like \"https://home.example.org\""),
                );
            }
        }
        let limits = EngineLimits {
            client_credit_bytes_max: raw.limits.in_transit_bytes_max,
            retained_topics_max: raw.limits.retained_topics_max,
            retained_bytes_max: raw.limits.retained_bytes_max,
            retained_value_bytes_max: raw.limits.retained_value_bytes_max,
            ..EngineLimits::default()
        };
        if !((1 << 20)..=(1 << 30)).contains(&limits.client_credit_bytes_max) {
            fault("limits.in_transit_bytes_max", "1048576 to 1073741824 is allowed".to_owned());
        }
        if !(1..=1000).contains(&raw.limits.rooms_max) {
            fault("limits.rooms_max", "1 to 1000 is allowed".to_owned());
        }
        if !(1..=36_500).contains(&raw.storage.history_days) {
            fault("storage.history_days", "1 to 36500 is allowed".to_owned());
        }
        if let Err(text) = log::check_level(&raw.log.level) {
            fault("log.level", text);
        }
        let discovery = discovery(&raw.discovery, fault);
        let link = if raw.link.far.is_empty() { None } else { link(&raw.link, &discovery, fault) };
        let things = things("things", &raw.things, fault);
        let rooms = rooms(&raw.rooms, &things, fault);
        let data_dir = data_dir_of(&raw);
        let or_in_data_dir =
            |path: PathBuf, name: &str| if path.as_os_str().is_empty() { data_dir.join(name) } else { path };
        Self {
            name: raw.hub.name,
            root,
            http_listen,
            http_listen_is_fixed: false,
            allowed_hosts: raw.http.allowed_hosts,
            allowed_origins: raw.http.allowed_origins,
            base_path,
            http_limits,
            threads,
            http_writers,
            http_listen_tls,
            mqtt_listen,
            mqtt_listen_is_fixed: false,
            mqtt_listen_tls,
            mqtt,
            tls_certificate_file: or_in_data_dir(raw.tls.certificate_file, "tls/hub.pem"),
            tls_key_file: or_in_data_dir(raw.tls.key_file, "tls/hub.key"),
            tls_client_ca_file: Some(raw.tls.client_ca_file).filter(|path| !path.as_os_str().is_empty()),
            anonymous: raw.security.anonymous.into(),
            users_file: or_in_data_dir(raw.security.users_file, "users"),
            acl_file: or_in_data_dir(raw.security.acl_file, "acl"),
            history_days: raw.storage.history_days,
            limits,
            rooms_max: raw.limits.rooms_max,
            socketio_tutorials: raw.socketio.tutorials,
            discovery,
            mdns: raw.discovery.mdns,
            link,
            log_level: raw.log.level,
            log_format: raw.log.format,
            things,
            rooms,
            data_dir,
        }
    }

    /// What the domain's hub is made from; `boot` is new for each start.
    #[must_use]
    pub fn hub_spec(&self, boot: String) -> HubSpec {
        HubSpec {
            name: self.name.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            root: self.root.clone(),
            boot,
            template: self.things.clone(),
            rooms: self.rooms.clone(),
            rooms_max: self.rooms_max,
        }
    }

    /// Whether only programs on this machine can reach the hub.
    #[must_use]
    pub fn is_loopback_only(&self) -> bool {
        self.listening().all(|address| address.ip().is_loopback())
    }

    /// Every address that the hub listens on.
    pub fn listening(&self) -> impl Iterator<Item = &SocketAddr> {
        self.http_listen.iter().chain(&self.http_listen_tls).chain(&self.mqtt_listen).chain(&self.mqtt_listen_tls)
    }
}

/// How many threads carry messages. A message that goes from one of them to another waits for it to wake; so there are few.
fn threads(asked: usize, fault: &mut dyn FnMut(&str, String)) -> usize {
    match asked {
        0 => thread::available_parallelism().map_or(1, |cores| cores.get().div_ceil(2)),
        asked if asked <= THREADS_MAX => asked,
        _ => {
            fault("hub.threads", format!("0 to {THREADS_MAX} is allowed"));
            1
        }
    }
}

fn addresses(key: &str, texts: &[String], fault: &mut dyn FnMut(&str, String)) -> Vec<SocketAddr> {
    let mut addresses = Vec::new();
    for text in texts {
        // `localhost` is what people type.
        match text.replace("localhost", "127.0.0.1").parse() {
            Ok(address) => addresses.push(address),
            Err(_) => fault(key, format!("`{text}` is no address with a port, such as 127.0.0.1:8080 or [::1]:8080")),
        }
    }
    addresses
}

fn discovery(raw: &RawDiscovery, fault: &mut dyn FnMut(&str, String)) -> discovery::Settings {
    let prefix = Topic::parse(&raw.prefix).unwrap_or_else(|e| {
        fault("discovery.prefix", format!("{e}; \"homeassistant\" is the usual one"));
        // Only until the fault is reported.
        discovery::Settings::default().prefix
    });
    if !(raw.page_url.is_empty() || raw.page_url.starts_with("http://") || raw.page_url.starts_with("https://")) {
        fault("discovery.page_url", "an http:// or https:// address is allowed".to_owned());
    }
    let page_url = Some(raw.page_url.clone()).filter(|url| !url.is_empty());
    discovery::Settings { enabled: raw.enabled, prefix, page_url }
}

fn link(raw: &RawLink, discovery: &discovery::Settings, fault: &mut dyn FnMut(&str, String)) -> Option<link::Settings> {
    let far = raw.far.parse().map_err(|e: crate::address::InvalidAddress| fault("link.far", e.to_string())).ok()?;
    let protocol = link::command::protocol(&raw.protocol).unwrap_or_else(|e| {
        fault("link.protocol", e);
        link::Protocol::default()
    });
    let far_root = Some(raw.far_root.trim_matches('/'))
        .filter(|root| !root.is_empty())
        .and_then(|root| Topic::parse(root).map_err(|e| fault("link.far_root", e.to_string())).ok());
    let file = |path: &PathBuf| Some(path.clone()).filter(|path| !path.as_os_str().is_empty());
    let login = Some(raw.user.clone())
        .filter(|user| !user.is_empty())
        .map(|user| link::Login { user, password_file: file(&raw.password_file) });
    if login.is_none() && !raw.password_file.as_os_str().is_empty() {
        fault("link.password_file", "a password needs a user: set `link.user` too".to_owned());
    }
    let prefix = discovery.prefix.clone();
    Some(link::Settings { login, ca_file: file(&raw.ca_file), protocol, far_root, prefix, ..link::Settings::new(far) })
}

fn things(key: &str, raw: &[RawThing], fault: &mut dyn FnMut(&str, String)) -> Vec<ThingSpec> {
    let mut things: Vec<ThingSpec> = Vec::new();
    if raw.len() > THINGS_MAX {
        fault(key, format!("a room has at most {THINGS_MAX} things"));
    }
    for thing in raw.iter().take(THINGS_MAX) {
        let id: Id = match thing.id.parse() {
            Ok(id) => id,
            Err(e) => {
                fault(key, format!("{e}"));
                continue;
            }
        };
        if id.as_str() == "people" || things.iter().any(|known| known.id == id) {
            fault(key, format!("the id `{id}` is taken"));
        }
        for text in thing.settings.faults() {
            fault(key, format!("of `{id}`, {text}"));
        }
        let name = thing.name.clone().unwrap_or_else(|| thing.id.clone());
        things.push(ThingSpec { id, name, settings: thing.settings.clone() });
    }
    things
}

fn rooms(raw: &[RawRoom], template: &[ThingSpec], fault: &mut dyn FnMut(&str, String)) -> Vec<RoomSpec> {
    let mut rooms: Vec<RoomSpec> = Vec::new();
    for room in raw {
        let id: Id = match room.id.parse() {
            Ok(id) => id,
            Err(e) => {
                fault("rooms", format!("{e}"));
                continue;
            }
        };
        if !is_room_id(&id) || rooms.iter().any(|known| known.id == id) {
            fault("rooms", format!("the id `{id}` is taken"));
        }
        let things = room.things.as_ref().map_or_else(|| template.to_vec(), |list| things("rooms", list, fault));
        let name = room.name.clone().unwrap_or_else(|| room.id.clone());
        rooms.push(RoomSpec { id, name, things });
    }
    if rooms.is_empty() {
        fault("rooms", "at least one room is needed".to_owned());
    }
    rooms
}

fn data_dir_of(raw: &Raw) -> PathBuf {
    if raw.storage.data_dir.as_os_str().is_empty() { default_data_dir() } else { raw.storage.data_dir.clone() }
}

/// `lockstep` in the folder that systemd gives a service, else in the user's data folder (XDG base directories).
#[must_use]
pub fn default_data_dir() -> PathBuf {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(folder) = set("STATE_DIRECTORY") {
        return folder;
    }
    match (set("XDG_DATA_HOME"), set("HOME")) {
        (Some(data), _) => data.join("lockstep"),
        (None, Some(home)) => home.join(".local/share/lockstep"),
        (None, None) => PathBuf::from("lockstep-data"),
    }
}

#[cfg(test)]
mod tests;
