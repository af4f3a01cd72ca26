//! Nobody waits in a circle.

use super::*;

fn tiny() -> EngineLimits {
    EngineLimits {
        client_credit_bytes_max: 4096,
        hub_credit_bytes_max: 4096,
        inbox_messages_max: 4,
        ..EngineLimits::default()
    }
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_reads_nothing_stops_its_senders_and_nobody_else() {
    let (mut engine, handle) = engine(tiny());
    let mut stuck = engine.outlet();
    let brisk = reader(engine.outlet(), Duration::ZERO);
    let (stop, task) = run(engine);
    handle.publish(Lane::Client, publish("lockstep/main/pomodoro/set", "press")).await.unwrap();
    let sender = {
        let handle = handle.clone();
        tokio::spawn(async move {
            for n in 0..100 {
                handle.submit_unanswered(Lane::Client, vec![publish("free/x", n.to_string())]).await.unwrap();
            }
        })
    };
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(!sender.is_finished(), "the sender has more under way than it has credit");
    assert!(handle.credit_used() > 0.9);
    // The timer goes on, and what the hub owes passes.
    assert_eq!(text(&handle, "lockstep/main/pomodoro/remaining").await.as_deref(), Some("00:24:00"));
    let will = retained("lockstep/device/box/availability", "offline");
    timeout(PATIENCE, handle.publish(Lane::Hub, will)).await.unwrap().unwrap();
    assert_eq!(text(&handle, "lockstep/device/box/availability").await.as_deref(), Some("offline"));
    // As soon as the reader reads, the sender goes on.
    let drained = tokio::spawn(async move {
        let mut read = Vec::new();
        while let Some(batch) = stuck.recv().await {
            read.extend(batch.publications.iter().cloned());
        }
        read
    });
    timeout(PATIENCE, sender).await.unwrap().unwrap();
    handle.sizes().await.unwrap();
    stop.send(()).unwrap();
    task.await.unwrap();
    let read = drained.await.unwrap();
    assert_gapless(&read);
    assert_eq!(read, brisk.await.unwrap());
    assert_eq!(read.iter().filter(|p| p.topic.as_str() == "free/x").count(), 100);
    assert!(handle.credit_used() < 1e-9, "all credit came back");
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_reads_nothing_for_hours_loses_nothing() {
    let (mut engine, handle) = engine(tiny());
    let mut stuck = engine.outlet();
    let (stop, task) = run(engine);
    let setup = r#"{"action":"setup","work_duration":86400,"auto_start":true}"#;
    handle.publish(Lane::Client, publish("lockstep/main/pomodoro/set", setup)).await.unwrap();
    handle.publish(Lane::Client, publish("lockstep/main/pomodoro/set", "press")).await.unwrap();
    tokio::time::sleep(Duration::from_secs(20_000)).await;
    // What waits for the reader is bounded, and the engine answers.
    let seq = handle.sizes().await.unwrap().seq;
    tokio::time::sleep(Duration::from_secs(20_000)).await;
    assert_eq!(handle.sizes().await.unwrap().seq, seq, "no more seconds are told while nobody reads them");
    let mut read = Vec::new();
    while let Ok(batch) = stuck.try_recv() {
        read.extend(batch.publications.iter().cloned());
    }
    assert_eq!(read.last().unwrap().seq, seq);
    // The next second is the right one: late ones were skipped.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let reading = stuck.recv().await.unwrap();
    let second = String::from_utf8(reading.publications[0].payload.to_vec()).unwrap();
    assert!(second.starts_with("12:53:"), "{second}");
    stop.send(()).unwrap();
    task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_batch_larger_than_all_credit_passes() {
    let (mut engine, handle) = engine(tiny());
    let reader = reader(engine.outlet(), Duration::ZERO);
    let (stop, task) = run(engine);
    let batch = (0..50).map(|n| publish(&format!("free/{n}"), vec![b'x'; 1000])).collect();
    let receipt = timeout(PATIENCE, handle.submit(Lane::Client, batch)).await.unwrap().unwrap();
    assert_eq!(receipt.outcomes().await.unwrap().len(), 50);
    let receipt = handle.submit(Lane::Client, Vec::new()).await.unwrap();
    assert_eq!(receipt.outcomes().await.unwrap(), []);
    stop.send(()).unwrap();
    task.await.unwrap();
    assert_gapless(&reader.await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_is_gone_takes_no_credit_with_it() {
    let (mut engine, handle) = engine(tiny());
    let gone = engine.outlet();
    let stays = reader(engine.outlet(), Duration::ZERO);
    let (stop, task) = run(engine);
    for n in 0..10 {
        handle.publish(Lane::Client, publish("free/x", n.to_string())).await.unwrap();
    }
    drop(gone);
    for n in 10..200 {
        timeout(PATIENCE, handle.publish(Lane::Client, publish("free/x", n.to_string()))).await.unwrap().unwrap();
    }
    stop.send(()).unwrap();
    task.await.unwrap();
    assert_gapless(&stays.await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_flood_from_every_side_at_once_drains() {
    let limits = tiny();
    let (mut engine, handle) = engine(limits.clone());
    let readers = [0, 1, 3, 10].map(|ms| reader(engine.outlet(), Duration::from_millis(ms)));
    let (_health, health) = watch::channel(StoreHealth::Healthy);
    let (_ceiling, ceiling) = watch::channel(u64::MAX);
    let (storage, mut entries) = storage(&limits, health, ceiling);
    engine.set_storage(storage);
    let journal = tokio::spawn(async move {
        let mut last = 0;
        while let Some(entry) = entries.recv().await {
            for publication in &entry.batch.publications {
                assert!(publication.seq > last);
                last = publication.seq;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
            entry.settled.send();
        }
        last
    });
    let (stop, task) = run(engine);
    let mut senders: Vec<JoinHandle<()>> = Vec::new();
    for sender in 0..6_u64 {
        let handle = handle.clone();
        let lane = if sender % 3 == 0 { Lane::Hub } else { Lane::Client };
        senders.push(tokio::spawn(async move {
            for n in 0..60 {
                let command = publish("lockstep/main/slider1/set", (n % 120).to_string());
                let free = retained(&format!("free/{sender}"), vec![b'x'; 500]);
                let press = publish("lockstep/main/pomodoro/set", "start");
                let receipt = handle.submit(lane, vec![command, free, press]).await.unwrap();
                if n % 2 == 0 {
                    receipt.outcomes().await.unwrap();
                }
            }
        }));
    }
    for browser in 0..4 {
        let handle = handle.clone();
        senders.push(tokio::spawn(async move {
            for n in 0..60 {
                let here = (n % 4 != 3).then(|| ("main".parse().unwrap(), format!("Anna {n}")));
                handle.here(Presence { connection: browser, kind: MemberKind::Web, here }).await.unwrap();
                handle.snapshot(filters(&["#"])).await.unwrap();
                let id = format!("room{browser}").parse().unwrap();
                let change = if n % 2 == 0 {
                    RoomChange::Create { id, name: "Room".to_owned() }
                } else {
                    RoomChange::Delete { id }
                };
                handle.change_room(change).await.unwrap();
                handle.sizes().await.unwrap();
            }
        }));
    }
    for sender in senders {
        timeout(PATIENCE, sender).await.expect("somebody waits for ever").unwrap();
    }
    let seq = handle.sizes().await.unwrap().seq;
    stop.send(()).unwrap();
    task.await.unwrap();
    let mut orders = Vec::new();
    for reader in readers {
        orders.push(timeout(PATIENCE, reader).await.expect("a reader waits for ever").unwrap());
    }
    assert_gapless(&orders[0]);
    assert!(orders[0].len() as u64 >= seq);
    assert!(orders.iter().all(|order| *order == orders[0]), "one order for all");
    assert!(journal.await.unwrap() <= orders[0].len() as u64);
    assert!(handle.credit_used() < 1e-9, "all credit came back");
}

#[tokio::test(start_paused = true)]
async fn a_guard_lives_until_the_last_reader_has_taken_what_followed() {
    let (mut engine, handle) = engine(EngineLimits::default());
    let (mut one, mut other) = (engine.outlet(), engine.outlet());
    let (stop, task) = run(engine);
    let counted = std::sync::Arc::new(());
    let guard: Guard = Box::new(std::sync::Arc::clone(&counted));
    handle.submit_unanswered_guarded(Lane::Client, vec![publish("free/x", "1")], guard).await.unwrap();
    // The answer to a later one says that it was carried out.
    handle.publish(Lane::Client, publish("free/y", "2")).await.unwrap();
    let take_all = |outlet: &mut OutletReceiver| while outlet.try_recv().is_ok() {};
    take_all(&mut one);
    assert_eq!(std::sync::Arc::strong_count(&counted), 2, "the other reader has not taken it");
    take_all(&mut other);
    assert_eq!(std::sync::Arc::strong_count(&counted), 1);
    stop.send(()).unwrap();
    task.await.unwrap();
}
