//! The servers under measurement, each a process of its own, and what a client of each says.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use crate::wire;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    FloorWs,
    FloorBatch,
    Lockstep,
    Mosquitto,
    SocketIo,
}

impl Kind {
    pub(crate) const ALL: [Self; 5] =
        [Self::FloorWs, Self::FloorBatch, Self::Lockstep, Self::Mosquitto, Self::SocketIo];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::FloorWs => "floor-ws",
            Self::FloorBatch => "floor-batch",
            Self::Lockstep => "lockstep",
            Self::Mosquitto => "mosquitto",
            Self::SocketIo => "socketio",
        }
    }
}

/// A running server.
pub(crate) struct Server {
    pub(crate) kind: Kind,
    child: Child,
    /// Where browsers connect.
    pub(crate) web: u16,
    /// Where devices connect.
    pub(crate) device: u16,
    _folder: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").port()
}

impl Server {
    pub(crate) fn start(kind: Kind) -> Result<Self, String> {
        let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
        let (mut web, mut device) = (free_port(), free_port());
        let mut command = match kind {
            Kind::FloorWs | Kind::FloorBatch => {
                device = web;
                let mut command = Command::new(std::env::current_exe().map_err(|e| e.to_string())?);
                command.args([format!("serve-{}", kind.name()), web.to_string()]);
                command
            }
            Kind::Lockstep => {
                let mut command = Command::new(release_binary());
                command.args(["--http", "127.0.0.1:0", "--mqtt", "127.0.0.1:0", "--ready-json", "--data-dir"]);
                command
                    .arg(folder.path())
                    .args(["--set", "http.limits.frames_per_second_max=100000"])
                    .stdout(Stdio::piped());
                command
            }
            Kind::Mosquitto => {
                let config = folder.path().join("mosquitto.conf");
                let text = format!(
                    "allow_anonymous true\nset_tcp_nodelay true\nmax_queued_messages 0\nlistener {device} 127.0.0.1\nlistener {web} 127.0.0.1\nprotocol websockets\n"
                );
                fs::write(&config, text).map_err(|e| e.to_string())?;
                let mut command = Command::new(mosquitto()?);
                command.arg("-c").arg(config);
                command
            }
            Kind::SocketIo => {
                device = web;
                let mut command = Command::new("node");
                command.arg(node_server()?).arg(web.to_string());
                command
            }
        };
        let mut child = command.stderr(Stdio::null()).spawn().map_err(|e| format!("{command:?}: {e}"))?;
        if let Some(stdout) = child.stdout.take() {
            let mut line = String::new();
            BufReader::new(stdout).read_line(&mut line).map_err(|e| e.to_string())?;
            let ready: serde_json::Value = serde_json::from_str(&line).map_err(|e| e.to_string())?;
            let port = |name: &str| ready[name].as_str()?.rsplit_once(':')?.1.parse().ok();
            (web, device) = (port("http").ok_or("no address")?, port("mqtt").ok_or("no address")?);
        }
        let server = Self { kind, child, web, device, _folder: folder };
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", web)).is_err() {
            if began.elapsed() > Duration::from_secs(10) {
                return Err("it does not listen".to_owned());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(server)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The processor time that the server used, all of its threads together.
    pub(crate) fn cpu(&self) -> Duration {
        // In clock ticks, of which Linux tells programs 100 a second, in the fields behind the name.
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        let fields: Vec<u64> = stat
            .rsplit_once(')')
            .map_or("", |(_, rest)| rest)
            .split(' ')
            .map(|field| field.parse().unwrap_or(0))
            .collect();
        Duration::from_millis(10 * fields.iter().skip(12).take(2).sum::<u64>())
    }

    /// The memory that the server really has, in KB.
    pub(crate) fn memory_kilobytes(&self) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("0");
        line.trim().split(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0.0)
    }

    /// What a browser says to connect, and then to see `bench/#`.
    pub(crate) fn greetings(&self, number: usize) -> (Vec<u8>, Vec<u8>) {
        match self.kind {
            Kind::FloorWs | Kind::FloorBatch => (wire::upgrade("/", ""), Vec::new()),
            Kind::Lockstep => {
                (wire::upgrade("/ws", "lockstep.v1"), wire::frame(1, br#"{"type":"sub","filters":["bench/#"],"id":1}"#))
            }
            Kind::Mosquitto => {
                let mut hello = wire::frame(2, &wire::mqtt_connect(&format!("browser{number}")));
                hello.extend(wire::frame(2, &wire::mqtt_subscribe("bench/#")));
                (wire::upgrade("/", "mqtt"), hello)
            }
            Kind::SocketIo => (wire::upgrade("/socket.io/?EIO=4&transport=websocket", ""), wire::frame(1, b"40")),
        }
    }

    /// A connection that publishes.
    pub(crate) fn publisher(&self) -> Result<TcpStream, String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.device)).map_err(|e| e.to_string())?;
        stream.set_nodelay(true).map_err(|e| e.to_string())?;
        let hello = match self.kind {
            Kind::FloorWs | Kind::FloorBatch => b"P".to_vec(),
            Kind::Lockstep | Kind::Mosquitto => wire::mqtt_connect("device"),
            Kind::SocketIo => self.greetings(0).0,
        };
        stream.write_all(&hello).map_err(|e| e.to_string())?;
        if !matches!(self.kind, Kind::FloorWs | Kind::FloorBatch) {
            let mut answer = [0; 1024];
            let bytes = stream.read(&mut answer).map_err(|e| e.to_string())?;
            if bytes == 0 {
                return Err("the publisher is refused".to_owned());
            }
        }
        if self.kind == Kind::SocketIo {
            stream.write_all(&self.greetings(0).1).map_err(|e| e.to_string())?;
        }
        Ok(stream)
    }

    /// The bytes with which the publisher publishes `payload`.
    pub(crate) fn publish(&self, payload: &str) -> Vec<u8> {
        match self.kind {
            Kind::FloorWs | Kind::FloorBatch => [&(payload.len() as u16).to_be_bytes(), payload.as_bytes()].concat(),
            Kind::Lockstep | Kind::Mosquitto => wire::mqtt_publish("bench/event", payload.as_bytes(), false),
            Kind::SocketIo => wire::frame(1, format!("42[\"publish\",{payload}]").as_bytes()),
        }
    }
}

/// Where Debian puts mosquitto, which is not in everybody's path.
fn mosquitto() -> Result<PathBuf, String> {
    let path = std::env::var("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin"), PathBuf::from("/usr/local/sbin")])
        .map(|folder| folder.join("mosquitto"))
        .find(|program| program.exists())
        .ok_or_else(|| "there is no mosquitto; on Debian: apt-get install mosquitto".to_owned())
}

fn release_binary() -> PathBuf {
    // Beside this very program, which stands in `deps`.
    let own = std::env::current_exe().unwrap_or_default();
    own.ancestors().nth(2).unwrap_or(Path::new(".")).join("lockstep")
}

/// The Socket.IO server, installed on first use.
fn node_server() -> Result<PathBuf, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bench/fanout/node");
    if !folder.join("node_modules/socket.io").exists() {
        let installed = Command::new("npm").args(["ci", "--silent"]).current_dir(&folder).status();
        if !installed.is_ok_and(|status| status.success()) {
            return Err("npm cannot install socket.io".to_owned());
        }
    }
    Ok(folder.join("server.mjs"))
}
