//! Who is there: the browsers of one shard, the audience that each belongs to, and who has everything.
//!
//! When something is written and what does not belong here.

use std::{
    collections::{BTreeSet, HashMap},
    future::poll_fn,
    sync::Arc,
    task::Poll,
};

use slab::Slab;
use tokio::time::Instant;

use super::{
    BrowserId,
    audience::{Audience, Key, Ready},
    backlog::Backlog,
};
use crate::http::stream::Outgoing;

/// The browsers of one shard.
#[derive(Debug)]
pub(super) struct Members {
    browsers: HashMap<BrowserId, Browser>,
    audiences: Slab<(Arc<Key>, Audience)>,
    audience_of: HashMap<Arc<Key>, usize>,
    /// Browsers with a backlog.
    behind: BTreeSet<BrowserId>,
    coalesced: metrics::Counter,
    behind_now: metrics::Gauge,
}

#[derive(Debug)]
struct Browser {
    outgoing: Outgoing,
    audience: usize,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Has everything; stands at this place among its audience's ready ones.
    Ready(usize),
    /// Gets what it missed first.
    Behind(Box<Backlog>),
    /// The Close frame is written, or the connection is gone.
    Over,
}

/// How a browser can be reached at the moment.
pub(super) enum Member<'a> {
    /// Has everything: what it gets can be written at once.
    Ready(&'a Outgoing),
    /// Gets what is in its backlog first.
    Behind(&'a Outgoing, &'a Key, &'a mut Backlog),
}

impl Members {
    pub(super) fn new() -> Self {
        Self {
            browsers: HashMap::new(),
            audiences: Slab::new(),
            audience_of: HashMap::new(),
            behind: BTreeSet::new(),
            coalesced: metrics::counter!("lockstep_browser_coalesced_total"),
            behind_now: metrics::gauge!("lockstep_browsers_behind"),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.browsers.is_empty()
    }

    pub(super) fn ids(&self) -> Vec<BrowserId> {
        self.browsers.keys().copied().collect()
    }

    /// How `id` can be reached; none for whoever is gone or was said goodbye to.
    pub(super) fn get(&mut self, id: BrowserId) -> Option<Member<'_>> {
        let Browser { outgoing, audience, state } = self.browsers.get_mut(&id)?;
        match state {
            State::Ready(_) => Some(Member::Ready(outgoing)),
            State::Behind(backlog) => Some(Member::Behind(outgoing, &self.audiences.get(*audience)?.0, backlog)),
            State::Over => None,
        }
    }

    /// The backlog of a browser that has one.
    pub(super) fn backlog(&mut self, id: BrowserId) -> Option<&mut Backlog> {
        match &mut self.browsers.get_mut(&id)?.state {
            State::Behind(backlog) => Some(backlog),
            State::Ready(_) | State::Over => None,
        }
    }

    pub(super) fn is_ready(&self, id: BrowserId) -> bool {
        matches!(self.browsers.get(&id), Some(Browser { state: State::Ready(_), .. }))
    }

    pub(super) fn key_of(&self, id: BrowserId) -> Option<Arc<Key>> {
        self.audiences.get(self.browsers.get(&id)?.audience).map(|(key, _)| Arc::clone(key))
    }

    /// How many values the audience of a browser was brought so far.
    pub(super) fn levels_of(&self, id: BrowserId) -> u64 {
        self.browsers.get(&id).map_or(0, |browser| self.levels_at(browser.audience))
    }

    fn levels_at(&self, audience: usize) -> u64 {
        self.audiences.get(audience).map_or(0, |(_, audience)| audience.levels)
    }

    /// All audiences that somebody is in.
    pub(super) fn audiences(&mut self) -> impl Iterator<Item = (&Arc<Key>, &mut Audience)> {
        let with_somebody = |audience: &Audience| !audience.ready.is_empty() || audience.others > 0;
        self.audiences
            .iter_mut()
            .map(|(_, (key, audience))| (&*key, audience))
            .filter(move |(_, audience)| with_somebody(audience))
    }

    pub(super) fn anybody_behind(&self) -> bool {
        !self.behind.is_empty()
    }

    pub(super) fn behind(&self) -> Vec<BrowserId> {
        self.behind.iter().copied().collect()
    }

    /// Those with a backlog, and when their sockets took bytes last.
    pub(super) fn progress(&self) -> impl Iterator<Item = (BrowserId, Instant)> {
        self.behind.iter().filter_map(|id| match self.browsers.get(id) {
            Some(Browser { state: State::Behind(backlog), .. }) => Some((*id, backlog.progress_at)),
            _ => None,
        })
    }

    /// Calls `each` with the key and the backlog of everybody who has one.
    pub(super) fn each_behind(&mut self, mut each: impl FnMut(&Key, &mut Backlog)) {
        for id in &self.behind {
            if let Some(Browser { audience, state: State::Behind(backlog), .. }) = self.browsers.get_mut(id)
                && let Some((key, _)) = self.audiences.get(*audience)
            {
                each(key, backlog);
            }
        }
    }

    /// Ready when somebody with a backlog can take bytes. Cancel safe: nothing is taken.
    pub(super) async fn writable(&self) {
        poll_fn(|context| {
            let mut any = Poll::Pending;
            for id in &self.behind {
                if let Some(Browser { outgoing, state: State::Behind(_), .. }) = self.browsers.get(id)
                    && outgoing.poll_writable(context).is_ready()
                {
                    any = Poll::Ready(());
                }
            }
            any
        })
        .await;
    }

    /// A browser comes, and has everything so far.
    pub(super) fn join(&mut self, id: BrowserId, outgoing: Outgoing, key: Key) {
        let audience = self.enter(key);
        self.browsers.insert(id, Browser { outgoing, audience, state: State::Over });
        self.set_ready(id);
    }

    /// A browser goes; its connection is cut.
    pub(super) fn leave(&mut self, id: BrowserId) {
        self.over(id);
        if let Some(browser) = self.browsers.remove(&id) {
            browser.outgoing.cut();
            self.exit(browser.audience);
        }
    }

    /// Nothing more is written to a browser.
    pub(super) fn over(&mut self, id: BrowserId) {
        self.take_out(id, State::Over);
        self.behind_no_more(id);
    }

    /// Ends the connection of a browser, at once; its session is told by that.
    pub(super) fn cut(&mut self, id: BrowserId) {
        self.over(id);
        if let Some(browser) = self.browsers.get(&id) {
            browser.outgoing.cut();
        }
    }

    /// Takes a ready browser out of its audience's ready ones and gives it `backlog`.
    pub(super) fn set_behind(&mut self, id: BrowserId, backlog: Backlog) {
        self.take_out(id, State::Behind(Box::new(backlog)));
        if self.behind.insert(id) {
            self.behind_now.increment(1.0);
        }
    }

    /// Puts a browser that has everything among its audience's ready ones.
    pub(super) fn set_ready(&mut self, id: BrowserId) {
        let Some(browser) = self.browsers.get_mut(&id) else { return };
        let Some((_, audience)) = self.audiences.get_mut(browser.audience) else { return };
        audience.others = audience.others.saturating_sub(1);
        if let State::Behind(backlog) = &browser.state {
            self.coalesced.increment(backlog.coalesced(audience.levels));
        }
        browser.state = State::Ready(audience.ready.len());
        audience.ready.push(Ready { id, outgoing: browser.outgoing.clone() });
        self.behind_no_more(id);
    }

    /// Moves a browser to the audience of `key`.
    pub(super) fn change_audience(&mut self, id: BrowserId, key: Key) {
        let Some(browser) = self.browsers.get(&id) else { return };
        let was_ready = matches!(browser.state, State::Ready(_));
        let old = browser.audience;
        if was_ready {
            self.take_out(id, State::Over);
        }
        let new = self.enter(key);
        let (levels_old, levels_new) = (self.levels_at(old), self.levels_at(new));
        self.exit(old);
        if let Some(browser) = self.browsers.get_mut(&id) {
            browser.audience = new;
            if let State::Behind(backlog) = &mut browser.state {
                backlog.change_audience(levels_old, levels_new);
            }
        }
        if was_ready {
            self.set_ready(id);
        }
    }

    fn behind_no_more(&mut self, id: BrowserId) {
        if self.behind.remove(&id) {
            self.behind_now.decrement(1.0);
        }
    }

    /// Moves a browser out of its audience's ready ones, into `state`.
    fn take_out(&mut self, id: BrowserId, state: State) {
        let Some(browser) = self.browsers.get_mut(&id) else { return };
        let before = std::mem::replace(&mut browser.state, state);
        let audience = browser.audience;
        let State::Ready(place) = before else { return };
        let Some((_, audience)) = self.audiences.get_mut(audience) else { return };
        audience.others += 1;
        if place < audience.ready.len() {
            audience.ready.swap_remove(place);
        }
        let moved = audience.ready.get(place).map(|ready| ready.id);
        if let Some(Browser { state: State::Ready(at), .. }) = moved.and_then(|moved| self.browsers.get_mut(&moved)) {
            *at = place;
        }
    }

    /// Counts one more browser into the audience of `key`, which need not exist yet; not among the ready ones.
    fn enter(&mut self, key: Key) -> usize {
        let at = match self.audience_of.get(&key) {
            Some(at) => *at,
            None => {
                let key = Arc::new(key);
                let at = self.audiences.insert((Arc::clone(&key), Audience::default()));
                self.audience_of.insert(key, at);
                at
            }
        };
        if let Some((_, audience)) = self.audiences.get_mut(at) {
            audience.others += 1;
        }
        at
    }

    /// Counts one browser, which is not among the ready ones, out of an audience.
    fn exit(&mut self, at: usize) {
        let Some((key, audience)) = self.audiences.get_mut(at) else { return };
        audience.others = audience.others.saturating_sub(1);
        if audience.others == 0 && audience.ready.is_empty() {
            self.audience_of.remove(key);
            self.audiences.remove(at);
        }
    }
}
