//! Lets connections in: TCP, TLS and streams that another edge has upgraded, up to the accepted CONNECT.
//!
//! Every connection is a task of its own from its first byte on, with a time limit until its CONNECT is complete: half-open ones by the
//! hundred delay nobody. What a connected client may do does not belong here.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use bytes::BytesMut;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::{
    frame,
    packet::{Connect, Version},
    protocol::Frame,
    reason::Reason,
    session::Attach,
    settings::limit_met,
    socket::{Stream, linger},
    state::{ConnectionGuard, State, TooMany},
};
use crate::{
    policy::{Credentials, Denied, Identity},
    tls,
};

/// How long to wait before accepting again when the system has no room for another connection.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// Brings streams of other edges to the door, such as a WebSocket that carries MQTT. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Acceptor {
    pub(super) state: Arc<State>,
}

/// Who is at the other end of a stream.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Where it connects from.
    pub address: IpAddr,
    /// The common name of its TLS certificate, where it showed one that the hub trusts.
    pub certificate: Option<String>,
}

impl Acceptor {
    /// Serves MQTT over `stream`. Returns at once.
    pub fn accept(&self, stream: impl Stream + 'static, peer: Peer) {
        let state = Arc::clone(&self.state);
        self.state.tracker.spawn(async move { connect(state, Box::new(stream), peer).await });
    }
}

/// Accepts connections until the door stops. `tls` makes it a TLS listener.
pub(super) async fn listen(state: Arc<State>, listener: TcpListener, tls: Option<tls::Acceptor>) {
    loop {
        let accepted = tokio::select! {
            () = state.cancel.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, address)) => {
                // Small packets are sent at once; where the system refuses, they are only later.
                let _ = stream.set_nodelay(true);
                state.tracker.spawn(serve(Arc::clone(&state), stream, address, tls.clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_AGAIN).await;
            }
        }
    }
}

async fn serve(state: Arc<State>, stream: tokio::net::TcpStream, address: SocketAddr, tls: Option<tls::Acceptor>) {
    let address = address.ip().to_canonical();
    let Some(tls) = tls else {
        return connect(state, Box::new(stream), Peer { address, certificate: None }).await;
    };
    let timeout = state.settings.limits.connect_timeout;
    let handshake = tokio::select! {
        handshake = tokio::time::timeout(timeout, tls.accept(stream)) => handshake,
        () = state.cancel.cancelled() => return,
    };
    match handshake {
        Ok(Ok(stream)) => {
            let certificate = stream.get_ref().1.peer_certificates().and_then(|chain| common_name(chain.first()?));
            connect(state, Box::new(stream), Peer { address, certificate }).await;
        }
        Ok(Err(error)) => tracing::debug!(%address, %error, "a TLS handshake failed"),
        Err(_) => limit_met("connect_timeout"),
    }
}

/// The common name in a certificate: the text behind its object identifier 2.5.4.3 (RFC 5280 §4.1.2.6), the subject's, which is last.
fn common_name(certificate: &[u8]) -> Option<String> {
    const COMMON_NAME: [u8; 5] = [0x06, 0x03, 0x55, 0x04, 0x03];
    let at = certificate.windows(COMMON_NAME.len()).rposition(|window| window == COMMON_NAME)?;
    let [_, length, text @ ..] = &certificate[at + COMMON_NAME.len()..] else { return None };
    let text = text.get(..usize::from(*length))?;
    std::str::from_utf8(text).ok().map(str::to_owned)
}

/// From the first byte to the accepted CONNECT.
async fn connect(state: Arc<State>, mut stream: Box<dyn Stream>, peer: Peer) {
    let guard = match state.connections.enter(peer.address) {
        Ok(guard) => Ok(guard),
        Err(TooMany(text)) => Err(text),
    };
    let timeout = state.settings.limits.connect_timeout;
    let mut inbound = BytesMut::new();
    let reading = read_connect(&mut stream, &mut inbound, state.settings.limits.connect_bytes_max);
    let connect = tokio::select! {
        connect = tokio::time::timeout(timeout, reading) => connect,
        () = state.cancel.cancelled() => return,
    };
    let connect = match connect {
        Ok(Ok(connect)) => connect,
        Ok(Err(Refusal { version: Some(version), reason, text })) => {
            return refuse(&state, stream, version, (reason, text), usize::MAX).await;
        }
        Ok(Err(_)) => return,
        Err(_) => return limit_met("connect_timeout"),
    };
    let version = connect.version;
    let bytes_max = connect.packet_bytes_max.map_or(usize::MAX, |bytes| bytes as usize);
    let admitted = match guard {
        Ok(guard) => admit(&state, connect, peer, guard).await,
        Err(text) => Err((Reason::QUOTA_EXCEEDED, text)),
    };
    match admitted {
        Ok(admitted) => {
            let Admitted { client_id, connect, access, address, assigned, guard } = admitted;
            let attach = Attach { stream, inbound, connect, access, address, assigned, guard };
            state.admit(client_id, Box::new(attach));
        }
        Err(why) => refuse(&state, stream, version, why, bytes_max).await,
    }
}

struct Refusal {
    version: Option<Version>,
    reason: Reason,
    text: &'static str,
}

async fn read_connect(
    stream: &mut Box<dyn Stream>,
    inbound: &mut BytesMut,
    bytes_max: usize,
) -> Result<Connect, Refusal> {
    const SILENT: Refusal = Refusal { version: None, reason: Reason::UNSPECIFIED, text: "" };
    loop {
        // A first byte that begins no CONNECT is enough to know.
        if inbound.first().is_some_and(|first| *first != 0x10) {
            return Err(SILENT);
        }
        match Frame::take(inbound, bytes_max) {
            Ok(Some(frame)) => {
                return frame.read_connect().map_err(|fault| Refusal {
                    version: fault.version,
                    reason: fault.fault.reason,
                    text: fault.fault.text,
                });
            }
            Ok(None) => {}
            Err(_) => {
                limit_met("connect_bytes");
                return Err(SILENT);
            }
        }
        match stream.read_buf(inbound).await {
            Ok(0) | Err(_) => return Err(SILENT),
            Ok(_) => {}
        }
    }
}

struct Admitted {
    client_id: Arc<str>,
    connect: Connect,
    access: Identity,
    address: IpAddr,
    assigned: bool,
    guard: ConnectionGuard,
}

/// Checks who connects.
async fn admit(
    state: &Arc<State>,
    mut connect: Connect,
    peer: Peer,
    guard: ConnectionGuard,
) -> Result<Admitted, (Reason, &'static str)> {
    let limits = &state.settings.limits;
    if connect.authentication_method.is_some() {
        return Err((Reason::BAD_AUTHENTICATION_METHOD, "The hub has no extended authentication."));
    }
    if connect.client_id.len() > limits.client_id_bytes_max {
        limit_met("client_id");
        return Err((Reason::CLIENT_ID_INVALID, "The client id is longer than the hub takes."));
    }
    let assigned = connect.client_id.is_empty();
    if assigned {
        connect.client_id = new_client_id();
    }
    let client_id: Arc<str> = connect.client_id.as_str().into();
    if !state.registry.knows(&client_id) && state.registry.len() >= limits.sessions_max {
        limit_met("sessions");
        return Err((Reason::QUOTA_EXCEEDED, "The hub keeps as many sessions as it can."));
    }
    let credentials = Credentials {
        user: connect.user.take(),
        password: connect.password.take().map(|password| password.to_vec()),
        client_id: Some(client_id.to_string()),
        address: peer.address,
    };
    let shown = match peer.certificate.as_deref().filter(|_| credentials.user.is_none()) {
        // A certificate that the hub trusts names its user.
        Some(name) => state.policy.known_user(name).ok_or(Denied::WrongPassword),
        None => state.policy.authenticate(credentials).await,
    };
    match shown {
        Ok(access) => Ok(Admitted { client_id, connect, access, address: peer.address, assigned, guard }),
        Err(denied) => {
            metrics::counter!("lockstep_mqtt_denied_total", "action" => "connect").increment(1);
            tracing::info!(client = %client_id, address = %peer.address, ?denied, "a client was not let in");
            Err(match denied {
                Denied::WrongPassword | Denied::WrongPin => (Reason::BAD_CREDENTIALS, "Wrong user name or password."),
                Denied::UserNeeded => (Reason::NOT_AUTHORIZED, "This hub lets nobody in without a user."),
                Denied::TooManyAttempts => (Reason::SERVER_BUSY, "Too many attempts; wait a moment."),
            })
        }
    }
}

/// A client id that nobody else has.
fn new_client_id() -> String {
    let mut random = [0_u8; 12];
    if getrandom::fill(&mut random).is_err() {
        // Without random bytes it is still unlike any other of this process.
        static COUNT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        return format!("auto-{count}");
    }
    random.iter().fold("auto-".to_owned(), |id, byte| format!("{id}{byte:02x}"))
}

/// Sends a CONNACK that says why not, and closes.
async fn refuse(
    state: &State,
    mut stream: Box<dyn Stream>,
    version: Version,
    (reason, text): (Reason, &str),
    bytes_max: usize,
) {
    let mut out = BytesMut::new();
    frame::connack_refusal(&mut out, version, reason, text, bytes_max);
    let goodbye = async {
        // Whoever has gone already needs no reason.
        let _ = stream.write_all(&out).await;
        let _ = stream.shutdown().await;
    };
    let limit = state.settings.limits.goodbye_timeout;
    let _ = tokio::time::timeout(limit, goodbye).await;
    tokio::select! {
        () = linger(&mut stream, limit) => {}
        () = state.cancel.cancelled() => {}
    }
}
