//! What the HTTP side is set up with.
//!
//! Reading configuration files does not belong here; the defaults do.

use std::{fmt, net::SocketAddr, pin::Pin, sync::Arc, time::Duration};

use axum::http::HeaderMap;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};

use crate::{
    domain::history::{HistoryPage, HistoryQuery},
    policy::{LoginLimits, Logins, Policy},
};

/// What bounds the HTTP side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Connections at a time, of every kind.
    pub connections_max: usize,
    /// WebSockets and event streams at a time.
    pub browsers_max: usize,
    /// Bytes of one message of a browser, and of the body of one request.
    pub frame_bytes_max: usize,
    /// Filters that one browser may subscribe to.
    pub filters_max: usize,
    /// How many may be logged in, and how often one user.
    pub logins: LoginLimits,
    /// Frames that one browser may send in a second, on average; so many at once too.
    pub publishes_per_second_max: u32,
    /// How often a slider of the dashboard sends while it is dragged.
    pub slider_interval: Duration,
    /// How long a request's head may take.
    pub header_read_timeout: Duration,
    /// How long a browser may take nothing at all while something waits for it.
    pub stall_max: Duration,
    /// How long connections may take to end when the hub stops.
    pub stop_max: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 20_000,
            browsers_max: 10_000,
            frame_bytes_max: 64 << 10,
            filters_max: 64,
            logins: LoginLimits::default(),
            publishes_per_second_max: 200,
            slider_interval: Duration::from_millis(50),
            header_read_timeout: Duration::from_secs(10),
            stall_max: Duration::from_secs(10),
            stop_max: Duration::from_secs(4),
        }
    }
}

/// What the HTTP side is set up with.
#[derive(Clone)]
pub struct Settings {
    /// What the hub is called by people.
    pub name: String,
    /// The hub's version.
    pub version: String,
    /// The first level of the hub's own topics.
    pub root: String,
    /// The id of this start of the hub.
    pub boot: String,
    /// The path below which everything is served besides `/`: for a reverse proxy that passes its prefix on, such as `/hub/`.
    pub base_path: String,
    /// Further values of `Host` that are accepted, with or without a port.
    pub allowed_hosts: Vec<String>,
    /// Further values of `Origin` that are accepted, such as `https://panel.example`.
    pub allowed_origins: Vec<String>,
    /// Who may do what.
    pub policy: Policy,
    /// Who is logged in.
    pub logins: Logins,
    /// Writes down what changed of them; without it they end with the hub.
    pub keep_logins: Option<LoginKeeper>,
    /// Takes the code of an invitation, once, and returns the user who is invited.
    pub invitations: Option<InvitationTaker>,
    /// What bounds it.
    pub limits: Limits,
    /// Takes over MQTT connections that come as WebSockets at `/mqtt`; without it there is no such address.
    pub mqtt_ws: Option<MqttAcceptor>,
    /// Sends something through the MQTT router and back, for `/readyz`; an error says why that did not work.
    pub router_probe: Option<RouterProbe>,
    /// Where finished phases are kept; without it nothing is.
    pub history: Option<HistorySource>,
    /// Writes the figures of `/metrics` in Prometheus' text format; without it there is no such address.
    pub metrics: Option<MetricsText>,
}

impl Settings {
    /// The settings of a hub that is configured in nothing but who may do what.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        Self {
            name: "Lockstep".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            root: "lockstep".to_owned(),
            boot: "0".to_owned(),
            base_path: "/".to_owned(),
            allowed_hosts: Vec::new(),
            allowed_origins: Vec::new(),
            policy,
            logins: Logins::default(),
            keep_logins: None,
            invitations: None,
            limits: Limits::default(),
            mqtt_ws: None,
            router_probe: None,
            history: None,
            metrics: None,
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("name", &self.name)
            .field("base_path", &self.base_path)
            .field("allowed_hosts", &self.allowed_hosts)
            .field("allowed_origins", &self.allowed_origins)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// Bytes both ways, whatever carries them.
pub trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> ByteStream for T {}

/// An MQTT connection that came as a WebSocket.
pub struct MqttConnection {
    /// The MQTT bytes, without their WebSocket frames.
    pub stream: Box<dyn ByteStream>,
    /// Who is at the other end.
    pub peer: SocketAddr,
    /// The headers of the request, which may carry credentials.
    pub headers: Vec<(String, Vec<u8>)>,
}

impl fmt::Debug for MqttConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MqttConnection").field("peer", &self.peer).finish_non_exhaustive()
    }
}

impl MqttConnection {
    pub(in crate::http) fn new(stream: Box<dyn ByteStream>, peer: SocketAddr, headers: &HeaderMap) -> Self {
        let headers = headers.iter().map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()));
        Self { stream, peer, headers: headers.collect() }
    }
}

/// What runs an MQTT connection; its future ends with the connection.
pub type MqttAcceptor = Arc<dyn Fn(MqttConnection) -> BoxFuture<()> + Send + Sync>;

/// What makes an encrypted stream of a socket.
pub type TlsAcceptor = Arc<dyn Fn(TcpStream) -> BoxFuture<std::io::Result<Box<dyn ByteStream>>> + Send + Sync>;

/// What takes the code of an invitation.
pub type InvitationTaker = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// What writes down the changes of the logins; its future ends when they are on disk, or says in a sentence why not.
pub type LoginKeeper = Arc<dyn Fn() -> BoxFuture<Result<(), String>> + Send + Sync>;

/// What goes through the MQTT router and back.
pub type RouterProbe = Arc<dyn Fn() -> BoxFuture<Result<(), String>> + Send + Sync>;

/// Where finished phases are read, and forgotten with their room. An error is one sentence.
#[derive(Clone)]
pub struct HistorySource {
    /// Reads what is asked for.
    pub read: Arc<dyn Fn(HistoryQuery) -> BoxFuture<Result<HistoryPage, String>> + Send + Sync>,
    /// Forgets everything of the room with that id.
    pub forget_room: Arc<dyn Fn(String) -> BoxFuture<Result<(), String>> + Send + Sync>,
}

impl fmt::Debug for HistorySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HistorySource")
    }
}

/// What writes all figures as text.
pub type MetricsText = Arc<dyn Fn() -> String + Send + Sync>;

/// A future that somebody else wrote.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;
