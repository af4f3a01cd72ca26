//! Pages of snapshots: built once for all browsers that ask for the same, until something on them changes.

use std::collections::HashMap;

use bytes::Bytes;

use super::{frames, replica::Replica};
use crate::{
    domain::topic::{Filter, Topic},
    policy::ReadRights,
};

/// Topics on one page.
pub(super) const PAGE_TOPICS_MAX: usize = 500;
/// Bytes after which a page ends, whatever its number of topics.
const PAGE_BYTES: usize = 256 << 10;
/// Bytes of all pages that are kept for the next browser.
const KEPT_BYTES_MAX: usize = 8 << 20;
/// Pages that are kept.
const KEPT_PAGES_MAX: usize = 256;

/// One page: the entries of its `topics`, separated by commas.
#[derive(Debug, Clone)]
pub(super) struct Page {
    pub(super) body: Bytes,
    /// The last topic looked at; none when the page is the last.
    pub(super) through: Option<Topic>,
    /// The newest value on it.
    newest_seq: u64,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct PageKey {
    filters: Vec<Filter>,
    rights: ReadRights,
    after: Option<Topic>,
}

/// The pages that are kept.
#[derive(Debug, Default)]
pub(super) struct Pages {
    kept: HashMap<PageKey, Page>,
    bytes: usize,
}

impl Pages {
    /// Forgets the pages that show `topic`, or would.
    pub(super) fn forget(&mut self, topic: &Topic) {
        let bytes = &mut self.bytes;
        self.kept.retain(|key, page| {
            let shows = key.after.as_ref().is_none_or(|after| after < topic)
                && page.through.as_ref().is_none_or(|through| topic <= through);
            if shows {
                *bytes -= page.body.len();
            }
            !shows
        });
    }

    /// The page behind `after` of the values that `filters` match, without those that were set after `seq`.
    pub(super) fn of(
        &mut self,
        replica: &Replica,
        filters: &[Filter],
        rights: &ReadRights,
        after: Option<&Topic>,
        seq: u64,
    ) -> Page {
        let key = PageKey { filters: filters.to_vec(), rights: rights.clone(), after: after.cloned() };
        if let Some(page) = self.kept.get(&key).filter(|page| page.newest_seq <= seq) {
            return page.clone();
        }
        let (page, whole) = build(replica, filters, rights, after, seq);
        if whole {
            if self.kept.len() >= KEPT_PAGES_MAX || self.bytes + page.body.len() > KEPT_BYTES_MAX {
                self.kept.clear();
                self.bytes = 0;
            }
            if page.body.len() <= KEPT_BYTES_MAX {
                self.bytes += page.body.len();
                if let Some(old) = self.kept.insert(key, page.clone()) {
                    self.bytes -= old.body.len();
                }
            }
        }
        page
    }

    /// A page of what changed after `from` and up to `until`, with the place that it reaches; none when it is the last.
    #[expect(clippy::unused_self, reason = "pages of changes differ for each browser and are not kept")]
    pub(super) fn changed(
        &mut self,
        replica: &Replica,
        filters: &[Filter],
        rights: &ReadRights,
        from: u64,
        until: u64,
    ) -> (Bytes, Option<u64>) {
        let mut entries = Entries::default();
        for (seq, topic, payload) in replica.changes(from, until) {
            if !filters.iter().any(|filter| filter.matches(topic.as_str())) || !rights.may_receive(topic.as_str()) {
                continue;
            }
            entries.push(topic, payload, seq);
            if entries.is_full() {
                return (entries.body.into(), Some(seq));
            }
        }
        (entries.body.into(), None)
    }
}

/// Builds a page; tells too whether it shows everything, so that others may be shown the same.
fn build(
    replica: &Replica,
    filters: &[Filter],
    rights: &ReadRights,
    after: Option<&Topic>,
    until: u64,
) -> (Page, bool) {
    let mut entries = Entries::default();
    let mut whole = true;
    let mut through = None;
    for (topic, (seq, payload)) in replica.matching(filters, after) {
        if entries.is_full() {
            // There is more: the page before this topic was not the last.
            return (Page { body: entries.body.into(), through, newest_seq: entries.newest_seq }, whole);
        }
        through = Some(topic.clone());
        if *seq > until {
            whole = false;
        } else if rights.may_receive(topic.as_str()) {
            entries.push(topic, payload, *seq);
        }
    }
    (Page { body: entries.body.into(), through: None, newest_seq: entries.newest_seq }, whole)
}

#[derive(Default)]
struct Entries {
    body: Vec<u8>,
    count: usize,
    newest_seq: u64,
}

impl Entries {
    fn push(&mut self, topic: &Topic, payload: &[u8], seq: u64) {
        if self.count > 0 {
            self.body.push(b',');
        }
        frames::put_entry(&mut self.body, topic.as_str(), payload, seq);
        self.count += 1;
        self.newest_seq = self.newest_seq.max(seq);
    }

    const fn is_full(&self) -> bool {
        self.count >= PAGE_TOPICS_MAX || self.body.len() >= PAGE_BYTES
    }
}
