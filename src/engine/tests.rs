//! The engine as a whole, in paused time: time passes when nobody has anything to do.

use std::time::Duration;

use bytes::Bytes;
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
    time::{Instant, timeout},
};

use super::*;
use crate::{
    clock::Clock,
    domain::{
        hub::{Hub, HubSpec, MemberKind, Presence, RoomChange, RoomSpec, ThingSpec},
        origin::Origin,
        publication::{Level, Publication, Publish, Qos},
        rejection::Code,
        things::Kind,
        time::{Mono, Now, Wall},
        topic::{Filter, Topic},
    },
};

mod credit;
mod flow;
mod journal;
mod keep;
mod tree;

/// Longer than anything here may take, in time that costs nothing.
const PATIENCE: Duration = Duration::from_secs(3600);

/// A clock that goes with tokio's, paused or not.
fn clock() -> Clock {
    let start = Instant::now();
    Clock::from_fn(move || Now {
        mono: Mono::from_boot(Duration::from_secs(100) + start.elapsed()),
        wall: Wall::from_unix_ms(1_760_000_000_000).after(start.elapsed()),
        wall_synchronised: true,
    })
}

fn hub() -> Hub {
    let thing = |id: &str, kind: Kind| ThingSpec {
        id: id.parse().unwrap(),
        name: id.to_owned(),
        settings: kind.default_settings(),
    };
    let things = vec![thing("pomodoro", Kind::Pomodoro), thing("slider1", Kind::Slider)];
    Hub::new(HubSpec {
        name: "Lockstep".to_owned(),
        version: "0.0.0".to_owned(),
        root: "lockstep".parse().unwrap(),
        boot: "b1".to_owned(),
        template: things.clone(),
        rooms: vec![RoomSpec { id: "main".parse().unwrap(), name: "Main".to_owned(), things }],
        rooms_max: 100,
    })
}

fn engine(limits: EngineLimits) -> (Engine, EngineHandle) {
    Engine::new(hub(), clock(), limits)
}

/// Runs `engine` until the sender is used.
fn run(mut engine: Engine) -> (oneshot::Sender<()>, JoinHandle<()>) {
    engine.start(Vec::new(), 0);
    let (stop, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn(engine.run(async {
        let _ = stopped.await;
    }));
    (stop, task)
}

fn publish(topic: &str, payload: impl Into<Bytes>) -> Publish {
    Publish::new(Topic::parse(topic).unwrap(), payload, Origin::Mqtt("box".into()))
}

fn retained(topic: &str, payload: impl Into<Bytes>) -> Publish {
    Publish { retain: true, qos: Qos::AtLeastOnce, ..publish(topic, payload) }
}

fn filters(texts: &[&str]) -> Vec<Filter> {
    texts.iter().map(|text| Filter::parse(text).unwrap()).collect()
}

async fn text(handle: &EngineHandle, topic: &str) -> Option<String> {
    let snapshot = handle.snapshot(filters(&[topic])).await.unwrap();
    snapshot.values.first().map(|retained| String::from_utf8_lossy(&retained.payload).into_owned())
}

/// Reads an outlet to its end, with `pause` after each batch.
fn reader(mut outlet: OutletReceiver, pause: Duration) -> JoinHandle<Vec<Publication>> {
    tokio::spawn(async move {
        let mut read = Vec::new();
        while let Some(batch) = outlet.recv().await {
            read.extend(batch.publications.iter().cloned());
            drop(batch);
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
        }
        read
    })
}

fn assert_gapless(publications: &[Publication]) {
    for (publication, seq) in publications.iter().zip(1..) {
        assert_eq!(publication.seq, seq, "{}", publication.topic);
    }
}
