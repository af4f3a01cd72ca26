//! Limits, back-pressure and slow readers.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use lockstep::{domain::topic::Filter, mqtt};

use super::{
    client::Client,
    packets::{Connect, DISCONNECT, PUBACK, PUBCOMP, PUBREC, Publish},
    rig::{LIMIT, Rig},
};

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_limited_and_told_why() {
    let rig = Rig::with(|settings| settings.limits.connections_max = 3).await;
    let clients = [rig.v5("a").await, rig.v5("b").await, rig.v311("c").await];
    let mut client = Client::open(rig.port, true).await;
    assert_eq!(client.connect(&Connect::v5("d")).await.reason, 0x97);
    let mut client = Client::open(rig.port, false).await;
    assert_eq!(client.connect(&Connect::v311("d")).await.reason, 3);
    drop(clients);
    crate::support::eventually("there is room again", async || {
        let mut client = Client::open(rig.port, true).await;
        match client.connect(&Connect::v5("d")).await.reason {
            0 => Ok(()),
            reason => Err(reason),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_and_topics_are_limited() {
    let rig = Rig::with(|settings| {
        settings.limits.filters_per_session_max = 2;
        settings.limits.filters_max = 3;
        settings.limits.topic_levels_max = 4;
        settings.limits.topic_bytes_max = 20;
    })
    .await;
    let mut a = rig.v5("a").await;
    assert_eq!(a.subscribe_with(&[("1", 0), ("2", 0), ("3", 0)], &[]).await, [0, 0, 0x97]);
    let mut b = rig.v5("b").await;
    assert_eq!(b.subscribe_with(&[("1", 0), ("2", 0)], &[]).await, [0, 0x97]);
    a.unsubscribe(&["1", "2"]).await;
    assert_eq!(b.subscribe_with(&[("2", 0)], &[]).await, [0]);
    assert_eq!(a.subscribe_with(&[("a/b/c/d/e", 0)], &[]).await, [0x8f]);
    assert_eq!(a.publish("a/b/c/d/e", "x", 1, false).await, 0x90);
    assert_eq!(a.publish("a-topic-that-is-too-long", "x", 1, false).await, 0x90);
    assert_eq!(a.publish("a/b/c/d", "x", 1, false).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn half_open_connections_delay_nobody_and_are_closed() {
    let rig = Rig::with(|settings| settings.limits.connect_timeout = Duration::from_secs(3)).await;
    let mut half_open = Vec::new();
    for i in 0..300 {
        let mut client = Client::open(rig.port, true).await;
        if i % 2 == 0 {
            client.raw(&[0x10, 0x20, 0x00]).await;
        }
        half_open.push(client);
    }
    let began = Instant::now();
    rig.v5("quick").await.disconnect().await;
    // Had one half-open connection to end first, it would take that time; how little it takes is measured elsewhere.
    assert!(began.elapsed() < Duration::from_millis(1_500), "{:?}", began.elapsed());
    for mut client in half_open {
        assert_eq!(client.next().await, None, "a half-open connection is closed");
    }
}

/// Publishes `count` numbered messages as fast as the hub takes them.
async fn flood(client: &mut Client, topic: &str, count: u32, size: usize) {
    let mut bytes = bytes::BytesMut::new();
    for n in 0..count {
        let mut payload = n.to_string().into_bytes();
        payload.resize(size, b' ');
        bytes.extend_from_slice(&client.publish_bytes(&Publish { topic, payload: &payload, ..Publish::default() }));
        if bytes.len() > 60_000 {
            client.raw(&bytes.split()).await;
        }
    }
    client.raw(&bytes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_between_a_fast_publisher_and_a_reader() {
    let rig = Rig::start().await;
    let mut reader = rig.v5("reader").await;
    reader.subscribe("fast", 0).await;
    let mut publisher = rig.v5("pub").await;
    const COUNT: u32 = 100_000;
    let sending = tokio::spawn(async move {
        flood(&mut publisher, "fast", COUNT, 100).await;
        publisher
    });
    for n in 0..COUNT {
        let message = reader.message().await;
        assert_eq!(message.text().trim(), n.to_string());
    }
    sending.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_floods_itself_does_not_wait_for_itself() {
    let rig = Rig::with(|settings| settings.limits.queue_bytes_max = 1 << 20).await;
    let mut echo = rig.v5("echo").await;
    echo.subscribe("echo", 0).await;
    // It does not read while it writes: the hub must take everything, whatever becomes of the echoes.
    tokio::time::timeout(LIMIT, flood(&mut echo, "echo", 50_000, 200)).await.expect("the hub waits for the echo");
    let mut other = rig.v5("other").await;
    other.subscribe("other", 0).await;
    other.publish("other", "x", 0, false).await;
    assert_eq!(other.message().await.text(), "x");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_stops_for_good_holds_up_nobody() {
    let rig = Rig::with(|settings| settings.limits.queue_bytes_max = 8 << 20).await;
    let mut stuck = rig.v5("stuck").await;
    stuck.subscribe("s", 0).await;
    let mut reader = rig.v5("reader").await;
    reader.subscribe("s", 0).await;
    let mut publisher = rig.v5("pub").await;
    const COUNT: u32 = 20_000;
    let sending = tokio::spawn(async move {
        flood(&mut publisher, "s", COUNT, 1_000).await;
        publisher
    });
    let began = Instant::now();
    let mut seen = BTreeSet::new();
    while !seen.contains(&(COUNT - 1)) {
        seen.insert(reader.message().await.text().trim().parse::<u32>().unwrap());
    }
    assert_eq!(seen.len(), COUNT as usize, "a reading client lost messages to one that does not read");
    assert!(began.elapsed() < LIMIT, "{:?}", began.elapsed());
    sending.await.unwrap();
    stuck.unacknowledged().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_never_acknowledges_is_disconnected_when_its_queue_is_full() {
    let rig = Rig::with(|settings| settings.limits.queue_messages_max = 50).await;
    let mut lazy = rig.connect(Connect { receive_maximum: Some(5), ..Connect::lasting("lazy", 100) }).await;
    lazy.subscribe("q", 1).await;
    let mut publisher = rig.v5("pub").await;
    for n in 0..5 {
        publisher.publish("q", &n.to_string(), 1, false).await;
        assert_eq!(lazy.unacknowledged().await.text(), n.to_string());
    }
    // It may have five unacknowledged; from here on all of them wait.
    for n in 5..100 {
        publisher.publish("q", &n.to_string(), 1, false).await;
    }
    assert_eq!(lazy.closed().await, Some(0x97));
    // What was kept for it is still there.
    let mut back = rig.connect(Connect::lasting("lazy", 100)).await;
    for n in 0..50 {
        assert_eq!(back.message().await.text(), n.to_string());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_burst_the_window_is_filled_before_the_queue_is_too_full() {
    let rig = Rig::with(|settings| settings.limits.queue_messages_max = 50).await;
    let mut lazy = rig.connect(Connect { receive_maximum: Some(5), ..Connect::lasting("lazy", 100) }).await;
    lazy.subscribe("q", 1).await;
    let mut publisher = rig.v5("pub").await;
    // All at once: the hub reads, routes and queues them in one go.
    let mut burst = Vec::new();
    for n in 0..60_u16 {
        let payload = n.to_string();
        let publish = Publish { topic: "q", payload: payload.as_bytes(), qos: 1, id: n + 1, ..Publish::default() };
        burst.extend_from_slice(&publisher.publish_bytes(&publish));
    }
    publisher.raw(&burst).await;
    for n in 0..5 {
        assert_eq!(lazy.unacknowledged().await.text(), n.to_string());
    }
    assert_eq!(lazy.closed().await, Some(0x97));
    // Five were under way and fifty waited; what came behind them was too much.
    let mut back = rig.connect(Connect::lasting("lazy", 100)).await;
    for n in 0..55 {
        assert_eq!(back.message().await.text(), n.to_string());
    }
    back.ping().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publish_rate_is_held_not_refused() {
    let rig = Rig::with(|settings| settings.limits.publishes_per_second_max = 100).await;
    let mut client = rig.v5("client").await;
    client.subscribe("rate", 0).await;
    let began = Instant::now();
    flood(&mut client, "rate", 200, 10).await;
    for n in 0..200 {
        assert_eq!(client.message().await.text().trim(), n.to_string());
    }
    let took = began.elapsed();
    assert!((Duration::from_millis(800)..Duration::from_secs(3)).contains(&took), "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_sends_too_much_hears_the_reason_while_it_goes_on_answering() {
    let rig = Rig::start().await;
    let mut client = rig.v5("eager").await;
    let maximum = mqtt::Limits::default().receive_maximum;
    let mut bytes = bytes::BytesMut::new();
    for id in 1..=maximum + 1 {
        bytes.extend_from_slice(&client.publish_bytes(&Publish {
            topic: "t",
            payload: b"x",
            qos: 2,
            id,
            ..Publish::default()
        }));
    }
    client.raw(&bytes).await;
    // A connection that is closed on what is still sent would be reset, and the reason lost.
    loop {
        let packet = client.next().await.expect("the reason is lost");
        match packet.kind {
            PUBREC => client.send(0x62, &packet.body[..2]).await,
            PUBCOMP => {}
            DISCONNECT => break assert_eq!(packet.body[0], 0x93),
            _ => panic!("{packet:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forbidden_filter_is_refused_to_everybody_and_comes_on_no_wider_one() {
    let rig = Rig::with(|settings| settings.forbidden_filters = vec![Filter::parse("secret/+").unwrap()]).await;
    for mut client in [rig.v5("five").await, rig.v311("three").await] {
        assert_eq!(
            client.subscribe_with(&[("secret/a", 2), ("secret/#", 1), ("secret/a/b", 1)], &[]).await,
            [0x80, 1, 1]
        );
        for topic in ["secret/a", "secret/a/b"] {
            client.publish(topic, "x", 1, false).await;
        }
        for _ in 0..2 {
            assert_eq!(client.message().await.topic, "secret/a/b");
        }
        client.quiet().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_stops_for_a_second_loses_nothing_within_its_bounds() {
    const COUNT: u32 = 10_000;
    for qos in [0, 1] {
        let rig = Rig::start().await;
        let mut reader = rig.v5("reader").await;
        reader.subscribe("pause", qos).await;
        let mut publisher = rig.v5("pub").await;
        // More than the sockets hold, less than the queue does.
        let sending = tokio::spawn(async move {
            for n in 0..COUNT {
                let mut payload = n.to_string().into_bytes();
                payload.resize(1_000, b' ');
                let id = n as u16 % 50 + 1;
                publisher.put(Publish { topic: "pause", payload: &payload, qos, id, ..Publish::default() }).await;
                // At most fifty are unacknowledged.
                if qos == 1 && n >= 49 {
                    publisher.expect(PUBACK).await;
                }
            }
            publisher
        });
        for n in 0..COUNT {
            if n == COUNT / 10 {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            assert_eq!(reader.message().await.text().trim(), n.to_string(), "QoS {qos}");
        }
        sending.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_echo_client_at_full_speed_gets_everything_back_in_order() {
    const COUNT: u32 = 50_000;
    let rig = Rig::start().await;
    let mut echo = rig.v5("echo").await;
    echo.subscribe("echo", 0).await;
    let mut bytes = bytes::BytesMut::new();
    let (mut sent, mut seen) = (0, 0);
    while seen < COUNT {
        while sent < COUNT && sent - seen < 2_000 {
            let payload = sent.to_string();
            bytes.extend_from_slice(&echo.publish_bytes(&Publish {
                topic: "echo",
                payload: payload.as_bytes(),
                ..Publish::default()
            }));
            sent += 1;
        }
        if !bytes.is_empty() {
            echo.raw(&bytes.split()).await;
        }
        for _ in 0..(sent - seen).min(1_000) {
            assert_eq!(echo.message().await.text(), seen.to_string());
            seen += 1;
        }
    }
}
