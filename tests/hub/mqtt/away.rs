//! What changed while the hub was off, and what a crash must not forget: users, rules, retained values of QoS 2.

use std::{path::Path, time::Duration};

use super::{
    kept::connected,
    packets::{Connect, PUBREL, Will},
};
use crate::{
    figures::Figures,
    support::{Hub, eventually, free_port},
};

/// Writes the users of a hub, all of them devices with the password `secret`.
fn write_users(data: &Path, names: &[&str]) {
    let hash = lockstep::policy::hash_password(b"secret").unwrap();
    let lines: String = names.iter().map(|name| format!("{name}:device:{hash}\n")).collect();
    std::fs::write(data.join("users"), lines).unwrap();
}

fn of(user: &str, connect: Connect) -> Connect {
    Connect { user: Some((user.to_owned(), "secret".to_owned())), ..connect }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_that_was_deleted_while_the_hub_was_off_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    write_users(folder.path(), &["anna", "ben"]);
    let hub = Hub::start_in(folder.path(), &format!("127.0.0.1:{}", free_port()), &[]);
    let will = Will { topic: "will/anna".to_owned(), payload: "gone".to_owned(), qos: 1, ..Will::default() };
    let annas = of("anna", Connect { will: Some(will), keep_alive: 1, ..Connect::lasting("annas", 100) });
    let bens = of("ben", Connect::lasting("bens", 100));
    let (mut ben, _) = connected(&hub, &bens).await;
    ben.subscribe("will/#", 1).await;
    let (mut anna, _) = connected(&hub, &annas).await;
    anna.subscribe("free/#", 1).await;
    anna.subscribe("$share/g/free/#", 1).await;
    assert_eq!(ben.publish("free/x", "before", 1, false).await, 0);
    write_users(folder.path(), &["ben"]);
    let hub = hub.kill_and_restart();

    let (mut ben, present) = connected(&hub, &bens).await;
    assert!(present, "ben's session is nobody else's business");
    assert_eq!(Figures::of(&hub).await.value("lockstep_mqtt_lasting_sessions"), 1.0);
    assert_eq!(ben.publish("free/x", "after", 1, false).await, 0);
    // What is acknowledged after it is on disk behind it.
    assert_eq!(ben.publish("fence", "x", 1, true).await, 0);
    eventually("nothing waits for whoever is gone", async || {
        let waiting = Figures::of(&hub).await.value("lockstep_journal_session_messages");
        if waiting == 0.0 { Ok(()) } else { Err(waiting) }
    })
    .await;
    // One and a half times the keep-alive after the start anna's will would be due.
    if let Some(packet) = ben.within(Duration::from_millis(1_800)).await {
        panic!("something of anna's came: {packet:?}");
    }
    // Whoever comes under her client id begins anew.
    let (mut stranger, present) = connected(&hub, &Connect { will: None, user: None, ..annas.clone() }).await;
    assert!(!present, "somebody else has anna's session");
    stranger.ping().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_that_was_taken_while_the_hub_was_off_is_gone_for_what_waits_too() {
    let folder = tempfile::tempdir().unwrap();
    write_users(folder.path(), &["anna"]);
    let hub = Hub::start_in(folder.path(), &format!("127.0.0.1:{}", free_port()), &[]);
    let annas = of("anna", Connect::lasting("annas", 100));
    let (mut anna, _) = connected(&hub, &annas).await;
    for filter in ["secret/#", "free/#"] {
        anna.subscribe(filter, 1).await;
    }
    anna.disconnect().await;
    let (mut publisher, _) = connected(&hub, &Connect::v5("pub")).await;
    for topic in ["secret/a", "free/a"] {
        assert_eq!(publisher.publish(topic, "before", 1, false).await, 0);
    }
    std::fs::write(folder.path().join("acl"), "user anna\ntopic deny secret/#\n").unwrap();
    let hub = hub.kill_and_restart();
    let (mut publisher, _) = connected(&hub, &Connect::v5("pub")).await;
    for topic in ["secret/a", "free/a"] {
        assert_eq!(publisher.publish(topic, "after", 1, false).await, 0);
    }
    let (mut anna, present) = connected(&hub, &annas).await;
    assert!(present);
    for text in ["before", "after"] {
        let message = anna.message().await;
        assert_eq!((message.topic.as_str(), message.text()), ("free/a", text));
    }
    anna.ping().await;
    assert_eq!(anna.subscribe_with(&[("secret/a", 1)], &[]).await, [0x87]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retained_value_of_qos_2_is_sent_once_across_a_kill() {
    let mut hub = Hub::start();
    let (mut publisher, _) = connected(&hub, &Connect::v5("pub")).await;
    for n in 0..5 {
        publisher.publish(&format!("r/{n}"), &n.to_string(), 2, true).await;
    }
    let connect = Connect::lasting("c", 1_000);
    for round in 0..5 {
        let (mut client, _) = connected(&hub, &Connect { clean: true, ..connect.clone() }).await;
        client.subscribe("r/#", 2).await;
        // Whatever has come is held under an identifier that the hub must know in its next life.
        let first = client.unacknowledged().await;
        hub = tokio::task::spawn_blocking(move || hub.kill_and_restart()).await.unwrap();
        let (mut client, present) = connected(&hub, &connect).await;
        assert!(present);
        let again = client.unacknowledged().await;
        assert_eq!(
            (&again.topic, again.text(), again.id, again.dup, again.retain),
            (&first.topic, first.text(), first.id, true, true),
            "round {round}"
        );
        client.send(0x50, &again.id.to_be_bytes()).await;
        // Others of the five were on disk too, or not.
        let packet = client.expect_past_messages(PUBREL).await;
        assert_eq!(&packet.body[..], again.id.to_be_bytes(), "the identifier is not known any more");
    }
    drop(hub);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_retained_values_of_qos_2_come_to_a_lasting_session_once_and_before_what_is_newer() {
    const COUNT: usize = 350;
    let hub = Hub::start();
    let (mut publisher, _) = connected(&hub, &Connect::v5("pub")).await;
    for n in 0..COUNT {
        // Every tenth is of QoS 1 and need not wait for the disk.
        publisher.publish(&format!("r/{n}"), "old", if n % 10 == 0 { 1 } else { 2 }, true).await;
    }
    let (mut client, _) = connected(&hub, &Connect { receive_maximum: Some(7), ..Connect::lasting("c", 1_000) }).await;
    client.subscribe("r/#", 2).await;
    publisher.publish("r/0", "new", 2, true).await;
    let mut seen = std::collections::BTreeSet::new();
    while seen.len() < COUNT {
        let message = client.message().await;
        assert_eq!((message.text(), message.retain), ("old", true));
        assert!(seen.insert(message.topic.clone()), "{} came twice", message.topic);
    }
    assert_eq!(client.message().await.text(), "new");
    client.ping().await;
    // The connection goes in the middle of it: what was sent, or written for it, comes to the next one, once.
    let (mut client, _) = connected(&hub, &Connect { clean: true, ..Connect::lasting("c", 1_000) }).await;
    client.subscribe("r/#", 2).await;
    client.unacknowledged().await;
    drop(client);
    let (mut client, present) = connected(&hub, &Connect::lasting("c", 1_000)).await;
    assert!(present);
    publisher.publish("r/end", "end", 2, false).await;
    let mut seen = std::collections::BTreeSet::new();
    loop {
        let message = client.message().await;
        if message.text() == "end" {
            break;
        }
        assert!(seen.insert(message.topic.clone()), "{} came twice", message.topic);
    }
}
