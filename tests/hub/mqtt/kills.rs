//! A hub that is killed again and again under a sender and a reader whose sessions last: nothing acknowledged is lost, and nothing of QoS 2
//! comes twice.
//!
//! `LOCKSTEP_KILLS` and `LOCKSTEP_SEED` make it longer and other.

use std::{
    collections::{HashSet, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use super::{
    client::Client,
    packets::{Connect, PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL, Packet, Publish, framed},
};
use crate::support::{Hub, eventually};

/// Messages between two kills, at most.
const STRIDE: u32 = 60;

/// Messages that the sender has under way.
const WINDOW: usize = 10;

fn setting(name: &str, default: u32) -> u32 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn id_of(packet: &Packet) -> u16 {
    u16::from_be_bytes([packet.body[0], packet.body[1]])
}

fn qos_of(number: u32) -> u8 {
    1 + (number % 2) as u8
}

/// One message on its way.
struct Sent {
    id: u16,
    number: u32,
    released: bool,
}

/// Sends the numbers below `total` in order, as a good client does: whatever is not acknowledged is sent again.
async fn send(port: u16, total: u32, acknowledged: Arc<AtomicU32>) {
    let connect = Connect::lasting("sender", 1_000);
    let mut pending: VecDeque<Sent> = VecDeque::new();
    let (mut next, mut id, mut first) = (0, 0_u16, true);
    while next < total || !pending.is_empty() {
        let (mut client, connack) = Client::persistent(port, &connect).await;
        assert!(first || connack.present, "the sender's session is gone");
        first = false;
        for sent in &pending {
            let payload = sent.number.to_string();
            let publish = Publish {
                topic: "count",
                payload: payload.as_bytes(),
                qos: qos_of(sent.number),
                id: sent.id,
                dup: true,
                ..Publish::default()
            };
            let bytes =
                if sent.released { framed(0x62, &sent.id.to_be_bytes()) } else { client.publish_bytes(&publish) };
            let _ = client.try_raw(&bytes).await;
        }
        loop {
            while pending.len() < WINDOW && next < total {
                id = id % 60_000 + 1;
                let payload = next.to_string();
                let publish = Publish {
                    topic: "count",
                    payload: payload.as_bytes(),
                    qos: qos_of(next),
                    id,
                    ..Publish::default()
                };
                pending.push_back(Sent { id, number: next, released: false });
                next += 1;
                let _ = client.try_raw(&client.publish_bytes(&publish)).await;
            }
            if pending.is_empty() {
                break;
            }
            let Some(packet) = client.next().await else { break };
            let id = id_of(&packet);
            match packet.kind {
                PUBACK | PUBCOMP => {
                    pending.retain(|sent| sent.id != id);
                    acknowledged.fetch_add(1, Ordering::Relaxed);
                }
                PUBREC => {
                    if let Some(sent) = pending.iter_mut().find(|sent| sent.id == id) {
                        sent.released = true;
                    }
                    let _ = client.try_raw(&framed(0x62, &id.to_be_bytes())).await;
                }
                other => panic!("the sender got {other}"),
            }
        }
    }
}

/// Reads as a good client does, until the number `last` has come; returns the numbers in the order in which they came.
async fn read(port: u16, last: u32, ready: tokio::sync::oneshot::Sender<()>) -> Vec<u32> {
    let connect = Connect { receive_maximum: Some(20), ..Connect::lasting("reader", 1_000) };
    let mut ready = Some(ready);
    let (mut seen, mut received) = (Vec::new(), HashSet::new());
    loop {
        let (mut client, connack) = Client::persistent(port, &connect).await;
        if let Some(ready) = ready.take() {
            client.subscribe("count", 2).await;
            ready.send(()).unwrap();
        } else {
            assert!(connack.present, "the reader's session is gone");
        }
        while let Some(packet) = client.next().await {
            match packet.kind {
                PUBLISH => {
                    let message = client.read_message(&packet);
                    let number = message.text().parse().unwrap();
                    assert_eq!(message.qos, qos_of(number));
                    if message.qos == 1 || received.insert(message.id) {
                        seen.push(number);
                    }
                    let _ = client
                        .try_raw(&framed(if message.qos == 1 { 0x40 } else { 0x50 }, &message.id.to_be_bytes()))
                        .await;
                }
                PUBREL => {
                    received.remove(&id_of(&packet));
                    let _ = client.try_raw(&framed(0x70, &packet.body[..2])).await;
                }
                other => panic!("the reader got {other}"),
            }
            if seen.contains(&last) {
                return seen;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_doubled_by_kills() {
    let (kills, seed) = (setting("LOCKSTEP_KILLS", 5), setting("LOCKSTEP_SEED", 7));
    let mut random = u64::from(seed) << 1 | 1;
    let mut hub = Hub::start();
    let (port, total) = (hub.mqtt_port(), kills * STRIDE + 20);
    let (ready, subscribed) = tokio::sync::oneshot::channel();
    let reading = tokio::spawn(read(port, total - 1, ready));
    subscribed.await.unwrap();
    let acknowledged = Arc::new(AtomicU32::new(0));
    let sending = tokio::spawn(send(port, total, Arc::clone(&acknowledged)));
    let mut at = 0;
    for _ in 0..kills {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        at += 1 + (random % u64::from(STRIDE)) as u32;
        eventually("acknowledgements", async || {
            let now = acknowledged.load(Ordering::Relaxed);
            if now >= at { Ok(()) } else { Err((now, at)) }
        })
        .await;
        hub = tokio::task::spawn_blocking(move || hub.kill_and_restart()).await.unwrap();
    }
    sending.await.unwrap();
    let seen = reading.await.unwrap();
    let mut once = HashSet::new();
    let firsts: Vec<u32> = seen.iter().copied().filter(|number| once.insert(*number)).collect();
    assert_eq!(firsts, (0..total).collect::<Vec<_>>(), "seed {seed}: lost, or out of order");
    let exactly: Vec<u32> = seen.iter().copied().filter(|number| qos_of(*number) == 2).collect();
    assert_eq!(exactly, (0..total).filter(|number| qos_of(*number) == 2).collect::<Vec<_>>(), "seed {seed}: doubled");
    drop(hub);
}
