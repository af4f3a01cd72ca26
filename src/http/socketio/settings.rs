//! How the Socket.IO edge is set up, and what bounds it.
//!
//! Reading files and environment does not belong here.

use std::time::Duration;

/// How the Socket.IO edge is set up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Whether the tutorials' clients shall work without an edit: opens [`tutorial_ports`](Self::tutorial_ports), and lets pages
    /// of local development in (`http://localhost:*`, `null`); others have to be
    /// among the HTTP side's allowed origins.
    pub tutorials: bool,
    /// The ports that the tutorials' clients have built in; opened on the loopback addresses alone.
    pub tutorial_ports: Vec<u16>,
    /// What bounds it.
    pub limits: Limits,
}

impl Default for Settings {
    fn default() -> Self {
        Self { tutorials: false, tutorial_ports: vec![3000, 5000], limits: Limits::default() }
    }
}

/// What bounds the Socket.IO edge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Sessions at a time, those that have not finished their handshake included.
    pub connections_max: usize,
    /// Events a second that one client may send, on average over [`EVENTS_BURST_SECONDS`]. Above it a slider still follows,
    /// in larger steps, and other events are rejected as `rate_limited`.
    pub events_per_second_max: u32,
    /// Events of one client that wait for the hub; slider values do not count, the newest of each slider waits.
    pub events_pending_max: usize,
    /// Bytes of one message over WebSocket.
    pub message_bytes_max: usize,
    /// Bytes of one HTTP request or answer of long-polling, which may carry several messages.
    pub polling_bytes_max: u64,
    /// Packets that wait for one client. When there is no room, it gets the newest values later instead.
    pub packets_pending_max: usize,
    /// How long a client may take from its handshake to its namespace.
    pub connect_timeout: Duration,
    /// How often a client is asked whether it is still there.
    pub ping_interval: Duration,
    /// How long it may take to answer.
    pub ping_timeout: Duration,
}

/// How many seconds' worth of events a client may send at once after it was quiet.
pub const EVENTS_BURST_SECONDS: u32 = 2;

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 512,
            events_per_second_max: 200,
            events_pending_max: 16,
            message_bytes_max: 16 << 10,
            polling_bytes_max: 64 << 10,
            packets_pending_max: 64,
            connect_timeout: Duration::from_secs(10),
            ping_interval: Duration::from_secs(25),
            ping_timeout: Duration::from_secs(20),
        }
    }
}
