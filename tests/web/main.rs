//! actix-web and ours, either way round (`app.rs` has the other), over loopback TCP, against the raw peer of `tests/actors`, which shares no protocol code with the library.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use actix::prelude::*;
use actix_sockets::handshake::{Rules, Target};
use actix_sockets::stage::By;
use actix_sockets::websocket::CloseCode;
use actix_sockets::{Close, Closed, Connect, Drained, Frame, Received, SendError, Socket, Sockets, UpgradeClient, UpgradeServer, Upgraded};
use actix_sockets::{Settings, WebSocketSettings, web};
use actix_web::dev::ServerHandle;
use actix_web::web::{Data, Payload, get};
use actix_web::{App, Error, HttpRequest, HttpResponse, HttpServer};

use peer::{PATIENCE, Peer, binary, close, ping, pong, text};

mod app;
#[cfg(feature = "tls")]
#[allow(dead_code, reason = "others use more of it")]
#[path = "../tls/authority.rs"]
mod authority;
#[allow(dead_code, reason = "others use more of it")]
#[path = "../actors/peer.rs"]
mod peer;
#[cfg(feature = "tls")]
#[allow(dead_code, reason = "others use more of it")]
#[path = "../actors/sealed.rs"]
mod sealed;
#[allow(dead_code, reason = "others use more of it")]
#[path = "../actors/transport.rs"]
mod transport;

/// What a frame handler hears.
#[derive(Debug)]
#[allow(dead_code, reason = "a failure shows it")]
enum Heard {
    Upgraded(Box<Upgraded>, Socket),
    Frame(Frame),
    Drained,
    Closed(Closed),
    Stopped,
}

/// What it does with a frame.
#[derive(Clone, Copy, Default)]
enum Does {
    #[default]
    Echo,
    /// Keeps the sender: the frame stays in hand.
    Keep,
}

/// Tells what it hears, and echoes.
struct Probe {
    tell: Sender<Heard>,
    does: Does,
    kept: Vec<Socket>,
}

impl Probe {
    fn new(tell: &Sender<Heard>, does: Does) -> Self {
        Self { tell: tell.clone(), does, kept: Vec::new() }
    }
}

impl Actor for Probe {
    type Context = Context<Self>;

    fn stopped(&mut self, _: &mut Self::Context) {
        let _ = self.tell.send(Heard::Stopped);
    }
}

impl Handler<Received<Upgraded>> for Probe {
    type Result = ();
    fn handle(&mut self, Received { message, sender }: Received<Upgraded>, _: &mut Self::Context) {
        let _ = self.tell.send(Heard::Upgraded(Box::new(message), sender.clone()));
    }
}

impl Handler<Received<Frame>> for Probe {
    type Result = ();
    fn handle(&mut self, Received { message, sender }: Received<Frame>, _: &mut Self::Context) {
        let _ = self.tell.send(Heard::Frame(message.clone()));
        match self.does {
            Does::Echo => sender.do_send(message),
            Does::Keep => self.kept.push(sender),
        }
    }
}

impl Handler<Received<Drained>> for Probe {
    type Result = ();
    fn handle(&mut self, _: Received<Drained>, _: &mut Self::Context) {
        let _ = self.tell.send(Heard::Drained);
    }
}

impl Handler<Received<Closed>> for Probe {
    type Result = ();
    fn handle(&mut self, Received { message, .. }: Received<Closed>, _: &mut Self::Context) {
        let _ = self.tell.send(Heard::Closed(message));
    }
}

type Tell = Data<std::sync::Mutex<Sender<Heard>>>;
type Answer = Result<HttpResponse, Error>;

fn probe(tell: &Tell, does: Does) -> Probe {
    Probe::new(&tell.lock().unwrap(), does)
}

/// The shortest way.
async fn started(request: HttpRequest, payload: Payload, tell: Tell) -> Answer {
    web::start(probe(&tell, Does::Echo), &request, payload)
}

fn opening(request: &HttpRequest, tell: &Tell, does: Does) -> Result<UpgradeServer<Probe>, Error> {
    let response = Rules::new().protocols(["chat"]).accept(&web::request(request))?;
    let probe = probe(tell, does);
    Ok(UpgradeServer::factory(response, || probe).hears::<Upgraded>().hears::<Drained>().hears::<Closed>())
}

/// With all that is to be heard.
async fn chat(request: HttpRequest, payload: Payload, tell: Tell) -> Answer {
    web::upgrade(opening(&request, &tell, Does::Echo)?, &request, payload)
}

async fn keep(request: HttpRequest, payload: Payload, tell: Tell) -> Answer {
    let limits = WebSocketSettings::new().write_stall(Duration::from_secs(1)).ping_every(None);
    web::upgrade(opening(&request, &tell, Does::Keep)?.settings(limits), &request, payload)
}

/// With compression, where it is built in.
async fn deflated(request: HttpRequest, payload: Payload, tell: Tell) -> Answer {
    let opening = opening(&request, &tell, Does::Echo)?;
    #[cfg(feature = "deflate")]
    let opening = opening.deflate(actix_sockets::Deflate::new());
    web::upgrade(opening, &request, payload)
}

/// A 101 that answers another request.
async fn wrong(request: HttpRequest, payload: Payload, tell: Tell) -> Answer {
    let other = Target::parse("ws://localhost/").unwrap();
    let response = actix_sockets::handshake::accept(&actix_sockets::handshake::request(&other, [7; 16])).unwrap();
    let probe = probe(&tell, Does::Echo);
    web::upgrade(UpgradeServer::factory(response, || probe), &request, payload)
}

/// An answer that is thought better of.
async fn dropped(request: HttpRequest, payload: Payload, tell: Tell) -> Answer {
    drop(web::upgrade(opening(&request, &tell, Does::Echo)?, &request, payload)?);
    Ok(HttpResponse::Gone().body("gone"))
}

/// An actix-web server with one worker.
struct Site {
    address: SocketAddr,
    heard: Receiver<Heard>,
    handle: ServerHandle,
    thread: Option<JoinHandle<()>>,
}

impl Site {
    fn up() -> Self {
        let (tell, heard) = channel();
        let (up, is_up) = channel();
        let thread = thread::spawn(move || {
            System::new().block_on(async {
                let tell = Data::new(std::sync::Mutex::new(tell));
                let server = HttpServer::new(move || {
                    App::new()
                        .app_data(tell.clone())
                        .route("/", get().to(async || "a page"))
                        .route("/deflate", get().to(deflated))
                        .route("/started", get().to(started))
                        .route("/chat", get().to(chat))
                        .route("/keep", get().to(keep))
                        .route("/wrong", get().to(wrong))
                        .route("/dropped", get().to(dropped))
                });
                let server = server.workers(1).disable_signals().bind("127.0.0.1:0").unwrap();
                let address = server.addrs()[0];
                let running = server.run();
                up.send((address, running.handle())).unwrap();
                running.await.unwrap();
            });
        });
        let (address, handle) = is_up.recv_timeout(PATIENCE).unwrap();
        Self { address, heard, handle, thread: Some(thread) }
    }

    fn connection(&self) -> Peer {
        Peer::connect(self.address, transport::Transport::Clear)
    }

    /// A raw client, upgraded.
    fn peer(&self, path: &str) -> Peer {
        let mut peer = self.connection();
        peer.says_bytes(peer::HANDSHAKE.replace("/chat", path)).hears_101();
        peer
    }

    #[track_caller]
    fn next(&self) -> Heard {
        self.heard.recv_timeout(PATIENCE).expect("the handler hears something in time")
    }

    #[track_caller]
    fn upgraded(&self) -> Socket {
        match self.next() {
            Heard::Upgraded(_, socket) => socket,
            other => panic!("{other:?} in place of Upgraded"),
        }
    }

    /// The end, past frames, and that it is the end.
    #[track_caller]
    fn closed(&self) -> Closed {
        let closed = loop {
            match self.next() {
                Heard::Closed(closed) => break closed,
                Heard::Stopped => panic!("stopped before Closed"),
                _ => {}
            }
        };
        let next = self.next();
        assert!(matches!(next, Heard::Stopped), "{next:?}");
        closed
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        drop(self.handle.stop(false));
        if let Some(thread) = self.thread.take()
            && !thread::panicking()
        {
            thread.join().expect("the server ends without a panic");
        }
    }
}

#[test]
fn an_echo_beside_pages() {
    let site = Site::up();
    let mut page = site.connection();
    page.says_bytes("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").hears_response(200, "a page");
    let mut peer = site.peer("/started");
    peer.says(text("hello")).hears(text("hello"));
    peer.says(binary(vec![7; 300_000])).hears(binary(vec![7; 300_000]));
    peer.says(text("frag").more()).says(peer::continuation("ments")).hears(text("fragments"));
    peer.says(ping("are you there?")).hears(pong("are you there?"));
    peer.says(close(1000, "bye"));
    assert_eq!(peer.hears_close(1000), "");
    peer.hears_the_end();
}

#[test]
fn a_handler_hears_all_that_it_would_elsewhere() {
    let site = Site::up();
    let mut peer = site.connection();
    let asks = peer::HANDSHAKE.replace("/chat", "/chat?room=1").replace("\r\n\r\n", "\r\nSec-WebSocket-Protocol: x, chat\r\n\r\n");
    peer.says_bytes(asks);
    let head = peer.hears_head();
    assert!(head.to_lowercase().contains("\r\nsec-websocket-protocol: chat\r\n"), "{head}");
    for not in ["content-length", "transfer-encoding", "content-type"] {
        assert!(!head.to_lowercase().contains(not), "{head}");
    }
    let Heard::Upgraded(upgraded, socket) = site.next() else { panic!("Upgraded comes first") };
    assert_eq!((upgraded.request.path(), upgraded.request.uri.query()), ("/chat", Some("room=1")));
    assert_eq!(upgraded.request.header("host"), Some("localhost"));
    assert_eq!(upgraded.remote, peer.tcp().local_addr().unwrap());
    assert_eq!(upgraded.protocol.as_deref(), Some("chat"));
    // From another thread.
    socket.do_send(Frame::text("the server speaks first"));
    peer.hears(text("the server speaks first"));
    peer.says(close(4000, "enough"));
    peer.hears_close(4000);
    peer.hears_the_end();
    let closed = site.closed();
    assert_eq!((closed.code, &*closed.reason, closed.by, closed.clean), (CloseCode::from(4000), "enough", By::Peer, true));
}

#[test]
fn frames_in_the_same_packet_as_the_handshake() {
    let site = Site::up();
    let mut peer = site.connection();
    let mut asks = peer::HANDSHAKE.as_bytes().to_vec();
    asks.extend(text("early").bytes(Some([1, 2, 3, 4])));
    peer.says_bytes(asks).hears_101();
    peer.hears(text("early"));
}

#[test]
fn we_close_and_the_peer_answers() {
    let site = Site::up();
    let mut peer = site.peer("/chat");
    site.upgraded().do_send(Close::new(CloseCode::GOING_AWAY, "so long"));
    assert_eq!(peer.hears_close(1001), "so long");
    peer.says(close(1001, "")).hears_the_end();
    let closed = site.closed();
    assert_eq!((closed.code, closed.by, closed.clean), (CloseCode::GOING_AWAY, By::Us, true));
}

#[test]
fn a_broken_rule_is_told_before_the_end() {
    let site = Site::up();
    let mut peer = site.peer("/chat");
    peer.says_bytes(text("unmasked").bytes(None));
    peer.hears_close(1002);
    peer.hears_the_end();
    assert_eq!((site.upgraded(), site.closed().code).1, CloseCode::PROTOCOL_ERROR);
}

#[test]
fn a_peer_that_goes_without_a_word() {
    let site = Site::up();
    let peer = site.peer("/chat");
    site.upgraded();
    drop(peer);
    let closed = site.closed();
    assert_eq!((closed.code, closed.by, closed.clean), (CloseCode::ABNORMAL, By::Peer, false));
}

#[test]
fn a_refused_handshake_is_answered_as_the_refusal_says() {
    let site = Site::up();
    for path in ["/started", "/chat"] {
        let handshake = peer::HANDSHAKE.replace("/chat", path);
        let mut peer = site.connection();
        peer.says_bytes(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"));
        assert!(peer.hears_head().starts_with("HTTP/1.1 426 "));
        let mut peer = site.connection();
        peer.says_bytes(handshake.replace("Version: 13", "Version: 12"));
        let head = peer.hears_head().to_lowercase();
        assert!(head.starts_with("http/1.1 426 ") && head.contains("\r\nsec-websocket-version: 13\r\n"), "{head}");
        let mut peer = site.connection();
        peer.says_bytes(handshake.replace("\r\n\r\n", "\r\nOrigin: https://evil.example\r\n\r\n"));
        assert!(peer.hears_head().starts_with("HTTP/1.1 403 "));
    }
    // Made for nothing.
    while let Ok(heard) = site.heard.try_recv() {
        assert!(matches!(heard, Heard::Stopped), "{heard:?}");
    }
}

#[test]
fn a_101_that_does_not_fit_is_a_500() {
    let site = Site::up();
    let mut peer = site.connection();
    peer.says_bytes(peer::HANDSHAKE.replace("/chat", "/wrong"));
    assert!(peer.hears_head().starts_with("HTTP/1.1 500 "));
}

#[test]
fn an_answer_that_is_not_sent_ends_its_websocket() {
    let site = Site::up();
    let mut peer = site.connection();
    peer.says_bytes(peer::HANDSHAKE.replace("/chat", "/dropped"));
    assert!(peer.hears_head().starts_with("HTTP/1.1 410 "));
    site.upgraded();
    assert_eq!(site.closed().code, CloseCode::ABNORMAL);
}

/// What a handler keeps in hand is not read any further: the peer's writes stall.
#[test]
fn what_is_in_hand_stops_the_peer() {
    let site = Site::up();
    let mut peer = site.peer("/keep");
    site.upgraded();
    let message = binary(vec![1; 16 << 10]).bytes(Some([0; 4]));
    let pushed = peer.says_until_blocked(&message, 64 << 20, Duration::from_millis(500));
    assert!(pushed < 32 << 20, "{pushed} bytes were taken from the peer");
    let in_hand = std::iter::from_fn(|| site.heard.recv_timeout(Duration::from_millis(500)).ok()).count();
    assert!((16..=40).contains(&in_hand), "256 KiB and one read: {in_hand} messages");
}

/// A peer that does not read: sends are not answered, at the hard limit `try_send` refuses, and in the end output has stalled.
#[test]
fn a_peer_that_does_not_read_stops_us() {
    let site = Site::up();
    let peer = site.peer("/keep");
    let socket = site.upgraded();
    // It is full now and then before the sockets' own buffers are.
    let (mut sent, mut full) = (0, 0);
    while full < 50 {
        match socket.try_send(Frame::binary(vec![1; 64 << 10])) {
            Ok(_) => (sent, full) = (sent + 1, 0),
            Err(SendError::Full) => full += 1,
            Err(error) => panic!("{error:?}"),
        }
        assert!(sent < 1000, "{sent} sends of 64 KiB were taken");
        thread::sleep(Duration::from_millis(if full > 0 { 5 } else { 0 }));
    }
    let closed = site.closed();
    assert_eq!((closed.clean, closed.by), (false, By::Us), "{closed:?}");
    drop(peer);
}

#[test]
fn when_the_peer_reads_again_there_is_room_again() {
    let site = Site::up();
    let mut peer = site.peer("/chat");
    let socket = site.upgraded();
    for _ in 0..14 {
        socket.do_send(Frame::binary(vec![2; 64 << 10]));
    }
    for _ in 0..14 {
        peer.hears(binary(vec![2; 64 << 10]));
    }
    assert!(matches!(site.next(), Heard::Drained));
    peer.says(text("and on")).hears(text("and on"));
}

/// Many at a time, both ways at once.
#[test]
fn eight_peers_with_a_thousand_messages_each() {
    let site = Site::up();
    thread::scope(|scope| {
        for number in 0..8 {
            let mut peer = site.peer("/started");
            scope.spawn(move || {
                for at in 0..1000 {
                    let message = text(format!("{number}:{at}"));
                    peer.says(message.clone()).hears(message);
                }
            });
        }
    });
}

struct Client(Sender<String>);

impl Actor for Client {
    type Context = Context<Self>;
}

impl Handler<Received<Upgraded>> for Client {
    type Result = ();
    fn handle(&mut self, Received { message, sender }: Received<Upgraded>, _: &mut Self::Context) {
        self.0.send(message.extensions.join(",")).unwrap();
        sender.do_send(Frame::text("hello ".repeat(1000)));
    }
}

impl Handler<Received<Frame>> for Client {
    type Result = ();
    fn handle(&mut self, Received { message, sender }: Received<Frame>, _: &mut Self::Context) {
        self.0.send(message.as_text().unwrap().to_owned()).unwrap();
        sender.do_send(Close::default());
    }
}

impl Handler<Received<Closed>> for Client {
    type Result = ();
    fn handle(&mut self, Received { message, .. }: Received<Closed>, _: &mut Self::Context) {
        self.0.send(format!("clean: {}", message.clean)).unwrap();
        System::current().stop();
    }
}

fn our_client(address: SocketAddr, path: &str, dress: impl Fn(UpgradeClient<Client>) -> UpgradeClient<Client>) -> Vec<String> {
    let (tell, told) = channel();
    let target = Target::parse(&format!("ws://{address}{path}")).unwrap();
    let system = System::new();
    system.block_on(async {
        let upgrade = UpgradeClient::to(&target, Client(tell).start()).hears::<Upgraded>().hears::<Closed>();
        let connect = Connect::websocket(&target, dress(upgrade)).settings(Settings::new());
        Sockets::from_registry().send(connect).await.unwrap().unwrap();
    });
    system.run().unwrap();
    told.into_iter().collect()
}

#[test]
fn our_own_client() {
    let site = Site::up();
    assert_eq!(our_client(site.address, "/chat", |upgrade| upgrade), ["", &"hello ".repeat(1000), "clean: true"]);
    site.upgraded();
    assert!(site.closed().clean);
}

#[cfg(feature = "deflate")]
#[test]
fn compressed_messages() {
    let site = Site::up();
    let heard = our_client(site.address, "/deflate", |upgrade| upgrade.deflate(actix_sockets::Deflate::new()));
    assert!(heard[0].starts_with("permessage-deflate"), "{heard:?}");
    assert_eq!(heard[1..], ["hello ".repeat(1000), "clean: true".to_owned()]);
}
