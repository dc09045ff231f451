//! Requests whose content is given as it is made.

use std::time::Duration;

use actix_sockets::http::HttpError;
use actix_sockets::{SendError, test};
use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};

use crate::peer::{Talk, get, ok, post, settle};

/// B45: spray's `ChunkedRequestStart`, `MessageChunk`s and `ChunkedMessageEnd`.
#[test]
fn a_request_in_chunks_with_trailers() {
    test::run(async {
        let mut talk = Talk::plain().await;
        let (request, answer) = talk.requester.start_send(post("/"));
        assert!(talk.hears("\r\n\r\n").await.contains("transfer-encoding: chunked\r\n"));
        request.do_send("abc");
        talk.hears("3\r\nabc\r\n").await;
        request.do_send("");
        request.try_send("de").unwrap();
        talk.hears("2\r\nde\r\n").await;
        let mut trailers = HeaderMap::new();
        trailers.insert("x", HeaderValue::from_static("y"));
        request.finish_with(trailers);
        talk.hears("0\r\nx: y\r\n\r\n").await;
        talk.says(ok("!")).await;
        assert_eq!(answer.await.unwrap().content, "!");
    });
}

/// By message, and both ways at once.
#[test]
fn the_response_may_go_to_an_actor_and_come_before_the_end() {
    test::run(async {
        let mut talk = Talk::streaming(false).await;
        let request = talk.requester.start(post("/"));
        talk.hears("\r\n\r\n").await;
        talk.says("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
        assert_eq!(talk.heard().await, ["200 None"]);
        for word in ["one", "other"] {
            request.do_send(word);
            talk.hears(&format!("{:x}\r\n{word}\r\n", word.len())).await;
            talk.says(format!("{:x}\r\n{word}\r\n", word.len())).await;
            assert_eq!(talk.heard().await, [format!("+ 0 {word}")]);
        }
        request.finish();
        talk.hears("0\r\n\r\n").await;
        talk.says("0\r\n\r\n").await;
        assert_eq!(talk.heard().await, [". 0 {}"]);
    });
}

/// RFC 9110 §10.1.1.
#[test]
fn expect_100_continue() {
    test::run(async {
        let mut talk = Talk::plain().await;
        let expecting = || post("/").with_header(header::EXPECT, HeaderValue::from_static("100-continue"));
        let (request, answer) = talk.requester.start_send(expecting());
        request.do_send("abc");
        talk.hears("\r\n\r\n").await;
        talk.hears_nothing().await;
        talk.says("HTTP/1.1 100 Continue\r\n\r\n").await;
        talk.hears("3\r\nabc\r\n").await;
        request.finish();
        talk.hears("0\r\n\r\n").await;
        talk.says(ok("")).await;
        answer.await.unwrap();
        // It is not waited for longer than a second.
        let answer = talk.requester.send(expecting().with_content("whole"));
        talk.hears("\r\n\r\n").await;
        talk.hears_nothing().await;
        test::pass(Duration::from_secs(1)).await;
        talk.hears("whole").await;
        talk.says(ok("")).await;
        answer.await.unwrap();
        // And it is not sent behind a final status.
        let (request, answer) = talk.requester.start_send(expecting());
        request.do_send("abc");
        let ack = request.send("def");
        talk.hears("\r\n\r\n").await;
        talk.says("HTTP/1.1 417 Expectation Failed\r\ncontent-length: 0\r\n\r\n").await;
        assert_eq!(answer.await.unwrap().status.as_u16(), 417);
        assert_eq!(talk.hears_the_rest().await, "");
        assert_eq!(ack.await, Err(SendError::Closed));
        settle().await;
        assert_eq!(request.try_send("ghi"), Err(SendError::Closed));
        assert_eq!(request.ready().await, Err(SendError::Closed));
    });
}

/// B32: a piece is acked when it has left.
#[test]
fn pieces_that_are_acked() {
    test::run(async {
        let mut talk = Talk::plain().await;
        let (request, answer) = talk.requester.start_send(post("/"));
        request.send("abc").await.unwrap();
        // The pipe holds 64 KiB: the last byte of this waits for the server to read.
        let mut ack = Box::pin(request.send(vec![b'x'; 100_000]));
        assert!(actix::clock::timeout(Duration::from_secs(1), &mut ack).await.is_err());
        assert!(request.buffered_amount() > 30_000, "{}", request.buffered_amount());
        talk.hears("3\r\nabc\r\n").await;
        talk.hears("\r\nxxx").await;
        talk.hears("xxx\r\n").await;
        ack.await.unwrap();
        assert_eq!(request.buffered_amount(), 0);
        request.finish();
        talk.hears("0\r\n\r\n").await;
        talk.says(ok("")).await;
        answer.await.unwrap();
    });
}

/// Found by the simulation: it has no turn before the streamed request's end, so who waits for room to give that must not wait for it.
#[test]
fn what_waits_behind_a_streamed_request_takes_no_room_from_it() {
    test::run(async {
        let mut talk = Talk::plain().await;
        let (request, answer) = talk.requester.start_send(post("/"));
        let behind = talk.requester.send(post("/behind").with_content(vec![b'x'; 2 << 20]));
        talk.hears("\r\n\r\n").await;
        actix::clock::timeout(Duration::from_secs(1), request.ready()).await.expect("there is room").unwrap();
        request.try_send("abc").unwrap();
        talk.hears("3\r\nabc\r\n").await;
        request.finish();
        talk.hears("0\r\n\r\n").await;
        talk.says(ok("first")).await;
        assert_eq!(answer.await.unwrap().content, "first");
        talk.hears("POST /behind ").await;
        drop((talk, behind));
    });
}

/// A server that takes nothing: what waits is bounded, whatever is given.
#[test]
fn the_hard_limit() {
    test::run(async {
        let talk = Talk::plain().await;
        let (request, answer) = talk.requester.start_send(post("/"));
        let piece = Bytes::from(vec![b'x'; 10_000]);
        let mut taken = 0;
        while request.try_send(piece.clone()).is_ok() {
            taken += 1;
            if taken % 10 == 0 {
                settle().await;
            }
            assert!(taken < 200, "1 MiB and the pipe");
        }
        assert!(taken > 100, "{taken}");
        assert_eq!(request.try_send("x"), Err(SendError::Full));
        assert_eq!(request.send("x").await, Err(SendError::Full));
        assert!(actix::clock::timeout(Duration::from_secs(1), request.ready()).await.is_err(), "no room");
        request.do_send("one too many");
        assert_eq!(answer.await.unwrap_err(), HttpError::Abandoned);
        assert_eq!(request.send("x").await, Err(SendError::Closed));
    });
}

#[test]
fn room_is_told() {
    test::run(async {
        let mut talk = Talk::plain().await;
        let (request, answer) = talk.requester.start_send(post("/"));
        request.ready().await.unwrap();
        request.do_send(vec![b'x'; 500_000]);
        let server = actix::spawn(async move {
            talk.hears("0\r\n\r\n").await;
            talk.says(ok("!")).await;
            talk
        });
        request.ready().await.unwrap();
        assert!(request.buffered_amount() <= 64 << 10, "{}", request.buffered_amount());
        request.finish();
        assert_eq!(answer.await.unwrap().content, "!");
        drop(server.await.unwrap());
    });
}

/// RFC 9112 §8: nobody takes it for complete.
#[test]
fn a_request_that_is_dropped_is_cut() {
    test::run(async {
        let mut talk = Talk::plain().await;
        let (request, answer) = talk.requester.start_send(post("/"));
        let behind = talk.requester.send(get("/behind"));
        request.do_send("abc");
        talk.hears("3\r\nabc\r\n").await;
        drop(request);
        assert_eq!(answer.await.unwrap_err(), HttpError::Abandoned);
        assert_eq!(behind.await.unwrap_err(), HttpError::NotSent);
        assert_eq!(talk.hears_the_rest().await, "", "no last chunk");
    });
}

#[test]
fn unless_nothing_of_it_was_sent() {
    test::run(async {
        let mut talk = Talk::plain().await;
        let first = talk.requester.send(get("/0"));
        let (request, answer) = talk.requester.start_send(post("/1"));
        let behind = talk.requester.send(get("/2"));
        drop(request);
        assert_eq!(answer.await.unwrap_err(), HttpError::Abandoned);
        talk.hears("\r\n\r\n").await;
        talk.says(ok("0")).await;
        first.await.unwrap();
        assert!(talk.hears("\r\n\r\n").await.starts_with("GET /2"));
        talk.says(ok("2")).await;
        behind.await.unwrap();
    });
}

#[test]
fn content_that_is_longer_than_it_should_be() {
    test::run(async {
        let mut talk = Talk::plain().await;
        let (request, answer) = talk.requester.start_send(post("/").with_header(header::CONTENT_LENGTH, HeaderValue::from_static("4")));
        request.do_send("abc");
        request.do_send("de");
        assert_eq!(answer.await.unwrap_err(), HttpError::Abandoned);
        talk.hears_the_rest().await;
    });
}
