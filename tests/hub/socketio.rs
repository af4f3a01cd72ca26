//! The Socket.IO edge at its limits, spoken by hand over long-polling (Engine.IO 4). What the tutorials' own clients do with it is
//! in `tests/interop/socketio`.

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{Browser, Hub, LIMIT};

const OPEN: &str = "/socket.io/?EIO=4&transport=polling";

/// An HTTP answer.
struct Answer {
    status: u16,
    head: String,
    body: String,
}

async fn ask(hub: &Hub, method: &str, path: &str, headers: &str, body: &str) -> Answer {
    let exchange = async {
        let mut stream = TcpStream::connect(&hub.http).await.unwrap();
        let length = body.len();
        let host = &hub.http;
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        String::from_utf8(answer).unwrap()
    };
    let text = tokio::time::timeout(LIMIT, exchange).await.expect("an answer in time");
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.to_lowercase(), body: body.to_owned() }
}

/// A client that polls when it is told to.
struct Poller<'a> {
    hub: &'a Hub,
    path: String,
}

impl<'a> Poller<'a> {
    async fn open(hub: &'a Hub) -> Self {
        let opened = ask(hub, "GET", OPEN, "", "").await;
        assert_eq!(opened.status, 200, "{}", opened.body);
        let handshake: Value = serde_json::from_str(&opened.body[1..]).unwrap();
        Self { hub, path: format!("{OPEN}&sid={}", handshake["sid"].as_str().unwrap()) }
    }

    async fn connect(hub: &'a Hub) -> Self {
        let poller = Self::open(hub).await;
        poller.post("40").await;
        poller
    }

    async fn post(&self, packets: &str) -> u16 {
        ask(self.hub, "POST", &self.path, "content-type: text/plain\r\n", packets).await.status
    }

    async fn emit(&self, event: &str, data: Value) -> u16 {
        self.post(&format!("42{}", json!([event, data]))).await
    }

    /// The events of one poll; a heartbeat is answered.
    async fn poll(&self) -> Vec<(String, Value)> {
        let polled = ask(self.hub, "GET", &self.path, "", "").await;
        assert_eq!(polled.status, 200, "{}", polled.body);
        let mut events = Vec::new();
        for packet in polled.body.split('\u{1e}') {
            match packet.strip_prefix("42") {
                Some(event) => events.push(serde_json::from_str(event).unwrap()),
                None if packet == "2" => assert_eq!(self.post("3").await, 200),
                None => {}
            }
        }
        events
    }

    /// Polls until `fits` likes an event; returns all that came until then.
    async fn until(&self, fits: impl Fn(&str, &Value) -> bool) -> Vec<(String, Value)> {
        let mut seen: Vec<(String, Value)> = Vec::new();
        let looking = async {
            while !seen.iter().any(|(event, data)| fits(event, data)) {
                seen.extend(self.poll().await);
            }
        };
        let found = tokio::time::timeout(LIMIT, looking).await;
        assert!(found.is_ok(), "not within {LIMIT:?}; saw {seen:?}");
        seen
    }
}

#[tokio::test]
async fn a_client_that_does_not_poll_gets_the_newest_values_and_a_bounded_number_of_old_ones() {
    let hub = Hub::start();
    let slow = Poller::connect(&hub).await;
    slow.until(|event, _| event == "json").await;
    let mut mover = Browser::connect(&hub).await;
    for n in 1..=190 {
        let reference = n.to_string();
        let value = if n == 190 { 77 } else { n % 50 };
        mover
            .send(json!({"type": "pub", "topic": "lockstep/main/slider1/set", "payload": value, "ref": reference}))
            .await;
        // One at a time, or they would be told as one.
        while mover.next("ack").await["ref"] != reference.as_str() {}
    }
    let seen = slow.until(|event, data| event == "update value" && data["data"] == "77").await;
    assert!(seen.len() <= 80, "{} events waited", seen.len());
    assert_eq!(seen.last().unwrap().1, json!({"who": "slider1", "data": "77"}), "nothing old after the newest");
}

#[tokio::test]
async fn pages_come_from_where_they_are_allowed_to() {
    let hub = Hub::start_with(&["--set", "http.allowed_origins=[\"http://panel.local:8123\"]"]);
    let allowed = ask(&hub, "GET", OPEN, "origin: http://panel.local:8123\r\n", "").await;
    assert_eq!(allowed.status, 200);
    assert!(allowed.head.contains("access-control-allow-origin: http://panel.local:8123"), "{}", allowed.head);
    assert!(allowed.head.contains("access-control-allow-credentials: true"), "{}", allowed.head);
    let own = format!("origin: http://{}\r\n", hub.http);
    assert_eq!(ask(&hub, "GET", OPEN, &own, "").await.status, 200);
    for foreign in ["null", "http://localhost:5173", "http://evil.example", "http://panel.local"] {
        let origin = format!("origin: {foreign}\r\n");
        let refused = ask(&hub, "GET", OPEN, &origin, "").await;
        assert_eq!(refused.status, 403, "{foreign}");
        assert!(!refused.head.contains("access-control-allow-origin"), "{}", refused.head);
        // CORS does not cover WebSocket: the handshake itself is refused.
        let upgrade = format!(
            "{origin}upgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
        );
        let path = "/socket.io/?EIO=4&transport=websocket";
        assert_eq!(ask(&hub, "GET", path, &upgrade, "").await.status, 403, "{foreign}");
        let preflight = format!("{origin}access-control-request-method: POST\r\n");
        let preflight = ask(&hub, "OPTIONS", OPEN, &preflight, "").await;
        assert!(!preflight.head.contains("access-control-allow-origin"), "{}", preflight.head);
    }
}

#[tokio::test]
async fn there_are_so_many_sessions_and_one_that_ends_makes_room() {
    let hub = Hub::start();
    let mut sessions = Vec::new();
    for _ in 0..512 {
        sessions.push(Poller::open(&hub).await);
    }
    let full = ask(&hub, "GET", OPEN, "", "").await;
    assert_eq!(full.status, 503);
    assert!(full.body.contains("512 Socket.IO connections"), "{}", full.body);
    assert_eq!(sessions[0].post("1").await, 200);
    crate::support::eventually("a place", async || match ask(&hub, "GET", OPEN, "", "").await.status {
        200 => Ok(()),
        status => Err(status),
    })
    .await;
}

#[tokio::test]
async fn too_large_is_refused_and_too_much_is_cut_off() {
    let hub = Hub::start();
    let large = Poller::connect(&hub).await;
    large.until(|event, _| event == "json").await;
    assert_ne!(large.emit("json", json!({"action": "x".repeat(100_000)})).await, 200);

    let hasty = Poller::connect(&hub).await;
    hasty.until(|event, _| event == "json").await;
    // More than may be under way, and fewer answers than may wait for somebody who polls late: more would end the session.
    let presses = vec!["42[\"start\"]"; 60].join("\u{1e}");
    assert_eq!(hasty.post(&presses).await, 200);
    hasty.until(|event, data| event == "rejected" && data["code"] == "busy").await;

    let flood = Poller::connect(&hub).await;
    flood.until(|event, _| event == "json").await;
    let many = vec!["42[\"x\"]"; 4100].join("\u{1e}");
    // One more than allowed ends the session; whoever goes on talks to nobody.
    let mut last = flood.post(&many).await;
    for _ in 0..20 {
        if last != 200 {
            break;
        }
        last = flood.post("42[\"x\"]").await;
    }
    assert_ne!(last, 200, "it is still served");
}

#[tokio::test]
async fn a_stop_leaves_no_poll_without_an_answer() {
    let hub = Hub::start();
    let connected = Poller::connect(&hub).await;
    connected.until(|event, _| event == "json").await;
    let (silent, leaving) = (Poller::open(&hub).await, Poller::connect(&hub).await);
    let mut polls = Vec::new();
    for poller in [&connected, &silent, &leaving] {
        let mut stream = TcpStream::connect(&hub.http).await.unwrap();
        let request = format!("GET {} HTTP/1.1\r\nhost: {}\r\n\r\n", poller.path, hub.http);
        stream.write_all(request.as_bytes()).await.unwrap();
        polls.push(stream);
    }
    leaving.post("1").await;
    let (code, _) = tokio::task::spawn_blocking(move || hub.stop()).await.unwrap();
    assert_eq!(code, Some(0));
    for mut stream in polls {
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 "), "{:?}", String::from_utf8_lossy(&answer));
    }
}
