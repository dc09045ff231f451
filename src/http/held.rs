//! What is asked of a server by those who let its requests wait, and by those who count what it holds.

use std::time::Instant;

use super::connection::Server;
use super::exchange::{Answer, Chunks, Incoming, Way};
use super::{Closing, HttpRequest, RequestNumber};

impl Server {
    /// Whether this request waits for an answer, or for its beginning.
    #[must_use]
    pub fn is_awaited(&self, number: RequestNumber) -> bool {
        self.index(number).is_some_and(|index| self.exchanges[index].answer == Answer::Awaited)
    }

    /// Whether the peer has sent FIN: what it has asked for can be answered, but it will say nothing any more.
    #[must_use]
    pub fn has_received_eof(&self) -> bool {
        self.wire.eof
    }

    /// The request, if it is in hand and asks for an upgrade: for what is to be known of it when it has.
    #[must_use]
    pub fn upgrade_request_mut(&mut self, number: RequestNumber) -> Option<&mut HttpRequest> {
        let index = self.index(number)?;
        self.exchanges[index].upgrade.as_deref_mut()
    }

    /// Bytes that are held here, and by whom they were told to: unsent, not parsed, content that is not all there, and that of requests in hand.
    #[must_use]
    pub fn buffered(&self) -> usize {
        let told = self.told.buffered() + self.exchanges.iter().map(|exchange| exchange.content).sum::<usize>();
        self.unsent() + self.input.len() + self.incoming.as_ref().map_or(0, |incoming| incoming.decoder.gathered()) + told
    }

    /// Whether a request has begun to come, is not all there, and can only be got rid of by reading on. Of content that is told as it comes that is so while
    /// nothing of it is in hand.
    #[must_use]
    pub fn is_within_message(&self) -> bool {
        let reads_on = |incoming: &Incoming| !matches!(incoming.way, Way::Told(_)) || self.told.buffered() == 0;
        self.head_since.is_some() || self.incoming.as_deref().is_some_and(reads_on)
    }

    /// Whether the stream, if it ended now, would pass for the end of something that is not complete: bytes are unsent or given up, or a response is under way that
    /// only the connection's end would end (RFC 9112 §8).
    pub(crate) fn is_cut_short(&self) -> bool {
        !self.wire.output.is_empty() || self.wire.closing() == Closing::Abort || self.is_bare()
    }

    /// Whether a response is under way that only the connection's end will end.
    pub(super) fn is_bare(&self) -> bool {
        self.exchanges.front().is_some_and(|front| front.answer == Answer::Streaming(Chunks::Bare))
    }

    /// How much must be given back until less is held by such a step, or nothing.
    pub(crate) fn counts_back(&self, step: usize) -> Option<usize> {
        Some(self.told.buffered().min(step)).filter(|back| *back > 0)
    }

    /// Reading is suspended for a reason that is not this connection's, or taken up again: while it is, silence is not the peer's fault. It goes on with
    /// the time that it had left, and no more: who holds others up as well must not win any by it.
    #[inline]
    pub fn suspend(&mut self, suspended: bool, now: Instant) {
        match self.suspended {
            None if suspended => self.suspended = Some(now),
            Some(began) if !suspended => self.resume(began, now),
            _ => {}
        }
    }

    #[cold]
    fn resume(&mut self, began: Instant, now: Instant) {
        self.suspended = None;
        let later = |since: Instant| since + now.saturating_duration_since(since.max(began));
        self.head_since = self.head_since.map(later);
        self.wire.active = later(self.wire.active);
        if let Some(incoming) = &mut self.incoming {
            incoming.clock.stood_still(began, now, &self.settings);
        }
    }
}
