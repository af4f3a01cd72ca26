//! Discovery, as an MQTT client sees it.

use std::process::Command;

use serde_json::Value;

use crate::support::{Hub, eventually, mosquitto};

async fn documents(hub: &Hub) -> Vec<(String, Value)> {
    let said = mosquitto("mosquitto_sub", hub, &["-v", "-t", "homeassistant/device/+/config", "-W", "1"]).await;
    let line = |line: &str| {
        let (topic, payload) = line.split_once(' ')?;
        Some((topic.to_owned(), serde_json::from_str(payload).ok()?))
    };
    said.lines().filter_map(line).collect()
}

async fn documents_of(hub: &Hub, endings: &[&str]) -> Vec<(String, Value)> {
    eventually("the documents are there", async || {
        let found = documents(hub).await;
        let same = found.len() == endings.len()
            && endings.iter().all(|end| found.iter().any(|(topic, _)| topic.ends_with(&format!("{end}/config"))));
        if same { Ok(found) } else { Err(found.into_iter().map(|(topic, _)| topic).collect::<Vec<_>>()) }
    })
    .await
}

#[tokio::test]
async fn documents_are_retained_and_their_ids_outlast_a_crash() {
    let hub = Hub::start();
    let before = documents_of(&hub, &["", "_room_main"]).await;
    let hub = hub.kill_and_restart();
    let after = documents_of(&hub, &["", "_room_main"]).await;
    assert_eq!(before, after);
}

#[tokio::test]
async fn a_box_comes_with_its_info_and_goes_with_it() {
    let hub = Hub::start();
    let info = ["-r", "-q", "1", "-t", "lockstep/device/desk/info", "-m", r#"{"name":"Desk","room":"main"}"#];
    mosquitto("mosquitto_pub", &hub, &info).await;
    let found = documents_of(&hub, &["", "_room_main", "_device_desk"]).await;
    let desk = found.iter().find(|(topic, _)| topic.contains("_device_desk")).unwrap();
    assert_eq!(desk.1["device"]["suggested_area"], "Main");
    mosquitto("mosquitto_pub", &hub, &["-r", "-q", "1", "-t", "lockstep/device/desk/info", "-n"]).await;
    documents_of(&hub, &["", "_room_main"]).await;
}

#[tokio::test]
async fn switched_off_nothing_is_told_and_what_was_told_is_cleared() {
    let folder = tempfile::tempdir().unwrap();
    let hub = Hub::start_in(folder.path(), "127.0.0.1:0", &[]);
    documents_of(&hub, &["", "_room_main"]).await;
    hub.stop();
    let hub = Hub::start_in(folder.path(), "127.0.0.1:0", &["--set", "discovery.enabled=false"]);
    documents_of(&hub, &[]).await;
}

#[tokio::test]
async fn the_command_prints_what_the_running_hub_publishes() {
    let hub = Hub::start();
    let mut published = documents_of(&hub, &["", "_room_main"]).await;
    let print = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_lockstep")).arg("discovery").args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        let line = |line: &str| {
            let (topic, payload) = line.split_once(' ').unwrap();
            (topic.to_owned(), serde_json::from_str::<Value>(payload).unwrap())
        };
        text.lines().map(line).collect::<Vec<_>>()
    };
    let mut printed = print(&["--hub", &format!("mqtt://{}", hub.mqtt)]);
    published.sort_by(|a, b| a.0.cmp(&b.0));
    printed.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(printed, published);
    // Without a hub: the same entities, under an id that is not known yet.
    assert_eq!(print(&[]).len(), 2);
}
