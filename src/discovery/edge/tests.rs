#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use serde_json::Value;
use tokio::task::JoinHandle;

use super::*;
use crate::{
    clock::Clock,
    domain::{
        hub::{Hub, HubSpec, RoomChange, RoomSpec, ThingSpec},
        publication::Level,
        things::Kind,
        time::{Mono, Now, Wall},
    },
    engine::{Engine, EngineLimits, Retained},
};

const LIMIT: Duration = Duration::from_secs(60);

struct Home {
    engine: EngineHandle,
    stop: CancellationToken,
    running: JoinHandle<()>,
    discovery: Discovery,
    publications: OutletReceiver,
}

impl Home {
    /// A hub whose retained tree holds `restored` from an earlier run, with discovery at work.
    fn start(restored: Vec<Publication>, settings: &Settings) -> Self {
        let now = Now { mono: Mono::default(), wall: Wall::from_unix_ms(0), wall_synchronised: true };
        let things = |kind: &Kind| ThingSpec {
            id: kind.as_str().parse().unwrap(),
            name: kind.as_str().to_owned(),
            settings: kind.default_settings(),
        };
        let template: Vec<ThingSpec> = Kind::ALL.iter().map(things).collect();
        let rooms = vec![RoomSpec { id: "main".parse().unwrap(), name: "Main".to_owned(), things: template.clone() }];
        let hub = Hub::new(HubSpec {
            name: "Lockstep".to_owned(),
            version: "1.0.0".to_owned(),
            root: "lockstep".parse().unwrap(),
            boot: "b00t".to_owned(),
            template,
            rooms,
            rooms_max: 10,
        });
        let (mut engine, handle) = Engine::new(hub, Clock::from_fn(move || now), EngineLimits::default());
        let (outlet, publications) = (engine.outlet(), engine.outlet());
        engine.start(restored, 0);
        let stop = CancellationToken::new();
        let running = tokio::spawn(engine.run(stop.clone().cancelled_owned()));
        let discovery = start(handle.clone(), outlet, &"lockstep".parse().unwrap(), settings);
        Self { engine: handle, stop, running, discovery, publications }
    }

    async fn documents(&self) -> Vec<Retained> {
        self.engine.snapshot(vec![Filter::parse("homeassistant/#").unwrap()]).await.unwrap().values
    }

    /// Waits until the documents are those of `object_ids`, and returns them.
    async fn shows(&self, object_ids: &[&str]) -> Vec<Value> {
        let wanted: Vec<String> = object_ids.iter().map(|id| format!("homeassistant/device/{id}/config")).collect();
        let looking = async {
            loop {
                let documents = self.documents().await;
                if documents.iter().map(|document| document.topic.as_str()).eq(wanted.iter().map(String::as_str)) {
                    return documents.iter().map(|d| serde_json::from_slice(&d.payload).unwrap()).collect();
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        match tokio::time::timeout(LIMIT, looking).await {
            Ok(found) => found,
            Err(_) => panic!("wanted {wanted:?}, there are {:?}", self.documents().await),
        }
    }

    async fn say(&self, topic: &str, payload: &str, retain: bool) {
        let publish = Publish::new(Topic::parse(topic).unwrap(), payload.to_owned(), Origin::Mqtt("test".into()));
        self.engine.publish(Lane::Client, Publish { retain, ..publish }).await.unwrap();
    }

    async fn stop(self) {
        self.discovery.stop().await;
        self.stop.cancel();
        self.running.await.unwrap();
    }
}

fn retained(topic: &str, payload: &str) -> Publication {
    Publication {
        seq: 0,
        topic: Topic::parse(topic).unwrap(),
        payload: payload.to_owned().into(),
        level: Level::Retained,
        qos: Qos::AtLeastOnce,
        origin: Origin::Hub,
        session: None,
        expires_at: None,
        properties: None,
    }
}

#[tokio::test(start_paused = true)]
async fn rooms_and_boxes_come_change_and_go() {
    let home = Home::start(Vec::new(), &Settings::default());
    home.shows(&["lockstep_b00t", "lockstep_b00t_room_main"]).await;
    home.engine.change_room(RoomChange::Create { id: "aula".parse().unwrap(), name: "Aula".to_owned() }).await.unwrap();
    home.say("lockstep/device/desk/info", r#"{"name":"Desk","room":"aula"}"#, true).await;
    let all = ["lockstep_b00t", "lockstep_b00t_device_desk", "lockstep_b00t_room_aula", "lockstep_b00t_room_main"];
    let documents = home.shows(&all).await;
    assert_eq!(documents[1]["device"]["suggested_area"], "Aula");
    let rename = RoomChange::Rename { id: "aula".parse().unwrap(), name: "Große Aula".to_owned() };
    home.engine.change_room(rename).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let documents = home.shows(&all).await;
    assert_eq!(documents[1]["device"]["suggested_area"], "Große Aula");
    assert_eq!(documents[2]["device"]["name"], "Große Aula");
    home.engine.change_room(RoomChange::Delete { id: "aula".parse().unwrap() }).await.unwrap();
    home.say("lockstep/device/desk/info", "", true).await;
    home.shows(&["lockstep_b00t", "lockstep_b00t_room_main"]).await;
    home.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_an_earlier_run_left_is_cleared_and_what_others_published_stays() {
    let ours = r#"{"origin":{"name":"Lockstep"},"device":{},"components":{}}"#;
    let other = r#"{"origin":{"name":"zigbee2mqtt"},"device":{},"components":{}}"#;
    let restored = vec![
        retained("homeassistant/device/lockstep_b00t_room_gone/config", ours),
        retained("homeassistant/device/lockstep_beef_room_main/config", ours),
        retained("homeassistant/device/zigbee/config", other),
    ];
    let home = Home::start(restored, &Settings::default());
    let shown = ["lockstep_b00t", "lockstep_b00t_room_main", "lockstep_beef_room_main", "zigbee"];
    home.shows(&shown).await;
    home.stop().await;
}

#[tokio::test(start_paused = true)]
async fn switched_off_it_clears_its_documents() {
    let ours = r#"{"origin":{"name":"Lockstep"},"device":{},"components":{}}"#;
    let restored = vec![retained("homeassistant/device/lockstep_b00t_room_main/config", ours)];
    let home = Home::start(restored, &Settings { enabled: false, ..Settings::default() });
    home.shows(&[]).await;
    home.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_birth_is_answered_after_a_while_with_every_document() {
    let mut home = Home::start(Vec::new(), &Settings::default());
    let shown = ["lockstep_b00t", "lockstep_b00t_room_main"];
    home.shows(&shown).await;
    while home.publications.try_recv().is_ok() {}
    let born = Instant::now();
    home.say("homeassistant/status", "online", false).await;
    let mut seen = Vec::new();
    while seen.len() < shown.len() {
        let batch = tokio::time::timeout(LIMIT, home.publications.recv()).await.unwrap().unwrap();
        let documents = batch.publications.iter().map(|publication| publication.topic.as_str().to_owned());
        seen.extend(documents.filter(|topic| topic.starts_with("homeassistant/device/")));
    }
    // The hub first: the others name it.
    assert_eq!(seen, shown.map(|id| format!("homeassistant/device/{id}/config")));
    let after = born.elapsed();
    assert!(after >= Duration::from_secs(1) && after <= Duration::from_secs(11), "{after:?}");
    home.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_home_assistant_that_was_away_hears_which_devices_are_gone() {
    let ours = r#"{"origin":{"name":"Lockstep"},"device":{},"components":{}}"#;
    let gone = "homeassistant/device/lockstep_b00t_room_gone/config";
    let mut home = Home::start(vec![retained(gone, ours)], &Settings::default());
    home.shows(&["lockstep_b00t", "lockstep_b00t_room_main"]).await;
    while home.publications.try_recv().is_ok() {}
    home.say("homeassistant/status", "online", false).await;
    let told = async {
        while let Some(batch) = home.publications.recv().await {
            if batch.publications.iter().any(|publication| publication.topic.as_str() == gone) {
                return batch.publications[0].payload.clone();
            }
        }
        Bytes::from_static(b"nothing")
    };
    assert!(tokio::time::timeout(LIMIT, told).await.unwrap().is_empty());
    home.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_device_that_home_assistants_user_deleted_stays_away_until_the_next_birth() {
    let home = Home::start(Vec::new(), &Settings::default());
    home.shows(&["lockstep_b00t", "lockstep_b00t_room_main"]).await;
    home.say("homeassistant/device/lockstep_b00t_room_main/config", "", true).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    home.shows(&["lockstep_b00t"]).await;
    home.say("homeassistant/status", "online", false).await;
    home.shows(&["lockstep_b00t", "lockstep_b00t_room_main"]).await;
    home.stop().await;
}
