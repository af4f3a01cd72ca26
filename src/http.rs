//! HTTP: everything that browsers and scripts reach.
//!
//! Things, their rules and their order do not belong here: edges translate, the engine decides.

pub mod socketio;
