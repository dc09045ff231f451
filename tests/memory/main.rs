//! How much memory a peer, or a handler, can have the process use: measured as the operating system counts it, in a process of its own, over real
//! loopback TCP, in the clear and under TLS (T30, T31).
//!
//! Each test prints its limit and what was measured. They take turns, as there is one memory.

#![allow(clippy::unwrap_used, reason = "a test")]
#![allow(dead_code, unused_imports, reason = "what the tests of the actors are made of is more than these need")]

#[cfg(feature = "tls")]
#[path = "../tls/authority.rs"]
mod authority;
#[path = "../actors/peer.rs"]
mod peer;
#[cfg(feature = "tls")]
#[path = "../actors/sealed.rs"]
mod sealed;
#[path = "../actors/site.rs"]
mod site;
#[path = "../actors/transport.rs"]
mod transport;

/// What the tests of guards have a guard find: none does here.
mod guards {
    #[derive(Clone, Debug)]
    pub(crate) struct User;
}

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use actix::prelude::*;
use actix_sockets::{Close, Frame, HttpResponse, Overflow, Received};

use peer::{PATIENCE, binary, raw};
use site::{Kind, Plan};
use transport::over_each;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
/// What the process needs beside: buffers of the arbiter, TLS, the allocator's pages, the peer's own inbox. Some 0.7 MiB were measured.
const SLACK: usize = 3 * MIB;

fn alone() -> MutexGuard<'static, ()> {
    static MEMORY: Mutex<()> = Mutex::new(());
    MEMORY.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the process has, in bytes: now (`VmRSS`), or at most since the peak was forgotten (`VmHWM`).
fn memory(which: &str) -> usize {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix(which)).expect("a line of it");
    line.trim_start_matches(':').trim().trim_end_matches(" kB").parse::<usize>().expect("a number") * KIB
}

/// By how much the memory grows at most while something is done.
fn growth<T>(work: impl FnOnce() -> T) -> (usize, T) {
    fs::write("/proc/self/clear_refs", "5").expect("the peak can be forgotten");
    let before = memory("VmRSS");
    let result = work();
    (memory("VmHWM").saturating_sub(before), result)
}

fn wait_for(count: &AtomicUsize, what: &str) -> usize {
    let until = Instant::now() + 6 * PATIENCE;
    loop {
        match count.load(Ordering::SeqCst) {
            0 => assert!(Instant::now() < until, "{what}"),
            n => return n,
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A peer that never reads while a handler sends 1 GiB in one turn: the hard limit and one frame, in every policy.
#[test]
fn t30_a_gibibyte_in_one_turn_costs_the_hard_limit() {
    let _alone = alone();
    over_each(|transport| {
        for kind in [Kind::Fed, Kind::Shared, Kind::Hosted] {
            for overflow in [Overflow::Close, Overflow::DropNewest, Overflow::DropOldest, Overflow::Conflate] {
                let (sent, size) = (Arc::new(AtomicUsize::new(0)), 64 * KIB);
                let done = sent.clone();
                let site = Plan::new(kind, transport)
                    .websocket(|settings| settings.overflow(overflow))
                    .on_upgraded(move |upgraded, _| {
                        for n in 0..(1 << 30) / size {
                            let frame = Frame::binary(vec![1; size]);
                            match overflow {
                                Overflow::Conflate => upgraded.sender.do_send(frame.keyed(n as u64 % 4)),
                                _ => upgraded.sender.do_send(frame),
                            }
                        }
                        done.store(1 << 30, Ordering::SeqCst);
                    })
                    .up();
                let (grown, _peer) = growth(|| {
                    let peer = site.peer();
                    wait_for(&sent, "the handler does not come to its end");
                    peer
                });
                let limit = MIB + size;
                eprintln!("{transport:?} {kind:?} {overflow:?}: 1 GiB sent, limit {limit}, {grown} bytes grown ({SLACK} of slack)");
                assert!(grown <= limit + SLACK, "{grown} bytes for a limit of {limit}");
            }
        }
    });
}

/// The same with messages that are next to nothing: what each costs to keep counts, too, and so does its key.
#[test]
fn t30_what_is_short_counts_as_what_it_costs() {
    const NUMBER: usize = 100_000;
    let _alone = alone();
    let long = "x".repeat(KIB);
    for (overflow, key) in [
        (Overflow::Conflate, long.as_str()),
        (Overflow::Conflate, "a key of some thirty bytes"),
        (Overflow::DropOldest, ""),
        (Overflow::DropNewest, ""),
        (Overflow::Close, ""),
    ] {
        let (sent, key) = (Arc::new(AtomicUsize::new(0)), key.to_owned());
        let (done, length) = (sent.clone(), key.len());
        let site = Plan::new(Kind::Shared, transport::Transport::Clear)
            .websocket(|settings| settings.overflow(overflow))
            .on_upgraded(move |upgraded, _| {
                for n in 0..NUMBER {
                    let frame = Frame::binary(vec![1]);
                    match key.as_str() {
                        "" => upgraded.sender.do_send(frame),
                        key => upgraded.sender.do_send(frame.keyed(format!("{key}{n}"))),
                    }
                }
                done.store(upgraded.sender.buffered_amount(), Ordering::SeqCst);
            })
            .up();
        let (grown, (_peer, counted)) = growth(|| (site.peer(), wait_for(&sent, "the handler does not come to its end")));
        eprintln!("{overflow:?}: {NUMBER} messages of 1 byte, keys of {length}, limit {MIB}, {counted} counted, {grown} bytes grown");
        assert!(grown <= MIB + SLACK, "{grown} bytes for a limit of {MIB}");
    }
}

/// Twenty peers that write and never read: their echoes are the soft limit and one message each, and what they write stays with them.
#[test]
fn t30_twenty_peers_that_only_write_cost_a_mebibyte_each() {
    let _alone = alone();
    over_each(|transport| {
        for kind in [Kind::Fed, Kind::Shared] {
            let (peers, size) = (20, 64 * KIB);
            let site = Plan::new(kind, transport).forgets().up();
            let (grown, taken) = growth(|| {
                let block = binary(vec![7; size]).bytes(Some([1, 2, 3, 4]));
                let mut held = Vec::new();
                let mut taken = 0;
                for _ in 0..peers {
                    let mut peer = site.peer();
                    taken += peer.says_until_blocked(&block, 64 * MIB, Duration::from_millis(200));
                    held.push(peer);
                }
                taken
            });
            let limit = peers * (MIB + size);
            eprintln!(
                "{transport:?} {kind:?}: {taken} bytes taken from {peers} peers, limit {limit}, {grown} bytes grown ({SLACK} of slack)"
            );
            assert!(taken < peers * 64 * MIB, "somebody is read without end");
            assert!(grown <= limit + SLACK, "{grown} bytes for a limit of {limit}");
        }
    });
}

/// A handler that never drains what it is told, by its mailbox or by a feeder: the socket is not read, memory is flat, and pings and the closing go on.
#[test]
fn t31_a_handler_that_never_drains_its_mailbox_costs_the_window() {
    let _alone = alone();
    over_each(|transport| {
        for kind in [Kind::Fed, Kind::Made, Kind::Shared, Kind::SharedHosted] {
            let site = Plan::new(kind, transport)
                .ping(Duration::from_secs(2))
                .on_frame(|_, ctx| ctx.wait(actix::fut::wrap_future(std::future::pending::<()>())))
                .up();
            let mut peer = site.peer();
            let socket = site.upgraded();
            let (grown, taken) = growth(|| {
                let block = raw(0x82, vec![7; KIB]).bytes(Some([1, 2, 3, 4])).repeat(64);
                peer.says_until_blocked(&block, 256 * MIB, Duration::from_millis(500))
            });
            let limit = 256 * KIB + 64 * KIB;
            eprintln!("{transport:?} {kind:?}: {taken} bytes taken, limit {limit} in hand, {grown} bytes grown ({SLACK} of slack)");
            assert!(taken < 64 * MIB, "{taken} bytes were read for a handler that takes none");
            assert!(grown <= limit + SLACK, "{grown} bytes");
            // It is pinged, and not given up: it is we who do not read. And it can be closed.
            std::thread::sleep(Duration::from_secs(5));
            assert_eq!(peer.next().first, 0x89);
            assert!(socket.connected(), "silence that is ours counts against the peer");
            socket.do_send(Close::default());
            loop {
                let frame = peer.next();
                if frame.first != 0x89 {
                    assert_eq!(frame, peer::close(1000, ""));
                    break;
                }
            }
        }
    });
}

/// A byte that is kept holds on to no read buffer, though others have filled the rest of it: neither a message in a mailbox, nor a request that waits for its
/// answer.
#[test]
fn t31_a_byte_in_hand_costs_no_read_buffer() {
    const KEPT: usize = 300;
    let _alone = alone();
    over_each(|transport| {
        let site = Plan::new(Kind::Made, transport)
            .forgets()
            .on_frame(|Received { message, .. }, ctx| {
                if message.data.len() == 1 {
                    ctx.wait(actix::fut::wrap_future(std::future::pending::<()>()));
                }
            })
            .up();
        let (mut stuck, mut other) = (site.peer(), site.peer());
        let one = binary(vec![1]).bytes(Some([1, 2, 3, 4]));
        let rest = binary(vec![7; 15_000]).bytes(Some([1, 2, 3, 4]));
        let ping = peer::ping("read?").bytes(Some([1, 2, 3, 4]));
        let (grown, ()) = growth(|| {
            for _ in 0..KEPT {
                stuck.says_bytes(&one);
                for _ in 0..4 {
                    other.says_bytes([&rest[..], &ping].concat());
                    other.next();
                }
            }
        });
        eprintln!("{transport:?}: {KEPT} messages of 1 byte in a mailbox, {grown} bytes grown ({SLACK} of slack)");
        assert!(grown <= SLACK, "{grown} bytes");
    });
}

/// The same of requests.
#[test]
fn t31_a_request_in_hand_costs_no_read_buffer() {
    const KEPT: usize = 200;
    let _alone = alone();
    over_each(|transport| {
        let kept = Arc::new(Mutex::new(Vec::new()));
        let keep = kept.clone();
        let site = Plan::new(Kind::Made, transport)
            .forgets()
            .on_request(move |request, _| match request.message.path() {
                "/kept" => keep.lock().unwrap().push(request),
                _ => request.sender.do_send(HttpResponse::new(http::StatusCode::OK)),
            })
            .up();
        let mut waiting: Vec<_> = (0..KEPT).map(|_| site.connection()).collect();
        let mut other = site.connection();
        let rest = [&b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 15000\r\n\r\n"[..], &[b'a'; 15_000]].concat();
        let (grown, ()) = growth(|| {
            for peer in &mut waiting {
                peer.says_bytes(b"GET /kept HTTP/1.1\r\nHost: a\r\n\r\n");
                for _ in 0..4 {
                    other.says_bytes(&rest);
                    other.hears_head();
                }
            }
        });
        let kept = std::mem::take(&mut *kept.lock().unwrap());
        eprintln!("{transport:?}: {} requests wait for their answers, {grown} bytes grown ({SLACK} of slack)", kept.len());
        assert!(kept.len() >= KEPT - 1, "{} have come", kept.len());
        assert!(grown <= SLACK, "{grown} bytes");
    });
}
