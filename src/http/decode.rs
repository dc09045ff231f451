//! Heads: bytes to requests and responses (RFC 9112 §2–§5).
//!
//! `httparse` reads the field lines. What it forgives is decided here, before it sees them: [`HeadScan`] accepts CRLF only, and the
//! first lines are read by hand, since each of their faults has a status of its own.

use bytes::{Bytes, BytesMut};
use http::header::{HOST, HeaderName, HeaderValue};
use http::{Extensions, HeaderMap, Method, StatusCode, Uri, Version};

use super::exchange::Steering;
use super::host::{Host, is_host};
use super::target::{self, RawTarget};
use super::{HttpError, HttpRequest, HttpResponse, Settings};

/// How far the end of a head has been searched for: no byte is looked at twice, however small the pieces are in which it comes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct HeadScan {
    /// Bytes searched.
    searched: usize,
    /// Where the line begins that is being searched.
    line: usize,
    /// Where the first line ends, its CRLF included; 0 while it has not.
    first: usize,
}

impl HeadScan {
    /// The end of the head in `input`, the empty line included, and the end of its first line.
    pub(super) fn find(&mut self, input: &[u8]) -> Result<Option<(usize, usize)>, HttpError> {
        while let Some(found) = memchr::memchr(b'\n', &input[self.searched..]) {
            let end = self.searched + found + 1;
            if end < 2 || input[end - 2] != b'\r' || end - 2 < self.line {
                return Err(HttpError::BareLineFeed);
            }
            let empty = end - 2 == self.line;
            self.searched = end;
            self.line = end;
            match (empty, self.first) {
                (false, 0) => self.first = end,
                (false, _) => {}
                // An empty first line: the caller has removed the one it may ignore.
                (true, 0) => return Err(HttpError::EmptyLines),
                (true, first) => return Ok(Some((end, first))),
            }
        }
        self.searched = input.len();
        Ok(None)
    }
}

/// Reads request heads.
#[derive(Debug, Default)]
pub(super) struct RequestDecoder {
    scan: HeadScan,
    /// Whether the empty line that may precede a request-line has been removed.
    skipped: bool,
    /// Whether the method is HEAD: a refusal has no content then.
    is_head: bool,
}

impl RequestDecoder {
    /// Takes one head off the front of `input`, or nothing while it is incomplete.
    ///
    /// The request's strings are slices of the head's bytes.
    pub(super) fn decode(&mut self, input: &mut BytesMut, settings: &Settings) -> Result<Option<(HttpRequest, Steering)>, HttpError> {
        if input.first() == Some(&b'\r') && self.scan.searched == 0 && !self.skip(input)? {
            return Ok(None);
        }
        self.is_head = input.starts_with(b"HEAD ");
        // Judge the first byte at once: a TLS hello need not wait for the deadline.
        if input.first().is_some_and(|&byte| !is_token_byte(byte) && byte != b'\r' && byte != b'\n') {
            return Err(HttpError::RequestLine);
        }
        let Some((end, first)) = self.scan.find(input)? else {
            return match self.too_long(input, settings) {
                Some(error) => Err(error),
                None => Ok(None),
            };
        };
        if end > settings.head_limit {
            // The request-line's own faults come first: they say more.
            request_line(&input[..first - 2], settings)?;
            return Err(HttpError::HeadTooLarge);
        }
        *self = Self { is_head: self.is_head, ..Self::default() };
        let head = input.split_to(end).freeze();
        request(&head, first, settings).map(Some)
    }

    /// RFC 9112 §2.2: ignore at least one empty line before the request-line. We ignore one. Tells whether there may be something behind it.
    #[cold]
    fn skip(&mut self, input: &mut BytesMut) -> Result<bool, HttpError> {
        match input.get(1) {
            None => Ok(false),
            Some(b'\n') if !self.skipped => {
                let _ = input.split_to(2);
                self.skipped = true;
                Ok(true)
            }
            Some(b'\n') => Err(HttpError::EmptyLines),
            Some(_) => Err(HttpError::RequestLine),
        }
    }

    /// The method of the request that was refused, as far as its answer depends on it (RFC 9110 §9.3.2).
    pub(super) fn method(&self) -> Method {
        if self.is_head { Method::HEAD } else { Method::GET }
    }

    /// The fault of an incomplete head that no further bytes can mend.
    #[inline(never)]
    fn too_long(&self, input: &[u8], settings: &Settings) -> Option<HttpError> {
        if self.scan.first == 0 {
            let limit = settings.method_limit;
            let method = input.iter().take(limit.saturating_add(1)).position(|&byte| byte == b' ');
            return match method {
                None if input.len() > limit => Some(method_fault(&input[..=limit])),
                Some(end) if input.len() > settings.target_limit.saturating_add(end + 1) => {
                    let target = &input[end + 1..=end + 1 + settings.target_limit];
                    let longer = !target.contains(&b' ');
                    if longer {
                        Some(HttpError::TargetTooLong)
                    } else {
                        (input.len() > end + settings.target_limit + 1 + " HTTP/1.1\r\n".len()).then_some(HttpError::RequestLine)
                    }
                }
                _ if input.len() > settings.head_limit => Some(HttpError::HeadTooLarge),
                _ => None,
            };
        }
        (input.len() >= settings.head_limit).then(|| match request_line(&input[..self.scan.first - 2], settings) {
            Ok(_) => HttpError::HeadTooLarge,
            Err(error) => error,
        })
    }
}

/// A method that goes on and on is not implemented; one with bytes that no token has is malformed.
fn method_fault(method: &[u8]) -> HttpError {
    if method.iter().all(|&byte| is_token_byte(byte)) { HttpError::MethodTooLong } else { HttpError::RequestLine }
}

/// The parts of a request-line, without its CRLF: the ends of method and target, and the version (RFC 9112 §3).
fn request_line(line: &[u8], settings: &Settings) -> Result<(usize, usize, Version), HttpError> {
    let method = line.iter().position(|&byte| byte == b' ').ok_or(HttpError::RequestLine)?;
    if method == 0 {
        return Err(HttpError::RequestLine);
    }
    if method > settings.method_limit {
        return Err(method_fault(&line[..method]));
    }
    let target = line.iter().rposition(|&byte| byte == b' ').unwrap_or(method);
    if target <= method + 1 {
        // `GET /` of HTTP/0.9, or a long target without version.
        let longer = line.len() - method - 1 > settings.target_limit;
        return Err(if longer { HttpError::TargetTooLong } else { HttpError::RequestLine });
    }
    if target - method - 1 > settings.target_limit {
        return Err(HttpError::TargetTooLong);
    }
    if line[method + 1..target].contains(&b' ') {
        return Err(HttpError::RequestLine);
    }
    Ok((method, target, version(&line[target + 1..]).ok_or(HttpError::RequestLine)??))
}

/// `HTTP/` digit `.` digit (RFC 9112 §2.3). 1.2 to 1.9 is 1.1 to us: minor versions are compatible (RFC 9110 §2.5).
#[inline(always)]
fn version(bytes: &[u8]) -> Option<Result<Version, HttpError>> {
    let [b'H', b'T', b'T', b'P', b'/', digits @ ..] = bytes else { return None };
    match digits {
        [b'1', b'.', b'0'] => Some(Ok(Version::HTTP_10)),
        [b'1', b'.', b'1'..=b'9'] => Some(Ok(Version::HTTP_11)),
        [b'0'..=b'9', b'.', b'0'..=b'9'] => Some(Err(HttpError::Version)),
        _ => None,
    }
}

/// A complete head, `first` bytes of it the request-line.
fn request(head: &Bytes, first: usize, settings: &Settings) -> Result<(HttpRequest, Steering), HttpError> {
    let line = &head[..first - 2];
    let (method_end, target_end, version) = request_line(line, settings)?;
    let method = Method::from_bytes(&line[..method_end]).map_err(|_| HttpError::RequestLine)?;
    let mut target = head.slice(method_end + 1..target_end);
    let form = target[0];
    let mut extensions = Extensions::new();
    if let Some(told) = target::told(&target, settings.uri_parsing)? {
        extensions.insert(RawTarget(std::mem::replace(&mut target, told)));
    }
    // A path needs no further look.
    let unusual = (form != b'/' || method == Method::CONNECT).then(|| target.clone());
    let uri = Uri::from_maybe_shared(target).map_err(|_| HttpError::RequestTarget)?;
    if let Some(target) = unusual {
        check_form(&method, form, &uri)?;
        keep_target(target, &uri, &mut extensions);
    }
    let mut steering = Steering::default();
    let mut host = Host::None;
    let mut headers = fields(head, first, settings, |name, value| {
        steering.see(name);
        host.see(name, value);
    })?;
    if let Some(default) = &settings.default_host_header
        && uri.authority().is_none()
        && host.is_lacking(version)
    {
        headers.insert(HOST, default.clone());
        host = Host::One(default.as_bytes());
    }
    host.check(&uri, version)?;
    Ok((HttpRequest { method, uri, version, headers, content: Bytes::new(), secure: false, extensions }, steering))
}

/// Keeps the target as it was sent, where it is told as another: a `Uri` has its scheme in lower case, and a path.
#[cold]
fn keep_target(target: Bytes, uri: &Uri, extensions: &mut Extensions) {
    if extensions.get::<RawTarget>().is_none() && uri.to_string().as_bytes() != &target[..] {
        extensions.insert(RawTarget(target));
    }
}

/// Whether the target's form goes with the method (RFC 9112 §3.2.1–3.2.4).
#[cold]
fn check_form(method: &Method, first: u8, uri: &Uri) -> Result<(), HttpError> {
    let right = if method == Method::CONNECT {
        // authority-form: host and port, both needed.
        uri.scheme().is_none()
            && uri.path_and_query().is_none()
            && uri.authority().is_some_and(|authority| authority.port().is_some() && is_host(authority))
    } else if first == b'/' {
        true
    } else if uri.scheme().is_some() {
        uri.authority().is_some_and(is_host)
    } else {
        method == Method::OPTIONS && uri.path() == "*"
    };
    if right { Ok(()) } else { Err(HttpError::TargetForm) }
}

/// Field lines that need no larger table: browsers send about fifteen.
const FEW: usize = 24;

/// The field lines of `head`, which begin at `start`. Values are slices of it. Each is shown to `see`.
#[inline]
fn fields<'a>(head: &'a Bytes, start: usize, settings: &Settings, see: impl FnMut(&HeaderName, &'a [u8])) -> Result<HeaderMap, HttpError> {
    let limit = settings.field_limit;
    let lines = &head[start..];
    let mut few = [httparse::EMPTY_HEADER; FEW];
    match httparse::parse_headers(lines, &mut few[..FEW.min(limit)]) {
        Ok(httparse::Status::Complete((_, parsed))) => collect(head, parsed, settings, see),
        Err(httparse::Error::TooManyHeaders) if limit > FEW => many_fields(head, lines, settings, see),
        Err(httparse::Error::TooManyHeaders) => Err(HttpError::TooManyFields),
        _ => Err(HttpError::FieldLine),
    }
}

/// More of them than most have.
#[cold]
fn many_fields<'a>(
    head: &Bytes,
    lines: &'a [u8],
    settings: &Settings,
    see: impl FnMut(&HeaderName, &'a [u8]),
) -> Result<HeaderMap, HttpError> {
    // As many as there can be lines, so that a generous limit costs nothing.
    let most = settings.field_limit.min(lines.len() / 4 + 1);
    let mut many = vec![httparse::EMPTY_HEADER; most];
    match httparse::parse_headers(lines, &mut many) {
        Ok(httparse::Status::Complete((_, parsed))) => collect(head, parsed, settings, see),
        Err(httparse::Error::TooManyHeaders) => Err(HttpError::TooManyFields),
        _ => Err(HttpError::FieldLine),
    }
}

#[inline(never)]
fn collect<'a>(
    head: &Bytes,
    parsed: &[httparse::Header<'a>],
    settings: &Settings,
    mut see: impl FnMut(&HeaderName, &'a [u8]),
) -> Result<HeaderMap, HttpError> {
    let mut headers = HeaderMap::with_capacity(parsed.len());
    for field in parsed {
        if field.name.len() > settings.field_name_limit || field.value.len() > settings.field_value_limit {
            return Err(HttpError::FieldTooLarge);
        }
        let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| HttpError::FieldLine)?;
        let value = match field.value {
            [] => HeaderValue::from_static(""),
            value => HeaderValue::from_maybe_shared(head.slice_ref(value)).map_err(|_| HttpError::FieldLine)?,
        };
        see(&name, field.value);
        headers.try_append(name, value).map_err(|_| HttpError::TooManyFields)?;
    }
    Ok(headers)
}

/// Reads response heads.
#[derive(Debug, Default)]
pub(super) struct ResponseDecoder {
    scan: HeadScan,
}

impl ResponseDecoder {
    /// Takes one head off the front of `input`, or nothing while it is incomplete.
    pub(super) fn decode(&mut self, input: &mut BytesMut, settings: &Settings) -> Result<Option<HttpResponse>, HttpError> {
        let expected = b"HTTP/";
        let n = expected.len().min(input.len());
        if input[..n] != expected[..n] {
            return Err(HttpError::StatusLine);
        }
        let Some((end, first)) = self.scan.find(input)? else {
            return if input.len() >= settings.head_limit { Err(HttpError::HeadTooLarge) } else { Ok(None) };
        };
        if end > settings.head_limit {
            return Err(HttpError::HeadTooLarge);
        }
        *self = Self::default();
        let mut head = input.split_to(end);
        unfold(&mut head[first..]);
        let head = head.freeze();
        let (version, status) = status_line(&head[..first - 2], settings)?;
        let headers = fields(&head, first, settings, |_, _| {})?;
        Ok(Some(HttpResponse { status, version, headers, content: Bytes::new() }))
    }
}

/// Replaces each obs-fold by SP, as a user agent has to (RFC 9112 §5.2). What is folded behind the status-line is no field line, and stays so.
pub(super) fn unfold(lines: &mut [u8]) {
    for at in 2..lines.len() {
        if matches!(lines[at], b' ' | b'\t') && lines[at - 2..at] == *b"\r\n" {
            lines[at - 2..at].fill(b' ');
        }
    }
}

/// `HTTP-version SP status-code SP [reason-phrase]` (RFC 9112 §4); some servers forget the last space.
fn status_line(line: &[u8], settings: &Settings) -> Result<(Version, StatusCode), HttpError> {
    let bad = HttpError::StatusLine;
    let (name, rest) = line.split_at_checked("HTTP/1.1".len()).ok_or(bad)?;
    let version = version(name).ok_or(bad)??;
    let [b' ', code @ ..] = rest else { return Err(bad) };
    let (code, reason) = code.split_at_checked(3).ok_or(bad)?;
    let status = StatusCode::from_bytes(code).map_err(|_| bad)?;
    let text = |&byte: &u8| byte == b'\t' || (byte >= b' ' && byte != 0x7f);
    match reason {
        [] => Ok((version, status)),
        [b' ', phrase @ ..] if phrase.len() > settings.reason_limit => Err(HttpError::ReasonTooLong),
        [b' ', phrase @ ..] if phrase.iter().all(text) => Ok((version, status)),
        _ => Err(bad),
    }
}

/// `tchar` (RFC 9110 §5.6.2).
pub(super) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Whether a list-based field has this element, case-insensitively (RFC 9110 §5.6.1). A version behind a slash is overlooked
/// (RFC 9110 §7.8).
pub(super) fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    headers.get_all(name).iter().flat_map(elements).any(|element| {
        let element = element.split(|&byte| byte == b'/').next().unwrap_or(element);
        element.eq_ignore_ascii_case(token.as_bytes())
    })
}

/// The elements of a list without quoted strings. Empty ones are passed over (RFC 9110 §5.6.1.2).
pub(super) fn elements(list: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    list.as_bytes().split(|&byte| byte == b',').map(<[u8]>::trim_ascii).filter(|element| !element.is_empty())
}
