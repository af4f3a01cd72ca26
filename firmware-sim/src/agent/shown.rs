//! What a board shows: the hub's state, the light's pattern, and what lies over it for a moment.

use lockstep::domain::things::pomodoro::Phase;

use super::{Agent, Connection, PRESSED, PhaseView, Report};
use crate::{
    clock::Mono,
    config::{LightWord, Patterns},
    pattern::{Pattern, Rgb},
};

/// What a board shows. It animates the patterns by itself; the agent changes them.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    /// How the box stands to its hub.
    pub connection: Connection,
    /// The hub's state; none without a hub, so that nothing stale is shown.
    pub phase: Option<PhaseView>,
    /// The hub's countdown; none without a hub.
    pub remaining: Option<String>,
    /// What the light shows.
    pub word: LightWord,
    /// The pattern for that.
    pub pattern: Pattern,
    /// When that began.
    pub since: Mono,
    /// What lies over it.
    pub overlay: Option<Overlay>,
}

/// What lies over the light for a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overlay {
    /// What.
    pub over: Over,
    /// Its pattern; the acknowledgement of a press turns the one below over instead.
    pub pattern: Option<Pattern>,
    /// When it began.
    pub since: Mono,
    /// When it ends.
    pub until: Mono,
}

/// What can lie over the light.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// A press was felt.
    Pressed,
    /// `unsent` or `rejected`.
    Word(LightWord),
}

impl Shown {
    /// A box that has not seen its hub.
    pub(super) fn new(patterns: &Patterns, now: Mono) -> Self {
        Self {
            connection: Connection::Away,
            phase: None,
            remaining: None,
            word: LightWord::NoHub,
            pattern: patterns.of(LightWord::NoHub, Phase::Idle),
            since: now,
            overlay: None,
        }
    }

    /// The word that the light shows now, what lies over it included; none for the acknowledgement of a press.
    pub fn word_now(&self) -> Option<LightWord> {
        match self.overlay.map(|overlay| overlay.over) {
            None => Some(self.word),
            Some(Over::Word(word)) => Some(word),
            Some(Over::Pressed) => None,
        }
    }

    /// The colour of a light at `now`. `takes_part` says whether it takes part in showing a word; one that does not is off,
    /// but acknowledges a press all the same.
    pub fn colour_at(&self, now: Mono, takes_part: impl Fn(LightWord) -> bool) -> Rgb {
        let colour = |word, pattern: Pattern, since| {
            if takes_part(word) { pattern.colour_at(now.since(since)) } else { Rgb::OFF }
        };
        let below = colour(self.word, self.pattern, self.since);
        match self.overlay {
            Some(Overlay { over: Over::Word(word), pattern: Some(pattern), since, .. }) => colour(word, pattern, since),
            Some(Overlay { over: Over::Pressed, .. }) => below.inverted(),
            _ => below,
        }
    }

    /// When, after `now`, a light may next change by itself; none when it stays as it is.
    pub fn next_change(&self, now: Mono) -> Option<Mono> {
        let next = |pattern: Pattern, since: Mono| Some(since + pattern.next_change(now.since(since))?);
        match self.overlay {
            Some(Overlay { over: Over::Word(_), pattern: Some(pattern), since, .. }) => next(pattern, since),
            // So short that the pattern below need not move meanwhile.
            Some(Overlay { over: Over::Pressed, .. }) => None,
            _ => next(self.pattern, self.since),
        }
    }
}

impl Agent {
    /// Lays something over the light; a later one replaces an earlier one.
    pub(super) fn lay_over(&mut self, over: Over, now: Mono) {
        let phase = self.phase();
        let (pattern, time) = match over {
            Over::Pressed => (None, PRESSED),
            Over::Word(word) => {
                let pattern = self.patterns.of(word, phase);
                (Some(pattern), pattern.period)
            }
        };
        self.shown.overlay = Some(Overlay { over, pattern, since: now, until: now + time });
        self.tell_light();
    }

    /// Chooses the light's word anew; a pattern that stays goes on where it is.
    pub(super) fn choose_word(&mut self, now: Mono) {
        let word = match (&self.shown.connection, &self.shown.phase) {
            (Connection::Online, Some(view)) if view.paused => LightWord::Paused,
            (Connection::Online, Some(view)) => LightWord::Phase(view.phase()),
            _ => LightWord::NoHub,
        };
        let pattern = self.patterns.of(word, self.phase());
        if (word, pattern) != (self.shown.word, self.shown.pattern) {
            self.shown.word = word;
            self.shown.pattern = pattern;
            self.shown.since = now;
            self.tell_light();
        }
    }

    /// Tells what the light shows now.
    pub(super) fn tell_light(&mut self) {
        let (pattern, light) = match self.shown.overlay {
            Some(Overlay { over: Over::Pressed, .. }) => {
                self.tell(Report::Light { light: "pressed", mode: "solid", colour: None });
                return;
            }
            Some(Overlay { over: Over::Word(word), pattern: Some(pattern), .. }) => (pattern, word),
            _ => (self.shown.pattern, self.shown.word),
        };
        let colour = Some(pattern.colour.to_string());
        self.tell(Report::Light { light: light.as_str(), mode: pattern.mode.word(), colour });
    }
}
