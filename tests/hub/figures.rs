//! The figures of a running hub are the documented ones, and they count.

use std::collections::BTreeMap;

use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{Browser, Hub, LIMIT, eventually, mosquitto};

async fn get(hub: &Hub, path: &str) -> String {
    let mut stream = TcpStream::connect(&hub.http).await.unwrap();
    let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    tokio::time::timeout(LIMIT, stream.read_to_string(&mut answer)).await.expect("in time").unwrap();
    answer
}

/// The types by name, and the values by name and labels.
pub(crate) struct Figures {
    types: BTreeMap<String, String>,
    values: BTreeMap<String, f64>,
}

impl Figures {
    pub(crate) async fn of(hub: &Hub) -> Self {
        let text = get(hub, "/metrics").await;
        assert!(text.starts_with("HTTP/1.1 200 "), "{text}");
        let (mut types, mut values) = (BTreeMap::new(), BTreeMap::new());
        for line in text.split_once("\r\n\r\n").unwrap().1.lines() {
            if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
                types.insert(name.to_owned(), kind.to_owned());
            } else if let Some((name, value)) = line.rsplit_once(' ').filter(|_| !line.starts_with('#')) {
                values.insert(name.to_owned(), value.parse().unwrap());
            }
        }
        Self { types, values }
    }

    /// The value with this name and its labels, where there is one.
    pub(crate) fn find(&self, name: &str) -> Option<f64> {
        self.values.get(name).copied()
    }

    pub(crate) fn value(&self, name: &str) -> f64 {
        *self.values.get(name).unwrap_or_else(|| panic!("there is no {name} in {:?}", self.values))
    }
}

/// An MQTT 3.1.1 client that breaks the protocol, and one whose topic is too long.
async fn misbehave(hub: &Hub) {
    let long: Vec<u8> = [&[0x30, 0x8a, 0x27, 0x13, 0x86][..], &b"x".repeat(0x1386)[..], b"yz\xe0\x00"].concat();
    for bytes in [&[0x80, 0x00][..], &long[..]] {
        let mut stream = TcpStream::connect(&hub.mqtt).await.unwrap();
        stream.write_all(b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01a").await.unwrap();
        let mut connack = [0; 4];
        stream.read_exact(&mut connack).await.unwrap();
        assert_eq!(connack, [0x20, 2, 0, 0]);
        stream.write_all(bytes).await.unwrap();
        let mut rest = Vec::new();
        tokio::time::timeout(LIMIT, stream.read_to_end(&mut rest)).await.expect("the end in time").unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_documented_figure_is_there_with_its_type_and_no_other() {
    let hub = Hub::start();
    misbehave(&hub).await;
    let documented: BTreeMap<String, String> = include_str!("../../docs/metrics.md")
        .lines()
        .filter_map(|line| {
            let mut cells = line.strip_prefix("| `")?.split('|').map(|cell| cell.trim().trim_matches('`').to_owned());
            Some((cells.next()?, cells.next()?))
        })
        .collect();
    assert!(documented.len() > 20);
    eventually("all figures", async || {
        let told = Figures::of(&hub).await.types;
        if told == documented { Ok(()) } else { Err(told) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn figures_count_what_happens() {
    let hub = Hub::start();
    let before = Figures::of(&hub).await;
    let mut browser = Browser::connect(&hub).await;
    browser.subscribe(&["lockstep/#"]).await;
    let err = browser.publish("lockstep/main/slider1/set", json!(7000), "a").await;
    assert_eq!(err["code"], "out_of_range", "{err}");
    let ack = browser.publish("lockstep/main/slider1/set", json!(7), "b").await;
    assert_eq!(ack["type"], "ack", "{ack}");
    mosquitto("mosquitto_sub", &hub, &["-t", "lockstep/main/slider1/value", "-C", "1", "-W", "10"]).await;
    mosquitto("mosquitto_pub", &hub, &["-t", "lockstep/main/slider1/set", "-m", "-7000"]).await;
    let after = eventually("the figures have grown", async || {
        let after = Figures::of(&hub).await;
        let grown = |name: &str| after.value(name) - before.value(name);
        let seen = [
            grown(r#"lockstep_rejections_total{code="out_of_range"}"#),
            grown("lockstep_mqtt_received_total"),
            grown("lockstep_mqtt_deliveries_total"),
            grown(r#"lockstep_connections{kind="websocket"}"#),
        ];
        if seen == [2.0, 1.0, 1.0, 1.0] { Ok(after) } else { Err(seen) }
    })
    .await;
    for name in [
        "lockstep_publications_total",
        "lockstep_browser_deliveries_total",
        "lockstep_journal_commit_seconds_count",
        "lockstep_router_round_trip_seconds_count",
    ] {
        assert!(after.value(name) > before.value(name), "{name}: {} after {}", after.value(name), before.value(name));
    }
    for queue in ["inbox", "journal", "router", "browsers", "socketio", "discovery", "link"] {
        assert!(after.value(&format!(r#"lockstep_queue_length{{queue="{queue}"}}"#)) < 100.0);
    }
    drop(browser);
    eventually("nobody is counted who is gone", async || {
        let now = Figures::of(&hub).await;
        let seen = ["websocket", "mqtt"].map(|kind| now.value(&format!(r#"lockstep_connections{{kind="{kind}"}}"#)));
        if seen == [0.0, 0.0] { Ok(()) } else { Err(seen) }
    })
    .await;
}
