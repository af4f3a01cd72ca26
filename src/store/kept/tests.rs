//! The queues against a model, and bytes that are no records.

use proptest::prelude::*;

use super::*;
use crate::{domain::topic::Filter, store::file::tests::value};

fn kept(stage: KeptStage) -> Kept {
    Kept { qos: Qos::AtLeastOnce, retain: true, subscription_id: Some(3), stage }
}

/// A session with one message, and the changes that write it.
pub(in crate::store) fn queued(owner: &str) -> (Vec<RestoredOwner>, KeptChanges) {
    let (mut queues, mut changes) = (KeptQueues::new(1, &[]), KeptChanges::default());
    let owner: Owner = owner.into();
    let (place, message) = (Place { run: 1, seq: 9 }, Publication { seq: 9, ..value("a/b", "queued") });
    let add =
        KeepChange::Add { place, subscription: 1, kept: kept(KeptStage::Sent), message: Box::new(message.clone()) };
    queues.change(&owner, KeepChange::Record(Some(b"record".to_vec())), &mut changes);
    queues.change(&owner, add, &mut changes);
    queues.receive(Received { owner: Arc::clone(&owner), ids: vec![4] }, &mut changes);
    let messages = vec![RestoredMessage { place, subscription: 1, kept: kept(KeptStage::Sent), message }];
    (vec![RestoredOwner { owner, record: Some(b"record".to_vec()), messages, received: vec![4] }], changes)
}

/// What a file would hold.
#[derive(Debug, Default, PartialEq)]
struct Disk {
    rows: BTreeMap<(Owner, Place, u32), Kept>,
    messages: BTreeMap<Place, String>,
}

impl Disk {
    fn write(&mut self, changes: &KeptChanges) {
        for (key, slot) in &changes.rows {
            match slot.value {
                Some(kept) => drop(self.rows.insert(key.clone(), kept)),
                None => drop(self.rows.remove(key).expect("what is removed was there")),
            }
        }
        for (place, slot) in &changes.messages {
            match &slot.value {
                Some(message) => drop(self.messages.insert(*place, message.topic.to_string())),
                None => drop(self.messages.remove(place).expect("what is removed was there")),
            }
        }
    }
}

#[derive(Debug, Clone)]
enum Step {
    Publish,
    Done(u64, u8),
    Stage(u64, u8),
    Take(u64),
    Only(u8, u64),
    Empty(u8),
    Commit { fails: bool },
}

fn step() -> impl Strategy<Value = Step> {
    let (seq, owner) = (1..12_u64, 0..2_u8);
    prop_oneof![
        4 => Just(Step::Publish),
        4 => (seq.clone(), owner.clone()).prop_map(|(seq, owner)| Step::Done(seq, owner)),
        2 => (seq.clone(), owner.clone()).prop_map(|(seq, owner)| Step::Stage(seq, owner)),
        2 => seq.clone().prop_map(Step::Take),
        1 => (owner.clone(), seq).prop_map(|(owner, seq)| Step::Only(owner, seq)),
        1 => owner.prop_map(Step::Empty),
        3 => any::<bool>().prop_map(|fails| Step::Commit { fails }),
    ]
}

proptest! {
    #[test]
    fn the_file_has_what_the_queues_have(steps in prop::collection::vec(step(), 1..60)) {
        let interest = Arc::new(Interest::default());
        let wanted = Wanted { qos: Qos::ExactlyOnce, retain_as_published: false, subscription_id: None };
        let names: [Owner; 2] = ["c1".into(), "g".into()];
        interest.set(&names[0], 1, &Filter::parse("a").unwrap(), wanted, 0);
        interest.set(&names[1], 0, &Filter::parse("#").unwrap(), wanted, 3);
        let mut queues = KeptQueues::new(1, &[]);
        queues.ask(Arc::clone(&interest));
        let (mut changes, mut disk, mut seq) = (KeptChanges::default(), Disk::default(), 0);
        let subscription = |owner: u8| if owner == 0 { 1 } else { 0 };
        for step in steps.into_iter().chain([Step::Commit { fails: false }]) {
            match step {
                Step::Publish => {
                    seq += 1;
                    let publication = Publication { seq, ..value(if seq % 3 == 0 { "b" } else { "a" }, "x") };
                    queues.publish(&publication, &mut changes);
                }
                Step::Done(seq, owner) => {
                    let done = KeepChange::Done { place: Place { run: 1, seq }, subscription: subscription(owner) };
                    queues.change(&names[usize::from(owner)], done, &mut changes);
                }
                Step::Stage(seq, owner) => {
                    let (place, subscription) = (Place { run: 1, seq }, subscription(owner));
                    let stage = KeepChange::Stage { place, subscription, stage: KeptStage::Released };
                    queues.change(&names[usize::from(owner)], stage, &mut changes);
                }
                Step::Take(seq) => {
                    let place = Place { run: 1, seq };
                    let take = KeepChange::Take { from: names[1].clone(), place, subscription: 2, wanted };
                    queues.change(&names[0], take, &mut changes);
                }
                Step::Only(owner, up_to) => {
                    let (subscription, places) = (subscription(owner), HashSet::from([Place { run: 1, seq: 2 }]));
                    let only = KeepChange::Only { subscription, up_to: Some(up_to), places };
                    queues.change(&names[usize::from(owner)], only, &mut changes);
                }
                Step::Empty(owner) => queues.change(&names[usize::from(owner)], KeepChange::Emptied, &mut changes),
                // What failed comes back beneath what changed since.
                Step::Commit { fails: true } => {
                    let failed = std::mem::take(&mut changes);
                    seq += 1;
                    queues.publish(&Publication { seq, ..value("a", "x") }, &mut changes);
                    queues.change(&names[0], KeepChange::Emptied, &mut changes);
                    changes.put_beneath(failed);
                }
                Step::Commit { fails: false } => disk.write(&std::mem::take(&mut changes)),
            }
        }
        let rows = queues.owners.iter().flat_map(|(owner, owned)| {
            owned.rows.iter().map(|((place, subscription), kept)| ((Arc::clone(owner), *place, *subscription), *kept))
        });
        prop_assert_eq!(&disk.rows, &rows.collect::<BTreeMap<_, _>>());
        let places: HashSet<Place> = disk.rows.keys().map(|(_, place, _)| *place).collect();
        prop_assert_eq!(disk.messages.keys().copied().collect::<HashSet<_>>(), places);
        prop_assert_eq!(queues.len(), disk.messages.len());
    }

    #[test]
    fn what_is_written_is_read_back(topic in "[a-zé/]{1,20}", payload in ".{0,30}", id in 0..9_u32, stage in 0..3_u8) {
        let message = Publication { seq: 5, ..value(&topic, &payload) };
        prop_assert_eq!(read_message(5, &write_message(&message)), Some(message));
        let stage = [KeptStage::Waiting, KeptStage::Sent, KeptStage::Released][usize::from(stage)];
        let kept = Kept { subscription_id: (id > 0).then_some(id), ..kept(stage) };
        prop_assert_eq!(read_kept(&write_kept(&kept)), Some(kept));
    }

    #[test]
    fn no_bytes_make_the_reader_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        let _ = (read_message(1, &bytes), read_kept(&bytes));
        // Another version is not guessed at.
        bytes.insert(0, VERSION + 1);
        prop_assert_eq!((read_message(1, &bytes), read_kept(&bytes)), (None, None));
    }

    #[test]
    fn a_changed_byte_never_makes_the_reader_panic(at in 0..40_usize, byte in any::<u8>()) {
        let mut bytes = write_message(&value("a/b", "payload"));
        if let Some(changed) = bytes.get_mut(at) {
            *changed = byte;
        }
        let _ = read_message(1, &bytes);
    }
}
