//! Who decides about a request before its handler sees it: in order, in time, and never to the harm of anybody else.

#![allow(clippy::result_large_err, reason = "a response is what a guard refuses with")]

use std::future::pending;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use actix_sockets::{Asking, Guard, HttpResponse, RateLimit, Received, Unbind, UpgradeServer, WebSockets, handshake};
use http::StatusCode;

use crate::peer::{HANDSHAKE, PATIENCE, text};
use crate::site::{Heard, Kind, Plan, Site, with, with_each_handler};

/// Who somebody has turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct User(String);

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")
}

fn refusal(status: StatusCode) -> HttpResponse {
    HttpResponse::new(status).with_text(format!("{status}"))
}

/// Lets in who names himself, after a while.
fn by_name() -> Guard {
    Guard::new(|asking: Asking| async move {
        actix::clock::sleep(Duration::from_millis(20)).await;
        match asking.request.header("x-user") {
            Some(name) => Ok(User(name.to_owned())),
            None => Err(refusal(StatusCode::UNAUTHORIZED)),
        }
    })
}

fn guarded(plan: Plan, guard: impl Into<Guard>) -> Plan {
    plan.settings(|settings| settings.guard(guard))
}

/// Answers with what is known of the request, and tells its path.
fn tells(plan: Plan) -> (Plan, Receiver<String>) {
    let (tell, told) = channel();
    let plan = plan.on_request(move |Received { message, sender }, _| {
        tell.send(message.path().to_owned()).unwrap();
        let user = message.extensions.get::<User>().map_or("nobody", |user| &*user.0).to_owned();
        sender.do_send(HttpResponse::ok(user));
    });
    (plan, told)
}

#[test]
fn a_guard_tells_the_frame_handler_who_it_is() {
    with_each_handler(|plan| {
        let site = guarded(plan, by_name()).up();
        let mut peer = site.connection();
        // A frame that comes with the handshake waits, too.
        let frame = peer.encoded(&[text("hello")]);
        peer.says_bytes([HANDSHAKE.replace("\r\n\r\n", "\r\nX-User: anna\r\n\r\n").as_bytes(), &frame].concat());
        peer.hears_101();
        peer.hears(text("hello"));
        let upgraded = site.until(|heard| match heard {
            Heard::Upgraded(upgraded, _) => Some(upgraded),
            _ => None,
        });
        assert_eq!(upgraded.request.extensions.get(), Some(&User("anna".to_owned())));
    });
}

#[test]
fn a_guard_refuses_and_the_connection_goes_on() {
    with(Kind::Fed, |plan| {
        let (plan, told) = tells(guarded(plan, by_name()));
        let site = plan.up();
        let mut peer = site.connection();
        peer.says_bytes(HANDSHAKE).hears_response(401, "401 Unauthorized");
        peer.says_bytes(get("/nobody")).hears_response(401, "401 Unauthorized");
        peer.says_bytes(get("/anna").replace("Host", "X-User: anna\r\nHost")).hears_response(200, "anna");
        assert_eq!(told.try_iter().collect::<Vec<_>>(), ["/anna"], "nothing of the others was told");
    });
}

#[test]
fn each_guard_knows_what_those_before_it_have_found() {
    with(Kind::Fed, |plan| {
        let (tell, asked) = channel();
        let second = Guard::check(move |asking| {
            let user = asking.request.extensions.get::<User>().cloned().unwrap();
            tell.send(user.clone()).unwrap();
            if user.0 == "anna" { Ok(User(format!("{} the second", user.0))) } else { Err(refusal(StatusCode::FORBIDDEN)) }
        });
        let (plan, _told) = tells(guarded(guarded(plan, by_name()), second));
        let site = plan.up();
        let mut peer = site.connection();
        peer.says_bytes(get("/").replace("Host", "X-User: anna\r\nHost")).hears_response(200, "anna the second");
        peer.says_bytes(get("/").replace("Host", "X-User: bert\r\nHost")).hears_response(403, "403 Forbidden");
        peer.says_bytes(get("/")).hears_response(401, "401 Unauthorized");
        assert_eq!(asked.try_iter().map(|user| user.0).collect::<Vec<_>>(), ["anna", "bert"]);
    });
}

/// A guard that lets through what it is told to, and tells when it begins and when it is dropped.
struct Brooding {
    guard: Guard,
    begun: Receiver<String>,
    dropped: Receiver<()>,
    release: tokio::sync::watch::Sender<bool>,
}

struct Tells(Sender<()>);

impl Drop for Tells {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

fn brooding() -> Brooding {
    let ((begin, begun), (drops, dropped)) = (channel(), channel());
    let (release, released) = tokio::sync::watch::channel(false);
    let guard = Guard::new(move |asking| {
        begin.send(asking.request.path().to_owned()).unwrap();
        let (tells, mut released) = (Tells(drops.clone()), released.clone());
        async move {
            let _tells = tells;
            released.wait_for(|released| *released).await.map_err(|_| refusal(StatusCode::GONE))?;
            Ok(())
        }
    });
    Brooding { guard, begun, dropped, release }
}

impl Brooding {
    fn begins(&self) -> String {
        self.begun.recv_timeout(PATIENCE).expect("the guard is asked")
    }

    fn is_dropped(&self) {
        self.dropped.recv_timeout(PATIENCE).expect("what the guard had begun is dropped");
    }
}

#[test]
fn nothing_is_told_before_the_verdict_and_the_order_of_requests_holds() {
    with(Kind::Fed, |plan| {
        let brooding = brooding();
        let http = actix_sockets::http::Settings::new().pipelining_limit(8);
        let (plan, told) = tells(guarded(plan, brooding.guard.clone()).settings(|settings| settings.http(http)));
        let site = plan.up();
        let mut peer = site.connection();
        peer.says_bytes(["/1", "/2", "/3", "/4"].map(get).concat());
        assert_eq!(brooding.begins(), "/1");
        peer.hears_nothing_for(Duration::from_millis(50));
        assert!(told.try_recv().is_err() && brooding.begun.try_recv().is_err());
        brooding.release.send(true).unwrap();
        for _ in 0..4 {
            peer.hears_response(200, "nobody");
        }
        assert_eq!(told.try_iter().collect::<Vec<_>>(), ["/1", "/2", "/3", "/4"]);
    });
}

/// A reset, a FIN where a websocket was asked for, and the end of the listener.
#[test]
fn whatever_ends_the_connection_ends_the_guard() {
    with(Kind::Fed, |plan| {
        let brooding = brooding();
        let (plan, told) = tells(guarded(plan, brooding.guard.clone()));
        let site = plan.up();
        for request in [HANDSHAKE, &get("/1")] {
            let mut peer = site.connection();
            peer.says_bytes(request);
            brooding.begins();
            peer.resets();
            brooding.is_dropped();
        }
        let mut peer = site.connection();
        peer.says_bytes(HANDSHAKE);
        brooding.begins();
        peer.finishes();
        brooding.is_dropped();
        peer.hears_response(503, "503 Service Unavailable\n");
        peer.hears_the_end();
        let mut peer = site.connection();
        peer.says_bytes(get("/2"));
        brooding.begins();
        let unbound = Site::wait(site.listener.clone().unwrap().send(Unbind::within(PATIENCE / 2))).unwrap();
        brooding.is_dropped();
        peer.hears_response(503, "503 Service Unavailable\n");
        peer.hears_the_end();
        assert_eq!(unbound.cut_off(), 0, "{unbound:?}");
        assert!(told.try_recv().is_err());
    });
}

/// Who has said all that he has to say can still be answered.
#[test]
fn a_fin_behind_a_plain_request_does_not_end_the_guard() {
    with(Kind::Fed, |plan| {
        let brooding = brooding();
        let (plan, _told) = tells(guarded(plan, brooding.guard.clone()));
        let site = plan.up();
        let mut peer = site.connection();
        peer.says_bytes(get("/1"));
        brooding.begins();
        peer.finishes();
        peer.hears_nothing_for(Duration::from_millis(50));
        brooding.release.send(true).unwrap();
        peer.hears_response(200, "nobody");
    });
}

#[test]
fn a_guard_that_does_not_decide_is_a_503() {
    with(Kind::Fed, |plan| {
        let never = || Guard::new(|_| pending::<Result<(), HttpResponse>>());
        let (short, long) = (Duration::from_millis(150), Duration::from_secs(3600));
        let http = |timeout| actix_sockets::http::Settings::new().request_timeout(timeout).idle_timeout(2 * long);
        // Its own deadline, and that of the request.
        for (guard, timeout) in [(never().within(short), long), (never(), short)] {
            let site = guarded(plan.clone(), guard).settings(|settings| settings.http(http(timeout))).up();
            let mut peer = site.connection();
            peer.says_bytes(HANDSHAKE).hears_response(503, "503 Service Unavailable\n");
            peer.says_bytes(get("/")).hears_response(503, "503 Service Unavailable\n");
        }
        // The connection's own answer, where there is no time for another.
        let at_once = http(short).timeout_timeout(Duration::ZERO);
        let site = guarded(plan, never()).settings(|settings| settings.http(at_once)).up();
        let mut peer = site.connection();
        peer.says_bytes(HANDSHAKE).hears_response(500, "Please try again in a short while!");
    });
}

#[test]
fn a_guard_that_panics_is_a_500_and_hurts_nobody() {
    with(Kind::Fed, |plan| {
        let at_once = Guard::check(|asking| {
            assert_ne!(asking.request.path(), "/at-once");
            Ok(())
        });
        let later = Guard::new(|asking| async move {
            actix::clock::sleep(Duration::from_millis(5)).await;
            assert_ne!(asking.request.path(), "/later");
            Ok(())
        });
        let (plan, told) = tells(guarded(guarded(plan, at_once), later));
        let site = plan.up();
        let (mut peer, mut neighbour) = (site.connection(), site.peer());
        for path in ["/at-once", "/later"] {
            peer.says_bytes(get(path)).hears_response(500, "500 Internal Server Error\n");
        }
        peer.says_bytes(get("/well")).hears_response(200, "nobody");
        neighbour.says(text("hello")).hears(text("hello"));
        assert_eq!(told.try_iter().collect::<Vec<_>>(), ["/well"]);
    });
}

#[test]
fn a_rate_for_each_address_is_429_with_retry_after() {
    with(Kind::Fed, |plan| {
        let (plan, told) = tells(guarded(plan, RateLimit::per_address(3, Duration::from_secs(3000))));
        let site = plan.up();
        let (mut one, mut other) = (site.connection(), site.connection());
        one.says_bytes(get("/1")).hears_response(200, "nobody");
        other.says_bytes(get("/2")).hears_response(200, "nobody");
        one.says_bytes(HANDSHAKE).hears_101();
        for request in [HANDSHAKE, &get("/4")] {
            let head = other.says_bytes(request).hears_head();
            assert!(head.starts_with("HTTP/1.1 429 Too Many Requests\r\n"), "{head}");
            let wait = head.split("retry-after: ").nth(1).and_then(|rest| rest.split("\r\n").next()).unwrap();
            assert!((900..=1000).contains(&wait.parse::<u32>().unwrap()), "{head}");
            other.hears_up_to("429 Too Many Requests\n");
        }
        assert_eq!(told.try_iter().count(), 2);
    });
}

#[test]
fn websockets_for_whom_they_are_allowed() {
    with(Kind::Fed, |plan| {
        let (tell, told) = channel();
        let websockets = WebSockets::handled_by(|| crate::site::Parrot)
            .at("/chat")
            .allow(|asking| async move {
                actix::clock::sleep(Duration::from_millis(5)).await;
                match asking.request.header("x-user") {
                    Some(name) => Ok(User(name.to_owned())),
                    None => Err(refusal(StatusCode::UNAUTHORIZED)),
                }
            })
            .guard(Guard::check(move |asking| {
                tell.send(asking.request.extensions.get::<User>().cloned()).unwrap();
                Ok(())
            }))
            .upgrading(actix_sockets::UpgradeServer::hears::<actix_sockets::Upgraded>);
        let site = plan.serves(websockets);
        let mut peer = site.connection();
        peer.says_bytes(get("/elsewhere")).hears_response(404, "404 Not Found\n");
        peer.says_bytes(HANDSHAKE).hears_response(401, "401 Unauthorized");
        assert!(told.try_recv().is_err(), "the second guard is not asked about who is refused");
        peer.says_bytes(HANDSHAKE.replace("\r\n\r\n", "\r\nX-User: anna\r\n\r\n")).hears_101();
        peer.hears(text("Some(User(\"anna\"))"));
        peer.says(text("hello")).hears(text("hello"));
        assert_eq!(told.try_recv(), Ok(Some(User("anna".to_owned()))));
    });
}

#[test]
fn the_guard_of_websockets_ends_with_the_connection() {
    with(Kind::Fed, |plan| {
        let brooding = brooding();
        let site = plan.serves(WebSockets::handled_by(|| crate::site::Parrot).guard(brooding.guard.clone()));
        let mut peer = site.connection();
        peer.says_bytes(HANDSHAKE);
        brooding.begins();
        peer.resets();
        brooding.is_dropped();
        let mut peer = site.connection();
        peer.says_bytes(HANDSHAKE);
        brooding.begins();
        let unbound = Site::wait(site.listener.clone().unwrap().send(Unbind::within(PATIENCE / 2))).unwrap();
        brooding.is_dropped();
        peer.hears_response(503, "503 Service Unavailable\n");
        assert_eq!(unbound.cut_off(), 0, "{unbound:?}");
    });
}

/// What a handler answers with a future is the connection's to wait for.
#[test]
fn an_answer_that_is_made_later() {
    with(Kind::Fed, |plan| {
        let (drops, dropped) = channel();
        let site = plan
            .on_request(move |Received { message, sender }, ctx| match message.path() {
                "/later" => sender.answer_with(async {
                    actix::clock::sleep(Duration::from_millis(20)).await;
                    HttpResponse::ok("later")
                }),
                "/upgrade" => {
                    let upgrade = UpgradeServer::new(handshake::accept(&message).unwrap(), ctx);
                    sender.answer_with(async move {
                        actix::clock::sleep(Duration::from_millis(20)).await;
                        upgrade
                    });
                }
                "/panic" => sender.answer_with(async {
                    actix::clock::sleep(Duration::from_millis(20)).await;
                    assert_eq!(1, 2, "as it was told");
                    HttpResponse::ok("never")
                }),
                _ => {
                    let tells = Tells(drops.clone());
                    sender.answer_with(async move {
                        let _tells = tells;
                        pending::<HttpResponse>().await
                    });
                }
            })
            .up();
        let mut peer = site.connection();
        peer.says_bytes(get("/later")).hears_response(200, "later");
        peer.says_bytes(get("/panic")).hears_response(500, "500 Internal Server Error\n");
        peer.says_bytes(HANDSHAKE.replace("/chat", "/upgrade")).hears_101();
        peer.says(text("hello")).hears(text("hello"));
        let mut peer = site.connection();
        peer.says_bytes(get("/never"));
        peer.hears_nothing_for(Duration::from_millis(50));
        assert!(dropped.try_recv().is_err());
        peer.resets();
        dropped.recv_timeout(PATIENCE).unwrap();
    });
}
