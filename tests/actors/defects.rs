//! The seed's defects, each as a regression test, D1 to D15. Those that need no connection stand elsewhere:
//!
//! | | |
//! |---|---|
//! | D1 | `codec::limits::d1_a_message_without_end_has_an_end`, and over TCP `seed_size_limit_of_a_fragmented_message` |
//! | D2 | `codec::limits::d2_a_read_may_end_anywhere_in_a_length` |
//! | D4, D13 | `client::d4_d13_t27_all_that_a_client_sends_is_masked_with_fresh_keys` |
//! | D11 | `death` |
//! | D12 | `handshake::server::d12_the_seeds_accept_all_threw_or_accepted_where_we_refuse` |

use std::time::{Duration, Instant};

use actix::prelude::*;
use actix_sockets::websocket::{CloseCode, OpCode};
use actix_sockets::{Close, Frame, HttpResponse, Unbind, WebSocketSettings};

use crate::peer::{HANDSHAKE, Peer, close, ping, pong, raw, text};
use crate::site::{Heard, Kind, Site, with, with_each_echo, with_each_handler, with_each_handler_at_once};

#[test]
fn d3_an_unsolicited_pong_is_harmless_with_auto_ping() {
    with_each_handler(|plan| {
        let site = plan.ping(Duration::from_secs(9)).up();
        let mut peer = site.peer();
        peer.says(pong("nobody asked")).says(pong("")).says(pong([0; 125])).says(text("alive")).hears(text("alive"));
    });
}

/// What "never" is said with.
#[test]
fn times_that_nobody_can_count() {
    with_each_handler(|plan| {
        let plan = plan.settings(|settings| settings.registration_timeout(Duration::MAX).tls_handshake_timeout(Duration::MAX));
        let never = |settings: WebSocketSettings| {
            settings
                .message_timeout(Duration::MAX)
                .closing_timeout(Duration::MAX)
                .write_stall(Duration::MAX)
                .ping_every(Some(Duration::MAX))
        };
        let site = plan.websocket(never).up();
        for _ in 0..2 {
            site.peer().says(text("hello")).hears(text("hello"));
        }
    });
}

#[test]
fn d5_a_silent_peer_is_found_out() {
    with_each_handler_at_once(|plan| {
        let site = plan.ping(Duration::from_millis(150)).up();
        // From before the handshake: this thread may not run for a while behind it.
        let (began, mut peer) = (Instant::now(), site.peer());
        assert_eq!(peer.next().first, 0x89);
        loop {
            let frame = peer.next();
            if frame.first != 0x89 {
                assert_eq!(frame.payload[..2], 1011u16.to_be_bytes(), "{frame:?}");
                break;
            }
        }
        assert!(began.elapsed() >= Duration::from_millis(300), "the peer has {:?} only", began.elapsed());
        peer.hears_fin();
        let closed = site.closed();
        assert_eq!((closed.code, closed.clean), (CloseCode::INTERNAL_ERROR, false));
    });
}

/// A peer that is busy with one large frame sends no pong, and is alive.
#[test]
fn d5_any_byte_is_a_sign_of_life() {
    with_each_handler_at_once(|plan| {
        let site = plan.ping(Duration::from_millis(300)).up();
        let mut peer = site.peer();
        let bytes = peer.encoded(&[text("0123456789")]);
        for byte in bytes {
            peer.says_bytes([byte]);
            std::thread::sleep(Duration::from_millis(60));
        }
        loop {
            let frame = peer.next();
            if frame.first != 0x89 {
                assert_eq!(frame, text("0123456789"));
                break;
            }
        }
    });
}

/// While it is us who do not read, a pong may well lie in the socket.
#[test]
fn d5_the_deadline_stands_still_while_we_do_not_read() {
    with_each_handler_at_once(|plan| {
        let site = plan
            .ping(Duration::from_millis(150))
            .websocket(|settings| settings.window(1000))
            .on_frame(|received, _| {
                if received.message.opcode == OpCode::Text {
                    actix::spawn(async move {
                        actix::clock::sleep(Duration::from_millis(700)).await;
                        received.sender.do_send(Frame::text("done"));
                    });
                }
            })
            .up();
        let mut peer = site.peer();
        peer.says(text("x".repeat(2000)));
        loop {
            let frame = peer.next();
            if frame.first != 0x89 {
                assert_eq!(frame, text("done"));
                break;
            }
        }
    });
}

/// HTTP's deadlines end with HTTP, and the websocket's own begin.
#[test]
fn d6_after_the_upgrade_the_keepalive_takes_over_from_the_idle_timeout() {
    let short = Duration::from_millis(200);
    with(Kind::Fed, |plan| {
        let http = actix_sockets::http::Settings::new().idle_timeout(short).head_timeout(short).request_timeout(short);
        let site = plan.settings(|settings| settings.http(http)).up();
        let (mut idle, mut peer) = (site.connection(), site.peer());
        idle.hears_fin();
        peer.hears_nothing_for(3 * short).says(text("still there")).hears(text("still there"));
    });
    // By the listener's settings alone: pings, then the end.
    with(Kind::Fed, |plan| {
        let site = plan.websocket(|settings| settings.ping_every(Some(short))).up();
        let mut peer = site.peer();
        while peer.next().first == 0x89 {}
        peer.hears_fin();
        assert_eq!(site.closed().code, CloseCode::INTERNAL_ERROR);
    });
}

/// Sockets of this process with this local port that are open.
fn open_sockets(port: u16) -> usize {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let port = format!(":{port:04X}");
    let open = table.lines().skip(1).filter(|line| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let (local, state, inode) = (fields[1], fields[3], fields[9]);
        local.ends_with(&port) && state != "0A" && inode != "0"
    });
    open.count()
}

/// A storm of connections that end in every way leaves nothing behind: no descriptor, no seat in the roster.
#[test]
fn d7_nothing_is_left_of_connections_that_have_ended() {
    with_each_echo(|plan| {
        let site = plan.workers(2).up();
        let port = site.address().port();
        for _ in 0..4 {
            let mut peers: Vec<_> = (0..20).map(|_| site.peer()).collect();
            assert!(open_sockets(port) >= 20);
            for (n, mut peer) in peers.drain(..).enumerate() {
                match n % 5 {
                    0 => drop(peer),
                    1 => peer.resets(),
                    2 => _ = peer.says(text("echo me")).says(close(1000, "")),
                    3 => peer.says_bytes([0xff; 10]).hears_the_end(),
                    _ => peer.finishes().hears_fin(),
                }
            }
        }
        let until = Instant::now() + crate::peer::PATIENCE;
        while open_sockets(port) > 0 {
            assert!(Instant::now() < until, "{} sockets are left", open_sockets(port));
            std::thread::sleep(Duration::from_millis(5));
        }
        let unbound = Site::wait(site.listener.clone().unwrap().send(Unbind::within(Duration::from_millis(500))));
        assert_eq!(unbound.unwrap().cut_off(), 0, "all seats are left");
    });
}

/// With pipelining, the upgrade does not overtake the response before it.
#[test]
fn d8_the_upgrade_waits_behind_earlier_responses() {
    for kind in [Kind::Fed, Kind::Made, Kind::Shared] {
        with(kind, |plan| {
            let http = actix_sockets::http::Settings::new().pipelining_limit(4);
            let site = plan
                .settings(|settings| settings.http(http))
                .on_request(|received, ctx| {
                    ctx.run_later(Duration::from_millis(150), move |_, _| received.sender.do_send(HttpResponse::ok("slow")));
                })
                .up();
            let mut peer = site.connection();
            let hello = peer.encoded(&[text("hello")]);
            let slow = "GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n";
            peer.says_bytes([slow.as_bytes(), HANDSHAKE.as_bytes(), &hello].concat());
            peer.hears_response(200, "slow");
            peer.hears_101();
            peer.hears(text("hello"));
        });
    }
}

#[test]
fn d9_frames_in_the_same_segment_as_the_handshake() {
    with_each_echo(|plan| {
        let site = plan.up();
        let mut peer = site.connection();
        let frames = peer.encoded(&[text("one"), ping("two"), text("three")]);
        peer.says_bytes([HANDSHAKE.as_bytes(), &frames].concat()).hears_101();
        // A stage's pong may overtake a handler's echo; each keeps its own order.
        let mut heard: Vec<_> = (0..3).map(|_| peer.next()).collect();
        heard.sort_by_key(|frame| frame.first == 0x8a);
        assert_eq!(heard, [text("one"), text("three"), pong("two")]);
    });
}

#[test]
fn d9_a_close_in_the_same_segment_as_the_handshake() {
    with_each_echo(|plan| {
        let site = plan.up();
        let mut peer = site.connection();
        let frames = peer.encoded(&[text("hello"), close(1000, "bye")]);
        peer.says_bytes([HANDSHAKE.as_bytes(), &frames].concat()).hears_101();
        peer.hears(text("hello")).hears(close(1000, ""));
        peer.hears_fin();
        assert!(site.closed().clean);
    });
}

#[test]
fn t17_split_at_every_byte() {
    with(Kind::Fed, |plan| {
        let site = plan.up();
        let mut peer = site.connection();
        let frames = peer.encoded(&[text("one"), text("two").more(), raw(0x80, "three")]);
        let all = [HANDSHAKE.as_bytes(), &frames].concat();
        drop(peer);
        println!("t17: handshake and frames, {} bytes, in {} cuts: limit none lost", all.len(), all.len() - 1);
        for cut in 1..all.len() {
            let mut peer = site.connection();
            peer.says_bytes(&all[..cut]);
            std::thread::sleep(Duration::from_micros(300));
            peer.says_bytes(&all[cut..]).hears_101();
            peer.hears(text("one")).hears(text("twothree"));
        }
    });
}

#[test]
fn t17_garbage_behind_the_handshake_is_1002_and_never_http() {
    with_each_echo(|plan| {
        let site = plan.up();
        let mut peer = site.connection();
        peer.says_bytes(format!("{HANDSHAKE}GET /second HTTP/1.1\r\nHost: localhost\r\n\r\n")).hears_101();
        peer.hears_close(1002);
        peer.hears_fin();
    });
}

/// However it ends, handler and observer are told once, and nothing after it.
#[test]
fn d10_one_closed_in_every_kind_of_end() {
    type End = fn(&Site, Peer);
    let ends: [(&str, u16, End); 10] = [
        ("the peer closes", 1001, |_, mut peer| {
            peer.says(close(1001, "")).hears(close(1001, ""));
            peer.hears_fin();
        }),
        ("the peer closes and is gone", 1000, |_, mut peer| _ = peer.says(close(1000, ""))),
        ("FIN without a Close", 1006, |_, mut peer| peer.finishes().hears_fin()),
        ("RST", 1006, |_, peer| peer.resets()),
        ("a broken rule", 1002, |_, mut peer| {
            peer.says(raw(0xf1, "")).hears_close(1002);
        }),
        ("a broken rule and gone", 1002, |_, mut peer| _ = peer.says(raw(0xf1, ""))),
        ("we close", 1000, |_, mut peer| {
            peer.says(text("close")).hears(close(1000, "")).says(close(1000, ""));
            peer.hears_fin();
        }),
        ("we close, unanswered", 1000, |_, mut peer| {
            peer.says(text("close")).hears(close(1000, ""));
            peer.hears_the_end();
        }),
        ("we close, RST", 1000, |_, mut peer| {
            peer.says(text("close")).hears(close(1000, ""));
            peer.resets();
        }),
        ("both close", 1000, |_, mut peer| {
            peer.says_all(&[text("close"), close(1000, "")]);
            peer.hears_close(1000);
            peer.hears_fin();
        }),
    ];
    with_each_handler(|plan| {
        let site = plan
            .observed()
            .websocket(|settings| settings.closing_timeout(Duration::from_millis(200)))
            .on_frame(|received, _| received.sender.do_send(Close::default()))
            .up();
        for (end, code, act) in ends {
            eprintln!("   {end}");
            let peer = site.peer();
            site.upgraded();
            act(&site, peer);
            let (mut told, mut observed) = (0, 0);
            while told + observed < 2 {
                match site.next() {
                    Heard::Closed(closed) => {
                        assert_eq!(closed.code.0, code, "{closed:?}");
                        told += 1;
                    }
                    Heard::Observed(heard) if matches!(*heard, Heard::Closed(_)) => observed += 1,
                    Heard::Frame(_) if told == 0 => {}
                    Heard::Stopped => {}
                    other => panic!("{other:?}"),
                }
            }
            assert_eq!((told, observed), (1, 1));
            site.hears_no_more_for(Duration::from_millis(20));
        }
        // A handler that does not live for one connection only still does.
        let _peer = site.peer();
        site.upgraded();
    });
}

#[test]
fn d14_the_101_has_neither_content_length_nor_transfer_encoding() {
    with(Kind::Fed, |plan| {
        let site = plan.up();
        let mut peer = site.connection();
        let head = peer.says_bytes(HANDSHAKE).hears_101().to_lowercase();
        assert!(!head.contains("content-length") && !head.contains("transfer-encoding"), "{head}");
    });
}

#[test]
fn d15_nothing_is_heard_behind_an_error() {
    with_each_handler(|plan| {
        let site = plan.up();
        let mut peer = site.peer();
        peer.says_all(&[text("before"), raw(0xf1, "bad"), text("behind")]).says(text("and later"));
        peer.hears(text("before")).hears_close(1002);
        peer.says(text("after the Close"));
        peer.hears_fin();
        site.upgraded();
        site.hears_text("before");
        let heard = site.until(|heard| (!matches!(heard, Heard::Stopped)).then_some(heard));
        assert!(matches!(heard, Heard::Closed(_)), "{heard:?}");
        site.hears_no_more_for(Duration::from_millis(50));
    });
}
