//! A client's deadlines: the response's, its content's, `100 Continue`'s, the connection's.

use std::time::Instant;

use super::HttpError;
use super::client::Client;

impl Client {
    /// When [`handle_timeout`](Self::handle_timeout) is to be called, unless something else happens before.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let wire = self.wire.deadline(&self.settings);
        if !self.wire.is_open() || self.switched {
            return wire;
        }
        [wire, self.response_deadline(), self.content_deadline(), self.continue_deadline(), self.idle_deadline()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Does what is due. To be called at [`deadline`](Self::deadline); at other times it does no harm.
    pub fn handle_timeout(&mut self, now: Instant) {
        let due = |deadline: Option<Instant>| deadline.is_some_and(|deadline| deadline <= now);
        let open = self.wire.is_open();
        if let Some(error) = self.wire.handle_timeout(now, &self.settings).filter(|_| open) {
            self.fail(error, now);
        }
        if !self.wire.is_open() || self.switched {
            return;
        }
        if due(self.response_deadline()) {
            self.fail(HttpError::ResponseTimeout, now);
        } else if due(self.content_deadline()) {
            self.fail(HttpError::ContentTimeout, now);
        } else if due(self.idle_deadline()) {
            match self.in_hand() {
                0 => self.end(now),
                _ if self.incoming.is_some() => self.fail(HttpError::ContentTimeout, now),
                _ => self.fail(HttpError::Abandoned, now),
            }
        } else if due(self.continue_deadline()) {
            // "the client … MAY proceed to send the content" (RFC 9110 §10.1.1).
            self.go_on(now);
        }
    }

    /// From the request's last byte on: until then it is the output's time (see [`Settings::write_stall`](super::Settings::write_stall)).
    fn response_deadline(&self) -> Option<Instant> {
        let oldest = self.waiting.front()?;
        if self.suspended.is_some() || self.incoming.is_some() || oldest.end.is_some() || self.is_outgoing(oldest.number) {
            return None;
        }
        oldest.since.checked_add(self.settings.response_timeout)
    }

    /// While we do not read, the server is not to blame. What is told as it comes has no such deadline.
    fn content_deadline(&self) -> Option<Instant> {
        if self.held_up || self.suspended.is_some() { None } else { self.incoming.as_ref()?.clock.deadline() }
    }

    /// Nothing is under way but the connection itself, or content that is given to nobody any more, or a response that is told as it comes: who says something now
    /// and then, as a stream of events does, takes its time.
    fn idle_deadline(&self) -> Option<Instant> {
        let idle = match (self.waiting.front(), &self.incoming) {
            (None, _) => true,
            (Some(_), Some(incoming)) => incoming.response.is_none() && !self.held_up,
            (Some(oldest), None) => self.is_outgoing(oldest.number),
        };
        if idle && self.suspended.is_none() { self.wire.active.checked_add(self.settings.idle_timeout) } else { None }
    }
}
