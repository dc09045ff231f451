//! How a connection ends, and who hears of it.

use std::cell::RefCell;
use std::time::Duration;

use actix::prelude::*;
use actix_sockets::http::{HttpEnd, Settings as HttpSettings};
use actix_sockets::{
    Frame, HttpClose, HttpClosed, HttpRequest, HttpResponse, Received, Register, Responder, SendError, SetIdleTimeout, SetRequestTimeout,
    Settings, Streaming, UpgradeServer, handshake, test,
};
use http::header::{CONNECTION, HeaderValue};

use crate::peer::{Talk, heard, log};

thread_local! {
    static STREAM: RefCell<Option<Streaming>> = const { RefCell::new(None) };
}

/// Does what the path says, and tells of the end.
#[derive(Default)]
struct Ends {
    waiting: Option<Responder>,
}

impl Actor for Ends {
    type Context = Context<Self>;
}

impl Handler<Received<HttpRequest>> for Ends {
    type Result = ();
    fn handle(&mut self, Received { message, sender }: Received<HttpRequest>, ctx: &mut Self::Context) {
        let connection = sender.connection();
        assert_eq!((connection.id(), connection.connected()), (sender.id(), true));
        match message.path() {
            "/close" => connection.do_send(HttpClose::Close),
            "/confirmed" => connection.do_send(HttpClose::ConfirmedClose),
            "/confirmed-soon" => {
                connection.do_send(SetRequestTimeout(Duration::from_secs(1)));
                connection.do_send(SetIdleTimeout(Duration::from_secs(5)));
                connection.do_send(HttpClose::ConfirmedClose);
            }
            "/abort" => connection.do_send(HttpClose::Abort),
            "/bye" => {
                sender.do_send(HttpResponse::ok("bye"));
                return connection.do_send(HttpClose::Close);
            }
            "/farewell" => {
                sender.do_send(HttpResponse::ok("farewell"));
                return connection.do_send(HttpClose::Abort);
            }
            "/unheard" => log("heard"),
            "/waits" => return self.waiting = Some(sender),
            "/stream" => return STREAM.with(|stream| *stream.borrow_mut() = Some(sender.start(HttpResponse::ok("begun")))),
            "/last" => {
                return sender.do_send(HttpResponse::ok("last").with_header(CONNECTION, HeaderValue::from_static("close")));
            }
            "/chat" => return sender.do_send(UpgradeServer::new(handshake::accept(&message).unwrap(), ctx)),
            _ => {}
        }
        sender.do_send(HttpResponse::ok("answered"));
    }
}

impl Handler<Received<HttpClosed>> for Ends {
    type Result = ();
    fn handle(&mut self, Received { message, sender }: Received<HttpClosed>, _: &mut Self::Context) {
        assert_eq!(message.id, sender);
        log(format!("{:?}", message.how));
    }
}

impl Handler<Received<Frame>> for Ends {
    type Result = ();
    fn handle(&mut self, _: Received<Frame>, _: &mut Self::Context) {}
}

const UPGRADE: &str = "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

fn peer() -> Talk {
    Talk::to(|| Register::factory(Ends::default).hears::<HttpClosed>())
}

fn by_mail() -> Talk {
    Talk::to(|| Register::new(Ends::default().start()).hears::<HttpClosed>())
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")
}

async fn ended(how: HttpEnd) {
    test::pass(Duration::from_millis(10)).await;
    assert_eq!(heard(), [format!("{how:?}")], "exactly once");
}

/// B35: a request behind the one with whose answer the handler has ended the connection is not told: nobody would hear its answer.
#[test]
fn what_comes_behind_the_end_is_not_told() {
    test::run(async {
        for mut peer in [peer(), by_mail()] {
            peer.says(get("/bye") + &get("/unheard")).await.hears("bye").await;
            assert_eq!(peer.hears_the_rest().await, "");
            peer.finishes();
            ended(HttpEnd::Closed).await;
        }
        for mut peer in [peer(), by_mail()] {
            peer.says(get("/farewell") + &get("/unheard")).await.hears_the_rest().await;
            ended(HttpEnd::Aborted).await;
        }
    });
}

/// B36: no request is in hand.
#[test]
fn the_peer_closes() {
    test::run(async {
        for mut peer in [peer(), by_mail()] {
            peer.says(get("/")).await.hears("answered").await;
            peer.finishes();
            assert_eq!(peer.hears_the_rest().await, "");
            ended(HttpEnd::PeerClosed).await;
        }
    });
}

/// B36, B38: a request is in hand. It is answered first, for the peer's end is only its own; unless that is not allowed.
#[test]
fn the_peer_closes_while_its_request_waits() {
    test::run(async {
        let mut half = peer();
        half.says(get("/waits")).await.finishes();
        test::pass(Duration::from_secs(15)).await;
        assert_eq!(heard(), [""; 0]);
        assert!(half.hears_the_rest().await.starts_with("HTTP/1.1 500 "), "nobody answered");
        ended(HttpEnd::PeerClosed).await;

        let settings = Settings::new().http(HttpSettings::new().allow_half_closed(false));
        let mut whole = Talk::with(settings, || Register::factory(Ends::default).hears::<HttpClosed>());
        whole.says(get("/waits")).await;
        test::pass(Duration::from_millis(10)).await;
        whole.finishes();
        assert_eq!(whole.hears_the_rest().await, "");
        ended(HttpEnd::PeerClosed).await;
    });
}

/// B36: a response is on its way; who streams it hears of it by what it does next.
#[test]
fn the_peer_closes_inside_a_streamed_response() {
    test::run(async {
        let settings = Settings::new().http(HttpSettings::new().allow_half_closed(false));
        let mut peer = Talk::with(settings, || Register::factory(Ends::default).hears::<HttpClosed>());
        peer.says(get("/stream")).await.hears("begun").await;
        let stream = STREAM.with(|stream| stream.borrow_mut().take()).unwrap();
        peer.finishes();
        ended(HttpEnd::PeerClosed).await;
        assert!(!stream.connected() && !stream.connection().connected());
        assert_eq!(stream.send("more").await, Err(SendError::Closed));
    });
}

/// B36: the transport breaks, and what was sent to it is not acknowledged.
#[test]
fn the_connection_breaks() {
    test::run(async {
        let mut peer = peer();
        peer.says(get("/stream")).await.hears("begun").await;
        let stream = STREAM.with(|stream| stream.borrow_mut().take()).unwrap();
        let sent = stream.send(vec![b'x'; 500_000]);
        test::pass(Duration::from_millis(10)).await;
        drop(peer);
        assert_eq!(sent.await, Err(SendError::Closed));
        test::pass(Duration::from_millis(10)).await;
        let heard = heard();
        assert!(heard.len() == 1 && heard[0].starts_with("ErrorClosed("), "{heard:?}");
    });
}

/// B35: what was answered before is written, then FIN.
#[test]
fn close_and_confirmed_close_and_abort() {
    test::run(async {
        let mut peer = peer();
        peer.says(get("/close")).await;
        assert_eq!(peer.hears_the_rest().await, "", "an end comes before the answer that was said behind it");
        ended_later(HttpEnd::Closed).await;

        let mut peer = self::peer();
        peer.says(get("/confirmed")).await;
        assert_eq!(peer.hears_the_rest().await, "");
        test::pass(Duration::from_secs(50)).await;
        assert_eq!(heard(), [""; 0], "it waits for the peer's end");
        peer.finishes();
        ended(HttpEnd::ConfirmedClosed).await;

        let mut peer = self::peer();
        peer.says(get("/confirmed")).await.hears_the_rest().await;
        test::pass(Duration::from_secs(61)).await;
        ended(HttpEnd::Closed).await;

        let mut peer = self::peer();
        peer.says(get("/confirmed-soon")).await.hears_the_rest().await;
        test::pass(Duration::from_millis(4900)).await;
        assert_eq!(heard(), [""; 0], "the connection has an idle timeout of its own");
        test::pass(Duration::from_millis(100)).await;
        ended(HttpEnd::Closed).await;

        let mut peer = self::peer();
        peer.says(get("/abort")).await.hears_the_rest().await;
        ended(HttpEnd::Aborted).await;
    });
}

/// Our own end lingers for the peer's, two seconds at most.
async fn ended_later(how: HttpEnd) {
    test::pass(Duration::from_secs(2)).await;
    ended(how).await;
}

/// B36: behind the last response, and when nothing has happened for a minute.
#[test]
fn we_close() {
    test::run(async {
        let mut peer = peer();
        assert!(peer.says(get("/last")).await.hears_the_rest().await.ends_with("last"));
        ended_later(HttpEnd::Closed).await;

        let mut peer = self::peer();
        peer.says(get("/")).await.hears("answered").await;
        test::pass(Duration::from_secs(61)).await;
        assert_eq!(peer.hears_the_rest().await, "");
        ended_later(HttpEnd::Closed).await;
    });
}

/// A response that is dropped unfinished.
#[test]
fn a_cut_is_an_abort() {
    test::run(async {
        let mut peer = peer();
        peer.says(get("/stream")).await.hears("begun").await;
        STREAM.with(|stream| drop(stream.borrow_mut().take()));
        peer.hears_the_rest().await;
        ended(HttpEnd::Aborted).await;
    });
}

/// Hears of the ends of others' connections.
struct Elsewhere(&'static str);

impl Actor for Elsewhere {
    type Context = Context<Self>;
}

impl Handler<Received<HttpClosed>> for Elsewhere {
    type Result = ();
    fn handle(&mut self, Received { message, .. }: Received<HttpClosed>, _: &mut Self::Context) {
        log(format!("{} {:?}", self.0, message.how));
    }
}

/// Answers requests, and has somebody else hear of the end; who, is in the path.
#[derive(Default)]
struct Hands;

impl Actor for Hands {
    type Context = Context<Self>;
}

impl Handler<Received<HttpRequest>> for Hands {
    type Result = ();
    fn handle(&mut self, Received { message, sender }: Received<HttpRequest>, ctx: &mut Self::Context) {
        match message.path() {
            "/first" => sender.closed_to(Elsewhere("first").start()).do_send(HttpResponse::ok("answered")),
            "/second" => STREAM.with(|stream| {
                let sender = sender.closed_to(Elsewhere("second").start());
                *stream.borrow_mut() = Some(sender.start(HttpResponse::ok("begun")));
            }),
            "/chat" => sender.do_send(UpgradeServer::new(handshake::accept(&message).unwrap(), ctx)),
            _ => sender.do_send(HttpResponse::ok("answered")),
        }
    }
}

impl Handler<Received<HttpClosed>> for Hands {
    type Result = ();
    fn handle(&mut self, Received { message, .. }: Received<HttpClosed>, _: &mut Self::Context) {
        log(format!("handler {:?}", message.how));
    }
}

impl Handler<Received<Frame>> for Hands {
    type Result = ();
    fn handle(&mut self, _: Received<Frame>, _: &mut Self::Context) {}
}

/// B36: the handler hears of the end if it has asked, and so does whoever sent the last response, if that was wanted: the latest of them, once.
#[test]
fn who_sent_the_last_response_may_hear_of_the_end() {
    test::run(async {
        for asks in [true, false] {
            let peer = move || {
                Talk::with(Settings::new().http(HttpSettings::new().allow_half_closed(false)), move || {
                    let register = Register::factory(Hands::default);
                    if asks { register.hears::<HttpClosed>() } else { register }
                })
            };
            let told = |others: &[&str]| {
                let handler = asks.then_some("handler PeerClosed");
                let mut told: Vec<_> = handler.into_iter().chain(others.iter().copied()).map(str::to_owned).collect();
                told.sort();
                told
            };
            for (paths, others) in [
                (&["/"][..], &[][..]),
                (&["/first"], &["first PeerClosed"]),
                (&["/first", "/"], &["first PeerClosed"]),
                (&["/first", "/second"], &["second PeerClosed"]),
            ] {
                let mut peer = peer();
                for path in paths {
                    peer.says(get(path)).await.hears(if *path == "/second" { "begun" } else { "answered" }).await;
                }
                peer.finishes();
                test::pass(Duration::from_millis(10)).await;
                let mut heard = heard();
                heard.sort();
                assert_eq!(heard, told(others), "{paths:?}");
                STREAM.with(|stream| drop(stream.borrow_mut().take()));
            }
            // An upgrade is no end.
            let mut peer = peer();
            peer.says(get("/first")).await.hears("answered").await;
            peer.says(UPGRADE).await.hears("HTTP/1.1 101 ").await;
            drop(peer);
            test::pass(Duration::from_secs(60)).await;
            assert_eq!(heard(), [""; 0]);
        }
    });
}

/// HTTP has ended, and the connection has not.
#[test]
fn an_upgrade_is_no_end() {
    test::run(async {
        let mut peer = peer();
        peer.says(UPGRADE).await.hears("\r\n\r\n").await;
        drop(peer);
        test::pass(Duration::from_secs(60)).await;
        assert_eq!(heard(), [""; 0]);
    });
}
