//! The box's program against the hub's: both as a person starts them, over real sockets.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on should say where")]

mod desk;
mod link;
mod main_job;
#[cfg(feature = "tls")]
mod tls;
