//! What an accepted connection is set to. Binding does not belong here; the hub binds everything before anything starts.

use std::{io, time::Duration};

use socket2::TcpKeepalive;
use tokio::net::TcpStream;

/// How much may wait in a socket without having been sent, in bytes (`TCP_NOTSENT_LOWAT`). What exceeds it waits in the hub,
/// where a newer value replaces an older one.
const NOT_SENT_BYTES_MAX: u32 = 256 << 10;

/// After how much silence the kernel asks whether the other side is still there: a phone that left the Wi-Fi says no goodbye.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(60);
/// How long it waits between two questions.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);

/// Sets an accepted connection up: no waiting for more bytes (a round trip would take 40 ms), little in the kernel.
///
/// # Errors
/// The connection is gone already.
pub(super) fn set_up(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE_AFTER).with_interval(KEEPALIVE_INTERVAL).with_retries(3);
    socket2::SockRef::from(stream).set_tcp_keepalive(&keepalive)?;
    #[cfg(target_os = "linux")]
    socket2::SockRef::from(stream).set_tcp_notsent_lowat(NOT_SENT_BYTES_MAX)?;
    Ok(())
}
