//! Every limit of the door tells that it was met, under a label of its own.

use std::{collections::BTreeSet, path::Path, process::Command};

use bytes::BytesMut;

use super::{
    client::Client,
    packets::{Connect, Publish},
};
use crate::{
    figures::Figures,
    support::{Hub, eventually},
};

/// The labels that are caused below, with the keys of `[mqtt.limits]` that make it easy.
const CAUSED: [(&str, &str); 25] = [
    ("client_id", "client_id_bytes_max=23"),
    ("client_packet_size", ""),
    ("connect_bytes", "connect_bytes_max=256"),
    ("connect_timeout", "connect_timeout_ms=100"),
    ("connections", "connections_max=1"),
    ("filter", "topic_bytes_max=32"),
    ("filter", "topic_levels_max=4"),
    ("filters", "filters_max=1"),
    ("filters", "filters_per_session_max=1"),
    ("goodbye_timeout", "goodbye_timeout_ms=10"),
    ("packet_bytes", "packet_bytes_max=1024"),
    ("publishes_per_second", "publishes_per_second_max=1"),
    ("queue", "queue_bytes_max=65536"),
    ("queue", "queue_bytes_total_max=65536 queue_bytes_max=65536"),
    ("queue", "queue_messages_max=1"),
    ("reader_patience", "reader_patience_ms=50 reader_stall_ms=60000"),
    ("reader_stall", "reader_patience_ms=60000 reader_stall_ms=1000 queue_bytes_max=2000000"),
    ("receive_maximum", "receive_maximum=1"),
    ("rights_withdrawn", ""),
    ("router_names", "router_names_max=1000"),
    ("session_expiry", "session_expiry_max_seconds=1"),
    ("sessions", "sessions_max=1"),
    ("topic", "topic_bytes_max=32"),
    ("topic", "topic_levels_max=4"),
    ("topic_alias", "topic_alias_max=1"),
];

/// Those that are not, and why.
const NOT_CAUSED: [(&str, &str); 6] = [
    ("connections_per_address", "loopback, where tests come from, is not counted"),
    ("router_lag", "a session's task would have to stand still for half a second"),
    (
        "router_log",
        "`robustness::a_session_that_the_router_lapped_is_told_so` reaches it with a log that no configuration allows",
    ),
    (
        "router_timeout",
        "the router has to hang: `router::a_router_that_hangs_is_replaced_and_nothing_acknowledged_is_lost`",
    ),
    ("shared_group", "ten thousand messages that no member takes"),
    ("takeovers", "sixteen connections would have to wait for one session's task at once"),
];

/// The limits that the sources know, from wherever they say that one was met.
fn known(folder: &Path, labels: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            known(&path, labels);
        } else {
            let text = std::fs::read_to_string(&path).unwrap();
            let calls = ["limit_met(\"", "limit_met_times(\""].into_iter().flat_map(|call| text.split(call).skip(1));
            labels.extend(calls.map(|rest| rest.split('"').next().unwrap().to_owned()));
        }
    }
}

#[test]
fn every_limit_is_caused_or_it_is_said_why_not() {
    let mut labels = BTreeSet::new();
    known(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/mqtt"), &mut labels);
    let listed: BTreeSet<String> = CAUSED.iter().chain(&NOT_CAUSED).map(|(label, _)| (*label).to_owned()).collect();
    assert_eq!(labels, listed);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_limit_that_is_met_counts_under_its_own_label() {
    for (label, keys) in CAUSED {
        let settings: Vec<String> = keys.split_whitespace().map(|key| format!("mqtt.limits.{key}")).collect();
        let arguments: Vec<&str> = settings.iter().flat_map(|setting| ["--set", setting]).collect();
        let hub = Hub::start_with(&arguments);
        let figure = format!(r#"lockstep_mqtt_limit_total{{limit="{label}"}}"#);
        assert_eq!(Figures::of(&hub).await.find(&figure), None, "{label} at the start");
        // Whoever meets it stays until it is counted.
        let _there = cause(label, keys, &hub).await;
        eventually(&format!("{label} ({keys}) is counted"), async || {
            let met = Figures::of(&hub).await.find(&figure);
            if met.is_some_and(|met| met >= 1.0) { Ok(()) } else { Err(met) }
        })
        .await;
    }
}

async fn connected(hub: &Hub, connect: &Connect) -> Client {
    let mut client = Client::open(hub.mqtt_port(), connect.v5).await;
    let connack = client.connect(connect).await;
    assert_eq!(connack.reason, 0, "{connect:?}");
    client
}

/// Meets the limit `label`.
async fn cause(label: &str, keys: &str, hub: &Hub) -> Vec<Client> {
    let plain = Connect::v5("a");
    // Those that are met on the way in.
    match label {
        "connect_bytes" | "connect_timeout" => {
            let mut client = Client::open(hub.mqtt_port(), true).await;
            if label == "connect_bytes" {
                client.raw(&Connect::v5(&"x".repeat(300)).bytes()).await;
            }
            assert_eq!(client.next().await, None);
            return vec![client];
        }
        "client_id" | "connections" | "sessions" => {
            let first = if label == "client_id" { None } else { Some(connected(hub, &plain).await) };
            let mut second = Client::open(hub.mqtt_port(), true).await;
            let reason = second.connect(&Connect::v5(&"b".repeat(30))).await.reason;
            assert_eq!(reason, if label == "client_id" { 0x85 } else { 0x97 }, "{label}");
            return first.into_iter().chain([second]).collect();
        }
        "session_expiry" => return vec![connected(hub, &Connect::lasting("a", 100)).await],
        "rights_withdrawn" => {
            let mut client = connected(hub, &plain).await;
            client.subscribe("secret/a", 1).await;
            std::fs::write(hub.data.join("acl"), "topic deny secret/#\n").unwrap();
            assert!(Command::new("kill").args(["-HUP", &hub.pid().to_string()]).status().unwrap().success());
            return vec![client];
        }
        _ => {}
    }
    let mut client = connected(hub, &plain).await;
    let long = if keys.contains("levels") { "a/b/c/d/e/f".to_owned() } else { "x".repeat(40) };
    match label {
        "filter" => assert_eq!(client.subscribe_with(&[(&long, 0)], &[]).await, [0x8f]),
        "topic" => assert_eq!(client.publish(&long, "x", 1, false).await, 0x90),
        "filters" => assert_eq!(client.subscribe_with(&[("one", 0), ("two", 0)], &[]).await, [0, 0x97]),
        "packet_bytes" => {
            client.put(Publish { topic: "t", payload: &[b'x'; 2_000], ..Publish::default() }).await;
            assert_eq!(client.closed().await, Some(0x95));
        }
        "topic_alias" => {
            client.put(Publish { topic: "t", props: &[0x23, 0, 2], ..Publish::default() }).await;
            assert_eq!(client.closed().await, Some(0x94));
        }
        "receive_maximum" => {
            for id in 1..=2 {
                client.put(Publish { topic: "t", qos: 2, id, ..Publish::default() }).await;
            }
        }
        "publishes_per_second" => {
            for _ in 0..3 {
                client.put(Publish { topic: "t", ..Publish::default() }).await;
            }
        }
        "router_names" => {
            let topics: Vec<String> = (0..1_100).map(|n| format!("n/{n}")).collect();
            let mut bytes = BytesMut::new();
            for topic in &topics {
                bytes.extend_from_slice(&client.publish_bytes(&Publish { topic, ..Publish::default() }));
            }
            client.raw(&bytes).await;
        }
        "client_packet_size" => {
            let mut small = connected(hub, &Connect { packet_max: Some(50), ..Connect::v5("small") }).await;
            small.subscribe("t", 1).await;
            client.publish("t", &"x".repeat(100), 1, false).await;
            return vec![client, small];
        }
        "queue" => {
            let mut lazy = connected(hub, &Connect { receive_maximum: Some(1), ..Connect::v5("lazy") }).await;
            lazy.subscribe("t", 1).await;
            for _ in 0..5 {
                client.publish("t", &"x".repeat(30_000), 1, false).await;
            }
            return vec![client, lazy];
        }
        "reader_patience" | "reader_stall" | "goodbye_timeout" => return fall_asleep(label, hub, client).await,
        _ => panic!("nobody causes {label}"),
    }
    vec![client]
}

/// A reader that has much to read and reads nothing; for the goodbye, another one takes its session over.
async fn fall_asleep(label: &str, hub: &Hub, mut publisher: Client) -> Vec<Client> {
    let mut reader = connected(hub, &Connect::v5("reader")).await;
    reader.subscribe("t", 0).await;
    let payload = vec![b'x'; 100_000];
    let flood = async {
        loop {
            publisher.put(Publish { topic: "t", payload: &payload, ..Publish::default() }).await;
        }
    };
    let figure = format!(r#"lockstep_mqtt_limit_total{{limit="{label}"}}"#);
    let met = async {
        let mut there = Vec::new();
        eventually("the reader is full", async || {
            if Figures::of(hub).await.value("lockstep_mqtt_queue_bytes") > 1e6 { Ok(()) } else { Err(()) }
        })
        .await;
        if label == "goodbye_timeout" {
            there.push(connected(hub, &Connect::v5("reader")).await);
        }
        eventually(label, async || if Figures::of(hub).await.find(&figure).is_some() { Ok(()) } else { Err(()) }).await;
        there
    };
    tokio::select! {
        () = flood => unreachable!("it goes on until the limit is met"),
        there = met => there.into_iter().chain([reader]).collect(),
    }
}
