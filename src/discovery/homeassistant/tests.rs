#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use std::{collections::BTreeSet, time::Duration};

use minijinja::{Environment, UndefinedBehavior, context};

use super::{schema::faults, *};
use crate::domain::{
    hub::{Hub, HubSpec, Reaction, RoomChange, RoomSpec, ThingSpec},
    origin::Origin,
    publication::Publish,
    things::{Kind, Settings as ThingSettings, slider},
    time::{Mono, Now, Wall},
};

const BEGINNING_MS: i64 = 1_760_000_000_000;

fn at(seconds: u64) -> Now {
    Now {
        mono: Mono::from_boot(Duration::from_secs(1_000 + seconds)),
        wall: Wall::from_unix_ms(BEGINNING_MS).after(Duration::from_secs(seconds)),
        wall_synchronised: true,
    }
}

/// A hub with every kind there is, odd settings among them.
fn hub() -> Hub {
    let id = |text: &str| text.parse::<Id>().unwrap();
    let mut things: Vec<ThingSpec> = Kind::ALL
        .iter()
        .map(|kind| ThingSpec {
            id: id(kind.as_str()),
            name: kind.as_str().to_uppercase(),
            settings: kind.default_settings(),
        })
        .collect();
    let fine = slider::Settings { min: -1.0, max: 1.0, step: 0.000_1, start: 0.0, unit: Some("°C".to_owned()) };
    things.push(ThingSpec { id: id("heat-1"), name: "Wärme".to_owned(), settings: ThingSettings::Slider(fine) });
    let room = |room: &str, name: &str| RoomSpec { id: id(room), name: name.to_owned(), things: things.clone() };
    let mut hub = Hub::new(HubSpec {
        name: "Lockstep".to_owned(),
        version: "1.2.3".to_owned(),
        root: id("lockstep"),
        boot: "7F3A-99c2".to_owned(),
        template: things.clone(),
        rooms: vec![room("main", "Main"), room("aula_2", "SLIDER")],
        rooms_max: 10,
    });
    hub.start([], 0, at(0));
    hub
}

fn info(hub: &Hub) -> HubInfo {
    HubInfo::read(hub.info().to_string().as_bytes()).unwrap()
}

fn boxes() -> BTreeMap<Id, BoxInfo> {
    let said = [
        ("box-1", r#"{"name":"Desk","room":"main","model":"Pi 4","version":"0.1.0"}"#),
        ("box-2", r#"{"event_types":["short_press","turn"],"name":7,"room":"nowhere"}"#),
        ("lamp", r#"{"event_types":[]}"#),
    ];
    said.iter().map(|(id, said)| (id.parse().unwrap(), BoxInfo::read(said.as_bytes()).unwrap())).collect()
}

fn all(hub: &Hub) -> Vec<Document> {
    documents(
        &info(hub),
        &boxes(),
        &Settings { page_url: Some("http://hub.local:8080/".to_owned()), ..Settings::default() },
    )
}

fn entities(documents: &[Document]) -> Vec<(String, &Map<String, Value>)> {
    documents
        .iter()
        .flat_map(|document| document.payload["components"].as_object().unwrap())
        .map(|(key, component)| (key.clone(), component.as_object().unwrap()))
        .collect()
}

fn command(hub: &mut Hub, topic: &str, payload: &str, seconds: u64) -> (Result<(), String>, Reaction) {
    let publish = Publish::new(Topic::parse(topic).unwrap(), payload.to_owned(), Origin::Mqtt("ha".into()));
    let mut reaction = Reaction::default();
    let outcome = hub.publish(&publish, at(seconds), &mut reaction);
    (outcome.map(|_| ()).map_err(|rejection| rejection.message), reaction)
}

/// What every topic says: those of the start, and everything since.
#[derive(Default)]
struct Said(BTreeMap<String, String>);

impl Said {
    fn take(&mut self, reaction: &Reaction) {
        for publication in &reaction.publications {
            let payload = String::from_utf8(publication.payload.to_vec()).unwrap();
            self.0.insert(publication.topic.as_str().to_owned(), payload);
        }
    }
}

/// Jinja as Home Assistant speaks it; a field that does not exist is an error.
fn jinja() -> Environment<'static> {
    let mut jinja = Environment::new();
    jinja.set_undefined_behavior(UndefinedBehavior::Strict);
    jinja.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
    jinja.add_filter("as_datetime", |seconds: f64| {
        let moment = jiff::Timestamp::from_millisecond((seconds * 1000.0).round() as i64).unwrap();
        format!("{}", moment.strftime("%Y-%m-%d %H:%M:%S%.f+00:00"))
    });
    jinja
}

fn render_value(template: &str, payload: &str) -> String {
    let value_json: Value = serde_json::from_str(payload).unwrap_or(Value::Null);
    let context = context! { value => payload, value_json => minijinja::Value::from_serialize(&value_json) };
    jinja().render_str(template, context).unwrap_or_else(|e| panic!("{template} of {payload}: {e:#}"))
}

/// What Home Assistant would do with the text that the template makes of the state.
fn check_value(key: &str, entity: &Map<String, Value>, text: &str) {
    let list = |name: &str| entity[name].as_array().unwrap().iter().any(|word| word == text);
    let class = entity.get("device_class").and_then(Value::as_str);
    let good = match (entity["platform"].as_str().unwrap(), class) {
        ("sensor", Some("enum")) | ("select", _) => list("options"),
        ("sensor", Some("timestamp")) => text == "None" || text.parse::<jiff::Timestamp>().is_ok(),
        ("sensor", Some("duration")) => text.parse::<u64>().is_ok(),
        ("sensor", _) => !text.is_empty() && text.len() <= 255,
        ("binary_sensor" | "switch", _) => {
            let word =
                |name: &str, default: &str| entity.get(name).and_then(Value::as_str).unwrap_or(default).to_owned();
            let (on, off) = match entity["platform"].as_str() {
                Some("switch") => (word("state_on", "ON"), word("state_off", "OFF")),
                _ => (word("payload_on", "ON"), word("payload_off", "OFF")),
            };
            text == on || text == off
        }
        ("number", _) => {
            let value: f64 = text.parse().unwrap();
            (entity["min"].as_f64().unwrap()..=entity["max"].as_f64().unwrap()).contains(&value)
        }
        ("event", _) => list("event_types"),
        (platform, _) => panic!("{key}: a {platform} has no state"),
    };
    assert!(good, "{key} would show {text:?}");
}

#[test]
fn every_document_is_as_home_assistant_documents_it() {
    for document in all(&hub()) {
        assert_eq!(faults(&document.object_id, &document.payload), [] as [&str; 0], "{:#}", document.payload);
        assert_eq!(document.topic.as_str(), format!("homeassistant/device/{}/config", document.object_id));
    }
}

#[test]
fn the_schema_finds_faults() {
    let good = &all(&hub())[2];
    let check = |pointer: &str, value: Value, said: &str| {
        let mut document = good.payload.clone();
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        document.pointer_mut(parent).unwrap()[key] = value;
        let found = faults(&good.object_id, &document);
        assert!(found.iter().any(|fault| fault.contains(said)), "{pointer}: {found:?}");
    };
    check("/device/colour", json!("red"), "`colour` is not allowed");
    check("/origin", json!({}), "`name` is missing");
    check("/components/pomodoro-phase/entity_category", json!("config"), "entity_category");
    check("/components/pomodoro-phase/device_class", json!("timestamp"), "options without");
    check("/components/pomodoro-phase/unit_of_measurement", json!("s"), "options with");
    check("/components/pomodoro-press/retain", json!(true), "retained");
    check("/components/pomodoro-press/state_topic", json!("a"), "not allowed");
    check("/components/slider-value/step", json!(0.000_1), "step");
    check("/components/slider-value/name", json!("Main slider"), "repeats");
    check("/components/pomodoro-work_duration/unit_of_measurement", json!("years"), "duration");
}

#[test]
fn ids_are_stable_unique_and_free_of_names() {
    let mut hub = hub();
    let ids = |documents: &[Document]| -> Vec<Value> {
        let entities = entities(documents);
        entities.iter().filter_map(|(_, entity)| entity.get("unique_id").cloned()).collect()
    };
    let before = all(&hub);
    let ids_before = ids(&before);
    let distinct: BTreeSet<String> = ids_before.iter().map(Value::to_string).collect();
    assert_eq!(distinct.len(), ids_before.len());
    assert!(ids_before.contains(&json!("lockstep_7f3a99c2.room.main.pomodoro.phase")), "{ids_before:?}");
    let change = RoomChange::Rename { id: "main".parse().unwrap(), name: "Küche".to_owned() };
    hub.change_room(change, [].into_iter(), at(1)).unwrap();
    let after = all(&hub);
    assert_eq!(ids(&after), ids_before);
    assert_eq!(after[2].object_id, before[2].object_id);
    assert_eq!(after[2].payload["device"]["name"], "Küche");
    assert_eq!(after[2].payload["device"]["suggested_area"], "Küche");
}

#[test]
fn the_hub_keeps_its_id_over_restarts() {
    let first = hub();
    let info_topic = first.hub_topic("info");
    let kept = first.info().to_string();
    let mut second = Hub::new(HubSpec {
        name: "Lockstep".to_owned(),
        version: "1.2.4".to_owned(),
        root: "lockstep".parse().unwrap(),
        boot: "another".to_owned(),
        template: Vec::new(),
        rooms: Vec::new(),
        rooms_max: 10,
    });
    second.start([(&info_topic, kept.as_bytes())], 0, at(0));
    assert_eq!(second.info()["id"], "7F3A-99c2");
    assert_eq!(second.info()["boot"], "another");
}

#[test]
fn every_template_renders_in_every_phase() {
    let mut hub = hub();
    let mut said = Said::default();
    said.take(&hub.start([], 0, at(0)));
    said.take(&hub.announce(true));
    said.0.insert(CLIENTS_TOPIC.to_owned(), "3".to_owned());
    for id in boxes().keys() {
        said.0.insert(format!("lockstep/device/{id}/availability"), "offline".to_owned());
        said.0.insert(format!("lockstep/device/{id}/event"), r#"{"event_type":"short_press"}"#.to_owned());
    }
    let documents = all(&hub);
    let mut checked = BTreeSet::new();
    let mut check = |said: &Said| {
        for (key, entity) in entities(&documents) {
            let Some(topic) = entity.get("state_topic").or_else(|| entity.get("topic")) else { continue };
            let Some(payload) = said.0.get(topic.as_str().unwrap()) else {
                assert_eq!(entity["platform"], "event", "{key}: nothing is ever said on {topic}");
                continue;
            };
            if entity["platform"] == "event" {
                let event: Value = serde_json::from_str(payload).unwrap();
                check_value(&key, entity, event["event_type"].as_str().unwrap());
            } else if entity["platform"] == "device_automation" {
                render_value(entity["value_template"].as_str().unwrap(), payload);
            } else {
                let text = match entity.get("value_template").and_then(Value::as_str) {
                    Some(template) => render_value(template, payload),
                    None => payload.clone(),
                };
                check_value(&key, entity, &text);
            }
            checked.insert(entity.get("unique_id").cloned().unwrap_or_default().to_string());
        }
    };
    check(&said);
    let set = "lockstep/main/pomodoro/set";
    let mut seconds = 10;
    // Idle to the long break, with a pause: a press, or the time that passes.
    for step in ["press", "pause", "resume", "skip", "press", "skip", "press", "reset", "press", "wake"] {
        seconds += 10;
        if step == "wake" {
            seconds += 1500;
            said.take(&hub.wake(at(seconds)));
        } else {
            let (outcome, reaction) = command(&mut hub, set, step, seconds);
            assert_eq!(outcome, Ok(()), "{step}");
            said.take(&reaction);
        }
        check(&said);
    }
    assert_eq!(said.0["lockstep/main/pomodoro/phase"], "break_alarm");
    assert!(checked.len() > 35, "{}", checked.len());
}

#[test]
fn the_time_left_is_told_in_seconds() {
    let documents = all(&hub());
    let (_, left) = entities(&documents).into_iter().find(|(key, _)| key == "pomodoro-remaining").unwrap();
    assert_eq!(left["enabled_by_default"], false);
    for (payload, seconds) in [("00:24:59", "1499"), ("00:00:00", "0"), ("24:00:00", "86400")] {
        assert_eq!(render_value(left["value_template"].as_str().unwrap(), payload), seconds);
    }
}

#[test]
fn every_control_moves_what_it_shows_and_ends_no_running_phase() {
    let mut hub = hub();
    let documents = all(&hub);
    assert_eq!(command(&mut hub, "lockstep/main/pomodoro/set", "press", 5).0, Ok(()));
    let mut moved = 0;
    for (key, entity) in entities(&documents) {
        let Some(topic) = entity.get("command_topic").and_then(Value::as_str) else { continue };
        let Some(state_topic) = entity.get("state_topic").and_then(Value::as_str) else { continue };
        let template = |value: Value| {
            let context = context! { value => minijinja::Value::from_serialize(&value) };
            jinja().render_str(entity["command_template"].as_str().unwrap(), context).unwrap()
        };
        let wanted: Vec<(String, String)> = match entity["platform"].as_str().unwrap() {
            "number" => {
                let (min, max) = (&entity["min"], &entity["max"]);
                [max, min].map(|value| (template(value.clone()), value.to_string())).into()
            }
            "select" => {
                let words = entity["options"].as_array().unwrap();
                words.iter().rev().map(|word| (template(word.clone()), word.as_str().unwrap().to_owned())).collect()
            }
            "switch" => [("payload_on", "ON"), ("payload_off", "OFF")]
                .map(|(payload, state)| (entity[payload].as_str().unwrap().to_owned(), state.to_owned()))
                .into(),
            platform => panic!("{key}: {platform}"),
        };
        for (payload, state) in wanted {
            let (outcome, reaction) = command(&mut hub, topic, &payload, 20);
            assert_eq!(outcome, Ok(()), "{key}: {payload}");
            let said = reaction.publications.iter().rfind(|publication| publication.topic.as_str() == state_topic);
            let said =
                String::from_utf8(said.unwrap_or_else(|| panic!("{key}: {payload} changed nothing")).payload.to_vec());
            let shown = render_value(entity["value_template"].as_str().unwrap(), &said.unwrap());
            assert_eq!(shown, state, "{key}: {payload}");
            moved += 1;
        }
    }
    assert!(moved >= 16, "{moved}");
    let (_, reaction) = command(&mut hub, "lockstep/main/pomodoro/set", "pause", 30);
    let said = reaction.publications.iter().find(|publication| publication.topic.as_str().ends_with("/state")).unwrap();
    let state: Value = serde_json::from_slice(&said.payload).unwrap();
    assert_eq!((&state["phase"], &state["paused"]), (&json!("work"), &json!(true)), "{state}");
}

#[test]
fn every_button_sends_a_verb_that_the_thing_knows() {
    let mut hub = hub();
    let documents = all(&hub);
    let mut pressed = 0;
    for (key, entity) in entities(&documents).into_iter().filter(|(_, entity)| entity["platform"] == "button") {
        let (topic, payload) = (entity["command_topic"].as_str().unwrap(), entity["payload_press"].as_str().unwrap());
        let (_, reaction) = command(&mut hub, topic, payload, 100);
        let rejected =
            reaction.publications.iter().find(|publication| publication.topic.as_str().ends_with("/rejected"));
        let code = rejected.map(|said| serde_json::from_slice::<Value>(&said.payload).unwrap()["code"].clone());
        // In a given phase a verb may have nothing to do, but it is never an unknown or malformed one.
        assert!(
            !matches!(code.as_ref().and_then(Value::as_str), Some("unknown_command" | "malformed")),
            "{key}: {code:?}"
        );
        pressed += 1;
    }
    assert_eq!(pressed, 14);
}

#[test]
fn names_do_not_repeat_the_room() {
    let documents = all(&hub());
    let room = documents.iter().find(|document| document.object_id.ends_with("_room_aula_2")).unwrap();
    // Room and thing have the same name: the slider is what the room is about.
    assert_eq!(room.payload["components"]["slider-value"]["name"], Value::Null);
    assert_eq!(room.payload["components"]["heat-1-value"]["name"], "Wärme");
    assert_eq!(room.payload["components"]["heat-1-value"]["default_entity_id"], "number.aula_2_heat_1");
}

#[test]
fn a_box_is_a_device_behind_the_hub_with_triggers() {
    let documents = all(&hub());
    let desk = documents.iter().find(|document| document.object_id.ends_with("_device_box-1")).unwrap();
    assert_eq!(desk.payload["device"]["via_device"], documents[0].payload["device"]["identifiers"][0]);
    assert_eq!(desk.payload["device"]["suggested_area"], "Main");
    assert_eq!(desk.payload["device"]["name"], "Desk");
    let components = &desk.payload["components"];
    // Its own availability would make it «unavailable» where it is «disconnected».
    assert_eq!(components["availability"]["availability"], json!([{"topic": "lockstep/hub/availability"}]));
    assert_eq!(components["button"]["availability"][1]["topic"], "lockstep/device/box-1/availability");
    assert_eq!(components["on-short_press"]["type"], "button_short_press");
    let odd = documents.iter().find(|document| document.object_id.ends_with("_device_box-2")).unwrap();
    assert_eq!(odd.payload["device"]["name"], "box-2");
    assert_eq!(odd.payload["device"].get("suggested_area"), None);
    assert_eq!(odd.payload["components"]["on-turn"]["type"], "turn");
    let lamp = documents.iter().find(|document| document.object_id.ends_with("_device_lamp")).unwrap();
    assert_eq!(lamp.payload["components"].as_object().unwrap().keys().collect::<Vec<_>>(), ["availability"]);
}

#[test]
fn only_documents_of_this_hub_are_ours() {
    let hub = hub();
    let info = info(&hub);
    let ours = all(&hub).remove(1).payload.to_string();
    let check = |object_id: &str, payload: &str| is_ours(&info, object_id, payload.as_bytes());
    assert!(check("lockstep_7f3a99c2_room_gone", &ours));
    assert!(check("lockstep_7f3a99c2", &ours));
    assert!(!check("lockstep_7f3a99c2x", &ours));
    assert!(!check("lockstep_ffff", &ours));
    assert!(!check("lockstep_7f3a99c2_room_gone", r#"{"origin":{"name":"zigbee2mqtt"}}"#));
    assert!(!check("lockstep_7f3a99c2_room_gone", "{"));
}
