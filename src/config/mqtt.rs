//! The door's part of the configuration.

use std::time::Duration;

use super::raw::{RawMqtt, RawMqttLimits};
use crate::{
    domain::{id::Id, topic::Filter},
    mqtt::{Limits, Settings},
};

pub(super) fn settings(raw: &RawMqtt, root: &Id, fault: &mut dyn FnMut(&str, String)) -> Settings {
    let mut forbidden_filters = Vec::new();
    for text in &raw.forbidden_filters {
        match Filter::parse(text) {
            Ok(filter) => forbidden_filters.push(filter),
            Err(e) => fault("mqtt.forbidden_filters", format!("`{text}` is no filter: {e}")),
        }
    }
    Settings {
        root: root.to_string(),
        // New at each start.
        boot: String::new(),
        server_keep_alive: Some(raw.server_keep_alive_seconds)
            .filter(|seconds| *seconds > 0)
            .map(|seconds| Duration::from_secs(seconds.into())),
        forbidden_filters,
        limits: limits(&raw.limits, fault),
    }
}

fn limits(raw: &RawMqttLimits, fault: &mut dyn FnMut(&str, String)) -> Limits {
    let mut check = |key: &str, value: u64, least: u64, most: u64| {
        if !(least..=most).contains(&value) {
            fault(&format!("mqtt.limits.{key}"), format!("{least} to {most} is allowed"));
        }
    };
    check("connections_max", raw.connections_max as u64, 1, 1000000);
    check("connections_per_address_max", raw.connections_per_address_max as u64, 1, 1000000);
    check("sessions_max", raw.sessions_max as u64, 1, 1000000);
    check("connect_timeout_ms", raw.connect_timeout_ms, 100, 600000);
    check("connect_bytes_max", raw.connect_bytes_max as u64, 256, 1048576);
    check("packet_bytes_max", raw.packet_bytes_max.into(), 1024, 268435455);
    check("client_id_bytes_max", raw.client_id_bytes_max as u64, 23, 65535);
    check("filters_per_session_max", raw.filters_per_session_max as u64, 1, 1000000);
    check("filters_max", raw.filters_max as u64, 1, 10000000);
    check("topic_bytes_max", raw.topic_bytes_max as u64, 32, 65535);
    check("topic_levels_max", raw.topic_levels_max as u64, 4, 32768);
    check("receive_maximum", raw.receive_maximum.into(), 1, 65535);
    check("inflight_max", raw.inflight_max.into(), 1, 65535);
    check("queue_messages_max", raw.queue_messages_max as u64, 1, 100000000);
    check("queue_bytes_max", raw.queue_bytes_max as u64, 65536, 1099511627776);
    check("queue_bytes_total_max", raw.queue_bytes_total_max as u64, 65536, 1099511627776);
    check("publishes_per_second_max", raw.publishes_per_second_max.into(), 1, 4294967295);
    check("session_expiry_max_seconds", raw.session_expiry_max_seconds, 0, 4294967295);
    check("reader_patience_ms", raw.reader_patience_ms, 0, 60000);
    check("reader_stall_ms", raw.reader_stall_ms, 10, 60000);
    check("goodbye_timeout_ms", raw.goodbye_timeout_ms, 0, 60000);
    check("router_timeout_ms", raw.router_timeout_ms, 50, 60000);
    check("router_segment_bytes", raw.router_segment_bytes as u64, 65536, 1073741824);
    check("router_segments", raw.router_segments as u64, 2, 1024);
    check("router_names_max", raw.router_names_max as u64, 1000, 100000000);
    check("ring_bytes_max", raw.ring_bytes_max as u64, 65536, 4294967296);
    if raw.queue_bytes_max > raw.queue_bytes_total_max {
        fault("mqtt.limits.queue_bytes_max", "one client's part cannot be more than queue_bytes_total_max".to_owned());
    }
    Limits {
        connections_max: raw.connections_max,
        connections_per_address_max: raw.connections_per_address_max,
        sessions_max: raw.sessions_max,
        connect_timeout: Duration::from_millis(raw.connect_timeout_ms),
        connect_bytes_max: raw.connect_bytes_max,
        packet_bytes_max: raw.packet_bytes_max,
        client_id_bytes_max: raw.client_id_bytes_max,
        filters_per_session_max: raw.filters_per_session_max,
        filters_max: raw.filters_max,
        topic_bytes_max: raw.topic_bytes_max,
        topic_levels_max: raw.topic_levels_max,
        receive_maximum: raw.receive_maximum,
        inflight_max: raw.inflight_max,
        topic_alias_max: raw.topic_alias_max,
        queue_messages_max: raw.queue_messages_max,
        queue_bytes_max: raw.queue_bytes_max,
        queue_bytes_total_max: raw.queue_bytes_total_max,
        publishes_per_second_max: raw.publishes_per_second_max,
        session_expiry_max: Duration::from_secs(raw.session_expiry_max_seconds),
        reader_patience: Duration::from_millis(raw.reader_patience_ms),
        reader_stall: Duration::from_millis(raw.reader_stall_ms),
        goodbye_timeout: Duration::from_millis(raw.goodbye_timeout_ms),
        router_timeout: Duration::from_millis(raw.router_timeout_ms),
        router_segment_bytes: raw.router_segment_bytes,
        router_segments: raw.router_segments,
        router_names_max: raw.router_names_max,
        ring_bytes_max: raw.ring_bytes_max,
    }
}
