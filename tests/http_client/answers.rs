//! Responses: where they end, what breaks them, how long they may take.

use std::time::{Duration, Instant};

use actix_sockets::http::{Closing, Event, HttpError, HttpRequest, Server, Settings};
use bytes::BytesMut;
use http::header::{self, HeaderValue};
use http::{Method, Uri};

use crate::peer::{Peer, get, ok, post, told, worth};

#[test]
fn requests_are_written_as_http_needs_them() {
    let asks = |request| Peer::nameless().asks(request);
    assert_eq!(asks(get("http://user@example.com:81/a?b")), "GET /a?b HTTP/1.1\r\nhost: example.com:81\r\n\r\n");
    assert_eq!(asks(get("http://example.com?b")), "GET /?b HTTP/1.1\r\nhost: example.com\r\n\r\n", "RFC 9112 §3.2.1: an empty path is `/`");
    assert_eq!(asks(get("http://example.com")), "GET / HTTP/1.1\r\nhost: example.com\r\n\r\n");
    let own = get("/x").with_header(header::HOST, HeaderValue::from_static("h"));
    assert_eq!(asks(own.clone()), "GET /x HTTP/1.1\r\nhost: h\r\n\r\n");
    let lying = own.clone().with_header(header::CONTENT_LENGTH, HeaderValue::from_static("99")).with_content("abc");
    assert_eq!(asks(lying), "GET /x HTTP/1.1\r\nhost: h\r\ncontent-length: 3\r\n\r\nabc");
    assert_eq!(asks(HttpRequest { method: Method::POST, ..own }), "POST /x HTTP/1.1\r\nhost: h\r\ncontent-length: 0\r\n\r\n");
    let connect = HttpRequest::new(Method::CONNECT, Uri::from_static("a:80"));
    assert_eq!(asks(connect), "CONNECT a:80 HTTP/1.1\r\nhost: a:80\r\n\r\n");
    assert_eq!(asks(HttpRequest::new(Method::OPTIONS, Uri::from_static("*"))), "OPTIONS * HTTP/1.1\r\nhost: \r\n\r\n");
}

/// RFC 9112 §6.3.
#[test]
fn content_ends_where_the_framing_says() {
    let ok = "HTTP/1.1 200 OK\r\n";
    for (response, eof, said) in [
        ("Content-Length: 5\r\n\r\nhello", false, &["0 200 hello", "Open"][..]),
        ("Content-Length: 0\r\n\r\n", false, &["0 200 ", "Open"]),
        ("Transfer-Encoding: chunked\r\n\r\n3;x\r\nabc\r\n2\r\nde\r\n0\r\nt: u\r\n\r\n", false, &["0 200 abcde", "Open"]),
        ("\r\nuntil the end", true, &["0 200 until the end", "Done"]),
        ("Connection: close\r\nContent-Length: 1\r\n\r\nx", false, &["0 200 x", "AfterFlush"]),
        ("Content-Length: 5\r\n\r\nhell", true, &["0 Truncated", "Truncated", "Done"]),
        ("Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", true, &["0 Truncated", "Truncated", "Done"]),
        ("Content-Le", true, &["0 Truncated", "Truncated", "Done"]),
        ("Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", false, &["0 ContentLength", "ContentLength", "AfterFlush"]),
        ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", false, &["0 AmbiguousLength", "AmbiguousLength", "AfterFlush"]),
        ("Transfer-Encoding: gzip, chunked\r\n\r\n", false, &["0 UnknownTransferCoding", "UnknownTransferCoding", "AfterFlush"]),
        ("Content-Length: 1001\r\n\r\n", false, &["0 ContentTooLarge", "ContentTooLarge", "AfterFlush"]),
        ("Content-Length:\r\n\t1\r\n\r\nx", false, &["0 200 x", "Open"]),
        ("Content-Length: 1\r\n 0\r\n\r\nx", false, &["0 ContentLength", "ContentLength", "AfterFlush"]),
        (" a: b\r\n\r\n", false, &["0 FieldLine", "FieldLine", "AfterFlush"]),
        ("Content-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", false, &["0 200 ", "UnexpectedResponse", "AfterFlush"]),
    ] {
        assert_eq!(told(&[get("/")], format!("{ok}{response}"), eof), said, "{response:?}");
    }
    assert_eq!(told(&[get("/")], format!("{ok}\r\n{}", "x".repeat(1001)), true), ["0 ContentTooLarge", "ContentTooLarge", "Done"]);
    assert_eq!(told(&[get("/")], "", true), ["0 Closed", "Closed", "Done"]);
    assert_eq!(told(&[get("/")], "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", false), ["0 200 x", "AfterFlush"]);
}

/// "Any response to a HEAD request and any response with a 1xx …, 204 …, or 304 … status code is always terminated by the first empty
/// line" (RFC 9112 §6.3).
#[test]
fn responses_without_content() {
    let head = HttpRequest::new(Method::HEAD, Uri::from_static("/"));
    let input = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nHTTP/1.1 204 \r\nContent-Length: 5\r\n\r\nHTTP/1.1 304 x\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(told(&[head, get("/"), get("/")], input, false), ["0 200 ", "1 204 ", "2 304 ", "Open"]);
}

#[test]
fn malformed_heads() {
    for head in [
        "HTTP/1.1 20\r\n\r\n",
        "HTTP/1.1 0000 x\r\n\r\n",
        "HTTP/1.1  200 OK\r\n\r\n",
        "ICY 200 OK\r\n\r\n",
        "\r\n",
        "HTTP/1.1 200 a\x01\r\n\r\n",
        "HTTP/1.1 200x\r\n\r\n",
    ] {
        assert_eq!(told(&[get("/")], head, false), ["0 StatusLine", "StatusLine", "AfterFlush"], "{head:?}");
    }
    assert_eq!(told(&[get("/")], "HTTP/2.0 200 OK\r\n\r\n", false), ["0 Version", "Version", "AfterFlush"]);
    assert_eq!(told(&[get("/")], "HTTP/1.1 200 OK\n\r\n", false), ["0 BareLineFeed", "BareLineFeed", "AfterFlush"]);
    assert_eq!(told(&[get("/")], "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", false), ["0 200 ", "Open"]);
    let head = |n: usize| {
        let (begins, ends) = ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n", "\r\n");
        let fields = format!("a: {}\r\n", "b".repeat((8 << 10) - 5))
            + &format!("c: {}\r\n", "d".repeat(n - begins.len() - ends.len() - (8 << 10) - 5));
        format!("{begins}{fields}{ends}")
    };
    assert_eq!(head(16 << 10).len(), 16 << 10);
    assert_eq!(told(&[get("/")], head(16 << 10), false), ["0 200 ", "Open"]);
    assert_eq!(told(&[get("/")], head((16 << 10) + 1), false), ["0 HeadTooLarge", "HeadTooLarge", "AfterFlush"]);
}

/// RFC 9110 §15.2.
#[test]
fn interim_responses_are_passed_over_up_to_a_limit() {
    let hint = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
    let input = format!("HTTP/1.1 100 Continue\r\n\r\n{}HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", hint.repeat(15));
    assert_eq!(told(&[get("/")], input, false), ["0 200 x", "Open"]);
    assert_eq!(told(&[get("/")], hint.repeat(17), false), ["0 TooManyInterim", "TooManyInterim", "AfterFlush"]);
}

/// RFC 9110 §7.8: what follows the head of the 101 is of the new protocol.
#[test]
fn a_101_ends_http() {
    let input = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n\x01\x05HTTP/";
    let upgrade = get("/").with_header(header::UPGRADE, HeaderValue::from_static("websocket"));
    for cut in 1..=input.len() {
        let mut peer = Peer::nameless();
        peer.asks(upgrade.clone());
        for piece in input.as_bytes().chunks(cut) {
            peer.hears(piece);
        }
        assert_eq!(peer.events(), ["0 101 "]);
        assert!(peer.client.is_switched() && peer.client.deadline().is_none());
        assert_eq!(&peer.client.into_unread()[..], b"\x01\x05HTTP/");
    }
    assert_eq!(told(&[get("/")], input, false), ["0 UnexpectedSwitch", "UnexpectedSwitch", "AfterFlush"]);
}

#[test]
fn each_silence_ends_within_its_deadline() {
    const SECOND: Duration = Duration::from_secs(1);
    for (input, seconds, said) in [
        ("", 10, "ResponseTimeout"),
        ("HTTP/1.1 200 O", 10, "ResponseTimeout"),
        ("HTTP/1.1 100 Continue\r\n\r\n", 10, "ResponseTimeout"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", 5, "ContentTimeout"),
    ] {
        let mut peer = Peer::nameless();
        peer.asks(get("/"));
        peer.hears(input);
        assert_eq!(peer.client.deadline(), Some(peer.now + SECOND * seconds), "{input:?}");
        peer.client.handle_timeout(peer.now + SECOND * seconds - Duration::from_nanos(1));
        assert_eq!((peer.events().len(), peer.client.closing()), (0, Closing::Open), "{input:?}");
        peer.client.handle_timeout(peer.now + SECOND * seconds);
        assert_eq!((peer.events(), peer.client.closing()), (vec![format!("0 {said}"), said.to_owned()], Closing::AfterFlush));
    }
    let mut peer = Peer::nameless();
    assert_eq!(peer.client.deadline(), Some(peer.now + SECOND * 60));
    peer.client.handle_timeout(peer.now + SECOND * 60);
    assert_eq!((peer.events().len(), peer.client.closing()), (0, Closing::AfterFlush));
    // A server that takes no bytes.
    let mut peer = Peer::new(Settings::new().response_timeout(SECOND * 100));
    peer.client.request(get("/"), peer.now);
    peer.client.handle_timeout(peer.now + SECOND * 30);
    assert_eq!((peer.events(), peer.client.closing()), (vec!["0 NotSent".to_owned(), "WriteTimeout".to_owned()], Closing::Abort));
    assert_eq!(HttpError::ResponseTimeout.status(), http::StatusCode::GATEWAY_TIMEOUT);
}

/// However long it takes a request to leave: its response is due from then on. That it leaves is seen to by other deadlines.
#[test]
fn no_response_is_due_before_the_request_has_left() {
    const SECOND: Duration = Duration::from_secs(1);
    let mut peer = Peer::nameless();
    peer.client.request(post("/").with_content(vec![b'x'; 100_000]), peer.now);
    peer.client.request(get("/behind"), peer.now);
    for _ in 0..99 {
        let _ = peer.client.output().take(1000);
        peer.client.wrote(peer.now);
        assert_eq!(peer.later(SECOND).events(), [""; 0], "it goes on");
    }
    peer.takes();
    assert_eq!(peer.later(SECOND * 9).hears(ok("taken")).events(), ["0 200 taken"]);
    peer.takes();
    peer.later(SECOND * 10);
    assert_eq!(peer.events(), ["1 ResponseTimeout", "ResponseTimeout"]);
    // A response may come before, and has its time then.
    let mut peer = Peer::nameless();
    peer.client.request(post("/").with_content(vec![b'x'; 100_000]), peer.now);
    let _ = peer.client.output().take(1000);
    peer.client.wrote(peer.now);
    assert_eq!(peer.later(SECOND * 20).hears(ok("no")).events(), ["0 200 no"]);
}

/// Whatever limits are set: no type of a message is asked for more than it can hold.
#[test]
fn no_limit_is_beyond_what_a_head_can_hold() {
    let settings = || Settings::new().field_limit(usize::MAX).head_limit(usize::MAX).target_limit(usize::MAX);
    for (lines, said) in [(16_384, "0 204 "), (16_385, "0 TooManyFields"), (30_000, "0 TooManyFields"), (40_000, "0 TooManyFields")] {
        let mut peer = Peer::new(settings());
        peer.asks(get("/"));
        peer.hears(format!("HTTP/1.1 204 No Content\r\n{}\r\n", "a:\r\n".repeat(lines)));
        assert_eq!(peer.events()[0], said, "{lines} lines");
        let mut server = Server::new(settings(), peer.now);
        server.receive(BytesMut::from(&*format!("GET / HTTP/1.0\r\n{}\r\n", "a:\r\n".repeat(lines))), peer.now);
        let refused = match server.poll_event() {
            Some(Event::Request { .. }) => None,
            Some(Event::Failed(error)) => Some(error),
            event => panic!("{event:?}"),
        };
        assert_eq!(refused, (lines > 16_384).then_some(HttpError::TooManyFields), "{lines} lines");
    }
    for (length, refused) in [(65_534, None), (65_535, Some(HttpError::TargetTooLong)), (1 << 20, Some(HttpError::TargetTooLong))] {
        let mut server = Server::new(settings(), Instant::now());
        server.receive(BytesMut::from(&*format!("GET /{} HTTP/1.0\r\n\r\n", "a".repeat(length - 1))), Instant::now());
        let told = server.poll_event();
        match refused {
            None => assert!(matches!(&told, Some(Event::Request { request, .. }) if request.path().len() == length), "{told:?}"),
            Some(refused) => assert!(matches!(told, Some(Event::Failed(error)) if error == refused), "{told:?}"),
        }
    }
}

/// Whoever reads for the connection may have a reason of its own not to: meanwhile no server is late, and it has its time again afterwards.
#[test]
fn who_is_not_read_is_not_late() {
    const NS: Duration = Duration::from_nanos(1);
    let hour = Duration::from_secs(3600);
    for (response, within, said) in [
        ("", 10, &["0 ResponseTimeout", "ResponseTimeout"][..]),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", 5, &["0 ContentTimeout", "ContentTimeout"]),
    ] {
        let mut peer = Peer::nameless();
        peer.asks(get("/"));
        peer.hears(response);
        for _ in 0..4 {
            peer.later(Duration::from_secs(1));
            assert!(peer.client.is_within_message());
            peer.client.suspend(true, peer.now);
            assert_eq!((peer.client.deadline(), peer.later(hour).events()), (None, vec![]), "{response}");
            peer.client.suspend(false, peer.now);
        }
        // It has won nothing by the pauses.
        assert!(peer.later(Duration::from_secs(within - 4) - NS).events().is_empty(), "{response}");
        assert_eq!(peer.later(NS).events(), said);
    }
    let mut peer = Peer::nameless();
    peer.client.suspend(true, peer.now);
    assert!(!peer.client.is_within_message() && peer.later(hour).client.closing() == Closing::Open);
    peer.client.suspend(false, peer.now);
    assert_eq!(peer.later(Duration::from_secs(60) - NS).client.closing(), Closing::Open);
    assert_eq!(peer.later(NS).client.closing(), Closing::AfterFlush, "it is idle");
}

#[test]
fn what_a_connection_holds() {
    let mut peer = Peer::nameless();
    let holds = |peer: &Peer| peer.client.buffered();
    let number = peer.begins(get("/"), false, true);
    assert_eq!(holds(&peer), "GET / HTTP/1.1\r\nhost: \r\n\r\n".len(), "what is unsent");
    peer.takes();
    peer.hears("HTTP/1.1 200 OK\r\nConte");
    assert_eq!(holds(&peer), "HTTP/1.1 200 OK\r\nConte".len(), "what is not parsed");
    peer.hears("nt-Length: 100\r\n\r\n");
    assert_eq!(holds(&peer), 0, "the start of a response is no bytes");
    assert!(peer.client.is_within_message());
    let start = peer.client.poll_event().expect("a start");
    peer.client.give_back(worth(&start), peer.now);
    peer.hears([b'x'; 60]);
    let piece = peer.client.poll_event().expect("a piece");
    assert_eq!(holds(&peer), worth(&piece), "what is in hand");
    assert!(!peer.client.is_within_message(), "that can be given back");
    peer.client.give_back(worth(&piece), peer.now);
    assert!(holds(&peer) == 0 && peer.client.is_within_message());
    peer.hears([b'x'; 40]);
    assert_eq!(peer.events(), [format!("{number} + {}", "x".repeat(40)), format!("{number} . {{}}")]);
    peer.asks(get("/"));
    peer.hears("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n").hears([b'x'; 99]);
    assert_eq!(holds(&peer), 99, "what is not all there");
    peer.hears("x");
    assert!(holds(&peer) == 0 && !peer.client.is_within_message(), "what is all there is its asker's");
}
