//! The history over HTTP: what finished, kept through a crash, in pages, for programs and for spreadsheets.

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{Browser, Hub, LIMIT, eventually};

const SET: &str = "lockstep/main/pomodoro/set";
const HISTORY: &str = "/api/v1/rooms/main/history";

/// The answer's status, head and body.
async fn ask(hub: &Hub, method: &str, path: &str, body: &str) -> (u16, String, String) {
    let mut stream = TcpStream::connect(&hub.http).await.unwrap();
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    tokio::time::timeout(LIMIT, stream.read_to_string(&mut answer)).await.expect("an answer in time").unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), head.to_lowercase(), body.to_owned())
}

async fn phases(hub: &Hub, path: &str) -> Vec<Value> {
    let (status, _, body) = ask(hub, "GET", path, "").await;
    assert_eq!(status, 200, "{body}");
    let answer: Value = serde_json::from_str(&body).unwrap();
    answer["phases"].as_array().unwrap().clone()
}

/// A hub in whose history are a work period that was broken off and one that ran to its end.
async fn hub_with_a_past() -> Hub {
    let hub = Hub::start();
    let mut browser = Browser::connect(&hub).await;
    let mut say = async |command: Value| {
        let answer = browser.publish(SET, command, "r").await;
        assert_eq!(answer["type"], "ack", "{answer}");
    };
    say(json!("start")).await;
    say(json!("reset")).await;
    say(json!({"action": "setup", "work_duration": 1})).await;
    say(json!("start")).await;
    eventually("two phases are over", async || {
        let seen = phases(&hub, HISTORY).await;
        if seen.len() == 2 { Ok(()) } else { Err(seen) }
    })
    .await;
    hub
}

#[tokio::test]
async fn finished_phases_are_told_with_their_seconds_outcome_and_who_ended_them() {
    let hub = hub_with_a_past().await;
    let check = async |hub: &Hub| {
        let told = phases(hub, HISTORY).await;
        let [broken, done] = &told[..] else { panic!("{told:?}") };
        assert_eq!((&broken["outcome"], &broken["planned_seconds"]), (&json!("broken_off"), &json!(1500.0)));
        assert!(broken["by"].as_str().unwrap().starts_with("web:"), "{broken}");
        assert_eq!((&done["outcome"], &done["by"]), (&json!("completed"), &json!("hub")));
        assert_eq!(
            (&done["phase"], &done["room"], &done["thing"]),
            (&json!("work"), &json!("main"), &json!("pomodoro"))
        );
        assert_eq!((&done["planned_seconds"], &done["actual_seconds"]), (&json!(1.0), &json!(1.0)));
        assert!(done["started_at"].as_i64() >= broken["ended_at"].as_i64());
    };
    check(&hub).await;
    let hub = hub.kill_and_restart();
    check(&hub).await;
}

#[tokio::test]
async fn it_comes_in_pages_by_range_and_as_a_table() {
    let hub = hub_with_a_past().await;
    let all = phases(&hub, HISTORY).await;
    let (_, head, body) = ask(&hub, "GET", &format!("{HISTORY}?limit=1"), "").await;
    let page: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(page["phases"].as_array().unwrap(), &all[..1]);
    let link =
        head.lines().find_map(|line| line.strip_prefix("link: <history?")?.split('>').next()).unwrap().to_owned();
    let (_, head, body) = ask(&hub, "GET", &format!("{HISTORY}?{link}"), "").await;
    let page: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((page["phases"].as_array().unwrap(), &page["next"]), (&all[1..].to_vec(), &Value::Null));
    assert!(!head.contains("\nlink:"), "{head}");

    let ended = all[1]["ended_at"].as_i64().unwrap();
    assert_eq!(phases(&hub, &format!("{HISTORY}?from={ended}")).await, all[1..]);
    assert_eq!(phases(&hub, &format!("{HISTORY}?from=0&until={ended}")).await, all[..1]);
    assert_eq!(phases(&hub, &format!("{HISTORY}?until=2020-01-01T00:00:00Z")).await, [Value::Null; 0]);

    let (status, head, table) = ask(&hub, "GET", &format!("{HISTORY}?format=csv"), "").await;
    assert!(status == 200 && head.contains("text/csv") && head.contains("lockstep-main-history.csv"), "{head}");
    let lines: Vec<&str> = table.split("\r\n").collect();
    assert_eq!(lines.len(), 4, "a head, two phases, and nothing behind the last end: {table}");
    assert!(lines[0].starts_with("room,thing,phase,started_at,"), "{table}");
    assert!(lines[2].starts_with("main,pomodoro,work,20") && lines[2].ends_with(",1,1,completed,hub"), "{table}");

    for (path, status, code) in [
        ("/api/v1/rooms/nowhere/history", 404, "unknown_room"),
        ("/api/v1/rooms/main/history?limit=0", 422, "out_of_range"),
        ("/api/v1/rooms/main/history?frm=1", 422, "out_of_range"),
    ] {
        let (got, head, body) = ask(&hub, "GET", path, "").await;
        assert!(got == status && head.contains("application/problem+json") && body.contains(code), "{path}: {body}");
    }
}

#[tokio::test]
async fn a_new_room_has_no_past_of_another() {
    let hub = Hub::start();
    let (status, _, body) = ask(&hub, "POST", "/api/v1/rooms", r#"{"name":"Attic"}"#).await;
    assert_eq!(status, 201, "{body}");
    for command in [r#""start""#, r#""reset""#] {
        let (status, _, body) = ask(&hub, "POST", "/api/v1/rooms/attic/things/pomodoro/set", command).await;
        assert_eq!(status, 200, "{body}");
    }
    assert_eq!(phases(&hub, "/api/v1/rooms/attic/history").await.len(), 1);
    assert_eq!(phases(&hub, HISTORY).await.len(), 0);
    assert_eq!(ask(&hub, "DELETE", "/api/v1/rooms/attic", "").await.0, 204);
    assert_eq!(ask(&hub, "GET", "/api/v1/rooms/attic/history", "").await.0, 404);
    assert_eq!(ask(&hub, "POST", "/api/v1/rooms", r#"{"name":"Attic"}"#).await.0, 201);
    assert_eq!(phases(&hub, "/api/v1/rooms/attic/history").await.len(), 0);
}
