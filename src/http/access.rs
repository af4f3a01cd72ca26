//! Who a request comes from: a cookie, a token, a user and password, or nobody in particular.
//!
//! What they may do does not belong here; that is the policy.

use std::sync::Arc;

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, StatusCode, header, request::Parts},
};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};

use super::{Shared, login, problem::Problem, server::Ends};
use crate::{
    domain::origin::Origin,
    policy::{Credentials, Denied, Identity},
};

/// Somebody who was let in. Cheap to clone.
#[derive(Debug, Clone)]
pub(in crate::http) struct Access {
    pub(in crate::http) identity: Identity,
}

impl Access {
    /// The user name; none for who did not log in, and for guests, of whom many come by one PIN.
    pub(in crate::http) fn user(&self) -> Option<Arc<str>> {
        self.identity.user().filter(|_| self.identity.room().is_none()).map(Into::into)
    }

    /// Who a publish of a script is by.
    pub(in crate::http) fn origin(&self) -> Origin {
        self.user().map_or_else(|| Origin::Web("http".into()), Origin::User)
    }
}

impl From<Denied> for Problem {
    fn from(denied: Denied) -> Self {
        let status = match denied {
            Denied::WrongPassword | Denied::WrongPin | Denied::UserNeeded => StatusCode::UNAUTHORIZED,
            Denied::TooManyAttempts => StatusCode::TOO_MANY_REQUESTS,
        };
        let text = denied.to_string();
        let mut letters = text.chars();
        let sentence = letters.next().map(|first| format!("{}{}.", first.to_uppercase(), letters.as_str()));
        Self::new(status, sentence.unwrap_or_default())
    }
}

impl FromRequestParts<Arc<Shared>> for Access {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, shared: &Arc<Shared>) -> Result<Self, Problem> {
        let ends = parts.extensions.get::<Ends>().copied();
        find(shared, &parts.headers, ends).await.map(|identity| Self { identity })
    }
}

async fn find(shared: &Shared, headers: &HeaderMap, ends: Option<Ends>) -> Result<Identity, Problem> {
    let policy = &shared.settings.policy;
    if let Some(given) = headers.get(header::AUTHORIZATION) {
        let given = given.to_str().unwrap_or_default();
        let (scheme, value) = given.split_once(' ').unwrap_or((given, ""));
        let unknown = || Problem::new(StatusCode::UNAUTHORIZED, "This token is not known, or not any more.");
        if scheme.eq_ignore_ascii_case("bearer") {
            return shared.logged_in(value.trim()).ok_or_else(unknown);
        }
        if scheme.eq_ignore_ascii_case("basic") {
            let bad = || Problem::new(StatusCode::BAD_REQUEST, "This is no user and password.");
            let decoded = BASE64.decode(value.trim()).map_err(|_| bad())?;
            let colon = decoded.iter().position(|byte| *byte == b':').ok_or_else(bad)?;
            let user = String::from_utf8(decoded[..colon].to_vec()).map_err(|_| bad())?;
            let credentials = Credentials {
                user: Some(user),
                password: Some(decoded[colon + 1..].to_vec()),
                client_id: None,
                address: ends.ok_or_else(bad)?.peer.ip(),
            };
            return Ok(policy.authenticate(credentials).await?);
        }
        return Err(Problem::new(StatusCode::UNAUTHORIZED, "`Authorization` is `Bearer` or `Basic` here."));
    }
    if let Some(identity) = login::cookie(headers).and_then(|token| shared.logged_in(token)) {
        return Ok(identity);
    }
    Ok(policy.anonymous(None)?)
}
