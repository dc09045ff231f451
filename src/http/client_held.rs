//! What a client's connection holds, for those who count it, and for those who stop its reading.

use std::time::Instant;

use super::client::Client;

impl Client {
    /// Bytes that are held here, and by whom they were told to: requests that are unsent, what is not parsed, a response that is not all there, and content that
    /// was told as it came and is not [given back](Self::give_back). A response that was told whole is its asker's.
    #[must_use]
    pub fn buffered(&self) -> usize {
        let gathered = self.incoming.as_ref().map_or(0, |incoming| incoming.decoder.gathered());
        // As with a server's content: the start is known to be no bytes only where nothing else can be in hand.
        let told = if self.in_hands == self.start { 0 } else { self.in_hands };
        self.unsent() + self.input.len() + gathered + told
    }

    /// Whether a response is to come, or is not all there: somebody waits for it, and may hold what only it sets free. Of one that is told as it comes that is
    /// so while nothing of it is in hand.
    #[must_use]
    pub fn is_within_message(&self) -> bool {
        let told = self.incoming.as_ref().is_some_and(|incoming| incoming.response.is_none());
        !self.waiting.is_empty() && (!told || self.in_hands == self.start)
    }

    /// Reading is suspended for a reason that is not this connection's, or taken up again: while it is, silence is not the server's fault. It goes on with
    /// the time that it had left, and no more, as [`Server::suspend`](super::Server::suspend) has it.
    pub fn suspend(&mut self, suspended: bool, now: Instant) {
        match self.suspended {
            None if suspended => self.suspended = Some(now),
            Some(began) if !suspended => {
                self.suspended = None;
                let later = |since: Instant| since + now.saturating_duration_since(since.max(began));
                self.wire.active = later(self.wire.active);
                if let Some(oldest) = self.waiting.front_mut() {
                    oldest.since = later(oldest.since);
                }
                if let Some(incoming) = &mut self.incoming {
                    incoming.clock.stood_still(began, now, &self.settings);
                }
            }
            _ => {}
        }
    }
}
