//! Wills: when they are published and when not.

use std::time::{Duration, Instant};

use super::{
    client::Client,
    packets::{Connect, Will, framed},
    rig::Rig,
};

fn with_will(id: &str, v5: bool, delay: Option<u32>, expiry: Option<u32>) -> Connect {
    let will = Will { topic: format!("will/{id}"), payload: "gone".to_owned(), qos: 1, retain: true, delay };
    let base = if v5 { Connect::v5(id) } else { Connect::v311(id) };
    Connect { will: Some(will), expiry, clean: expiry.is_none(), ..base }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_will_is_published_when_the_client_vanishes_and_only_then() {
    let rig = Rig::start().await;
    let mut witness = rig.v5("witness").await;
    assert_eq!(witness.subscribe_with(&[("will/#", 0x09)], &[]).await, [1]);
    for v5 in [true, false] {
        // Closed without DISCONNECT.
        drop(rig.connect(with_will("lost", v5, None, None)).await);
        let message = witness.message().await;
        assert_eq!((message.topic.as_str(), message.text(), message.retain), ("will/lost", "gone", true));
        // A protocol error.
        let mut bad = rig.connect(with_will("bad", v5, None, None)).await;
        bad.raw(&[0xff, 0xff, 0xff, 0xff, 0xff]).await;
        assert_eq!(witness.message().await.topic, "will/bad");
        // Keep-alive.
        let silent = rig.connect(Connect { keep_alive: 1, ..with_will("silent", v5, None, None) }).await;
        assert_eq!(witness.message().await.topic, "will/silent");
        drop(silent);
        // Taken over: the session of the first one ends.
        let first = rig.connect(with_will("twin", v5, None, None)).await;
        let second = rig.connect(with_will("twin", v5, None, None)).await;
        assert_eq!(witness.message().await.topic, "will/twin");
        drop(first);
        witness.ping().await;
        // And the second one still has its own.
        drop(second);
        assert_eq!(witness.message().await.topic, "will/twin");
        // DISCONNECT takes it back.
        rig.connect(with_will("polite", v5, None, None)).await.disconnect().await;
        witness.ping().await;
    }
    // DISCONNECT 0x04 asks for it.
    let mut client = rig.connect(with_will("asks", true, None, None)).await;
    client.raw(&framed(0xe0, &[4])).await;
    assert_eq!(witness.message().await.topic, "will/asks");
    witness.quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delayed_will_waits_and_is_taken_back_by_a_return() {
    let rig = Rig::start().await;
    let mut witness = rig.v5("witness").await;
    witness.subscribe("will/#", 1).await;
    let began = Instant::now();
    drop(rig.connect(with_will("late", true, Some(1), Some(100))).await);
    assert_eq!(witness.message().await.topic, "will/late");
    assert!(began.elapsed() >= Duration::from_millis(950), "{:?}", began.elapsed());
    // The end of the session comes first.
    let began = Instant::now();
    drop(rig.connect(with_will("short", true, Some(100), Some(1))).await);
    assert_eq!(witness.message().await.topic, "will/short");
    assert!(began.elapsed() >= Duration::from_millis(950));
    // A return in time.
    drop(rig.connect(with_will("back", true, Some(2), Some(100))).await);
    let returned = rig.connect(Connect { will: None, ..with_will("back", true, None, Some(100)) }).await;
    // Longer than the delay: nothing may come.
    if let Some(packet) = witness.within(Duration::from_millis(2_500)).await {
        panic!("the will of a client that came back: {packet:?}");
    }
    returned.disconnect().await;
    // A clean start ends the session, and with it the delay.
    drop(rig.connect(with_will("anew", true, Some(100), Some(200))).await);
    let mut client = Client::open(rig.port, true).await;
    assert!(!client.connect(&Connect::v5("anew")).await.present);
    assert_eq!(witness.message().await.topic, "will/anew");
}

#[tokio::test(flavor = "multi_thread")]
async fn availability_of_a_device_goes_offline_by_its_will() {
    let rig = Rig::start().await;
    let mut witness = rig.v311("witness").await;
    witness.subscribe("lockstep/device/box1/availability", 1).await;
    let mut device = rig
        .connect(Connect {
            will: Some(Will {
                topic: "lockstep/device/box1/availability".to_owned(),
                payload: "offline".to_owned(),
                qos: 1,
                retain: true,
                delay: None,
            }),
            ..Connect::v5("box1")
        })
        .await;
    assert_eq!(device.publish("lockstep/device/box1/availability", "online", 1, true).await, 0);
    assert_eq!(witness.message().await.text(), "online");
    drop(device);
    assert_eq!(witness.message().await.text(), "offline");
    let mut late = rig.v5("late").await;
    late.subscribe("lockstep/device/+/availability", 0).await;
    assert_eq!(late.message().await.text(), "offline");
}
