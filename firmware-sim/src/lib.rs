//! The Lockstep button box: a button and a light that share the hub's Pomodoro.
//!
//! From the inside outwards: [`gesture`], [`pattern`] and [`agent`] are pure and take the time as an argument; a board
//! ([`board`]) brings edges in and shows what the agent decides; [`link`] keeps the MQTT connection; [`run`] ties them
//! together. The simulated boards are boards like the Raspberry Pi's, not other programs: what runs on a desk is what runs on the
//! Pi. What the phases of a Pomodoro are, and what a topic is, comes from the hub's own pure domain.

pub mod agent;
pub mod args;
pub mod board;
#[cfg(feature = "gpio")]
pub mod check;
pub mod clock;
pub mod command;
pub mod config;
#[cfg(feature = "mdns")]
pub mod discover;
pub mod gesture;
pub mod identity;
pub mod link;
pub mod pattern;
pub mod run;
