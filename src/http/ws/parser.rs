//! What a client sends, from bytes to messages (RFC 6455 §5 and §8): pure, and it holds no memory between messages.

use super::frame::{ClientHeader, CloseCode, Opcode, unmask};

/// A message or a control frame of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::http) enum Message {
    /// A whole text message.
    Text(String),
    /// A whole binary message.
    Binary(Vec<u8>),
    /// A Ping, to be answered with the same bytes.
    Ping(Vec<u8>),
    /// A Pong; nothing follows from it.
    Pong,
    /// The client ends the connection.
    Close,
}

/// How a client broke the protocol; the connection ends with that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub(in crate::http) struct Violation {
    /// What the Close frame says to programs.
    pub(in crate::http) code: CloseCode,
    /// What it says to people.
    pub(in crate::http) reason: &'static str,
}

/// Puts a client's frames together. Feed it with [`push`](Self::push), then take messages until there are none.
#[derive(Debug)]
pub(in crate::http) struct Parser {
    /// What came and is not parsed yet: at most one frame's worth beyond what was pushed last.
    pending: Vec<u8>,
    /// Where in `pending` the next frame begins.
    at: usize,
    /// The message that is under way, when its first frame was not its last.
    message: Option<(Opcode, Vec<u8>)>,
    message_bytes_max: usize,
}

impl Parser {
    /// A parser that refuses messages above `message_bytes_max`.
    pub(in crate::http) const fn new(message_bytes_max: usize) -> Self {
        Self { pending: Vec::new(), at: 0, message: None, message_bytes_max }
    }

    /// Takes in what was read.
    pub(in crate::http) fn push(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
    }

    /// The next whole message, or none until more is pushed.
    ///
    /// # Errors
    /// The way in which the client broke the protocol; nothing may be parsed after that.
    pub(in crate::http) fn next(&mut self) -> Result<Option<Message>, Violation> {
        loop {
            let Some(message) = self.frame()? else {
                // The buffer of an idle browser is memory for nothing.
                if self.at == self.pending.len() {
                    self.pending = Vec::new();
                } else {
                    self.pending.drain(..self.at);
                }
                self.at = 0;
                return Ok(None);
            };
            if let Some(message) = message {
                return Ok(Some(message));
            }
        }
    }

    /// The next frame: none where it is not complete; some none where it only carries a message on.
    #[expect(clippy::option_option, reason = "not yet, and nothing to tell, are two answers")]
    fn frame(&mut self) -> Result<Option<Option<Message>>, Violation> {
        let protocol = |reason| Violation { code: CloseCode::Protocol, reason };
        let Some(header) = ClientHeader::parse(&self.pending[self.at..]).map_err(protocol)? else { return Ok(None) };
        let begun = self.message.as_ref().map_or(0, |(_, bytes)| bytes.len());
        match header.opcode {
            Opcode::Continuation if self.message.is_none() => {
                return Err(protocol("a continuation of nothing"));
            }
            Opcode::Text | Opcode::Binary if self.message.is_some() => {
                return Err(protocol("a message inside a message"));
            }
            _ => {}
        }
        let too_big = Violation { code: CloseCode::TooBig, reason: "the message is too large" };
        let length = usize::try_from(header.length).map_err(|_| too_big)?;
        if !header.opcode.is_control() && length > self.message_bytes_max.saturating_sub(begun) {
            return Err(too_big);
        }
        let start = self.at + header.header_length;
        let Some(payload) = self.pending.get_mut(start..start + length) else { return Ok(None) };
        unmask(payload, header.mask, 0);
        self.at = start + length;
        let payload = &self.pending[start..self.at];
        Ok(Some(match header.opcode {
            Opcode::Ping => Some(Message::Ping(payload.to_vec())),
            Opcode::Pong => Some(Message::Pong),
            Opcode::Close => Some(close(payload)?),
            Opcode::Continuation | Opcode::Text | Opcode::Binary => {
                let (opcode, mut bytes) = self.message.take().unwrap_or((header.opcode, Vec::new()));
                bytes.extend_from_slice(payload);
                if header.last {
                    Some(whole(opcode, bytes)?)
                } else {
                    self.message = Some((opcode, bytes));
                    None
                }
            }
        }))
    }
}

fn whole(opcode: Opcode, bytes: Vec<u8>) -> Result<Message, Violation> {
    if opcode == Opcode::Binary {
        return Ok(Message::Binary(bytes));
    }
    String::from_utf8(bytes)
        .map(Message::Text)
        .map_err(|_| Violation { code: CloseCode::InvalidText, reason: "text is UTF-8" })
}

/// RFC 6455 §7.4: a Close frame is empty, or has a code that may be sent and a reason in UTF-8.
fn close(payload: &[u8]) -> Result<Message, Violation> {
    let protocol = |reason| Err(Violation { code: CloseCode::Protocol, reason });
    match payload {
        [] => Ok(Message::Close),
        [_] => protocol("a close code has two bytes"),
        [high, low, reason @ ..] => {
            if !matches!(u16::from_be_bytes([*high, *low]), 1000..=1003 | 1007..=1014 | 3000..=4999) {
                return protocol("no such close code");
            }
            if std::str::from_utf8(reason).is_err() {
                return Err(Violation { code: CloseCode::InvalidText, reason: "a close reason is UTF-8" });
            }
            Ok(Message::Close)
        }
    }
}

#[cfg(test)]
mod tests;
