//! `Unbind` and `Shutdown` (B2, T33).

use std::net::TcpStream;
use std::time::{Duration, Instant};

use actix::prelude::*;
use actix_sockets::stage::By;
use actix_sockets::websocket::CloseCode;
use actix_sockets::{HttpResponse, Shutdown, Sockets, Unbind, Unbound};

use crate::peer::{close, text};
use crate::site::{Kind, Site, with, with_each_echo, with_each_handler};

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
        assert_eq!(ended.join().unwrap(), Unbound { cut_off: 0 });
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
        assert_eq!(unbound.unwrap(), Unbound { cut_off: 2 });
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
                Sockets::from_registry().send(Shutdown { grace: Duration::from_secs(8) }).await.unwrap();
                ended.send(()).unwrap();
            });
        });
        for peer in &mut peers {
            peer.hears_close(1001);
            peer.says(close(1001, "")).hears_fin();
        }
        drop(peers);
        has_ended.recv_timeout(crate::peer::PATIENCE).unwrap();
        assert!(TcpStream::connect_timeout(&site.address(), Duration::from_millis(500)).is_err());
    });
}
