//! The hub as a whole, over real sockets. One binary, one module a subject.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on should say where")]

mod commands;
mod flood;
mod discovery;
mod http;
mod socketio;
mod mqtt;
mod link;
mod story;
mod support;
