//! The ports that the tutorials' clients have built in: 3000 for the timer, 5000 for the sliders.
//!
//! On loopback alone, and Socket.IO alone: the dashboard and the API stay where they are.

use std::{
    io::{Error, ErrorKind},
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
};

use axum::{
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use tokio::net::TcpListener;

use crate::listen;

fn bind(address: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::from_std(listen::bind(address)?)
}

/// Opens `ports`, and says in one sentence for each that cannot be opened why not.
pub(super) fn open(ports: &[u16]) -> (Vec<TcpListener>, Vec<String>) {
    let (mut listeners, mut refusals) = (Vec::new(), Vec::new());
    for &port in ports {
        match open_one(port) {
            Ok(opened) => listeners.extend(opened),
            Err(error) => refusals.push(refusal(port, &error)),
        }
    }
    (listeners, refusals)
}

/// Both loopback addresses, because a browser may take `localhost` for either; the older one must do.
fn open_one(port: u16) -> Result<Vec<TcpListener>, Error> {
    let mut listeners = vec![bind((Ipv4Addr::LOCALHOST, port).into())?];
    // A machine without IPv6 has nobody who would ask there.
    listeners.extend(bind((Ipv6Addr::LOCALHOST, port).into()));
    Ok(listeners)
}

fn refusal(port: u16, error: &Error) -> String {
    let unserved = format!("the tutorials' clients that have {port} built in do not reach this hub");
    if error.kind() == ErrorKind::AddrInUse {
        format!(
            "Another program has 127.0.0.1:{port} already: {unserved}. Stop that program, or give the clients the hub's own \
             address."
        )
    } else {
        format!("127.0.0.1:{port} cannot be opened ({error}): {unserved}. Give them the hub's own address.")
    }
}

/// What a browser reads that looks for the dashboard there.
pub(super) async fn elsewhere() -> Response {
    let text = "Lockstep serves the tutorials' Socket.IO clients here. Its dashboard is on the hub's own HTTP port.\n";
    (StatusCode::NOT_FOUND, text).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_that_another_program_has_is_said_so() {
        let taken = bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let port = taken.local_addr().unwrap().port();
        let (listeners, refusals) = open(&[port, 0]);
        assert!(!listeners.is_empty(), "the other port is opened all the same");
        assert_eq!(refusals.len(), 1);
        assert!(refusals[0].starts_with(&format!("Another program has 127.0.0.1:{port} already")), "{refusals:?}");
    }

    #[tokio::test]
    async fn only_this_machine_gets_there() {
        let (listeners, _) = open(&[0]);
        assert!(listeners.iter().all(|listener| listener.local_addr().unwrap().ip().is_loopback()));
    }
}
