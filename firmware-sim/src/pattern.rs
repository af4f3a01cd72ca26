//! Light patterns: what colour a light has at which moment.
//!
//! Pure: a pattern and the time since it began give a colour and the next moment at which the colour may differ. Pins,
//! PWM and terminals are not here. Which pattern is shown is the agent's business.

use std::time::Duration;

/// A colour as a person names it; how bright each part looks, not how long it is switched on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Rgb {
    /// Red, 0 to 255.
    pub red: u8,
    /// Green, 0 to 255.
    pub green: u8,
    /// Blue, 0 to 255.
    pub blue: u8,
}

/// The colours that have a name in the configuration.
const NAMED: [(&str, Rgb); 11] = [
    ("off", Rgb::OFF),
    ("red", Rgb::new(255, 0, 0)),
    ("green", Rgb::new(0, 255, 0)),
    ("blue", Rgb::new(0, 0, 255)),
    ("yellow", Rgb::new(255, 255, 0)),
    ("cyan", Rgb::new(0, 255, 255)),
    ("magenta", Rgb::new(255, 0, 255)),
    ("white", Rgb::WHITE),
    ("orange", Rgb::new(255, 140, 0)),
    ("pink", Rgb::new(255, 105, 180)),
    ("purple", Rgb::new(150, 0, 255)),
];

impl Rgb {
    /// No light.
    pub const OFF: Self = Self::new(0, 0, 0);
    /// All of it.
    pub const WHITE: Self = Self::new(255, 255, 255);

    /// A colour of three parts.
    pub const fn new(red: u8, green: u8, blue: u8) -> Self {
        Self { red, green, blue }
    }

    /// Parses a name (`green`) or `#rrggbb`.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(&(_, colour)) = NAMED.iter().find(|(name, _)| *name == text) {
            return Some(colour);
        }
        let hex = text.strip_prefix('#').filter(|hex| hex.len() == 6 && hex.bytes().all(|b| b.is_ascii_hexdigit()))?;
        let part = |from: usize| u8::from_str_radix(hex.get(from..from + 2)?, 16).ok();
        Some(Self::new(part(0)?, part(2)?, part(4)?))
    }

    /// The names that [`parse`](Self::parse) knows, for a message.
    pub fn names() -> String {
        NAMED.map(|(name, _)| name).join(", ")
    }

    /// Its name where it has one, else `#rrggbb`.
    pub fn name(self) -> String {
        let named = NAMED.iter().find(|&&(_, colour)| colour == self);
        named.map_or_else(|| self.to_string(), |(name, _)| (*name).to_owned())
    }

    /// The colour at `level` of 255 of its brightness.
    pub fn dimmed(self, level: u8) -> Self {
        let part = |value: u8| u8::try_from(u16::from(value) * u16::from(level) / 255).unwrap_or(u8::MAX);
        Self::new(part(self.red), part(self.green), part(self.blue))
    }

    /// How bright its brightest part is; what a light of one colour shows.
    pub fn brightness(self) -> u8 {
        self.red.max(self.green).max(self.blue)
    }

    /// The acknowledgement of a press: dark becomes white, lit becomes dark, so that every colour visibly changes.
    pub fn inverted(self) -> Self {
        if self.brightness() < 128 { Self::WHITE } else { Self::OFF }
    }
}

impl std::fmt::Display for Rgb {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "#{:02x}{:02x}{:02x}", self.red, self.green, self.blue)
    }
}

/// How a light moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Steadily on.
    Solid,
    /// On for the first half of each period, off for the second.
    Blink,
    /// Swells and fades once a period.
    Breathe,
    /// So many short flashes at the beginning of each period, dark for the rest.
    Flash(u8),
}

/// A colour and how it moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Pattern {
    /// The colour at full level.
    pub colour: Rgb,
    /// How it moves.
    pub mode: Mode,
    /// One round of the movement; a solid light does not use it.
    pub period: Duration,
}

/// One flash of [`Mode::Flash`] is on this long, and dark for as long again at least.
pub const FLASH_ON: Duration = Duration::from_millis(80);
const FLASH_SLOT: Duration = Duration::from_millis(200);
/// The shortest period that a configuration may ask for: 5 Hz at most, for people with photosensitive epilepsy the
/// guideline is three flashes a second, so nothing by default is above that.
pub const PERIOD_MIN: Duration = Duration::from_millis(200);
/// The longest period that a configuration may ask for.
pub const PERIOD_MAX: Duration = Duration::from_secs(60);
/// A breathing light changes its level this often.
pub const BREATHE_STEP: Duration = Duration::from_millis(20);

impl Pattern {
    /// No light at all.
    pub const OFF: Self = Self { colour: Rgb::OFF, mode: Mode::Solid, period: Duration::from_secs(1) };

    /// A steady light.
    pub const fn solid(colour: Rgb) -> Self {
        Self { colour, mode: Mode::Solid, period: Duration::from_secs(1) }
    }

    /// The most flashes that fit in `period`.
    pub fn flashes_max(period: Duration) -> u8 {
        u8::try_from(period.as_millis() / FLASH_SLOT.as_millis()).unwrap_or(u8::MAX)
    }

    /// The colour `elapsed` after the pattern began.
    pub fn colour_at(&self, elapsed: Duration) -> Rgb {
        self.colour.dimmed(self.level_at(elapsed))
    }

    /// When, counted from the pattern's beginning, the colour may next differ from that at `elapsed`; `None` when it
    /// never does. Until then it is the same, so nobody needs to look.
    pub fn next_change(&self, elapsed: Duration) -> Option<Duration> {
        if self.colour == Rgb::OFF {
            return None;
        }
        let (rounds, within) = self.split(elapsed);
        let step = match self.mode {
            Mode::Solid => return None,
            Mode::Blink => self.period / 2,
            Mode::Breathe => BREATHE_STEP,
            Mode::Flash(count) => {
                let (slot, in_slot) = split(within, FLASH_SLOT);
                let next = if slot >= u32::from(count) {
                    self.period
                } else if in_slot < FLASH_ON {
                    FLASH_SLOT * slot + FLASH_ON
                } else if slot + 1 < u32::from(count) {
                    FLASH_SLOT * (slot + 1)
                } else {
                    self.period
                };
                return Some(self.period * rounds + next.min(self.period));
            }
        };
        let (steps, _) = split(within, step);
        Some(self.period * rounds + (step * (steps + 1)).min(self.period))
    }

    fn level_at(&self, elapsed: Duration) -> u8 {
        let (_, within) = self.split(elapsed);
        let lit = match self.mode {
            Mode::Solid => true,
            Mode::Blink => within < self.period / 2,
            Mode::Breathe => return breathe_level(within, self.period),
            Mode::Flash(count) => {
                let (slot, in_slot) = split(within, FLASH_SLOT);
                slot < u32::from(count) && in_slot < FLASH_ON
            }
        };
        if lit { u8::MAX } else { 0 }
    }

    /// Whole periods gone by, and the time within the present one.
    fn split(&self, elapsed: Duration) -> (u32, Duration) {
        split(elapsed, self.period)
    }
}

/// How often `step` fits in `time`, and what is left; a step of zero counts as one nanosecond.
fn split(time: Duration, step: Duration) -> (u32, Duration) {
    let step_nanos = step.as_nanos().max(1);
    let times = time.as_nanos() / step_nanos;
    let rest = time.as_nanos() % step_nanos;
    (u32::try_from(times).unwrap_or(u32::MAX), Duration::from_nanos(u64::try_from(rest).unwrap_or(u64::MAX)))
}

/// A raised cosine in steps of [`BREATHE_STEP`], never quite dark, so that a breathing light never looks off.
fn breathe_level(within: Duration, period: Duration) -> u8 {
    const DARKEST: f32 = 0.06;
    let (steps, _) = split(within, BREATHE_STEP);
    let turn = (BREATHE_STEP * steps).as_secs_f32() / period.as_secs_f32().max(f32::MIN_POSITIVE);
    let swell = 0.5 - 0.5 * (turn * std::f32::consts::TAU).cos();
    let level = (DARKEST + (1.0 - DARKEST) * swell).clamp(0.0, 1.0) * 255.0;
    // In range by the clamp; `as` rounds towards zero.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0..=255 on the line above")]
    let level = level as u8;
    level
}

#[cfg(test)]
#[path = "pattern_tests.rs"]
mod tests;
