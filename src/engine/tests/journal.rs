//! What waits for the disk, and what happens when it fails.

use super::*;

/// An engine with a journal that the test plays.
struct Disk {
    handle: EngineHandle,
    entries: mpsc::Receiver<JournalEntry>,
    health: watch::Sender<StoreHealth>,
    ceiling: watch::Sender<u64>,
    _stop: oneshot::Sender<()>,
}

impl Disk {
    fn new() -> Self {
        let limits = EngineLimits::default();
        let (mut engine, handle) = engine(limits.clone());
        let (health, health_seen) = watch::channel(StoreHealth::Healthy);
        let (ceiling, ceiling_seen) = watch::channel(1000);
        let (storage, entries) = storage(&limits, health_seen, ceiling_seen);
        engine.set_storage(storage);
        let (stop, _task) = run(engine);
        Self { handle, entries, health, ceiling, _stop: stop }
    }

    /// The next entry that somebody waits for.
    async fn entry(&mut self) -> JournalEntry {
        loop {
            let entry = self.entries.recv().await.expect("the engine runs");
            if !entry.settled.is_empty() {
                return entry;
            }
        }
    }

    async fn submit(&self, message: Publish) -> JoinHandle<Result<Vec<Outcome>, Stopped>> {
        let receipt = self.handle.submit(Lane::Client, vec![message]).await.unwrap();
        tokio::spawn(receipt.outcomes())
    }
}

/// Lets everybody do what they can do by now.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

#[tokio::test(start_paused = true)]
async fn what_must_last_is_answered_when_it_is_on_disk_and_seen_before() {
    let mut disk = Disk::new();
    let durable = Publish { durable: true, qos: Qos::AtLeastOnce, ..publish("free/y", "1") };
    for message in [publish("lockstep/main/slider1/set", "42"), retained("free/x", "1"), durable] {
        let topic = message.topic.clone();
        let answer = disk.submit(message).await;
        settle().await;
        assert!(!answer.is_finished(), "{topic}");
        let entry = disk.entry().await;
        assert!(!entry.batch.publications.is_empty());
        settle().await;
        assert!(!answer.is_finished(), "{topic}: it was read, not written");
        entry.settled.send();
        assert!(answer.await.unwrap().unwrap()[0].is_ok());
    }
    // Delivery does not wait for the disk.
    let _answer = disk.submit(publish("lockstep/main/slider1/set", "43")).await;
    assert_eq!(text(&disk.handle, "lockstep/main/slider1/value").await.as_deref(), Some("43"));
}

#[tokio::test(start_paused = true)]
async fn what_need_not_last_is_answered_at_once() {
    let disk = Disk::new();
    let retained_at_most_once = Publish { qos: Qos::AtMostOnce, ..retained("free/x", "1") };
    for message in [publish("free/x", "1"), retained_at_most_once] {
        timeout(PATIENCE, disk.submit(message).await).await.unwrap().unwrap().unwrap()[0].as_ref().unwrap();
    }
    // So is a rejection: nothing changed that could be lost.
    let answer = disk.submit(publish("lockstep/main/slider1/set", "420")).await;
    let outcome = timeout(PATIENCE, answer).await.unwrap().unwrap().unwrap().remove(0);
    assert_eq!(outcome.unwrap_err().code, Code::OutOfRange);
}

#[tokio::test(start_paused = true)]
async fn a_repeated_command_is_answered_after_the_first_is_on_disk() {
    let mut disk = Disk::new();
    let command = publish("lockstep/main/slider1/set", r#"{"value":42,"ref":"a1"}"#);
    let first = disk.submit(command.clone()).await;
    let second = disk.submit(command).await;
    let (one, other) = (disk.entry().await, disk.entry().await);
    assert!(other.batch.publications.is_empty(), "it changed nothing");
    settle().await;
    assert!(!second.is_finished());
    one.settled.send();
    other.settled.send();
    let revision = |outcomes: Vec<Outcome>| outcomes[0].as_ref().unwrap().revision;
    assert_eq!(revision(first.await.unwrap().unwrap()), revision(second.await.unwrap().unwrap()));
}

#[tokio::test(start_paused = true)]
async fn what_the_disk_lost_is_not_acknowledged() {
    let mut disk = Disk::new();
    for fail in [true, false] {
        let answer = disk.submit(retained("free/x", "1")).await;
        let entry = disk.entry().await;
        if fail {
            entry.settled.fail()
        } else {
            drop(entry)
        }
        assert_eq!(answer.await.unwrap(), Err(Stopped));
    }
    // A journal that is gone altogether acknowledges nothing either.
    drop(disk.entries);
    let receipt = disk.handle.submit(Lane::Client, vec![retained("free/x", "2")]).await.unwrap();
    assert_eq!(timeout(PATIENCE, receipt.outcomes()).await.unwrap(), Err(Stopped));
}

#[tokio::test(start_paused = true)]
async fn a_failing_disk_refuses_before_anything_is_applied_and_the_rest_serves_on() {
    let mut disk = Disk::new();
    disk.health.send(StoreHealth::Failing { reason: "no space left".to_owned() }).unwrap();
    let before = disk.handle.snapshot(filters(&["#"])).await.unwrap().values;
    let durable = Publish { durable: true, ..publish("free/y", "1") };
    for message in [publish("lockstep/main/slider1/set", "42"), retained("free/x", "1"), durable] {
        let rejection = disk.handle.publish(Lane::Client, message).await.unwrap_err();
        assert_eq!(rejection.code, Code::Storage);
        assert!(rejection.message.contains("no space left"), "{rejection}");
    }
    let create = RoomChange::Create { id: "lab".parse().unwrap(), name: "Lab".to_owned() };
    assert_eq!(disk.handle.change_room(create.clone()).await.unwrap_err().code, Code::Storage);
    assert_eq!(disk.handle.snapshot(filters(&["#"])).await.unwrap().values, before);
    disk.handle.publish(Lane::Client, publish("free/x", "an event")).await.unwrap();
    // It heals by itself.
    disk.health.send(StoreHealth::Healthy).unwrap();
    let answer = disk.submit(publish("lockstep/main/slider1/set", "42")).await;
    disk.entry().await.settled.send();
    assert!(answer.await.unwrap().unwrap()[0].is_ok());
}

#[tokio::test(start_paused = true)]
async fn no_command_gets_a_revision_that_the_disk_does_not_know_of() {
    let mut disk = Disk::new();
    disk.ceiling.send(1).unwrap();
    let answer = disk.submit(publish("lockstep/main/slider1/set", "1")).await;
    let entry = disk.entry().await;
    assert_eq!(entry.revision, Some(1));
    entry.settled.send();
    assert!(answer.await.unwrap().unwrap()[0].is_ok());
    let refused = disk.handle.publish(Lane::Client, publish("lockstep/main/slider1/set", "2")).await;
    assert_eq!(refused.unwrap_err().code, Code::Storage);
    disk.ceiling.send(2).unwrap();
    let answer = disk.submit(publish("lockstep/main/slider1/set", "2")).await;
    disk.entry().await.settled.send();
    assert_eq!(answer.await.unwrap().unwrap()[0].as_ref().unwrap().revision, Some(2));
}

#[tokio::test(start_paused = true)]
async fn finished_phases_go_to_the_history() {
    let mut disk = Disk::new();
    let setup = r#"{"action":"setup","work_duration":5}"#;
    let _setup = disk.submit(publish("lockstep/main/pomodoro/set", setup)).await;
    let _press = disk.submit(publish("lockstep/main/pomodoro/set", "press")).await;
    let finished = loop {
        let mut entry = disk.entries.recv().await.unwrap();
        if let Some(record) = entry.finished.pop() {
            break record;
        }
    };
    assert_eq!((finished.finished.phase, finished.finished.completed), ("work", true));
}
