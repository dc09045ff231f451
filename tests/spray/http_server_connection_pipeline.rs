//! HttpServerConnectionPipelineSpec: 21 examples, of which the ten about the end of a connection are in [`closed`](crate::closed).

use std::time::Duration;

use actix_sockets::HttpResponse;
use actix_sockets::http::{Closing, Event, Settings};

use crate::peer::Peer;

const SIMPLE: &str = "GET / HTTP/1.1\r\nHost: test.com\r\n\r\n";

#[test]
fn a_simple_request_is_dispatched() {
    let (_, request) = Peer::new(Settings::new()).says(SIMPLE).request();
    assert_eq!((request.path(), request.header("host"), request.headers.len()), ("/", Some("test.com"), 1));
}

#[test]
fn a_chunked_request_is_aggregated() {
    let mut peer = Peer::new(Settings::new());
    for piece in [
        "POST / HTTP/1.1\r\nContent-Type: text/plain\r\nHost: test.com\r\nTransfer-Encoding: chunked\r\n\r\n",
        "7\r\nbody123\r\n",
        "7\r\nbody123\r\n",
        "0\r\n\r\n",
    ] {
        assert!(peer.nothing_else());
        peer.says(piece);
    }
    let (_, request) = peer.request();
    assert_eq!((request.header("content-type"), request.content.as_ref()), (Some("text/plain"), &b"body123body123"[..]));
}

/// In the order in which they come, and each written at once.
#[test]
fn a_streamed_response_is_written_piece_by_piece() {
    let mut peer = Peer::new(Settings::new());
    let (number, _) = peer.says(SIMPLE).request();
    assert!(peer.starts(number, HttpResponse::ok("")).hears().ends_with("transfer-encoding: chunked\r\n\r\n"));
    for part in ["part 1", "part 2", "part 3"] {
        assert_eq!(peer.chunk(number, part).hears(), format!("6\r\n{part}\r\n"));
    }
    assert_eq!(peer.finishes(number).hears(), "0\r\n\r\n");
}

/// The content is asked for, and told when it has come.
fn continues(value: &str) {
    let mut peer = Peer::new(Settings::new());
    peer.says(format!("GET / HTTP/1.1\r\nHost: test.com\r\nContent-Length: 12\r\nExpect: {value}\r\n\r\n"));
    assert_eq!(peer.hears(), "HTTP/1.1 100 Continue\r\n\r\n");
    assert!(peer.nothing_else());
    assert_eq!(peer.says("bodybodybody").request().1.content, "bodybodybody");
}

#[test]
fn expect_100_continue_as_the_rfc_has_it() {
    continues("100-continue");
}

#[test]
fn expect_100_continue_in_another_case() {
    continues("100-Continue");
}

/// The handler is asked for what GET would have.
#[test]
fn a_head_request_gets_no_body() {
    let mut peer = Peer::new(Settings::new());
    let (number, request) = peer.says("HEAD / HTTP/1.1\r\nHost: test.com\r\n\r\n").request();
    assert_eq!(request.method, http::Method::GET);
    assert!(peer.answers(number, HttpResponse::ok("1234567")).hears().ends_with("content-length: 7\r\n\r\n"));
}

/// spray cuts the stream short, as our actors do (`tests/http_handlers`); chunks that come all the same are passed over, and the connection goes on.
#[test]
fn a_head_request_gets_no_chunks() {
    let mut peer = Peer::new(Settings::new());
    let (number, _) = peer.says("HEAD / HTTP/1.1\r\nHost: test.com\r\n\r\n").request();
    assert!(peer.starts(number, HttpResponse::ok("1234567")).hears().ends_with("transfer-encoding: chunked\r\n\r\n"));
    assert_eq!(peer.chunk(number, "more").finishes(number).hears(), "");
    assert_eq!(peer.server.closing(), Closing::Open);
}

#[test]
fn a_timeout_is_told_and_an_answer_still_taken() {
    let mut peer = Peer::new(Settings::new().request_timeout(Duration::from_millis(50)));
    let (number, _) = peer.says(SIMPLE).request();
    peer.later(Duration::from_millis(100));
    assert!(matches!(peer.server.poll_event(), Some(Event::TimedOut { number: told, .. }) if told == number));
    assert!(peer.answers(number, HttpResponse::ok("")).hears().starts_with("HTTP/1.1 200 OK\r\n"));
    assert_eq!(peer.server.closing(), Closing::Open);
}

#[test]
fn a_timeout_that_is_not_heeded_is_a_500() {
    let settings = Settings::new().request_timeout(Duration::from_millis(50)).timeout_timeout(Duration::from_millis(30));
    let mut peer = Peer::new(settings);
    peer.says(SIMPLE).request();
    peer.later(Duration::from_millis(55));
    assert!(matches!(peer.server.poll_event(), Some(Event::TimedOut { .. })));
    assert_eq!(peer.hears(), "");
    let heard = peer.later(Duration::from_millis(35)).hears();
    assert!(heard.starts_with("HTTP/1.1 500 Internal Server Error\r\n") && heard.contains("\r\nconnection: close\r\n"), "{heard}");
    assert!(
        heard.ends_with(
            "Ooops! The server was not able to produce a timely response to your request.\r\nPlease try again in a short while!"
        ),
        "{heard}"
    );
    assert_eq!(peer.server.closing(), Closing::AfterFlush);
}

/// `Responder::send` awaits this.
#[test]
fn an_ack_to_the_sender_of_a_response() {
    let mut peer = Peer::new(Settings::new());
    let (number, _) = peer.says(SIMPLE).request();
    peer.answers(number, HttpResponse::ok("")).server.mark(number, 7);
    assert_eq!(peer.server.poll_written(), None);
    peer.hears();
    assert_eq!((peer.server.poll_written(), peer.server.poll_written()), (Some(7), None));
}

/// `Streaming::send` and `Streaming::finish_acked` do.
#[test]
fn acks_to_the_senders_of_a_streamed_response() {
    let mut peer = Peer::new(Settings::new());
    let (number, _) = peer.says(SIMPLE).request();
    peer.starts(number, HttpResponse::ok("")).server.mark(number, 1);
    peer.chunk(number, "part 1").server.mark(number, 2);
    peer.hears();
    assert_eq!((peer.server.poll_written(), peer.server.poll_written(), peer.server.poll_written()), (Some(1), Some(2), None));
    peer.finishes(number).server.mark(number, 3);
    assert_eq!(peer.server.poll_written(), None);
    peer.hears();
    assert_eq!(peer.server.poll_written(), Some(3));
}

/// What is not written is never acknowledged: its sender hears `SendError::Closed`.
#[test]
fn send_failed_to_the_sender_of_a_response() {
    let mut peer = Peer::new(Settings::new());
    let (number, _) = peer.says(SIMPLE).request();
    peer.answers(number, HttpResponse::ok("")).server.mark(number, 7);
    peer.server.abort();
    assert_eq!((peer.hears().as_str(), peer.server.poll_written()), ("", None));
}

/// With the request, where somebody has asked for that.
#[test]
fn timedout_to_the_handler() {
    let mut peer = Peer::new(Settings::new().request_timeout(Duration::from_millis(50)));
    peer.server.keep_requests();
    let (number, _) = peer.says(SIMPLE).request();
    peer.later(Duration::from_millis(100));
    let Some(Event::TimedOut { number: told, request: Some(request) }) = peer.server.poll_event() else { panic!("a timeout") };
    assert_eq!((told, request.path(), request.header("host")), (number, "/", Some("test.com")));
}
