//! What handlers have in hand, and who is woken when they let go of it.

use std::sync::atomic::Ordering;

use super::{Line, Peer, Signal};

/// What an item is worth besides its payload, in hand or in the queue.
pub(super) const OVERHEAD: usize = 64;

impl Line {
    /// What an item of this payload is worth while it is in hand, and while it waits in the queue.
    #[inline]
    pub(crate) fn worth(payload: usize) -> usize {
        payload + OVERHEAD
    }

    #[inline]
    pub(crate) fn hand_out(&self, worth: usize) {
        self.in_hand.fetch_add(worth, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn in_hand(&self) -> usize {
        self.in_hand.load(Ordering::SeqCst)
    }

    /// Asks for a wake once less than `limit` is in hand. Tells whether that is so already.
    pub(crate) fn wake_below(&self, limit: usize) -> bool {
        self.wake_below.store(limit, Ordering::SeqCst);
        self.in_hand() < limit
    }

    #[inline]
    pub(in crate::actor) fn give_back(&self, worth: usize) {
        let left = if planted!(CreditTwice) {
            let twice = |left: usize| Some(left.saturating_sub(2 * worth));
            self.in_hand.fetch_update(Ordering::SeqCst, Ordering::SeqCst, twice).unwrap_or_default().saturating_sub(2 * worth)
        } else {
            self.in_hand.fetch_sub(worth, Ordering::SeqCst) - worth
        };
        if left < self.wake_below.load(Ordering::SeqCst) {
            self.wake_below.store(0, Ordering::SeqCst);
            self.wake(&mut self.queue.lock());
        }
        if std::thread::panicking() {
            self.signal(Signal::Check);
        }
    }
}
