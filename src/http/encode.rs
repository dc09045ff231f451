//! Requests and responses to bytes (RFC 9112 §3–§6).
//!
//! Field names are tokens and field values hold neither CR, LF nor NUL: the `http` crate's types see to that when they are made, and
//! so does [`Method`] and [`Uri`](http::Uri). The reason phrase is never the user's. So nothing can be injected here.

use std::fmt::{self, Write as _};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::BytesMut;
use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, Method, StatusCode, Version};

use super::client_event::Coding;
use super::{HttpRequest, HttpResponse};

/// The value of `Date`: an IMF-fixdate (RFC 9110 §5.6.7). Made once a second at most, and shared by all connections.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct HttpDate {
    /// The text, and the end of its line.
    line: [u8; 31],
    /// Seconds since 1970.
    seconds: u64,
}

impl HttpDate {
    /// The text, such as `Sun, 06 Nov 1994 08:49:37 GMT`.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 29] {
        let [text @ .., _, _] = &self.line;
        text
    }

    /// The date so much later.
    pub(super) fn after(&self, time: Duration) -> Self {
        match time.as_secs() {
            0 => *self,
            seconds => Self::from_seconds(self.seconds.saturating_add(seconds)),
        }
    }

    fn from_seconds(seconds: u64) -> Self {
        // The year has four digits.
        let seconds = seconds.min(253_402_300_799);
        let mut date = Self { line: [b' '; 31], seconds };
        let mut rest = &mut date.line[..];
        // 29 bytes are what the form has: nothing is cut off.
        let _ = std::io::Write::write_fmt(
            &mut rest,
            format_args!("{}\r\n", httpdate::HttpDate::from(UNIX_EPOCH + Duration::from_secs(seconds))),
        );
        date
    }
}

impl From<SystemTime> for HttpDate {
    /// Times before 1970 are taken as 1970, times after 9999 as its last second.
    fn from(time: SystemTime) -> Self {
        Self::from_seconds(time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()))
    }
}

impl fmt::Debug for HttpDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(self.as_bytes()))
    }
}

/// What `Connection` says (RFC 9112 §9.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Persistence {
    /// Nothing: HTTP/1.1 goes on.
    Implied,
    /// `keep-alive`, which HTTP/1.0 needs to hear.
    KeepAlive,
    Close,
    /// What the response says: 101.
    Switch,
}

/// What the fields say about the content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Announced {
    Length(usize),
    Chunked,
    /// The user's own `Content-Length` if there is one: HEAD and 304, whose length is that of the GET (RFC 9110 §8.6).
    Theirs,
    Nothing,
}

/// Appends a response's head.
pub(super) fn response_head(
    out: &mut BytesMut,
    response: &HttpResponse,
    announced: Announced,
    persistence: Persistence,
    date: Option<&HttpDate>,
    server: Option<&HeaderValue>,
) {
    out.reserve(256);
    match date {
        // What most responses begin with, in one piece.
        Some(_) if response.status == StatusCode::OK => out.extend_from_slice(b"HTTP/1.1 200 OK\r\ndate: "),
        Some(_) => status_line(out, response.status, b"\r\ndate: "),
        None => status_line(out, response.status, b"\r\n"),
    }
    if let Some(date) = date {
        out.extend_from_slice(&date.line);
    }
    if let Some(server) = server {
        field(out, &header::SERVER, server);
    }
    let mut upgrade = false;
    for (name, value) in &response.headers {
        match *name {
            header::CONTENT_LENGTH if announced == Announced::Theirs && declared_length(&response.headers).is_some() => {}
            header::CONNECTION if persistence == Persistence::Switch => {}
            // Ours to say. The user's `close` has been heard already, see `asks_to_close`; `upgrade` is said with `Upgrade`.
            header::CONNECTION => {
                if !value.as_bytes().eq_ignore_ascii_case(b"close") && !value.as_bytes().eq_ignore_ascii_case(b"upgrade") {
                    ignored(name);
                }
                continue;
            }
            header::CONTENT_LENGTH | header::TRANSFER_ENCODING | header::DATE | header::SERVER => {
                ignored(name);
                continue;
            }
            // RFC 9110 §7.8: who sends `Upgrade`, as a 426 does, says so in `Connection`.
            header::UPGRADE => upgrade = true,
            _ => {}
        }
        field(out, name, value);
    }
    content_fields(out, announced);
    out.extend_from_slice(match persistence {
        Persistence::Switch if response.headers.contains_key(header::CONNECTION) => b"\r\n",
        Persistence::Implied if !upgrade => b"\r\n",
        Persistence::Implied | Persistence::Switch => b"connection: upgrade\r\n\r\n",
        Persistence::KeepAlive if upgrade => b"connection: keep-alive, upgrade\r\n\r\n",
        Persistence::KeepAlive => b"connection: keep-alive\r\n\r\n",
        Persistence::Close if upgrade => b"connection: close, upgrade\r\n\r\n",
        Persistence::Close => b"connection: close\r\n\r\n",
    });
}

/// The status-line without its end, and what comes behind it.
fn status_line(out: &mut BytesMut, status: StatusCode, behind: &[u8]) {
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(status.as_str().as_bytes());
    out.extend_from_slice(b" ");
    out.extend_from_slice(status.canonical_reason().unwrap_or_default().as_bytes());
    out.extend_from_slice(behind);
}

/// What the content of this response is announced as, when it is `length` bytes long, or streamed.
pub(super) fn announced(method: &Method, version: Version, status: StatusCode, length: Option<usize>) -> Announced {
    if status.is_informational() || status == StatusCode::NO_CONTENT || (*method == Method::CONNECT && status.is_success()) {
        return Announced::Nothing;
    }
    if status == StatusCode::RESET_CONTENT {
        return Announced::Length(0);
    }
    let bodiless = *method == Method::HEAD || status == StatusCode::NOT_MODIFIED;
    match length {
        Some(0) if bodiless => Announced::Theirs,
        Some(_) if status == StatusCode::NOT_MODIFIED => Announced::Theirs,
        Some(length) => Announced::Length(length),
        None if status == StatusCode::NOT_MODIFIED => Announced::Theirs,
        None if version == Version::HTTP_10 => Announced::Nothing,
        None => Announced::Chunked,
    }
}

/// The length that the user has given the content, if it is one.
pub(super) fn declared_length(headers: &HeaderMap) -> Option<u64> {
    let mut lines = headers.get_all(header::CONTENT_LENGTH).iter();
    let length = super::content::content_length(lines.next()?.as_bytes()).ok()?;
    lines.next().is_none().then_some(length)
}

/// What the connection says for requests that do not.
#[derive(Clone, Copy)]
pub(super) struct Ours<'a> {
    pub(super) host: Option<&'a HeaderValue>,
    pub(super) agent: Option<&'a HeaderValue>,
}

/// Appends a request's head. What the caller has not set is added where HTTP needs it: `Host`, and how the content is framed.
pub(super) fn request_head(out: &mut BytesMut, request: &HttpRequest, coding: Coding, expects: bool, ours: Ours<'_>) {
    out.reserve(256);
    out.extend_from_slice(request.method.as_str().as_bytes());
    out.extend_from_slice(b" ");
    let authority = request.uri.authority();
    match (request.uri.path_and_query(), authority) {
        (_, Some(authority)) if request.method == Method::CONNECT => out.extend_from_slice(authority.as_str().as_bytes()),
        (Some(path), _) => {
            // RFC 9112 §3.2.1: an empty path is sent as `/`, also before a query.
            if path.as_str().starts_with('?') {
                out.extend_from_slice(b"/");
            }
            out.extend_from_slice(path.as_str().as_bytes());
        }
        (None, _) => out.extend_from_slice(b"/"),
    }
    out.extend_from_slice(if request.version == Version::HTTP_10 { b" HTTP/1.0\r\n" } else { b" HTTP/1.1\r\n" });
    if !request.headers.contains_key(header::HOST) {
        // The target's authority without its userinfo; or whom the connection leads to; empty where nobody knows (RFC 9112 §3.2).
        let host = match authority {
            Some(authority) => authority.as_str().rsplit('@').next().unwrap_or_default().as_bytes(),
            None => ours.host.map_or(&b""[..], HeaderValue::as_bytes),
        };
        out.extend_from_slice(b"host: ");
        out.extend_from_slice(host);
        out.extend_from_slice(b"\r\n");
    }
    if let Some(agent) = ours.agent
        && !request.headers.contains_key(header::USER_AGENT)
    {
        field(out, &header::USER_AGENT, agent);
    }
    for (name, value) in &request.headers {
        match *name {
            // The user's own length of streamed content is among what the coding says.
            header::CONTENT_LENGTH if matches!(coding, Coding::Length(length) if length > 0 && value == &length.to_string()) => {}
            header::CONTENT_LENGTH | header::TRANSFER_ENCODING => ignored(name),
            // RFC 9110 §10.1.1: only a request whose content follows may expect.
            header::EXPECT if !expects => ignored(name),
            _ => field(out, name, value),
        }
    }
    // RFC 9110 §8.6: a length of 0 is said where the method has a use for content.
    let anticipated = matches!(request.method, Method::POST | Method::PUT | Method::PATCH);
    match coding {
        Coding::Chunked => content_fields(out, Announced::Chunked),
        Coding::Length(0) if !anticipated => {}
        Coding::Length(length) => content_fields(out, Announced::Length(length as usize)),
    }
    out.extend_from_slice(b"\r\n");
}

/// Whether the user's own `Connection` asks to close.
pub(super) fn asks_to_close(headers: &HeaderMap) -> bool {
    !headers.is_empty() && headers.contains_key(header::CONNECTION) && super::decode::has_token(headers, &header::CONNECTION, "close")
}

/// The line before a chunk's data. Extensions that are none would be read as something else: they are left out (RFC 9112 §7.1.1).
pub(super) fn chunk_head(out: &mut BytesMut, length: usize, extensions: &[u8]) {
    // Writing to a `BytesMut` does not fail.
    let _ = write!(out, "{length:x}");
    if !extensions.is_empty() {
        let end = out.len();
        out.extend_from_slice(b";");
        out.extend_from_slice(extensions);
        if !super::content::are_extensions(&out[end..]) {
            tracing::warn!("malformed chunk extensions are not sent (RFC 9112 §7.1.1)");
            out.truncate(end);
        }
    }
    out.extend_from_slice(b"\r\n");
}

/// The interim response that asks for the content (RFC 9110 §15.2.1).
pub(super) const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

fn content_fields(out: &mut BytesMut, announced: Announced) {
    match announced {
        Announced::Length(length) => content_length(out, length),
        Announced::Chunked => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        Announced::Theirs | Announced::Nothing => {}
    }
}

pub(super) fn field(out: &mut BytesMut, name: &HeaderName, value: &HeaderValue) {
    let (name, value) = (name.as_str().as_bytes(), value.as_bytes());
    out.reserve(name.len() + value.len() + 4);
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// The field without the machinery of formatting, in one piece: it is written for each response.
fn content_length(out: &mut BytesMut, mut length: usize) {
    const NAME: &[u8; 16] = b"content-length: ";
    const END: usize = NAME.len() + 20;
    let mut line = [0; END + 2];
    line[END..].copy_from_slice(b"\r\n");
    let mut start = END;
    loop {
        start -= 1;
        // A remainder of ten is a byte.
        line[start] = b'0' + (length % 10) as u8;
        length /= 10;
        if length == 0 {
            break;
        }
    }
    start -= NAME.len();
    line[start..start + NAME.len()].copy_from_slice(NAME);
    out.extend_from_slice(&line[start..]);
}

fn ignored(name: &HeaderName) {
    tracing::warn!(%name, "this field is the library's business: the value set is ignored");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_imf_fixdates_and_never_out_of_range() {
        let text = |seconds| String::from_utf8_lossy(HttpDate::from_seconds(seconds).as_bytes()).into_owned();
        assert_eq!(text(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(text(u64::MAX), "Fri, 31 Dec 9999 23:59:59 GMT");
        assert_eq!(HttpDate::from(UNIX_EPOCH - Duration::from_secs(1)), HttpDate::from(UNIX_EPOCH));
        assert_eq!(HttpDate::from_seconds(1).after(Duration::from_millis(2900)), HttpDate::from_seconds(3));
    }

    #[test]
    fn lengths() {
        for length in [0, 9, 10, 99, 100, 12_345, usize::MAX] {
            let mut out = BytesMut::new();
            content_length(&mut out, length);
            assert_eq!(out, format!("content-length: {length}\r\n"));
        }
    }
}
