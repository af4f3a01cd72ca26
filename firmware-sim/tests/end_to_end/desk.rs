//! A hub and boxes as child processes, and waiting for what they say.

use std::{
    env,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{OnceLock, mpsc},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

/// Everything here happens within that, or the test fails.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// The hub's program: `LOCKSTEP_BIN`, or the one of this workspace, built if need be.
pub(crate) fn hub_program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        if let Some(path) = env::var_os("LOCKSTEP_BIN") {
            let path = PathBuf::from(path);
            return if path.is_absolute() { path } else { workspace().join(path) };
        }
        let build =
            Command::new(env!("CARGO")).args(["build", "--quiet", "-p", "lockstep", "--bin", "lockstep"]).status();
        assert!(build.unwrap().success(), "the hub does not build");
        Path::new(env!("CARGO_BIN_EXE_lockstep-box")).with_file_name("lockstep")
    })
}

fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// Lines of JSON from a child's standard output.
pub(crate) struct Lines {
    lines: mpsc::Receiver<Value>,
    seen: Vec<Value>,
}

impl Lines {
    fn of(child: &mut Child) -> Self {
        let out = BufReader::new(child.stdout.take().unwrap());
        let (tell, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in out.lines() {
                let Ok(line) = line else { return };
                let value = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{line:?} is no JSON: {e}"));
                if tell.send(value).is_err() {
                    return;
                }
            }
        });
        Self { lines, seen: Vec::new() }
    }

    /// The next line for which `wanted` says yes; those before it are skipped, and shown when it does not come.
    pub(crate) fn wait_for(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + LIMIT;
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(value) => {
                    self.seen.push(value.clone());
                    if wanted(&value) {
                        return value;
                    }
                }
                Err(e) => {
                    let seen: Vec<_> = self.seen.iter().map(Value::to_string).collect();
                    panic!("{what} did not come ({e}); seen:\n{}", seen.join("\n"));
                }
            }
        }
    }

    /// Everything that came until now.
    pub(crate) fn seen(&mut self) -> &[Value] {
        self.seen.extend(self.lines.try_iter());
        &self.seen
    }
}

/// A hub.
pub(crate) struct Hub {
    child: Child,
    pub(crate) mqtt: String,
    /// Where it listens with TLS, if it does.
    pub(crate) mqtt_tls: Option<String>,
}

impl Hub {
    /// A hub that keeps its data in `data`; `mqtt` is the address to listen on, port 0 picks one.
    pub(crate) fn start(data: &Path, mqtt: &str) -> Self {
        Self::start_with(data, mqtt, &[])
    }

    /// The same with more arguments.
    pub(crate) fn start_with(data: &Path, mqtt: &str, more: &[&str]) -> Self {
        let mut child = Command::new(hub_program())
            .args(["--http", "127.0.0.1:0", "--mqtt", mqtt, "--ready-json", "--data-dir"])
            .arg(data)
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let ready = Lines::of(&mut child).wait_for("the hub's ready line", |line| line["ready"] == true);
        let address = |key: &str| ready[key].as_str().map(str::to_owned);
        Self { child, mqtt: address("mqtt").unwrap(), mqtt_tls: address("mqtt_tls") }
    }

    /// `kill -9`
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        // Killed already, or not: nothing is left behind either way.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A headless box.
pub(crate) struct HeadlessBox {
    child: Child,
    words: Option<ChildStdin>,
    pub(crate) lines: Lines,
}

impl HeadlessBox {
    pub(crate) fn start(hub: &str, id: &str, more: &[&str]) -> Self {
        Self::start_at(&format!("mqtt://{hub}"), id, more)
    }

    /// With the hub's whole address.
    pub(crate) fn start_at(url: &str, id: &str, more: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_lockstep-box"))
            .args(["--board", "headless", "--id", id, "--hub", url])
            .args(more)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let words = child.stdin.take();
        let lines = Lines::of(&mut child);
        Self { child, words, lines }
    }

    pub(crate) fn say(&mut self, words: &str) {
        let stdin = self.words.as_mut().unwrap();
        writeln!(stdin, "{words}").unwrap();
        stdin.flush().unwrap();
    }

    pub(crate) fn wait_for_phase(&mut self, phase: &str) -> Value {
        self.lines.wait_for(&format!("phase {phase}"), |line| line["type"] == "phase" && line["phase"] == phase)
    }

    pub(crate) fn wait_for_light(&mut self, light: &str) -> Value {
        self.lines.wait_for(&format!("light {light}"), |line| line["type"] == "light" && line["light"] == light)
    }

    /// Why there is no connection.
    pub(crate) fn wait_for_reason(&mut self, part: &str) -> String {
        let line = self.lines.wait_for(&format!("a reason with {part:?}"), |line| {
            line["reason"].as_str().is_some_and(|reason| reason.contains(part))
        });
        line["reason"].as_str().unwrap().to_owned()
    }

    pub(crate) fn wait_for_online(&mut self) {
        self.lines.wait_for("online", |line| line["connection"] == "online");
    }

    /// `kill -9`
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Ends it as a script does, and waits for it.
    pub(crate) fn quit(mut self) -> std::process::ExitStatus {
        self.say("quit");
        drop(self.words.take());
        let deadline = Instant::now() + LIMIT;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "the box does not end");
            thread::yield_now();
        }
    }
}

impl Drop for HeadlessBox {
    fn drop(&mut self) {
        // As above.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
