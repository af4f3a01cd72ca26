//! What an accepted connection is set to. Binding does not belong here; the hub binds everything before anything starts.

use std::io;

use tokio::net::TcpStream;

/// How much may wait in a socket without having been sent, in bytes (`TCP_NOTSENT_LOWAT`). What exceeds it waits in the hub,
/// where a newer value replaces an older one.
const NOT_SENT_BYTES_MAX: u32 = 256 << 10;

/// Sets an accepted connection up: no waiting for more bytes (a round trip would take 40 ms), little in the kernel.
///
/// # Errors
/// The connection is gone already.
pub(super) fn set_up(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    #[cfg(target_os = "linux")]
    socket2::SockRef::from(stream).set_tcp_notsent_lowat(NOT_SENT_BYTES_MAX)?;
    Ok(())
}
