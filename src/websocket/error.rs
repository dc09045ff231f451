//! What a peer did wrong, and what we may not send.

use std::fmt;

use super::CloseCode;

/// The peer broke a rule of RFC 6455, or one of our limits. The connection is to be failed (RFC 6455 §7.1.7) with
/// [`close_code`](Self::close_code).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProtocolError {
    /// RSV bits that no extension has given a meaning to; here they are.
    ReservedBits(u8),
    /// An opcode of 3–7 or 11–15; here it is.
    ReservedOpcode(u8),
    /// A client's frame without a masking-key.
    Unmasked,
    /// A server's frame with a masking-key.
    Masked,
    /// A control frame without FIN.
    FragmentedControl,
    /// A control frame with more than 125 bytes of payload.
    ControlTooLong,
    /// A continuation without a message to continue.
    UnexpectedContinuation,
    /// A text or binary frame before the message in progress was finished.
    ExpectedContinuation,
    /// A payload length in more bytes than it needs.
    LengthNotMinimal,
    /// A 64-bit payload length with its most significant bit set.
    LengthTopBit,
    /// A frame's payload above our limit.
    FrameTooBig {
        /// The payload length that the header declares.
        length: u64,
        /// Our limit.
        limit: u64,
    },
    /// A message that crosses our limit with the fragment whose header came last.
    MessageTooBig {
        /// The payload length of the message's frames so far, as their headers declare.
        length: u64,
        /// Our limit.
        limit: u64,
    },
    /// A message in more fragments than our limit.
    TooManyFragments {
        /// Our limit.
        limit: u64,
    },
    /// A compressed message that swells more than our limit.
    RatioTooHigh {
        /// Our limit: how many bytes one compressed byte may become.
        limit: u32,
    },
    /// A compressed message that is not DEFLATE data. RFC 7692 names no code for it; 1007 is for "data within a message that was not consistent with
    /// the type of the message" (RFC 6455 §7.4.1), while the frames themselves break no rule.
    InvalidDeflate,
    /// Text that is not UTF-8.
    InvalidUtf8,
    /// A Close frame with a body of one byte.
    CloseBodyOfOneByte,
    /// A Close frame with a code that may not be on the wire.
    IllegalCloseCode(CloseCode),
    /// A Close frame whose reason is not UTF-8.
    CloseReasonNotUtf8,
}

impl ProtocolError {
    /// The code of the Close frame to answer with (RFC 6455 §7.4.1).
    #[must_use]
    pub const fn close_code(&self) -> CloseCode {
        match self {
            Self::ReservedBits(_)
            | Self::ReservedOpcode(_)
            | Self::Unmasked
            | Self::Masked
            | Self::FragmentedControl
            | Self::ControlTooLong
            | Self::UnexpectedContinuation
            | Self::ExpectedContinuation
            | Self::LengthNotMinimal
            | Self::LengthTopBit
            | Self::CloseBodyOfOneByte
            | Self::IllegalCloseCode(_) => CloseCode::PROTOCOL_ERROR,
            Self::InvalidUtf8 | Self::CloseReasonNotUtf8 | Self::InvalidDeflate => CloseCode::INVALID_DATA,
            Self::TooManyFragments { .. } => CloseCode::POLICY_VIOLATION,
            Self::FrameTooBig { .. } | Self::MessageTooBig { .. } | Self::RatioTooHigh { .. } => CloseCode::TOO_BIG,
        }
    }
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ReservedBits(rsv) => write!(f, "reserved bits {rsv:03b} that no extension has defined (RFC 6455 §5.2)"),
            Self::ReservedOpcode(opcode) => write!(f, "reserved opcode {opcode} (RFC 6455 §5.2)"),
            Self::Unmasked => f.write_str("an unmasked frame from a client (RFC 6455 §5.1)"),
            Self::Masked => f.write_str("a masked frame from a server (RFC 6455 §5.1)"),
            Self::FragmentedControl => f.write_str("a fragmented control frame (RFC 6455 §5.5)"),
            Self::ControlTooLong => f.write_str("a control frame of more than 125 bytes (RFC 6455 §5.5)"),
            Self::UnexpectedContinuation => f.write_str("a continuation without a message to continue (RFC 6455 §5.4)"),
            Self::ExpectedContinuation => f.write_str("a new message before the last fragment of the one in progress (RFC 6455 §5.4)"),
            Self::LengthNotMinimal => f.write_str("a payload length in more bytes than it needs (RFC 6455 §5.2)"),
            Self::LengthTopBit => f.write_str("a payload length with its most significant bit set (RFC 6455 §5.2)"),
            Self::FrameTooBig { length, limit } => {
                write!(f, "a frame of {length} bytes, more than the {limit} we take (RFC 6455 §10.4)")
            }
            Self::MessageTooBig { length, limit } => {
                write!(f, "a message of at least {length} bytes, more than the {limit} we take (RFC 6455 §10.4)")
            }
            Self::TooManyFragments { limit } => write!(f, "a message of more than {limit} fragments (RFC 6455 §10.4)"),
            Self::RatioTooHigh { limit } => {
                write!(f, "a compressed message that swells to more than {limit} times its size (RFC 6455 §10.4)")
            }
            Self::InvalidDeflate => f.write_str("a compressed message that is not DEFLATE data (RFC 7692 §7.2.2)"),
            Self::InvalidUtf8 => f.write_str("text that is not UTF-8 (RFC 6455 §8.1)"),
            Self::CloseBodyOfOneByte => f.write_str("a Close frame with half a code (RFC 6455 §5.5.1)"),
            Self::IllegalCloseCode(code) => write!(f, "a Close frame with code {code}, which may not be sent (RFC 6455 §7.4)"),
            Self::CloseReasonNotUtf8 => f.write_str("a Close frame whose reason is not UTF-8 (RFC 6455 §5.5.1)"),
        }
    }
}

impl std::error::Error for ProtocolError {}

/// A frame that we may not send: nothing of it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EncodeError {
    /// RSV bits that no extension has given a meaning to, on this frame; here they are.
    ReservedBits(u8),
    /// A control frame without FIN.
    FragmentedControl,
    /// A control frame with more than 125 bytes of payload; here is how many.
    ControlTooLong(usize),
    /// A Close frame whose body a peer would refuse.
    CloseBody(ProtocolError),
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ReservedBits(rsv) => write!(f, "we may not send reserved bits {rsv:03b} on this frame (RFC 6455 §5.2)"),
            Self::FragmentedControl => f.write_str("we may not fragment a control frame (RFC 6455 §5.5)"),
            Self::ControlTooLong(length) => write!(f, "we may not send a control frame of {length} bytes (RFC 6455 §5.5)"),
            Self::CloseBody(error) => write!(f, "we may not send {error}"),
        }
    }
}

impl std::error::Error for EncodeError {}
