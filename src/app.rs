//! The whole hub, put together: what is opened, bound, started and stopped, and in which order.
//!
//! Arguments and exit codes do not belong here (that is `cli`), nor does anything that an edge can do by itself.

use std::{
    io,
    net::{SocketAddr, TcpListener},
};

use anyhow::{Context, bail};

/// How many connections may wait to be accepted: a storm of reconnecting clients must not wait for repeated SYNs.
const LISTEN_BACKLOG: i32 = 1024;

/// Binds `address` for `what`, and says what to do where that does not work.
///
/// `option` is the command line option that moves it.
///
/// # Errors
/// A sentence for people: the address is taken, not this machine's, or not allowed.
pub fn bind(what: &str, address: SocketAddr, option: &str) -> anyhow::Result<TcpListener> {
    match try_bind(address) {
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

fn try_bind(address: SocketAddr) -> io::Result<TcpListener> {
    use socket2::{Domain, Protocol, Socket, Type};
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        // An address of one family listens for that family only; both can be listed.
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(LISTEN_BACKLOG)?;
    Ok(socket.into())
}
