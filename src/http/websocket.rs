//! `/ws` and `/mqtt`: the handshake, and the stream's way from the HTTP library to the fan-out, or to the door.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderName, HeaderValue, StatusCode},
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use hyper::upgrade::{OnUpgrade, Parts, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncWriteExt as _, WriteHalf},
    net::TcpStream,
    sync::OwnedSemaphorePermit,
};

use super::{
    Shared,
    access::Access,
    fanout::Wire,
    problem::Problem,
    server::Ends,
    session::{Incoming, Session},
    settings::{ByteStream, MqttConnection},
    stream::{Duct, Outgoing},
    ws::{byte_stream::BinaryStream, handshake},
};

/// The subprotocol that the hub and its browsers speak.
pub(super) const SUBPROTOCOL: &str = "lockstep.v1";

/// The subprotocols of MQTT (MQTT 5 §6), the older one as some libraries still offer it.
const MQTT_SUBPROTOCOLS: [&str; 2] = ["mqtt", "mqttv3.1"];

/// Answers the handshake of an MQTT client. Who it is, its CONNECT packet says.
pub(super) async fn upgrade_mqtt(State(shared): State<Arc<Shared>>, mut request: Request) -> Response {
    let Some(acceptor) = shared.settings.mqtt_ws.clone() else {
        return Problem::new(StatusCode::NOT_FOUND, "MQTT over WebSocket is turned off.").into_response();
    };
    let answer = match handshake::accept(request.method(), request.headers(), &MQTT_SUBPROTOCOLS) {
        Ok(headers) => headers,
        Err(refusal) => return Problem::new(refusal.status, refusal.reason).into_response(),
    };
    let Some(ends) = request.extensions().get::<Ends>().copied() else {
        return Problem::new(StatusCode::BAD_REQUEST, "No connection.").into_response();
    };
    let upgrading = hyper::upgrade::on(&mut request);
    let headers = std::mem::take(request.headers_mut());
    let stop = shared.stop.clone();
    shared.tasks.spawn(async move {
        let Ok(upgraded) = upgrading.await else { return };
        let (inner, read): (Box<dyn ByteStream>, _) = match upgraded.downcast::<TokioIo<TcpStream>>() {
            Ok(Parts { io, read_buf, .. }) => (Box::new(io.into_inner()), read_buf),
            Err(upgraded) => (Box::new(TokioIo::new(upgraded)), Bytes::new()),
        };
        let stream = Box::new(BinaryStream::new(inner, &read));
        tokio::select! {
            () = acceptor(MqttConnection::new(stream, ends.peer, &headers)) => {}
            // The door says goodbye by itself; this is for one that is gone.
            () = stop.cancelled() => {}
        }
    });
    switching(answer)
}

fn switching(headers: Vec<(HeaderName, HeaderValue)>) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    response.headers_mut().extend(headers.into_iter().map(|(name, value)| (Some(name), value)));
    response
}

/// Answers the handshake of a browser.
pub(super) async fn upgrade(State(shared): State<Arc<Shared>>, access: Access, mut request: Request) -> Response {
    let headers = match handshake::accept(request.method(), request.headers(), &[SUBPROTOCOL]) {
        Ok(headers) => headers,
        Err(refusal) => return Problem::new(refusal.status, refusal.reason).into_response(),
    };
    let Ok(permit) = Arc::clone(&shared.browsers).try_acquire_owned() else {
        return Problem::new(StatusCode::SERVICE_UNAVAILABLE, "There are too many browsers; try again later.")
            .into_response();
    };
    let upgrading = hyper::upgrade::on(&mut request);
    drop(request);
    let shared_too = Arc::clone(&shared);
    shared.tasks.spawn(run(shared_too, access, upgrading, permit));
    switching(headers)
}

async fn run(shared: Arc<Shared>, access: Access, upgrading: OnUpgrade, permit: OwnedSemaphorePermit) {
    // What belongs to the handshake is freed before the session begins, which may idle for days.
    let joined = Box::pin(async {
        let upgraded = upgrading.await.ok()?;
        let (outgoing, incoming, read) = take_back(upgraded, &shared);
        let session = Session::join(shared, access, outgoing, Wire::WebSocket).await?;
        Some((session, incoming, read))
    });
    if let Some((session, incoming, read)) = joined.await {
        session.run(incoming, read).await;
    }
    drop(permit);
}

/// Takes the stream back from the HTTP library, with what that had read already.
fn take_back(upgraded: Upgraded, shared: &Shared) -> (Outgoing, Incoming, Bytes) {
    match upgraded.downcast::<TokioIo<TcpStream>>() {
        Ok(Parts { io, read_buf, .. }) => {
            let socket = Arc::new(io.into_inner());
            // A copy, so that the library's buffer goes.
            (Outgoing::Tcp(Arc::clone(&socket)), Incoming::Tcp(socket), Bytes::copy_from_slice(&read_buf))
        }
        Err(upgraded) => {
            let stream: Box<dyn ByteStream> = Box::new(TokioIo::new(upgraded));
            let (reading, writing) = tokio::io::split(stream);
            let duct = Arc::new(Duct::default());
            shared.tasks.spawn(write_from(Arc::clone(&duct), writing));
            (Outgoing::Duct(duct), Incoming::Other(reading), Bytes::new())
        }
    }
}

/// Writes what comes out of `duct` until nothing will.
async fn write_from(duct: Arc<Duct>, mut stream: WriteHalf<Box<dyn ByteStream>>) {
    while let Some(bytes) = std::future::poll_fn(|context| duct.poll_take(context)).await {
        let written = async {
            stream.write_all(&bytes).await?;
            stream.flush().await
        };
        tokio::select! {
            written = written => {
                if written.is_err() {
                    break;
                }
            }
            () = std::future::poll_fn(|context| duct.poll_cut(context)) => break,
        }
    }
    // The other side sees the end; if it is gone, there is nobody to see it.
    let _ = stream.shutdown().await;
    duct.cut();
}
