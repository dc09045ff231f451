//! What a websocket waits for, and how long: the rest of a message, a peer that takes what is written, its FIN.

use std::time::{Duration, Instant};

use super::{Phase, Pipeline};
use crate::stage::Event;
use crate::websocket::CloseCode;

impl<T: From<Event>> Pipeline<T> {
    /// How long a message may be incomplete (60 s): after that the websocket fails with 1008.
    #[must_use]
    pub fn message_within(mut self, within: Duration) -> Self {
        self.message_within = within;
        self
    }

    /// How long output may make no progress (30 s): after that the transport is given up.
    #[must_use]
    pub fn stall_within(mut self, within: Duration) -> Self {
        self.stall_within = within;
        self
    }

    /// How long is waited, after our FIN, for all to be written and for the peer's FIN (5 s).
    #[must_use]
    pub fn linger(mut self, linger: Duration) -> Self {
        self.linger = linger;
        self
    }

    /// `progress` tells whether anything of the output could be written.
    #[inline]
    pub fn wrote(&mut self, progress: bool, now: Instant) {
        if self.base.output.is_empty() {
            self.stalled = None;
        } else if progress || self.stalled.is_none() {
            self.stalled = Some(now);
        }
        self.base.release_pong();
    }

    /// Reading is suspended, or taken up again: while it is, silence is not the peer's fault.
    pub fn suspend(&mut self, suspended: bool, now: Instant) {
        if self.life.suspended && !suspended {
            self.life.last_read = now;
            self.incomplete = self.incomplete.map(|_| now);
        }
        self.life.suspended = suspended;
    }

    /// Something has come that is not to be read yet, a part of a TLS record: the peer lives.
    pub fn stirred(&mut self, now: Instant) {
        self.life.last_read = now;
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let verdict = self.verdict.as_ref().map(|(_, until)| *until);
        let incomplete = self.incomplete.and_then(|since| since.checked_add(self.message_within));
        let stalled = self.stalled.and_then(|since| since.checked_add(self.stall_within));
        let finishing = self.finishing.and_then(|since| since.checked_add(self.linger));
        [self.chain.soonest(), verdict, incomplete, stalled, finishing].into_iter().flatten().min()
    }

    /// A deadline has come, or may have.
    pub fn handle_timeout(&mut self, now: Instant) {
        let over = |since: Option<Instant>, within| since.and_then(|since: Instant| since.checked_add(within)).is_some_and(|at| at <= now);
        if over(self.finishing, self.linger) {
            self.base.phase = Phase::Done;
            return;
        }
        if self.verdict.as_ref().is_some_and(|(_, until)| *until <= now) {
            self.settle(now);
        }
        if over(self.incomplete, self.message_within) {
            self.incomplete = None;
            if self.life.suspended {
                self.incomplete = Some(now);
            } else {
                self.fail(CloseCode::POLICY_VIOLATION, format!("a message incomplete for {:.0?}", self.message_within), now);
            }
        }
        if over(self.stalled, self.stall_within) {
            self.stalled = None;
            let reason = format!("output without progress for {:.0?}", self.stall_within);
            self.fail(CloseCode::POLICY_VIOLATION, reason, now);
            self.base.phase = Phase::Done;
            return;
        }
        self.chain.expire(now, self.life, &mut self.base);
        self.arm(now);
    }

    /// Once it is finishing, it must end.
    #[inline]
    pub(super) fn arm(&mut self, now: Instant) {
        if self.base.phase == Phase::Finishing && self.finishing.is_none() {
            self.deaf = true;
            self.finishing = Some(now);
        }
    }
}
