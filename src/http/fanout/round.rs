//! One round: what came since the last one, as bytes, and how much of it each ready browser took.
//!
//! What becomes of whoever did not take all of it does not belong here.

use bytes::{BufMut as _, Bytes, BytesMut};

use super::{
    BrowserId,
    audience::{Audience, Key},
    frames::{self, Wire},
};
use crate::domain::publication::Publication;

/// A publication of the round that is under way.
pub(super) struct Item<'a> {
    pub(super) publication: &'a Publication,
    /// For all WebSockets; an event stream's frame names the audience's cursor too.
    framed: Option<Bytes>,
}

impl<'a> Item<'a> {
    pub(super) const fn new(publication: &'a Publication) -> Self {
        Self { publication, framed: None }
    }

    pub(super) fn frame(&mut self, key: &Key) -> Bytes {
        match (&self.framed, key.wire) {
            (Some(framed), Wire::WebSocket) => framed.clone(),
            (None, Wire::WebSocket) => self.framed.insert(self.frame_anew(key)).clone(),
            (_, Wire::EventStream) => self.frame_anew(key),
        }
    }

    fn frame_anew(&self, key: &Key) -> Bytes {
        let Publication { topic, payload, seq, .. } = self.publication;
        let json = frames::msg(topic.as_str(), payload, self.publication.is_level(), *seq);
        key.wire.frame(&json, &key.boot, Some(*seq))
    }
}

/// What becomes of a browser whose socket was full in the middle of a round.
pub(super) struct Fallen {
    /// Everything up to this place is written, or in `rest`.
    pub(super) since: u64,
    /// What is left of a frame that is written in part.
    pub(super) rest: Option<Bytes>,
    pub(super) events: Vec<(u64, Bytes)>,
    /// Values of the round that it did not get.
    pub(super) levels_missed: u64,
}

/// Writes the items `matching` to everybody of an audience who is ready; none in `fallen_behind` for who is gone. Returns how
/// many deliveries that were.
pub(super) fn write_round(
    key: &Key,
    audience: &Audience,
    items: &mut [Item<'_>],
    matching: &[usize],
    fallen_behind: &mut Vec<(BrowserId, Option<Fallen>)>,
) -> u64 {
    if audience.ready.is_empty() {
        return 0;
    }
    // A single frame is shared as it is; several are put together once.
    let mut ends = Vec::with_capacity(matching.len());
    let mut length = 0;
    for i in matching {
        length += items[*i].frame(key).len();
        ends.push(length);
    }
    let buffer = match matching {
        [only] => items[*only].frame(key),
        _ => {
            let mut buffer = BytesMut::with_capacity(length);
            for i in matching {
                buffer.put_slice(&items[*i].frame(key));
            }
            buffer.freeze()
        }
    };
    let mut whole = 0;
    for ready in &audience.ready {
        match ready.outgoing.write_now(&buffer) {
            Ok(bytes) if bytes == length => whole += 1,
            Ok(bytes) => {
                let cut_at = ends.partition_point(|end| *end <= bytes);
                let in_front = |at: usize| at.checked_sub(1).map_or(0, |before| ends[before]);
                let partial = in_front(cut_at) < bytes;
                let rest = partial.then(|| {
                    // The frame's own bytes, so that the round's buffer does not live on with it.
                    items[matching[cut_at]].frame(key).slice(bytes - in_front(cut_at)..)
                });
                let reached = if partial { cut_at + 1 } else { cut_at };
                let since = match reached.checked_sub(1) {
                    Some(last) => items[matching[last]].publication.seq,
                    None => items.first().map_or(0, |first| first.publication.seq - 1),
                };
                let missed = &matching[reached..];
                let events: Vec<usize> = missed.iter().copied().filter(|i| !items[*i].publication.is_level()).collect();
                let levels_missed = (missed.len() - events.len()) as u64;
                let events = events.into_iter().map(|i| (items[i].publication.seq, items[i].frame(key))).collect();
                fallen_behind.push((ready.id, Some(Fallen { since, rest, events, levels_missed })));
            }
            Err(_) => fallen_behind.push((ready.id, None)),
        }
    }
    whole * matching.len() as u64
}
