//! The router behind the door: when it dies, and when it has seen too much.

use std::time::{Duration, Instant};

use super::{packets::Connect, rig::Rig};

#[tokio::test(flavor = "multi_thread")]
async fn a_router_that_dies_is_replaced_and_nothing_acknowledged_is_lost() {
    let rig = Rig::start().await;
    let mut subscribers = Vec::new();
    for i in 0..5 {
        let mut subscriber = rig.v5(&format!("s{i}")).await;
        subscriber.subscribe("r/#", 1).await;
        subscribers.push(subscriber);
    }
    let mut member = rig.v5("member").await;
    member.subscribe("$share/g/r/#", 1).await;
    let mut away = rig.connect(Connect::lasting("away", 100)).await;
    away.subscribe("r/+", 1).await;
    away.disconnect().await;
    let mut publisher = rig.v5("pub").await;
    const COUNT: u32 = 600;
    for n in 0..COUNT {
        if n % 100 == 50 {
            // The one that was killed before must have been replaced, or nothing dies here.
            crate::support::eventually("the router is replaced", async || {
                let generation = rig.door.router_generation();
                if generation == u64::from(n / 100) { Ok(()) } else { Err(generation) }
            })
            .await;
            rig.door.kill_router().await;
        }
        let began = Instant::now();
        assert_eq!(publisher.publish(&format!("r/{}", n % 7), &n.to_string(), 1, false).await, 0);
        assert!(began.elapsed() < Duration::from_secs(1), "a publish took {:?}", began.elapsed());
    }
    let mut away = rig.connect(Connect::lasting("away", 100)).await;
    for client in subscribers.iter_mut().chain([&mut away, &mut member]) {
        let mut seen = vec![0; COUNT as usize];
        while seen.contains(&0) {
            let message = client.message().await;
            seen[message.text().parse::<usize>().unwrap()] += 1;
        }
        assert!(seen.iter().all(|times| *times == 1), "some came twice");
    }
    crate::support::eventually("the last router is replaced too", async || {
        let generation = rig.door.router_generation();
        if generation == 6 { Ok(()) } else { Err(generation) }
    })
    .await;
    // New subscriptions work on the new router.
    let mut late = rig.v5("late").await;
    late.subscribe("after", 2).await;
    publisher.publish("after", "x", 2, false).await;
    assert_eq!(late.message().await.text(), "x");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_router_is_noticed_without_a_publish() {
    let rig = Rig::start().await;
    let mut subscriber = rig.v5("s").await;
    subscriber.subscribe("t", 0).await;
    rig.door.kill_router().await;
    crate::support::eventually("another router", async || {
        let generation = rig.door.router_generation();
        if generation > 0 { Ok(()) } else { Err(generation) }
    })
    .await;
    subscriber.subscribe("u", 0).await;
    let mut publisher = rig.v5("p").await;
    for topic in ["t", "u"] {
        publisher.publish(topic, "x", 0, false).await;
        assert_eq!(subscriber.message().await.topic, topic);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_router_that_has_seen_too_many_topics_is_replaced() {
    let rig = Rig::with(|settings| settings.limits.router_names_max = 500).await;
    let mut subscriber = rig.v5("s").await;
    subscriber.subscribe("n/#", 1).await;
    let mut publisher = rig.v5("p").await;
    for n in 0..1_500 {
        publisher.publish(&format!("n/{n}"), "x", 1, false).await;
    }
    for n in 0..1_500 {
        assert_eq!(subscriber.message().await.topic, format!("n/{n}"));
    }
    assert!(rig.door.router_generation() >= 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_goes_through_the_router_and_back_when_it_was_killed_too() {
    let rig = Rig::start().await;
    let probe = rig.door.probe();
    probe.round_trip().await.unwrap();
    assert_eq!(rig.door.router_generation(), 0);
    rig.door.kill_router().await;
    crate::support::eventually("the probe comes back from another router", async || {
        tokio::time::timeout(super::rig::LIMIT, probe.round_trip()).await.expect("in time").unwrap();
        let generation = rig.door.router_generation();
        if generation == 1 { Ok(()) } else { Err(generation) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_waits_while_the_router_hangs() {
    let rig = Rig::with(|settings| settings.limits.router_timeout = Duration::from_secs(600)).await;
    let probe = rig.door.probe();
    probe.round_trip().await.unwrap();
    let hanging = rig.door.hang_router().await;
    assert!(tokio::time::timeout(super::rig::QUIET, probe.round_trip()).await.is_err(), "it came back");
    drop(hanging);
    tokio::time::timeout(super::rig::LIMIT, probe.round_trip()).await.expect("in time").unwrap();
    assert_eq!(rig.door.router_generation(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_router_that_hangs_is_replaced_and_nothing_acknowledged_is_lost() {
    let rig = Rig::start().await;
    let mut subscriber = rig.v5("s").await;
    subscriber.subscribe("h/#", 1).await;
    let mut publisher = rig.v5("p").await;
    let hanging = rig.door.hang_router().await;
    for n in 0..50 {
        publisher.publish("h/x", &n.to_string(), 1, false).await;
    }
    for n in 0..50 {
        assert_eq!(subscriber.message().await.text(), n.to_string());
    }
    assert_eq!(rig.door.router_generation(), 1);
    drop(hanging);
}
