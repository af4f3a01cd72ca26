//! The configuration as people write it: one struct a section, nothing clever.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::domain::things::Settings;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Raw {
    pub(super) hub: RawHub,
    pub(super) http: RawHttp,
    pub(super) mqtt: RawMqtt,
    pub(super) tls: RawTls,
    pub(super) security: RawSecurity,
    pub(super) storage: RawStorage,
    pub(super) limits: RawLimits,
    pub(super) socketio: RawSocketIo,
    pub(super) discovery: RawDiscovery,
    pub(super) link: RawLink,
    pub(super) log: RawLog,
    pub(super) things: Vec<RawThing>,
    pub(super) rooms: Vec<RawRoom>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawHub {
    pub(super) name: String,
    pub(super) root: String,
    pub(super) threads: usize,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawHttp {
    pub(super) listen: OneOrMany,
    pub(super) listen_tls: OneOrMany,
    pub(super) allowed_hosts: Vec<String>,
    pub(super) allowed_origins: Vec<String>,
    pub(super) base_path: String,
    pub(super) writers: usize,
    pub(super) limits: RawHttpLimits,
}

/// What bounds the HTTP side; durations have their unit in the name.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawHttpLimits {
    pub(super) connections_max: usize,
    pub(super) browsers_max: usize,
    pub(super) message_bytes_max: usize,
    pub(super) filters_max: usize,
    pub(super) logins_max: usize,
    pub(super) logins_per_user_max: usize,
    pub(super) frames_per_second_max: u32,
    pub(super) slider_interval_ms: u64,
    pub(super) header_timeout_ms: u64,
    pub(super) stall_max_ms: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawMqtt {
    pub(super) listen: OneOrMany,
    pub(super) listen_tls: OneOrMany,
    pub(super) server_keep_alive_seconds: u16,
    pub(super) forbidden_filters: Vec<String>,
    pub(super) limits: RawMqttLimits,
}

/// What bounds the door; durations have their unit in the name.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawMqttLimits {
    pub(super) connections_max: usize,
    pub(super) connections_per_address_max: usize,
    pub(super) sessions_max: usize,
    pub(super) connect_timeout_ms: u64,
    pub(super) connect_bytes_max: usize,
    pub(super) packet_bytes_max: u32,
    pub(super) client_id_bytes_max: usize,
    pub(super) filters_per_session_max: usize,
    pub(super) filters_max: usize,
    pub(super) topic_bytes_max: usize,
    pub(super) topic_levels_max: usize,
    pub(super) receive_maximum: u16,
    pub(super) inflight_max: u16,
    pub(super) topic_alias_max: u16,
    pub(super) queue_messages_max: usize,
    pub(super) queue_bytes_max: usize,
    pub(super) queue_bytes_total_max: usize,
    pub(super) publishes_per_second_max: u32,
    pub(super) session_expiry_max_seconds: u64,
    pub(super) reader_patience_ms: u64,
    pub(super) reader_stall_ms: u64,
    pub(super) goodbye_timeout_ms: u64,
    pub(super) router_timeout_ms: u64,
    pub(super) router_segment_bytes: usize,
    pub(super) router_segments: usize,
    pub(super) router_names_max: usize,
    pub(super) ring_bytes_max: usize,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTls {
    pub(super) certificate_file: PathBuf,
    pub(super) key_file: PathBuf,
    pub(super) client_ca_file: PathBuf,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSecurity {
    pub(super) anonymous: RawAnonymous,
    pub(super) users_file: PathBuf,
    pub(super) acl_file: PathBuf,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawStorage {
    pub(super) data_dir: PathBuf,
    pub(super) history_days: u32,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLimits {
    pub(super) in_transit_bytes_max: u32,
    pub(super) retained_topics_max: usize,
    pub(super) retained_bytes_max: usize,
    pub(super) retained_value_bytes_max: usize,
    pub(super) rooms_max: usize,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSocketIo {
    pub(super) tutorials: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawDiscovery {
    pub(super) enabled: bool,
    pub(super) prefix: String,
    pub(super) page_url: String,
    pub(super) mdns: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLink {
    pub(super) far: String,
    pub(super) user: String,
    pub(super) password_file: PathBuf,
    pub(super) ca_file: PathBuf,
    pub(super) protocol: String,
    pub(super) far_root: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLog {
    pub(super) level: String,
    pub(super) format: LogFormat,
}

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// What somebody without a user may do where other machines can reach the hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Anonymous {
    /// Nothing.
    None,
    /// Read.
    Viewer,
    /// Read, and move things.
    Member,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum RawAnonymous {
    #[serde(rename = "")]
    Undecided,
    None,
    Viewer,
    Member,
}

impl From<RawAnonymous> for Option<Anonymous> {
    fn from(raw: RawAnonymous) -> Self {
        match raw {
            RawAnonymous::Undecided => None,
            RawAnonymous::None => Some(Anonymous::None),
            RawAnonymous::Viewer => Some(Anonymous::Viewer),
            RawAnonymous::Member => Some(Anonymous::Member),
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct RawThing {
    pub(super) id: String,
    pub(super) name: Option<String>,
    #[serde(flatten)]
    pub(super) settings: Settings,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRoom {
    pub(super) id: String,
    pub(super) name: Option<String>,
    pub(super) things: Option<Vec<RawThing>>,
}

/// A list, or its only element.
#[derive(Debug, Clone, Deserialize)]
#[serde(from = "OneOrManyForm")]
pub(super) struct OneOrMany(pub(super) Vec<String>);

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrManyForm {
    One(String),
    Many(Vec<String>),
}

impl From<OneOrManyForm> for OneOrMany {
    fn from(form: OneOrManyForm) -> Self {
        match form {
            OneOrManyForm::One(text) if text.trim().is_empty() => Self(Vec::new()),
            OneOrManyForm::One(text) => Self(text.split(',').map(|part| part.trim().to_owned()).collect()),
            OneOrManyForm::Many(list) => Self(list),
        }
    }
}
