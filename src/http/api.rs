//! The API for scripts and services: rooms, things, topics, devices, and an event stream.
//!
//! Everything it changes is a publish like any other, and everything it reads is a retained value. The description of
//! it is made from these functions.

pub(super) mod asyncapi;
mod guests;
pub(super) mod health;
mod history;
pub(super) mod pages;
mod read;
pub(super) mod stream;
mod write;

use std::sync::Arc;

use axum::{
    Json, Router,
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use serde_json::{Value, json};
use utoipa::OpenApi;

pub(super) use self::write::read_json;
use super::{Shared, login, problem::Problem};
use crate::{
    domain::topic::{Filter, Topic},
    engine::Snapshot,
};

/// What stands below `api/`.
pub(super) fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/api/v1/hub", get(read::hub))
        .route("/api/v1/me", get(read::me))
        .route("/api/v1/login", post(login::login))
        .route("/api/v1/logout", post(login::logout))
        .route("/api/v1/topics", get(read::topics))
        .route("/api/v1/publish", post(write::publish))
        .route("/api/v1/stream", get(stream::stream))
        .route("/api/v1/devices", get(read::devices))
        .route("/api/v1/rooms", get(read::rooms).post(write::create_room))
        .route("/api/v1/rooms/{room}", get(read::room).patch(write::rename_room).delete(write::delete_room))
        .route("/api/v1/rooms/{room}/history", get(history::history))
        .route(
            "/api/v1/rooms/{room}/guests",
            get(guests::guests).put(guests::invite_guests).delete(guests::dismiss_guests),
        )
        .route("/api/v1/rooms/{room}/things", get(read::things))
        .route("/api/v1/rooms/{room}/things/{thing}", get(read::thing))
        .route("/api/v1/rooms/{room}/things/{thing}/set", post(write::set))
        .route("/api/openapi.json", get(openapi))
        .route("/api/asyncapi.json", get(asyncapi::document))
        .route("/api", get(pages::docs))
        .route("/api/docs.css", get(pages::style))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::metrics))
}

/// The description of the API (OpenAPI 3.1).
#[derive(Debug, OpenApi)]
#[openapi(
    info(
        title = "Lockstep",
        description = "Shared things over HTTP. What changes is told at once over `/ws` and `/api/v1/stream`: see the \
                       AsyncAPI document beside this one.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    paths(
        read::hub, read::me, read::topics, read::devices, read::rooms, read::room, read::things, read::thing,
        write::publish, write::set, write::create_room, write::rename_room, write::delete_room, history::history, guests::guests, guests::invite_guests, guests::dismiss_guests, stream::stream,
        login::login, login::logout, health::alive, health::ready, health::metrics,
    ),
    components(schemas(Problem)),
    // Relative to the document, so that it is right behind any proxy.
    servers((url = "..")),
)]
pub(super) struct Description;

async fn openapi() -> Response {
    ([(header::CACHE_CONTROL, "no-cache")], Json(description())).into_response()
}

/// A topic filter as a regular expression (MQTT 5 §4.7.1).
const FILTER_PATTERN: &str = r"^(?:(?:\+|[^+#/\u0000]*)/)*(?:#|\+|[^+#/\u0000]*)$";

/// Unix milliseconds or a moment of RFC 3339 as a regular expression; not every moment of the calendar, but nothing else.
const MOMENT_PATTERN: &str = "^(?:[0-9]{1,13}|20[0-9]{2}-(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])T(?:[01][0-9]|2[0-3])\
                              :[0-5][0-9]:[0-5][0-9]Z)$";

/// The description with what the attributes on the functions cannot say.
pub(super) fn description() -> Value {
    let mut document = serde_json::to_value(Description::openapi()).unwrap_or_default();
    let operations = document["paths"]
        .as_object_mut()
        .into_iter()
        .flat_map(|paths| paths.values_mut().filter_map(Value::as_object_mut));
    for operation in operations.flat_map(|operations| operations.values_mut()) {
        for response in operation["responses"].as_object_mut().into_iter().flat_map(|all| all.values_mut()) {
            let Some(content) = response.get_mut("content").and_then(Value::as_object_mut) else { continue };
            // Errors have a type of their own (RFC 9457).
            if content
                .get("application/json")
                .is_some_and(|body| body["schema"]["$ref"] == "#/components/schemas/Problem")
                && let Some(problem) = content.remove("application/json")
            {
                content.insert("application/problem+json".to_owned(), problem);
            }
        }
        for parameter in operation.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten() {
            let schema = match parameter["name"].as_str().unwrap_or_default() {
                "filter" => json!({
                    "type": "array", "minItems": 1, "maxItems": 64,
                    "items": {"type": "string", "minLength": 1, "pattern": FILTER_PATTERN},
                }),
                "from" | "until" => json!({"type": "string", "pattern": MOMENT_PATTERN}),
                "after" if parameter["description"].as_str().is_some_and(|text| text.contains("place")) => {
                    json!({"type": "string", "pattern": "^[0-9]{1,13}-[0-9]{1,6}$"})
                }
                "limit" => json!({"type": "integer", "minimum": 1, "maximum": 20_000}),
                "format" => json!({"type": "string", "enum": ["json", "csv"]}),
                _ => continue,
            };
            parameter["schema"] = schema;
        }
    }
    document
}

impl Shared {
    /// The retained values that `filters` match.
    async fn read(&self, filters: Vec<Filter>) -> Result<Snapshot, Problem> {
        let stopping = |_| Problem::new(StatusCode::SERVICE_UNAVAILABLE, "The hub is stopping.");
        self.engine.snapshot(filters).await.map_err(stopping)
    }

    /// The retained JSON of the hub's own topic with `levels` below the root; none where there is none.
    async fn read_json(&self, levels: &[&str]) -> Result<Option<Value>, Problem> {
        let filter = parse_filter(&format!("{}/{}", self.settings.root, levels.join("/")))?;
        let snapshot = self.read(vec![filter]).await?;
        Ok(snapshot.values.first().and_then(|value| serde_json::from_slice(&value.payload).ok()))
    }

    /// A topic of the hub's own.
    fn topic(&self, levels: &[&str]) -> Result<Topic, Problem> {
        let text = format!("{}/{}", self.settings.root, levels.join("/"));
        Topic::parse(&text).map_err(|e| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, format!("{e}.")))
    }
}

fn parse_filter(text: &str) -> Result<Filter, Problem> {
    Filter::parse(text).map_err(|e| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, format!("`filter`: {e}.")))
}

/// The values of a query, keys repeated as often as they are.
fn query(text: Option<&str>) -> impl Iterator<Item = (std::borrow::Cow<'_, str>, std::borrow::Cow<'_, str>)> {
    form_urlencoded::parse(text.unwrap_or_default().as_bytes())
}
