//! What is asked of a server by those who let its requests wait, and by those who count what it holds.

use std::time::Instant;

use super::connection::Server;
use super::exchange::{Answer, Incoming, Way};
use super::{HttpRequest, RequestNumber};

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

    /// How much must be given back until less is held by such a step, or nothing.
    pub(crate) fn counts_back(&self, step: usize) -> Option<usize> {
        Some(self.told.buffered().min(step)).filter(|back| *back > 0)
    }

    /// Reading is suspended for a reason that is not this connection's, or taken up again: while it is, silence is not the peer's fault.
    pub fn suspend(&mut self, suspended: bool, now: Instant) {
        if self.suspended && !suspended {
            self.wire.active = now;
            self.head_since = self.head_since.map(|_| now);
            if let Some(incoming) = &mut self.incoming {
                incoming.clock.stirred(now, &self.settings);
            }
        }
        self.suspended = suspended;
    }
}
