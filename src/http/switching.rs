//! How a server's connection leaves HTTP (RFC 9110 §7.8).

use std::time::Instant;

use http::StatusCode;

use super::connection::Server;
use super::encode::{self, Announced, HttpDate, Persistence};
use super::exchange::Answer;
use super::{HttpRequest, HttpResponse, Parts, RequestNumber, SwitchError};

impl Server {
    /// Whether [`into_switched`](Self::into_switched) would go now: the request asks for an upgrade, and all earlier ones are answered.
    #[must_use]
    pub fn can_switch(&self, number: RequestNumber) -> bool {
        self.check_switch(number).is_ok()
    }

    /// Whether [`into_switched`](Self::into_switched) would only go later: earlier requests are not answered yet.
    #[must_use]
    pub fn must_wait(&self, number: RequestNumber) -> bool {
        matches!(self.check_switch(number), Err(SwitchError::NotYet))
    }

    /// The request, if it is in hand and asks for an upgrade.
    #[must_use]
    pub fn upgrade_request(&self, number: RequestNumber) -> Option<&HttpRequest> {
        self.exchanges[self.index(number)?].upgrade.as_deref()
    }

    /// Leaves HTTP (RFC 9110 §7.8): writes the 101, and hands out all that a new protocol needs.
    ///
    /// # Errors
    ///
    /// When the request is not in hand, did not ask for it or must wait its turn, or the status is not 101. The connection is given back
    /// as it was.
    #[expect(clippy::result_large_err, reason = "the connection goes on, and is moved once in its life")]
    pub fn into_switched(
        mut self,
        number: RequestNumber,
        response: HttpResponse,
        date: &HttpDate,
        now: Instant,
    ) -> Result<Parts, (Self, SwitchError)> {
        let error = match self.check_switch(number) {
            Err(error) => error,
            Ok(()) if response.status != StatusCode::SWITCHING_PROTOCOLS => SwitchError::Status,
            Ok(()) => match self.exchanges.pop_front().and_then(|exchange| exchange.upgrade) {
                Some(request) => {
                    let server = self.settings.server_header.as_ref();
                    let out = self.wire.writing(now).tail();
                    encode::response_head(out, &response, Announced::Nothing, Persistence::Switch, Some(date), server);
                    return Ok(Parts {
                        output: self.wire.output,
                        unread: self.input.into_bytes(),
                        request: *request,
                        eof: self.wire.eof,
                        marks: self.wire.marks,
                    });
                }
                None => SwitchError::NotAsked,
            },
        };
        Err((self, error))
    }

    fn check_switch(&self, number: RequestNumber) -> Result<(), SwitchError> {
        let index = self.index(number).ok_or(SwitchError::NotInHand)?;
        let exchange = &self.exchanges[index];
        match (exchange.answer, &exchange.upgrade) {
            (Answer::Awaited, None) => Err(SwitchError::NotAsked),
            (Answer::Awaited, Some(_)) if index > 0 => Err(SwitchError::NotYet),
            (Answer::Awaited, Some(_)) => Ok(()),
            _ => Err(SwitchError::NotInHand),
        }
    }
}
