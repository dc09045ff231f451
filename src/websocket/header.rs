//! The bytes before the payload (RFC 6455 §5.2).
//!
//! ```text
//!  byte 0                    byte 1               2, 8 or no bytes        4 or no bytes
//! ┌─────┬────────┬────────┐ ┌──────┬───────────┐ ┌─────────────────────┐ ┌─────────────┐
//! │ FIN │ RSV1–3 │ opcode │ │ MASK │ length, 7 │ │ length, 16 or 64    │ │ masking-key │
//! │  1  │   3    │   4    │ │  1   │ 126 or 127 ──▶                     │ │             │
//! └─────┴────────┴────────┘ └──────┴───────────┘ └─────────────────────┘ └─────────────┘
//! ```

use bytes::{BufMut, BytesMut};

use super::{OpCode, ProtocolError};

/// The longest payload whose length fits the second byte; also the longest of a control frame (RFC 6455 §5.5).
pub(super) const SHORT: u64 = 125;
/// The longest header: eight bytes of length, and a masking-key.
pub(super) const LONGEST: usize = 14;

/// The first two bytes, which decide how long the header is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Start {
    pub(super) fin: bool,
    pub(super) rsv: u8,
    opcode: u8,
    pub(super) masked: bool,
    length: u8,
}

impl Start {
    #[inline]
    pub(super) const fn read(first: u8, second: u8) -> Self {
        Self { fin: first & 0x80 != 0, rsv: first >> 4 & 0b111, opcode: first & 0x0f, masked: second & 0x80 != 0, length: second & 0x7f }
    }

    #[inline]
    pub(super) const fn opcode(self) -> Result<OpCode, ProtocolError> {
        match OpCode::from_bits(self.opcode) {
            Some(opcode) => Ok(opcode),
            None => Err(ProtocolError::ReservedOpcode(self.opcode)),
        }
    }

    /// Whether the length is in the second byte.
    #[inline]
    pub(super) const fn is_short(self) -> bool {
        self.length as u64 <= SHORT
    }

    /// The payload length and how many bytes of header it ends behind, once it is all there. The shortest form is the only one allowed.
    #[inline]
    pub(super) fn length(self, header: &[u8]) -> Result<Option<(u64, usize)>, ProtocolError> {
        let (length, end, least) = match (self.length, header) {
            (126, [_, _, a, b, ..]) => (u64::from(u16::from_be_bytes([*a, *b])), 4, SHORT + 1),
            (127, [_, _, a, b, c, d, e, f, g, h, ..]) => {
                (u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]), 10, u64::from(u16::MAX) + 1)
            }
            (126.., _) => return Ok(None),
            (length, _) => (u64::from(length), 2, 0),
        };
        if length < least {
            return Err(ProtocolError::LengthNotMinimal);
        }
        if length >> 63 != 0 {
            return Err(ProtocolError::LengthTopBit);
        }
        Ok(Some((length, end)))
    }
}

/// How long the header of a frame with `length` bytes of payload is.
#[inline]
pub(crate) const fn len(masked: bool, length: usize) -> usize {
    let length = if length as u64 <= SHORT {
        2
    } else if length as u64 <= u16::MAX as u64 {
        4
    } else {
        10
    };
    if masked { length + 4 } else { length }
}

/// Appends a header to `dst`.
#[inline(always)]
pub(super) fn write(fin: bool, rsv: u8, opcode: OpCode, masking_key: Option<[u8; 4]>, length: usize, dst: &mut BytesMut) {
    let first = u8::from(fin) << 7 | rsv << 4 | opcode as u8;
    let mask = u8::from(masking_key.is_some()) << 7;
    if length as u64 <= SHORT {
        dst.put_slice(&[first, mask | length as u8]);
    } else if let Ok(length) = u16::try_from(length) {
        let [a, b] = length.to_be_bytes();
        dst.put_slice(&[first, mask | 126, a, b]);
    } else {
        dst.put_slice(&[first, mask | 127]);
        dst.put_u64(length as u64);
    }
    if let Some(key) = masking_key {
        dst.put_slice(&key);
    }
}
