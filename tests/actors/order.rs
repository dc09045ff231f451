//! What is said and what is told comes in order, and a verdict waits its turn.

use std::time::{Duration, Instant};

use actix_sockets::stage::{AutoPing, AutoPong, Stage as _};
use actix_sockets::{Close, Frame};

use crate::peer::{close, ping, pong, text};
use crate::site::{Heard, Kind, text_of, with, with_each_echo, with_each_handler, with_each_handler_at_once};

const MANY: usize = 10_000;

/// Fact 2 of actix: mixing `send` and `do_send` reorders when a mailbox is full. Ours are not mailboxes.
#[test]
fn ten_thousand_alternating_sends_arrive_in_order() {
    with_each_handler(|plan| {
        // What has been written counts until the websocket's turn is over: both times may be unsent together.
        let site = plan
            .websocket(|settings| settings.unsent_limits(64 << 10, 4 << 20))
            .on_upgraded(|upgraded, _| {
                for n in 0..MANY {
                    match n % 3 {
                        0 => upgraded.sender.do_send(Frame::text(n.to_string())),
                        1 => drop(upgraded.sender.send(Frame::text(n.to_string()))),
                        _ => assert!(upgraded.sender.try_send(Frame::text(n.to_string())).is_ok()),
                    }
                }
            })
            .up();
        let mut peer = site.peer();
        for n in 0..MANY {
            peer.hears(text(n.to_string()));
        }
        // And from outside.
        let socket = site.upgraded();
        for n in 0..MANY {
            if n % 2 == 0 {
                socket.do_send(Frame::text(n.to_string()));
            } else {
                drop(socket.send(Frame::text(n.to_string())));
            }
        }
        for n in 0..MANY {
            peer.hears(text(n.to_string()));
        }
    });
}

#[test]
fn ten_thousand_frames_are_heard_in_order() {
    with_each_handler(|plan| {
        let site = plan.on_frame(|_, _| {}).up();
        let mut peer = site.peer();
        site.upgraded();
        let frames: Vec<_> = (0..MANY).map(|n| text(n.to_string())).collect();
        peer.says_all(&frames);
        (0..MANY).for_each(|n| site.hears_text(&n.to_string()));
    });
}

#[test]
fn frames_and_close_keep_their_order() {
    with_each_handler(|plan| {
        let site = plan
            .on_upgraded(|upgraded, _| {
                upgraded.sender.do_send(Frame::text("before"));
                upgraded.sender.do_send(Close::default());
                upgraded.sender.do_send(Frame::text("behind"));
            })
            .up();
        let mut peer = site.peer();
        peer.hears(text("before")).hears(close(1000, "")).says(close(1000, ""));
        peer.hears_fin();
    });
}

#[test]
fn all_that_a_handler_hears_comes_in_order() {
    with_each_handler(|plan| {
        let site = plan.ping(Duration::from_millis(400)).on_frame(|_, _| {}).up();
        let mut peer = site.peer();
        peer.says(text("one"));
        let sent = peer.next();
        assert_eq!(sent.first, 0x89);
        peer.says_all(&[text("two"), pong(&sent.payload), text("three"), close(1000, "")]);
        let mut heard = Vec::new();
        loop {
            heard.push(match site.next() {
                Heard::Upgraded(..) => "Upgraded".to_owned(),
                Heard::Frame(frame) if frame.is_control() => "pong".to_owned(),
                Heard::RoundTripTime(_) => "round trip".to_owned(),
                Heard::Closed(_) => break,
                Heard::Stopped => continue,
                other => text_of(other).unwrap(),
            });
        }
        assert_eq!(heard, ["Upgraded", "one", "two", "round trip", "pong", "three"]);
        site.hears_no_more_for(Duration::from_millis(20));
    });
}

/// 50 good frames and a bad one in one read: all echoes, then the Close.
#[test]
fn a_verdict_waits_for_the_echoes_of_the_frames_before_it() {
    with_each_echo(|plan| {
        let site = plan.up();
        for end in [crate::peer::raw(0xf1, "garbage"), close(1000, ""), text("").more()] {
            let mut peer = site.peer();
            let mut frames: Vec<_> = (0..50).map(|n| text(format!("echo {n}"))).collect();
            let breaks = end.first == 0xf1;
            frames.push(end.clone());
            if end.first == 0x01 {
                frames.push(text("within a message"));
            }
            peer.says_all(&frames);
            for n in 0..50 {
                peer.hears(text(format!("echo {n}")));
            }
            peer.hears_close(if breaks || end.first == 0x01 { 1002 } else { 1000 });
            peer.hears_fin();
        }
    });
}

/// Handlers that answer later, and keep the sender until then.
fn answers_after(plan: crate::site::Plan, time: Duration) -> crate::site::Plan {
    plan.on_frame(move |received, _| {
        actix::spawn(async move {
            actix::clock::sleep(time).await;
            received.sender.do_send(Frame::new(received.message.opcode, received.message.data));
        });
    })
}

#[test]
fn a_verdict_waits_for_an_asynchronous_handler() {
    with_each_handler(|plan| {
        let site = answers_after(plan, Duration::from_millis(50)).up();
        let waits = || {
            let mut peer = site.peer();
            let mut frames: Vec<_> = (0..50).map(|n| text(format!("echo {n}"))).collect();
            frames.push(crate::peer::raw(0xf1, "garbage"));
            let said = Instant::now();
            peer.says_all(&frames);
            for n in 0..50 {
                peer.hears(text(format!("echo {n}")));
            }
            peer.hears_close(1002);
            let waited = said.elapsed();
            peer.hears_fin();
            waited
        };
        // On a machine that is busy with other things it may take longer: not each time.
        let waited: Vec<_> = (0..4).map(|_| waits()).take_while(|waited| *waited >= Duration::from_millis(240)).collect();
        assert!(waited.len() < 4, "it waited for {waited:?}");
    });
}

#[test]
fn a_verdict_does_not_wait_longer_than_250_ms() {
    with_each_handler_at_once(|plan| {
        let site = answers_after(plan, Duration::from_secs(1)).up();
        for last in [crate::peer::raw(0xf1, "garbage"), close(1000, "")] {
            let mut peer = site.peer();
            let said = Instant::now();
            peer.says_all(&[text("late"), last]);
            assert_eq!(peer.next().first, 0x88);
            let waited = said.elapsed().as_millis();
            assert!((230..700).contains(&waited), "it waited for {waited} ms");
            peer.hears_fin();
        }
    });
}

/// A handler that keeps a clone keeps no credit.
#[test]
fn a_clone_of_a_sender_delays_no_verdict() {
    with_each_handler(|plan| {
        let site = plan
            .on_frame(|received, _| {
                let clone = received.sender.clone();
                clone.do_send(Frame::text("kept"));
                actix::spawn(async move {
                    actix::clock::sleep(Duration::from_secs(5)).await;
                    drop(clone);
                });
            })
            .up();
        let mut peer = site.peer();
        let said = Instant::now();
        peer.says_all(&[text("keep me"), close(1000, "")]);
        peer.hears(text("kept")).hears(close(1000, ""));
        assert!(said.elapsed() < Duration::from_millis(240), "it waited for {:?}", said.elapsed());
    });
}

/// Handlers whose answer is a future run in order, too, and the frames behind wait.
#[test]
fn a_handler_that_waits_hears_the_next_frame_afterwards() {
    use actix::prelude::*;
    with_each_handler(|plan| {
        let site = plan
            .on_frame(|received, ctx| {
                let wait = async move {
                    actix::clock::sleep(Duration::from_millis(5)).await;
                    received.sender.do_send(received.message);
                };
                ctx.wait(actix::fut::wrap_future(wait));
            })
            .up();
        let mut peer = site.peer();
        let frames: Vec<_> = (0..20).map(|n| text(n.to_string())).collect();
        peer.says_all(&frames);
        for frame in frames {
            peer.hears(frame);
        }
    });
}

#[test]
fn a_ping_of_the_handlers_own_is_measured_and_its_pong_heard() {
    with(Kind::Fed, |plan| {
        let site = plan
            .stage(|| AutoPing::every(Duration::from_secs(60)).then(AutoPong))
            .on_frame(|_, _| {})
            .on_upgraded(|upgraded, _| upgraded.sender.do_send(Frame::ping("mine")))
            .up();
        let mut peer = site.peer();
        site.upgraded();
        peer.hears(ping("mine")).says(pong("mine"));
        assert!(matches!(site.next(), Heard::RoundTripTime(_)));
        assert!(matches!(site.next(), Heard::Frame(frame) if frame.data == "mine"));
    });
}
