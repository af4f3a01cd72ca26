//! Frames as bytes (RFC 6455 §5.2): a server's, made ready to send, and the header of a client's.

use bytes::{BufMut, Bytes, BytesMut};

/// The longest header of a server's frame, in bytes: opcode, length, eight bytes of extended length.
pub(in crate::http) const SERVER_HEADER_BYTES_MAX: usize = 10;

/// The most payload that a control frame carries, in bytes (RFC 6455 §5.5).
pub(in crate::http) const CONTROL_BYTES_MAX: usize = 125;

/// What a frame is (RFC 6455 §11.8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum Opcode {
    /// More of the message that an earlier frame began.
    Continuation,
    /// UTF-8 text.
    Text,
    /// Bytes.
    Binary,
    /// The end of the connection, with a code and a reason.
    Close,
    /// A question that a [`Pong`](Self::Pong) answers.
    Ping,
    /// The answer to a [`Ping`](Self::Ping).
    Pong,
}

impl Opcode {
    const fn bits(self) -> u8 {
        match self {
            Self::Continuation => 0x0,
            Self::Text => 0x1,
            Self::Binary => 0x2,
            Self::Close => 0x8,
            Self::Ping => 0x9,
            Self::Pong => 0xA,
        }
    }

    pub(super) const fn from_bits(bits: u8) -> Option<Self> {
        match bits {
            0x0 => Some(Self::Continuation),
            0x1 => Some(Self::Text),
            0x2 => Some(Self::Binary),
            0x8 => Some(Self::Close),
            0x9 => Some(Self::Ping),
            0xA => Some(Self::Pong),
            _ => None,
        }
    }

    pub(super) const fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

/// Why a connection ends (RFC 6455 §7.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum CloseCode {
    /// The other side asked for it.
    Normal,
    /// The hub stops.
    GoingAway,
    /// Not RFC 6455.
    Protocol,
    /// A binary frame where text is spoken.
    Unsupported,
    /// Text that is not UTF-8.
    InvalidText,
    /// A rule of the hub was broken, or rights were taken away.
    Policy,
    /// A message above the limit.
    TooBig,
}

impl CloseCode {
    pub(in crate::http) const fn number(self) -> u16 {
        match self {
            Self::Normal => 1000,
            Self::GoingAway => 1001,
            Self::Protocol => 1002,
            Self::Unsupported => 1003,
            Self::InvalidText => 1007,
            Self::Policy => 1008,
            Self::TooBig => 1009,
        }
    }
}

/// Writes the header of an unfragmented server's frame of `length` bytes.
pub(in crate::http) fn put_server_header(out: &mut impl BufMut, opcode: Opcode, length: usize) {
    out.put_u8(0x80 | opcode.bits());
    match length {
        0..=125 => out.put_u8(length as u8),
        126..=0xFFFF => {
            out.put_u8(126);
            out.put_u16(length as u16);
        }
        _ => {
            out.put_u8(127);
            out.put_u64(length as u64);
        }
    }
}

/// A whole server's frame.
pub(in crate::http) fn server_frame(opcode: Opcode, payload: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(SERVER_HEADER_BYTES_MAX + payload.len());
    put_server_header(&mut out, opcode, payload.len());
    out.put_slice(payload);
    out.freeze()
}

/// A Close frame with `code` and as much of `reason` as fits.
pub(in crate::http) fn close_frame(code: CloseCode, reason: &str) -> Bytes {
    let fits = reason.floor_char_boundary(CONTROL_BYTES_MAX - 2);
    let mut payload = BytesMut::with_capacity(2 + fits);
    payload.put_u16(code.number());
    payload.put_slice(&reason.as_bytes()[..fits]);
    server_frame(Opcode::Close, &payload)
}

/// The header of a client's frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ClientHeader {
    /// Whether the message ends with this frame.
    pub(super) last: bool,
    pub(super) opcode: Opcode,
    pub(super) mask: [u8; 4],
    /// Of the payload, in bytes.
    pub(super) length: u64,
    /// Of the header itself, in bytes.
    pub(super) header_length: usize,
}

impl ClientHeader {
    /// Reads the header at the start of `bytes`; none where it is not complete yet.
    ///
    /// # Errors
    /// Says which rule of RFC 6455 §5 it breaks.
    pub(super) fn parse(bytes: &[u8]) -> Result<Option<Self>, &'static str> {
        let &[first, second, ..] = bytes else { return Ok(None) };
        if first & 0x70 != 0 {
            return Err("no extension was agreed on");
        }
        let last = first & 0x80 != 0;
        let opcode = Opcode::from_bits(first & 0x0F).ok_or("unknown opcode")?;
        if second & 0x80 == 0 {
            return Err("a client masks its frames");
        }
        let short = usize::from(second & 0x7F);
        if opcode.is_control() && (!last || short > CONTROL_BYTES_MAX) {
            return Err("a control frame is whole and short");
        }
        let extended = match short {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let header_length = 2 + extended + 4;
        let Some(rest) = bytes.get(2..header_length) else { return Ok(None) };
        let (length, mask) = rest.split_at(extended);
        let length = match extended {
            0 => short as u64,
            _ => length.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
        };
        if length >> 63 != 0 {
            return Err("a length has 63 bits");
        }
        let mut key = [0; 4];
        key.copy_from_slice(mask);
        Ok(Some(Self { last, opcode, mask: key, length, header_length }))
    }
}

/// Takes the mask off (RFC 6455 §5.3); `at` is the place of the first byte in the frame's payload.
pub(super) fn unmask(bytes: &mut [u8], mask: [u8; 4], at: usize) {
    let mut key = mask;
    key.rotate_left(at % 4);
    let mut quads = bytes.chunks_exact_mut(4);
    for quad in &mut quads {
        for (byte, key) in quad.iter_mut().zip(key) {
            *byte ^= key;
        }
    }
    for (byte, key) in quads.into_remainder().iter_mut().zip(key) {
        *byte ^= key;
    }
}
