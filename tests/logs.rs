//! What ends a connection is logged, and the line says which limit it was (T12, T16).
//!
//! What a peer does is told at `DEBUG`: it can do it as often as it likes. What our own side fails in is a `WARN` or an `ERROR`.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::fmt::{Debug, Write as _};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::time::{Duration, Instant};

use actix::prelude::*;
use actix_sockets::{
    Bind, Connected, Frame, Guard, HttpRequest, HttpResponse, Received, Register, Responder, Server, Settings, Sockets, UpgradeServer,
    WebSocketSettings, WebSockets, handshake, http as protocol,
};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

#[cfg(feature = "tls")]
#[allow(dead_code, reason = "others use more of it")]
#[path = "tls/authority.rs"]
mod authority;

const PATIENCE: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(200);
const LONG: Duration = Duration::from_secs(3600);

const HANDSHAKE: &str = "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
const GET: &str = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

// ── the log ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

/// What has been logged: level, message, fields.
static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());
/// One test at a time: the log is everybody's.
static TURN: Mutex<()> = Mutex::new(());

struct Log;

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("actix_sockets") && *metadata.level() <= Level::DEBUG
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        struct Line(String);
        impl Visit for Line {
            fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
                let name = if field.name() == "message" { String::new() } else { format!("{}=", field.name()) };
                write!(self.0, " {name}{value:?}").unwrap();
            }
        }
        let mut line = Line(event.metadata().level().to_string());
        event.record(&mut line);
        LINES.lock().unwrap_or_else(PoisonError::into_inner).push(line.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// When the test at work began.
static BEGAN: Mutex<Option<Instant>> = Mutex::new(None);

/// An empty log, and nobody else who writes into it.
fn log() -> MutexGuard<'static, ()> {
    static SET: Once = Once::new();
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    SET.call_once(|| tracing::subscriber::set_global_default(Log).unwrap());
    LINES.lock().unwrap_or_else(PoisonError::into_inner).clear();
    *BEGAN.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    turn
}

/// Waits for a line of this level that has all these words.
#[track_caller]
fn logs(level: Level, words: &[&str]) {
    let until = Instant::now() + PATIENCE;
    loop {
        let lines = LINES.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(line) = lines.iter().find(|line| words.iter().all(|word| line.contains(word))) {
            assert!(line.starts_with(level.as_str()), "{level}: {line}");
            let after = BEGAN.lock().unwrap_or_else(PoisonError::into_inner).map(|began| began.elapsed());
            return println!("{line}: {after:?} after the beginning; deadlines here are {SHORT:?}");
        }
        assert!(Instant::now() < until, "none with {words:?} among {lines:#?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

// ── the server ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────

struct Site {
    address: SocketAddr,
    system: System,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Site {
    fn up(bind: impl FnOnce() -> Bind + Send + 'static) -> Self {
        let (up, is_up) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runner = System::new();
            let bound = runner.block_on(async { Sockets::from_registry().send(bind()).await.unwrap().unwrap() });
            up.send((bound.address, System::current())).unwrap();
            runner.run().unwrap();
        });
        let (address, system) = is_up.recv_timeout(PATIENCE).unwrap();
        Self { address, system, thread: Some(thread) }
    }

    /// An echo of websockets, with these settings.
    fn echo(settings: Settings) -> Self {
        Self::up(move || {
            let echo = WebSockets::handled_by(|| Echo);
            Bind::factory(move || echo.clone(), "127.0.0.1:0").workers(1).settings(settings)
        })
    }

    /// Requests are handled by this.
    fn answering(settings: Settings, answer: fn(HttpRequest, Responder, &mut Context<Answering>)) -> Self {
        Self::up(move || Bind::factory(move || Answering(answer), "127.0.0.1:0").workers(1).settings(settings))
    }

    /// A connection that has said this.
    fn says(&self, bytes: impl AsRef<[u8]>) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(bytes.as_ref()).unwrap();
        stream
    }

    /// A websocket.
    fn upgraded(&self) -> TcpStream {
        let mut stream = self.says(HANDSHAKE);
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", head.escape_ascii());
        stream
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.system.stop();
        let _ = self.thread.take().map(std::thread::JoinHandle::join);
    }
}

struct Echo;

impl Actor for Echo {
    type Context = Context<Self>;
}

impl Handler<Received<Frame>> for Echo {
    type Result = ();
    fn handle(&mut self, Received { message, sender }: Received<Frame>, ctx: &mut Context<Self>) {
        match message.as_text() {
            Some("stop") => ctx.stop(),
            // More than the peer's window and the buffers in between.
            Some("flood") => (0..64).for_each(|_| sender.do_send(Frame::binary(vec![0; 1 << 20]))),
            Some("much") => sender.do_send(Frame::binary(vec![0; 16 << 20])),
            _ => sender.do_send(message),
        }
    }
}

struct Answering(fn(HttpRequest, Responder, &mut Context<Self>));

impl Actor for Answering {
    type Context = Context<Self>;
}

impl Handler<Received<HttpRequest>> for Answering {
    type Result = ();
    fn handle(&mut self, Received { message, sender }: Received<HttpRequest>, ctx: &mut Context<Self>) {
        (self.0)(message, sender, ctx);
    }
}

fn http(adjust: impl FnOnce(protocol::Settings) -> protocol::Settings) -> Settings {
    Settings::new().http(adjust(protocol::Settings::new()))
}

fn websocket(adjust: impl FnOnce(WebSocketSettings) -> WebSocketSettings) -> Settings {
    Settings::new().websocket(adjust(WebSocketSettings::new()))
}

// ── the peer's doing ────────────────────────────────────────────────────────────────────────────────────────────────────────────

/// B29: which bytes it was, where that is asked for; of a head, and of content.
#[test]
fn b29_what_breaks_a_rule_may_be_told() {
    let chunked = "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (says, error, received) in [
        ("GET / HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n".to_owned(), "malformed field line", r"GET / HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n"),
        (format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\nY : z\r\n\r\n", "x".repeat(300)), "malformed field line", "xxx"),
        (format!("{chunked}1\r\na\r\n-1\r\nb\r\n"), "invalid chunk-size", r"-1\r\nb\r\n"),
    ] {
        for verbose in [true, false] {
            let _turn = log();
            let site = Site::echo(http(|http| http.verbose_error_logging(verbose)));
            let _peer = site.says(&says);
            logs(Level::DEBUG, &["request refused", error]);
            let lines = LINES.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let line = lines.iter().find(|line| line.contains("request refused")).unwrap();
            assert_eq!((line.contains("received="), line.contains(received)), (verbose, verbose), "{line}");
            assert!(line.len() < 400, "no more than 256 bytes: {line}");
        }
    }
}

#[test]
fn t12_a_slow_head() {
    let _turn = log();
    let site = Site::echo(http(|http| http.head_timeout(SHORT)));
    let _peer = site.says("GET / HT");
    logs(Level::DEBUG, &["connection=", "head was not complete in time"]);
}

#[test]
fn t12_slow_content() {
    let _turn = log();
    let site = Site::echo(http(|http| http.content_rate(1000).content_grace(SHORT)));
    let _peer = site.says("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nabc");
    logs(Level::DEBUG, &["connection=", "content came too slowly"]);
}

#[test]
fn t12_a_connection_that_never_says_anything() {
    let _turn = log();
    let site = Site::echo(http(|http| http.idle_timeout(SHORT)));
    let _peer = site.says("");
    logs(Level::DEBUG, &["idle", "200ms"]);
}

#[test]
fn t12_a_slow_reader_of_a_response() {
    let _turn = log();
    let site = Site::answering(http(|http| http.write_stall(SHORT)), |_, responder, _| {
        responder.do_send(HttpResponse::ok(vec![0; 16 << 20]));
    });
    let _peer = site.says(GET);
    logs(Level::DEBUG, &["connection=", "the peer takes no bytes"]);
}

#[cfg(feature = "tls")]
#[test]
fn t12_a_slow_tls_hello() {
    let _turn = log();
    let site = Site::up(|| {
        let identity = authority::Authority::new("ours").signs(&["localhost"]).identity();
        let tls = actix_sockets::tls::Server::builder(identity).build().unwrap();
        let bind = Bind::factory(|| WebSockets::handled_by(|| Echo), "127.0.0.1:0").workers(1).tls(tls);
        bind.settings(Settings::new().tls_handshake_timeout(SHORT))
    });
    let _peer = site.says(b"\x16\x03\x01\x02\x00\x01");
    logs(Level::WARN, &["connection=", "TLS handshake was not complete in time"]);
}

/// Whoever can connect can do it as often as it likes: it is told once a second at most, with how many there were.
#[test]
fn what_is_no_proxys_connection() {
    let _turn = log();
    let proxy = actix_sockets::proxy::ProxyProtocol::required();
    let site = Site::up(|| Bind::factory(|| WebSockets::handled_by(|| Echo), "127.0.0.1:0").workers(1).proxy_protocol(proxy));
    let began = Instant::now();
    for _ in 0..20 {
        let mut peer = site.says(GET);
        assert!(!matches!(peer.read(&mut [0]), Ok(1..)), "nothing but the end");
    }
    logs(
        Level::WARN,
        &["closed at once", "it does not begin as the proxy's should", "no PROXY header where there must be one", "refused=1"],
    );
    let lines = LINES.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let told = lines.iter().filter(|line| line.contains("as the proxy's should")).count() as u64;
    assert!(told <= 1 + began.elapsed().as_secs() && told < 20, "{told} lines");
}

#[test]
fn t12_a_silent_websocket() {
    let _turn = log();
    let site = Site::echo(websocket(|websocket| websocket.ping_every(Some(SHORT))));
    let _peer = site.upgraded();
    logs(Level::DEBUG, &["socket=", "the websocket is closed", "code=1011", "clean=false"]);
}

/// It takes no bytes, or fewer than are sent.
#[test]
fn t12_a_slow_reader_of_a_websocket() {
    for (says, settings, why) in [
        (&b"\x81\x84\0\0\0\0much"[..], websocket(|websocket| websocket.write_stall(SHORT)), "output without progress"),
        (&b"\x81\x85\0\0\0\0flood"[..], websocket(|websocket| websocket), "too much is unsent"),
    ] {
        let _turn = log();
        let site = Site::echo(settings);
        let mut peer = site.upgraded();
        peer.write_all(says).unwrap();
        logs(Level::DEBUG, &["socket=", "the websocket is closed", why]);
    }
}

#[test]
fn t12_a_message_that_does_not_end() {
    let _turn = log();
    let site = Site::echo(websocket(|websocket| websocket.message_timeout(SHORT)));
    let mut peer = site.upgraded();
    peer.write_all(b"\x01\x81\0\0\0\0a").unwrap();
    logs(Level::DEBUG, &["socket=", "the websocket is closed", "code=1008"]);
}

/// We have closed, and it does not answer.
#[test]
fn t12_a_half_open_websocket() {
    let _turn = log();
    let site = Site::up(|| {
        let echo = WebSockets::handled_by(|| Echo).upgrading(|upgrade| upgrade.also(ClosesAtOnce));
        let settings = websocket(|websocket| websocket.closing_timeout(SHORT));
        Bind::factory(move || echo.clone(), "127.0.0.1:0").workers(1).settings(settings)
    });
    let mut peer = site.upgraded();
    peer.write_all(b"\x81\x81\0\0\0\0a").unwrap();
    logs(Level::DEBUG, &["socket=", "the websocket is closed", "code=1000", "by=Us", "clean=false"]);
}

/// Closes with the first frame.
#[derive(Debug)]
struct ClosesAtOnce;

impl actix_sockets::stage::Stage for ClosesAtOnce {
    fn event(&mut self, event: actix_sockets::stage::Event, flow: &mut actix_sockets::stage::Flow<'_>) {
        if let actix_sockets::stage::Event::Frame(_) = event {
            flow.down(actix_sockets::stage::Command::Close(actix_sockets::Close::default()));
        }
        flow.up(event);
    }
}

#[test]
fn t12_a_broken_rule_and_an_ordinary_end() {
    for (says, words) in [
        (&b"\x81\x01a"[..], ["code=1002", "unmasked", "clean=false"]),
        (&b"\x88\x82\0\0\0\0\x0f\xa0"[..], ["code=4000", "by=Peer", "clean=true"]),
    ] {
        let _turn = log();
        let site = Site::echo(Settings::new());
        let mut peer = site.upgraded();
        peer.write_all(says).unwrap();
        logs(Level::DEBUG, &[&["socket=", "the websocket is closed"][..], &words].concat());
    }
}

// ── our own side's ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

struct NeverRegisters;

impl Actor for NeverRegisters {
    type Context = Context<Self>;
}

impl Handler<Received<Connected>> for NeverRegisters {
    type Result = ();
    fn handle(&mut self, Received { sender, .. }: Received<Connected>, _: &mut Context<Self>) {
        std::mem::forget(sender);
    }
}

#[test]
fn t12_a_handler_that_is_never_registered() {
    let _turn = log();
    let settings = Settings::new().registration_timeout(SHORT);
    let site = Site::up(move || Bind::new(NeverRegisters.start(), "127.0.0.1:0").settings(settings));
    let mut peer = site.says(GET);
    logs(Level::WARN, &["connection=", "no handler was registered in time"]);
    assert!(!matches!(peer.read(&mut [0]), Ok(1..)), "nothing but the end");
}

#[test]
fn t12_a_handler_that_does_not_answer() {
    let _turn = log();
    let site = Site::answering(http(|http| http.request_timeout(SHORT)), |_, responder, _| std::mem::forget(responder));
    let _peer = site.says(GET);
    logs(Level::WARN, &["connection=", "request=", "not answered in time"]);
}

#[test]
fn t12_a_guard_that_does_not_decide() {
    let never = || Guard::new(|_| std::future::pending::<Result<(), HttpResponse>>());
    for (guard, timeout) in [(never().within(SHORT), LONG), (never(), SHORT)] {
        let _turn = log();
        let site = Site::echo(http(|http| http.request_timeout(timeout).idle_timeout(2 * LONG)).guard(guard));
        let _peer = site.says(GET);
        logs(Level::WARN, &["a guard has not decided in time"]);
    }
}

#[test]
fn d11_a_frame_handler_that_is_gone() {
    let _turn = log();
    let site = Site::echo(Settings::new());
    let mut peer = site.upgraded();
    peer.write_all(b"\x81\x84\0\0\0\0stop").unwrap();
    logs(Level::WARN, &["socket=", "the frame handler is gone"]);
    logs(Level::DEBUG, &["socket=", "the websocket is closed", "code=1011"]);
}

/// Upgrade messages that come to nothing.
#[test]
fn t16_upgrades_that_come_to_nothing() {
    fn late(request: HttpRequest, responder: Responder, ctx: &mut Context<Answering>) {
        ctx.run_later(SHORT, move |_, _| {
            responder.do_send(UpgradeServer::factory(handshake::accept(&request).unwrap(), || Echo));
        });
    }
    fn not_asked(_: HttpRequest, responder: Responder, _: &mut Context<Answering>) {
        let asked = handshake::request(&handshake::Target::parse("ws://localhost/").unwrap(), [1; 16]);
        responder.do_send(UpgradeServer::factory(handshake::accept(&asked).unwrap(), || Echo));
    }
    {
        let _turn = log();
        let site = Site::answering(Settings::new(), not_asked);
        let _peer = site.says(GET);
        logs(Level::ERROR, &["connection=", "an upgrade message that does not fit its request"]);
    }
    {
        // Its time is over: it was a 500.
        let _turn = log();
        let site = Site::answering(http(|http| http.request_timeout(SHORT / 4).timeout_timeout(Duration::ZERO)), late);
        let _peer = site.says(HANDSHAKE);
        logs(Level::DEBUG, &["connection=", "an answer came too late"]);
    }
    {
        // The peer is gone.
        let _turn = log();
        let site = Site::answering(Settings::new(), late);
        let peer = site.says(HANDSHAKE);
        std::thread::sleep(SHORT / 4);
        socket2::SockRef::from(&peer).set_linger(Some(Duration::ZERO)).unwrap();
        drop(peer);
        logs(Level::DEBUG, &["an answer came after the connection's end"]);
    }
}

struct Registers;

impl Actor for Registers {
    type Context = Context<Self>;
}

impl Handler<Received<Connected>> for Registers {
    type Result = ();
    fn handle(&mut self, Received { sender, .. }: Received<Connected>, ctx: &mut Context<Self>) {
        sender.do_send(Register::new(&mut *ctx));
        ctx.stop();
    }
}

impl Handler<Received<HttpRequest>> for Registers {
    type Result = ();
    fn handle(&mut self, _: Received<HttpRequest>, _: &mut Context<Self>) {}
}

#[test]
fn b37_an_http_handler_that_is_gone() {
    let _turn = log();
    let site = Site::up(|| Bind::new(Registers.start(), "127.0.0.1:0"));
    let _peer = site.says("");
    logs(Level::WARN, &["connection=", "the handler is gone"]);
}

/// What a function says that is a handler, or a fast path, when it panics.
#[test]
fn a_function_that_panics() {
    for fast in [false, true] {
        let _turn = log();
        let site = Site::up(move || {
            let register = move || {
                let register = Register::answering(|_, _| panic!("a mistake of a program"));
                if fast { register.fast_path(|_| panic!("a mistake of a program")) } else { register }
            };
            Bind::registering(register, "127.0.0.1:0").workers(1)
        });
        let mut peer = site.says(GET);
        logs(Level::ERROR, &["connection=", "request=0", "panic=\"a mistake of a program\"", "the connection closes"]);
        let mut heard = String::new();
        peer.read_to_string(&mut heard).unwrap();
        assert!(heard.starts_with("HTTP/1.1 500 "), "{heard}");
    }
}

/// Setters of a `Server` that say too late what concerns its sockets.
#[test]
fn what_comes_too_late_for_a_socket() {
    let _turn = log();
    let server = Server::answering(|_, responder| responder.do_send(HttpResponse::ok("hello"))).without_signals().workers(2);
    let server = server.settings(Settings::new().backlog(7)).bind("127.0.0.1:0").unwrap().settings(Settings::new().backlog(8)).shards();
    System::new().block_on(async { server.run().handle().stop().await });
    logs(Level::WARN, &["come too late for those that listen already"]);
    logs(Level::WARN, &["one door, no shards", "in use"]);
}

/// `close` is heard. Whatever else the field says is not sent, and that is told.
#[test]
fn b22_a_field_that_is_not_the_handlers_business() {
    fn says(_: HttpRequest, responder: Responder, _: &mut Context<Answering>) {
        let value = http::HeaderValue::from_static("keep-alive, x-own");
        responder.do_send(HttpResponse::ok("hello").with_header(http::header::CONNECTION, value));
    }
    let _turn = log();
    let site = Site::answering(Settings::new(), says);
    let _peer = site.says(GET);
    logs(Level::WARN, &["name=connection", "this field is the library's business"]);
}
