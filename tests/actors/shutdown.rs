//! `Unbind` and `Shutdown` (B2, T33).

#![allow(clippy::result_large_err, reason = "a response is what a guard refuses with")]

use std::net::TcpStream;
use std::time::{Duration, Instant};

use actix::prelude::*;
use actix_sockets::stage::By;
use actix_sockets::websocket::CloseCode;
use actix_sockets::{Ended, Guard, HttpResponse, Received, Shutdown, Sockets, Unbind};

use crate::peer::{PATIENCE, close, text};
use crate::site::{Kind, Site, with, with_each_echo, with_each_handler};

fn ended_so(closed: usize, lost: usize, cut_off: usize) -> Ended {
    let mut ended = Ended::default();
    (ended.closed, ended.lost, ended.cut_off) = (closed, lost, cut_off);
    ended
}

const SLOW: &str = "GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n";

#[test]
fn b2_unbind_tells_websockets_1001_and_lets_requests_finish() {
    with_each_echo(|plan| {
        let (asked, is_asked) = std::sync::mpsc::channel();
        let site = plan
            .on_request(move |received, ctx| {
                asked.send(()).unwrap();
                ctx.run_later(Duration::from_millis(200), |_, _| received.sender.do_send(HttpResponse::ok("slow")));
            })
            .up();
        let (mut peer, mut slow, mut idle) = (site.peer(), site.connection(), site.connection());
        peer.says(text("hello")).hears(text("hello"));
        slow.says_bytes(SLOW);
        is_asked.recv_timeout(crate::peer::PATIENCE).unwrap();
        let ended = site.listener.clone().unwrap().send(Unbind::within(Duration::from_secs(8)));
        let ended = std::thread::spawn(move || Site::wait(ended).unwrap());
        assert_eq!(peer.hears_close(1001), "the server is shutting down");
        peer.says(close(1001, "")).hears_fin();
        idle.hears_the_end();
        // Nobody else is let in.
        assert!(TcpStream::connect_timeout(&site.address(), Duration::from_millis(500)).is_err());
        slow.hears_response(200, "slow");
        slow.hears_fin();
        drop((peer, slow, idle));
        let unbound = ended.join().unwrap();
        assert_eq!(unbound.websockets, ended_so(1, 0, 0), "{unbound:?}");
        assert_eq!(unbound.http, ended_so(2, 0, 0), "{unbound:?}");
        assert!(unbound.cut.is_empty() && unbound.left == 0 && unbound.took > Duration::from_millis(100), "{unbound:?}");
    });
}

/// An upload that is under way is in hand: its guard is asked when it has come, though the listener has ended. One that does not know at once is not waited for.
#[test]
fn b2_an_upload_under_way_is_let_in() {
    with(Kind::Fed, |plan| {
        for (guard, status, answer) in [
            (Guard::check(|_| Ok(())), 200, "heard 10"),
            (Guard::new(|_| std::future::pending::<Result<(), HttpResponse>>()), 503, "503 Service Unavailable\n"),
        ] {
            let site = plan
                .clone()
                .settings(|settings| settings.guard(guard))
                .on_request(|Received { message, sender }, _| sender.do_send(HttpResponse::ok(format!("heard {}", message.content.len()))))
                .up();
            let (mut peer, mut idle) = (site.connection(), site.connection());
            peer.says_bytes("POST / HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 10\r\n\r\n");
            peer.hears_response(100, "");
            peer.says_bytes("01234");
            let ended = site.listener.clone().unwrap().send(Unbind::within(PATIENCE / 2));
            let ended = std::thread::spawn(move || Site::wait(ended).unwrap());
            idle.hears_the_end();
            peer.says_bytes("56789").hears_response(status, answer);
            peer.hears_the_end();
            drop((peer, idle));
            assert_eq!(ended.join().unwrap().http, ended_so(2, 0, 0));
        }
    });
}

#[test]
fn b2_after_the_grace_the_rest_is_cut_off() {
    with_each_handler(|plan| {
        let site = plan.websocket(|settings| settings.closing_timeout(Duration::from_secs(60))).up();
        let (mut one, mut other) = (site.peer(), site.peer());
        site.upgraded();
        let began = Instant::now();
        let unbound = Site::wait(site.listener.clone().unwrap().send(Unbind::within(Duration::from_millis(300))));
        let took = began.elapsed().as_millis();
        assert!((290..2000).contains(&took), "{took} ms");
        let unbound = unbound.unwrap();
        assert_eq!((unbound.cut_off(), unbound.websockets, unbound.cut.len()), (2, ended_so(0, 0, 2), 2), "{unbound:?}");
        for peer in [&mut one, &mut other] {
            peer.hears_close(1001);
            peer.hears_the_end();
        }
        let closed = site.closed();
        assert_eq!((closed.code, closed.by, closed.clean), (CloseCode::GOING_AWAY, By::Us, false));
    });
}

/// Through the service, with connections on several arbiters.
#[test]
fn t33_shutdown_ends_all_listeners() {
    with(Kind::Fed, |plan| {
        let site = plan.workers(2).up();
        let mut peers: Vec<_> = (0..50).map(|_| site.peer()).collect();
        let (ended, has_ended) = std::sync::mpsc::channel();
        site.within(move || {
            actix::spawn(async move {
                ended.send(Sockets::from_registry().send(Shutdown { grace: Duration::from_secs(8) }).await.unwrap()).unwrap();
            });
        });
        for peer in &mut peers {
            peer.hears_close(1001);
            peer.says(close(1001, "")).hears_fin();
        }
        drop(peers);
        let unbound = has_ended.recv_timeout(crate::peer::PATIENCE).unwrap();
        println!("t33: limit 8 s of grace, 50 websockets told in {:?}", unbound.took);
        assert_eq!((unbound.websockets, unbound.http), (ended_so(50, 0, 0), ended_so(0, 0, 0)), "{unbound:?}");
        assert!(TcpStream::connect_timeout(&site.address(), Duration::from_millis(500)).is_err());
    });
}

/// Who does not say that it goes is lost, not cut off: it is the closing handshake that was not answered in time.
#[test]
fn b2_a_peer_that_does_not_answer_is_lost() {
    with(Kind::Fed, |plan| {
        let site = plan.websocket(|settings| settings.closing_timeout(Duration::from_millis(200))).up();
        let (mut deaf, mut gone) = (site.peer(), site.peer());
        site.upgraded();
        site.upgraded();
        let ended = site.listener.clone().unwrap().send(Unbind::within(Duration::from_secs(8)));
        let ended = std::thread::spawn(move || Site::wait(ended).unwrap());
        deaf.hears_close(1001);
        gone.hears_close(1001);
        gone.resets();
        deaf.hears_the_end();
        let unbound = ended.join().unwrap();
        assert_eq!(unbound.websockets, ended_so(0, 2, 0), "{unbound:?}");
    });
}

/// Whoever says it, and whatever grace the second one gives.
#[test]
fn b2_unbind_said_again_cuts_off_at_once() {
    with_each_handler(|plan| {
        let site = plan.websocket(|settings| settings.closing_timeout(Duration::from_secs(60))).up();
        let mut peer = site.peer();
        site.upgraded();
        let listener = site.listener.clone().unwrap();
        let first = listener.send(Unbind::within(Duration::from_secs(3600)));
        let first = std::thread::spawn(move || Site::wait(first).unwrap());
        peer.hears_close(1001);
        let second = Site::wait(listener.send(Unbind::within(Duration::from_secs(3600)))).unwrap();
        peer.hears_the_end();
        assert_eq!(second.websockets, ended_so(0, 0, 1), "{second:?}");
        assert_eq!(first.join().unwrap().websockets, second.websockets);
    });
}

/// A few batches: nobody is told before the first, and the last hears of it later than that.
#[test]
fn t33_websockets_are_told_in_batches() {
    with(Kind::Fed, |plan| {
        let site = plan.settings(|settings| settings.drain_spread(Duration::from_secs(20))).up();
        let mut peers: Vec<_> = (0..30).map(|_| site.peer()).collect();
        let began = Instant::now();
        let ended = site.listener.clone().unwrap().send(Unbind::within(Duration::from_secs(60)));
        let ended = std::thread::spawn(move || Site::wait(ended).unwrap());
        let told: Vec<_> = std::thread::scope(|scope| {
            let told: Vec<_> = peers
                .iter_mut()
                .map(|peer| {
                    scope.spawn(move || {
                        peer.hears_close(1001);
                        let told = began.elapsed();
                        peer.says(close(1001, "")).hears_fin();
                        told
                    })
                })
                .collect();
            told.into_iter().map(|told| told.join().unwrap()).collect()
        });
        let unbound = ended.join().unwrap();
        let later = told.iter().filter(|told| **told >= Duration::from_millis(200)).count();
        println!("t33: {} told at once, {later} later; {unbound:?}", told.len() - later);
        // Three batches of ten: at once, in the second fifth of a second, in the third.
        assert!(later >= 20, "{told:?}");
        assert_eq!(unbound.websockets, ended_so(30, 0, 0), "{unbound:?}");
    });
}
