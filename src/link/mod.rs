//! The link: mirrors things, commands, availability and discovery between the hub and a broker that is there already, as
//! mosquitto's bridge does.
//!
//! One core, two ends. [`mirror`] decides what goes where, a plain value. The far end is a connection with rumqttc. The hub's end is a
//! connection too where the link is a program of its own (`lockstep link`), or the engine itself where the link runs inside the
//! hub (`[link]`). Between an end and the core are bounded channels, and the core never waits for an end: what cannot be
//! sent at once waits in an outbox, levels replaced by newer ones of their topic, events up to a bound.
//!
//! While a side is away its levels are kept by the other side and brought up to date when it is back. Events and commands of that time
//! are dropped: a press is never remembered for later.
//!
//! What the link is doing is told as a device of the hub, `device/link-<name>/…`, and in the log.
//!
//! Rights do not belong here: each broker has its own for the user as whom the link connects.

use std::path::PathBuf;

use tokio_util::{sync::CancellationToken, task::TaskTracker};

mod carry;
pub mod command;
mod inside;
pub mod mirror;
mod outbox;
mod remote;
mod rewrite;

use crate::address::{self, Address, Credentials, Unprepared};
use carry::{Core, End};
use mirror::{Message, Mirror, Names};
use remote::Remote;

use crate::{
    clock::Clock,
    domain::{
        id::Id,
        topic::{Filter, Topic},
    },
    engine::{EngineHandle, OutletReceiver},
};

pub use remote::Protocol;

/// As whom to connect. The password stays in its file until then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// The user's name.
    pub user: String,
    /// The file whose first line is the password; without one the password is empty.
    pub password_file: Option<PathBuf>,
}

/// What a link connects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The far broker.
    pub far: Address,
    /// As whom to connect there.
    pub login: Option<Login>,
    /// The certificates to trust there, where the machine's own do not do.
    pub ca_file: Option<PathBuf>,
    /// Which protocol to speak there.
    pub protocol: Protocol,
    /// The root of the hub's topics at the far broker; that of the hub unless set.
    pub far_root: Option<Topic>,
    /// Home Assistant's discovery prefix, at the hub and at the far broker.
    pub prefix: Topic,
}

impl Settings {
    /// A link to `far` with nothing else set.
    #[must_use]
    pub fn new(far: Address) -> Self {
        let prefix = crate::discovery::Settings::default().prefix;
        Self { far, login: None, ca_file: None, protocol: Protocol::Auto, far_root: None, prefix }
    }
}

/// Where the hub is.
#[derive(Debug)]
pub enum HubSide {
    /// The link runs inside the hub.
    Inside {
        /// The way to the engine.
        engine: EngineHandle,
        /// What the engine publishes.
        outlet: OutletReceiver,
        /// Which start of the hub this is.
        boot: String,
    },
    /// The link is a client of the hub.
    Remote {
        /// Where.
        address: Address,
        /// As whom.
        login: Option<Login>,
        /// The certificates to trust.
        ca_file: Option<PathBuf>,
    },
}

/// A link at work.
#[derive(Debug)]
pub struct Link {
    stop: CancellationToken,
    /// Cancelled when both ends turn out to be the same hub.
    same_hub: CancellationToken,
    tasks: TaskTracker,
}

impl Link {
    /// Waits until both ends turn out to be the same hub; nothing is mirrored then. Never, while they are two.
    ///
    /// # Cancel safety
    /// Cancelling loses nothing.
    pub async fn is_with_itself(&self) {
        self.same_hub.cancelled().await;
    }

    /// Says `offline` at the far side, disconnects and ends.
    pub async fn stop(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// Starts a link between the hub with `root` and the far broker of `settings`.
///
/// # Errors
/// What cannot be read or trusted. That a side is not there is none: the link waits for it.
pub fn start(hub: HubSide, root: &Id, settings: &Settings, clock: Clock) -> Result<Link, Unprepared> {
    let host = Id::from_text(&settings.far.host).map_or_else(|| "broker".to_owned(), |id| id.to_string());
    let name: String = host.chars().take(48).collect();
    let link_device = Id::from_text(&format!("link-{name}")).unwrap_or_else(|| root.clone());
    let names = Names {
        root: root.clone(),
        far_root: settings.far_root.clone().unwrap_or_else(|| Topic::of(&[root.as_str()])),
        prefix: settings.prefix.clone(),
        far_prefix: settings.prefix.clone(),
        link_device: link_device.clone(),
    };
    let mirror = Mirror::new(names);
    let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
    let same_hub = CancellationToken::new();

    let (far, far_heard, far_say) = End::new();
    let names = mirror.names();
    let far_remote = Remote {
        client_id: format!("lockstep-{}-{}", names.far_root.as_str().replace('/', "-"), random_word()),
        address: settings.far.clone(),
        credentials: credentials(settings.login.as_ref())?,
        tls: if settings.far.tls { Some(address::tls(settings.ca_file.as_ref())?) } else { None },
        protocol: settings.protocol,
        filters: vec![
            format!("{}/#", names.far_root),
            format!("{}/status", names.far_prefix),
            format!("{}/device/+/config", names.far_prefix),
        ],
        will: Message::new(mirror.far_availability(), "offline", true),
        stamp: None,
        retain_as_published: false,
    };

    let (hub_end, hub_heard, hub_say) = End::new();
    let hub_filters = [format!("{root}/#"), format!("{}/device/+/config", names.prefix)];
    let stamp = link_device.to_string();
    match hub {
        HubSide::Inside { engine, outlet, boot } => {
            let filters = hub_filters.iter().filter_map(|text| Filter::parse(text).ok()).collect();
            tasks.spawn(inside::read(engine.clone(), outlet, filters, stamp.clone(), boot, hub_heard));
            tasks.spawn(inside::write(engine, stamp.as_str().into(), stamp, hub_say));
        }
        HubSide::Remote { address, login, ca_file } => {
            let remote = Remote {
                client_id: stamp.clone(),
                tls: if address.tls { Some(address::tls(ca_file.as_ref())?) } else { None },
                address,
                credentials: credentials(login.as_ref())?,
                protocol: Protocol::V5,
                filters: hub_filters.into(),
                will: Message::new(format!("{root}/device/{link_device}/availability"), "offline", true),
                stamp: Some(stamp),
                retain_as_published: true,
            };
            tasks.spawn(remote.run(hub_heard, hub_say));
        }
    }
    tasks.spawn(far_remote.run(far_heard, far_say));
    let core = Core::new(mirror, hub_end, far, clock, settings.far.to_string(), same_hub.clone());
    tasks.spawn(core.run(stop.clone()));
    Ok(Link { stop, same_hub, tasks })
}

/// A short random word: two hubs with the same root must not take over each other's session at the far broker.
fn random_word() -> String {
    let mut bytes = [0; 4];
    // Without a random number the process tells them apart.
    if getrandom::fill(&mut bytes).is_err() {
        bytes = std::process::id().to_le_bytes();
    }
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn credentials(login: Option<&Login>) -> Result<Option<Credentials>, Unprepared> {
    let Some(login) = login else { return Ok(None) };
    let password = login.password_file.as_ref().map_or_else(|| Ok(String::new()), address::read_password)?;
    Ok(Some(Credentials { user: login.user.clone(), password }))
}

/// The stamp's user property, for documentation and tests.
pub const STAMP: &str = remote::STAMP;
