//! The readiness probe: a publish that really goes through the inbox, the engine, the writer and the router, and comes back.
//!
//! What an answer to `/readyz` looks like, and how long it may take, does not belong here.

use std::sync::Arc;

use super::{
    router::{Delivered, Gone, RouterHandle},
    state::State,
};
use crate::{
    domain::{origin::Origin, publication::Publish, topic::Topic},
    engine::Lane,
};

/// Where the publish goes: beside every filter that does not name it, so that no client hears it by accident.
const TOPIC: &str = "$lockstep/ready";

/// Sends something through the door and back. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Probe {
    /// The door's.
    pub(super) state: Arc<State>,
}

/// Why nothing came back.
enum Failure {
    /// The router went away meanwhile; another one takes over.
    Router,
    /// The engine did not take the publish.
    Refused(String),
}

impl From<Gone> for Failure {
    fn from(_: Gone) -> Self {
        Self::Router
    }
}

impl Probe {
    /// Publishes and waits until the router delivers it. A router that dies or does not answer in time is reported to the writer,
    /// and tried again, as is the next one; while none answers this waits, so the caller sets a limit.
    ///
    /// # Errors
    /// Why the engine refused the publish, as a sentence for people.
    ///
    /// # Cancel safety
    /// Cancelling loses nothing; the publish may happen all the same.
    pub async fn round_trip(&self) -> Result<(), String> {
        let mut router = self.state.router.clone();
        loop {
            let current = router.borrow_and_update().clone();
            // A link that is opened while the router dies is never answered.
            let through = tokio::time::timeout(self.state.settings.limits.router_timeout, self.through(&current));
            match through.await.unwrap_or(Err(Failure::Router)) {
                Ok(()) => return Ok(()),
                Err(Failure::Refused(reason)) => return Err(reason),
                Err(Failure::Router) => self.state.flow.suspect(),
            }
            // The next one, or the same again if it lives after all.
            if let Ok(Err(_)) = tokio::time::timeout(self.state.settings.limits.router_timeout, router.changed()).await
            {
                return Err("the hub is stopping".to_owned());
            }
        }
    }

    async fn through(&self, router: &RouterHandle) -> Result<(), Failure> {
        let mut link = router.open().await?;
        link.subscribe(TOPIC, 1).await?;
        while !matches!(link.next().await?, Delivered::Subscribed) {}
        let refused = |e: &dyn std::fmt::Display| Failure::Refused(e.to_string());
        let topic = Topic::parse(TOPIC).map_err(|e| refused(&e))?;
        let accepted = self.state.engine.publish(Lane::Hub, Publish::new(topic, "ready?", Origin::Hub)).await;
        let seq = accepted.map_err(|rejection| refused(&rejection.message))?.seq;
        loop {
            match link.next().await? {
                // Another check's may come first.
                Delivered::Message { payload, .. }
                    if super::header::decode(payload.clone()).is_some_and(|message| message.seq >= seq) =>
                {
                    break;
                }
                Delivered::Resting => link.resume().await?,
                Delivered::Message { .. } | Delivered::Subscribed => {}
            }
        }
        Ok(())
    }
}
