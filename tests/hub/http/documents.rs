//! What is documented is what is said: frames are read from the description.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::rig::Rig;

/// Says what of `value` the schema does not allow: as much of JSON Schema as the description uses, and nothing undocumented.
fn faults(schema: &Value, value: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    for name in schema["required"].as_array().into_iter().flatten() {
        if value.get(name.as_str().unwrap()).is_none() {
            faults.push(format!("{name} is missing"));
        }
    }
    for (name, field) in value.as_object().unwrap() {
        let Some(rule) = schema["properties"].get(name) else {
            faults.push(format!("{name} is not documented"));
            continue;
        };
        let is = |kind: &str| match kind {
            "string" => field.is_string(),
            "integer" => field.is_i64() || field.is_u64(),
            "number" => field.is_number(),
            "boolean" => field.is_boolean(),
            "object" => field.is_object(),
            "array" => field.is_array(),
            "null" => field.is_null(),
            other => panic!("no JSON type: {other}"),
        };
        let right = match (&rule["type"], rule.get("const"), rule.get("enum")) {
            (_, Some(only), _) => field == only,
            (_, _, Some(some)) => some.as_array().unwrap().contains(field),
            (Value::String(kind), ..) => is(kind),
            (Value::Array(kinds), ..) => kinds.iter().any(|kind| is(kind.as_str().unwrap())),
            _ => true,
        };
        if !right {
            faults.push(format!("{name} is {field}, but {rule}"));
        }
    }
    faults
}

/// What somebody is told who missed events: a browser that does not read while far more happens than is kept for it.
async fn real_resync(rig: &Rig) -> Value {
    let mut browser = rig.browser().await;
    browser.subscribe_to(&["flood"]).await;
    let padding = "x".repeat(60_000);
    for _ in 0..500 {
        rig.publish("flood", &padding, false).await;
    }
    browser.next("resync").await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_documented_frame_is_said_and_understood_as_documented() {
    let rig = Rig::start().await;
    let answer = rig.get("/api/asyncapi.json").await;
    let document: Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
    let frames = |operation: &str| -> Vec<Value> {
        let named = document["operations"][operation]["messages"].as_array().unwrap();
        let pointer = |at: &Value| at["$ref"].as_str().unwrap()[1..].to_owned();
        let inner = |at: &Value| document.pointer(&pointer(at)).unwrap().clone();
        named.iter().map(|at| document.pointer(&pointer(&inner(at))).unwrap().clone()).collect()
    };
    let mut browser = rig.browser().await;
    let mut heard: BTreeMap<String, Value> = BTreeMap::new();
    heard.insert("hello".to_owned(), browser.hello.clone());
    for asked in frames("browserAsks") {
        let mut example = asked["examples"][0]["payload"].clone();
        assert_eq!(faults(&asked["payload"], &example), [""; 0], "{asked}");
        // Whatever the hub makes of it, it answers in time, and a ping behind it shows when it has.
        example.as_object_mut().unwrap().entry("ref").or_insert(json!("own"));
        browser.send(example).await;
        browser.send(json!({"type": "ping", "id": "behind"})).await;
        loop {
            let frame = browser.frame().await;
            assert_ne!(frame["code"], "malformed", "{asked}: {frame}");
            let done = frame["id"] == "behind";
            heard.insert(frame["type"].as_str().unwrap().to_owned(), frame);
            if done {
                break;
            }
        }
    }
    browser.subscribe_to(&["lockstep/#"]).await;
    browser.send(json!({"type": "pub", "topic": "lockstep/main/slider1/set", "payload": 7, "ref": 1})).await;
    heard.insert("msg".to_owned(), browser.next("msg").await);
    browser.send(json!({"type": "pub", "topic": "lockstep/main/slider1/set", "payload": 700, "ref": 1})).await;
    heard.insert("err".to_owned(), browser.next("err").await);
    heard.insert("resync".to_owned(), real_resync(&rig).await);
    for said in frames("hubTells") {
        let name = said["name"].as_str().unwrap();
        assert_eq!(faults(&said["payload"], &said["examples"][0]["payload"]), [""; 0], "the example of {name}");
        let frame = heard.get(name).unwrap_or_else(|| panic!("{name} was never said"));
        assert_eq!(faults(&said["payload"], frame), [""; 0], "{name}: {frame}");
    }
}
