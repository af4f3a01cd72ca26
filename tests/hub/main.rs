//! The hub as a whole, over real sockets. One binary, one module a subject.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on should say where")]

mod commands;
mod discovery;
mod figures;
mod flood;
mod history;
mod http;
mod link;
mod logins;
mod mqtt;
mod socketio;
mod story;
mod support;
