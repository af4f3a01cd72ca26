//! The servers under measurement, each a process of its own.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Lockstep,
    Mosquitto,
}

impl Kind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Lockstep => "lockstep",
            Self::Mosquitto => "mosquitto",
        }
    }
}

/// A running server.
pub(crate) struct Server {
    child: Child,
    pub(crate) port: u16,
    /// Where its figures are, where it has them.
    http: Option<u16>,
    _folder: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where Debian puts mosquitto, which is not in everybody's path.
pub(crate) fn mosquitto() -> Result<PathBuf, String> {
    let path = std::env::var("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin"), PathBuf::from("/usr/local/sbin")])
        .map(|folder| folder.join("mosquitto"))
        .find(|program| program.exists())
        .ok_or_else(|| "there is no mosquitto; on Debian: apt-get install mosquitto".to_owned())
}

impl Server {
    /// Starts it with what it comes with, but for the limits that would make it drop or hold back what the other one delivers.
    pub(crate) fn start(kind: Kind) -> Result<Self, String> {
        let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
        let mut port = free_port()?;
        let mut http = None;
        let mut command = match kind {
            Kind::Lockstep => {
                let mut command = Command::new(release_binary()?);
                command.args(["--http", "127.0.0.1:0", "--mqtt", "127.0.0.1:0", "--ready-json", "--data-dir"]);
                command.arg(folder.path()).stdout(Stdio::piped());
                command
            }
            Kind::Mosquitto => {
                let config = folder.path().join("mosquitto.conf");
                let text = format!(
                    "allow_anonymous true\nset_tcp_nodelay true\nmax_queued_messages 0\nmax_inflight_messages 100\n\
                     listener {port} 127.0.0.1\n"
                );
                fs::write(&config, text).map_err(|e| e.to_string())?;
                let mut command = Command::new(mosquitto()?);
                command.arg("-c").arg(config).stdout(Stdio::null());
                command
            }
        };
        let mut child = command.stderr(Stdio::null()).spawn().map_err(|e| format!("{command:?}: {e}"))?;
        if let Some(stdout) = child.stdout.take() {
            let mut line = String::new();
            BufReader::new(stdout).read_line(&mut line).map_err(|e| e.to_string())?;
            let ready: serde_json::Value = serde_json::from_str(&line).map_err(|e| format!("{e} in {line:?}"))?;
            let of = |name: &str| ready[name].as_str()?.rsplit_once(':')?.1.parse::<u16>().ok();
            port = of("mqtt").ok_or("no address")?;
            http = of("http");
        }
        let server = Self { child, port, http, _folder: folder };
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if began.elapsed() > Duration::from_secs(10) {
                return Err(format!("{} does not listen", kind.name()));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(server)
    }

    /// The processor time that it has used so far. The kernel counts it in hundredths of a second.
    pub(crate) fn cpu(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split(' ');
        let ticks: u64 = fields.skip(12).take(2).map(|field| field.parse().unwrap_or(0)).sum();
        Duration::from_millis(10 * ticks)
    }

    /// The limits that it met so far, from its figures.
    pub(crate) fn limits_met(&self) -> String {
        let mut text = String::new();
        if let Some(mut stream) = self.http.and_then(|port| TcpStream::connect(("127.0.0.1", port)).ok()) {
            let _ = stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
            let _ = stream.read_to_string(&mut text);
        }
        let met: Vec<&str> = text.lines().filter(|line| line.starts_with("lockstep_mqtt_limit_total")).collect();
        met.join(", ")
    }

    /// The memory that it has, in megabytes.
    pub(crate) fn memory_mb(&self) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("0");
        line.trim().split(' ').next().and_then(|number| number.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
    }
}

fn free_port() -> Result<u16, String> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|e| e.to_string())?;
    listener.local_addr().map(|address| address.port()).map_err(|e| e.to_string())
}

fn release_binary() -> Result<PathBuf, String> {
    // Beside this very program, which stands in `deps`.
    let own = std::env::current_exe().map_err(|e| e.to_string())?;
    let binary = own.ancestors().nth(2).unwrap_or(Path::new(".")).join("lockstep");
    if binary.exists() { Ok(binary) } else { Err("no lockstep beside the bench: cargo build --release".to_owned()) }
}
