//! Logging in and out: a form for people, a token for scripts.
//!
//! The browser keeps its token in a cookie that scripts cannot read and that foreign pages cannot send. Passwords and what a
//! token is worth are the policy's.

use std::{collections::HashMap, sync::Arc};

use axum::{
    Json,
    body::Bytes,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{Html, IntoResponse as _, Response},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Shared, problem::Problem, server::Ends};
use crate::policy::{Credentials, Denied, Identity, LOGIN_LASTS};

/// The cookie's name.
const COOKIE: &str = "lockstep_login";

impl Shared {
    /// Whose login `token` is, and what they may do now.
    pub(super) fn logged_in(&self, token: &str) -> Option<Identity> {
        let (identity, changed) = self.settings.logins.find(token, &self.settings.policy, self.clock.now());
        if changed && let Some(keep) = &self.settings.keep_logins {
            // That a login was used, or cannot be used any more, is true whenever it is on disk.
            self.tasks.spawn(keep());
        }
        identity
    }

    /// Writes down what changed of the logins; a disk that fails keeps nobody out, and is told of by the journal.
    async fn keep_logins(&self) {
        if let Some(keep) = &self.settings.keep_logins
            && let Err(reason) = keep().await
        {
            tracing::warn!(reason, "a login or a logout is not on disk yet");
        }
    }
}

/// Ends the logins of users who are gone or have another password, at the start and whenever the policy is read anew.
pub(super) async fn look_after(shared: Arc<Shared>) {
    let mut reloads = shared.settings.policy.reloads();
    loop {
        shared.settings.logins.look_through(&shared.settings.policy, shared.clock.now());
        shared.keep_logins().await;
        tokio::select! {
            () = shared.stop.cancelled() => return,
            () = reloads.next() => {}
        }
    }
}

/// The token in the cookies of a request.
pub(super) fn cookie(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|cookies| cookies.to_str().ok());
    cookies.flat_map(|cookies| cookies.split(';')).find_map(|cookie| {
        let (name, value) = cookie.trim().split_once('=')?;
        (name == COOKIE).then_some(value)
    })
}

/// Who wants to log in: with user and password, with the code of an invitation, or with the PIN of a room.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LoginBody {
    /// The user name.
    user: Option<String>,
    /// The password.
    password: Option<String>,
    /// A one-use code, such as `lockstep lan` shows as a QR code.
    code: Option<String>,
    /// The room whose guest somebody wants to be.
    room: Option<String>,
    /// That room's PIN.
    pin: Option<String>,
}

/// Somebody who is logged in.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LoggedIn {
    /// The user name; what all guests by one PIN are called, where it was a PIN.
    name: String,
    /// `viewer`, `member`, `device` or `admin`.
    role: &'static str,
    /// The only room of a guest.
    room: Option<String>,
    /// What scripts send as `Authorization: Bearer …`; browsers have it in a cookie. It outlasts restarts of the hub
    /// and ends with a logout, with another password, or after 30 days without use.
    token: String,
}

/// Logs in. Sets the cookie, and returns the token for scripts.
#[utoipa::path(
    post, path = "/api/v1/login", tag = "hub", request_body = LoginBody,
    responses(
        (status = 200, body = LoggedIn), (status = 400, body = Problem), (status = 401, body = Problem),
        (status = 413, body = Problem), (status = 415, body = Problem), (status = 422, body = Problem),
        (status = 429, body = Problem), (status = 503, body = Problem),
    ),
)]
pub(super) async fn login(
    State(shared): State<Arc<Shared>>,
    ends: axum::Extension<Ends>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let body: LoginBody = super::api::read_json(&headers, &body)?;
    let identity = match body.code {
        Some(code) => invited(&shared, &code)?,
        None => check(&shared, body.user, body.password, body.room, body.pin, *ends).await?,
    };
    let (name, token) = enter(&shared, &identity).await?;
    let cookie = set_cookie(&shared, &token, &headers, *ends);
    let room = identity.room().map(ToString::to_string);
    let body = Json(LoggedIn { name, role: identity.role().as_str(), room, token });
    Ok(([(header::SET_COOKIE, cookie), (header::CACHE_CONTROL, "no-store".to_owned())], body).into_response())
}

/// Logs out: the cookie's or the header's token is known no longer.
#[utoipa::path(post, path = "/api/v1/logout", tag = "hub", responses((status = 204)))]
pub(super) async fn logout(
    State(shared): State<Arc<Shared>>,
    ends: axum::Extension<Ends>,
    headers: HeaderMap,
) -> Response {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.split_once(' '));
    for token in bearer.map(|(_, token)| token).into_iter().chain(cookie(&headers)) {
        shared.settings.logins.leave(token);
    }
    shared.keep_logins().await;
    let expired = format!("{}; Max-Age=0", set_cookie(&shared, "", &headers, *ends));
    (StatusCode::NO_CONTENT, [(header::SET_COOKIE, expired)]).into_response()
}

/// The form.
pub(super) async fn form(State(shared): State<Arc<Shared>>) -> Html<String> {
    page(&shared, "")
}

/// What the form sends.
pub(super) async fn submit(
    State(shared): State<Arc<Shared>>,
    ends: axum::Extension<Ends>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut fields: HashMap<_, _> = form_urlencoded::parse(&body).into_owned().collect();
    let mut take = |name| fields.remove(name).filter(|value| !value.is_empty());
    let (user, password, room, pin) = (take("user"), take("password"), take("room"), take("pin"));
    let entered = async {
        let identity = check(&shared, user, password, room, pin, *ends).await?;
        Ok::<_, Problem>((enter(&shared, &identity).await?.1, identity))
    };
    match entered.await {
        Ok((token, identity)) => {
            let cookie = set_cookie(&shared, &token, &headers, *ends);
            let there = identity.room().map_or_else(|| "./".to_owned(), |room| format!("./?room={room}"));
            (StatusCode::SEE_OTHER, [(header::SET_COOKIE, cookie), (header::LOCATION, there)]).into_response()
        }
        Err(problem) => (problem.status(), page(&shared, problem.detail())).into_response(),
    }
}

async fn check(
    shared: &Shared,
    user: Option<String>,
    password: Option<String>,
    room: Option<String>,
    pin: Option<String>,
    ends: Ends,
) -> Result<Identity, Problem> {
    if let (Some(room), Some(pin)) = (room, pin) {
        return Ok(shared.settings.policy.authenticate_guest(&room, &pin, ends.peer.ip()).await?);
    }
    let credentials =
        Credentials { user, password: password.map(String::into_bytes), client_id: None, address: ends.peer.ip() };
    let identity = shared.settings.policy.authenticate(credentials).await?;
    // Where everybody is let in anyway, a wrong name is a mistake all the same.
    if identity.user().is_none() { Err(Denied::WrongPassword.into()) } else { Ok(identity) }
}

fn invited(shared: &Shared, code: &str) -> Result<Identity, Problem> {
    let unknown = || Problem::new(StatusCode::UNAUTHORIZED, "This invitation is used already, or too old.");
    let user = shared.settings.invitations.as_ref().and_then(|take| take(code)).ok_or_else(unknown)?;
    shared.settings.policy.known_user(&user).ok_or_else(unknown)
}

async fn enter(shared: &Shared, identity: &Identity) -> Result<(String, String), Problem> {
    let name = identity.user().unwrap_or_default();
    let token = shared.settings.logins.enter(identity, &shared.settings.policy, shared.clock.now());
    let token = token.ok_or_else(|| Problem::new(StatusCode::SERVICE_UNAVAILABLE, "No token can be made."))?;
    shared.keep_logins().await;
    Ok((name.to_owned(), token))
}

fn set_cookie(shared: &Shared, token: &str, headers: &HeaderMap, ends: Ends) -> String {
    let forwarded = headers.get("x-forwarded-proto").is_some_and(|proto| proto == HeaderValue::from_static("https"));
    let secure = if ends.tls || forwarded { "; Secure" } else { "" };
    let base = shared.settings.base_path.trim_matches('/');
    // A proxy may show the base path or take it off; the root covers both.
    let path = if base.is_empty() { "/".to_owned() } else { format!("/{base}/") };
    format!("{COOKIE}={token}; Path={path}; HttpOnly; SameSite=Strict{secure}; Max-Age={}", LOGIN_LASTS.as_secs())
}

/// The page of the form, with what went wrong where somebody sent it without a script.
fn page(shared: &Shared, fault: &str) -> Html<String> {
    let page = shared.assets.text("login.html").unwrap_or_default();
    // The fault is the hub's own sentence: it holds nothing that somebody typed.
    let fault =
        if fault.is_empty() { String::new() } else { format!("<p class=\"login-fault\" role=\"alert\">{fault}</p>") };
    Html(page.replace("<!-- fault -->", &fault))
}
