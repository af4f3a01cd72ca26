//! What each part of the hub is given: its share of the configuration, and the functions by which it reaches another part.
//!
//! The order in which the parts begin and end does not belong here.

use std::{net::SocketAddr, sync::Arc};

use crate::{
    clock::Clock,
    config::{Anonymous, Config},
    discovery::mdns,
    figures::Figures,
    http, mqtt,
    policy::{self, Invitations, Logins, Policy},
    store::JournalHandle,
};

pub(super) fn policy_settings(config: &Config) -> policy::Settings {
    policy::Settings {
        root: config.root.clone(),
        loopback_only: config.is_loopback_only(),
        anonymous: config.anonymous.and_then(|anonymous| match anonymous {
            Anonymous::None => None,
            Anonymous::Viewer => Some(policy::Role::Viewer),
            Anonymous::Member => Some(policy::Role::Member),
        }),
        users_file: config.users_file.clone(),
        acl_file: config.acl_file.clone(),
    }
}

pub(super) fn http_settings(config: &Config, boot: &str, policy: Policy, door: &mqtt::Door) -> http::Settings {
    let (acceptor, probe) = (door.acceptor(), door.probe());
    http::Settings {
        name: config.name.clone(),
        root: config.root.to_string(),
        boot: boot.to_owned(),
        base_path: config.base_path.clone(),
        allowed_hosts: config.allowed_hosts.clone(),
        allowed_origins: config.allowed_origins.clone(),
        limits: config.http_limits.clone(),
        mqtt_ws: Some(Arc::new(move |connection: http::MqttConnection| {
            let peer = mqtt::Peer { address: connection.peer.ip().to_canonical(), certificate: None };
            acceptor.accept(connection.stream, peer);
            Box::pin(std::future::ready(()))
        })),
        router_probe: Some(Arc::new(move || {
            let probe = probe.clone();
            Box::pin(async move { probe.round_trip().await })
        })),
        ..http::Settings::new(policy)
    }
}

/// The journal as the HTTP side takes it.
pub(super) fn history_source(journal: &JournalHandle) -> http::HistorySource {
    let (reader, forgetter) = (journal.clone(), journal.clone());
    http::HistorySource {
        read: Arc::new(move |query| {
            let journal = reader.clone();
            Box::pin(async move { journal.history(query).await })
        }),
        forget_room: Arc::new(move |room| {
            let journal = forgetter.clone();
            Box::pin(async move { journal.forget_room(room).await })
        }),
    }
}

pub(super) fn login_keeper(journal: &JournalHandle, logins: &Logins) -> http::LoginKeeper {
    let (journal, logins) = (journal.clone(), logins.clone());
    Arc::new(move || {
        let (journal, logins) = (journal.clone(), logins.clone());
        Box::pin(async move { journal.keep_logins(logins).await })
    })
}

pub(super) fn invitation_taker(invitations: &Invitations, clock: &Clock) -> http::InvitationTaker {
    let (invitations, clock) = (invitations.clone(), clock.clone());
    Arc::new(move |code| invitations.take(code, clock.now().mono))
}

/// All figures as text; those of the door are looked up when somebody asks.
pub(super) fn metrics_text(figures: Figures, door: &mqtt::Door) -> http::MetricsText {
    let readings = door.readings();
    Arc::new(move || {
        readings.tell();
        figures.render()
    })
}

pub(super) fn socketio_settings(config: &Config) -> http::socketio::Settings {
    http::socketio::Settings { tutorials: config.socketio_tutorials, ..http::socketio::Settings::default() }
}

/// `http` and `mqtt` are where the two listen, and whether with TLS.
pub(super) fn mdns_settings(
    config: &Config,
    http: &[(SocketAddr, bool)],
    mqtt: &[(SocketAddr, bool)],
) -> mdns::Settings {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    mdns::Settings {
        name: config.name.clone(),
        host: host.split('.').next().unwrap_or_default().to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        root: config.root.to_string(),
        path: format!("{}/", config.base_path),
        mqtt: mqtt.to_vec(),
        http: http.to_vec(),
    }
}
