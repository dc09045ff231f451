//! Why a websocket was closed (RFC 6455 §7.4).

use std::fmt;

use super::ProtocolError;

/// A close code. Any number can be held, as an abnormal end has one too (1006); [`is_legal`](Self::is_legal) tells what may be on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CloseCode(pub u16);

impl CloseCode {
    /// 1000: the purpose of the connection has been fulfilled.
    pub const NORMAL: Self = Self(1000);
    /// 1001: a server going down, or a browser that left the page.
    pub const GOING_AWAY: Self = Self(1001);
    /// 1002: a protocol error.
    pub const PROTOCOL_ERROR: Self = Self(1002);
    /// 1003: a type of data that the endpoint cannot accept.
    pub const UNSUPPORTED_DATA: Self = Self(1003);
    /// 1005: a Close frame had no code. Never on the wire.
    pub const NO_STATUS: Self = Self(1005);
    /// 1006: the connection ended without a Close frame. Never on the wire.
    pub const ABNORMAL: Self = Self(1006);
    /// 1007: data that does not fit its type, as text that is not UTF-8.
    pub const INVALID_DATA: Self = Self(1007);
    /// 1008: a policy was violated.
    pub const POLICY_VIOLATION: Self = Self(1008);
    /// 1009: a message too big to process.
    pub const TOO_BIG: Self = Self(1009);
    /// 1010: the client misses an extension in the server's handshake.
    pub const EXTENSION_REQUIRED: Self = Self(1010);
    /// 1011: the server met an unexpected condition.
    pub const INTERNAL_ERROR: Self = Self(1011);
    /// 1012: the service restarts.
    pub const SERVICE_RESTART: Self = Self(1012);
    /// 1013: try again later.
    pub const TRY_AGAIN_LATER: Self = Self(1013);
    /// 1014: a gateway got an invalid answer.
    pub const BAD_GATEWAY: Self = Self(1014);
    /// 1015: the TLS handshake failed. Never on the wire.
    pub const TLS_HANDSHAKE: Self = Self(1015);

    /// Whether the code may stand in a Close frame: 1000–1003, 1007–1014, 3000–4999 (RFC 6455 §7.4.2).
    #[must_use]
    pub const fn is_legal(self) -> bool {
        matches!(self.0, 1000..=1003 | 1007..=1014 | 3000..=4999)
    }
}

impl fmt::Debug for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CloseCode({})", self.0)
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<u16> for CloseCode {
    fn from(code: u16) -> Self {
        Self(code)
    }
}

/// Reads the body of a Close frame: none, or a code and perhaps a reason (RFC 6455 §5.5.1).
pub(super) fn parse(body: &[u8]) -> Result<(CloseCode, &str), ProtocolError> {
    let (code, reason) = match body {
        [] => return Ok((CloseCode::NO_STATUS, "")),
        [_] => return Err(ProtocolError::CloseBodyOfOneByte),
        [high, low, reason @ ..] => (CloseCode(u16::from_be_bytes([*high, *low])), reason),
    };
    if !code.is_legal() {
        return Err(ProtocolError::IllegalCloseCode(code));
    }
    match simdutf8::basic::from_utf8(reason) {
        Ok(reason) => Ok((code, reason)),
        Err(_) => Err(ProtocolError::CloseReasonNotUtf8),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t26_every_code() {
        let mut taken = 0;
        for code in 0..=u16::MAX {
            let legal = (1000..5000).contains(&code) && ![1004, 1005, 1006].contains(&code) && !(1015..3000).contains(&code);
            let body = [&code.to_be_bytes()[..], b"why"].concat();
            let expected = if legal { Ok((CloseCode(code), "why")) } else { Err(ProtocolError::IllegalCloseCode(CloseCode(code))) };
            assert_eq!(parse(&body), expected);
            assert_eq!(parse(&body[..2]).is_ok(), legal);
            taken += u32::from(legal);
        }
        println!("t26: {taken} codes of 65 536 may be on the wire");
    }

    #[test]
    fn t26_no_body_half_a_code_and_a_bad_reason() {
        assert_eq!(parse(b""), Ok((CloseCode::NO_STATUS, "")));
        assert_eq!(parse(b"\x03"), Err(ProtocolError::CloseBodyOfOneByte));
        assert_eq!(parse(b"\x03\xe8\xff"), Err(ProtocolError::CloseReasonNotUtf8));
        assert_eq!(parse(b"\x03\xe8\xc3"), Err(ProtocolError::CloseReasonNotUtf8));
        assert_eq!(parse("\x03\u{0}".as_bytes()), Err(ProtocolError::IllegalCloseCode(CloseCode(0x300))));
    }
}
