//! Many requests at a time: which are sent, which wait, and what becomes of them when the connection ends (RFC 9112 §9.3.2, §9.5, §9.6; RFC 9110 §9.2.2).

use std::time::Duration;

use actix_sockets::http::{Closing, HttpError, Settings};
use http::header::{self, HeaderValue};
use http::{Method, Uri};

use crate::peer::{Peer, get, ok, post, told};

/// How many requests are in what the client says.
fn heads(said: &str) -> usize {
    said.matches(" HTTP/1.1\r\n").count()
}

#[test]
fn requests_are_answered_in_order_and_lost_behind_a_close() {
    let all = [get("/0"), get("/1"), get("/2")];
    assert_eq!(told(&all, ok("a") + &ok("b") + &ok("c"), false), ["0 200 a", "1 200 b", "2 200 c", "Open"]);
    let close = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    assert_eq!(told(&all, ok("a") + close, false), ["0 200 a", "1 200 ", "2 Closed", "Closed", "AfterFlush"]);
    assert_eq!(told(&all, ok("a") + "ICY", false), ["0 200 a", "1 StatusLine", "2 Closed", "StatusLine", "AfterFlush"]);
}

#[test]
fn none_is_sent_behind_one_that_asks_to_close() {
    let mut peer = Peer::nameless();
    peer.asks(get("/").with_header(header::CONNECTION, HeaderValue::from_static("close")));
    assert!(!peer.client.can_request());
    assert_eq!(peer.asks(get("/late")), "");
    assert_eq!(peer.hears(ok("x")).events(), ["1 NotSent", "0 200 x"]);
    assert_eq!(peer.client.closing(), Closing::AfterFlush);
}

/// "A user agent SHOULD NOT pipeline requests after a non-idempotent method, until the final response status code for that method has been received" (RFC
/// 9112 §9.3.2).
#[test]
fn what_is_not_idempotent_is_sent_alone() {
    let mut peer = Peer::nameless();
    assert_eq!(heads(&peer.asks(get("/0"))), 1);
    assert_eq!(heads(&peer.asks(get("/1"))), 1);
    assert_eq!(peer.asks(post("/2").with_content("2")), "", "it waits until the two are answered");
    assert_eq!(peer.asks(get("/3")), "", "and nothing overtakes it");
    assert_eq!(peer.asks(get("/4")), "");
    assert_eq!((peer.client.in_hand(), peer.client.queued()), (5, 3));
    peer.hears(ok("0"));
    assert_eq!(peer.takes(), "");
    peer.hears(ok("1"));
    assert_eq!(peer.takes(), "POST /2 HTTP/1.1\r\nhost: \r\ncontent-length: 1\r\n\r\n2");
    // An interim response is no answer.
    peer.hears("HTTP/1.1 102 Processing\r\n\r\n");
    assert_eq!(peer.takes(), "");
    peer.hears(ok("2"));
    assert_eq!(heads(&peer.takes()), 2, "those behind it go together again");
    assert_eq!(peer.hears(ok("3") + &ok("4")).events(), ["0 200 0", "1 200 1", "2 200 2", "3 200 3", "4 200 4"]);
    assert_eq!((peer.client.in_hand(), peer.client.queued(), peer.client.closing()), (0, 0, Closing::Open));
}

#[test]
fn unless_that_is_allowed() {
    let mut peer = Peer::new(Settings::new().pipeline_any_method(true));
    let said: String = (0..3).map(|_| peer.asks(post("/"))).collect();
    assert_eq!(heads(&said), 3);
}

#[test]
fn so_many_are_in_flight_and_so_many_wait() {
    for in_flight in [1, 2, 16, 128] {
        let mut peer = Peer::new(Settings::new().in_flight_limit(in_flight).queue_limit(3));
        let said: String = (0..in_flight + 3).map(|_| peer.asks(get("/"))).collect();
        assert_eq!((heads(&said), peer.client.queued()), (in_flight, 3));
        assert!(!peer.client.can_request());
        assert_eq!(peer.asks(get("/one/more")), "");
        assert_eq!(peer.events(), [format!("{} QueueFull", in_flight + 3)]);
        for n in 0..3 {
            assert_eq!(heads(&peer.hears(ok("x")).takes()), 1, "each answer lets one go: {n}");
        }
        assert!(peer.client.can_request());
        peer.hears(ok("x").repeat(in_flight));
        assert_eq!((peer.events().len(), peer.client.in_hand()), (in_flight + 3, 0));
    }
    // The limits of the limit.
    for (set, holds) in [(0, 1), (1000, 128)] {
        let mut peer = Peer::new(Settings::new().in_flight_limit(set));
        let said: String = (0..200).map(|_| peer.asks(get("/"))).collect();
        assert_eq!(heads(&said), holds);
    }
}

#[test]
fn so_many_bytes_of_content_wait() {
    let mut peer = Peer::new(Settings::new().queue_bytes_limit(10));
    peer.asks(post("/0").with_content("0123456789"));
    peer.asks(post("/1").with_content("012345678"));
    assert!(peer.client.can_request());
    peer.asks(post("/2").with_content("taken whole, as there was room"));
    assert!(!peer.client.can_request());
    peer.asks(post("/3"));
    assert_eq!(peer.events(), ["3 QueueFull"]);
    peer.hears(ok("")).takes();
    peer.hears(ok("")).takes();
    assert!(peer.client.can_request());
}

/// While much waits to be written, requests wait too.
#[test]
fn a_server_that_takes_no_bytes_is_not_asked_for_more() {
    let mut peer = Peer::new(Settings::new().output_soft_limit(1000));
    for _ in 0..10 {
        peer.client.request(get("/").with_content(vec![b'x'; 400]), peer.now);
    }
    assert!((1000..2000).contains(&peer.client.output().len()), "{}", peer.client.output().len());
    assert_eq!(peer.client.queued(), 7);
    assert_eq!(heads(&peer.takes()), 10);
}

/// What may be sent again, and what not: each request hears it.
#[test]
fn sent_or_not_is_told_apart() {
    // Nothing of the second has left when the connection ends; the third has not had its turn.
    let mut peer = Peer::nameless();
    peer.asks(get("/0"));
    peer.client.request(get("/1"), peer.now);
    peer.client.request(post("/2"), peer.now);
    peer.client.receive_eof(peer.now);
    assert_eq!(peer.events(), ["0 Closed", "1 NotSent", "2 NotSent", "Closed"]);
    assert!(HttpError::NotSent.may_be_sent_again(&Method::POST));
    assert!(HttpError::QueueFull.may_be_sent_again(&Method::POST));
    for lost in [HttpError::Closed, HttpError::Truncated, HttpError::ResponseTimeout] {
        assert!(lost.may_be_sent_again(&Method::PUT) && !lost.may_be_sent_again(&Method::POST), "{lost:?}");
    }
    assert!(!HttpError::ContentTooLarge.may_be_sent_again(&Method::GET), "it would be the same again");
    // A byte of it has left.
    let mut peer = Peer::nameless();
    peer.client.request(get("/0"), peer.now);
    peer.client.output().take(1);
    peer.client.receive_reset(peer.now);
    assert_eq!((peer.events(), peer.client.closing()), (vec!["0 Closed".to_owned(), "Closed".to_owned()], Closing::Abort));
    // In the midst of the response.
    let mut peer = Peer::nameless();
    peer.asks(get("/0"));
    peer.asks(get("/1"));
    peer.hears("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhell");
    peer.client.receive_reset(peer.now);
    assert_eq!(peer.events(), ["0 Truncated", "1 Closed", "Truncated"]);
    // And behind the end.
    assert_eq!(peer.asks(get("/2")), "");
    assert_eq!(peer.events(), ["2 NotSent"]);
}

/// One after the other has the time that is set, from when its turn has come.
#[test]
fn the_response_of_each_is_due_in_its_turn() {
    let second = Duration::from_secs(1);
    let mut peer = Peer::nameless();
    peer.asks(get("/0"));
    peer.asks(get("/1"));
    peer.asks(post("/2"));
    peer.later(second * 9).hears(ok("0")).later(second * 9).hears(ok("1"));
    peer.takes();
    peer.later(second * 9);
    assert_eq!(peer.events(), ["0 200 0", "1 200 1"]);
    peer.later(second);
    assert_eq!(peer.events(), ["2 ResponseTimeout", "ResponseTimeout"]);
    // It can be set while the connection is in use.
    let mut peer = Peer::nameless();
    peer.asks(get("/"));
    peer.client.set_response_timeout(second);
    peer.later(second);
    assert_eq!(peer.events(), ["0 ResponseTimeout", "ResponseTimeout"]);
    let mut peer = Peer::nameless();
    peer.client.set_idle_timeout(second);
    peer.later(second);
    assert_eq!((peer.events().len(), peer.client.closing()), (0, Closing::AfterFlush));
}

/// RFC 9110 §7.8: what comes behind an upgrade may be of another protocol; so it waits, and what it becomes is told.
#[test]
fn what_is_asked_behind_an_upgrade() {
    let upgrade = || get("/").with_header(header::UPGRADE, HeaderValue::from_static("websocket"));
    let mut peer = Peer::nameless();
    peer.asks(upgrade());
    assert_eq!(peer.asks(get("/1")), "");
    peer.hears("HTTP/1.1 426 Upgrade Required\r\ncontent-length: 0\r\n\r\n");
    assert_eq!(heads(&peer.takes()), 1, "HTTP goes on");
    let mut peer = Peer::nameless();
    peer.asks(upgrade());
    peer.asks(get("/1"));
    peer.hears("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
    assert_eq!(peer.events(), ["0 101 ", "1 NotSent"]);
    assert_eq!(peer.takes(), "");
}

/// RFC 9110 §9.3.6: "Any 2xx (Successful) response indicates that the sender … will switch to tunnel mode".
/// RFC 9112 §9.2: what comes before a request has left is no answer to it, but what somebody has put in its place.
#[test]
fn nothing_answers_a_request_that_has_not_left() {
    let whole = |content: &str| format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{content}", content.len());
    let both = format!("{}{}", whole("a"), whole("poison"));
    for settings in [Settings::new(), Settings::new().in_flight_limit(1)] {
        let mut peer = Peer::new(settings);
        peer.client.request(http_request(Method::POST, "http://a/1"), peer.now);
        peer.client.request(http_request(Method::POST, "http://a/secret"), peer.now);
        assert_eq!(heads(&peer.takes()), 1, "the second waits for the first");
        assert_eq!(peer.hears(&both).events(), ["0 200 a", "1 UnexpectedResponse", "UnexpectedResponse"]);
        assert_eq!(peer.takes(), "");
    }
    let mut peer = Peer::new(Settings::new());
    peer.client.request(http_request(Method::GET, "http://a/1"), peer.now);
    let said = peer.hears(whole("poison")).events();
    assert!(said.iter().all(|said| !said.contains("200")), "{said:?}");
}

/// Nor what was read before it left, and could not be looked at yet: the response before is in the hands of who hears it.
#[test]
fn nothing_that_was_read_before_answers_a_request() {
    let whole = |content: &str| format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{content}", content.len());
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n";
    for (first, told) in [(&*whole("a"), "0 200 …1"), (chunked, "0 200 …")] {
        for (surplus, later, said) in [(&*whole("poison"), "", "1 UnexpectedResponse"), ("", &*whole("b"), "1 200 b")] {
            let mut peer = Peer::nameless();
            peer.begins(get("/first"), false, true);
            peer.takes();
            peer.hears(first.to_owned() + surplus);
            assert_eq!(heads(&peer.asks(get("/secret"))), 1, "it is sent while the first is in hand");
            let mut heard = peer.events();
            heard.extend(peer.hears(later).events());
            assert_eq!(heard[..4], [told, "0 + a", "0 . {}", said]);
        }
    }
}

#[test]
fn behind_the_2xx_to_a_connect_there_is_no_http() {
    let connect = || http_request(Method::CONNECT, "a:80");
    for cut in [1, 7, 1000] {
        let mut peer = Peer::nameless();
        peer.asks(connect());
        for piece in b"HTTP/1.1 200 Connection established\r\nContent-Length: 3\r\n\r\nSSH-2.0".chunks(cut) {
            peer.hears(piece);
        }
        assert_eq!(peer.events(), ["0 200 "]);
        assert!(peer.client.is_switched());
        assert_eq!(&peer.client.into_unread()[..], b"SSH-2.0");
    }
    let mut peer = Peer::nameless();
    peer.asks(connect());
    peer.hears("HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 2\r\n\r\nno");
    assert_eq!((peer.events(), peer.client.is_switched()), (vec!["0 407 no".to_owned()], false));
}

fn http_request(method: Method, uri: &'static str) -> actix_sockets::HttpRequest {
    actix_sockets::HttpRequest::new(method, Uri::from_static(uri))
}

/// What would be no request, or another one, is refused before a byte of it leaves.
#[test]
fn what_must_not_leave_does_not() {
    let field = |name, value: &'static str| get("/").with_header(name, HeaderValue::from_static(value));
    let secure = actix_sockets::HttpRequest { secure: true, ..get("/") };
    for (request, error) in [
        (http_request(Method::CONNECT, "/"), "TargetForm"),
        (http_request(Method::GET, "*"), "TargetForm"),
        (field(header::HOST, "a").with_header(header::HOST, HeaderValue::from_static("b")), "Host"),
        (field(header::EXPECT, "200-ok").with_content("x"), "Expectation"),
        (secure, "Insecure"),
    ] {
        let mut peer = Peer::nameless();
        assert_eq!(peer.asks(request), "");
        assert_eq!(peer.events(), [format!("0 {error}")]);
        assert_eq!(heads(&peer.asks(get("/"))), 1, "the connection goes on");
    }
    // T09: CR, LF and NUL do not get as far as this.
    for evil in ["a\r\nb: c", "a\nb", "a\rb", "a\0b"] {
        assert!(HeaderValue::from_str(evil).is_err());
        assert!(header::HeaderName::from_bytes(evil.as_bytes()).is_err());
        assert!(Method::from_bytes(evil.as_bytes()).is_err());
        assert!(evil.parse::<Uri>().is_err() && format!("/{evil}").parse::<Uri>().is_err());
    }
}

/// RFC 9110 §10.1.5.
#[test]
fn a_user_agent_says_so() {
    let version = env!("CARGO_PKG_VERSION");
    let mut peer = Peer::new(Settings::new());
    assert_eq!(peer.asks(get("/")), format!("GET / HTTP/1.1\r\nhost: \r\nuser-agent: actix-sockets/{version}\r\n\r\n"));
    let own = get("/").with_header(header::USER_AGENT, HeaderValue::from_static("mine"));
    assert_eq!(peer.asks(own), "GET / HTTP/1.1\r\nhost: \r\nuser-agent: mine\r\n\r\n");
    let mut peer = Peer::new(Settings::new().user_agent(Some(HeaderValue::from_static("theirs/1"))));
    assert_eq!(peer.asks(get("/")), "GET / HTTP/1.1\r\nhost: \r\nuser-agent: theirs/1\r\n\r\n");
}

#[test]
fn an_orderly_end_waits_for_all() {
    let mut peer = Peer::nameless();
    peer.asks(get("/0"));
    peer.asks(post("/1"));
    peer.client.close_gracefully(peer.now);
    assert_eq!(peer.asks(get("/2")), "");
    assert_eq!((peer.hears(ok("0")).events(), peer.client.closing()), (vec!["2 NotSent".to_owned(), "0 200 0".to_owned()], Closing::Open));
    assert_eq!(heads(&peer.takes()), 1);
    assert_eq!((peer.hears(ok("1")).events(), peer.client.closing()), (vec!["1 200 1".to_owned()], Closing::AfterFlush));
}
