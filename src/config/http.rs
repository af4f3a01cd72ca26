//! What the configuration says of the HTTP side: its limits, and how many write to browsers.

use std::time::Duration;

use super::raw::RawHttp;
use crate::{http::Limits, policy::LoginLimits};

/// The most writers that are taken by themselves: more threads than that are for others.
const WRITERS_DEFAULT_MAX: usize = 4;
/// The most writers that may be asked for.
const WRITERS_MAX: usize = 64;

/// What bounds the HTTP side.
pub(super) fn limits(raw: &RawHttp, fault: &mut dyn FnMut(&str, String)) -> Limits {
    let limits = &raw.limits;
    let mut check = |key: &str, value: u64, least: u64, most: u64| {
        if !(least..=most).contains(&value) {
            fault(&format!("http.limits.{key}"), format!("{least} to {most} is allowed"));
        }
    };
    check("connections_max", limits.connections_max as u64, 1, 1_000_000);
    check("browsers_max", limits.browsers_max as u64, 1, 1_000_000);
    check("message_bytes_max", limits.message_bytes_max as u64, 1_024, 16 << 20);
    check("filters_max", limits.filters_max as u64, 1, 10_000);
    check("logins_max", limits.logins_max as u64, 1, 1_000_000);
    check("logins_per_user_max", limits.logins_per_user_max as u64, 1, 1_000_000);
    check("frames_per_second_max", limits.frames_per_second_max.into(), 1, 1_000_000);
    check("slider_interval_ms", limits.slider_interval_ms, 1, 10_000);
    check("header_timeout_ms", limits.header_timeout_ms, 100, 600_000);
    check("stall_max_ms", limits.stall_max_ms, 100, 600_000);
    Limits {
        connections_max: limits.connections_max,
        browsers_max: limits.browsers_max,
        frame_bytes_max: limits.message_bytes_max,
        filters_max: limits.filters_max,
        logins: LoginLimits { logins_max: limits.logins_max, per_user_max: limits.logins_per_user_max },
        publishes_per_second_max: limits.frames_per_second_max,
        slider_interval: Duration::from_millis(limits.slider_interval_ms),
        header_read_timeout: Duration::from_millis(limits.header_timeout_ms),
        stall_max: Duration::from_millis(limits.stall_max_ms),
        ..Limits::default()
    }
}

/// How many tasks write to browsers, in a hub with `threads`; at least one.
pub(super) fn writers(raw: &RawHttp, threads: usize, fault: &mut dyn FnMut(&str, String)) -> usize {
    match raw.writers {
        0 => threads.min(WRITERS_DEFAULT_MAX),
        asked if asked <= WRITERS_MAX => asked,
        _ => {
            fault("http.writers", format!("0 to {WRITERS_MAX} is allowed"));
            1
        }
    }
}
