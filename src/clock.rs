//! The clocks: the one place that asks what time it is.
//!
//! Waiting does not belong here; the engine's timer does that.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use crate::domain::time::{Mono, Now, Wall};

/// Where the hub's time comes from. Cheap to clone.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Now + Send + Sync>);

impl Clock {
    /// This machine's clocks: `CLOCK_BOOTTIME`, which counts suspended time, and the wall clock.
    #[must_use]
    pub fn system() -> Self {
        Self(Arc::new(|| Now { mono: boot_time(), wall: wall_time(), wall_synchronised: true }))
    }

    /// A clock that asks `now`: for tests, and for a machine whose wall clock cannot be trusted yet.
    #[must_use]
    pub fn from_fn(now: impl Fn() -> Now + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// What time it is.
    #[must_use]
    pub fn now(&self) -> Now {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

/// The time since the machine's boot, suspended time included (`clock_gettime(2)`, `CLOCK_BOOTTIME`).
fn boot_time() -> Mono {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanos = u32::try_from(time.tv_nsec).unwrap_or(0);
    Mono::from_boot(Duration::new(seconds, nanos))
}

fn wall_time() -> Wall {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Wall::from_unix_ms(crate::domain::time::millis(since_epoch))
}
