//! Requests that are not answered in time, and how long a connection may take for what.

use std::time::Duration;

use actix::prelude::*;
use actix_sockets::{
    HttpRequest, HttpResponse, Received, Register, Responder, SetIdleTimeout, SetRequestTimeout, SetTimeoutTimeout, TimedOut, test,
};
use tokio::time::Instant;

use crate::peer::{Talk, heard, log};

/// Answers nothing before it is told that it should have. What it does then is in the path.
#[derive(Default)]
struct Late {
    first: Option<Responder>,
}

impl Actor for Late {
    type Context = Context<Self>;
}

impl Handler<Received<HttpRequest>> for Late {
    type Result = ();
    fn handle(&mut self, Received { message, sender }: Received<HttpRequest>, _: &mut Self::Context) {
        match message.path() {
            "/shorter" => {
                let connection = sender.connection();
                connection.do_send(SetRequestTimeout(Duration::from_secs(2)));
                connection.do_send(SetTimeoutTimeout(Duration::from_secs(1)));
            }
            "/longer" => sender.connection().do_send(SetRequestTimeout(Duration::from_secs(100))),
            "/brief" => {
                sender.connection().do_send(SetRequestTimeout(Duration::from_secs(1)));
                sender.connection().do_send(SetIdleTimeout(Duration::from_secs(3)));
                return sender.do_send(HttpResponse::ok("brief"));
            }
            "/patient" => {
                sender.connection().do_send(SetRequestTimeout(Duration::from_secs(100)));
                return sender.do_send(HttpResponse::ok("patient"));
            }
            _ => {}
        }
        self.first = Some(sender);
    }
}

impl Handler<Received<TimedOut>> for Late {
    type Result = ();
    fn handle(&mut self, Received { message, sender: second }: Received<TimedOut>, _: &mut Self::Context) {
        let path = message.request.path();
        log(format!("timed out {path}"));
        let first = self.first.take().expect("a request");
        assert_eq!(first.request(), second.request());
        match path {
            "/first" => {
                first.do_send(HttpResponse::ok("the first"));
                second.do_send(HttpResponse::ok("the second"));
            }
            "/second" => {
                second.do_send(HttpResponse::ok("the second"));
                first.do_send(HttpResponse::ok("the first"));
            }
            "/streams" => {
                let (stream, other) = (first.start(HttpResponse::ok("one")), second.start(HttpResponse::ok("other")));
                stream.do_send("two");
                other.do_send("other");
                drop(other);
                stream.finish();
            }
            "/second-streams" => {
                let (stream, other) = (second.start(HttpResponse::ok("one")), first.start(HttpResponse::ok("other")));
                other.do_send("other");
                drop(other);
                stream.do_send("two");
                stream.finish();
            }
            "/first-drops" => {
                let stream = second.start(HttpResponse::ok("one"));
                drop(first);
                stream.finish();
            }
            _ => self.first = Some(first),
        }
    }
}

async fn asked(path: &str) -> Talk {
    let mut peer = Talk::to(|| Register::factory(Late::default).hears::<TimedOut>());
    peer.says(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
    peer
}

const OOPS: &str = "Ooops! The server was not able to produce a timely response to your request.\r\nPlease try again in a short while!";

/// Whoever answers first is heard. The other is harmless, whatever it does.
#[test]
fn one_of_two_answers_is_heard() {
    test::run(async {
        let chunked = |text: &str| format!("3\r\none\r\n{text}0\r\n\r\n");
        for (path, answer) in [
            ("/first", "the first".to_owned()),
            ("/second", "the second".to_owned()),
            ("/streams", chunked("3\r\ntwo\r\n")),
            ("/second-streams", chunked("3\r\ntwo\r\n")),
            ("/first-drops", chunked("")),
        ] {
            let since = Instant::now();
            let mut peer = asked(path).await;
            test::pass(Duration::from_millis(19_990)).await;
            assert_eq!(heard(), [""; 0]);
            test::pass(Duration::from_millis(20)).await;
            let response = peer.hears(&answer).await;
            assert!(response.starts_with("HTTP/1.1 200 OK\r\n") && response.ends_with(&format!("\r\n\r\n{answer}")), "{response}");
            assert_eq!(heard(), [format!("timed out {path}")]);
            assert!(since.elapsed() < Duration::from_secs(21));
            // The connection goes on, and nothing else is said.
            peer.says("GET /first HTTP/1.1\r\nHost: a\r\n\r\n").await;
            test::pass(Duration::from_secs(21)).await;
            assert!(peer.hears("the first").await.starts_with("HTTP/1.1 200 OK\r\n"));
            heard();
        }
    });
}

#[test]
fn after_that_the_library_answers() {
    test::run(async {
        for (path, within) in [("/never", 22), ("/shorter", 3), ("/longer", 102)] {
            let since = Instant::now();
            let mut peer = asked(path).await;
            test::pass(Duration::from_secs(within - 1) + Duration::from_millis(100)).await;
            assert_eq!(heard(), [format!("timed out {path}")], "{:?}", since.elapsed());
            test::pass(Duration::from_millis(1010)).await;
            let response = peer.hears_the_rest().await;
            assert!(response.starts_with("HTTP/1.1 500 ") && response.ends_with(&format!("\r\n\r\n{OOPS}")), "{response}");
            assert!(response.contains("\r\nconnection: close\r\n"));
        }
    });
}

/// An actor of its own may hear of it, where the handler is busy.
#[test]
fn another_actor_answers() {
    struct Apology;
    impl Actor for Apology {
        type Context = Context<Self>;
    }
    impl Handler<Received<TimedOut>> for Apology {
        type Result = ();
        fn handle(&mut self, Received { message, sender }: Received<TimedOut>, _: &mut Self::Context) {
            let apology = format!("sorry for {}, {}", message.request.path(), sender.remote());
            sender.do_send(HttpResponse::ok(apology));
        }
    }
    test::run(async {
        let apology = Apology.start();
        let mut peer = Talk::to(move || Register::factory(Late::default).timeouts_to(apology.clone()));
        peer.says("GET /never HTTP/1.1\r\nHost: a\r\n\r\n").await;
        test::pass(Duration::from_secs(20)).await;
        assert!(peer.hears("sorry for /never, ").await.starts_with("HTTP/1.1 200 OK\r\n"));
        assert_eq!(heard(), [""; 0], "the handler does not hear of it");
    });
}

/// B8, B11: an idle timeout of its own; and never one that a request in hand could exceed.
#[test]
fn idle_timeouts_of_one_connection() {
    test::run(async {
        for (path, idle) in [("/brief", 3), ("/patient", 200)] {
            let mut peer = asked(path).await;
            peer.hears(path.trim_start_matches('/')).await;
            let since = Instant::now();
            while since.elapsed() < Duration::from_secs(idle - 1) {
                test::pass(Duration::from_secs(1)).await;
            }
            let before = Instant::now();
            assert_eq!(peer.hears_the_rest().await, "");
            let waited = before.elapsed();
            assert!(waited <= Duration::from_millis(1500), "{path}: {waited:?} more");
            assert!(since.elapsed() >= Duration::from_secs(idle), "{path}");
        }
    });
}
