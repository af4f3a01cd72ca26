#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use super::*;

fn level(topic: &str, payload: &str) -> Message {
    Message::new(topic, payload.to_owned(), true)
}

fn event(payload: &str) -> Message {
    Message::new("event", payload.to_owned(), false)
}

#[test]
fn a_newer_level_replaces_the_older_one_and_events_stay_in_order() {
    let mut outbox = Outbox::default();
    for message in [level("a", "1"), event("x"), level("b", "1"), level("a", "2"), event("y")] {
        outbox.push(message);
    }
    let sent: Vec<Message> = std::iter::from_fn(|| outbox.pop()).collect();
    assert_eq!(sent, [event("x"), level("b", "1"), level("a", "2"), event("y")]);
    assert!(outbox.is_empty());
}

#[test]
fn it_never_grows_beyond_its_bounds() {
    let mut outbox = Outbox::default();
    for n in 0..100_000 {
        outbox.push(level("a", &n.to_string()));
        outbox.push(event(&n.to_string()));
    }
    assert!(outbox.order.len() <= 64 + 2 * (EVENTS_MAX + 2), "{}", outbox.order.len());
    assert_eq!(outbox.dropped, 100_000 - EVENTS_MAX as u64);
    let sent: Vec<Message> = std::iter::from_fn(|| outbox.pop()).collect();
    assert_eq!(sent.len(), EVENTS_MAX + 1);
    assert_eq!(sent.last().unwrap(), &event("99999"));
}
