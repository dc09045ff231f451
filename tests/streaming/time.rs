//! Whose time it is while content comes: the peer's, the handler's, or nobody's.

use std::time::Duration;

use actix_sockets::HttpResponse;
use actix_sockets::http::{Closing, HttpError, Settings};

use crate::peer::{CHUNKED, Heard, Peer, start};

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// T12: slow content, in time.
#[test]
fn t12_content_that_is_too_slow() {
    let mut peer = Peer::new(Settings::new());
    peer.says(CHUNKED).handler();
    peer.later(Duration::from_millis(4990));
    assert_eq!(peer.handler(), []);
    peer.later(Duration::from_millis(10));
    assert_eq!(peer.handler(), [Heard::Aborted(HttpError::ContentTimeout), Heard::Failed(HttpError::ContentTimeout)]);
    assert!(peer.hears().starts_with("HTTP/1.1 408 "));
    assert!(peer.is_over());
    println!("t12: content at 0 bytes a second, limit 5 s: open at 4.99 s, 408 at 5 s");
}

/// An hour of content at 240 bytes a second is no timeout, neither of the peer nor of the handler; which has 20 s from its end.
#[test]
fn an_answer_is_due_when_the_content_is_complete() {
    let mut peer = Peer::new(Settings::new());
    peer.says(CHUNKED).handler();
    for _ in 0..3600 {
        peer.later(secs(1)).says(format!("f0\r\n{}\r\n", "x".repeat(240)));
        assert_eq!(peer.handler().len(), 1);
    }
    peer.says("0\r\n\r\n").handler();
    peer.later(secs(19));
    assert_eq!(peer.handler(), []);
    peer.later(secs(1));
    assert_eq!(peer.handler(), [Heard::TimedOut]);
    peer.later(secs(2));
    assert!(peer.hears().starts_with("HTTP/1.1 500 "));
}

/// RFC 9110 §10.1.1: who waits for `100 Continue`, which waits for the answer to the request before, is not late. Who does not wait has its time from then on.
#[test]
fn who_waits_to_be_asked_behind_another_is_not_late() {
    let behind = || {
        let mut peer = Peer::new(Settings::new().pipelining_limit(2));
        peer.says("GET /first HTTP/1.1\r\nHost: a\r\n\r\n").handler();
        let first = peer.number;
        peer.says("POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
        assert_eq!(peer.handler(), [start(Some(3))]);
        peer.later(secs(10));
        assert_eq!((peer.handler(), peer.hears().as_str()), (vec![], ""));
        (peer, first)
    };
    let late = [Heard::Aborted(HttpError::ContentTimeout), Heard::Failed(HttpError::ContentTimeout)];
    let (mut peer, first) = behind();
    let second = std::mem::replace(&mut peer.number, first);
    peer.answers(HttpResponse::ok("first")).number = second;
    assert!(peer.hears().ends_with("firstHTTP/1.1 100 Continue\r\n\r\n"));
    assert_eq!(peer.later(Duration::from_millis(4990)).handler(), []);
    assert_eq!(peer.later(Duration::from_millis(20)).handler(), late);
    let (mut peer, _) = behind();
    assert_eq!(peer.says("a").handler(), [Heard::Data("a".to_owned(), String::new())]);
    assert_eq!(peer.later(Duration::from_millis(4990)).handler(), []);
    assert_eq!(peer.later(Duration::from_millis(20)).handler(), late);
}

/// While the handler has too much in hand the peer cannot send, and need not; but the handler has to do something about it.
#[test]
fn a_handler_that_keeps_its_content_and_does_not_answer() {
    let mut peer = Peer::new(Settings::new()).keeping();
    peer.says(CHUNKED);
    assert_eq!(peer.handler(), [start(None)]);
    peer.later(secs(19));
    assert_eq!(peer.handler(), []);
    peer.later(secs(1));
    assert_eq!(peer.handler(), [Heard::TimedOut]);
    peer.later(secs(2));
    assert_eq!(peer.handler(), [Heard::Aborted(HttpError::Unanswered)]);
    assert!(peer.hears().starts_with("HTTP/1.1 500 "));
    assert_eq!(peer.server.closing(), Closing::AfterFlush);
}

/// Who lets go in time is not measured any more, and the peer has its grace from then on.
#[test]
fn a_handler_that_takes_its_content_at_last() {
    let mut peer = Peer::new(Settings::new()).keeping();
    peer.says(CHUNKED).handler();
    peer.later(secs(21));
    assert_eq!(peer.handler(), [Heard::TimedOut]);
    peer.lets_go_of_one().later(Duration::from_millis(4990));
    assert_eq!(peer.handler(), []);
    peer.says("1\r\nx\r\n0\r\n\r\n");
    assert_eq!(peer.handler().len(), 2);
    peer.answers(HttpResponse::ok("late, and in time"));
    assert!(peer.hears().ends_with("late, and in time"));
    assert_eq!(peer.server.closing(), Closing::Open);
}

/// Without a rate there is still the idle timeout.
#[test]
fn content_without_a_rate() {
    let mut peer = Peer::new(Settings::new().content_rate(0));
    peer.says(CHUNKED).handler();
    peer.later(secs(59)).says("1\r\nx\r\n").handler();
    peer.later(secs(59));
    assert!(!peer.is_over());
    peer.later(secs(1));
    assert_eq!(peer.handler(), [Heard::Aborted(HttpError::Incomplete)]);
    assert!(peer.is_over());
}

/// A peer that takes our bytes is there.
#[test]
fn a_peer_that_reads_what_is_streamed_has_time() {
    let mut peer = Peer::new(Settings::new());
    peer.says(CHUNKED).handler();
    peer.starts(HttpResponse::ok("x"));
    for _ in 0..10 {
        peer.later(secs(4));
        peer.server.chunk(peer.number.unwrap(), "x", peer.now).unwrap();
        peer.hears();
        assert_eq!(peer.handler(), []);
    }
    peer.later(secs(5));
    assert_eq!(peer.handler(), [Heard::Aborted(HttpError::ContentTimeout), Heard::Failed(HttpError::ContentTimeout)]);
}

/// T12: a peer that takes nothing of the response.
#[test]
fn t12_a_response_that_is_not_read() {
    let mut peer = Peer::new(Settings::new());
    peer.says("GET / HTTP/1.1\r\nHost: a\r\n\r\n").handler();
    peer.starts(HttpResponse::ok("x"));
    peer.later(secs(29));
    assert!(!peer.is_over());
    peer.later(secs(1));
    assert_eq!(peer.server.closing(), Closing::Abort);
    println!("t12: a response of which nothing is read, limit 30 s: open at 29 s, cut at 30 s");
}
