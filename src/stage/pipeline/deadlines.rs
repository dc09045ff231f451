//! What a websocket waits for, and how long: the rest of a message, a peer that takes what is written, its FIN.

use std::time::{Duration, Instant};

use super::{Pause, Phase, Pipeline};
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

    /// How many bytes a second the peer must take while output waits, after a grace of [`stall_within`](Self::stall_within) (240; 0 asks for no rate): after that the
    /// transport is given up.
    #[must_use]
    pub fn output_rate(mut self, bytes: u32) -> Self {
        self.output_rate = bytes;
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
            self.pace.rests();
        } else if progress || self.stalled.is_none() {
            self.stalled = Some(now);
            if progress {
                self.pace.took(&self.base.output, self.output_rate, self.stall_within, now);
            }
        }
        self.base.release_pong();
    }

    /// Reading is suspended, or taken up again: while it is, silence is not the peer's fault. A message that is incomplete has the time that it had left, if
    /// the pause was ours; one that the peer brings about, by not taking what is written, costs it its own.
    #[inline]
    pub fn suspend(&mut self, pause: Option<Pause>, now: Instant) {
        if pause == Some(Pause::Ours) {
            self.paused = self.paused.or(Some(now));
        } else if let Some(began) = self.paused.take() {
            self.incomplete = self.incomplete.map(|since| since + now.saturating_duration_since(since.max(began)));
        }
        if self.life.suspended && pause.is_none() {
            self.life.last_read = now;
        }
        self.life.suspended = pause.is_some();
    }

    /// Something has come that is not to be read yet, a part of a TLS record: the peer lives.
    pub fn stirred(&mut self, now: Instant) {
        self.life.last_read = now;
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let verdict = self.verdict.as_ref().map(|(_, until)| *until);
        let incomplete = self.incomplete.filter(|_| self.paused.is_none()).and_then(|since| since.checked_add(self.message_within));
        let stalled = self.stalled.and_then(|since| since.checked_add(self.stall_within));
        let finishing = self.finishing.and_then(|since| since.checked_add(self.linger));
        [self.chain.soonest(), verdict, incomplete, stalled, self.pace.deadline(), finishing].into_iter().flatten().min()
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
        if self.paused.is_none() && over(self.incomplete, self.message_within) {
            self.incomplete = None;
            self.fail(CloseCode::POLICY_VIOLATION, format!("a message incomplete for {:.0?}", self.message_within), now);
        }
        let (stalled, slow) = (over(self.stalled, self.stall_within), self.pace.is_over(now));
        if stalled || slow {
            self.stalled = None;
            self.pace.rests();
            let reason = match stalled {
                true => format!("output without progress for {:.0?}", self.stall_within),
                false => format!("slow reader: less than {} bytes a second taken", self.output_rate),
            };
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
