//! Changing: commands, publishes, rooms.

use std::sync::Arc;

use axum::{
    Json,
    body::Bytes,
    extract::{Path, State},
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::read::find_room;
use crate::{
    domain::{
        hub::RoomChange,
        id::Id,
        origin::Origin,
        publication::{Publish, Qos},
        rejection::{Code, Rejection},
    },
    engine::Lane,
    figures,
    http::{
        Shared,
        access::Access,
        problem::Problem,
        session::{Inbound, Request},
    },
};

/// What a publish led to.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Done {
    /// The place in the one order of the last thing that followed from it.
    seq: u64,
    /// The thing's revision, where it was a command.
    #[serde(skip_serializing_if = "Option::is_none")]
    rev: Option<u64>,
}

/// A publish.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "the description of a frame that the session reads")]
pub(super) struct PublishBody {
    /// Where to.
    #[schema(example = "lockstep/main/slider1/set")]
    topic: String,
    /// Any JSON value; a text without a `format` is sent as plain text.
    payload: Value,
    /// `json`, `text` or `base64`.
    format: Option<String>,
    /// Whether it becomes the topic's retained value.
    retain: Option<bool>,
    /// What the sender goes by, where nobody is logged in.
    name: Option<String>,
}

/// Publishes to a topic. The body is a `pub` frame of `/ws`; the answer comes when it is carried out and on disk.
#[utoipa::path(
    post, path = "/api/v1/publish", tag = "topics", request_body = PublishBody,
    responses(
        (status = 200, body = Done), (status = 400, body = Problem), (status = 401, body = Problem),
        (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem),
        (status = 413, body = Problem), (status = 415, body = Problem), (status = 422, body = Problem),
        (status = 503, body = Problem),
    ),
)]
pub(super) async fn publish(
    State(shared): State<Arc<Shared>>,
    access: Access,
    headers: axum::http::HeaderMap,
    body: Bytes,
) -> Result<Json<Done>, Problem> {
    // A form of a foreign page can send text, but not this type, without asking first.
    if !is_json(&headers) {
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Send `content-type: application/json`."));
    }
    let text = std::str::from_utf8(&body).map_err(|_| Rejection::new(Code::Malformed, "The body is no UTF-8."))?;
    let frame = Inbound::parse_publish(text)?;
    let origin = match (access.user(), frame.name()) {
        (None, Some(name)) => Origin::Web(name.as_str().into()),
        _ => access.origin(),
    };
    let Request::Publish { publish, .. } = frame.read(&origin)? else {
        return Err(Rejection::new(Code::Malformed, "This is no publish.").into());
    };
    submit(&shared, &access, *publish).await.map(Json)
}

/// Sends a command to a thing: the body as it is, such as `{"action":"press"}`, `42`, or `press` as plain text.
#[utoipa::path(
    post, path = "/api/v1/rooms/{room}/things/{thing}/set", tag = "things",
    params(("room" = String, Path, description = "the room's id"), ("thing" = String, Path, description = "the thing's id")),
    request_body(content((Value = "application/json"), (String = "text/plain"))),
    responses(
        (status = 200, body = Done), (status = 400, body = Problem), (status = 401, body = Problem),
        (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem),
        (status = 413, body = Problem), (status = 422, body = Problem), (status = 503, body = Problem),
    ),
)]
pub(super) async fn set(
    State(shared): State<Arc<Shared>>,
    access: Access,
    Path((room, thing)): Path<(String, String)>,
    body: Bytes,
) -> Result<Json<Done>, Problem> {
    let unknown =
        |code, id: &str| Rejection::new(code, format!("`{}` is no id.", id.chars().take(64).collect::<String>()));
    let room: Id = room.parse().map_err(|_| unknown(Code::UnknownRoom, &room))?;
    let thing: Id = thing.parse().map_err(|_| unknown(Code::UnknownThing, &thing))?;
    let topic = shared.topic(&[room.as_str(), thing.as_str(), "set"])?;
    let mut publish = Publish::new(topic, body, access.origin());
    publish.qos = Qos::AtLeastOnce;
    submit(&shared, &access, publish).await.map(Json)
}

async fn submit(shared: &Shared, access: &Access, publish: Publish) -> Result<Done, Problem> {
    if !access.identity.may_publish(&publish.topic) {
        figures::rejected(Code::Forbidden);
        let message = format!("You may not publish to `{}`.", publish.topic);
        return Err(Rejection::new(Code::Forbidden, message).into());
    }
    let accepted = shared.engine.publish(Lane::Client, publish).await?;
    Ok(Done { seq: accepted.seq, rev: accepted.revision })
}

/// A room to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewRoom {
    /// Its id: `[a-z0-9_-]{1,64}`; made from the name where it is missing.
    id: Option<String>,
    /// What people call it.
    #[schema(example = "Büro")]
    name: String,
}

/// A room's new name.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewName {
    /// What people call it from now on.
    name: String,
}

/// Makes a room from the template of the configuration.
#[utoipa::path(
    post, path = "/api/v1/rooms", tag = "rooms", request_body = NewRoom,
    responses(
        (status = 201, body = Value, headers(("Location" = String, description = "the room's address"))),
        (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 409, body = Problem), (status = 413, body = Problem), (status = 415, body = Problem),
        (status = 422, body = Problem), (status = 503, body = Problem),
    ),
)]
pub(super) async fn create_room(
    State(shared): State<Arc<Shared>>,
    access: Access,
    headers: axum::http::HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    must_be_admin(&access)?;
    let NewRoom { id, name } = read_json(&headers, &body)?;
    let malformed = |message: String| Problem::from(Rejection::new(Code::Malformed, message));
    let id = match id {
        Some(id) => id.parse::<Id>().map_err(|e| malformed(format!("{e}.")))?,
        None => Id::from_text(&name).ok_or_else(|| malformed("The name makes no id; send one too.".to_owned()))?,
    };
    shared.engine.change_room(RoomChange::Create { id: id.clone(), name }).await?;
    let room = find_room(&shared, id.as_str()).await?;
    // Relative to the address that was posted to, whatever stands in front of it.
    Ok((StatusCode::CREATED, [(header::LOCATION, format!("rooms/{id}"))], Json(room)).into_response())
}

/// Gives a room another name; its id stays.
#[utoipa::path(
    patch, path = "/api/v1/rooms/{room}", tag = "rooms", params(("room" = String, Path, description = "the room's id")),
    request_body = NewName,
    responses(
        (status = 200, body = Value), (status = 400, body = Problem), (status = 401, body = Problem),
        (status = 403, body = Problem), (status = 404, body = Problem), (status = 413, body = Problem),
        (status = 415, body = Problem), (status = 422, body = Problem), (status = 503, body = Problem),
    ),
)]
pub(super) async fn rename_room(
    State(shared): State<Arc<Shared>>,
    access: Access,
    Path(room): Path<String>,
    headers: axum::http::HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, Problem> {
    must_be_admin(&access)?;
    let NewName { name } = read_json(&headers, &body)?;
    let id = room_id(&room)?;
    shared.engine.change_room(RoomChange::Rename { id, name }).await?;
    find_room(&shared, &room).await.map(Json)
}

/// Takes a room away that was made while the hub ran, with all that is retained below it, and its history.
#[utoipa::path(
    delete, path = "/api/v1/rooms/{room}", tag = "rooms", params(("room" = String, Path, description = "the room's id")),
    responses(
        (status = 204), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 404, body = Problem), (status = 503, body = Problem),
    ),
)]
pub(super) async fn delete_room(
    State(shared): State<Arc<Shared>>,
    access: Access,
    Path(room): Path<String>,
) -> Result<StatusCode, Problem> {
    must_be_admin(&access)?;
    let id = room_id(&room)?;
    shared.engine.change_room(RoomChange::Delete { id }).await?;
    if let Some(history) = &shared.settings.history {
        // A room that is made later under this id must not begin with the past of another.
        let kept = |reason| Rejection::new(Code::Storage, format!("The room is gone, its history not yet: {reason}."));
        (history.forget_room)(room).await.map_err(kept)?;
    }
    Ok(StatusCode::NO_CONTENT)
}

fn must_be_admin(access: &Access) -> Result<(), Problem> {
    if access.identity.may_administer() {
        return Ok(());
    }
    Err(Rejection::new(Code::Forbidden, "Rooms are made and changed by an admin.").into())
}

fn room_id(room: &str) -> Result<Id, Problem> {
    room.parse().map_err(|e| Rejection::new(Code::UnknownRoom, format!("{e}.")).into())
}

fn is_json(headers: &axum::http::HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

pub(in crate::http) fn read_json<'a, T: Deserialize<'a>>(
    headers: &axum::http::HeaderMap,
    body: &'a [u8],
) -> Result<T, Problem> {
    if !is_json(headers) {
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Send `content-type: application/json`."));
    }
    serde_json::from_slice(body).map_err(|e| Rejection::new(Code::Malformed, format!("The body: {e}.")).into())
}
