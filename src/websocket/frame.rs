//! The frame, as plain data (RFC 6455 §5.2).

use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};

use super::{CloseCode, OpCode, close};

/// How much of a payload [`Debug`](fmt::Debug) shows.
const SHOWN: usize = 64;

/// One websocket frame, unmasked.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    /// FIN: the last fragment of its message, or the only one.
    pub fin: bool,
    /// RSV1–3 as the three low bits, RSV1 the highest (`0b100`). Zero unless an extension was agreed on, or on a frame that is not to be
    /// [compressed](Self::uncompressed).
    pub rsv: u8,
    /// What the frame is.
    pub opcode: OpCode,
    /// The masking-key (RFC 6455 §5.3). On a frame read: the one it came with. On a frame to be written by a client: the one to
    /// use, `None` for a fresh random one. A server ignores it.
    pub masking_key: Option<[u8; 4]>,
    /// The payload data, unmasked.
    ///
    /// Of a frame read it may be a slice of what was read with it, which stays as long as the slice does: a handler that keeps data for long, or a part of
    /// it, copies what it keeps. All the handlers of an arbiter can hold on to half a MiB so; beyond, what is shorter than 16 KiB is told in memory of its own.
    pub data: Bytes,
}

impl Frame {
    /// In `rsv`, where the wire has no bit: see [`uncompressed`](Self::uncompressed).
    pub(crate) const UNCOMPRESSED: u8 = 0x80;

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

    /// The next and last fragment of a message: a Continuation with FIN.
    #[must_use]
    pub fn continuation(data: impl Into<Bytes>) -> Self {
        Self::new(OpCode::Continuation, data)
    }

    /// The same frame without FIN, with `more` fragments of its message to follow.
    ///
    /// ```
    /// # use actix_sockets::websocket::Frame;
    /// let hello = [Frame::text("Hel").more(), Frame::continuation("lo")];
    /// assert_eq!(hello.map(|frame| frame.fin), [false, true]);
    /// ```
    #[must_use]
    pub fn more(mut self) -> Self {
        self.fin = false;
        self
    }

    /// The same frame, never to be compressed, whatever was agreed on: for what is compressed already, and for secrets beside text that somebody else
    /// chooses, whose compressed length would tell of them. Said of a message's first fragment it holds for all of them. Without permessage-deflate it
    /// says nothing.
    #[must_use]
    pub fn uncompressed(mut self) -> Self {
        self.rsv |= Self::UNCOMPRESSED;
        self
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

    /// A Close frame (RFC 6455 §5.5.1). The reason is cut to 123 bytes, on a character's border. [`CloseCode::NO_STATUS`] makes one without a
    /// body, as it is never on the wire.
    #[must_use]
    pub fn close(code: CloseCode, reason: &str) -> Self {
        if code == CloseCode::NO_STATUS {
            return Self::new(OpCode::Close, Bytes::new());
        }
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

    /// The payload as an owned text, without a copy where nobody else holds the payload. The frame comes back where
    /// [`as_text`](Self::as_text) gives `None`.
    ///
    /// # Errors
    ///
    /// The frame itself, when it is not text.
    pub fn into_text(self) -> Result<String, Self> {
        if !matches!(self.opcode, OpCode::Text | OpCode::Continuation) {
            return Err(self);
        }
        let Self { fin, rsv, opcode, masking_key, data } = self;
        String::from_utf8(data.into()).map_err(|error| Self { fin, rsv, opcode, masking_key, data: error.into_bytes().into() })
    }

    /// The code and the reason, if this is a Close frame with a legal body. Without a body the code is [`CloseCode::NO_STATUS`].
    #[must_use]
    pub fn close_reason(&self) -> Option<(CloseCode, &str)> {
        if self.opcode == OpCode::Close { close::parse(&self.data).ok() } else { None }
    }

    /// Whether this is a control frame (RFC 6455 §5.5).
    #[must_use]
    pub const fn is_control(&self) -> bool {
        self.opcode.is_control()
    }

    /// Whether this is a whole message by itself, or a control frame: no fragment (RFC 6455 §5.4).
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.fin && !matches!(self.opcode, OpCode::Continuation)
    }
}

/// A long payload is shown by its beginning and its length.
impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { fin, rsv, opcode, masking_key, data } = self;
        let mut frame = f.debug_struct("Frame");
        frame.field("fin", fin).field("rsv", rsv).field("opcode", opcode).field("masking_key", masking_key);
        match data.get(..SHOWN) {
            Some(shown) if shown.len() < data.len() => {
                frame.field("data", &format_args!("{}… ({} bytes)", shown.escape_ascii(), data.len()))
            }
            _ => frame.field("data", data),
        };
        frame.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_payload_is_shown_short() {
        assert!(format!("{:?}", Frame::binary(vec![7; 1 << 20])).len() < 400);
        assert!(format!("{:?}", Frame::text("Hello")).contains(r#"b"Hello""#));
    }

    #[test]
    fn text_in_text_out() {
        assert_eq!(Frame::text("é").into_text(), Ok("é".to_owned()));
        let cut = Frame { data: Bytes::from_static(b"\xc3"), ..Frame::text("") };
        assert_eq!(cut.as_text(), None);
        assert_eq!(cut.clone().into_text(), Err(cut));
        let binary = Frame::binary("é");
        assert_eq!(binary.clone().into_text(), Err(binary));
    }

    #[test]
    fn close_and_its_reason() {
        assert_eq!(Frame::close(CloseCode::NORMAL, "bye").close_reason(), Some((CloseCode::NORMAL, "bye")));
        assert_eq!(Frame::close(CloseCode::NO_STATUS, "").close_reason(), Some((CloseCode::NO_STATUS, "")));
        assert_eq!(Frame::close(CloseCode::ABNORMAL, "").close_reason(), None);
        assert_eq!(Frame::ping("bye").close_reason(), None);
        let long = Frame::close(CloseCode::NORMAL, &"é".repeat(100));
        assert_eq!(long.data.len(), 2 + 122);
        assert_eq!(long.close_reason(), Some((CloseCode::NORMAL, &*"é".repeat(61))));
    }

    #[test]
    fn whole_or_not() {
        assert!(Frame::text("a").is_whole() && Frame::ping("").is_whole() && Frame::ping("").is_control());
        assert!(!Frame::text("a").more().is_whole() && !Frame::continuation("a").is_whole());
    }
}
