//! Handlers and stages that die (D11, T32): the peer is told, the neighbours live on.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use actix::prelude::*;
use actix_sockets::stage::{Command, Event, Flow, Stage};
use actix_sockets::websocket::CloseCode;
use actix_sockets::{Bind, Close, Ended, Frame, HttpResponse, Received, Unbind, UpgradeServer, WebSockets, handshake};

use crate::peer::{HANDSHAKE, PATIENCE, close, text};
use crate::site::{Heard, Kind, Parrot, Plan, Probe, Site, with, with_each_echo, with_each_handler, with_each_handler_at_once};

/// Until when a peer must have heard of the death of a handler that only has an address.
const LOOKED_AFTER: Duration = Duration::from_millis(6500);
/// Earlier than anybody is looked after.
const AT_ONCE: Duration = Duration::from_millis(4500);

/// A handler that does as it is told.
fn mortal(plan: Plan) -> Plan {
    plan.on_frame(|received, ctx| match received.message.as_text() {
        Some("stop") => ctx.stop(),
        Some("terminate") => ctx.terminate(),
        Some("panic") => panic!("as it was told"),
        Some("later") => {
            ctx.run_later(Duration::from_millis(50), |_, ctx| ctx.stop());
        }
        _ => received.sender.do_send(received.message.clone()),
    })
}

fn d11(word: &str, within: impl Fn(Kind) -> Duration + Sync) {
    with_each_handler_at_once(|plan| {
        let kind = plan.kind;
        let site = mortal(plan).up();
        let mut neighbour = site.peer();
        neighbour.says(text("hello")).hears(text("hello"));
        let mut peer = site.peer();
        let said = Instant::now();
        peer.says(text(word)).hears_close(1011);
        let took = said.elapsed();
        assert!(took < within(kind), "{took:?}");
        peer.hears_fin();
        // Who has a handler of its own does not notice.
        if !kind.is_by_mail() {
            neighbour.says(text("alive")).hears(text("alive"));
            site.peer().says(text("alive")).hears(text("alive"));
        }
    });
}

fn by_mail_later(kind: Kind) -> Duration {
    if kind.is_by_mail() { LOOKED_AFTER } else { AT_ONCE }
}

#[test]
fn d11_a_handler_that_stops() {
    d11("stop", by_mail_later);
}

#[test]
fn d11_a_handler_that_terminates() {
    d11("terminate", by_mail_later);
}

/// The socket is idle when it happens.
#[test]
fn d11_a_handler_that_stops_while_its_socket_is_idle() {
    d11("later", by_mail_later);
}

/// The credit that is dropped while the handler panics tells at once, also if only its address is known.
#[test]
fn d11_a_handler_that_panics() {
    d11("panic", |_| AT_ONCE);
}

/// Where it fails.
#[derive(Clone, Copy, Debug)]
enum Fails {
    Started,
    Event,
    Command,
    Timeout,
}

/// A stage that does.
#[derive(Debug)]
struct Fragile(Fails, Option<Instant>);

impl Stage for Fragile {
    fn started(&mut self, _: &mut Flow<'_>) {
        if let Fails::Started = self.0 {
            panic!("in started");
        }
    }

    fn event(&mut self, event: Event, flow: &mut Flow<'_>) {
        if let (Fails::Event, Event::Frame(_)) = (self.0, &event) {
            panic!("in event");
        }
        if let Fails::Timeout = self.0 {
            self.1 = Some(flow.now());
        }
        flow.up(event);
    }

    fn command(&mut self, command: Command, flow: &mut Flow<'_>) {
        if let (Fails::Command, Command::Frame(_)) = (self.0, &command) {
            panic!("in command");
        }
        flow.down(command);
    }

    fn deadline(&self) -> Option<Instant> {
        self.1
    }

    fn timeout(&mut self, _: &mut Flow<'_>) {
        panic!("in timeout");
    }
}

#[test]
fn t32_a_stage_that_panics_is_1011() {
    with_each_echo(|plan| {
        for fails in [Fails::Event, Fails::Command, Fails::Timeout] {
            eprintln!("   {fails:?}");
            let site = plan.clone().stage(move || Fragile(fails, None)).up();
            let mut peer = site.peer();
            peer.says(text("fall"));
            loop {
                let frame = peer.next();
                // In timeout, the echo is made already.
                if frame != text("fall") {
                    assert_eq!(frame.payload[..2], 1011u16.to_be_bytes(), "{frame:?}");
                    break;
                }
            }
            peer.hears_fin();
            drop(peer);
            assert_eq!(site.closed().code, CloseCode::INTERNAL_ERROR);
            site.hears_no_more_for(Duration::from_millis(30));
        }
    });
}

/// The arbiter of the connection stops: the peer sees the end, and those elsewhere are told.
#[test]
fn t32_an_arbiter_that_stops() {
    for kind in [Kind::Fed, Kind::Made, Kind::Elsewhere] {
        with(kind, |plan| {
            let site = plan.workers(2).observed().on_frame(|_, _| _ = Arbiter::current().stop()).up();
            let mut peer = site.peer();
            site.upgraded();
            peer.says(text("stop"));
            peer.hears_the_end();
            let closed = site.closed();
            assert!(!closed.clean, "{closed:?}");
            site.hears_no_more_for(Duration::from_millis(30));
        });
    }
}

/// The arbiter of a stage that is hosted elsewhere stops: nobody is above the websocket any more.
#[test]
fn t32_the_arbiter_of_a_hosted_stage_that_stops() {
    #[derive(Debug)]
    struct Stopper;
    impl Stage for Stopper {
        fn event(&mut self, event: Event, flow: &mut Flow<'_>) {
            if let Event::Frame(_) = event {
                Arbiter::current().stop();
            }
            flow.up(event);
        }
    }
    with(Kind::Elsewhere, |plan| {
        let site = plan.stage(|| Stopper).up();
        let mut peer = site.peer();
        peer.says(text("stop"));
        loop {
            let frame = peer.next();
            if frame != text("stop") {
                assert_eq!(frame.payload[..2], 1011u16.to_be_bytes(), "{frame:?}");
                break;
            }
        }
        peer.hears_fin();
    });
}

#[test]
fn t32_the_system_stops() {
    with_each_handler(|plan| {
        let kind = plan.kind;
        let site = plan.up();
        let mut peer = site.peer();
        site.upgraded();
        site.system.stop();
        let end = peer.next();
        let code = u16::from_be_bytes([end.payload[0], end.payload[1]]);
        // The arbiters of a system stop in any order: where a stage lives on another one, its death may come first.
        let codes: &[u16] = if kind == Kind::Elsewhere { &[1001, 1011] } else { &[1001] };
        assert!(codes.contains(&code), "{end:?}");
        peer.hears_the_end();
    });
}

/// A handler that outlives its connection is not stopped by it; one that was made for it is.
#[test]
fn a_handler_that_was_made_for_a_connection_ends_with_it() {
    for kind in [Kind::Fed, Kind::Made, Kind::Hosted] {
        with(kind, |plan| {
            let site = plan.up();
            let mut peer = site.peer();
            peer.says(text("hello")).hears(text("hello")).says(close(1000, "")).hears(close(1000, ""));
            let mut closed = false;
            let mut stopped = 0;
            while !closed || stopped < if kind == Kind::Made { 2 } else { 1 } {
                match site.next() {
                    Heard::Closed(_) => closed = true,
                    Heard::Stopped => stopped += 1,
                    _ => {}
                }
            }
        });
    }
    with(Kind::Shared, |plan| {
        let site = plan.on_upgraded(|upgraded, _| upgraded.sender.do_send(Frame::text("again"))).up();
        for _ in 0..3 {
            let mut peer = site.peer();
            peer.hears(text("again")).says(close(1000, "")).hears(close(1000, ""));
            site.closed();
        }
    });
}

/// As soon as the websocket is open.
#[test]
fn t32_a_stage_that_panics_when_it_is_started_is_1011() {
    with_each_echo(|plan| {
        let site = plan.stage(|| Fragile(Fails::Started, None)).up();
        let mut peer = site.peer();
        peer.hears_close(1011);
        peer.hears_fin();
        drop(peer);
        assert_eq!(site.closed().code, CloseCode::INTERNAL_ERROR);
    });
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")
}

/// Every request that it has in hand is a 500, and the connection closes; who has a handler of his own does not notice.
#[test]
fn t32_an_http_handler_that_dies_with_requests_in_hand() {
    for kind in [Kind::Fed, Kind::Shared] {
        for (word, requests) in [("/panic", 2), ("/stop", 2), ("/terminate", 2)] {
            with(kind, |plan| {
                let http = actix_sockets::http::Settings::new().pipelining_limit(4);
                let site = plan
                    .settings(|settings| settings.http(http))
                    .on_request(|Received { message, sender }, ctx| match message.path() {
                        "/panic" => panic!("as it was told"),
                        "/stop" => {
                            ctx.stop();
                            drop(sender);
                        }
                        "/terminate" => {
                            ctx.terminate();
                            drop(sender);
                        }
                        // Kept for as long as the actor lives.
                        "/keep" => _ = ctx.run_later(Duration::from_secs(3600), |_, _| drop(sender)),
                        _ => sender.do_send(HttpResponse::ok("well")),
                    })
                    .up();
                let (mut peer, mut neighbour) = (site.connection(), site.connection());
                neighbour.says_bytes(get("/well")).hears_response(200, "well");
                peer.says_bytes([get("/keep"), get(word)].concat());
                for _ in 0..requests {
                    peer.hears_response(500, "500 Internal Server Error\n");
                }
                if kind == Kind::Fed {
                    peer.hears_fin();
                    neighbour.says_bytes(get("/well")).hears_response(200, "well");
                }
            });
        }
    }
}

/// A frame handler whose constructor fails: the connection ends, and nothing else does.
#[test]
fn t32_a_frame_handler_that_cannot_be_made() {
    with(Kind::Fed, |plan| {
        let site = plan
            .on_request(|Received { message, sender }, _| {
                let response = handshake::accept(&message).unwrap();
                sender.do_send(UpgradeServer::<Probe>::factory(response, || panic!("as it was told")));
            })
            .up();
        let mut neighbour = site.peer();
        for _ in 0..3 {
            let mut peer = site.connection();
            peer.says_bytes(HANDSHAKE.replace("/chat", "/fails"));
            peer.hears_the_end();
        }
        neighbour.says(text("hello")).hears(text("hello"));
        site.peer().says(text("hello")).hears(text("hello"));
    });
}

/// An HTTP handler whose constructor fails, on the listener's own arbiter: the next connection is accepted all the same.
#[test]
fn t32_an_http_handler_that_cannot_be_made() {
    for workers in [1, 2] {
        with(Kind::Fed, |plan| {
            let made = AtomicUsize::new(0);
            let make = move || {
                assert!(made.fetch_add(1, Ordering::SeqCst) >= 3, "as it was told");
                WebSockets::handled_by(|| Parrot)
            };
            let site = plan.binds(move || Bind::factory(make, "127.0.0.1:0").workers(workers));
            for _ in 0..3 {
                site.connection().hears_the_end();
            }
            site.peer().says(text("hello")).hears(text("hello"));
            // Nor does the listener wait for those that were never handled.
            let unbound = Site::wait(site.listener.clone().unwrap().send(Unbind::within(PATIENCE / 2))).unwrap();
            assert_eq!((unbound.http, unbound.left), (Ended::default(), 0), "{unbound:?}");
        });
    }
}

/// What ends a websocket, from our side.
const OURS: [&str; 6] = ["echo", "stop", "terminate", "panic", "close", "fail"];
/// And from the other, behind that.
const THEIRS: [&str; 5] = ["close", "fin", "reset", "garbage", "nothing"];

/// Whatever meets whatever, there is exactly one `Closed` for each websocket, for whoever outlives it.
#[test]
fn t32_exactly_one_closed_in_all_races() {
    for kind in [Kind::Fed, Kind::Made, Kind::Hosted, Kind::Elsewhere] {
        with(kind, |plan| {
            let site = plan
                .websocket(|settings| settings.closing_timeout(Duration::from_millis(100)))
                .observed()
                .on_frame(|Received { message, sender }, ctx| match message.as_text() {
                    Some("stop") => ctx.stop(),
                    Some("terminate") => ctx.terminate(),
                    Some("panic") => panic!("as it was told"),
                    Some("close") => sender.do_send(Close::default()),
                    Some("fail") => {
                        sender.do_send(Close::default());
                        ctx.stop();
                    }
                    _ => sender.do_send(message),
                })
                .up();
            let mut rounds = 0;
            for pause in [0, 300, 1500] {
                for ours in OURS {
                    for theirs in THEIRS {
                        let mut peer = site.peer();
                        peer.says(text(ours));
                        std::thread::sleep(Duration::from_micros(pause));
                        let said = match theirs {
                            "close" => peer.encoded(&[close(1000, "")]),
                            "garbage" => vec![0xff; 64],
                            _ => Vec::new(),
                        };
                        peer.tries_to_say(&said, Duration::from_millis(200));
                        match theirs {
                            "fin" => _ = peer.finishes(),
                            "reset" => peer.resets(),
                            _ => {}
                        }
                        rounds += 1;
                    }
                }
            }
            let unbound = Site::wait(site.listener.clone().unwrap().send(Unbind::within(Duration::from_millis(300)))).unwrap();
            assert_eq!(unbound.left, 0, "{unbound:?}");
            let (mut observed, mut heard) = (std::collections::HashMap::new(), std::collections::HashMap::new());
            while observed.len() < rounds {
                match site.next() {
                    Heard::Observed(told) => {
                        let Heard::Closed(closed) = *told else { continue };
                        *observed.entry(closed.id).or_insert(0) += 1;
                    }
                    Heard::Closed(closed) => *heard.entry(closed.id).or_insert(0) += 1,
                    _ => {}
                }
            }
            site.hears_no_more_for(Duration::from_millis(50));
            println!("t32: {rounds} races, {} Closed to the observer, {} to handlers that lived to hear it", observed.len(), heard.len());
            assert!(observed.values().chain(heard.values()).all(|times| *times == 1), "{observed:?} {heard:?}");
        });
    }
}
