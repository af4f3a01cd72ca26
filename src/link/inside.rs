//! One end of a link: the hub itself, from inside, with no connection between.
//!
//! Safety: the reader waits for the link only, and the link never waits for the engine's credit, so nobody waits in a circle.
//!
//! What is mirrored does not belong here.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::{
    mirror::Message,
    remote::{Heard, STAMP},
};
use crate::{
    domain::{
        origin::Origin,
        publication::{Properties, Publish},
        topic::{Filter, Topic},
    },
    engine::{EngineHandle, Lane, OutletReceiver},
};

/// Tells everything that is retained and matches `filters`, then everything that the outlet brings and matches.
pub(super) async fn read(
    engine: EngineHandle,
    mut outlet: OutletReceiver,
    filters: Vec<Filter>,
    stamp: String,
    boot: String,
    heard: mpsc::Sender<Heard>,
) {
    let Ok(snapshot) = engine.snapshot(filters.clone()).await else { return };
    drop(engine);
    if heard.send(Heard::Up { protocol: "inside", boot: Some(boot) }).await.is_err() {
        return;
    }
    for retained in snapshot.values {
        let message = Message {
            topic: retained.topic.as_str().to_owned(),
            payload: retained.payload,
            retain: true,
            qos: retained.qos,
            stamped: is_stamped(retained.properties.as_deref(), &stamp),
        };
        if heard.send(Heard::Message(message)).await.is_err() {
            return;
        }
    }
    loop {
        let batch = tokio::select! {
            batch = outlet.recv() => batch,
            () = heard.closed() => return,
        };
        let Some(batch) = batch else { return };
        let concerns = |topic: &Topic| filters.iter().any(|filter| filter.matches(topic.as_str()));
        let messages: Vec<Message> = batch
            .publications
            .iter()
            .filter(|publication| publication.seq > snapshot.seq && concerns(&publication.topic))
            .map(|publication| Message {
                topic: publication.topic.as_str().to_owned(),
                payload: publication.payload.clone(),
                retain: publication.is_level(),
                qos: publication.qos,
                stamped: is_stamped(publication.properties.as_deref(), &stamp),
            })
            .collect();
        // Its credit belongs to the senders.
        drop(batch);
        for message in messages {
            if heard.send(Heard::Message(message)).await.is_err() {
                return;
            }
        }
    }
}

/// Publishes what the link says. What the hub refuses is told on `rejected`, as to every other sender.
pub(super) async fn write(engine: EngineHandle, client_id: Arc<str>, stamp: String, mut say: mpsc::Receiver<Message>) {
    let properties = Arc::new(Properties { user: vec![(STAMP.to_owned(), stamp)], ..Properties::default() });
    while let Some(message) = say.recv().await {
        let Ok(topic) = Topic::parse(&message.topic) else { continue };
        let publish = Publish {
            retain: message.retain,
            qos: message.qos,
            properties: Some(Arc::clone(&properties)),
            ..Publish::new(topic, message.payload, Origin::Mqtt(Arc::clone(&client_id)))
        };
        if engine.submit_unanswered(Lane::Client, vec![publish]).await.is_err() {
            return;
        }
    }
}

fn is_stamped(properties: Option<&Properties>, stamp: &str) -> bool {
    properties.is_some_and(|properties| properties.user.iter().any(|(name, value)| name == STAMP && value == stamp))
}
