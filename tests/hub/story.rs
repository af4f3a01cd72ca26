//! The main job, end to end: stock MQTT clients and a browser move the same state.

use std::time::Duration;

use rumqttc::{AsyncClient, Event, MqttOptions, Packet, QoS};
use serde_json::{Value, json};

use crate::support::{Browser, Hub, LIMIT, eventually, mosquitto};

/// More topics than any window of a client or a router holds.
const RETAINED: usize = 10_000;

#[tokio::test]
async fn a_new_subscriber_sees_the_whole_state_at_once() {
    let hub = Hub::start();
    for version in ["mqttv311", "mqttv5"] {
        let seen = mosquitto("mosquitto_sub", &hub, &["-V", version, "-v", "-t", "lockstep/#", "-W", "1"]).await;
        for line in [
            "lockstep/main/pomodoro/phase idle",
            "lockstep/main/pomodoro/message Press Me!",
            "lockstep/main/pomodoro/remaining 00:25:00",
            "lockstep/main/slider1/value 0",
            "lockstep/main/slider2/value 0",
            "lockstep/hub/availability online",
        ] {
            assert!(seen.lines().any(|seen| seen == line), "{version}: {line} is missing in\n{seen}");
        }
        assert!(
            seen.contains(r#"lockstep/main/pomodoro/state {"state":0,"phase":"idle","message":"Press Me!""#),
            "{seen}"
        );
    }
}

#[tokio::test]
async fn a_press_by_mqtt_reaches_the_browser_and_a_press_in_the_browser_reaches_mqtt() {
    let hub = Hub::start();
    let mut browser = Browser::connect(&hub).await;
    let snapshot = browser.subscribe(&["lockstep/#"]).await;
    assert!(snapshot.iter().any(|(topic, value)| topic == "lockstep/main/pomodoro/state" && value["state"] == 0));
    mosquitto("mosquitto_pub", &hub, &["-t", "lockstep/main/pomodoro/set", "-m", "press"]).await;
    let state = browser.message("lockstep/main/pomodoro/state", |state| state["state"] == 1).await;
    assert_eq!(state["payload"]["message"], "Work");
    assert!(state["payload"]["by"].as_str().unwrap().starts_with("mqtt:"));

    let answer = browser.publish("lockstep/main/pomodoro/set", json!("reset"), "r1").await;
    assert_eq!(answer["type"], "ack", "{answer}");
    let message = mosquitto("mosquitto_sub", &hub, &["-t", "lockstep/main/pomodoro/message", "-C", "1"]).await;
    assert_eq!(message.trim(), "Press Me!");
}

#[tokio::test]
async fn bad_values_are_rejected_with_code_and_message_and_change_nothing() {
    let hub = Hub::start();
    let mut browser = Browser::connect(&hub).await;
    browser.subscribe(&["lockstep/#"]).await;
    for (payload, code) in [("420", "out_of_range"), (r#"{"value":"#, "malformed"), ("sideways", "unknown_command")] {
        mosquitto("mosquitto_pub", &hub, &["-t", "lockstep/main/slider1/set", "-m", payload]).await;
        let told = browser.message("lockstep/main/slider1/rejected", |_| true).await;
        assert_eq!(told["payload"]["code"], code, "{payload}: {told}");
        assert_eq!(told["retain"], false);
        assert!(!told["payload"]["message"].as_str().unwrap().is_empty());
    }
    mosquitto("mosquitto_pub", &hub, &["-t", "lockstep/mian/slider1/set", "-m", "42"]).await;
    let told = browser.message("lockstep/hub/rejected", |_| true).await;
    assert_eq!(told["payload"]["code"], "unknown_room");
    assert_eq!(told["payload"]["nearest"], "lockstep/main/slider1/set");
    let value = mosquitto("mosquitto_sub", &hub, &["-t", "lockstep/main/slider1/value", "-C", "1"]).await;
    assert_eq!(value.trim(), "0");
}

#[tokio::test]
async fn a_killed_hub_comes_back_with_the_same_end_of_the_phase() {
    let hub = Hub::start();
    let mut browser = Browser::connect(&hub).await;
    browser.subscribe(&["lockstep/main/#"]).await;
    let answer = browser.publish("lockstep/main/pomodoro/set", json!("press"), "r1").await;
    assert_eq!(answer["type"], "ack", "{answer}");
    let before = browser.message("lockstep/main/pomodoro/state", |state| state["state"] == 1).await["payload"].clone();
    let answer = browser.publish("lockstep/main/slider1/set", json!(42), "r2").await;
    assert_eq!(answer["type"], "ack", "{answer}");
    mosquitto("mosquitto_pub", &hub, &["-q", "1", "-r", "-t", "kitchen/light", "-m", "on"]).await;

    let hub = hub.kill_and_restart();
    let mut after = Browser::connect(&hub).await;
    assert_ne!(after.hello["boot"], browser.hello["boot"]);
    let values = after.subscribe(&["#"]).await;
    let value = |topic: &str| values.iter().find(|(known, _)| known == topic).map(|(_, value)| value.clone());
    let state = value("lockstep/main/pomodoro/state").unwrap();
    assert_eq!((&state["state"], &state["ends_at"]), (&before["state"], &before["ends_at"]));
    assert_eq!(value("lockstep/main/slider1/value"), Some(json!(42)));
    assert_eq!(value("kitchen/light"), Some(json!("on")));
    assert_eq!(value("lockstep/hub/availability"), Some(json!("online")));

    // A revision never repeats.
    let answer = after.publish("lockstep/main/slider1/set", json!(43), "r3").await;
    assert_eq!(answer["type"], "ack", "{answer}");
    let slider = after.message("lockstep/main/slider1/state", |state| state["value"] == 43).await;
    assert!(slider["payload"]["rev"].as_u64().unwrap() > before["rev"].as_u64().unwrap());
}

#[tokio::test]
async fn a_stop_publishes_offline_and_ends_within_five_seconds() {
    let hub = Hub::start();
    let mut browser = Browser::connect(&hub).await;
    browser.subscribe(&["lockstep/hub/#"]).await;
    let (sender, seen) = tokio::sync::oneshot::channel();
    tokio::spawn(async move {
        let last = browser.message("lockstep/hub/availability", |value| value == "offline").await;
        let _ = sender.send(last);
    });
    let (code, took) = tokio::task::spawn_blocking(move || hub.stop()).await.unwrap();
    assert_eq!(code, Some(0));
    assert!(took.as_secs() < 5, "{took:?}");
    assert_eq!(seen.await.unwrap()["payload"], "offline");
}

#[tokio::test]
async fn odd_names_and_ten_thousand_retained_topics_work() {
    let hub = Hub::start();
    let mut browser = Browser::connect(&hub).await;
    browser.subscribe(&["é/#"]).await;
    mosquitto("mosquitto_pub", &hub, &["-i", "a/b", "-t", "é/x", "-m", "hello"]).await;
    assert_eq!(browser.message("é/x", |_| true).await["payload"], "hello");

    // Sent by a stock client, read back complete by one subscription at QoS 1.
    let mut options = MqttOptions::new("many", "127.0.0.1", hub.mqtt_port());
    options.set_keep_alive(Duration::from_secs(60)).set_inflight(100);
    let (client, mut events) = AsyncClient::new(options, 128);
    let publisher = tokio::spawn(async move {
        for i in 0..RETAINED {
            client.publish(format!("many/{i}"), QoS::AtLeastOnce, true, i.to_string()).await.unwrap();
        }
        client
    });
    let mut acknowledged = 0;
    while acknowledged < RETAINED {
        if let Event::Incoming(Packet::PubAck(_)) = tokio::time::timeout(LIMIT, events.poll()).await.unwrap().unwrap() {
            acknowledged += 1;
        }
    }
    drop(publisher.await.unwrap());
    for version in ["mqttv311", "mqttv5"] {
        let count = RETAINED.to_string();
        let arguments = ["-V", version, "-q", "1", "-v", "-t", "many/#", "-C", &count, "-W", "15"];
        let seen = mosquitto("mosquitto_sub", &hub, &arguments).await;
        let topics: std::collections::BTreeSet<&str> = seen.lines().filter_map(|line| line.split(' ').next()).collect();
        assert_eq!(topics.len(), RETAINED, "{version}");
    }
}

#[tokio::test]
async fn properties_of_mqtt_5_do_not_harm_a_reader_of_3_1_1() {
    let hub = Hub::start();
    let (port, arguments) = (hub.mqtt_port().to_string(), ["-V", "mqttv311", "-t", "x/y", "-C", "2", "-W", "15"]);
    let reader = tokio::process::Command::new("mosquitto_sub").args(["-p", &port]).args(arguments).output();
    let reader = tokio::spawn(reader);
    eventually("the reader has both messages", async || {
        let arguments = ["-V", "5", "-t", "x/y", "-m", "hi", "-D", "publish", "user-property", "a", "b"];
        mosquitto("mosquitto_pub", &hub, &[&arguments[..], &["-D", "publish", "content-type", "text/plain"]].concat())
            .await;
        if reader.is_finished() { Ok(()) } else { Err("it waits") }
    })
    .await;
    let output = reader.await.unwrap().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "hi\nhi\n");
    let message = mosquitto("mosquitto_sub", &hub, &["-t", "lockstep/main/pomodoro/message", "-C", "1"]).await;
    assert_eq!(message.trim(), "Press Me!", "the hub serves on");
}

#[test]
fn a_hub_that_is_told_something_as_soon_as_it_is_ready_does_it() {
    for _ in 0..8 {
        let hub = Hub::start();
        // Reads its users again, and goes on.
        assert!(std::process::Command::new("kill").args(["-HUP", &hub.pid().to_string()]).status().unwrap().success());
        let (code, took) = hub.stop();
        assert_eq!(code, Some(0), "an orderly stop");
        assert!(took < Duration::from_secs(5), "{took:?}");
    }
}

#[tokio::test]
async fn a_stop_does_not_wait_for_connections_that_never_asked_anything() {
    let hub = Hub::start();
    // Browsers open connections ahead of need; MQTT clients may be half-way through theirs.
    let silent: Vec<_> = [&hub.http, &hub.mqtt].map(|address| std::net::TcpStream::connect(address).unwrap()).into();
    // Its answer shows that the silent ones, which came before, were accepted.
    drop(Browser::connect(&hub).await);
    let (code, took) = tokio::task::spawn_blocking(move || hub.stop()).await.unwrap();
    assert_eq!(code, Some(0));
    assert!(took < Duration::from_millis(2500), "{took:?}");
    drop(silent);
}

#[tokio::test]
async fn a_stop_does_not_wait_long_for_a_browser_that_does_not_answer_goodbye() {
    let hub = Hub::start();
    // It keeps its connection open and reads nothing, as one in a laptop that sleeps.
    let asleep = Browser::connect(&hub).await;
    let (code, took) = tokio::task::spawn_blocking(move || hub.stop()).await.unwrap();
    assert_eq!(code, Some(0));
    assert!(took < Duration::from_millis(3500), "{took:?}");
    drop(asleep);
}

/// What a person types and sees is one and the same everywhere: the last value wins for all.
#[tokio::test]
async fn two_browsers_and_a_device_agree_on_the_last_value() {
    let hub = Hub::start();
    let mut anna = Browser::connect(&hub).await;
    let mut ben = Browser::connect(&hub).await;
    for browser in [&mut anna, &mut ben] {
        browser.subscribe(&["lockstep/main/slider1/#"]).await;
    }
    for value in (0..=100).step_by(5) {
        anna.send(
            json!({"type": "pub", "topic": "lockstep/main/slider1/set", "payload": value, "ref": format!("a{value}")}),
        )
        .await;
    }
    ben.message("lockstep/main/slider1/state", |state| state["value"] == 100).await;
    eventually("the device reads the last value", async || {
        let value = mosquitto("mosquitto_sub", &hub, &["-t", "lockstep/main/slider1/value", "-C", "1"]).await;
        if value.trim() == "100" { Ok(()) } else { Err(Value::from(value)) }
    })
    .await;
}
