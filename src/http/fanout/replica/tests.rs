use proptest::prelude::*;

use super::*;
use crate::{
    domain::{
        origin::Origin,
        publication::{Level, Qos},
    },
    engine::Tree,
};

fn publication(seq: u64, topic: &str, payload: &'static str, level: Level) -> Publication {
    Publication {
        seq,
        topic: Topic::parse(topic).expect("topic"),
        payload: payload.into(),
        level,
        qos: Qos::AtMostOnce,
        origin: Origin::Hub,
        session: None,
        expires_at: None,
        properties: None,
    }
}

fn filters(texts: &[&str]) -> Vec<Filter> {
    texts.iter().map(|text| Filter::parse(text).expect("filter")).collect()
}

fn empty() -> Replica {
    Replica::new(Snapshot { seq: 0, values: Vec::new() })
}

#[test]
fn overlapping_filters_give_each_topic_once_and_a_page_goes_on_where_the_last_one_ended() {
    let mut replica = empty();
    for (i, topic) in ["a", "a/b", "a/b/c", "b", "c/d"].iter().enumerate() {
        replica.apply(&publication(i as u64 + 1, topic, "x", Level::Retained));
    }
    let wanted = filters(&["a/#", "+", "c/d", "a/b"]);
    let all: Vec<_> = replica.matching(&wanted, None).map(|(topic, _)| topic.as_str()).collect();
    assert_eq!(all, ["a", "a/b", "a/b/c", "b", "c/d"]);
    let after = Topic::parse("a/b").expect("topic");
    let rest: Vec<_> = replica.matching(&wanted, Some(&after)).map(|(topic, _)| topic.as_str()).collect();
    assert_eq!(rest, ["a/b/c", "b", "c/d"]);
}

#[test]
fn deletions_are_forgotten_in_the_end_and_the_cursor_is_told() {
    let mut replica = empty();
    let mut seq = 0;
    let mut next = || {
        seq += 1;
        seq
    };
    for i in 0..=TOMBSTONES_MAX {
        let topic = format!("t/{i}");
        replica.apply(&publication(next(), &topic, "x", Level::Retained));
        replica.apply(&publication(next(), &topic, "", Level::Retained));
    }
    assert!(!replica.remembers(1) && replica.remembers(2));
    assert_eq!(replica.changes(0, u64::MAX - 1).count(), TOMBSTONES_MAX);
    assert_eq!(replica.deleted.len(), TOMBSTONES_MAX);
}

proptest! {
    /// The indexed copy shows what the engine's tree shows, whatever was published.
    #[test]
    fn it_agrees_with_the_tree(
        steps in prop::collection::vec((0usize..6, prop_oneof![Just(""), Just("1"), Just("2")], any::<bool>()), 0..60),
        cursor in 0u64..60,
    ) {
        let topics = ["a", "a/b", "a/c", "b/c", "b", "$x/y"];
        let (mut replica, mut tree) = (empty(), Tree::default());
        for (i, (topic, payload, level)) in steps.iter().enumerate() {
            let level = if *level { Level::Retained } else { Level::Event };
            let publication = publication(i as u64 + 1, topics[*topic], payload, level);
            replica.apply(&publication);
            tree.apply(&publication);
        }
        for set in [&["#"][..], &["+"], &["a/#", "b"], &["$x/+", "+/c", "a"]] {
            let set = filters(set);
            let ours: Vec<_> = replica.matching(&set, None).map(|(topic, (seq, _))| (topic.clone(), *seq)).collect();
            let theirs: Vec<_> = tree.snapshot(&set).values.iter().map(|v| (v.topic.clone(), v.seq)).collect();
            prop_assert_eq!(ours, theirs);
            if let Some(changes) = tree.changes_since(cursor, &set) {
                let ours: Vec<_> = replica
                    .changes(cursor, replica.seq())
                    .filter(|(_, topic, _)| set.iter().any(|filter| filter.matches(topic.as_str())))
                    .map(|(seq, topic, payload)| (seq, topic.clone(), payload.is_empty()))
                    .collect();
                let theirs: Vec<_> = changes.changes.iter().map(|change| match change {
                    crate::engine::Change::Set(value) => (value.seq, value.topic.clone(), false),
                    crate::engine::Change::Deleted { topic, seq } => (*seq, topic.clone(), true),
                }).collect();
                // The tree leaves out deletions of what a cursor never saw; a browser ignores those.
                prop_assert!(theirs.iter().all(|change| ours.contains(change)));
                prop_assert!(ours.iter().all(|change| change.2 || theirs.contains(change)));
            }
        }
    }
}
