//! What the door may be told by the configuration, and what bounds it.

use std::time::Duration;

use crate::domain::topic::Filter;

/// How the door behaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The first level of the hub's own topics.
    pub root: String,
    /// Which start of the hub this is; v5 clients are told. Empty where there is nothing to tell.
    pub boot: String,
    /// The keep-alive that v5 clients are told to use instead of a longer one of their own, or of none; [`None`] leaves it to them.
    pub server_keep_alive: Option<Duration>,
    /// Filters that nobody may subscribe to; wider ones do not bring their topics.
    pub forbidden_filters: Vec<Filter>,
    /// What bounds it.
    pub limits: Limits,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            root: "lockstep".to_owned(),
            boot: String::new(),
            server_keep_alive: None,
            forbidden_filters: Vec::new(),
            limits: Limits::default(),
        }
    }
}

/// What bounds the door: the keys of `[mqtt.limits]`.
///
/// `lockstep_mqtt_limit_total{limit="…"}` tells how often each was met. Its label is the key without `_max` and its unit, but for:
/// `filter` and `topic` (their bytes and levels), `filters` (of one session and of all), `queue` (messages and bytes, of one client and
/// of all), `router_log` (a session that the router's segments lapped), `router_lag` (sessions that the writer waited for in vain).
/// `inflight_max` and `ring_bytes_max` are met all the time: what is in flight waits, the ring forgets its oldest.
/// Met without a key: `client_packet_size` and `rights_withdrawn` (the client's and the rules' doing), `takeovers` (16 at once),
/// `shared_group` (10,000 messages that no member takes).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Connections in total.
    pub connections_max: usize,
    /// Connections from one address; loopback is not counted.
    pub connections_per_address_max: usize,
    /// Sessions, those without a connection included.
    pub sessions_max: usize,
    /// How long a connection may take until its CONNECT is complete, TLS and WebSocket handshakes included.
    pub connect_timeout: Duration,
    /// Bytes of the first packet.
    pub connect_bytes_max: usize,
    /// Bytes of every later packet.
    pub packet_bytes_max: u32,
    /// Bytes of a client id.
    pub client_id_bytes_max: usize,
    /// Filters of one session.
    pub filters_per_session_max: usize,
    /// Filters of all sessions.
    pub filters_max: usize,
    /// Bytes of a topic or filter.
    pub topic_bytes_max: usize,
    /// Levels of a topic or filter.
    pub topic_levels_max: usize,
    /// QoS 1 and 2 publishes that a client may have unacknowledged.
    pub receive_maximum: u16,
    /// QoS 1 and 2 messages that are sent to a client before it acknowledges one.
    pub inflight_max: u16,
    /// Topic aliases that a client may use.
    pub topic_alias_max: u16,
    /// Messages that wait for a client, connected or not.
    pub queue_messages_max: usize,
    /// Bytes that wait for a client.
    pub queue_bytes_max: usize,
    /// Bytes that wait for all clients together.
    pub queue_bytes_total_max: usize,
    /// Publishes that one client gets through in a second; more have to wait.
    pub publishes_per_second_max: u32,
    /// How long a session may outlive its connection, whatever it asks for.
    pub session_expiry_max: Duration,
    /// How long publishers wait at a time for one reader that is slow but moving; after that it loses its own messages. A reader that
    /// comes down to a small rest within it may hold them again.
    pub reader_patience: Duration,
    /// How long a reader's socket may stand still before publishers stop waiting for it.
    pub reader_stall: Duration,
    /// How long a client that must go gets to take what is left for it.
    pub goodbye_timeout: Duration,
    /// How long the router may take for a round trip before it is replaced.
    pub router_timeout: Duration,
    /// Bytes of one segment of the router's log of a filter.
    pub router_segment_bytes: usize,
    /// Segments of the router's log of a filter.
    pub router_segments: usize,
    /// Filters and topics that a router has seen before it is replaced: it never forgets one.
    pub router_names_max: usize,
    /// Bytes of QoS 1 and 2 messages that are kept for sessions whose router died.
    pub ring_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 10_000,
            connections_per_address_max: 1_000,
            sessions_max: 20_000,
            connect_timeout: Duration::from_secs(10),
            connect_bytes_max: 64 << 10,
            packet_bytes_max: 1 << 20,
            client_id_bytes_max: 256,
            filters_per_session_max: 1_000,
            filters_max: 100_000,
            topic_bytes_max: 4_096,
            topic_levels_max: 64,
            receive_maximum: 100,
            inflight_max: 100,
            topic_alias_max: 32,
            queue_messages_max: 100_000,
            queue_bytes_max: 32 << 20,
            queue_bytes_total_max: 256 << 20,
            publishes_per_second_max: 1_000_000,
            session_expiry_max: Duration::from_secs(30 * 24 * 3600),
            reader_patience: Duration::from_secs(1),
            reader_stall: Duration::from_millis(200),
            goodbye_timeout: Duration::from_secs(2),
            router_timeout: Duration::from_millis(500),
            router_segment_bytes: 1 << 20,
            router_segments: 4,
            router_names_max: 500_000,
            ring_bytes_max: 8 << 20,
        }
    }
}

/// Counts that `limit` was met.
pub(super) fn limit_met(limit: &'static str) {
    limit_met_times(limit, 1);
}

/// Counts that `limit` was met so many times. Finding the counter costs more than a message does: what happens to every message
/// is told for many at once.
pub(super) fn limit_met_times(limit: &'static str, times: u64) {
    metrics::counter!("lockstep_mqtt_limit_total", "limit" => limit).increment(times);
}
