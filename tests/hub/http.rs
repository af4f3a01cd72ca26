//! The HTTP side over real sockets, with an engine in the same process.

mod files;
mod raw;
mod rig;
mod slow;
mod talk;
