//! The budget of the process: what all its websockets and HTTP connections, accepted and made, have buffered, counted in coarse steps.
//!
//! Where no limit is set, which is the default, a turn looks at one number and nothing is counted. Where one is, a connection whose sum has changed by a
//! step says so at the end of its turn, under one lock; those with little never do.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};

use super::line::{Peer, Signal};
use crate::budget::Ledger;

/// The step in which a websocket is counted: what it has is rounded down to a multiple of it.
pub(crate) const STEP: usize = 8 << 10;

static LEDGER: LazyLock<Mutex<Ledger<Weak<dyn Peer>>>> = LazyLock::new(|| Mutex::new(Ledger::new()));
/// The limit, and whether those above it must not read: what every turn looks at.
static LIMIT: AtomicUsize = AtomicUsize::new(usize::MAX);
static PRESSED: AtomicBool = AtomicBool::new(false);
static CLOSING: AtomicBool = AtomicBool::new(false);

/// How much the websockets and the HTTP connections of this process, accepted and made, may have buffered together: unsent bytes, bytes that handlers have in
/// hand, and messages that are not all there. The content of a request is in hand until its answer is complete; content that is told as it comes, of requests and
/// of responses, until its senders are dropped. A response that is told whole is its asker's, and counts no more. No limit by default. It holds for the whole
/// process, all systems and arbiters in it.
///
/// Above the limit nobody is read, so that their peers feel TCP's back-pressure, but for one at a time that is within a message: it reads that to its
/// end. What is to be written is written, and a peer's deadlines stand still while it is not read. Reading goes on at seven eighths of the limit, in the order
/// in which they were stopped. Each is counted in steps of 8 KiB at the end of its turn; so what is buffered may pass the limit by 8 KiB and one read
/// (64 KiB) for each, the one message that is read to its end, and what handlers go on sending, which has its own limit.
///
/// A connection that we have made is within a message while it waits for a response: what others hold may wait for just that. Content that is told as it comes
/// is read above the limit only while nothing of it is in hand.
///
/// ```
/// use actix_sockets::Budget;
///
/// Budget::bytes(512 << 20).close_largest().set();
/// assert_eq!(Budget::buffered(), 0);
/// # Budget::unlimited().set();
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use = "it holds once it is set"]
pub struct Budget {
    limit: usize,
    close_largest: bool,
}

impl Budget {
    /// So many bytes.
    pub const fn bytes(limit: usize) -> Self {
        Self { limit, close_largest: false }
    }

    /// No limit, and nothing is counted: the default.
    pub const fn unlimited() -> Self {
        Self::bytes(usize::MAX)
    }

    /// Above the limit the websocket that has most is closed with 1008; an HTTP connection that has most is cut.
    pub const fn close_largest(mut self) -> Self {
        self.close_largest = true;
        self
    }

    /// From now on, for the whole process.
    pub fn set(self) {
        LIMIT.store(self.limit, Ordering::SeqCst);
        CLOSING.store(self.close_largest, Ordering::SeqCst);
        decide(|ledger| ledger.set_limit(self.limit));
    }

    /// How much is counted at the moment: whole steps of 8 KiB, of connections that have had a turn since a limit was set.
    #[must_use]
    pub fn buffered() -> usize {
        ledger().total()
    }
}

fn ledger() -> MutexGuard<'static, Ledger<Weak<dyn Peer>>> {
    LEDGER.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Decides something, and wakes whom that concerns.
fn decide(decision: impl FnOnce(&mut Ledger<Weak<dyn Peer>>) -> Vec<Weak<dyn Peer>>) {
    let mut ledger = ledger();
    let woken = decision(&mut ledger);
    PRESSED.store(ledger.is_pressed(), Ordering::SeqCst);
    let largest = if CLOSING.load(Ordering::Relaxed) { ledger.largest() } else { None };
    drop(ledger);
    woken.iter().filter_map(Weak::upgrade).for_each(|peer| peer.nudge());
    if let Some(largest) = largest.and_then(|largest| largest.upgrade()) {
        largest.signal(Signal::OverBudget);
    }
}

/// What one connection has of it. Given back when it is dropped.
pub(crate) struct Share {
    id: u64,
    line: Weak<dyn Peer>,
    /// As it was counted last.
    counted: usize,
    /// It is in the ledger, be it to wait.
    known: bool,
    /// It reads although there is no room.
    finishing: bool,
}

impl Share {
    pub(crate) fn new(line: Weak<dyn Peer>) -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let id = NEXT.fetch_add(1, Ordering::Relaxed) as u64;
        Self { id, line, counted: 0, known: false, finishing: false }
    }

    /// Whether anything is to be counted.
    #[inline]
    pub(crate) fn is_on(&self) -> bool {
        LIMIT.load(Ordering::Relaxed) != usize::MAX || self.counted > 0
    }

    /// It has so many bytes now.
    pub(crate) fn settle(&mut self, bytes: usize) {
        let limited = LIMIT.load(Ordering::Relaxed) != usize::MAX;
        let steps = if limited { bytes / STEP * STEP } else { 0 };
        if steps != self.counted {
            (self.counted, self.known) = (steps, true);
            decide(|ledger| ledger.settle(self.id, steps, || self.line.clone()));
        }
    }

    /// Whether it may read: if not, its connection is woken when it may.
    #[inline]
    pub(crate) fn may_read(&mut self, within_message: bool) -> bool {
        !PRESSED.load(Ordering::Relaxed) || self.ask(within_message)
    }

    #[inline(never)]
    fn ask(&mut self, within_message: bool) -> bool {
        if !within_message {
            // What it has read to its end was nothing to be told of, a ping: it is another one's turn all the same.
            self.told();
        }
        self.known = true;
        let may = ledger().may_read(self.id, within_message, || self.line.clone());
        self.finishing = may && within_message;
        may
    }

    /// A message is complete: another one's turn, if this one has read although there was no room.
    #[inline]
    pub(crate) fn told(&mut self) {
        if std::mem::take(&mut self.finishing) {
            decide(|ledger| ledger.finished(self.id));
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if self.known {
            decide(|ledger| ledger.leave(self.id));
        }
    }
}

/// The share of an HTTP connection: most never have anything to be counted, and none is made for them.
#[derive(Default)]
pub(crate) struct Lazy(Option<Box<Share>>);

impl Lazy {
    fn share<P: Peer + 'static>(&mut self, peer: &Arc<P>) -> &mut Share {
        self.0.get_or_insert_with(|| Box::new(Share::new(Arc::<P>::downgrade(peer))))
    }

    /// As [`Share::may_read`].
    #[inline]
    pub(crate) fn may_read(&mut self, within_message: impl FnOnce() -> bool, peer: &Arc<impl Peer + 'static>) -> bool {
        !PRESSED.load(Ordering::Relaxed) || self.share(peer).ask(within_message())
    }

    /// As [`Share::settle`], where there is anything to be counted.
    #[inline]
    pub(crate) fn settle(&mut self, bytes: impl FnOnce() -> usize, peer: &Arc<impl Peer + 'static>) {
        if LIMIT.load(Ordering::Relaxed) != usize::MAX || self.0.is_some() {
            let bytes = bytes();
            if bytes >= STEP || self.0.is_some() {
                self.share(peer).settle(bytes);
            }
        }
    }

    /// Whether there is anything to be counted, or was: then it matters what is given back.
    #[inline]
    pub(crate) fn is_known(&self) -> bool {
        self.0.is_some()
    }

    /// As [`Share::told`].
    #[inline]
    pub(crate) fn told(&mut self) {
        if let Some(share) = &mut self.0 {
            share.told();
        }
    }
}
