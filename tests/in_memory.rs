//! Timers and deadlines on virtual time, over connections in memory: `actix_sockets::test`, and what it is made for.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use actix::prelude::*;
use actix_sockets::handshake::{self, Target};
use actix_sockets::http::HttpError;
use actix_sockets::stage::{AutoPing, AutoPong, Stage};
use actix_sockets::test::{self, Peer};
use actix_sockets::websocket::{CloseCode, OpCode};
use actix_sockets::{
    Close, Closed, Frame, HttpRequest, HttpResponse, Received, Responder, RoundTripTime, Socket, UpgradeClient, UpgradeServer,
};
use actix_sockets::{Upgraded, WebSockets};

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Echoes; says what else it hears, as text, to itself.
#[derive(Default)]
struct Echo {
    heard: Rc<RefCell<Vec<String>>>,
    kept: Vec<Socket>,
}

impl Actor for Echo {
    type Context = Context<Self>;
}

impl Handler<Received<Frame>> for Echo {
    type Result = ();
    fn handle(&mut self, Received { message: frame, sender }: Received<Frame>, ctx: &mut Self::Context) {
        match frame.as_text() {
            Some("keep") => self.kept.push(sender),
            Some("later") => {
                ctx.run_later(secs(30), move |_, _| sender.do_send(Frame::text("now")));
            }
            Some("close") => sender.do_send(Close::new(CloseCode::NORMAL, "as you like")),
            _ if frame.opcode.is_data() => sender.do_send(frame),
            _ => {}
        }
    }
}

impl Handler<Received<Upgraded>> for Echo {
    type Result = ();
    fn handle(&mut self, Received { sender, .. }: Received<Upgraded>, _: &mut Self::Context) {
        sender.do_send(Frame::text("welcome"));
    }
}

impl Handler<Received<Closed>> for Echo {
    type Result = ();
    fn handle(&mut self, Received { message, .. }: Received<Closed>, _: &mut Self::Context) {
        self.heard.borrow_mut().push(format!("{} {}, clean: {}", message.code, message.reason, message.clean));
    }
}

impl Handler<Received<RoundTripTime>> for Echo {
    type Result = ();
    fn handle(&mut self, Received { message, .. }: Received<RoundTripTime>, _: &mut Self::Context) {
        self.heard.borrow_mut().push(format!("{:?}", message.0));
    }
}

/// A peer of an echo with these stages.
async fn peer_with<S: Stage>(stages: impl Fn() -> S + Send + Sync + Clone + 'static) -> Peer {
    let echo = move || {
        let stages = stages.clone();
        WebSockets::handled_by(Echo::default).upgrading(move |upgrade| upgrade.stages(stages()))
    };
    test::websocket(echo, "/").await
}

/// Without pings.
async fn quiet() -> Peer {
    peer_with(|| AutoPong).await
}

#[test]
fn a_frame_is_answered() {
    test::run(async {
        let mut peer = test::websocket(|| WebSockets::handled_by(Echo::default), "/").await;
        for message in [Frame::text("hello"), Frame::binary(vec![1; 100_000])] {
            peer.says(message.clone()).await;
            assert_eq!(peer.hears().await, message);
        }
        peer.says(Frame::ping("there?")).await;
        assert_eq!(peer.hears().await, Frame::pong("there?"));
    });
}

#[test]
fn a_handlers_own_timers_are_on_virtual_time() {
    let began = std::time::Instant::now();
    test::run(async {
        let mut peer = quiet().await;
        peer.says(Frame::text("later")).await;
        peer.hears_nothing_for(secs(29)).await;
        test::pass(secs(1)).await;
        assert_eq!(peer.hears().await, Frame::text("now"));
        test::pass(secs(3600)).await;
        peer.says(Frame::text("still there")).await;
        assert_eq!(peer.hears().await, Frame::text("still there"));
    });
    assert!(began.elapsed() < secs(5), "an hour takes no time");
}

#[test]
fn a_ping_every_20_s_and_a_silent_peer_is_given_up_20_s_later() {
    test::run(async {
        let mut peer = test::websocket(|| WebSockets::handled_by(Echo::default), "/").await;
        peer.hears_nothing_for(Duration::from_millis(19_990)).await;
        for _ in 0..3 {
            let ping = peer.hears().await;
            assert_eq!(ping.opcode, OpCode::Ping);
            peer.says(Frame::pong(ping.data)).await;
            peer.hears_nothing_for(Duration::from_millis(19_980)).await;
        }
        assert_eq!(peer.hears().await.opcode, OpCode::Ping);
        peer.hears_nothing_for(Duration::from_millis(19_980)).await;
        assert_eq!(peer.hears().await.close_reason().unwrap().0, CloseCode::INTERNAL_ERROR);
        peer.hears_the_end().await;
    });
}

#[test]
fn round_trips_take_as_long_as_they_take() {
    test::run(async {
        let heard = Rc::<RefCell<Vec<String>>>::default();
        let echo = Echo { heard: heard.clone(), kept: Vec::new() }.start();
        let upgrade = UpgradeClient::to(&Target::parse("ws://localhost/").unwrap(), echo);
        let mut server = test::server(upgrade.stages(AutoPing::every(secs(5)).then(AutoPong)).hears::<RoundTripTime>()).await;
        let ping = server.hears().await;
        test::pass(Duration::from_millis(123)).await;
        server.says(Frame::pong(ping.data)).await;
        test::pass(Duration::from_millis(1)).await;
        // A timer of tokio's may ring a millisecond late.
        assert!(["123ms", "124ms"].contains(&heard.borrow().concat().as_str()), "{heard:?}");
    });
}

#[test]
fn a_message_may_be_incomplete_for_60_s() {
    test::run(async {
        let mut peer = quiet().await;
        peer.says(Frame::text("the beginning").more()).await;
        peer.hears_nothing_for(Duration::from_millis(59_990)).await;
        assert_eq!(peer.hears().await.close_reason().unwrap().0, CloseCode::POLICY_VIOLATION);
        peer.hears_the_end().await;
    });
}

#[test]
fn a_closing_handshake_may_take_5_s() {
    test::run(async {
        let mut peer = quiet().await;
        peer.says(Frame::text("close")).await;
        assert_eq!(peer.hears().await.close_reason(), Some((CloseCode::NORMAL, "as you like")));
        peer.hears_nothing_for(Duration::from_millis(4_990)).await;
        peer.hears_the_end().await;
    });
}

#[test]
fn output_may_stall_for_30_s() {
    test::run(async {
        let heard = Rc::<RefCell<Vec<String>>>::default();
        let echo = Echo { heard: heard.clone(), kept: Vec::new() }.start();
        let upgrade = UpgradeClient::to(&Target::parse("ws://localhost/").unwrap(), echo).stages(AutoPong).hears::<Closed>();
        let mut server = test::server(upgrade).await;
        // A pipe takes 64 KiB; the echo of the rest waits.
        for _ in 0..3 {
            server.says(Frame::binary(vec![0; 60_000])).await;
        }
        test::pass(Duration::from_millis(29_900)).await;
        assert!(heard.borrow().is_empty());
        test::pass(Duration::from_millis(200)).await;
        assert_eq!(heard.borrow().len(), 1, "{heard:?}");
        assert_eq!(heard.borrow()[0], "1008 output without progress for 30s, clean: false");
    });
}

#[test]
fn what_is_in_hand_stops_the_peer() {
    test::run(async {
        let mut peer = quiet().await;
        let taken = async {
            for n in 0.. {
                peer.says(Frame::text("keep")).await;
                // 1 KiB is what each is worth at least; an empty one would do.
                assert!(n < 1_000_000, "nothing stops it");
            }
        };
        // It panics in the end, with nothing taken for 10 s: so its time is up before.
        assert!(tokio::time::timeout(secs(5), taken).await.is_err());
    });
}

#[test]
fn the_end_of_the_peer() {
    test::run(async {
        let heard = Rc::<RefCell<Vec<String>>>::default();
        let echo = Echo { heard: heard.clone(), kept: Vec::new() }.start();
        let upgrade = || UpgradeClient::to(&Target::parse("ws://localhost/").unwrap(), echo.clone()).hears::<Closed>();
        let mut server = test::server(upgrade()).await;
        server.finishes();
        server.hears_the_end().await;
        drop(test::server(upgrade()).await);
        test::pass(Duration::from_millis(1)).await;
        assert_eq!(heard.borrow().len(), 2, "{heard:?}");
        assert!(heard.borrow().iter().all(|closed| closed.starts_with("1006 ")), "{heard:?}");
    });
}

#[test]
fn bytes_that_are_no_frame() {
    test::run(async {
        let mut peer = quiet().await;
        peer.says_bytes(&[0xf1, 0x80, 0, 0, 0, 0]).await;
        assert_eq!(peer.hears().await.close_reason().unwrap().0, CloseCode::PROTOCOL_ERROR);
        peer.hears_the_end().await;
    });
}

#[test]
fn the_handshake_is_the_handlers_own() {
    test::run(async {
        let target = Target::parse("ws://localhost/room?number=1").unwrap();
        let request =
            handshake::request(&target, [7; 16]).with_header(http::header::SEC_WEBSOCKET_PROTOCOL, http::HeaderValue::from_static("chat"));
        let peer = test::upgraded(|| WebSockets::handled_by(Echo::default).at("/room").protocols(["chat"]), request).await;
        assert_eq!(peer.response().unwrap().header("sec-websocket-protocol"), Some("chat"));
    });
}

#[test]
#[should_panic(expected = "not upgraded, but answered with 404")]
fn a_handler_that_does_not_upgrade() {
    test::run(async {
        test::websocket(|| WebSockets::handled_by(Echo::default).at("/elsewhere"), "/").await;
    });
}

/// Answers at once, later, or never.
#[derive(Default)]
struct Pages {
    open: Vec<Responder>,
}

impl Actor for Pages {
    type Context = Context<Self>;
}

impl Handler<Received<HttpRequest>> for Pages {
    type Result = ();
    fn handle(&mut self, Received { message: request, sender }: Received<HttpRequest>, ctx: &mut Self::Context) {
        match request.path() {
            "/never" => self.open.push(sender),
            "/later" => {
                ctx.run_later(secs(10), |_, _| sender.do_send(HttpResponse::ok("late")));
            }
            "/ws" => match handshake::accept(&request) {
                Ok(response) => sender.do_send(UpgradeServer::new(response, ctx).hears::<Upgraded>()),
                Err(refusal) => sender.do_send(refusal.into_response()),
            },
            path => sender.do_send(HttpResponse::ok(path.to_owned())),
        }
    }
}

impl Handler<Received<Upgraded>> for Pages {
    type Result = ();
    fn handle(&mut self, Received { sender, .. }: Received<Upgraded>, _: &mut Self::Context) {
        sender.do_send(Frame::text("welcome"));
    }
}

impl Handler<Received<Frame>> for Pages {
    type Result = ();
    fn handle(&mut self, Received { message, sender }: Received<Frame>, _: &mut Self::Context) {
        if let Some(text) = message.as_text() {
            sender.do_send(Frame::text(text.to_uppercase()));
        }
    }
}

#[test]
fn requests_are_answered_in_order_whenever_they_are() {
    test::run(async {
        let client = test::connection(Pages::default);
        let (later, at_once) = (client.send(test::get("/later")), client.send(test::get("/at-once?x")));
        let began = tokio::time::Instant::now();
        assert_eq!(at_once.await.unwrap().content, "/at-once");
        assert!((10_000..10_010).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
        assert_eq!(later.await.unwrap().content, "late");
    });
}

#[test]
fn a_request_is_answered_within_22_s_by_the_handler_or_with_a_500() {
    test::run(async {
        let client = test::connection(Pages::default);
        let began = tokio::time::Instant::now();
        assert_eq!(client.send(test::get("/never")).await.unwrap().status, 500);
        assert!((19_990..22_010).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
    });
}

#[test]
fn an_idle_connection_is_closed_after_60_s() {
    test::run(async {
        let client = test::connection(Pages::default);
        assert!(client.send(test::get("/")).await.is_ok());
        test::pass(secs(59)).await;
        assert!(client.send(test::get("/")).await.is_ok());
        test::pass(secs(61)).await;
        assert_eq!(client.send(test::get("/")).await.unwrap_err(), HttpError::NotSent);
    });
}

/// Both ends are ours.
struct Client(Rc<RefCell<Vec<String>>>);

impl Actor for Client {
    type Context = Context<Self>;
}

impl Handler<Received<Frame>> for Client {
    type Result = ();
    fn handle(&mut self, Received { message, sender }: Received<Frame>, _: &mut Self::Context) {
        let Some(text) = message.as_text().map(str::to_owned) else { return };
        if text == "welcome" {
            sender.do_send(Frame::text("i am cow"));
        }
        self.0.borrow_mut().push(text);
    }
}

#[test]
fn a_pair_of_websockets() {
    test::run(async {
        let heard = Rc::<RefCell<Vec<String>>>::default();
        let requester = test::connection(Pages::default);
        let target = Target::parse("ws://localhost/ws").unwrap();
        requester.do_send(UpgradeClient::to(&target, Client(heard.clone()).start()));
        test::pass(Duration::from_millis(1)).await;
        assert_eq!(*heard.borrow(), ["welcome", "I AM COW"]);
        // Their pings keep both alive.
        test::pass(secs(600)).await;
        assert_eq!(*heard.borrow(), ["welcome", "I AM COW"]);
    });
}
