//! Requests by message and by future: in order, in turn, and each with its own end.

use std::time::Duration;

use actix_sockets::handshake::Target;
use actix_sockets::http::{HttpError, Settings};
use actix_sockets::{Connect, HttpClose, HttpRequest, SendError, SetIdleTimeout, SetRequestTimeout, test};
use http::header::{CONNECTION, HOST, HeaderValue, UPGRADE};
use http::{Method, Uri};

use crate::peer::{Talk, get, ok, post, settle};

#[test]
fn by_message_and_by_future_in_one_order() {
    test::run(async {
        let mut talk = Talk::plain().await;
        talk.requester.do_send(get("/0"));
        let one = talk.requester.send(get("/1"));
        talk.requester.do_send(get("/2"));
        talk.hears("/2 HTTP/1.1\r\nhost: nowhere\r\n\r\n").await;
        talk.says(ok("0") + &ok("1") + &ok("2")).await;
        assert_eq!(one.await.unwrap().content, "1");
        assert_eq!(talk.heard().await, ["200 0", "200 2"]);
    });
}

/// RFC 9110 §7.2: a request that names nobody is for whom the connection was made to.
#[test]
fn the_host_is_the_connections() {
    let own = || get("/").with_header(HOST, HeaderValue::from_static("own"));
    let target = |url| Target::parse(url).unwrap();
    test::run(async move {
        for (host, port, said) in [
            ("a.example", 80, "a.example"),
            ("a.example", 443, "a.example:443"),
            ("127.0.0.1", 8080, "127.0.0.1:8080"),
            ("::1", 80, "[::1]"),
            ("fe80::1%eth0", 81, "[fe80::1]:81"),
            // What is no host is not said.
            ("a b", 80, ""),
        ] {
            let mut talk = Talk::with(Settings::new(), false, |_, ear| Connect::new(ear, host, port)).await;
            for (request, said) in [(get("/"), said), (get("http://b.example:81/"), "b.example:81"), (own(), "own")] {
                talk.requester.do_send(request);
                let head = talk.hears("\r\n\r\n").await;
                assert!(head.contains(&format!("\r\nhost: {said}\r\n")), "{host}:{port}: {head}");
            }
        }
        for (url, said) in
            [("https://a.example/x", "a.example"), ("https://[::1]:80", "[::1]:80"), ("http://a.example:443", "a.example:443")]
        {
            let mut talk = Talk::with(Settings::new(), false, |_, ear| Connect::target(ear, &target(url))).await;
            talk.requester.do_send(get("/"));
            talk.hears(&format!("\r\nhost: {said}\r\n")).await;
        }
    });
}

/// The sender of a response is one requester of many: dropping it does not end what others ask.
#[test]
fn a_response_that_is_dropped_does_not_end_the_connection() {
    test::run(async {
        let mut talk = Talk::plain().await;
        for n in ["0", "1"] {
            talk.requester.do_send(get("/"));
            talk.hears("\r\n\r\n").await;
            talk.says(ok(n)).await;
            assert_eq!(talk.heard().await, [format!("200 {n}")]);
            test::pass(Duration::from_secs(10)).await;
        }
        // The last one does, behind the last response.
        let last = talk.requester.send(get("/last"));
        let (other, mut talk) = (talk.requester.clone(), talk);
        talk.requester = other;
        talk.hears("\r\n\r\n").await;
        talk.says(ok("last")).await;
        assert_eq!(last.await.unwrap().content, "last");
        talk.hears_nothing().await;
        let Talk { requester, .. } = &talk;
        let id = requester.id();
        assert_eq!(talk.requester.id(), id);
    });
}

#[test]
fn the_last_requester_ends_it_when_all_is_answered() {
    test::run(async {
        let mut talk = Talk::plain().await;
        let other = talk.requester.clone();
        other.do_send(post("/0"));
        other.do_send(post("/1"));
        drop(other);
        let requester = std::mem::replace(&mut talk.requester, Talk::plain().await.requester);
        drop(requester);
        talk.hears("POST /0 HTTP/1.1\r\nhost: nowhere\r\ncontent-length: 0\r\n\r\n").await;
        talk.says(ok("0")).await;
        talk.hears("POST /1 HTTP/1.1\r\nhost: nowhere\r\ncontent-length: 0\r\n\r\n").await;
        talk.says(ok("1")).await;
        assert_eq!(talk.hears_the_rest().await, "");
        assert_eq!(talk.heard().await, ["200 0", "200 1"]);
    });
}

/// RFC 9110 §9.2.2: what may be sent again is told apart from what may have been done.
#[test]
fn each_hears_what_became_of_it() {
    test::run(async {
        let mut talk = Talk::plain().await;
        let sent = talk.requester.send(post("/0"));
        let not_sent = talk.requester.send(post("/1"));
        talk.requester.do_send(get("/2?x"));
        talk.hears("\r\n\r\n").await;
        talk.finishes();
        assert_eq!(sent.await.unwrap_err(), HttpError::Closed);
        assert_eq!(not_sent.await.unwrap_err(), HttpError::NotSent);
        assert_eq!(talk.heard().await, ["GET /2?x NotSent", "closed by the peer"]);
        assert_eq!(talk.requester.send(get("/3")).await.unwrap_err(), HttpError::NotSent);
        talk.requester.do_send(get("/4"));
        assert_eq!(talk.requester.write(get("/5")).await, Err(SendError::Closed));
        assert_eq!(talk.heard().await, ["GET /4 NotSent", "GET /5 NotSent"]);
    });
}

/// B9, B45: spray's `Timedout(request)`.
#[test]
fn a_request_that_times_out() {
    test::run(async {
        let mut talk = Talk::plain().await;
        talk.requester.connection().do_send(SetRequestTimeout(Duration::from_secs(3)));
        talk.requester.do_send(get("/slow"));
        talk.requester.do_send(get("/behind"));
        talk.hears("/behind").await;
        test::pass(Duration::from_secs(2)).await;
        assert_eq!(talk.heard().await.len(), 0);
        test::pass(Duration::from_secs(1)).await;
        assert_eq!(talk.heard().await, ["GET /slow ResponseTimeout", "GET /behind Closed"]);
        talk.hears_the_rest().await;
    });
}

#[test]
fn an_idle_connection_ends() {
    test::run(async {
        let mut talk = Talk::plain().await;
        test::pass(Duration::from_secs(59)).await;
        talk.hears_nothing().await;
        talk.requester.connection().do_send(SetIdleTimeout(Duration::from_secs(70)));
        test::pass(Duration::from_secs(10)).await;
        talk.hears_nothing().await;
        test::pass(Duration::from_secs(1)).await;
        assert_eq!(talk.hears_the_rest().await, "");
    });
}

/// What a handler asks for in one turn is bounded as well.
#[test]
fn too_many_at_once() {
    test::run(async {
        let settings = Settings::new().queue_limit(10);
        let mut talk = Talk::with(settings, false, |connect, ear| connect.responses_to(ear.clone()).failures_to(ear)).await;
        let answers: Vec<_> = (0..100).map(|_| talk.requester.send(post("/"))).collect();
        for _ in 0..3 {
            talk.requester.do_send(get("/more"));
        }
        assert_eq!(talk.heard().await, ["GET /more QueueFull"; 3]);
        for _ in 0..10 {
            talk.hears("content-length: 0\r\n\r\n").await;
            talk.says(ok("")).await;
        }
        let mut outcomes = (0, 0);
        for answer in answers {
            match answer.await {
                Ok(_) => outcomes.0 += 1,
                Err(error) => {
                    assert_eq!(error, HttpError::QueueFull);
                    outcomes.1 += 1;
                }
            }
        }
        assert_eq!(outcomes, (10, 90));
        talk.hears_nothing().await;
    });
}

/// B32: acked when written, which is not when it is asked for.
#[test]
fn a_request_that_is_acked() {
    test::run(async {
        let mut talk = Talk::plain().await;
        talk.requester.write(post("/0")).await.unwrap();
        let mut second = Box::pin(talk.requester.write(post("/1").with_content("1")));
        settle().await;
        assert!(actix::clock::timeout(Duration::from_millis(1), &mut second).await.is_err(), "it waits for its turn");
        talk.hears("content-length: 0\r\n\r\n").await;
        talk.says(ok("0")).await;
        second.await.unwrap();
        talk.hears("\r\n\r\n1").await;
        talk.says(ok("1")).await;
        assert_eq!(talk.heard().await, ["200 0", "200 1"]);
        // B33: or not at all.
        talk.requester.do_send(post("/2"));
        let lost = talk.requester.write(post("/3"));
        talk.hears("/2").await;
        talk.finishes();
        assert_eq!(lost.await, Err(SendError::Closed));
    });
}

/// A peer that says what nobody asked for, or no HTTP at all.
#[test]
fn a_peer_that_breaks_the_rules() {
    for (says, error) in [
        ("ICY 200 OK\r\n\r\n".to_owned(), HttpError::StatusLine),
        ("HTTP/1.1 100 Continue\r\n\r\n".repeat(17), HttpError::TooManyInterim),
        ("HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n".to_owned(), HttpError::ContentTooLarge),
        ("HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n".to_owned(), HttpError::UnexpectedSwitch),
    ] {
        test::run(async {
            let mut talk = Talk::plain().await;
            let answer = talk.requester.send(get("/"));
            talk.hears("\r\n\r\n").await;
            talk.says(says).await;
            assert_eq!(answer.await.unwrap_err(), error);
            assert_eq!(talk.hears_the_rest().await, "");
        });
    }
    test::run(async {
        let mut talk = Talk::plain().await;
        talk.says(ok("unasked")).await;
        assert_eq!(talk.hears_the_rest().await, "");
        assert_eq!(talk.requester.send(get("/")).await.unwrap_err(), HttpError::NotSent);
    });
}

/// Behind a 2xx to CONNECT, and behind a 101 to what is no handshake of ours, there is no HTTP any more: whoever wants to know hears that it has ended.
#[test]
fn what_is_no_http_any_more_has_ended() {
    let tunnel = HttpRequest::new(Method::CONNECT, Uri::from_static("a:80"));
    let other = get("/").with_header(CONNECTION, "upgrade".parse().unwrap()).with_header(UPGRADE, "other".parse().unwrap());
    for (request, answer) in [(tunnel, ok("").replace("content-length: 0\r\n", "")), (other, SWITCHED.to_owned())] {
        test::run(async {
            let mut talk = Talk::plain().await;
            talk.requester.do_send(request);
            talk.hears("\r\n\r\n").await;
            talk.says(&answer).await;
            let heard = talk.heard().await;
            assert_eq!((heard.len(), heard.last().map(String::as_str)), (2, Some("closed")), "{heard:?}");
        });
    }
}

const SWITCHED: &str = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: other\r\n\r\n";

/// B35, B36: who asks hears what becomes of the request, and whoever wants to know how the connection has ended.
#[test]
fn the_ends_that_a_connection_may_have() {
    test::run(async {
        // Close: what is asked is written, then FIN; what waits for its turn is not.
        let mut talk = Talk::plain().await;
        talk.requester.do_send(post("/0"));
        talk.requester.do_send(get("/1"));
        talk.requester.connection().do_send(HttpClose::Close);
        assert!(talk.hears_the_rest().await.starts_with("POST /0 HTTP/1.1\r\n"));
        talk.finishes();
        assert_eq!(talk.heard().await, ["POST /0 Closed", "GET /1 NotSent", "closed"]);
        assert!(!talk.requester.connection().connected());
        // A peer that does not end has two seconds.
        let mut talk = Talk::plain().await;
        talk.requester.connection().do_send(HttpClose::Close);
        talk.hears_the_rest().await;
        test::pass(Duration::from_secs(1)).await;
        assert_eq!(talk.heard().await.len(), 0);
        test::pass(Duration::from_secs(1)).await;
        assert_eq!(talk.heard().await, ["closed"]);
        // ConfirmedClose: it has an idle timeout.
        let mut talk = Talk::plain().await;
        talk.requester.connection().do_send(HttpClose::ConfirmedClose);
        talk.hears_the_rest().await;
        test::pass(Duration::from_secs(50)).await;
        talk.finishes();
        assert_eq!(talk.heard().await, ["closed, which the peer has confirmed"]);
        // Abort: what waits is lost.
        let talk = Talk::plain().await;
        talk.requester.do_send(post("/0"));
        talk.requester.connection().do_send(HttpClose::Abort);
        assert_eq!(talk.heard().await, ["POST /0 NotSent", "aborted"]);
        // The peer's.
        let mut talk = Talk::plain().await;
        talk.finishes();
        assert_eq!(talk.heard().await, ["closed by the peer"]);
        talk.requester.connection().do_send(HttpClose::Close);
        assert_eq!(talk.heard().await.len(), 0, "there is exactly one");
    });
}
