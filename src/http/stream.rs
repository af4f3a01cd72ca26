//! The two ways on which bytes reach a browser, behind one type that never waits.
//!
//! A plain TCP socket is written to directly, by whoever holds it: no task is woken for a delivery. Everything else (TLS,
//! an HTTP response that goes on) is written by a task of its own, which takes its bytes from a [`Duct`] of fixed size.
//! What the bytes mean does not belong here.

use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use bytes::{Buf as _, Bytes, BytesMut};
use rustix::{io::Errno, net::SendFlags};
use tokio::net::TcpStream;

/// How much waits in a duct for its task, in bytes.
const DUCT_BYTES_MAX: usize = 64 << 10;

/// Where a browser's bytes go. Cheap to clone.
#[derive(Debug, Clone)]
pub(in crate::http) enum Outgoing {
    /// A socket that was taken back from the HTTP server.
    Tcp(Arc<TcpStream>),
    /// A task that writes.
    Duct(Arc<Duct>),
}

impl Outgoing {
    /// Writes what can be written now and returns how many bytes that was; `WouldBlock` is zero bytes.
    ///
    /// # Errors
    /// The connection is gone.
    pub(in crate::http) fn write_now(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(socket) => send_now(socket, bytes),
            Self::Duct(duct) => duct.write_now(&[bytes]),
        }
    }

    /// Writes what can be written now of `parts`, in order, and takes it off them. Returns how many bytes that was.
    ///
    /// # Errors
    /// The connection is gone.
    pub(in crate::http) fn write_parts_now(&self, parts: &mut VecDeque<Bytes>) -> io::Result<usize> {
        let written = match self {
            Self::Tcp(socket) => {
                let mut slices = [IoSlice::new(&[]); 16];
                for (slice, part) in slices.iter_mut().zip(parts.iter()) {
                    *slice = IoSlice::new(part);
                }
                none_is_zero(socket.try_write_vectored(&slices))?
            }
            Self::Duct(duct) => {
                let slices: Vec<&[u8]> = parts.iter().map(|part| &part[..]).collect();
                duct.write_now(&slices)?
            }
        };
        let mut rest = written;
        while let Some(part) = parts.front_mut() {
            if rest < part.len() {
                part.advance(rest);
                break;
            }
            rest -= part.len();
            parts.pop_front();
        }
        Ok(written)
    }

    /// Ready when a write would do something, be it to tell that the connection is gone.
    pub(in crate::http) fn poll_writable(&self, context: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::Tcp(socket) => socket.poll_write_ready(context).map(drop),
            Self::Duct(duct) => duct.poll_writable(context),
        }
    }

    /// Nothing more will be written; what was, still arrives.
    pub(in crate::http) fn finish(&self) {
        match self {
            // A connection that is gone is finished too.
            Self::Tcp(socket) => drop(socket2::SockRef::from(&**socket).shutdown(std::net::Shutdown::Write)),
            Self::Duct(duct) => duct.finish(),
        }
    }

    /// Ends the connection in both directions, whatever is under way.
    pub(in crate::http) fn cut(&self) {
        match self {
            Self::Tcp(socket) => drop(socket2::SockRef::from(&**socket).shutdown(std::net::Shutdown::Both)),
            Self::Duct(duct) => duct.cut(),
        }
    }
}

/// Sends past the runtime's book-keeping, which for a thousand sockets is a thousand looks at memory far apart; it is asked where the
/// socket is full, so that it knows to tell when there is room.
fn send_now(socket: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    match rustix::net::send(socket, bytes, SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
        Ok(sent) => Ok(sent),
        Err(Errno::AGAIN | Errno::INTR) => none_is_zero(socket.try_write(bytes)),
        Err(e) => Err(e.into()),
    }
}

fn none_is_zero(result: io::Result<usize>) -> io::Result<usize> {
    match result {
        Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => Ok(0),
        other => other,
    }
}

/// A pipe of fixed size between one that must not wait and a task that does.
#[derive(Debug, Default)]
pub(in crate::http) struct Duct(Mutex<Inside>);

#[derive(Debug, Default)]
struct Inside {
    bytes: BytesMut,
    finished: bool,
    cut: bool,
    /// The task, while it waits for bytes.
    taker: Option<Waker>,
    /// The writer, while it waits for room.
    writer: Option<Waker>,
}

impl Duct {
    fn inside(&self) -> MutexGuard<'_, Inside> {
        // Nothing panics while it holds the lock, and the bytes are whole between two statements.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_now(&self, parts: &[&[u8]]) -> io::Result<usize> {
        let mut inside = self.inside();
        if inside.cut || inside.finished {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let mut written = 0;
        for part in parts {
            let room = DUCT_BYTES_MAX - inside.bytes.len();
            let now = part.len().min(room);
            inside.bytes.extend_from_slice(&part[..now]);
            written += now;
        }
        if written > 0
            && let Some(taker) = inside.taker.take()
        {
            taker.wake();
        }
        Ok(written)
    }

    fn poll_writable(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut inside = self.inside();
        if inside.cut || inside.bytes.len() < DUCT_BYTES_MAX {
            return Poll::Ready(());
        }
        inside.writer = Some(context.waker().clone());
        Poll::Pending
    }

    fn finish(&self) {
        let mut inside = self.inside();
        inside.finished = true;
        if let Some(taker) = inside.taker.take() {
            taker.wake();
        }
    }

    /// Tells both ends that nobody takes or brings any more.
    pub(in crate::http) fn cut(&self) {
        let mut inside = self.inside();
        inside.cut = true;
        inside.bytes = BytesMut::new();
        let wakers = [inside.taker.take(), inside.writer.take()];
        drop(inside);
        wakers.into_iter().flatten().for_each(Waker::wake);
    }

    /// Ready when the duct is cut.
    pub(in crate::http) fn poll_cut(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut inside = self.inside();
        if inside.cut {
            return Poll::Ready(());
        }
        inside.taker = Some(context.waker().clone());
        Poll::Pending
    }

    /// Everything that waits; none when nothing will come any more.
    pub(in crate::http) fn poll_take(&self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let mut inside = self.inside();
        if inside.cut {
            return Poll::Ready(None);
        }
        if inside.bytes.is_empty() {
            if inside.finished {
                return Poll::Ready(None);
            }
            inside.taker = Some(context.waker().clone());
            return Poll::Pending;
        }
        // The memory goes with the bytes: an idle duct holds none.
        let bytes = std::mem::take(&mut inside.bytes).freeze();
        if let Some(writer) = inside.writer.take() {
            writer.wake();
        }
        Poll::Ready(Some(bytes))
    }
}
