//! The frame, as plain data (RFC 6455 §5.2).

use bytes::{BufMut, Bytes, BytesMut};

use super::{CloseCode, OpCode};

/// One websocket frame, unmasked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// FIN: the last fragment of its message, or the only one.
    pub fin: bool,
    /// RSV1–3 as the three low bits, RSV1 the highest (`0b100`). Zero unless an extension was agreed on.
    pub rsv: u8,
    /// What the frame is.
    pub opcode: OpCode,
    /// The masking-key (RFC 6455 §5.3). On a frame read: the one it came with. On a frame to be written by a client: the one to
    /// use, `None` for a fresh random one. A server ignores it.
    pub masking_key: Option<[u8; 4]>,
    /// The payload data, unmasked.
    pub data: Bytes,
}

impl Frame {
    /// A whole frame: FIN set, no RSV bit, no masking-key.
    #[must_use]
    pub fn new(opcode: OpCode, data: impl Into<Bytes>) -> Self {
        Self { fin: true, rsv: 0, opcode, masking_key: None, data: data.into() }
    }

    /// A text message in one frame.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self::new(OpCode::Text, text.into())
    }

    /// A binary message in one frame.
    #[must_use]
    pub fn binary(data: impl Into<Bytes>) -> Self {
        Self::new(OpCode::Binary, data)
    }

    /// A ping (RFC 6455 §5.5.2): at most 125 bytes.
    #[must_use]
    pub fn ping(data: impl Into<Bytes>) -> Self {
        Self::new(OpCode::Ping, data)
    }

    /// A pong (RFC 6455 §5.5.3): at most 125 bytes.
    #[must_use]
    pub fn pong(data: impl Into<Bytes>) -> Self {
        Self::new(OpCode::Pong, data)
    }

    /// A Close frame (RFC 6455 §5.5.1). The reason is cut to 123 bytes, on a character's border.
    #[must_use]
    pub fn close(code: CloseCode, reason: &str) -> Self {
        let reason = &reason[..reason.floor_char_boundary(123)];
        let mut data = BytesMut::with_capacity(2 + reason.len());
        data.put_u16(code.0);
        data.put_slice(reason.as_bytes());
        Self::new(OpCode::Close, data.freeze())
    }

    /// The payload as text, if this is a Text frame or a Continuation and the payload is UTF-8 by itself (a fragment's border may
    /// cut a character in two).
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self.opcode {
            OpCode::Text | OpCode::Continuation => simdutf8::basic::from_utf8(&self.data).ok(),
            _ => None,
        }
    }
}
