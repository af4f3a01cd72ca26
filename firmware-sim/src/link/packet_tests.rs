use std::time::Duration;

use proptest::prelude::*;
use rumqttc::{mqttbytes::v4, v5::mqttbytes::v5};

use super::*;

const MAX: usize = 64 * 1024;

fn login(user: Option<(String, String)>) -> Login {
    Login {
        client_id: "box-1".to_owned(),
        user,
        keep_alive: Duration::from_secs(10),
        will_topic: "lockstep/device/box-1/availability".to_owned(),
        #[cfg(feature = "tls")]
        tls: None,
    }
}

fn said(version: Version, say: impl FnOnce(&mut Outgoing)) -> bytes::BytesMut {
    let mut outgoing = Outgoing::new(version);
    say(&mut outgoing);
    bytes::BytesMut::from(&outgoing.bytes[..])
}

/// What another implementation reads of our packet, which it has to use up.
fn read_v4(mut bytes: bytes::BytesMut) -> v4::Packet {
    let packet = v4::Packet::read(&mut bytes, MAX).unwrap();
    assert!(bytes.is_empty());
    packet
}

fn read_v5(mut bytes: bytes::BytesMut) -> v5::Packet {
    let packet = v5::Packet::read(&mut bytes, Some(MAX as u32)).unwrap();
    assert!(bytes.is_empty());
    packet
}

/// Reads one packet of a broker, whole, and tells that no part of it was taken for one.
fn taken(bytes: &[u8], version: Version) -> Packet {
    for end in 0..bytes.len() {
        assert_eq!(take(&mut bytes[..end].to_vec(), version, MAX), Ok(None), "{end} of {bytes:02x?}");
    }
    let mut buffer = [bytes, &[0xd0, 0]].concat();
    let packet = take(&mut buffer, version, MAX).unwrap().unwrap();
    assert_eq!(buffer, [0xd0, 0], "what follows stays");
    packet
}

#[test]
fn our_connect_is_read_by_others() {
    let user = Some(("anna".to_owned(), "secret".to_owned()));
    let v4::Packet::Connect(connect) = read_v4(said(Version::V3, |to| to.connect(&login(user.clone()), 65536))) else {
        panic!()
    };
    assert_eq!((connect.client_id.as_str(), connect.keep_alive, connect.clean_session), ("box-1", 10, true));
    let will = connect.last_will.unwrap();
    assert_eq!(
        (will.topic.as_str(), &will.message[..], will.retain),
        ("lockstep/device/box-1/availability", &b"offline"[..], true)
    );
    assert_eq!(will.qos, rumqttc::QoS::AtLeastOnce);
    let by = connect.login.unwrap();
    assert_eq!((by.username.as_str(), by.password.as_str()), ("anna", "secret"));

    let v5::Packet::Connect(connect, will, by) = read_v5(said(Version::V5, |to| to.connect(&login(user), 65536)))
    else {
        panic!()
    };
    assert_eq!((connect.client_id.as_str(), connect.keep_alive, connect.clean_start), ("box-1", 10, true));
    assert_eq!(connect.properties.unwrap().max_packet_size, Some(65536));
    assert_eq!(&will.unwrap().message[..], b"offline");
    assert_eq!(by.unwrap().username, "anna");
    let v5::Packet::Connect(_, _, by) = read_v5(said(Version::V5, |to| to.connect(&login(None), 65536))) else {
        panic!()
    };
    assert_eq!(by, None);
}

#[test]
fn our_other_packets_are_read_by_others() {
    let filters = ["a/b".to_owned(), "c/#".to_owned()];
    let v4::Packet::Subscribe(subscribe) = read_v4(said(Version::V3, |to| to.subscribe(&filters, 7))) else { panic!() };
    assert_eq!((subscribe.pkid, subscribe.filters.len()), (7, 2));
    let v5::Packet::Subscribe(subscribe) = read_v5(said(Version::V5, |to| to.subscribe(&filters, 7))) else { panic!() };
    assert_eq!(subscribe.filters[1].path, "c/#");
    assert_eq!(read_v4(said(Version::V3, Outgoing::ping)), v4::Packet::PingReq);
    assert_eq!(read_v4(said(Version::V3, Outgoing::disconnect)), v4::Packet::Disconnect);
    // §3.14.2.1: without a remaining length it is a normal one; rumqttc does not read that.
    assert_eq!(&said(Version::V5, Outgoing::disconnect)[..], [0xe0, 0]);
    let v5::Packet::PubAck(ack) = read_v5(said(Version::V5, |to| to.puback(300))) else { panic!() };
    assert_eq!(ack.pkid, 300);
}

#[test]
fn a_brokers_words_in_version_5() {
    // §3.2: session present 0, code 0x86, then reason string, server keep alive, receive maximum and a user property.
    let properties =
        [&[0x1f, 0, 2, b'n', b'o'][..], &[0x13, 0, 60], &[0x21, 0, 3], &[0x26, 0, 1, b'a', 0, 1, b'b']].concat();
    let mut connack = vec![0x20, 3 + properties.len() as u8, 0, 0x86, properties.len() as u8];
    connack.extend(&properties);
    let wanted = Properties { reason: Some("no".to_owned()), keep_alive_s: Some(60), receive_maximum: Some(3) };
    assert_eq!(taken(&connack, Version::V5), Packet::ConnAck { code: 0x86, properties: wanted });
    // The form of 3.1.1, which a broker that knows nothing else uses whatever it was asked.
    assert_eq!(taken(&[0x20, 2, 0, 1], Version::V5), Packet::ConnAck { code: 1, properties: Properties::default() });
    assert_eq!(
        taken(&[0xe0, 1, 0x8e], Version::V5),
        Packet::Disconnect { code: 0x8e, properties: Properties::default() }
    );
    assert_eq!(taken(&[0xe0, 0], Version::V5), Packet::Disconnect { code: 0, properties: Properties::default() });
    assert_eq!(
        taken(&[0x40, 2, 1, 2], Version::V5),
        Packet::PubAck { packet_id: 258, code: 0, properties: Properties::default() }
    );
    assert_eq!(taken(&[0xd0, 0], Version::V5), Packet::PingResp);
    assert_eq!(taken(&[0x90, 3, 0, 1, 1], Version::V3), Packet::SubAck);
}

#[test]
fn what_no_broker_sends_is_refused() {
    let refused = |bytes: &[u8]| take(&mut bytes.to_vec(), Version::V5, 100).unwrap_err().to_string();
    assert_eq!(refused(&[0x20, 0x80, 0x80, 0x80, 0x80]), "a packet's length was wrong");
    assert_eq!(refused(&[0x30, 0x7f]), "a packet was too long");
    assert_eq!(refused(&[0x34, 6, 0, 1, b'a', 0, 1, 0]), "a message came at QoS 2, which was not asked for");
    assert_eq!(refused(&[0x32, 6, 0, 1, b'a', 0, 0, 0]), "a packet id was zero");
    assert_eq!(refused(&[0x30, 4, 0, 1, 0xff, 0]), "a text was not UTF-8");
    assert_eq!(refused(&[0x30, 3, 0, 9, b'a']), "a packet ended too early");
    assert_eq!(refused(b"HTTP/1.1 400 Bad Request"), "a packet came that brokers do not send");
    assert_eq!(refused(&[0x10, 0]), "a packet came that brokers do not send");
}

proptest! {
    /// What others write is read here, and the other way round, whatever is in it.
    #[test]
    fn messages_survive_both_ways(
        topic in "[a-zé/]{1,40}", payload in ".{0,400}", id in 1_u16.., retain: bool, v3: bool,
    ) {
        let version = if v3 { Version::V3 } else { Version::V5 };
        let mut bytes = bytes::BytesMut::new();
        if v3 {
            let mut publish = v4::Publish::new(&topic, rumqttc::QoS::AtLeastOnce, payload.clone());
            publish.pkid = id;
            publish.write(&mut bytes).unwrap();
        } else {
            let properties = v5::PublishProperties { message_expiry_interval: Some(9), content_type: Some("x".to_owned()),
                subscription_identifiers: vec![300], ..v5::PublishProperties::default() };
            let qos = rumqttc::v5::mqttbytes::QoS::AtLeastOnce;
            let mut publish = v5::Publish::new(&topic, qos, payload.clone(), Some(properties));
            publish.pkid = id;
            publish.write(&mut bytes).unwrap();
        }
        let wanted = Packet::Publish { topic: topic.clone(), payload: payload.clone().into_bytes(), packet_id: Some(id) };
        prop_assert_eq!(taken(&bytes, version), wanted);
        let ours = said(version, |to| to.publish(&topic, &payload, retain, id));
        if v3 {
            let v4::Packet::Publish(publish) = read_v4(ours) else { panic!() };
            prop_assert_eq!((publish.topic, &publish.payload[..], publish.retain, publish.pkid), (topic, payload.as_bytes(), retain, id));
        } else {
            let v5::Packet::Publish(publish) = read_v5(ours) else { panic!() };
            prop_assert_eq!((&publish.topic[..], &publish.payload[..], publish.retain, publish.pkid), (topic.as_bytes(), payload.as_bytes(), retain, id));
        }
    }

    /// No bytes make it panic, take more than there is, or go on for ever.
    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..200), first in prop::sample::select(vec![0x20_u8, 0x30, 0x32, 0x40, 0x90, 0xd0, 0xe0]), v3: bool) {
        let version = if v3 { Version::V3 } else { Version::V5 };
        for mut buffer in [bytes.clone(), [&[first, bytes.len() as u8 & 0x7f], &bytes[..]].concat()] {
            let mut before = buffer.len();
            while let Ok(Some(_)) = take(&mut buffer, version, MAX) {
                prop_assert!(buffer.len() < before);
                before = buffer.len();
            }
        }
    }
}
