//! The HTTP side over real sockets, with an engine in the same process.

mod api;
mod documents;
mod files;
mod idle;
mod ordinary;
mod raw;
mod ready;
mod rig;
mod rights;
mod slow;
mod talk;
