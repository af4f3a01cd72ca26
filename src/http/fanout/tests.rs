//! Random schedules: whatever is published, subscribed to, stalled and cut off, each browser ends with what the engine has.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    future::poll_fn,
    task::Poll,
    time::Duration,
};

use proptest::prelude::*;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{
    clock::Clock,
    domain::{
        hub::{Hub, HubSpec},
        origin::Origin,
        publication::Publish,
        topic::Topic,
    },
    engine::{Engine, EngineHandle, EngineLimits, Lane},
    http::stream::Duct,
};

const BOOT: &str = "boot";
const TOPICS: [&str; 6] = ["a", "a/b", "a/c", "b/c", "b", "c"];
const FILTERS: [&[&str]; 5] = [&["#"], &["a/#"], &["+/c", "b"], &["a/b", "c"], &["a/+", "+"]];
const BROWSERS: usize = 3;
/// A browser that comes back may come to another one.
const SHARDS: usize = 2;
/// How long a browser may take nothing.
const STALL_MAX: Duration = Duration::from_secs(10);

#[derive(Debug, Clone)]
enum Step {
    Publish { topic: usize, retain: bool, kilobytes: usize, times: usize },
    Clear { topic: usize },
    Subscribe { browser: usize, filters: usize },
    Unsubscribe { browser: usize, filters: usize },
    Read { browser: usize },
    Reconnect { browser: usize },
    Wait,
}

fn step() -> impl Strategy<Value = Step> {
    let (topic, browser, filters) = (0..TOPICS.len(), 0..BROWSERS, 0..FILTERS.len());
    prop_oneof![
        8 => (topic.clone(), any::<bool>(), prop_oneof![Just(0usize), Just(1), Just(20)], 1usize..20)
            .prop_map(|(topic, retain, kilobytes, times)| Step::Publish { topic, retain, kilobytes, times }),
        2 => topic.prop_map(|topic| Step::Clear { topic }),
        3 => (browser.clone(), filters.clone()).prop_map(|(browser, filters)| Step::Subscribe { browser, filters }),
        1 => (browser.clone(), filters).prop_map(|(browser, filters)| Step::Unsubscribe { browser, filters }),
        4 => browser.clone().prop_map(|browser| Step::Read { browser }),
        1 => browser.prop_map(|browser| Step::Reconnect { browser }),
        1 => Just(Step::Wait),
    ]
}

/// A browser as it should be: it believes what it is told and checks that it may.
struct Client {
    id: BrowserId,
    duct: Arc<Duct>,
    wire: Wire,
    bytes: Vec<u8>,
    filters: BTreeSet<Filter>,
    known: BTreeMap<String, (u64, Value)>,
    seq: u64,
    /// Whether everything up to `seq` was heard for all of the filters.
    complete: bool,
    events: BTreeSet<u64>,
    lost: bool,
    /// The snapshots that were asked for, in order.
    pending_snaps: VecDeque<Vec<Filter>>,
}

impl Client {
    async fn connect(fanout: &Fanout, wire: Wire) -> Self {
        let mut client = Self {
            id: 0,
            duct: Arc::default(),
            wire,
            bytes: Vec::new(),
            filters: BTreeSet::new(),
            known: BTreeMap::new(),
            seq: 0,
            complete: false,
            events: BTreeSet::new(),
            lost: false,
            pending_snaps: VecDeque::new(),
        };
        client.join(fanout).await;
        client
    }

    async fn join(&mut self, fanout: &Fanout) {
        (self.id, self.duct) = (fanout.new_id(), Arc::default());
        self.bytes.clear();
        let hello = Hello { before_seq: r#"{"type":"hello","seq":"#.to_owned(), after_seq: "}".to_owned() };
        let outgoing = Outgoing::Duct(Arc::clone(&self.duct));
        let (id, rights) = (self.id, ReadRights::default());
        assert!(fanout.tell(Command::Join { id, outgoing, wire: self.wire, rights, hello }).await);
    }

    async fn reconnect(&mut self, fanout: &Fanout) {
        self.duct.cut();
        fanout.tell(Command::Leave { id: self.id }).await;
        self.join(fanout).await;
        let resume = (self.complete && self.pending_snaps.is_empty()).then_some(self.seq);
        self.pending_snaps.clear();
        let filters: Vec<_> = self.filters.iter().cloned().collect();
        self.subscribe(fanout, filters, resume).await;
    }

    async fn subscribe(&mut self, fanout: &Fanout, filters: Vec<Filter>, resume: Option<u64>) {
        if filters.is_empty() {
            return;
        }
        self.filters.extend(filters.iter().cloned());
        self.pending_snaps.push_back(filters.clone());
        fanout.tell(Command::Subscribe { id: self.id, filters, snap_id: "1".into(), resume }).await;
    }

    /// Reads everything that is there; false when the connection is over.
    async fn read(&mut self) -> bool {
        loop {
            let taken = poll_fn(|context| Poll::Ready(self.duct.poll_take(context))).await;
            match taken {
                Poll::Pending => return true,
                Poll::Ready(None) => return false,
                Poll::Ready(Some(bytes)) => {
                    self.bytes.extend_from_slice(&bytes);
                    while let Some(frame) = self.frame() {
                        self.hear(&frame);
                    }
                }
            }
            settle().await;
        }
    }

    fn frame(&mut self) -> Option<Value> {
        let (start, end, next) = match self.wire {
            Wire::WebSocket => {
                let (start, length) = match *self.bytes.get(1)? {
                    126 => (4, u16::from_be_bytes(self.bytes.get(2..4)?.try_into().ok()?).into()),
                    127 => (10, usize::try_from(u64::from_be_bytes(self.bytes.get(2..10)?.try_into().ok()?)).ok()?),
                    short => (2, usize::from(short)),
                };
                (start, start + length, start + length)
            }
            Wire::EventStream => {
                let end = self.bytes.windows(2).position(|pair| pair == b"\n\n")?;
                let start = self.bytes.windows(6).position(|window| window == b"data: ")? + 6;
                (start, end, end + 2)
            }
        };
        let frame = serde_json::from_slice(self.bytes.get(start..end)?).expect("a frame of JSON");
        self.bytes.drain(..next);
        Some(frame)
    }

    fn hear(&mut self, frame: &Value) {
        let seq = frame["seq"].as_u64().unwrap_or(0);
        match frame["type"].as_str() {
            Some("hello") => {}
            Some("resync") => self.lost = true,
            Some("snap") => {
                if frame["page"] == 0 && frame["resumed"] == false {
                    let whole = self.pending_snaps.front().expect("it was asked for");
                    self.known.retain(|topic, _| !whole.iter().any(|filter| filter.matches(topic)));
                }
                for entry in frame["topics"].as_array().expect("topics") {
                    assert!(entry["seq"].as_u64().expect("seq") <= seq, "newer than its snapshot: {entry}");
                    self.learn(entry);
                }
                if frame["last"] == true {
                    assert!(seq >= self.seq, "a snapshot of the past: {seq} after {}", self.seq);
                    self.seq = seq;
                    self.pending_snaps.pop_front();
                    self.complete = true;
                }
            }
            Some("msg") => {
                assert!(seq > self.seq, "{seq} after {}", self.seq);
                self.seq = seq;
                if frame["retain"] == true {
                    self.learn(frame);
                } else {
                    assert!(self.events.insert(seq), "an event twice: {frame}");
                }
            }
            other => panic!("{other:?}"),
        }
    }

    fn learn(&mut self, entry: &Value) {
        let topic = entry["topic"].as_str().expect("topic").to_owned();
        let seq = entry["seq"].as_u64().expect("seq");
        assert!(self.known.get(&topic).is_none_or(|(known, _)| *known <= seq), "the past of {topic}");
        if entry["deleted"] == true {
            self.known.remove(&topic);
        } else {
            self.known.insert(topic, (seq, entry["payload"].clone()));
        }
    }
}

/// Lets every task run until all of them wait.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

fn filters(at: usize) -> Vec<Filter> {
    FILTERS[at].iter().map(|text| Filter::parse(text).expect("filter")).collect()
}

async fn start() -> (Fanout, EngineHandle, CancellationToken) {
    let spec = HubSpec {
        name: String::new(),
        version: String::new(),
        root: "lockstep".parse().expect("id"),
        boot: BOOT.to_owned(),
        template: Vec::new(),
        rooms: Vec::new(),
        rooms_max: 1,
    };
    let (mut engine, handle) = Engine::new(Hub::new(spec), Clock::system(), EngineLimits::default());
    let outlets: Vec<_> = (0..SHARDS).map(|_| engine.outlet()).collect();
    engine.start(Vec::new(), 0);
    let stop = CancellationToken::new();
    tokio::spawn(engine.run(stop.clone().cancelled_owned()));
    let (fanout, commands) = Fanout::new(SHARDS);
    for (outlet, commands) in outlets.into_iter().zip(commands) {
        let snapshot = handle.snapshot(vec![Filter::parse("#").expect("filter")]).await.expect("a snapshot");
        let shard = Shard::new(snapshot, BOOT.into(), STALL_MAX);
        tokio::spawn(shard.run(outlet, commands, stop.clone()));
    }
    (fanout, handle, stop)
}

fn publish(topic: usize, retain: bool, payload: String) -> Publish {
    let topic = Topic::parse(TOPICS[topic % TOPICS.len()]).expect("topic");
    let mut publish = Publish::new(topic, payload, Origin::Hub);
    publish.retain = retain;
    publish
}

async fn play(steps: Vec<Step>) {
    let (fanout, engine, stop) = start().await;
    let mut clients = Vec::new();
    for i in 0..BROWSERS {
        let wire = if i == 0 { Wire::EventStream } else { Wire::WebSocket };
        clients.push(Client::connect(&fanout, wire).await);
    }
    let mut events: BTreeMap<u64, &str> = BTreeMap::new();
    for (number, step) in steps.into_iter().enumerate() {
        match step {
            Step::Publish { topic, retain, kilobytes, times } => {
                let payload = |i| format!("{number}.{i} {}", "x".repeat(kilobytes << 10));
                // The topics take turns, from `topic` on, and all of it is one round for the fan-out.
                let round = (0..times).map(|i| publish(topic + i % 2, retain || i % 3 == 0, payload(i))).collect();
                let outcomes = engine.submit(Lane::Client, round).await.expect("a receipt").outcomes().await;
                let last =
                    outcomes.expect("outcomes").last().and_then(|last| last.as_ref().ok()).map_or(0, |last| last.seq);
                for (i, seq) in (0..times).zip(last + 1 - times as u64..) {
                    if !(retain || i % 3 == 0) {
                        events.insert(seq, TOPICS[(topic + i % 2) % TOPICS.len()]);
                    }
                }
            }
            Step::Clear { topic } => {
                let receipt = engine.submit(Lane::Client, vec![publish(topic, true, String::new())]).await;
                receipt.expect("a receipt").outcomes().await.expect("outcomes");
            }
            Step::Subscribe { browser, filters: at } => clients[browser].subscribe(&fanout, filters(at), None).await,
            Step::Unsubscribe { browser, filters: at } => {
                let fewer = filters(at);
                let client = &mut clients[browser];
                client.filters.retain(|filter| !fewer.contains(filter));
                fanout.tell(Command::Unsubscribe { id: client.id, filters: fewer }).await;
            }
            Step::Read { browser } => {
                if !clients[browser].read().await {
                    clients[browser].reconnect(&fanout).await;
                }
            }
            Step::Reconnect { browser } => clients[browser].reconnect(&fanout).await,
            Step::Wait => tokio::time::sleep(STALL_MAX * 2).await,
        }
        settle().await;
    }
    for client in &mut clients {
        // A snapshot of all that is subscribed to answers a resync too; there may be one after the other.
        for _ in 0..3 {
            settle().await;
            if !client.read().await {
                client.reconnect(&fanout).await;
            } else if std::mem::take(&mut client.lost) {
                let all = client.filters.iter().cloned().collect();
                client.subscribe(&fanout, all, None).await;
            }
        }
        check(client, &engine, &events).await;
    }
    stop.cancel();
}

async fn check(client: &Client, engine: &EngineHandle, events: &BTreeMap<u64, &str>) {
    assert!(client.pending_snaps.is_empty(), "a snapshot never came");
    let matches = |topic: &str| client.filters.iter().any(|filter| filter.matches(topic));
    let snapshot = engine.snapshot(client.filters.iter().cloned().collect()).await.expect("a snapshot");
    let text = |payload: &[u8]| {
        let text = || Value::String(String::from_utf8_lossy(payload).into_owned());
        serde_json::from_slice(payload).unwrap_or_else(|_| text())
    };
    let theirs: BTreeMap<String, (u64, Value)> =
        snapshot.values.iter().map(|value| (value.topic.to_string(), (value.seq, text(&value.payload)))).collect();
    let ours: BTreeMap<String, (u64, Value)> = client
        .known
        .iter()
        .filter(|(topic, _)| matches(topic))
        .map(|(topic, known)| (topic.clone(), known.clone()))
        .collect();
    assert_eq!(ours, theirs);
    assert!(client.events.iter().all(|seq| events.contains_key(seq)), "{:?} of {events:?}", client.events);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn every_browser_ends_with_what_the_engine_has(steps in prop::collection::vec(step(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
        runtime.expect("a runtime").block_on(play(steps));
    }
}
