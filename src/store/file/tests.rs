//! A disk that fails when it is told to.

use std::{
    collections::{BTreeSet, HashMap},
    ops::Bound,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use redb::{BackendError, StorageBackend, backends::FileBackend};

use super::*;
use crate::domain::{
    history::{HistoryEntry, Outcome, Place},
    origin::Origin,
    publication::{Level, Qos},
    topic::Topic,
};

/// Switches a disk between working and full.
#[derive(Debug, Clone, Default)]
pub(in crate::store) struct Disk(Arc<AtomicBool>);

impl Disk {
    pub(in crate::store) fn fill(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    pub(in crate::store) fn free(&self) {
        self.0.store(false, Ordering::SeqCst);
    }

    pub(in crate::store) fn opener(&self) -> Opener {
        let disk = self.clone();
        Box::new(move |path| {
            disk.check()?;
            let file = fs::OpenOptions::new().read(true).write(true).open(path)?;
            Builder::new().create_with_backend(FullDisk { inner: FileBackend::new(file)?, disk: disk.clone() })
        })
    }

    fn check(&self) -> Result<(), io::Error> {
        if self.0.load(Ordering::SeqCst) { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }
}

#[derive(Debug)]
struct FullDisk {
    inner: FileBackend,
    disk: Disk,
}

impl StorageBackend for FullDisk {
    fn len(&self) -> Result<u64, io::Error> {
        self.inner.len()
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        self.inner.read(offset, out)
    }
    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        self.disk.check()?;
        self.inner.set_len(len)
    }
    fn sync_data(&self) -> Result<(), io::Error> {
        self.disk.check()?;
        self.inner.sync_data()
    }
    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        self.disk.check()?;
        self.inner.write(offset, data)
    }
    fn close(&self) -> Result<(), io::Error> {
        self.inner.close()
    }
    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.try_lock_range(start, end)
    }
    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.unlock_range(start, end)
    }
}

pub(in crate::store) fn value(topic: &str, payload: &str) -> Publication {
    Publication {
        seq: 0,
        topic: Topic::parse(topic).expect("a topic"),
        payload: payload.to_owned().into(),
        level: Level::Retained,
        qos: Qos::AtLeastOnce,
        origin: Origin::Hub,
        session: None,
        expires_at: None,
        properties: None,
    }
}

fn set(topic: &str, payload: &str) -> Changes {
    let value = value(topic, payload);
    Changes { retained: HashMap::from([(value.topic.clone(), value)]), ..Changes::default() }
}

fn open(path: &Path) -> Result<(StoreFile, Restored), OpenError> {
    StoreFile::open(path, Box::new(open_database))
}

#[test]
fn what_was_committed_is_there_again_and_starts_are_counted() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("deep/lockstep.redb");
    let (mut file, restored) = open(&path).expect("a new file");
    assert_eq!(restored, Restored { starts: 1, ..Restored::default() });
    file.commit(&set("a/b", "1")).expect("a commit");
    file.commit(&Changes { revision_ceiling: Some(2000), ..set("a/b", "2") }).expect("a commit");
    file.commit(&set("c", "3")).expect("a commit");
    drop(file);
    let (_, restored) = open(&path).expect("the file");
    assert_eq!(restored.values, [value("a/b", "2"), value("c", "3")]);
    assert_eq!((restored.starts, restored.revision), (2, 2000));
}

#[test]
fn a_second_opening_is_refused_and_names_the_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("lockstep.redb");
    let _open = open(&path).expect("a new file");
    let error = open(&path).expect_err("in use");
    assert!(matches!(error, OpenError::InUse { .. }), "{error:?}");
    assert!(error.to_string().contains("lockstep.redb"), "{error}");
}

#[test]
fn a_foreign_file_an_empty_file_and_a_damaged_file_are_errors_that_name_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("lockstep.redb");
    let (mut file, _) = open(&path).expect("a new file");
    for number in 0..200 {
        file.commit(&set(&format!("t/{number}"), &"x".repeat(500))).expect("a commit");
    }
    drop(file);
    let good = fs::read(&path).expect("the file");
    let mut zeroed = good.clone();
    zeroed[8192..].fill(0);
    let mut flipped = good.clone();
    for byte in flipped[4096..].iter_mut().step_by(97) {
        *byte ^= 0x55;
    }
    let cases = [
        ("text", b"not a database".to_vec()),
        ("empty", Vec::new()),
        ("cut", good[..good.len() / 2].to_vec()),
        ("zeroed", zeroed),
        ("flipped", flipped),
    ];
    for (case, bytes) in cases {
        fs::write(&path, &bytes).expect("written");
        match open(&path) {
            Err(error @ OpenError::Damaged { .. }) => assert!(error.to_string().contains("lockstep.redb"), "{error}"),
            Err(error) => panic!("{case}: {error:?}"),
            Ok((_, restored)) => panic!("{case}: taken for a file with {} values", restored.values.len()),
        }
    }
}

#[test]
fn a_newer_file_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("lockstep.redb");
    drop(open(&path).expect("a new file"));
    let database = Database::open(&path).expect("a database");
    let transaction = database.begin_write().expect("a transaction");
    transaction.open_table(META).expect("a table").insert(FORMAT_KEY, FORMAT + 1).expect("inserted");
    transaction.commit().expect("committed");
    drop(database);
    let error = open(&path).expect_err("too new");
    assert!(matches!(error, OpenError::Newer { found: 2, .. }), "{error:?}");
}

#[test]
fn a_folder_that_cannot_be_made_is_an_error_that_says_what_to_do() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("file"), "").expect("written");
    let error = open(&folder.path().join("file/lockstep.redb")).expect_err("no folder");
    assert!(error.to_string().contains("--data-dir"), "{error}");
}

fn line(room: &str, ended_at: i64) -> HistoryEntry {
    HistoryEntry {
        room: room.into(),
        thing: "pomodoro".into(),
        phase: "work".into(),
        planned_seconds: 1500.0,
        actual_seconds: 1500.0,
        outcome: Outcome::Completed,
        by: "hub".into(),
        started_at: ended_at - 1_500_000,
        ended_at,
    }
}

#[test]
fn the_history_is_read_by_room_and_time_and_pruned_by_age() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("lockstep.redb");
    let (mut file, _) = open(&path).expect("a new file");
    let lines = vec![line("main", 10), line("attic", 20), line("main", 30), line("main", 30), line("main", 40)];
    file.commit(&Changes { history: lines, ..Changes::default() }).expect("a commit");
    file.commit(&Changes { history: vec![line("main", 30)], ..Changes::default() }).expect("a commit");
    let ended = |file: &mut StoreFile, room: &str, from, until, entries_max| -> Vec<i64> {
        let query = HistoryQuery { room: room.into(), from, until, after: None, entries_max };
        let page = file.reader().expect("a reader").history(&query).expect("entries");
        page.entries.iter().map(|entry| entry.ended_at).collect()
    };
    assert_eq!(ended(&mut file, "main", 0, 100, 100), [10, 30, 30, 30, 40]);
    assert_eq!(ended(&mut file, "main", 30, 40, 100), [30, 30, 30]);
    assert_eq!(ended(&mut file, "main", 0, 100, 2), [10, 30]);
    assert_eq!(ended(&mut file, "main", 50, 10, 2), [0; 0]);
    assert_eq!(ended(&mut file, "attic", 0, 100, 100), [20]);
    file.commit(&Changes { history_cutoff: Some(30), ..Changes::default() }).expect("a commit");
    assert_eq!(ended(&mut file, "main", 0, 100, 100), [30, 30, 30, 40]);
    assert_eq!(ended(&mut file, "attic", 0, 100, 100), [0; 0]);
}

#[test]
fn pages_of_the_history_join_without_a_gap_whatever_ended_at_the_same_moment() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut file, _) = open(&folder.path().join("lockstep.redb")).expect("a new file");
    let lines = [10, 20, 20, 20, 30, 30].map(|at| line("main", at));
    file.commit(&Changes { history: lines.into(), ..Changes::default() }).expect("a commit");
    let reader = file.reader().expect("a reader");
    let page = |from, until, after, entries_max| {
        let query = HistoryQuery { room: "main".into(), from, until, after, entries_max };
        reader.history(&query).expect("a page")
    };
    for entries_max in 1..8 {
        let (mut after, mut all) = (None, Vec::new());
        loop {
            let page = page(0, 31, after, entries_max);
            assert!(page.entries.len() <= entries_max);
            all.extend(page.entries.iter().map(|entry| entry.ended_at));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(all, [10, 20, 20, 20, 30, 30], "{entries_max} at a time");
    }
    let last = Place { ended_at: 30, number: u64::MAX };
    for (from, until, after) in [(0, 31, Some(last)), (0, 20, Some(last)), (40, 20, None), (20, 20, None)] {
        assert_eq!(page(from, until, after, 9), HistoryPage::default(), "{from} {until} {after:?}");
    }
    let before = Place { ended_at: 10, number: 0 };
    assert_eq!(page(20, 31, Some(before), 9).entries.len(), 5, "a place before the range is its beginning");
}

#[test]
fn a_forgotten_room_keeps_only_what_ended_after() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut file, _) = open(&folder.path().join("lockstep.redb")).expect("a new file");
    let lines = vec![line("attic", 10), line("main", 10), line("main2", 10)];
    file.commit(&Changes { history: lines, ..Changes::default() }).expect("a commit");
    let mut newer = Changes {
        history_forgotten: BTreeSet::from(["main".to_owned()]),
        history: vec![line("main", 30)],
        ..Changes::default()
    };
    // What a failed commit had not written is forgotten with the rest.
    newer.put_beneath(Changes { history: vec![line("main", 20), line("attic", 20)], ..Changes::default() });
    file.commit(&newer).expect("a commit");
    for (room, ended) in [("main", vec![30]), ("attic", vec![10, 20]), ("main2", vec![10])] {
        let query = HistoryQuery { room: room.into(), from: 0, until: 99, after: None, entries_max: 9 };
        let page = file.reader().expect("a reader").history(&query).expect("entries");
        assert_eq!(page.entries.iter().map(|entry| entry.ended_at).collect::<Vec<_>>(), ended, "{room}");
    }
}

#[test]
fn looking_at_the_file_says_what_the_hub_would_say_and_leaves_it_as_it_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("lockstep.redb");
    assert_eq!(crate::store::check(&path).expect("nothing is fine"), None);
    let (mut file, _) = open(&path).expect("a new file");
    file.commit(&set("a", "1")).expect("a commit");
    let in_use = crate::store::check(&path).expect_err("the hub runs").to_string();
    assert!(in_use.contains("another hub is running"), "{in_use}");
    drop(file);
    let before = fs::read(&path).expect("the file");
    assert_eq!(crate::store::check(&path).expect("sound"), Some(1));
    assert!(fs::read(&path).expect("the file") == before, "it was written to");

    fs::write(&path, &before[..before.len() / 2]).expect("cut");
    let error = crate::store::check(&path).expect_err("damaged").to_string();
    assert!(error.contains("lockstep.redb is damaged"), "{error}");
    let names = fs::read_dir(folder.path()).expect("the folder").map(|entry| entry.expect("an entry").file_name());
    assert_eq!(names.collect::<Vec<_>>(), ["lockstep.redb"], "nothing is left behind");
}

#[test]
fn a_copy_holds_everything_and_is_put_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let (path, backup) = (folder.path().join("hub/lockstep.redb"), folder.path().join("backup"));
    let (mut file, _) = open(&path).expect("a new file");
    let (queues, kept) = crate::store::kept::tests::queued("a/b");
    let logins = crate::store::logins::tests::made(1);
    file.commit(&Changes { kept, logins, history: vec![line("main", 10)], ..set("a", "old") }).expect("a commit");
    let reader = file.reader().expect("a reader");
    file.commit(&set("a", "new")).expect("a commit");
    reader.copy_to(&backup).expect("a copy");
    assert!(reader.copy_to(&backup).is_err(), "a backup is never overwritten");
    drop(reader);

    let in_use = crate::store::restore(&backup, &path).expect_err("the hub runs");
    assert!(in_use.to_string().contains("another hub is running"), "{in_use}");
    drop(file);
    let restoration = crate::store::restore(&backup, &path).expect("restored");
    let (mut file, restored) = open(&path).expect("the file");
    assert_eq!(restored.values, [value("a", "old")]);
    assert_eq!(restored.sessions, queues);
    assert_eq!(restored.logins, [], "who logged out since must not be back");
    let query = HistoryQuery { room: "main".into(), from: 0, until: 99, after: None, entries_max: 9 };
    assert_eq!(file.reader().expect("a reader").history(&query).expect("entries").entries.len(), 1);
    drop(file);
    let (_, previous) = open(&restoration.previous.expect("kept")).expect("what was there");
    assert_eq!(previous.values, [value("a", "new")]);

    fs::write(&backup, "rubbish").expect("written");
    let error = crate::store::restore(&backup, &path).expect_err("no backup").to_string();
    assert!(error.contains("backup is damaged"), "{error}");
}
