//! Bytes ⇄ frames, for one connection (RFC 6455 §5).

use bytes::{Buf, Bytes, BytesMut};

use super::header::{SHORT, Start};
use super::masking::{mask, mask_ascii};
use super::utf8::Utf8Validator;
use super::{Frame, OpCode, ProtocolError, Role, close};

/// The default limit of a frame's payload: 1 MiB.
const FRAME_SIZE_LIMIT: u64 = 1 << 20;
/// The default limit of a message, all its fragments together: 8 MiB.
const MESSAGE_SIZE_LIMIT: u64 = 8 << 20;
/// The default limit of a message's fragments.
const FRAGMENTS_LIMIT: u64 = 16_384;

/// Decodes what the peer sends and encodes what we send.
///
/// A frame is judged by its header before its payload is kept: what the limits or the protocol forbid is refused without waiting for it.
/// What arrives of a payload is unmasked in place and, if it is text, validated at once, so that bad text is refused at the read which
/// brings its first bad byte (but see [`allow_rsv1`](Self::allow_rsv1)).
///
/// ```
/// use actix_sockets::websocket::{Codec, Frame, Role};
/// use bytes::BytesMut;
///
/// let mut wire = BytesMut::new();
/// Codec::new(Role::Client).encode(&Frame::text("Hello"), || [0x37, 0xfa, 0x21, 0x3d], &mut wire)?;
/// assert_eq!(wire[..], b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"[..]);
///
/// let mut server = Codec::new(Role::Server);
/// let frame = server.decode(&mut wire)?.expect("a whole frame");
/// assert_eq!(frame.as_text(), Some("Hello"));
/// assert_eq!(server.decode(&mut wire)?, None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Codec {
    role: Role,
    frame_size_limit: u64,
    message_size_limit: u64,
    fragments_limit: u64,
    allow_rsv1: bool,
    state: State,
    message: Message,
}

/// Where in the stream of frames we are.
#[derive(Clone, Copy, Debug)]
enum State {
    /// Between two frames: the next bytes are a header, of which nothing is kept until it is complete.
    Header,
    /// Within a frame: its header is taken, and `done` bytes of its payload are unmasked and validated.
    Payload { header: Header, done: usize },
    /// Behind an error: there is nothing to be read any more.
    Failed(ProtocolError),
}

/// The message in progress, from its first header to the end of its last fragment (RFC 6455 §5.4).
#[derive(Clone, Copy, Debug)]
enum Message {
    None,
    Open { content: Content, length: u64, fragments: u64 },
}

/// What the payload of a message is to us.
#[derive(Clone, Copy, Debug)]
enum Content {
    /// UTF-8, so far.
    Text(Utf8Validator),
    /// Binary, or compressed.
    Opaque,
}

/// A header that has been judged and found good.
#[derive(Clone, Copy, Debug)]
struct Header {
    fin: bool,
    rsv: u8,
    opcode: OpCode,
    masking_key: Option<[u8; 4]>,
    length: usize,
}

impl Codec {
    /// A codec at the beginning of a connection, with the default limits: 1 MiB a frame, 8 MiB and 16 384 fragments a message.
    #[must_use]
    pub const fn new(role: Role) -> Self {
        Self {
            role,
            frame_size_limit: FRAME_SIZE_LIMIT,
            message_size_limit: MESSAGE_SIZE_LIMIT,
            fragments_limit: FRAGMENTS_LIMIT,
            allow_rsv1: false,
            state: State::Header,
            message: Message::None,
        }
    }

    /// The most bytes of payload that a frame may have. Beyond: 1009.
    #[must_use]
    pub const fn frame_size_limit(mut self, bytes: u64) -> Self {
        self.frame_size_limit = bytes;
        self
    }

    /// No limit to a frame's payload: the peer decides how much memory we use, unless the message's limit holds.
    #[must_use]
    pub const fn frame_size_unlimited(self) -> Self {
        self.frame_size_limit(u64::MAX)
    }

    /// The most bytes of payload that the frames of a message may have together. It is judged on each fragment's header. Beyond: 1009.
    #[must_use]
    pub const fn message_size_limit(mut self, bytes: u64) -> Self {
        self.message_size_limit = bytes;
        self
    }

    /// No limit to a message's payload: the peer decides how much memory we use.
    #[must_use]
    pub const fn message_size_unlimited(self) -> Self {
        self.message_size_limit(u64::MAX)
    }

    /// The most frames that a message may come in; zero counts as one. Beyond: 1008.
    #[must_use]
    pub const fn fragments_limit(mut self, fragments: u32) -> Self {
        self.fragments_limit = fragments as u64;
        self
    }

    /// No limit to the number of a message's fragments: empty ones cost a peer two bytes, and us the work.
    #[must_use]
    pub const fn fragments_unlimited(mut self) -> Self {
        self.fragments_limit = u64::MAX;
        self
    }

    /// Whether RSV1 may be set, on the first frame of a data message, as permessage-deflate does (RFC 7692 §6). The text of such a message
    /// is not validated here: it is not text until it is inflated.
    #[must_use]
    pub const fn allow_rsv1(mut self, allow: bool) -> Self {
        self.allow_rsv1 = allow;
        self
    }

    /// Which end of the connection we are.
    #[must_use]
    pub const fn role(&self) -> Role {
        self.role
    }

    /// Takes the next frame out of `src`; `None` when more bytes are needed.
    ///
    /// Append what is read to `src`, and call again until `None`. The bytes that stay in `src` belong to the frame in progress and are in
    /// part unmasked already: they may be moved to another buffer, but neither dropped nor changed. The payload is handed out as a slice of
    /// `src`, not copied. Nothing is ever allocated for a length that is only declared.
    ///
    /// # Errors
    ///
    /// What the peer did wrong. The connection is at its end then: each further call gives the same error and leaves `src` as it is.
    #[inline]
    pub fn decode(&mut self, src: &mut BytesMut) -> Result<Option<Frame>, ProtocolError> {
        match self.decode_short(src) {
            Some(frame) => Ok(Some(frame)),
            None => self.decode_any(src),
        }
    }

    /// How many bytes the frame in progress misses when `have` bytes are at hand; 0 when its header is not known yet. A hint for how much
    /// memory to reserve: the peer says it, so the caller is to bound it.
    #[must_use]
    pub const fn missing(&self, have: usize) -> usize {
        match &self.state {
            State::Payload { header, .. } => header.length.saturating_sub(have),
            State::Header | State::Failed(_) => 0,
        }
    }

    /// How many bytes have come of the message in progress before the frame in progress.
    pub(crate) fn gathered(&self) -> usize {
        let Message::Open { length, .. } = &self.message else { return 0 };
        let current = if let State::Payload { header, .. } = &self.state { header.length } else { 0 };
        usize::try_from(*length).unwrap_or(usize::MAX).saturating_sub(current)
    }

    /// Whether the connection may end here without cutting a frame in two, when nothing is left in the buffer.
    #[must_use]
    pub const fn is_between_frames(&self) -> bool {
        matches!(self.state, State::Header)
    }

    /// Whether no message is in progress either: the next frame, if nothing is left in the buffer, begins one.
    #[must_use]
    pub const fn is_idle(&self) -> bool {
        matches!((&self.state, &self.message), (State::Header, Message::None))
    }

    /// The most frequent case: a message in one frame with a short header, and all there. It is of that kind only: `None` says nothing about
    /// what [`decode_any`](Self::decode_any) will find.
    #[inline(always)]
    pub(crate) fn decode_short(&mut self, src: &mut BytesMut) -> Option<Frame> {
        let (State::Header, Message::None) = (&self.state, &self.message) else { return None };
        let &[first, second] = src.first_chunk()?;
        let opcode = match first {
            0x81 => OpCode::Text,
            0x82 => OpCode::Binary,
            _ => return None,
        };
        let (masked, header) = match self.role {
            Role::Server => (0x80, 6),
            Role::Client => (0, 2),
        };
        let length = u64::from(second.wrapping_sub(masked));
        if length == 0 || length > SHORT || length > self.frame_size_limit || length > self.message_size_limit {
            return None;
        }
        let payload = src.get_mut(2..header + length as usize)?;
        let (masking_key, ascii) = match self.role {
            Role::Server => {
                let (&mut key, payload) = payload.split_first_chunk_mut()?;
                (Some(key), mask_ascii(key, payload))
            }
            Role::Client => (None, payload.is_ascii()),
        };
        let mut data = src.split_to(header + length as usize).freeze();
        data.advance(header);
        if opcode == OpCode::Text && !ascii && simdutf8::basic::from_utf8(&data).is_err() {
            self.fail(ProtocolError::InvalidUtf8);
            return None;
        }
        Some(Frame { fin: true, rsv: 0, opcode, masking_key, data })
    }

    /// What [`decode`](Self::decode) does, for all kinds of frames.
    #[inline(never)]
    pub(crate) fn decode_any(&mut self, src: &mut BytesMut) -> Result<Option<Frame>, ProtocolError> {
        let (header, done) = match self.state {
            State::Failed(error) => return Err(error),
            State::Payload { header, done } => (header, done),
            State::Header => match self.judge(src) {
                Ok(Some((header, length))) => {
                    src.advance(length);
                    (header, 0)
                }
                Ok(None) => return Ok(None),
                Err(error) => return Err(self.fail(error)),
            },
        };
        let arrived = src.len().min(header.length);
        match self.take_in(&header, done, &mut src[done..arrived]) {
            Ok(()) if arrived < header.length => {
                self.state = State::Payload { header, done: arrived };
                Ok(None)
            }
            Ok(()) => {
                if header.opcode == OpCode::Close
                    && let Err(error) = close::parse(&src[..header.length])
                {
                    return Err(self.fail(error));
                }
                self.state = State::Header;
                let Header { fin, rsv, opcode, masking_key, length } = header;
                // A slice of nothing would still keep the whole buffer.
                let data = if length == 0 { Bytes::new() } else { src.split_to(length).freeze() };
                Ok(Some(Frame { fin, rsv, opcode, masking_key, data }))
            }
            Err(error) => Err(self.fail(error)),
        }
    }

    /// Judges the header at the front of `src`, each byte as early as it is there, and gives it with its length once it is complete. This is
    /// where a message begins.
    fn judge(&mut self, src: &[u8]) -> Result<Option<(Header, usize)>, ProtocolError> {
        let [first, second, ..] = *src else { return Ok(None) };
        let start = Start::read(first, second);
        let opcode = start.opcode()?;
        if !self.may_have(start.rsv, opcode) {
            return Err(ProtocolError::ReservedBits(start.rsv));
        }
        match (self.role, start.masked) {
            (Role::Server, false) => return Err(ProtocolError::Unmasked),
            (Role::Client, true) => return Err(ProtocolError::Masked),
            (Role::Server, true) | (Role::Client, false) => {}
        }
        if opcode.is_control() {
            if !start.fin {
                return Err(ProtocolError::FragmentedControl);
            }
            if !start.is_short() {
                return Err(ProtocolError::ControlTooLong);
            }
        }
        let message = self.message_with(opcode, start.rsv)?;
        let Some((length, end)) = start.length(src)? else { return Ok(None) };
        let (message, payload_length) = self.measured(message, opcode, length)?;
        let (masking_key, end) = match (start.masked, &src[end..]) {
            (false, _) => (None, end),
            (true, [a, b, c, d, ..]) => (Some([*a, *b, *c, *d]), end + 4),
            (true, _) => return Ok(None),
        };
        self.message = message;
        Ok(Some((Header { fin: start.fin, rsv: start.rsv, opcode, masking_key, length: payload_length }, end)))
    }

    /// The message in progress, once a frame with this opcode has joined it.
    fn message_with(&self, opcode: OpCode, rsv: u8) -> Result<Message, ProtocolError> {
        match (self.message, opcode) {
            (_, OpCode::Ping) if planted!(FragmentsLostAtPing) => Ok(Message::None),
            (message, OpCode::Close | OpCode::Ping | OpCode::Pong) => Ok(message),
            (Message::None, OpCode::Continuation) => Err(ProtocolError::UnexpectedContinuation),
            (Message::Open { .. }, OpCode::Text | OpCode::Binary) => Err(ProtocolError::ExpectedContinuation),
            (Message::None, OpCode::Text) if rsv == 0 => {
                Ok(Message::Open { content: Content::Text(Utf8Validator::new()), length: 0, fragments: 1 })
            }
            (Message::None, OpCode::Text | OpCode::Binary) => Ok(Message::Open { content: Content::Opaque, length: 0, fragments: 1 }),
            (Message::Open { fragments, .. }, OpCode::Continuation) if fragments >= self.fragments_limit => {
                Err(ProtocolError::TooManyFragments { limit: self.fragments_limit })
            }
            (Message::Open { content, length, fragments }, OpCode::Continuation) => {
                Ok(Message::Open { content, length, fragments: fragments + 1 })
            }
        }
    }

    /// The message with the length of the frame that has joined it, and that length as a number of bytes in memory.
    fn measured(&self, message: Message, opcode: OpCode, length: u64) -> Result<(Message, usize), ProtocolError> {
        let limit = self.frame_size_limit;
        // The limits are for data: a control frame's is 125, and has been judged.
        if opcode.is_data() && length > limit {
            return Err(ProtocolError::FrameTooBig { length, limit });
        }
        let Ok(payload_length) = usize::try_from(length) else {
            return Err(ProtocolError::FrameTooBig { length, limit: usize::MAX as u64 });
        };
        let message = match message {
            Message::Open { content, length: before, fragments } if opcode.is_data() => {
                let length = before.saturating_add(length);
                if length > self.message_size_limit {
                    return Err(ProtocolError::MessageTooBig { length, limit: self.message_size_limit });
                }
                Message::Open { content, length, fragments }
            }
            message => message,
        };
        Ok((message, payload_length))
    }

    /// Unmasks and validates what has newly arrived of a payload, behind the `done` bytes before. This is where a message ends.
    fn take_in(&mut self, header: &Header, done: usize, new: &mut [u8]) -> Result<(), ProtocolError> {
        if let Some(key) = header.masking_key {
            mask(key, if planted!(MaskRestarts) { 0 } else { done }, new);
        }
        if header.opcode.is_control() {
            return Ok(());
        }
        let last = header.fin && done + new.len() == header.length;
        if let Message::Open { content: Content::Text(utf8), .. } = &mut self.message {
            utf8.push(new).map_err(|_| ProtocolError::InvalidUtf8)?;
            if last {
                utf8.finish().map_err(|_| ProtocolError::InvalidUtf8)?;
            }
        }
        if last {
            self.message = Message::None;
        }
        Ok(())
    }

    /// Whether a frame with this opcode may have these RSV bits.
    #[inline]
    pub(super) const fn may_have(&self, rsv: u8, opcode: OpCode) -> bool {
        rsv == 0 || (rsv == 0b100 && self.allow_rsv1 && matches!(opcode, OpCode::Text | OpCode::Binary))
    }

    #[cold]
    fn fail(&mut self, error: ProtocolError) -> ProtocolError {
        self.state = State::Failed(error);
        error
    }
}
