//! Trailer fields: which may stand behind the content, and how they are read and written (RFC 9110 §6.5, RFC 9112 §7.1.2).

use bytes::BytesMut;
use http::HeaderMap;
use http::header::{self, HeaderName, HeaderValue};

use super::encode::field;
use super::{ContentEnd, HttpError};

/// Whether this field may be a trailer. Those that frame or route a message, authenticate its sender, steer its recipient or say how its
/// content is to be read must be known before it: whoever merged them from behind it could be tricked (RFC 9110 §6.5.1).
pub(super) fn is_allowed(name: &HeaderName) -> bool {
    let framing = matches!(*name, header::CONTENT_LENGTH | header::TRANSFER_ENCODING | header::TRAILER | header::TE);
    let routing = matches!(*name, header::HOST | header::CONNECTION | header::UPGRADE | header::MAX_FORWARDS | header::VIA);
    let hops = matches!(name.as_str(), "keep-alive" | "proxy-connection" | "forwarded");
    let authentication = matches!(
        *name,
        header::AUTHORIZATION
            | header::PROXY_AUTHORIZATION
            | header::WWW_AUTHENTICATE
            | header::PROXY_AUTHENTICATE
            | header::COOKIE
            | header::SET_COOKIE
    );
    let steering = matches!(
        *name,
        header::EXPECT
            | header::RANGE
            | header::CACHE_CONTROL
            | header::PRAGMA
            | header::IF_MATCH
            | header::IF_NONE_MATCH
            | header::IF_MODIFIED_SINCE
            | header::IF_UNMODIFIED_SINCE
            | header::IF_RANGE
            | header::AGE
            | header::DATE
            | header::EXPIRES
            | header::LOCATION
            | header::RETRY_AFTER
            | header::VARY
            | header::WARNING
    );
    let reading = matches!(*name, header::CONTENT_ENCODING | header::CONTENT_TYPE | header::CONTENT_RANGE);
    !(framing || routing || hops || authentication || steering || reading)
}

/// Reads a trailer section, its last CRLF included: well-formed, and at most `limit` fields. What [may not](is_allowed) be a trailer is
/// left out.
pub(super) fn read(section: &[u8], limit: usize) -> Result<ContentEnd, HttpError> {
    let mut trailers = HeaderMap::new();
    if section == b"\r\n" {
        return Ok(ContentEnd { trailers });
    }
    let mut table = vec![httparse::EMPTY_HEADER; limit.min(section.len() / 4 + 1)];
    let Ok(httparse::Status::Complete((_, fields))) = httparse::parse_headers(section, &mut table) else {
        return Err(HttpError::Trailers);
    };
    for field in fields {
        let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| HttpError::Trailers)?;
        let value = HeaderValue::from_bytes(field.value).map_err(|_| HttpError::Trailers)?;
        if is_allowed(&name) {
            trailers.try_append(name, value).map_err(|_| HttpError::Trailers)?;
        } else {
            tracing::debug!(%name, "no trailer may say this: it is passed over (RFC 9110 §6.5.1)");
        }
    }
    Ok(ContentEnd { trailers })
}

/// Appends what ends chunked content: the last chunk, the trailers, an empty line. What [may not](is_allowed) be a trailer is left out.
pub(super) fn write(out: &mut BytesMut, end: &ContentEnd) {
    out.extend_from_slice(b"0\r\n");
    for (name, value) in &end.trailers {
        if is_allowed(name) {
            field(out, name, value);
        } else {
            tracing::warn!(%name, "no trailer may say this: it is not sent (RFC 9110 §6.5.1)");
        }
    }
    out.extend_from_slice(b"\r\n");
}
