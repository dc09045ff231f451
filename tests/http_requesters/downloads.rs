//! Responses as they come: told to an actor, or taken by one that waits.

use std::time::Duration;

use actix_sockets::http::{HttpError, Settings};
use actix_sockets::test;
use bytes::Bytes;

use crate::peer::{LetGo, Talk, get, ok, settle};

const CHUNKED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";

/// B45, B42: spray's `ChunkedResponseStart`, `MessageChunk`s and `ChunkedMessageEnd`.
#[test]
fn an_actor_hears_a_response_as_it_comes() {
    test::run(async {
        let mut talk = Talk::streaming(false).await;
        talk.requester.do_send(get("/0"));
        talk.requester.do_send(get("/1"));
        talk.requester.do_send(get("/2"));
        talk.hears("/2 HTTP/1.1\r\nhost: nowhere\r\n\r\n").await;
        talk.says(CHUNKED).await;
        assert_eq!(talk.heard().await, ["200 None"]);
        talk.says("3;a=\"b;c\";d\r\nabc\r\n").await;
        assert_eq!(talk.heard().await, ["+ 0 abc ;a=\"b;c\";d"]);
        talk.says("0\r\nx: y\r\nhost: evil\r\n\r\n").await;
        assert_eq!(talk.heard().await, [". 0 {\"x\": \"y\"}"]);
        talk.says(ok("")).await;
        assert_eq!(talk.heard().await, ["200 Some(0)", ". 1 {}"]);
        talk.says("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhell").await;
        assert_eq!(talk.heard().await, ["200 Some(5)", "+ 2 hell"]);
        talk.finishes();
        assert_eq!(talk.heard().await, ["! 2 Truncated"], "never an end");
    });
}

#[test]
fn and_which_has_no_beginning() {
    test::run(async {
        let mut talk = Talk::streaming(false).await;
        talk.requester.do_send(get("/0"));
        talk.hears("\r\n\r\n").await;
        talk.says("ICY\r\n").await;
        assert_eq!(talk.heard().await, ["GET /0 StatusLine"]);
    });
}

/// "In hand as long as you hold its sender": nothing is read while the start is, nor while more than the window is.
#[test]
fn an_actor_that_keeps_what_it_hears_holds_the_server_up() {
    test::run(async {
        let mut talk = Talk::streaming(true).await;
        talk.requester.do_send(get("/"));
        talk.hears("\r\n\r\n").await;
        talk.says("HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n").await;
        talk.says(vec![b'x'; 60_000]).await;
        assert_eq!(talk.heard().await, ["200 Some(1000000)"]);
        test::pass(Duration::from_secs(1000)).await;
        talk.ear.send(LetGo).await.unwrap();
        let mut told = 0;
        let chunks = talk.heard().await;
        told += chunks.iter().map(|chunk| chunk.len() - "+ 0 ".len()).sum::<usize>();
        assert_eq!(told, 60_000);
        // The window is 256 KiB: what it does not hold stays with the server, and no deadline runs.
        let says = talk.says(vec![b'x'; 940_000]);
        assert!(actix::clock::timeout(Duration::from_secs(9), says).await.is_err(), "the server is held up");
        told += talk.heard().await.iter().map(|chunk| chunk.len() - "+ 0 ".len()).sum::<usize>();
        assert!((256 << 10..(256 << 10) + (128 << 10)).contains(&told), "{told}");
    });
}

/// The same for one that takes it.
#[test]
fn a_body_that_is_taken() {
    test::run(async {
        let mut talk = Talk::plain().await;
        let answer = talk.requester.send_streaming(get("/"));
        talk.hears("\r\n\r\n").await;
        talk.says(format!("{CHUNKED}3;a=b\r\nabc\r\n")).await;
        let (head, mut body) = answer.await.unwrap();
        assert_eq!((head.status.as_u16(), head.content.len()), (200, 0));
        let chunk = body.next().await.unwrap().unwrap();
        assert_eq!((&chunk.data[..], &chunk.extensions[..]), (&b"abc"[..], &b"a=b"[..]));
        talk.says("2\r\nde\r\n0\r\nx: y\r\n\r\n").await;
        assert_eq!(body.next().await.unwrap().unwrap().data, "de");
        assert!(body.next().await.is_none() && body.next().await.is_none());
        assert_eq!(body.trailers()["x"], "y");
        drop(body);
        talk.goes_on().await;
    });
}

#[test]
fn a_body_that_breaks_off() {
    test::run(async {
        let mut talk = Talk::plain().await;
        let answer = talk.requester.send_streaming(get("/"));
        talk.hears("\r\n\r\n").await;
        talk.says(format!("{CHUNKED}3\r\nabc\r\n")).await.finishes();
        let (_, mut body) = answer.await.unwrap();
        assert_eq!(body.next().await.unwrap().unwrap().data, "abc");
        assert_eq!(body.next().await.unwrap(), Err(HttpError::Truncated));
        assert_eq!(body.next().await.unwrap(), Err(HttpError::Truncated));
        assert_eq!(talk.requester.send_streaming(get("/")).await.unwrap_err(), HttpError::NotSent);
    });
}

/// 10 MiB through a window of 64 KiB: never more than that and a read is in memory, and all of it comes.
#[test]
fn a_large_body_through_a_small_window() {
    const SIZE: usize = 10 << 20;
    test::run(async {
        let settings = Settings::new().content_window(64 << 10);
        let mut talk = Talk::with(settings, false, |connect, _| connect).await;
        let answer = talk.requester.send_streaming(get("/"));
        talk.hears("\r\n\r\n").await;
        talk.says(format!("HTTP/1.1 200 OK\r\ncontent-length: {SIZE}\r\n\r\n")).await;
        let (_, mut body) = answer.await.unwrap();
        let requester = talk.requester.clone();
        let server = actix::spawn(async move {
            for n in 0..SIZE / (64 << 10) {
                talk.says(Bytes::from(vec![n as u8; 64 << 10])).await;
            }
            talk
        });
        let mut length = 0;
        while let Some(chunk) = body.next().await {
            let chunk = chunk.unwrap();
            assert!(chunk.data.iter().enumerate().all(|(n, &byte)| byte == ((length + n) / (64 << 10)) as u8));
            length += chunk.data.len();
        }
        assert_eq!(length, SIZE);
        drop((server.await.unwrap(), requester));
    });
}

/// HTTP/1.1 has no other way not to be sent the rest.
#[test]
fn a_body_that_is_dropped_ends_the_connection() {
    test::run(async {
        let mut talk = Talk::plain().await;
        let answer = talk.requester.send_streaming(get("/"));
        let behind = talk.requester.send(get("/behind"));
        talk.hears("/behind").await;
        talk.hears("\r\n\r\n").await;
        talk.says("HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\nsome").await;
        let (_, body) = answer.await.unwrap();
        drop(body);
        assert_eq!(talk.hears_the_rest().await, "");
        assert_eq!(behind.await.unwrap_err(), HttpError::Closed);
    });
}

#[test]
fn one_whose_end_has_come_does_not() {
    test::run(async {
        let mut talk = Talk::plain().await;
        let answer = talk.requester.send_streaming(get("/"));
        talk.hears("\r\n\r\n").await;
        talk.says(ok("")).await;
        drop(answer.await.unwrap());
        settle().await;
        let answer = talk.requester.send_streaming(get("/"));
        talk.hears("\r\n\r\n").await;
        talk.says(ok("x")).await;
        let (_, mut body) = answer.await.unwrap();
        body.next().await.unwrap().unwrap();
        settle().await;
        drop(body);
        talk.goes_on().await;
    });
}

/// An actor gives a response up.
#[test]
fn a_response_that_is_cancelled() {
    test::run(async {
        let mut talk = Talk::streaming(false).await;
        let (request, _rest) = talk.requester.start_send(get("/0"));
        let id = request.request().unwrap();
        request.finish();
        talk.hears("0\r\n\r\n").await;
        talk.requester.cancel(id);
        assert_eq!(talk.hears_the_rest().await, "");
    });
}
