//! What a frame is (RFC 6455 §5.2, §11.8).

/// The opcode of a frame. The reserved ones (3–7, 11–15) cannot be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum OpCode {
    /// A further fragment of a message.
    Continuation = 0,
    /// A text message, or its first fragment: UTF-8.
    Text = 1,
    /// A binary message, or its first fragment.
    Binary = 2,
    /// A Close frame (RFC 6455 §5.5.1). SprayWebSockets' `ConnectionClose`.
    Close = 8,
    /// A Ping frame (RFC 6455 §5.5.2).
    Ping = 9,
    /// A Pong frame (RFC 6455 §5.5.3).
    Pong = 10,
}

impl OpCode {
    /// The opcode of the low four bits of `bits`, unless it is a reserved one.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Option<Self> {
        Some(match bits & 0x0f {
            0 => Self::Continuation,
            1 => Self::Text,
            2 => Self::Binary,
            8 => Self::Close,
            9 => Self::Ping,
            10 => Self::Pong,
            _ => return None,
        })
    }

    /// Whether this is a control frame: Close, Ping or Pong (RFC 6455 §5.5).
    #[must_use]
    pub const fn is_control(self) -> bool {
        self as u8 & 0x08 != 0
    }

    /// Whether this is a data frame: Continuation, Text or Binary (RFC 6455 §5.6).
    #[must_use]
    pub const fn is_data(self) -> bool {
        !self.is_control()
    }
}
