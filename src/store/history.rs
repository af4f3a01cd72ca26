//! The finished phases on disk.
//!
//! What they say about a room does not belong here, nor how they are shown.

use std::ops::Bound;

use redb::{ReadTransaction, TableDefinition, WriteTransaction};

use super::{changes::Changes, error::StoreError, file::copy_table};
use crate::domain::history::{HistoryPage, HistoryQuery, Place};

/// (room, ended at in Unix ms, a number that makes it unique) → JSON of a [`HistoryEntry`](crate::domain::history::HistoryEntry).
const HISTORY: TableDefinition<'_, (&str, i64, u64), &[u8]> = TableDefinition::new("history");

pub(super) fn make_table(transaction: &WriteTransaction) -> Result<(), StoreError> {
    transaction.open_table(HISTORY)?;
    Ok(())
}

pub(super) fn copy(from: &ReadTransaction, to: &WriteTransaction) -> Result<(), StoreError> {
    copy_table(from, to, HISTORY)
}

/// Forgets, appends and cuts off, in this order; `lines` is how many were appended since the start.
pub(super) fn write(
    transaction: &WriteTransaction,
    changes: &Changes,
    commits: u64,
    lines: u64,
) -> Result<(), StoreError> {
    if changes.history.is_empty() && changes.history_cutoff.is_none() && changes.history_forgotten.is_empty() {
        return Ok(());
    }
    let mut table = transaction.open_table(HISTORY)?;
    for room in &changes.history_forgotten {
        table.retain_in((room.as_str(), i64::MIN, 0)..=(room.as_str(), i64::MAX, u64::MAX), |_, _| false)?;
    }
    for (number, line) in (lines..).zip(&changes.history) {
        // The commit's number keeps a line of this start apart from one of an earlier start.
        let unique = (commits << 20) | (number & 0xF_FFFF);
        let key = (line.room.as_str(), line.ended_at, unique);
        table.insert(key, serde_json::to_vec(line)?.as_slice())?;
    }
    if let Some(cutoff) = changes.history_cutoff {
        table.retain(|(_, ended_at, _), _| ended_at >= cutoff)?;
    }
    Ok(())
}

/// The finished phases that `query` asks for.
pub(super) fn read(transaction: &ReadTransaction, query: &HistoryQuery) -> Result<HistoryPage, StoreError> {
    let table = transaction.open_table(HISTORY)?;
    let room = query.room.as_str();
    let first = (room, query.from, 0);
    let begin = match query.after {
        Some(place) if (place.ended_at, place.number) >= (query.from, 0) => {
            Bound::Excluded((room, place.ended_at, place.number))
        }
        _ => Bound::Included(first),
    };
    let end = (room, query.until, 0);
    let mut page = HistoryPage::default();
    // A range that ends before it begins has nothing in it, and redb must not be asked for it.
    if matches!(begin, Bound::Included(key) | Bound::Excluded(key) if key >= end) {
        return Ok(page);
    }
    let mut last = None;
    for entry in table.range::<(&str, i64, u64)>((begin, Bound::Excluded(end)))? {
        let (key, line) = entry?;
        if page.entries.len() == query.entries_max {
            page.next = last;
            break;
        }
        let (_, ended_at, number) = key.value();
        last = Some(Place { ended_at, number });
        page.entries.push(serde_json::from_slice(line.value())?);
    }
    Ok(page)
}
