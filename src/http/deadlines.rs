//! The deadlines of the server's side: one for each kind of silence.

use std::time::{Duration, Instant};

use http::StatusCode;

use super::exchange::Answer;
use super::{Event, HttpDate, HttpError, HttpResponse, RequestNumber, Server, Settings};

/// How long things may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    request: Duration,
    timeout: Duration,
    pub(super) idle: Duration,
}

impl Times {
    pub(super) fn of(settings: &Settings) -> Self {
        Self { request: settings.request_timeout, timeout: settings.timeout_timeout, idle: settings.idle_timeout }
    }

    /// A connection is not idle while its handler may still answer.
    fn agree(&mut self) {
        if self.idle <= self.request {
            self.idle = self.request.saturating_mul(2);
        }
    }
}

impl Server {
    /// Sets [`Settings::request_timeout`] for this connection. An idle timeout that is no longer than this becomes twice as long.
    pub fn set_request_timeout(&mut self, within: Duration) {
        self.times.request = within;
        self.times.agree();
    }

    /// Sets [`Settings::timeout_timeout`] for this connection.
    pub fn set_timeout_timeout(&mut self, within: Duration) {
        self.times.timeout = within;
    }

    /// Sets [`Settings::idle_timeout`] for this connection: to twice the request timeout, if it is no longer than that.
    pub fn set_idle_timeout(&mut self, within: Duration) {
        self.times.idle = within;
        self.times.agree();
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called, unless something else happens before.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        if self.is_at_rest() {
            return self.wire.active.checked_add(self.times.idle);
        }
        self.deadline_under_way()
    }

    #[inline(never)]
    fn deadline_under_way(&self) -> Option<Instant> {
        let wire = self.wire.deadline(&self.settings);
        if !self.wire.is_open() {
            return wire;
        }
        [wire, self.head_deadline(), self.content_deadline(), self.idle_deadline(), self.next_answer_deadline()].into_iter().flatten().min()
    }

    /// Does what is due. To be called at [`deadline`](Self::deadline); at other times it does no harm.
    pub fn handle_timeout(&mut self, now: Instant, date: &HttpDate) {
        let due = |deadline: Option<Instant>| deadline.is_some_and(|deadline| deadline <= now);
        self.clock = Some((now, *date));
        let open = self.wire.is_open();
        if let Some(error) = self.wire.handle_timeout(now, &self.settings).filter(|_| open) {
            self.clear();
            self.events.push_back(Event::Failed(error));
        }
        if !self.wire.is_open() {
            return;
        }
        if due(self.head_deadline()) {
            self.fail(HttpError::HeadTimeout, self.decoder.method(), now);
        } else if due(self.content_deadline()) {
            self.fail_content(HttpError::ContentTimeout, now);
        }
        let mut index = 0;
        while let Some(exchange) = self.exchanges.get(index) {
            if due(self.answer_deadline(index)) {
                if exchange.told || self.times.timeout.is_zero() {
                    self.exchanges[index].close = true;
                    if self.telling() == Some(RequestNumber(self.oldest + index as u64)) {
                        self.abandon_content(HttpError::Unanswered);
                    }
                    self.answer(index, &mut overdue(), now);
                    // The answer may have let others leave: begin again.
                    index = 0;
                    continue;
                }
                self.exchanges[index].told = true;
                let request = self.exchanges[index].kept.clone();
                self.events.push_back(Event::TimedOut { number: RequestNumber(self.oldest + index as u64), request });
                // Both deadlines may have passed.
                continue;
            }
            index += 1;
        }
        if self.wire.is_open() && due(self.idle_deadline()) {
            let inside = !self.exchanges.is_empty();
            tracing::debug!(timeout = ?self.times.idle, "the connection is idle: it is closed");
            self.end(now);
            if inside {
                // A response without its end: an orderly close would complete it in HTTP/1.0.
                self.wire.abort();
            }
        }
    }

    /// Nothing is under way, as behind most turns: the connection is idle, and that is all.
    fn is_at_rest(&self) -> bool {
        self.exchanges.is_empty()
            && self.wire.is_open()
            && self.wire.output.is_empty()
            && self.head_since.is_none()
            && self.incoming.is_none()
            && self.suspended.is_none()
    }

    fn head_deadline(&self) -> Option<Instant> {
        if self.suspended.is_some() {
            return None;
        }
        self.head_since?.checked_add(self.settings.head_timeout)
    }

    fn content_deadline(&self) -> Option<Instant> {
        if self.suspended.is_some() || self.is_content_stopped() {
            return None;
        }
        let incoming = self.incoming.as_ref()?;
        // Who waits to be asked for it waits for us (RFC 9110 §10.1.1).
        if incoming.continue_due { None } else { incoming.clock.deadline() }
    }

    /// The earliest. Requests came one after the other: behind one of which nothing has been told yet none is due before it.
    fn next_answer_deadline(&self) -> Option<Instant> {
        let mut next = None;
        for (index, exchange) in self.exchanges.iter().enumerate() {
            if exchange.answer == Answer::Awaited {
                let deadline = self.answer_deadline(index);
                next = next.into_iter().chain(deadline).min();
                if !exchange.told {
                    break;
                }
            }
        }
        next
    }

    fn answer_deadline(&self, index: usize) -> Option<Instant> {
        let exchange = &self.exchanges[index];
        if exchange.answer != Answer::Awaited {
            return None;
        }
        let mut since = exchange.since;
        if self.incoming.is_some() && self.telling() == Some(RequestNumber(self.oldest + index as u64)) {
            // Until the content is complete it is the peer's time, unless the handler keeps it waiting.
            since = self.told.stopped?;
        }
        let more = if exchange.told { self.times.timeout } else { Duration::ZERO };
        since.checked_add(self.times.request.checked_add(more)?)
    }

    /// Nothing is under way but the connection itself, content that may take any time, or a response that its handler has forgotten.
    fn idle_deadline(&self) -> Option<Instant> {
        let timeless = self.incoming.as_ref().is_none_or(|incoming| incoming.clock.deadline().is_none());
        let idle = match self.exchanges.front() {
            None => self.head_since.is_none() && timeless,
            Some(exchange) => match exchange.answer {
                Answer::Streaming(_) => true,
                _ => timeless && self.telling().is_some() && !self.is_content_stopped(),
            },
        };
        if idle && self.suspended.is_none() { self.wire.active.checked_add(self.times.idle) } else { None }
    }
}

/// The answer that the handler did not give, in spray's words.
fn overdue() -> HttpResponse {
    HttpResponse::new(StatusCode::INTERNAL_SERVER_ERROR)
        .with_text("Ooops! The server was not able to produce a timely response to your request.\r\nPlease try again in a short while!")
}
