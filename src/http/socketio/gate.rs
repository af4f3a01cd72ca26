//! The way in: `Origin`, who it is, and how many there may be, before a session costs anything.
//!
//! `Host` and TLS do not belong here, nor does how somebody proves who they are.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{FromRequestParts as _, Request, State},
    http::{HeaderMap, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

use super::guest::Guest;
use crate::http::{Shared, access::Access, problem::Problem};

/// What every request has to pass.
#[derive(Debug)]
pub(super) struct Gate {
    shared: Arc<Shared>,
    /// Whether pages of local development come in besides the hub's own and the configured ones.
    local_pages: bool,
    connections: Arc<Semaphore>,
    connections_max: usize,
    /// Cancelled once every client was told goodbye.
    stop: CancellationToken,
}

/// How long a request may still wait for its answer after goodbye was said. A poll that came between its session's end and the
/// hub's would otherwise wait for a packet that nobody sends any more.
const ANSWER_GRACE: Duration = Duration::from_millis(250);

/// A session's place among all that there may be; the session keeps it with the head of its first request.
#[derive(Debug, Clone)]
struct Place(#[expect(dead_code, reason = "held, not read")] Arc<OwnedSemaphorePermit>);

impl Gate {
    pub(super) fn new(
        shared: Arc<Shared>,
        local_pages: bool,
        connections: Arc<Semaphore>,
        stop: CancellationToken,
    ) -> Arc<Self> {
        let connections_max = connections.available_permits();
        Arc::new(Self { shared, local_pages, connections, connections_max, stop })
    }

    /// Whether the page that a request comes from may talk to the hub; a request of no page may.
    ///
    /// # Errors
    /// Says what to add to the configuration.
    fn check_origin(&self, headers: &HeaderMap) -> Result<(), Problem> {
        if self.local_pages && is_local_page(headers) {
            return Ok(());
        }
        let refused = self.shared.guard.check_origin(headers);
        refused.map_err(|refused| Problem::new(StatusCode::FORBIDDEN, refused.to_string()))
    }
}

/// Lets a request through, or says why not.
pub(super) async fn check(State(gate): State<Arc<Gate>>, request: Request, next: Next) -> Response {
    let answer = async {
        match admit(&gate, request).await {
            Ok(request) => next.run(request).await,
            Err(problem) => problem.into_response(),
        }
    };
    tokio::select! {
        answer = answer => answer,
        () = goodbye(&gate.stop) => {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "The hub is stopping.".to_owned()).into_response()
        }
    }
}

/// Returns when no answer is worth waiting for any longer.
async fn goodbye(stop: &CancellationToken) {
    stop.cancelled().await;
    tokio::time::sleep(ANSWER_GRACE).await;
}

async fn admit(gate: &Gate, request: Request) -> Result<Request, Problem> {
    gate.check_origin(request.headers())?;
    if !opens_session(request.uri().query()) {
        return Ok(request);
    }
    let Ok(permit) = Arc::clone(&gate.connections).try_acquire_owned() else {
        let message = format!("There are {} Socket.IO connections already.", gate.connections_max);
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, message));
    };
    let (mut parts, body) = request.into_parts();
    let access = Access::from_request_parts(&mut parts, &gate.shared).await?;
    let guest = Guest::new(access, &parts);
    parts.extensions.insert(guest);
    parts.extensions.insert(Place(Arc::new(permit)));
    Ok(Request::from_parts(parts, body))
}

/// What tells browsers that a page may read the answers: each allowed origin by name, because the clients before 3.0 always
/// send credentials, and those forbid `*`.
pub(super) fn cors(gate: Arc<Gate>) -> CorsLayer {
    CorsLayer::new()
        .allow_origin(AllowOrigin::predicate(move |_, parts| gate.check_origin(&parts.headers).is_ok()))
        .allow_credentials(true)
        .allow_methods([Method::GET, Method::POST])
        .allow_headers(AllowHeaders::mirror_request())
}

/// As Engine.IO tells it: whoever has a session names it (`sid`).
fn opens_session(query: Option<&str>) -> bool {
    !query.unwrap_or_default().split('&').any(|pair| pair.starts_with("sid="))
}

/// A page from a development server on this machine, or from a file (whose origin is `null`).
fn is_local_page(headers: &HeaderMap) -> bool {
    let mut origins = headers.get_all(header::ORIGIN).iter();
    let (Some(origin), None) = (origins.next().and_then(|origin| origin.to_str().ok()), origins.next()) else {
        return false;
    };
    origin == "null"
        || ["http://", "https://"].iter().any(|scheme| origin.strip_prefix(scheme).is_some_and(is_loopback_host))
}

/// Whether `host`, with or without a port, names this machine's loopback.
fn is_loopback_host(host: &str) -> bool {
    ["localhost", "127.0.0.1", "[::1]"].iter().any(|name| {
        host.strip_prefix(name).is_some_and(|rest| match rest.strip_prefix(':') {
            Some(port) => !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()),
            None => rest.is_empty(),
        })
    })
}

#[cfg(test)]
mod tests;
