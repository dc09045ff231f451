//! The codec as tokio-util's `Framed` wants it.

use std::{fmt, io};

use bytes::BytesMut;
use tokio_util::codec::{Decoder, Encoder};

use super::{Codec, EncodeError, Frame, ProtocolError};

/// A [`Codec`] with a source of masking-keys: a [`Decoder`] and an [`Encoder`] for any stream that has been upgraded. Both keep the codec's
/// own errors, in [`CodecError`].
///
/// ```
/// use actix_sockets::websocket::{Codec, CodecError, Frame, FrameCodec, Role};
/// use bytes::BytesMut;
/// use tokio_util::codec::{Decoder, Encoder};
///
/// # fn unpredictable() -> [u8; 4] { [0x37, 0xfa, 0x21, 0x3d] }
/// let mut client = FrameCodec::new(Codec::new(Role::Client), unpredictable);
/// let mut wire = BytesMut::new();
/// client.encode(Frame::text("Hello"), &mut wire)?;
///
/// let mut server = FrameCodec::new(Codec::new(Role::Server), || unreachable!("a server does not mask"));
/// assert_eq!(server.decode(&mut wire)?.as_ref().and_then(Frame::as_text), Some("Hello"));
/// # Ok::<(), CodecError>(())
/// ```
pub struct FrameCodec {
    codec: Codec,
    key: Box<dyn FnMut() -> [u8; 4] + Send>,
}

impl FrameCodec {
    /// A codec that masks with what `key` gives, if it is a client's. RFC 6455 §10.3 wants keys from a strong source of entropy, which is
    /// not this module's to choose. A server's codec never asks for one.
    #[must_use]
    pub fn new(codec: Codec, key: impl FnMut() -> [u8; 4] + Send + 'static) -> Self {
        Self { codec, key: Box::new(key) }
    }
}

impl fmt::Debug for FrameCodec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FrameCodec").field(&self.codec).finish()
    }
}

impl Decoder for FrameCodec {
    type Item = Frame;
    type Error = CodecError;

    fn decode(&mut self, src: &mut BytesMut) -> Result<Option<Frame>, CodecError> {
        Ok(self.codec.decode(src)?)
    }

    /// A stream that ends within a frame is an error, also when no byte of its payload has arrived.
    fn decode_eof(&mut self, src: &mut BytesMut) -> Result<Option<Frame>, CodecError> {
        match self.codec.decode(src)? {
            None if !src.is_empty() || !self.codec.is_between_frames() => Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
            frame => Ok(frame),
        }
    }
}

impl Encoder<Frame> for FrameCodec {
    type Error = CodecError;

    fn encode(&mut self, frame: Frame, dst: &mut BytesMut) -> Result<(), CodecError> {
        Ok(self.codec.encode(&frame, &mut self.key, dst)?)
    }
}

/// Why a stream of frames broke.
#[derive(Debug)]
#[non_exhaustive]
pub enum CodecError {
    /// The peer did something wrong.
    Protocol(ProtocolError),
    /// We were about to.
    Encode(EncodeError),
    /// The stream failed, or ended within a frame.
    Io(io::Error),
}

impl fmt::Display for CodecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Protocol(error) => write!(f, "the peer sent {error}"),
            Self::Encode(error) => error.fmt(f),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for CodecError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Protocol(error) => Some(error),
            Self::Encode(error) => Some(error),
            Self::Io(error) => Some(error),
        }
    }
}

impl From<ProtocolError> for CodecError {
    fn from(error: ProtocolError) -> Self {
        Self::Protocol(error)
    }
}

impl From<EncodeError> for CodecError {
    fn from(error: EncodeError) -> Self {
        Self::Encode(error)
    }
}

impl From<io::Error> for CodecError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}
