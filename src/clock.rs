//! The clocks: the one place that asks what time it is.
//!
//! Waiting for a time does not belong here; the engine's timer does that.

use std::{
    fmt,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, SystemTime},
};

use crate::domain::time::{Mono, Now, Wall};

/// Where the hub's time comes from. Cheap to clone.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Now + Send + Sync>);

impl Clock {
    /// This machine's clocks: `CLOCK_BOOTTIME`, which counts suspended time, and the wall clock.
    ///
    /// On a machine without a battery clock, such as most Raspberry Pis, the wall clock counts as unconfirmed until the system
    /// says that it was synchronised; a thread of its own asks for that, and ends with the answer.
    #[must_use]
    pub fn system() -> Self {
        let synchronised = Arc::new(AtomicBool::new(has_battery_clock()));
        if !synchronised.load(Ordering::Relaxed) {
            let told = Arc::clone(&synchronised);
            let watch = move || {
                while is_synchronised() == Some(false) {
                    thread::sleep(ASK_AGAIN_AFTER);
                }
                told.store(true, Ordering::Relaxed);
            };
            if thread::Builder::new().name("clock".into()).spawn(watch).is_err() {
                synchronised.store(true, Ordering::Relaxed);
            }
        }
        Self(Arc::new(move || Now {
            mono: boot_time(),
            wall: wall_time(),
            wall_synchronised: synchronised.load(Ordering::Relaxed),
        }))
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

/// How often a machine without a battery clock is asked whether its clock was synchronised.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(5);

/// Whether the machine keeps its time while it is off.
fn has_battery_clock() -> bool {
    std::fs::read_dir("/sys/class/rtc").is_ok_and(|mut clocks| clocks.next().is_some())
}

/// Whether the kernel reports the wall clock as synchronised (`adjtimex(2)`, asked through `timedatectl`); none where nobody can
/// say, as in a container, whose host looks after the clock.
fn is_synchronised() -> Option<bool> {
    let output = Command::new("timedatectl")
        .env_remove("NOTIFY_SOCKET")
        .args(["show", "-p", "NTPSynchronized", "--value"])
        .output()
        .ok()?;
    match String::from_utf8_lossy(&output.stdout).trim() {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
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
