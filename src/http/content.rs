//! Content: where it ends, and the chunked transfer coding (RFC 9112 §6, §7).

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, Method, StatusCode, Version};

use super::decode::{is_token_byte, unfold};
use super::{Chunk, ContentEnd, HttpError, Settings, trailers};

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

/// Reads one message's content: whole, or as it comes.
#[derive(Debug)]
pub(super) struct ContentDecoder {
    state: State,
    /// What has come, when it is wanted whole and did not come so.
    content: BytesMut,
    /// Bytes that have come, or have been announced by their chunk.
    length: u64,
    limit: u64,
    /// Chunks that may still come.
    chunks: u64,
    /// Whether a trailer that is folded becomes one that is not.
    mends: bool,
}

/// Something of the content.
#[derive(Debug)]
pub(super) enum Piece {
    /// Some bytes more; never none.
    Data(Chunk),
    /// That was all.
    End(ContentEnd),
}

#[derive(Debug)]
enum State {
    /// Content without transfer coding: that many bytes more.
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
        extensions: Bytes,
    },
    /// In a chunk's data. The extensions go with its first bytes.
    Data {
        left: u64,
        extensions: Bytes,
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
    /// Of content that is wanted whole: refuses what is declared larger than the limit before any of it is read.
    pub(super) fn new(framing: Framing, settings: &Settings) -> Result<Self, HttpError> {
        Self::limited(framing, settings.content_limit, settings.chunk_limit)
    }

    /// Of content that is wanted as it comes, which has limits of its own.
    pub(super) fn streamed(framing: Framing, settings: &Settings) -> Result<Self, HttpError> {
        let unlimited = settings.streamed_content_limit == u64::MAX;
        Self::limited(framing, settings.streamed_content_limit, if unlimited { u64::MAX } else { settings.chunk_limit })
    }

    fn limited(framing: Framing, limit: u64, chunks: u64) -> Result<Self, HttpError> {
        let state = match framing {
            Framing::Length(length) if length > limit => return Err(HttpError::ContentTooLarge),
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::Size { size: 0, digits: 0 },
            Framing::UntilClose => State::UntilClose,
        };
        Ok(Self { state, content: BytesMut::new(), length: 0, limit, chunks, mends: false })
    }

    /// Of a response: obs-fold in its trailers is replaced by SP, as in its head (RFC 9112 §5.2). In a request it is an error.
    pub(super) fn mending(mut self) -> Self {
        self.mends = true;
        self
    }

    /// How much has come of content that is wanted whole.
    pub(super) fn gathered(&self) -> usize {
        self.content.len()
    }

    /// Consumes what belongs to the content off the front of `input`; gives the content when it is complete. Its trailers are checked, and
    /// discarded: a recipient may do so (RFC 9110 §6.5.1).
    pub(super) fn decode(&mut self, input: &mut BytesMut, settings: &Settings) -> Result<Option<Bytes>, HttpError> {
        loop {
            match self.piece(input, settings)? {
                None => return Ok(None),
                // Whole: a slice of what was read.
                Some(Piece::Data(chunk)) if self.content.is_empty() && matches!(self.state, State::Length(0)) => {
                    return Ok(Some(chunk.data));
                }
                // Memory is reserved as bytes arrive, never as declared.
                Some(Piece::Data(chunk)) => self.content.extend_from_slice(&chunk.data),
                Some(Piece::End(_)) => return Ok(Some(self.content.split().freeze())),
            }
        }
    }

    /// Consumes the next piece of the content off the front of `input`: a slice of it. `None`: more must come first.
    pub(super) fn piece(&mut self, input: &mut BytesMut, settings: &Settings) -> Result<Option<Piece>, HttpError> {
        let data = |data: BytesMut, extensions| Ok(Some(Piece::Data(Chunk { data: data.freeze(), extensions })));
        loop {
            match &mut self.state {
                State::Length(0) => return Ok(Some(Piece::End(ContentEnd::default()))),
                _ if input.is_empty() => return Ok(None),
                State::Length(left) => {
                    let n = narrow(*left).min(input.len());
                    *left -= n as u64;
                    return data(input.split_to(n), Bytes::new());
                }
                State::UntilClose => {
                    self.announce(input.len() as u64)?;
                    return data(input.split(), Bytes::new());
                }
                State::Data { left, extensions } => {
                    let n = narrow(*left).min(input.len());
                    let extensions = std::mem::take(extensions);
                    *left -= n as u64;
                    if *left == 0 {
                        self.state = State::DataEnd { cr: false };
                    }
                    return data(input.split_to(n), extensions);
                }
                _ => {
                    // The lines between the data, byte by byte: nothing of them is looked at twice.
                    let mut end = None;
                    let mut consumed = 0;
                    for &byte in &input[..] {
                        consumed += 1;
                        end = self.line_byte(byte, settings)?;
                        if end.is_some() || matches!(self.state, State::Data { .. }) {
                            break;
                        }
                    }
                    let _ = input.split_to(consumed);
                    if let Some(end) = end {
                        return Ok(Some(Piece::End(end)));
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

    /// How many bytes are still to come, as far as it is known.
    pub(super) fn left(&self) -> Option<u64> {
        match self.state {
            State::Length(left) => Some(left),
            _ => None,
        }
    }

    /// Counts content that has come, or whose chunk begins.
    fn announce(&mut self, more: u64) -> Result<(), HttpError> {
        self.length = self.length.checked_add(more).filter(|&length| length <= self.limit).ok_or(HttpError::ContentTooLarge)?;
        Ok(())
    }

    /// One byte of a size line, of the CRLF behind data or of the trailers; the end, when it was the last of the message.
    fn line_byte(&mut self, byte: u8, settings: &Settings) -> Result<Option<ContentEnd>, HttpError> {
        match (&mut self.state, byte) {
            (State::Size { size, digits }, _) if byte.is_ascii_hexdigit() => {
                if *digits == 16 {
                    return Err(HttpError::ChunkSize);
                }
                let digit = char::from(byte).to_digit(16).unwrap_or_default();
                *size = *size << 4 | u64::from(digit);
                *digits += 1;
            }
            (&mut State::Size { size, digits: 1.. }, b'\r') => self.state = State::SizeEnd { size, extensions: Bytes::new() },
            (&mut State::Size { size, digits: 1.. }, b';' | b' ' | b'\t') => {
                self.state = State::Extension { size, text: vec![byte] };
            }
            (State::Size { .. }, _) => return Err(HttpError::ChunkSize),
            (State::Extension { size, text }, b'\r') => {
                if !are_extensions(text) {
                    return Err(HttpError::ChunkExtension);
                }
                let mut extensions = Bytes::from(std::mem::take(text));
                let before = extensions.len() - skip_space(&extensions).len() + 1;
                let extensions = extensions.split_off(before.min(extensions.len()));
                self.state = State::SizeEnd { size: *size, extensions };
            }
            (State::Extension { text, .. }, _) => {
                if text.len() == settings.chunk_extension_limit || byte == b'\n' {
                    return Err(HttpError::ChunkExtension);
                }
                text.push(byte);
            }
            (State::SizeEnd { size: 0, .. }, b'\n') => self.state = State::Trailers { section: Vec::new(), line: 0 },
            (State::SizeEnd { size, extensions }, b'\n') => {
                let (size, extensions) = (*size, std::mem::take(extensions));
                if size > settings.chunk_size_limit {
                    return Err(HttpError::ContentTooLarge);
                }
                self.announce(size)?;
                self.chunks = self.chunks.checked_sub(1).ok_or(HttpError::TooManyChunks)?;
                self.state = State::Data { left: size, extensions };
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
                        if self.mends {
                            unfold(section);
                        }
                        return trailers::read(section, settings.trailer_field_limit).map(Some);
                    }
                    *line = section.len();
                }
            }
            (State::Length(_) | State::UntilClose | State::Data { .. }, _) => {}
        }
        Ok(None)
    }
}

/// A length as an index; what exceeds the address space exceeds any buffer too.
fn narrow(length: u64) -> usize {
    usize::try_from(length).unwrap_or(usize::MAX)
}

/// `*( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] )` (RFC 9112 §7.1.1).
pub(super) fn are_extensions(text: &[u8]) -> bool {
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
