//! Pins of the 40-pin header, by the names people use.

use std::fmt;

/// A pin, as the number of its GPIO line (Broadcom's numbering, which is the line's offset on the header's chip).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pin(u32);

/// The highest line number: the largest Raspberry Pi chip has 58 lines, other boards have more.
pub(super) const LINE_MAX: u32 = 511;

/// The header's physical positions 1 to 40; zero is not a GPIO (power, ground).
const HEADER: [u8; 40] = [
    0, 0, 2, 0, 3, 0, 4, 14, 0, 15, 17, 18, 27, 0, 22, 23, 0, 24, 10, 0, 9, 25, 11, 8, 0, 7, 0, 1, 5, 0, 6, 12, 13, 0,
    19, 16, 26, 20, 0, 21,
];
/// Position 27 is line 0, which the table cannot say.
const POSITION_OF_LINE_0: usize = 27;

impl Pin {
    /// The pin of line `offset`.
    pub const fn from_line(offset: u32) -> Option<Self> {
        if offset <= LINE_MAX { Some(Self(offset)) } else { None }
    }

    /// Parses `17`, `GPIO17`, `BCM17`, `BOARD11` or `J8:11`.
    pub fn parse(text: &str) -> Option<Self> {
        let digits =
            |digits: &str| digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse::<u32>().ok()).flatten();
        for prefix in ["BOARD", "J8:"] {
            if let Some(position) = text.strip_prefix(prefix) {
                let position = usize::try_from(digits(position)?).ok()?;
                if position == POSITION_OF_LINE_0 {
                    return Some(Self(0));
                }
                let line = *HEADER.get(position.checked_sub(1)?)?;
                return (line > 0).then_some(Self(u32::from(line)));
            }
        }
        let bare = text.strip_prefix("GPIO").or_else(|| text.strip_prefix("BCM")).unwrap_or(text);
        Self::from_line(digits(bare)?)
    }

    /// The line's offset on its chip.
    pub const fn line(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GPIO{}", self.0)
    }
}
