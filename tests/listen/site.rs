//! A server in a system of its own, and raw clients.

use std::fmt::Write as _;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::channel;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use actix::prelude::*;
use actix_sockets::{
    At, Bind, BindError, Bound, Connect, Frame, GetStats, HttpRequest, HttpResponse, Listener, Received, Responder, Settings, Sockets,
    Stats, UpgradeServer, handshake, http,
};

/// How long what must come may take: far more than it ever does.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The opening handshake of RFC 6455 §1.2.
pub(crate) const HANDSHAKE: &str = "GET /chat HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

/// What a connection travels over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Over {
    Clear,
    #[cfg(feature = "tls")]
    Tls,
}

pub(crate) fn over_each(test: impl Fn(Over)) {
    test(Over::Clear);
    #[cfg(feature = "tls")]
    test(Over::Tls);
}

#[cfg(feature = "tls")]
pub(crate) mod identity {
    use std::sync::LazyLock;

    use crate::authority::{Authority, Signed};

    pub(crate) static OURS: LazyLock<(Authority, Signed)> = LazyLock::new(|| {
        let authority = Authority::new("ours");
        let signed = authority.signs(&["localhost", "127.0.0.1"]);
        (authority, signed)
    });
}

impl Over {
    pub(crate) fn dress(self, bind: Bind) -> Bind {
        match self {
            Self::Clear => bind,
            #[cfg(feature = "tls")]
            Self::Tls => bind.tls(actix_sockets::tls::Server::builder(identity::OURS.1.identity()).build().unwrap()),
        }
    }

    /// A client of ours.
    pub(crate) fn dress_client(self, connect: Connect) -> Connect {
        match self {
            Self::Clear => connect,
            #[cfg(feature = "tls")]
            Self::Tls => connect.tls(actix_sockets::tls::Client::builder().authorities(identity::OURS.0.trusted()).build().unwrap()),
        }
    }

    /// The server's side, with its handshake; `None` if that fails.
    #[cfg(feature = "tls")]
    pub(crate) fn server(self, stream: TcpStream) -> Option<Box<dyn Wire>> {
        use openssl::pkey::PKey;
        use openssl::ssl::{SslAcceptor, SslMethod};
        use openssl::x509::X509;
        if self == Self::Clear {
            return Some(Box::new(stream));
        }
        let signed = &identity::OURS.1;
        let mut chain = X509::stack_from_pem(&signed.chain_pem()).unwrap();
        let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).unwrap();
        acceptor.set_certificate(&chain.remove(0)).unwrap();
        acceptor.set_private_key(&PKey::private_key_from_pem(&signed.key_pem()).unwrap()).unwrap();
        Some(Box::new(acceptor.build().accept(stream).ok()?))
    }

    /// The client's side, with its handshake.
    pub(crate) fn client(self, stream: TcpStream) -> io::Result<Box<dyn Wire>> {
        match self {
            Self::Clear => Ok(Box::new(stream)),
            #[cfg(feature = "tls")]
            Self::Tls => {
                use openssl::ssl::{SslConnector, SslMethod, SslVerifyMode};
                // Made once: it reads the system's authorities.
                static CONNECTOR: std::sync::LazyLock<SslConnector> = std::sync::LazyLock::new(|| {
                    let mut connector = SslConnector::builder(SslMethod::tls_client()).unwrap();
                    connector.set_verify(SslVerifyMode::NONE);
                    connector.build()
                });
                let sealed = CONNECTOR.connect("localhost", stream).map_err(|error| io::Error::other(error.to_string()))?;
                Ok(Box::new(sealed))
            }
        }
    }
}

pub(crate) trait Wire: Read + Write + Send {}

impl<T: Read + Write + Send> Wire for T {}

/// Its paths say what it does: see [`Guest`]'s handler of requests.
pub(crate) struct Guest;

impl Actor for Guest {
    type Context = Context<Self>;
}

impl Handler<Received<HttpRequest>> for Guest {
    type Result = ();

    fn handle(&mut self, Received { message, sender }: Received<HttpRequest>, ctx: &mut Context<Self>) {
        match message.path() {
            "/who" => {
                let text = who(&message, &sender);
                sender.do_send(HttpResponse::ok(text));
            }
            "/never" => std::mem::forget(sender),
            "/dies" => {
                std::mem::forget(sender);
                ctx.stop();
            }
            "/panics" => {
                std::mem::forget(sender);
                panic!("as it was asked to");
            }
            "/stops-its-arbiter" => {
                std::mem::forget(sender);
                Arbiter::current().stop();
            }
            "/chat" => match handshake::accept(&message) {
                Ok(response) => sender.do_send(UpgradeServer::new(response, ctx)),
                Err(refusal) => sender.do_send(refusal.into_response()),
            },
            _ => sender.do_send(HttpResponse::ok("hello")),
        }
    }
}

fn who(request: &HttpRequest, sender: &Responder) -> String {
    let mut text = format!("from {} thread {:?} secure {}", sender.remote(), std::thread::current().id(), request.secure);
    if let Some(proxied) = sender.proxied() {
        write!(text, " by {} for {:?}", proxied.by, proxied.header.authority()).unwrap();
    }
    text
}

impl Handler<Received<Frame>> for Guest {
    type Result = ();

    fn handle(&mut self, Received { message: frame, sender }: Received<Frame>, ctx: &mut Context<Self>) {
        match frame.as_text() {
            Some("panic") => panic!("as it was asked to"),
            Some("die") => ctx.stop(),
            _ if frame.opcode.is_data() => sender.do_send(frame),
            _ => {}
        }
    }
}

/// A system that runs a listener.
pub(crate) struct Site {
    pub(crate) bound: Bound,
    pub(crate) over: Over,
    pub(crate) system: System,
    thread: Option<JoinHandle<()>>,
}

impl Site {
    pub(crate) fn up(over: Over, dress: impl FnOnce(Bind) -> Bind + Send + 'static) -> Self {
        Self::at("127.0.0.1:0", over, dress)
    }

    pub(crate) fn at(at: impl Into<At> + Send + 'static, over: Over, dress: impl FnOnce(Bind) -> Bind + Send + 'static) -> Self {
        Self::tried(at, over, dress).unwrap()
    }

    pub(crate) fn tried(
        at: impl Into<At> + Send + 'static,
        over: Over,
        dress: impl FnOnce(Bind) -> Bind + Send + 'static,
    ) -> Result<Self, BindError> {
        let (tell, told) = channel();
        let thread = std::thread::spawn(move || {
            let system = System::new();
            let bound = system.block_on(async {
                let bind = over.dress(dress(Bind::factory(|| Guest, at).workers(1).settings(hasty())));
                Sockets::from_registry().send(bind).await.unwrap()
            });
            let is_up = bound.is_ok();
            tell.send((bound, System::current())).unwrap();
            if is_up {
                system.run().unwrap();
            }
        });
        let (bound, system) = told.recv_timeout(PATIENCE).unwrap();
        Ok(Self { bound: bound?, over, system, thread: Some(thread) })
    }

    pub(crate) fn listener(&self) -> Addr<Listener> {
        self.bound.listener.clone()
    }

    pub(crate) fn stats(&self) -> Stats {
        wait(self.listener().send(GetStats::all())).unwrap()
    }

    /// The first statistics that are as they should be.
    #[track_caller]
    pub(crate) fn stats_when(&self, what: &str, are: impl Fn(&Stats) -> bool) -> Stats {
        let until = Instant::now() + PATIENCE;
        loop {
            let stats = self.stats();
            if are(&stats) {
                return stats;
            }
            assert!(Instant::now() < until, "{what}: {stats:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(self.over.client(tcp(self.bound.address)).unwrap())
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.system.stop();
        if let Some(thread) = self.thread.take()
            && !std::thread::panicking()
        {
            thread.join().unwrap();
        }
    }
}

/// Requests that are never answered wait a moment only.
pub(crate) fn hasty() -> Settings {
    let hasty = http::Settings::new().request_timeout(Duration::from_millis(300)).timeout_timeout(Duration::from_millis(100));
    Settings::new().http(hasty)
}

pub(crate) fn tcp(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&address, PATIENCE).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// The future's output, on this thread.
pub(crate) fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap()
        .block_on(async { tokio::time::timeout(PATIENCE, future).await.expect("it is answered in time") })
}

/// A raw client.
pub(crate) struct Client {
    wire: Box<dyn Wire>,
    heard: Vec<u8>,
}

impl Client {
    pub(crate) fn new(wire: Box<dyn Wire>) -> Self {
        Self { wire, heard: Vec::new() }
    }

    pub(crate) fn says(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.wire.write_all(bytes.as_ref()).and_then(|()| self.wire.flush()).unwrap();
        self
    }

    pub(crate) fn asks(&mut self, path: &str) -> &mut Self {
        self.says(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"))
    }

    /// A websocket from now on.
    pub(crate) fn upgrades(&mut self) -> &mut Self {
        self.says(HANDSHAKE);
        let head = self.hears_up_to(b"\r\n\r\n");
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        self
    }

    /// A short text, masked with zeros.
    pub(crate) fn says_text(&mut self, text: &str) -> &mut Self {
        let frame = [&[0x81, 0x80 | text.len() as u8, 0, 0, 0, 0][..], text.as_bytes()].concat();
        self.says(frame)
    }

    /// A short text's echo.
    pub(crate) fn hears_text(&mut self, text: &str) -> &mut Self {
        self.hears_up_to(&[&[0x81, text.len() as u8][..], text.as_bytes()].concat());
        self
    }

    pub(crate) fn says_close(&mut self, code: u16) -> &mut Self {
        self.says([&[0x88, 0x82, 0, 0, 0, 0][..], &code.to_be_bytes()].concat())
    }

    #[track_caller]
    pub(crate) fn hears_up_to(&mut self, end: &[u8]) -> String {
        loop {
            if let Some(at) = self.heard.windows(end.len()).position(|window| window == end) {
                let heard: Vec<u8> = self.heard.drain(..at + end.len()).collect();
                return String::from_utf8_lossy(&heard).into_owned();
            }
            match self.read() {
                Ok(1..) => {}
                other => {
                    panic!("{other:?} in place of {:?}, behind {:?}", end.escape_ascii().to_string(), self.heard.escape_ascii().to_string())
                }
            }
        }
    }

    fn read(&mut self) -> io::Result<usize> {
        let mut some = [0; 4096];
        let n = self.wire.read(&mut some)?;
        self.heard.extend_from_slice(&some[..n]);
        Ok(n)
    }

    /// The content of a 200.
    #[track_caller]
    pub(crate) fn hears_content(&mut self) -> String {
        let head = self.hears_up_to(b"\r\n\r\n");
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        let length: usize = head.split("content-length: ").nth(1).unwrap().split("\r\n").next().unwrap().parse().unwrap();
        while self.heard.len() < length {
            assert!(self.read().unwrap() > 0, "the end within the content");
        }
        String::from_utf8(self.heard.drain(..length).collect()).unwrap()
    }

    /// What comes before the end, however that comes.
    #[track_caller]
    pub(crate) fn hears_the_end(&mut self) -> String {
        loop {
            match self.read() {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => panic!("no end comes"),
                Err(_) => break,
            }
        }
        String::from_utf8_lossy(&std::mem::take(&mut self.heard)).into_owned()
    }
}

impl Client {
    /// The content of the answer, if there is one.
    pub(crate) fn asks_and_hears(mut self, path: &str) -> Option<String> {
        write!(self.wire, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").ok()?;
        let mut answer = String::new();
        self.wire.read_to_string(&mut answer).ok()?;
        answer.split_once("\r\n\r\n").map(|(_, content)| content.to_owned())
    }
}
