//! One timed phase: how long it is, and when it ends on both clocks.
//!
//! Which phase it is, and what comes next, does not belong here.

use std::time::Duration;

use crate::domain::time::{Mono, Now, Wall, millis};

/// How far the wall clock may drift from a timer before its end is stamped anew.
///
/// Clocks are steered by small steps all the time; people should see a new end only when it really moved.
const WALL_DRIFT_MAX: Duration = Duration::from_millis(500);

/// The time of one phase, running or paused.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Timer {
    planned: Duration,
    run: Run,
    /// After a start with a wall clock that nobody vouches for: the end as it was journalled, which counts as soon as the
    /// clock is right.
    journalled_end: Option<Wall>,
}

#[derive(Debug, Clone, PartialEq)]
enum Run {
    Running { ends: Mono, ends_at: Wall },
    Paused { left: Duration },
}

impl Timer {
    /// A timer of `planned` that began at `began`, which was `started_at` on the wall clock.
    pub(super) fn start(planned: Duration, began: Mono, started_at: Wall) -> Self {
        let run = Run::Running { ends: began.after(planned), ends_at: started_at.after(planned) };
        Self { planned, run, journalled_end: None }
    }

    /// A timer that runs on after a restart. Its end was `journalled_end`, and it had `left_when_written` to go then: never
    /// more than that, whatever the wall clock says.
    pub(super) fn running(planned: Duration, left_when_written: Duration, journalled_end: Wall, now: Now) -> Self {
        let left = journalled_end.since(now.wall);
        let (left, ends_at) = if left <= left_when_written {
            (left, journalled_end)
        } else {
            // The wall clock went back: people are shown an end that fits to what they see.
            (left_when_written, now.wall.after(left_when_written))
        };
        let run = Run::Running { ends: now.mono.after(left), ends_at };
        Self { planned, run, journalled_end: (!now.wall_synchronised).then_some(journalled_end) }
    }

    /// A timer that is still paused after a restart.
    pub(super) const fn paused(planned: Duration, left: Duration) -> Self {
        Self { planned, run: Run::Paused { left }, journalled_end: None }
    }

    pub(super) const fn planned(&self) -> Duration {
        self.planned
    }

    pub(super) const fn is_running(&self) -> bool {
        matches!(self.run, Run::Running { .. })
    }

    pub(super) const fn ends(&self) -> Option<Mono> {
        match self.run {
            Run::Running { ends, .. } => Some(ends),
            Run::Paused { .. } => None,
        }
    }

    pub(super) const fn ends_at(&self) -> Option<Wall> {
        match self.run {
            Run::Running { ends_at, .. } => Some(ends_at),
            Run::Paused { .. } => None,
        }
    }

    pub(super) fn left(&self, now: Mono) -> Duration {
        match self.run {
            Run::Running { ends, .. } => ends.since(now),
            Run::Paused { left } => left,
        }
    }

    pub(super) fn pause(&mut self, now: Mono) {
        self.run = Run::Paused { left: self.left(now) };
    }

    pub(super) fn resume(&mut self, now: Now) {
        let left = self.left(now.mono);
        self.run = Run::Running { ends: now.mono.after(left), ends_at: now.wall.after(left) };
        self.journalled_end = None;
    }

    pub(super) fn extend(&mut self, more: Duration) {
        self.planned += more;
        self.journalled_end = self.journalled_end.map(|end| end.after(more));
        match &mut self.run {
            Run::Running { ends, ends_at } => {
                *ends = ends.after(more);
                *ends_at = ends_at.after(more);
            }
            Run::Paused { left } => *left += more,
        }
    }

    /// When the timer ended on both clocks, where that is not in the future.
    pub(super) fn over(&self, now: Mono) -> Option<(Mono, Wall)> {
        match self.run {
            Run::Running { ends, ends_at } if ends <= now => Some((ends, ends_at)),
            _ => None,
        }
    }

    /// Brings both ends together again after a jump of the wall clock. Tells whether the end on the wall clock moved.
    ///
    /// The phase is as long as it was: its end is stamped anew. Only a timer that was restored under an unconfirmed clock
    /// ends when its journalled end comes, and never gets more time by it.
    pub(super) fn follow_clock(&mut self, now: Now) -> bool {
        let Run::Running { ends, ends_at } = &mut self.run else { return false };
        let left = ends.since(now.mono);
        // Past its end there is nothing to compare: the end stays where it was.
        if left.is_zero() {
            return false;
        }
        if let Some(journalled_end) = self.journalled_end {
            if now.wall_synchronised {
                self.journalled_end = None;
            }
            let left_by_wall = journalled_end.since(now.wall);
            if left_by_wall < left {
                *ends = now.mono.after(left_by_wall);
                return std::mem::replace(ends_at, journalled_end) != journalled_end;
            }
        }
        let stamp = now.wall.after(left);
        if stamp.since(*ends_at).max(ends_at.since(stamp)) <= WALL_DRIFT_MAX {
            return false;
        }
        *ends_at = stamp;
        true
    }

    /// When the seconds left, rounded up, change next.
    pub(super) fn next_second(&self, now: Mono) -> Option<Mono> {
        let Run::Running { ends, .. } = self.run else { return None };
        let left = ends.since(now);
        let whole = Duration::from_secs(left.as_secs());
        let until = if left == whole { Duration::from_secs(1).min(left) } else { left.saturating_sub(whole) };
        // At the end itself the phase changes, and with it the reading.
        (!until.is_zero()).then(|| now.after(until))
    }
}

/// `left` as `HH:MM:SS`, rounded up to whole seconds, so that a phase begins with its full time and ends with zero.
pub(super) fn clock_face(left: Duration) -> String {
    let seconds = millis(left).saturating_add(999) / 1000;
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}
