//! Listening sockets, set up the same way for every edge.
//!
//! Saying what to do about an address that is taken does not belong here; `app` does that.

use std::{
    io,
    net::{SocketAddr, TcpListener},
};

use socket2::{Domain, Protocol, Socket, Type};

/// How many connections may wait to be accepted: a storm of reconnecting clients must not wait for repeated SYNs.
const LISTEN_BACKLOG: i32 = 1024;

/// Listens on `address`, without blocking. Port 0 takes a free one.
///
/// # Errors
/// As the system has it: taken, not this machine's, not permitted.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        // An address of one family listens for that family only; both can be listed.
        socket.set_only_v6(true)?;
    }
    // A restarted hub must not wait for the old one's connections to be forgotten.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(LISTEN_BACKLOG)?;
    Ok(socket.into())
}
