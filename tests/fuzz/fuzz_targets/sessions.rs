//! Whole sessions: whatever a client sends, in whatever order, the door serves the next client.
#![no_main]

use std::{net::Ipv4Addr, sync::LazyLock, time::Duration};

use libfuzzer_sys::fuzz_target;
use lockstep::{
    clock::Clock,
    config::{Config, Overrides},
    domain::hub::Hub,
    engine::{Engine, EngineLimits},
    mqtt::{self, Door, Foundation, Peer, Settings},
    policy::{self, Policy},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    runtime::Runtime,
};

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));

static DOOR: LazyLock<Door> = LazyLock::new(|| {
    RUNTIME.block_on(async {
        let spec = Config::load(None, &Overrides::default()).expect("the default").hub_spec("fuzz".to_owned());
        let clock = Clock::system();
        let (mut engine, handle) = Engine::new(Hub::new(spec), clock.clone(), EngineLimits::default());
        let outlet = engine.outlet();
        engine.start(Vec::new(), 0);
        tokio::spawn(engine.run(std::future::pending()));
        let nowhere = std::env::temp_dir().join("lockstep-fuzz-has-no-users");
        let policy = Policy::load(policy::Settings {
            root: "lockstep".parse().expect("an id"),
            loopback_only: true,
            anonymous: None,
            users_file: nowhere.clone(),
            acl_file: nowhere,
        })
        .expect("no files");
        let mut settings = Settings::default();
        // Sessions that outlive their connection must not add up over a million runs.
        settings.limits.session_expiry_max = Duration::from_secs(1);
        mqtt::start(Foundation { engine: handle, outlet, clock, policy, settings }).await.expect("a door")
    })
});

fn connect() -> DuplexStream {
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    DOOR.acceptor().accept(theirs, Peer { address: Ipv4Addr::LOCALHOST.into(), certificate: None });
    ours
}

const CONNECT: [u8; 20] =
    [0x10, 18, 0, 4, b'M', b'Q', b'T', b'T', 5, 2, 0, 0, 0, 0, 5, b'p', b'r', b'o', b'b', b'e'];
const PING: [u8; 2] = [0xc0, 0];

fuzz_target!(|data: &[u8]| {
    // The first run opens the door, which cannot be done from within the runtime.
    LazyLock::force(&DOOR);
    RUNTIME.block_on(async {
        let mut hostile = connect();
        // Half of the runs begin behind a good CONNECT.
        if data.first().is_some_and(|first| first & 1 == 1) {
            let _ = hostile.write_all(&CONNECT).await;
        }
        let _ = tokio::time::timeout(Duration::from_millis(100), hostile.write_all(data.get(1..).unwrap_or_default())).await;
        let mut probe = connect();
        let mut hello = CONNECT.to_vec();
        hello[15..].copy_from_slice(b"alive");
        let alive = async {
            probe.write_all(&hello).await.expect("the door is open");
            probe.write_all(&PING).await.expect("the door is open");
            let mut answer = [0; 256];
            loop {
                let length = probe.read(&mut answer).await.expect("an answer");
                assert_ne!(length, 0, "the door closed");
                if answer[..length].ends_with(&[0xd0, 0]) {
                    return;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(5), alive).await.expect("the door answers");
        assert_eq!(DOOR.router_generation(), 0, "something reached the router that it cannot take");
    });
});
