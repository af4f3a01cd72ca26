//! What MQTT sessions have on disk: their records, the messages that wait for them, packet identifiers that are not released.
//!
//! A message is written once, however many wait for it, and one row for each of them. [`KeptQueues`] knows what is there and
//! turns what happens into [`KeptChanges`]; the tables are at the end. When to write does not belong here.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use redb::{ReadTransaction, ReadableTable, TableDefinition, WriteTransaction};

use super::{
    error::StoreError,
    record::{read_value, write_value},
};
use crate::{
    domain::publication::{Level, Publication, Qos},
    engine::{Interest, KeepChange, Kept, KeptStage, Owner, Place, Received, RestoredMessage, RestoredOwner, Wanted},
};

/// Owner → what the door wants to find again.
const SESSIONS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("sessions");
/// (run, seq) → a message that somebody waits for.
const MESSAGES: TableDefinition<'_, (u64, u64), &[u8]> = TableDefinition::new("session_messages");
/// (owner, run, seq, subscription) → how it is owed.
const ROWS: TableDefinition<'_, (&str, u64, u64, u32), &[u8]> = TableDefinition::new("session_queues");
/// (owner, packet identifier) → nothing more.
const RECEIVED: TableDefinition<'_, (&str, u16), u8> = TableDefinition::new("session_received");

/// A value that is written, or removed.
#[derive(Debug)]
struct Slot<T> {
    value: Option<T>,
    /// Whether the file has nothing under its key, so that removing it is nothing to write.
    fresh: bool,
}

type RowKey = (Owner, Place, u32);

/// What one commit writes of the sessions: the latest of everything that changed.
#[derive(Debug, Default)]
pub(super) struct KeptChanges {
    records: HashMap<Owner, Option<Vec<u8>>>,
    messages: HashMap<Place, Slot<Publication>>,
    rows: HashMap<RowKey, Slot<Kept>>,
    received: HashMap<(Owner, u16), bool>,
}

impl KeptChanges {
    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty() && self.messages.is_empty() && self.rows.is_empty() && self.received.is_empty()
    }

    /// Puts `older`, which was not written, beneath: what changed again since keeps its newer value.
    pub(super) fn put_beneath(&mut self, older: Self) {
        for (key, value) in older.records {
            self.records.entry(key).or_insert(value);
        }
        put_slots_beneath(&mut self.messages, older.messages);
        put_slots_beneath(&mut self.rows, older.rows);
        for (key, value) in older.received {
            self.received.entry(key).or_insert(value);
        }
    }
}

fn put_slots_beneath<K: std::hash::Hash + Eq, T>(newer: &mut HashMap<K, Slot<T>>, older: HashMap<K, Slot<T>>) {
    use std::collections::hash_map::Entry;
    for (key, slot) in older {
        match newer.entry(key) {
            Entry::Vacant(vacant) => {
                vacant.insert(slot);
            }
            Entry::Occupied(mut occupied) if slot.fresh => {
                occupied.get_mut().fresh = true;
                if occupied.get().value.is_none() {
                    occupied.remove();
                }
            }
            Entry::Occupied(_) => {}
        }
    }
}

/// Puts a value that the file does not have.
fn put_new<K: std::hash::Hash + Eq, T>(slots: &mut HashMap<K, Slot<T>>, key: K, value: T) {
    let fresh = slots.get(&key).is_none_or(|slot| slot.fresh);
    slots.insert(key, Slot { value: Some(value), fresh });
}

/// Changes a value that is here or in the file.
fn put_again<K: std::hash::Hash + Eq, T>(slots: &mut HashMap<K, Slot<T>>, key: K, value: T) {
    let fresh = slots.get(&key).is_some_and(|slot| slot.fresh);
    slots.insert(key, Slot { value: Some(value), fresh });
}

/// Removes a value that is here or in the file.
fn remove<K: std::hash::Hash + Eq, T>(slots: &mut HashMap<K, Slot<T>>, key: K) {
    if slots.get(&key).is_some_and(|slot| slot.fresh) {
        slots.remove(&key);
    } else {
        slots.insert(key, Slot { value: None, fresh: false });
    }
}

/// What is kept for whom, as the file will have it when all changes are written. Bounded by the sessions' own bounds: a session gives up
/// what its queue has no room for.
#[derive(Debug, Default)]
pub(super) struct KeptQueues {
    run: u64,
    interest: Arc<Interest>,
    owners: HashMap<Owner, Owned>,
    /// How many rows a message has.
    messages: HashMap<Place, usize>,
}

#[derive(Debug, Default)]
struct Owned {
    rows: BTreeMap<(Place, u32), Kept>,
    received: HashSet<u16>,
}

impl KeptQueues {
    /// The queues as the file has them; `run` is how often the hub has started.
    pub(super) fn new(run: u64, restored: &[RestoredOwner]) -> Self {
        let mut queues = Self { run, ..Self::default() };
        for owner in restored {
            let owned = queues.owners.entry(Arc::clone(&owner.owner)).or_default();
            owned.received.extend(&owner.received);
            for message in &owner.messages {
                owned.rows.insert((message.place, message.subscription), message.kept);
                *queues.messages.entry(message.place).or_default() += 1;
            }
        }
        queues
    }

    /// From now on `interest` tells who waits.
    pub(super) fn ask(&mut self, interest: Arc<Interest>) {
        self.interest = interest;
    }

    /// Messages on disk.
    pub(super) fn len(&self) -> usize {
        self.messages.len()
    }

    /// Keeps `publication` for everybody who waits for it; tells whether anybody does.
    pub(super) fn publish(&mut self, publication: &Publication, changes: &mut KeptChanges) -> bool {
        if publication.qos == Qos::AtMostOnce || publication.level == Level::Reading || self.interest.is_empty() {
            return false;
        }
        let place = Place { run: self.run, seq: publication.seq };
        let waiting = self.interest.waiting(publication.topic.as_str(), publication.seq);
        let mut kept_any = false;
        for (owner, subscription, wanted) in waiting {
            if let Some(kept) = wanted.of(publication) {
                self.add(&owner, place, subscription, kept, publication, changes);
                kept_any = true;
            }
        }
        kept_any
    }

    /// Keeps packet identifiers that came with a batch.
    pub(super) fn receive(&mut self, received: Received, changes: &mut KeptChanges) {
        let owned = self.owners.entry(Arc::clone(&received.owner)).or_default();
        for id in received.ids {
            owned.received.insert(id);
            changes.received.insert((Arc::clone(&received.owner), id), true);
        }
    }

    /// Carries out what an owner wants.
    pub(super) fn change(&mut self, owner: &Owner, change: KeepChange, changes: &mut KeptChanges) {
        match change {
            KeepChange::Record(record) => {
                if record.is_none() {
                    self.empty(owner, changes);
                }
                changes.records.insert(Arc::clone(owner), record);
            }
            KeepChange::Emptied => self.empty(owner, changes),
            KeepChange::Add { place, subscription, kept, message } => {
                self.add(owner, place, subscription, kept, &message, changes);
            }
            KeepChange::Take { from, place, subscription, wanted } => {
                self.take(owner, &from, place, subscription, wanted, changes);
            }
            KeepChange::Stage { place, subscription, stage } => {
                let owned = self.owners.get_mut(owner);
                if let Some(kept) = owned.and_then(|owned| owned.rows.get_mut(&(place, subscription))) {
                    kept.stage = stage;
                    put_again(&mut changes.rows, (Arc::clone(owner), place, subscription), *kept);
                }
            }
            KeepChange::Done { place, subscription } => self.done(owner, place, subscription, changes),
            KeepChange::Only { subscription, up_to, places } => {
                let Some(owned) = self.owners.get(owner) else { return };
                let last = up_to.map(|seq| Place { run: self.run, seq });
                let gone: Vec<Place> = owned
                    .rows
                    .keys()
                    .filter(|(place, of)| *of == subscription && last.is_none_or(|last| *place <= last))
                    .map(|(place, _)| *place)
                    .filter(|place| !places.contains(place))
                    .collect();
                for place in gone {
                    self.done(owner, place, subscription, changes);
                }
            }
            KeepChange::Released(id) => {
                if self.owners.get_mut(owner).is_some_and(|owned| owned.received.remove(&id)) {
                    changes.received.insert((Arc::clone(owner), id), false);
                }
            }
        }
    }

    fn add(
        &mut self,
        owner: &Owner,
        place: Place,
        subscription: u32,
        kept: Kept,
        publication: &Publication,
        changes: &mut KeptChanges,
    ) {
        let rows = &mut self.owners.entry(Arc::clone(owner)).or_default().rows;
        if rows.insert((place, subscription), kept).is_some() {
            put_again(&mut changes.rows, (Arc::clone(owner), place, subscription), kept);
            return;
        }
        put_new(&mut changes.rows, (Arc::clone(owner), place, subscription), kept);
        let count = self.messages.entry(place).or_default();
        *count += 1;
        if *count == 1 {
            put_new(&mut changes.messages, place, publication.clone());
        }
    }

    fn take(
        &mut self,
        owner: &Owner,
        from: &Owner,
        place: Place,
        subscription: u32,
        wanted: Wanted,
        changes: &mut KeptChanges,
    ) {
        let Some(given) = self.owners.get_mut(from).and_then(|owned| owned.rows.remove(&(place, 0))) else { return };
        remove(&mut changes.rows, (Arc::clone(from), place, 0));
        let kept = Kept {
            qos: wanted.qos.min(given.qos),
            retain: wanted.retain_as_published && given.retain,
            subscription_id: wanted.subscription_id,
            stage: KeptStage::Waiting,
        };
        self.owners.entry(Arc::clone(owner)).or_default().rows.insert((place, subscription), kept);
        put_new(&mut changes.rows, (Arc::clone(owner), place, subscription), kept);
    }

    fn done(&mut self, owner: &Owner, place: Place, subscription: u32, changes: &mut KeptChanges) {
        let Some(owned) = self.owners.get_mut(owner) else { return };
        if owned.rows.remove(&(place, subscription)).is_none() {
            return;
        }
        remove(&mut changes.rows, (Arc::clone(owner), place, subscription));
        let Some(count) = self.messages.get_mut(&place) else { return };
        *count -= 1;
        if *count == 0 {
            self.messages.remove(&place);
            remove(&mut changes.messages, place);
        }
    }

    fn empty(&mut self, owner: &Owner, changes: &mut KeptChanges) {
        let Some(owned) = self.owners.get(owner) else { return };
        let keys: Vec<(Place, u32)> = owned.rows.keys().copied().collect();
        for (place, subscription) in keys {
            self.done(owner, place, subscription, changes);
        }
        if let Some(owned) = self.owners.remove(owner) {
            for id in owned.received {
                changes.received.insert((Arc::clone(owner), id), false);
            }
        }
    }
}

/// Makes the tables where an older hub has left none.
pub(super) fn make_tables(transaction: &WriteTransaction) -> Result<(), StoreError> {
    transaction.open_table(SESSIONS)?;
    transaction.open_table(MESSAGES)?;
    transaction.open_table(ROWS)?;
    transaction.open_table(RECEIVED)?;
    Ok(())
}

/// Writes `changes` as a part of `transaction`.
pub(super) fn write(transaction: &WriteTransaction, changes: &KeptChanges) -> Result<(), StoreError> {
    if !changes.records.is_empty() {
        let mut table = transaction.open_table(SESSIONS)?;
        for (owner, record) in &changes.records {
            match record {
                Some(record) => drop(table.insert(&**owner, record.as_slice())?),
                None => drop(table.remove(&**owner)?),
            }
        }
    }
    if !changes.messages.is_empty() {
        let mut table = transaction.open_table(MESSAGES)?;
        for (place, slot) in &changes.messages {
            let key = (place.run, place.seq);
            match &slot.value {
                Some(message) => drop(table.insert(key, write_message(message).as_slice())?),
                None => drop(table.remove(key)?),
            }
        }
    }
    if !changes.rows.is_empty() {
        let mut table = transaction.open_table(ROWS)?;
        for ((owner, place, subscription), slot) in &changes.rows {
            let key = (&**owner, place.run, place.seq, *subscription);
            match &slot.value {
                Some(kept) => drop(table.insert(key, write_kept(kept).as_slice())?),
                None => drop(table.remove(key)?),
            }
        }
    }
    if !changes.received.is_empty() {
        let mut table = transaction.open_table(RECEIVED)?;
        for ((owner, id), here) in &changes.received {
            if *here {
                table.insert((&**owner, *id), 0)?;
            } else {
                table.remove((&**owner, *id))?;
            }
        }
    }
    Ok(())
}

/// Reads what is kept for everybody.
pub(super) fn read(transaction: &ReadTransaction) -> Result<Vec<RestoredOwner>, StoreError> {
    let mut owners: BTreeMap<String, RestoredOwner> = BTreeMap::new();
    let new =
        |owner: &str| RestoredOwner { owner: owner.into(), record: None, messages: Vec::new(), received: Vec::new() };
    for entry in transaction.open_table(SESSIONS)?.iter()? {
        let (owner, record) = entry?;
        let owner = owner.value();
        owners.entry(owner.to_owned()).or_insert_with(|| new(owner)).record = Some(record.value().to_vec());
    }
    for entry in transaction.open_table(RECEIVED)?.iter()? {
        let (key, _) = entry?;
        let (owner, id) = key.value();
        owners.entry(owner.to_owned()).or_insert_with(|| new(owner)).received.push(id);
    }
    let messages = transaction.open_table(MESSAGES)?;
    let mut known: HashMap<Place, Publication> = HashMap::new();
    for entry in transaction.open_table(ROWS)?.iter()? {
        let (key, kept) = entry?;
        let (owner, run, seq, subscription) = key.value();
        let place = Place { run, seq };
        let unreadable = || StoreError::Record(format!("a message that waits for `{owner}` is unreadable"));
        let kept = read_kept(kept.value()).ok_or_else(unreadable)?;
        let message = match known.get(&place) {
            Some(message) => message.clone(),
            None => {
                let bytes = messages.get((run, seq))?.ok_or_else(unreadable)?;
                let message = read_message(seq, bytes.value()).ok_or_else(unreadable)?;
                known.insert(place, message.clone());
                message
            }
        };
        let restored = RestoredMessage { place, subscription, kept, message };
        owners.entry(owner.to_owned()).or_insert_with(|| new(owner)).messages.push(restored);
    }
    Ok(owners.into_values().collect())
}

/// Copies the tables for a backup.
pub(super) fn copy(from: &ReadTransaction, to: &WriteTransaction) -> Result<(), StoreError> {
    super::file::copy_table(from, to, SESSIONS)?;
    super::file::copy_table(from, to, MESSAGES)?;
    super::file::copy_table(from, to, ROWS)?;
    super::file::copy_table(from, to, RECEIVED)
}

/// The version of [`write_message`] and of [`write_kept`].
const VERSION: u8 = 1;

const LEVEL: u8 = 0x01;

/// A message as it is written: version, whether it was a level, its topic behind the topic's length, then as a retained value.
fn write_message(message: &Publication) -> Vec<u8> {
    let topic = message.topic.as_str();
    let mut bytes = vec![VERSION, if message.is_level() { LEVEL } else { 0 }];
    bytes.extend_from_slice(&u16::try_from(topic.len()).unwrap_or(u16::MAX).to_be_bytes());
    bytes.extend_from_slice(topic.as_bytes());
    bytes.extend_from_slice(&write_value(message));
    bytes
}

/// Reads it back; none where the bytes are not one.
fn read_message(seq: u64, bytes: &[u8]) -> Option<Publication> {
    let [VERSION, flags, high, low, rest @ ..] = bytes else { return None };
    let (topic, value) = rest.split_at_checked(usize::from(u16::from_be_bytes([*high, *low])))?;
    let level = if flags & LEVEL == 0 { Level::Event } else { Level::Retained };
    let message = read_value(std::str::from_utf8(topic).ok()?, value)?;
    Some(Publication { seq, level, ..message })
}

/// How a message is owed, as it is written: version, QoS, retain flag, stage, identifier (0 for none).
fn write_kept(kept: &Kept) -> [u8; 8] {
    let id = kept.subscription_id.unwrap_or(0).to_be_bytes();
    [VERSION, kept.qos as u8, u8::from(kept.retain), kept.stage as u8, id[0], id[1], id[2], id[3]]
}

/// Reads it back; none where the bytes are not one.
fn read_kept(bytes: &[u8]) -> Option<Kept> {
    let [VERSION, qos, retain, stage, id @ ..] = bytes else { return None };
    let id = u32::from_be_bytes(id.try_into().ok()?);
    Some(Kept {
        qos: match qos {
            1 => Qos::AtLeastOnce,
            2 => Qos::ExactlyOnce,
            _ => return None,
        },
        retain: match retain {
            0 => false,
            1 => true,
            _ => return None,
        },
        stage: match stage {
            0 => KeptStage::Waiting,
            1 => KeptStage::Sent,
            2 => KeptStage::Released,
            _ => return None,
        },
        subscription_id: (id != 0).then_some(id),
    })
}

#[cfg(test)]
pub(super) mod tests;
