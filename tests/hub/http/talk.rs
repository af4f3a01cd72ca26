//! The contract of `/ws`, as an orderly browser meets it.

use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use super::rig::Rig;

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_is_greeted_sees_what_there_is_and_what_happens() {
    let rig = Rig::start().await;
    rig.publish("free/level", "42", true).await;
    let mut browser = rig.browser().await;
    let hello = &browser.hello;
    assert_eq!(hello["boot"], "b007");
    assert_eq!(hello["hub"]["root"], "lockstep");
    assert_eq!(hello["you"]["role"], "admin");
    assert_eq!(hello["limits"]["frame_bytes_max"], 65536);
    assert!(hello["seq"].as_u64().is_some() && hello["now"].as_i64().is_some());

    let (topics, page) = browser.subscribe_to(&["free/#", "lockstep/main/slider1/#"]).await;
    assert_eq!((page["id"].clone(), page["resumed"].clone()), (json!("s"), json!(false)));
    assert!(topics.contains(&json!({"topic": "free/level", "payload": 42, "format": "json", "seq": topics[0]["seq"]})));
    let names: Vec<_> = topics.iter().map(|topic| topic["topic"].as_str().unwrap()).collect();
    assert_eq!(names, ["free/level", "lockstep/main/slider1/state", "lockstep/main/slider1/value"]);

    let seq = rig.publish("free/level", "hot", true).await;
    let expected =
        json!({"type": "msg", "topic": "free/level", "payload": "hot", "format": "text", "retain": true, "seq": seq});
    assert_eq!(browser.frame().await, expected);
    let seq = rig.publish("free/event", "", false).await;
    let expected =
        json!({"type": "msg", "topic": "free/event", "payload": "", "format": "text", "retain": false, "seq": seq});
    assert_eq!(browser.frame().await, expected);
    let seq = rig.publish("free/level", "", true).await;
    let expected = json!({"type": "msg", "topic": "free/level", "deleted": true, "retain": true, "seq": seq});
    assert_eq!(browser.frame().await, expected);

    browser.send(json!({"type": "unsub", "filters": ["free/#"]})).await;
    browser.send(json!({"type": "ping", "id": 7})).await;
    let pong = browser.frame().await;
    assert_eq!((pong["type"].clone(), pong["id"].clone()), (json!("pong"), json!(7)));
    rig.publish("free/event", "unseen", false).await;
    rig.publish("lockstep/main/slider1/set", "5", false).await;
    assert_eq!(browser.frame().await["topic"], "lockstep/main/slider1/state");
    rig.http.stop().await;
    assert_eq!(browser.close_code().await, 1001);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_browser_publishes_is_answered_and_seen_by_others() {
    let rig = Rig::start().await;
    let (mut anna, mut ben) = (rig.browser().await, rig.browser().await);
    ben.subscribe_to(&["lockstep/main/#"]).await;
    anna.send(json!({"type": "here", "room": "main", "name": "Anna"})).await;
    let people = ben.next("msg").await;
    assert_eq!(people["topic"], "lockstep/main/people");
    assert_eq!(people["payload"]["people"][0]["name"], "Anna");
    // Who has no name yet, and who has none any more, is nobody's business.
    ben.send(json!({"type": "here", "room": "main", "name": ""})).await;
    anna.send(json!({"type": "here", "room": "main", "name": ""})).await;
    assert_eq!(ben.next("msg").await["payload"]["people"], json!([]));
    anna.send(json!({"type": "here", "room": "main", "name": "Anna"})).await;
    assert_eq!(ben.next("msg").await["payload"]["people"][0]["name"], "Anna");
    anna.send(json!({"type": "pub", "topic": "lockstep/main/slider1/set", "payload": 42, "ref": "a1"})).await;
    let ack = anna.frame().await;
    assert_eq!((&ack["type"], &ack["ref"]), (&json!("ack"), &json!("a1")));
    let state = ben.next("msg").await;
    assert_eq!(state["payload"]["value"], 42);
    assert_eq!(state["payload"]["by"], "web:Anna");
    assert!(state["seq"].as_u64() <= ack["seq"].as_u64());

    for (frame, code) in [
        (json!({"type": "pub", "topic": "lockstep/main/slider1/set", "payload": 1000, "ref": 2}), "out_of_range"),
        (json!({"type": "pub", "topic": "lockstep/mian/slider1/set", "payload": 1, "ref": 2}), "unknown_room"),
        (json!({"type": "pub", "topic": "lockstep/main/slider1/state", "payload": 1, "ref": 2}), "owned_topic"),
        (json!({"type": "pub", "topic": "a/+", "payload": 1, "ref": 2}), "malformed"),
        (json!({"type": "nonsense", "ref": 2}), "malformed"),
    ] {
        anna.send(frame.clone()).await;
        let err = anna.frame().await;
        assert_eq!((&err["type"], &err["code"], &err["ref"]), (&json!("err"), &json!(code), &json!(2)), "{frame}");
        assert!(err["message"].as_str().is_some_and(|message| !message.is_empty()));
    }
    futures_util::SinkExt::send(&mut anna.socket, Message::text("{nonsense")).await.unwrap();
    let err = anna.frame().await;
    assert_eq!(err["code"], "malformed");
    assert!(err.get("ref").is_none());

    drop(anna);
    loop {
        let frame = ben.next("msg").await;
        if frame["topic"] == "lockstep/main/people" && frame["payload"]["people"] == json!([]) {
            break;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_tree_comes_in_pages_each_topic_once() {
    let rig = Rig::start().await;
    for i in 0..1234 {
        rig.publish(&format!("many/{i:04}"), &format!("{i}"), true).await;
    }
    let mut browser = rig.browser().await;
    for _ in 0..2 {
        let (topics, page) = browser.subscribe_to(&["many/+", "many/#"]).await;
        assert_eq!(page["page"], 2);
        let payloads: Vec<_> = topics.iter().map(|topic| topic["payload"].as_u64().unwrap()).collect();
        assert_eq!(payloads, (0..1234).collect::<Vec<_>>());
        rig.publish("many/0700", "700", true).await;
        assert_eq!(browser.next("msg").await["payload"], 700);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_that_comes_back_gets_only_what_changed() {
    let rig = Rig::start().await;
    for topic in ["kept", "changed", "deleted"] {
        rig.publish(&format!("t/{topic}"), "1", true).await;
    }
    let mut first = rig.browser().await;
    let (topics, page) = first.subscribe_to(&["t/#"]).await;
    assert_eq!(topics.len(), 3);
    drop(first);
    let changed = rig.publish("t/changed", "2", true).await;
    rig.publish("t/event", "gone", false).await;
    let deleted = rig.publish("t/deleted", "", true).await;
    let mut again = rig.browser().await;
    let resume = json!({"type": "sub", "filters": ["t/#"], "id": "r", "boot": "b007", "seq": page["seq"]});
    let (topics, page) = again.subscribe(resume).await;
    assert_eq!(page["resumed"], true);
    let expected = [
        json!({"topic": "t/changed", "payload": 2, "format": "json", "seq": changed}),
        json!({"topic": "t/deleted", "deleted": true, "seq": deleted}),
    ];
    assert_eq!(topics, expected);

    let mut other = rig.browser().await;
    let foreign = json!({"type": "sub", "filters": ["t/#"], "id": "r", "boot": "0ther", "seq": page["seq"]});
    let (topics, page) = other.subscribe(foreign).await;
    assert_eq!((topics.len(), page["resumed"].clone()), (2, json!(false)));
    let invented = json!({"type": "sub", "filters": ["t/#"], "id": "r", "boot": "b007", "seq": 1_000_000});
    let (topics, page) = rig.browser().await.subscribe(invented).await;
    assert_eq!((topics.len(), page["resumed"].clone()), (2, json!(false)));
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_are_kept_and_told() {
    let rig = Rig::start_with(|settings| {
        settings.limits.publishes_per_second_max = 5;
        settings.limits.filters_max = 3;
    })
    .await;
    let mut browser = rig.browser().await;
    browser.send(json!({"type": "sub", "filters": ["a", "b", "c", "d"], "id": 1})).await;
    assert_eq!(browser.frame().await["code"], "limit");
    for i in 0..20 {
        browser.send(json!({"type": "pub", "topic": "t", "payload": i, "ref": i})).await;
    }
    let mut limited = 0;
    for _ in 0..20 {
        limited += usize::from(browser.frame().await["code"] == "rate_limited");
    }
    assert!((10..=16).contains(&limited), "{limited}");

    let mut browser = rig.browser().await;
    futures_util::SinkExt::send(&mut browser.socket, Message::binary(vec![1])).await.unwrap();
    assert_eq!(browser.close_code().await, 1003);
    let mut browser = rig.browser().await;
    let huge = format!("{{\"type\":\"ping\",\"id\":\"{}\"}}", "x".repeat(70_000));
    futures_util::SinkExt::send(&mut browser.socket, Message::text(huge)).await.unwrap();
    assert_eq!(browser.close_code().await, 1009);
}
