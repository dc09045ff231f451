//! The policies of the hard limit: what is dropped, what never is, and what whoever sent it learns (T30).

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use actix_sockets::stage::By;
use actix_sockets::websocket::CloseCode;
use actix_sockets::{Close, Dropped, Drops, Frame, Overflow, SendError, SendStatus, Sending, Socket};

use crate::peer::{Peer, Raw, continuation, ping, raw, text};
use crate::site::{Kind, Plan, Site, with, with_each_handler};

const KIB: usize = 1 << 10;
/// So much is taken by the sockets of both ends before anything is unsent.
const KERNEL: usize = 16 << 20;
const SOFT: usize = 64 * KIB;
const HARD: usize = 256 * KIB;

/// With this policy, at a limit that some hosted stages have room below.
fn limited(plan: Plan, overflow: Overflow) -> Plan {
    plan.websocket(|settings| {
        settings
            .unsent_limits(SOFT, HARD)
            .overflow(overflow)
            .closing_timeout(Duration::from_millis(300))
            .write_stall(Duration::from_secs(60))
    })
}

/// A message that can be told from all others, of 1 KiB.
fn numbered(n: usize) -> Frame {
    Frame::text(format!("{n:08}{}", "x".repeat(KIB - 8)))
}

fn number(heard: &Raw) -> usize {
    assert_eq!((heard.first, heard.payload.len()), (0x81, KIB), "{heard:?}");
    std::str::from_utf8(&heard.payload[..8]).unwrap().parse().unwrap()
}

/// A websocket whose output is blocked by a large message that the peer has not read; its number of bytes.
fn blocked(site: &Site) -> (Peer, Socket) {
    let peer = site.peer();
    let socket = site.upgraded();
    socket.do_send(Frame::binary(vec![7; KERNEL]).more());
    // Taken from the queue: what comes now waits behind it.
    settles(&socket);
    (peer, socket)
}

/// Waits until no more is written.
fn settles(socket: &Socket) {
    let (until, mut before, mut quiet) = (Instant::now() + crate::peer::PATIENCE, usize::MAX, 0);
    while quiet < 25 {
        assert!(Instant::now() < until, "it is written on and on, though nobody reads");
        std::thread::sleep(Duration::from_millis(4));
        let now = socket.buffered_amount();
        quiet = if now == before { quiet + 1 } else { 0 };
        before = now;
    }
}

/// A websocket of which so much is unsent that little room is left: `HARD` is larger than what is behind the sockets by `room`.
fn filled(plan: Plan, overflow: Overflow, room: usize) -> (Site, Peer, Socket) {
    // What the kernel takes is not known: the limit is set to what is left of the first message, and this much more.
    let site = plan
        .websocket(|settings| {
            settings
                .unsent_limits(SOFT, KERNEL + room)
                .overflow(overflow)
                .closing_timeout(Duration::from_secs(20))
                .write_stall(Duration::from_secs(60))
        })
        .up();
    let (peer, socket) = blocked(&site);
    let missing = KERNEL.saturating_sub(socket.buffered_amount());
    // Its end: what is begun cannot be dropped.
    socket.do_send(Frame::continuation(vec![8; missing]));
    // On its way through stages on another thread it counts twice, and it is large.
    settles(&socket);
    (site, peer, socket)
}

fn hears_the_plug(peer: &mut Peer) {
    peer.hears(raw(0x02, vec![7; KERNEL]));
    let rest = peer.next();
    assert!(rest.first == 0x80 && rest.payload.iter().all(|byte| *byte == 8), "{rest:?}");
}

/// All numbers that come before the text "end".
fn numbers(peer: &mut Peer) -> Vec<usize> {
    let mut heard = Vec::new();
    loop {
        match peer.next() {
            end if end == text("end") => return heard,
            other => heard.push(number(&other)),
        }
    }
}

/// A handler that sends many times the limit in one turn to a peer that does not read: what is unsent stays within the limit and one frame, the socket
/// lives, and once the peer reads it hears the oldest, or the newest, in order.
#[test]
fn t30_drop_newest_and_drop_oldest_bound_what_waits_and_keep_its_order() {
    for overflow in [Overflow::DropNewest, Overflow::DropOldest] {
        with_each_handler(|plan| {
            let (sent, frames) = (Arc::new(Mutex::new((0, 0))), 30_000);
            let (seen, elsewhere) = (sent.clone(), plan.kind == Kind::Elsewhere);
            let site = limited(plan, overflow)
                .on_upgraded(move |upgraded, _| {
                    let mut most = 0;
                    for n in 0..frames {
                        upgraded.sender.do_send(numbered(n));
                        if n % 64 == 0 {
                            most = most.max(upgraded.sender.buffered_amount());
                        }
                    }
                    *seen.lock().unwrap() = (frames, most);
                })
                .up();
            let mut peer = site.peer();
            let socket = site.upgraded();
            let until = Instant::now() + 6 * crate::peer::PATIENCE;
            let most = loop {
                let (done, most) = *sent.lock().unwrap();
                if done > 0 {
                    break most;
                }
                assert!(Instant::now() < until, "the handler does not come to its end");
                std::thread::sleep(Duration::from_millis(5));
            };
            // Stages on another thread hand frames down while it is counted: those may count twice, no more than the soft limit for each line.
            let bound = HARD + 2 * KIB + if elsewhere { 3 * (SOFT + KIB) } else { 2 * KIB };
            eprintln!("{overflow:?}: {most} bytes unsent at most, limit {HARD}, {:?}", socket.drops());
            assert!(most <= bound, "{most} bytes were unsent, {bound} may be");
            let drops = socket.drops();
            assert!(drops.total() > 0 && drops.conflated == 0, "{drops:?}");
            let mut heard = Vec::new();
            while heard.len() + drops.total() as usize != frames {
                heard.push(number(&peer.next()));
            }
            assert!(heard.is_sorted(), "out of order");
            match overflow {
                Overflow::DropNewest => {
                    assert_eq!((heard[0], drops.oldest), (0, 0), "{drops:?}");
                    assert!(drops.newest > 0);
                }
                _ => {
                    assert_eq!(*heard.last().unwrap(), frames - 1, "the newest is there");
                    assert!(drops.oldest > 0, "{drops:?}");
                }
            }
            // And the websocket is as good as new.
            peer.says(text("alive")).hears(text("alive"));
        });
    }
}

/// Who sends is told what became of it.
#[test]
fn t30_an_acked_send_that_is_dropped_says_so() {
    with(Kind::Fed, |plan| {
        let (_site, mut peer, socket) = filled(plan, Overflow::DropOldest, 3 * KIB);
        let first: Vec<Sending> = (0..3).map(|n| socket.send(numbered(n))).collect();
        // At the limit now; try_send drops nothing for itself.
        assert_eq!(socket.try_send(numbered(9)), Err(SendError::Full));
        let second: Vec<Sending> = (3..5).map(|n| socket.send(numbered(n))).collect();
        let mut results: Vec<_> = first.into_iter().collect();
        for dropped in results.drain(..2) {
            assert_eq!(Site::wait(dropped), Err(SendError::Dropped(Dropped::Oldest)));
        }
        assert_eq!(socket.drops(), Drops { oldest: 2, ..Drops::default() });
        assert_eq!(socket.drops().total(), 2);
        hears_the_plug(&mut peer);
        assert_eq!([2, 3, 4].map(|_| number(&peer.next())), [2, 3, 4]);
        for written in results.into_iter().chain(second) {
            assert_eq!(Site::wait(written), Ok(SendStatus::Sent));
        }
        assert_eq!(socket.try_send(Frame::text("room")), Ok(SendStatus::Queued));
    });
    with(Kind::Fed, |plan| {
        let (_site, _peer, socket) = filled(plan, Overflow::DropNewest, 2 * KIB);
        let kept: Vec<Sending> = (0..2).map(|n| socket.send(numbered(n))).collect();
        assert_eq!(Site::wait(socket.send(numbered(2))), Err(SendError::Dropped(Dropped::Newest)));
        assert_eq!(socket.drops(), Drops { newest: 1, ..Drops::default() });
        drop(kept);
    });
}

/// What is sent is the newest of each key, where the first of that key stood.
#[test]
fn t30_conflate_sends_the_newest_of_each_key() {
    for kind in [Kind::Fed, Kind::Shared, Kind::Hosted] {
        with(kind, |plan| {
            let (site, mut peer, socket) = filled(plan, Overflow::Conflate, 64 * KIB);
            let quote = |name: &str, n: usize| Frame::text(format!("{name} {n}")).keyed(name);
            let first = socket.send(quote("cow", 0));
            socket.do_send(Frame::text("no key"));
            socket.do_send(quote("pig", 0));
            for n in 1..=10_000 {
                socket.do_send(quote("cow", n));
                assert!(socket.try_send(quote("pig", n)).is_ok());
            }
            assert_eq!(Site::wait(first), Err(SendError::Dropped(Dropped::Conflated)));
            assert_eq!(socket.drops(), Drops { conflated: 20_000, ..Drops::default() });
            let waiting = socket.buffered_amount();
            assert!(waiting < KERNEL + KIB, "{waiting} bytes wait");
            let last = socket.send(quote("cow", 10_001));
            hears_the_plug(&mut peer);
            peer.hears(text("cow 10001")).hears(text("no key")).hears(text("pig 10000"));
            assert_eq!(Site::wait(last), Ok(SendStatus::Sent));
            // Once it has left, the next of the key is a message of its own.
            socket.do_send(quote("cow", 1));
            peer.hears(text("cow 1"));
            drop(site);
        });
    }
}

/// A key for which nothing waits finds no place at the limit: the websocket is closed, as nothing may be lost unseen.
#[test]
fn t30_conflate_closes_when_a_new_key_finds_no_room() {
    with(Kind::Fed, |plan| {
        let (site, _peer, socket) = filled(plan, Overflow::Conflate, 2 * KIB);
        socket.do_send(numbered(1).keyed(1));
        socket.do_send(numbered(2).keyed(2));
        socket.do_send(numbered(3).keyed(2));
        assert_eq!(socket.try_send(numbered(4).keyed(4)), Err(SendError::Full));
        assert_eq!(Site::wait(socket.send(numbered(4).keyed(4))), Err(SendError::Full));
        let closed = site.closed();
        assert_eq!((closed.code, closed.by), (CloseCode::POLICY_VIOLATION, By::Us));
        assert_eq!(socket.drops(), Drops { conflated: 1, ..Drops::default() }, "it can be asked behind the end");
    });
}

/// All fragments of a message, or none.
#[test]
fn t30_fragments_are_dropped_together() {
    let fragments = |name: &str| {
        let fill = "x".repeat(KIB);
        [
            Frame::text(format!("{name}1{fill}")).more(),
            Frame::continuation(format!("{name}2{fill}")).more(),
            Frame::continuation(format!("{name}3")),
        ]
    };
    let hears_all = |peer: &mut Peer, name: &str| {
        let fill = "x".repeat(KIB);
        peer.hears(raw(0x01, format!("{name}1{fill}"))).hears(raw(0x00, format!("{name}2{fill}"))).hears(continuation(format!("{name}3")));
    };
    // The oldest: a message that is complete, and the beginning of the one that is being sent.
    with(Kind::Fed, |plan| {
        let (_site, mut peer, socket) = filled(plan, Overflow::DropOldest, 3 * KIB);
        for frame in fragments("a").into_iter().chain(fragments("b")) {
            socket.do_send(frame);
        }
        socket.do_send(Frame::ping("between"));
        hears_the_plug(&mut peer);
        hears_all(&mut peer, "b");
        peer.hears(ping("between"));
        assert_eq!(socket.drops(), Drops { oldest: 3, ..Drops::default() });
    });
    with(Kind::Fed, |plan| {
        let (_site, mut peer, socket) = filled(plan, Overflow::DropOldest, KIB);
        let [one, two, three] = fragments("c");
        socket.do_send(one);
        assert_eq!(Site::wait(socket.send(two)), Err(SendError::Dropped(Dropped::Oldest)), "its own beginning was the oldest");
        assert_eq!(socket.try_send(three), Err(SendError::Dropped(Dropped::Oldest)), "there is room, but not for half a message");
        socket.do_send(Frame::text("end"));
        hears_the_plug(&mut peer);
        peer.hears(text("end"));
    });
    // The newest: its fragments that wait already go, too.
    with(Kind::Fed, |plan| {
        let (_site, mut peer, socket) = filled(plan, Overflow::DropNewest, 2 * KIB + 400);
        fragments("d").into_iter().for_each(|frame| socket.do_send(frame));
        let [one, two, three] = fragments("e");
        socket.do_send(one.clone());
        socket.do_send(two);
        socket.do_send(three);
        assert_eq!(socket.drops().newest, 3);
        hears_the_plug(&mut peer);
        hears_all(&mut peer, "d");
        let socket2 = socket.clone();
        socket2.do_send(Frame::text("end"));
        peer.hears(text("end"));
        // There is room now: the next message is whole.
        for frame in fragments("f") {
            socket.do_send(frame);
        }
        hears_all(&mut peer, "f");
    });
}

/// A message that is on its way to the wire cannot be dropped, and does not pass the limit either.
#[test]
fn t30_a_begun_message_that_passes_the_limit_closes() {
    for overflow in [Overflow::DropNewest, Overflow::DropOldest, Overflow::Conflate] {
        with(Kind::Fed, |plan| {
            let site = limited(plan, overflow).up();
            let _peer = site.peer();
            let socket = site.upgraded();
            socket.do_send(Frame::binary("begun").more());
            settles(&socket);
            let mut sent = 0;
            while socket.connected() && sent < KERNEL + 64 * HARD {
                socket.do_send(Frame::continuation(vec![1; 64 * KIB]).more());
                sent += 64 * KIB;
            }
            let closed = site.closed();
            assert_eq!((closed.code, closed.by), (CloseCode::POLICY_VIOLATION, By::Us), "{overflow:?} after {sent} bytes");
        });
    }
}

/// A Close is not dropped, and what waits goes before it. There is room for all: on its way through stages on another thread it may count twice.
#[test]
fn t30_a_close_comes_behind_what_waits() {
    for kind in [Kind::Fed, Kind::Hosted, Kind::Elsewhere] {
        with(kind, |plan| {
            let (site, mut peer, socket) = filled(plan, Overflow::DropOldest, 2 * HARD);
            for n in 0..100 {
                socket.do_send(numbered(n));
            }
            socket.do_send(Close::default());
            socket.do_send(Frame::text("behind"));
            hears_the_plug(&mut peer);
            for n in 0..100 {
                assert_eq!(number(&peer.next()), n);
            }
            peer.hears_close(1000);
            drop(site);
        });
    }
}

/// So does our answer to the peer's Close.
#[test]
fn t30_the_echo_of_a_close_comes_behind_what_waits() {
    for kind in [Kind::Fed, Kind::Shared, Kind::Hosted, Kind::Elsewhere] {
        with(kind, |plan| {
            let (site, mut peer, socket) = filled(plan, Overflow::DropOldest, 2 * HARD);
            for n in 0..100 {
                socket.do_send(numbered(n));
            }
            peer.says(crate::peer::close(1000, ""));
            hears_the_plug(&mut peer);
            for n in 0..100 {
                assert_eq!(number(&peer.next()), n);
            }
            peer.hears_close(1000);
            assert!(site.closed().clean);
        });
    }
}

/// `Drained` comes once all that waited is down to the soft limit: what waits as frames, or above stages, too.
#[test]
fn drained_is_told_in_every_policy_when_there_is_room() {
    for overflow in [Overflow::Close, Overflow::DropNewest, Overflow::DropOldest, Overflow::Conflate] {
        with_each_handler(|plan| {
            let site = plan
                .websocket(|settings| settings.unsent_limits(SOFT, 8 << 20).overflow(overflow))
                .on_upgraded(|upgraded, _| {
                    for n in 0..4000 {
                        upgraded.sender.do_send(numbered(n));
                    }
                    assert!(upgraded.sender.buffered_amount() > SOFT);
                })
                .on_drained(|drained, _| {
                    let unsent = drained.sender.buffered_amount();
                    drained.sender.do_send(Frame::text(if unsent <= SOFT { "end".into() } else { format!("{unsent} unsent") }));
                })
                .up();
            let mut peer = site.peer();
            assert_eq!(numbers(&mut peer), (0..4000).collect::<Vec<_>>(), "{overflow:?}");
            assert_eq!(site.upgraded().drops(), Drops::default());
        });
    }
}

/// Compression is behind the policy: the peer's inflater and our compressor never differ.
#[cfg(feature = "deflate")]
#[test]
fn t30_what_is_dropped_was_not_compressed() {
    const FRAMES: u64 = 2000;
    for overflow in [Overflow::DropNewest, Overflow::DropOldest, Overflow::Conflate] {
        with(Kind::Fed, |plan| {
            let server = limited(plan.clone().deflate(actix_sockets::Deflate::new()), overflow)
                .on_frame(move |received, _| {
                    // Text that compresses well against what came before it; far more than may wait.
                    for n in 0..FRAMES {
                        let frame = Frame::text(format!("{n:06} {}", "the same words again and again ".repeat(64)));
                        match overflow {
                            Overflow::Conflate => received.sender.do_send(frame.keyed(n % 7)),
                            _ => received.sender.do_send(frame),
                        }
                    }
                })
                .up();
            let client = plan
                .deflate(actix_sockets::Deflate::new())
                .on_upgraded(|upgraded, _| upgraded.sender.do_send(Frame::text("go")))
                .on_frame(|_, _| {})
                .visits(&server.url());
            let (mut heard, socket) = (Vec::new(), server.upgraded());
            while heard.len() as u64 + socket.drops().total() < FRAMES {
                let text = client.until(crate::site::text_of);
                heard.push(text[..6].parse::<u64>().expect("inflated as it was"));
                assert!(text[7..].starts_with("the same words"), "{text}");
            }
            let drops = socket.drops();
            assert!(drops.total() > 0 && !heard.is_empty(), "{drops:?}, {} heard", heard.len());
        });
    }
}
