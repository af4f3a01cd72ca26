//! CONNECT, CONNACK and what outlives a connection.

use std::time::{Duration, Instant};

use super::{
    client::Client,
    packets::{Connect, DISCONNECT, PUBLISH, PUBREC, PUBREL, Publish, framed, put_string},
    rig::Rig,
};

#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_has_its_reason() {
    let rig = Rig::with(|settings| settings.limits.client_id_bytes_max = 10).await;
    for (connect, v311, v5) in [(Connect::v5("much too long an id"), 2, 0x85)] {
        let mut client = Client::open(rig.port, true).await;
        assert_eq!(client.connect(&connect).await.reason, v5);
        assert_eq!(client.next().await, None, "a refused client is let go");
        let mut client = Client::open(rig.port, false).await;
        assert_eq!(client.connect(&Connect { v5: false, ..connect }).await.reason, v311);
        assert_eq!(client.next().await, None);
    }
    // No client id and a session to keep.
    let mut client = Client::open(rig.port, false).await;
    assert_eq!(client.connect(&Connect { clean: false, ..Connect::v311("") }).await.reason, 2);
    // Protocol levels that the hub does not speak.
    for (name, level, reason) in [("MQIsdp", 3, 1), ("MQTT", 3, 1), ("MQTT", 6, 0x84)] {
        let mut body = bytes::BytesMut::new();
        put_string(&mut body, name.as_bytes());
        body.extend_from_slice(&[level, 2, 0, 60, 0, 1, b'x']);
        let mut client = Client::open(rig.port, level == 6).await;
        client.send(0x10, &body).await;
        let connack = client.next().await.expect("a CONNACK");
        assert_eq!(connack.body[1], reason, "{name} {level}");
        assert_eq!(client.next().await, None);
    }
    // Extended authentication.
    let mut body = bytes::BytesMut::new();
    put_string(&mut body, b"MQTT");
    body.extend_from_slice(&[5, 2, 0, 0, 4, 0x15, 0, 1, b'm', 0, 1, b'x']);
    let mut client = Client::open(rig.port, true).await;
    client.send(0x10, &body).await;
    assert_eq!(client.next().await.unwrap().body[1], 0x8c);
}

#[tokio::test(flavor = "multi_thread")]
async fn users_get_in_and_others_are_told_why_not() {
    let hash = lockstep::policy::hash_password(b"secret").unwrap();
    let rig = Rig::with_policy(|_| {}, false, &format!("anna:member:{hash}\n"), "").await;
    let with = |user: &str, password: &str, v5: bool| Connect {
        user: Some((user.to_owned(), password.to_owned())),
        ..if v5 { Connect::v5("c") } else { Connect::v311("c") }
    };
    let mut client = rig.connect(with("anna", "secret", true)).await;
    client.subscribe("lockstep/main/slider1/value", 0).await;
    client.message().await;
    assert_eq!(client.publish("lockstep/main/slider1/set", "7", 1, false).await, 0);
    assert_eq!(client.message().await.text(), "7");
    assert_eq!(client.publish("free/topic", "7", 1, false).await, 0x87, "a member only moves things");
    for (v5, wrong, nobody) in [(true, 0x86, 0x87), (false, 4, 5)] {
        let mut client = Client::open(rig.port, v5).await;
        assert_eq!(client.connect(&with("anna", "wrong", v5)).await.reason, wrong);
        let mut client = Client::open(rig.port, v5).await;
        let anonymous = if v5 { Connect::v5("c2") } else { Connect::v311("c2") };
        assert_eq!(client.connect(&anonymous).await.reason, nobody);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_assigned_client_id_is_told_and_unique() {
    let rig = Rig::start().await;
    let mut ids = std::collections::BTreeSet::new();
    for _ in 0..3 {
        let mut client = Client::open(rig.port, true).await;
        let connack = client.connect(&Connect::v5("")).await;
        ids.insert(connack.prop(0x12).expect("an assigned id").to_vec());
    }
    assert_eq!(ids.len(), 3);
    let mut client = Client::open(rig.port, false).await;
    assert_eq!(client.connect(&Connect::v311("")).await.reason, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn keep_alive_0_lives_and_1_dies_when_it_is_silent() {
    let rig = Rig::start().await;
    let mut eternal = rig.v311("eternal").await;
    let mut silent = rig.connect(Connect { keep_alive: 1, ..Connect::v5("silent") }).await;
    let began = Instant::now();
    assert_eq!(silent.closed().await, Some(0x8d));
    let lived = began.elapsed();
    assert!((Duration::from_millis(1_300)..Duration::from_secs(3)).contains(&lived), "{lived:?}");
    eternal.ping().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keep_alive_is_enforced_while_nothing_can_be_written() {
    let rig = Rig::start().await;
    let mut stuck = rig.connect(Connect { keep_alive: 1, ..Connect::v5("stuck") }).await;
    stuck.subscribe("flood", 0).await;
    let before = rig.door.connections();
    let mut publisher = rig.v5("pub").await;
    let payload = vec![b'x'; 100_000];
    for _ in 0..200 {
        publisher.put(Publish { topic: "flood", payload: &payload, ..Publish::default() }).await;
    }
    crate::support::eventually("the stuck client is gone", async || {
        let now = rig.door.connections();
        if now == before { Ok(()) } else { Err(now) }
    })
    .await;
    publisher.ping().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_keep_alive_overrides_a_longer_one() {
    let rig = Rig::with(|settings| settings.server_keep_alive = Some(Duration::from_secs(60))).await;
    for (asked, told) in [(120, Some(60_u16)), (0, Some(60)), (30, None)] {
        let mut client = Client::open(rig.port, true).await;
        let connack = client.connect(&Connect { keep_alive: asked, ..Connect::v5("k") }).await;
        let value = connack.prop(0x13).map(|value| u16::from_be_bytes(value.try_into().unwrap()));
        assert_eq!(value, told, "asked for {asked}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_connection_takes_the_session_over() {
    let rig = Rig::start().await;
    let mut first = rig.connect(Connect::lasting("same", 100)).await;
    first.subscribe("t", 1).await;
    let mut second = Client::open(rig.port, true).await;
    let connack = second.connect(&Connect::lasting("same", 100)).await;
    assert!(connack.present);
    assert_eq!(first.closed().await, Some(0x8e));
    rig.v5("pub").await.publish("t", "x", 1, false).await;
    assert_eq!(second.message().await.text(), "x");
    // Without an expiry the session ends with its connection, also in a takeover.
    let first = rig.connect(Connect { clean: false, ..Connect::v5("short") }).await;
    let mut second = Client::open(rig.port, true).await;
    assert!(!second.connect(&Connect { clean: false, ..Connect::v5("short") }).await.present);
    drop(first);
    // 3.1.1 is closed without a word.
    let mut old = rig.v311("old").await;
    let _new = rig.v311("old").await;
    assert_eq!(old.closed().await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_clients_with_one_id_are_told_so() {
    let rig = Rig::start().await;
    let mut current = rig.v5("twin").await;
    let mut words = String::new();
    for _ in 0..4 {
        let next = rig.v5("twin").await;
        let told = current.expect(DISCONNECT).await;
        words = String::from_utf8_lossy(&told.body).into_owned();
        current = next;
    }
    assert!(words.contains("two clients"), "{words}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_takeovers_at_once_leave_one_connection() {
    let rig = Rig::start().await;
    let mut joins = Vec::new();
    for _ in 0..100 {
        let port = rig.port;
        joins.push(tokio::spawn(async move {
            let mut client = Client::open(port, true).await;
            client.raw(&Connect::v5("busy").bytes()).await;
            client.within(Duration::from_secs(5)).await;
            client
        }));
    }
    let mut clients = Vec::new();
    for join in joins {
        clients.push(join.await.unwrap());
    }
    crate::support::eventually("one connection", async || {
        let now = rig.door.connections();
        if now == 1 { Ok(()) } else { Err(now) }
    })
    .await;
    let mut last = rig.v5("busy").await;
    last.subscribe("t", 0).await;
    last.publish("t", "alive", 0, false).await;
    assert_eq!(last.message().await.text(), "alive");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_keeps_what_was_sent_while_it_was_away() {
    let rig = Rig::start().await;
    for (v5, id) in [(true, "new"), (false, "old")] {
        let connect = if v5 { Connect::lasting(id, 100) } else { Connect { clean: false, ..Connect::v311(id) } };
        let mut client = Client::open(rig.port, v5).await;
        assert!(!client.connect(&connect).await.present);
        client.subscribe("away", 2).await;
        client.disconnect().await;
        let mut publisher = rig.v5("pub").await;
        for n in 0..500_u32 {
            publisher.publish("away", &n.to_string(), (n % 3) as u8, false).await;
        }
        let mut client = Client::open(rig.port, v5).await;
        assert!(client.connect(&connect).await.present);
        // QoS 0 is for who is there. What was still on its way when the client came back is an end of the whole without a gap;
        // before it there is nothing of QoS 0, and of QoS 1 and 2 there is everything.
        let mut seen = Vec::new();
        while seen.last() != Some(&499) {
            let message = client.message().await;
            let n: u32 = message.text().parse().unwrap();
            assert_eq!(u32::from(message.qos), n % 3);
            seen.push(n);
        }
        let back_at = seen.iter().copied().find(|n| n % 3 == 0).unwrap_or(500);
        let wanted: Vec<u32> = (0..500).filter(|n| n % 3 > 0 || *n >= back_at).collect();
        assert_eq!(seen, wanted, "back at {back_at}");
        client.ping().await;
        // A clean start forgets everything.
        client.disconnect().await;
        let mut client = Client::open(rig.port, v5).await;
        assert!(!client.connect(&Connect { clean: true, ..connect.clone() }).await.present);
        publisher.publish("away", "gone", 1, false).await;
        client.ping().await;
    }
}

/// Publishes twenty messages of QoS 1 and 2 by turns to `client`, which takes ten before it acknowledges one; their identifiers.
pub(super) async fn ten_of_twenty(publisher: &mut Client, client: &mut Client) -> Vec<u16> {
    for n in 0..20 {
        publisher.publish("again", &n.to_string(), 1 + n % 2, false).await;
    }
    let mut ids = Vec::new();
    for n in 0..10 {
        let message = client.unacknowledged().await;
        assert_eq!((message.text(), message.dup), (&*n.to_string(), false));
        ids.push(message.id);
    }
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn unacknowledged_messages_come_again_with_dup_and_in_order() {
    let rig = Rig::start().await;
    let connect = Connect { receive_maximum: Some(10), ..Connect::lasting("c", 100) };
    let mut client = rig.connect(connect.clone()).await;
    client.subscribe("again", 2).await;
    let mut publisher = rig.v5("pub").await;
    let ids = ten_of_twenty(&mut publisher, &mut client).await;
    client.quiet().await;
    // The second one, of QoS 2, gets half through.
    client.send(0x50, &ids[1].to_be_bytes()).await;
    client.expect(PUBREL).await;
    drop(client);
    let mut client = rig.connect(Connect { clean: false, ..connect }).await;
    for n in 0..10 {
        let packet = client.next().await.unwrap();
        if n == 1 {
            assert_eq!((packet.kind, &packet.body[..2]), (PUBREL, &ids[1].to_be_bytes()[..]));
            continue;
        }
        assert_eq!(packet.kind, PUBLISH);
        let message = client.read_message(&packet);
        assert_eq!((message.text(), message.dup, message.id), (&*n.to_string(), true, ids[n]));
    }
    client.quiet().await;
    client.send(0x70, &ids[1].to_be_bytes()).await;
    let message = client.unacknowledged().await;
    assert_eq!((message.text(), message.dup), ("10", false), "one place is free");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_expires() {
    let rig = Rig::start().await;
    let mut client = rig.connect(Connect::lasting("c", 100)).await;
    client.subscribe("t", 1).await;
    client.disconnect().await;
    let mut probe = Client::open(rig.port, true).await;
    assert!(probe.connect(&Connect::lasting("c", 1)).await.present, "at once it is still there");
    probe.disconnect().await;
    // The shortest time that the protocol can say is a second.
    tokio::time::sleep(Duration::from_millis(1_300)).await;
    let mut probe = Client::open(rig.port, true).await;
    assert!(!probe.connect(&Connect::lasting("c", 1)).await.present);
    // DISCONNECT may shorten it, but not make one of 0 longer.
    probe.raw(&framed(0xe0, &[0, 5, 0x11, 0, 0, 0, 0])).await;
    assert_eq!(probe.next().await, None);
    let mut probe = Client::open(rig.port, true).await;
    assert!(!probe.connect(&Connect { expiry: None, ..Connect::lasting("c", 0) }).await.present);
    probe.raw(&framed(0xe0, &[0, 5, 0x11, 0, 0, 0, 9])).await;
    assert_eq!(probe.closed().await, Some(0x82));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_receive_maximum_holds_both_ways() {
    let rig = Rig::with(|settings| settings.limits.receive_maximum = 5).await;
    let mut client = Client::open(rig.port, true).await;
    let connack = client.connect(&Connect { receive_maximum: Some(3), ..Connect::v5("c") }).await;
    assert_eq!(connack.prop(0x21), Some(&[0, 5][..]));
    client.subscribe("flow", 1).await;
    let mut publisher = rig.v5("pub").await;
    for n in 0..10 {
        publisher.publish("flow", &n.to_string(), 1, false).await;
    }
    let mut waiting = Vec::new();
    for _ in 0..3 {
        waiting.push(client.unacknowledged().await);
    }
    client.quiet().await;
    for n in 3..10 {
        let oldest = waiting.remove(0);
        client.acknowledge(&oldest).await;
        let message = client.unacknowledged().await;
        assert_eq!(message.text(), n.to_string());
        waiting.push(message);
    }
    // The client's own: QoS 2 messages that it does not release count.
    let mut greedy = rig.v5("greedy").await;
    for id in 1..=5 {
        greedy.put(Publish { topic: "x", payload: b"x", qos: 2, id, ..Publish::default() }).await;
        greedy.expect(PUBREC).await;
    }
    greedy.put(Publish { topic: "x", payload: b"x", qos: 2, id: 6, ..Publish::default() }).await;
    assert_eq!(greedy.closed().await, Some(0x93));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_maximum_packet_size_holds_both_ways() {
    let rig = Rig::with(|settings| settings.limits.packet_bytes_max = 2_000).await;
    let mut client = Client::open(rig.port, true).await;
    let connack = client.connect(&Connect { packet_max: Some(100), ..Connect::v5("c") }).await;
    assert_eq!(connack.prop(0x27), Some(&2_000_u32.to_be_bytes()[..]));
    client.subscribe("size", 1).await;
    let mut publisher = rig.v5("pub").await;
    publisher.publish("size", &"x".repeat(200), 1, false).await;
    publisher.publish("size", "small", 1, false).await;
    assert_eq!(client.message().await.text(), "small");
    let payload = vec![b'x'; 3_000];
    publisher.put(Publish { topic: "size", payload: &payload, qos: 1, id: 9, ..Publish::default() }).await;
    assert_eq!(publisher.closed().await, Some(0x95));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publish_right_behind_connect_is_not_lost() {
    let rig = Rig::start().await;
    let mut witness = rig.v5("witness").await;
    witness.subscribe("eager", 1).await;
    let mut client = Client::open(rig.port, true).await;
    let mut bytes = Connect::v5("eager").bytes();
    let publish = Publish { topic: "eager", payload: b"x", qos: 1, id: 1, ..Publish::default() };
    bytes.extend_from_slice(&client.publish_bytes(&publish));
    bytes.extend_from_slice(&framed(0xe0, &[]));
    client.raw(&bytes).await;
    assert_eq!(witness.message().await.text(), "x");
}
