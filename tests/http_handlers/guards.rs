//! What guards stand before, whoever answers and whatever ends the connection.

use std::cell::RefCell;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actix::prelude::*;
use actix_sockets::http::Settings as HttpSettings;
use actix_sockets::test::{End, Link, Network};
use actix_sockets::{
    Chunk, ContentAborted, ContentEnd, Guard, HttpRequest, HttpResponse, Received, Register, RequestStart, Settings, TimedOut, test,
};
use http::StatusCode;

use crate::peer::{Talk, heard, log};

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")
}

/// Tells what it hears, and answers it.
struct Tells;

impl Actor for Tells {
    type Context = Context<Self>;
}

macro_rules! tells {
    ($($message:ty => $what:literal),*) => { $(
        impl Handler<Received<$message>> for Tells {
            type Result = ();
            fn handle(&mut self, _: Received<$message>, _: &mut Self::Context) {
                log($what);
            }
        }
    )* };
}

tells! { RequestStart => "start", Chunk => "chunk", ContentEnd => "end", ContentAborted => "aborted" }

impl Handler<Received<HttpRequest>> for Tells {
    type Result = ();
    fn handle(&mut self, Received { message, sender }: Received<HttpRequest>, _: &mut Self::Context) {
        log(message.path());
        if message.path() != "/never" {
            sender.do_send(HttpResponse::ok("said\n"));
        } else {
            NEVER.with(|never| never.borrow_mut().push(sender));
        }
    }
}

impl Handler<Received<TimedOut>> for Tells {
    type Result = ();
    fn handle(&mut self, Received { message, .. }: Received<TimedOut>, _: &mut Self::Context) {
        log(format!("timed out {}", message.request.path()));
    }
}

thread_local! {
    static NEVER: RefCell<Vec<actix_sockets::Responder>> = const { RefCell::new(Vec::new()) };
}

/// A request and the reset behind it are read in one turn.
#[test]
fn a_reset_behind_a_request_does_not_carry_it_past_a_guard() {
    test::run(async {
        for (guarded, expected) in [(true, vec![]), (false, vec!["/secret"])] {
            let link = Link::over(&Network::seeded(1));
            let refuse = Guard::check(|_| Err::<(), _>(HttpResponse::new(StatusCode::FORBIDDEN)));
            let settings = if guarded { Settings::new().guard(refuse) } else { Settings::new() };
            link.serve(settings, || Tells);
            let client = link.raw(End::Client);
            client.write(get("/secret").as_bytes()).await.unwrap();
            link.reset();
            test::pass(Duration::from_secs(1)).await;
            assert_eq!(link.connections(End::Server), 0);
            assert_eq!(heard(), expected, "guarded: {guarded}");
        }
    });
}

/// Of an upload that a guard still ponders about the handler knows nothing: nor does it hear of its end.
#[test]
fn content_of_a_request_that_is_not_in_is_not_told() {
    test::run(async {
        let settings = || Settings::new().guard(Guard::new(|_| pending::<Result<(), HttpResponse>>()));
        let mut peer = Talk::with(settings(), || Register::factory(|| Tells).hears::<RequestStart>());
        peer.says("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello").await;
        test::pass(Duration::from_secs(1)).await;
        drop(peer);
        test::pass(Duration::from_secs(1)).await;
        assert_eq!(heard(), [""; 0]);
    });
}

/// A rate limit would count each twice.
#[test]
fn a_guard_is_asked_once_whoever_answers() {
    test::run(async {
        for limit in [1, 2, 8] {
            let asked = Arc::new(AtomicUsize::new(0));
            let settings = || {
                let asked = asked.clone();
                let counts = Guard::check(move |_| {
                    asked.fetch_add(1, Ordering::SeqCst);
                    Ok(())
                });
                Settings::new().http(HttpSettings::new().pipelining_limit(limit)).guard(counts)
            };
            let said = |_: &HttpRequest| Some(HttpResponse::ok("said\n"));
            let function = Talk::with(settings(), || Register::answering(|_, responder| responder.do_send(HttpResponse::ok("said\n"))));
            let fast = Talk::with(settings(), move || Register::factory(|| Tells).fast_path(said));
            let actor = Talk::with(settings(), || Register::factory(|| Tells));
            for mut peer in [function, fast, actor] {
                peer.says(get("/").repeat(20)).await;
                for _ in 0..20 {
                    peer.hears("said\n").await;
                }
                assert_eq!(asked.swap(0, Ordering::SeqCst), 20, "{limit} at a time");
            }
            heard();
        }
    });
}

/// The handler hears that it is late, whatever a guard thinks of the next request.
#[test]
fn a_late_answer_is_told_while_a_guard_ponders() {
    test::run(async {
        let ponders =
            Guard::new(
                |asking| async move { if asking.request.path() == "/later" { pending().await } else { Ok::<(), HttpResponse>(()) } },
            );
        let http = HttpSettings::new().pipelining_limit(2).request_timeout(Duration::from_secs(20)).timeout_timeout(Duration::from_secs(2));
        let mut peer = Talk::with(Settings::new().http(http).guard(ponders), || Register::factory(|| Tells).hears::<TimedOut>());
        peer.says(get("/never")).await;
        test::pass(Duration::from_secs(1)).await;
        peer.says(get("/later")).await;
        test::pass(Duration::from_millis(19_500)).await;
        assert_eq!(heard(), ["/never", "timed out /never"]);
        drop(NEVER.with(|never| std::mem::take(&mut *never.borrow_mut())));
    });
}
