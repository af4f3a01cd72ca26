//! Where the hub listens: sockets, TLS in front of them, and telling people and programs about it.
//!
//! Who is let in does not belong here.

use std::{
    io::{self, Write as _},
    net::{SocketAddr, TcpListener},
};

use anyhow::{Context as _, bail};

use crate::{config::Config, http, listen, tls};

/// Addresses with whether they are TLS: all but the first `plain`.
pub(super) fn with_tls(addresses: &[SocketAddr], plain: usize) -> Vec<(SocketAddr, bool)> {
    addresses.iter().enumerate().map(|(at, address)| (*address, at >= plain)).collect()
}

/// TLS as the HTTP side takes it: a function from a socket to an encrypted stream.
pub(super) fn http_tls(tls: &tls::Acceptor) -> http::TlsAcceptor {
    let tls = tls.clone();
    std::sync::Arc::new(move |stream| {
        let tls = tls.clone();
        Box::pin(async move { Ok(Box::new(tls.accept(stream).await?) as Box<dyn http::ByteStream>) })
    })
}

/// Tells where everything listens; `http` and `mqtt` are addresses with whether they are TLS.
pub(super) fn tell_ready(
    config: &Config,
    http: &[(SocketAddr, bool)],
    mqtt: &[(SocketAddr, bool)],
    ready_json: bool,
) -> anyhow::Result<()> {
    let of = |listening: &[(SocketAddr, bool)], tls: bool| {
        listening.iter().filter(|listener| listener.1 == tls).map(|listener| listener.0).collect::<Vec<_>>()
    };
    let (http, http_tls) = (of(http, false), of(http, true));
    let (mqtt, mqtt_tls) = (of(mqtt, false), of(mqtt, true));
    let mut out = io::stdout().lock();
    let first = |addresses: &[SocketAddr]| addresses.first().map(ToString::to_string);
    if ready_json {
        let mut line = serde_json::json!({"ready": true, "http": first(&http), "mqtt": first(&mqtt)});
        for (name, addresses) in [("http_tls", &http_tls), ("mqtt_tls", &mqtt_tls)] {
            if let Some(address) = first(addresses) {
                line[name] = address.into();
            }
        }
        writeln!(out, "{line}")?;
    } else {
        let listed = |addresses: &[SocketAddr], scheme: &str, end: &str| {
            addresses.iter().map(|address| format!("{scheme}{address}{end}")).collect::<Vec<_>>().join(", ")
        };
        let base = &config.base_path;
        writeln!(out, "Lockstep {} is ready.", env!("CARGO_PKG_VERSION"))?;
        for (addresses, scheme) in [(&http, "http://"), (&http_tls, "https://")] {
            if !addresses.is_empty() {
                writeln!(out, "  dashboard  {}", listed(addresses, scheme, &format!("{base}/")))?;
            }
        }
        writeln!(out, "  MQTT       {}   (3.1.1 and 5)", listed(&mqtt, "", ""))?;
        if !mqtt_tls.is_empty() {
            writeln!(out, "  with TLS   {}", listed(&mqtt_tls, "", ""))?;
        }
        writeln!(out, "  data       {}", config.data_dir.display())?;
        if config.is_loopback_only() {
            writeln!(out, "Only this machine can reach it. `lockstep lan` lets phones, boxes and Home Assistant in.")?;
        }
    }
    out.flush()?;
    Ok(())
}

pub(super) fn bind_all(what: &str, addresses: &[SocketAddr], option: &str) -> anyhow::Result<Vec<TcpListener>> {
    addresses.iter().map(|address| bind(what, *address, option)).collect()
}

pub(super) fn to_tokio(sockets: Vec<TcpListener>) -> io::Result<Vec<tokio::net::TcpListener>> {
    sockets.into_iter().map(tokio::net::TcpListener::from_std).collect()
}

/// Binds `address` for `what`, and says what to do where that does not work.
///
/// `option` is the command line option that moves it.
///
/// # Errors
/// A sentence for people: the address is taken, not this machine's, or not allowed.
fn bind(what: &str, address: SocketAddr, option: &str) -> anyhow::Result<TcpListener> {
    match listen::bind(address) {
        Ok(listener) => Ok(listener),
        Err(e) if e.kind() == io::ErrorKind::AddrInUse => {
            let other = SocketAddr::new(address.ip(), address.port().wrapping_add(1).max(1024));
            let link = if option == "--mqtt" { ", or join the two with `lockstep link`" } else { "" };
            bail!(
                "Another program has {address} already, where {what} should listen. \
                 Stop that program, choose another port with `{option} {other}`{link}."
            )
        }
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied => bail!(
            "{what} may not listen on {address}: ports below 1024 are for the system. Choose another port with `{option}`."
        ),
        Err(e) if e.kind() == io::ErrorKind::AddrNotAvailable => bail!(
            "{what} cannot listen on {address}: this machine does not have that address. Choose another with `{option}`."
        ),
        Err(e) => Err(e).with_context(|| format!("{what} cannot listen on {address}")),
    }
}
