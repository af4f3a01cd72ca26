//! The discovery edge: keeps Home Assistant's documents in the retained tree equal to what they should be.
//!
//! Two tasks. The *reader* takes what concerns discovery from the outlet and never waits for anything else, so that the
//! credit of what it reads is free at once. The *publisher* compares what is published with what should be, and publishes the
//! difference; it may wait for credit, the reader does not notice.
//!
//! Safety: the publisher only ever touches topics below `<prefix>/device/`. Liveness: after any change of the hub, of a box or of
//! the documents themselves, the publisher looks again.
//!
//! What a document says does not belong here.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    homeassistant::{Document, Settings, documents, is_ours},
    info::{BoxInfo, HubInfo},
};
use crate::{
    domain::{
        id::Id,
        origin::Origin,
        publication::{Publication, Publish, Qos},
        topic::{Filter, Topic},
    },
    engine::{Batch, EngineHandle, Lane, OutletReceiver, Stopped},
};

/// The most devices that are described; more of them are there, but Home Assistant does not hear of them.
pub const BOXES_MAX: usize = 256;

/// The most documents of others that are remembered, so that a prefix full of devices costs little.
const DOCUMENTS_MAX: usize = 4096;

/// The most documents that are remembered after they went, so that a Home Assistant that was away hears of it.
const GONE_MAX: usize = 256;

/// How long after Home Assistant's start the documents are published again, in milliseconds: at random, so that not everything
/// in a home answers at once.
const BIRTH_DELAY_MS: std::ops::RangeInclusive<u64> = 1_000..=10_000;

/// How long after a refused document (a full or failing disk) the publisher tries again.
const RETRY_AFTER: Duration = Duration::from_secs(30);

/// How long the publisher waits for more changes before it publishes: a box says several things when it comes.
const SETTLE: Duration = Duration::from_millis(50);

/// What concerns discovery, as the outlet told it. Cheap to clone.
#[derive(Debug, Clone, Default)]
struct Seen {
    /// The place in the one order up to which this is true.
    seq: u64,
    hub: Option<Bytes>,
    boxes: Arc<BTreeMap<Id, Bytes>>,
    /// The documents in the retained tree, by object id, whoever published them.
    published: Arc<BTreeMap<String, Bytes>>,
    /// How often Home Assistant said that it has started.
    births: u64,
}

/// Where what concerns discovery is found.
#[derive(Debug, Clone)]
struct Places {
    info: Topic,
    box_prefix: String,
    birth: Topic,
    settings: Settings,
}

impl Places {
    fn new(root: &Id, settings: &Settings) -> Self {
        Self {
            info: Topic::of(&[root.as_str(), "hub", "info"]),
            box_prefix: format!("{root}/device/"),
            birth: settings.birth_topic(),
            settings: settings.clone(),
        }
    }

    fn filters(&self) -> Vec<Filter> {
        let documents = format!("{}/device/+/config", self.settings.prefix);
        let boxes = format!("{}+/info", self.box_prefix);
        [self.info.as_str(), &boxes, &documents].into_iter().filter_map(|text| Filter::parse(text).ok()).collect()
    }

    fn box_id(&self, topic: &str) -> Option<Id> {
        topic.strip_prefix(&self.box_prefix)?.strip_suffix("/info")?.parse().ok()
    }

    /// Whether `publication` may concern discovery.
    fn concern(&self, publication: &Publication) -> bool {
        let topic = &publication.topic;
        *topic == self.birth
            || publication.is_level()
                && (*topic == self.info
                    || self.box_id(topic.as_str()).is_some()
                    || self.settings.object_id(topic.as_str()).is_some())
    }

    /// Takes in a level at `topic`; tells whether it concerns discovery.
    fn note(&self, seen: &mut Seen, topic: &Topic, payload: &Bytes) -> bool {
        if *topic == self.info {
            seen.hub = (!payload.is_empty()).then(|| payload.clone());
        } else if let Some(id) = self.box_id(topic.as_str()) {
            put(Arc::make_mut(&mut seen.boxes), id, payload, BOXES_MAX);
        } else if let Some(object_id) = self.settings.object_id(topic.as_str()) {
            put(Arc::make_mut(&mut seen.published), object_id.to_owned(), payload, DOCUMENTS_MAX);
        } else {
            return false;
        }
        true
    }

    /// Takes in one publication; tells whether it concerns discovery.
    fn read(&self, seen: &mut Seen, publication: &Publication) -> bool {
        if publication.seq <= seen.seq {
            return false;
        }
        seen.seq = publication.seq;
        if publication.topic == self.birth {
            let born = &publication.payload[..] == b"online";
            seen.births += u64::from(born);
            return born;
        }
        publication.is_level() && self.note(seen, &publication.topic, &publication.payload)
    }
}

/// Puts a level into a map of at most `entries_max`; an empty payload takes it out.
fn put<K: Ord>(map: &mut BTreeMap<K, Bytes>, key: K, payload: &Bytes, entries_max: usize) {
    if payload.is_empty() {
        map.remove(&key);
    } else if map.len() < entries_max || map.contains_key(&key) {
        map.insert(key, payload.clone());
    }
}

/// Discovery at work.
#[derive(Debug)]
pub struct Discovery {
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Discovery {
    /// Ends both tasks. The documents stay: they are retained, and the entities become unavailable by the hub's availability.
    pub async fn stop(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// What discovery for the hub with `root` has to be told of.
pub fn concern(root: &Id, settings: &Settings) -> impl Fn(&Publication) -> bool + Send + 'static {
    let places = Places::new(root, settings);
    move |publication| places.concern(publication)
}

/// Starts discovery for the hub with `root`. Where `settings` switch it off, documents of earlier runs are cleared all the same.
#[must_use]
pub fn start(engine: EngineHandle, outlet: OutletReceiver, root: &Id, settings: &Settings) -> Discovery {
    let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
    let (sender, receiver) = watch::channel(Seen::default());
    let places = Places::new(root, settings);
    tasks.spawn(stop.clone().run_until_cancelled_owned(read(engine.clone(), outlet, places, sender)));
    tasks.spawn(stop.clone().run_until_cancelled_owned(publish(engine, settings.clone(), receiver)));
    Discovery { stop, tasks }
}

/// The reader: a snapshot first, then everything that the outlet brings. What the outlet brings before the snapshot is there
/// waits in the outlet, and is passed over by its `seq`.
async fn read(engine: EngineHandle, mut outlet: OutletReceiver, places: Places, sender: watch::Sender<Seen>) {
    let Ok(snapshot) = engine.snapshot(places.filters()).await else { return };
    drop(engine);
    let mut seen = Seen { seq: snapshot.seq, ..Seen::default() };
    for retained in &snapshot.values {
        places.note(&mut seen, &retained.topic, &retained.payload);
    }
    sender.send_replace(seen.clone());
    while let Some(batch) = outlet.recv().await {
        let concerns = read_batch(&places, &mut seen, &batch);
        drop(batch);
        if concerns {
            sender.send_replace(seen.clone());
        }
    }
}

fn read_batch(places: &Places, seen: &mut Seen, batch: &Batch) -> bool {
    let mut concerns = false;
    for publication in &batch.publications {
        concerns |= places.read(seen, publication);
    }
    concerns
}

/// The publisher. A document that somebody else took away (Home Assistant does, when its user deletes the device) stays away until
/// it changes or Home Assistant starts anew: nobody's wish is fought.
async fn publish(engine: EngineHandle, settings: Settings, mut receiver: watch::Receiver<Seen>) {
    let mut births = 0;
    let mut again_at: Option<Instant> = None;
    let mut standing: Option<Standing> = None;
    loop {
        let again = async {
            match again_at {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        let everything = tokio::select! {
            changed = receiver.changed() => match changed {
                Ok(()) => false,
                Err(_) => return,
            },
            () = again => {
                again_at = None;
                true
            }
        };
        if !everything {
            tokio::time::sleep(SETTLE).await;
        }
        let seen = receiver.borrow_and_update().clone();
        if seen.births != births {
            births = seen.births;
            again_at = Some(Instant::now() + random_within(BIRTH_DELAY_MS));
        }
        let Some(info) = seen.hub.as_deref().and_then(HubInfo::read) else { continue };
        let boxes: BTreeMap<Id, BoxInfo> =
            seen.boxes.iter().filter_map(|(id, said)| Some((id.clone(), BoxInfo::read(said)?))).collect();
        let wanted = if settings.enabled { documents(&info, &boxes, &settings) } else { Vec::new() };
        let standing =
            standing.get_or_insert_with(|| Standing { documents: (*seen.published).clone(), gone: BTreeSet::new() });
        // A document of ours that came back by other ways (an old one, through a link) counts as standing too.
        for (object_id, payload) in seen.published.iter() {
            if !standing.documents.contains_key(object_id) && is_ours(&info, object_id, payload) {
                standing.documents.insert(object_id.clone(), payload.clone());
            }
        }
        match bring_about(&engine, &info, &settings, standing, wanted, everything).await {
            Ok(true) => {}
            Ok(false) => again_at = Some(again_at.unwrap_or_else(|| Instant::now() + RETRY_AFTER)),
            Err(Stopped) => return,
        }
    }
}

/// What was published, as the publisher knows it.
struct Standing {
    documents: BTreeMap<String, Bytes>,
    /// What was cleared in this run: no retained value tells a Home Assistant that was away that a device is gone, so it is told
    /// once more when it is back.
    gone: BTreeSet<String>,
}

/// Publishes what is missing in `standing` of `wanted`, all of it with `everything`, and clears what is ours beyond it; tells
/// whether all of it was taken. One document after the other: a batch would hold the credit of all of them at once.
async fn bring_about(
    engine: &EngineHandle,
    info: &HubInfo,
    settings: &Settings,
    standing: &mut Standing,
    wanted: Vec<Document>,
    everything: bool,
) -> Result<bool, Stopped> {
    let is_wanted = |object_id: &String| wanted.iter().any(|document| document.object_id == *object_id);
    standing.gone.retain(|object_id| !is_wanted(object_id));
    let ours = standing.documents.iter().filter(|(object_id, payload)| is_ours(info, object_id, payload));
    let mut gone: BTreeSet<String> = ours.map(|(object_id, _)| object_id.clone()).filter(|id| !is_wanted(id)).collect();
    if everything {
        gone.extend(standing.gone.iter().cloned());
    }
    let (cleared, mut published, mut refused) = (gone.len(), 0, 0);
    for object_id in gone {
        if publish_one(engine, settings.document_topic(&object_id), Bytes::new()).await? {
            standing.documents.remove(&object_id);
            if standing.gone.len() < GONE_MAX {
                standing.gone.insert(object_id);
            }
        } else {
            refused += 1;
        }
    }
    for document in wanted {
        let payload = Bytes::from(document.payload.to_string());
        if !everything && standing.documents.get(&document.object_id) == Some(&payload) {
            continue;
        }
        if publish_one(engine, document.topic, payload.clone()).await? {
            published += 1;
            standing.documents.insert(document.object_id, payload);
        } else {
            refused += 1;
        }
    }
    if published + cleared > 0 {
        tracing::info!(published, cleared, refused, prefix = %settings.prefix, "Home Assistant's documents are up to date");
    }
    Ok(refused == 0)
}

/// Publishes a document, or clears it; tells whether it was taken.
async fn publish_one(engine: &EngineHandle, topic: Topic, payload: Bytes) -> Result<bool, Stopped> {
    let publish = Publish { retain: true, qos: Qos::AtLeastOnce, ..Publish::new(topic.clone(), payload, Origin::Hub) };
    match engine.submit(Lane::Hub, vec![publish]).await?.outcomes().await.as_deref() {
        Ok([Ok(_)]) => Ok(true),
        Ok([Err(rejection), ..]) => {
            tracing::warn!(%topic, "a discovery document was refused: {rejection}");
            Ok(false)
        }
        // The disk failed before it was kept.
        _ => Ok(false),
    }
}

/// A time within `span`, different for each hub and each time.
fn random_within(span_ms: std::ops::RangeInclusive<u64>) -> Duration {
    let mut bytes = [0; 8];
    // Without a random number all hubs answer at the same time; that is all.
    let _ = getrandom::fill(&mut bytes);
    let width = span_ms.end() - span_ms.start() + 1;
    Duration::from_millis(span_ms.start() + u64::from_le_bytes(bytes) % width)
}

#[cfg(test)]
mod tests;
