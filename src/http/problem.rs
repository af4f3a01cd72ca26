//! Errors as HTTP tells them: `application/problem+json` (RFC 9457), with the hub's stable codes.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use crate::domain::rejection::{Code, Rejection};

/// An error.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Problem {
    /// What kind of error it is, in the words of the status.
    title: String,
    status: u16,
    /// One sentence for people.
    detail: String,
    /// The stable code, where the hub rejected something.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
}

impl Problem {
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        let title = status.canonical_reason().unwrap_or("Error").to_owned();
        Self { title, status: status.as_u16(), detail: detail.into(), code: None }
    }
}

impl From<Rejection> for Problem {
    fn from(rejection: Rejection) -> Self {
        let status = match rejection.code {
            Code::Malformed | Code::UnknownCommand | Code::OutOfRange => StatusCode::UNPROCESSABLE_ENTITY,
            Code::UnknownRoom | Code::UnknownThing | Code::UnknownLeaf => StatusCode::NOT_FOUND,
            Code::OwnedTopic | Code::Forbidden => StatusCode::FORBIDDEN,
            Code::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Code::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            Code::Busy | Code::Storage | Code::Limit => StatusCode::SERVICE_UNAVAILABLE,
            // What the state of a thing does not allow now.
            _ => StatusCode::CONFLICT,
        };
        Self { code: Some(rejection.code.as_str()), ..Self::new(status, rejection.message) }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(self)).into_response();
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
        }
        response
    }
}
