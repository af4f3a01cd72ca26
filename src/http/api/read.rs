//! Reading: what there is, and what it shows.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json,
    extract::{Path, RawQuery, State},
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::{parse_filter, query};
use crate::{
    domain::rejection::{Code, Rejection},
    http::{Shared, access::Access, fanout::put_entry, problem::Problem},
};

/// Topics in one answer.
const TOPICS_MAX: usize = 1000;
/// Filters in one question.
const FILTERS_MAX: usize = 64;

/// Somebody, as the hub knows them.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Me {
    /// The user's name; none for who did not log in.
    name: Option<String>,
    /// `viewer`, `member`, `device` or `admin`.
    role: &'static str,
    /// The only room of a guest who came by its PIN.
    room: Option<String>,
}

/// Who is asking, and what they may do.
#[utoipa::path(get, path = "/api/v1/me", tag = "hub", responses((status = 200, body = Me), (status = 401, body = Problem)))]
pub(super) async fn me(access: Access) -> Json<Me> {
    Json(Me {
        name: access.user().map(|name| name.as_ref().to_owned()),
        role: access.identity.role().as_str(),
        room: access.identity.room().map(ToString::to_string),
    })
}

/// The hub: its name, version, rooms and things, as `hub/info` shows them.
#[utoipa::path(get, path = "/api/v1/hub", tag = "hub", responses((status = 200, body = Value), (status = 401, body = Problem)))]
pub(super) async fn hub(State(shared): State<Arc<Shared>>, _: Access) -> Result<Json<Value>, Problem> {
    info(&shared).await.map(Json)
}

/// All rooms, with their things.
#[utoipa::path(get, path = "/api/v1/rooms", tag = "rooms", responses((status = 200, body = Value), (status = 401, body = Problem)))]
pub(super) async fn rooms(State(shared): State<Arc<Shared>>, _: Access) -> Result<Json<Value>, Problem> {
    Ok(Json(info(&shared).await?["rooms"].take()))
}

/// One room, with its things.
#[utoipa::path(
    get, path = "/api/v1/rooms/{room}", tag = "rooms", params(("room" = String, Path, description = "the room's id", example = "main")),
    responses((status = 200, body = Value), (status = 401, body = Problem), (status = 404, body = Problem)),
)]
pub(super) async fn room(
    State(shared): State<Arc<Shared>>,
    _: Access,
    Path(room): Path<String>,
) -> Result<Json<Value>, Problem> {
    find_room(&shared, &room).await.map(Json)
}

/// The things of a room, each with its controls and its state.
#[utoipa::path(
    get, path = "/api/v1/rooms/{room}/things", tag = "things",
    params(("room" = String, Path, description = "the room's id", example = "main")),
    responses((status = 200, body = Value), (status = 401, body = Problem), (status = 404, body = Problem)),
)]
pub(super) async fn things(
    State(shared): State<Arc<Shared>>,
    access: Access,
    Path(room): Path<String>,
) -> Result<Json<Value>, Problem> {
    Ok(Json(with_states(&shared, &access, &room).await?))
}

/// One thing, with its controls and its state.
#[utoipa::path(
    get, path = "/api/v1/rooms/{room}/things/{thing}", tag = "things",
    params(("room" = String, Path, description = "the room's id", example = "main"), ("thing" = String, Path, description = "the thing's id", example = "slider1")),
    responses((status = 200, body = Value), (status = 401, body = Problem), (status = 404, body = Problem)),
)]
pub(super) async fn thing(
    State(shared): State<Arc<Shared>>,
    access: Access,
    Path((room, thing)): Path<(String, String)>,
) -> Result<Json<Value>, Problem> {
    let Value::Array(things) = with_states(&shared, &access, &room).await? else {
        return Err(unknown_thing(&room, &thing));
    };
    let found = things.into_iter().find(|candidate| candidate["id"] == thing.as_str());
    found.map(Json).ok_or_else(|| unknown_thing(&room, &thing))
}

/// The devices that told of themselves: what they are, and whether they are there.
#[utoipa::path(get, path = "/api/v1/devices", tag = "devices", responses((status = 200, body = Value), (status = 401, body = Problem)))]
pub(super) async fn devices(State(shared): State<Arc<Shared>>, access: Access) -> Result<Json<Value>, Problem> {
    let root = &shared.settings.root;
    let below = format!("{root}/device/");
    let filters = vec![parse_filter(&format!("{below}+/info"))?, parse_filter(&format!("{below}+/availability"))?];
    let mut devices: BTreeMap<String, Value> = BTreeMap::new();
    for value in shared.read(filters).await?.values {
        if !access.identity.may_receive(value.topic.as_str()) {
            continue;
        }
        let Some((id, leaf)) = value.topic.as_str().strip_prefix(&below).and_then(|rest| rest.split_once('/')) else {
            continue;
        };
        let text = || Value::from(String::from_utf8_lossy(&value.payload).into_owned());
        let payload = serde_json::from_slice(&value.payload).unwrap_or_else(|_| text());
        devices.entry(id.to_owned()).or_insert_with(|| json!({"id": id}))[leaf] = payload;
    }
    Ok(Json(devices.into_values().collect()))
}

/// The retained values that the filters match, by topic, at most 1000: the answer says with `more` when there are more behind
/// the last one, which `after` goes on from.
#[utoipa::path(
    get, path = "/api/v1/topics", tag = "topics",
    params(
        ("filter" = Vec<String>, Query, description = "topic filters, as in MQTT", example = "lockstep/#"),
        ("after" = Option<String>, Query, description = "only topics behind this one"),
    ),
    responses((status = 200, body = Value), (status = 401, body = Problem), (status = 403, body = Problem), (status = 422, body = Problem)),
)]
pub(super) async fn topics(
    State(shared): State<Arc<Shared>>,
    access: Access,
    RawQuery(text): RawQuery,
) -> Result<Response, Problem> {
    let (mut filters, mut after) = (Vec::new(), None);
    for (key, value) in query(text.as_deref()) {
        match &*key {
            "filter" => filters.push(parse_filter(&value)?),
            "after" => after = Some(value.into_owned()),
            _ => {}
        }
    }
    if filters.is_empty() || filters.len() > FILTERS_MAX {
        let detail = format!("Ask with 1 to {FILTERS_MAX} times `filter=`.");
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail));
    }
    if let Some(filter) = filters.iter().find(|filter| !access.identity.may_subscribe(filter)) {
        return Err(Rejection::new(Code::Forbidden, format!("You may not read `{filter}`.")).into());
    }
    let snapshot = shared.read(filters).await?;
    let mut body = format!(r#"{{"seq":{},"topics":["#, snapshot.seq).into_bytes();
    let behind = |topic: &str| after.as_deref().is_none_or(|after| topic > after);
    let mut wanted = snapshot
        .values
        .iter()
        .filter(|value| behind(value.topic.as_str()) && access.identity.may_receive(value.topic.as_str()));
    for (i, value) in wanted.by_ref().take(TOPICS_MAX).enumerate() {
        if i > 0 {
            body.push(b',');
        }
        put_entry(&mut body, value.topic.as_str(), &value.payload, value.seq);
    }
    body.extend_from_slice(format!(r#"],"more":{}}}"#, wanted.next().is_some()).as_bytes());
    Ok(([(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")], body).into_response())
}

pub(super) async fn info(shared: &Shared) -> Result<Value, Problem> {
    let missing = || Problem::new(StatusCode::SERVICE_UNAVAILABLE, "The hub has not said what it is yet.");
    shared.read_json(&["hub", "info"]).await?.ok_or_else(missing)
}

pub(super) async fn find_room(shared: &Shared, room: &str) -> Result<Value, Problem> {
    let Value::Array(rooms) = info(shared).await?["rooms"].take() else { return Err(unknown_room(room)) };
    rooms.into_iter().find(|candidate| candidate["id"] == room).ok_or_else(|| unknown_room(room))
}

async fn with_states(shared: &Shared, access: &Access, room: &str) -> Result<Value, Problem> {
    let mut things = find_room(shared, room).await?["things"].take();
    let root = &shared.settings.root;
    let states = shared.read(vec![parse_filter(&format!("{root}/{room}/+/state"))?]).await?;
    for thing in things.as_array_mut().into_iter().flatten() {
        let topic = format!("{root}/{room}/{}/state", thing["id"].as_str().unwrap_or_default());
        let state = states.values.iter().find(|value| value.topic.as_str() == topic);
        let state = state.filter(|_| access.identity.may_receive(&topic));
        thing["state"] = state.and_then(|value| serde_json::from_slice(&value.payload).ok()).unwrap_or(Value::Null);
    }
    Ok(things)
}

fn unknown_room(room: &str) -> Problem {
    Rejection::new(Code::UnknownRoom, format!("There is no room `{}`.", shortened(room))).into()
}

fn unknown_thing(room: &str, thing: &str) -> Problem {
    let message = format!("There is no thing `{}` in the room `{}`.", shortened(thing), shortened(room));
    Rejection::new(Code::UnknownThing, message).into()
}

fn shortened(text: &str) -> String {
    text.chars().take(64).collect()
}
