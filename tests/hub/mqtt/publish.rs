//! PUBLISH in and out: QoS, order, properties, aliases, expiry, what is refused.

use super::{
    packets::{Connect, PUBACK, PUBCOMP, PUBREC, Publish, put_string, reason, text_prop},
    rig::Rig,
};

#[tokio::test(flavor = "multi_thread")]
async fn every_quality_of_service_reaches_every_other_both_ways() {
    let rig = Rig::start().await;
    for (publisher_v5, subscriber_v5) in [(true, true), (true, false), (false, true), (false, false)] {
        for asked in 0..=2 {
            let connect = |v5: bool, id: &str| if v5 { Connect::v5(id) } else { Connect::v311(id) };
            let mut subscriber = rig.connect(connect(subscriber_v5, "sub")).await;
            subscriber.subscribe("q/+", asked).await;
            let mut publisher = rig.connect(connect(publisher_v5, "pub")).await;
            for sent in 0..=2 {
                let payload = format!("{sent}-{asked}");
                assert_eq!(publisher.publish("q/t", &payload, sent, false).await, 0);
                let message = subscriber.message().await;
                assert_eq!((message.text(), message.qos, message.retain), (&*payload, sent.min(asked), false));
            }
            publisher.disconnect().await;
            subscriber.disconnect().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn any_legal_topic_and_client_id_works() {
    let rig = Rig::start().await;
    for id in ["a/b", "+", "#", "$x", "дім", "with space"] {
        let mut client = rig.v311(id).await;
        client.subscribe("#", 1).await;
        for topic in ["é/x", "дім/t", "/", "a//b", " ", "x$y", "\u{1f345}"] {
            client.publish(topic, id, 0, false).await;
            let message = loop {
                let message = client.message().await;
                if !message.topic.starts_with("lockstep/") {
                    break message;
                }
            };
            assert_eq!((message.topic.as_str(), message.text()), (topic, id));
        }
        client.disconnect().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wildcard_does_not_match_topics_that_begin_with_a_dollar() {
    let rig = Rig::start().await;
    let mut all = rig.v5("all").await;
    all.subscribe("#", 2).await;
    let mut one = rig.v5("one").await;
    one.subscribe("$data/#", 2).await;
    one.publish("$data/x", "hidden", 0, false).await;
    one.publish("plain", "seen", 0, false).await;
    assert_eq!(one.message().await.topic, "$data/x");
    let message = loop {
        let message = all.message().await;
        if !message.topic.starts_with("lockstep/") {
            break message;
        }
    };
    assert_eq!(message.topic, "plain");
}

#[tokio::test(flavor = "multi_thread")]
async fn properties_pass_to_v5_and_stay_away_from_v311() {
    let rig = Rig::start().await;
    let mut new = rig.v5("new").await;
    new.subscribe("p/t", 1).await;
    let mut old = rig.v311("old").await;
    old.subscribe("p/t", 1).await;
    let mut publisher = rig.v5("publisher").await;
    let mut props = vec![0x01, 1];
    props.extend(text_prop(0x03, "text/plain"));
    props.extend(text_prop(0x08, "answers/here"));
    props.extend(text_prop(0x09, "corr"));
    for (name, value) in [("a", "1"), ("a", "2"), ("b", "é")] {
        props.push(0x26);
        let mut pair = bytes::BytesMut::new();
        put_string(&mut pair, name.as_bytes());
        put_string(&mut pair, value.as_bytes());
        props.extend_from_slice(&pair);
    }
    publisher.put(Publish { topic: "p/t", payload: b"x", retain: true, props: &props, ..Publish::default() }).await;
    let message = new.message().await;
    assert_eq!(message.prop(0x01), Some(&[1][..]));
    assert_eq!(message.prop(0x03), Some(&b"text/plain"[..]));
    assert_eq!(message.prop(0x08), Some(&b"answers/here"[..]));
    assert_eq!(message.prop(0x09), Some(&b"corr"[..]));
    let user: Vec<_> = message.props.iter().filter(|(id, _)| *id == 0x26).map(|(_, value)| value.clone()).collect();
    assert_eq!(user, [b"a=1".to_vec(), b"a=2".to_vec(), "b=é".as_bytes().to_vec()], "in the sender's order");
    let message = old.message().await;
    assert_eq!((message.topic.as_str(), message.text()), ("p/t", "x"));
    // And from the retained tree.
    let mut late = rig.v5("late").await;
    late.subscribe("p/#", 0).await;
    assert_eq!(late.message().await.prop(0x03), Some(&b"text/plain"[..]));
    old.disconnect().await;
    let mut late = rig.v311("old").await;
    late.subscribe("p/#", 0).await;
    assert_eq!(late.message().await.text(), "x");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_qos_2_message_that_is_sent_twice_is_delivered_once() {
    let rig = Rig::start().await;
    let mut subscriber = rig.v5("sub").await;
    subscriber.subscribe("twice", 2).await;
    let mut publisher = rig.connect(Connect::lasting("pub", 60)).await;
    let message = Publish { topic: "twice", payload: b"1", qos: 2, id: 7, ..Publish::default() };
    publisher.put(message.clone()).await;
    publisher.expect(PUBREC).await;
    publisher.put(Publish { dup: true, ..message.clone() }).await;
    publisher.expect(PUBREC).await;
    drop(publisher);
    // Also over another connection of the session.
    let mut publisher = rig.connect(Connect::lasting("pub", 60)).await;
    publisher.put(Publish { dup: true, ..message.clone() }).await;
    publisher.expect(PUBREC).await;
    publisher.send(0x62, &[0, 7]).await;
    assert_eq!(reason(&publisher.expect(PUBCOMP).await), 0);
    publisher.send(0x62, &[0, 7]).await;
    assert_eq!(reason(&publisher.expect(PUBCOMP).await), 0x92, "it is not known any more");
    // The same identifier is another message now.
    publisher.put(Publish { payload: b"2", ..message }).await;
    publisher.expect(PUBREC).await;
    assert_eq!(subscriber.message().await.text(), "1");
    assert_eq!(subscriber.message().await.text(), "2");
    subscriber.quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledgements_leave_in_the_order_of_the_publishes() {
    let rig = Rig::start().await;
    let mut client = rig.v5("client").await;
    let mut bytes = Vec::new();
    for id in 1..=90 {
        let topic = if id % 3 == 0 { "lockstep/nowhere/at/all" } else { "free" };
        let publish = Publish { topic, payload: b"x", qos: 1, id, retain: id % 5 == 0, ..Publish::default() };
        bytes.extend_from_slice(&client.publish_bytes(&publish));
    }
    client.raw(&bytes).await;
    for id in 1..=90_u16 {
        let puback = client.expect(PUBACK).await;
        assert_eq!(&puback.body[..2], id.to_be_bytes());
        let refused = reason(&puback) >= 0x80;
        assert_eq!(refused, id % 3 == 0, "{id}: {puback:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_expires_and_what_is_left_of_it_is_told() {
    let rig = Rig::start().await;
    let sleeper = Connect::lasting("sleeper", 100);
    let mut client = rig.connect(sleeper.clone()).await;
    client.subscribe("e/#", 1).await;
    client.disconnect().await;
    let mut publisher = rig.v5("pub").await;
    let expiry = |seconds: u32| [&[0x02][..], &seconds.to_be_bytes()].concat();
    for (topic, seconds) in [("e/short", 1), ("e/long", 100)] {
        let props = expiry(seconds);
        publisher.put(Publish { topic, payload: b"x", qos: 1, id: 1, props: &props, ..Publish::default() }).await;
        publisher.expect(PUBACK).await;
    }
    // The shortest time that the protocol can say is a second, so that this test takes one.
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    let mut client = rig.connect(sleeper).await;
    let message = client.message().await;
    assert_eq!(message.topic, "e/long");
    let left = u32::from_be_bytes(message.prop(0x02).unwrap().try_into().unwrap());
    assert!((90..100).contains(&left), "{left} s are left");
    client.quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn topic_aliases_work_both_ways() {
    let rig = Rig::start().await;
    let mut subscriber = rig.connect(Connect { alias_max: Some(2), ..Connect::v5("sub") }).await;
    subscriber.subscribe("alias/#", 0).await;
    let mut publisher = rig.v5("pub").await;
    let alias = [0x23, 0, 5];
    publisher.put(Publish { topic: "alias/one", payload: b"1", props: &alias, ..Publish::default() }).await;
    publisher.put(Publish { topic: "", payload: b"2", props: &alias, ..Publish::default() }).await;
    publisher.put(Publish { topic: "alias/two", payload: b"3", props: &alias, ..Publish::default() }).await;
    publisher.put(Publish { topic: "", payload: b"4", props: &alias, ..Publish::default() }).await;
    publisher.put(Publish { topic: "alias/three", payload: b"5", ..Publish::default() }).await;
    let mut known: std::collections::HashMap<Vec<u8>, String> = std::collections::HashMap::new();
    let mut seen = Vec::new();
    for _ in 0..5 {
        let message = subscriber.message().await;
        let topic = match message.prop(0x23) {
            Some(alias) if message.topic.is_empty() => known[alias].clone(),
            Some(alias) => {
                known.insert(alias.to_vec(), message.topic.clone());
                message.topic.clone()
            }
            None => message.topic.clone(),
        };
        seen.push((topic, message.text().to_owned()));
    }
    let wanted = [("alias/one", "1"), ("alias/one", "2"), ("alias/two", "3"), ("alias/two", "4"), ("alias/three", "5")];
    assert_eq!(seen, wanted.map(|(topic, payload)| (topic.to_owned(), payload.to_owned())));
    assert_eq!(known.len(), 2, "the client takes two aliases");
    for props in [&[0x23, 0, 0][..], &[0x23, 0, 33][..]] {
        let mut client = rig.v5("bad").await;
        client.put(Publish { topic: "x", props, ..Publish::default() }).await;
        let told = client.closed().await;
        assert!(matches!(told, Some(0x94 | 0x82 | 0x81)), "{told:?}");
    }
    let mut client = rig.v5("bad").await;
    client.put(Publish { topic: "", props: &[0x23, 0, 9], ..Publish::default() }).await;
    assert_eq!(client.closed().await, Some(0x94), "an alias that was never set");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_topic_ends_the_connection_and_hurts_nobody() {
    let rig = Rig::start().await;
    let mut witness = rig.v5("witness").await;
    witness.subscribe("ok", 0).await;
    for topic in ["", "a/+", "#", "a\0b"] {
        let mut client = rig.v5("bad").await;
        client.put(Publish { topic, payload: b"x", ..Publish::default() }).await;
        let told = client.closed().await;
        assert!(matches!(told, Some(0x90 | 0x81 | 0x82)), "{topic:?}: {told:?}");
        let mut client = rig.v311("bad").await;
        client.put(Publish { topic, payload: b"x", ..Publish::default() }).await;
        assert_eq!(client.closed().await, None);
    }
    rig.v5("good").await.publish("ok", "still here", 1, false).await;
    assert_eq!(witness.message().await.text(), "still here");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hubs_own_topics_are_refused_with_a_reason() {
    let rig = Rig::start().await;
    let mut client = rig.v5("client").await;
    let mut listener = rig.v5("listener").await;
    listener.subscribe("lockstep/hub/rejected", 1).await;
    for (topic, wanted) in [
        ("lockstep/mian/slider1/set", 0x90),
        ("lockstep/main/slider9/set", 0x90),
        ("lockstep/main/slider1/state", 0x87),
        ("$SYS/broker/version", 0x87),
    ] {
        for qos in [1, 2] {
            assert_eq!(client.publish(topic, "1", qos, false).await, wanted, "{topic} at QoS {qos}");
        }
    }
    let mut old = rig.v311("old").await;
    old.publish("lockstep/mian/slider1/set", "1", 1, false).await;
    let rejected: Vec<serde_json::Value> = {
        let mut all = Vec::new();
        while all.len() < 7 {
            all.push(serde_json::from_slice(&listener.message().await.payload).unwrap());
        }
        all
    };
    assert!(rejected.iter().any(|event| event["code"] == "unknown_room"), "{rejected:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_answers_where_the_sender_asks_for_it() {
    let rig = Rig::start().await;
    let mut client = rig.v5("asker").await;
    client.subscribe("answers/asker", 1).await;
    let mut props = text_prop(0x08, "answers/asker");
    props.extend(text_prop(0x09, "q1"));
    for (payload, ok) in [(&b"42"[..], true), (b"4200", false)] {
        client
            .put(Publish {
                topic: "lockstep/main/slider1/set",
                payload,
                qos: 1,
                id: 3,
                props: &props,
                ..Publish::default()
            })
            .await;
        let (mut acknowledged, mut answer) = (false, None);
        while !acknowledged || answer.is_none() {
            let packet = client.next().await.unwrap();
            match packet.kind {
                PUBACK => acknowledged = true,
                _ => {
                    let message = client.read_message(&packet);
                    client.acknowledge(&message).await;
                    answer = Some(message);
                }
            }
        }
        let answer = answer.unwrap();
        assert_eq!(answer.prop(0x09), Some(&b"q1"[..]));
        let body: serde_json::Value = serde_json::from_slice(&answer.payload).unwrap();
        assert_eq!(body["ok"], ok, "{body}");
        if !ok {
            assert_eq!(body["code"], "out_of_range");
        }
    }
}
