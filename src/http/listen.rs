//! Listening sockets.

use std::{io, net::SocketAddr, time::Duration};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};

/// Connections that may wait to be accepted: a room full of browsers that come back at once after a restart.
const BACKLOG: i32 = 1024;

/// How much may wait in a socket without having been sent, in bytes (`TCP_NOTSENT_LOWAT`). What exceeds it waits in the hub,
/// where a newer value replaces an older one.
const NOT_SENT_BYTES_MAX: u32 = 256 << 10;

/// How long a peer may leave what it was sent unacknowledged, or its window closed, before the system gives the connection up
/// (`TCP_USER_TIMEOUT`): a peer that stopped reading must not hold what waits for it for ever.
const UNREAD_TIMEOUT: Duration = Duration::from_secs(60);

/// Binds `address` with a backlog that a storm of connections fits into.
///
/// # Errors
/// As the system has it: taken, not this machine's, not permitted.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Sets an accepted connection up: no waiting for more bytes (a round trip would take 40 ms), little in the kernel.
///
/// # Errors
/// The connection is gone already.
pub(super) fn set_up(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    #[cfg(target_os = "linux")]
    {
        let socket = socket2::SockRef::from(stream);
        socket.set_tcp_notsent_lowat(NOT_SENT_BYTES_MAX)?;
        socket.set_tcp_user_timeout(Some(UNREAD_TIMEOUT))?;
    }
    Ok(())
}
