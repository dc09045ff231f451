//! The request-target: which bytes it may have, and what is told of those that no URI has (RFC 9112 §3.2, RFC 3986 §2).

use std::borrow::Cow;

use bytes::{BufMut, Bytes, BytesMut};
use http::Uri;
use http::header::HOST;
use http::uri::{Authority, Parts, PathAndQuery, Scheme};

use super::host::is_host;
use super::{HttpError, HttpRequest};

/// How strictly path and query of a request-target are taken: [`Settings::uri_parsing`](super::Settings::uri_parsing). Whatever it is, a target has
/// neither space, control byte, byte above ASCII, nor fragment, and scheme and authority are taken strictly.
///
/// | sent | `Strict` | `Relaxed` | `RelaxedWithRawQuery` |
/// |---|---|---|---|
/// | `/a%20b?c=%20` | as it is | as it is | as it is |
/// | `/a[1]?b[]=1\|2` | 400 | `/a%5B1%5D?b%5B%5D=1%7C2` | `/a%5B1%5D?b[]=1\|2` |
/// | `/?a=100%` | 400 | 400 | `/?a=100%` |
/// | `/100%` | 400 | 400 | 400 |
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UriParsing {
    /// As RFC 3986 has it: what no URI may have, or a `%` that begins no escape, is a 400 (RFC 9112 §3.2).
    #[default]
    Strict,
    /// Any visible ASCII: what no URI may have is told percent-encoded, so that a [`uri`](HttpRequest::uri) is one all the same. Browsers send such
    /// characters, `[`, `]` and `|` in queries most of all. A `%` begins an escape.
    Relaxed,
    /// The same of the path; the query is told as it was sent, a `%` that begins no escape among it. Only `"`, `<` and `>`, which a
    /// [`Uri`] cannot hold there, are percent-encoded.
    RelaxedWithRawQuery,
}

/// A target as it was sent, where it is told as another.
#[derive(Clone, Debug)]
pub(super) struct RawTarget(pub(super) Bytes);

impl HttpRequest {
    /// The request-target as it was sent: the [`uri`](Self::uri), unless that had to be percent-encoded to be one ([`UriParsing::Relaxed`]).
    #[must_use]
    pub fn raw_target(&self) -> Cow<'_, str> {
        match self.extensions.get::<RawTarget>() {
            Some(RawTarget(raw)) => String::from_utf8_lossy(raw),
            None => self.uri.to_string().into(),
        }
    }

    /// The URI that is asked for, whichever form the request-target has (RFC 9110 §7.1, RFC 9112 §3.3): the target itself where it is one; otherwise the scheme
    /// says whether the request [is under TLS](Self::secure), the authority is that of a CONNECT, or else `Host`, and what is asked for of it is the target's
    /// path and query: none behind CONNECT and `*`, which a [`Uri`] says as `/`.
    ///
    /// `None` where there is no host, as in a request of HTTP/1.0 without `Host`, or none that can be one. Behind a proxy that speaks TLS for us the scheme is that of
    /// its connection to us.
    ///
    /// ```
    /// use actix_sockets::HttpRequest;
    /// use actix_sockets::http::{HeaderValue, Uri, header};
    ///
    /// let request = HttpRequest::get(Uri::from_static("/chat?room=1")).with_header(header::HOST, HeaderValue::from_static("a.example:8080"));
    /// assert_eq!(request.effective_uri().unwrap(), "http://a.example:8080/chat?room=1");
    /// ```
    #[must_use]
    pub fn effective_uri(&self) -> Option<Uri> {
        if self.uri.scheme().is_some() {
            return Some(self.uri.clone());
        }
        let authority = match self.uri.authority() {
            Some(authority) => authority.clone(),
            None => Authority::try_from(self.headers.get(HOST)?.as_bytes()).ok().filter(is_host)?,
        };
        let path = self.uri.path_and_query().filter(|path| path.as_str() != "*").cloned();
        let mut parts = Parts::default();
        parts.scheme = Some(if self.secure { Scheme::HTTPS } else { Scheme::HTTP });
        parts.authority = Some(authority);
        parts.path_and_query = Some(path.unwrap_or_else(|| PathAndQuery::from_static("/")));
        Uri::from_parts(parts).ok()
    }
}

/// A byte of a path and query, as RFC 3986 §3.3 and §3.4 have it; `%` is looked at by itself.
const URI: u8 = 1;
/// Visible ASCII, and no fragment's beginning.
const VISIBLE: u8 = 2;
/// What a `Uri` can hold in a query.
const HELD: u8 = 4;

const CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0x21_u8;
    while byte < 0x7f {
        let of_uri = byte.is_ascii_alphanumeric()
            || matches!(byte, b'-' | b'.' | b'_' | b'~' | b':' | b'@' | b'/' | b'?')
            || matches!(byte, b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=');
        let held = !matches!(byte, b'"' | b'<' | b'>');
        if byte != b'#' {
            classes[byte as usize] = VISIBLE | if of_uri { URI } else { 0 } | if held { HELD } else { 0 };
        }
        byte += 1;
    }
    classes
};

/// What is told of a target that was sent as `raw`, which is not empty; and whether that is another.
#[inline]
pub(super) fn told(raw: &Bytes, mode: UriParsing) -> Result<Option<Bytes>, HttpError> {
    let mut all = URI;
    for &byte in raw {
        all &= CLASSES[usize::from(byte)];
    }
    // Nearly all have nothing but what any URI may have.
    if all == URI { Ok(None) } else { told_otherwise(raw, mode) }
}

#[cold]
fn told_otherwise(raw: &Bytes, mode: UriParsing) -> Result<Option<Bytes>, HttpError> {
    if raw.iter().any(|&byte| CLASSES[usize::from(byte)] & VISIBLE == 0) {
        return Err(HttpError::RequestTarget);
    }
    let path = path_of(raw);
    let query = memchr::memchr(b'?', &raw[path..]).map_or(raw.len(), |found| path + found);
    let mut told = BytesMut::new();
    let mut copied = 0;
    let mut encode = |at: usize| {
        const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
        told.extend_from_slice(&raw[copied..at]);
        let byte = usize::from(raw[at]);
        told.extend_from_slice(&[b'%', DIGITS[byte >> 4], DIGITS[byte & 15]]);
        copied = at + 1;
    };
    for (at, &byte) in raw.iter().enumerate().skip(path) {
        let as_it_is = mode == UriParsing::RelaxedWithRawQuery && at > query;
        match (byte, CLASSES[usize::from(byte)]) {
            (_, class) if as_it_is && class & HELD != 0 => {}
            (b'%', _) if raw.get(at + 1..at + 3).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) => {}
            (b'%', _) => return Err(HttpError::RequestTarget),
            (_, class) if class & URI != 0 => {}
            _ if mode == UriParsing::Strict => return Err(HttpError::RequestTarget),
            _ => encode(at),
        }
    }
    if copied == 0 {
        return Ok(None);
    }
    told.put_slice(&raw[copied..]);
    Ok(Some(told.freeze()))
}

/// Where the path begins: at the start, behind scheme and authority, or nowhere.
fn path_of(raw: &[u8]) -> usize {
    if raw.starts_with(b"/") {
        return 0;
    }
    let authority = raw.windows(3).position(|bytes| bytes == b"://").map_or(raw.len(), |found| found + 3);
    raw[authority..].iter().position(|byte| matches!(byte, b'/' | b'?')).map_or(raw.len(), |found| authority + found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODES: [UriParsing; 3] = [UriParsing::Strict, UriParsing::Relaxed, UriParsing::RelaxedWithRawQuery];

    /// What each mode tells of a target; `None` is a 400.
    fn all(raw: &[u8]) -> [Option<String>; 3] {
        let raw = Bytes::copy_from_slice(raw);
        MODES.map(|mode| {
            let told = told(&raw, mode).ok()?.unwrap_or_else(|| raw.clone());
            Some(String::from_utf8(told.to_vec()).expect("ASCII"))
        })
    }

    fn each(byte: u8, before: &str, after: &str) -> [Option<String>; 3] {
        all(&[before.as_bytes(), &[byte], after.as_bytes()].concat())
    }

    /// Every byte there is, in a path and in a query.
    #[test]
    fn byte_by_byte() {
        let of_uri = b"-._~!$&'()*+,;=:@/?";
        for byte in 0..=255 {
            let raw = |before: &str| Some(format!("{before}{}z", char::from(byte)));
            let encoded = |before: &str| Some(format!("{before}%{byte:02X}z"));
            let visible = byte.is_ascii_graphic() && byte != b'#' && byte != b'%';
            for before in ["/a", "http://host/a", "/a?b", "http://host?b"] {
                let expected = if byte.is_ascii_alphanumeric() || of_uri.contains(&byte) {
                    [raw(before), raw(before), raw(before)]
                } else if !visible {
                    let held = byte == b'%' && before.contains('?');
                    [None, None, raw(before).filter(|_| held)]
                } else if before.contains('?') && !matches!(byte, b'"' | b'<' | b'>') {
                    [None, encoded(before), raw(before)]
                } else {
                    [None, encoded(before), encoded(before)]
                };
                assert_eq!(each(byte, before, "z"), expected, "{byte:#x} behind {before}");
            }
        }
    }

    /// Whatever is told is one: the type that holds it takes it.
    #[test]
    fn what_is_told_is_a_uri() {
        for byte in 0..=255 {
            for target in all(&[b"/a", &[byte][..], b"?b", &[byte], b"c"].concat()).into_iter().flatten() {
                let uri: http::Uri = target.parse().unwrap_or_else(|error| panic!("{target:?}: {error}"));
                assert_eq!(uri.to_string(), target);
            }
        }
    }

    #[test]
    fn escapes() {
        let same = |raw: &str| [Some(raw.to_owned()), Some(raw.to_owned()), Some(raw.to_owned())];
        for raw in ["/%00%2f%Ff?%20", "/%25", "*", "host:80", "http://host", "/"] {
            assert_eq!(all(raw.as_bytes()), same(raw));
        }
        for raw in ["/%", "/%2", "/%2g", "/%%20", "/a%?b"] {
            assert_eq!(all(raw.as_bytes()), [None, None, None], "{raw}");
        }
        for raw in ["/?%", "/?a=100%&b=%zz"] {
            assert_eq!(all(raw.as_bytes()), [None, None, Some(raw.to_owned())], "{raw}");
        }
        let both = ["/%5B%20%5D?%7C%20%7C", "/%5B%20%5D?|%20|"];
        assert_eq!(all(b"/[%20]?|%20|"), [None, Some(both[0].to_owned()), Some(both[1].to_owned())]);
    }
}
