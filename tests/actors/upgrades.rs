//! Upgrade messages that come too late, from elsewhere, or for the wrong request (T16).

use std::time::Duration;

use actix::prelude::*;
use actix_sockets::handshake;
use actix_sockets::{HttpRequest, HttpResponse, Received, UpgradeServer};

use crate::peer::{HANDSHAKE, text};
use crate::site::{Heard, Kind, Plan, Probe, Site, with, with_each_handler};

fn at(path: &str) -> String {
    HANDSHAKE.replace("/chat", path)
}

const PLAIN: &str = "GET /plain HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// The server goes on as if nothing had been.
fn still_serves(site: &Site) {
    site.peer().says(text("hello")).hears(text("hello"));
}

#[test]
fn t16_an_upgrade_of_a_request_that_asked_for_none_is_a_500() {
    with(Kind::Fed, |plan| {
        let site = plan
            .on_request(|Received { sender, .. }, ctx| {
                let asked = handshake::request(&handshake::Target::parse("ws://localhost/").unwrap(), [1; 16]);
                let response = handshake::accept(&asked).unwrap();
                sender.do_send(UpgradeServer::new(response, ctx));
            })
            .up();
        let mut peer = site.connection();
        peer.says_bytes(PLAIN).hears_response(500, "");
        // And a response that accepts another request's key.
        let mut peer = site.connection();
        peer.says_bytes(at("/other")).hears_response(500, "");
        still_serves(&site);
    });
}

/// A server whose first request is slow: `/slow` is answered after a while, what comes behind it at once, by an upgrade with this response.
fn behind_a_slow_one(plan: Plan, response: fn(&HttpRequest) -> HttpResponse) -> Site {
    let http = actix_sockets::http::Settings::new().pipelining_limit(4).request_timeout(Duration::from_secs(60));
    plan.settings(|settings| settings.http(http))
        .on_request(move |Received { message, sender }, ctx| match message.path() {
            "/slow" => {
                ctx.run_later(Duration::from_millis(100), move |_, _| sender.do_send(HttpResponse::ok("slow")));
            }
            _ => sender.do_send(UpgradeServer::new(response(&message), ctx)),
        })
        .up()
}

#[test]
fn t16_every_one_of_several_bad_upgrades_is_answered_in_its_turn() {
    with(Kind::Fed, |plan| {
        let site = behind_a_slow_one(plan, |_| HttpResponse::ok("not a 101"));
        let mut peer = site.connection();
        peer.says_bytes(format!("{}{PLAIN}{PLAIN}{PLAIN}", PLAIN.replace("plain", "slow")));
        peer.hears_response(200, "slow");
        for _ in 0..3 {
            peer.hears_response(500, "500 Internal Server Error\n");
        }
    });
}

/// A right upgrade behind a request that is not answered waits: its 101 comes behind that answer.
#[test]
fn t16_an_upgrade_waits_for_its_turn() {
    with(Kind::Fed, |plan| {
        let site = behind_a_slow_one(plan, |request| handshake::accept(request).unwrap());
        let mut peer = site.connection();
        let hello = peer.encoded(&[text("hello")]);
        peer.says_bytes([PLAIN.replace("plain", "slow").as_bytes(), at("/chat").as_bytes(), &hello].concat());
        peer.hears_response(200, "slow");
        peer.hears_101();
        peer.hears(text("hello"));
    });
}

#[test]
fn t16_an_upgrade_after_the_connection_has_ended() {
    with(Kind::Fed, |plan| {
        let (asked, is_asked) = std::sync::mpsc::channel();
        let site = plan
            .on_request(move |Received { message, sender }, ctx| {
                asked.send(()).unwrap();
                ctx.run_later(Duration::from_millis(200), move |_, ctx| {
                    let response = handshake::accept(&message).unwrap();
                    sender.do_send(UpgradeServer::new(response, ctx));
                });
            })
            .up();
        let mut peer = site.connection();
        peer.says_bytes(at("/late"));
        is_asked.recv_timeout(crate::peer::PATIENCE).unwrap();
        peer.resets();
        // The actor that was made for the connection is let go all the same.
        site.until(|heard| matches!(heard, Heard::Stopped).then_some(()));
        still_serves(&site);
    });
}

#[test]
fn t16_an_upgrade_from_another_thread() {
    with(Kind::Fed, |plan| {
        let site = plan
            .on_request(|Received { message, sender }, ctx| {
                let addr = ctx.address();
                std::thread::spawn(move || {
                    let response = handshake::accept(&message).unwrap();
                    sender.do_send(UpgradeServer::<Probe>::new(response, addr));
                });
            })
            .up();
        let mut peer = site.connection();
        peer.says_bytes(at("/elsewhere")).hears_101();
        peer.says(text("hello")).hears(text("hello"));
    });
}

/// The actor is dead before the upgrade takes place: the peer is told.
#[test]
fn t16_an_upgrade_to_a_handler_that_is_dead() {
    with(Kind::Shared, |plan| {
        struct Dead;
        impl Actor for Dead {
            type Context = Context<Self>;
            fn started(&mut self, ctx: &mut Context<Self>) {
                ctx.stop();
            }
        }
        impl Handler<Received<actix_sockets::Frame>> for Dead {
            type Result = ();
            fn handle(&mut self, _: Received<actix_sockets::Frame>, _: &mut Context<Self>) {}
        }
        let site = plan
            .on_request(|Received { message, sender }, ctx| {
                let dead = Dead.start();
                ctx.run_later(Duration::from_millis(50), move |_, _| {
                    assert!(!dead.connected());
                    sender.do_send(UpgradeServer::new(handshake::accept(&message).unwrap(), dead));
                });
            })
            .up();
        let mut peer = site.connection();
        peer.says_bytes(at("/dead")).hears_101();
        peer.hears_close(1011);
        peer.hears_fin();
        still_serves(&site);
    });
}

/// A request for an upgrade may be answered otherwise, and HTTP goes on; then it may be upgraded after all.
#[test]
fn a5_a_handshake_that_is_rejected_leaves_http_alive() {
    with(Kind::Fed, |plan| {
        let site = plan.on_request(|received, _| received.sender.do_send(HttpResponse::ok("no websocket here"))).up();
        let mut peer = site.connection();
        peer.says_bytes(at("/no")).hears_response(200, "no websocket here");
        peer.says_bytes(PLAIN).hears_response(200, "no websocket here");
        peer.says_bytes(HANDSHAKE).hears_101();
        peer.says(text("hello")).hears(text("hello"));
    });
}

/// Upgraded tells who and what.
#[test]
fn a9_upgraded_tells_the_request_and_the_peer() {
    with_each_handler(|plan| {
        let site = plan.up();
        let peer = site.peer();
        let upgraded = site.until(|heard| match heard {
            Heard::Upgraded(upgraded, _) => Some(upgraded),
            _ => None,
        });
        assert_eq!(upgraded.request.path(), "/chat");
        assert_eq!(upgraded.request.header("host"), Some("localhost"));
        assert_eq!(upgraded.remote, peer.tcp().local_addr().unwrap());
        assert_eq!((upgraded.protocol, upgraded.extensions), (None, vec![]));
    });
}
