//! RequestParserSpec: 37 examples.

mod streamed;

use actix_sockets::HttpRequest;
use actix_sockets::http::{Closing, Settings};
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

/// spray takes it. RFC 9112 §6.1 has no such coding any more, and beside a `Content-Length` any is an attack (§6.3).
#[test]
fn a_body_and_transfer_encoding_identity() {
    refused(400, "POST /resource/yes HTTP/1.1\r\nTransfer-Encoding: identity\r\nContent-Length: 17\r\nHost: a\r\n\r\nShake your BOODY!");
    refused(400, "POST /resource/yes HTTP/1.1\r\nTransfer-Encoding: identity\r\nHost: a\r\n\r\n");
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

/// Nothing is told before the last byte, and what follows is left for the next request.
#[test]
fn byte_by_byte() {
    let text = "PUT /resource/yes HTTP/1.1\r\nContent-length:    4\r\nHost: x\r\n\r\nABCD";
    let mut peer = Peer::new(Settings::new());
    for byte in text.as_bytes().chunks(1) {
        assert!(peer.nothing_else());
        peer.says(byte);
    }
    let (number, request) = peer.says("PATCH").request();
    assert_eq!((request.method, request.content.as_ref()), (Method::PUT, &b"ABCD"[..]));
    peer.answers(number, actix_sockets::HttpResponse::ok(""));
    assert!(peer.nothing_else());
    assert_eq!(peer.says(" / HTTP/1.1\r\nHost: x\r\n\r\n").request().1.method, Method::PATCH);
}

/// spray wants it registered. Any token is a method here (B41).
#[test]
fn a_method_of_ones_own() {
    let request = parsed("BOLT / HTTP/1.0\r\n\r\n");
    assert_eq!((request.method.as_str(), path_and_version(&request)), ("BOLT", ("/".to_owned(), Version::HTTP_10)));
}

/// spray makes one of them; here each is told, as it stands.
#[test]
fn the_same_content_type_twice() {
    let request = parsed(
        "GET /data HTTP/1.1\r\nHost: x\r\nContent-Type: application/pdf\r\nContent-Type: application/pdf\r\nContent-Length: 0\r\n\r\n",
    );
    let types: Vec<_> = request.headers.get_all("content-type").iter().collect();
    assert_eq!(types, ["application/pdf"; 2]);
    assert!(request.content.is_empty());
}

/// A path that begins so is no authority.
#[test]
fn a_target_that_begins_with_two_slashes() {
    let request = parsed("GET //foo?query=yes HTTP/1.0\r\n\r\n");
    assert_eq!((request.uri.to_string().as_str(), request.path(), request.uri.host()), ("//foo?query=yes", "//foo", None));
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

/// spray knows its methods, and refuses `get` and `GETX`. Here they are methods as any: only what cannot be one, or is longer than any, is
/// refused.
#[test]
fn an_illegal_method() {
    for method in ["get", "GETX"] {
        assert_eq!(parsed(&format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n")).method.as_str(), method);
    }
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

/// Content of more than 2 GiB is refused with its head, unless it is told as it comes: see [`streamed`].
#[test]
fn a_content_length_above_i32_where_content_is_told_whole() {
    refused(413, "PUT /resource/yes HTTP/1.1\r\nContent-length:    2147483649\r\nHost: x\r\n\r\n");
}

/// (2^63)·10, of which 64 bits are 0; and its neighbours.
#[test]
fn a_content_length_above_i64() {
    for length in ["92233720368547758080", "9223372036854775808", "18446744073709551616"] {
        refused(400, &format!("PUT /resource/yes HTTP/1.1\r\nContent-length: {length}\r\nHost: x\r\n\r\n"));
    }
}
