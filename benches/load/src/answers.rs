//! What comes back, and whether it is right: echoed frames, compressed ones, HTTP responses.
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};

use crate::Opts;
use crate::frames::{Batch, Item, Parser};

/// With RSV1: a compressed text.
pub const COMPRESSED_TEXT: u8 = 0x41;
/// The content of a right HTTP response.
const CONTENT: &[u8] = b"Hello, World!";
/// What a compressed message ends in, and leaves out (RFC 7692 §7.2.1).
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

pub enum Answers {
    Echoes { parser: Parser, verify: bool },
    Deflated(Box<Deflated>),
    Http(Http),
}

impl Answers {
    pub fn new(o: &Opts) -> Self {
        match o {
            Opts { http: true, .. } => Self::Http(Http::default()),
            Opts { deflate: true, .. } => Self::Deflated(Box::new(Deflated::new(o.pipeline))),
            _ => Self::Echoes { parser: Parser::default(), verify: o.verify },
        }
    }

    /// Takes bytes as they come. Counts whole answers in `got`; returns how many were wrong.
    #[inline]
    pub fn feed(&mut self, bytes: &[u8], batch: &Batch, got: &mut usize) -> u64 {
        let mut wrong = 0;
        match self {
            Self::Echoes { parser, verify } => parser.feed(bytes, |item| match item {
                Item::Message(opcode, len) => {
                    wrong += u64::from(!batch.is_echo(*got, opcode, len));
                    *got += 1;
                }
                Item::Piece(at, b) if *verify => {
                    let want = batch.payloads.get(*got).and_then(|p| p.get(at..at + b.len()));
                    wrong += u64::from(want != Some(b));
                }
                Item::Piece(..) => {}
            }),
            Self::Deflated(deflated) => {
                let Deflated { parser, message, inflating } = &mut **deflated;
                parser.feed(bytes, |item| match item {
                    Item::Piece(_, b) => message.extend_from_slice(b),
                    Item::Message(opcode, _) => {
                        let right = batch.payloads.get(*got).is_some_and(|p| inflating.is(*got, message, p));
                        wrong += u64::from(opcode != COMPRESSED_TEXT || !right);
                        message.clear();
                        *got += 1;
                    }
                });
            }
            Self::Http(http) => wrong = http.feed(bytes, got),
        }
        wrong
    }

    /// Nothing is half-read.
    pub fn fresh(&self) -> bool {
        match self {
            Self::Echoes { parser, .. } => parser.fresh(),
            Self::Deflated(deflated) => deflated.parser.fresh(),
            Self::Http(http) => http.part.is_empty(),
        }
    }
}

/// A message as the client sends it: each by itself, so that it can be sent again and again.
pub fn deflate(payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(payload.len() + 64);
    Compress::new(Compression::default(), false).compress_vec(payload, &mut out, FlushCompress::Sync).expect("room for all");
    assert!(out.ends_with(&TAIL));
    out.truncate(out.len() - TAIL.len());
    out
}

pub struct Deflated {
    parser: Parser,
    message: Vec<u8>,
    inflating: Inflating,
}

impl Deflated {
    fn new(payloads: usize) -> Self {
        Self { parser: Parser::default(), message: Vec::new(), inflating: Inflating::new(payloads) }
    }
}

/// Inflates what the server sends, unless it is byte for byte what was right before: no context is taken over, so that it is right again.
struct Inflating {
    state: Decompress,
    plain: Vec<u8>,
    right: Vec<Vec<u8>>,
}

impl Inflating {
    fn new(payloads: usize) -> Self {
        Self { state: Decompress::new(false), plain: Vec::new(), right: vec![Vec::new(); payloads] }
    }

    fn is(&mut self, nth: usize, message: &mut Vec<u8>, want: &[u8]) -> bool {
        if !message.is_empty() && self.right[nth] == *message {
            return true;
        }
        self.right[nth].clone_from(message);
        message.extend_from_slice(&TAIL);
        self.plain.clear();
        self.plain.reserve(want.len() + 64);
        self.state.reset(false);
        let inflated = self.state.decompress_vec(message, &mut self.plain, FlushDecompress::Sync);
        if inflated.is_err() || self.plain != want {
            self.right[nth].clear();
            return false;
        }
        true
    }
}

#[derive(Default)]
pub struct Http {
    /// The beginning of a response.
    part: Vec<u8>,
    /// How long the last head was: the next is most likely as long.
    head: usize,
}

impl Http {
    fn feed(&mut self, bytes: &[u8], got: &mut usize) -> u64 {
        let mut wrong = 0;
        let joined = std::mem::take(&mut self.part);
        let whole = if joined.is_empty() { None } else { Some([&joined, bytes].concat()) };
        let mut rest = whole.as_deref().unwrap_or(bytes);
        while let Some((right, len)) = self.response(rest) {
            wrong += u64::from(!right);
            *got += 1;
            rest = &rest[len..];
        }
        self.part = rest.to_vec();
        wrong
    }

    /// Whether the first response is right, and how long it is, once it is all there.
    fn response(&mut self, b: &[u8]) -> Option<(bool, usize)> {
        let whole = self.head + CONTENT.len();
        let again = self.head > 4 && b.len() >= whole && b[self.head - 4..self.head] == *b"\r\n\r\n";
        if !again {
            self.head = b.windows(4).position(|w| w == b"\r\n\r\n")? + 4;
        }
        let len = self.head + CONTENT.len();
        if b.len() < len {
            return None;
        }
        let right = b.starts_with(b"HTTP/1.1 200 ") && (again || sized(&b[..self.head])) && b[self.head..len] == *CONTENT;
        Some((right, len))
    }
}

/// The head says how long the content is, and that is right.
fn sized(head: &[u8]) -> bool {
    String::from_utf8_lossy(head).lines().any(|line| {
        line.split_once(':')
            .is_some_and(|(name, value)| name.eq_ignore_ascii_case("content-length") && value.trim().parse() == Ok(CONTENT.len()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_however_it_is_cut() {
        let one = |date: &str| format!("HTTP/1.1 200 OK\r\ncontent-length: 13\r\ndate: {date}\r\n\r\nHello, World!");
        let stream = [one("monday"), one("monday"), one("tuesday"), one("friday")].concat();
        for cut in [1, 2, 7, 50, 64, 100, 1000] {
            let (mut http, mut got) = (Http::default(), 0);
            let wrong: u64 = stream.as_bytes().chunks(cut).map(|b| http.feed(b, &mut got)).sum();
            assert_eq!((wrong, got, http.part.len()), (0, 4, 0), "cut {cut}");
        }
        let (mut http, mut got) = (Http::default(), 0);
        assert_eq!(http.feed(one("x").replace("World", "Wurld").as_bytes(), &mut got), 1);
        assert_eq!(http.feed(one("x").replace(": 13", ": 12").replace("date", "datum").as_bytes(), &mut got), 1);
        assert_eq!(http.feed(one("x").replace("200", "404").as_bytes(), &mut got), 1);
        assert_eq!(got, 3);
    }

    #[test]
    fn what_is_deflated_inflates() {
        let text = b"{\"a\":1,\"b\":2}".repeat(80);
        let message = deflate(&text);
        assert!(message.len() < text.len() / 4);
        let mut inflating = Inflating::new(1);
        assert!(inflating.is(0, &mut message.clone(), &text));
        assert!(inflating.is(0, &mut message.clone(), &text), "remembered");
        let mut other = deflate(&b"{\"a\":1,\"b\":3}".repeat(80));
        assert!(!inflating.is(0, &mut other, &text));
        assert!(!inflating.is(0, &mut Vec::new(), &text));
        assert!(inflating.is(0, &mut message.clone(), &text));
    }
}
