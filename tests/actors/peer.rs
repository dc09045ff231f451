//! The other end of the wire: its own handshake bytes, its own frame bytes, none of the library's code.

use std::fmt;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use base64::Engine as _;
use sha1::Digest as _;

use crate::transport::{Transport, Wire};

/// How long what must come may take: far more than it ever does.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// The opening handshake of RFC 6455 §1.2, and its answer's `Sec-WebSocket-Accept`.
pub(crate) const HANDSHAKE: &str = "GET /chat HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// A frame as it is on the wire, but for its mask.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Raw {
    /// FIN, RSV1–3 and the opcode.
    pub(crate) first: u8,
    pub(crate) payload: Vec<u8>,
}

pub(crate) fn raw(first: u8, payload: impl AsRef<[u8]>) -> Raw {
    Raw { first, payload: payload.as_ref().to_vec() }
}

pub(crate) fn text(text: impl AsRef<str>) -> Raw {
    raw(0x81, text.as_ref())
}

pub(crate) fn binary(payload: impl AsRef<[u8]>) -> Raw {
    raw(0x82, payload)
}

/// The last fragment of a message.
pub(crate) fn continuation(payload: impl AsRef<[u8]>) -> Raw {
    raw(0x80, payload)
}

pub(crate) fn ping(payload: impl AsRef<[u8]>) -> Raw {
    raw(0x89, payload)
}

pub(crate) fn pong(payload: impl AsRef<[u8]>) -> Raw {
    raw(0x8a, payload)
}

pub(crate) fn close(code: u16, reason: &str) -> Raw {
    raw(0x88, [&code.to_be_bytes()[..], reason.as_bytes()].concat())
}

impl Raw {
    /// The same without FIN.
    pub(crate) fn more(mut self) -> Self {
        self.first &= 0x7f;
        self
    }

    pub(crate) fn bytes(&self, key: Option<[u8; 4]>) -> Vec<u8> {
        let (mask, n) = (if key.is_some() { 0x80 } else { 0 }, self.payload.len());
        let mut bytes = vec![self.first];
        match n {
            0..=125 => bytes.push(mask | n as u8),
            126..=0xffff => bytes.extend([&[mask | 126], &(n as u16).to_be_bytes()[..]].concat()),
            _ => bytes.extend([&[mask | 127], &(n as u64).to_be_bytes()[..]].concat()),
        }
        bytes.extend(key.into_iter().flatten());
        let key = key.unwrap_or_default();
        bytes.extend(self.payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
        bytes
    }
}

impl fmt::Debug for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = &self.payload[..self.payload.len().min(60)];
        write!(f, "{:02x} [{}] {:?}", self.first, self.payload.len(), String::from_utf8_lossy(shown))
    }
}

/// A raw peer, of either role: a client masks what it says and wants to hear nothing masked, a server the reverse.
pub(crate) struct Peer {
    wire: Box<dyn Wire>,
    inbox: Vec<u8>,
    is_client: bool,
    /// The key of the next frame; it changes with every frame.
    key: [u8; 4],
    /// The masking-keys heard.
    pub(crate) keys: Vec<[u8; 4]>,
    /// How many reads brought something.
    pub(crate) reads: usize,
}

impl Peer {
    /// A connection, its TLS handshake done if there is TLS; nothing else is said.
    pub(crate) fn connect(address: SocketAddr, transport: Transport) -> Self {
        let stream = TcpStream::connect_timeout(&address, PATIENCE).expect("the server accepts");
        Self::over(transport.client(with_deadlines(stream)), true)
    }

    pub(crate) fn over(wire: Box<dyn Wire>, is_client: bool) -> Self {
        Self { wire, inbox: Vec::new(), is_client, key: [0x12, 0x34, 0x56, 0x78], keys: Vec::new(), reads: 0 }
    }

    /// A websocket: the handshake is done.
    pub(crate) fn upgraded(address: SocketAddr, transport: Transport) -> Self {
        let mut peer = Self::connect(address, transport);
        peer.says_bytes(HANDSHAKE).hears_101();
        peer
    }

    pub(crate) fn tcp(&self) -> &TcpStream {
        self.wire.tcp()
    }

    fn next_key(&mut self) -> Option<[u8; 4]> {
        self.key = self.key.map(|byte| byte.wrapping_mul(167).wrapping_add(13));
        self.is_client.then_some(self.key)
    }

    // ── says ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

    pub(crate) fn says_bytes(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.wire.write_all(bytes.as_ref()).and_then(|()| self.wire.flush()).expect("the connection takes what we say");
        self
    }

    /// Whether the other end still takes what we say.
    pub(crate) fn is_taken(&mut self, bytes: &[u8]) -> bool {
        self.wire.write_all(bytes).and_then(|()| self.wire.flush()).is_ok()
    }

    /// What the other end answers meanwhile is read, for it may take more only then.
    pub(crate) fn says_bytes_and_listens(&mut self, bytes: &[u8]) -> &mut Self {
        let (mut taken, until) = (0, Instant::now() + 3 * PATIENCE);
        self.wire.set_nonblocking(true).unwrap();
        while taken < bytes.len() {
            assert!(Instant::now() < until, "{taken} bytes are taken of {}", bytes.len());
            let written = match self.wire.write(&bytes[taken..]) {
                Err(error) if is_timeout(&error) => 0,
                written => written.expect("the connection takes what we say"),
            };
            taken += written;
            match self.read_once() {
                Ok(n) => assert!(n > 0, "FIN while we speak"),
                Err(error) if is_timeout(&error) && written == 0 => std::thread::sleep(Duration::from_micros(200)),
                Err(error) if is_timeout(&error) => {}
                Err(error) => panic!("{error} while we speak"),
            }
        }
        self.wire.set_nonblocking(false).unwrap();
        self.wire.flush().expect("the connection takes what we say");
        self
    }

    /// Tells whether the connection took it, in so short a time.
    pub(crate) fn tries_to_say(&mut self, bytes: &[u8], patience: Duration) -> bool {
        self.tcp().set_write_timeout(Some(patience)).unwrap();
        let taken = self.wire.write_all(bytes).is_ok();
        self.tcp().set_write_timeout(Some(PATIENCE)).unwrap();
        taken
    }

    pub(crate) fn says(&mut self, frame: Raw) -> &mut Self {
        let bytes = self.encoded(&[frame]);
        self.says_bytes(bytes)
    }

    /// All of them in one write.
    pub(crate) fn says_all(&mut self, frames: &[Raw]) -> &mut Self {
        let bytes = self.encoded(frames);
        self.says_bytes(bytes)
    }

    pub(crate) fn encoded(&mut self, frames: &[Raw]) -> Vec<u8> {
        frames.iter().flat_map(|frame| frame.bytes(self.next_key())).collect()
    }

    /// Writes for as long as the connection takes something within `patience`, `limit` bytes at most; tells how many it took.
    pub(crate) fn says_until_blocked(&mut self, bytes: &[u8], limit: usize, patience: Duration) -> usize {
        self.tcp().set_write_timeout(Some(patience)).unwrap();
        let mut taken = 0;
        while taken < limit {
            let rest = &bytes[taken % bytes.len()..];
            match self.wire.write(rest) {
                Ok(n) => taken += n,
                Err(error) if is_timeout(&error) => break,
                Err(error) => panic!("{error} after {taken} bytes"),
            }
        }
        self.tcp().set_write_timeout(Some(PATIENCE)).unwrap();
        taken
    }

    /// FIN, under TLS with a close_notify before it; unless the other end has gone meanwhile, as it may.
    pub(crate) fn finishes(&mut self) -> &mut Self {
        match self.wire.finish() {
            Err(error) if [ErrorKind::NotConnected, ErrorKind::BrokenPipe, ErrorKind::ConnectionReset].contains(&error.kind()) => {}
            finished => finished.unwrap(),
        }
        self
    }

    /// RST in place of a FIN.
    pub(crate) fn resets(self) {
        socket2::SockRef::from(self.tcp()).set_linger(Some(Duration::ZERO)).unwrap();
    }

    // ── hears ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────

    /// Reads once. `Ok(0)` is FIN, under TLS with a close_notify before it.
    fn read(&mut self, until: Instant) -> io::Result<usize> {
        let left = until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        self.tcp().set_read_timeout(Some(left)).unwrap();
        self.read_once()
    }

    fn read_once(&mut self) -> io::Result<usize> {
        let mut buffer = [0; 64 << 10];
        let n = self.wire.read(&mut buffer)?;
        self.reads += usize::from(n > 0);
        self.inbox.extend_from_slice(&buffer[..n]);
        Ok(n)
    }

    /// Bytes up to and with `end`.
    pub(crate) fn hears_up_to(&mut self, end: &str) -> String {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(at) = self.inbox.windows(end.len()).position(|window| window == end.as_bytes()) {
                let heard = self.inbox.drain(..at + end.len()).collect();
                return String::from_utf8(heard).unwrap();
            }
            match self.read(until) {
                Ok(1..) => {}
                other => panic!("{other:?} in place of {end:?} after {:?}", String::from_utf8_lossy(&self.inbox)),
            }
        }
    }

    /// A head, with its empty line.
    pub(crate) fn hears_head(&mut self) -> String {
        self.hears_up_to("\r\n\r\n")
    }

    #[track_caller]
    pub(crate) fn hears_101(&mut self) -> String {
        let head = self.hears_head();
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        assert!(head.to_lowercase().contains(&format!("sec-websocket-accept: {}\r\n", ACCEPT.to_lowercase())), "{head}");
        head
    }

    /// All that comes, to the end of the connection, which is a proper one.
    #[allow(dead_code, reason = "tests/web has use for it")]
    pub(crate) fn hears_all(&mut self) -> String {
        let until = Instant::now() + PATIENCE;
        while self.read(until).expect("the connection ends properly") > 0 {}
        String::from_utf8(std::mem::take(&mut self.inbox)).unwrap()
    }

    /// All that comes until the connection is cut, in whatever way.
    #[allow(dead_code, reason = "tests/web has use for it")]
    pub(crate) fn hears_until_cut(&mut self) -> String {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.read(until) {
                Ok(1..) => {}
                Err(error) if is_timeout(&error) => panic!("the connection is not cut"),
                Ok(0) | Err(_) => return String::from_utf8(std::mem::take(&mut self.inbox)).unwrap(),
            }
        }
    }

    /// A response with content of this length.
    #[track_caller]
    pub(crate) fn hears_content(&mut self, length: usize) {
        let head = self.hears_head();
        assert!(head.starts_with("HTTP/1.1 200 ") && head.contains(&format!("content-length: {length}\r\n")), "{head}");
        while self.inbox.len() < length {
            let read = self.read(Instant::now() + PATIENCE);
            assert!(matches!(read, Ok(1..)), "{read:?} after {} of {length} bytes", self.inbox.len());
        }
        self.inbox.drain(..length);
    }

    /// A response with this status and content.
    #[track_caller]
    pub(crate) fn hears_response(&mut self, status: u16, content: &str) {
        let head = self.hears_head();
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
        if !content.is_empty() {
            assert_eq!(self.hears_up_to(content), content);
        }
    }

    /// A frame, within the time; `None` is FIN.
    #[track_caller]
    pub(crate) fn next_within(&mut self, patience: Duration) -> io::Result<Option<Raw>> {
        let until = Instant::now() + patience;
        loop {
            if let Some((frame, key, length)) = decode(&self.inbox) {
                assert_eq!(key.is_some(), !self.is_client, "only a client masks (RFC 6455 §5.1): {frame:?}");
                self.keys.extend(key);
                self.inbox.drain(..length);
                return Ok(Some(frame));
            }
            if self.read(until)? == 0 {
                assert!(self.inbox.is_empty(), "{} bytes of half a frame before FIN", self.inbox.len());
                return Ok(None);
            }
        }
    }

    #[track_caller]
    pub(crate) fn next(&mut self) -> Raw {
        match self.next_within(PATIENCE) {
            Ok(Some(frame)) => frame,
            Ok(None) => panic!("FIN in place of a frame"),
            Err(error) => panic!("{error} in place of a frame"),
        }
    }

    #[track_caller]
    pub(crate) fn hears(&mut self, frame: Raw) -> &mut Self {
        assert_eq!(self.next(), frame);
        self
    }

    /// A Close frame with this code, whatever its reason.
    #[track_caller]
    pub(crate) fn hears_close(&mut self, code: u16) -> String {
        let frame = self.next();
        assert_eq!(
            (frame.first, frame.payload.get(..2)),
            (0x88, Some(&code.to_be_bytes()[..])),
            "{frame:?} in place of a Close with {code}"
        );
        String::from_utf8(frame.payload[2..].to_vec()).expect("a reason is UTF-8")
    }

    #[track_caller]
    pub(crate) fn hears_fin(&mut self) {
        match self.next_within(PATIENCE) {
            Ok(None) => {}
            other => panic!("{other:?} in place of FIN"),
        }
    }

    /// The end, clean or not; what comes before it is thrown away.
    #[track_caller]
    pub(crate) fn hears_the_end(&mut self) {
        let until = Instant::now() + PATIENCE;
        loop {
            self.inbox.clear();
            match self.read(until) {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) if is_timeout(&error) => panic!("{error} in place of the end"),
                Err(_) => return,
            }
        }
    }

    /// Neither bytes nor FIN for that long.
    #[track_caller]
    pub(crate) fn hears_nothing_for(&mut self, time: Duration) -> &mut Self {
        assert!(self.inbox.is_empty(), "{:?}", self.inbox);
        match self.read(Instant::now() + time) {
            Err(error) if is_timeout(&error) => self,
            other => panic!("{other:?} {:?} in place of silence", self.inbox),
        }
    }
}

fn with_deadlines(stream: TcpStream) -> TcpStream {
    stream.set_nodelay(true).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

pub(crate) fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

fn decode(bytes: &[u8]) -> Option<(Raw, Option<[u8; 4]>, usize)> {
    let (&first, &second) = (bytes.first()?, bytes.get(1)?);
    let (length, mut at) = match second & 0x7f {
        126 => (usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().unwrap())), 4),
        127 => (u64::from_be_bytes(bytes.get(2..10)?.try_into().unwrap()) as usize, 10),
        short => (usize::from(short), 2),
    };
    let mut key = None;
    if second & 0x80 != 0 {
        key = Some(<[u8; 4]>::try_from(bytes.get(at..at + 4)?).unwrap());
        at += 4;
    }
    let mut payload = bytes.get(at..at + length)?.to_vec();
    if let Some(key) = key {
        payload.iter_mut().zip(key.iter().cycle()).for_each(|(byte, key)| *byte ^= key);
    }
    Some((Raw { first, payload }, key, at + length))
}

/// A raw server, for clients of ours.
pub(crate) struct Host {
    listener: TcpListener,
    transport: Transport,
}

impl Host {
    pub(crate) fn up(transport: Transport) -> Self {
        Self { listener: TcpListener::bind("127.0.0.1:0").unwrap(), transport }
    }

    pub(crate) fn url(&self) -> String {
        format!("{}://{}/chat", self.transport.scheme(), self.listener.local_addr().unwrap())
    }

    /// The next connection.
    pub(crate) fn accepts(&self) -> Peer {
        self.listener.set_nonblocking(true).unwrap();
        let until = Instant::now() + PATIENCE;
        loop {
            match self.listener.accept() {
                Ok((stream, _)) => {
                    stream.set_nonblocking(false).unwrap();
                    return Peer::over(self.transport.server(with_deadlines(stream)), false);
                }
                Err(error) if is_timeout(&error) && Instant::now() < until => std::thread::sleep(Duration::from_millis(1)),
                Err(error) => panic!("{error} in place of a connection"),
            }
        }
    }

    /// The next connection, upgraded; `behind` is in the same write as the 101.
    pub(crate) fn upgrades(&self, behind: &[Raw]) -> Peer {
        let mut peer = self.accepts();
        let head = peer.hears_head();
        let response = switching(&head);
        let frames = peer.encoded(behind);
        peer.says_bytes([response.as_bytes(), &frames].concat());
        peer
    }
}

/// The 101 that accepts the request with this head.
pub(crate) fn switching(head: &str) -> String {
    let key = head.lines().find_map(|line| line.to_lowercase().starts_with("sec-websocket-key:").then(|| line[18..].trim()));
    let digest = sha1::Sha1::digest(format!("{}258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key.expect("a handshake has a key")));
    let accept = base64::engine::general_purpose::STANDARD.encode(digest);
    format!("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n")
}
