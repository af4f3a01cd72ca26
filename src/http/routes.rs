//! Which address is answered by what, and what every answer has in common.

use std::sync::Arc;

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request, State},
    http::{HeaderName, HeaderValue, Method, StatusCode, Uri, header},
    middleware::{self, Next},
    response::{IntoResponse as _, Redirect, Response},
    routing::{any, get},
};

use super::{Shared, access::Access, api, login, problem::Problem, server::Ends, socketio, websocket};

/// What a page may load and do (CSP 3): everything from here, nothing from elsewhere, no frames around it.
const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; \
                                       form-action 'self'; frame-ancestors 'none'";

/// Everything that is served, at `/` and below the base path; `socketio` is served at `/` alone, where its clients look for it.
pub(super) fn router(shared: Arc<Shared>, socketio: Option<Router>) -> Router {
    let files = async |State(shared): State<Arc<Shared>>, request: Request| {
        let path = request.uri().path().trim_start_matches('/').to_owned();
        shared.assets.answer(request.method(), &path, request.headers())
    };
    let routes = Router::new()
        .route("/ws", any(websocket::upgrade))
        .route("/login", get(login::form).post(login::submit))
        .route("/mqtt", any(websocket::upgrade_mqtt))
        .merge(api::router())
        // Relative, so that it works below any prefix; what the module imports is looked for beside its real place.
        .route("/client.js", get(async || Redirect::temporary("js/client.js")))
        .route("/", get(home))
        .fallback(files)
        .layer(DefaultBodyLimit::max(shared.settings.limits.frame_bytes_max));
    let base = shared.settings.base_path.trim_matches('/').to_owned();
    let mut router = routes.clone();
    if !base.is_empty() {
        let last = base.rsplit('/').next().unwrap_or_default();
        let with_slash = format!("{last}/");
        router = router
            .nest_service(&format!("/{base}/"), routes.clone().with_state(Arc::clone(&shared)))
            .route(&format!("/{base}"), get(async move || Redirect::permanent(&with_slash)));
    }
    if let Some(socketio) = socketio {
        router = router.merge(socketio.with_state(()));
    }
    protected(router.with_state(Arc::clone(&shared)), shared)
}

/// The dashboard, or the way to log in for who needs to.
async fn home(State(shared): State<Arc<Shared>>, access: Result<Access, Problem>, request: Request) -> Response {
    if access.is_err() && request.method() == Method::GET {
        return Redirect::to("login").into_response();
    }
    shared.assets.answer(request.method(), "", request.headers())
}

/// `router` behind the checks that every request has to pass.
pub(super) fn protected(router: Router, shared: Arc<Shared>) -> Router {
    router.layer(middleware::from_fn_with_state(shared, protect))
}

/// Checks whom a request comes from, and sets the headers that every answer has.
async fn protect(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let mut response = match check(&shared, &request) {
        Ok(()) => next.run(request).await,
        Err(refused) => refused.into_response(),
    };
    if response.status().is_client_error() || response.status().is_server_error() {
        response = as_problem(response);
    }
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // Nothing to other sites. With `no-referrer` browsers would send our own forms with `Origin: null`.
        (header::REFERRER_POLICY, "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ] {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

/// Errors of the HTTP library are told like all others.
fn as_problem(response: Response) -> Response {
    let headers = response.headers();
    // A page that says what went wrong is told already.
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if kind == "application/problem+json" || kind.starts_with("text/html") {
        return response;
    }
    let allow = headers.get(header::ALLOW).cloned();
    let status = response.status();
    let detail = match status {
        StatusCode::METHOD_NOT_ALLOWED => "This address has no such method.",
        StatusCode::PAYLOAD_TOO_LARGE => "The body is too large.",
        _ => "The request cannot be read.",
    };
    let mut problem = Problem::new(status, detail).into_response();
    if let Some(allow) = allow {
        problem.headers_mut().insert(header::ALLOW, allow);
    }
    problem
}

fn check(shared: &Shared, request: &Request) -> Result<(), Problem> {
    let ends = request.extensions().get::<Ends>();
    let local = ends.map(|ends| ends.local).ok_or_else(|| Problem::new(StatusCode::BAD_REQUEST, "No connection."))?;
    let forbidden = |refused: super::guard::Refused| Problem::new(StatusCode::FORBIDDEN, refused.to_string());
    // Health is asked for by machines, under whatever name they know the hub by, and tells nothing.
    if request.uri().path().ends_with("/healthz") {
        return Ok(());
    }
    shared.guard.check_host(request.headers(), local).map_err(forbidden)?;
    if request.uri().path().starts_with(socketio::PATH.trim_end_matches('/')) {
        // It checks `Origin` itself, for reading too: which pages it lets in is set apart.
        return Ok(());
    }
    let reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if !reads || is_upgrade(request) {
        shared.guard.check_origin(request.headers()).map_err(forbidden)?;
    }
    Ok(())
}

fn is_upgrade(request: &Request) -> bool {
    request.headers().contains_key(header::UPGRADE) || Uri::path(request.uri()).ends_with("/ws")
}
