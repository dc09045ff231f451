//! The budget of the process: what all its websockets and HTTP connections, accepted and made, have buffered, counted in coarse steps.
//!
//! Where no limit is set, which is the default, a turn looks at one number and nothing is counted. Where one is, a connection whose sum has changed by a
//! step says so at the end of its turn, under one lock; those with little never do.

use std::fmt;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::time::sleep;

use super::clock;
use super::line::{Peer, Signal};
use crate::budget::Ledger;

/// The step in which a websocket is counted: what it has is rounded down to a multiple of it.
pub(crate) const STEP: usize = 8 << 10;

/// The one of this process.
static PROCESS: Account = Account::new();

/// How much the websockets and the HTTP connections of this process, accepted and made, may have buffered together: unsent bytes, bytes that handlers have in
/// hand, and messages that are not all there. The content of a request is in hand until its answer is complete; content that is told as it comes, of requests and
/// of responses, until its senders are dropped or its connection becomes a websocket. A response that is told whole is its asker's, and counts no more. No limit
/// by default. It holds for the whole process, all systems and arbiters in it.
///
/// Above the limit nobody is read, so that their peers feel TCP's back-pressure, but for those that are within a message, one at a time: each reads that to its
/// end, and a websocket no further. What is to be written is written, and a peer's deadlines stand still while it is not read. Reading goes on at seven
/// eighths of the limit, in the order in which they were stopped. Each is counted in steps of 8 KiB, after each read and at the end of its turn; so what is
/// buffered may pass the limit, for each, by 8 KiB, one read (64 KiB; of a large frame 1 MiB) and the message that it was within, where its handler keeps what it is told;
/// where that is a request, by as many more as may be [pipelined](crate::http::Settings::pipelining_limit), or the [window](crate::http::Settings::content_window) of
/// content that is told as it comes; and by what handlers go on sending, which has its own limit.
///
/// **Nobody waits for ever.** Where that has gone on for 30 s without a pause ([`patience`](Self::patience)), those whose peers could have ended it are ended, the largest first,
/// until there is room: they are within a message, or do not take what is written. A websocket is closed with 1008, an HTTP connection is cut. What handlers have in
/// hand ends nobody. So strangers hold up all others so long, and no longer.
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
    patience: Duration,
}

impl Budget {
    /// So many bytes.
    pub const fn bytes(limit: usize) -> Self {
        Self { limit, close_largest: false, patience: Duration::from_secs(30) }
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

    /// How long there may be too much before those are ended who are within a message or do not take what is written, the largest first: 30 s. [`Duration::MAX`] waits for ever.
    pub const fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// From now on, for the whole process.
    pub fn set(self) {
        PROCESS.set(self);
    }

    /// How much is counted at the moment: whole steps of 8 KiB, of connections that have had a turn since a limit was set.
    #[must_use]
    pub fn buffered() -> usize {
        PROCESS.buffered()
    }
}

/// What one budget is for: all of a process.
pub(crate) struct Account {
    ledger: LazyLock<Mutex<Ledger<Weak<dyn Peer>>>>,
    /// The limit, and whether those above it must not read: what every turn looks at.
    limit: AtomicUsize,
    pressed: AtomicBool,
    closing: AtomicBool,
    patience: Mutex<Duration>,
    /// Somebody looks whether there has been too much for too long.
    watched: AtomicBool,
}

impl Account {
    const fn new() -> Self {
        Self {
            ledger: LazyLock::new(|| Mutex::new(Ledger::new())),
            limit: AtomicUsize::new(usize::MAX),
            pressed: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            patience: Mutex::new(Duration::MAX),
            watched: AtomicBool::new(false),
        }
    }

    fn set(&self, budget: Budget) {
        self.limit.store(budget.limit, Ordering::SeqCst);
        self.closing.store(budget.close_largest, Ordering::SeqCst);
        *self.patience.lock().unwrap_or_else(PoisonError::into_inner) = budget.patience;
        self.decide(|ledger| ledger.set_limit(budget.limit));
    }

    fn buffered(&self) -> usize {
        self.ledger().total()
    }

    fn patience(&self) -> Duration {
        *self.patience.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[inline]
    fn is_limited(&self) -> bool {
        self.limit.load(Ordering::Relaxed) != usize::MAX
    }

    #[inline]
    fn is_pressed(&self) -> bool {
        self.pressed.load(Ordering::Relaxed)
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger<Weak<dyn Peer>>> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Decides something, and wakes whom that concerns.
    fn decide(&self, decision: impl FnOnce(&mut Ledger<Weak<dyn Peer>>) -> Vec<Weak<dyn Peer>>) {
        let mut ledger = self.ledger();
        let woken = decision(&mut ledger);
        self.pressed.store(ledger.is_pressed(), Ordering::SeqCst);
        let largest = if self.closing.load(Ordering::Relaxed) { ledger.largest() } else { None };
        drop(ledger);
        woken.iter().filter_map(Weak::upgrade).for_each(|peer| peer.nudge());
        if let Some(largest) = largest.and_then(|largest| largest.upgrade()) {
            largest.signal(Signal::OverBudget);
        }
    }
}

/// Whose budget a connection is counted in: the process's; in tests it may be in a [process of its own](super::test::Process), as far as that goes.
#[derive(Clone, Default)]
pub(crate) struct Whose(#[cfg(feature = "test")] Option<Arc<Account>>);

#[cfg(feature = "test")]
impl Whose {
    pub(crate) fn own(budget: Budget) -> Self {
        let account = Account::new();
        account.set(budget);
        Self(Some(Arc::new(account)))
    }

    pub(crate) fn set(&self, budget: Budget) {
        Account::set(self, budget);
    }

    pub(crate) fn buffered(&self) -> usize {
        Account::buffered(self)
    }
}

impl Deref for Whose {
    type Target = Account;

    #[inline]
    fn deref(&self) -> &Account {
        #[cfg(feature = "test")]
        if let Some(own) = &self.0 {
            return own;
        }
        &PROCESS
    }
}

impl fmt::Debug for Whose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Whose").field("buffered", &Account::buffered(self)).finish_non_exhaustive()
    }
}

/// How often is looked for it whether the budget's patience is over, and whether there is room where it was: a websocket that is ended has 5 s for its closing handshake.
const LOOK: Duration = Duration::from_secs(10);

/// Looks whether there has been too much for too long, as long as there is; on the arbiter of one that waits.
struct Watch(Whose);

impl Watch {
    /// Begins, unless somebody does so already.
    fn begin(whose: &Whose) {
        if !whose.watched.load(Ordering::Relaxed) && !whose.watched.swap(true, Ordering::SeqCst) {
            drop(actix_rt::spawn(Self(whose.clone()).watch()));
        }
    }

    async fn watch(self) {
        let Self(whose) = &self;
        let mut seen = None;
        loop {
            let Some(time) = whose.ledger().pressed() else { return };
            let now = clock::now();
            let since = seen.filter(|(when, _)| *when == time).map_or(now, |(_, since)| since);
            seen = Some((time, since));
            let left = whose.patience().saturating_sub(now.saturating_duration_since(since));
            if left.is_zero() {
                let overdue = whose.ledger().overdue();
                tracing::warn!(
                    connections = overdue.len(),
                    "too much has been buffered for too long: those are ended whose peers could have ended it"
                );
                overdue.iter().filter_map(Weak::upgrade).for_each(|peer| peer.signal(Signal::OverBudget));
            }
            // What is set meanwhile is heard of.
            sleep(if left.is_zero() { LOOK } else { left.min(LOOK) }).await;
        }
    }
}

impl Drop for Watch {
    /// Also where its arbiter has stopped: then the next that must wait has another begin.
    fn drop(&mut self) {
        self.0.watched.store(false, Ordering::SeqCst);
    }
}

/// What one connection holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    pub(crate) bytes: usize,
    /// It is the peer that could end a part of it.
    pub(crate) owed: bool,
}

impl Held {
    /// So many bytes, of which so many are unsent; within a message or not.
    #[inline]
    pub(crate) fn of(bytes: usize, unsent: usize, within_message: bool) -> Self {
        Self { bytes, owed: within_message || unsent >= STEP }
    }
}

/// What one connection has of it. Given back when it is dropped.
pub(crate) struct Share {
    id: u64,
    line: Weak<dyn Peer>,
    whose: Whose,
    /// As it was counted last, and whether its peer could end a part of it.
    counted: usize,
    owed: bool,
    /// It is in the ledger, be it to wait.
    known: bool,
    /// It reads although there is no room.
    finishing: bool,
}

impl Share {
    pub(crate) fn new(line: Weak<dyn Peer>, whose: &Whose) -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let id = NEXT.fetch_add(1, Ordering::Relaxed) as u64;
        Self { id, line, whose: whose.clone(), counted: 0, owed: false, known: false, finishing: false }
    }

    /// Whether anything is to be counted.
    #[inline]
    pub(crate) fn is_on(&self) -> bool {
        self.whose.is_limited() || self.counted > 0
    }

    /// It has so many bytes now; they are [owed](Held::owed) or not.
    pub(crate) fn settle(&mut self, Held { bytes, owed }: Held) {
        let steps = if self.whose.is_limited() { bytes / STEP * STEP } else { 0 };
        if steps != self.counted || owed != self.owed && steps > 0 {
            (self.counted, self.owed, self.known) = (steps, owed, true);
            self.whose.decide(|ledger| {
                let woken = ledger.settle(self.id, steps, || self.line.clone());
                ledger.is_owed(self.id, owed);
                woken
            });
        }
    }

    /// Whether there is too much, and who wants to read must ask.
    #[inline]
    pub(crate) fn is_pressed(&self) -> bool {
        self.whose.is_pressed()
    }

    /// Whether it may read: if not, its connection is woken when it may.
    #[inline]
    pub(crate) fn may_read(&mut self, within_message: bool) -> bool {
        !self.whose.is_pressed() || self.ask(within_message)
    }

    #[inline(never)]
    fn ask(&mut self, within_message: bool) -> bool {
        if !within_message {
            // What it has read to its end was nothing to be told of, a ping: it is another one's turn all the same.
            self.told();
        }
        self.known = true;
        let may = self.whose.ledger().may_read(self.id, within_message, || self.line.clone());
        self.finishing = may && within_message;
        Watch::begin(&self.whose);
        may
    }

    /// Whether it may read to the end of its message only.
    #[inline]
    pub(crate) fn is_finishing(&self) -> bool {
        self.finishing
    }

    /// A message is complete: another one's turn, if this one has read although there was no room.
    #[inline]
    pub(crate) fn told(&mut self) {
        if std::mem::take(&mut self.finishing) {
            self.whose.decide(|ledger| ledger.finished(self.id));
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if self.known {
            self.whose.decide(|ledger| ledger.leave(self.id));
        }
    }
}

/// The share of an HTTP connection: most never have anything to be counted, and none is made for them.
pub(crate) struct Lazy {
    share: Option<Box<Share>>,
    whose: Whose,
}

impl Lazy {
    pub(crate) fn new(whose: &Whose) -> Self {
        Self { share: None, whose: whose.clone() }
    }

    fn share<P: Peer + 'static>(&mut self, peer: &Arc<P>) -> &mut Share {
        let Self { share, whose } = self;
        share.get_or_insert_with(|| Box::new(Share::new(Arc::<P>::downgrade(peer), whose)))
    }

    /// As [`Share::is_pressed`].
    #[inline]
    pub(crate) fn is_pressed(&self) -> bool {
        self.whose.is_pressed()
    }

    /// As [`Share::may_read`].
    #[inline]
    pub(crate) fn may_read(&mut self, within_message: impl FnOnce() -> bool, peer: &Arc<impl Peer + 'static>) -> bool {
        !self.whose.is_pressed() || self.share(peer).ask(within_message())
    }

    /// As [`Share::settle`], where there is anything to be counted.
    #[inline]
    pub(crate) fn settle(&mut self, held: impl FnOnce() -> Held, peer: &Arc<impl Peer + 'static>) {
        if self.whose.is_limited() || self.share.is_some() {
            let held = held();
            if held.bytes >= STEP || self.share.is_some() {
                self.share(peer).settle(held);
            }
        }
    }

    /// Whether there is anything to be counted, or was: then it matters what is given back.
    #[inline]
    pub(crate) fn is_known(&self) -> bool {
        self.share.is_some()
    }

    /// As [`Share::told`].
    #[inline]
    pub(crate) fn told(&mut self) {
        if let Some(share) = &mut self.share {
            share.told();
        }
    }
}
