//! A box of real parts: buttons, lights, a buzzer and dials at the lines of a Linux GPIO character device.
//!
//! Edges come with the kernel's own stamps and after its debouncing. What lights show is in [`lights`]; what an edge means is the
//! agent's business.

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    path::PathBuf,
    time::Duration,
};

use anyhow::{Context, Result};
use gpiocdev::{
    Chip, Request,
    line::{Bias, EdgeDetection, EdgeEvent, EdgeKind, EventClock, Value},
    tokio::AsyncRequest,
};

use super::BoardEvent;
use crate::{
    agent::{Connection, Input, Outcome, Report, Shown},
    clock::Mono,
    config::{Config, DialLines, Gpio, Pull},
};

mod buzzer;
mod encoder;
pub mod lights;
mod plan;

use encoder::Encoder;
use lights::Lights;

/// Who holds the lines, as `gpioinfo` shows it.
pub const CONSUMER: &str = "lockstep-box";
/// The labels of the chip behind a Raspberry Pi's header: Pi 5, Pi 4, Pi 0 to 3. Labels, because the chips' numbers have changed
/// with models and kernels.
pub const HEADER_LABELS: [&str; 3] = ["pinctrl-rp1", "pinctrl-bcm2711", "pinctrl-bcm2835"];
/// An encoder's contacts bounce shortly and turn fast.
const ENCODER_DEBOUNCE_MAX: Duration = Duration::from_millis(1);

/// What a line belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Button(usize),
    DialButton { dial: usize, clicks: i32 },
    Encoder { dial: usize, second: bool },
}

/// An input line.
#[derive(Debug)]
struct Line {
    part: Part,
    down: bool,
    /// The number of its latest event; a gap means that events were lost.
    number: u32,
}

/// The GPIO board.
#[derive(Debug)]
pub struct GpioBoard {
    inputs: AsyncRequest,
    lines: BTreeMap<u32, Line>,
    encoders: BTreeMap<usize, Encoder>,
    waiting: VecDeque<Input>,
    lights: Lights,
}

/// A chip: where it is and what it is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundChip {
    /// Its device.
    pub path: PathBuf,
    /// Its label.
    pub label: String,
    /// How many lines it has.
    pub lines: u32,
}

impl GpioBoard {
    /// Requests the lines.
    ///
    /// # Errors
    /// Names the chip or the pin that cannot be had.
    pub fn open(config: &Config) -> Result<Self> {
        let chip = find_chip(&config.gpio.chip)?;
        let parts = input_parts(config)?;
        let mut builder = Request::builder();
        builder.on_chip(&chip.path).with_consumer(CONSUMER);
        for (&offset, &part) in &parts {
            request_input(&mut builder, offset, part, &config.gpio);
        }
        let request = builder.request().with_context(|| {
            let pins: Vec<_> = parts.keys().map(|offset| format!("GPIO{offset}")).collect();
            format!("cannot have {} of {} ({}) as inputs", pins.join(", "), chip.path.display(), chip.label)
        })?;
        let mut board = Self {
            lines: parts.iter().map(|(&offset, &part)| (offset, Line { part, down: false, number: 0 })).collect(),
            encoders: config
                .dials
                .iter()
                .enumerate()
                .filter(|(_, dial)| matches!(dial.lines, DialLines::Encoder { .. }))
                .map(|(dial, _)| (dial, Encoder::default()))
                .collect(),
            waiting: VecDeque::new(),
            lights: Lights::open(&chip, config)?,
            inputs: AsyncRequest::new(request),
        };
        board.read_levels().context("cannot read the buttons")?;
        Ok(board)
    }

    /// Reads each line once: a button that is held at start gives no edge.
    fn read_levels(&mut self) -> gpiocdev::Result<()> {
        for (&offset, line) in &mut self.lines {
            line.down = self.inputs.as_ref().value(offset)? == Value::Active;
            match line.part {
                Part::Button(button) if line.down => self.waiting.push_back(Input::HeldAtStart { button }),
                Part::Encoder { dial, second } => {
                    if let Some(encoder) = self.encoders.get_mut(&dial) {
                        encoder.begin(second, line.down);
                    }
                }
                Part::Button(_) | Part::DialButton { .. } => {}
            }
        }
        Ok(())
    }

    /// The next edge.
    ///
    /// # Errors
    /// The device is gone.
    ///
    /// # Cancel safety
    /// Nothing is lost: an event is read only when it can be returned.
    pub async fn next(&mut self) -> io::Result<BoardEvent> {
        loop {
            if let Some(input) = self.waiting.pop_front() {
                return Ok(BoardEvent::Input(input));
            }
            let event = self.inputs.read_edge_event().await.map_err(io::Error::other)?;
            self.take(&event)?;
        }
    }

    fn take(&mut self, event: &EdgeEvent) -> io::Result<()> {
        let Some(line) = self.lines.get_mut(&event.offset) else { return Ok(()) };
        let lost = line.number.wrapping_add(1) != event.line_seqno;
        line.number = event.line_seqno;
        let at = Mono::from_nanos(event.timestamp_ns);
        self.level(event.offset, event.kind == EdgeKind::Rising, at);
        if lost {
            // The kernel's queue ran over: what the line is now counts.
            let now = self.inputs.as_ref().value(event.offset).map_err(io::Error::other)? == Value::Active;
            self.level(event.offset, now, at);
        }
        Ok(())
    }

    fn level(&mut self, offset: u32, down: bool, at: Mono) {
        let Some(line) = self.lines.get_mut(&offset) else { return };
        if line.down == down {
            return;
        }
        line.down = down;
        let input = match line.part {
            Part::Button(button) => Some(Input::Edge { button, down, at }),
            Part::DialButton { dial, clicks } => down.then_some(Input::Turn { dial, clicks }),
            Part::Encoder { dial, second } => {
                let clicks = self.encoders.get_mut(&dial).map_or(0, |encoder| encoder.edge(second, down));
                (clicks != 0).then_some(Input::Turn { dial, clicks })
            }
        };
        self.waiting.extend(input);
    }

    /// Shows what the agent decided.
    ///
    /// # Errors
    /// The lights' device is gone.
    pub fn show(&self, shown: &Shown) -> io::Result<()> {
        self.lights.show(shown)
    }

    /// Leaves everything dark and quiet.
    pub fn stop(self) {
        self.lights.stop();
    }
}

/// What each input line belongs to.
fn input_parts(config: &Config) -> Result<BTreeMap<u32, Part>> {
    let mut parts = BTreeMap::new();
    for (index, button) in config.buttons.iter().enumerate() {
        let pin = button.pin.with_context(|| format!("button {}: a gpio board needs its `pin`", button.name))?;
        parts.insert(pin.line(), Part::Button(index));
    }
    for (dial, config) in config.dials.iter().enumerate() {
        let [first, second] = config.lines.pins();
        let [first_part, second_part] = match config.lines {
            DialLines::Buttons { .. } => [Part::DialButton { dial, clicks: 1 }, Part::DialButton { dial, clicks: -1 }],
            DialLines::Encoder { .. } => [Part::Encoder { dial, second: false }, Part::Encoder { dial, second: true }],
        };
        parts.insert(first.line(), first_part);
        parts.insert(second.line(), second_part);
    }
    Ok(parts)
}

fn request_input(builder: &mut gpiocdev::request::Builder, offset: u32, part: Part, gpio: &Gpio) {
    builder.with_line(offset).as_input().with_edge_detection(EdgeDetection::BothEdges);
    // The clock that crate::clock reads, so that stamps and timers can be compared.
    builder.with_event_clock(EventClock::Monotonic);
    if gpio.active_low {
        builder.as_active_low();
    }
    match gpio.pull {
        Pull::Up => builder.with_bias(Bias::PullUp),
        Pull::Down => builder.with_bias(Bias::PullDown),
        Pull::None => builder,
    };
    let debounce = match part {
        Part::Encoder { .. } => gpio.debounce.min(ENCODER_DEBOUNCE_MAX),
        Part::Button(_) | Part::DialButton { .. } => gpio.debounce,
    };
    if !debounce.is_zero() {
        builder.with_debounce_period(debounce);
    }
}

/// All chips that can be looked at.
pub fn chips() -> Vec<FoundChip> {
    let paths = gpiocdev::chip::chips().unwrap_or_default();
    let found = |path: PathBuf| {
        let info = Chip::from_path(&path).and_then(|chip| chip.info()).ok()?;
        Some(FoundChip { path, label: info.label, lines: info.num_lines })
    };
    paths.into_iter().filter_map(found).collect()
}

/// The chip that `wanted` means: `auto`, a label, or a path.
///
/// # Errors
/// Tells what there is instead, and why it may not be seen.
pub fn find_chip(wanted: &str) -> Result<FoundChip> {
    let chips = chips();
    let is_wanted = |chip: &&FoundChip| match wanted {
        "auto" => HEADER_LABELS.contains(&chip.label.as_str()),
        label_or_path => chip.label == label_or_path || chip.path == std::path::Path::new(label_or_path),
    };
    if let Some(chip) = chips.iter().find(is_wanted) {
        return Ok(chip.clone());
    }
    let there: Vec<_> = chips.iter().map(|chip| format!("{} ({})", chip.path.display(), chip.label)).collect();
    let unreadable = gpiocdev::chip::chips().map_or(0, |paths| paths.len()) - chips.len();
    let what = if wanted == "auto" { "a Raspberry Pi's header".to_owned() } else { format!("{wanted:?}") };
    let mut message = format!("there is no GPIO chip that is {what}");
    if !there.is_empty() {
        message += &format!("; there is {}: name one as gpio.chip", there.join(", "));
    }
    if unreadable > 0 {
        message += &format!("; {unreadable} may not be opened: the user has to be in the group gpio");
    }
    anyhow::bail!(message)
}

/// Writes to the log what whoever looks after the box wants to know.
pub fn log(report: &Report) {
    match report {
        Report::Start { id, hub, room, .. } => eprintln!("{id} runs: hub {hub}, room {room}"),
        Report::Connection { connection: Connection::Away, reason: Some(reason), .. } => {
            eprintln!("no connection: {reason}")
        }
        Report::Connection { connection: Connection::Waiting, protocol: Some(_), .. } => eprintln!("connected"),
        Report::Connection { connection: Connection::Online, .. } => eprintln!("the hub's state is here"),
        Report::Connection { reason: Some(reason), .. } => eprintln!("{reason}"),
        Report::Command { thing, command, sent: false, .. } => eprintln!("{thing}: {command} was not sent"),
        Report::Outcome { reference, outcome: Outcome::Rejected, code, message } => {
            let (code, message) = (code.as_deref().unwrap_or("refused"), message.as_deref().unwrap_or_default());
            eprintln!("{reference} was rejected ({code}): {message}");
        }
        Report::Outcome { reference, outcome: Outcome::Lost, .. } => eprintln!("{reference} was not acknowledged"),
        Report::Notice { message } => eprintln!("{message}"),
        Report::Connection { .. }
        | Report::Light { .. }
        | Report::Phase(_)
        | Report::Remaining { .. }
        | Report::Gesture { .. }
        | Report::Command { .. }
        | Report::Outcome { .. } => {}
    }
}
