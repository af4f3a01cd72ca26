//! The way in: `Origin`, who it is, and how many there may be, before a session costs anything.
//!
//! `Host`, TLS and logins do not belong here: the HTTP server in front checks those.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

use super::{
    guest::{Admit, Denied, Guest},
    origins::Origins,
};

/// What every request has to pass.
pub(super) struct Gate {
    pub(super) origins: Origins,
    pub(super) admit: Admit,
    pub(super) connections: Arc<Semaphore>,
    pub(super) connections_max: usize,
}

/// A session's place among all that there may be; the session keeps it with the head of its first request.
#[derive(Debug, Clone)]
struct Place(#[expect(dead_code, reason = "held, not read")] Arc<OwnedSemaphorePermit>);

/// Lets a request through, or says why not.
pub(super) async fn check(State(gate): State<Arc<Gate>>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let origin = text(headers, header::ORIGIN);
    if !gate.origins.allow(origin, text(headers, header::HOST)) {
        let origin = origin.unwrap_or_default();
        tracing::warn!(origin, "a page was refused; allow it with: allowed_origins = [\"{origin}\"] under [http]");
        return refuse(StatusCode::FORBIDDEN, "The hub does not accept pages from this origin.");
    }
    if !opens_session(request.uri().query()) {
        return next.run(request).await;
    }
    let Ok(permit) = Arc::clone(&gate.connections).try_acquire_owned() else {
        let message = format!("There are {} Socket.IO connections already.", gate.connections_max);
        return refuse(StatusCode::SERVICE_UNAVAILABLE, &message);
    };
    let (mut parts, body) = request.into_parts();
    match (gate.admit)(&parts) {
        Ok(guest) => {
            parts.extensions.insert::<Guest>(guest);
            parts.extensions.insert(Place(Arc::new(permit)));
            next.run(Request::from_parts(parts, body)).await
        }
        Err(Denied { status, message }) => refuse(status, &message),
    }
}

/// What tells browsers that a page may read the answers: each allowed origin by name, because the clients before 3.0 always
/// send credentials, and those forbid `*`.
pub(super) fn cors(origins: Origins) -> CorsLayer {
    CorsLayer::new()
        .allow_origin(AllowOrigin::predicate(move |origin: &HeaderValue, parts| {
            origins.allow(origin.to_str().ok(), text(&parts.headers, header::HOST)) && origin.to_str().is_ok()
        }))
        .allow_credentials(true)
        .allow_methods([Method::GET, Method::POST])
        .allow_headers(AllowHeaders::mirror_request())
}

/// As Engine.IO tells it: whoever has a session names it (`sid`).
fn opens_session(query: Option<&str>) -> bool {
    !query.unwrap_or_default().split('&').any(|pair| pair.starts_with("sid="))
}

pub(super) fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    // What is no text is no origin that could be allowed either.
    headers.get(name).map(|value| value.to_str().unwrap_or_default())
}

fn refuse(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({ "message": message }))).into_response()
}
