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
    /// After a start with a wall clock that nobody vouches for, the end on the wall clock is the truth until somebody does.
    follows_wall: bool,
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
        Self { planned, run, follows_wall: false }
    }

    /// A timer that runs on after a restart, with `left` to go.
    pub(super) fn running(planned: Duration, left: Duration, ends_at: Wall, now: Now) -> Self {
        let run = Run::Running { ends: now.mono.after(left), ends_at };
        Self { planned, run, follows_wall: !now.wall_synchronised }
    }

    /// A timer that is still paused after a restart.
    pub(super) const fn paused(planned: Duration, left: Duration) -> Self {
        Self { planned, run: Run::Paused { left }, follows_wall: false }
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
        self.follows_wall = false;
    }

    pub(super) fn extend(&mut self, more: Duration) {
        self.planned += more;
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
    /// follows the wall clock instead, and never gets more time by it.
    pub(super) fn follow_clock(&mut self, now: Now) -> bool {
        let Run::Running { ends, ends_at } = &mut self.run else { return false };
        let left = ends.since(now.mono);
        // Past its end there is nothing to compare: the end stays where it was.
        let stamp = now.wall.after(left);
        if left.is_zero() || stamp.since(*ends_at).max(ends_at.since(stamp)) <= WALL_DRIFT_MAX {
            self.follows_wall &= !now.wall_synchronised;
            return false;
        }
        if self.follows_wall {
            let left_by_wall = ends_at.since(now.wall);
            self.follows_wall = !now.wall_synchronised;
            if left_by_wall < left {
                *ends = now.mono.after(left_by_wall);
                return false;
            }
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
