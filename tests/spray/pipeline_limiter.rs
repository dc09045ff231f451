//! PipelineLimiterSpec.

use actix_sockets::HttpResponse;
use actix_sockets::http::Settings;

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
