//! The other end of the wire: it writes bytes in pieces, and takes responses apart without the library's code.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::transport::{Transport, Wire};

/// How long what must come may take: far more than it ever does.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

/// In which pieces bytes are written.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cut {
    Whole,
    Bytes,
    /// With this seed.
    Random(u64),
}

impl Cut {
    fn pieces(self, bytes: &[u8]) -> Vec<&[u8]> {
        match self {
            Self::Whole => vec![bytes],
            // A long head byte by byte is what `tests/http_server.rs` does, without a system call for each.
            Self::Bytes if bytes.len() <= 2000 => bytes.chunks(1).collect(),
            Self::Bytes => bytes.chunks(97).collect(),
            Self::Random(mut seed) => {
                let (mut pieces, mut rest) = (Vec::new(), bytes);
                while !rest.is_empty() {
                    // xorshift64*: cuts need no better chance.
                    seed ^= seed >> 12;
                    seed ^= seed << 25;
                    seed ^= seed >> 27;
                    let most = rest.len().min(bytes.len() / 4 + 1);
                    let (piece, after) = rest.split_at(1 + (seed.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % most);
                    pieces.push(piece);
                    rest = after;
                }
                pieces
            }
        }
    }
}

/// A raw peer, of either role.
pub(crate) struct Peer {
    wire: Box<dyn Wire>,
    /// Its own address and the other's, by which the handler knows it.
    pub(crate) ends: (SocketAddr, SocketAddr),
}

impl Peer {
    /// A connection to a server of ours.
    pub(crate) fn connect(address: SocketAddr, transport: Transport) -> Self {
        Self::over(TcpStream::connect_timeout(&address, PATIENCE).unwrap(), |stream| transport.client(stream))
    }

    /// A connection that a client of ours has made.
    pub(crate) fn accepted(stream: TcpStream, transport: Transport) -> Self {
        Self::over(stream, |stream| transport.server(stream))
    }

    fn over(stream: TcpStream, wire: impl FnOnce(TcpStream) -> Box<dyn Wire>) -> Self {
        let ends = (stream.local_addr().unwrap(), stream.peer_addr().unwrap());
        Self { wire: wire(with_deadlines(stream)), ends }
    }

    pub(crate) fn says(&mut self, bytes: impl AsRef<[u8]>, cut: Cut) -> &mut Self {
        for piece in cut.pieces(bytes.as_ref()) {
            self.wire.write_all(piece).and_then(|()| self.wire.flush()).expect("the connection takes what we say");
        }
        self
    }

    /// FIN, under TLS with a close_notify before it. The other end may have gone already.
    pub(crate) fn finishes(&mut self) -> &mut Self {
        let _ = self.wire.finish();
        self
    }

    /// All up to FIN, under TLS with a close_notify before it.
    #[track_caller]
    pub(crate) fn hears_all(&mut self) -> Vec<u8> {
        let mut heard = Vec::new();
        if let Err(error) = self.wire.read_to_end(&mut heard) {
            panic!("{error} in place of FIN, after {:?}", String::from_utf8_lossy(&heard));
        }
        heard
    }

    /// All up to the end, clean or not.
    pub(crate) fn hears_whatever(&mut self) -> Vec<u8> {
        let mut heard = Vec::new();
        match self.wire.read_to_end(&mut heard) {
            Err(error) if is_timeout(&error) => panic!("{error} in place of the end"),
            _ => heard,
        }
    }

    /// So many bytes.
    #[track_caller]
    pub(crate) fn hears_exactly(&mut self, length: usize) -> Vec<u8> {
        let mut heard = vec![0; length];
        self.wire.read_exact(&mut heard).expect("the connection says so much");
        heard
    }

    /// All up to and with this.
    #[track_caller]
    pub(crate) fn hears_up_to(&mut self, end: &str) -> String {
        let mut heard = Vec::new();
        while !heard.ends_with(end.as_bytes()) {
            let mut byte = [0];
            match self.wire.read(&mut byte) {
                Ok(1) => heard.push(byte[0]),
                other => panic!("{other:?} in place of {end:?}, after {:?}", String::from_utf8_lossy(&heard)),
            }
        }
        String::from_utf8(heard).unwrap()
    }
}

fn with_deadlines(stream: TcpStream) -> TcpStream {
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// A response as it was on the wire.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) status: u16,
    /// Status-line and field lines, without their CRLF.
    pub(crate) lines: Vec<String>,
    /// With the transfer coding removed.
    pub(crate) content: String,
}

impl Response {
    /// The values of this field.
    pub(crate) fn values(&self, name: &str) -> Vec<&str> {
        let fields = self.lines[1..].iter().filter_map(|line| line.split_once(": "));
        fields.filter(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value).collect()
    }
}

/// The responses to requests with these methods; to those beyond, as to GET. What must be so of each response is looked at here.
pub(crate) fn responses(heard: &[u8], methods: &[String]) -> Vec<Response> {
    let mut rest = std::str::from_utf8(heard).expect("these responses are text");
    let (mut responses, mut answered) = (Vec::new(), 0);
    while !rest.is_empty() {
        let (head, after) = rest.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no head: {rest:?}"));
        let lines: Vec<String> = head.split("\r\n").map(str::to_owned).collect();
        let mut response = Response { status: status(&lines[0]), lines, content: String::new() };
        check_head(&response);
        rest = after;
        if response.status < 200 {
            responses.push(response);
            continue;
        }
        let method = methods.get(answered).map_or("GET", String::as_str);
        answered += 1;
        let bare = method == "HEAD" || matches!(response.status, 204 | 304) || method == "CONNECT" && response.status < 300;
        let length = response.values("content-length").first().map(|length| length.parse::<usize>().unwrap());
        let chunked = !response.values("transfer-encoding").is_empty();
        match length {
            _ if bare => {}
            Some(length) => {
                assert!(rest.len() >= length, "{length} bytes are announced: {rest:?}");
                let (content, after) = rest.split_at(length);
                response.content = content.to_owned();
                rest = after;
            }
            None if chunked => rest = unchunked(rest, &mut response.content),
            None => response.content = std::mem::take(&mut rest).to_owned(),
        }
        responses.push(response);
    }
    responses
}

/// `HTTP-version SP status-code SP [ reason-phrase ]` (RFC 9112 §4).
fn status(line: &str) -> u16 {
    let rest = line.strip_prefix("HTTP/1.1 ").unwrap_or_else(|| panic!("no status-line: {line:?}"));
    assert_eq!(rest.as_bytes().get(3), Some(&b' '), "{line:?}");
    rest[..3].parse().unwrap()
}

fn check_head(response: &Response) {
    for line in &response.lines[1..] {
        let (name, value) = line.split_once(": ").unwrap_or_else(|| panic!("no field line: {line:?}"));
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        assert!(!name.is_empty() && name.bytes().all(token), "RFC 9110 §5.1: {line:?}");
        assert!(value.trim() == value && !value.contains(char::is_control), "RFC 9110 §5.5: {line:?}");
    }
    let (lengths, codings) = (response.values("content-length").len(), response.values("transfer-encoding").len());
    assert!(lengths + codings <= 1, "RFC 9112 §6.2: {:?}", response.lines);
    if response.status < 200 || response.status == 204 {
        assert_eq!(lengths + codings, 0, "RFC 9112 §6.1, RFC 9110 §8.6: {:?}", response.lines);
    }
    if (200..500).contains(&response.status) {
        let dates = response.values("date");
        assert!(dates.len() == 1 && is_imf_fixdate(dates[0]), "RFC 9110 §6.6.1, §5.6.7: {:?}", response.lines);
    }
}

/// Such as `Sun, 06 Nov 1994 08:49:37 GMT`.
fn is_imf_fixdate(date: &str) -> bool {
    let form = "aaa, 00 aaa 0000 00:00:00 GMT";
    let fits = |(byte, form): (u8, u8)| match form {
        b'a' => byte.is_ascii_alphabetic(),
        b'0' => byte.is_ascii_digit(),
        _ => byte == form,
    };
    date.len() == form.len() && date.bytes().zip(form.bytes()).all(fits)
}

/// Takes chunks off, and tells what follows.
fn unchunked<'a>(mut rest: &'a str, content: &mut String) -> &'a str {
    loop {
        let (size, after) = rest.split_once("\r\n").expect("a chunk-size line");
        let size = usize::from_str_radix(size, 16).expect("a chunk-size, and no extension");
        let (data, after) = after.split_at(size);
        content.push_str(data);
        rest = after.strip_prefix("\r\n").expect("CRLF behind chunk data, or behind no trailers");
        if size == 0 {
            return rest;
        }
    }
}
