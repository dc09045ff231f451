//! Responses that are said as they are made, and acks.

use std::cell::RefCell;
use std::time::Duration;

use actix::prelude::*;
use actix_sockets::http::Settings as HttpSettings;
use actix_sockets::{
    Chunk, Frame, HttpRequest, HttpResponse, Received, Register, Responder, SendError, Settings, Streaming, UpgradeServer, Upgraded, test,
};
use bytes::Bytes;
use http::header::{CONNECTION, LINK, SEC_WEBSOCKET_ACCEPT, UPGRADE};
use http::{HeaderMap, HeaderValue, StatusCode};

use crate::peer::{Talk, heard, log};

thread_local! {
    static STREAM: RefCell<Option<Streaming>> = const { RefCell::new(None) };
    static RESPONDER: RefCell<Option<Responder>> = const { RefCell::new(None) };
}

/// Leaves the answer to the test.
struct Given;

impl Actor for Given {
    type Context = Context<Self>;
}

impl Handler<Received<HttpRequest>> for Given {
    type Result = ();
    fn handle(&mut self, Received { message, sender }: Received<HttpRequest>, _: &mut Self::Context) {
        match message.path() {
            "/stream" => STREAM.with(|stream| *stream.borrow_mut() = Some(sender.start(HttpResponse::ok("")))),
            _ => RESPONDER.with(|responder| *responder.borrow_mut() = Some(sender)),
        }
    }
}

/// A peer that has asked for this path.
async fn asked(path: &str) -> Talk {
    let mut peer = Talk::to(|| Register::factory(|| Given));
    peer.says(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
    test::pass(Duration::from_millis(1)).await;
    peer
}

async fn streamed() -> (Talk, Streaming) {
    let mut peer = asked("/stream").await;
    peer.hears("\r\n\r\n").await;
    (peer, STREAM.with(|stream| stream.borrow_mut().take()).unwrap())
}

async fn responder() -> (Talk, Responder) {
    let peer = asked("/").await;
    (peer, RESPONDER.with(|responder| responder.borrow_mut().take()).unwrap())
}

#[test]
fn chunks_with_extensions_then_trailers() {
    test::run(async {
        let (mut peer, stream) = streamed().await;
        stream.do_send(Chunk { data: Bytes::from_static(b"abc"), extensions: Bytes::from_static(b"a=1") });
        stream.do_send("");
        stream.do_send("d");
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", HeaderValue::from_static("7"));
        stream.finish_with(trailers);
        assert_eq!(peer.hears("\r\n\r\n").await, "3;a=1\r\nabc\r\n1\r\nd\r\n0\r\nx-sum: 7\r\n\r\n");
    });
}

/// It is written behind that one's end, so who waits for room to go on with that must not wait for it.
#[test]
fn an_answer_that_waits_behind_a_stream_takes_no_room_from_it() {
    test::run(async {
        let settings = Settings::new().http(HttpSettings::new().pipelining_limit(2));
        let mut peer = Talk::with(settings, || Register::factory(|| Given));
        peer.says("GET /stream HTTP/1.1\r\nHost: a\r\n\r\nGET /whole HTTP/1.1\r\nHost: a\r\n\r\n").await.hears("\r\n\r\n").await;
        let stream = STREAM.with(|stream| stream.borrow_mut().take()).unwrap();
        let whole = RESPONDER.with(|responder| responder.borrow_mut().take()).unwrap();
        whole.do_send(HttpResponse::ok(vec![b'x'; 2 << 20]));
        test::pass(Duration::from_millis(1)).await;
        assert!(stream.buffered_amount() > 2 << 20);
        actix::clock::timeout(Duration::from_secs(1), stream.ready()).await.expect("there is room").unwrap();
        assert_eq!(stream.try_send("abc"), Ok(()));
        peer.hears("3\r\nabc\r\n").await;
        stream.finish();
        peer.hears("0\r\n\r\nHTTP/1.1 200 OK\r\n").await;
    });
}

/// A peer that reads nothing: what is sent to it ends at the hard limit, and with it the connection.
#[test]
fn a_stream_that_nobody_reads_is_cut_at_the_hard_limit() {
    test::run(async {
        let (mut peer, stream) = streamed().await;
        let mut most = 0;
        for _ in 0..16_384 {
            stream.do_send(vec![b'x'; 64 << 10]);
            most = most.max(stream.buffered_amount());
        }
        assert!(most < (1 << 20) + (66 << 10), "{most} bytes of a GiB were kept");
        assert_eq!(stream.try_send("x"), Err(SendError::Full));
        test::pass(Duration::from_millis(1)).await;
        assert!(!stream.connected());
        assert_eq!(stream.try_send("x"), Err(SendError::Closed));
        assert!(peer.hears_the_rest().await.len() <= 1 << 20);
    });
}

/// The policy is only for those who do not ask.
#[test]
fn what_does_not_fit_is_given_back_by_try_send() {
    test::run(async {
        let (mut peer, stream) = streamed().await;
        let mut taken = 0;
        while stream.try_send(vec![b'x'; 100_000]).is_ok() {
            taken += 1;
        }
        assert_eq!(taken, 11, "one is taken whole below 1 MiB");
        test::pass(Duration::from_secs(1)).await;
        assert!(stream.connected());
        for _ in 0..taken {
            peer.hears(&format!("186a0\r\n{}\r\n", "x".repeat(100_000))).await;
        }
        stream.try_send("end").unwrap();
        stream.finish();
        peer.hears("3\r\nend\r\n0\r\n\r\n").await;
    });
}

/// A producer that waits for room stays near the soft limit, whoever reads.
#[test]
fn who_waits_for_room_is_bounded_by_the_soft_limit() {
    test::run(async {
        let (mut peer, stream) = streamed().await;
        let producer = actix::spawn(async move {
            for n in 0..2000 {
                stream.do_send(vec![b'x'; 1000]);
                let unsent = stream.buffered_amount();
                assert!(unsent <= (64 << 10) + 2000, "{unsent} unsent");
                if stream.ready().await.is_err() {
                    return n;
                }
            }
            stream.finish();
            2000
        });
        test::pass(Duration::from_secs(5)).await;
        assert!(!producer.is_finished(), "nobody has read");
        let heard = peer.hears("\r\n0\r\n\r\n").await;
        assert_eq!(heard.matches('x').count(), 2_000_000);
        assert_eq!(producer.await.unwrap(), 2000);
    });
}

#[test]
fn acks_say_that_it_was_written() {
    test::run(async {
        let (mut peer, stream) = streamed().await;
        // More than a pipe holds: it is not written before it is read.
        let sent = stream.send(vec![b'x'; 100_000]);
        let waits = actix::spawn(async move {
            sent.await.unwrap();
            log("chunk");
            stream.finish_acked(HeaderMap::new()).await.unwrap();
            log("end");
        });
        test::pass(Duration::from_secs(1)).await;
        assert_eq!(heard(), [""; 0]);
        peer.hears("\r\n0\r\n\r\n").await;
        waits.await.unwrap();
        assert_eq!(heard(), ["chunk", "end"]);

        let (mut peer, responder) = responder().await;
        let sent = responder.send(HttpResponse::ok("all of it"));
        peer.hears("all of it").await;
        assert_eq!(sent.await, Ok(actix_sockets::SendStatus::Sent));
    });
}

/// `SendFailed` of spray.
#[test]
fn what_cannot_be_written_fails() {
    test::run(async {
        let (peer, stream) = streamed().await;
        let (sent, room) = (stream.send(vec![b'x'; 1_000_000]), stream.ready());
        drop(peer);
        assert_eq!((sent.await, room.await), (Err(SendError::Closed), Err(SendError::Closed)));
        assert_eq!((stream.send("x").await, stream.ready().await), (Err(SendError::Closed), Err(SendError::Closed)));

        let (peer, responder) = responder().await;
        drop(peer);
        test::pass(Duration::from_millis(1)).await;
        assert_eq!(responder.send(HttpResponse::ok(vec![b'x'; 1_000_000])).await, Err(SendError::Closed));
    });
}

#[test]
fn early_hints() {
    test::run(async {
        let (mut peer, mut responder) = responder().await;
        responder.interim(HttpResponse::new(StatusCode::EARLY_HINTS)).unwrap();
        responder.interim(HttpResponse::new(StatusCode::SWITCHING_PROTOCOLS)).unwrap();
        responder.do_send(HttpResponse::ok("final"));
        assert!(peer.hears("final").await.starts_with("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n"));
    });
}

/// In number and in bytes, whether they are written meanwhile or not; what is refused was not sent.
#[test]
fn interim_responses_are_bounded() {
    test::run(async {
        let hints = || HttpResponse::new(StatusCode::EARLY_HINTS);
        let (mut peer, mut responder) = responder().await;
        for _ in 0..16 {
            assert_eq!(responder.interim(hints()), Ok(()));
        }
        assert_eq!(responder.interim(hints()), Err(SendError::Full));
        responder.do_send(HttpResponse::ok("final"));
        assert_eq!(peer.hears("final").await.matches("HTTP/1.1 103 ").count(), 16);

        let http = HttpSettings::new().interim_limit(1_000_000).output_hard_limit(100_000);
        let mut peer = Talk::with(Settings::new().http(http), || Register::factory(|| Given));
        peer.says("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        test::pass(Duration::from_millis(1)).await;
        let mut responder = RESPONDER.with(|responder| responder.borrow_mut().take()).unwrap();
        let large = || hints().with_header(LINK, HeaderValue::from_bytes(&[b'x'; 10_000]).unwrap());
        let taken = (0..100).take_while(|_| responder.interim(large()).is_ok()).count();
        assert_eq!(taken, 10, "below the hard limit one is taken whole, and none at it");
        assert_eq!(responder.interim(hints()), Err(SendError::Full));
        drop(peer);
        test::pass(Duration::from_millis(1)).await;
        assert_eq!(responder.interim(hints()), Err(SendError::Closed));
    });
}

/// Its head is all there is: the next is asked at once, and who streams is told that nobody listens.
#[test]
fn a_stream_in_answer_to_head_ends_with_its_head() {
    test::run(async {
        let mut peer = Talk::to(|| Register::factory(|| Given));
        peer.says("HEAD /stream HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        let head = peer.hears("\r\n\r\n").await;
        assert!(head.contains("transfer-encoding: chunked\r\n"), "{head}");
        test::pass(Duration::from_millis(1)).await;
        let stream = STREAM.with(|stream| stream.borrow_mut().take()).unwrap();
        stream.do_send("to nobody");
        assert_eq!((stream.send("to nobody").await, stream.ready().await), (Err(SendError::Closed), Err(SendError::Closed)));
        drop(stream);
        RESPONDER.with(|responder| responder.borrow_mut().take()).unwrap().do_send(HttpResponse::ok("next"));
        let next = peer.hears("next").await;
        assert!(next.starts_with("HTTP/1.1 200 OK\r\n") && next.contains("content-length: 4\r\n"), "{next}");
    });
}

/// An answer that is acked, and an upgrade behind it before it has left: the websocket writes it, and who waits is told.
#[test]
fn acks_outlive_an_upgrade() {
    test::run(async {
        let settings = Settings::new().http(HttpSettings::new().pipelining_limit(2).output_soft_limit(usize::MAX));
        let mut peer = Talk::with(settings, || Register::factory(|| Given));
        peer.says("GET /first HTTP/1.1\r\nHost: a\r\n\r\n").await;
        test::pass(Duration::from_millis(1)).await;
        let first = RESPONDER.with(|responder| responder.borrow_mut().take()).unwrap();
        peer.says(HANDSHAKE).await;
        test::pass(Duration::from_millis(1)).await;
        let second = RESPONDER.with(|responder| responder.borrow_mut().take()).unwrap();
        let sent = first.send(HttpResponse::ok(vec![b'x'; 500_000]));
        let (tell, told) = tokio::sync::oneshot::channel();
        actix::spawn(async move { tell.send(sent.await) });
        second.do_send(UpgradeServer::new(switching(), Given.start()).hears::<Upgraded>());
        test::pass(Duration::from_secs(1)).await;
        assert_eq!(heard(), ["upgraded"], "it is a websocket, and the answer has not left");
        let mut told = told;
        assert!(told.try_recv().is_err(), "nor is it told to have");
        peer.hears("HTTP/1.1 101 Switching Protocols").await;
        assert_eq!(told.await, Ok(Ok(actix_sockets::SendStatus::Sent)));
    });
}

const HANDSHAKE: &str = "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// The 101 for it.
fn switching() -> HttpResponse {
    HttpResponse::new(StatusCode::SWITCHING_PROTOCOLS)
        .with_header(UPGRADE, HeaderValue::from_static("websocket"))
        .with_header(CONNECTION, HeaderValue::from_static("Upgrade"))
        .with_header(SEC_WEBSOCKET_ACCEPT, HeaderValue::from_static("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="))
}

impl Handler<Received<Frame>> for Given {
    type Result = ();
    fn handle(&mut self, _: Received<Frame>, _: &mut Self::Context) {}
}

impl Handler<Received<Upgraded>> for Given {
    type Result = ();
    fn handle(&mut self, _: Received<Upgraded>, _: &mut Self::Context) {
        log("upgraded");
    }
}
