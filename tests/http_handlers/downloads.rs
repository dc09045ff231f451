//! Responses that are said as they are made, and acks.

use std::cell::RefCell;
use std::time::Duration;

use actix::prelude::*;
use actix_sockets::{Chunk, HttpRequest, HttpResponse, Received, Register, Responder, SendError, Streaming, test};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode};

use crate::peer::{Log, Talk};

thread_local! {
    static LOG: Log = Log::default();
    static STREAM: RefCell<Option<Streaming>> = const { RefCell::new(None) };
    static RESPONDER: RefCell<Option<Responder>> = const { RefCell::new(None) };
}

fn log(what: impl Into<String>) {
    LOG.with(|log| log.borrow_mut().push(what.into()));
}

fn heard() -> Vec<String> {
    LOG.with(|log| std::mem::take(&mut *log.borrow_mut()))
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
        let (mut peer, responder) = responder().await;
        responder.interim(HttpResponse::new(StatusCode::EARLY_HINTS));
        responder.interim(HttpResponse::new(StatusCode::SWITCHING_PROTOCOLS));
        responder.do_send(HttpResponse::ok("final"));
        assert!(peer.hears("final").await.starts_with("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n"));
    });
}
