//! We are late: something else has kept the thread. What the peer did in time was in time, however late we come to see it.

use std::time::Duration;

use actix::prelude::*;
use actix_sockets::stage::AutoPong;
use actix_sockets::test::{self, Peer};
use actix_sockets::websocket::{CloseCode, OpCode};
use actix_sockets::{Close, Closed, Frame, HttpRequest, HttpResponse, Received, Register, UpgradeServer, WebSockets};

use crate::peer::{Talk, heard, log};

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// All that can happen now does.
const MOMENT: Duration = Duration::from_millis(1);

/// Nothing else is done for so long: whatever has come by then is seen behind it, and every timer that is due rings first.
async fn we_are_busy_for(time: Duration) {
    tokio::time::advance(time).await;
}

/// Answers with the path, which may be long.
struct Pages;

impl Actor for Pages {
    type Context = Context<Self>;
}

impl Handler<Received<HttpRequest>> for Pages {
    type Result = ();
    fn handle(&mut self, Received { message, sender }: Received<HttpRequest>, _: &mut Self::Context) {
        let times = if message.path() == "/long" { 40_000 } else { 1 };
        sender.do_send(HttpResponse::ok(format!("{}.", message.path().repeat(times))));
    }
}

/// A connection that is new, or one whose handler's feeder is who the socket wakes.
async fn connection(used: bool) -> Talk {
    let mut peer = Talk::to(|| Register::factory(|| Pages));
    if used {
        peer.says("GET /before HTTP/1.1\r\nHost: a\r\n\r\n").await;
        peer.hears("/before.").await;
    }
    peer
}

/// RFC 9110 §15.5.9: 408 is for a request that was not complete in time, and this one was.
#[test]
fn a_request_that_was_complete_in_time_is_answered() {
    test::run(async {
        for (beginning, rest) in
            [("GET / HT", "TP/1.1\r\nHost: a\r\n\r\n"), ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345", "67890")]
        {
            for used in [false, true] {
                let mut peer = connection(used).await;
                peer.says(beginning).await;
                test::pass(secs(4)).await;
                peer.says(rest).await;
                we_are_busy_for(secs(2)).await;
                let response = peer.hears("\r\n\r\n").await;
                assert!(response.starts_with("HTTP/1.1 200 OK\r\n"), "{response}");
            }
        }
    });
}

#[test]
fn a_request_that_found_its_connection_open_is_answered() {
    test::run(async {
        for used in [false, true] {
            let mut peer = connection(used).await;
            test::pass(secs(58)).await;
            peer.says("GET /late HTTP/1.1\r\nHost: a\r\n\r\n").await;
            we_are_busy_for(secs(3)).await;
            peer.hears("/late.").await;
        }
    });
}

#[test]
fn a_response_that_was_read_on_in_time_is_not_cut() {
    test::run(async {
        for used in [false, true] {
            let mut peer = connection(used).await;
            peer.says("GET /long HTTP/1.1\r\nHost: a\r\n\r\n").await;
            test::pass(secs(29)).await;
            // It takes what there is.
            peer.hears("\r\n\r\n").await;
            we_are_busy_for(secs(2)).await;
            assert_eq!(peer.hears(".").await.len(), 40_000 * "/long".len() + 1);
        }
    });
}

/// And what is not done in time is no better for our being late.
#[test]
fn what_was_not_done_in_time_was_not() {
    test::run(async {
        for used in [false, true] {
            let mut peer = connection(used).await;
            peer.says("GET / HT").await;
            test::pass(secs(4)).await;
            we_are_busy_for(secs(2)).await;
            test::pass(MOMENT).await;
            assert!(peer.hears_the_rest().await.starts_with("HTTP/1.1 408 "));
        }
        for used in [false, true] {
            let mut peer = connection(used).await;
            peer.says("GET /long HTTP/1.1\r\nHost: a\r\n\r\n").await;
            test::pass(secs(29)).await;
            we_are_busy_for(secs(2)).await;
            test::pass(MOMENT).await;
            assert!(peer.hears_the_rest().await.len() < 40_000 * "/long".len());
        }
    });
}

struct Echo;

impl Actor for Echo {
    type Context = Context<Self>;
}

impl Handler<Received<Frame>> for Echo {
    type Result = ();
    fn handle(&mut self, Received { message: frame, sender }: Received<Frame>, _: &mut Self::Context) {
        match frame.as_text() {
            Some("close") => sender.do_send(Close::new(CloseCode::NORMAL, "as you like")),
            _ if frame.opcode.is_data() => sender.do_send(frame),
            _ => {}
        }
    }
}

impl Handler<Received<Closed>> for Echo {
    type Result = ();
    fn handle(&mut self, Received { message, .. }: Received<Closed>, _: &mut Self::Context) {
        log(format!("{} {}, clean: {}", message.code, message.reason, message.clean));
    }
}

/// Without pings, but where they are asked for.
async fn websocket(pings: bool) -> Peer {
    let upgrading = move |upgrade: UpgradeServer<Echo>| {
        let upgrade = upgrade.hears::<Closed>();
        if pings { upgrade } else { upgrade.stages(AutoPong) }
    };
    test::websocket(move || WebSockets::handled_by(|| Echo).upgrading(upgrading), "/").await
}

/// RFC 6455 §5.4: fragments may take as long as we allow, not longer for being read late.
#[test]
fn a_message_that_was_complete_in_time_is_heard() {
    test::run(async {
        let mut peer = websocket(false).await;
        peer.says(Frame::text("begun and ").more()).await;
        test::pass(secs(59)).await;
        peer.says(Frame::continuation("ended")).await;
        we_are_busy_for(secs(2)).await;
        assert_eq!(peer.hears().await.as_text(), Some("begun and ended"));
        peer.says(Frame::text("begun and ").more()).await;
        test::pass(secs(59)).await;
        we_are_busy_for(secs(2)).await;
        assert_eq!(peer.hears().await.close_reason().unwrap().0, CloseCode::POLICY_VIOLATION);
    });
}

/// RFC 6455 §5.5.2: a pong is said "as soon as is practical", and was.
#[test]
fn a_pong_that_was_said_in_time_is_a_sign_of_life() {
    test::run(async {
        let mut peer = websocket(true).await;
        test::pass(secs(21)).await;
        let ping = peer.hears().await;
        peer.says(Frame::pong(ping.data)).await;
        we_are_busy_for(secs(21)).await;
        assert_eq!(peer.hears().await.opcode, OpCode::Ping);
        we_are_busy_for(secs(21)).await;
        assert_eq!(peer.hears().await.close_reason().unwrap().0, CloseCode::INTERNAL_ERROR);
    });
}

/// RFC 6455 §7.1.4: the closing handshake was clean.
#[test]
fn a_closing_handshake_that_was_done_in_time_is_clean() {
    test::run(async {
        let mut peer = websocket(false).await;
        peer.says(Frame::text("close")).await;
        let close = peer.hears().await;
        test::pass(secs(4)).await;
        peer.says(close).await;
        we_are_busy_for(secs(2)).await;
        peer.hears_the_end().await;
        assert_eq!(heard(), ["1000 as you like, clean: true"]);
    });
}

#[test]
fn a_message_that_was_read_on_in_time_is_not_cut() {
    test::run(async {
        for in_time in [false, true] {
            let mut peer = websocket(false).await;
            peer.says(Frame::binary(vec![1; 200_000])).await;
            test::pass(secs(29)).await;
            if in_time {
                assert_eq!(peer.hears_bytes().await.map(|bytes| bytes.len()), Some(64 << 10));
            }
            we_are_busy_for(secs(2)).await;
            test::pass(MOMENT).await;
            match in_time {
                true => assert_eq!(heard(), [""; 0]),
                false => assert_eq!(heard(), ["1008 output without progress for 30s, clean: false"]),
            }
        }
    });
}
