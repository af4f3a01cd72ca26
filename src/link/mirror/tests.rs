#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use serde_json::json;

use super::*;

fn mirror(far_root: &str) -> Mirror {
    let mut mirror = Mirror::new(Names {
        root: "lockstep".parse().unwrap(),
        far_root: Topic::parse(far_root).unwrap(),
        prefix: Topic::parse("homeassistant").unwrap(),
        far_prefix: Topic::parse("homeassistant").unwrap(),
        link_device: "link-ha".parse().unwrap(),
    });
    let info = json!({"id": "b00t", "name": "Lockstep", "version": "1", "root": "lockstep", "rooms": []});
    mirror.hub_said(level("lockstep/hub/info", &info.to_string()));
    mirror
}

fn level(topic: &str, payload: &str) -> Message {
    Message::new(topic, payload.to_owned(), true)
}

fn event(topic: &str, payload: &str) -> Message {
    Message::new(topic, payload.to_owned(), false)
}

/// What `said` became, without the stamp.
fn shown(said: Option<Message>) -> Option<(String, String, bool)> {
    said.map(|message| (message.topic, String::from_utf8(message.payload.to_vec()).unwrap(), message.retain))
}

fn out(topic: &str, payload: &str, retain: bool) -> Option<(String, String, bool)> {
    Some((topic.to_owned(), payload.to_owned(), retain))
}

#[test]
fn what_is_the_hubs_goes_out_and_never_comes_in() {
    let mut mirror = mirror("home/school");
    for (message, expected) in [
        (level("lockstep/main/slider1/value", "4"), out("home/school/main/slider1/value", "4", true)),
        (event("lockstep/main/pomodoro/event", "{}"), out("home/school/main/pomodoro/event", "{}", false)),
        (level("lockstep/main/people", "{}"), out("home/school/main/people", "{}", true)),
        (level("lockstep/hub/availability", "online"), out("home/school/hub/availability", "online", true)),
        (level("other/topic", "1"), None),
        (event("lockstep/main/slider1/set", "1"), None),
        (level("homeassistant/device/zigbee/config", r#"{"origin":{"name":"zigbee2mqtt"}}"#), None),
    ] {
        assert_eq!(shown(mirror.hub_said(message.clone())), expected, "{message:?}");
    }
    for message in [
        level("home/school/main/slider1/value", "9"),
        event("home/school/main/slider1/state", "9"),
        event("home/school/hub/availability", "offline"),
        event("lockstep/main/slider1/set", "9"),
        event("other/topic", "9"),
        event("home/school", "9"),
    ] {
        assert_eq!(shown(mirror.far_said(message.clone())), None, "{message:?}");
    }
}

/// Two hubs that are linked with each other: each would refuse what the other one refused, for ever.
#[test]
fn the_refusal_of_a_rejection_stays_where_it_is() {
    let mut mirror = mirror("lockstep");
    let first = r#"{"code":"owned_topic","topic":"lockstep/main/slider1/state"}"#;
    let second = r#"{"code":"owned_topic","topic":"lockstep/hub/rejected"}"#;
    let topic = "lockstep/hub/rejected";
    assert_eq!(shown(mirror.hub_said(event(topic, first))), out(topic, first, false));
    assert_eq!(shown(mirror.hub_said(event(topic, second))), None);
}

#[test]
fn a_document_goes_out_once_until_home_assistant_or_the_broker_begins_anew() {
    let mut mirror = mirror("lockstep");
    let document = json!({"origin": {"name": crate::discovery::homeassistant::ORIGIN}, "components": {}}).to_string();
    let document = level("homeassistant/device/lockstep_b00t_room_main/config", &document);
    assert!(mirror.hub_said(document.clone()).is_some());
    assert!(mirror.hub_said(document.clone()).is_none(), "it would come back for ever from a far side that is the hub");
    mirror.far_said(event("homeassistant/status", "online"));
    assert!(mirror.hub_said(document.clone()).is_some());
    mirror.far_begins();
    assert!(mirror.hub_said(document.clone()).is_some());
    assert!(mirror.hub_said(Message { payload: Bytes::new(), ..document.clone() }).is_some());
    assert!(mirror.hub_said(document).is_some(), "cleared and back");
}

#[test]
fn commands_come_in_live_only_and_never_retained() {
    let mut mirror = mirror("home/school");
    let set = "home/school/main/pomodoro/set";
    assert_eq!(shown(mirror.far_said(event(set, "press"))), out("lockstep/main/pomodoro/set", "press", false));
    assert_eq!(shown(mirror.far_said(level(set, "press"))), None);
    assert_eq!(shown(mirror.far_said(event("home/school/hub/x/set", "press"))), None);
}

#[test]
fn the_birth_of_home_assistant_comes_in() {
    let mut mirror = mirror("lockstep");
    let birth = mirror.far_said(event("homeassistant/status", "online")).unwrap();
    assert!(birth.stamped);
    assert_eq!(shown(Some(birth)), out("homeassistant/status", "online", false));
    // One that was retained tells of a start long ago.
    assert_eq!(shown(mirror.far_said(level("homeassistant/status", "online"))), None);
}

#[test]
fn documents_go_out_under_the_topics_of_the_far_side() {
    let mut mirror = mirror("home/school");
    let document = json!({
        "origin": {"name": "Lockstep"}, "availability": [{"topic": "lockstep/hub/availability"}],
        "components": {
            "a": {"state_topic": "lockstep/main/slider1/state", "payload_press": "lockstep/x", "name": "A"},
            "clients": {"state_topic": "$SYS/broker/clients/connected"},
        },
    });
    let said = level("homeassistant/device/lockstep_b00t_room_main/config", &document.to_string());
    let out = mirror.hub_said(said).unwrap();
    assert_eq!(out.topic, "homeassistant/device/lockstep_b00t_room_main/config");
    let out: Value = serde_json::from_slice(&out.payload).unwrap();
    assert_eq!(out["components"]["a"]["state_topic"], "home/school/main/slider1/state");
    assert_eq!(out["components"]["a"]["payload_press"], "lockstep/x");
    assert_eq!(out["availability"][0]["topic"], "home/school/hub/availability");
    // The broker's own numbers are another broker's there.
    assert_eq!(out["components"].get("clients"), None);
    let info = mirror.everything().into_iter().find(|message| message.topic == "home/school/hub/info").unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&info.payload).unwrap()["root"], "home/school");
}

#[test]
fn nothing_goes_round() {
    for far_root in ["lockstep", "home/school"] {
        let mut mirror = mirror(far_root);
        // From the far side to the hub, which publishes it to everybody, the link included.
        let to_hub = mirror.far_said(event(&format!("{far_root}/device/box/availability"), "online")).unwrap();
        assert!(to_hub.stamped && to_hub.retain);
        assert_eq!(shown(mirror.hub_said(to_hub)), None);
        // From the hub to the far side, which echoes it (MQTT 3.1.1 knows no «no local»).
        let to_far = mirror.hub_said(level("lockstep/device/desk/availability", "online")).unwrap();
        assert_eq!(shown(mirror.far_said(Message { retain: false, ..to_far.clone() })), None);
        // And once more after a reconnect, as a retained value.
        mirror.far_begins();
        assert_eq!(shown(mirror.far_said(to_far)), None);
        let press = mirror.hub_said(event("lockstep/device/desk/event", "{}")).unwrap();
        assert_eq!(shown(mirror.far_said(press)), None);
    }
}

#[test]
fn a_device_that_moves_is_followed() {
    let mut mirror = mirror("lockstep");
    let availability = "lockstep/device/desk/availability";
    let echo = mirror.hub_said(level(availability, "online")).unwrap();
    assert_eq!(mirror.far_said(Message { retain: false, ..echo }), None);
    let echo = mirror.hub_said(level(availability, "offline")).unwrap();
    assert_eq!(mirror.far_said(Message { retain: false, ..echo }), None);
    // It comes back, at the far broker.
    let online = mirror.far_said(event(availability, "online")).unwrap();
    assert_eq!((online.retain, online.stamped), (true, true));
    assert_eq!(mirror.hub_said(online), None);
    assert!(mirror.far_said(event("lockstep/device/desk/event", "{}")).is_some());
    // And at the hub again.
    assert!(mirror.hub_said(level(availability, "online")).is_some());
    assert_eq!(mirror.far_said(event("lockstep/device/desk/other", "{}")), None);
}

#[test]
fn a_device_that_is_online_at_the_hub_cannot_be_played_from_the_far_side() {
    let mut mirror = mirror("lockstep");
    mirror.hub_said(level("lockstep/device/desk/availability", "online")).unwrap();
    assert_eq!(mirror.far_said(event("lockstep/device/desk/availability", "offline")), None);
    assert_eq!(mirror.far_said(event("lockstep/device/desk/event", "{}")), None);
}

#[test]
fn after_a_reconnect_everything_is_said_and_what_is_gone_is_cleared() {
    let mut mirror = mirror("lockstep");
    let document = r#"{"origin":{"name":"Lockstep"},"components":{}}"#;
    mirror.hub_said(level("lockstep/hub/availability", "online"));
    mirror.hub_said(level("lockstep/main/slider1/value", "4"));
    mirror.hub_said(level("homeassistant/device/lockstep_b00t/config", document));
    mirror.hub_said(level("lockstep/device/link-ha/availability", "online"));
    mirror.far_said(event("lockstep/device/lamp/availability", "online"));
    mirror.far_begins();
    let everything: Vec<String> = mirror.everything().into_iter().map(|message| message.topic).collect();
    assert_eq!(
        everything,
        [
            "homeassistant/device/lockstep_b00t/config",
            "lockstep/hub/info",
            "lockstep/main/slider1/value",
            "lockstep/hub/availability"
        ]
    );
    for (topic, payload) in [
        ("lockstep/gone/slider1/value", "7"),
        ("lockstep/main/slider1/value", "3"),
        ("homeassistant/device/lockstep_b00t_room_gone/config", document),
        ("homeassistant/device/lockstep_beef/config", document),
        ("homeassistant/device/zigbee/config", r#"{"origin":{"name":"zigbee2mqtt"}}"#),
    ] {
        assert_eq!(mirror.far_said(level(topic, payload)), None);
    }
    let cleared: Vec<_> = mirror.leftovers().into_iter().map(|message| shown(Some(message)).unwrap()).collect();
    let gone = |topic: &str| (topic.to_owned(), String::new(), true);
    assert_eq!(
        cleared,
        [gone("homeassistant/device/lockstep_b00t_room_gone/config"), gone("lockstep/gone/slider1/value")]
    );
    assert_eq!(mirror.leftovers(), []);
}

#[test]
fn a_hub_that_starts_anew_says_what_it_has_and_the_rest_is_gone() {
    let mut mirror = mirror("lockstep");
    mirror.hub_said(level("lockstep/main/slider1/value", "4"));
    mirror.hub_begins();
    assert!(!mirror.knows_hub());
    assert_eq!(mirror.everything(), []);
    let info = json!({"id": "b00t", "name": "Lockstep", "version": "1", "root": "lockstep", "rooms": []});
    mirror.hub_said(level("lockstep/hub/info", &info.to_string()));
    let cleared: Vec<_> = mirror.leftovers().into_iter().filter_map(|message| shown(Some(message))).collect();
    assert_eq!(cleared, [("lockstep/main/slider1/value".to_owned(), String::new(), true)]);
}
