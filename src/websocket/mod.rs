//! The WebSocket protocol's frames (RFC 6455 §5, §7, §8): bytes ⇄ [`Frame`].
//!
//! ```text
//!              decode                                   encode, encode_into
//!  BytesMut ───────────▶ Frame { fin, rsv, opcode, data } ───────────▶ BytesMut, Output
//!              │                                            │
//!              ▼                                            ▼
//!        ProtocolError                                 EncodeError
//!     (what the peer did)                        (what we nearly did)
//! ```
//!
//! [`Codec`] is the whole of it: one per connection, no I/O, no clock, no chance (a client's masking-keys are an argument). It deals in frames.
//! Putting fragments together, inflating, answering pings and the closing handshake are the business of [`stage`](crate::stage)s; what it
//! knows of messages is what it needs to judge a frame: that its fragments come in order, that they are not too many or too much, and
//! that text is UTF-8.
//!
//! # Judged early
//!
//! A header is judged byte by byte: opcode, RSV bits, masking and fragmentation with the second byte, the payload length with its last byte.
//! So a frame that is too big costs the peer ten bytes and us nothing, and no length that is only declared ever allocates. Payload is
//! unmasked in place and text is validated as it arrives, across reads and across fragments: the first bad byte fails the connection.
//!
//! # Where the bytes are
//!
//! The caller reads into one [`BytesMut`](bytes::BytesMut) and decodes until `None`. A payload is handed out as a slice of that buffer, which
//! therefore lives as long as the last frame that was read into it. What stays in the buffer is the unfinished frame; the caller may
//! move it into a buffer of the right size ([`Codec::missing`]) but must not touch it, for some of it is unmasked already.
//!
//! # Failed is failed
//!
//! A protocol error ends the codec: it gives the same error for ever and reads no further frame. The frames before it have been given.
//!
//! To use the codec in a `Framed` of tokio-util, wrap it in a [`FrameCodec`].

mod close;
mod codec;
mod encode;
mod error;
mod frame;
mod framed;
mod header;
pub mod masking;
mod opcode;
pub mod utf8;

pub use close::CloseCode;
pub use codec::Codec;
pub use error::{EncodeError, ProtocolError};
pub use frame::Frame;
pub use framed::{CodecError, FrameCodec};
pub(crate) use header::len as header_len;
pub use opcode::OpCode;

/// Which end of the connection we are (RFC 6455 §5.1): it decides who masks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// We accepted the connection: what we read is masked, what we write is not.
    Server,
    /// We opened the connection: what we write is masked, what we read is not.
    Client,
}
