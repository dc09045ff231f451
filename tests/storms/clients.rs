//! The clients, in a process of their own: `clients::go` is no test, but their program.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

pub(crate) const HANDSHAKE: &[u8] = b"GET /chat HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
/// The beginning of a ClientHello, and no more.
const HALF_A_HELLO: &[u8] = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
const PATIENCE: Duration = Duration::from_secs(30);
const THREADS: usize = 16;

// ── as the test sees them ───────────────────────────────────────────────────────────────────────────────────────────────────────

pub(crate) struct Clients {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Clients {
    /// So many come and go.
    pub(crate) fn storm(address: SocketAddr, clients: usize, tls: bool) -> Self {
        Self::start(if tls { "storm-tls" } else { "storm" }, address, clients)
    }

    /// So many stay until they are told to go.
    pub(crate) fn guests(address: SocketAddr, clients: usize, tls: bool) -> Self {
        Self::start(if tls { "guests-tls" } else { "guests" }, address, clients)
    }

    fn start(what: &str, address: SocketAddr, clients: usize) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "--nocapture", "clients::go"])
            .env("STORM", format!("{what} {address} {clients}"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Self { child, lines }
    }

    /// Reads on to the line that begins so.
    pub(crate) fn hears(&mut self, beginning: &str, patience: Duration) -> String {
        let until = Instant::now() + patience;
        let mut line = String::new();
        while self.lines.read_line(&mut line).unwrap() > 0 && Instant::now() < until {
            if line.starts_with(beginning) {
                return line.trim_end().to_owned();
            }
            line.clear();
        }
        panic!("the clients never say {beginning:?}");
    }

    pub(crate) fn end(mut self) {
        let mut rest = String::new();
        self.lines.read_to_string(&mut rest).unwrap();
        assert!(self.child.wait().unwrap().success(), "the clients have met with something else than they expect: {rest}");
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

// ── their program ───────────────────────────────────────────────────────────────────────────────────────────────────────────────

#[test]
#[ignore = "the clients of the other tests, in a process of their own"]
fn go() {
    let order = std::env::var("STORM").expect("started by the other tests");
    let words: Vec<_> = order.split(' ').collect();
    let (address, clients): (SocketAddr, usize) = (words[1].parse().unwrap(), words[2].parse().unwrap());
    match words[0] {
        "storm" => storm(address, clients, false),
        "storm-tls" => storm(address, clients, true),
        "guests" => guests(address, clients, false),
        _ => guests(address, clients, true),
    }
}

pub(crate) trait Wire: Read + Write {}
impl<W: Read + Write> Wire for W {}

fn storm(address: SocketAddr, clients: usize, tls: bool) {
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            scope.spawn(move || {
                for client in (thread..clients).step_by(THREADS) {
                    visit(client, address, tls).unwrap_or_else(|error| panic!("client {client}, way {}: {error}", client % WAYS));
                }
            });
        }
    });
}

/// The ways in which a client comes and goes.
const WAYS: usize = 10;

fn visit(client: usize, address: SocketAddr, tls: bool) -> io::Result<()> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    let tcp = stream.try_clone()?;
    // Half of them end with RST.
    if client.is_multiple_of(2) {
        socket2::SockRef::from(&tcp).set_linger(Some(Duration::ZERO))?;
    }
    let way = client % WAYS / 2;
    if way == 0 {
        return Ok(());
    }
    if way == 1 {
        let half = if tls { HALF_A_HELLO } else { &HANDSHAKE[..40] };
        return (&tcp).write_all(half);
    }
    let mut wire = secured(stream, tls)?;
    match way {
        // Within the request's content.
        2 => wire.write_all(b"POST /chat HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nhalf of it")?,
        // Within a frame, and within a message.
        3 => {
            upgrade(&mut *wire)?;
            wire.write_all(b"\x01\x83\0\0\0\0abc\x80\xfe\x03\xe8\0\0\0\0half of it")?;
        }
        // In good order, or after an answer.
        _ => {
            upgrade(&mut *wire)?;
            wire.write_all(b"\x81\x85\0\0\0\0hello")?;
            hear(&mut *wire, b"\x81\x05hello")?;
            if client % 2 == 1 {
                wire.write_all(b"\x88\x82\0\0\0\0\x03\xe8")?;
                hear(&mut *wire, b"\x88\x02\x03\xe8")?;
            }
        }
    }
    wire.flush()
}

/// One for all: it reads the system's authorities.
#[cfg(feature = "tls")]
static CONNECTOR: std::sync::LazyLock<openssl::ssl::SslConnector> = std::sync::LazyLock::new(|| {
    let mut connector = openssl::ssl::SslConnector::builder(openssl::ssl::SslMethod::tls_client()).unwrap();
    connector.set_verify(openssl::ssl::SslVerifyMode::NONE);
    connector.build()
});

#[cfg(feature = "tls")]
pub(crate) fn secured(stream: TcpStream, tls: bool) -> io::Result<Box<dyn Wire>> {
    if !tls {
        return Ok(Box::new(stream));
    }
    Ok(Box::new(CONNECTOR.connect("localhost", stream).map_err(io::Error::other)?))
}

#[cfg(not(feature = "tls"))]
pub(crate) fn secured(stream: TcpStream, _: bool) -> io::Result<Box<dyn Wire>> {
    Ok(Box::new(stream))
}

pub(crate) fn upgrade(wire: &mut dyn Wire) -> io::Result<()> {
    wire.write_all(HANDSHAKE)?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        wire.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    if head.starts_with(b"HTTP/1.1 101 ") { Ok(()) } else { Err(io::Error::other(head.escape_ascii().to_string())) }
}

fn hear(wire: &mut dyn Wire, expected: &[u8]) -> io::Result<()> {
    let mut heard = vec![0; expected.len()];
    wire.read_exact(&mut heard)?;
    if heard == expected { Ok(()) } else { Err(io::Error::other(heard.escape_ascii().to_string())) }
}

/// What a guest reads and writes without waiting: it is told what is not there yet.
#[derive(Debug)]
struct Ready(Arc<tokio::net::TcpStream>);

impl Read for Ready {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(into)
    }
}

impl Write for Ready {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        self.0.try_write(from)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// One of many who wait in one thread.
struct Guest {
    stream: Arc<tokio::net::TcpStream>,
    wire: Box<dyn Wire>,
}

impl Guest {
    /// Comes in, and is upgraded.
    async fn new(address: SocketAddr, tls: bool) -> Self {
        let stream = Arc::new(tokio::net::TcpStream::connect(address).await.unwrap());
        stream.set_nodelay(true).unwrap();
        let wire = Self::secured(&stream, tls).await;
        let mut guest = Self { stream, wire };
        guest.says(HANDSHAKE);
        let mut head = Vec::new();
        // Nothing comes behind it.
        while !head.ends_with(b"\r\n\r\n") {
            let mut some = [0; 1024];
            let read = guest.hears(&mut some).await;
            assert!(read > 0, "the end in place of a 101");
            head.extend_from_slice(&some[..read]);
        }
        assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", head.escape_ascii());
        guest
    }

    #[cfg(feature = "tls")]
    async fn secured(stream: &Arc<tokio::net::TcpStream>, tls: bool) -> Box<dyn Wire> {
        if !tls {
            return Box::new(Ready(stream.clone()));
        }
        let mut shaken = CONNECTOR.connect("localhost", Ready(stream.clone()));
        loop {
            match shaken {
                Ok(wire) => return Box::new(wire),
                Err(openssl::ssl::HandshakeError::WouldBlock(half)) => {
                    stream.readable().await.unwrap();
                    shaken = half.handshake();
                }
                Err(error) => panic!("{error}"),
            }
        }
    }

    #[cfg(not(feature = "tls"))]
    async fn secured(stream: &Arc<tokio::net::TcpStream>, _: bool) -> Box<dyn Wire> {
        Box::new(Ready(stream.clone()))
    }

    /// What a socket that has been read to its end always takes.
    fn says(&mut self, bytes: &[u8]) {
        self.wire.write_all(bytes).unwrap();
    }

    async fn hears(&mut self, into: &mut [u8]) -> usize {
        loop {
            match self.wire.read(into) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.stream.readable().await.unwrap(),
                read => return read.unwrap(),
            }
        }
    }

    async fn hears_all(&mut self, mut into: &mut [u8]) {
        while !into.is_empty() {
            let read = self.hears(into).await;
            assert!(read > 0, "the end");
            into = &mut into[read..];
        }
    }
}

/// Says `ready` when all are in; then, how long after the first the last was told to go, and how many were within the same 50 ms at most.
fn guests(address: SocketAddr, clients: usize, tls: bool) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let coming: Vec<_> = (0..THREADS)
            .map(|first| {
                tokio::task::spawn_local(async move {
                    let mut guests = Vec::new();
                    for _ in (first..clients).step_by(THREADS) {
                        guests.push(Guest::new(address, tls).await);
                    }
                    guests
                })
            })
            .collect();
        let mut guests = Vec::new();
        for some in coming {
            guests.extend(some.await.unwrap());
        }
        println!("ready");
        let (tell, told) = channel();
        let leaving: Vec<_> = guests
            .into_iter()
            .map(|mut guest| {
                let tell = tell.clone();
                tokio::task::spawn_local(async move {
                    let mut head = [0; 4];
                    // AutoPing may come before, every 20 s.
                    loop {
                        guest.hears_all(&mut head[..2]).await;
                        if head[0] == 0x88 {
                            break;
                        }
                        let mut ping = vec![0; head[1].into()];
                        guest.hears_all(&mut ping).await;
                        guest.says(&[&[0x8a, 0x80 | head[1], 0, 0, 0, 0], &ping[..]].concat());
                    }
                    guest.hears_all(&mut head[2..]).await;
                    tell.send(Instant::now()).unwrap();
                    assert_eq!(head[2..], 1001_u16.to_be_bytes());
                    let mut reason = vec![0; usize::from(head[1]) - 2];
                    guest.hears_all(&mut reason).await;
                    guest.says(b"\x88\x82\0\0\0\0\x03\xe9");
                    assert_eq!(guest.hears(&mut head).await, 0, "FIN");
                })
            })
            .collect();
        for guest in leaving {
            guest.await.unwrap();
        }
        let told: Vec<_> = told.try_iter().collect();
        let first = told.iter().min().copied().unwrap();
        let mut bins = std::collections::BTreeMap::<_, usize>::new();
        for told in &told {
            *bins.entry((*told - first).as_millis() / 50).or_default() += 1;
        }
        let (over, most) = ((*told.iter().max().unwrap() - first).as_millis(), bins.values().max().unwrap());
        println!("told over {over} ms, {most} at most within fifty");
    });
}
