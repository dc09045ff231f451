//! Content: where it ends, and the chunked transfer coding (RFC 9112 §6, §7).

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, Method, StatusCode, Version};

use super::decode::{check_trailers, is_token_byte};
use super::{HttpError, Settings};

/// Where a message's content ends (RFC 9112 §6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// After that many bytes; 0 where there is no content.
    Length(u64),
    /// After the last chunk and the trailer section.
    Chunked,
    /// With the connection: responses only.
    UntilClose,
}

impl Framing {
    /// How a request's content is framed. A doubt is an error: two readers of one message must never differ.
    pub(super) fn of_request(version: Version, headers: &HeaderMap) -> Result<Self, HttpError> {
        Ok(Self::declared(version, headers)?.unwrap_or(Self::Length(0)))
    }

    /// How a response's content is framed, in answer to a request with this method.
    pub(super) fn of_response(method: &Method, status: StatusCode, version: Version, headers: &HeaderMap) -> Result<Self, HttpError> {
        if has_no_content(method, status) {
            return Ok(Self::Length(0));
        }
        Ok(Self::declared(version, headers)?.unwrap_or(Self::UntilClose))
    }

    fn declared(version: Version, headers: &HeaderMap) -> Result<Option<Self>, HttpError> {
        let length = headers.get(CONTENT_LENGTH);
        if headers.get(TRANSFER_ENCODING).is_some() {
            if length.is_some() {
                return Err(HttpError::AmbiguousLength);
            }
            check_transfer_encoding(version, headers)?;
            return Ok(Some(Self::Chunked));
        }
        let Some(value) = length else { return Ok(None) };
        if headers.get_all(CONTENT_LENGTH).iter().nth(1).is_some() {
            return Err(HttpError::ContentLength);
        }
        content_length(value.as_bytes()).map(|length| Some(Self::Length(length)))
    }
}

/// Whether a response has no content whatever its fields say (RFC 9110 §6.4.1).
pub(super) fn has_no_content(method: &Method, status: StatusCode) -> bool {
    method == Method::HEAD
        || status.is_informational()
        || status == StatusCode::NO_CONTENT
        || status == StatusCode::NOT_MODIFIED
        || (method == Method::CONNECT && status.is_success())
}

/// Whether a response is sent without content: those that have none, and 205, whose recipient looks for it all the same (RFC 9110 §15.3.6).
pub(super) fn is_sent_without_content(method: &Method, status: StatusCode) -> bool {
    has_no_content(method, status) || status == StatusCode::RESET_CONTENT
}

/// `1*DIGIT` below 2^63 (RFC 9110 §8.6).
pub(super) fn content_length(value: &[u8]) -> Result<u64, HttpError> {
    let digit = |number: u64, &byte: &u8| match byte {
        b'0'..=b'9' => number.checked_mul(10)?.checked_add(u64::from(byte - b'0')),
        _ => None,
    };
    let number = if value.is_empty() { None } else { value.iter().try_fold(0, digit) };
    number.filter(|&number| number < 1 << 63).ok_or(HttpError::ContentLength)
}

/// One line, HTTP/1.1, and `chunked` once and last. What precedes it is a coding we lack.
fn check_transfer_encoding(version: Version, headers: &HeaderMap) -> Result<(), HttpError> {
    let mut lines = headers.get_all(TRANSFER_ENCODING).iter();
    let (Some(value), None) = (lines.next(), lines.next()) else { return Err(HttpError::TransferEncoding) };
    if version == Version::HTTP_10 {
        return Err(HttpError::TransferEncoding);
    }
    let value = value.as_bytes();
    if value.eq_ignore_ascii_case(b"chunked") {
        return Ok(());
    }
    let mut last_is_chunked = false;
    for element in value.split(|&byte| byte == b',') {
        let element = element.trim_ascii();
        let token = !element.is_empty() && element.iter().all(|&byte| is_token_byte(byte));
        if !token || last_is_chunked || element.eq_ignore_ascii_case(b"identity") {
            return Err(HttpError::TransferEncoding);
        }
        last_is_chunked = element.eq_ignore_ascii_case(b"chunked");
    }
    Err(if last_is_chunked { HttpError::UnknownTransferCoding } else { HttpError::TransferEncoding })
}

/// Collects one message's content.
#[derive(Debug)]
pub(super) struct ContentDecoder {
    state: State,
    /// What has come, when it did not come whole.
    content: BytesMut,
    limit: u64,
}

#[derive(Debug)]
enum State {
    /// Content, transfer coding or not: that many bytes more.
    Length(u64),
    UntilClose,
    /// In a chunk-size of which `digits` have come.
    Size {
        size: u64,
        digits: u8,
    },
    /// In the chunk extensions, behind the size.
    Extension {
        size: u64,
        text: Vec<u8>,
    },
    /// The LF that ends the size line.
    SizeEnd {
        size: u64,
    },
    Data {
        left: u64,
    },
    /// The CRLF behind chunk data: CR to come, or LF.
    DataEnd {
        cr: bool,
    },
    /// In the trailer section; `line` is where its current line begins.
    Trailers {
        section: Vec<u8>,
        line: usize,
    },
}

impl ContentDecoder {
    /// Refuses content that is declared larger than the limit before any of it is read.
    pub(super) fn new(framing: Framing, settings: &Settings) -> Result<Self, HttpError> {
        let state = match framing {
            Framing::Length(length) if length > settings.content_limit => return Err(HttpError::ContentTooLarge),
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::Size { size: 0, digits: 0 },
            Framing::UntilClose => State::UntilClose,
        };
        Ok(Self { state, content: BytesMut::new(), limit: settings.content_limit })
    }

    /// Consumes what belongs to the content off the front of `input`; gives the content when it is complete.
    pub(super) fn decode(&mut self, input: &mut BytesMut, settings: &Settings) -> Result<Option<Bytes>, HttpError> {
        loop {
            match &mut self.state {
                State::Length(left) => {
                    if self.content.is_empty() && input.len() as u64 >= *left {
                        // Whole: a slice of what was read.
                        return Ok(Some(input.split_to(narrow(*left)).freeze()));
                    }
                    let n = narrow(*left).min(input.len());
                    *left -= n as u64;
                    let left = *left;
                    move_bytes(input, n, &mut self.content);
                    return Ok((left == 0).then(|| self.content.split().freeze()));
                }
                State::UntilClose => {
                    let n = input.len();
                    self.check_limit(n as u64)?;
                    move_bytes(input, n, &mut self.content);
                    return Ok(None);
                }
                State::Data { left } => {
                    let n = narrow(*left).min(input.len());
                    *left -= n as u64;
                    if *left == 0 {
                        self.state = State::DataEnd { cr: false };
                    }
                    move_bytes(input, n, &mut self.content);
                    if input.is_empty() {
                        return Ok(None);
                    }
                }
                _ => {
                    // The lines between the data, byte by byte: nothing of them is looked at twice.
                    let mut done = false;
                    let mut consumed = 0;
                    for &byte in &input[..] {
                        consumed += 1;
                        done = self.line_byte(byte, settings)?;
                        if done || matches!(self.state, State::Data { .. }) {
                            break;
                        }
                    }
                    let _ = input.split_to(consumed);
                    if done {
                        return Ok(Some(self.content.split().freeze()));
                    }
                    if input.is_empty() {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// The content when the connection has ended: complete, if that is what ends it.
    pub(super) fn finish(&mut self) -> Result<Bytes, HttpError> {
        match self.state {
            State::UntilClose => Ok(self.content.split().freeze()),
            _ => Err(HttpError::Truncated),
        }
    }

    fn check_limit(&self, more: u64) -> Result<(), HttpError> {
        let length = (self.content.len() as u64).checked_add(more);
        if length.is_some_and(|length| length <= self.limit) { Ok(()) } else { Err(HttpError::ContentTooLarge) }
    }

    /// One byte of a size line, of the CRLF behind data or of the trailers; true when it was the last of the message.
    fn line_byte(&mut self, byte: u8, settings: &Settings) -> Result<bool, HttpError> {
        match (&mut self.state, byte) {
            (State::Size { size, digits }, _) if byte.is_ascii_hexdigit() => {
                if *digits == 16 {
                    return Err(HttpError::ChunkSize);
                }
                let digit = char::from(byte).to_digit(16).unwrap_or_default();
                *size = *size << 4 | u64::from(digit);
                *digits += 1;
            }
            (&mut State::Size { size, digits: 1.. }, b'\r') => self.state = State::SizeEnd { size },
            (&mut State::Size { size, digits: 1.. }, b';' | b' ' | b'\t') => {
                self.state = State::Extension { size, text: vec![byte] };
            }
            (State::Size { .. }, _) => return Err(HttpError::ChunkSize),
            (State::Extension { size, text }, b'\r') => {
                if !are_extensions(text) {
                    return Err(HttpError::ChunkExtension);
                }
                self.state = State::SizeEnd { size: *size };
            }
            (State::Extension { text, .. }, _) => {
                if text.len() == settings.chunk_extension_limit || byte == b'\n' {
                    return Err(HttpError::ChunkExtension);
                }
                text.push(byte);
            }
            (State::SizeEnd { size: 0 }, b'\n') => self.state = State::Trailers { section: Vec::new(), line: 0 },
            (&mut State::SizeEnd { size }, b'\n') => {
                self.check_limit(size)?;
                self.state = State::Data { left: size };
            }
            (State::SizeEnd { .. }, _) => return Err(HttpError::ChunkSize),
            (State::DataEnd { cr }, b'\r') if !*cr => *cr = true,
            (State::DataEnd { cr: true }, b'\n') => self.state = State::Size { size: 0, digits: 0 },
            (State::DataEnd { .. }, _) => return Err(HttpError::ChunkData),
            (State::Trailers { section, line }, _) => {
                if section.len() == settings.trailer_limit + "\r\n".len() {
                    return Err(HttpError::Trailers);
                }
                section.push(byte);
                if byte == b'\n' {
                    let Some(end) = section.strip_suffix(b"\r\n").map(<[u8]>::len) else {
                        return Err(HttpError::Trailers);
                    };
                    if end == *line {
                        check_trailers(section, settings.trailer_field_limit)?;
                        return Ok(true);
                    }
                    *line = section.len();
                }
            }
            (State::Length(_) | State::UntilClose | State::Data { .. }, _) => {}
        }
        Ok(false)
    }
}

/// A length as an index; what exceeds the address space exceeds any buffer too.
fn narrow(length: u64) -> usize {
    usize::try_from(length).unwrap_or(usize::MAX)
}

/// Moves the first `n` bytes of `input` behind `content`: memory is reserved as bytes arrive, never as declared.
fn move_bytes(input: &mut BytesMut, n: usize, content: &mut BytesMut) {
    content.extend_from_slice(&input[..n]);
    let _ = input.split_to(n);
}

/// `*( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] )` (RFC 9112 §7.1.1).
fn are_extensions(text: &[u8]) -> bool {
    let mut rest = text;
    while !rest.is_empty() {
        let Some(extension) = skip_space(rest).strip_prefix(b";") else { return false };
        let Some(after_name) = skip_token(skip_space(extension)) else { return false };
        rest = after_name;
        if let Some(value) = skip_space(after_name).strip_prefix(b"=") {
            let value = skip_space(value);
            let after = if value.first() == Some(&b'"') { skip_quoted(value) } else { skip_token(value) };
            let Some(after) = after else { return false };
            rest = after;
        }
    }
    true
}

fn skip_space(text: &[u8]) -> &[u8] {
    let n = text.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    &text[n..]
}

/// What follows a token, if there is one.
fn skip_token(text: &[u8]) -> Option<&[u8]> {
    let n = text.iter().take_while(|&&byte| is_token_byte(byte)).count();
    (n > 0).then(|| &text[n..])
}

/// What follows a quoted-string (RFC 9110 §5.6.4), if it ends and holds no control bytes.
fn skip_quoted(text: &[u8]) -> Option<&[u8]> {
    let mut bytes = text.iter().enumerate().skip(1);
    while let Some((i, &byte)) = bytes.next() {
        match byte {
            b'"' => return Some(&text[i + 1..]),
            b'\\' => {
                bytes.next().filter(|(_, byte)| **byte == b'\t' || (**byte >= b' ' && **byte != 0x7f))?;
            }
            b'\t' | b' '..=b'~' | 0x80.. => {}
            _ => return None,
        }
    }
    None
}
