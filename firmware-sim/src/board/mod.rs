//! Boards: what a box is made of.
//!
//! A board has three methods: it brings what the finger does, it shows what the agent decides, and it is told what happens.
//! What a gesture means, what a pattern looks like and when is not here.

use std::io;

use crate::{
    agent::{Input, Report, Shown},
    clock::Mono,
    config::{BoardKind, Config},
};

pub mod finger;
#[cfg(feature = "gpio")]
pub mod gpio;
pub mod headless;
#[cfg(feature = "terminal")]
pub mod terminal;

/// What comes from a board.
#[derive(Debug, Clone, PartialEq)]
pub enum BoardEvent {
    /// Something for the agent.
    Input(Input),
    /// The picture wants to be drawn again.
    Redraw,
    /// The person wants to leave.
    Quit,
}

/// A board.
#[derive(Debug)]
pub enum Board {
    /// Words in, JSON lines out.
    Headless(headless::Headless),
    /// A picture in a terminal.
    #[cfg(feature = "terminal")]
    Terminal(terminal::Terminal),
    /// GPIO lines.
    #[cfg(feature = "gpio")]
    Gpio(gpio::GpioBoard),
}

impl Board {
    /// The board that the configuration asks for.
    ///
    /// # Errors
    /// Tells what could not be had: a pin, a terminal, or this kind of board in this build.
    pub fn open(config: &Config) -> anyhow::Result<Self> {
        match config.board {
            BoardKind::Headless => Ok(Self::Headless(headless::Headless::new(config))),
            #[cfg(feature = "terminal")]
            BoardKind::Terminal => Ok(Self::Terminal(terminal::Terminal::open(config)?)),
            #[cfg(feature = "gpio")]
            BoardKind::Gpio => Ok(Self::Gpio(gpio::GpioBoard::open(config)?)),
            #[cfg(not(all(feature = "terminal", feature = "gpio")))]
            other => anyhow::bail!("this build has no {} board", other.word()),
        }
    }

    /// Whether the board can show the countdown, which comes once a second.
    pub const fn shows_countdown(&self) -> bool {
        match self {
            Self::Headless(_) => true,
            #[cfg(feature = "terminal")]
            Self::Terminal(_) => true,
            #[cfg(feature = "gpio")]
            Self::Gpio(_) => false,
        }
    }

    /// Waits for what the finger does.
    ///
    /// # Errors
    /// The board is gone.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn next(&mut self) -> io::Result<BoardEvent> {
        match self {
            Self::Headless(board) => Ok(board.next().await),
            #[cfg(feature = "terminal")]
            Self::Terminal(board) => Ok(board.next().await),
            #[cfg(feature = "gpio")]
            Self::Gpio(board) => board.next().await,
        }
    }

    /// Shows what the agent decided.
    ///
    /// # Errors
    /// The board is gone.
    pub fn show(&mut self, shown: &Shown, now: Mono) -> io::Result<()> {
        match self {
            Self::Headless(board) => {
                board.show(shown);
                // It prints changes; only pictures and lights move by themselves.
                let _ = now;
                Ok(())
            }
            #[cfg(feature = "terminal")]
            Self::Terminal(board) => board.show(shown, now),
            #[cfg(feature = "gpio")]
            Self::Gpio(board) => board.show(shown),
        }
    }

    /// Is told what happened.
    ///
    /// # Errors
    /// The board is gone.
    pub fn tell(&mut self, report: &Report) -> io::Result<()> {
        match self {
            Self::Headless(board) => board.tell(report),
            #[cfg(feature = "terminal")]
            Self::Terminal(board) => {
                board.tell(report);
                Ok(())
            }
            #[cfg(feature = "gpio")]
            Self::Gpio(_) => {
                gpio::log(report);
                Ok(())
            }
        }
    }

    /// Leaves everything dark.
    pub fn stop(self) {
        match self {
            Self::Headless(_) => {}
            #[cfg(feature = "terminal")]
            Self::Terminal(board) => board.stop(),
            #[cfg(feature = "gpio")]
            Self::Gpio(board) => board.stop(),
        }
    }
}
