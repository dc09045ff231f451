//! A response on its way, piece by piece.

use std::fmt;
use std::sync::Arc;

use tokio::sync::oneshot;

use super::content::RequestId;
use super::http_connection::HttpConnection;
use super::http_line::{HttpCommand, HttpLine, Who};
use super::socket::{SendError, Sending, SocketId};
use crate::http::{Chunk, ContentEnd, HttpResponse, RequestNumber};

/// A response that is being streamed. Dropped before its end, it cuts the connection, so that nobody takes it for complete.
///
/// It is bounded as a [`Socket`](super::Socket) is: a chunk offered while less than the hard limit
/// ([`output_hard_limit`](crate::http::Settings::output_hard_limit), 1 MiB) is unsent is taken whole, and one offered at or above it cuts
/// the connection; unless it is offered with [`try_send`](Self::try_send). Who has much to say awaits [`send`](Self::send) or
/// [`ready`](Self::ready).
///
/// Where no byte goes either way for an idle timeout (60 s) it is cut as well: who streams events says something now and then, a comment say, or sets
/// [`SetIdleTimeout`](super::SetIdleTimeout).
///
/// The response to HEAD, and a 204 or 304, ends with its head (RFC 9110 §6.4.1): it is complete as it begins. What is sent of its content goes nowhere, and
/// [`send`](Self::send), [`ready`](Self::ready) and [`finish_acked`](Self::finish_acked) are answered with [`SendError::Closed`], so that nobody makes what nobody
/// will hear.
///
/// ```
/// # use actix_sockets::Streaming;
/// async fn count(stream: Streaming) {
///     for n in 0..1_000_000 {
///         stream.do_send(format!("{n}\n"));
///         if stream.ready().await.is_err() {
///             return; // nobody listens
///         }
///     }
///     stream.finish();
/// }
/// ```
#[must_use = "a streamed response that is dropped before its end cuts the connection"]
pub struct Streaming {
    line: Arc<HttpLine>,
    number: RequestNumber,
    who: Who,
    finished: bool,
}

impl Streaming {
    pub(super) fn begin(line: Arc<HttpLine>, number: RequestNumber, response: HttpResponse, who: Who) -> Self {
        line.push(HttpCommand::Start(number, response, who));
        Self { line, number, who, finished: false }
    }

    /// The connection, to be told what concerns all of it.
    #[must_use]
    pub fn connection(&self) -> HttpConnection {
        HttpConnection::new(self.line.id, self.line.clone())
    }

    /// The connection's name.
    #[must_use]
    pub fn id(&self) -> SocketId {
        self.line.id
    }

    /// Which request is answered.
    #[must_use]
    pub fn request(&self) -> RequestId {
        RequestId { connection: self.line.id, number: self.number }
    }

    /// Sends the next piece of content, and forgets it. Empty pieces are passed over. Where content is chunked each is a chunk, with the
    /// [extensions](Chunk::extensions) it has.
    pub fn do_send(&self, chunk: impl Into<Chunk>) {
        let chunk = chunk.into();
        if !chunk.data.is_empty() {
            let _ = self.line.push_chunk(self.number, chunk, self.who, None, true);
        }
    }

    /// Sends the next piece of content, and is answered when it has been written to the socket. The future need not be awaited for it to be
    /// sent.
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`] when the connection ended first, [`SendError::Full`] when it met the hard limit: the connection is cut then.
    pub fn send(&self, chunk: impl Into<Chunk>) -> Sending {
        let (ack, written) = oneshot::channel();
        match self.line.push_chunk(self.number, chunk.into(), self.who, Some(ack), true) {
            Ok(()) => Sending::awaited(written),
            Err(error) => Sending::failed(error),
        }
    }

    /// Sends the next piece of content if there is room for it.
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`] or [`SendError::Full`]; nothing was sent then.
    pub fn try_send(&self, chunk: impl Into<Chunk>) -> Result<(), SendError> {
        let chunk = chunk.into();
        if chunk.data.is_empty() { Ok(()) } else { self.line.push_chunk(self.number, chunk, self.who, None, false) }
    }

    /// Is answered when there is room: when no more than the soft limit
    /// ([`output_soft_limit`](crate::http::Settings::output_soft_limit), 64 KiB) is unsent, what was sent before this among it.
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`] when the connection has ended, or the response has.
    pub fn ready(&self) -> Sending {
        let (ack, room) = oneshot::channel();
        self.line.push(HttpCommand::Room(self.number, self.who, ack));
        Sending::awaited(room)
    }

    /// Bytes of the connection's responses that were sent and are not yet written to the socket.
    #[must_use]
    pub fn buffered_amount(&self) -> usize {
        self.line.unsent()
    }

    /// Whether the connection is still there to take something.
    #[must_use]
    pub fn connected(&self) -> bool {
        !self.line.is_closed()
    }

    /// Ends the response.
    pub fn finish(self) {
        self.finish_with(ContentEnd::default());
    }

    /// Ends the response, with these trailers. They are sent where content is chunked, and only those that may be any: none that frame, route or
    /// authenticate (RFC 9110 §6.5.1). A field `Trailer` in the response should have announced them (RFC 9110 §6.6.2).
    pub fn finish_with(mut self, end: impl Into<ContentEnd>) {
        self.finished = true;
        self.line.push(HttpCommand::Finish(self.number, end.into(), self.who, None));
    }

    /// Ends the response, and is answered when all of it has been written to the socket.
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`] when the connection ended first.
    pub fn finish_acked(mut self, end: impl Into<ContentEnd>) -> Sending {
        let (ack, written) = oneshot::channel();
        self.finished = true;
        self.line.push(HttpCommand::Finish(self.number, end.into(), self.who, Some(ack)));
        Sending::awaited(written)
    }
}

impl Drop for Streaming {
    fn drop(&mut self) {
        if !self.finished {
            self.line.push(HttpCommand::Unfinished(self.number, self.who));
        }
    }
}

impl fmt::Debug for Streaming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Streaming({})", self.request())
    }
}
