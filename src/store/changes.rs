//! What one commit writes, collected and merged before it begins.

use std::collections::{BTreeSet, HashMap};

use super::kept::KeptChanges;
use crate::{
    domain::{history::HistoryEntry, publication::Publication, topic::Topic},
    policy::{LoginChanges, note_login_change},
};

/// What one commit writes: the latest of everything that changed.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// The newest publication of a topic; with an empty payload where it was cleared.
    pub(super) retained: HashMap<Topic, Publication>,
    /// What changed for MQTT sessions.
    pub(super) kept: KeptChanges,
    /// What changed of the logins.
    pub(super) logins: LoginChanges,
    /// Finished phases to append, oldest first.
    pub(super) history: Vec<HistoryEntry>,
    /// Finished phases that ended before this are to go, in Unix milliseconds.
    pub(super) history_cutoff: Option<i64>,
    /// Rooms whose history goes, before `history` is appended.
    pub(super) history_forgotten: BTreeSet<String>,
    /// The newest revision that may be given from now on.
    pub(super) revision_ceiling: Option<u64>,
}

impl Changes {
    /// Whether there is nothing to write.
    pub(super) fn is_empty(&self) -> bool {
        self.retained.is_empty()
            && self.kept.is_empty()
            && self.logins.is_empty()
            && self.history.is_empty()
            && self.history_cutoff.is_none()
            && self.history_forgotten.is_empty()
            && self.revision_ceiling.is_none()
    }

    /// Puts `older` beneath: what changed again since keeps its newer value.
    pub(super) fn put_beneath(&mut self, older: Self) {
        for (topic, value) in older.retained {
            self.retained.entry(topic).or_insert(value);
        }
        self.kept.put_beneath(older.kept);
        let newer = std::mem::replace(&mut self.logins, older.logins);
        for (token, change) in newer {
            note_login_change(&mut self.logins, token, change);
        }
        let newer = std::mem::replace(&mut self.history, older.history);
        self.history.retain(|line| !self.history_forgotten.contains(&line.room));
        self.history.extend(newer);
        self.history_forgotten.extend(older.history_forgotten);
        self.history_cutoff = self.history_cutoff.max(older.history_cutoff);
        self.revision_ceiling = self.revision_ceiling.max(older.revision_ceiling);
    }
}
