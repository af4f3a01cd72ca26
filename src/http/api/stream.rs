//! Server-Sent Events: what `/ws` says, for where WebSocket does not pass.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::{
    body::Body,
    extract::{RawQuery, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use http_body::Frame;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::{parse_filter, query};
use crate::{
    domain::{
        rejection::{Code, Rejection},
        topic::Filter,
    },
    http::{
        Shared,
        access::Access,
        fanout::{Wire, boot_for},
        problem::Problem,
        session::Session,
        stream::{Duct, Outgoing},
    },
};

/// Everything that happens below the filters, as Server-Sent Events: each event's data is a frame as `/ws` sends it. First comes
/// `hello`, then `snap`, then `msg`. A stream that is taken up again with `Last-Event-ID` gets only what changed meanwhile.
#[utoipa::path(
    get, path = "/api/v1/stream", tag = "topics",
    params(
        ("filter" = Vec<String>, Query, description = "topic filters, as in MQTT", example = "lockstep/#"),
        ("Last-Event-ID" = Option<String>, Header, description = "the id of the last event that arrived"),
        ("last_event_id" = Option<String>, Query, description = "the same, for who cannot set headers"),
    ),
    responses(
        (status = 200, content_type = "text/event-stream", body = String), (status = 401, body = Problem),
        (status = 403, body = Problem), (status = 422, body = Problem), (status = 503, body = Problem),
    ),
)]
pub(super) async fn stream(
    State(shared): State<Arc<Shared>>,
    access: Access,
    headers: HeaderMap,
    RawQuery(text): RawQuery,
) -> Result<Response, Problem> {
    let mut filters: Vec<Filter> = Vec::new();
    let mut cursor = headers.get("last-event-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
    for (key, value) in query(text.as_deref()) {
        match &*key {
            "filter" => filters.push(parse_filter(&value)?),
            "last_event_id" => cursor = cursor.or(Some(value.into_owned())),
            _ => {}
        }
    }
    let most = shared.settings.limits.filters_max;
    if filters.is_empty() || filters.len() > most {
        let detail = format!("Ask with 1 to {most} times `filter=`.");
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail));
    }
    if let Some(filter) = filters.iter().find(|filter| !access.identity.may_subscribe(filter)) {
        return Err(Rejection::new(Code::Forbidden, format!("You may not subscribe to `{filter}`.")).into());
    }
    let full = || Problem::new(StatusCode::SERVICE_UNAVAILABLE, "There are too many browsers; try again later.");
    let permit = Arc::clone(&shared.browsers).try_acquire_owned().map_err(|_| full())?;
    let duct = Arc::new(Duct::default());
    let outgoing = Outgoing::Duct(Arc::clone(&duct));
    let boot = boot_for(&shared.settings.boot, access.identity.read_rights());
    let session = Session::join(Arc::clone(&shared), access, outgoing, Wire::EventStream).await;
    let session = session.ok_or_else(|| Problem::new(StatusCode::SERVICE_UNAVAILABLE, "The hub is stopping."))?;
    let resume = cursor.as_deref().and_then(|cursor| cursor.rsplit_once(':'));
    let resume = resume.filter(|(cursor, _)| **cursor == *boot).and_then(|(_, seq)| seq.parse().ok());
    session.show(filters, resume).await;
    let (gone, left) = oneshot::channel::<()>();
    // Nobody sends: the end of the body is what is waited for.
    shared.tasks.spawn(session.wait_and_leave(left));
    let body = Body::new(StreamBody { duct, _gone: gone, _permit: permit });
    let headers = [
        (header::CONTENT_TYPE.as_str(), "text/event-stream"),
        (header::CACHE_CONTROL.as_str(), "no-store"),
        // nginx would collect the events otherwise.
        ("x-accel-buffering", "no"),
    ];
    Ok((headers, body).into_response())
}

/// The body of an answer that goes on; dropped with the connection, which tells the session.
struct StreamBody {
    duct: Arc<Duct>,
    _gone: oneshot::Sender<()>,
    _permit: OwnedSemaphorePermit,
}

impl http_body::Body for StreamBody {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.duct.poll_take(context).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }
}

impl Drop for StreamBody {
    fn drop(&mut self) {
        self.duct.cut();
    }
}
