//! The retained tree beside a naive model of it.

use std::collections::BTreeMap;

use proptest::{collection::vec, prelude::*};

use super::*;

fn publication(seq: u64, topic: &str, payload: &str, level: Level) -> Publication {
    Publication {
        seq,
        topic: Topic::parse(topic).unwrap(),
        payload: Bytes::copy_from_slice(payload.as_bytes()),
        level,
        qos: Qos::AtLeastOnce,
        origin: Origin::Hub,
        session: None,
        expires_at: None,
        properties: None,
    }
}

fn any_publication() -> impl Strategy<Value = (String, String, Level)> {
    let level = prop_oneof![
        5 => Just(Level::Retained),
        1 => Just(Level::Event),
        1 => Just(Level::Derived),
        1 => Just(Level::Reading),
    ];
    ("\\$?[ab]{1,2}(/[ab]?){0,2}", prop_oneof![3 => "[a-z]{1,4}", 2 => Just(String::new())], level)
}

fn any_filter() -> impl Strategy<Value = Filter> {
    "(\\$?[ab]{1,2}|\\+)(/([ab]?|\\+)){0,2}(/#)?|#".prop_map(|text| Filter::parse(&text).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_tree_is_what_the_publications_say(
        said in vec(any_publication(), 0..60), cursor in 0u64..70, filters in vec(any_filter(), 1..4), from in 0usize..60,
    ) {
        let said: Vec<_> =
            said.iter().zip(1..).map(|((topic, payload, level), seq)| publication(seq, topic, payload, *level)).collect();
        let mut tree = Tree::default();
        let mut replica = Tree::default();
        // The newest level of each topic, deletions included, and whether it had a value at the cursor or later.
        let mut newest: BTreeMap<&str, &Publication> = BTreeMap::new();
        let mut deleted: BTreeMap<&str, u64> = BTreeMap::new();
        for (n, publication) in said.iter().enumerate() {
            if n == from {
                let all = [Filter::parse("#").unwrap(), Filter::parse("$a/#").unwrap(), Filter::parse("$b/#").unwrap(),
                    Filter::parse("$aa/#").unwrap(), Filter::parse("$ab/#").unwrap(), Filter::parse("$ba/#").unwrap(),
                    Filter::parse("$bb/#").unwrap()];
                replica = Tree::from_snapshot(tree.snapshot(&all));
            }
            tree.apply(publication);
            tree.apply(publication); // a repeat changes nothing
            if n >= from {
                replica.apply(publication);
            }
            if publication.is_level() {
                let topic = publication.topic.as_str();
                if publication.payload.is_empty() {
                    if newest.remove(topic).is_some() {
                        deleted.insert(topic, publication.seq);
                    }
                } else {
                    newest.insert(topic, publication);
                }
            }
        }
        let matched = |topic: &str| filters.iter().any(|filter| filter.matches(topic));
        prop_assert_eq!((tree.len(), tree.seq()), (newest.len(), said.len() as u64));
        prop_assert_eq!(tree.bytes(), newest.values().map(|p| p.topic.as_str().len() + p.payload.len()).sum::<usize>());
        // A snapshot holds what the filters match, each once, by topic.
        let snapshot: Vec<_> = tree.snapshot(&filters).values.into_iter().map(|v| (v.topic, v.seq)).collect();
        let expected: Vec<_> =
            newest.values().filter(|p| matched(p.topic.as_str())).map(|p| (p.topic.clone(), p.seq)).collect();
        prop_assert_eq!(snapshot, expected);
        // A replica that began with a snapshot is the same tree.
        if from < said.len() {
            prop_assert_eq!(replica.snapshot(&filters), tree.snapshot(&filters));
            prop_assert_eq!((replica.bytes(), replica.len()), (tree.bytes(), tree.len()));
        }
        // What changed since the cursor: sets but for readings, and deletions, ascending.
        let mut expected: Vec<(u64, String, bool)> = newest
            .values()
            .filter(|p| p.seq > cursor && p.level != Level::Reading && matched(p.topic.as_str()))
            .map(|p| (p.seq, p.topic.to_string(), true))
            .collect();
        expected.extend(
            deleted
                .iter()
                .filter(|(topic, seq)| **seq > cursor && !newest.contains_key(*topic) && matched(topic))
                .map(|(topic, seq)| (*seq, (*topic).to_owned(), false)),
        );
        expected.sort();
        let changes = tree.changes_since(cursor, &filters);
        if cursor > tree.seq() {
            prop_assert_eq!(changes, None);
        } else {
            let changes: Vec<_> = changes.unwrap().changes.into_iter().map(|change| match change {
                Change::Set(retained) => (retained.seq, retained.topic.to_string(), true),
                Change::Deleted { topic, seq } => (seq, topic.to_string(), false),
            }).collect();
            prop_assert_eq!(changes, expected);
        }
    }
}

#[test]
fn a_cursor_older_than_the_tombstones_gets_no_changes() {
    let all = filters(&["#"]);
    let mut tree = Tree::default();
    let mut seq = 0;
    for n in 0..=TOMBSTONES_MAX {
        for payload in ["x", ""] {
            seq += 1;
            tree.apply(&publication(seq, &format!("t/{n}"), payload, Level::Retained));
        }
        if n + 1 == TOMBSTONES_MAX {
            assert!(tree.changes_since(0, &all).is_some(), "all deletions are remembered");
        }
    }
    // The first deletion, at 2, is forgotten: who had not seen it begins anew.
    assert_eq!(tree.changes_since(0, &all), None);
    assert_eq!(tree.changes_since(1, &all), None);
    assert_eq!(tree.changes_since(2, &all).unwrap().changes.len(), TOMBSTONES_MAX);
    assert_eq!(tree.changes_since(seq, &all).unwrap().changes, []);
    assert_eq!(tree.changes_since(seq + 1, &all), None);
    // A replica knows of no deletion before it began.
    let replica = Tree::from_snapshot(tree.snapshot(&all));
    assert_eq!(replica.changes_since(seq - 1, &all), None);
    assert_eq!(replica.changes_since(seq, &all).unwrap().changes, []);
}
