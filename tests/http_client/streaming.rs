//! Content in pieces, both ways: requests that are streamed, with and without `Expect: 100-continue` (RFC 9110 §10.1.1), and responses that are told as they
//! come, with back-pressure.

use std::time::Duration;

use actix_sockets::http::ClientEvent;
use actix_sockets::http::{Chunk, Closing, ContentEnd, HttpError, HttpRequest, RequestNumber, Settings};
use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{HeaderMap, Version};

use crate::peer::{Peer, get, ok, post};

const SECOND: Duration = Duration::from_secs(1);
const CHUNKED: &str = "POST / HTTP/1.1\r\nhost: \r\ntransfer-encoding: chunked\r\n\r\n";

fn begun(request: HttpRequest) -> (Peer, RequestNumber) {
    let mut peer = Peer::nameless();
    let number = peer.begins(request, true, false);
    (peer, number)
}

fn expecting() -> HttpRequest {
    post("/").with_header(header::EXPECT, HeaderValue::from_static("100-continue"))
}

fn long(length: &'static str) -> HttpRequest {
    post("/").with_header(header::CONTENT_LENGTH, HeaderValue::from_static(length))
}

#[test]
fn chunks_extensions_and_trailers() {
    let (mut peer, number) = begun(post("/").with_content("first"));
    assert_eq!(peer.takes(), format!("{CHUNKED}5\r\nfirst\r\n"));
    peer.gives(number, "").unwrap();
    assert_eq!(peer.takes(), "", "an empty chunk would be the last");
    peer.gives(number, Chunk { data: Bytes::from_static(b"second"), extensions: Bytes::from_static(b"a=\"b\"") }).unwrap();
    peer.gives(number, Chunk { data: Bytes::from_static(b"third"), extensions: Bytes::from_static(b"a\r\n0\r\n\r\n") }).unwrap();
    assert_eq!(peer.takes(), "6;a=\"b\"\r\nsecond\r\n5\r\nthird\r\n", "what is no extension does not leave");
    let mut trailers = HeaderMap::new();
    trailers.insert("digest", HeaderValue::from_static("x"));
    trailers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("9"));
    peer.client.finish(number, ContentEnd { trailers }, peer.now).unwrap();
    assert_eq!(peer.takes(), "0\r\ndigest: x\r\n\r\n", "no trailer frames anything (RFC 9110 §6.5.1)");
    assert_eq!(peer.gives(number, "late"), Err(HttpError::Closed));
    assert_eq!(peer.finishes(number), Err(HttpError::Closed));
    assert_eq!((peer.hears(ok("!")).events(), peer.client.closing()), (vec!["0 200 !".to_owned()], Closing::Open));
}

/// RFC 9110 §8.6: it is held to the length that it has announced.
#[test]
fn a_length_of_ones_own() {
    let head = "POST / HTTP/1.1\r\nhost: \r\ncontent-length: 5\r\n\r\n";
    let (mut peer, number) = begun(long("5").with_content("he"));
    assert_eq!(peer.takes(), format!("{head}he"));
    assert_eq!(peer.gives(number, "llo!"), Err(HttpError::ContentMismatch));
    peer.gives(number, "llo").unwrap();
    peer.finishes(number).unwrap();
    assert_eq!(peer.takes(), "llo");
    // Too short: it cannot be completed, and nobody may take it for complete.
    let (mut peer, number) = begun(long("5").with_content("he"));
    peer.takes();
    assert_eq!(peer.finishes(number), Err(HttpError::ContentMismatch));
    assert_eq!(peer.events(), ["0 ContentMismatch", "ContentMismatch"]);
    assert_eq!(peer.client.closing(), Closing::AfterFlush);
    // Wrong from the beginning.
    for (request, error) in [
        (long("1").with_content("he"), "ContentMismatch"),
        (long("+5"), "ContentLength"),
        (HttpRequest { version: Version::HTTP_10, ..post("/") }, "TransferEncoding"),
    ] {
        let (mut peer, _) = begun(request);
        assert_eq!((peer.takes().as_str(), peer.events()), ("", vec![format!("0 {error}")]));
    }
    // HTTP/1.0 has no chunks, but lengths.
    let (mut peer, number) = begun(HttpRequest { version: Version::HTTP_10, ..long("1") });
    peer.gives(number, "x").unwrap();
    assert_eq!(peer.takes(), "POST / HTTP/1.0\r\nhost: \r\ncontent-length: 1\r\n\r\nx");
}

/// It is sent when all before it are answered; nothing is before its end.
#[test]
fn a_streamed_request_waits_its_turn_and_lets_none_past() {
    let mut peer = Peer::nameless();
    peer.asks(get("/0"));
    let number = peer.begins(post("/"), true, false);
    peer.gives(number, "early").unwrap();
    let given_up = peer.begins(post("/"), true, false);
    let short = peer.begins(long("3"), true, false);
    assert_eq!(peer.gives(short, "long"), Err(HttpError::ContentMismatch));
    assert_eq!(peer.finishes(short), Err(HttpError::ContentMismatch));
    peer.client.abandon(given_up, peer.now);
    peer.asks(get("/4"));
    assert_eq!(peer.takes(), "");
    assert_eq!(peer.events(), ["3 ContentMismatch", "2 Abandoned"], "nothing was sent of them: the connection goes on");
    peer.hears(ok("0"));
    assert_eq!(peer.takes(), format!("{CHUNKED}5\r\nearly\r\n"));
    peer.finishes(number).unwrap();
    assert_eq!(peer.takes(), "0\r\n\r\n");
    assert_eq!(peer.hears(ok("1")).takes(), "GET /4 HTTP/1.1\r\nhost: \r\n\r\n");
    assert_eq!(peer.events(), ["0 200 0", "1 200 1"]);
}

/// RFC 9112 §8: "A client that … has sent an incomplete request" closes, so that it is not taken for complete.
#[test]
fn what_is_given_up_ends_the_connection() {
    let (mut peer, number) = begun(post("/"));
    peer.takes();
    peer.client.abandon(number, peer.now);
    assert_eq!(peer.events(), ["0 Abandoned", "Abandoned"]);
    assert_eq!((peer.client.closing(), peer.takes().as_str()), (Closing::AfterFlush, ""));
    // Nobody goes on with it.
    let (mut peer, number) = begun(post("/"));
    peer.takes();
    peer.later(SECOND * 59);
    peer.gives(number, "x").unwrap();
    peer.takes();
    peer.later(SECOND * 59);
    assert_eq!(peer.events().len(), 0);
    peer.later(SECOND);
    assert_eq!(peer.events(), ["0 Abandoned", "Abandoned"]);
}

/// The time for the response begins with the request's end.
#[test]
fn the_response_is_due_when_the_request_is_complete() {
    let (mut peer, number) = begun(post("/"));
    peer.takes();
    peer.later(SECOND * 30);
    peer.finishes(number).unwrap();
    peer.takes();
    peer.later(SECOND * 9);
    assert_eq!(peer.events().len(), 0);
    peer.later(SECOND);
    assert_eq!(peer.events(), ["0 ResponseTimeout", "ResponseTimeout"]);
}

/// RFC 9110 §10.1.1.
#[test]
fn content_waits_for_100_or_a_second() {
    for streamed in [false, true] {
        for way in ["100", "time"] {
            let head = if streamed { "transfer-encoding: chunked" } else { "content-length: 3" };
            let mut peer = Peer::nameless();
            let number = peer.begins(expecting().with_content("abc"), streamed, false);
            let said = peer.takes();
            assert!(
                said.starts_with("POST / HTTP/1.1\r\nhost: \r\nexpect: 100-continue\r\n") && said.ends_with(&format!("{head}\r\n\r\n")),
                "{said}"
            );
            peer.hears("HTTP/1.1 103 Early Hints\r\n\r\n").later(SECOND - Duration::from_millis(1));
            assert_eq!(peer.takes(), "");
            match way {
                "100" => peer.hears("HTTP/1.1 100 Continue\r\n\r\n"),
                _ => peer.later(Duration::from_millis(1)),
            };
            assert_eq!(peer.takes(), if streamed { "3\r\nabc\r\n" } else { "abc" }, "{way}");
            if streamed {
                peer.finishes(number).unwrap();
                assert_eq!(peer.takes(), "0\r\n\r\n");
            }
            // A second one means nothing, and comes late after the second.
            peer.hears("HTTP/1.1 100 Continue\r\n\r\n").hears(ok("!"));
            assert_eq!((peer.takes().as_str(), peer.events(), peer.client.closing()), ("", vec!["0 200 !".to_owned()], Closing::Open));
        }
    }
}

/// Content that was announced and is not wanted is not sent; then only the connection's end tells where the next request would begin.
#[test]
fn content_is_not_sent_behind_a_final_status() {
    for status in ["413 Payload Too Large", "417 Expectation Failed", "200 OK", "401 Unauthorized"] {
        for streamed in [false, true] {
            let mut peer = Peer::nameless();
            let number = peer.begins(expecting().with_content("abc"), streamed, false);
            peer.takes();
            peer.hears(format!("HTTP/1.1 {status}\r\ncontent-length: 2\r\n\r\nno"));
            peer.later(SECOND);
            assert_eq!(peer.takes(), "", "{status}");
            assert_eq!(peer.gives(number, "more"), Err(HttpError::Closed));
            assert_eq!((peer.events(), peer.client.closing()), (vec![format!("0 {} no", &status[..3])], Closing::AfterFlush));
        }
    }
    // The time that it waits can be set.
    let mut peer = Peer::new(Settings::new().user_agent(None).continue_timeout(SECOND * 5));
    peer.asks(expecting().with_content("abc"));
    assert_eq!(peer.later(SECOND * 4).takes(), "");
    assert_eq!(peer.later(SECOND).takes(), "abc");
    // Without content there is nothing to expect.
    let empty = "POST / HTTP/1.1\r\nhost: \r\ncontent-length: 0\r\n\r\n";
    assert_eq!(Peer::nameless().asks(expecting()), empty);
    // Nor where a streamed request says that it has none: an answer leaves the connection open.
    let mut peer = Peer::nameless();
    let number = peer.begins(expecting().with_header(header::CONTENT_LENGTH, HeaderValue::from_static("0")), true, false);
    assert_eq!(peer.takes(), empty);
    peer.finishes(number).unwrap();
    assert_eq!((peer.hears(ok("!")).events(), peer.client.closing()), (vec!["0 200 !".to_owned()], Closing::Open));
}

/// "a client … SHOULD monitor the connection … for an error response while it is transmitting the request" (RFC 9112 §9.5).
#[test]
fn an_early_answer() {
    // An error: the rest is not sent.
    let (mut peer, number) = begun(post("/").with_content("abc"));
    peer.takes();
    peer.hears("HTTP/1.1 413 Payload Too Large\r\ncontent-length: 2\r\n\r\nno");
    assert_eq!(peer.gives(number, "def"), Err(HttpError::Closed));
    assert_eq!((peer.events(), peer.client.closing()), (vec!["0 413 no".to_owned()], Closing::AfterFlush));
    // The connection closes behind it: the same.
    let (mut peer, number) = begun(post("/"));
    peer.takes();
    peer.hears("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
    assert_eq!(peer.gives(number, "def"), Err(HttpError::Closed));
    // A success: both go on, and the next request waits for the end of both.
    let (mut peer, number) = begun(post("/"));
    peer.takes();
    peer.hears(ok("!"));
    assert_eq!(peer.asks(get("/next")), "");
    peer.gives(number, "def").unwrap();
    assert_eq!(peer.takes(), "3\r\ndef\r\n");
    peer.finishes(number).unwrap();
    assert_eq!(peer.takes(), "0\r\n\r\nGET /next HTTP/1.1\r\nhost: \r\n\r\n");
    assert_eq!((peer.events(), peer.client.closing()), (vec!["0 200 !".to_owned()], Closing::Open));
}

/// Marks are told when what they stand behind has left, whatever it had to wait for.
#[test]
fn what_has_been_written() {
    let mut peer = Peer::nameless();
    let written = |peer: &mut Peer| std::iter::from_fn(|| peer.client.poll_written()).collect::<Vec<_>>();
    let first = peer.client.request(get("/0"), peer.now);
    peer.client.mark(first, 1);
    assert_eq!(written(&mut peer), [0_u64; 0]);
    peer.takes();
    assert_eq!(written(&mut peer), [1]);
    let second = peer.client.request(post("/1").with_content("abc"), peer.now);
    peer.client.mark(second, 2);
    let third = peer.begins(expecting(), true, false);
    peer.gives(third, "abc").unwrap();
    peer.client.mark(third, 3);
    peer.takes();
    assert_eq!((written(&mut peer), peer.client.unsent()), (vec![], 6), "they wait for their turn");
    peer.hears(ok("0")).takes();
    assert_eq!(written(&mut peer), [2]);
    peer.hears(ok("1")).takes();
    assert_eq!(written(&mut peer), [0_u64; 0], "and it for a 100");
    peer.hears("HTTP/1.1 100 Continue\r\n\r\n");
    assert_eq!(written(&mut peer), [0_u64; 0]);
    let most = peer.client.output().len() - 1;
    peer.client.output().take(most);
    peer.client.wrote(peer.now);
    assert_eq!(written(&mut peer), [0_u64; 0]);
    peer.takes();
    assert_eq!((written(&mut peer), peer.client.unsent()), (vec![3], 0));
}

/// The events of a response that is told as it comes; neighbouring chunks together, as where they are cut means nothing (RFC 9112 §7.1).
#[track_caller]
fn told(input: &str, eof: bool) -> Vec<String> {
    let mut first = None;
    for cut in [usize::MAX, 1, 2, 3, 5, 7, 11, 64] {
        let mut peer = Peer::new(Settings::new().content_limit(3));
        peer.begins(get("/"), false, true);
        peer.takes();
        let mut events = Vec::new();
        for piece in input.as_bytes().chunks(cut) {
            events.extend(peer.hears(piece).events());
        }
        if eof {
            peer.client.receive_eof(peer.now);
        }
        events.extend(peer.events());
        let mut said: Vec<String> = Vec::new();
        for event in events {
            match (event.strip_prefix("0 + "), said.last_mut()) {
                (Some(more), Some(last)) if last.starts_with("0 + ") => last.push_str(more),
                _ => said.push(event),
            }
        }
        said.push(format!("{:?}", peer.client.closing()));
        match &first {
            None => first = Some(said),
            Some(first) => assert_eq!(*first, said, "cut {cut} of {input:?}"),
        }
    }
    first.unwrap()
}

#[test]
fn a_response_is_told_as_it_comes() {
    for (input, eof, said) in [
        (ok("hello"), false, &["0 200 …5", "0 + hello", "0 . {}", "Open"][..]),
        (ok(""), false, &["0 200 …0", "0 . {}", "Open"]),
        ("HTTP/1.1 204 No Content\r\n\r\n".to_owned(), false, &["0 204 …0", "0 . {}", "Open"]),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3;x\r\nabc\r\n2\r\nde\r\n0\r\nt: u\r\ncontent-length: 7\r\n\r\n"
                .to_owned(),
            false,
            &["0 200 …", "0 + abcde", "0 . {\"t\": \"u\"}", "Open"],
        ),
        (
            // obs-fold (RFC 9112 §5.2): what it hides is part of the value.
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\nt: u\r\n\tv\r\n content-length: 7\r\n\r\n".to_owned(),
            false,
            &["0 200 …", "0 + a", "0 . {\"t\": \"u  \tv   content-length: 7\"}", "Open"],
        ),
        ("HTTP/1.1 200 OK\r\n\r\nuntil the end".to_owned(), true, &["0 200 …", "0 + until the end", "0 . {}", "Done"]),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello".to_owned(),
            true,
            &["0 200 …9", "0 + hello", "0 Truncated", "Truncated", "Done"],
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabcX".to_owned(),
            false,
            &["0 200 …", "0 + abc", "0 ChunkData", "ChunkData", "AfterFlush"],
        ),
        ("HTTP/1.1 100 Continue\r\n\r\n".to_owned() + &ok("x"), false, &["0 200 …1", "0 + x", "0 . {}", "Open"]),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n".to_owned(), false, &["0 TransferEncoding", "TransferEncoding", "AfterFlush"]),
    ] {
        assert_eq!(told(&input, eof), said, "{input:?}");
    }
}

/// What a chunk was worth comes back when it is in nobody's hands; until then no more than the window is told, nor read, and nobody is to blame for the time
/// that takes.
#[test]
fn back_pressure() {
    let mut peer = Peer::new(Settings::new().content_window(10_000).content_rate(1000));
    peer.begins(get("/"), false, true);
    peer.takes();
    peer.hears("HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n");
    assert!(!peer.client.wants_read(), "nothing is read before its start is let go of");
    assert_eq!(peer.client.deadline(), None, "and the server is not to blame");
    assert_eq!(peer.events(), ["0 200 …100000"]);
    let (mut told, mut in_hand, mut most, mut sent) = (0, 0, 0, 0);
    while told < 100_000 {
        while peer.client.wants_read() && sent < 100_000 {
            peer.hears(vec![b'x'; 4000]);
            sent += 4000;
        }
        let mut worths = Vec::new();
        while let Some(event) = peer.client.poll_event() {
            if let ClientEvent::Chunk { chunk, worth, .. } = event {
                told += chunk.data.len();
                in_hand += worth;
                worths.push(worth);
            }
        }
        most = most.max(in_hand);
        if sent < 100_000 {
            assert!(!peer.client.wants_read());
            assert_eq!(peer.client.deadline(), None);
            peer.later(SECOND * 1000);
        }
        for worth in worths {
            peer.client.give_back(worth, peer.now);
            in_hand -= worth;
        }
        assert_eq!(in_hand, 0);
    }
    assert!(most < 10_000 + 4_500, "the window and one read: {most}");
    assert_eq!((peer.events(), peer.client.closing()), (Vec::<String>::new(), Closing::Open));
}

/// Events come when there are some: nobody waits for all of them, so the rate is not asked for. Silence is the connection's, a minute of it.
#[test]
fn a_stream_of_events_takes_its_time() {
    let began = || {
        let mut peer = Peer::nameless();
        peer.begins(get("/events"), false, true);
        peer.takes();
        peer.hears("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
        assert_eq!(peer.events(), ["0 200 …"]);
        peer
    };
    let mut peer = began();
    for _ in 0..5 {
        assert_eq!(peer.later(SECOND * 59).events(), [""; 0]);
        assert_eq!(peer.hears("1\r\n!\r\n").events(), ["0 + !"]);
    }
    assert_eq!(peer.later(SECOND * 60).events(), ["0 ContentTimeout", "ContentTimeout"]);
    // What we hold up is no silence of the server's.
    let mut peer = began();
    peer.hears(format!("{:x}\r\n", 300 << 10)).hears(vec![b'x'; 300 << 10]);
    assert!(!peer.client.wants_read());
    peer.later(SECOND * 600);
    assert_eq!((peer.events().len(), peer.client.wants_read()), (1, true));
    assert_eq!(peer.later(SECOND * 59).events(), [""; 0]);
    assert_eq!(peer.later(SECOND).events(), ["0 ContentTimeout", "ContentTimeout"]);
}

/// The end of a connection is behind what it has brought.
#[test]
fn what_came_before_the_end_is_told_before_it() {
    let mut peer = Peer::new(Settings::new().content_window(0));
    peer.begins(get("/"), false, true);
    peer.takes();
    peer.hears("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n0\r\n\r\n");
    peer.client.receive_eof(peer.now);
    assert_eq!(peer.client.closing(), Closing::Open, "there is more to tell");
    assert_eq!(peer.events(), ["0 200 …", "0 + a", "0 + b", "0 . {}"]);
    assert_eq!(peer.client.closing(), Closing::Done);
}

/// What is not wanted any more is not waited for.
#[test]
fn a_response_that_is_given_up() {
    let mut peer = Peer::nameless();
    let number = peer.begins(get("/"), false, true);
    peer.asks(get("/1"));
    peer.hears("HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n");
    peer.client.cancel(number, peer.now);
    assert_eq!(peer.events(), ["0 200 …100000", "0 Abandoned", "1 Closed", "Abandoned"]);
    assert_eq!(peer.client.closing(), Closing::AfterFlush);
    // What is answered is not in the way.
    let mut peer = Peer::nameless();
    let number = peer.client.request(get("/"), peer.now);
    peer.takes();
    peer.hears(ok("x"));
    peer.client.cancel(number, peer.now);
    assert_eq!((peer.events(), peer.client.closing()), (vec!["0 200 x".to_owned()], Closing::Open));
}
