//! For tests of one's own handlers: connections and websockets in memory, on virtual time. No ports, no waiting.
//!
//! A test is a transcript. What the [`Peer`] says and hears are frames, just as they are on the wire: it answers nothing by itself.
//!
//! ```
//! use std::time::Duration;
//!
//! use actix::prelude::*;
//! use actix_sockets::websocket::OpCode;
//! use actix_sockets::{Frame, Received, WebSockets, test};
//!
//! struct Shout;
//!
//! impl Actor for Shout {
//!     type Context = Context<Self>;
//! }
//!
//! impl Handler<Received<Frame>> for Shout {
//!     type Result = ();
//!     fn handle(&mut self, Received { message: frame, sender }: Received<Frame>, _: &mut Self::Context) {
//!         if let Some(text) = frame.as_text() {
//!             sender.do_send(Frame::text(text.to_uppercase()));
//!         }
//!     }
//! }
//!
//! test::run(async {
//!     let mut peer = test::websocket(|| WebSockets::handled_by(|| Shout), "/").await;
//!     peer.says(Frame::text("i am cow")).await;
//!     assert_eq!(peer.hears().await.as_text(), Some("I AM COW"));
//!     test::pass(Duration::from_secs(20)).await;
//!     assert_eq!(peer.hears().await.opcode, OpCode::Ping);
//! });
//! ```
//!
//! HTTP is asked by a [`Requester`], as at a connection that was made:
//!
//! ```
//! # use actix::prelude::*;
//! # use actix_sockets::{HttpRequest, HttpResponse, Received, test};
//! # struct Hello;
//! # impl Actor for Hello { type Context = Context<Self>; }
//! # impl Handler<Received<HttpRequest>> for Hello {
//! #     type Result = ();
//! #     fn handle(&mut self, received: Received<HttpRequest>, _: &mut Self::Context) {
//! #         received.sender.do_send(HttpResponse::ok("Hello!"));
//! #     }
//! # }
//! test::run(async {
//!     let client = test::connection(|| Hello);
//!     assert_eq!(client.send(test::get("/")).await.unwrap().content, "Hello!");
//! });
//! ```
//!
//! The same [`Requester`] takes an [`UpgradeClient`]: then both ends of a websocket are handlers of one's own. And [`server`] is the other end of a
//! client's handler, for the test to speak.
//!
//! A [`Network`] between two such ends loses, delays, cuts and stalls as a seed says, and [`rerun`] has the same happen each time: see [`Link`].
//!
//! **Virtual time** belongs to the thread of [`run`]. It stands still while anything is to be done, and jumps to the next timer when all wait. Actors on
//! arbiters of their own are on the time of those.

use std::future::poll_fn;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Context, Handler, System};
use bytes::{Bytes, BytesMut};
use http::header::{HOST, HeaderValue};
use http::{Method, Uri};
use tokio::time::{pause, sleep, timeout};

use super::bind::Acceptor;
use super::client_connection::ClientConnection;
use super::clock;
use super::connect::Connect;
use super::connection::Connection;
use super::messages::Received;
pub use super::network::Network;
use super::pipe::{PipeReader, PipeWriter, pipe};
use super::register::Register;
use super::requester::Requester;
use super::roster::{Roster, Seat};
use super::settings::Settings;
use super::transport::Transport;
use super::upgrade::UpgradeClient;
use super::way::Way;
use crate::http::{self as ours, ClientEvent, Event, HttpRequest, HttpResponse};
use crate::upgrade::handshake::{self, Target};
use crate::upgrade::switch;
use crate::websocket::{Codec, Frame, Role};

mod link;

pub use link::{End, Link, Process, Raw};

/// How long is waited for what must come.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a requester waits for a response.
const PATIENT: Duration = Duration::from_secs(24 * 60 * 60);
/// A mask that can be seen through (RFC 6455 §5.3 asks for unpredictable ones where somebody listens).
const MASK: [u8; 4] = [0; 4];
/// Where both ends of a connection in memory seem to be.
const NOWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Runs a test to its end, in an actix `System` of its own, on virtual time.
///
/// # Panics
///
/// When the test does; or on a thread where a `System` runs.
pub fn run<T>(test: impl Future<Output = T>) -> T {
    System::new().block_on(async {
        pause();
        test.await
    })
}

/// Runs a test on a clock that begins at nought, on this thread alone: what happens, and when, and in which order is the same each time, as far as the
/// test itself is. There is no actix `System`, so `Sockets` and arbiters are not to be had; actors are started as ever.
///
/// # Panics
///
/// When the test does.
pub fn rerun<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    tokio::task::LocalSet::new().block_on(&runtime.expect("a runtime that needs nothing of the system"), test)
}

/// Lets so much time pass: each timer on the way rings when it is due.
pub async fn pass(time: Duration) {
    sleep(time).await;
}

/// A request for this path.
///
/// # Panics
///
/// When it is no path.
#[must_use]
pub fn get(path: &str) -> HttpRequest {
    let uri = path.parse::<Uri>().expect("a path, with a query or without");
    HttpRequest::new(Method::GET, uri).with_header(HOST, HeaderValue::from_static("localhost"))
}

/// A connection to an HTTP handler, as [`Bind::factory`](super::Bind::factory) makes it, with default settings: the client's end, which waits for its
/// responses for a day.
pub fn connection<A>(make: impl Fn() -> A + Send + Sync + 'static) -> Requester
where
    A: Actor<Context = Context<A>> + Handler<Received<HttpRequest>>,
{
    connection_with(Settings::default(), make)
}

/// A connection to an HTTP handler, with these settings on its side.
pub fn connection_with<A>(settings: Settings, make: impl Fn() -> A + Send + Sync + 'static) -> Requester
where
    A: Actor<Context = Context<A>> + Handler<Received<HttpRequest>>,
{
    let peer = accepted(settings, make);
    client(transport(peer.incoming, peer.outgoing))
}

/// A connection to an HTTP handler that is registered with this, with these settings on its side, as
/// [`Bind::registering`](super::Bind::registering) makes it: the client's end, for the test to say and hear
/// [bytes](Peer::says_bytes).
pub fn registering<A: Actor>(settings: Settings, register: impl Fn() -> Register<A> + Send + Sync + 'static) -> Peer {
    let (ours, peer) = Peer::and(Role::Client);
    Connection::start(ours, BytesMut::new(), &Acceptor::registering(register), &Arc::new(settings));
    peer
}

/// A client that has just upgraded to a websocket at this path of an HTTP handler: [`WebSockets`](super::WebSockets), or one of one's own.
///
/// # Panics
///
/// When the handler does not upgrade.
pub async fn websocket<A>(make: impl Fn() -> A + Send + Sync + 'static, path: &str) -> Peer
where
    A: Actor<Context = Context<A>> + Handler<Received<HttpRequest>>,
{
    let target = Target::parse(&format!("ws://localhost{path}")).expect("a path, with a query or without");
    upgraded(make, handshake::request(&target, *b"the sample nonce")).await
}

/// The same with a request of one's own: with headers, subprotocols, offers of compression.
///
/// # Panics
///
/// When the handler does not upgrade.
pub async fn upgraded<A>(make: impl Fn() -> A + Send + Sync + 'static, request: HttpRequest) -> Peer
where
    A: Actor<Context = Context<A>> + Handler<Received<HttpRequest>>,
{
    let mut peer = accepted(Settings::default(), make);
    let mut http = ours::Client::new(ours::Settings::default(), clock::now());
    http.request(request.clone(), clock::now());
    peer.says_bytes(&http.output().take(usize::MAX)).await;
    loop {
        http.receive(BytesMut::from(&peer.reads().await.expect("a response")[..]), clock::now());
        match http.poll_event() {
            Some(ClientEvent::Response { response, .. }) => {
                let verified = handshake::verify(&request, &response);
                assert!(verified.is_ok(), "not upgraded, but answered with {}: {verified:?}", response.status);
                peer.response = Some(response);
                break;
            }
            Some(ClientEvent::Failed(error)) => panic!("not upgraded: {error}"),
            _ => {}
        }
    }
    peer.unread = http.into_unread();
    peer
}

/// A server that has just upgraded what a client's handler asked for; its URL's scheme is `ws`.
///
/// # Panics
///
/// When what is asked for is no handshake.
pub async fn server<A: Actor>(upgrade: UpgradeClient<A>) -> Peer {
    let (theirs, mut peer) = Peer::and(Role::Server);
    client(theirs).do_send(upgrade);
    let mut http = ours::Server::new(ours::Settings::default(), clock::now());
    let number = loop {
        http.receive(BytesMut::from(&peer.reads().await.expect("a request")[..]), clock::now());
        if let Some(Event::Request { number, .. }) = http.poll_event() {
            break number;
        }
    };
    let request = http.upgrade_request(number).expect("a request for an upgrade");
    let response = handshake::accept(request).expect("a handshake");
    let switched = switch(http, number, response, None, &clock::http_date(clock::now()), clock::now());
    let mut switched = switched.map_err(|(_, error)| error).expect("nothing is in the way");
    peer.says_bytes(&switched.head_bytes.take(usize::MAX)).await;
    peer.unread = switched.unread;
    peer
}

/// The server of a client's connection that this message would make, wherever it leads, in the clear: for the test to say and hear
/// [bytes](Peer::says_bytes). Its handler hears [`Connected`](super::Connected).
///
/// # Panics
///
/// When the connection cannot be started.
pub fn connected(connect: Connect) -> Peer {
    let (ours, peer) = Peer::and(Role::Server);
    let connected = ours.connected().expect("a pipe knows where it is");
    connect.over(ours, connected);
    peer
}

/// A handler's connection, and the peer that is to be a client.
fn accepted<A>(settings: Settings, make: impl Fn() -> A + Send + Sync + 'static) -> Peer
where
    A: Actor<Context = Context<A>> + Handler<Received<HttpRequest>>,
{
    let (ours, peer) = Peer::and(Role::Client);
    Connection::start(ours, BytesMut::new(), &Acceptor::made(make), &Arc::new(settings));
    peer
}

fn client(transport: Transport) -> Requester {
    let connected = transport.connected().expect("a pipe knows where it is");
    // How long a handler takes is for the test to judge, and for its own end.
    let patient = ours::Settings::default().response_timeout(PATIENT);
    ClientConnection::start(transport, connected, Way::nowhere(Settings::default().http(patient)))
}

fn transport(incoming: PipeReader, outgoing: PipeWriter) -> Transport {
    let seat: Seat = Arc::<Roster>::default().seat();
    Transport::of(incoming, outgoing, seat, NOWHERE.into(), NOWHERE.into())
}

/// The other end of a handler's connection: says and hears single frames.
#[derive(Debug)]
pub struct Peer {
    incoming: PipeReader,
    outgoing: PipeWriter,
    unread: BytesMut,
    codec: Codec,
    response: Option<HttpResponse>,
}

impl Peer {
    /// A transport, and the peer at its other end.
    fn and(role: Role) -> (Transport, Self) {
        let ((to_peer, incoming), (outgoing, from_peer)) = (pipe(), pipe());
        let codec = Codec::new(role).frame_size_limit(u64::MAX).message_size_limit(u64::MAX);
        (transport(from_peer, to_peer), Self { incoming, outgoing, unread: BytesMut::new(), codec, response: None })
    }

    /// The 101 with which the handler upgraded; `None` if the peer is the server.
    #[must_use]
    pub fn response(&self) -> Option<&HttpResponse> {
        self.response.as_ref()
    }

    /// Says a frame: masked, if the peer is the client.
    ///
    /// # Panics
    ///
    /// When it is not taken: the connection has ended, or the handler has had too much in hand for 10 s.
    pub async fn says(&mut self, frame: Frame) {
        let mut bytes = BytesMut::new();
        self.codec.encode(&frame, || MASK, &mut bytes).expect("a frame that can be said");
        self.says_bytes(&bytes).await;
    }

    /// Says bytes, whatever they are.
    ///
    /// # Panics
    ///
    /// When they are not taken: the connection has ended, or the handler has had too much in hand for 10 s.
    pub async fn says_bytes(&mut self, bytes: &[u8]) {
        match timeout(PATIENCE, self.outgoing.write(bytes)).await {
            Ok(taken) => taken.expect("the connection is there"),
            Err(_) => panic!("what is said is not taken within {PATIENCE:?}"),
        }
    }

    /// The next frame.
    ///
    /// # Panics
    ///
    /// When none comes within 10 s, or the connection ends, or what comes is no frame.
    #[must_use]
    pub async fn hears(&mut self) -> Frame {
        match timeout(PATIENCE, self.next()).await {
            Ok(Some(frame)) => frame,
            Ok(None) => panic!("the end in place of a frame"),
            Err(_) => panic!("nothing is heard within {PATIENCE:?}"),
        }
    }

    /// The next bytes, whatever they are; `None` is the end.
    ///
    /// # Panics
    ///
    /// When nothing comes within 10 s.
    pub async fn hears_bytes(&mut self) -> Option<Bytes> {
        match timeout(PATIENCE, self.reads()).await {
            Ok(bytes) => bytes,
            Err(_) => panic!("nothing is heard within {PATIENCE:?}"),
        }
    }

    /// Nothing comes for so long.
    ///
    /// # Panics
    ///
    /// When something does.
    pub async fn hears_nothing_for(&mut self, time: Duration) {
        if let Ok(heard) = timeout(time, self.next()).await {
            panic!("{heard:?} in place of silence");
        }
    }

    /// The handler's end closes the connection, within 10 s.
    ///
    /// # Panics
    ///
    /// When something else comes, or nothing at all.
    pub async fn hears_the_end(&mut self) {
        match timeout(PATIENCE, self.next()).await {
            Ok(None) => {}
            Ok(Some(frame)) => panic!("{frame:?} in place of the end"),
            Err(_) => panic!("nothing is heard within {PATIENCE:?}"),
        }
    }

    /// Closes the connection's direction to the handler, as a FIN does. Dropping the peer closes both.
    pub fn finishes(&mut self) {
        self.outgoing = pipe().0;
    }

    /// The next frame; `None` is the end.
    async fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.codec.decode(&mut self.unread).expect("frames as RFC 6455 wants them") {
                return Some(frame);
            }
            let bytes = self.reads().await?;
            self.unread.extend_from_slice(&bytes);
        }
    }

    async fn reads(&mut self) -> Option<Bytes> {
        poll_fn(|cx| self.incoming.poll_chunk(cx)).await
    }
}
