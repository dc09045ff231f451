//! The budget of the process, over connections in memory and on virtual time. It is one for all, so the tests take turns.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actix::prelude::*;
use actix_sockets::stage::AutoPong;
use actix_sockets::test::{self, Peer};
use actix_sockets::websocket::{CloseCode, OpCode};
use actix_sockets::{Budget, Closed, Frame, Overflow, Received, Socket, WebSocketSettings, WebSockets};

mod client;
mod http;
mod own;

/// No bug is planted here.
#[cfg(target_os = "linux")]
macro_rules! planted {
    ($bug:ident) => {
        false
    };
}

/// The ledger itself, which is pure.
#[cfg(target_os = "linux")]
#[allow(dead_code, reason = "others use more of it")]
#[path = "../../src/budget.rs"]
mod ledger;

const KIB: usize = 1 << 10;
const LIMIT: usize = 256 * KIB;
/// What is counted is rounded down to it.
const STEP: usize = 8 * KIB;
/// What may come in one read.
const READ: usize = 64 * KIB;

fn one_at_a_time() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The limit, until it is dropped.
struct Limited(#[expect(dead_code, reason = "held")] MutexGuard<'static, ()>);

fn limited(budget: Budget) -> Limited {
    let turn = one_at_a_time();
    assert_eq!(Budget::buffered(), 0, "something is left of an earlier test");
    budget.set();
    Limited(turn)
}

impl Drop for Limited {
    fn drop(&mut self) {
        Budget::unlimited().set();
    }
}

/// Keeps all that it is told.
#[derive(Clone, Default)]
struct Keeper {
    kept: Rc<RefCell<Vec<(Frame, Socket)>>>,
    closed: Rc<RefCell<Vec<CloseCode>>>,
}

impl Actor for Keeper {
    type Context = Context<Self>;
}

impl Handler<Received<Frame>> for Keeper {
    type Result = ();
    fn handle(&mut self, Received { message, sender }: Received<Frame>, _: &mut Self::Context) {
        self.kept.borrow_mut().push((message, sender));
    }
}

impl Handler<Received<Closed>> for Keeper {
    type Result = ();
    fn handle(&mut self, received: Received<Closed>, _: &mut Self::Context) {
        self.closed.borrow_mut().push(received.message.code);
    }
}

thread_local! {
    static KEEPER: Keeper = Keeper::default();
}

async fn peer() -> Peer {
    let handler = || WebSockets::handled_by(|| KEEPER.with(Clone::clone)).upgrading(|upgrade| upgrade.stages(AutoPong).hears::<Closed>());
    test::websocket(handler, "/").await
}

/// One whose fragments are told one by one.
async fn peer_of_fragments() -> Peer {
    test::websocket(|| WebSockets::handled_by(|| KEEPER.with(Clone::clone)).upgrading(actix_sockets::Upgrade::fragments), "/").await
}

fn heard() -> usize {
    KEEPER.with(|keeper| keeper.kept.borrow().len())
}

fn lets_go() {
    drop(KEEPER.with(|keeper| std::mem::take(&mut *keeper.kept.borrow_mut())));
}

async fn a_moment() {
    test::pass(Duration::from_millis(10)).await;
}

/// A message of this length but for its end.
fn begun(length: usize) -> Vec<u8> {
    let mut bytes = vec![0x82, 0x80 | 126];
    bytes.extend((length as u16).to_be_bytes());
    bytes.extend([0; 4]);
    bytes.extend(vec![7; length - 1]);
    bytes
}

/// What handlers have in hand: one more reads than there is room for, all wait then, and go on once seven eighths are left.
#[test]
fn above_the_limit_nobody_is_read_and_below_it_all_are() {
    let _limited = limited(Budget::bytes(LIMIT));
    test::run(async {
        let mut peers = Vec::new();
        for _ in 0..8 {
            peers.push(peer().await);
        }
        for peer in &mut peers {
            peer.says(Frame::binary(vec![1; 48 * KIB])).await;
            a_moment().await;
        }
        let (heard_above, counted) = (heard(), Budget::buffered());
        eprintln!("limit {LIMIT}, counted {counted}, {heard_above} of 8 messages of 48 KiB are in hand");
        assert_eq!(heard_above, 6, "the one that passes the limit is the last");
        assert!(counted > LIMIT && counted <= LIMIT + READ + STEP, "{counted}");
        // A small one does not get in either, nor a ping; what a handler says goes out.
        peers[0].says(Frame::ping("now?")).await;
        KEEPER.with(|keeper| keeper.kept.borrow()[0].1.do_send(Frame::text("out")));
        assert_eq!(peers[0].hears().await, Frame::text("out"));
        peers[0].hears_nothing_for(Duration::from_secs(1)).await;
        lets_go();
        assert_eq!(peers[0].hears().await.opcode, OpCode::Pong);
        a_moment().await;
        assert_eq!(heard(), 2, "those that waited");
        lets_go();
        a_moment().await;
        assert_eq!(Budget::buffered(), 0, "all is given back");
    });
}

/// At the limit nothing is stopped: n and n + 1.
#[test]
fn at_the_limit_reading_goes_on() {
    let _limited = limited(Budget::bytes(6 * 48 * KIB));
    test::run(async {
        let mut peers = Vec::new();
        for _ in 0..8 {
            peers.push(peer().await);
        }
        for peer in &mut peers {
            peer.says(Frame::binary(vec![1; 48 * KIB])).await;
            a_moment().await;
        }
        assert_eq!(heard(), 7, "six fill it, the seventh passes it, the eighth waits");
        lets_go();
        a_moment().await;
        assert_eq!(heard(), 1);
        lets_go();
    });
}

/// Messages that are not all there fill the budget: one after the other is read to its end, so that nobody waits for ever.
#[test]
fn messages_that_fill_it_are_finished_one_by_one() {
    let _limited = limited(Budget::bytes(LIMIT));
    test::run(async {
        let length = 60 * KIB;
        let mut peers = Vec::new();
        for _ in 0..6 {
            peers.push(peer().await);
        }
        for peer in &mut peers {
            peer.says_bytes(&begun(length)).await;
            a_moment().await;
        }
        let counted = Budget::buffered();
        eprintln!("limit {LIMIT}, counted {counted} of messages that are not all there");
        assert!(counted > LIMIT && counted <= LIMIT + length + STEP, "{counted}");
        assert_eq!(heard(), 0);
        for peer in &mut peers {
            peer.says_bytes(&[7]).await;
        }
        a_moment().await;
        assert_eq!(heard(), 5, "those that had begun; the sixth is not to begin");
        lets_go();
        a_moment().await;
        assert_eq!(heard(), 1);
        lets_go();
        a_moment().await;
        assert_eq!(Budget::buffered(), 0);
    });
}

/// Those who begin messages and do not end them hold up the others for so long, and no longer: the largest go, as many as it takes. n and n + 1.
#[test]
fn t23_messages_that_do_not_end_hold_up_the_others_for_a_while_and_no_longer() {
    for patience in [None, Some(Duration::from_secs(3))] {
        let budget = Budget::bytes(LIMIT);
        let _limited = limited(patience.map_or(budget, |patience| budget.patience(patience)));
        let patience = patience.unwrap_or(Duration::from_secs(30));
        test::run(async move {
            let mut friend = peer().await;
            let mut strangers = Vec::new();
            for _ in 0..6 {
                strangers.push(peer().await);
            }
            for (number, stranger) in strangers.iter_mut().enumerate() {
                stranger.says_bytes(&begun(if number == 2 { 60 * KIB } else { 50 * KIB })).await;
                a_moment().await;
            }
            let counted = Budget::buffered();
            assert!(counted > LIMIT, "{counted}");
            friend.says(Frame::text("hello")).await;
            test::pass(patience - Duration::from_millis(100)).await;
            assert_eq!((heard(), Budget::buffered()), (0, counted), "nobody is read");
            test::pass(Duration::from_millis(120)).await;
            let left = Budget::buffered();
            println!("t23: {counted} bytes of messages that do not end, limit {LIMIT}: after {patience:?} {left}, and the friend is heard");
            assert_eq!((heard(), left <= LIMIT / 8 * 7, left > LIMIT / 2), (1, true, true));
            for (number, stranger) in strangers.iter_mut().enumerate() {
                match number {
                    // The largest, and of those that have as much who came first.
                    0 | 2 => assert_eq!(stranger.hears().await.close_reason().unwrap().0, CloseCode::POLICY_VIOLATION),
                    _ => stranger.hears_nothing_for(Duration::from_millis(1)).await,
                }
            }
            lets_go();
        });
    }
}

/// Nor do those who take no more of what is written than keeps them there.
#[test]
fn t30_slow_readers_hold_up_the_others_for_a_while_and_no_longer() {
    let patience = Duration::from_secs(30);
    let _limited = limited(Budget::bytes(LIMIT));
    test::run(async move {
        let (mut friend, mut slow) = (peer().await, vec![peer().await, peer().await]);
        for peer in &mut slow {
            peer.says(Frame::text("more")).await;
        }
        a_moment().await;
        KEEPER.with(|keeper| keeper.kept.take().iter().for_each(|(_, socket)| socket.do_send(Frame::binary(vec![7; 300 * KIB]))));
        a_moment().await;
        let counted = Budget::buffered();
        assert!(counted > LIMIT, "{counted}");
        friend.says(Frame::text("hello")).await;
        for _ in 0..2 {
            test::pass(patience / 2 - Duration::from_millis(100)).await;
            assert_eq!(heard(), 0, "nobody is read");
            for peer in &mut slow {
                assert!(peer.hears_bytes().await.is_some_and(|bytes| bytes.len() < 100 * KIB));
            }
        }
        test::pass(Duration::from_millis(300)).await;
        println!(
            "t30: {counted} bytes that are taken slowly, limit {LIMIT}: after {patience:?} {}, and the friend is heard",
            Budget::buffered()
        );
        assert_eq!(heard(), 1);
        lets_go();
    });
}

/// What takes the place of an older message of its key may be longer: that is counted, though nothing more can be written.
#[test]
fn a_message_that_grows_in_its_place_counts() {
    let _limited = limited(Budget::bytes(64 * LIMIT));
    test::run(async {
        let settings = WebSocketSettings::new().unsent_limits(STEP, LIMIT).overflow(Overflow::Conflate);
        let handler = move || {
            let settings = settings.clone();
            WebSockets::handled_by(|| KEEPER.with(Clone::clone)).upgrading(move |upgrade| upgrade.settings(settings.clone()))
        };
        let mut peer = test::websocket(handler, "/").await;
        peer.says(Frame::text("more")).await;
        a_moment().await;
        let (_, socket) = KEEPER.with(|keeper| keeper.kept.take()).remove(0);
        socket.do_send(Frame::binary(vec![7; 200 * KIB]));
        a_moment().await;
        socket.do_send(Frame::binary(vec![7; KIB]).keyed("price"));
        a_moment().await;
        let before = Budget::buffered();
        socket.do_send(Frame::binary(vec![7; 40 * KIB]).keyed("price"));
        a_moment().await;
        assert_eq!(Budget::buffered(), before + 40 * KIB);
        socket.do_send(Frame::binary(vec![7; KIB]).keyed("price"));
        a_moment().await;
        assert_eq!(Budget::buffered(), before);
    });
}

/// What is read to its end may be a frame that no handler hears of: then it is the next one's turn, too.
#[test]
fn a_ping_that_came_in_two_holds_up_nobody() {
    let _limited = limited(Budget::bytes(LIMIT));
    test::run(async {
        let mut pings = peer().await;
        pings.says_bytes(&[0x89, 0x80]).await;
        a_moment().await;
        let mut peers = Vec::new();
        for _ in 0..5 {
            let mut peer = peer().await;
            peer.says_bytes(&begun(60 * KIB)).await;
            a_moment().await;
            peers.push(peer);
        }
        assert!(Budget::buffered() > LIMIT, "{}", Budget::buffered());
        pings.says_bytes(&[0; 4]).await;
        assert_eq!(pings.hears().await, Frame::pong(""));
        for peer in &mut peers {
            peer.says_bytes(&[7]).await;
        }
        a_moment().await;
        assert_eq!(heard(), 5);
        lets_go();
        a_moment().await;
        assert_eq!(Budget::buffered(), 0);
    });
}

/// T23: fragments of no byte and of one, as many as a message may have. What is counted of them is bounded: where the library puts them together by their
/// bytes, where a handler keeps each of them by its window and one read.
#[test]
fn t23_tiny_fragments_are_counted_within_a_limit() {
    const WINDOW: usize = 256 * KIB;
    const FRAGMENTS: usize = 16_384;
    let _limited = limited(Budget::bytes(usize::MAX - 1));
    test::run(async {
        for (payload, whole) in [(&[][..], true), (&[7], true), (&[], false), (&[7], false)] {
            let mut peer = if whole { peer().await } else { peer_of_fragments().await };
            let fragment = |first| [&[first, 0x80 | payload.len() as u8, 0, 0, 0, 0][..], payload].concat();
            let mut bytes = fragment(0x02);
            (1..FRAGMENTS).for_each(|_| bytes.extend(fragment(0x00)));
            peer.says_bytes(&bytes).await;
            a_moment().await;
            let (counted, told) = (Budget::buffered(), heard());
            let worth = if whole { FRAGMENTS * payload.len() } else { told * (64 + payload.len()) };
            // A read of 64 KiB is of so many fragments, and each of them may be kept.
            let bound = if whole { FRAGMENTS } else { WINDOW + READ / (6 + payload.len()) * (64 + payload.len()) };
            println!(
                "{FRAGMENTS} fragments of {}, put together: {whole}; {told} in hand, {counted} bytes counted, at most {bound}",
                payload.len()
            );
            assert!(counted + STEP > worth && counted <= bound, "{counted} {worth} {bound}");
            assert!(if whole { told == 0 } else { told > 0 && told < FRAGMENTS }, "where they are kept, not all are read: {told}");
            drop(peer);
            // The rest, if any is left, and then the end.
            for _ in 0..2 {
                lets_go();
                test::pass(Duration::from_secs(1)).await;
            }
            assert_eq!(Budget::buffered(), 0);
        }
    });
}

/// The largest offender goes, and the others with it go on.
#[test]
fn the_largest_is_closed_where_that_is_wanted() {
    let _limited = limited(Budget::bytes(LIMIT).close_largest());
    test::run(async {
        let (mut large, mut small) = (peer().await, peer().await);
        for _ in 0..3 {
            large.says(Frame::binary(vec![1; 60 * KIB])).await;
        }
        small.says(Frame::binary(vec![2; 60 * KIB])).await;
        a_moment().await;
        assert_eq!(heard(), 4);
        small.says(Frame::binary(vec![2; 60 * KIB])).await;
        let close = large.hears().await;
        assert_eq!(close.close_reason().unwrap().0, CloseCode::POLICY_VIOLATION, "{close:?}");
        drop(large);
        a_moment().await;
        lets_go();
        a_moment().await;
        small.says(Frame::ping("alive")).await;
        assert_eq!(small.hears().await, Frame::pong("alive"));
        assert_eq!(KEEPER.with(|keeper| keeper.closed.borrow().clone()), [CloseCode::POLICY_VIOLATION]);
    });
}

/// A websocket that ends gives back what it had; and without a limit nothing is counted.
#[test]
fn the_end_gives_back_and_without_a_limit_nothing_is_counted() {
    let limited = limited(Budget::bytes(LIMIT));
    test::run(async {
        let mut peer = peer().await;
        peer.says(Frame::binary(vec![1; 60 * KIB])).await;
        a_moment().await;
        assert_eq!(Budget::buffered(), 56 * KIB, "whole steps");
        drop(peer);
        // A verdict waits a quarter of a second for what is in hand.
        test::pass(Duration::from_secs(1)).await;
        assert_eq!(Budget::buffered(), 0);
    });
    drop(limited);
    let _turn = one_at_a_time();
    test::run(async {
        let mut peer = peer().await;
        peer.says(Frame::binary(vec![1; 60 * KIB])).await;
        a_moment().await;
        assert_eq!(Budget::buffered(), 0);
        lets_go();
    });
}

/// There is one ledger, behind one lock: so nothing in it may take longer because many wait.
#[cfg(target_os = "linux")]
#[test]
fn many_that_wait_cost_no_more_than_few() {
    /// How much processor time this thread has used.
    fn used() -> u64 {
        let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
        stat.split_whitespace().next().unwrap().parse().unwrap()
    }
    let each = |many: u64| {
        let mut ledger = ledger::Ledger::<u64>::new();
        ledger.set_limit(LIMIT);
        ledger.settle(0, LIMIT + 1, || 0);
        let before = used();
        assert!(ledger.may_read(1, true, || 1), "it reads its message to the end");
        for id in 2..=many {
            assert!(!ledger.may_read(id, id % 2 == 0, || id));
            ledger.settle(id, STEP, || id);
            assert_eq!(ledger.largest(), Some(0));
        }
        for id in 1..=many {
            ledger.leave(id);
        }
        assert_eq!(ledger.total(), LIMIT + 1);
        (used() - before) / many
    };
    let (few, many) = (each(1000), each(10_000));
    println!("each of 1000 that wait costs {few} ns of processor time, each of 10 000 {many} ns");
    assert!(many < 4 * few.max(1000), "{few} ns, {many} ns");
}
