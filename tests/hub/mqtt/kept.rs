//! Sessions outlast the hub: `kill -9` of the very binary, and what is there again afterwards.

use std::time::{Duration, Instant};

use super::{
    client::Client,
    packets::{Connect, PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL, Publish, Will},
    sessions::ten_of_twenty,
};
use crate::{
    figures::Figures,
    support::{Hub, eventually},
};

/// A client that is let in, and whether its session was there.
pub(super) async fn connected(hub: &Hub, connect: &Connect) -> (Client, bool) {
    let mut client = Client::open(hub.mqtt_port(), connect.v5).await;
    let connack = client.connect(connect).await;
    assert_eq!(connack.reason, 0, "{connect:?}");
    (client, connack.present)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_for_a_session_that_was_away_is_there_after_a_kill() {
    let mut hub = Hub::start();
    for (v5, id, topic, filter) in [(true, "new", "n/x", "n/#"), (false, "old", "o/x", "o/#")] {
        let connect = if v5 { Connect::lasting(id, 100) } else { Connect { clean: false, ..Connect::v311(id) } };
        let (mut client, present) = connected(&hub, &connect).await;
        assert!(!present);
        let props: &[u8] = if v5 { &[0x0b, 7] } else { &[] };
        // Retain-as-published and the identifier are of version 5 alone.
        let options = if v5 { 0x0a } else { 2 };
        assert_eq!(client.subscribe_with(&[(filter, options)], props).await, [2]);
        client.disconnect().await;
        let (mut publisher, _) = connected(&hub, &Connect::v5("pub")).await;
        for n in 0..60_u32 {
            assert_eq!(publisher.publish(topic, &n.to_string(), 1 + (n % 2) as u8, n == 59).await, 0);
        }
        publisher.publish(topic, "fleeting", 0, false).await;
        hub = hub.kill_and_restart();

        let (mut publisher, _) = connected(&hub, &Connect::v5("pub")).await;
        publisher.publish(topic, "60", 1, false).await;
        let (mut client, present) = connected(&hub, &connect).await;
        assert!(present, "the session of {id} is gone");
        for n in 0..=60_u32 {
            let message = client.message().await;
            assert_eq!((message.text(), message.dup), (&*n.to_string(), false), "{id}");
            assert_eq!(message.qos, if n == 60 { 1 } else { 1 + (n % 2) as u8 });
            assert_eq!((message.retain, message.prop(0x0b)), (v5 && n == 59, v5.then_some(&b"7"[..])));
        }
        publisher.publish(topic, "live", 2, false).await;
        assert_eq!(client.message().await.text(), "live");
        client.ping().await;
        // What it has had does not come again, once that is on disk.
        publisher.publish("fence", "x", 1, true).await;
        client.disconnect().await;
        hub = hub.kill_and_restart();
        let (mut client, present) = connected(&hub, &connect).await;
        assert!(present);
        client.ping().await;
        // A clean start forgets everything, on disk too.
        client.disconnect().await;
        let (mut client, present) = connected(&hub, &Connect { clean: true, ..connect.clone() }).await;
        assert!(!present);
        // What is acknowledged after it is on disk behind it.
        client.publish("fence", "y", 1, true).await;
        hub = hub.kill_and_restart();
        let (mut client, _) = connected(&hub, &connect).await;
        let (mut publisher, _) = connected(&hub, &Connect::v5("pub")).await;
        publisher.publish(topic, "gone", 1, false).await;
        client.ping().await;
        client.disconnect().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_in_flight_comes_again_under_its_identifier() {
    let hub = Hub::start();
    let connect = Connect { receive_maximum: Some(10), ..Connect::lasting("c", 100) };
    let (mut client, _) = connected(&hub, &connect).await;
    client.subscribe("again", 2).await;
    let (mut publisher, _) = connected(&hub, &Connect::v5("pub")).await;
    let ids = ten_of_twenty(&mut publisher, &mut client).await;
    // The second one, of QoS 2, gets half through: PUBREL says that this is on disk.
    client.send(0x50, &ids[1].to_be_bytes()).await;
    client.expect(PUBREL).await;
    let hub = hub.kill_and_restart();
    let (mut client, present) = connected(&hub, &Connect { clean: false, ..connect }).await;
    assert!(present);
    for (n, id) in ids.iter().enumerate() {
        let packet = client.next().await.unwrap();
        if n == 1 {
            assert_eq!((packet.kind, &packet.body[..2]), (PUBREL, &id.to_be_bytes()[..]));
            client.send(0x70, &id.to_be_bytes()).await;
            continue;
        }
        assert_eq!(packet.kind, PUBLISH, "{n}: {packet:?}");
        let message = client.read_message(&packet);
        assert_eq!((message.text(), message.dup, message.id), (&*n.to_string(), true, *id));
        client.acknowledge(&message).await;
    }
    for n in 10..20 {
        assert_eq!(client.message().await.text(), n.to_string());
    }
    client.ping().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_qos_2_message_from_a_client_is_published_once_across_a_kill() {
    let hub = Hub::start();
    let (mut reader, _) = connected(&hub, &Connect::lasting("reader", 100)).await;
    reader.subscribe("once", 2).await;
    let sends = Connect::lasting("sender", 100);
    let (mut sender, _) = connected(&hub, &sends).await;
    let publish =
        |payload: &'static [u8], dup| Publish { topic: "once", payload, qos: 2, id: 5, dup, ..Publish::default() };
    sender.put(publish(b"first", false)).await;
    sender.expect(PUBREC).await;
    let hub = hub.kill_and_restart();
    let (mut sender, present) = connected(&hub, &sends).await;
    assert!(present);
    // It does not know that PUBREC was sent.
    sender.put(publish(b"first", true)).await;
    sender.expect(PUBREC).await;
    sender.send(0x62, &5_u16.to_be_bytes()).await;
    assert!(sender.expect(PUBCOMP).await.body.len() == 2, "the identifier was not known any more");
    let hub = hub.kill_and_restart();
    let (mut sender, _) = connected(&hub, &sends).await;
    // The identifier was free when PUBCOMP came: this is another message.
    sender.put(publish(b"second", false)).await;
    sender.expect(PUBREC).await;
    let (mut reader, present) = connected(&hub, &Connect::lasting("reader", 100)).await;
    assert!(present);
    assert_eq!(reader.message().await.text(), "first");
    assert_eq!(reader.message().await.text(), "second");
    reader.ping().await;
}

fn with_will(id: &str, keep_alive: u16, expiry: Option<u32>) -> Connect {
    let will = Will { topic: format!("will/{id}"), payload: "gone".to_owned(), qos: 1, retain: true, delay: None };
    Connect { will: Some(will), keep_alive, expiry, clean: expiry.is_none(), ..Connect::v5(id) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_will_outlasts_the_hub_and_is_taken_back_by_a_return() {
    let hub = Hub::start();
    let mut clients = Vec::new();
    for connect in [
        with_will("lost", 1, None),
        with_will("lasting", 1, Some(100)),
        with_will("back", 1, None),
        with_will("clean", 1, None),
    ] {
        clients.push(connected(&hub, &connect).await.0);
    }
    clients.pop().unwrap().disconnect().await;
    // A retained value that is acknowledged is on disk, and so is what was said before it.
    clients[0].publish("fence", "x", 1, true).await;
    let began = Instant::now();
    let hub = hub.kill_and_restart();
    let (mut returned, _) = connected(&hub, &Connect { keep_alive: 0, will: None, ..with_will("back", 0, None) }).await;
    let (mut witness, _) = connected(&hub, &Connect::v5("witness")).await;
    witness.subscribe("will/#", 1).await;
    let mut seen = vec![witness.message().await.topic, witness.message().await.topic];
    // The hub gave them one and a half times their keep-alive, from its start.
    assert!(began.elapsed() >= Duration::from_millis(1_500), "{:?}", began.elapsed());
    seen.sort_unstable();
    assert_eq!(seen, ["will/lasting", "will/lost"]);
    witness.quiet().await;
    returned.ping().await;
    // Once is enough.
    let hub = hub.kill_and_restart();
    let (mut witness, _) = connected(&hub, &Connect::v5("witness")).await;
    assert_eq!(witness.subscribe_with(&[("will/#", 0x21)], &[]).await, [1]);
    if let Some(packet) = witness.within(Duration::from_millis(1_800)).await {
        panic!("a will came again: {packet:?}");
    }
    assert!(connected(&hub, &with_will("lasting", 1, Some(100))).await.1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delayed_will_goes_on_waiting_after_a_kill() {
    let hub = Hub::start();
    let mut connect = with_will("late", 0, Some(100));
    connect.will.as_mut().unwrap().delay = Some(2);
    let began = Instant::now();
    drop(connected(&hub, &connect).await);
    let (mut fence, _) = connected(&hub, &Connect::lasting("fence", 10)).await;
    // It is told when it is on disk, and so is everything before it.
    eventually("the hub has noticed that one is gone", async || {
        let there = Figures::of(&hub).await.value(r#"lockstep_connections{kind="mqtt"}"#);
        if there < 2.0 { Ok(()) } else { Err(there) }
    })
    .await;
    fence.subscribe("fence", 1).await;
    let hub = hub.kill_and_restart();
    let (mut witness, _) = connected(&hub, &Connect::v5("witness")).await;
    witness.subscribe("will/#", 1).await;
    assert_eq!(witness.message().await.topic, "will/late");
    let after = began.elapsed();
    assert!((Duration::from_millis(1_900)..Duration::from_secs(8)).contains(&after), "{after:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_expires_while_the_hub_is_away() {
    let hub = Hub::start();
    for (id, expiry) in [("short", 1), ("long", 100)] {
        let (mut client, _) = connected(&hub, &Connect::lasting(id, expiry)).await;
        client.subscribe("t", 1).await;
        client.disconnect().await;
    }
    let (mut fence, _) = connected(&hub, &Connect::lasting("fence", 10)).await;
    fence.subscribe("fence", 1).await;
    let began = Instant::now();
    let mut hub = hub.kill_and_restart();
    while began.elapsed() < Duration::from_millis(1_200) {
        hub = hub.kill_and_restart();
    }
    assert!(!connected(&hub, &Connect::lasting("short", 1)).await.1);
    assert!(connected(&hub, &Connect::lasting("long", 100)).await.1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clean_stop_keeps_sessions_too() {
    let mut hub = Hub::start();
    let (mut client, _) = connected(&hub, &Connect::lasting("c", 100)).await;
    client.subscribe("lockstep/hub/availability", 1).await;
    assert_eq!(client.message().await.text(), "online");
    let (folder, mqtt, data) = (hub.keep_folder(), hub.mqtt.clone(), hub.data.clone());
    tokio::task::spawn_blocking(move || hub.stop()).await.unwrap();
    let hub = Hub::start_in(&data, &mqtt, &[]);
    let (mut client, present) = connected(&hub, &Connect::lasting("c", 100)).await;
    assert!(present);
    // What was said while it was away it is told in order; `offline` it may have had before.
    let mut last = client.message().await;
    if last.text() == "offline" {
        last = client.message().await;
    }
    assert_eq!(last.text(), "online");
    client.ping().await;
    drop(folder);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_keeps_what_its_members_have_not_had() {
    let hub = Hub::start();
    for id in ["a", "b"] {
        let (mut client, _) = connected(&hub, &Connect::lasting(id, 100)).await;
        client.subscribe("$share/g/work/+", 1).await;
        client.disconnect().await;
    }
    let (mut publisher, _) = connected(&hub, &Connect::v5("pub")).await;
    for n in 0..40 {
        assert_eq!(publisher.publish("work/x", &n.to_string(), 1, false).await, 0);
    }
    let hub = hub.kill_and_restart();
    let (mut publisher, _) = connected(&hub, &Connect::v5("pub")).await;
    for n in 40..50 {
        publisher.publish("work/x", &n.to_string(), 1, false).await;
    }
    let mut clients = Vec::new();
    for id in ["a", "b"] {
        let (client, present) = connected(&hub, &Connect::lasting(id, 100)).await;
        assert!(present);
        clients.push(client);
    }
    let mut seen = Vec::new();
    while seen.len() < 50 {
        for client in &mut clients {
            if let Some(packet) = client.within(Duration::from_millis(20)).await {
                let message = client.read_message(&packet);
                client.acknowledge(&message).await;
                seen.push(message.text().parse::<u32>().unwrap());
            }
        }
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..50).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_no_lasting_session_waits_for_is_acknowledged_as_ever() {
    let hub = Hub::start();
    let (mut client, _) = connected(&hub, &Connect::v5("plain")).await;
    client.subscribe("t", 1).await;
    client.put(Publish { topic: "t", payload: b"x", qos: 1, id: 9, ..Publish::default() }).await;
    let packet = client.expect_past_messages(PUBACK).await;
    assert_eq!(&packet.body[..2], 9_u16.to_be_bytes());
    assert_eq!(client.message().await.text(), "x");
}
