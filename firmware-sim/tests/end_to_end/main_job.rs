//! Press, see, lose the hub, see it again.

use std::time::{Duration, Instant};

use rumqttc::{Client, Event, Incoming, MqttOptions, QoS};
use serde_json::Value;

use crate::desk::{HeadlessBox, Hub, LIMIT};

#[test]
fn a_press_becomes_work_and_survives_a_killed_hub() {
    let data = tempfile::tempdir().unwrap();
    let hub = Hub::start(data.path(), "127.0.0.1:0");
    let address = hub.mqtt.clone();
    let mut desk = HeadlessBox::start(&address, "desk", &[]);
    let mut shelf = HeadlessBox::start(&address, "shelf", &[]);
    desk.wait_for_light("idle");
    shelf.wait_for_light("idle");

    desk.say("short");
    desk.wait_for_light("pressed");
    let work = desk.wait_for_phase("work");
    let light = desk.wait_for_light("work");
    assert_eq!((&light["colour"], &light["mode"]), (&Value::from("#00ff00"), &Value::from("solid")));
    assert!(work["ends_at"].as_i64().is_some(), "{work}");
    assert_eq!(work["by"], "mqtt:desk");
    let elsewhere = shelf.wait_for_phase("work");
    assert_eq!(elsewhere["ends_at"], work["ends_at"]);
    desk.lines.wait_for("the hub's countdown", |line| line["remaining"].as_str().is_some_and(|text| text < "00:25:00"));

    hub.kill();
    desk.wait_for_light("no_hub");
    // A press that nobody hears is told, and forgotten: sent later it would pause the timer.
    desk.say("short");
    desk.lines.wait_for("the press told as not sent", |line| line["type"] == "command" && line["sent"] == false);
    desk.wait_for_light("unsent");

    let hub = Hub::start(data.path(), &address);
    let again = desk.wait_for_phase("work");
    assert_eq!(again["ends_at"], work["ends_at"], "the same end after a crash");
    assert_eq!(again["paused"], false);
    desk.wait_for_online();
    assert_eq!(shelf.wait_for_phase("work")["ends_at"], work["ends_at"]);
    desk.lines.wait_for("the countdown", |line| line["type"] == "remaining");
    assert!(!desk.lines.seen().iter().any(|line| line["paused"] == true), "the old press was sent late");
    assert!(desk.quit().success());
    hub.kill();
}

#[test]
fn a_refused_press_is_shown_by_the_light() {
    let data = tempfile::tempdir().unwrap();
    let hub = Hub::start(data.path(), "127.0.0.1:0");
    let mut desk = HeadlessBox::start(&hub.mqtt, "desk", &[]);
    desk.wait_for_light("idle");
    desk.say("short");
    desk.say("short");
    let outcome = desk.lines.wait_for("the rejection", |line| line["outcome"] == "rejected");
    assert_eq!(outcome["code"], "too_soon");
    desk.wait_for_light("rejected");
    desk.wait_for_light("work");
}

#[test]
fn everybody_knows_whether_the_box_is_there() {
    let data = tempfile::tempdir().unwrap();
    let hub = Hub::start(data.path(), "127.0.0.1:0");
    let mut watcher = Watcher::start(&hub.mqtt, "lockstep/device/desk/#");
    let mut desk = HeadlessBox::start(&hub.mqtt, "desk", &[]);
    watcher.wait_for("availability", |payload| payload == "online");
    let info = watcher.wait_for("info", |_| true);
    assert_eq!(serde_json::from_str::<Value>(&info).unwrap()["room"], "main");
    desk.wait_for_online();
    desk.say("long");
    let event = watcher.wait_for("event", |_| true);
    assert_eq!(serde_json::from_str::<Value>(&event).unwrap()["event_type"], "long_press");
    desk.kill();
    watcher.wait_for("availability", |payload| payload == "offline");

    let mut desk = HeadlessBox::start(&hub.mqtt, "desk", &[]);
    watcher.wait_for("availability", |payload| payload == "online");
    desk.wait_for_online();
    assert!(desk.quit().success());
    watcher.wait_for("availability", |payload| payload == "offline");
}

/// A client of somebody else.
struct Watcher {
    client: Client,
    connection: rumqttc::Connection,
}

impl Watcher {
    fn start(hub: &str, filter: &str) -> Self {
        let (host, port) = hub.rsplit_once(':').unwrap();
        let mut options = MqttOptions::new("watcher", host, port.parse().unwrap());
        options.set_keep_alive(Duration::from_secs(60));
        let (client, connection) = Client::new(options, 10);
        client.subscribe(filter, QoS::AtLeastOnce).unwrap();
        let mut watcher = Self { client, connection };
        while !matches!(watcher.next("the subscription"), Incoming::SubAck(_)) {}
        watcher
    }

    fn next(&mut self, what: &str) -> Incoming {
        let deadline = Instant::now() + LIMIT;
        loop {
            let wait = deadline.saturating_duration_since(Instant::now());
            match self.connection.recv_timeout(wait) {
                Ok(Ok(Event::Incoming(packet))) => return packet,
                Ok(Ok(Event::Outgoing(_))) => {}
                other => panic!("{what} did not come: {other:?}"),
            }
        }
    }

    /// The next payload of `leaf` that is `wanted`.
    fn wait_for(&mut self, leaf: &str, wanted: impl Fn(&str) -> bool) -> String {
        loop {
            if let Incoming::Publish(publish) = self.next(leaf) {
                let payload = String::from_utf8(publish.payload.to_vec()).unwrap();
                if publish.topic.ends_with(&format!("/{leaf}")) && wanted(&payload) {
                    return payload;
                }
            }
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let _ = self.client.disconnect();
    }
}
