//! Requests: what a handler hears of content that comes, and how much of it is read ahead of it.

use actix_sockets::HttpResponse;
use actix_sockets::http::{Closing, HttpError, Settings};
use http::{HeaderMap, StatusCode};

use crate::peer::{CHUNKED, Heard, Peer, end, sized, start};

/// Pieces of one content put together: where the peer cut it means nothing (RFC 9112 §7.1).
fn joined(heard: Vec<Heard>) -> Vec<Heard> {
    let mut joined: Vec<Heard> = Vec::new();
    for heard in heard {
        match (joined.last_mut(), heard) {
            (Some(Heard::Data(before, _)), Heard::Data(data, extensions)) if extensions.is_empty() => before.push_str(&data),
            (_, heard) => joined.push(heard),
        }
    }
    joined
}

/// The same is heard whole, byte by byte, and in pieces of any size; the handler hears as it comes.
#[track_caller]
fn heard_whatever_the_cuts(says: &str, expected: &[Heard]) {
    for cut in (1..=17).chain([says.len()]) {
        let mut peer = Peer::new(Settings::new());
        let mut heard = Vec::new();
        for piece in says.as_bytes().chunks(cut) {
            peer.says(piece);
            heard.extend(peer.handler());
        }
        assert_eq!(joined(heard), expected, "in pieces of {cut}");
    }
}

fn data(text: &str) -> Heard {
    Heard::Data(text.to_owned(), String::new())
}

fn trailers(fields: &[(&'static str, &'static str)]) -> Heard {
    Heard::End(fields.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect::<HeaderMap>())
}

#[test]
fn content_of_a_known_length() {
    heard_whatever_the_cuts(&(sized(11) + "hello world"), &[start(Some(11)), data("hello world"), end()]);
}

#[test]
fn content_in_chunks() {
    heard_whatever_the_cuts(&format!("{CHUNKED}5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"), &[start(None), data("hello world"), end()]);
}

/// RFC 9112 §7.1.1: with the first bytes of their chunk.
#[test]
fn chunk_extensions() {
    let says = format!("{CHUNKED}5;a=1;b\r\nhello\r\n3 ; q=\"x;y\"\r\n wo\r\n3\r\nrld\r\n0;last\r\n\r\n");
    let with = |text: &str, extensions: &str| Heard::Data(text.to_owned(), extensions.to_owned());
    heard_whatever_the_cuts(&says, &[start(None), with("hello", "a=1;b"), with(" world", " q=\"x;y\""), end()]);
}

/// RFC 9110 §6.5.1: those that frame, route or authenticate are not merged, nor told.
#[test]
fn trailers_but_for_those_that_may_be_none() {
    let fields = "X-Sum: 1\r\nContent-Length: 9\r\nHost: evil\r\nAuthorization: Basic x\r\nSet-Cookie: a=b\r\nTransfer-Encoding: chunked\r\n\
                  Connection: close\r\nContent-Type: text/html\r\nCache-Control: no-store\r\nX-Sum: 2\r\n";
    let says = format!("{CHUNKED}1\r\nx\r\n0\r\n{fields}\r\n");
    heard_whatever_the_cuts(&says, &[start(None), data("x"), trailers(&[("x-sum", "1"), ("x-sum", "2")])]);
}

/// Nothing to stream.
#[test]
fn a_request_without_content_is_told_as_ever() {
    for says in ["GET /up HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), sized(0)] {
        heard_whatever_the_cuts(&says, &[Heard::Request("/up".to_owned(), String::new())]);
    }
    heard_whatever_the_cuts(&format!("{CHUNKED}0\r\n\r\n"), &[start(None), end()]);
}

#[test]
fn the_next_request_comes_behind_the_answer_and_the_content() {
    let mut peer = Peer::new(Settings::new());
    peer.says(sized(3) + "abcGET /next HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(peer.handler(), [start(Some(3)), data("abc"), end()]);
    peer.answers(HttpResponse::ok("thanks"));
    assert!(peer.hears().ends_with("thanks"));
    assert_eq!(peer.handler(), [Heard::Request("/next".to_owned(), String::new())]);
}

/// What the budget of the process counts of a connection: also what is left in hand of earlier requests, once the next one has begun and its start is back.
#[test]
fn what_is_in_hand_of_an_earlier_request_is_buffered() {
    let mut peer = Peer::new(Settings::new().content_window(1000)).keeping();
    peer.says(sized(500));
    assert_eq!((peer.handler().len(), peer.server.buffered()), (1, 0), "the start of a request is no bytes");
    peer.lets_go_of_one().says("x".repeat(500));
    assert_eq!(peer.handler().len(), 2);
    peer.answers(HttpResponse::ok("")).hears();
    let of_the_first = peer.server.buffered();
    assert!(of_the_first >= 500, "{of_the_first}");
    peer.says(sized(500));
    // What comes back does not say what it was: beside bytes the start counts, too, which is worth more than the window.
    assert_eq!((peer.handler().len(), peer.server.buffered()), (1, of_the_first + 1001));
    peer.in_hand.swap(0, 1);
    assert_eq!(peer.lets_go_of_one().server.buffered(), of_the_first);
    assert_eq!(peer.lets_go_of_one().server.buffered(), 0);
}

/// Window and one piece, however much there is to be read; and the rest once half of it is given back.
#[test]
fn content_is_read_no_farther_than_the_handler_takes_it() {
    let window = 1000;
    for piece in [1, 100, 5000] {
        let mut peer = Peer::new(Settings::new().content_window(window)).keeping();
        peer.says(CHUNKED);
        assert_eq!(peer.handler(), [start(None)]);
        assert!(!peer.server.wants_read(), "nothing is read before the content is wanted");
        peer.lets_go_of_one();
        assert!(peer.server.wants_read());
        let chunk = format!("{piece:x}\r\n{}\r\n", "x".repeat(piece));
        let mut said = 0;
        while peer.server.wants_read() {
            peer.says(&chunk);
            said += 1;
            assert!(said < 1000);
        }
        let told = peer.handler().len();
        assert_eq!((told, peer.in_hand.len()), (said, said), "each as it came");
        let worth: usize = peer.in_hand.iter().sum();
        assert!(worth > window && worth <= window + peer.in_hand[0], "{worth} bytes in hand");
        peer.says(&chunk).says(&chunk);
        assert_eq!(peer.handler(), [], "what was read nevertheless waits");
        let mut rest = 0;
        while !peer.server.wants_read() {
            if peer.in_hand.is_empty() {
                rest += peer.handler().len();
            }
            assert!(peer.server.awaits_back().unwrap() > 0);
            peer.lets_go_of_one();
        }
        rest += peer.handler().len();
        assert_eq!(rest, 2);
    }
}

/// Many short chunks are not had for nothing: a read of them is not told all at once.
#[test]
fn short_chunks_count_for_more_than_their_bytes() {
    let mut peer = Peer::new(Settings::new()).keeping();
    peer.says(CHUNKED).handler();
    peer.lets_go_of_one();
    for _ in 0..16 {
        peer.says("1\r\nx\r\n".repeat(10_000));
    }
    let told = peer.handler().len();
    assert!(told < 5000, "{told} chunks of a byte are in hand");
}

#[test]
fn the_limit_of_streamed_content_at_n_and_n_plus_1() {
    let settings = || Settings::new().streamed_content_limit(10).content_limit(5);
    let mut peer = Peer::new(settings());
    peer.says(sized(10) + "0123456789");
    assert_eq!(peer.handler(), [start(Some(10)), data("0123456789"), end()]);
    let mut peer = Peer::new(settings());
    peer.says(sized(11));
    assert_eq!(peer.handler(), [Heard::Failed(HttpError::ContentTooLarge)], "refused before it is told");
    assert!(peer.hears().starts_with("HTTP/1.1 413 "));

    let mut peer = Peer::new(settings());
    peer.says(format!("{CHUNKED}6\r\n012345\r\n4\r\n6789\r\n0\r\n\r\n"));
    assert_eq!(joined(peer.handler()), [start(None), data("0123456789"), end()]);
    let mut peer = Peer::new(settings());
    peer.says(format!("{CHUNKED}6\r\n012345\r\n5\r\n"));
    let too_large = HttpError::ContentTooLarge;
    assert_eq!(joined(peer.handler()), [start(None), data("012345"), Heard::Aborted(too_large), Heard::Failed(too_large)]);
    assert!(peer.hears().starts_with("HTTP/1.1 413 "));
    assert!(peer.is_over());
}

#[test]
fn the_number_of_chunks_at_n_and_n_plus_1() {
    let chunks = |n| format!("{CHUNKED}{}", "1\r\nx\r\n".repeat(n));
    let mut peer = Peer::new(Settings::new().chunk_limit(3));
    peer.says(chunks(3) + "0\r\n\r\n");
    assert_eq!(joined(peer.handler()), [start(None), data("xxx"), end()]);
    let mut peer = Peer::new(Settings::new().chunk_limit(3));
    peer.says(chunks(4));
    let error = HttpError::TooManyChunks;
    assert_eq!(joined(peer.handler()), [start(None), data("xxx"), Heard::Aborted(error), Heard::Failed(error)]);
    assert!(peer.hears().starts_with("HTTP/1.1 413 "));
    let mut peer = Peer::new(Settings::new().chunk_limit(3).unlimited_streamed_content());
    peer.says(chunks(4) + "0\r\n\r\n");
    assert_eq!(joined(peer.handler()), [start(None), data("xxxx"), end()]);
}

/// It is judged as it is announced, before any of it comes; and in content that is told whole, too.
#[test]
fn the_size_of_a_chunk_at_n_and_n_plus_1() {
    let mut peer = Peer::new(Settings::new().chunk_size_limit(0x10));
    peer.says(format!("{CHUNKED}10\r\n0123456789abcdef\r\n1\r\nx\r\n0\r\n\r\n"));
    assert_eq!(joined(peer.handler()), [start(None), data("0123456789abcdefx"), end()]);
    let mut peer = Peer::new(Settings::new().chunk_size_limit(0x10));
    peer.says(format!("{CHUNKED}1\r\nx\r\n11\r\n"));
    let error = HttpError::ContentTooLarge;
    assert_eq!(joined(peer.handler()), [start(None), data("x"), Heard::Aborted(error), Heard::Failed(error)]);
    assert!(peer.hears().starts_with("HTTP/1.1 413 "));
}

/// Never an end; and a response that has begun is cut, as it cannot be taken back.
#[test]
fn content_that_breaks_a_rule_is_aborted() {
    let broken = [Heard::Aborted(HttpError::ChunkSize), Heard::Failed(HttpError::ChunkSize)];
    let mut peer = Peer::new(Settings::new());
    peer.says(CHUNKED).says("1\r\nx\r\n");
    assert_eq!(peer.handler(), [start(None), data("x")]);
    peer.says("y\r\n");
    assert_eq!(peer.handler(), broken);
    assert!(peer.hears().starts_with("HTTP/1.1 400 "));
    assert_eq!(peer.server.closing(), Closing::AfterFlush);

    let mut peer = Peer::new(Settings::new());
    peer.says(CHUNKED).handler();
    peer.starts(HttpResponse::ok("so far")).says("y\r\n");
    assert_eq!(peer.handler(), broken);
    assert_eq!(peer.server.closing(), Closing::Abort);
}

/// RFC 9112 §8: a request that is incomplete is never told as complete.
#[test]
fn content_that_ends_with_the_connection_is_aborted() {
    for says in [sized(5) + "1234", format!("{CHUNKED}4\r\n1234\r\n0\r\n")] {
        let mut peer = Peer::new(Settings::new());
        peer.says(says).finishes();
        let error = HttpError::Incomplete;
        let heard = peer.handler();
        assert_eq!(heard[1..], [data("1234"), Heard::Aborted(error), Heard::Failed(error)]);
        assert!(peer.hears().starts_with("HTTP/1.1 400 "));
        assert_eq!(peer.server.closing(), Closing::Done);
    }
}

/// A FIN that is found while the handler has too much in hand is judged when it has not.
#[test]
fn a_fin_behind_content_that_waits_is_no_end_of_it() {
    let mut peer = Peer::new(Settings::new()).keeping();
    peer.says(format!("{CHUNKED}3\r\nabc\r\n0\r\n\r\n")).finishes();
    assert_eq!(peer.handler(), [start(None)]);
    peer.lets_go_of_one();
    assert_eq!(peer.handler(), [data("abc"), end()]);
    peer.answers(HttpResponse::ok("all of it"));
    assert!(peer.hears().ends_with("all of it"));
}

#[test]
fn who_expects_to_be_asked_is_asked_when_the_content_is_wanted() {
    let expecting = "POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n";
    let mut peer = Peer::new(Settings::new()).keeping();
    peer.says(expecting);
    assert_eq!(peer.handler(), [start(Some(3))]);
    assert_eq!(peer.hears(), "");
    peer.lets_go_of_one();
    assert_eq!(peer.hears(), "HTTP/1.1 100 Continue\r\n\r\n");
    peer.says("abc");
    assert_eq!(peer.handler(), [data("abc"), end()]);

    // Refused in place of that: whether the content comes or not nobody knows, so the connection ends.
    let mut peer = Peer::new(Settings::new()).keeping();
    peer.says(expecting).handler();
    peer.answers(HttpResponse::new(StatusCode::PAYLOAD_TOO_LARGE));
    let heard = peer.hears();
    assert!(heard.starts_with("HTTP/1.1 413 ") && heard.contains("\r\nconnection: close\r\n"), "{heard}");
    assert_eq!(peer.server.closing(), Closing::AfterFlush);

    // Who has begun to send does not wait to be asked (RFC 9110 §10.1.1).
    let mut peer = Peer::new(Settings::new());
    peer.says(expecting.to_owned() + "a");
    assert_eq!(peer.handler(), [start(Some(3)), data("a")]);
    assert_eq!(peer.hears(), "");
}

/// Behind the answers to earlier requests, and not before.
#[test]
fn the_asking_waits_its_turn() {
    let mut peer = Peer::new(Settings::new().pipelining_limit(2));
    peer.says("GET /first HTTP/1.1\r\nHost: a\r\n\r\n");
    peer.handler();
    let first = peer.number;
    peer.says("POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(peer.handler(), [start(Some(3))]);
    assert_eq!(peer.hears(), "");
    let second = std::mem::replace(&mut peer.number, first);
    peer.answers(HttpResponse::ok("first"));
    assert!(peer.hears().ends_with("firstHTTP/1.1 100 Continue\r\n\r\n"));
    peer.number = second;
    peer.says("abc");
    assert_eq!(peer.handler(), [data("abc"), end()]);
}

/// T08: what is left of the content of a request that is answered is read and discarded, and what follows it is the next request.
#[test]
fn t08_unread_content_is_drained() {
    let next = "GET /next HTTP/1.1\r\nHost: a\r\n\r\n";
    for says in [sized(20) + "0123456789", format!("{CHUNKED}a\r\n0123456789\r\n")] {
        let chunked = says.contains("chunked");
        let mut peer = Peer::new(Settings::new());
        peer.says(says).handler();
        peer.answers(HttpResponse::new(StatusCode::PAYLOAD_TOO_LARGE));
        assert!(peer.hears().starts_with("HTTP/1.1 413 "));
        // It looks like a request, and is none.
        let rest = if chunked { "a\r\nGET / HTTP\r\n0\r\n\r\n" } else { "GET / HTTP" };
        peer.says(rest);
        assert_eq!(peer.handler(), [], "who has answered hears no more");
        peer.says(next);
        assert_eq!(peer.handler(), [Heard::Request("/next".to_owned(), String::new())]);
    }
}

/// T08: up to a cap; where it is known to be more, the answer says that the connection closes.
#[test]
fn t08_more_than_the_cap_closes_the_connection() {
    let settings = || Settings::new().drain_limit(10);
    for (left, closes) in [(10, false), (11, true)] {
        let mut peer = Peer::new(settings());
        peer.says(sized(left)).handler();
        peer.answers(HttpResponse::new(StatusCode::PAYLOAD_TOO_LARGE));
        assert_eq!(peer.hears().contains("connection: close"), closes);
        peer.says("x".repeat(left) + "GET /next HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!((peer.handler().len(), peer.is_over()), (usize::from(!closes), closes));

        let mut peer = Peer::new(settings());
        peer.says(CHUNKED).handler();
        peer.answers(HttpResponse::new(StatusCode::PAYLOAD_TOO_LARGE));
        assert!(!peer.hears().contains("connection: close"), "nobody knows yet");
        peer.says(format!("{left:x}\r\n{}\r\n0\r\n\r\nGET /next HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(left)));
        assert_eq!((peer.handler().len(), peer.is_over()), (usize::from(!closes), closes));
    }
}

/// Also behind the end of a streamed response; until then the content goes on.
#[test]
fn content_goes_on_while_a_response_is_streamed() {
    let mut peer = Peer::new(Settings::new());
    peer.says(CHUNKED).handler();
    peer.starts(HttpResponse::ok("heard: "));
    for word in ["one", "two"] {
        peer.says(format!("3\r\n{word}\r\n"));
        assert_eq!(peer.handler(), [data(word)]);
        peer.server.chunk(peer.number.unwrap(), word, peer.now).unwrap();
    }
    peer.server.finish(peer.number.unwrap(), peer.now).unwrap();
    assert!(peer.hears().ends_with("7\r\nheard: \r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"));
    peer.says("3\r\nnot\r\n0\r\n\r\nGET /next HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(peer.handler(), [Heard::Request("/next".to_owned(), String::new())]);
}

/// Who only answers what it is told never has too much unsent.
#[test]
fn content_is_not_taken_while_too_much_is_unsent() {
    let mut peer = Peer::new(Settings::new().output_soft_limit(100));
    peer.says(CHUNKED).handler();
    peer.starts(HttpResponse::ok("x".repeat(200)));
    assert!(!peer.server.wants_read());
    peer.says("3\r\none\r\n");
    assert_eq!(peer.handler(), []);
    peer.hears();
    assert!(peer.server.wants_read());
    assert_eq!(peer.handler(), [data("one")]);
}

/// No request is taken any more; what is in hand comes to its end.
#[test]
fn a_graceful_end_lets_content_come_to_its_own() {
    let mut peer = Peer::new(Settings::new());
    peer.says(sized(6) + "abc").handler();
    peer.server.close_gracefully(peer.now);
    peer.says("def");
    assert_eq!(peer.handler(), [data("def"), end()]);
    peer.answers(HttpResponse::ok("bye"));
    assert!(peer.hears().ends_with("bye"));
    assert_eq!(peer.server.closing(), Closing::AfterFlush);
}
