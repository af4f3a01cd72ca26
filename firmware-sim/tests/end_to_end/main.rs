//! The box's program against the hub's: both as a person starts them, over real sockets.

#![expect(clippy::unwrap_used, reason = "a test: whatever fails, it fails")]

mod desk;
mod link;
mod main_job;
