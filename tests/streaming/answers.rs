//! Responses: said as they are made, held to their length, with trailers; and who is told when they are written.

use actix_sockets::http::{Chunk, Closing, ContentEnd, RespondError, Settings};
use actix_sockets::{HttpRequest, HttpResponse};
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HeaderValue, LINK};
use http::{HeaderMap, StatusCode};

use crate::peer::Peer;

/// A request has come, with this version and method.
fn asked(method: &str, version: &str, settings: Settings) -> Peer {
    let mut peer = Peer::new(settings);
    peer.says(format!("{method} / HTTP/{version}\r\nHost: a\r\n\r\n")).handler();
    peer
}

fn content(heard: &str) -> (&str, &str) {
    heard.split_once("\r\n\r\n").expect("a head")
}

fn of_length(length: &str) -> HttpResponse {
    HttpResponse::ok("").with_header(CONTENT_LENGTH, HeaderValue::from_str(length).unwrap())
}

#[test]
fn a_chunk_with_extensions() {
    let mut peer = asked("GET", "1.1", Settings::new());
    peer.starts(HttpResponse::ok("")).hears();
    let mut says = |extensions: &'static str| {
        let chunk = Chunk { data: Bytes::from_static(b"abc"), extensions: Bytes::from_static(extensions.as_bytes()) };
        peer.server.chunk(peer.number.unwrap(), chunk, peer.now).unwrap();
        peer.hears()
    };
    assert_eq!(says("key=value;another=\"tl;dr\""), "3;key=value;another=\"tl;dr\"\r\nabc\r\n");
    assert_eq!(says(""), "3\r\nabc\r\n");
    for malformed in ["a\r\nb", "a b", "=", "a=\"", "a;"] {
        assert_eq!(says(malformed), "3\r\nabc\r\n", "{malformed:?} would be read as something else");
    }
}

/// RFC 9110 §6.5.1: those that frame, route or authenticate are not sent.
#[test]
fn trailers() {
    let mut fields = HeaderMap::new();
    for (name, value) in [("x-sum", "1"), ("content-length", "5"), ("set-cookie", "a=b"), ("host", "evil"), ("x-sum", "2")] {
        fields.append(name.parse::<http::HeaderName>().unwrap(), value.parse().unwrap());
    }
    let end = ContentEnd { trailers: fields };
    for (version, expected) in [("1.1", "0\r\nx-sum: 1\r\nx-sum: 2\r\n\r\n"), ("1.0", "")] {
        let mut peer = asked("GET", version, Settings::new());
        peer.starts(HttpResponse::ok("")).hears();
        peer.server.finish_with(peer.number.unwrap(), &end, peer.now).unwrap();
        assert_eq!(peer.hears(), expected);
    }
}

/// A length of the user's own is kept, and the connection with it.
#[test]
fn a_response_of_a_given_length() {
    for version in ["1.1", "1.0"] {
        let mut peer = Peer::new(Settings::new());
        peer.says(format!("GET / HTTP/{version}\r\nHost: a\r\nConnection: keep-alive\r\n\r\n")).handler();
        peer.starts(of_length("6"));
        for piece in ["abc", "def"] {
            peer.server.chunk(peer.number.unwrap(), piece, peer.now).unwrap();
        }
        peer.server.finish(peer.number.unwrap(), peer.now).unwrap();
        let heard = peer.hears();
        let (head, content) = content(&heard);
        assert!(head.contains("\r\ncontent-length: 6") && !head.contains("transfer-encoding"), "{head}");
        assert_eq!((content, peer.server.closing()), ("abcdef", Closing::Open));
    }
}

/// It is held to it: neither more nor less goes for a complete response.
#[test]
fn more_or_less_than_the_given_length_cuts_the_connection() {
    let mut peer = asked("GET", "1.1", Settings::new());
    peer.starts(of_length("6"));
    peer.server.chunk(peer.number.unwrap(), "abcdef", peer.now).unwrap();
    assert_eq!(peer.server.chunk(peer.number.unwrap(), "g", peer.now), Err(RespondError::Length));
    assert_eq!(peer.server.closing(), Closing::Abort);

    let mut peer = asked("GET", "1.1", Settings::new());
    peer.starts(of_length("6"));
    peer.server.chunk(peer.number.unwrap(), "abcde", peer.now).unwrap();
    assert_eq!(peer.server.finish(peer.number.unwrap(), peer.now), Err(RespondError::Length));
    assert_eq!(peer.server.closing(), Closing::Abort);
}

/// What is no length, or two of them, is none: the response is chunked (RFC 9110 §8.6).
#[test]
fn a_given_length_that_is_none() {
    for response in [of_length("-1"), of_length("6").with_header(CONTENT_LENGTH, HeaderValue::from_static("6"))] {
        let mut peer = asked("GET", "1.1", Settings::new());
        peer.starts(response);
        let heard = peer.hears();
        assert!(heard.contains("\r\ntransfer-encoding: chunked\r\n") && !heard.contains("content-length"), "{heard}");
    }
}

/// T10: the answer to HEAD says the length, and nothing follows; 204 and 304 have no content whatever is said.
#[test]
fn t10_a_streamed_response_without_content() {
    for (method, status, length) in [("HEAD", 200, "content-length: 6"), ("GET", 304, "content-length: 6"), ("GET", 204, "")] {
        let mut peer = asked(method, "1.1", Settings::new());
        peer.starts(HttpResponse { status: StatusCode::from_u16(status).unwrap(), ..of_length("6") });
        peer.server.chunk(peer.number.unwrap(), "abc", peer.now).unwrap();
        peer.server.finish(peer.number.unwrap(), peer.now).unwrap();
        let heard = peer.hears();
        let (head, content) = content(&heard);
        assert!(head.contains(length) && head.contains("content-length") != length.is_empty(), "{head}");
        assert!(!head.contains("transfer-encoding"));
        assert_eq!((content, peer.server.closing()), ("", Closing::Open));
    }
}

/// Streamed, without a length: it says what GET would say of its framing, in each version, and ends with its head.
#[test]
fn t10_a_streamed_answer_to_head() {
    let chunked = "transfer-encoding: chunked";
    for (version, chunkless, framing) in [("1.1", false, chunked), ("1.1", true, ""), ("1.0", false, "")] {
        let mut peer = asked("HEAD", version, Settings::new().chunkless_streaming(chunkless));
        peer.starts(HttpResponse::ok("abc"));
        assert!(peer.server.is_without_content(peer.number.unwrap()));
        peer.server.chunk(peer.number.unwrap(), "def", peer.now).unwrap();
        peer.server.finish(peer.number.unwrap(), peer.now).unwrap();
        let heard = peer.hears();
        let (head, content) = content(&heard);
        assert!(head.contains(framing) && head.contains("transfer-encoding") != framing.is_empty() && content.is_empty(), "{heard}");
        let goes_on = if version == "1.0" { Closing::AfterFlush } else { Closing::Open };
        assert_eq!(peer.server.closing(), goes_on, "HTTP/{version}, chunkless: {chunkless}");
    }
}

/// So many, and not one more; whatever is passed over counts, too.
#[test]
fn interim_responses_are_limited() {
    for version in ["1.1", "1.0"] {
        for limit in [0, 1, 16] {
            let mut peer = asked("GET", version, Settings::new().interim_limit(limit));
            let mut says = || peer.server.interim(peer.number.unwrap(), &HttpResponse::new(StatusCode::PROCESSING), peer.now);
            for _ in 0..limit {
                assert_eq!(says(), Ok(()));
            }
            assert_eq!(says(), Err(RespondError::TooManyInterim));
            let heard = peer.hears();
            assert_eq!(heard.matches("HTTP/1.1 102 Processing").count(), if version == "1.1" { limit as usize } else { 0 });
            peer.answers(HttpResponse::ok(""));
            assert!(peer.hears().starts_with("HTTP/1.1 200 OK\r\n"), "the answer itself is not in the way");
        }
    }
}

#[test]
fn interim_responses_go_ahead() {
    let hints = HttpResponse::new(StatusCode::EARLY_HINTS).with_header(LINK, HeaderValue::from_static("</a.css>; rel=preload"));
    let mut peer = asked("GET", "1.1", Settings::new());
    peer.server.interim(peer.number.unwrap(), &hints, peer.now).unwrap();
    assert_eq!(peer.hears(), "HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload\r\n\r\n");
    for status in [101, 200] {
        let response = HttpResponse::new(StatusCode::from_u16(status).unwrap());
        assert_eq!(peer.server.interim(peer.number.unwrap(), &response, peer.now), Err(RespondError::NotInterim));
    }
    peer.starts(HttpResponse::ok(""));
    assert_eq!(peer.server.interim(peer.number.unwrap(), &hints, peer.now), Err(RespondError::OutOfTurn));

    let mut peer = asked("GET", "1.0", Settings::new());
    peer.server.interim(peer.number.unwrap(), &hints, peer.now).unwrap();
    assert_eq!(peer.hears(), "", "HTTP/1.0 has none (RFC 9110 §15.2)");
}

/// A mark is given when all before it has been written, whichever turn it had to wait for.
#[test]
fn marks_are_given_when_what_precedes_them_is_written() {
    let mut peer = Peer::new(Settings::new().pipelining_limit(2));
    let request = |path| format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
    peer.says(request("/1")).handler();
    let first = peer.number.unwrap();
    peer.says(request("/2")).handler();
    let second = peer.number.unwrap();
    peer.answers(HttpResponse::ok("second"));
    peer.server.mark(second, 2);
    assert_eq!((peer.hears().as_str(), peer.server.poll_written()), ("", None), "it waits for its turn");
    assert!(peer.server.unsent() > 0);
    peer.number = Some(first);
    peer.starts(HttpResponse::ok("first"));
    peer.server.mark(first, 1);
    assert_eq!(peer.server.poll_written(), None);
    peer.hears();
    assert_eq!((peer.server.poll_written(), peer.server.poll_written()), (Some(1), None));
    peer.server.finish(first, peer.now).unwrap();
    assert_eq!(peer.server.poll_written(), None);
    let all = peer.server.output().len();
    drop(peer.server.output().take(all - 1));
    peer.server.wrote(peer.now);
    assert_eq!(peer.server.poll_written(), None, "a byte is missing");
    peer.hears();
    assert_eq!((peer.server.poll_written(), peer.server.unsent()), (Some(2), 0));
}

/// An option, for a peer that knows no chunks.
#[test]
fn chunkless_streaming() {
    let mut peer = asked("GET", "1.1", Settings::new().chunkless_streaming(true));
    peer.starts(HttpResponse::ok("abc"));
    peer.server.finish(peer.number.unwrap(), peer.now).unwrap();
    let heard = peer.hears();
    let (head, content) = content(&heard);
    assert!(head.contains("connection: close") && !head.contains("transfer-encoding"), "{head}");
    assert_eq!((content, peer.server.closing()), ("abc", Closing::AfterFlush));
}

/// Nothing here is made of a request's own fields.
#[test]
fn a_request_is_told_as_data() {
    let mut peer = Peer::new(Settings::new());
    peer.says("POST /up HTTP/1.1\r\nHost: a\r\nX: y\r\nContent-Length: 1\r\n\r\n");
    let Some(actix_sockets::http::Event::RequestStart { request, .. }) = peer.server.poll_event() else { panic!("a start") };
    let HttpRequest { headers, content, .. } = request;
    assert_eq!((headers.len(), content.len()), (3, 0));
}
