//! Nobody waits in a circle: every edge is flooded at once, with readers that never read among them, and the hub serves on.

use std::{
    io::Write,
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use rumqttc::{AsyncClient, MqttOptions, QoS};
use serde_json::json;

use crate::support::{Browser, Hub, LIMIT, mosquitto};

/// How long the flood lasts. Long enough to fill every queue on the way many times over.
const FLOOD: Duration = Duration::from_secs(5);

/// A 3.1.1 subscriber to everything that never reads what it gets.
fn deaf_subscriber(hub: &Hub) -> TcpStream {
    let mut socket = TcpStream::connect(&hub.mqtt).unwrap();
    socket.write_all(b"\x10\x10\x00\x04MQTT\x04\x02\x00\x00\x00\x04deaf").unwrap();
    socket.write_all(b"\x82\x06\x00\x01\x00\x01#\x01").unwrap();
    socket
}

/// Publishes as fast as the hub takes it, reads everything back, and counts the publishes that were acknowledged.
fn flooding_device(
    hub: &Hub,
    id: usize,
    stop: Arc<AtomicBool>,
    acknowledged: Arc<AtomicU64>,
) -> tokio::task::JoinHandle<()> {
    let mut options = MqttOptions::new(format!("flood{id}"), "127.0.0.1", hub.mqtt_port());
    options.set_keep_alive(Duration::from_secs(60)).set_inflight(50);
    let (client, mut events) = AsyncClient::new(options, 64);
    tokio::spawn(async move {
        client.subscribe("#", QoS::AtMostOnce).await.unwrap();
        let publisher = client.clone();
        let publishing = Arc::clone(&stop);
        let sender = tokio::spawn(async move {
            let mut n = 0_u64;
            while !publishing.load(Ordering::Relaxed) {
                n += 1;
                let topic = if n.is_multiple_of(3) { "lockstep/main/slider2/set" } else { "flood/topic" };
                let payload = (n % 100).to_string();
                if publisher.publish(topic, QoS::AtLeastOnce, n.is_multiple_of(2), payload).await.is_err() {
                    return;
                }
            }
        });
        while !stop.load(Ordering::Relaxed) {
            match tokio::time::timeout(Duration::from_millis(200), events.poll()).await {
                Ok(Ok(rumqttc::Event::Incoming(rumqttc::Packet::PubAck(_)))) => {
                    acknowledged.fetch_add(1, Ordering::Relaxed);
                }
                Ok(Ok(_)) | Err(_) => {}
                Ok(Err(e)) => panic!("a device that reads was cut off: {e}"),
            }
        }
        sender.abort();
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_waits_in_a_circle() {
    let hub = Hub::start();
    let stop = Arc::new(AtomicBool::new(false));
    let acknowledged = Arc::new(AtomicU64::new(0));
    let _deaf = deaf_subscriber(&hub);
    let mut deaf_browser = Browser::connect(&hub).await;
    deaf_browser.subscribe(&["#"]).await;
    let devices: Vec<_> =
        (0..3).map(|id| flooding_device(&hub, id, Arc::clone(&stop), Arc::clone(&acknowledged))).collect();
    let mut flooding_browser = Browser::connect(&hub).await;
    flooding_browser.subscribe(&["lockstep/#"]).await;

    // A timer that changes its phase all the time runs through it.
    let setup = r#"{"action":"setup","work_duration":1,"break_duration":1,"auto_start":true}"#;
    mosquitto("mosquitto_pub", &hub, &["-q", "1", "-t", "lockstep/main/pomodoro/set", "-m", setup]).await;
    mosquitto("mosquitto_pub", &hub, &["-q", "1", "-t", "lockstep/main/pomodoro/set", "-m", "press"]).await;
    let mut watcher = Browser::connect(&hub).await;
    watcher.subscribe(&["lockstep/main/pomodoro/phase"]).await;

    let began = Instant::now();
    let mut n = 0_u64;
    let mut slowest = Duration::ZERO;
    while began.elapsed() < FLOOD {
        n += 1;
        let asked = Instant::now();
        let answer = flooding_browser.publish("lockstep/main/slider1/set", json!(n % 100), &format!("f{n}")).await;
        assert!(answer["type"] == "ack" || answer["code"] == "rate_limited", "{answer}");
        slowest = slowest.max(asked.elapsed());
    }
    // Whatever waits for whom, an answer comes well before anybody gives up.
    assert!(slowest < LIMIT / 2, "{slowest:?}");
    for phase in ["short_break", "work"] {
        watcher.message("lockstep/main/pomodoro/phase", |seen| seen == phase).await;
    }
    stop.store(true, Ordering::Relaxed);
    for device in devices {
        device.await.unwrap();
    }
    assert!(acknowledged.load(Ordering::Relaxed) > 100, "{acknowledged:?}");

    // Afterwards everything still works.
    let answer = flooding_browser.publish("lockstep/main/pomodoro/set", json!("reset"), "end").await;
    assert_eq!(answer["type"], "ack", "{answer}");
    let message = mosquitto("mosquitto_sub", &hub, &["-t", "lockstep/main/pomodoro/message", "-C", "1"]).await;
    assert_eq!(message.trim(), "Press Me!");
}
