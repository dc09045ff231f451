//! A request whose content is given as it is made.

use std::fmt;

use tokio::sync::oneshot;

use super::client_line::ClientCommand;
use super::content::RequestId;
use super::requester::Requester;
use super::socket::{SendError, Sending};
use crate::http::{Chunk, ContentEnd, RequestNumber};

/// A request that is being streamed: see [`Requester::start`]. Dropped before its end, it cuts the connection if anything of it was sent, so that nobody
/// takes it for complete (RFC 9112 §8).
///
/// A final response may come before the end. Behind one that is not a success, or closes the connection, the content is not wanted any more: it goes
/// nowhere, and the connection ends behind the response.
#[must_use = "a streamed request that is dropped before its end cuts the connection"]
pub struct StreamingRequest {
    requester: Requester,
    /// `None` when it was not taken, of which its asker was told.
    number: Option<RequestNumber>,
    finished: bool,
}

impl StreamingRequest {
    pub(super) fn new(requester: Requester, number: Option<RequestNumber>) -> Self {
        Self { requester, number, finished: false }
    }

    /// Which request of which connection it is; `None` when it was not taken.
    #[must_use]
    pub fn request(&self) -> Option<RequestId> {
        self.number.map(|number| RequestId { connection: self.requester.id(), number })
    }

    /// Sends the next piece of content, and forgets it. Empty pieces are passed over.
    ///
    /// One that is offered while less than the hard limit (1 MiB) is unsent is taken whole; at or above it the request is given up, and fails with
    /// [`HttpError::Abandoned`](crate::http::HttpError::Abandoned).
    pub fn do_send(&self, content: impl Into<Chunk>) {
        if self.give(content.into(), None) == Err(SendError::Full)
            && let Some(number) = self.number
        {
            tracing::warn!(connection = %self.requester.id(), request = %number, "the server does not take what is streamed: the request is given up");
            self.requester.line().push(ClientCommand::Abandon(number));
        }
    }

    /// Sends the next piece of content if there is room for it.
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`] or [`SendError::Full`]; nothing was sent then.
    pub fn try_send(&self, content: impl Into<Chunk>) -> Result<(), SendError> {
        self.give(content.into(), None)
    }

    /// Sends the next piece of content, and is answered when it has been written to the socket.
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`] when the request or the connection ended first; [`SendError::Full`] at the hard limit, and nothing was sent then.
    pub fn send(&self, content: impl Into<Chunk>) -> Sending {
        let (ack, written) = oneshot::channel();
        match self.give(content.into(), Some(ack)) {
            Ok(()) => Sending::awaited(written),
            Err(error) => Sending::failed(error),
        }
    }

    fn give(&self, chunk: Chunk, ack: Option<super::line::Ack>) -> Result<(), SendError> {
        self.requester.line().give(self.number.ok_or(SendError::Closed)?, chunk, ack)
    }

    /// Ready when there is room to send: unsent bytes are not above the soft limit (64 KiB), those of requests that wait behind this one not counted once it
    /// is being sent.
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`] when the connection has ended.
    pub async fn ready(&self) -> Result<(), SendError> {
        let (line, number) = (self.requester.line(), self.number.ok_or(SendError::Closed)?);
        loop {
            let drained = line.drained.notified();
            if line.has_room(number)? {
                return Ok(());
            }
            drained.await;
        }
    }

    /// Bytes that were given and are not yet written to the socket.
    #[must_use]
    pub fn buffered_amount(&self) -> usize {
        self.requester.line().unsent()
    }

    /// Ends the request.
    pub fn finish(self) {
        self.finish_with(ContentEnd::default());
    }

    /// Ends the request with these trailers. They are sent if the content is chunked, but for those that frame, route or authenticate (RFC 9110
    /// §6.5.1).
    pub fn finish_with(mut self, end: impl Into<ContentEnd>) {
        self.finished = true;
        if let Some(number) = self.number {
            self.requester.line().push(ClientCommand::Finish(number, end.into()));
        }
    }
}

impl Drop for StreamingRequest {
    fn drop(&mut self) {
        if let (false, Some(number)) = (self.finished, self.number) {
            self.requester.line().push(ClientCommand::Abandon(number));
        }
    }
}

impl fmt::Debug for StreamingRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StreamingRequest({}", self.requester.id())?;
        self.number.map_or(Ok(()), |number| write!(f, ", request {number}"))?;
        f.write_str(")")
    }
}
