//! The core's loop: hears both ends, asks the mirror, fills the outboxes, and waits for nobody.
//!
//! What goes where does not belong here ([`mirror`](super::mirror)), nor do connections ([`remote`](super::remote)).

use std::time::Duration;

use serde_json::json;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    mirror::{Message, Mirror},
    outbox::Outbox,
    remote::Heard,
};
use crate::clock::Clock;

/// How many messages wait between an end and the core.
const CHANNEL_MESSAGES_MAX: usize = 256;

/// How long after the last retained message of a side it counts as complete.
const SETTLE: Duration = Duration::from_secs(2);

/// How long stopping may take.
const STOP_WITHIN: Duration = Duration::from_secs(2);

/// The core's side of one end.
pub(super) struct End {
    heard: mpsc::Receiver<Heard>,
    say: mpsc::Sender<Message>,
    outbox: Outbox,
    up: bool,
    /// Which start of which hub it is, where it is a hub that tells.
    boot: Option<String>,
    /// When it counts as having said everything that is retained there; none once that was seen to.
    settles_at: Option<Instant>,
    failures: u32,
}

impl End {
    pub(super) fn new() -> (Self, mpsc::Sender<Heard>, mpsc::Receiver<Message>) {
        let (heard_sender, heard) = mpsc::channel(CHANNEL_MESSAGES_MAX);
        let (say, say_receiver) = mpsc::channel(CHANNEL_MESSAGES_MAX);
        let end = Self { heard, say, outbox: Outbox::default(), up: false, boot: None, settles_at: None, failures: 0 };
        (end, heard_sender, say_receiver)
    }

    fn push(&mut self, message: Message) {
        if self.up {
            self.outbox.push(message);
        }
    }

    fn begins(&mut self) {
        self.up = true;
        self.failures = 0;
        self.outbox.clear();
        self.settles_at = Some(Instant::now() + SETTLE);
    }

    fn ends(&mut self) {
        self.up = false;
        self.outbox.clear();
        self.settles_at = None;
    }

    fn is_settled(&self, now: Instant) -> bool {
        self.up && self.settles_at.is_none_or(|at| at <= now)
    }
}

/// The core at work.
pub(super) struct Core {
    mirror: Mirror,
    hub: End,
    far: End,
    clock: Clock,
    far_address: String,
    /// The state that was told last.
    told: String,
    same_hub: CancellationToken,
}

/// What a link with itself tells. Everything that it carried would come back to it.
pub(super) const SAME_HUB: &str =
    "both ends of the link are the same hub, so nothing is mirrored; give it the address of another broker";

impl Core {
    /// A core that cancels `same_hub` when both ends turn out to be the same hub.
    pub(super) const fn new(
        mirror: Mirror,
        hub: End,
        far: End,
        clock: Clock,
        far_address: String,
        same_hub: CancellationToken,
    ) -> Self {
        Self { mirror, hub, far, clock, far_address, told: String::new(), same_hub }
    }

    /// Carries until `stop`, then says `offline`.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        loop {
            let settles_at = match (self.hub.settles_at, self.far.settles_at) {
                (Some(hub), Some(far)) => Some(hub.max(far)),
                (hub, far) => hub.or(far),
            };
            let both_up = self.hub.up && self.far.up;
            let step = tokio::select! {
                () = stop.cancelled() => break,
                heard = self.hub.heard.recv() => Step::Hub(heard),
                heard = self.far.heard.recv() => Step::Far(heard),
                permit = self.hub.say.reserve(), if !self.hub.outbox.is_empty() => send(permit, &mut self.hub.outbox),
                permit = self.far.say.reserve(), if !self.far.outbox.is_empty() => send(permit, &mut self.far.outbox),
                () = wait_until(settles_at), if both_up && settles_at.is_some() => Step::Settled,
            };
            match step {
                Step::Hub(Some(heard)) => self.hub_heard(heard),
                Step::Far(Some(heard)) => self.far_heard(heard),
                Step::Settled => self.settled(),
                Step::Sent => {}
                Step::Hub(None) | Step::Far(None) | Step::Gone => break,
            }
        }
        self.say_farewell().await;
    }

    fn hub_heard(&mut self, heard: Heard) {
        match heard {
            Heard::Up { boot, .. } => {
                self.hub.begins();
                self.hub.boot = boot;
                self.mirror.hub_begins();
                tracing::info!("the link has the hub");
                self.told.clear();
                if self.is_with_itself() {
                    return self.refuse();
                }
                self.tell_state(None);
            }
            Heard::Down { reason } => {
                if self.hub.failures == 0 {
                    tracing::warn!("the link has lost the hub, and tries again: {reason}");
                }
                self.hub.failures += 1;
                if self.hub.up {
                    self.far.push(Message::new(self.mirror.far_availability(), "offline", true));
                }
                self.hub.ends();
                self.hub.boot = None;
            }
            Heard::Message(message) => {
                if message.retain && self.hub.settles_at.is_some() {
                    self.hub.settles_at = Some(Instant::now() + SETTLE);
                }
                if let Some(out) = self.mirror.hub_said(message) {
                    self.far.push(out);
                }
            }
        }
    }

    fn far_heard(&mut self, heard: Heard) {
        match heard {
            Heard::Up { protocol, boot } => {
                self.far.boot = boot;
                if self.is_with_itself() {
                    return self.refuse();
                }
                self.far.begins();
                self.mirror.far_begins();
                for message in if self.hub.up { self.mirror.everything() } else { Vec::new() } {
                    self.far.push(message);
                }
                tracing::info!(far = %self.far_address, protocol, "the link is up");
                self.tell_state(None);
            }
            Heard::Down { reason } => {
                if self.far.failures == 0 {
                    tracing::warn!(far = %self.far_address, "the link is down, and tries again: {reason}");
                }
                self.far.failures += 1;
                self.far.ends();
                self.far.boot = None;
                self.tell_state(Some(&reason));
            }
            // A far side that is the hub itself is not listened to.
            Heard::Message(_) if !self.far.up => {}
            Heard::Message(message) => {
                if message.retain && self.far.settles_at.is_some() {
                    self.far.settles_at = Some(Instant::now() + SETTLE);
                }
                if let Some(to_hub) = self.mirror.far_said(message) {
                    self.hub.push(to_hub);
                }
            }
        }
    }

    fn is_with_itself(&self) -> bool {
        self.hub.boot.is_some() && self.hub.boot == self.far.boot
    }

    /// Says why nothing is mirrored. The connections stay, so that it goes on by itself once another broker is at the far address.
    fn refuse(&mut self) {
        self.far.ends();
        tracing::error!(far = %self.far_address, "{SAME_HUB}");
        self.tell_state(Some(SAME_HUB));
        self.same_hub.cancel();
    }

    /// Both sides have said what they have: what the far side has too much goes.
    fn settled(&mut self) {
        let now = Instant::now();
        if !self.hub.is_settled(now) || !self.far.is_settled(now) || !self.mirror.knows_hub() {
            return self.look_again(now);
        }
        (self.hub.settles_at, self.far.settles_at) = (None, None);
        let leftovers = self.mirror.leftovers();
        if !leftovers.is_empty() {
            tracing::info!(topics = leftovers.len(), "the link clears what the hub no longer has");
        }
        for message in leftovers {
            self.far.push(message);
        }
        if self.mirror.left_out() > 0 {
            tracing::warn!(topics = self.mirror.left_out(), "the link leaves out topics beyond its limit");
        }
    }

    fn look_again(&mut self, now: Instant) {
        // Whoever has settled waits for the other one; a hub that has not told what it has gets more time.
        if self.hub.settles_at.is_none_or(|at| at <= now) && self.far.settles_at.is_none_or(|at| at <= now) {
            self.hub.settles_at = Some(now + SETTLE);
        }
    }

    /// Tells at the hub how the link is: availability for whoever waits for it, a state with the reason for people.
    fn tell_state(&mut self, reason: Option<&str>) {
        let names = self.mirror.names();
        let device = format!("{}/device/{}", names.root, names.link_device);
        let availability = if self.far.up { "online" } else { "offline" };
        let told = format!("{availability} {}", reason.unwrap_or_default());
        if !self.hub.up || self.told == told {
            return;
        }
        let info = json!({
            "name": format!("Link to {}", self.far_address), "model": "Lockstep link",
            "version": env!("CARGO_PKG_VERSION"), "event_types": [],
        });
        let state = json!({
            "state": if self.far.up { "up" } else { "down" }, "far": self.far_address, "reason": reason,
            "since": self.clock.now().wall.unix_ms(),
        });
        for (leaf, payload) in
            [("info", info.to_string()), ("availability", availability.to_owned()), ("state", state.to_string())]
        {
            self.hub.push(Message { stamped: true, ..Message::new(format!("{device}/{leaf}"), payload, true) });
        }
        self.told = told;
    }

    async fn say_farewell(self) {
        let names = self.mirror.names();
        let device = format!("{}/device/{}/availability", names.root, names.link_device);
        let offline_at_hub = Message { stamped: true, ..Message::new(device, "offline", true) };
        let offline_at_far = Message::new(self.mirror.far_availability(), "offline", true);
        for (end, message) in [(self.hub, offline_at_hub), (self.far, offline_at_far)] {
            if end.up {
                // An end that takes nothing any more has said its will instead.
                let _ = tokio::time::timeout(STOP_WITHIN, end.say.send(message)).await;
            }
        }
    }
}

/// What the core did not wait for in vain.
enum Step {
    Hub(Option<Heard>),
    Far(Option<Heard>),
    Sent,
    Settled,
    Gone,
}

fn send(permit: Result<mpsc::Permit<'_, Message>, mpsc::error::SendError<()>>, outbox: &mut Outbox) -> Step {
    let Ok(permit) = permit else { return Step::Gone };
    if let Some(message) = outbox.pop() {
        permit.send(message);
    }
    Step::Sent
}

async fn wait_until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
