//! The examples about content that is told as it comes.
//!
//! spray tells so what is chunked, and what is longer than `incoming-auto-chunking-threshold-size` (B18). Here all content is, where the handler
//! asks for that (`Register::hears::<RequestStart>`), and none where it does not: there is no threshold.

use actix_sockets::http::{Event, Settings};

use super::CHUNKED;
use crate::peer::Peer;

/// What a handler is told of these reads; it takes each piece at once.
fn told_with(settings: Settings, reads: &[&str]) -> Vec<String> {
    let mut peer = Peer::new(settings);
    peer.server.stream_content();
    let mut told = Vec::new();
    for read in reads {
        peer.says(read);
        while let Some(event) = peer.server.poll_event() {
            peer.server.give_back(event.worth(), peer.now);
            told.push(match event {
                Event::RequestStart { request, length, .. } => format!("{} {} {length:?}", request.method, request.path()),
                Event::Chunk { chunk, .. } => format!("{} {:?}", String::from_utf8_lossy(&chunk.data), chunk.extensions),
                Event::ContentEnd { end, .. } => format!("end {:?}", end.trailers),
                Event::ContentAborted { error, .. } => format!("aborted {error:?}"),
                Event::Failed(error) => format!("failed {error:?}"),
                other => format!("{other:?}"),
            });
        }
    }
    told
}

fn told(reads: &[&str]) -> Vec<String> {
    told_with(Settings::new(), reads)
}

fn start(length: usize) -> String {
    format!("GET /data HTTP/1.1\r\nContent-Type: application/pdf\r\nHost: ping\r\nContent-Length: {length}\r\n\r\n")
}

// ── chunked ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

/// It is told when the head is complete, whatever comes of the content.
#[test]
fn request_start() {
    assert_eq!(told(&[CHUNKED]), ["PATCH /data None"]);
    assert_eq!(told(&[CHUNKED, "rest"]), ["PATCH /data None", "aborted ChunkSize", "failed ChunkSize"]);
}

/// However they are cut: what has come of a chunk is told, and its extensions with its first bytes.
#[test]
fn chunks_with_and_without_extension() {
    let reads = [
        CHUNKED,
        "3\r\nabc\r\n10;some=stuff;bla\r\n0123456789ABCDEF\r\n",
        "10;foo=",
        "bar\r\n0123456789ABCDEF\r\n10\r\n0123456789",
        "ABCDEF\r\ndead",
    ];
    let chunks =
        [r#"abc b"""#, r#"0123456789ABCDEF b"some=stuff;bla""#, r#"0123456789ABCDEF b"foo=bar""#, r#"0123456789 b"""#, r#"ABCDEF b"""#];
    assert_eq!(told(&reads)[1..], chunks);
}

#[test]
fn the_last_chunk() {
    assert_eq!(told(&[CHUNKED, "0\r\n\r\n"])[1..], ["end {}"]);
}

/// Its trailers are told; its extension is checked only, and obs-fold is no trailer's (RFC 9112 §5.2).
#[test]
fn the_last_chunk_with_extension_trailer_and_remaining_content() {
    let reads = [CHUNKED, "000;nice=true\r\nFoo: pip apo\r\nBar: xyz\r\n\r\nGE"];
    assert_eq!(told(&reads)[1..], [r#"end {"foo": "pip apo", "bar": "xyz"}"#]);
    let folded = [CHUNKED, "000;nice=true\r\nFoo: pip\r\n apo\r\n\r\n"];
    assert_eq!(told(&folded)[1..], ["aborted Trailers", "failed Trailers"]);
}

// ── with a length ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────

/// spray tells it whole.
#[test]
fn short_content() {
    assert_eq!(told(&[&(start(1) + "r")]), ["GET /data Some(1)", r#"r b"""#, "end {}"]);
}

#[test]
fn the_start_and_some_content() {
    assert_eq!(told(&[&(start(25) + "rest")]), ["GET /data Some(25)", r#"rest b"""#]);
}

#[test]
fn the_start_where_all_is_there() {
    assert_eq!(told(&[&(start(25) + "rest1rest2rest3rest4rest5")]), ["GET /data Some(25)", r#"rest1rest2rest3rest4rest5 b"""#, "end {}"]);
}

#[test]
fn content_in_pieces() {
    assert_eq!(told(&[&(start(25) + "rest1"), "rest2"]), ["GET /data Some(25)", r#"rest1 b"""#, r#"rest2 b"""#]);
}

/// What follows belongs to the next request.
#[test]
fn the_end() {
    let heard = told(&[&(start(25) + "rest1"), "rest2", "rest3", "rest4", "rest5GET /data HTTP"]);
    let pieces = [r#"rest1 b"""#, r#"rest2 b"""#, r#"rest3 b"""#, r#"rest4 b"""#, r#"rest5 b"""#, "end {}"];
    assert_eq!(heard[1..], pieces);
}

/// The limit is that of streamed content, 1 GiB, if any.
#[test]
fn a_content_length_above_i32() {
    let head = "PUT /resource/yes HTTP/1.1\r\nContent-length:    2147483649\r\nHost: x\r\n\r\n";
    assert_eq!(told_with(Settings::new().unlimited_streamed_content(), &[head]), ["PUT /resource/yes Some(2147483649)"]);
    assert_eq!(told(&[head]), ["failed ContentTooLarge"]);
}
