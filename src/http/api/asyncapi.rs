//! The description of what is told and asked without HTTP requests (AsyncAPI 3.0): the frames of `/ws`, and the topics of
//! each kind in the closed list.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::header,
    response::{IntoResponse as _, Response},
};
use serde_json::{Map, Value, json};

use crate::{
    domain::{rejection::Code, things::Kind},
    http::{Shared, websocket::SUBPROTOCOL},
};

pub(super) async fn document(State(shared): State<Arc<Shared>>) -> Response {
    ([(header::CACHE_CONTROL, "no-cache")], Json(describe(&shared.settings.root))).into_response()
}

/// A frame: its type, who sends it, what it is, its fields as (name, schema, required), and an example.
struct FrameKind {
    name: &'static str,
    from_hub: bool,
    summary: &'static str,
    fields: &'static [(&'static str, &'static str, bool)],
    example: fn(&str) -> Value,
}

/// The frames, in the order of a conversation. A schema is a JSON type, or several with `|`; `any` is any.
const FRAMES: &[FrameKind] = &[
    FrameKind {
        name: "hello",
        from_hub: true,
        summary: "The first frame: which start of the hub this is, its clock, who you are, and the limits.",
        fields: &[
            ("boot", "string", true),
            ("seq", "integer", true),
            ("now", "integer", true),
            ("hub", "object", true),
            ("you", "object", true),
            ("limits", "object", true),
        ],
        example: |root| {
            json!({"type": "hello", "boot": "9f3c2b1a00000000", "seq": 123, "now": 1_760_000_000_000_i64,
                "hub": {"name": "Lockstep", "version": "0.1.0", "root": root},
                "you": {"by": "web:guest-1", "name": "guest-1", "role": "member"},
                "limits": {"frame_bytes_max": 65536, "filters_max": 64, "publishes_per_second_max": 200, "slider_interval_ms": 50}})
        },
    },
    FrameKind {
        name: "sub",
        from_hub: false,
        summary: "Show me these topics too. With `boot` and `seq` of before, for the same filters, only what changed since is shown.",
        fields: &[
            ("filters", "array", true),
            ("id", "string|number", false),
            ("boot", "string", false),
            ("seq", "integer", false),
        ],
        example: |root| json!({"type": "sub", "filters": [format!("{root}/main/#")], "id": "s1"}),
    },
    FrameKind {
        name: "snap",
        from_hub: true,
        summary: "A page of what the topics show, complete up to `seq` with the last page. With `resumed` only what changed.",
        fields: &[
            ("id", "string|number|null", true),
            ("seq", "integer", true),
            ("page", "integer", true),
            ("last", "boolean", true),
            ("resumed", "boolean", true),
            ("topics", "array", true),
        ],
        example: |root| {
            json!({"type": "snap", "id": "s1", "seq": 123, "page": 0, "last": true, "resumed": false,
                "topics": [{"topic": format!("{root}/main/slider1/value"), "payload": 42, "format": "json", "seq": 97}]})
        },
    },
    FrameKind {
        name: "msg",
        from_hub: true,
        summary: "Something happened on a topic. `retain`: it is the topic's value from now on; with `deleted` it has none any more.",
        fields: &[
            ("topic", "string", true),
            ("payload", "any", false),
            ("format", "string", false),
            ("retain", "boolean", true),
            ("deleted", "boolean", false),
            ("seq", "integer", true),
        ],
        example: |root| json!({"type": "msg", "topic": format!("{root}/main/slider1/value"), "payload": 43, "format": "json", "retain": true, "seq": 124}),
    },
    FrameKind {
        name: "unsub",
        from_hub: false,
        summary: "Show me these topics no longer.",
        fields: &[("filters", "array", true)],
        example: |root| json!({"type": "unsub", "filters": [format!("{root}/main/#")]}),
    },
    FrameKind {
        name: "pub",
        from_hub: false,
        summary: "Publish. The payload is any JSON value; a text without a format is plain text. `ref` comes back with the outcome.",
        fields: &[
            ("topic", "string", true),
            ("payload", "any", true),
            ("format", "string", false),
            ("retain", "boolean", false),
            ("ref", "string|number", false),
        ],
        example: |root| json!({"type": "pub", "topic": format!("{root}/main/slider1/set"), "payload": 42, "ref": "a1"}),
    },
    FrameKind {
        name: "ack",
        from_hub: true,
        summary: "The `pub` with that `ref` is carried out and, where it must last, on disk.",
        fields: &[("ref", "string|number", true), ("seq", "integer", true)],
        example: |_| json!({"type": "ack", "ref": "a1", "seq": 125}),
    },
    FrameKind {
        name: "err",
        from_hub: true,
        summary: "Why a frame did nothing: the one with this `ref`, or the `sub` with this `id`. The connection lives on.",
        fields: &[
            ("code", "string", true),
            ("message", "string", true),
            ("ref", "string|number", false),
            ("id", "string|number", false),
        ],
        example: |_| json!({"type": "err", "code": "out_of_range", "message": "The value goes from 0 to 100.", "ref": "a1"}),
    },
    FrameKind {
        name: "here",
        from_hub: false,
        summary: "Who I am, and which room I look at. With an empty name nobody is told.",
        fields: &[("room", "string", false), ("name", "string", true)],
        example: |_| json!({"type": "here", "room": "main", "name": "Anna"}),
    },
    FrameKind {
        name: "ping",
        from_hub: false,
        summary: "What time is it at the hub?",
        fields: &[("id", "string|number", false)],
        example: |_| json!({"type": "ping", "id": 7}),
    },
    FrameKind {
        name: "pong",
        from_hub: true,
        summary: "The answer to `ping`: the hub's clock, in milliseconds since 1970.",
        fields: &[("now", "integer", true), ("id", "string|number", false)],
        example: |_| json!({"type": "pong", "now": 1_760_000_000_000_i64, "id": 7}),
    },
    FrameKind {
        name: "resync",
        from_hub: true,
        summary: "Events were lost because this connection was slow. Take a new snapshot by sending `sub` again.",
        fields: &[],
        example: |_| json!({"type": "resync"}),
    },
];

/// The whole document.
pub(super) fn describe(root: &str) -> Value {
    let mut messages = Map::new();
    for frame in FRAMES {
        messages.insert(frame.name.to_owned(), message(frame, root));
    }
    let reference = |name: &str| json!({"$ref": format!("#/components/messages/{name}")});
    let bridge: Map<_, _> = FRAMES.iter().map(|frame| (frame.name.to_owned(), reference(frame.name))).collect();
    let mut channels = Map::new();
    let summary = format!("WebSocket, subprotocol {SUBPROTOCOL}: JSON text frames, each an object with `type`.");
    channels.insert("bridge".to_owned(), json!({"address": "/ws", "summary": summary, "messages": bridge}));
    for kind in Kind::ALL {
        add_kind(&mut channels, &mut messages, root, *kind);
    }
    let of = |from_hub: bool| {
        let names = FRAMES.iter().filter(|frame| frame.from_hub == from_hub);
        names.map(|frame| json!({"$ref": format!("#/channels/bridge/messages/{}", frame.name)})).collect::<Vec<_>>()
    };
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Lockstep", "version": env!("CARGO_PKG_VERSION"),
            "description": "Topics over MQTT 3.1.1 and 5, and the same topics over WebSocket for browsers.",
            "license": {"name": "MIT OR Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": {
            "hubTells": {"action": "send", "channel": {"$ref": "#/channels/bridge"}, "messages": of(true)},
            "browserAsks": {"action": "receive", "channel": {"$ref": "#/channels/bridge"}, "messages": of(false)},
        },
        "components": {"messages": messages},
    })
}

fn message(frame: &FrameKind, root: &str) -> Value {
    let mut properties = Map::new();
    properties.insert("type".to_owned(), json!({"const": frame.name}));
    for (name, kinds, _) in frame.fields {
        properties.insert((*name).to_owned(), schema(kinds));
    }
    if frame.name == "err" {
        let codes: Vec<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        properties.insert("code".to_owned(), json!({"enum": codes}));
    }
    let required: Vec<_> = std::iter::once("type")
        .chain(frame.fields.iter().filter(|(.., required)| *required).map(|(name, ..)| *name))
        .collect();
    json!({
        "name": frame.name, "summary": frame.summary,
        "payload": {"type": "object", "required": required, "properties": properties},
        "examples": [{"payload": (frame.example)(root)}],
    })
}

fn schema(kinds: &str) -> Value {
    match kinds {
        "any" => json!({}),
        _ if kinds.contains('|') => json!({"type": kinds.split('|').collect::<Vec<_>>()}),
        one => json!({"type": one}),
    }
}

/// The topics of a thing of `kind`, with what its state looks like when it is new.
fn add_kind(channels: &mut Map<String, Value>, messages: &mut Map<String, Value>, root: &str, kind: Kind) {
    let word = kind.as_str();
    let thing = kind.default_settings().build();
    let state = format!("{word}State");
    messages.insert(
        state.clone(),
        json!({
            "name": state, "summary": format!("What a {word} shows, besides `rev`, `by` and `sent_at`. Retained."),
            "payload": {"type": "object"}, "x-controls": thing.controls(),
        }),
    );
    let command = format!("{word}Command");
    messages.insert(
        command.clone(),
        json!({"name": command, "summary": format!("A command for a {word}: a plain word or number, or JSON. Never retained."), "payload": {}}),
    );
    let event = format!("{word}Event");
    messages.insert(
        event.clone(),
        json!({
            "name": event, "summary": format!("Something happened to a {word}."),
            "payload": {"type": "object", "properties": {"event_type": {"enum": thing.event_types()}}},
        }),
    );
    for (leaf, name) in [("state", &state), ("set", &command), ("event", &event)] {
        channels.insert(
            format!("{word}_{leaf}"),
            json!({
                "address": format!("{root}/{{room}}/{{{word}}}/{leaf}"),
                "parameters": {"room": {"description": "the room's id"}, word: {"description": "the thing's id"}},
                "messages": {name.as_str(): {"$ref": format!("#/components/messages/{name}")}},
            }),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_and_every_reference_is_there() {
        let document = describe("lockstep");
        let text = document.to_string();
        for kind in Kind::ALL {
            assert!(document["channels"].get(format!("{}_state", kind.as_str())).is_some(), "{kind:?}");
        }
        for part in text.split("\"$ref\":\"#").skip(1) {
            let pointer = part.split('"').next().expect("a pointer");
            assert!(document.pointer(pointer).is_some(), "{pointer}");
        }
    }
}
