//! A client's byte stream, TCP, TLS or WebSocket alike: one object that reads and writes as the other side allows.
//!
//! What the bytes mean does not belong here.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::{Buf, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf},
    time::Instant,
};

use super::{settings::limit_met, state::Stats};

/// A stream that a session can live on.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Bytes read in one go.
const READ_BYTES: usize = 32 << 10;

/// Bytes thrown away in one go.
const LINGER_BYTES: usize = 4 << 10;

/// Room for bytes to write that a quiet client keeps.
const KEPT_BYTES: usize = 1 << 10;

/// A stream with what was read and not understood yet, and what is to be written.
pub(super) struct Socket {
    stream: Box<dyn Stream>,
    /// What was read.
    pub(super) inbound: BytesMut,
    /// What is to be written.
    pub(super) out: BytesMut,
    flush: bool,
    /// When the other side last took bytes.
    pub(super) moved_at: Instant,
    /// Counts for all clients together.
    stats: Arc<Stats>,
    /// Bytes read and written since it was opened.
    pub(super) read_bytes: u64,
    pub(super) written_bytes: u64,
}

/// What [`Socket::turn`] achieved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// Bytes were read, and perhaps written.
    Read,
    /// Bytes were written.
    Wrote,
    /// The other side has sent everything.
    End,
}

impl Socket {
    pub(super) fn new(stream: Box<dyn Stream>, inbound: BytesMut, stats: Arc<Stats>) -> Self {
        Self {
            stream,
            stats,
            inbound,
            out: BytesMut::new(),
            flush: false,
            moved_at: Instant::now(),
            read_bytes: 0,
            written_bytes: 0,
        }
    }

    /// Writes what there is to write and, where `read`, reads, until either got somewhere.
    ///
    /// # Cancel safety
    /// Cancelling loses nothing.
    pub(super) async fn turn(&mut self, read: bool) -> io::Result<Turn> {
        poll_fn(|cx| self.poll_turn(cx, read)).await
    }

    fn poll_turn(&mut self, cx: &mut Context<'_>, read: bool) -> Poll<io::Result<Turn>> {
        let wrote = self.poll_write(cx)?;
        if read {
            let mut scratch = [std::mem::MaybeUninit::uninit(); READ_BYTES];
            let mut buffer = ReadBuf::uninit(&mut scratch);
            if let Poll::Ready(done) = Pin::new(&mut self.stream).poll_read(cx, &mut buffer) {
                done?;
                let bytes = buffer.filled();
                self.read_bytes += bytes.len() as u64;
                Stats::add(&self.stats.bytes_received, bytes.len() as u64);
                if bytes.is_empty() {
                    return Poll::Ready(Ok(Turn::End));
                }
                self.inbound.extend_from_slice(bytes);
                return Poll::Ready(Ok(Turn::Read));
            }
        }
        if wrote { Poll::Ready(Ok(Turn::Wrote)) } else { Poll::Pending }
    }

    /// Writes as much as the other side takes; tells whether it took anything.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        let mut wrote = false;
        while !self.out.is_empty() {
            match Pin::new(&mut self.stream).poll_write(cx, &self.out) {
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(length)) => {
                    self.out.advance(length);
                    self.written_bytes += length as u64;
                    Stats::add(&self.stats.bytes_sent, length as u64);
                    wrote = true;
                    self.flush = true;
                }
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => break,
            }
        }
        if wrote {
            self.moved_at = Instant::now();
        }
        if self.out.is_empty() && self.out.capacity() > KEPT_BYTES {
            // The room of a burst is given back.
            self.out = BytesMut::new();
        }
        if self.flush
            && let Poll::Ready(done) = Pin::new(&mut self.stream).poll_flush(cx)
        {
            done?;
            self.flush = false;
        }
        Ok(wrote)
    }

    /// Writes what is left, for as long as `limit` allows; tells whether it was in time.
    pub(super) async fn drain(&mut self, limit: std::time::Duration) -> bool {
        let draining = poll_fn(|cx| {
            loop {
                match self.poll_write(cx) {
                    Err(_) => return Poll::Ready(()),
                    Ok(_) if self.out.is_empty() && !self.flush => return Poll::Ready(()),
                    Ok(true) => {}
                    Ok(false) => return Poll::Pending,
                }
            }
        });
        in_time(limit, draining).await
    }

    /// Closes the hub's side of the connection, behind what was written.
    pub(super) async fn close(&mut self, limit: std::time::Duration) {
        let closing = poll_fn(|cx| Pin::new(&mut self.stream).poll_shutdown(cx));
        in_time(limit, closing).await;
    }

    /// Throws away what still comes, until the other side closes or `limit` is over.
    pub(super) async fn linger(&mut self, limit: std::time::Duration) {
        linger(&mut self.stream, limit).await;
    }
}

/// Whether a client takes its goodbye within `limit`: whoever does not do so does without the rest of it.
async fn in_time(limit: std::time::Duration, goodbye: impl Future) -> bool {
    let taken = tokio::time::timeout(limit, goodbye).await.is_ok();
    if !taken {
        limit_met("goodbye_timeout");
    }
    taken
}

/// Reads and throws away, until the other side closes or `limit` is over: a socket that is closed with bytes unread resets the
/// connection, and what was sent last is lost with it (RFC 1122 §4.2.2.13).
pub(super) async fn linger(stream: &mut Box<dyn Stream>, limit: std::time::Duration) {
    // Not in the future itself, which every connection has and hardly one comes to.
    let mut scratch = vec![0; LINGER_BYTES];
    let reading = async { while matches!(stream.read(&mut scratch).await, Ok(length) if length > 0) {} };
    // Whoever does not close in time is closed.
    let _ = tokio::time::timeout(limit, reading).await;
}

impl std::fmt::Debug for Socket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Socket")
            .field("inbound", &self.inbound.len())
            .field("out", &self.out.len())
            .finish_non_exhaustive()
    }
}
