//! Who may do what, at the door: every role, every action, both versions, and what a reload changes.

use lockstep::policy::Role;

use super::{
    client::Client,
    packets::{Connect, PUBACK, Publish, Will, text_prop},
    rig::Rig,
};

const OK: u8 = 0;
const DENIED: u8 = 0x87;

/// Everybody but `anonymous` has a user of the role's name.
async fn rig(anonymous: Option<Role>) -> Rig {
    let hash = lockstep::policy::hash_password(b"secret").unwrap();
    let users: String = Role::ALL.iter().map(|role| format!("{role}:{role}:{hash}\n")).collect();
    let acl =
        "topic deny secret/#\npattern deny hidden/#\nuser viewer\ntopic write granted/%u\ntopic write granted/viewer\n";
    Rig::with_anonymous(|_| {}, false, anonymous, &users, acl).await
}

fn who(role: Option<Role>, id: &str, v5: bool) -> Connect {
    let user = role.map(|role| (role.to_string(), "secret".to_owned()));
    Connect { user, ..if v5 { Connect::v5(id) } else { Connect::v311(id) } }
}

/// What may be published by viewer, member, device, admin: the topic, and the answers.
const PUBLISH: [(&str, [u8; 4]); 9] = [
    ("lockstep/main/slider1/set", [DENIED, OK, OK, OK]),
    // An own topic of the hub, whoever asks; a stranger is told that they may not publish at all.
    ("lockstep/main/slider1/state", [DENIED, DENIED, DENIED, DENIED]),
    // The client id is the device's own id.
    ("lockstep/device/me/event", [DENIED, DENIED, OK, OK]),
    ("lockstep/device/another/event", [DENIED, DENIED, DENIED, OK]),
    ("free/topic", [DENIED, DENIED, OK, OK]),
    ("hidden/topic", [DENIED, DENIED, DENIED, DENIED]),
    // What the rules add for the viewer.
    ("granted/viewer", [OK, DENIED, OK, OK]),
    ("$SYS/broker/version", [DENIED, DENIED, DENIED, DENIED]),
    ("$other/topic", [DENIED, DENIED, DENIED, OK]),
];

#[tokio::test(flavor = "multi_thread")]
async fn each_role_publishes_what_it_may_and_is_told_what_it_may_not() {
    let rig = rig(None).await;
    let mut witness = rig.connect(who(Some(Role::Admin), "witness", true)).await;
    assert_eq!(witness.subscribe_with(&[("+/#", 1), ("$other/#", 1)], &[]).await, [1, 1]);
    while witness.within(super::rig::QUIET).await.is_some() {}
    for (place, role) in Role::ALL.into_iter().enumerate() {
        for v5 in [true, false] {
            let mut client = rig.connect(who(Some(role), "me", v5)).await;
            for (topic, answers) in PUBLISH {
                for qos in [1, 2] {
                    let answer = client.publish(topic, "1", qos, false).await;
                    // 3.1.1 has no way to say no but to close: it is acknowledged and goes nowhere (3.3.5-2).
                    let wanted = if v5 { answers[place] } else { OK };
                    assert_eq!(answer, wanted, "{role} {topic} QoS {qos} v5 {v5}");
                }
            }
            // What was refused reached nobody.
            let mut marker = rig.connect(who(Some(Role::Admin), "marker", true)).await;
            marker.publish("free/marker", "end", 1, false).await;
            loop {
                let message = witness.message().await;
                if message.topic == "free/marker" {
                    break;
                }
                let entry = PUBLISH.iter().find(|(topic, _)| *topic == message.topic);
                // What the hub tells of a thing by itself is no echo.
                let entry = entry.filter(|_| message.text() == "1");
                assert!(entry.is_none_or(|(_, answers)| answers[place] == OK), "{role} v5 {v5}: {message:?}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connecting_needs_a_user_unless_the_configuration_says_otherwise() {
    for (anonymous, v5_reason, v311_reason) in [(None, 0x87, 5), (Some(Role::Viewer), 0, 0), (Some(Role::Member), 0, 0)]
    {
        let rig = rig(anonymous).await;
        for (v5, wanted) in [(true, v5_reason), (false, v311_reason)] {
            let mut client = Client::open(rig.port, v5).await;
            assert_eq!(client.connect(&who(None, "somebody", v5)).await.reason, wanted, "{anonymous:?}");
        }
        if let Some(role) = anonymous {
            let mut client = rig.connect(who(None, "somebody", true)).await;
            let moves = client.publish("lockstep/main/slider1/set", "1", 1, false).await;
            assert_eq!(moves, if role == Role::Member { OK } else { DENIED });
            assert_eq!(client.subscribe_with(&[("secret/#", 1), ("free/#", 1)], &[]).await, [DENIED, 1]);
        }
        for (name, password, wanted) in [("viewer", "wrong", [0x86, 4]), ("unknown", "secret", [0x86, 4])] {
            for (v5, wanted) in [true, false].into_iter().zip(wanted) {
                let user = Some((name.to_owned(), password.to_owned()));
                let mut client = Client::open(rig.port, v5).await;
                assert_eq!(client.connect(&Connect { user, ..who(None, "wrong", v5) }).await.reason, wanted, "{name}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_denied_is_neither_subscribed_to_nor_delivered() {
    let rig = Rig::with_policy(|_| {}, false, "", "").await;
    drop(rig);
    let rig = self::rig(Some(Role::Viewer)).await;
    let mut admin = rig.connect(who(Some(Role::Admin), "admin", true)).await;
    for (role, v5) in [(None, true), (None, false), (Some(Role::Device), true), (Some(Role::Member), false)] {
        let mut client = rig.connect(who(role, "reader", v5)).await;
        let refused = if v5 { DENIED } else { 0x80 };
        let secret = if role.is_none() { refused } else { 1 };
        let filters = [("secret/a", 1), ("hidden/#", 1), ("free/+", 1), ("#", 1)];
        let granted = client.subscribe_with(&filters, &[]).await;
        assert_eq!(granted, [secret, refused, 1, 1], "{role:?} v5 {v5}");
        while client.within(super::rig::QUIET).await.is_some_and(|packet| packet.kind == super::packets::PUBLISH) {}
        for topic in ["secret/a", "hidden/a", "free/a"] {
            // The hub's rules bind an admin too; what nobody may publish nobody gets.
            admin.publish(topic, "x", 0, false).await;
        }
        let mut topics = Vec::new();
        while !topics.contains(&"free/a".to_owned()) || topics.iter().filter(|topic| *topic == "free/a").count() < 2 {
            topics.push(client.message().await.topic);
        }
        assert_eq!(topics.iter().any(|topic| topic == "secret/a"), role.is_some(), "{role:?}: {topics:?}");
        assert!(!topics.iter().any(|topic| topic == "hidden/a"), "{role:?}: {topics:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_will_and_a_response_need_the_right_to_publish() {
    let rig = rig(None).await;
    let mut witness = rig.connect(who(Some(Role::Admin), "witness", true)).await;
    witness.subscribe("wills/#", 1).await;
    witness.subscribe("answers/#", 1).await;
    let will =
        |role: Role| Will { topic: format!("wills/{role}"), payload: "gone".to_owned(), qos: 1, ..Will::default() };
    for (role, v5) in [(Role::Viewer, true), (Role::Member, false), (Role::Device, true), (Role::Device, false)] {
        drop(rig.connect(Connect { will: Some(will(role)), ..who(Some(role), "dying", v5) }).await);
        if role == Role::Device {
            assert_eq!(witness.message().await.topic, "wills/device");
        }
    }
    // The answer to a command: on a topic that the sender may publish to, or on one of its own that it may read.
    for (role, topic, answered) in [
        (Role::Member, "answers/everybody", false),
        (Role::Member, "answers/me", true),
        (Role::Device, "answers/everybody", true),
    ] {
        let mut client = rig.connect(who(Some(role), "me", true)).await;
        let props = text_prop(0x08, topic);
        let set = "lockstep/main/slider1/set";
        client.put(Publish { topic: set, payload: b"5", qos: 1, id: 9, props: &props, ..Publish::default() }).await;
        client.expect(PUBACK).await;
        if answered {
            assert_eq!(witness.message().await.topic, topic, "{role}");
        }
    }
    witness.quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_judges_living_connections_anew() {
    let rig = Rig::with_anonymous(|_| {}, false, Some(Role::Member), "", "").await;
    let mut client = rig.v5("client").await;
    client.subscribe("secret/a", 1).await;
    client.subscribe("free/#", 1).await;
    let hash = lockstep::policy::hash_password(b"secret").unwrap();
    let admin = format!("admin:admin:{hash}\n");
    rig.reload(&admin, "topic deny secret/#\ntopic deny free/hidden\n");
    let mut writer = rig.connect(who(Some(Role::Admin), "writer", true)).await;
    crate::support::eventually("the rights are judged anew", async || {
        // A right that was taken away shows first in what may be published.
        match client.publish("secret/a", "x", 1, false).await {
            DENIED => Ok(()),
            other => Err(other),
        }
    })
    .await;
    for topic in ["secret/a", "free/hidden", "free/open"] {
        writer.publish(topic, "after", 1, false).await;
    }
    loop {
        let message = client.message().await;
        if message.text() == "after" {
            assert_eq!(message.topic, "free/open");
            break;
        }
    }
    // A user that is taken out must go.
    rig.reload("", "");
    assert_eq!(writer.closed().await, Some(DENIED));
    client.ping().await;
}
