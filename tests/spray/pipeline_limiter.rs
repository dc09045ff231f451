//! PipelineLimiterSpec.

use actix_sockets::HttpResponse;
use actix_sockets::http::{Event, Settings};

use crate::peer::Peer;

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")
}

/// Two requests are in hand; those behind wait, and one more comes for each answer that has been given.
#[test]
fn reading_is_suspended_and_resumed_as_required() {
    let mut peer = Peer::new(Settings::new().pipelining_limit(2).head_limit(100));
    for path in ["/a", "/b", "/c", "/d", "/e"] {
        peer.says(get(path));
    }
    let (a, request_a) = peer.request();
    let (b, request_b) = peer.request();
    assert_eq!((request_a.path(), request_b.path()), ("/a", "/b"));
    assert!(peer.nothing_else());
    peer.says(get("/f"));
    assert!(!peer.server.wants_read(), "enough waits: reading is suspended");
    // The second answer first: it waits for the first, and so does what it makes room for.
    peer.answers(b, HttpResponse::ok("b"));
    assert!(peer.nothing_else() && peer.hears().is_empty());
    peer.answers(a, HttpResponse::ok("a"));
    let heard = peer.hears();
    assert!(heard.find("\r\n\r\na").unwrap() < heard.find("\r\n\r\nb").unwrap(), "{heard}");
    for path in ["/c", "/d"] {
        assert_eq!(peer.request().1.path(), path);
    }
    assert!(peer.nothing_else() && peer.server.wants_read(), "reading is resumed");
}

/// BackPressureHandlingSpec: what spray does with acks (`noack-rate`, `reading-low-watermark`), for pipelines only, a limit of unsent bytes does here: a peer that asks
/// and never reads is not read any more, and what that costs is bounded.
#[test]
fn a_peer_that_asks_and_never_reads_is_not_read_any_more() {
    for (limit, size) in [(1, 4096), (16, 4096), (16, 1), (128, 60_000)] {
        let mut peer = Peer::new(Settings::new().pipelining_limit(limit));
        let (mut asked, mut answered) = (0, 0);
        while peer.server.wants_read() {
            assert!(asked < 100_000, "it is read for ever");
            peer.says(get("/a"));
            asked += 1;
            while let Some(Event::Request { number, .. }) = peer.server.poll_event() {
                peer.answers(number, HttpResponse::ok(vec![b'x'; size]));
                answered += 1;
            }
        }
        // No request is taken above the soft limit; those that were in hand then are answered all the same. Behind them a head's worth waits.
        assert!(peer.server.unsent() <= (64 << 10) + limit * (size + 200), "{} with {limit} of {size}", peer.server.unsent());
        assert!((asked - answered) * get("/a").len() <= (16 << 10) + get("/a").len(), "{asked} asked, {answered} answered");
        // It reads: all go on.
        while answered < asked {
            assert!(!peer.hears().is_empty());
            while let Some(Event::Request { number, .. }) = peer.server.poll_event() {
                peer.answers(number, HttpResponse::ok(vec![b'x'; size]));
                answered += 1;
            }
        }
        peer.hears();
        assert!(peer.server.wants_read() && peer.server.unsent() == 0);
    }
}

/// Content in chunks counts as its request does, and belongs to it.
#[test]
fn chunked_requests_are_limited_alike() {
    let chunked = |path: &str| format!("PUT {path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n1\r\ny\r\n0\r\n\r\n");
    let mut peer = Peer::new(Settings::new().pipelining_limit(2));
    peer.says(get("/a")).says(chunked("/b")).says(chunked("/c"));
    let (a, _) = peer.request();
    assert_eq!(peer.request().1.content, "xy");
    assert!(peer.nothing_else());
    peer.answers(a, HttpResponse::ok(""));
    let (_, c) = peer.request();
    assert_eq!((c.path(), c.content.as_ref()), ("/c", &b"xy"[..]));
}
