//! Handlers and stages that die (D11, T32): the peer is told, the neighbours live on.

use std::time::{Duration, Instant};

use actix::prelude::*;
use actix_sockets::Frame;
use actix_sockets::stage::{Command, Event, Flow, Stage};
use actix_sockets::websocket::CloseCode;

use crate::peer::{close, text};
use crate::site::{Heard, Kind, Plan, with, with_each_echo, with_each_handler, with_each_handler_at_once};

/// Until when a peer must have heard of the death of a handler that only has an address.
const LOOKED_AFTER: Duration = Duration::from_millis(6500);
const AT_ONCE: Duration = Duration::from_millis(1500);

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
