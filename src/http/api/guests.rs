//! The guests of a room: a PIN that lets people into that room and into nothing else.

use std::sync::Arc;

use axum::{
    Json,
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    read::find_room,
    write::{must_be_admin, read_json, room_id},
};
use crate::{
    domain::rejection::{Code, Rejection},
    http::{Shared, access::Access, problem::Problem},
    policy::Role,
};

/// What guests may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum GuestRole {
    /// They see the room.
    Viewer,
    /// They move its things too.
    Member,
}

/// Who may come in by a PIN.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Guests {
    /// What they may do; none where the room has no PIN.
    role: Option<GuestRole>,
}

/// A PIN to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewPin {
    /// What guests may do.
    role: GuestRole,
}

/// A PIN that was made.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Pin {
    /// Eight digits, told now and never again.
    #[schema(example = "40719254")]
    pin: String,
    /// What guests may do.
    role: GuestRole,
}

/// Whether a room has a PIN for guests. For admins.
#[utoipa::path(
    get, path = "/api/v1/rooms/{room}/guests", tag = "rooms", params(("room" = String, Path, description = "the room's id")),
    responses((status = 200, body = Guests), (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem)),
)]
pub(super) async fn guests(
    State(shared): State<Arc<Shared>>,
    access: Access,
    Path(room): Path<String>,
) -> Result<Json<Guests>, Problem> {
    must_be_admin(&access)?;
    find_room(&shared, &room).await?;
    let role = match shared.settings.policy.guests_of(&room_id(&room)?) {
        Some(Role::Viewer) => Some(GuestRole::Viewer),
        Some(_) => Some(GuestRole::Member),
        None => None,
    };
    Ok(Json(Guests { role }))
}

/// Makes a PIN for a room. Who logs in with it sees that room alone, and moves its things when `role` is `member`. A PIN that
/// the room had is void then, and who came by it is sent away.
#[utoipa::path(
    put, path = "/api/v1/rooms/{room}/guests", tag = "rooms", params(("room" = String, Path, description = "the room's id")),
    request_body = NewPin,
    responses(
        (status = 200, body = Pin), (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 415, body = Problem), (status = 422, body = Problem), (status = 503, body = Problem),
    ),
)]
pub(super) async fn invite_guests(
    State(shared): State<Arc<Shared>>,
    access: Access,
    Path(room): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    must_be_admin(&access)?;
    let NewPin { role } = read_json(&headers, &body)?;
    find_room(&shared, &room).await?;
    let wanted = if role == GuestRole::Viewer { Role::Viewer } else { Role::Member };
    let pin = shared.settings.policy.invite_guests(room_id(&room)?, wanted).await.map_err(unkept)?;
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(Pin { pin, role })).into_response())
}

/// Takes a room's PIN away; who came by it is sent away.
#[utoipa::path(
    delete, path = "/api/v1/rooms/{room}/guests", tag = "rooms", params(("room" = String, Path, description = "the room's id")),
    responses(
        (status = 204), (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 503, body = Problem),
    ),
)]
pub(super) async fn dismiss_guests(
    State(shared): State<Arc<Shared>>,
    access: Access,
    Path(room): Path<String>,
) -> Result<StatusCode, Problem> {
    must_be_admin(&access)?;
    find_room(&shared, &room).await?;
    shared.settings.policy.dismiss_guests(&room_id(&room)?).await.map_err(unkept)?;
    Ok(StatusCode::NO_CONTENT)
}

fn unkept(reason: String) -> Problem {
    Rejection::new(Code::Storage, format!("The guests stay as they were: {reason}.")).into()
}
