//! The running hub's own ear: a socket in the data folder for whoever may read that folder, and word to the service manager.
//!
//! Nothing of it goes over a network. What the orders lead to does not belong here.

use std::{
    fmt, fs, io,
    io::{BufRead, BufReader, Write},
    net::SocketAddr,
    os::{
        fd::AsRawFd,
        linux::net::SocketAddrExt,
        unix::{
            fs::PermissionsExt,
            net::{UnixDatagram, UnixStream},
        },
    },
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt},
    net::UnixListener,
    sync::mpsc,
    task::JoinHandle,
};
use tracing::{debug, warn};

use crate::{
    clock::Clock,
    policy::{Invitations, Policy},
    store::JournalHandle,
};

/// The socket's name in the data folder.
pub const SOCKET: &str = "control.sock";
/// How long an order may take; a backup of a large hub takes the longest.
const ORDER_TIME_MAX: Duration = Duration::from_secs(120);
/// The most bytes of an order.
const ORDER_BYTES_MAX: u64 = 16 << 10;

/// What a running hub can be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "snake_case")]
pub enum Order {
    /// Where it listens and which start of it this is.
    Status,
    /// Read users and access rules again.
    Reload,
    /// Write a copy of the states, the history and the sessions to a new file.
    Backup {
        /// Which file; absolute.
        path: PathBuf,
    },
    /// Stop in order and start anew with the configuration as it is then.
    Restart,
    /// Make a code by which somebody becomes that user once, without a password.
    Invite {
        /// Which user.
        user: String,
    },
}

/// What it answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Answer {
    /// Done, with a sentence for people.
    Done {
        /// What was done.
        message: String,
    },
    /// How the hub is.
    Status(Status),
    /// A code that [`Order::Invite`] made.
    Invitation {
        /// What the address of the login page carries in its fragment.
        code: String,
    },
    /// Not done, and why.
    Refused {
        /// Why.
        reason: String,
    },
}

/// Where the hub listens and which start of it this is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The program's version.
    pub version: String,
    /// New at each start.
    pub boot: String,
    /// The process.
    pub pid: u32,
    /// Where HTTP listens.
    pub http: Vec<SocketAddr>,
    /// Where MQTT listens.
    pub mqtt: Vec<SocketAddr>,
    /// Whether its command line or environment says where HTTP listens: what `lockstep lan` writes is weaker.
    #[serde(default)]
    pub http_is_fixed: bool,
    /// The same of MQTT.
    #[serde(default)]
    pub mqtt_is_fixed: bool,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done { message } => f.write_str(message),
            // A secret: it is for the program that asked.
            Self::Invitation { .. } => f.write_str("An invitation is made."),
            Self::Refused { reason } => f.write_str(reason),
            Self::Status(status) => write!(f, "Lockstep {} runs as process {}.", status.version, status.pid),
        }
    }
}

/// Why an order was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum OrderError {
    /// Nobody listens there.
    #[error("no hub is running on `{}`; give its folder with --data-dir, or start it", folder.display())]
    NotRunning {
        /// The data folder.
        folder: PathBuf,
    },
    /// It is somebody else's.
    #[error("the hub on `{}` belongs to another user of this machine; try again as that user, or with sudo", folder.display())]
    NotAllowed {
        /// The data folder.
        folder: PathBuf,
    },
    /// It does not answer.
    #[error("the hub on `{}` does not answer", folder.display())]
    Io {
        /// The data folder.
        folder: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It refuses.
    #[error("{reason}")]
    Refused {
        /// Why.
        reason: String,
    },
}

/// What the orders work on.
#[derive(Debug)]
pub struct Controlled {
    /// The data folder.
    pub folder: PathBuf,
    /// What is told of the hub.
    pub status: Status,
    /// What [`Order::Reload`] reads again.
    pub policy: Policy,
    /// What [`Order::Invite`] adds to.
    pub invitations: Invitations,
    /// When that is.
    pub clock: Clock,
    /// What [`Order::Backup`] copies.
    pub journal: JournalHandle,
    /// Where [`Order::Restart`] goes.
    pub restart: mpsc::Sender<()>,
}

/// Listens as long as it lives.
#[derive(Debug)]
pub struct Control {
    task: Option<JoinHandle<()>>,
    folder: PathBuf,
}

impl Drop for Control {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
            let _ = fs::remove_file(self.folder.join(SOCKET));
        }
    }
}

/// Begins to listen in the data folder. A folder without sockets is no reason not to serve; it is told in the log.
///
/// To be called within the runtime.
#[must_use]
pub fn start(controlled: Controlled) -> Control {
    let folder = controlled.folder.clone();
    let task = match bind(&folder) {
        Ok(listener) => Some(tokio::spawn(listen(listener, controlled))),
        Err(e) => {
            warn!(error = %e, folder = %folder.display(), "`lockstep reload` and `lockstep backup` cannot reach this hub");
            None
        }
    };
    Control { task, folder }
}

/// Binds under another name and renames it once only its owner may use it.
fn bind(folder: &Path) -> io::Result<UnixListener> {
    let (new, place) = (folder.join("control.new"), folder.join(SOCKET));
    let _ = fs::remove_file(&new);
    let opened = fs::File::open(folder)?;
    // A socket's address is short; the folder's descriptor makes any path fit.
    let listener = UnixListener::bind(format!("/proc/self/fd/{}/control.new", opened.as_raw_fd()))?;
    fs::set_permissions(&new, fs::Permissions::from_mode(0o600))?;
    fs::rename(&new, &place)?;
    Ok(listener)
}

async fn listen(listener: UnixListener, controlled: Controlled) {
    loop {
        // One order at a time is enough for people and scripts.
        let Ok((mut stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let handled = tokio::time::timeout(ORDER_TIME_MAX, async {
            let (read, mut write) = stream.split();
            let mut line = String::new();
            tokio::io::BufReader::new(read.take(ORDER_BYTES_MAX)).read_line(&mut line).await?;
            let answer = match serde_json::from_str(&line) {
                Ok(order) => carry_out(order, &controlled).await,
                Err(e) => Answer::Refused { reason: format!("this is no order: {e}") },
            };
            let mut text = serde_json::to_vec(&answer)?;
            text.push(b'\n');
            write.write_all(&text).await
        });
        match handled.await {
            Ok(Ok(())) => {}
            Ok(Err(e)) => debug!(error = %e, "an order broke off"),
            Err(_) => debug!("an order took too long"),
        }
    }
}

async fn carry_out(order: Order, controlled: &Controlled) -> Answer {
    let refused = |reason: String| Answer::Refused { reason };
    let done = |message: &str| Answer::Done { message: message.to_owned() };
    match order {
        Order::Status => Answer::Status(controlled.status.clone()),
        Order::Reload => match controlled.policy.reload() {
            Ok(()) => done("The hub has read its users and access rules again."),
            Err(e) => refused(format!("the users and access rules stay as they were: {e}")),
        },
        Order::Backup { path } => match controlled.journal.backup(path.clone()).await {
            Ok(()) => done(&format!("The backup is in {}.", path.display())),
            Err(reason) => refused(format!("there is no backup in `{}`: {reason}", path.display())),
        },
        Order::Invite { user } => match controlled.policy.known_user(&user) {
            None => refused(format!("there is no user `{user}`")),
            Some(_) => match controlled.invitations.invite(&user, controlled.clock.now().mono) {
                Some(code) => Answer::Invitation { code },
                None => refused("the system gives no randomness".to_owned()),
            },
        },
        Order::Restart => match controlled.restart.try_send(()) {
            Ok(()) => done("The hub starts anew."),
            Err(_) => refused("the hub is stopping already".to_owned()),
        },
    }
}

/// Asks the hub that runs on the data folder `folder`. Blocks.
///
/// # Errors
/// There is none, it does not answer, or it refuses.
pub fn order(folder: &Path, order: &Order) -> Result<Answer, OrderError> {
    let answer = ask(folder, order).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
            OrderError::NotRunning { folder: folder.to_owned() }
        }
        io::ErrorKind::PermissionDenied => OrderError::NotAllowed { folder: folder.to_owned() },
        _ => OrderError::Io { folder: folder.to_owned(), source },
    })?;
    match answer {
        Answer::Refused { reason } => Err(OrderError::Refused { reason }),
        answer => Ok(answer),
    }
}

/// How the hub on `folder` is; none where none runs. Blocks.
///
/// # Errors
/// As [`order`].
pub fn status(folder: &Path) -> Result<Option<Status>, OrderError> {
    match order(folder, &Order::Status) {
        Ok(Answer::Status(status)) => Ok(Some(status)),
        Ok(answer) => Err(OrderError::Refused { reason: format!("the hub gave another answer: {answer}") }),
        Err(OrderError::NotRunning { .. }) => Ok(None),
        Err(e) => Err(e),
    }
}

fn ask(folder: &Path, order: &Order) -> io::Result<Answer> {
    let opened = fs::File::open(folder)?;
    let mut stream = UnixStream::connect(format!("/proc/self/fd/{}/{SOCKET}", opened.as_raw_fd()))?;
    stream.set_read_timeout(Some(ORDER_TIME_MAX))?;
    let mut line = serde_json::to_vec(order)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer)?;
    Ok(serde_json::from_str(&answer)?)
}

/// Tells the service manager, where there is one that wants to know (`sd_notify(3)`).
pub fn notify_service(state: &str) {
    let Some(address) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let told = || -> io::Result<()> {
        let text = address.to_string_lossy();
        let address = match text.strip_prefix('@') {
            Some(name) => std::os::unix::net::SocketAddr::from_abstract_name(name)?,
            None => std::os::unix::net::SocketAddr::from_pathname(&*text)?,
        };
        UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address).map(drop)
    };
    if let Err(e) = told() {
        warn!(error = %e, "the service manager cannot be told `{state}`");
    }
}
