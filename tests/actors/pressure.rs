//! Back-pressure, in and out, bounded by bytes (T30, T31).

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use actix_sockets::stage::By;
use actix_sockets::websocket::CloseCode;
use actix_sockets::{Frame, SendError, SendStatus, Socket};

use crate::peer::{binary, ping, pong, text};
use crate::site::{Heard, Kind, Plan, Site, with_each_handler, with_each_handler_at_once};
use crate::transport::over_each;

const BLOCKED: Duration = Duration::from_millis(300);
const MIB: usize = 1 << 20;

/// A handler that keeps the senders of all frames until it is told otherwise.
#[derive(Clone, Default)]
struct Keeper {
    kept: Arc<Mutex<Vec<Socket>>>,
    lets_go: Arc<AtomicBool>,
    heard: Arc<AtomicUsize>,
}

impl Keeper {
    fn keeps(&self, plan: Plan) -> Plan {
        let keeper = self.clone();
        plan.on_frame(move |received, _| {
            keeper.heard.fetch_add(1, Ordering::SeqCst);
            let mut kept = keeper.kept.lock().unwrap();
            if !keeper.lets_go.load(Ordering::SeqCst) {
                kept.push(received.sender);
            }
        })
    }

    fn heard(&self) -> usize {
        self.heard.load(Ordering::SeqCst)
    }

    /// Drops all senders, on this thread, and keeps no more.
    fn lets_go(&self) {
        let mut kept = self.kept.lock().unwrap();
        self.lets_go.store(true, Ordering::SeqCst);
        let senders = std::mem::take(&mut *kept);
        drop(kept);
        drop(senders);
    }

    fn waits_until_heard(&self, frames: usize) {
        let until = Instant::now() + crate::peer::PATIENCE;
        while self.heard() < frames {
            assert!(Instant::now() < until, "{} frames heard of {frames}", self.heard());
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// What is not in hand of the handler stays with the peer: window and one read, and the rest is TCP's.
#[test]
fn t31_a_handler_that_keeps_senders_stops_the_peer_and_letting_go_lets_it_go_on() {
    with_each_handler(|plan| {
        let keeper = Keeper::default();
        let site = keeper.keeps(plan).websocket(|settings| settings.window(32 << 10)).up();
        let mut peer = site.peer();
        let frame = binary([7; 1000]).bytes(Some([1, 2, 3, 4]));
        let block = frame.repeat(64);
        let taken = peer.says_until_blocked(&block, 64 * MIB, BLOCKED);
        assert!(taken < 32 * MIB, "{taken} bytes were taken");
        let heard = keeper.heard();
        // One read is 64 KiB; a frame here is worth its payload and a little.
        let bound = (32 << 10) + (64 << 10) + 1000;
        eprintln!("t31: limit {bound} bytes (the window and one read), {} in hand", heard * 1000);
        assert!(heard * 1000 <= bound, "{heard} frames in hand");
        assert!(heard * 1064 > 32 << 10, "{heard} frames only: reading stopped before the window was full");
        // From this thread, which is none of the actors'.
        keeper.lets_go();
        let rest = (frame.len() - taken % frame.len()) % frame.len();
        peer.says_bytes(&frame[frame.len() - rest..]);
        keeper.waits_until_heard((taken + rest) / frame.len());
    });
}

/// A frame larger than the window is in hand as a whole, and the next one waits.
#[test]
fn t31_a_frame_larger_than_the_window_passes() {
    with_each_handler(|plan| {
        let site = plan.websocket(|settings| settings.window(1000)).up();
        let mut peer = site.peer();
        for _ in 0..3 {
            peer.says(binary(vec![5; MIB])).hears(binary(vec![5; MIB]));
        }
        eprintln!("t31: limit 1000 bytes in hand, or one message: three of {MIB}, one after the other");
    });
}

/// Sends until the policy strikes; gives the most that was ever unsent.
fn floods(socket: &Socket, frames: usize, size: usize) -> usize {
    let mut most = 0;
    for _ in 0..frames {
        socket.do_send(Frame::binary(vec![1; size]));
        most = most.max(socket.buffered_amount());
    }
    most
}

#[test]
fn t30_a_peer_that_never_reads_is_closed_with_1008_at_the_hard_limit() {
    with_each_handler(|plan| {
        let most = Arc::new(AtomicUsize::new(0));
        let seen = most.clone();
        let elsewhere = plan.kind == Kind::Elsewhere;
        let site = plan
            .websocket(|settings| settings.closing_timeout(Duration::from_millis(300)))
            .on_upgraded(move |upgraded, _| {
                seen.store(floods(&upgraded.sender, 1024, 64 << 10), Ordering::SeqCst);
            })
            .up();
        let mut peer = site.peer();
        let closed = site.closed();
        assert_eq!((closed.code, closed.by, closed.clean), (CloseCode::POLICY_VIOLATION, By::Us, false), "{closed:?}");
        let most = most.load(Ordering::SeqCst);
        // The one that was taken whole; above hosted stages, perhaps one more that was on its way down; above those on another thread, all that is
        // on its way: it counts twice for a moment.
        let whole = MIB + (64 << 10) + 1024;
        let limit = if elsewhere { 2 * whole } else { whole + (64 << 10) };
        eprintln!("{most} bytes unsent at most, limit {MIB}");
        assert!(most < limit, "{most} bytes were unsent");
        peer.hears_the_end();
        // Others are not affected.
        drop(site.peer());
    });
}

/// `try_send` is refused at the hard limit, and nothing is closed for it; there is room again when the peer reads.
#[test]
fn t30_try_send_is_full_and_drained_tells_when_there_is_room() {
    with_each_handler(|plan| {
        let sent = Arc::new(AtomicUsize::new(0));
        let (seen, kind) = (sent.clone(), plan.kind);
        let site = plan
            .on_upgraded(move |upgraded, _| {
                let mut n = 0;
                while upgraded.sender.try_send(Frame::binary(vec![1; 64 << 10])).is_ok() {
                    n += 1;
                    assert!(n < 1024, "64 MiB were taken");
                }
                // What is written elsewhere may make room at any moment.
                if kind != Kind::Elsewhere {
                    assert_eq!(upgraded.sender.try_send(Frame::text("no")), Err(SendError::Full));
                }
                // Control frames pass. What is on its way to another thread counts twice for a moment, so that even they may be refused then.
                let until = Instant::now() + crate::peer::PATIENCE;
                while upgraded.sender.try_send(Frame::ping("yes")).is_err() {
                    assert!(kind == Kind::Elsewhere && Instant::now() < until, "a ping is refused");
                    std::thread::yield_now();
                }
                seen.store(n, Ordering::SeqCst);
            })
            .on_drained(|drained, _| drained.sender.do_send(Frame::text("there is room")))
            .up();
        let mut peer = site.peer();
        site.upgraded();
        let until = Instant::now() + crate::peer::PATIENCE;
        while sent.load(Ordering::SeqCst) == 0 {
            assert!(Instant::now() < until, "the handler never meets the limit");
            std::thread::sleep(Duration::from_millis(1));
        }
        let sent = sent.load(Ordering::SeqCst);
        eprintln!("t30: limit {MIB} bytes unsent, and one frame: {sent} of 64 KiB were taken");
        assert!((16..=17).contains(&sent) || kind == Kind::Elsewhere, "{sent} frames of 64 KiB in 1 MiB");
        for _ in 0..sent {
            peer.hears(binary(vec![1; 64 << 10]));
        }
        peer.hears(ping("yes")).hears(text("there is room"));
    });
}

#[test]
fn t30_send_fails_for_those_that_are_not_written() {
    with_each_handler(|plan| {
        let kind = plan.kind;
        let sendings = Arc::new(Mutex::new(Vec::new()));
        let kept = sendings.clone();
        let site = plan
            .websocket(|settings| settings.closing_timeout(Duration::from_millis(300)).unsent_limits(64 << 10, 32 * MIB))
            .on_upgraded(move |upgraded, _| {
                let mut kept = kept.lock().unwrap();
                kept.extend((0..1024).map(|_| upgraded.sender.send(Frame::binary(vec![1; 64 << 10]))));
            })
            .up();
        let _peer = site.peer();
        site.closed();
        let sendings = std::mem::take(&mut *sendings.lock().unwrap());
        assert_eq!(sendings.len(), 1024);
        let results: Vec<_> = sendings.into_iter().map(Site::wait).collect();
        assert!(results.contains(&Err(SendError::Full)), "those offered at the limit");
        assert!(results.contains(&Err(SendError::Closed)), "those taken and not written");
        // In order: written, not written, not taken.
        let place = |result: &Result<SendStatus, SendError>| match result {
            Ok(_) => 0,
            Err(SendError::Closed) => 1,
            Err(_) => 2,
        };
        let mut kinds: Vec<_> = results.iter().map(place).collect();
        if kind == Kind::Elsewhere {
            // The websocket, on its own thread, takes and closes while the handler is still sending: only what is written comes first for sure.
            kinds.iter_mut().for_each(|kind| *kind = 1.min(*kind));
        }
        assert!(kinds.is_sorted(), "{kinds:?}");
    });
}

/// Also if all of it left at once: who saw that the soft limit was passed may be waiting.
#[test]
fn drained_follows_whenever_more_than_the_soft_limit_was_unsent() {
    with_each_handler(|plan| {
        let site = plan
            .on_upgraded(|upgraded, _| {
                upgraded.sender.do_send(Frame::binary(vec![1; 100 << 10]));
                assert!(upgraded.sender.buffered_amount() > 64 << 10);
            })
            .on_drained(|drained, _| {
                assert!(drained.sender.buffered_amount() <= 64 << 10);
                drained.sender.do_send(Frame::text("room"));
            })
            .up();
        let mut peer = site.peer();
        peer.hears(binary(vec![1; 100 << 10])).hears(text("room"));
        // Below it, nothing is to be told.
        site.upgraded();
        site.until(|heard| matches!(heard, Heard::Drained).then_some(()));
        peer.says(text("small")).hears(text("small"));
        site.hears_text("small");
        site.hears_no_more_for(Duration::from_millis(20));
    });
}

/// A frame offered below the hard limit is taken whole, whatever its size.
#[test]
fn a_frame_larger_than_the_hard_limit_is_taken_whole() {
    with_each_handler(|plan| {
        let site = plan
            .websocket(|settings| settings.unsent_limits(1 << 10, 64 << 10))
            .on_upgraded(|upgraded, _| upgraded.sender.do_send(Frame::binary(vec![3; 20 * MIB])))
            .up();
        let mut peer = site.peer();
        peer.hears(binary(vec![3; 20 * MIB])).says(text("alive")).hears(text("alive"));
    });
}

/// While output is blocked: pings go out behind it, and the deadline for the pong stands still, for we do not read.
#[test]
fn t30_timers_go_on_while_output_is_blocked() {
    with_each_handler_at_once(|plan| {
        let site = plan
            .ping(Duration::from_secs(3))
            .websocket(|settings| settings.unsent_limits(64 << 10, 64 * MIB))
            .on_upgraded(|upgraded, _| upgraded.sender.do_send(Frame::binary(vec![1; 16 * MIB])))
            .up();
        let mut peer = site.peer();
        site.upgraded();
        std::thread::sleep(Duration::from_millis(6500));
        peer.hears(binary(vec![1; 16 * MIB]));
        let next = peer.next();
        assert_eq!(next.first, 0x89, "{next:?}");
        peer.says(text("alive"));
        loop {
            let frame = peer.next();
            if frame.first != 0x89 {
                assert_eq!(frame, text("alive"));
                break;
            }
        }
    });
}

/// A peer that reads nothing while it asks: we read no more than its own appetite allows. While output is blocked only the newest ping is kept, by stages
/// and by those that are hosted: no more waits than the soft limit and one pong. The last ping is answered, and no pong is heard that was not asked for.
#[test]
fn t25_a_ping_flood_is_answered_or_felt() {
    // More than are ever passed over for a newer one.
    const NUMBERS: usize = 20_000;
    with_each_handler(|plan| {
        let lines = if matches!(plan.kind, Kind::Fed | Kind::Made | Kind::Shared) { 1 } else { 2 };
        let site = plan.up();
        let mut peer = site.peer();
        let socket = site.upgraded();
        let body = |n: usize| format!("{n:0125}");
        let flood: Vec<u8> = (0..NUMBERS).flat_map(|n| ping(body(n)).bytes(Some([9, 9, 9, 9]))).collect();
        let taken = peer.says_until_blocked(&flood, 64 * MIB, BLOCKED);
        assert!(taken < 64 * MIB, "the flood is taken without end");
        // Where `AutoPong` is hosted above a hosted `AutoPing`, on the line of each.
        let (limit, waits) = (lines * ((64 << 10) + 125 + 64), socket.buffered_amount());
        eprintln!("t25: limit {limit} bytes (the soft limit and one pong), {waits} wait behind {taken} bytes of pings");
        assert!(waits <= limit, "{waits} bytes of pongs wait");
        let pings = taken / (flood.len() / NUMBERS);
        let mut asked = (0..pings).map(|n| n % NUMBERS);
        let mut answered = 0;
        loop {
            let heard = peer.next();
            assert!(asked.any(|n| heard == pong(body(n))), "{heard:?} was not asked for, or not in this order");
            answered += 1;
            if asked.len() == 0 {
                break;
            }
        }
        eprintln!("{pings} pings taken, {answered} answered");
        assert!(answered > 10_000.min(pings - 1), "while output flows each is answered");
    });
}

/// Two of ours that only send: neither reads, and the stall ends it.
#[test]
fn two_of_ours_that_flood_each_other_end() {
    over_each(|transport| {
        for kind in [Kind::Fed, Kind::Shared] {
            let flood = |plan: Plan| {
                plan.websocket(|settings| {
                    settings
                        .unsent_limits(64 << 10, 64 * MIB)
                        .frame_size_limit(64 << 20)
                        .message_size_limit(64 << 20)
                        .write_stall(Duration::from_millis(500))
                        .closing_timeout(Duration::from_millis(500))
                })
                .on_frame(|_, _| {})
                .on_upgraded(|upgraded, _| {
                    for _ in 0..32 {
                        upgraded.sender.do_send(Frame::binary(vec![1; MIB]));
                    }
                })
            };
            let server = flood(Plan::new(kind, transport)).up();
            let client = flood(Plan::new(kind, transport)).visits(&server.url());
            let (one, other) = (server.closed(), client.closed());
            assert!([one.code, other.code].contains(&CloseCode::POLICY_VIOLATION), "{one:?} {other:?}");
        }
    });
}
