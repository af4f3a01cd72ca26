//! Whom a browser may come from: `Host` and `Origin`.
//!
//! A page of somebody else's must not reach the hub with the help of a visitor's browser, be it by its own name for the hub's
//! address (DNS rebinding) or across origins. Clients that are no browsers send no `Origin` and pass. Logging in does not
//! belong here.

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
    sync::{Mutex, PoisonError},
};

use axum::http::{HeaderMap, HeaderName, header};

use super::settings::Settings;

/// How many refused values are told in the log, so that a scanner does not fill it.
const TOLD_MAX: usize = 100;
/// The most characters of a refused value that are shown.
const SHOWN_CHARS_MAX: usize = 100;

/// Knows which values of `Host` and `Origin` are fine.
#[derive(Debug)]
pub(super) struct Guard {
    hosts: BTreeSet<String>,
    origins: BTreeSet<String>,
    told: Mutex<BTreeSet<String>>,
}

/// Why a request is refused: what to add to the configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{header} `{value}` is not allowed here; to allow it, add to the configuration: {line}")]
pub(super) struct Refused {
    header: &'static str,
    value: String,
    line: String,
}

impl Guard {
    pub(super) fn new(settings: &Settings) -> Self {
        let own = rustix::system::uname().nodename().to_string_lossy().to_lowercase();
        let mut hosts: BTreeSet<String> = settings.allowed_hosts.iter().map(|host| host.to_lowercase()).collect();
        hosts.insert("localhost".to_owned());
        if !own.is_empty() {
            let short = own.split('.').next().unwrap_or(&own);
            hosts.insert(format!("{short}.local"));
            hosts.insert(own);
        }
        let trim = |origin: &String| origin.trim_end_matches('/').to_lowercase();
        Self { hosts, origins: settings.allowed_origins.iter().map(trim).collect(), told: Mutex::default() }
    }

    /// Checks the `Host` of a request that came in at `local`.
    ///
    /// # Errors
    /// Says what to add to the configuration.
    pub(super) fn check_host(&self, headers: &HeaderMap, local: SocketAddr) -> Result<(), Refused> {
        let host = value(headers, &header::HOST).to_lowercase();
        let name = without_port(&host);
        let is_own = match name.trim_matches(['[', ']']).parse::<IpAddr>() {
            Ok(ip) => ip.is_loopback() || ip == local.ip().to_canonical(),
            Err(_) => name.ends_with(".localhost") || self.hosts.contains(name),
        };
        // The whole value too: a port may be part of what is allowed.
        if is_own || self.hosts.contains(&host) || self.hosts.contains(name) {
            return Ok(());
        }
        Err(self.refused("Host", "http.allowed_hosts", name))
    }

    /// Checks the `Origin` of a request, where it has one.
    ///
    /// # Errors
    /// Says what to add to the configuration.
    pub(super) fn check_origin(&self, headers: &HeaderMap) -> Result<(), Refused> {
        if !headers.contains_key(header::ORIGIN) {
            return Ok(());
        }
        let origin = value(headers, &header::ORIGIN).to_lowercase();
        let host = value(headers, &header::HOST).to_lowercase();
        let same = ["http://", "https://"].iter().any(|scheme| {
            origin.strip_prefix(scheme).is_some_and(|authority| {
                let port = if *scheme == "http://" { ":80" } else { ":443" };
                let plain = |text: &str| text.strip_suffix(port).unwrap_or(text).to_owned();
                !authority.is_empty() && plain(authority) == plain(&host)
            })
        });
        if same || self.origins.contains(&origin) {
            return Ok(());
        }
        Err(self.refused("Origin", "http.allowed_origins", &origin))
    }

    fn refused(&self, header: &'static str, key: &str, value: &str) -> Refused {
        let value: String = value.chars().filter(|c| !c.is_control()).take(SHOWN_CHARS_MAX).collect();
        let refused = Refused { header, line: format!("{key} = [{}]", serde_json::json!(value)), value };
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() < TOLD_MAX && told.insert(refused.line.clone()) {
            tracing::warn!("{refused}");
        }
        refused
    }
}

/// The header's only value; empty when there is none, several, or one that is no text.
fn value<'a>(headers: &'a HeaderMap, name: &HeaderName) -> &'a str {
    let mut all = headers.get_all(name).iter();
    match (all.next(), all.next()) {
        (Some(value), None) => value.to_str().unwrap_or(""),
        _ => "",
    }
}

fn without_port(host: &str) -> &str {
    if host.starts_with('[') {
        return host.find(']').map_or(host, |end| &host[..=end]);
    }
    host.rsplit_once(':').map_or(host, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn open_policy() -> crate::policy::Policy {
        let none = std::path::PathBuf::from("/nonexistent");
        let settings = crate::policy::Settings {
            root: "lockstep".parse().expect("id"),
            loopback_only: true,
            anonymous: None,
            users_file: none.clone(),
            acl_file: none,
        };
        crate::policy::Policy::load(settings).expect("no files")
    }

    fn guard() -> Guard {
        Guard::new(&Settings {
            allowed_hosts: vec!["Hub.example".to_owned()],
            allowed_origins: vec!["https://panel.example/".to_owned()],
            ..Settings::new(open_policy())
        })
    }

    fn headers(host: &'static str, origin: Option<&'static str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_static(host));
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, HeaderValue::from_static(origin));
        }
        headers
    }

    #[test]
    fn hosts_are_this_machine_or_allowed() {
        let guard = guard();
        let local = "192.168.1.5:8080".parse().expect("address");
        let ok = |host| guard.check_host(&headers(host, None), local).is_ok();
        for host in [
            "localhost:8080",
            "127.0.0.1",
            "[::1]:8080",
            "192.168.1.5:8080",
            "hub.example",
            "HUB.example:9",
            "a.localhost",
        ] {
            assert!(ok(host), "{host}");
        }
        for host in
            ["evil.example", "192.168.1.6:8080", "", "127.0.0.1.evil.example", "[::2]", "localhost.evil.example"]
        {
            assert!(!ok(host), "{host}");
        }
        assert!(guard.check_host(&HeaderMap::new(), local).is_err(), "no Host at all");
    }

    #[test]
    fn origins_are_the_same_or_allowed() {
        let guard = guard();
        let ok = |host, origin| guard.check_origin(&headers(host, origin)).is_ok();
        assert!(ok("localhost:8080", None));
        assert!(ok("localhost:8080", Some("http://localhost:8080")));
        assert!(ok("hub.example", Some("https://hub.example")));
        assert!(ok("hub.example", Some("https://hub.example:443")));
        assert!(ok("localhost:8080", Some("https://panel.example")));
        for origin in ["http://localhost:9090", "null", "https://evil.example", "http://", "file://"] {
            assert!(!ok("localhost:8080", Some(origin)), "{origin}");
        }
    }

    #[test]
    fn a_refusal_names_the_line_to_add() {
        let refused = guard().check_origin(&headers("localhost", Some("https://other.example"))).expect_err("refused");
        assert!(refused.to_string().ends_with(r#"http.allowed_origins = ["https://other.example"]"#), "{refused}");
    }
}
