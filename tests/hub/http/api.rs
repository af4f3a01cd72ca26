//! The API and the event stream.

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::rig::Rig;
use crate::support::LIMIT;

async fn call(rig: &Rig, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
    let body = body.map(|body| body.to_string()).unwrap_or_default();
    let answer = rig
        .request(&format!(
            "{method} {path} HTTP/1.1\nHost: localhost\nConnection: close\nContent-Type: application/json\nContent-Length: {}\n\n{body}",
            body.len()
        ))
        .await;
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    (status, serde_json::from_str(body).unwrap_or(Value::Null))
}

#[tokio::test(flavor = "multi_thread")]
async fn things_are_read_and_set() {
    let rig = Rig::start().await;
    let (status, slider) = call(&rig, "GET", "/api/v1/rooms/main/things/slider1", None).await;
    assert_eq!((status, &slider["state"]["value"]), (200, &json!(0)));
    assert!(slider["controls"].is_array());
    let (status, done) = call(&rig, "POST", "/api/v1/rooms/main/things/slider1/set", Some(json!(42))).await;
    assert_eq!(status, 200, "{done}");
    assert!(done["seq"].is_u64() && done["rev"].is_u64());
    let (_, topics) = call(&rig, "GET", "/api/v1/topics?filter=lockstep/main/%2B/value&filter=nothing", None).await;
    assert_eq!(topics["topics"][0]["payload"], 42);
    assert_eq!(topics["more"], false);

    for (path, body, status, code) in [
        ("/api/v1/rooms/main/things/slider1/set", json!(1000), 422, "out_of_range"),
        ("/api/v1/rooms/main/things/slider9/set", json!(1), 404, "unknown_thing"),
        ("/api/v1/rooms/m%20n/things/slider1/set", json!(1), 404, "unknown_room"),
        ("/api/v1/rooms/main/things/pomodoro/set", json!("stop"), 409, "already_stopped"),
        ("/api/v1/publish", json!({"topic": "lockstep/hub/info", "payload": 1}), 403, "owned_topic"),
        ("/api/v1/publish", json!({"topic": 7}), 422, "malformed"),
    ] {
        let (got, problem) = call(&rig, "POST", path, Some(body)).await;
        assert_eq!((got, &problem["code"]), (status, &json!(code)), "{path}: {problem}");
        assert_eq!(problem["status"], status);
    }
    let publish = json!({"topic": "free/x", "payload": "plain", "retain": true, "name": "Anna"});
    assert_eq!(call(&rig, "POST", "/api/v1/publish", Some(publish)).await.0, 200);
    let (_, topics) = call(&rig, "GET", "/api/v1/topics?filter=free/%23", None).await;
    assert_eq!((&topics["topics"][0]["payload"], &topics["topics"][0]["format"]), (&json!("plain"), &json!("text")));
    assert_eq!(call(&rig, "GET", "/api/v1/topics", None).await.0, 422);
    assert_eq!(call(&rig, "DELETE", "/api/v1/publish", None).await.0, 405);
    let huge = json!({"topic": "free/x", "payload": "x".repeat(70_000)});
    assert_eq!(call(&rig, "POST", "/api/v1/publish", Some(huge)).await.0, 413);
}

#[tokio::test(flavor = "multi_thread")]
async fn rooms_come_and_go() {
    let rig = Rig::start().await;
    let (status, room) = call(&rig, "POST", "/api/v1/rooms", Some(json!({"name": "Back Room"}))).await;
    assert_eq!((status, &room["id"]), (201, &json!("back-room")), "{room}");
    assert_eq!(call(&rig, "POST", "/api/v1/rooms", Some(json!({"name": "Back Room"}))).await.0, 409);
    assert_eq!(call(&rig, "POST", "/api/v1/rooms", Some(json!({"name": "x", "id": "hub"}))).await.0, 422);
    for id in ["room-1", "room-2"] {
        let (status, room) = call(&rig, "POST", "/api/v1/rooms", Some(json!({"name": "会議室"}))).await;
        assert_eq!((status, &room["id"]), (201, &json!(id)), "{room}");
    }
    assert_eq!(call(&rig, "DELETE", "/api/v1/rooms/room-1", None).await.0, 204);
    assert_eq!(call(&rig, "DELETE", "/api/v1/rooms/room-2", None).await.0, 204);
    let (status, room) = call(&rig, "PATCH", "/api/v1/rooms/back-room", Some(json!({"name": "Büro"}))).await;
    assert_eq!((status, &room["name"]), (200, &json!("Büro")));
    assert_eq!(call(&rig, "GET", "/api/v1/rooms", None).await.1.as_array().map(Vec::len), Some(2));
    assert_eq!(call(&rig, "POST", "/api/v1/rooms/back-room/things/slider1/set", Some(json!(3))).await.0, 200);
    assert_eq!(call(&rig, "DELETE", "/api/v1/rooms/back-room", None).await.0, 204);
    assert_eq!(call(&rig, "GET", "/api/v1/rooms/back-room", None).await.0, 404);
    assert_eq!(call(&rig, "DELETE", "/api/v1/rooms/main", None).await.0, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_health_and_descriptions_are_there() {
    let rig = Rig::start_with(|settings| {
        settings.metrics = Some(std::sync::Arc::new(|| "figures 1\n".to_owned()));
        settings.router_probe = Some(std::sync::Arc::new(|| Box::pin(async { Ok(()) })));
    })
    .await;
    rig.publish("lockstep/device/test/availability", "online", true).await;
    let (_, devices) = call(&rig, "GET", "/api/v1/devices", None).await;
    assert_eq!(devices, json!([{"id": "test", "availability": "online"}]));
    let (status, ready) = call(&rig, "GET", "/readyz", None).await;
    assert_eq!((status, &ready["checked"]), (200, &json!(["engine", "fanout", "router"])));
    assert!(rig.get("/metrics").await.ends_with("figures 1\n"));
    let (_, openapi) = call(&rig, "GET", "/api/openapi.json", None).await;
    assert!(openapi["openapi"].as_str().is_some_and(|version| version.starts_with("3.1")));
    assert!(openapi["paths"]["/api/v1/rooms/{room}/things/{thing}/set"]["post"].is_object());
    let docs = rig.get("/api").await;
    assert!(docs.contains("/api/v1/publish") && docs.contains("resync"), "{docs}");

    let rig = Rig::start_with(|settings| {
        settings.router_probe = Some(std::sync::Arc::new(|| Box::pin(async { Err("it hangs".to_owned()) })));
    })
    .await;
    let (status, problem) = call(&rig, "GET", "/readyz", None).await;
    assert_eq!((status, problem["detail"].as_str()), (503, Some("Not ready, at the router: it hangs.")));
}

/// An event stream, as its events' ids and data.
struct Events {
    stream: TcpStream,
    text: String,
}

impl Events {
    async fn open(rig: &Rig, query: &str, headers: &str) -> Self {
        let mut stream = TcpStream::connect(rig.address).await.unwrap();
        // HTTP 1.0 has no chunks, so that what arrives is what was sent.
        let head = format!("GET /api/v1/stream?{query} HTTP/1.0\r\nHost: localhost\r\n{headers}\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut events = Self { stream, text: String::new() };
        events.read_to("\r\n\r\n").await;
        events
    }

    async fn read_to(&mut self, end: &str) -> String {
        let reading = async {
            loop {
                if let Some((part, rest)) = self.text.split_once(end) {
                    let (part, rest) = (part.to_owned(), rest.to_owned());
                    self.text = rest;
                    return part;
                }
                let mut buffer = [0; 4096];
                let bytes = self.stream.read(&mut buffer).await.unwrap();
                assert!(bytes > 0, "the stream ended: {}", self.text);
                self.text.push_str(std::str::from_utf8(&buffer[..bytes]).unwrap());
            }
        };
        tokio::time::timeout(LIMIT, reading).await.expect("in time")
    }

    async fn next(&mut self) -> (Option<String>, Value) {
        let event = self.read_to("\n\n").await;
        let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name).map(str::to_owned));
        (field("id: "), serde_json::from_str(&field("data: ").unwrap()).unwrap())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_stream_says_the_same_and_is_taken_up_again() {
    let rig = Rig::start().await;
    rig.publish("t/kept", "1", true).await;
    rig.publish("t/changed", "{\n\"a\": 1}", true).await;
    let mut events = Events::open(&rig, "filter=t/%23", "").await;
    assert_eq!(events.next().await.1["type"], "hello");
    let (id, snap) = events.next().await;
    assert_eq!((&snap["type"], snap["topics"].as_array().map(Vec::len)), (&json!("snap"), Some(2)));
    assert_eq!(id, Some(format!("b007:{}", snap["seq"])));
    let seq = rig.publish("t/changed", "3", true).await;
    let (id, msg) = events.next().await;
    assert_eq!((&msg["payload"], id), (&json!(3), Some(format!("b007:{seq}"))));
    drop(events);

    rig.publish("t/changed", "4", true).await;
    let mut again = Events::open(&rig, "filter=t/%23", &format!("Last-Event-ID: b007:{seq}\r\n")).await;
    again.next().await;
    let (_, snap) = again.next().await;
    assert_eq!(snap["resumed"], true);
    let changed = snap["topics"].as_array().unwrap().clone();
    // Only what changed; a writer that the change has not reached yet tells it next.
    let changed = if changed.is_empty() { vec![again.next().await.1] } else { changed };
    assert_eq!(changed.iter().map(|topic| &topic["payload"]).collect::<Vec<_>>(), [&json!(4)]);
    rig.http.stop().await;
    let mut rest = Vec::new();
    tokio::time::timeout(LIMIT, again.stream.read_to_end(&mut rest)).await.expect("an end").unwrap();
}
