//! Readiness: a publish really goes through inbox, engine, router and back, and `/readyz` tells where it does not.

use std::{sync::Arc, time::Duration};

use lockstep::{
    clock::Clock,
    config::{Config, Overrides},
    domain::hub::Hub,
    engine::{Engine, EngineLimits},
    http::{self, Listener, Settings},
    mqtt::{self, Door},
};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::rig::{open_policy, request};

/// A door and the HTTP side on one engine, put together as the hub does it.
struct House {
    door: Door,
    address: std::net::SocketAddr,
    _http: http::Http,
    _stop: DropGuard,
}

impl House {
    async fn start(router_timeout: Duration) -> Self {
        let spec = Config::load(None, &Overrides::default()).unwrap().hub_spec("boot".to_owned());
        let clock = Clock::system();
        let (mut engine, handle) = Engine::new(Hub::new(spec), clock.clone(), EngineLimits::default());
        let (outlet, browsers) = (engine.outlet(), engine.outlet());
        engine.start(Vec::new(), 0);
        let mut settings = mqtt::Settings::default();
        settings.limits.router_timeout = router_timeout;
        let policy = open_policy();
        let foundation =
            mqtt::Foundation { engine: handle.clone(), outlet, clock: clock.clone(), policy: policy.clone(), settings };
        let door = mqtt::start(foundation).await.unwrap();
        let probe = door.probe();
        let settings = Settings {
            router_probe: Some(Arc::new(move || {
                let probe = probe.clone();
                Box::pin(async move { probe.round_trip().await })
            })),
            ..Settings::new(policy)
        };
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let http = http::start(vec![Listener { socket, tls: None }], handle, vec![browsers], settings, clock).unwrap();
        let stop = CancellationToken::new();
        tokio::spawn(engine.run(stop.clone().cancelled_owned()));
        Self { door, address: http.addresses()[0], _http: http, _stop: stop.drop_guard() }
    }

    async fn ready(&self) -> (u16, Value) {
        let answer = request(self.address, "GET /readyz HTTP/1.1\nHost: localhost\nConnection: close").await;
        let answer = String::from_utf8(answer).unwrap();
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_whose_router_hangs_is_not_ready_until_it_goes_on() {
    // Nobody replaces it here.
    let house = House::start(Duration::from_secs(600)).await;
    let (status, ready) = house.ready().await;
    assert_eq!((status, &ready["checked"]), (200, &json!(["engine", "fanout", "router"])), "{ready}");
    let hanging = house.door.hang_router().await;
    let (status, problem) = house.ready().await;
    assert_eq!((status, &problem["detail"]), (503, &json!("Not ready, at the router: no answer in time.")));
    drop(hanging);
    assert_eq!(house.ready().await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_whose_router_was_killed_is_ready_with_the_next_one() {
    let house = House::start(Duration::from_millis(500)).await;
    assert_eq!(house.ready().await.0, 200);
    house.door.kill_router().await;
    crate::support::eventually("ready by another router", async || {
        let (status, problem) = house.ready().await;
        let generation = house.door.router_generation();
        if (status, generation) == (200, 1) { Ok(()) } else { Err((status, generation, problem)) }
    })
    .await;
}
