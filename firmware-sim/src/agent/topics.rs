//! The topics of the design that a box has to do with.

use lockstep::domain::id::Id;

use crate::command::POMODORO;

/// The topics of one box in one room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topics {
    root: Id,
    room: Id,
    device: Id,
}

/// What a message is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    State,
    Remaining,
    Rejected,
    HubAvailability,
}

impl Topics {
    /// The topics of the box `device`, which belongs to `room`.
    pub const fn new(root: Id, room: Id, device: Id) -> Self {
        Self { root, room, device }
    }

    /// The room's id.
    pub const fn room(&self) -> &Id {
        &self.room
    }

    /// The box's id.
    pub const fn device(&self) -> &Id {
        &self.device
    }

    /// `online` or `offline`, retained; the will's topic.
    pub fn availability(&self) -> String {
        format!("{}/device/{}/availability", self.root, self.device)
    }

    /// What the box is, retained.
    pub fn info(&self) -> String {
        format!("{}/device/{}/info", self.root, self.device)
    }

    /// What a finger did, never retained.
    pub fn event(&self) -> String {
        format!("{}/device/{}/event", self.root, self.device)
    }

    /// Commands for `thing`.
    pub fn set(&self, thing: &str) -> String {
        format!("{}/{}/{thing}/set", self.root, self.room)
    }

    /// What the box subscribes to; `countdown`: the remaining time too, which comes once a second.
    pub fn filters(&self, countdown: bool) -> Vec<String> {
        let Self { root, room, .. } = self;
        let mut filters = vec![
            format!("{root}/{room}/{POMODORO}/state"),
            format!("{root}/{room}/+/rejected"),
            format!("{root}/hub/rejected"),
            format!("{root}/hub/availability"),
        ];
        if countdown {
            filters.push(format!("{root}/{room}/{POMODORO}/remaining"));
        }
        filters
    }

    pub(super) fn about(&self, topic: &str) -> Option<About> {
        let rest = topic.strip_prefix(self.root.as_str())?.strip_prefix('/')?;
        match rest {
            "hub/availability" => return Some(About::HubAvailability),
            "hub/rejected" => return Some(About::Rejected),
            _ => {}
        }
        let (thing, leaf) = rest.strip_prefix(self.room.as_str())?.strip_prefix('/')?.split_once('/')?;
        match (thing, leaf) {
            (POMODORO, "state") => Some(About::State),
            (POMODORO, "remaining") => Some(About::Remaining),
            (_, "rejected") => Some(About::Rejected),
            _ => None,
        }
    }
}
