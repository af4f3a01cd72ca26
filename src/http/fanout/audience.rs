//! Browsers that get the same bytes: same filters, same rights, same way of delivery.
//!
//! What a browser still has to get does not belong here.

use std::{
    hash::{DefaultHasher, Hash, Hasher as _},
    sync::Arc,
};

use super::{BrowserId, frames::Wire};
use crate::{
    domain::topic::{Filter, Topic},
    http::stream::Outgoing,
    policy::ReadRights,
};

/// What makes two browsers the same audience.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    /// Sorted, each once.
    pub(super) filters: Vec<Filter>,
    pub(super) rights: ReadRights,
    pub(super) wire: Wire,
    /// The id of the hub's start as these browsers are told it; see [`boot_for`].
    pub(super) boot: Arc<str>,
}

/// The id of the hub's start for somebody with `rights`: who comes back with other rights must not resume, for they missed
/// what they were not allowed to see.
pub(in crate::http) fn boot_for(boot: &str, rights: &ReadRights) -> Arc<str> {
    if rights.is_everything() {
        return boot.into();
    }
    let mut hasher = DefaultHasher::new();
    rights.hash(&mut hasher);
    format!("{boot}-{:x}", hasher.finish()).into()
}

impl Key {
    pub(super) fn new(rights: ReadRights, wire: Wire, boot: &str) -> Self {
        let boot = boot_for(boot, &rights);
        Self { filters: Vec::new(), rights, wire, boot }
    }

    /// The key with `more` filters.
    pub(super) fn with(&self, more: &[Filter]) -> Self {
        let mut key = self.clone();
        key.filters.extend_from_slice(more);
        key.filters.sort();
        key.filters.dedup();
        key
    }

    /// The key without the filters `fewer`.
    pub(super) fn without(&self, fewer: &[Filter]) -> Self {
        let mut key = self.clone();
        key.filters.retain(|filter| !fewer.contains(filter));
        key
    }

    pub(super) fn matches(&self, topic: &Topic) -> bool {
        self.filters.iter().any(|filter| filter.matches(topic.as_str())) && self.rights.may_receive(topic.as_str())
    }
}

/// The browsers of one key that can take bytes now; who cannot is kept elsewhere and counted here.
#[derive(Debug, Default)]
pub(super) struct Audience {
    pub(super) ready: Vec<Ready>,
    pub(super) others: usize,
    /// Values that were brought to it so far.
    pub(super) levels: u64,
}

/// What a delivery needs to know of a browser, side by side in memory with its neighbours.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) id: BrowserId,
    pub(super) outgoing: Outgoing,
}
