//! A door on a real engine, in this process, so that a test can reach behind it.

use std::{sync::Arc, time::Duration};

use lockstep::{
    clock::Clock,
    config::{Config, Overrides},
    domain::hub::Hub,
    engine::{Engine, EngineLimits},
    mqtt::{self, Door, Foundation, Settings},
    policy::{self, Policy, Role},
};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{client::Client, packets::Connect};

/// A running door.
pub(super) struct Rig {
    pub(super) door: Arc<Door>,
    pub(super) port: u16,
    stop: CancellationToken,
    policy: Policy,
    /// Users and rules; gone when the test ends.
    files: TempDir,
}

impl Rig {
    pub(super) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// A door whose settings `change` has changed, open to everybody.
    pub(super) async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        Self::with_policy(change, true, "", "").await
    }

    /// A door with users and access rules; `open` as on loopback alone.
    pub(super) async fn with_policy(change: impl FnOnce(&mut Settings), open: bool, users: &str, acl: &str) -> Self {
        Self::with_anonymous(change, open, None, users, acl).await
    }

    /// The same, with a role for whoever has no user.
    pub(super) async fn with_anonymous(
        change: impl FnOnce(&mut Settings),
        open: bool,
        anonymous: Option<Role>,
        users: &str,
        acl: &str,
    ) -> Self {
        let files = tempfile::tempdir().unwrap();
        let (users_file, acl_file) = (files.path().join("users"), files.path().join("acl"));
        std::fs::write(&users_file, users).unwrap();
        std::fs::write(&acl_file, acl).unwrap();
        let root = "lockstep".parse().unwrap();
        let policy =
            Policy::load(policy::Settings { root, loopback_only: open, anonymous, users_file, acl_file }).unwrap();
        let spec = Config::load(None, &Overrides::default()).unwrap().hub_spec("boot".to_owned());
        let clock = Clock::system();
        let (mut engine, handle) = Engine::new(Hub::new(spec), clock.clone(), EngineLimits::default());
        let outlet = engine.outlet();
        engine.start(Vec::new(), 0);
        let stop = CancellationToken::new();
        tokio::spawn(engine.run(stop.clone().cancelled_owned()));
        let mut settings = Settings::default();
        change(&mut settings);
        let foundation = Foundation { engine: handle, outlet, clock, policy: policy.clone(), settings };
        let door = Arc::new(mqtt::start(foundation).await.unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = door.listen(listener, None).unwrap().port();
        Self { door, port, stop, policy, files }
    }

    /// Other users and rules, in force from now on.
    pub(super) fn reload(&self, users: &str, acl: &str) {
        std::fs::write(self.files.path().join("users"), users).unwrap();
        std::fs::write(self.files.path().join("acl"), acl).unwrap();
        self.policy.reload().unwrap();
    }

    /// A connected MQTT 5 client with a clean start.
    pub(super) async fn v5(&self, id: &str) -> Client {
        self.connect(Connect::v5(id)).await
    }

    /// A connected MQTT 3.1.1 client with a clean session.
    pub(super) async fn v311(&self, id: &str) -> Client {
        self.connect(Connect::v311(id)).await
    }

    /// A client that is let in.
    pub(super) async fn connect(&self, connect: Connect) -> Client {
        let mut client = Client::open(self.port, connect.v5).await;
        let connack = client.connect(&connect).await;
        assert_eq!(connack.reason, 0, "{connect:?} was refused: {connack:?}");
        client
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.stop.cancel();
        let door = Arc::clone(&self.door);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { door.stop().await });
        }
    }
}

/// Long enough for everything that ought to happen.
pub(super) const LIMIT: Duration = Duration::from_secs(10);

/// Long enough to see that something does not happen.
pub(super) const QUIET: Duration = Duration::from_millis(300);
