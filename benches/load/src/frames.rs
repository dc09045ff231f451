//! Prebuilt messages, the upgrade, and a parser of server frames by header.
use crate::Opts;
use crate::answers::{COMPRESSED_TEXT, deflate};

/// A small xorshift: content and masks need no better.
pub struct Rng(pub u64);

impl Rng {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

pub fn masked(opcode: u8, payload: &[u8], mask: [u8; 4], out: &mut Vec<u8>) {
    out.push(0x80 | opcode);
    match payload.len() {
        n @ 0..=125 => out.push(0x80 | n as u8),
        n @ 126..=65535 => {
            out.push(0x80 | 126);
            out.extend_from_slice(&(n as u16).to_be_bytes());
        }
        n => {
            out.push(0x80 | 127);
            out.extend_from_slice(&(n as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&mask);
    out.extend(payload.iter().enumerate().map(|(i, b)| b ^ mask[i & 3]));
}

/// What every connection sends at a time, and the payloads in it.
pub struct Batch {
    pub bytes: Vec<u8>,
    pub payloads: Vec<Vec<u8>>,
    pub opcode: u8,
}

impl Batch {
    pub fn is_echo(&self, nth: usize, opcode: u8, len: usize) -> bool {
        opcode == self.opcode && self.payloads.get(nth).is_some_and(|p| p.len() == len)
    }
}

pub fn batch(o: &Opts, count: usize) -> Batch {
    let mut rng = Rng(0x9e37_79b9_7f4a_7c15);
    let opcode = if o.text { 1 } else { 2 };
    let (mut bytes, mut payloads) = (Vec::new(), Vec::new());
    for _ in 0..count {
        if o.http {
            bytes.extend_from_slice(format!("GET {} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n\r\n", o.path, o.port).as_bytes());
            continue;
        }
        let p: Vec<u8> = match (o.deflate, o.text) {
            (true, _) => json(&mut rng, o.size),
            (false, true) => (0..o.size).map(|_| 32 + (rng.next() >> 20) as u8 % 95).collect(),
            (false, false) => (0..o.size).map(|_| (rng.next() >> 20) as u8).collect(),
        };
        let mask = (rng.next() as u32).to_ne_bytes();
        match o.deflate {
            true => masked(COMPRESSED_TEXT, &deflate(&p), mask, &mut bytes),
            false => masked(opcode, &p, mask, &mut bytes),
        }
        payloads.push(p);
    }
    Batch { bytes, payloads, opcode }
}

/// Records as programs send them, cut off at this size.
fn json(rng: &mut Rng, size: usize) -> Vec<u8> {
    const NAMES: [&str; 8] = ["ada", "grace", "edsger", "barbara", "alan", "leslie", "radia", "tony"];
    let mut out = String::from("[");
    while out.len() < size {
        let (name, n) = (NAMES[(rng.next() >> 20) as usize % NAMES.len()], rng.next() >> 20);
        out += &format!(
            "{{\"id\":{},\"name\":\"{name}\",\"price\":{}.{:02},\"active\":{},\"tags\":[\"new\",\"{name}\"]}},",
            n % 100_000,
            n % 997,
            n % 100,
            n % 3 == 0,
        );
    }
    out.truncate(size);
    out.into_bytes()
}

// The key and the accept value of RFC 6455, section 1.3.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

const OFFER: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

pub fn request(o: &Opts) -> Vec<u8> {
    let offer = if o.deflate { format!("Sec-WebSocket-Extensions: {OFFER}\r\n") } else { String::new() };
    format!(
        "GET {} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n{offer}\r\n",
        o.path, o.port
    )
    .into_bytes()
}

/// Some(Ok(length)) of a whole good answer, Some(Err) of a bad one, None while it is incomplete.
pub fn answer(b: &[u8], deflate: bool) -> Option<Result<usize, String>> {
    let end = b.windows(4).position(|w| w == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&b[..end]).into_owned();
    let field =
        |name: &str| text.lines().filter_map(|l| l.split_once(':')).find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.trim());
    let agreed = field("sec-websocket-extensions").unwrap_or_default();
    let ok = text.starts_with("HTTP/1.1 101 ")
        && field("sec-websocket-accept") == Some(ACCEPT)
        && if deflate { agreed.contains("permessage-deflate") && agreed.contains("server_no_context_takeover") } else { agreed.is_empty() };
    Some(if ok { Ok(end) } else { Err(format!("bad upgrade answer: {text:?}")) })
}

/// Reads server frames by header.
#[derive(Default)]
pub struct Parser {
    head: [u8; 10],
    have: usize,
    /// Payload bytes of the current frame still to come.
    pub left: usize,
    fin: bool,
    opcode: u8,
    /// Payload bytes of the current message seen so far.
    pub seen: usize,
}

pub enum Item<'a> {
    /// A piece of a message's payload: where it starts in the message, and the bytes.
    Piece(usize, &'a [u8]),
    /// A message ended: its opcode and length.
    Message(u8, usize),
}

impl Parser {
    /// At the start of a frame, nothing of its header read.
    pub fn fresh(&self) -> bool {
        self.left == 0 && self.have == 0
    }

    /// Notes n payload bytes taken off the socket unseen; the message if that ended it.
    pub fn skip(&mut self, n: usize) -> Option<(u8, usize)> {
        self.left -= n;
        self.seen += n;
        self.end_of_frame()
    }

    #[inline]
    fn end_of_frame(&mut self) -> Option<(u8, usize)> {
        if self.left > 0 || !self.fin {
            return None;
        }
        let m = (self.opcode, self.seen);
        self.seen = 0;
        Some(m)
    }

    #[inline]
    fn header(&mut self, h: &[u8]) -> Option<usize> {
        if h.len() < 2 {
            return None;
        }
        let (len, at) = match h[1] {
            126 if h.len() >= 4 => (u16::from_be_bytes([h[2], h[3]]) as usize, 4),
            127 if h.len() >= 10 => (u64::from_be_bytes(h[2..10].try_into().unwrap()) as usize, 10),
            126 | 127 => return None,
            n => (n as usize, 2), // a masked server frame shows up here as a wrong length
        };
        self.fin = h[0] & 0x80 != 0;
        if h[0] & 15 != 0 {
            self.opcode = h[0] & 0x7f; // with the reserved bits: none may be set
        }
        self.left = len;
        Some(at)
    }

    #[inline]
    pub fn feed(&mut self, mut b: &[u8], mut on: impl FnMut(Item)) {
        loop {
            if self.left > 0 {
                let n = self.left.min(b.len());
                if n == 0 {
                    return;
                }
                on(Item::Piece(self.seen, &b[..n]));
                b = &b[n..];
                if let Some((op, len)) = self.skip(n) {
                    on(Item::Message(op, len));
                }
                continue;
            }
            if b.is_empty() {
                return;
            }
            if self.have == 0
                && let Some(at) = self.header(b)
            {
                b = &b[at..];
            } else {
                // a header in pieces: a byte at a time
                self.head[self.have] = b[0];
                self.have += 1;
                b = &b[1..];
                let h = self.head;
                if self.header(&h[..self.have]).is_none() {
                    continue;
                }
                self.have = 0;
            }
            if self.left == 0
                && let Some((op, len)) = self.end_of_frame()
            {
                on(Item::Message(op, len));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_however_it_is_cut() {
        let mut stream = Vec::new();
        for len in [0usize, 1, 125, 126, 300, 65535, 65536, 70000] {
            stream.push(0x82);
            match len {
                n @ 0..=125 => stream.push(n as u8),
                n @ 126..=65535 => {
                    stream.push(126);
                    stream.extend((n as u16).to_be_bytes());
                }
                n => {
                    stream.push(127);
                    stream.extend((n as u64).to_be_bytes());
                }
            }
            stream.extend(std::iter::repeat_n(7u8, len));
        }
        // and one in two fragments
        stream.extend([0x01, 2, b'a', b'b', 0x80, 1, b'c']);
        for cut in [1usize, 2, 3, 7, 100, 4096, 1 << 20] {
            let (mut p, mut got) = (Parser::default(), Vec::new());
            for piece in stream.chunks(cut) {
                p.feed(piece, |i| {
                    if let Item::Message(op, len) = i {
                        got.push((op, len));
                    }
                });
            }
            let mut want: Vec<(u8, usize)> = [0, 1, 125, 126, 300, 65535, 65536, 70000].map(|n| (2, n)).to_vec();
            want.push((1, 3));
            assert_eq!(got, want, "cut {cut}");
        }
    }
}
