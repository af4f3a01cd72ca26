use std::{collections::BTreeMap, sync::Arc};

use proptest::prelude::*;
use tokio::time::{Instant, timeout};

use super::*;
use crate::{
    domain::publication::{Accepted, Level, Publication, Qos},
    domain::topic::Filter,
    engine::{Batch, KeepChange, Keeper, Outcome, Owner, Place, Received, Settled, Wanted},
    store::file::tests::{Disk, value},
};

const LIMIT: Duration = Duration::from_secs(20);

struct Rig {
    _folder: tempfile::TempDir,
    path: PathBuf,
    disk: Disk,
    entries: mpsc::Sender<JournalEntry>,
    health: watch::Receiver<StoreHealth>,
    ceiling: watch::Receiver<u64>,
    handle: JournalHandle,
    interest: Arc<Interest>,
    keeper: Keeper,
}

impl Rig {
    fn new(settings: JournalSettings) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, disk) = (folder.path().join("lockstep.redb"), Disk::default());
        let (journal, _) = Journal::open_with(&path, disk.opener()).expect("a journal");
        let (entries, received) = mpsc::channel(1024);
        let (told, health) = watch::channel(StoreHealth::Healthy);
        let (reserved, ceiling) = watch::channel(journal.revision_ceiling());
        let interest = Arc::new(Interest::default());
        let (keeper, keeps) = Keeper::new(Arc::clone(&interest), 1);
        let journal = journal.with_settings(settings).with_sessions(Arc::clone(&interest), keeps);
        let handle = journal.start(received, told, reserved).expect("threads");
        Self { _folder: folder, path, disk, entries, health, ceiling, handle, interest, keeper }
    }

    /// Hands in one value; what comes back is answered when it is on disk.
    async fn set(&mut self, topic: &str, payload: &str, qos: Qos, level: Level) -> oneshot::Receiver<Vec<Outcome>> {
        let (reply, answer) = oneshot::channel();
        let settled = Settled::of(vec![(reply, vec![Ok(Accepted::default())])]);
        self.hand_in(topic, payload, qos, level, settled).await;
        answer
    }

    async fn hand_in(&mut self, topic: &str, payload: &str, qos: Qos, level: Level, settled: Settled) {
        let publication = Publication { qos, level, ..value(topic, payload) };
        self.hand_in_entry(vec![publication], settled, None).await;
    }

    async fn hand_in_entry(&mut self, publications: Vec<Publication>, settled: Settled, revision: Option<u64>) {
        let batch = Arc::new(Batch::without_credit(publications));
        let entry = JournalEntry { batch, settled, revision, finished: Vec::new(), received: None };
        self.entries.send(entry).await.expect("the journal runs");
    }

    async fn health(&mut self, wanted: impl Fn(&StoreHealth) -> bool) {
        timeout(LIMIT, self.health.wait_for(|health| wanted(health))).await.expect("in time").expect("told");
    }

    async fn on_disk(&self) -> BTreeMap<String, String> {
        let (reply, reader) = oneshot::channel();
        let jobs = self.handle.readers.upgrade().expect("the journal runs");
        jobs.send(Job::Read(reply)).await.expect("the disk thread runs");
        let values = reader.await.expect("an answer").expect("a reader").values().expect("values");
        values
            .into_iter()
            .map(|value| (value.topic.to_string(), String::from_utf8_lossy(&value.payload).into_owned()))
            .collect()
    }
}

async fn kept(answer: oneshot::Receiver<Vec<Outcome>>) -> bool {
    timeout(LIMIT, answer).await.expect("in time").is_ok()
}

#[tokio::test]
async fn an_answer_comes_when_the_value_is_on_disk_and_only_levels_that_last_are_written() {
    let mut rig = Rig::new(JournalSettings::default());
    let derived = rig.set("t/derived", "x", Qos::AtLeastOnce, Level::Derived).await;
    let event = rig.set("t/event", "x", Qos::AtLeastOnce, Level::Event).await;
    let first = rig.set("t/a", "1", Qos::AtLeastOnce, Level::Retained).await;
    assert!(kept(first).await && kept(derived).await && kept(event).await);
    assert_eq!(rig.on_disk().await, BTreeMap::from([("t/a".into(), "1".into())]));
    let cleared = rig.set("t/a", "", Qos::AtLeastOnce, Level::Retained).await;
    assert!(kept(cleared).await);
    assert_eq!(rig.on_disk().await, BTreeMap::new());
}

#[tokio::test]
async fn values_of_qos_0_wait_for_company_but_not_for_ever() {
    let settings = JournalSettings { lazy_delay: Duration::from_millis(300), ..JournalSettings::default() };
    let mut rig = Rig::new(settings);
    let begun = Instant::now();
    rig.hand_in("t/lazy", "1", Qos::AtMostOnce, Level::Retained, Settled::of(Vec::new())).await;
    loop {
        let found = rig.on_disk().await.contains_key("t/lazy");
        assert!(!found || begun.elapsed() >= settings.lazy_delay, "it was written at once");
        if found {
            break;
        }
        assert!(begun.elapsed() < LIMIT, "it was never written");
        tokio::task::yield_now().await;
    }
    rig.hand_in("t/rider", "2", Qos::AtMostOnce, Level::Retained, Settled::of(Vec::new())).await;
    let company = rig.set("t/company", "3", Qos::AtLeastOnce, Level::Retained).await;
    assert!(kept(company).await);
    assert!(rig.on_disk().await.contains_key("t/rider"));
}

#[tokio::test]
async fn a_full_disk_refuses_keeps_what_is_dirty_and_heals() {
    let settings = JournalSettings { retry_delay: Duration::from_millis(10), ..JournalSettings::default() };
    let mut rig = Rig::new(settings);
    assert!(kept(rig.set("t/a", "1", Qos::AtLeastOnce, Level::Retained).await).await);

    rig.disk.fill();
    assert!(!kept(rig.set("t/a", "2", Qos::AtLeastOnce, Level::Retained).await).await, "nothing may be acknowledged");
    rig.health(|health| matches!(health, StoreHealth::Failing { .. })).await;
    assert!(!kept(rig.set("t/b", "1", Qos::AtLeastOnce, Level::Retained).await).await);
    rig.hand_in("t/c", "1", Qos::AtMostOnce, Level::Retained, Settled::of(Vec::new())).await;
    rig.hand_in_entry(Vec::new(), Settled::of(Vec::new()), Some(9_000)).await;
    assert!(rig.keeper.keep(&"a".into(), vec![KeepChange::Record(Some(vec![1]))]).await.is_err());
    let query = HistoryQuery { room: "main".into(), from: 0, until: 1, after: None, entries_max: 1 };
    assert!(rig.handle.history(query).await.is_err());
    assert!(rig.handle.forget_room("main".into()).await.is_err());

    rig.disk.free();
    rig.health(|health| *health == StoreHealth::Healthy).await;
    assert!(kept(rig.set("t/d", "1", Qos::AtLeastOnce, Level::Retained).await).await);
    let expected = [("t/a", "2"), ("t/b", "1"), ("t/c", "1"), ("t/d", "1")];
    assert_eq!(rig.on_disk().await, expected.map(|(topic, value)| (topic.to_owned(), value.to_owned())).into());
    timeout(LIMIT, rig.ceiling.wait_for(|ceiling| *ceiling == 19_000)).await.expect("in time").expect("told");
    rig.handle.stop().await;
    let (_, restored) = Journal::open(&rig.path).expect("the file is free");
    assert_eq!(restored.revision, 9_000, "after a clean stop nothing is skipped");
    assert_eq!(restored.sessions.len(), 1);
    assert_eq!((&*restored.sessions[0].owner, &restored.sessions[0].record), ("a", &Some(vec![1])));
}

#[tokio::test]
async fn stopping_writes_everything_and_closes_the_file() {
    let mut rig = Rig::new(JournalSettings { lazy_delay: LIMIT, ..JournalSettings::default() });
    for number in 0..500 {
        rig.hand_in(&format!("t/{number}"), "1", Qos::AtMostOnce, Level::Retained, Settled::of(Vec::new())).await;
    }
    rig.handle.stop().await;
    let (_, restored) = Journal::open(&rig.path).expect("the file is free");
    assert_eq!(restored.values.len(), 500);
}

#[tokio::test]
async fn a_file_that_was_replaced_is_not_taken_for_the_same() {
    let settings = JournalSettings { retry_delay: Duration::from_millis(10), ..JournalSettings::default() };
    let mut rig = Rig::new(settings);
    assert!(kept(rig.set("t/a", "1", Qos::AtLeastOnce, Level::Retained).await).await);
    rig.disk.fill();
    assert!(!kept(rig.set("t/a", "2", Qos::AtLeastOnce, Level::Retained).await).await);
    let other = tempfile::tempdir().expect("a folder");
    drop(Journal::open(&other.path().join("other")).expect("another file"));
    std::fs::rename(other.path().join("other"), &rig.path).expect("replaced");
    rig.disk.free();
    rig.health(|health| matches!(health, StoreHealth::Failing { reason } if reason.contains("replaced"))).await;
}

#[tokio::test]
async fn a_session_finds_again_what_it_waited_for() {
    let rig = Rig::new(JournalSettings::default());
    let (owner, other): (Owner, Owner) = ("box-1".into(), "box-2".into());
    let wanted = Wanted { qos: Qos::ExactlyOnce, retain_as_published: false, subscription_id: Some(7) };
    let filter = Filter::parse("t/+").expect("a filter");
    rig.interest.set(&owner, 1, &filter, wanted, 0);
    rig.interest.set(&other, 1, &filter, wanted, 2);
    rig.keeper.keep(&owner, vec![KeepChange::Record(Some(b"one".to_vec()))]).await.expect("kept");
    rig.keeper.keep(&other, vec![KeepChange::Record(Some(b"two".to_vec()))]).await.expect("kept");
    for seq in 1..=4 {
        let (reply, answer) = oneshot::channel();
        let publication = Publication { seq, level: Level::Event, ..value(&format!("t/{seq}"), "x") };
        let batch = Arc::new(Batch::without_credit(vec![publication]));
        let settled = Settled::of(vec![(reply, vec![Ok(Accepted::default())])]);
        let received = Some(Received { owner: owner.clone(), ids: vec![seq as u16] });
        let entry = JournalEntry { batch, settled, revision: None, finished: Vec::new(), received };
        rig.entries.send(entry).await.expect("the journal runs");
        assert!(kept(answer).await);
    }
    let place = |seq| Place { run: 1, seq };
    let done = KeepChange::Done { place: place(2), subscription: 1 };
    rig.keeper.keep(&owner, vec![done, KeepChange::Released(1)]).await.expect("kept");
    // A message and what is said of it in one commit leave nothing behind, whatever comes first.
    let batch = Arc::new(Batch::without_credit(vec![Publication { seq: 5, ..value("t/5", "x") }]));
    let entry =
        JournalEntry { batch, settled: Settled::of(Vec::new()), revision: None, finished: Vec::new(), received: None };
    rig.entries.send(entry).await.expect("the journal runs");
    rig.keeper
        .hand_in(&owner, vec![KeepChange::Done { place: place(5), subscription: 1 }], false)
        .await
        .expect("taken");
    rig.keeper.keep(&other, vec![KeepChange::Record(None)]).await.expect("kept");
    rig.handle.stop().await;

    let (_, restored) = Journal::open(&rig.path).expect("the file");
    assert_eq!(restored.sessions.len(), 1, "{:?}", restored.sessions);
    let found = &restored.sessions[0];
    assert_eq!((&found.owner, found.record.as_deref()), (&owner, Some(&b"one"[..])));
    assert_eq!(found.received, [2, 3, 4]);
    let messages: Vec<_> = found.messages.iter().map(|m| (m.place, m.subscription, m.message.topic.as_str())).collect();
    assert_eq!(messages, [(place(1), 1, "t/1"), (place(3), 1, "t/3"), (place(4), 1, "t/4")]);
    assert!(found.messages.iter().all(|m| m.kept.qos == Qos::AtLeastOnce && m.kept.subscription_id == Some(7)));
}

#[tokio::test]
async fn a_backup_holds_what_was_handed_in_before_and_is_never_written_over() {
    let mut rig = Rig::new(JournalSettings { lazy_delay: LIMIT, ..JournalSettings::default() });
    rig.hand_in("t/a", "1", Qos::AtMostOnce, Level::Retained, Settled::of(Vec::new())).await;
    // A later answer shows that the entry was taken in.
    assert!(kept(rig.set("t/b", "2", Qos::AtMostOnce, Level::Event).await).await);
    let copy = rig.path.with_extension("copy");
    rig.handle.backup(copy.clone()).await.expect("a backup");
    assert!(rig.handle.backup(copy.clone()).await.expect_err("it exists").contains("exists already"));
    rig.handle.stop().await;
    let (_, restored) = Journal::open(&copy).expect("a backup is a file like any other");
    assert_eq!(restored.values.len(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    /// However sets, clearings and failures of the disk follow one another: after it has healed, the file holds the newest of all.
    #[test]
    fn the_file_ends_up_with_the_newest_values(
        steps in prop::collection::vec((0..6_u8, 0..3_u8, any::<bool>(), 0..12_u8), 1..60)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let retry_delay = Duration::from_millis(1);
            let settings = JournalSettings { retry_delay, retry_delay_max: retry_delay, commit_gap: retry_delay, ..JournalSettings::default() };
            let mut rig = Rig::new(settings);
            let mut model = BTreeMap::new();
            for (number, (topic, value, wait, luck)) in steps.into_iter().enumerate() {
                match luck {
                    0 => rig.disk.fill(),
                    1 => rig.disk.free(),
                    _ => {}
                }
                let (topic, payload) = (format!("t/{topic}"), if value == 0 { String::new() } else { format!("{value}-{number}") });
                let answer = rig.set(&topic, &payload, Qos::AtLeastOnce, Level::Retained).await;
                if wait {
                    let _ = kept(answer).await;
                }
                if payload.is_empty() { model.remove(&topic); } else { model.insert(topic, payload); }
            }
            rig.disk.free();
            rig.health(|health| *health == StoreHealth::Healthy).await;
            // Whatever was in flight when the disk filled up may fail once more.
            while !kept(rig.set("t/last", "x", Qos::AtLeastOnce, Level::Retained).await).await {
                rig.health(|health| *health == StoreHealth::Healthy).await;
            }
            model.insert("t/last".into(), "x".into());
            assert_eq!(rig.on_disk().await, model);
        });
    }
}
