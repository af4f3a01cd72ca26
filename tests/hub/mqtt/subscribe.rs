//! SUBSCRIBE and UNSUBSCRIBE: options, retained values, shared subscriptions.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{
    packets::{Connect, PUBACK, Publish, SUBACK, put_string},
    rig::Rig,
};

const NO_LOCAL: u8 = 0x04;
const RETAIN_AS_PUBLISHED: u8 = 0x08;
const SEND_IF_NEW: u8 = 0x10;
const SEND_NEVER: u8 = 0x20;

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_retained_topics_come_complete_and_once() {
    let rig = Rig::start().await;
    let mut publisher = rig.v311("pub").await;
    const COUNT: u16 = 10_000;
    for chunk in 0..COUNT / 100 {
        let mut bytes = Vec::new();
        for n in chunk * 100..(chunk + 1) * 100 {
            let (topic, payload) = (format!("many/{n}"), format!("v{n}"));
            let publish = Publish {
                topic: &topic,
                payload: payload.as_bytes(),
                qos: 1,
                id: n + 1,
                retain: true,
                ..Publish::default()
            };
            bytes.extend_from_slice(&publisher.publish_bytes(&publish));
        }
        publisher.raw(&bytes).await;
        for _ in 0..100 {
            publisher.expect(PUBACK).await;
        }
    }
    for (v5, qos) in [(false, 1), (true, 1), (true, 2), (true, 0)] {
        let connect = if v5 { Connect::v5("sub") } else { Connect::v311("sub") };
        let mut subscriber = rig.connect(connect).await;
        subscriber.subscribe("#", qos).await;
        let mut seen = BTreeSet::new();
        while seen.len() < usize::from(COUNT) {
            let message = subscriber.message().await;
            if let Some(n) = message.topic.strip_prefix("many/") {
                assert_eq!((message.text(), message.retain, message.qos), (&*format!("v{n}"), true, qos.min(1)));
                assert!(seen.insert(n.to_owned()), "{n} came twice");
            }
        }
        subscriber.disconnect().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_and_live_values_fit_together_without_a_gap() {
    let rig = Rig::start().await;
    let mut publisher = rig.v5("pub").await;
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let stopped = std::sync::Arc::clone(&stop);
    let publishing = tokio::spawn(async move {
        let mut n = 0;
        while !stopped.load(std::sync::atomic::Ordering::Relaxed) {
            n += 1;
            publisher.publish(&format!("live/{}", n % 50), &n.to_string(), 1, true).await;
        }
        n
    });
    let mut subscribers = Vec::new();
    for i in 0..20 {
        let mut subscriber = rig.v5(&format!("s{i}")).await;
        subscriber.subscribe("live/#", 1).await;
        subscribers.push(subscriber);
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    let last = publishing.await.unwrap();
    for (i, mut subscriber) in subscribers.into_iter().enumerate() {
        let mut newest: BTreeMap<String, u64> = BTreeMap::new();
        loop {
            let message = subscriber.message().await;
            let value: u64 = message.text().parse().unwrap();
            let before = newest.insert(message.topic.clone(), value);
            assert!(
                before.is_none_or(|before| before < value),
                "{i}: {} went from {before:?} to {value}",
                message.topic
            );
            let complete = newest.len() == 50.min(last as usize) && newest.values().max() == Some(&last);
            if complete {
                break;
            }
        }
        for n in last.saturating_sub(49)..=last {
            if n > 0 {
                assert_eq!(newest[&format!("live/{}", n % 50)], n, "{i}: a value is missing");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_retained_payload_clears_and_an_empty_plain_one_does_not() {
    let rig = Rig::start().await;
    let mut client = rig.v5("client").await;
    let mut witness = rig.v5("witness").await;
    witness.subscribe("clear", 0).await;
    client.publish("keep", "x", 1, true).await;
    client.publish("clear", "x", 1, true).await;
    client.publish("keep", "", 1, false).await;
    client.publish("clear", "", 1, true).await;
    // An acknowledged message may still be on its way through the router; the last one says that all are through.
    for expected in ["x", ""] {
        assert_eq!(witness.message().await.text(), expected);
    }
    client.subscribe("keep", 0).await;
    assert_eq!(client.message().await.text(), "x");
    client.subscribe("clear", 0).await;
    client.ping().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_options_of_a_subscription_are_kept() {
    let rig = Rig::start().await;
    let mut client = rig.v5("client").await;
    client.publish("o/t", "old", 1, true).await;
    assert_eq!(client.subscribe_with(&[("o/t", SEND_NEVER)], &[]).await, [0]);
    client.ping().await;
    assert_eq!(client.subscribe_with(&[("o/t", SEND_IF_NEW)], &[]).await, [0]);
    client.ping().await;
    assert_eq!(client.subscribe_with(&[("o/t", 1)], &[]).await, [1]);
    let message = client.message().await;
    assert_eq!((message.text(), message.retain, message.qos), ("old", true, 1));
    client.unsubscribe(&["o/t"]).await;
    assert_eq!(client.subscribe_with(&[("o/t", SEND_IF_NEW | NO_LOCAL)], &[]).await, [0]);
    assert!(client.message().await.retain);
    client.publish("o/t", "mine", 0, false).await;
    client.ping().await;
    let mut other = rig.v5("other").await;
    other.publish("o/t", "other's", 0, true).await;
    let message = client.message().await;
    assert_eq!((message.text(), message.retain), ("other's", false));
    assert_eq!(client.subscribe_with(&[("o/t", SEND_NEVER | RETAIN_AS_PUBLISHED)], &[]).await, [0]);
    other.publish("o/t", "kept", 0, true).await;
    assert!(client.message().await.retain, "retain as published");
    other.publish("o/t", "plain", 0, false).await;
    assert!(!client.message().await.retain);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_retained_before_does_not_come_to_whoever_wants_nothing_old() {
    let rig = Rig::start().await;
    let mut publisher = rig.v5("publisher").await;
    let mut client = rig.v5("client").await;
    // Its link to the router is there already: a new one would have to wait for the router.
    client.subscribe("other", 0).await;
    // More than what may be outstanding at the router: the last ones are acknowledged and not even handed in.
    let hanging = rig.door.hang_router().await;
    for n in 0..5 {
        publisher.publish("late/t", &n.to_string(), 1, true).await;
    }
    let mut subscribe = vec![0, 9, 0];
    subscribe.extend_from_slice(&[0, 6]);
    subscribe.extend_from_slice(b"late/t");
    subscribe.push(1 | SEND_NEVER);
    client.send(0x82, &subscribe).await;
    // The answer to what was sent behind it says that the SUBSCRIBE was read.
    client.ping().await;
    drop(hanging);
    client.expect(SUBACK).await;
    publisher.publish("late/t", "new", 1, true).await;
    assert_eq!(client.message().await.text(), "new");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_that_the_router_was_too_slow_for_is_made_all_the_same() {
    let rig = Rig::start().await;
    let mut publisher = rig.v5("publisher").await;
    publisher.publish("slow/t", "old", 1, true).await;
    let mut client = rig.v5("client").await;
    let hanging = rig.door.hang_router().await;
    client.send(0x82, b"\x00\x09\x00\x00\x06slow/t\x01").await;
    // The session has stopped waiting for a link when it answers this; nobody has found the router to be gone yet.
    client.ping().await;
    drop(hanging);
    client.expect(SUBACK).await;
    let old = client.message().await;
    assert_eq!((old.text(), old.retain), ("old", true));
    publisher.publish("slow/t", "new", 1, true).await;
    assert_eq!(client.message().await.text(), "new");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_wants_no_retained_values_gets_none() {
    let rig = Rig::start().await;
    let mut witness = rig.v5("witness").await;
    witness.subscribe("never/#", 0).await;
    let mut publisher = rig.v5("pub").await;
    for topic in ["never/a", "never/b"] {
        publisher.publish(topic, "old", 1, true).await;
        // It is through the router, so that it is nothing but a retained value from now on.
        assert_eq!(witness.message().await.topic, topic);
    }
    for connect in [Connect::v5("fleeting"), Connect::lasting("lasting", 100)] {
        let mut client = rig.connect(connect).await;
        // A new subscription, then the same one again, as it is and as one that is not new.
        for (n, handling) in [SEND_NEVER, SEND_NEVER, SEND_IF_NEW].into_iter().enumerate() {
            assert_eq!(client.subscribe_with(&[("never/#", handling | 2)], &[]).await, [2]);
            let text = format!("live {n}");
            publisher.publish("never/a", &text, 2, true).await;
            let message = client.message().await;
            assert_eq!((message.text(), message.retain, message.qos), (&*text, false, 2));
        }
        client.unsubscribe(&["never/#"]).await;
        // Each filter of a SUBSCRIBE for itself.
        let filters = [("never/a", SEND_NEVER), ("never/b", 0)];
        assert_eq!(client.subscribe_with(&filters, &[]).await, [0, 0]);
        let message = client.message().await;
        assert_eq!((message.topic.as_str(), message.text(), message.retain), ("never/b", "old", true));
        publisher.publish("never/a", "end", 1, false).await;
        assert_eq!(client.message().await.text(), "end");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_published_between_subscribe_and_suback_comes_once_and_behind_it() {
    // Nobody replaces the router while it hangs.
    let rig = Rig::with(|settings| settings.limits.router_timeout = Duration::from_secs(600)).await;
    for connect in [Connect::v5("five"), Connect::v311("three"), Connect::lasting("lasting", 100)] {
        let mut client = rig.connect(connect.clone()).await;
        // It has its link to the router already: the new subscription alone waits.
        client.subscribe("elsewhere", 0).await;
        let mut publisher = rig.v5("pub").await;
        publisher.publish("late/x", "before", 1, false).await;
        rig.door.probe().round_trip().await.unwrap();
        let hanging = rig.door.hang_router().await;
        let mut body = bytes::BytesMut::from(if connect.v5 { &[0, 9, 0][..] } else { &[0, 9][..] });
        put_string(&mut body, b"late/+");
        body.extend_from_slice(&[2]);
        client.send(0x82, &body).await;
        client.ping().await;
        for n in 0..20 {
            publisher.publish("late/x", &n.to_string(), 1 + n % 2, false).await;
        }
        // There is no SUBACK yet: the next packet is the answer to this.
        client.ping().await;
        drop(hanging);
        client.expect(SUBACK).await;
        for n in 0..20 {
            let message = client.message().await;
            assert_eq!((message.text(), message.qos), (&*n.to_string(), 1 + n % 2), "{connect:?}");
        }
        publisher.publish("late/x", "end", 1, false).await;
        assert_eq!(client.message().await.text(), "end", "something came twice");
    }
    assert_eq!(rig.door.router_generation(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn subscription_identifiers_come_back() {
    let rig = Rig::start().await;
    let mut client = rig.v5("client").await;
    assert_eq!(client.subscribe_with(&[("i/+", 0)], &[0x0b, 7]).await, [0]);
    assert_eq!(client.subscribe_with(&[("i/a", 0)], &[0x0b, 0x80, 0x02]).await, [0]);
    client.publish("i/a", "x", 0, false).await;
    let mut ids: Vec<_> = Vec::new();
    for _ in 0..2 {
        ids.push(String::from_utf8(client.message().await.prop(0x0b).unwrap().to_vec()).unwrap());
    }
    ids.sort();
    assert_eq!(ids, ["256", "7"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_filters_are_refused_one_by_one() {
    let rig = Rig::start().await;
    let filters = [("good", 0), ("bad#", 0), ("a/#/b", 1), ("x+", 2), ("$share/g", 0), ("$share//x", 0), ("fine/#", 2)];
    let mut new = rig.v5("new").await;
    assert_eq!(new.subscribe_with(&filters[..4], &[]).await, [0, 0x8f, 0x8f, 0x8f]);
    let mut old = rig.v311("old").await;
    assert_eq!(old.subscribe_with(&filters, &[]).await, [0, 0x80, 0x80, 0x80, 0x80, 0x80, 2]);
    new.publish("good", "x", 0, false).await;
    assert_eq!(new.message().await.text(), "x");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_unsubscribe_is_answered_once() {
    let rig = Rig::start().await;
    let mut client = rig.v5("client").await;
    client.subscribe("a", 0).await;
    let unsuback = client.unsubscribe(&["a", "never", "a"]).await;
    assert_eq!(unsuback.body[3..], [0, 0x11, 0x11]);
    client.publish("a", "x", 0, false).await;
    client.ping().await;
    let mut old = rig.v311("old").await;
    assert_eq!(old.unsubscribe(&["never", "either"]).await.body.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shared_subscription_gives_each_message_to_one_member() {
    let rig = Rig::start().await;
    let mut members = Vec::new();
    for i in 0..3 {
        let mut member = rig.v5(&format!("m{i}")).await;
        // One group name on two filters: nothing may be lost between them.
        member.subscribe("$share/g/s/a", 1).await;
        member.subscribe("$share/g/s/b", 1).await;
        members.push(member);
    }
    let mut whole = rig.v5("whole").await;
    whole.subscribe("s/#", 1).await;
    let mut publisher = rig.v5("pub").await;
    const COUNT: usize = 300;
    for n in 0..COUNT {
        publisher.publish(if n % 2 == 0 { "s/a" } else { "s/b" }, &n.to_string(), 1, false).await;
    }
    let mut seen: BTreeMap<usize, usize> = BTreeMap::new();
    let began = std::time::Instant::now();
    while seen.len() < COUNT {
        assert!(began.elapsed() < super::rig::LIMIT, "{} of {COUNT} came to somebody", seen.len());
        for (i, member) in members.iter_mut().enumerate() {
            while let Some(packet) = member.within(Duration::from_millis(1)).await {
                let message = member.read_message(&packet);
                member.acknowledge(&message).await;
                let n = message.text().parse().unwrap();
                assert_eq!(seen.insert(n, i), None, "{n} came to two members");
            }
        }
    }
    for member in &mut members {
        member.ping().await;
    }
    for i in 0..3 {
        let share = seen.values().filter(|member| **member == i).count();
        assert!(share > COUNT / 6, "member {i} got {share} of {COUNT}");
    }
    for n in 0..COUNT {
        assert_eq!(whole.message().await.text(), n.to_string());
    }
    // Leaving one group leaves the other.
    members[0].unsubscribe(&["$share/g/s/a"]).await;
    members[1].unsubscribe(&["$share/g/s/a", "$share/g/s/b"]).await;
    members[2].unsubscribe(&["$share/g/s/a", "$share/g/s/b"]).await;
    publisher.publish("s/a", "nobody", 1, false).await;
    publisher.publish("s/b", "first", 1, false).await;
    assert_eq!(members[0].message().await.text(), "first");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_local_on_a_shared_subscription_is_a_protocol_error() {
    let rig = Rig::start().await;
    let mut client = rig.v5("client").await;
    let mut body = bytes::BytesMut::from(&[0, 9, 0][..]);
    put_string(&mut body, b"$share/g/x");
    body.extend_from_slice(&[NO_LOCAL]);
    client.send(0x82, &body).await;
    assert_eq!(client.closed().await, Some(0x82));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_brokers_own_numbers_are_there_at_once_and_hash_does_not_match_them() {
    let rig = Rig::start().await;
    crate::support::eventually("$SYS has values", async || {
        let mut early = rig.v5("early").await;
        early.subscribe("$SYS/broker/version", 0).await;
        early.ping_past_messages().await;
        match early.within(Duration::ZERO).await {
            Some(packet) => {
                assert!(early.read_message(&packet).text().starts_with("lockstep "));
                Ok(())
            }
            None => Err("nothing"),
        }
    })
    .await;
    // Every name that mosquitto 2.0 has, but for `heap/…`.
    let plain = "bytes/received bytes/sent clients/active clients/connected clients/disconnected clients/expired clients/inactive \
        clients/maximum clients/total messages/received messages/sent messages/stored publish/bytes/received publish/bytes/sent \
        publish/messages/dropped publish/messages/received publish/messages/sent retained_messages/count \
        shared_subscriptions/count store/messages/bytes store/messages/count subscriptions/count uptime version";
    let loads = "bytes/received bytes/sent connections messages/received messages/sent publish/dropped publish/received publish/sent \
        sockets";
    let loads =
        loads.split_whitespace().flat_map(|load| ["1min", "5min", "15min"].map(|span| format!("load/{load}/{span}")));
    let names =
        plain.split_whitespace().map(|name| name.replace("retained_messages", "retained messages")).chain(loads);
    let mut missing: BTreeSet<String> = names.map(|name| format!("$SYS/broker/{name}")).collect();
    let mut client = rig.v5("client").await;
    client.subscribe("$SYS/#", 0).await;
    while !missing.is_empty() {
        let packet = client.within(super::rig::LIMIT).await.unwrap_or_else(|| panic!("{missing:?} are missing"));
        missing.remove(&client.read_message(&packet).topic);
    }
    // What changes comes without being asked for again, within the ten seconds after which it is looked at.
    let packet = client.within(2 * super::rig::LIMIT).await.expect("uptime changes");
    assert!(client.read_message(&packet).topic.starts_with("$SYS/broker/"));
    let mut all = rig.v5("all").await;
    all.subscribe("#", 0).await;
    // What is retained comes before what is published behind the SUBACK.
    client.publish("marker", "x", 0, false).await;
    loop {
        let topic = all.message().await.topic;
        assert!(!topic.starts_with('$'), "# matched {topic}");
        if topic == "marker" {
            break;
        }
    }
}

/// The hub, which has one thread here, is busy while both packets come, so that it finds them at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_subscribe_that_was_sent_before_a_publish_is_carried_out_before_it() {
    let rig = Rig::start().await;
    let (mut subscriber, mut publisher) = (rig.v5("subscriber").await, rig.v5("publisher").await);
    for round in 1..=50_u16 {
        let topic = format!("order/{round}");
        let mut subscribe = bytes::BytesMut::new();
        subscribe.extend_from_slice(&round.to_be_bytes());
        subscribe.extend_from_slice(&[0]);
        put_string(&mut subscribe, topic.as_bytes());
        subscribe.extend_from_slice(&[1]);
        let (release, released) = std::sync::mpsc::channel::<()>();
        let (begun, busy) = std::sync::mpsc::channel();
        tokio::spawn(async move {
            begun.send(()).unwrap();
            let _ = released.recv();
        });
        busy.recv().unwrap();
        subscriber.send(0x82, &subscribe).await;
        publisher.put(Publish { topic: &topic, payload: b"x", qos: 1, id: round, ..Publish::default() }).await;
        release.send(()).unwrap();
        subscriber.expect_past_messages(SUBACK).await;
        publisher.expect(PUBACK).await;
        assert_eq!(subscriber.message().await.topic, topic);
    }
}
