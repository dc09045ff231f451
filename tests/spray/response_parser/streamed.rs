//! The examples about content that is told as it comes.
//!
//! spray tells so what is chunked, and what is longer than `incoming-auto-chunking-threshold-size` (B18). Here all content is, where that is
//! asked for with the request (`Requester::send_streaming`), and none where it is not: there is no threshold.

use std::time::Instant;

use actix_sockets::http::{Client, ClientEvent, Closing, HttpRequest, Settings, Streams};
use bytes::BytesMut;
use http::{Method, Uri};

use super::CHUNKED;

/// What is told of these reads, each piece taken at once, and how the connection stands then. An empty read is the peer's end.
fn told(reads: &[&str]) -> (Vec<String>, Closing) {
    let now = Instant::now();
    let mut client = Client::new(Settings::new(), now);
    let streams = Streams { response: true, ..Streams::default() };
    client.begin(HttpRequest::new(Method::GET, Uri::from_static("http://a/")), streams, now);
    drop(client.output().take(usize::MAX >> 1));
    client.wrote(now);
    let mut told = Vec::new();
    for read in reads {
        match *read {
            "" => client.receive_eof(now),
            read => client.receive(BytesMut::from(read), now),
        }
        while let Some(event) = client.poll_event() {
            told.push(match event {
                ClientEvent::ResponseStart { response, length, worth, .. } => {
                    client.give_back(worth, now);
                    format!("{} {length:?}", response.status.as_str())
                }
                ClientEvent::Chunk { chunk, worth, .. } => {
                    client.give_back(worth, now);
                    format!("{} {:?}", String::from_utf8_lossy(&chunk.data), chunk.extensions)
                }
                ClientEvent::ContentEnd { end, .. } => format!("end {:?}", end.trailers),
                ClientEvent::Unanswered { error, .. } => format!("unanswered {error:?}"),
                ClientEvent::Failed(error) => format!("failed {error:?}"),
                other => format!("{other:?}"),
            });
        }
    }
    (told, client.closing())
}

fn start(length: usize) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nServer: spray-can\r\n\r\n")
}

const UNTIL_CLOSE: &str = "HTTP/1.1 200 OK\r\nServer: spray-can\r\n\r\n";

// ── chunked ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn response_start() {
    assert_eq!(told(&[CHUNKED]).0, ["200 None"]);
    assert_eq!(told(&[CHUNKED, "rest"]).0, ["200 None", "unanswered ChunkSize", "failed ChunkSize"]);
}

#[test]
fn chunks_with_and_without_extension() {
    let (heard, _) = told(&[CHUNKED, "3\r\nabc\r\n", "10;some=stuff;bla\r\n0123456789ABCDEF\r\n"]);
    assert_eq!(heard[1..], [r#"abc b"""#, r#"0123456789ABCDEF b"some=stuff;bla""#]);
}

#[test]
fn the_last_chunk() {
    assert_eq!(told(&[CHUNKED, "0\r\n\r\n"]), (vec!["200 None".to_owned(), "end {}".to_owned()], Closing::Open));
}

/// Its trailers are told, unfolded (RFC 9112 §5.2); its extension is checked only.
#[test]
fn the_last_chunk_with_extension_trailer_and_remaining_content() {
    let (heard, closing) = told(&[CHUNKED, "000;nice=true\r\nFoo: pip\r\n apo\r\nBar: xyz\r\n\r\nHTTP/"]);
    assert_eq!(heard[1..], [r#"end {"foo": "pip   apo", "bar": "xyz"}"#, "failed UnexpectedResponse"]);
    assert_eq!(closing, Closing::AfterFlush);
}

// ── with a length ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────

/// spray tells it whole.
#[test]
fn short_content() {
    assert_eq!(told(&[&(start(1) + "r")]).0, ["200 Some(1)", r#"r b"""#, "end {}"]);
}

#[test]
fn the_start_and_some_content() {
    assert_eq!(told(&[&(start(25) + "yeah")]).0, ["200 Some(25)", r#"yeah b"""#]);
}

#[test]
fn content_in_pieces() {
    assert_eq!(told(&[&start(25), "yeah1", "yeah2"]).0[1..], [r#"yeah1 b"""#, r#"yeah2 b"""#]);
}

/// What follows answers nothing.
#[test]
fn the_end() {
    let (heard, closing) = told(&[&start(25), "yeah1", "yeah2", "yeah3", "yeah4", "yeah5HTTP"]);
    let pieces = [r#"yeah1 b"""#, r#"yeah2 b"""#, r#"yeah3 b"""#, r#"yeah4 b"""#, r#"yeah5 b"""#, "end {}", "failed UnexpectedResponse"];
    assert_eq!(heard[1..], pieces);
    assert_eq!(closing, Closing::AfterFlush);
}

// ── until the connection closes ─────────────────────────────────────────────────────────────────────────────────────────────────────

/// spray tells it whole.
#[test]
fn short_content_until_close() {
    assert_eq!(told(&[&format!("{UNTIL_CLOSE}yeah"), ""]).0, ["200 None", r#"yeah b"""#, "end {}"]);
}

#[test]
fn content_in_pieces_until_close() {
    let (heard, closing) = told(&[&format!("{UNTIL_CLOSE}rest1rest2rest3rest41"), "more"]);
    assert_eq!(heard, ["200 None", r#"rest1rest2rest3rest41 b"""#, r#"more b"""#]);
    assert_eq!(closing, Closing::Open);
}

#[test]
fn the_end_is_that_of_the_connection() {
    let (heard, closing) = told(&[&format!("{UNTIL_CLOSE}rest1rest2rest3rest41"), "more1", "more2", ""]);
    assert_eq!(heard[1..], [r#"rest1rest2rest3rest41 b"""#, r#"more1 b"""#, r#"more2 b"""#, "end {}"]);
    assert_eq!(closing, Closing::Done);
}
