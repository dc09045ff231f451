//! What becomes of a peer that breaks a rule or a limit: it is told so in its turn, and nothing that it sends is parsed any more.

use std::time::Instant;

use http::{Method, Version};

use super::connection::Server;
use super::exchange::Exchange;
use super::input::Input;
use super::{Event, HttpError, HttpResponse};

impl Server {
    /// The peer broke a rule: it is told so in its turn, and nothing it sends is parsed any more.
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

    /// Nothing that the peer sends is parsed any more.
    pub(super) fn refuse(&mut self, error: HttpError, now: Instant) {
        tracing::debug!(%error, "request refused");
        // Nobody has told us the time for this answer.
        self.clock = self.clock.map(|(then, date)| (now, date.after(now.saturating_duration_since(then))));
        self.events.push_back(Event::Failed(error));
        self.last = true;
        self.head_since = None;
        self.incoming = None;
        self.input = Input::default();
    }
}
