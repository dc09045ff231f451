//! What becomes of a peer that breaks a rule or a limit: it is told so in its turn, and nothing that it sends is parsed any more.

use std::time::Instant;

use http::{Method, Version};

use super::connection::Server;
use super::exchange::Exchange;
use super::input::Input;
use super::{Event, HttpError, HttpResponse};

/// How much of what is at fault is told in the log.
const EXCERPT: usize = 256;

impl Server {
    /// The peer broke a rule: it is told so in its turn, and nothing it sends is parsed any more.
    #[cold]
    pub(super) fn fail(&mut self, error: HttpError, method: Method, now: Instant) {
        self.refuse(error, now);
        let _ = self.open(Exchange::new(method, Version::HTTP_11, true, now));
        let mut refusal = self.refusal(error);
        self.answer(self.exchanges.len() - 1, &mut refusal, now);
    }

    /// The answer to an error.
    pub(super) fn refusal(&self, error: HttpError) -> HttpResponse {
        if self.settings.verbose_errors {
            let status = error.status();
            return HttpResponse::new(status).with_text(format!("{status}: {error}\n"));
        }
        error.into_response()
    }

    /// The next bytes that are parsed, where the log is to have them.
    #[inline]
    pub(super) fn excerpt(&self) -> Option<Box<str>> {
        self.settings.verbose_error_logging.then(|| escaped(&self.input[..self.input.len().min(EXCERPT)]))
    }

    /// Nothing that the peer sends is parsed any more.
    pub(super) fn refuse(&mut self, error: HttpError, now: Instant) {
        match self.at_fault.take().or_else(|| self.excerpt()) {
            Some(received) => tracing::debug!(%error, %received, "request refused"),
            None => tracing::debug!(%error, "request refused"),
        }
        // Nobody has told us the time for this answer.
        self.clock = self.clock.map(|(then, date)| (now, date.after(now.saturating_duration_since(then))));
        self.events.push_back(Event::Failed(error));
        self.last = true;
        self.head_since = None;
        self.incoming = None;
        self.input = Input::default();
    }
}

#[cold]
fn escaped(bytes: &[u8]) -> Box<str> {
    bytes.escape_ascii().to_string().into()
}
