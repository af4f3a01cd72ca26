//! A readable page of both descriptions, made by the hub itself: no script, nothing from elsewhere.

use std::{fmt::Write as _, sync::Arc};

use axum::{
    extract::State,
    http::header,
    response::{Html, IntoResponse as _, Response},
};
use serde_json::Value;

use super::{asyncapi, description};
use crate::http::Shared;

/// Methods in the order in which they are shown.
const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color-scheme:light dark}\
                     code,pre{font-family:ui-monospace,monospace;font-size:.9em}pre{overflow:auto;padding:.75rem;border:1px solid #8888;border-radius:.5rem}\
                     h3{margin-bottom:0}h3 b{text-transform:uppercase}td{padding-right:1rem;vertical-align:top}";

pub(super) async fn style() -> Response {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8"), (header::CACHE_CONTROL, "no-cache")], STYLE).into_response()
}

pub(super) async fn docs(State(shared): State<Arc<Shared>>) -> Response {
    let http = description();
    let frames = asyncapi::describe(&shared.settings.root);
    let mut page = String::from(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>Lockstep: the API</title><link rel=\"stylesheet\" href=\"api/docs.css\"><h1>Lockstep: the API</h1>\
         <p>For programs: <a href=\"api/openapi.json\">OpenAPI 3.1</a> and <a href=\"api/asyncapi.json\">AsyncAPI 3</a>.</p>\
         <h2>HTTP</h2>",
    );
    for (path, operations) in http["paths"].as_object().into_iter().flatten() {
        for method in METHODS {
            if let Some(operation) = operations.get(method) {
                add_operation(&mut page, method, path, operation);
            }
        }
    }
    page.push_str("<h2>Frames of <code>/ws</code></h2>");
    for (name, message) in frames["components"]["messages"].as_object().into_iter().flatten() {
        let Some(example) = message["examples"][0].get("payload") else { continue };
        let example = serde_json::to_string_pretty(example).unwrap_or_default();
        add(&mut page, "<h3><code>", name, "</code></h3>");
        add(&mut page, "<p>", text(&message["summary"]), "</p>");
        add(&mut page, "<pre>", &example, "</pre>");
    }
    page.push_str("<h2>Topics</h2><table>");
    for (name, channel) in frames["channels"].as_object().into_iter().flatten() {
        if name != "bridge" {
            add(&mut page, "<tr><td><code>", text(&channel["address"]), "</code></td>");
            let message = channel["messages"].as_object().and_then(|messages| messages.keys().next());
            let message = message.map_or(&Value::Null, |name| &frames["components"]["messages"][name]);
            add(&mut page, "<td>", text(&message["summary"]), "</td></tr>");
        }
    }
    page.push_str("</table></html>");
    Html(page).into_response()
}

fn add_operation(page: &mut String, method: &str, path: &str, operation: &Value) {
    // Writing into memory cannot fail.
    let _ = write!(page, "<h3><b>{method}</b> <code>{}</code></h3>", escape(path));
    add(page, "<p>", text(&operation["summary"]), "</p>");
    let parameters = operation["parameters"].as_array();
    if let Some(parameters) = parameters.filter(|parameters| !parameters.is_empty()) {
        page.push_str("<table>");
        for parameter in parameters {
            add(page, "<tr><td><code>", text(&parameter["name"]), "</code></td>");
            add(page, "<td>", text(&parameter["description"]), "</td></tr>");
        }
        page.push_str("</table>");
    }
    let statuses: Vec<&str> =
        operation["responses"].as_object().into_iter().flatten().map(|(status, _)| status.as_str()).collect();
    add(page, "<p>Answers: ", &statuses.join(", "), "</p>");
}

fn add(page: &mut String, before: &str, content: &str, after: &str) {
    page.push_str(before);
    page.push_str(&escape(content));
    page.push_str(after);
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
