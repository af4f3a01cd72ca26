//! Connections: accepted, encrypted where asked for, and served by the HTTP library.
//!
//! What is answered does not belong here.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, body::Body, http::Request};
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::Semaphore;
use tower::Service as _;

use super::{Listener, Shared, settings::ByteStream, socket};
use crate::figures;

/// How long accepting rests when the system has no room for a connection.
const ACCEPT_REST: Duration = Duration::from_millis(100);
/// How long the handshake of an encrypted connection may take.
const TLS_HANDSHAKE_MAX: Duration = Duration::from_secs(10);
/// Bytes that the HTTP library buffers for one connection, each way.
const BUFFER_BYTES_MAX: usize = 64 << 10;

/// The two ends of the connection that a request came by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ends {
    pub(super) peer: SocketAddr,
    pub(super) local: SocketAddr,
    /// Whether the connection is encrypted by the hub.
    pub(super) tls: bool,
}

/// Accepts connections until the hub stops.
pub(super) async fn serve(listener: Listener, router: Router, shared: Arc<Shared>, connections: Arc<Semaphore>) {
    let Listener { socket: listening, tls } = listener;
    loop {
        let permit = tokio::select! {
            () = shared.stop.cancelled() => return,
            permit = Arc::clone(&connections).acquire_owned() => permit,
        };
        let Ok(permit) = permit else { return };
        let (stream, peer) = tokio::select! {
            () = shared.stop.cancelled() => return,
            accepted = listening.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(e) => {
                    // A connection that was gone again is nothing; no more file descriptors is worth a word and a rest.
                    tracing::debug!(error = %e, "accepting a connection failed");
                    tokio::time::sleep(ACCEPT_REST).await;
                    continue;
                }
            },
        };
        let Ok(local) = stream.local_addr() else { continue };
        if socket::set_up(&stream).is_err() {
            continue;
        }
        let ends = Ends { peer, local, tls: tls.is_some() };
        let counted = figures::Counted::connection("http");
        let (router, shared_too) = (router.clone(), Arc::clone(&shared));
        match &tls {
            None => {
                shared.tasks.spawn(async move {
                    serve_connection(TokioIo::new(stream), ends, router, &shared_too).await;
                    drop((permit, counted));
                });
            }
            Some(tls) => {
                let handshake = tls(stream);
                shared.tasks.spawn(async move {
                    if let Ok(Ok(stream)) = tokio::time::timeout(TLS_HANDSHAKE_MAX, handshake).await {
                        serve_connection(TokioIo::new(stream), ends, router, &shared_too).await;
                    }
                    drop((permit, counted));
                });
            }
        }
    }
}

async fn serve_connection<S: ByteStream>(io: TokioIo<S>, ends: Ends, router: Router, shared: &Shared) {
    let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ends);
        router.clone().call(request.map(Body::new))
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(shared.settings.limits.header_read_timeout)
        .max_buf_size(BUFFER_BYTES_MAX)
        .serve_connection(io, service)
        .with_upgrades();
    tokio::pin!(connection);
    let mut stopping = false;
    loop {
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(e) = ended {
                    tracing::trace!(error = %e, peer = %ends.peer, "a connection ended badly");
                }
                return;
            }
            () = shared.stop.cancelled(), if !stopping => {
                stopping = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}
