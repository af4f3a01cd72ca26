//! The thread that drives the output lines.
//!
//! It sleeps while nothing moves: a steady light costs no wake-up, a blinking one two a period. Only a colour or a breath
//! between off and on needs pulse-width modulation, 100 rounds a second in 16 steps. It is a thread of its own because a round's
//! steps of 0.6 ms are finer than the runtime's timer.

use std::{
    io,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context, Result};
use gpiocdev::{
    Request,
    line::{Value, Values},
};

use super::{
    CONSUMER, FoundChip,
    plan::{Plan, STEPS},
};
use crate::{
    agent::Shown,
    clock::{self, Mono},
    config::Config,
};

/// One round of pulse-width modulation: 100 a second, above what an eye sees flicker.
const ROUND: Duration = Duration::from_millis(10);
/// One step of a round.
const STEP: Duration = Duration::from_micros(625);

/// The lights and the buzzer.
#[derive(Debug)]
pub struct Lights {
    slot: Arc<Slot>,
    thread: JoinHandle<()>,
}

/// What the thread is to show; the latest counts.
#[derive(Debug, Default)]
struct Slot {
    wanted: Mutex<Wanted>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Wanted {
    shown: Option<Shown>,
    fresh: bool,
    stop: bool,
    /// Why the thread gave up.
    failed: Option<String>,
}

impl Slot {
    fn lock(&self) -> MutexGuard<'_, Wanted> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lights {
    /// Requests the output lines, all off, and starts the thread.
    ///
    /// # Errors
    /// Names the lines that cannot be had.
    pub(super) fn open(chip: &FoundChip, config: &Config) -> Result<Self> {
        let plan = Plan::new(config);
        let lines = plan.lines();
        let output = if lines.is_empty() { None } else { Some(request(chip, &lines)?) };
        let slot = Arc::new(Slot::default());
        let driver = Driver {
            output,
            lines: lines.into_iter().map(|(line, _)| line).collect(),
            plan,
            slot: Arc::clone(&slot),
            on: Vec::new(),
        };
        let thread = thread::Builder::new()
            .name("lights".to_owned())
            .spawn(move || driver.run())
            .context("cannot start the lights' thread")?;
        Ok(Self { slot, thread })
    }

    pub(super) fn show(&self, shown: &Shown) -> io::Result<()> {
        let mut wanted = self.slot.lock();
        if let Some(reason) = &wanted.failed {
            return Err(io::Error::other(reason.clone()));
        }
        if wanted.shown.as_ref() != Some(shown) {
            wanted.shown = Some(shown.clone());
            wanted.fresh = true;
            self.slot.changed.notify_one();
        }
        Ok(())
    }

    pub(super) fn stop(self) {
        self.slot.lock().stop = true;
        self.slot.changed.notify_one();
        // The thread ends within a round; if it panicked the kernel releases the lines.
        let _panicked = self.thread.join().is_err();
    }
}

/// Requests output lines, all off.
///
/// # Errors
/// Names them.
fn request(chip: &FoundChip, lines: &[(u32, bool)]) -> Result<Request> {
    let mut builder = Request::builder();
    builder.on_chip(&chip.path).with_consumer(CONSUMER);
    for &(line, active_low) in lines {
        builder.with_line(line).as_output(Value::Inactive);
        if active_low {
            builder.as_active_low();
        }
    }
    builder.request().with_context(|| {
        let pins: Vec<_> = lines.iter().map(|(line, _)| format!("GPIO{line}")).collect();
        format!("cannot have {} of {} ({}) as outputs", pins.join(", "), chip.path.display(), chip.label)
    })
}

/// Turns one line on for `time`, then off.
///
/// # Errors
/// Names the line.
pub fn light_for(chip: &FoundChip, line: u32, active_low: bool, time: Duration) -> Result<()> {
    let output = request(chip, &[(line, active_low)])?;
    output.set_value(line, Value::Active).with_context(|| format!("cannot turn GPIO{line} on"))?;
    thread::sleep(time);
    output.set_value(line, Value::Inactive).with_context(|| format!("cannot turn GPIO{line} off"))
}

struct Driver {
    output: Option<Request>,
    lines: Vec<u32>,
    plan: Plan,
    slot: Arc<Slot>,
    /// Which lines are on now.
    on: Vec<bool>,
}

impl Driver {
    fn run(mut self) {
        self.on = vec![false; self.lines.len()];
        if let Err(error) = self.drive() {
            self.slot.lock().failed = Some(format!("the lights: {error}"));
        }
        let off = vec![0; self.lines.len()];
        // Whether or not it works: the request ends here, and some drivers keep a line's last level.
        let _gone = self.set(|index| off[index] > 0).is_err();
    }

    fn drive(&mut self) -> gpiocdev::Result<()> {
        let mut duties = Vec::with_capacity(self.lines.len());
        let mut deadline = None;
        let mut modulating = false;
        loop {
            let Some(shown) = self.wait(deadline, modulating) else { return Ok(()) };
            let now = clock::now();
            self.plan.duties(&shown, now, &mut duties);
            modulating = duties.iter().any(|&duty| duty > 0 && duty < STEPS);
            if modulating {
                self.round(&duties, now)?;
            } else {
                self.set(|index| duties[index] > 0)?;
                deadline = self.plan.next_change(&shown, now);
            }
        }
    }

    /// The picture to show next: at once while modulating, else when it changes or at the deadline; none to stop.
    fn wait(&self, deadline: Option<Mono>, modulating: bool) -> Option<Shown> {
        let mut wanted = self.slot.lock();
        loop {
            if wanted.stop {
                return None;
            }
            let due = modulating || deadline.is_some_and(|deadline| deadline <= clock::now());
            if (wanted.fresh || due)
                && let Some(shown) = wanted.shown.clone()
            {
                wanted.fresh = false;
                return Some(shown);
            }
            wanted = match deadline {
                Some(deadline) => {
                    let wait = deadline.since(clock::now());
                    self.slot.changed.wait_timeout(wanted, wait).unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.slot.changed.wait(wanted).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    /// One round of pulse-width modulation: everything that is not off on, then off line by line.
    fn round(&mut self, duties: &[u8], began: Mono) -> gpiocdev::Result<()> {
        self.set(|index| duties[index] > 0)?;
        for step in 1..STEPS {
            if duties.contains(&step) {
                thread::sleep((began + STEP * u32::from(step)).since(clock::now()));
                self.set(|index| duties[index] > step)?;
            }
        }
        thread::sleep((began + ROUND).since(clock::now()));
        Ok(())
    }

    /// Sets the lines that differ.
    fn set(&mut self, wanted: impl Fn(usize) -> bool) -> gpiocdev::Result<()> {
        let mut values = Values::default();
        let mut differs = false;
        for (index, (&line, on)) in self.lines.iter().zip(&mut self.on).enumerate() {
            if *on != wanted(index) {
                *on = !*on;
                differs = true;
                values.set(line, if *on { Value::Active } else { Value::Inactive });
            }
        }
        match &self.output {
            Some(output) if differs => output.set_values(&values),
            _ => Ok(()),
        }
    }
}
