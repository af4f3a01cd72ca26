//! A pretended finger: plays whole gestures as edges in time, for boards whose keys have no «up».

use std::{collections::VecDeque, time::Duration};

use crate::{
    agent::Input,
    clock::{self, Mono},
    gesture::{Gesture, Timing},
};

/// How long a pretended short press lasts.
pub const TAP: Duration = Duration::from_millis(80);
/// The most edges that wait to be played; a word that does not fit is dropped.
pub const EDGES_MAX: usize = 64;

/// A finger with edges still to come.
#[derive(Debug, Default)]
pub struct Finger {
    edges: VecDeque<(Mono, usize, bool)>,
}

impl Finger {
    /// Plays `gesture` on `button`, after what is still being played.
    pub fn play(&mut self, button: usize, gesture: Gesture, timing: Timing, now: Mono) {
        let begin = self.edges.back().map_or(now, |&(at, ..)| at.max(now) + TAP);
        let edges: &[(Duration, bool)] = &match gesture {
            Gesture::ShortPress => vec![(Duration::ZERO, true), (TAP, false)],
            Gesture::DoublePress => vec![(Duration::ZERO, true), (TAP, false), (TAP * 2, true), (TAP * 3, false)],
            Gesture::LongPress | Gesture::LongRelease => {
                vec![(Duration::ZERO, true), (timing.long_press + TAP, false)]
            }
        };
        if self.edges.len() + edges.len() <= EDGES_MAX {
            self.edges.extend(edges.iter().map(|&(after, down)| (begin + after, button, down)));
        }
    }

    /// Whether nothing is being played.
    pub fn is_still(&self) -> bool {
        self.edges.is_empty()
    }

    /// Waits for the next edge; for ever when there is none.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn next(&mut self) -> Input {
        clock::sleep_until(self.edges.front().map(|&(at, ..)| at)).await;
        match self.edges.pop_front() {
            Some((at, button, down)) => Input::Edge { button, down, at },
            None => std::future::pending().await,
        }
    }
}
