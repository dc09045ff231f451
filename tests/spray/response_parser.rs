//! ResponseParserSpec.

use std::time::Instant;

use actix_sockets::http::{Client, ClientEvent, Closing, HttpRequest, Settings, Streams};
use bytes::BytesMut;
use http::{Method, Uri};

use crate::peer::{answered, wire};

#[track_caller]
fn parsed(text: &str) -> (String, Closing) {
    answered(Method::GET, text, false)
}

const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nServer: spray-can\r\n\r\n";

#[test]
fn a_200_to_a_head_request() {
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

#[test]
fn chunks_with_and_without_extension() {
    let text = format!("{CHUNKED}3\r\nabc\r\n10;some=stuff;bla\r\n0123456789ABCDEF\r\n0\r\n\r\n");
    assert_eq!(parsed(&text), ("200 abc0123456789ABCDEF".to_owned(), Closing::Open));
}

#[test]
fn the_last_chunk() {
    assert_eq!(parsed(&format!("{CHUNKED}0\r\n\r\n")), ("200 ".to_owned(), Closing::Open));
}

/// Without the fold, see the ignored row `obs_fold_of_a_trailer` of tests/rfc9112.
#[test]
fn the_last_chunk_with_extension_and_trailer() {
    assert_eq!(parsed(&format!("{CHUNKED}000;nice=true\r\nFoo: pip apo\r\nBar: xyz\r\n\r\n")), ("200 ".to_owned(), Closing::Open));
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

/// spray's `ChunkedResponseStart`: the head is told before there is any content, and each piece as it comes.
#[test]
fn response_start_before_its_content() {
    let now = Instant::now();
    let mut client = Client::new(Settings::new(), now);
    let streams = Streams { response: true, ..Streams::default() };
    client.begin(HttpRequest::new(Method::GET, Uri::from_static("http://a/")), streams, now);
    assert!(!client.output().take(usize::MAX).is_empty());
    client.wrote(now);
    let mut hears = |text: &str| {
        client.receive(BytesMut::from(text), now);
        let mut said = Vec::new();
        while let Some(event) = client.poll_event() {
            said.push(match event {
                ClientEvent::ResponseStart { response, worth, .. } => {
                    client.give_back(worth, now);
                    response.status.as_str().to_owned()
                }
                ClientEvent::Chunk { chunk, worth, .. } => {
                    client.give_back(worth, now);
                    format!("{}{:?}", String::from_utf8_lossy(&chunk.data), chunk.extensions)
                }
                ClientEvent::ContentEnd { end, .. } => format!("{:?}", end.trailers),
                other => format!("{other:?}"),
            });
        }
        said
    };
    assert_eq!(hears(CHUNKED), ["200"]);
    assert_eq!(hears("3\r\nabc\r\n"), ["abcb\"\""]);
    assert_eq!(hears("10;some=stuff;bla\r\n0123456789ABCDEF\r\n"), ["0123456789ABCDEFb\"some=stuff;bla\""]);
    assert_eq!(hears("0\r\nFoo: pip\r\n\r\n"), ["{\"foo\": \"pip\"}"]);
}
