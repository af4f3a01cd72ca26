//! Who waits for which topics.

use proptest::prelude::*;

use super::*;
use crate::{
    domain::topic::{Filter, Topic},
    engine::{Interest, Owner, Wanted},
};

const WANTED: Wanted = Wanted { qos: Qos::ExactlyOnce, retain_as_published: false, subscription_id: None };

#[test]
fn only_what_is_published_after_the_beginning_is_waited_for() {
    let interest = Interest::default();
    let (owner, filter): (Owner, _) = ("c1".into(), Filter::parse("a/+").unwrap());
    assert!(interest.is_empty() && !interest.is_waiting("a/b"));
    interest.set(&owner, 1, &filter, WANTED, 10);
    assert!(interest.is_waiting("a/b"));
    assert_eq!((interest.waiting("a/b", 10).len(), interest.waiting("a/b", 11).len()), (0, 1));
    // Asked for anew it waits as before, but otherwise.
    let less = Wanted { qos: Qos::AtLeastOnce, ..WANTED };
    interest.set(&owner, 1, &filter, less, 20);
    assert_eq!(interest.waiting("a/b", 11), [(owner.clone(), 1, less)]);
    interest.remove(&owner, 2, &filter);
    assert!(interest.is_waiting("a/b"));
    interest.remove(&owner, 1, &filter);
    assert!(interest.is_empty() && !interest.is_waiting("a/b"));
}

proptest! {
    #[test]
    fn waiting_is_what_the_filters_match(
        filters in prop::collection::vec("([ab$]|\\+){0,1}(/([ab]|\\+){0,1}){0,2}(/#)?|#", 1..8),
        topics in prop::collection::vec("[ab$]{0,1}(/[ab]{0,1}){0,3}", 1..8),
        gone in prop::collection::vec(any::<bool>(), 8),
    ) {
        let interest = Interest::default();
        let filters: Vec<Filter> = filters.iter().filter_map(|text| Filter::parse(text).ok()).collect();
        let owner: Owner = "c".into();
        for (number, filter) in (0..).zip(&filters) {
            interest.set(&owner, number, filter, WANTED, 0);
        }
        for (number, filter) in (0..).zip(&filters).filter(|(number, _)| gone[*number as usize]) {
            interest.remove(&owner, number, filter);
        }
        for topic in topics.iter().filter_map(|text| Topic::parse(text).ok()) {
            let mut seen: Vec<u32> = interest.waiting(topic.as_str(), 1).into_iter().map(|(_, number, _)| number).collect();
            seen.sort_unstable();
            let wanted: Vec<u32> = (0..).zip(&filters)
                .filter(|(number, filter)| !gone[*number as usize] && filter.matches(topic.as_str()))
                .map(|(number, _)| number)
                .collect();
            prop_assert_eq!(&seen, &wanted, "{}", topic);
            prop_assert_eq!(interest.is_waiting(topic.as_str()), !wanted.is_empty());
        }
    }
}
