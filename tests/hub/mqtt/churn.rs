//! Two hundred clients that connect, subscribe, publish, vanish and take each other over at random.
//!
//! `LOCKSTEP_CHURN_SECONDS` says how long (15 without it, 600 in the long run), `LOCKSTEP_CHURN_SEED` which run to repeat.

use std::{
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::net::TcpStream;

use super::{
    client::Client,
    packets::{Connect, DISCONNECT, PINGRESP, PUBLISH, PUBREL, Packet, Publish, Will, put_string},
};

const CLIENTS: u64 = 200;

/// Fewer ids than clients, so that they take each other over.
const IDS: u64 = 150;

/// Whoever waits longer than this for an answer is stuck.
const STUCK: Duration = Duration::from_secs(15);

/// How much more memory there may be at the end than in the middle of a long run, in percent.
const GROWTH_PERCENT_MAX: u64 = 10;

/// From this length on the memory is judged: before, the hub still warms up.
const JUDGED_FROM: Duration = Duration::from_secs(300);

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

/// A hub of its own, so that its memory is its own; its log is kept for the search for panics.
struct Hub {
    child: Child,
    port: u16,
    folder: tempfile::TempDir,
}

impl Hub {
    fn start() -> Self {
        use std::io::BufRead;
        let folder = tempfile::tempdir().unwrap();
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_lockstep"))
            .args(["--http", "127.0.0.1:0", "--mqtt", "127.0.0.1:0", "--ready-json", "--data-dir"])
            .arg(folder.path().join("data"))
            // What this test causes on purpose is no news.
            .args(["--set", "log.level=error", "--set", "mqtt.limits.session_expiry_max_seconds=5"])
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut line = String::new();
        std::io::BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready: serde_json::Value = serde_json::from_str(&line).expect("a hub that is ready");
        let port = ready["mqtt"].as_str().unwrap().rsplit_once(':').unwrap().1.parse().unwrap();
        Self { child, port, folder }
    }

    /// Resident memory in kB.
    fn memory_kb(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("the hub lives");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("its memory");
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap()
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_clients_come_and_go_at_random() {
    let length = Duration::from_secs(number("LOCKSTEP_CHURN_SECONDS", 15));
    let seed = number("LOCKSTEP_CHURN_SEED", 0x10c5_7e90);
    let hub = Hub::start();
    let began = Instant::now();
    let until = began + length;
    let connections = Arc::new(AtomicU64::new(0));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|place| {
            let (port, connections) = (hub.port, Arc::clone(&connections));
            let random = Random(seed.wrapping_mul(1_000_003).wrapping_add(place * 7_919 + 1));
            tokio::spawn(live(port, random, until, connections))
        })
        .collect();
    let mut memory = Vec::new();
    while Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(200)).await;
        memory.push(hub.memory_kb());
    }
    for client in clients {
        let ended = tokio::time::timeout(STUCK * 2, client).await;
        let panicked = ended.unwrap_or_else(|_| panic!("seed {seed}: a client is stuck"));
        panicked.unwrap_or_else(|e| panic!("seed {seed}: {e}"));
    }
    // The hub still serves whoever comes.
    let mut last = Client::open(hub.port, true).await;
    assert_eq!(last.connect(&Connect::v5("last")).await.reason, 0);
    last.subscribe("last", 2).await;
    last.publish("last", "x", 2, false).await;
    assert_eq!(last.message().await.text(), "x");
    let log = hub.log();
    assert!(!log.contains("panicked"), "seed {seed}: {log}");
    let mean = |part: &[u64]| part.iter().sum::<u64>() / part.len().max(1) as u64;
    let tenth = memory.len() / 10;
    let (middle, end) = (mean(&memory[tenth * 9 / 2..tenth * 11 / 2]), mean(&memory[tenth * 9..]));
    let count = connections.load(Ordering::Relaxed);
    println!(
        "churn: {} s, {count} connections, memory {middle} kB in the middle, {end} kB at the end",
        length.as_secs()
    );
    if length >= JUDGED_FROM {
        assert!(end * 100 <= middle * (100 + GROWTH_PERCENT_MAX), "seed {seed}: the memory grows: {memory:?}");
    }
}

/// One client after the other, until the time is up.
async fn live(port: u16, mut random: Random, until: Instant, connections: Arc<AtomicU64>) {
    while Instant::now() < until {
        let v5 = random.below(2) == 0;
        let id = format!("churn {}", random.below(IDS));
        let will = Will {
            topic: format!("churn/will/{}", random.below(10)),
            payload: "gone".to_owned(),
            qos: random.below(3) as u8,
            retain: random.below(2) == 0,
            delay: (v5 && random.below(2) == 0).then(|| random.below(3) as u32),
        };
        let connect = Connect {
            clean: random.below(2) == 0,
            expiry: (random.below(2) == 0).then(|| random.below(6) as u32),
            keep_alive: random.below(4) as u16,
            receive_maximum: (random.below(4) == 0).then(|| 1 + random.below(20) as u16),
            alias_max: (random.below(2) == 0).then(|| random.below(5) as u16),
            will: (random.below(3) == 0).then_some(will),
            ..if v5 { Connect::v5(&id) } else { Connect::v311(&id) }
        };
        let stream = TcpStream::connect(("127.0.0.1", port)).await.expect("the hub listens");
        stream.set_nodelay(true).unwrap();
        let mut client = Client::over(stream, v5);
        connections.fetch_add(1, Ordering::Relaxed);
        // None is somebody else who came with the same id.
        let _ = talk(&mut client, &connect, v5, &mut random).await;
    }
}

/// A connection's life; none where the hub ended it.
async fn talk(client: &mut Client, connect: &Connect, v5: bool, random: &mut Random) -> Option<()> {
    client.try_raw(&connect.bytes()).await.ok()?;
    let connack = answer(client).await?;
    assert_eq!((connack.kind, connack.body[1]), (2, 0), "{connack:?}");
    for _ in 0..random.below(12) {
        match random.below(10) {
            0..=2 => subscribe(client, v5, random).await?,
            3 => unsubscribe(client, v5, random).await?,
            4..=7 => publish(client, random).await?,
            // Silence, in which its messages pile up.
            8 => tokio::time::sleep(Duration::from_millis(random.below(300))).await,
            _ => until_pong(client, random).await?,
        }
    }
    match random.below(5) {
        // DISCONNECT, with its will, half a packet, nothing at all.
        0 => client.try_raw(&[0xe0, 0]).await.ok(),
        1 if v5 => client.try_raw(&[0xe0, 1, 4]).await.ok(),
        2 => client.try_raw(&[0x32, 90, 0]).await.ok(),
        3 => until_pong(client, random).await,
        _ => Some(()),
    }
}

/// The next packet; none at the end of the connection.
async fn answer(client: &mut Client) -> Option<Packet> {
    let packet = tokio::time::timeout(STUCK, client.read()).await.expect("a client is stuck")?;
    if packet.kind == DISCONNECT { None } else { Some(packet) }
}

/// Sends a ping, and reads and acknowledges everything up to its answer; now and then it forgets an acknowledgement.
async fn until_pong(client: &mut Client, random: &mut Random) -> Option<()> {
    client.try_raw(&[0xc0, 0]).await.ok()?;
    loop {
        let packet = answer(client).await?;
        let id = match packet.kind {
            PINGRESP => return Some(()),
            PUBLISH => {
                let message = client.read_message(&packet);
                let first = match message.qos {
                    0 => continue,
                    1 => 0x40,
                    _ => 0x50,
                };
                (first, message.id.to_be_bytes())
            }
            PUBREL => (0x70, [packet.body[0], packet.body[1]]),
            // PUBREC of what was published.
            5 if packet.body.len() == 2 => (0x62, [packet.body[0], packet.body[1]]),
            _ => continue,
        };
        if random.below(20) > 0 {
            client.try_raw(&[id.0, 2, id.1[0], id.1[1]]).await.ok()?;
        }
    }
}

fn filter(random: &mut Random) -> String {
    match random.below(6) {
        0 => "churn/#".to_owned(),
        1 => "churn/+".to_owned(),
        2 => format!("$share/group{}/churn/{}", random.below(3), random.below(10)),
        3 => "lockstep/#".to_owned(),
        4 => "$SYS/#".to_owned(),
        _ => format!("churn/{}", random.below(20)),
    }
}

async fn subscribe(client: &mut Client, v5: bool, random: &mut Random) -> Option<()> {
    let mut body = bytes::BytesMut::from(if v5 { &[0, 9, 0][..] } else { &[0, 9][..] });
    for _ in 0..=random.below(3) {
        put_string(&mut body, filter(random).as_bytes());
        body.extend_from_slice(&[random.below(3) as u8]);
    }
    client.try_raw(&super::packets::framed(0x82, &body)).await.ok()?;
    until_pong(client, random).await
}

async fn unsubscribe(client: &mut Client, v5: bool, random: &mut Random) -> Option<()> {
    let mut body = bytes::BytesMut::from(if v5 { &[0, 10, 0][..] } else { &[0, 10][..] });
    put_string(&mut body, filter(random).as_bytes());
    client.try_raw(&super::packets::framed(0xa2, &body)).await.ok()?;
    until_pong(client, random).await
}

async fn publish(client: &mut Client, random: &mut Random) -> Option<()> {
    for _ in 0..random.below(8) {
        let slider = random.below(12) == 0;
        let topic = if slider { "lockstep/main/slider1/set".to_owned() } else { format!("churn/{}", random.below(20)) };
        let payload = if slider { b"7".to_vec() } else { vec![b'x'; random.below(2_000) as usize] };
        let bytes = client.publish_bytes(&Publish {
            topic: &topic,
            payload: &payload,
            qos: random.below(3) as u8,
            retain: random.below(4) == 0,
            id: 1 + random.below(30) as u16,
            ..Publish::default()
        });
        client.try_raw(&bytes).await.ok()?;
    }
    until_pong(client, random).await
}

/// A small generator, so that a run can be repeated.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) % limit
    }
}
