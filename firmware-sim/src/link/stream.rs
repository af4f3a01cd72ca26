//! The way to the hub: TCP, and TLS over it where that is asked for.

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};

use super::{Login, Place, why};

/// A connection's bytes, both ways.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Connects.
///
/// # Errors
/// Tells, for people, why it cannot.
///
/// # Cancel safety
/// Cancelling gives the attempt up.
pub(super) async fn open(place: &Place, login: &Login) -> Result<Box<dyn Stream>, String> {
    let host = place.host.trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((host, place.port)).await.map_err(|e| why::io(&e))?;
    // Each packet is one press: it waits for no other.
    stream.set_nodelay(true).map_err(|e| why::io(&e))?;
    #[cfg(feature = "tls")]
    if let Some(config) = login.tls.as_ref().filter(|_| place.tls) {
        use tokio_rustls::{TlsConnector, rustls::pki_types::ServerName};
        let name =
            ServerName::try_from(host.to_owned()).map_err(|_| format!("{host:?} is no name for a certificate"))?;
        let stream = TlsConnector::from(std::sync::Arc::clone(config)).connect(name, stream).await;
        return match stream {
            Ok(stream) => Ok(Box::new(stream)),
            Err(e) if why::hung_up(&e) => {
                Err("the hub closed the connection at once: is it a port for mqtts://?".to_owned())
            }
            Err(e) => Err(why::io(&e)),
        };
    }
    // A build without TLS has a configuration without it.
    let _ = login;
    Ok(Box::new(stream))
}
