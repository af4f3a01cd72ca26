//! A stream of bytes inside binary WebSocket frames: what carries MQTT to the door (MQTT 5 §6).
//!
//! Frames and packets need not begin together, so nothing is collected: bytes pass through as they come.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::frame::{ClientHeader, CloseCode, Opcode, close_frame, put_server_header, server_frame, unmask};
use crate::http::settings::ByteStream;

/// Bytes that are read at a time.
const READ_BYTES: usize = 4096;
/// Bytes of one frame that is sent, and of what waits to be sent.
const WRITE_BYTES_MAX: usize = 64 << 10;

/// The byte stream.
pub(in crate::http) struct BinaryStream {
    inner: Box<dyn ByteStream>,
    /// Read, and not parsed yet.
    raw: BytesMut,
    /// The data frame whose payload is coming.
    frame: Option<Payload>,
    /// Framed, and not written yet.
    out: BytesMut,
    ended: bool,
    closed: bool,
}

struct Payload {
    mask: [u8; 4],
    at: usize,
    left: u64,
}

impl BinaryStream {
    /// The stream inside `inner`, of which `already_read` came with the handshake.
    pub(in crate::http) fn new(inner: Box<dyn ByteStream>, already_read: &[u8]) -> Self {
        Self { inner, raw: already_read.into(), frame: None, out: BytesMut::new(), ended: false, closed: false }
    }

    /// Takes the next frame's beginning off `raw`: a data frame opens, a control frame is dealt with. False for more bytes.
    fn open_frame(&mut self) -> io::Result<bool> {
        let fault = |reason: &'static str| io::Error::new(io::ErrorKind::InvalidData, reason);
        let Some(header) = ClientHeader::parse(&self.raw).map_err(|reason| {
            self.close(CloseCode::Protocol, reason);
            fault(reason)
        })?
        else {
            return Ok(false);
        };
        match header.opcode {
            Opcode::Text => {
                self.close(CloseCode::Unsupported, "MQTT comes in binary frames");
                return Err(fault("a text frame"));
            }
            Opcode::Binary | Opcode::Continuation => {
                self.raw.advance(header.header_length);
                self.frame = Some(Payload { mask: header.mask, at: 0, left: header.length });
            }
            Opcode::Close | Opcode::Ping | Opcode::Pong => {
                let length = usize::try_from(header.length).unwrap_or(usize::MAX);
                let Some(payload) = self.raw.get_mut(header.header_length..header.header_length + length) else {
                    return Ok(false);
                };
                unmask(payload, header.mask, 0);
                match header.opcode {
                    Opcode::Ping if self.out.len() < WRITE_BYTES_MAX => {
                        let pong = server_frame(Opcode::Pong, payload);
                        self.out.extend_from_slice(&pong);
                    }
                    Opcode::Close => {
                        self.ended = true;
                        self.close(CloseCode::Normal, "");
                    }
                    _ => {}
                }
                self.raw.advance(header.header_length + length);
            }
        }
        Ok(true)
    }

    fn close(&mut self, code: CloseCode, reason: &str) {
        if !self.closed {
            self.closed = true;
            self.out.extend_from_slice(&close_frame(code, reason));
        }
    }

    fn poll_drain(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.out.is_empty() {
            let written = ready!(Pin::new(&mut self.inner).poll_write(context, &self.out))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.out.advance(written);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for BinaryStream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if this.ended {
                return Poll::Ready(Ok(()));
            }
            if let Some(frame) = &mut this.frame {
                if frame.left == 0 {
                    this.frame = None;
                    continue;
                }
                let left = usize::try_from(frame.left).unwrap_or(usize::MAX);
                let bytes = this.raw.len().min(left).min(buffer.remaining());
                if bytes > 0 {
                    unmask(&mut this.raw[..bytes], frame.mask, frame.at);
                    buffer.put_slice(&this.raw[..bytes]);
                    this.raw.advance(bytes);
                    frame.at += bytes;
                    frame.left -= bytes as u64;
                    return Poll::Ready(Ok(()));
                }
            } else {
                let opened = this.open_frame();
                if !this.out.is_empty() {
                    // A Pong or a Close; what does not go now goes with the next write.
                    let _ = this.poll_drain(context);
                }
                if opened? {
                    continue;
                }
            }
            let mut chunk = [0; READ_BYTES];
            let mut chunk = ReadBuf::new(&mut chunk);
            ready!(Pin::new(&mut this.inner).poll_read(context, &mut chunk))?;
            if chunk.filled().is_empty() {
                this.ended = true;
            }
            this.raw.extend_from_slice(chunk.filled());
        }
    }
}

impl AsyncWrite for BinaryStream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.closed {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if this.out.len() >= WRITE_BYTES_MAX {
            ready!(this.poll_drain(context))?;
        }
        let now = &bytes[..bytes.len().min(WRITE_BYTES_MAX)];
        put_server_header(&mut this.out, Opcode::Binary, now.len());
        this.out.extend_from_slice(now);
        if let Poll::Ready(Err(e)) = this.poll_drain(context) {
            return Poll::Ready(Err(e));
        }
        Poll::Ready(Ok(now.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_drain(context))?;
        Pin::new(&mut this.inner).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.close(CloseCode::Normal, "");
        ready!(this.poll_drain(context))?;
        Pin::new(&mut this.inner).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
    use tokio_tungstenite::{
        WebSocketStream,
        tungstenite::{Message, protocol::Role},
    };

    use super::*;

    #[tokio::test]
    async fn bytes_pass_both_ways_whatever_the_frames() {
        use futures_util::{SinkExt as _, StreamExt as _};
        let (near, far) = duplex(100);
        let mut stream = BinaryStream::new(Box::new(near), &[]);
        let mut client = WebSocketStream::from_raw_socket(far, Role::Client, None).await;
        let hub = tokio::spawn(async move {
            let mut got = vec![0; 3000];
            stream.read_exact(&mut got).await.expect("bytes");
            stream.write_all(&got).await.expect("written");
            stream.flush().await.expect("flushed");
            let mut rest = Vec::new();
            stream.read_to_end(&mut rest).await.expect("the end");
            assert_eq!(rest, b"bye");
            stream.shutdown().await.expect("shut down");
        });
        let sent: Vec<u8> = (0..3000u16).map(|i| i as u8).collect();
        for part in sent.chunks(7) {
            client.send(Message::binary(part.to_vec())).await.expect("sent");
        }
        client.send(Message::Ping(b"?".to_vec().into())).await.expect("sent");
        let (mut got, mut pong) = (Vec::new(), false);
        while got.len() < sent.len() || !pong {
            match client.next().await.expect("more").expect("no error") {
                Message::Binary(bytes) => got.extend_from_slice(&bytes),
                Message::Pong(_) => pong = true,
                other => panic!("{other:?}"),
            }
            if got.len() == sent.len() && !pong {
                client.send(Message::binary(b"bye".to_vec())).await.expect("sent");
                client.close(None).await.expect("closed");
            }
        }
        assert_eq!(got, sent);
        hub.await.expect("no panic");
    }

    #[tokio::test]
    async fn text_is_refused() {
        let (near, mut far) = duplex(1000);
        let mut stream = BinaryStream::new(Box::new(near), &[0x81, 0x81, 0, 0, 0, 0, b'a']);
        let fault = stream.read(&mut [0; 10]).await.expect_err("refused");
        assert_eq!(fault.kind(), io::ErrorKind::InvalidData);
        let mut close = [0; 4];
        far.read_exact(&mut close).await.expect("a Close frame");
        assert_eq!((close[0], u16::from_be_bytes([close[2], close[3]])), (0x88, 1003));
    }
}
