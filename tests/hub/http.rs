//! The HTTP side over real sockets, with an engine in the same process.

mod api;
mod documents;
mod files;
mod ordinary;
mod raw;
mod rig;
mod rights;
mod slow;
mod talk;
