//! What is asked of a server's requests by those who let them wait.

use super::connection::Server;
use super::exchange::Answer;
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
}
