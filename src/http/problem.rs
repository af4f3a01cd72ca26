//! Errors as HTTP tells them: `application/problem+json` (RFC 9457), with the hub's stable codes.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::rejection::{Code, Rejection};

/// An error (RFC 9457).
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct Problem {
    /// What kind of error it is, in the words of the status.
    title: String,
    /// The status of the answer.
    status: u16,
    /// One sentence for people.
    detail: String,
    /// The stable code, where the hub rejected something.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "out_of_range")]
    code: Option<&'static str>,
    /// The sentence once more, under the name that it has in every other protocol of the hub.
    message: String,
}

impl Problem {
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        let title = status.canonical_reason().unwrap_or("Error").to_owned();
        let detail = detail.into();
        Self { title, status: status.as_u16(), message: detail.clone(), detail, code: None }
    }
}

impl Problem {
    pub(super) fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    pub(super) fn detail(&self) -> &str {
        &self.detail
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
            Code::Busy | Code::Storage => StatusCode::SERVICE_UNAVAILABLE,
            // What the state of a thing does not allow now.
            _ => StatusCode::CONFLICT,
        };
        Self { code: Some(rejection.code.as_str()), ..Self::new(status, rejection.message) }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.status();
        let mut response = (status, Json(self)).into_response();
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
        }
        response
    }
}
