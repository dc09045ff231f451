//! An actix-web `App` on a server of ours, in the clear and under TLS.

use std::cell::Cell;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::task::{Context, Poll};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use actix::prelude::*;
use actix_sockets::websocket::CloseCode;
use actix_sockets::{Server, ServerHandle, Settings, http as ours, web};
use actix_web::body::{BodySize, MessageBody};
use actix_web::dev::Service;
use actix_web::http::header::{HeaderValue, SET_COOKIE};
use actix_web::web::{Bytes, Data, Path, Payload, get, post, route};
use actix_web::{App, HttpRequest, HttpResponse};
use futures_core::Stream;

use crate::peer::{self, PATIENCE, Peer, close, text};
use crate::transport::{Transport, over_each};
use crate::{Heard, Tell, chat, deflated, dropped, started, wrong};

/// A server of ours with an `App`.
struct House {
    address: SocketAddr,
    transport: Transport,
    handle: ServerHandle,
    thread: Option<JoinHandle<()>>,
}

impl House {
    fn up(transport: Transport, server: Server) -> Self {
        let server = match transport {
            Transport::Clear => server.bind("127.0.0.1:0").unwrap(),
            #[cfg(feature = "tls")]
            Transport::Tls => server.bind_tls("127.0.0.1:0", crate::sealed::our_server()).unwrap(),
        };
        let (up, is_up) = channel();
        let thread = thread::spawn(move || {
            System::new().block_on(async {
                let running = server.run();
                up.send((running.addresses()[0].socket_addr().unwrap(), running.handle())).unwrap();
                running.await;
            });
        });
        let (address, handle) = is_up.recv_timeout(PATIENCE).unwrap();
        Self { address, transport, handle, thread: Some(thread) }
    }

    fn peer(&self) -> Peer {
        Peer::connect(self.address, self.transport)
    }

    /// The whole answer to one request.
    fn asked(&self, request: &str) -> String {
        let mut peer = self.peer();
        peer.says_bytes(request);
        peer.hears_all()
    }
}

impl Drop for House {
    fn drop(&mut self) {
        drop(self.handle.stop());
        if let Some(thread) = self.thread.take()
            && !thread::panicking()
        {
            thread.join().expect("the server ends without a panic");
        }
    }
}

/// A request whose connection ends with its answer.
fn last(line: &str, more: &str) -> String {
    format!("{line}\r\nHost: example.org\r\nConnection: close\r\n{more}\r\n")
}

/// A body in pieces, each when the arbiter has had a turn; it may fail, or tell its length.
struct Pieces {
    left: Vec<Result<&'static str, &'static str>>,
    size: BodySize,
    turn: bool,
}

impl Pieces {
    fn new(size: BodySize, pieces: &[Result<&'static str, &'static str>]) -> Self {
        Self { left: pieces.iter().rev().copied().collect(), size, turn: false }
    }
}

impl MessageBody for Pieces {
    type Error = Box<dyn std::error::Error>;

    fn size(&self) -> BodySize {
        self.size
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        self.turn = !self.turn;
        if self.turn {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(self.left.pop().map(|piece| piece.map(|text| Bytes::from_static(text.as_bytes())).map_err(Into::into)))
    }
}

/// What a request looks like from inside.
async fn seen(request: HttpRequest, content: Bytes) -> String {
    let info = request.connection_info();
    let carrier = web::carrier(&request).expect("the connection is ours");
    let fields: Vec<_> = request.headers().get_all("x-test").map(|value| value.to_str().unwrap()).collect();
    format!(
        "{} {} {:?} {:?} {}://{} {} tls={} x-test={} {}",
        request.method(),
        request.path(),
        request.query_string(),
        request.version(),
        info.scheme(),
        info.host(),
        request.peer_addr().unwrap(),
        carrier.tls.is_some(),
        fields.join("+"),
        content.len(),
    )
}

fn site(transport: Transport) -> House {
    House::up(transport, server().workers(1))
}

fn server() -> Server {
    Server::app(|| {
        App::new()
            .wrap_fn(|request, service| {
                let answer = service.call(request);
                async move {
                    let mut response = answer.await?;
                    response.headers_mut().append(SET_COOKIE, HeaderValue::from_static("seen=by-middleware"));
                    Ok(response)
                }
            })
            .route("/", get().to(async || "a page"))
            .route("/seen/{id}", route().to(seen))
            .route("/twice/{number}", get().to(async |number: Path<u32>| (*number * 2).to_string()))
            .route("/echo", post().to(async |content: Bytes| content))
            .route("/stream", route().to(stream))
            .route("/sized", route().to(sized))
            .route("/told", route().to(told))
            .route("/upload", post().to(upload))
            .route("/unread", post().to(async || "not for me"))
            .route("/fails", get().to(async || HttpResponse::Ok().body(Pieces::new(BodySize::Stream, &[Ok("half"), Err("broken")]))))
            .route("/close", get().to(async || HttpResponse::Ok().force_close().body("the last")))
            .route("/nothing", get().to(async || HttpResponse::NoContent().finish()))
            .route("/head", actix_web::web::head().to(async || HttpResponse::Ok().insert_header(("content-length", "1234")).finish()))
            .route("/panics", get().to(panics))
            .route("/bare-101", get().to(async || HttpResponse::SwitchingProtocols().finish()))
            .route("/slow", get().to(slow))
    })
    .settings(Settings::new().http(ours::Settings::new().pipelining_limit(16)))
}

/// The test against that site, once for each transport.
fn over_each_site(test: impl Fn(&House)) {
    over_each(|transport| test(&site(transport)));
}

async fn stream() -> HttpResponse {
    HttpResponse::Ok().body(Pieces::new(BodySize::Stream, &[Ok("one "), Ok(""), Ok("two "), Ok("three")]))
}

async fn sized() -> HttpResponse {
    HttpResponse::Ok().body(Pieces::new(BodySize::Sized(13), &[Ok("one "), Ok("two "), Ok("three")]))
}

/// A stream of which only the handler knows how long it is.
async fn told() -> HttpResponse {
    HttpResponse::Ok().no_chunking(13).body(Pieces::new(BodySize::Stream, &[Ok("one "), Ok("two "), Ok("three")]))
}

/// Says what comes as it comes, and how it ended.
async fn upload(mut payload: Payload) -> HttpResponse {
    let mut heard = Vec::new();
    loop {
        match std::future::poll_fn(|cx| Pin::new(&mut payload).poll_next(cx)).await {
            Some(Ok(piece)) => heard.extend(piece),
            Some(Err(error)) => panic!("{error}"),
            None => return HttpResponse::Ok().body(heard),
        }
    }
}

async fn panics() -> HttpResponse {
    panic!("a handler's own fault")
}

async fn slow() -> &'static str {
    actix::clock::sleep(Duration::from_millis(50)).await;
    "slow"
}

#[test]
fn routes_extractors_and_middleware() {
    over_each_site(|site| {
        let mut peer = site.peer();
        peer.says_bytes("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        let head = peer.hears_head();
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.contains("content-type: text/plain; charset=utf-8\r\n"), "{head}");
        assert!(head.contains("content-length: 6\r\n") && head.contains("set-cookie: seen=by-middleware\r\n"), "{head}");
        peer.hears_up_to("a page");
        // The connection goes on, also past what the App refuses.
        peer.says_bytes("GET /twice/21 HTTP/1.1\r\nHost: a\r\n\r\n").hears_response(200, "42");
        peer.says_bytes("GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n").hears_response(404, "");
        peer.says_bytes("GET /twice/many HTTP/1.1\r\nHost: a\r\n\r\n").hears_response(404, "");
    });
}

#[test]
fn a_request_as_its_handler_sees_it() {
    over_each(|transport| {
        let site = site(transport);
        let mut peer = site.peer();
        let remote = peer.tcp().local_addr().unwrap();
        let (scheme, tls) = if transport == Transport::Clear { ("http", false) } else { ("https", true) };
        peer.says_bytes(
            "PUT /seen/7?q=%20 HTTP/1.1\r\nHost: example.org:8443\r\nX-Test: one\r\nx-test: two\r\nContent-Length: 3\r\n\r\nabc",
        );
        peer.hears_response(
            200,
            &format!("PUT /seen/7 \"q=%20\" HTTP/1.1 {scheme}://example.org:8443 {remote} tls={tls} x-test=one+two 3"),
        );
        peer.says_bytes("GET /seen/1 HTTP/1.0\r\nHost: b\r\nConnection: keep-alive\r\n\r\n");
        peer.hears_response(200, &format!("GET /seen/1 \"\" HTTP/1.0 {scheme}://b {remote} tls={tls} x-test= 0"));
    });
}

#[test]
fn content_comes_whole_however_it_is_framed() {
    over_each_site(|site| {
        let content = "0123456789abcdef".repeat(8192); // 128 KiB: the extractor's own limit is 256.
        let mut peer = site.peer();
        peer.says_bytes(format!("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{content}", content.len()));
        peer.hears_content(content.len());
        peer.says_bytes("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
        for piece in content.as_bytes().chunks(10_000) {
            peer.says_bytes(format!("{:x}\r\n", piece.len())).says_bytes(piece).says_bytes("\r\n");
        }
        peer.says_bytes("0\r\n\r\n").hears_content(content.len());
        // What the extractor refuses is refused by the App.
        peer.says_bytes(format!("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", 300 << 10));
        peer.says_bytes(vec![b'x'; 300 << 10]).hears_response(413, "");
    });
}

#[test]
fn content_is_asked_for_when_it_is_wanted() {
    over_each_site(|site| {
        let mut peer = site.peer();
        // More than is ever kept at once, in two halves.
        let content = "0123456789abcdef".repeat(64 << 10);
        peer.says_bytes(format!("POST /upload HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: {}\r\n\r\n", content.len()));
        assert!(peer.hears_head().starts_with("HTTP/1.1 100 "));
        peer.says_bytes(&content[..500_000]).hears_nothing_for(Duration::from_millis(20)).says_bytes(&content[500_000..]);
        peer.hears_content(content.len());
        // Who answers without it does not ask for it.
        peer.says_bytes("POST /unread HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 100\r\n\r\n");
        peer.hears_response(200, "not for me");
    });
}

/// A handler that does not read has its peer not read.
#[test]
fn content_that_is_not_read_stops_the_peer() {
    over_each(|transport| {
        let (tell, told) = channel();
        let site = House::up(
            transport,
            Server::app(move || {
                let tell = tell.clone();
                App::new().route(
                    "/",
                    post().to(move |payload: Payload| {
                        let tell = tell.clone();
                        async move { reads_one(payload, tell).await }
                    }),
                )
            })
            .workers(1),
        );
        let mut peer = site.peer();
        peer.says_bytes(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", 64 << 20));
        let pushed = peer.says_until_blocked(&[b'x'; 16 << 10], 64 << 20, Duration::from_millis(500));
        assert!(pushed < 32 << 20, "{pushed} bytes were taken from the peer");
        // The end of the connection is the end of the handler.
        drop(site.handle.stop_within(Duration::ZERO));
        told.recv_timeout(PATIENCE).expect("the handler is dropped");
    });
}

/// Reads the first piece, and waits with the rest in hand.
async fn reads_one(mut payload: Payload, tell: Sender<()>) -> String {
    let _ends = Ends(tell);
    let first = std::future::poll_fn(|cx| Pin::new(&mut payload).poll_next(cx)).await;
    assert!(first.is_some());
    std::future::pending().await
}

#[test]
fn bodies_are_streamed() {
    over_each_site(|site| {
        let answer = site.asked(&last("GET /stream HTTP/1.1", ""));
        assert!(answer.contains("transfer-encoding: chunked\r\n") && !answer.contains("content-length"), "{answer}");
        assert!(answer.ends_with("\r\n\r\n4\r\none \r\n4\r\ntwo \r\n5\r\nthree\r\n0\r\n\r\n"), "{answer}");
        let answer = site.asked(&last("GET /stream HTTP/1.0", ""));
        assert!(!answer.contains("transfer-encoding") && answer.ends_with("\r\n\r\none two three"), "{answer}");
        // RFC 9110 §9.3.2: the fields of GET, and no content.
        let answer = site.asked(&last("HEAD /stream HTTP/1.1", ""));
        assert!(answer.contains("transfer-encoding: chunked\r\n") && answer.ends_with("\r\n\r\n"), "{answer}");
        let answer = site.asked(&last("HEAD /sized HTTP/1.1", ""));
        assert!(answer.contains("content-length: 13\r\n") && answer.ends_with("\r\n\r\n"), "{answer}");
        let answer = site.asked(&last("HEAD /head HTTP/1.1", ""));
        assert!(answer.contains("content-length: 1234\r\n") && answer.ends_with("\r\n\r\n"), "{answer}");
        let answer = site.asked(&last("GET /nothing HTTP/1.1", ""));
        assert!(answer.starts_with("HTTP/1.1 204 ") && !answer.contains("content-length") && answer.ends_with("\r\n\r\n"), "{answer}");
    });
}

#[test]
fn a_body_that_tells_its_length_is_framed_by_it() {
    over_each_site(|site| {
        for path in ["/sized", "/told"] {
            let answer = site.asked(&last(&format!("GET {path} HTTP/1.1"), ""));
            assert!(answer.contains("content-length: 13\r\n") && !answer.contains("transfer-encoding"), "{answer}");
            assert!(answer.ends_with("\r\n\r\none two three"), "{answer}");
        }
        let answer = site.asked(&last("HEAD /told HTTP/1.1", ""));
        assert!(answer.contains("content-length: 13\r\n") && answer.ends_with("\r\n\r\n"), "{answer}");
    });
}

/// Nobody takes for complete what is not.
#[test]
fn a_body_that_fails_cuts_the_connection() {
    over_each_site(|site| {
        let mut peer = site.peer();
        peer.says_bytes("GET /fails HTTP/1.1\r\nHost: a\r\n\r\n");
        let answer = peer.hears_until_cut();
        assert!(answer.starts_with("HTTP/1.1 200 ") && !answer.ends_with("0\r\n\r\n"), "{answer}");
    });
}

#[test]
fn a_connection_is_closed_when_the_app_says_so() {
    over_each_site(|site| {
        let answer = site.asked("GET /close HTTP/1.1\r\nHost: a\r\n\r\n");
        assert!(answer.contains("connection: close\r\n") && answer.ends_with("the last"), "{answer}");
    });
}

#[test]
fn a_handler_that_panics_is_a_500_and_its_connection_goes_on() {
    over_each_site(|site| {
        let mut peer = site.peer();
        peer.says_bytes("GET /panics HTTP/1.1\r\nHost: a\r\n\r\n").hears_response(500, "500 Internal Server Error\n");
        peer.says_bytes("GET / HTTP/1.1\r\nHost: a\r\n\r\n").hears_response(200, "a page");
    });
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    over_each_site(|site| {
        let mut peer = site.peer();
        peer.says_bytes("GET /slow HTTP/1.1\r\nHost: a\r\n\r\nGET /twice/1 HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
        for content in ["slow", "2", "a page"] {
            peer.hears_response(200, content);
        }
    });
}

/// Tells when it is dropped.
struct Ends(Sender<()>);

impl Drop for Ends {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

#[test]
fn a_handler_ends_with_its_connection() {
    over_each(|transport| {
        let (tell, told) = channel();
        let site = House::up(
            transport,
            Server::app(move || {
                let tell = tell.clone();
                App::new().route(
                    "/",
                    get().to(move || {
                        let ends = Ends(tell.clone());
                        async move {
                            let _ends = ends;
                            std::future::pending::<String>().await
                        }
                    }),
                )
            })
            .workers(1),
        );
        let mut peer = site.peer();
        peer.says_bytes("GET / HTTP/1.1\r\nHost: a\r\n\r\n").hears_nothing_for(Duration::from_millis(50));
        assert!(told.try_recv().is_err(), "it waits");
        peer.resets();
        told.recv_timeout(PATIENCE).expect("nobody waits for its answer any more");
    });
}

#[test]
fn an_app_is_made_once_on_each_arbiter_and_goes_with_its_server() {
    over_each(|transport| {
        let (made, (tell, gone)) = (Arc::new(AtomicUsize::new(0)), channel());
        let count = made.clone();
        let site = House::up(
            transport,
            Server::app(move || {
                count.fetch_add(1, Ordering::Relaxed);
                let visits = Rc::new((Cell::new(0_u32), Ends(tell.clone())));
                App::new().app_data(visits).route(
                    "/",
                    get().to(async |request: HttpRequest| {
                        let visits = &request.app_data::<Rc<(Cell<u32>, Ends)>>().unwrap().0;
                        visits.set(visits.get() + 1);
                        visits.get().to_string()
                    }),
                )
            })
            .workers(2),
        );
        // Connections go to the arbiters by turns, and what an App has seen it remembers beyond a connection's end.
        let mut seen: Vec<_> = (0..6).map(|_| site.asked(&last("GET / HTTP/1.1", "")).chars().last().unwrap()).collect();
        seen.sort_unstable();
        assert_eq!((seen, made.load(Ordering::Relaxed)), (vec!['1', '1', '2', '2', '3', '3'], 2));
        assert!(gone.try_recv().is_err(), "both are there");
        drop(site);
        gone.recv_timeout(PATIENCE).expect("the first App is gone");
        gone.recv_timeout(PATIENCE).expect("the second is");
    });
}

/// On the arbiter of the user's own, which goes on.
#[test]
fn an_app_goes_with_its_server_where_the_arbiter_stays() {
    let (tell, gone) = channel();
    System::new().block_on(async {
        let server = Server::app(move || {
            let ends = Rc::new(Ends(tell.clone()));
            App::new().app_data(ends).route("/", get().to(async || "a page"))
        });
        let running = server.workers(1).without_signals().bind("127.0.0.1:0").unwrap().run();
        let (address, handle) = (running.addresses()[0].socket_addr().unwrap(), running.handle());
        let answer = actix_web::rt::task::spawn_blocking(move || {
            let mut peer = Peer::connect(address, Transport::Clear);
            peer.says_bytes(last("GET / HTTP/1.1", ""));
            peer.hears_all()
        });
        assert!(answer.await.unwrap().ends_with("a page"));
        assert!(gone.try_recv().is_err(), "it waits for the next connection");
        handle.stop().await;
        let until = std::time::Instant::now() + PATIENCE;
        while gone.try_recv().is_err() {
            assert!(std::time::Instant::now() < until, "the App is still there");
            actix::clock::sleep(Duration::from_millis(5)).await;
        }
    });
}

#[test]
fn an_app_that_cannot_be_made_is_tried_again() {
    over_each(|transport| {
        let tries = Arc::new(AtomicUsize::new(0));
        let site = House::up(
            transport,
            Server::app(move || {
                let tries = tries.clone();
                App::new()
                    .data_factory(move || {
                        let try_number = tries.fetch_add(1, Ordering::Relaxed);
                        async move { if try_number == 0 { Err("not yet") } else { Ok::<_, &str>(try_number) } }
                    })
                    .route("/", get().to(async |tries: Data<usize>| tries.to_string()))
            })
            .workers(1),
        );
        let mut peer = site.peer();
        peer.says_bytes("GET / HTTP/1.1\r\nHost: a\r\n\r\n").hears_response(500, "500 Internal Server Error\n");
        peer.says_bytes("GET / HTTP/1.1\r\nHost: a\r\n\r\n").hears_response(200, "1");
    });
}

#[test]
fn what_upgrades_inside_actix_web_upgrades_here() {
    over_each(|transport| {
        let (tell, heard) = channel();
        let site = House::up(transport, websockets(tell));
        let mut peer = site.peer();
        // A page, then a websocket, on one connection.
        peer.says_bytes("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").hears_response(200, "a page");
        let asks = peer::HANDSHAKE.replace("/chat", "/chat?room=1").replace("\r\n\r\n", "\r\nSec-WebSocket-Protocol: chat\r\n\r\n");
        let mut bytes = asks.into_bytes();
        bytes.extend(text("early").bytes(Some([1, 2, 3, 4])));
        peer.says_bytes(bytes);
        let head = peer.hears_101();
        assert!(head.to_lowercase().contains("\r\nsec-websocket-protocol: chat\r\n") && !head.contains("content-"), "{head}");
        peer.hears(text("early"));
        let Ok(Heard::Upgraded(upgraded, _)) = heard.recv_timeout(PATIENCE) else { panic!("Upgraded comes first") };
        assert_eq!((upgraded.request.path(), upgraded.request.uri.query()), ("/chat", Some("room=1")));
        assert_eq!(upgraded.remote, peer.tcp().local_addr().unwrap());
        // The socket is ours, and what is known of it is told.
        assert_eq!((upgraded.tls.is_some(), upgraded.request.secure), (transport != Transport::Clear, transport != Transport::Clear));
        peer.says(close(4000, "enough")).hears_close(4000);
        peer.hears_the_end();
        let closed = std::iter::from_fn(|| heard.recv_timeout(PATIENCE).ok()).find_map(|heard| match heard {
            Heard::Closed(closed) => Some(closed),
            _ => None,
        });
        let closed = closed.expect("the end is told");
        assert_eq!((closed.code, closed.clean), (CloseCode::from(4000), true));
    });
}

#[test]
fn compressed_messages_and_the_shortest_way() {
    over_each(|transport| {
        let (tell, _heard) = channel();
        let site = House::up(transport, websockets(tell));
        let mut peer = site.peer();
        peer.says_bytes(peer::HANDSHAKE.replace("/chat", "/started")).hears_101();
        peer.says(text("hello")).hears(text("hello"));
        let mut peer = site.peer();
        let asks = peer::HANDSHAKE.replace("/chat", "/deflate");
        peer.says_bytes(asks.replace("\r\n\r\n", "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"));
        let head = peer.hears_101().to_lowercase();
        // Said once: the connection agrees by itself.
        let times = head.matches("\r\nsec-websocket-extensions: permessage-deflate").count();
        assert_eq!(times, usize::from(cfg!(feature = "deflate")), "{head}");
    });
}

#[test]
fn what_is_no_right_upgrade_is_answered_as_inside_actix_web() {
    over_each(|transport| {
        let (tell, heard) = channel();
        let site = House::up(transport, websockets(tell));
        for path in ["/started", "/chat"] {
            let handshake = peer::HANDSHAKE.replace("/chat", path);
            let answer = site.asked(&last(&format!("GET {path} HTTP/1.1"), ""));
            assert!(answer.starts_with("HTTP/1.1 426 "), "{answer}");
            let mut peer = site.peer();
            peer.says_bytes(handshake.replace("Version: 13", "Version: 12"));
            let head = peer.hears_head().to_lowercase();
            assert!(head.starts_with("http/1.1 426 ") && head.contains("\r\nsec-websocket-version: 13\r\n"), "{head}");
            let mut peer = site.peer();
            peer.says_bytes(handshake.replace("\r\n\r\n", "\r\nOrigin: https://evil.example\r\n\r\n"));
            assert!(peer.hears_head().starts_with("HTTP/1.1 403 "));
        }
        // Of the page's own origin, by the scheme that it was reached by.
        let (scheme, other) = if transport == Transport::Clear { ("http", None) } else { ("https", Some("http")) };
        let with_origin = |scheme: &str| peer::HANDSHAKE.replace("\r\n\r\n", &format!("\r\nOrigin: {scheme}://localhost\r\n\r\n"));
        site.peer().says_bytes(with_origin(scheme)).hears_101();
        if let Some(other) = other {
            let mut peer = site.peer();
            peer.says_bytes(with_origin(other));
            assert!(peer.hears_head().starts_with("HTTP/1.1 403 "));
        }
        let mut peer = site.peer();
        peer.says_bytes(peer::HANDSHAKE.replace("/chat", "/wrong"));
        assert!(peer.hears_head().starts_with("HTTP/1.1 500 "));
        // An answer that the App thinks better of upgrades nothing; nor does a 101 of another's making.
        let mut peer = site.peer();
        peer.says_bytes(peer::HANDSHAKE.replace("/chat", "/dropped")).hears_response(410, "gone");
        peer.says_bytes(peer::HANDSHAKE.replace("/chat", "/bare-101")).hears_response(500, "500 Internal Server Error\n");
        peer.says_bytes("GET / HTTP/1.1\r\nHost: a\r\n\r\n").hears_response(200, "a page");
        assert!(!heard.try_iter().any(|heard| matches!(heard, Heard::Frame(_))));
    });
}

fn websockets(tell: Sender<Heard>) -> Server {
    let tell = Tell::new(std::sync::Mutex::new(tell));
    Server::app(move || {
        App::new()
            .app_data(tell.clone())
            .route("/", get().to(async || "a page"))
            .route("/started", get().to(started))
            .route("/chat", get().to(chat))
            .route("/deflate", get().to(deflated))
            .route("/wrong", get().to(wrong))
            .route("/dropped", get().to(dropped))
            .route("/bare-101", get().to(async || HttpResponse::SwitchingProtocols().finish()))
    })
    .workers(1)
}
