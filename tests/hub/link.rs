//! The link: the hub and a mosquitto show the same, whatever happens to either side.

use std::{
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use rumqttc::{AsyncClient, Event, MqttOptions, Packet, QoS};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::support::{Browser, Hub, LIMIT, eventually, free_port, mosquitto};

/// A mosquitto of one's own.
struct Far {
    child: Child,
    port: u16,
    folder: tempfile::TempDir,
}

impl Far {
    fn start(more: &str) -> Self {
        Self::start_on(free_port(), tempfile::tempdir().unwrap(), more)
    }

    fn start_on(port: u16, folder: tempfile::TempDir, more: &str) -> Self {
        let config = folder.path().join("mosquitto.conf");
        std::fs::write(&config, format!("listener {port} 127.0.0.1\n{more}\n")).unwrap();
        let mut child = Command::new("mosquitto");
        child.env("PATH", format!("{}:/usr/sbin", std::env::var("PATH").unwrap()));
        let child =
            child.arg("-c").arg(&config).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("mosquitto");
        let began = std::time::Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(began.elapsed() < LIMIT, "mosquitto does not listen");
            std::thread::sleep(Duration::from_millis(10));
        }
        Self { child, port, folder }
    }

    /// `kill -9`; what it had retained is lost.
    fn kill(mut self) -> (u16, tempfile::TempDir) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        (self.port, std::mem::replace(&mut self.folder, tempfile::tempdir().unwrap()))
    }

    fn url(&self) -> String {
        format!("mqtt://127.0.0.1:{}", self.port)
    }
}

impl Drop for Far {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A stock MQTT 3.1.1 client that keeps what it sees.
struct Client {
    client: AsyncClient,
    seen: mpsc::UnboundedReceiver<(String, String, bool)>,
    reading: tokio::task::JoinHandle<()>,
}

impl Client {
    async fn connect(port: u16, filter: &str) -> Self {
        let mut options = MqttOptions::new(format!("test-{filter}").replace(['/', '#', '+'], "-"), "127.0.0.1", port);
        options.set_keep_alive(Duration::from_secs(30)).set_max_packet_size(1 << 20, 1 << 20);
        let (client, mut events) = AsyncClient::new(options, 64);
        client.subscribe(filter, QoS::AtLeastOnce).await.unwrap();
        let (sender, seen) = mpsc::unbounded_channel();
        let (subscribed, mut waiting) = mpsc::channel(1);
        let reading = tokio::spawn(async move {
            while let Ok(event) = events.poll().await {
                match event {
                    Event::Incoming(Packet::Publish(publish)) => {
                        let payload = String::from_utf8_lossy(&publish.payload).into_owned();
                        if sender.send((publish.topic, payload, publish.retain)).is_err() {
                            return;
                        }
                    }
                    Event::Incoming(Packet::SubAck(_)) => subscribed.send(()).await.unwrap(),
                    _ => {}
                }
            }
        });
        tokio::time::timeout(LIMIT, waiting.recv()).await.expect("subscribed").unwrap();
        Self { client, seen, reading }
    }

    async fn publish(&self, topic: &str, payload: &str, retain: bool) {
        self.client.publish(topic, QoS::AtLeastOnce, retain, payload).await.unwrap();
    }

    /// The next message on `topic` with a payload that is wanted; others are passed over.
    async fn sees(&mut self, topic: &str, wanted: impl Fn(&str) -> bool) -> (String, bool) {
        let mut last = Vec::new();
        let looking = async {
            loop {
                let (seen, payload, retain) = self.seen.recv().await.expect("still connected");
                if seen == topic && wanted(&payload) {
                    return (payload, retain);
                }
                last.push(format!("{seen} {payload}"));
            }
        };
        let found = tokio::time::timeout(LIMIT, looking).await;
        found.unwrap_or_else(|_| panic!("{topic} is not as wanted; saw {last:#?}"))
    }

    /// Everything on topics that begin with `prefix` until the message that is sent now comes back.
    async fn until_now(&mut self, marker: &str, prefix: &str) -> Vec<String> {
        self.publish(marker, "now", false).await;
        let mut seen = Vec::new();
        let looking = async {
            loop {
                let (topic, payload, _) = self.seen.recv().await.expect("still connected");
                if topic == marker {
                    return;
                }
                if topic.starts_with(prefix) {
                    seen.push(format!("{topic} {payload}"));
                }
            }
        };
        tokio::time::timeout(LIMIT, looking).await.expect("the marker comes back");
        seen
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

const OPEN: &str = "allow_anonymous true";

fn linked(far: &Far, more: &[&str]) -> Hub {
    let address = format!("link.far={}", far.url());
    let mut arguments = vec!["--set", &address];
    arguments.extend(more);
    Hub::start_with(&arguments)
}

#[tokio::test]
async fn what_the_hub_shows_the_far_broker_shows_and_commands_come_back() {
    for protocol in ["auto", "5", "3.1.1"] {
        let far = Far::start(OPEN);
        let hub = linked(&far, &["--set", &format!("link.protocol={protocol}"), "--set", "link.far_root=home/school"]);
        let mut client = Client::connect(far.port, "#").await;
        client.sees("home/school/hub/availability", |payload| payload == "online").await;
        let mut browser = Browser::connect(&hub).await;
        browser.subscribe(&["lockstep/#"]).await;
        client.publish("home/school/main/slider1/set", "42", false).await;
        browser.message("lockstep/main/slider1/state", |state| state["value"] == 42).await;
        client.sees("home/school/main/slider1/value", |payload| payload == "42").await;
        let ack = browser.publish("lockstep/main/pomodoro/set", json!("press"), "a").await;
        assert_eq!(ack["type"], "ack", "{ack}");
        client.sees("home/school/main/pomodoro/message", |payload| payload == "Work").await;
        client.publish("home/school/main/pomodoro/set", "skip", false).await;
        let (event, _) = client.sees("home/school/main/pomodoro/event", |_| true).await;
        assert_eq!(serde_json::from_str::<Value>(&event).unwrap()["event_type"], "work_finished");
        // A late subscriber gets it all from the far broker's retained values, the plain leaves too.
        let mut late = Client::connect(far.port, "home/school/main/+/+").await;
        let (_, retained) = late.sees("home/school/main/pomodoro/phase", |payload| payload == "break_alarm").await;
        assert!(retained);
        // Discovery goes along, under the topics that are good there.
        let mut documents = Client::connect(far.port, "homeassistant/device/+/config").await;
        let id = serde_json::from_str::<Value>(
            &mosquitto("mosquitto_sub", &hub, &["-t", "lockstep/hub/info", "-C", "1"]).await,
        )
        .unwrap()["id"]
            .as_str()
            .unwrap()[..12]
            .to_owned();
        let topic = format!("homeassistant/device/lockstep_{id}_room_main/config");
        let (document, _) = documents.sees(&topic, |payload| !payload.is_empty()).await;
        let document: Value = serde_json::from_str(&document).unwrap();
        assert_eq!(document["components"]["slider1-value"]["command_topic"], "home/school/main/slider1/set");
        // Leaving says so.
        hub.stop();
        client.sees("home/school/hub/availability", |payload| payload == "offline").await;
    }
}

#[tokio::test]
async fn a_hub_that_dies_is_offline_at_the_far_broker() {
    let far = Far::start(OPEN);
    let hub = linked(&far, &[]);
    let mut client = Client::connect(far.port, "lockstep/hub/availability").await;
    client.sees("lockstep/hub/availability", |payload| payload == "online").await;
    drop(hub);
    client.sees("lockstep/hub/availability", |payload| payload == "offline").await;
}

#[tokio::test]
async fn a_far_broker_that_comes_late_and_one_that_lost_everything_are_filled() {
    let far = Far::start(OPEN);
    let (port, folder) = far.kill();
    let hub = Hub::start_with(&["--set", &format!("link.far=mqtt://127.0.0.1:{port}")]);
    let mut browser = Browser::connect(&hub).await;
    let link = "lockstep/device/link-127-0-0-1";
    browser.subscribe(&["lockstep/#"]).await;
    mosquitto("mosquitto_sub", &hub, &["-t", &format!("{link}/availability"), "-C", "1"]).await;
    let state = mosquitto("mosquitto_sub", &hub, &["-t", &format!("{link}/state"), "-C", "1"]).await;
    let state: Value = serde_json::from_str(&state).unwrap();
    assert_eq!(state["state"], "down", "{state}");
    mosquitto("mosquitto_pub", &hub, &["-t", "lockstep/main/slider1/set", "-m", "7"]).await;

    let far = Far::start_on(port, folder, OPEN);
    let mut client = Client::connect(port, "lockstep/main/slider1/value").await;
    client.sees("lockstep/main/slider1/value", |payload| payload == "7").await;
    browser.message(&format!("{link}/availability"), |payload| payload == "online").await;
    drop(client);

    let (port, folder) = far.kill();
    browser.message(&format!("{link}/availability"), |payload| payload == "offline").await;
    mosquitto("mosquitto_pub", &hub, &["-t", "lockstep/main/slider1/set", "-m", "8"]).await;
    let _far = Far::start_on(port, folder, OPEN);
    let mut client = Client::connect(port, "lockstep/main/slider1/value").await;
    client.sees("lockstep/main/slider1/value", |payload| payload == "8").await;
}

#[tokio::test]
async fn leftovers_of_the_hub_are_cleared_and_nobody_elses() {
    let far = Far::start(OPEN);
    let mut client = Client::connect(far.port, "#").await;
    client.publish("lockstep/gone/slider1/value", "1", true).await;
    client.publish("lockstep/main/slider1/set", "99", true).await;
    client.publish("garden/lamp", "on", true).await;
    client.publish("homeassistant/device/lamp/config", r#"{"origin":{"name":"zigbee2mqtt"}}"#, true).await;
    client.until_now("test/marker", "x").await;
    let hub = linked(&far, &[]);
    client.sees("lockstep/gone/slider1/value", str::is_empty).await;
    let mut late = Client::connect(far.port, "+/+/+/+").await;
    let mut garden = Client::connect(far.port, "garden/lamp").await;
    garden.sees("garden/lamp", |payload| payload == "on").await;
    late.sees("homeassistant/device/lamp/config", |payload| payload.contains("zigbee2mqtt")).await;
    // A retained command is old: it did not run.
    let value = mosquitto("mosquitto_sub", &hub, &["-t", "lockstep/main/slider1/value", "-C", "1"]).await;
    assert_eq!(value.trim(), "0");
}

#[tokio::test]
async fn devices_are_seen_from_both_sides_and_nothing_goes_round() {
    for protocol in ["5", "3.1.1"] {
        let far = Far::start(OPEN);
        let hub = linked(&far, &["--set", &format!("link.protocol={protocol}")]);
        let mut at_far = Client::connect(far.port, "#").await;
        at_far.sees("lockstep/hub/availability", |payload| payload == "online").await;
        let mut at_hub = Client::connect(hub.mqtt_port(), "lockstep/device/#").await;
        at_far.publish("lockstep/device/desk/availability", "online", true).await;
        at_hub.sees("lockstep/device/desk/availability", |payload| payload == "online").await;
        at_far.publish("lockstep/device/desk/event", r#"{"event_type":"short_press"}"#, false).await;
        at_hub.sees("lockstep/device/desk/event", |payload| payload.contains("short_press")).await;
        at_hub.publish("lockstep/device/door/availability", "online", true).await;
        at_far.sees("lockstep/device/door/availability", |payload| payload == "online").await;
        at_hub.publish("lockstep/device/door/event", r#"{"event_type":"long_press"}"#, false).await;
        at_far.sees("lockstep/device/door/event", |payload| payload.contains("long_press")).await;
        // Each arrived once: what came round would come before the marker, which takes the same way.
        let at_hub_seen = at_hub.until_now("lockstep/device/door/marker", "lockstep/device/d").await;
        at_far.sees("lockstep/device/door/marker", |_| true).await;
        let at_far_seen = at_far.until_now("lockstep/device/desk/marker", "lockstep/device/d").await;
        at_hub.sees("lockstep/device/desk/marker", |_| true).await;
        let more = at_hub.until_now("lockstep/device/door/end", "lockstep/device/d").await;
        let own = |topic: &str, seen: &[String]| seen.iter().filter(|line| line.starts_with(topic)).count();
        for (side, seen) in [("hub", &at_hub_seen), ("hub", &more)] {
            assert_eq!(own("lockstep/device/desk/event", seen), 0, "{protocol} {side}: {seen:?}");
            assert!(own("lockstep/device/door/event", seen) <= 1, "{protocol} {side}: {seen:?}");
        }
        assert_eq!(own("lockstep/device/door/event", &at_far_seen), 0, "{protocol}: {at_far_seen:?}");
    }
}

#[tokio::test]
async fn the_link_as_a_program_of_its_own_heals_when_the_hub_comes_back() {
    let far = Far::start(OPEN);
    let hub = Hub::start();
    let mut link = Command::new(env!("CARGO_BIN_EXE_lockstep"))
        .args(["link", &far.url(), "--hub", &format!("mqtt://{}", hub.mqtt)])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut client = Client::connect(far.port, "lockstep/#").await;
    client.sees("lockstep/hub/availability", |payload| payload == "online").await;
    client.publish("lockstep/main/slider1/set", "5", false).await;
    client.sees("lockstep/main/slider1/value", |payload| payload == "5").await;
    let hub = hub.kill_and_restart();
    client.sees("lockstep/hub/availability", |payload| payload == "offline").await;
    client.sees("lockstep/hub/availability", |payload| payload == "online").await;
    // A command while it is away would be dropped: the way back is there once the state says so.
    client.publish("lockstep/main/slider1/set", "6", false).await;
    client.sees("lockstep/main/slider1/value", |payload| payload == "6").await;
    let value = mosquitto("mosquitto_sub", &hub, &["-t", "lockstep/main/slider1/value", "-C", "1"]).await;
    assert_eq!(value.trim(), "6");
    Command::new("kill").arg(link.id().to_string()).status().unwrap();
    client.sees("lockstep/hub/availability", |payload| payload == "offline").await;
    let status = eventually("the link ends", async || link.try_wait().unwrap().ok_or("it runs")).await;
    assert!(status.success(), "{status}");
}

/// Everything that such a link carried would come back to it.
#[tokio::test]
async fn a_hub_is_not_linked_with_itself() {
    let hub = Hub::start();
    let mut browser = Browser::connect(&hub).await;
    browser.subscribe(&["lockstep/hub/rejected", "elsewhere/#"]).await;
    let own = format!("mqtt://{}", hub.mqtt);
    let by_name = format!("mqtt://localhost:{}", hub.mqtt_port());
    for (far, more) in [
        (&by_name, &[] as &[&str]),
        (&by_name, &["--far-root", "elsewhere"]),
        // Of a broker that speaks 3.1.1 nothing is known but its address.
        (&own, &["--protocol", "3.1.1"]),
    ] {
        let mut link = Command::new(env!("CARGO_BIN_EXE_lockstep"));
        let mut link = link.args(["link", far, "--hub", &own]).args(more).stderr(Stdio::piped()).spawn().unwrap();
        let status = eventually("the link ends", async || link.try_wait().unwrap().ok_or("it runs")).await;
        let output = link.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(status.code(), Some(2), "{said}");
        assert!(said.contains("both ends of the link are the same hub"), "{said}");
    }
    // What the link mirrored or the hub refused would come before the marker.
    let ack = browser.publish("elsewhere/marker", json!("now"), "m").await;
    assert_eq!(ack["type"], "ack", "{ack}");
    let first = browser.next("msg").await;
    assert_eq!(first["topic"], "elsewhere/marker", "{first}");
}

/// The same of `[link]`: the hub goes on, and says what is wrong where the link's state is.
#[tokio::test]
async fn a_link_inside_the_hub_to_the_hub_itself_says_so() {
    let port = free_port();
    let folder = tempfile::tempdir().unwrap();
    let (address, far) = (format!("127.0.0.1:{port}"), format!("link.far=mqtt://127.0.0.1:{port}"));
    let hub = Hub::start_in(folder.path(), &address, &["--set", &far]);
    eventually("the link says so", async || {
        let arguments = ["-t", "lockstep/device/link-127-0-0-1/state", "-C", "1", "-W", "5"];
        let said = mosquitto("mosquitto_sub", &hub, &arguments).await;
        if said.contains("both ends of the link are the same hub") { Ok(()) } else { Err(said) }
    })
    .await;
}

fn openssl(folder: &Path, arguments: &[&str]) {
    let done = Command::new("openssl").current_dir(folder).args(arguments).stderr(Stdio::null()).status().unwrap();
    assert!(done.success(), "openssl {arguments:?}");
}

#[tokio::test]
async fn over_tls_with_a_user_and_not_with_a_wrong_password_or_an_unknown_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    openssl(
        folder.path(),
        &[
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-keyout",
            "ca.key",
            "-out",
            "ca.pem",
            "-subj",
            "/CN=Test CA",
        ],
    );
    openssl(
        folder.path(),
        &["req", "-newkey", "rsa:2048", "-nodes", "-keyout", "far.key", "-out", "far.csr", "-subj", "/CN=127.0.0.1"],
    );
    std::fs::write(folder.path().join("san"), "subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n").unwrap();
    openssl(
        folder.path(),
        &[
            "x509",
            "-req",
            "-in",
            "far.csr",
            "-CA",
            "ca.pem",
            "-CAkey",
            "ca.key",
            "-CAcreateserial",
            "-days",
            "2",
            "-out",
            "far.pem",
            "-extfile",
            "san",
        ],
    );
    let passwords = path("passwords");
    let made =
        Command::new("mosquitto_passwd").args(["-b", "-c", &passwords, "hub", "correct horse"]).status().unwrap();
    assert!(made.success());
    std::fs::write(folder.path().join("right"), "correct horse\n").unwrap();
    std::fs::write(folder.path().join("wrong"), "battery staple\n").unwrap();
    let tls = format!(
        "certfile {}\nkeyfile {}\nallow_anonymous false\npassword_file {passwords}\nuser root",
        path("far.pem"),
        path("far.key")
    );
    let far = Far::start(&tls);
    let address = format!("link.far=mqtts://127.0.0.1:{}", far.port);
    for (password, ca, expected) in [("right", true, "up"), ("wrong", true, "down"), ("right", false, "down")] {
        let (password_file, ca_file) =
            (format!("link.password_file={}", path(password)), format!("link.ca_file={}", path("ca.pem")));
        let mut arguments = vec!["--set", &address, "--set", "link.user=hub", "--set", &password_file];
        if ca {
            arguments.extend(["--set", &ca_file]);
        }
        let hub = Hub::start_with(&arguments);
        let topic = "lockstep/device/link-127-0-0-1/state";
        let state = eventually("the link tells how it is", async || {
            let said = mosquitto("mosquitto_sub", &hub, &["-t", topic, "-C", "1", "-W", "5"]).await;
            let state: Value = serde_json::from_str(&said).map_err(|_| said.clone())?;
            let told = state["state"] == expected && (expected == "up" || !state["reason"].is_null());
            if told { Ok(state) } else { Err(said) }
        })
        .await;
        if !ca {
            assert!(state["reason"].as_str().unwrap().contains("ertificate"), "{state}");
        } else if expected == "down" {
            assert!(state["reason"].as_str().unwrap().contains("refused"), "{state}");
        }
    }
}
