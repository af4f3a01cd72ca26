//! WebSocket framing (RFC 6455), as much of it as a server needs: the handshake, frames out, frames in.
//!
//! Own code and no crate, because of two figures: a server's frame is the same for every browser, so it is made once and
//! shared, and an idle browser keeps no read buffer. What the frames say does not belong here; extensions are not offered.

pub(in crate::http) mod byte_stream;
pub(in crate::http) mod frame;
pub(in crate::http) mod handshake;
pub(in crate::http) mod parser;
