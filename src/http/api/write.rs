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

use super::read::{find_room, info};
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
    #[schema(example = "lockstep/main/slider1/set", min_length = 1, pattern = r"^[^+#\u0000]+$")]
    topic: String,
    /// Any JSON value but `null`; a text without a `format` is sent as plain text, any other value as its JSON.
    #[schema(schema_with = payload_schema)]
    payload: Value,
    /// What a text stands for: JSON as it is written, itself, or bytes in base64. It fits the payload, or is left out.
    format: Option<Format>,
    /// Whether it becomes the topic's retained value.
    retain: Option<bool>,
    /// What the sender goes by, where nobody is logged in.
    name: Option<String>,
}

/// What a payload that is a text stands for.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "the description of a field that the session reads")]
#[schema(rename_all = "snake_case")]
enum Format {
    Json,
    Text,
    Base64,
}

fn payload_schema() -> utoipa::openapi::Schema {
    use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};
    let any = [Type::Object, Type::Array, Type::String, Type::Number, Type::Integer, Type::Boolean];
    ObjectBuilder::new().schema_type(SchemaType::from_iter(any)).examples([Value::from(42)]).build().into()
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
    params(("room" = String, Path, description = "the room's id", example = "main"), ("thing" = String, Path, description = "the thing's id", example = "slider1")),
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
    /// Its id; made from the name where it is missing.
    #[schema(example = "office", pattern = "^[a-z0-9_-]{1,64}$")]
    id: Option<String>,
    /// What people call it.
    #[schema(
        example = "Büro",
        min_length = 1,
        max_length = 64,
        pattern = r"^[^\s\u0000-\u001f\u007f-\u009f](?:[^\u0000-\u001f\u007f-\u009f]*[^\s\u0000-\u001f\u007f-\u009f])?$"
    )]
    name: String,
}

/// A room's new name.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewName {
    /// What people call it from now on.
    #[schema(
        example = "Büro",
        min_length = 1,
        max_length = 64,
        pattern = r"^[^\s\u0000-\u001f\u007f-\u009f](?:[^\u0000-\u001f\u007f-\u009f]*[^\s\u0000-\u001f\u007f-\u009f])?$"
    )]
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
        None => match Id::from_text(&name) {
            Some(id) => id,
            None => free_id(&shared).await?,
        },
    };
    shared.engine.change_room(RoomChange::Create { id: id.clone(), name }).await?;
    let room = find_room(&shared, id.as_str()).await?;
    // Relative to the address that was posted to, whatever stands in front of it.
    Ok((StatusCode::CREATED, [(header::LOCATION, format!("rooms/{id}"))], Json(room)).into_response())
}

/// Gives a room another name; its id stays.
#[utoipa::path(
    patch, path = "/api/v1/rooms/{room}", tag = "rooms", params(("room" = String, Path, description = "the room's id", example = "main")),
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

/// Takes a room away that was made while the hub ran, with all that is retained below it, its history and its PIN.
#[utoipa::path(
    delete, path = "/api/v1/rooms/{room}", tag = "rooms", params(("room" = String, Path, description = "the room's id", example = "main")),
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
    shared.engine.change_room(RoomChange::Delete { id: id.clone() }).await?;
    let kept =
        |reason| Rejection::new(Code::Storage, format!("The room is gone, what was kept of it not yet: {reason}."));
    shared.settings.policy.dismiss_guests(&id).await.map_err(kept)?;
    if let Some(history) = &shared.settings.history {
        // A room that is made later under this id must not begin with the past of another.
        (history.forget_room)(room).await.map_err(kept)?;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// An id for a room whose name has no letter that an id may have.
async fn free_id(shared: &Shared) -> Result<Id, Problem> {
    let info = info(shared).await?;
    let taken = |id: &str| info["rooms"].as_array().into_iter().flatten().any(|room| room["id"] == id);
    let free = (1..=u32::MAX).map(|n| format!("room-{n}")).find(|id| !taken(id)).and_then(|id| id.parse().ok());
    free.ok_or_else(|| Rejection::new(Code::Limit, "There is no id left.").into())
}

pub(super) fn must_be_admin(access: &Access) -> Result<(), Problem> {
    if access.identity.may_administer() {
        return Ok(());
    }
    Err(Rejection::new(Code::Forbidden, "Rooms are made and changed by an admin.").into())
}

pub(super) fn room_id(room: &str) -> Result<Id, Problem> {
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
