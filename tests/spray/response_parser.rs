//! ResponseParserSpec: 23 examples.

mod streamed;

use std::time::Instant;

use actix_sockets::http::{Client, Closing, HttpRequest, Settings};
use bytes::BytesMut;
use http::{Method, Uri};

use crate::peer::{answered, whole, wire};

#[track_caller]
fn parsed(text: &str) -> (String, Closing) {
    answered(Method::GET, text, false)
}

const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nServer: spray-can\r\n\r\n";

/// Without a length, too; and what follows is of the next response, which nobody has asked for.
#[test]
fn a_200_to_a_head_request() {
    assert_eq!(answered(Method::HEAD, "HTTP/1.1 200 OK\r\n\r\n", false), ("200 ".to_owned(), Closing::Open));
    assert_eq!(answered(Method::HEAD, "HTTP/1.1 200 OK\r\n\r\nHTT", false), ("200 ".to_owned(), Closing::AfterFlush));
    assert_eq!(answered(Method::HEAD, "HTTP/1.1 200 OK\r\nContent-Length: 17\r\n\r\n", false), ("200 ".to_owned(), Closing::Open));
}

#[test]
fn a_204() {
    assert_eq!(parsed("HTTP/1.1 204 OK\r\n\r\n"), ("204 ".to_owned(), Closing::Open));
}

/// RFC 9112 §9.2: it answers nothing, and is no response.
#[test]
fn what_remains_behind_a_response() {
    assert_eq!(parsed("HTTP/1.1 204 OK\r\n\r\nrest"), ("204 ".to_owned(), Closing::AfterFlush));
}

/// spray wants it registered.
#[test]
fn a_status_of_ones_own() {
    assert_eq!(parsed("HTTP/1.1 330 Server on the move\r\nContent-Length: 0\r\n\r\n"), ("330 ".to_owned(), Closing::Open));
}

#[test]
fn one_header_no_body_and_no_content_length() {
    let text = "HTTP/1.0 404 Not Found\r\nHost: api.example.com\r\n\r\n";
    assert_eq!(parsed(text), ("None".to_owned(), Closing::Open));
    assert_eq!(answered(Method::GET, text, true), ("404 ".to_owned(), Closing::Done));
}

#[test]
fn one_header_a_body_and_no_content_length() {
    let text = "HTTP/1.0 404 Not Found\r\nHost: api.example.com\r\n\r\nFoobs";
    assert_eq!(parsed(text), ("None".to_owned(), Closing::Open));
    assert_eq!(answered(Method::GET, text, true), ("404 Foobs".to_owned(), Closing::Done));
}

#[test]
fn three_headers_and_a_body_and_remaining_content() {
    let text = wire(
        r"HTTP/1.1 500 Internal Server Error
         |User-Agent: curl/7.19.7 xyz
         |Connection:close
         |Content-Length: 17
         |
         |Shake your BOODY!XXX",
    );
    assert_eq!(parsed(&text), ("500 Shake your BOODY!".to_owned(), Closing::AfterFlush));
}

/// Nothing is told before the last byte.
#[test]
fn byte_by_byte() {
    let text = "HTTP/1.1 200 Ok\r\nContent-Length: 4\r\n\r\nABCD";
    for end in 0..text.len() {
        assert_eq!(parsed(&text[..end]).0, "None");
    }
    assert_eq!(parsed(text), ("200 ABCD".to_owned(), Closing::Open));
}

/// That of the same name: of others `HeaderMap` keeps none, nor does it mean anything (RFC 9110 §5.3).
#[test]
fn the_order_of_repeated_headers() {
    for cookies in [["test=cookie1", "test=cookie2", "test=cookie3"], ["test=cookie3", "test=cookie2", "test=cookie1"]] {
        let [first, second, third] = cookies;
        let response = whole(&format!(
            "HTTP/1.1 200 OK\r\nSet-Cookie: {first}\r\nContent-Length: 4\r\nSet-Cookie: {second}\r\nUser-Agent: curl/7.19.7 xyz\r\n\
             Set-Cookie: {third}\r\n\r\nBODY"
        ));
        assert_eq!(response.headers.get_all("set-cookie").iter().collect::<Vec<_>>(), cookies);
        assert_eq!(response.content, "BODY");
    }
}

/// spray takes it. RFC 9112 §6.3: whose length can be doubted is no response.
#[test]
fn a_body_and_transfer_encoding_identity() {
    assert_eq!(parsed("HTTP/1.1 200 Ok\r\nContent-Length: 5\r\nTransfer-Encoding: identity\r\n\r\nFoobs").0, "AmbiguousLength");
    assert_eq!(parsed("HTTP/1.1 200 Ok\r\nTransfer-Encoding: identity\r\n\r\nFoobs").0, "TransferEncoding");
}

#[test]
fn chunks_with_and_without_extension() {
    let text = format!("{CHUNKED}3\r\nabc\r\n10;some=stuff;bla\r\n0123456789ABCDEF\r\n0\r\n\r\n");
    assert_eq!(parsed(&text), ("200 abc0123456789ABCDEF".to_owned(), Closing::Open));
}

#[test]
fn the_last_chunk() {
    assert_eq!(parsed(&format!("{CHUNKED}0\r\n\r\n")), ("200 ".to_owned(), Closing::Open));
}

/// What follows answers nothing.
#[test]
fn the_last_chunk_with_extension_trailer_and_remaining_content() {
    let last = format!("{CHUNKED}000;nice=true\r\nFoo: pip\r\n apo\r\nBar: xyz\r\n\r\n");
    assert_eq!(parsed(&last), ("200 ".to_owned(), Closing::Open));
    assert_eq!(parsed(&(last + "HTTP/")), ("200 ".to_owned(), Closing::AfterFlush));
}

#[test]
fn headers_of_several_lines() {
    let text = "HTTP/1.0 200 OK\r\nUser-Agent: curl/7.19.7\r\n abc\r\n    xyz\r\nContent-Length:\r\n 2\r\n\r\nok";
    assert_eq!(parsed(text).0, "200 ok");
}

/// spray refuses it. RFC 9110 §2.5: a higher minor version is ours.
#[test]
fn http_1_2() {
    assert_eq!(parsed("HTTP/1.2 200 OK\r\nContent-Length: 0\r\n\r\n").0, "200 ");
    assert_eq!(parsed("HTTP/2.0 200 OK\r\n\r\n").0, "Version");
}

/// spray refuses 700 too; it has three digits, and a client is to treat it as a 5xx (RFC 9110 §15).
#[test]
fn an_illegal_status() {
    assert_eq!(parsed("HTTP/1.1 2000 Something\r\n\r\n").0, "StatusLine");
    assert_eq!(parsed("HTTP/1.1 700 Something\r\nContent-Length: 0\r\n\r\n").0, "700 ");
}

/// spray's limit is 64; ours is that of the head unless another is set, as a reason is not kept.
#[test]
fn a_reason_too_long() {
    assert_eq!(parsed(&format!("HTTP/1.1 204 {}\r\n\r\n", "1".repeat(100))).0, "204 ");
    assert_eq!(parsed(&format!("HTTP/1.1 204 {}\r\n\r\n", "1".repeat(16 << 10))).0, "HeadTooLarge");
    for (n, told) in [(64, "Response"), (65, "Unanswered")] {
        let mut client = Client::new(Settings::new().reason_limit(64), Instant::now());
        client.request(HttpRequest::new(Method::GET, Uri::from_static("/")), Instant::now());
        client.output().take(usize::MAX);
        client.wrote(Instant::now());
        client.receive(BytesMut::from(&*format!("HTTP/1.1 204 {}\r\n\r\n", "1".repeat(n))), Instant::now());
        let event = format!("{:?}", client.poll_event());
        assert!(event.starts_with(&format!("Some({told} ")) && (n == 64 || event.contains("ReasonTooLong")), "{n}: {event}");
    }
}

#[test]
fn an_illegal_byte_in_a_header_name() {
    assert_eq!(parsed("HTTP/1.1 200 OK\r\nUser@Agent: curl/7.19.7\r\n\r\n").0, "FieldLine");
}

#[test]
fn a_header_name_too_long() {
    assert_eq!(parsed(&format!("HTTP/1.1 200 OK\r\nUser{}Agent: x\r\n\r\n", "x".repeat(56))).0, "FieldTooLarge");
}

#[test]
fn a_header_value_too_long() {
    assert_eq!(parsed(&format!("HTTP/1.1 200 OK\r\nFancy: {}\r\n\r\n", "1".repeat((8 << 10) + 1))).0, "FieldTooLarge");
}

#[test]
fn an_invalid_content_length() {
    for length in ["1.5", "-3"] {
        assert_eq!(parsed(&format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\nabc")).0, "ContentLength");
    }
}
