//! Single statements of the standard that no other test comes past.

use super::{
    client::Client,
    packets::{Connect, DISCONNECT, PUBACK, PUBCOMP, PUBREL, Publish, SUBACK, framed, put_string},
    rig::Rig,
};

/// The reason string is in the packet.
fn has_words(body: &[u8]) -> bool {
    body.len() > 4
}

#[tokio::test(flavor = "multi_thread")]
async fn reasons_come_in_words_only_to_those_who_want_them_and_have_room() {
    let rig = Rig::with(|settings| settings.limits.client_id_bytes_max = 10).await;
    for (wanted, packet_max, words) in [
        (None, None, true),
        (Some(true), None, true),
        (Some(false), None, false),
        // Enough for everything but words.
        (None, Some(30), false),
    ] {
        let connect = Connect { problem_information: wanted, packet_max, ..Connect::v5("c") };
        let mut client = rig.connect(connect.clone()).await;
        client
            .put(Publish { topic: "lockstep/nowhere/x/set", payload: b"1", qos: 1, id: 1, ..Publish::default() })
            .await;
        let puback = client.expect(PUBACK).await;
        assert_eq!((puback.body[2], has_words(&puback.body)), (0x90, words), "{wanted:?} {packet_max:?}: {puback:?}");
        // SUBACK never has any.
        let mut body = bytes::BytesMut::from(&[0, 2, 0][..]);
        put_string(&mut body, b"a/#/b");
        body.extend_from_slice(&[0]);
        client.send(0x82, &body).await;
        assert_eq!(client.expect(SUBACK).await.body[..], [0, 2, 0, 0x8f]);
        if packet_max.is_some() {
            // What ends the connection, and what refuses it, keeps to the size too.
            client.raw(&[0xf0, 0]).await;
            let packet = client.expect(DISCONNECT).await;
            assert!(packet.body.len() <= 28, "{packet:?}");
            let mut client = Client::open(rig.port, true).await;
            let connack = client.connect(&Connect { id: "much too long an id".to_owned(), ..connect }).await;
            assert_eq!((connack.reason, connack.props.len()), (0x85, 0));
        }
    }
}

/// Which start of the hub it is lets a link know a hub that it met already.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_is_told_which_start_of_the_hub_it_is_where_it_has_room() {
    let rig = Rig::with(|settings| settings.boot = "b00t".to_owned()).await;
    for (v5, packet_max, is_told) in
        [(true, None, true), (true, Some(64), true), (true, Some(30), false), (false, None, false)]
    {
        let mut client = Client::open(rig.port, v5).await;
        let connect = if v5 { Connect::v5("c") } else { Connect::v311("c") };
        let connack = client.connect(&Connect { packet_max, ..connect }).await;
        assert_eq!(connack.reason, 0);
        let told = is_told.then_some(&b"lockstep-boot=b00t"[..]);
        assert_eq!(connack.prop(0x26), told, "{packet_max:?}: {connack:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn properties_that_a_client_may_not_send_end_its_connection() {
    let rig = Rig::start().await;
    let text = |id: u8, bytes: &[u8]| [&[id, 0, u8::try_from(bytes.len()).unwrap()][..], bytes].concat();
    for (what, props) in [
        ("a response topic with a wildcard", text(0x08, b"a/#")),
        ("a response topic that is no UTF-8", text(0x08, &[0xff])),
        ("an empty response topic", text(0x08, b"")),
        ("a content type that is no UTF-8", text(0x03, &[0xc0, 0x80])),
        ("a content type with a null character", text(0x03, b"a\0")),
        ("a user property that is no UTF-8", [&text(0x26, b"a")[..], &[0, 1, 0xff]].concat()),
        ("a subscription identifier", vec![0x0b, 1]),
        ("a property of CONNECT", vec![0x11, 0, 0, 0, 1]),
        ("a property that there is not", vec![0x7f, 0]),
        ("a payload format of 2", vec![0x01, 2]),
        ("a payload format twice", vec![0x01, 0, 0x01, 0]),
        ("a length beyond the packet", vec![0x03, 0, 200]),
    ] {
        let mut client = rig.v5("client").await;
        client.put(Publish { topic: "t", payload: b"x", qos: 1, id: 1, props: &props, ..Publish::default() }).await;
        let told = client.closed().await;
        assert!(matches!(told, Some(0x81 | 0x82 | 0x90)), "{what}: {told:?}");
    }
    // A payload that is not what its format says.
    let mut client = rig.v5("client").await;
    let props = [0x01, 1];
    client.put(Publish { topic: "t", payload: &[0xff], qos: 1, id: 1, props: &props, ..Publish::default() }).await;
    assert_eq!(client.closed().await, Some(0x99));
}

#[tokio::test(flavor = "multi_thread")]
async fn reserved_bits_of_a_subscription_end_the_connection() {
    let rig = Rig::start().await;
    for (v5, option) in
        [(true, 0x03), (true, 0x40), (true, 0x80), (true, 0x30), (false, 0x03), (false, 0x04), (false, 0x80)]
    {
        let mut client = if v5 { rig.v5("client").await } else { rig.v311("client").await };
        let mut body = bytes::BytesMut::from(if v5 { &[0, 1, 0][..] } else { &[0, 1][..] });
        put_string(&mut body, b"a");
        body.extend_from_slice(&[option]);
        client.send(0x82, &body).await;
        let told = client.closed().await;
        assert_eq!(told.is_some(), v5, "{option:#x}");
        assert!(matches!(told, None | Some(0x81 | 0x82)), "{option:#x}: {told:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disconnect_with_flags_is_malformed_and_nothing_behind_one_counts() {
    let rig = Rig::start().await;
    let mut witness = rig.v5("witness").await;
    witness.subscribe("t", 0).await;
    let mut client = rig.v5("client").await;
    client.raw(&[0xe1, 0]).await;
    assert!(matches!(client.closed().await, Some(0x81 | 0x82)));
    for mut client in [rig.v5("five").await, rig.v311("three").await] {
        let late = client.publish_bytes(&Publish { topic: "t", payload: b"late", ..Publish::default() });
        client.raw(&[&framed(0xe0, &[])[..], &late].concat()).await;
        assert_eq!(client.next().await, None, "a server says nothing after a DISCONNECT");
    }
    rig.v5("marker").await.publish("t", "marker", 1, false).await;
    assert_eq!(witness.message().await.text(), "marker");
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledgements_of_what_was_never_sent_change_nothing() {
    let rig = Rig::start().await;
    let mut client = rig.v5("client").await;
    for kind in [0x40, 0x50, 0x62, 0x70] {
        client.send(kind, &[0, 77]).await;
    }
    // PUBREC and PUBREL are answered: 0x92.
    assert_eq!(client.expect(PUBREL).await.body[..], [0, 77, 0x92]);
    assert_eq!(client.expect(PUBCOMP).await.body[..], [0, 77, 0x92]);
    client.subscribe("t", 2).await;
    client.publish("t", "x", 2, false).await;
    assert_eq!(client.message().await.text(), "x");
    let mut old = rig.v311("old").await;
    old.send(0x62, &[0, 77]).await;
    assert_eq!(old.expect(PUBCOMP).await.body[..], [0, 77]);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_character_is_passed_on_as_it_came() {
    let rig = Rig::start().await;
    // U+FEFF stays, upper and lower case differ, spaces count, empty levels are levels.
    let topics = ["\u{feff}bom", "Case", "case", " a b ", "/", "//", "a//b", "\u{1f389}"];
    for mut client in [rig.v5("five").await, rig.v311("three").await] {
        for topic in topics {
            client.subscribe(topic, 1).await;
        }
        for topic in topics {
            client.publish(topic, topic, 1, false).await;
            let message = client.message().await;
            assert_eq!((message.topic.as_str(), message.text()), (topic, topic));
        }
        client.quiet().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shared_message_belongs_to_its_member_until_it_is_acknowledged() {
    let rig = Rig::start().await;
    let mut publisher = rig.v5("pub").await;
    for qos in [1, 2] {
        let lasting = Connect::lasting("first", 100);
        let mut first = rig.connect(lasting.clone()).await;
        assert_eq!(first.subscribe_with(&[("$share/g/s", qos)], &[]).await, [qos]);
        publisher.publish("s", "1", qos, false).await;
        assert!(!first.unacknowledged().await.dup);
        let mut second = rig.v5("second").await;
        second.subscribe("$share/g/s", qos).await;
        // The connection breaks before it is acknowledged: it waits for the same member.
        drop(first);
        second.quiet().await;
        let mut first = rig.connect(lasting.clone()).await;
        let again = first.message().await;
        assert_eq!((again.text(), again.dup), ("1", true));
        first.unsubscribe(&["$share/g/s"]).await;
        // Refused by its member: discarded, and offered to nobody else.
        let mut third = rig.v5("third").await;
        publisher.publish("s", "2", qos, false).await;
        let refused = second.unacknowledged().await;
        third.subscribe("$share/g/s", qos).await;
        let first_byte = if qos == 1 { 0x40 } else { 0x50 };
        second.send(first_byte, &[&refused.id.to_be_bytes()[..], &[0x83]].concat()).await;
        second.ping().await;
        // A session that ends takes what it had along.
        publisher.publish("s", "3", qos, false).await;
        publisher.publish("s", "4", qos, false).await;
        let one = [second.unacknowledged().await, third.unacknowledged().await];
        assert_ne!(one[0].text(), one[1].text(), "they take turns");
        third.quiet().await;
        drop(second);
        third.quiet().await;
        // And the one that stays goes on.
        third.acknowledge(&one[1]).await;
        publisher.publish("s", "5", qos, false).await;
        assert_eq!(third.message().await.text(), "5");
        first.disconnect().await;
        third.disconnect().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_will_with_a_text_that_is_none_is_refused() {
    let rig = Rig::start().await;
    for (topic, v5) in [(&b"a/#"[..], true), (&[0xff], true), (b"a/#", false), (&[0xff], false), (b"", true)] {
        let mut body = bytes::BytesMut::new();
        put_string(&mut body, b"MQTT");
        body.extend_from_slice(&[if v5 { 5 } else { 4 }, 0x06, 0, 0]);
        body.extend_from_slice(if v5 { &[0][..] } else { &[] });
        put_string(&mut body, b"willing");
        body.extend_from_slice(if v5 { &[0][..] } else { &[] });
        put_string(&mut body, topic);
        put_string(&mut body, b"gone");
        let mut client = Client::open(rig.port, v5).await;
        client.send(0x10, &body).await;
        if let Some(packet) = client.next().await {
            assert_ne!(packet.body[1], 0, "{topic:?} was taken as a will's topic");
            assert_eq!(client.next().await, None);
        }
    }
}
