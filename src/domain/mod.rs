//! The domain: shared things and the rules they follow, as plain values.
//!
//! Inputs and a [`Now`](time::Now) go in; publications and the next wake-up come out. There is no clock, no socket, no
//! task and no file below this module, and nothing here may name a runtime, a broker or a web framework: the crate builds
//! this part alone with `--no-default-features`, and the button box depends on exactly that.

pub mod control;
pub mod history;
pub mod hub;
pub mod id;
pub mod nearest;
pub mod origin;
pub mod publication;
pub mod rejection;
pub mod thing;
pub mod things;
pub mod time;
pub mod topic;
pub mod wire;
