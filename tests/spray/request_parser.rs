//! RequestParserSpec.

use actix_sockets::HttpRequest;
use actix_sockets::http::{Closing, Event, Settings};
use http::{Method, Version};

use crate::peer::{Peer, refused, wire};

/// The request, whole and byte by byte.
#[track_caller]
fn parsed(text: &str) -> HttpRequest {
    let mut requests = [usize::MAX, 1].map(|cut| {
        let mut peer = Peer::new(Settings::new());
        for piece in text.as_bytes().chunks(cut) {
            peer.says(piece);
        }
        peer.request().1
    });
    assert_eq!(format!("{:?}", requests[0]), format!("{:?}", requests[1]), "whole and byte by byte");
    std::mem::replace(&mut requests[0], HttpRequest::new(Method::GET, http::Uri::from_static("/")))
}

fn path_and_version(request: &HttpRequest) -> (String, Version) {
    (request.path().to_owned(), request.version)
}

const CHUNKED: &str =
    "PATCH /data HTTP/1.1\r\nTransfer-Encoding: chunked\r\nConnection: lalelu\r\nContent-Type: application/pdf\r\nHost: ping\r\n\r\n";

// ── takes ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn no_headers_and_no_body() {
    let request = parsed("GET / HTTP/1.0\r\n\r\n");
    assert_eq!((&request.method, path_and_version(&request)), (&Method::GET, ("/".to_owned(), Version::HTTP_10)));
    assert!(request.headers.is_empty() && request.content.is_empty());
}

/// HTTP/1.0 closes behind its answer: what remains is nobody's.
#[test]
fn no_body_but_remaining_content() {
    let mut peer = Peer::new(Settings::new());
    let (number, _) = peer.says("GET / HTTP/1.0\r\n\r\nThis is not part of the request!").request();
    peer.answers(number, actix_sockets::HttpResponse::ok(""));
    assert!(peer.nothing_else());
    assert_eq!(peer.server.closing(), Closing::AfterFlush);
}

#[test]
fn one_header() {
    let request = parsed("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n");
    assert_eq!((request.header("host"), request.headers.len()), (Some("example.com"), 1));
}

#[test]
fn three_headers_and_a_body() {
    let request = parsed(&wire(
        r"POST /resource/yes HTTP/1.0
         |User-Agent: curl/7.19.7 xyz
         |Connection:keep-alive
         |Content-length:    17
         |
         |Shake your BOODY!",
    ));
    assert_eq!(path_and_version(&request), ("/resource/yes".to_owned(), Version::HTTP_10));
    assert_eq!((request.header("user-agent"), request.header("connection")), (Some("curl/7.19.7 xyz"), Some("keep-alive")));
    assert_eq!(request.content, "Shake your BOODY!");
}

#[test]
fn three_headers_a_body_and_remaining_content() {
    let mut peer = Peer::new(Settings::new());
    peer.says("POST / HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 5\r\nX: y\r\n\r\nhelloGET /next HTTP/1.0\r\n\r\n");
    let (number, request) = peer.request();
    assert_eq!(request.content, "hello");
    peer.answers(number, actix_sockets::HttpResponse::ok(""));
    assert_eq!(peer.request().1.path(), "/next");
}

/// spray takes them. RFC 9112 §5.2: we do not.
#[test]
fn headers_of_several_lines() {
    refused(400, "DELETE /abc HTTP/1.1\r\nHost: a\r\nUser-Agent: curl/7.19.7\r\n abc\r\n    xyz\r\n\r\n");
}

#[test]
fn chunks_with_and_without_extension() {
    let chunks = "3\r\nabc\r\n10;some=stuff;bla\r\n0123456789ABCDEF\r\n10;foo=bar\r\n0123456789ABCDEF\r\n";
    let request = parsed(&format!("{CHUNKED}{chunks}0\r\n\r\n"));
    assert_eq!((request.method, request.content.as_ref()), (Method::PATCH, &b"abc0123456789ABCDEF0123456789ABCDEF"[..]));
}

#[test]
fn the_last_chunk() {
    assert!(parsed(&format!("{CHUNKED}0\r\n\r\n")).content.is_empty());
}

/// spray hands extension and trailers out; we check both and drop them, and take no folded trailer.
#[test]
fn the_last_chunk_with_extension_trailer_and_remaining_content() {
    let mut peer = Peer::new(Settings::new());
    peer.says(format!("{CHUNKED}000;nice=true\r\nFoo: pip apo\r\nBar: xyz\r\n\r\nGET /next HTTP/1.1\r\nHost: a\r\n\r\n"));
    let (number, request) = peer.request();
    assert!(request.headers.get("foo").is_none() && request.headers.get("bar").is_none());
    peer.answers(number, actix_sockets::HttpResponse::ok(""));
    assert_eq!(peer.request().1.path(), "/next");
    refused(400, &format!("{CHUNKED}0\r\nFoo: pip\r\n apo\r\n\r\n"));
}

// ── refuses ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

/// RFC 9112 §7.1.1 has whitespace there: what is wrong is that no name follows.
#[test]
fn an_illegal_byte_behind_the_chunk_size() {
    refused(400, &format!("{CHUNKED}15 ;\r\n"));
}

#[test]
fn an_illegal_byte_in_the_chunk_size() {
    refused(400, &format!("{CHUNKED}bla"));
}

#[test]
fn a_chunk_extension_too_long() {
    refused(400, &format!("{CHUNKED}3;{}", "x".repeat(257)));
}

/// spray has a limit for a chunk, we have one for the content: 413.
#[test]
fn a_chunk_too_large() {
    refused(413, &format!("{CHUNKED}1a2b3c4d5e\r\n"));
}

#[test]
fn an_illegal_end_of_a_chunk() {
    refused(400, &format!("{CHUNKED}3\r\nabcde"));
}

#[test]
fn an_illegal_header_in_the_trailer() {
    refused(400, &format!("{CHUNKED}0\r\nF@oo: pip\r\n\r\n"));
}

/// spray knows its methods, and refuses `get` and `GETX`. A method of one's own needs no registration here (B41): only what cannot be one, or is
/// longer than any, is refused.
#[test]
fn an_illegal_method() {
    assert_eq!(parsed("GETX / HTTP/1.1\r\nHost: a\r\n\r\n").method.as_str(), "GETX");
    refused(400, "G=T / HTTP/1.1\r\nHost: a\r\n\r\n");
    refused(501, "GETGETGETGETGETGET");
}

#[test]
fn two_content_lengths() {
    refused(400, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nfoo");
}

#[test]
fn a_target_too_long() {
    refused(414, &format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "2".repeat(8 << 10)));
}

/// spray refuses it. RFC 9110 §2.5: a higher minor version is ours.
#[test]
fn http_1_2() {
    assert_eq!(parsed("GET / HTTP/1.2\r\nHost: a\r\n\r\n").version, Version::HTTP_11);
    refused(505, "GET / HTTP/2.1\r\nHost: a\r\n\r\n");
}

#[test]
fn an_illegal_byte_in_a_header_name() {
    refused(400, "GET / HTTP/1.1\r\nHost: a\r\nUser@Agent: curl/7.19.7\r\n\r\n");
}

#[test]
fn a_header_name_too_long() {
    refused(431, &format!("GET / HTTP/1.1\r\nHost: a\r\nUser{}Agent: curl/7.19.7\r\n\r\n", "x".repeat(56)));
}

#[test]
fn a_header_value_too_long() {
    refused(431, &format!("GET / HTTP/1.1\r\nHost: a\r\nFancy: {}\r\n\r\n", "1".repeat((8 << 10) + 1)));
}

#[test]
fn an_invalid_content_length() {
    refused(400, "GET / HTTP/1.0\r\nContent-Length: 1.5\r\n\r\nabc");
    refused(400, "GET / HTTP/1.0\r\nContent-Length: -3\r\n\r\nabc");
}

/// What is known of the request is told when its head is complete; here, where content is told as it comes.
#[test]
fn request_start_before_its_content() {
    let mut peer = Peer::new(Settings::new());
    peer.server.stream_content();
    peer.says("PATCH /data HTTP/1.1\r\nTransfer-Encoding: chunked\r\nConnection: lalelu\r\nHost: ping\r\n\r\n");
    let Some(Event::RequestStart { number, request, length: None, worth }) = peer.server.poll_event() else { panic!("a start") };
    assert_eq!((request.method.as_str(), request.path(), request.headers.len()), ("PATCH", "/data", 3));
    peer.server.give_back(worth, peer.now);
    peer.says("3\r\nabc\r\n0;last\r\n\r\n");
    assert!(matches!(peer.server.poll_event(), Some(Event::Chunk { chunk, .. }) if chunk.data == "abc"));
    assert!(matches!(peer.server.poll_event(), Some(Event::ContentEnd { number: ended, .. }) if ended == number));
}
