//! A hub of one's own for a test: the very binary, on free ports, with a folder that goes when the test ends.
//!
//! Protocol clients do not belong here, but for the smallest `/ws` one.

use std::{
    collections::VecDeque,
    fmt::Debug,
    io::{BufRead, BufReader},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU16, Ordering},
    time::{Duration, Instant},
};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Message, client::IntoClientRequest},
};

/// How long anything may take before a test says that it did not happen.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// A port that nothing uses, for whoever listens on it again after a while.
///
/// It is below those that the system gives away by itself: of those, a client's connection may take one while nobody listens on it,
/// and then the second start fails.
pub(crate) fn free_port() -> u16 {
    static TAKEN: AtomicU16 = AtomicU16::new(0);
    const FIRST: u32 = 12_000;
    const COUNT: u32 = 20_000;
    loop {
        // Test runs beside each other begin at different places.
        let at = std::process::id().wrapping_mul(311) % COUNT + u32::from(TAKEN.fetch_add(1, Ordering::Relaxed));
        let port = u16::try_from(FIRST + at % COUNT).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// A running hub.
#[derive(Debug)]
pub(crate) struct Hub {
    child: Child,
    pub(crate) http: String,
    pub(crate) mqtt: String,
    pub(crate) data: PathBuf,
    /// The line that says that it is ready.
    pub(crate) ready: Value,
    folder: Option<tempfile::TempDir>,
}

impl Hub {
    /// Starts a hub with an empty folder.
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts a hub with an empty folder and more arguments.
    pub(crate) fn start_with(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut hub = Self::start_in(folder.path(), &format!("127.0.0.1:{}", free_port()), arguments);
        hub.folder = Some(folder);
        hub
    }

    /// Starts a hub in `data`, with MQTT on `mqtt`.
    pub(crate) fn start_in(data: &Path, mqtt: &str, arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_lockstep"))
            .args(["--http", "127.0.0.1:0", "--mqtt", mqtt, "--ready-json", "--data-dir"])
            .arg(data)
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap_or_else(|e| panic!("not ready: {e}: {line}"));
        let address = |name: &str| ready[name].as_str().unwrap().to_owned();
        let (http, mqtt) = (address("http"), address("mqtt"));
        Self { child, http, mqtt, data: data.to_owned(), ready, folder: None }
    }

    /// Takes the folder over, so that it outlives the hub.
    pub(crate) fn keep_folder(&mut self) -> Option<tempfile::TempDir> {
        self.folder.take()
    }

    pub(crate) fn mqtt_port(&self) -> u16 {
        self.mqtt.rsplit_once(':').unwrap().1.parse().unwrap()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// `kill -9`, and a new hub on the same folder and the same MQTT port.
    pub(crate) fn kill_and_restart(mut self) -> Self {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let mut hub = Self::start_in(&self.data, &self.mqtt, &[]);
        hub.folder = self.folder.take();
        hub
    }

    /// SIGTERM; returns the exit code and how long it took.
    pub(crate) fn stop(mut self) -> (Option<i32>, Duration) {
        let began = Instant::now();
        let status = Command::new("kill").arg(self.pid().to_string()).status().unwrap();
        assert!(status.success());
        while began.elapsed() < LIMIT {
            if let Some(status) = self.child.try_wait().unwrap() {
                return (status.code(), began.elapsed());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("the hub did not stop within {LIMIT:?}");
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until `look` returns something; says what it saw last where that does not happen in time.
pub(crate) async fn eventually<T, S: Debug>(what: &str, mut look: impl AsyncFnMut() -> Result<T, S>) -> T {
    let began = Instant::now();
    loop {
        match look().await {
            Ok(found) => return found,
            Err(seen) if began.elapsed() > LIMIT => panic!("{what}: not within {LIMIT:?}; saw {seen:?}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

/// A browser's connection.
pub(crate) struct Browser {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// Frames that came while an answer was awaited.
    earlier: VecDeque<Value>,
    pub(crate) hello: Value,
}

impl Browser {
    pub(crate) async fn connect(hub: &Hub) -> Self {
        let mut request = format!("ws://{}/ws", hub.http).into_client_request().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", "lockstep.v1".parse().unwrap());
        let (socket, _) = connect_async(request).await.unwrap();
        let mut browser = Self { socket, earlier: VecDeque::new(), hello: Value::Null };
        browser.hello = browser.next("hello").await;
        browser
    }

    pub(crate) async fn send(&mut self, frame: Value) {
        self.socket.send(Message::text(frame.to_string())).await.unwrap();
    }

    /// The next frame, whatever it is.
    pub(crate) async fn frame(&mut self) -> Value {
        if let Some(frame) = self.earlier.pop_front() {
            return frame;
        }
        self.new_frame().await
    }

    async fn new_frame(&mut self) -> Value {
        let frame = async {
            loop {
                match self.socket.next().await {
                    Some(Ok(Message::Text(text))) => return serde_json::from_str(text.as_str()).unwrap(),
                    Some(Ok(_)) => {}
                    other => panic!("the connection ended: {other:?}"),
                }
            }
        };
        tokio::time::timeout(LIMIT, frame).await.expect("a frame in time")
    }

    /// The next frame of that type; others are passed over.
    pub(crate) async fn next(&mut self, kind: &str) -> Value {
        self.next_where(kind, |_| true).await
    }

    pub(crate) async fn next_where(&mut self, kind: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let began = Instant::now();
        let mut last = Value::Null;
        while began.elapsed() < LIMIT {
            last = self.frame().await;
            if last["type"] == kind && wanted(&last) {
                return last;
            }
        }
        panic!("no such `{kind}` within {LIMIT:?}; the last frame was {last}");
    }

    /// The next message on `topic` whose payload is wanted.
    pub(crate) async fn message(&mut self, topic: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        self.next_where("msg", |frame| frame["topic"] == topic && wanted(&frame["payload"])).await
    }

    /// Subscribes and collects the whole snapshot, as topic and payload.
    pub(crate) async fn subscribe(&mut self, filters: &[&str]) -> Vec<(String, Value)> {
        self.send(json!({"type": "sub", "filters": filters, "id": "s"})).await;
        let mut values = Vec::new();
        loop {
            let page = self.next("snap").await;
            for value in page["topics"].as_array().unwrap() {
                values.push((value["topic"].as_str().unwrap().to_owned(), value["payload"].clone()));
            }
            if page["last"] == true {
                return values;
            }
        }
    }

    pub(crate) async fn publish(&mut self, topic: &str, payload: Value, reference: &str) -> Value {
        self.send(json!({"type": "pub", "topic": topic, "payload": payload, "ref": reference})).await;
        let began = Instant::now();
        while began.elapsed() < LIMIT {
            let frame = self.new_frame().await;
            if frame["ref"] == reference && (frame["type"] == "ack" || frame["type"] == "err") {
                return frame;
            }
            self.earlier.push_back(frame);
        }
        panic!("no answer to `{reference}` within {LIMIT:?}");
    }
}

/// Runs one of Debian's MQTT clients against the hub; returns what it printed.
pub(crate) async fn mosquitto(program: &str, hub: &Hub, arguments: &[&str]) -> String {
    let output = tokio::process::Command::new(program)
        .args(["-p", &hub.mqtt_port().to_string()])
        .args(arguments)
        .kill_on_drop(true)
        .output();
    let output =
        tokio::time::timeout(LIMIT, output).await.expect("the client ends in time").expect("mosquitto-clients");
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}
