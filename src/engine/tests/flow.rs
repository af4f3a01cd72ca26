//! One order, complete snapshots, the timer, the end.

use super::*;

#[tokio::test(start_paused = true)]
async fn every_outlet_gets_the_one_order_without_a_gap() {
    let (mut engine, handle) = engine(EngineLimits::default());
    let readers = [Duration::ZERO, Duration::from_millis(1), Duration::from_millis(7)]
        .map(|pause| reader(engine.outlet(), pause));
    let (stop, task) = run(engine);
    let senders: Vec<_> = (0..8)
        .map(|sender| {
            let handle = handle.clone();
            tokio::spawn(async move {
                let mut last = 0;
                for n in 0..50 {
                    let topic = format!("free/{sender}/{n}");
                    let command = publish("lockstep/main/slider1/set", (n % 100).to_string());
                    let receipt = handle.submit(Lane::Client, vec![retained(&topic, "x"), command]).await.unwrap();
                    let outcomes = receipt.outcomes().await.unwrap();
                    let seqs: Vec<u64> = outcomes.into_iter().map(|outcome| outcome.unwrap().seq).collect();
                    assert!(seqs[0] > last && seqs[1] >= seqs[0], "{seqs:?} after {last}");
                    last = seqs[1];
                    tokio::time::sleep(Duration::from_millis(sender)).await;
                }
            })
        })
        .collect();
    handle.publish(Lane::Client, publish("lockstep/main/pomodoro/set", "press")).await.unwrap();
    for sender in senders {
        timeout(PATIENCE, sender).await.unwrap().unwrap();
    }
    stop.send(()).unwrap();
    task.await.unwrap();
    let mut read = Vec::new();
    for reader in readers {
        read.push(timeout(PATIENCE, reader).await.unwrap().unwrap());
    }
    assert!(read[0].len() > 400);
    assert_gapless(&read[0]);
    assert_eq!(read[0], read[1]);
    assert_eq!(read[0], read[2]);
}

#[tokio::test(start_paused = true)]
async fn who_is_not_concerned_is_spared_and_knows_how_far() {
    let (mut engine, handle) = engine(EngineLimits::default());
    let mut outlet = engine.outlet_about("browsers", Publication::is_level);
    let (stop, task) = run(engine);
    let topics = |batch: std::sync::Arc<Batch>| -> Vec<String> {
        batch.publications.iter().map(|publication| publication.topic.as_str().to_owned()).collect()
    };
    let seq = async |publish| handle.publish(Lane::Client, publish).await.unwrap().seq;
    let first = seq(publish("free/event", "1")).await;
    assert_eq!(outlet.spared_seq(), 0, "what the start said still waits");
    while outlet.try_recv().is_ok() {}
    assert_eq!(outlet.spared_seq(), first);

    seq(retained("free/level", "2")).await;
    let third = seq(publish("free/event", "3")).await;
    assert_eq!(outlet.spared_seq(), 0, "an older batch waits");
    assert_eq!(topics(outlet.recv().await.unwrap()), ["free/level"]);
    assert_eq!(outlet.spared_seq(), third);

    outlet.attend(true);
    seq(publish("free/event", "4")).await;
    assert_eq!(topics(outlet.recv().await.unwrap()), ["free/event"]);
    outlet.attend(false);
    let fifth = seq(publish("free/event", "5")).await;
    assert!(outlet.try_recv().is_err());
    assert_eq!(outlet.spared_seq(), fifth);
    stop.send(()).unwrap();
    task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_carried_out_with_nothing_between() {
    let (mut engine, handle) = engine(EngineLimits::default());
    let reader = reader(engine.outlet(), Duration::ZERO);
    let (stop, task) = run(engine);
    let senders: Vec<_> = (0..4)
        .map(|sender| {
            let handle = handle.clone();
            tokio::spawn(async move {
                for _ in 0..20 {
                    let batch = (0..5).map(|n| publish(&format!("free/{sender}"), n.to_string())).collect();
                    handle.submit_unanswered(Lane::Client, batch).await.unwrap();
                }
            })
        })
        .collect();
    for sender in senders {
        sender.await.unwrap();
    }
    handle.sizes().await.unwrap();
    stop.send(()).unwrap();
    task.await.unwrap();
    let read = reader.await.unwrap();
    let free: Vec<_> = read.iter().filter(|p| p.topic.as_str().starts_with("free/")).collect();
    assert_eq!(free.len(), 400);
    for batch in free.chunks(5) {
        assert!(batch.iter().all(|p| p.topic == batch[0].topic), "{batch:?}");
        let payloads: Vec<_> = batch.iter().map(|p| &p.payload[..]).collect();
        assert_eq!(payloads, [b"0", b"1", b"2", b"3", b"4"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_is_complete_up_to_its_place() {
    let (mut engine, handle) = engine(EngineLimits::default());
    let reader = reader(engine.outlet(), Duration::ZERO);
    let (stop, task) = run(engine);
    handle.publish(Lane::Client, publish("lockstep/main/pomodoro/set", "press")).await.unwrap();
    let sender = {
        let handle = handle.clone();
        tokio::spawn(async move {
            for n in 0..300_u32 {
                let payload = if n % 5 == 0 { String::new() } else { n.to_string() };
                let batch = vec![retained(&format!("free/{}", n % 7), payload.clone()), retained("free/last", payload)];
                handle.submit_unanswered(Lane::Client, batch).await.unwrap();
                if n % 3 == 0 {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        })
    };
    let mut snapshots = Vec::new();
    for pause in 0..60 {
        snapshots.push(handle.snapshot(filters(&["#"])).await.unwrap());
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }
    sender.await.unwrap();
    stop.send(()).unwrap();
    task.await.unwrap();
    let read = reader.await.unwrap();
    let mut tree = Tree::default();
    let mut rest = read.iter().peekable();
    for snapshot in snapshots {
        while let Some(publication) = rest.next_if(|publication| publication.seq <= snapshot.seq) {
            tree.apply(publication);
        }
        assert_eq!(tree.snapshot(&filters(&["#"])), snapshot);
        // Who starts from the snapshot and reads on has the same tree.
        assert_eq!(Tree::from_snapshot(snapshot.clone()).bytes(), tree.bytes());
    }
    assert!(tree.len() > 10);
}

#[tokio::test(start_paused = true)]
async fn time_alone_moves_a_timer_and_ends_it_on_time() {
    let (mut engine, handle) = engine(EngineLimits::default());
    let reader = reader(engine.outlet(), Duration::ZERO);
    let (stop, task) = run(engine);
    let setup = r#"{"action":"setup","work_duration":60}"#;
    handle.publish(Lane::Client, publish("lockstep/main/pomodoro/set", setup)).await.unwrap();
    handle.publish(Lane::Client, publish("lockstep/main/pomodoro/set", "press")).await.unwrap();
    tokio::time::sleep(Duration::from_millis(30_500)).await;
    assert_eq!(text(&handle, "lockstep/main/pomodoro/remaining").await.as_deref(), Some("00:00:30"));
    tokio::time::sleep(Duration::from_millis(29_600)).await;
    assert_eq!(text(&handle, "lockstep/main/pomodoro/phase").await.as_deref(), Some("break_alarm"));
    stop.send(()).unwrap();
    task.await.unwrap();
    let read = reader.await.unwrap();
    let ticks = read.iter().filter(|p| p.topic.as_str().ends_with("/remaining")).count();
    assert_eq!(ticks, 2 + 60, "the start, the setup, and once a second to zero");
}

#[tokio::test(start_paused = true)]
async fn the_end_is_offline_after_everything_else() {
    let (mut engine, handle) = engine(EngineLimits::default());
    let mut outlet = engine.outlet();
    let (stop, task) = run(engine);
    handle.publish(Lane::Client, retained("free/x", "1")).await.unwrap();
    stop.send(()).unwrap();
    task.await.unwrap();
    let mut last = None;
    let mut first_availability = None;
    while let Some(batch) = outlet.recv().await {
        for publication in &batch.publications {
            if publication.topic.as_str() == "lockstep/hub/availability" && first_availability.is_none() {
                first_availability = Some(publication.payload.clone());
            }
            last = Some(publication.clone());
        }
    }
    let last = last.unwrap();
    assert_eq!((last.topic.as_str(), &last.payload[..]), ("lockstep/hub/availability", &b"offline"[..]));
    assert_eq!(first_availability.as_deref(), Some(&b"online"[..]));
    assert_eq!(handle.publish(Lane::Client, publish("free/x", "2")).await.unwrap_err().code, Code::Busy);
    assert_eq!(handle.snapshot(filters(&["#"])).await, Err(Stopped));
    assert_eq!(handle.sizes().await, Err(Stopped));
}

#[tokio::test(start_paused = true)]
async fn an_engine_without_handles_ends_by_itself() {
    let (mut engine, handle) = engine(EngineLimits::default());
    let reader = reader(engine.outlet(), Duration::ZERO);
    engine.start(Vec::new(), 0);
    let task = tokio::spawn(engine.run(std::future::pending()));
    drop(handle);
    timeout(PATIENCE, task).await.unwrap().unwrap();
    assert_eq!(reader.await.unwrap().last().unwrap().payload, "offline");
}

#[tokio::test(start_paused = true)]
async fn a_restart_takes_up_what_was_retained() {
    let (first, handle) = engine(EngineLimits::default());
    let (stop, task) = run(first);
    for kept in [retained("free/x", "1"), retained("lockstep/device/box/info", "{}")] {
        handle.publish(Lane::Client, kept).await.unwrap();
    }
    handle.publish(Lane::Client, publish("lockstep/main/slider1/set", "42")).await.unwrap();
    let snapshot = handle.snapshot(filters(&["#"])).await.unwrap();
    stop.send(()).unwrap();
    task.await.unwrap();
    let restored =
        snapshot.values.into_iter().filter(|value| value.level == Level::Retained).map(|value| Publication {
            seq: 0,
            topic: value.topic,
            payload: value.payload,
            level: value.level,
            qos: value.qos,
            origin: value.origin,
            session: None,
            expires_at: None,
            properties: None,
        });
    let (mut second, handle) = engine(EngineLimits::default());
    second.start(restored.collect(), 10_000);
    let task = tokio::spawn(second.run(std::future::pending()));
    for (topic, payload) in [
        ("free/x", "1"),
        ("lockstep/device/box/info", "{}"),
        ("lockstep/main/slider1/value", "42"),
        ("lockstep/hub/availability", "online"),
    ] {
        assert_eq!(text(&handle, topic).await.as_deref(), Some(payload), "{topic}");
    }
    let accepted = handle.publish(Lane::Client, publish("lockstep/main/slider1/set", "43")).await.unwrap();
    assert_eq!(accepted.revision, Some(10_001));
    drop(handle);
    task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_limit_of_the_retained_tree_is_told_and_a_replacement_fits() {
    let limits = EngineLimits {
        retained_topics_max: 20,
        retained_bytes_max: 40_000,
        retained_value_bytes_max: 20_000,
        ..EngineLimits::default()
    };
    let (engine, handle) = engine(limits);
    let (stop, task) = run(engine);
    let code = |outcome: Outcome| outcome.map(|_| ()).map_err(|rejection| rejection.code);
    let send = async |message: Publish| code(handle.publish(Lane::Client, message).await);
    assert_eq!(send(retained("free/big", vec![b'x'; 20_000])).await, Err(Code::TooLarge));
    assert_eq!(send(retained("free/big", vec![b'x'; 19_000])).await, Ok(()));
    assert_eq!(send(retained("free/big2", vec![b'x'; 19_000])).await, Err(Code::Limit));
    assert_eq!(send(retained("free/big", vec![b'y'; 19_500])).await, Ok(()), "in place of the old value");
    assert_eq!(send(publish("free/big2", vec![b'x'; 19_000])).await, Ok(()), "an event takes no room");
    let topics = handle.sizes().await.unwrap().retained;
    for n in topics..20 {
        assert_eq!(send(retained(&format!("free/{n}"), "x")).await, Ok(()));
    }
    assert_eq!(send(retained("free/one-more", "x")).await, Err(Code::Limit));
    assert_eq!(send(retained("free/big", "z")).await, Ok(()), "a topic that is there already");
    assert_eq!(send(publish("lockstep/main/slider1/set", "7")).await, Ok(()), "the hub's own have their room");
    assert_eq!(send(retained("free/big", "")).await, Ok(()));
    assert_eq!(send(retained("free/one-more", "x")).await, Ok(()));
    drop(stop);
    task.await.unwrap();
}
