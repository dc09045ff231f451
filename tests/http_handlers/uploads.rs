//! Content that is told as it comes.

use std::cell::RefCell;
use std::time::Duration;

use actix::prelude::*;
use actix_sockets::http::Settings as HttpSettings;
use actix_sockets::{
    Chunk, Content, ContentAborted, ContentEnd, Frame, Guard, HttpRequest, HttpResponse, Received, Register, RequestStart, Responder,
    Settings, UpgradeServer, handshake, test,
};
use http::StatusCode;

use crate::peer::{Talk, heard, log};

thread_local! {
    /// Content that a handler keeps in hand.
    static KEPT: RefCell<Vec<Content>> = const { RefCell::new(Vec::new()) };
}

/// Counts what comes; what else it does is in the path.
#[derive(Default)]
struct Upload {
    responder: Option<Responder>,
    bytes: usize,
}

impl Actor for Upload {
    type Context = Context<Self>;
}

impl Handler<Received<HttpRequest>> for Upload {
    type Result = ();
    fn handle(&mut self, Received { message, sender }: Received<HttpRequest>, ctx: &mut Self::Context) {
        log(format!("request {}", message.path()));
        if message.path() == "/chat" {
            return chat(&message, sender, ctx);
        }
        sender.do_send(HttpResponse::ok("whole"));
    }
}

fn chat(request: &HttpRequest, sender: Responder, ctx: &mut Context<Upload>) {
    match handshake::accept(request) {
        Ok(response) => sender.do_send(UpgradeServer::new(response, ctx)),
        Err(refusal) => sender.do_send(refusal.into_response()),
    }
}

impl Handler<Received<RequestStart>> for Upload {
    type Result = ();
    fn handle(&mut self, Received { message, sender }: Received<RequestStart>, ctx: &mut Self::Context) {
        let RequestStart { request, length, content } = message;
        log(format!("start {} {length:?}", request.path()));
        assert_eq!(content.request(), sender.request());
        match request.path() {
            "/refused" => return sender.do_send(HttpResponse::new(StatusCode::PAYLOAD_TOO_LARGE)),
            "/chat" => return chat(&request, sender, ctx),
            "/chat-at-any-rate" => return sender.do_send(UpgradeServer::new(HttpResponse::new(StatusCode::SWITCHING_PROTOCOLS), ctx)),
            "/asks" => drop(ctx.run_later(Duration::from_secs(1), |_, _| drop(content))),
            _ => {}
        }
        self.responder = Some(sender);
    }
}

impl Handler<Received<Chunk>> for Upload {
    type Result = ();
    fn handle(&mut self, Received { message, sender }: Received<Chunk>, _: &mut Self::Context) {
        self.bytes += message.data.len();
        if message.data.starts_with(b"keep") {
            KEPT.with(|kept| kept.borrow_mut().push(sender));
        }
    }
}

impl Handler<Received<ContentEnd>> for Upload {
    type Result = ();
    fn handle(&mut self, Received { message, sender }: Received<ContentEnd>, _: &mut Self::Context) {
        let Some(responder) = self.responder.take() else { return log("end of what was answered") };
        assert_eq!(responder.request(), sender.request());
        log(format!("end {:?}", message.trailers.get("x-sum")));
        responder.do_send(HttpResponse::ok(format!("{} bytes", self.bytes)));
    }
}

impl Handler<Received<ContentAborted>> for Upload {
    type Result = ();
    fn handle(&mut self, Received { message, .. }: Received<ContentAborted>, _: &mut Self::Context) {
        log(format!("aborted: {:?}", message.error));
    }
}

fn upload() -> Talk {
    Talk::to(|| Register::factory(Upload::default).hears::<RequestStart>())
}

/// By the mailbox, too.
fn upload_by_mail() -> Talk {
    Talk::to(|| Register::new(Upload::default().start()).hears::<RequestStart>())
}

impl Handler<Received<Frame>> for Upload {
    type Result = ();
    fn handle(&mut self, Received { message: frame, .. }: Received<Frame>, _: &mut Self::Context) {
        log(format!("frame {:?}", frame.as_text()));
    }
}

/// RFC 6455 §4.1: a handshake has no content, so it is told as any request without; one that has is refused, whatever the handler makes of it.
#[test]
fn a_handshake_has_no_content() {
    let handshake = |path: &str, fields: &str| {
        format!(
            "GET {path} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{fields}\r\n"
        )
    };
    test::run(async {
        for fields in ["", "Content-Length: 0\r\n"] {
            // A masked text behind it, whose key is 0.
            let all = [handshake("/chat", fields).as_bytes(), &[0x81, 0x82, 0, 0, 0, 0, b'h', b'i']].concat();
            let mut peer = upload();
            assert!(peer.says(all).await.hears("\r\n\r\n").await.starts_with("HTTP/1.1 101 "));
            test::pass(Duration::from_millis(1)).await;
            assert_eq!(heard(), ["request /chat", "frame Some(\"hi\")"]);
        }
        for (path, status) in [("/chat", "400"), ("/chat-at-any-rate", "500")] {
            for (fields, content) in [("Content-Length: 6\r\n", "abcdef"), ("Transfer-Encoding: chunked\r\n", "0\r\n\r\n")] {
                let mut peer = upload();
                let answer = peer.says(handshake(path, fields) + content).await.hears("\r\n\r\n").await;
                assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
                test::pass(Duration::from_millis(1)).await;
                assert!(heard()[0].starts_with("start /chat"));
            }
        }
    });
}

const CHUNKED: &str = "POST /up HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

#[test]
fn content_is_heard_as_it_comes_whichever_way_the_handler_hears() {
    test::run(async {
        for mut peer in [upload(), upload_by_mail()] {
            peer.says(CHUNKED).await;
            test::pass(Duration::from_millis(1)).await;
            assert_eq!(heard(), ["start /up None"]);
            peer.says("3\r\nabc\r\n4\r\ndefg\r\n0\r\nX-Sum: 7\r\n\r\n").await;
            assert!(peer.hears("7 bytes").await.starts_with("HTTP/1.1 200 OK\r\n"));
            assert_eq!(heard(), ["end Some(\"7\")"]);
            peer.says("GET /next HTTP/1.1\r\nHost: a\r\n\r\n").await.hears("whole").await;
            assert_eq!(heard(), ["request /next"]);
        }
    });
}

/// Who does not ask for it hears requests when they are complete.
#[test]
fn without_the_asking_content_is_aggregated() {
    test::run(async {
        let mut peer = Talk::to(|| Register::factory(Upload::default));
        peer.says(CHUNKED).await.says("3\r\nabc\r\n0\r\n\r\n").await.hears("whole").await;
        assert_eq!(heard(), ["request /up"]);
    });
}

/// 100 is said when the handler lets go of the start; here after a second of thinking.
#[test]
fn the_peer_is_asked_for_its_content_when_the_handler_wants_it() {
    test::run(async {
        for path in ["/up", "/asks"] {
            for mut peer in [upload(), upload_by_mail()] {
                peer.says(format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")).await;
                let since = tokio::time::Instant::now();
                peer.hears("HTTP/1.1 100 Continue\r\n\r\n").await;
                assert_eq!(since.elapsed().as_millis() >= 1000, path == "/asks");
                assert!(peer.says("abc").await.hears("3 bytes").await.starts_with("HTTP/1.1 200 "));
            }
        }
    });
}

#[test]
fn who_refuses_content_is_not_sent_any() {
    test::run(async {
        for mut peer in [upload(), upload_by_mail()] {
            peer.says("POST /refused HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n").await;
            let heard = peer.hears_the_rest().await;
            assert!(heard.starts_with("HTTP/1.1 413 "), "{heard}");
        }
    });
}

/// Back-pressure: a handler that keeps what it hears has no more read, until it lets go of it.
#[test]
fn what_a_handler_has_in_hand_is_bounded() {
    test::run(async {
        for mut peer in [upload(), upload_by_mail()] {
            peer.says(CHUNKED).await;
            let chunk = [b"4000\r\nkeep".to_vec(), vec![b'x'; 0x4000 - 4], b"\r\n".to_vec()].concat();
            // Window, a read and what the pipe holds: the rest is not taken.
            let mut taken = 0;
            while tokio::time::timeout(Duration::from_secs(1), peer.says(&chunk)).await.is_ok() {
                taken += chunk.len();
                assert!(taken < 1 << 20);
            }
            assert!(taken > 256 << 10, "{taken} bytes were taken");
            let kept = KEPT.with(|kept| std::mem::take(&mut *kept.borrow_mut()));
            assert!(kept.len() >= 16 && kept.len() <= 22, "{} chunks in hand", kept.len());
            drop(kept);
            tokio::time::timeout(Duration::from_secs(1), peer.says(&chunk)).await.expect("there is room again");
            KEPT.with(|kept| kept.borrow_mut().clear());
        }
    });
}

/// The connection's end is no end of the content.
#[test]
fn content_that_ends_with_its_connection_is_aborted() {
    test::run(async {
        for mut peer in [upload(), upload_by_mail()] {
            peer.says(CHUNKED).await.says("3\r\nabc\r\n").await.finishes();
            assert!(peer.hears_the_rest().await.starts_with("HTTP/1.1 400 "));
            assert_eq!(heard(), ["start /up None", "aborted: Incomplete"]);
        }
        for mut peer in [upload(), upload_by_mail()] {
            peer.says(CHUNKED).await.says("3\r\nabc\r\n").await;
            test::pass(Duration::from_millis(1)).await;
            drop(peer);
            test::pass(Duration::from_millis(1)).await;
            assert_eq!(heard(), ["start /up None", "aborted: Incomplete"]);
        }
    });
}

#[test]
fn content_that_breaks_a_limit_is_aborted() {
    test::run(async {
        let settings = || Settings::new().http(HttpSettings::new().streamed_content_limit(5));
        let mut peer = Talk::with(settings(), || Register::factory(Upload::default).hears::<RequestStart>());
        peer.says(CHUNKED).await.says("5\r\nabcde\r\n1\r\n").await;
        assert!(peer.hears_the_rest().await.starts_with("HTTP/1.1 413 "));
        assert_eq!(heard(), ["start /up None", "aborted: ContentTooLarge"]);
    });
}

/// What a guard refuses is in nobody's hands: the next request is not held up by it, nor is the refused one asked for its content.
#[test]
fn a_guard_refuses_an_upload() {
    test::run(async {
        let guard = Guard::check(|asking| match asking.request.path() {
            "/no" => Err(HttpResponse::new(StatusCode::FORBIDDEN).with_text("said no\n")),
            _ => Ok(()),
        });
        let settings = Settings::new().guard(guard);
        let mut peer = Talk::with(settings, || Register::factory(Upload::default).hears::<RequestStart>());
        for _ in 0..3 {
            peer.says("POST /no HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc").await;
            assert!(peer.hears("said no\n").await.starts_with("HTTP/1.1 403 "));
        }
        peer.says("POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc").await.hears("3 bytes").await;
        assert_eq!(heard(), ["start /up Some(3)", "end None"]);
        peer.says("POST /no HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n").await;
        assert!(peer.hears_the_rest().await.starts_with("HTTP/1.1 403 "));
    });
}
