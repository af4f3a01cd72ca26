//! Bytes that no client should send. Each costs its own connection and nobody else's.

use super::{
    client::Client,
    packets::{Connect, DISCONNECT, Publish, framed},
    rig::{LIMIT, Rig},
};

/// A connection on which `bytes` are sent after CONNECT is closed by the hub.
async fn closes(rig: &Rig, v5: bool, bytes: &[u8]) -> Option<u8> {
    let connect = if v5 { Connect::v5("hostile") } else { Connect::v311("hostile") };
    let mut client = rig.connect(connect).await;
    client.raw(bytes).await;
    client.closed().await
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_packets_end_one_connection() {
    let rig = Rig::start().await;
    let mut witness = rig.v311("witness").await;
    witness.subscribe("w", 1).await;
    let cases: &[(&str, &[u8])] = &[
        ("a second CONNECT", &Connect::v5("again").bytes()),
        ("CONNACK", &[0x20, 2, 0, 0]),
        ("SUBACK", &[0x90, 3, 0, 1, 0]),
        ("UNSUBACK", &[0xb0, 2, 0, 1]),
        ("PINGRESP", &[0xd0, 0]),
        ("packet type 0", &[0x00, 0]),
        ("a remaining length of five bytes", &[0x30, 0xff, 0xff, 0xff, 0xff, 0x01]),
        ("QoS 3", &[0x36, 6, 0, 1, b'a', 0, 1, 0]),
        ("DUP at QoS 0", &[0x38, 4, 0, 1, b'a', 0]),
        ("packet id 0 in PUBLISH", &[0x32, 6, 0, 1, b'a', 0, 0, 0]),
        ("packet id 0 in SUBSCRIBE", &[0x82, 7, 0, 0, 0, 0, 1, b'a', 0]),
        ("packet id 0 in PUBACK", &[0x40, 2, 0, 0]),
        ("wrong flags of SUBSCRIBE", &[0x80, 7, 0, 1, 0, 0, 1, b'a', 0]),
        ("wrong flags of PUBREL", &[0x60, 2, 0, 1]),
        ("SUBSCRIBE without filters", &[0x82, 3, 0, 1, 0]),
        ("UNSUBSCRIBE without filters", &[0xa2, 3, 0, 1, 0]),
        ("a topic that is longer than its packet", &[0x30, 4, 0, 9, b'a', 0]),
        ("a topic that is no UTF-8", &[0x30, 5, 0, 2, 0xff, 0xfe, 0]),
        ("PINGREQ with a body", &[0xc0, 1, 0]),
        ("AUTH out of the blue", &[0xf0, 2, 0x18, 0]),
    ];
    for (what, bytes) in cases {
        let told = closes(&rig, true, bytes).await;
        assert!(matches!(told, Some(0x81 | 0x82)), "{what}: told {told:?}");
    }
    for (what, bytes) in cases {
        // In 3.1.1 there is no property length; what is legal there is not tried.
        if bytes[0] >> 4 == 3 || bytes[0] >> 4 == 8 || bytes[0] >> 4 == 10 {
            continue;
        }
        assert_eq!(closes(&rig, false, bytes).await, None, "{what}");
    }
    rig.v5("good").await.publish("w", "fine", 1, false).await;
    assert_eq!(witness.message().await.text(), "fine");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connect_that_is_none_is_closed() {
    let rig = Rig::start().await;
    for bytes in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        &[0x30, 3, 0, 1, b'a'],
        &[0x10, 0xff, 0xff, 0xff, 0xff, 0xff],
        &[0x10, 2, 0, 4],
        // The reserved flag, will flags without a will, will QoS 3, a password without a user name in 3.1.1.
        &[0x10, 13, 0, 4, b'M', b'Q', b'T', b'T', 4, 0x03, 0, 0, 0, 1, b'x'],
        &[0x10, 13, 0, 4, b'M', b'Q', b'T', b'T', 4, 0x2a, 0, 0, 0, 1, b'x'],
        &[0x10, 13, 0, 4, b'M', b'Q', b'T', b'T', 4, 0x1e, 0, 0, 0, 1, b'x'],
        &[0x10, 16, 0, 4, b'M', b'Q', b'T', b'T', 4, 0x42, 0, 0, 0, 1, b'x', 0, 1, b'p'],
    ] {
        let mut client = Client::open(rig.port, false).await;
        client.raw(bytes).await;
        if let Some(packet) = client.next().await {
            assert_eq!((packet.kind, packet.body[1] != 0), (2, true), "{bytes:?} was let in: {packet:?}");
            assert_eq!(client.next().await, None);
        }
    }
    // A topic alias maximum of 0 is legal.
    rig.connect(Connect { alias_max: Some(0), ..Connect::v5("zero") }).await.disconnect().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mutated_sessions_hurt_only_themselves() {
    let rig = Rig::start().await;
    let mut random = Random(0x5eed);
    let mut bytes = Connect { alias_max: Some(3), ..Connect::v5("fuzz") }.bytes().to_vec();
    for packet in [
        framed(0x82, &[0, 1, 0, 0, 3, b'a', b'/', b'#', 1]),
        framed(0x32, &[0, 3, b'a', b'/', b'b', 0, 2, 3, 0x23, 0, 1, b'x']),
        framed(0x34, &[0, 0, 0, 3, 3, 0x23, 0, 1, b'y']),
        framed(0x62, &[0, 3]),
        framed(0xa2, &[0, 4, 0, 0, 3, b'a', b'/', b'#']),
        framed(0xc0, &[]),
    ] {
        bytes.extend_from_slice(&packet);
    }
    for _ in 0..600 {
        let mut mutated = bytes.clone();
        for _ in 0..1 + random.below(4) {
            let at = random.below(mutated.len());
            match random.below(3) {
                0 => mutated[at] = random.below(256) as u8,
                1 => mutated.truncate(at),
                _ => mutated.insert(at, random.below(256) as u8),
            }
            if mutated.is_empty() {
                break;
            }
        }
        let mut client = Client::open(rig.port, true).await;
        client.raw(&mutated).await;
        client.within(std::time::Duration::from_millis(5)).await;
    }
    let mut client = tokio::time::timeout(LIMIT, rig.v5("good")).await.expect("the door is still open");
    client.subscribe("after", 1).await;
    client.publish("after", "x", 0, false).await;
    assert_eq!(client.message().await.text(), "x");
    assert_eq!(rig.door.router_generation(), 0, "nothing from outside reaches the router");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_the_router_lapped_is_told_so() {
    // A log that a single burst laps.
    let rig = Rig::with(|settings| {
        settings.limits.router_segment_bytes = 1_024;
        settings.limits.router_segments = 2;
    })
    .await;
    let mut fleeting = rig.v5("fleeting").await;
    fleeting.subscribe("lap", 0).await;
    let mut lasting = rig.connect(Connect::lasting("lasting", 100)).await;
    lasting.subscribe("lap", 1).await;
    let mut publisher = rig.v5("pub").await;
    publisher.publish("lap", "first", 1, false).await;
    for client in [&mut fleeting, &mut lasting] {
        assert_eq!(client.message().await.text(), "first");
    }
    let mut burst = bytes::BytesMut::new();
    for id in 1..=50_u16 {
        let payload = format!("{id:01000}");
        let publish = Publish { topic: "lap", payload: payload.as_bytes(), qos: 1, id, ..Publish::default() };
        burst.extend_from_slice(&publisher.publish_bytes(&publish));
    }
    publisher.raw(&burst).await;
    // Up to where it was told there is no gap.
    let mut next = 1;
    loop {
        let packet = lasting.next().await.expect("the reason is lost");
        if packet.kind == DISCONNECT {
            assert_eq!(packet.body[0], 0x97);
            break;
        }
        assert_eq!(
            lasting.read_message(&packet).text(),
            format!("{next:01000}"),
            "something is missing without a word"
        );
        next += 1;
    }
    assert!(next <= 50, "nothing was lapped");
    // Whoever comes back is served as before; where the rest of the burst lapped it again, it is told again.
    let mut another = rig.v5("another").await;
    crate::support::eventually("whoever comes back is served", async || {
        let mut lasting = rig.connect(Connect::lasting("lasting", 100)).await;
        another.publish("lap", "last", 1, false).await;
        loop {
            let packet = lasting.next().await.expect("the reason is lost");
            if packet.kind == DISCONNECT {
                return Err(packet);
            }
            let message = lasting.read_message(&packet);
            lasting.acknowledge(&message).await;
            if message.text() == "last" {
                return Ok(());
            }
        }
    })
    .await;
    // Whoever asked for no more than QoS 0 goes on.
    while fleeting.message().await.text() != "last" {}
}

/// A small generator, so that a run can be repeated.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}
