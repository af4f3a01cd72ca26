//! What a browser that cannot take bytes now will get when it can: answers, snapshots, and what it missed.
//!
//! Levels are not queued: the place that the browser has reached says which topics are dirty, and their newest values are
//! framed when they can be sent, in ascending `seq`. Events are queued up to a bound, shared with all other browsers.

use std::collections::VecDeque;

use bytes::{BufMut as _, Bytes, BytesMut};
use tokio::time::Instant;

use super::{
    audience::Key,
    frames::{self, Wire},
    pages::Pages,
    replica::Replica,
};
use crate::{
    domain::topic::{Filter, Topic},
    http::stream::Outgoing,
};

/// Events that wait for one browser.
pub(super) const EVENTS_MAX: usize = 256;
/// Bytes of events that wait for one browser.
pub(super) const EVENT_BYTES_MAX: usize = 256 << 10;
/// Answers that wait for one browser; whoever asks more without reading is cut off.
pub(super) const ANSWERS_MAX: usize = 512;
/// Snapshots that one browser may wait for.
pub(super) const SNAPS_MAX: usize = 64;
/// Bytes that are framed for one browser ahead of what its socket took.
const CHUNK_BYTES: usize = 16 << 10;
/// Bytes that one browser may take before others get their turn.
const TURN_BYTES: usize = 1 << 20;

/// A snapshot that a browser asked for.
#[derive(Debug)]
pub(super) struct Snap {
    /// The browser's id for it, as JSON.
    pub(super) id: Box<str>,
    pub(super) filters: Vec<Filter>,
    /// The place in the one order that it shows.
    pub(super) seq: u64,
    /// The place from which the browser resumes; none for a whole snapshot.
    pub(super) resume_from: Option<u64>,
    pub(super) page: u32,
    /// The last topic of the page before.
    pub(super) after: Option<Topic>,
}

/// What a browser still has to get.
#[derive(Debug)]
pub(super) struct Backlog {
    /// Bytes that are framed already: the rest of a frame, or of a chunk.
    parts: VecDeque<Bytes>,
    answers: VecDeque<Bytes>,
    snaps: VecDeque<Snap>,
    /// Everything up to this place is written or in `parts`.
    since: u64,
    /// The audience's [`levels`](super::audience::Audience::levels) when it fell behind, less what it was sent since.
    levels_due: u64,
    events: VecDeque<(u64, Bytes)>,
    event_bytes: usize,
    /// Events were lost, or deletions are forgotten.
    resync: bool,
    closing: Option<Bytes>,
    /// When the socket took bytes last.
    pub(super) progress_at: Instant,
}

/// How far a flush came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flushed {
    /// The browser has everything.
    Drained,
    /// Its socket is full, or others have their turn.
    Waiting,
    /// The Close frame is written.
    Closed,
    /// The connection is gone.
    Gone,
}

impl Backlog {
    /// The backlog of a browser that got everything up to `since`, but for `rest`: the first `levels` values of its audience.
    pub(super) fn new(since: u64, rest: Option<Bytes>, levels: u64) -> Self {
        Self {
            parts: rest.into_iter().collect(),
            answers: VecDeque::new(),
            snaps: VecDeque::new(),
            since,
            levels_due: levels,
            events: VecDeque::new(),
            event_bytes: 0,
            resync: false,
            closing: None,
            progress_at: Instant::now(),
        }
    }

    /// Queues the framed event `frame`. When there are too many, all are lost and the browser is told.
    pub(super) fn push_event(&mut self, seq: u64, frame: Bytes) -> usize {
        self.event_bytes += frame.len();
        self.events.push_back((seq, frame));
        if self.events.len() <= EVENTS_MAX && self.event_bytes <= EVENT_BYTES_MAX {
            return 0;
        }
        self.event_bytes = 0;
        self.resync = true;
        std::mem::take(&mut self.events).len()
    }

    /// Its audience changes: from one that was brought so many values to one that was brought so many.
    pub(super) fn change_audience(&mut self, levels_old: u64, levels_new: u64) {
        self.levels_due = (self.levels_due + levels_new).saturating_sub(levels_old);
    }

    /// How many of the audience's `levels` values the browser was never sent, because newer ones took their place.
    pub(super) const fn coalesced(&self, levels: u64) -> u64 {
        levels.saturating_sub(self.levels_due)
    }

    /// Queues an answer; false when too many wait already.
    pub(super) fn push_answer(&mut self, frame: Bytes) -> bool {
        self.answers.push_back(frame);
        self.answers.len() <= ANSWERS_MAX
    }

    /// Queues a snapshot; false when too many wait already.
    pub(super) fn push_snap(&mut self, snap: Snap) -> bool {
        self.snaps.push_back(snap);
        self.snaps.len() <= SNAPS_MAX
    }

    /// Ends the connection with `frame`, as soon as the frame that is under way is out.
    pub(super) fn close(&mut self, frame: Bytes) {
        self.closing = Some(frame);
    }

    /// Writes as much as the socket takes.
    pub(super) fn flush(&mut self, outgoing: &Outgoing, key: &Key, replica: &Replica, pages: &mut Pages) -> Flushed {
        let mut turn_bytes = 0;
        loop {
            while !self.parts.is_empty() {
                match outgoing.write_parts_now(&mut self.parts) {
                    Err(_) => return Flushed::Gone,
                    Ok(0) => return Flushed::Waiting,
                    Ok(bytes) => turn_bytes += bytes,
                }
                self.progress_at = Instant::now();
            }
            if turn_bytes > TURN_BYTES {
                return Flushed::Waiting;
            }
            if let Some(frame) = self.closing.take() {
                // If there is no room for it, the end of the stream says it too.
                let _ = outgoing.write_now(&frame);
                outgoing.finish();
                return Flushed::Closed;
            }
            self.frame_more(key, replica, pages);
            if self.parts.is_empty() {
                return Flushed::Drained;
            }
        }
    }

    /// Fills `parts` with what comes next; leaves it empty when nothing does.
    fn frame_more(&mut self, key: &Key, replica: &Replica, pages: &mut Pages) {
        if !self.answers.is_empty() {
            let mut bytes = 0;
            while bytes < CHUNK_BYTES
                && let Some(frame) = self.answers.pop_front()
            {
                bytes += frame.len();
                self.parts.push_back(frame);
            }
            return;
        }
        let resumes_from = self.snaps.front().and_then(|snap| snap.resume_from);
        if !replica.remembers(resumes_from.unwrap_or(self.since).min(self.since)) {
            self.resync = true;
        }
        if std::mem::take(&mut self.resync) {
            self.parts.push_back(key.wire.frame(frames::RESYNC, &key.boot, None));
        }
        let until = self.snaps.front().map_or(replica.seq(), |snap| snap.seq);
        self.frame_missed(until, key, replica);
        if self.parts.is_empty()
            && let Some(mut snap) = self.snaps.pop_front()
        {
            let last = frame_page(&mut snap, &mut self.parts, key, replica, pages);
            if !last {
                self.snaps.push_front(snap);
            }
        }
    }

    /// Frames what changed and happened after `since` and up to `until`, in ascending order, a chunk at the most.
    fn frame_missed(&mut self, until: u64, key: &Key, replica: &Replica) {
        let mut bytes = 0;
        let mut changes = replica.changes(self.since, until).filter(|(_, topic, _)| key.matches(topic)).peekable();
        while bytes < CHUNK_BYTES {
            let event_seq = self.events.front().map(|(seq, _)| *seq).filter(|seq| *seq <= until);
            let change_seq = changes.peek().map(|(seq, ..)| *seq);
            let frame = match (event_seq, change_seq) {
                (Some(event), change) if change.is_none_or(|change| event < change) => {
                    let Some((seq, frame)) = self.events.pop_front() else { break };
                    self.event_bytes -= frame.len();
                    self.since = seq;
                    frame
                }
                _ => {
                    let Some((seq, topic, payload)) = changes.next() else {
                        self.since = self.since.max(until);
                        break;
                    };
                    self.since = seq;
                    self.levels_due += 1;
                    key.wire.frame(&frames::msg(topic.as_str(), payload, true, seq), &key.boot, Some(seq))
                }
            };
            bytes += frame.len();
            self.parts.push_back(frame);
        }
    }
}

/// Frames the next page of `snap`; true for its last one.
fn frame_page(snap: &mut Snap, parts: &mut VecDeque<Bytes>, key: &Key, replica: &Replica, pages: &mut Pages) -> bool {
    let (body, last) = match snap.resume_from {
        Some(from) => {
            let (body, reached) = pages.changed(replica, &snap.filters, &key.rights, from, snap.seq);
            snap.resume_from = reached.or(snap.resume_from);
            (body, reached.is_none())
        }
        None => {
            let page = pages.of(replica, &snap.filters, &key.rights, snap.after.as_ref(), snap.seq);
            snap.after = page.through;
            (page.body, snap.after.is_none())
        }
    };
    let head = frames::snap_head(&snap.id, snap.seq, snap.page, last, snap.resume_from.is_some());
    snap.page += 1;
    let mut open = BytesMut::new();
    let length = head.len() + body.len() + 2;
    key.wire.open(&mut open, length, &key.boot, last.then_some(snap.seq));
    open.put_slice(head.as_bytes());
    parts.push_back(open.freeze());
    if !body.is_empty() {
        parts.push_back(body);
    }
    parts.push_back(match key.wire {
        Wire::WebSocket => Bytes::from_static(b"]}"),
        Wire::EventStream => Bytes::from_static(b"]}\n\n"),
    });
    last
}
