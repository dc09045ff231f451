//! A response's content as it comes, for one who waits for it.

use std::fmt;
use std::sync::Arc;

use http::HeaderMap;
use tokio::sync::{mpsc, oneshot};

use super::client_line::{ClientCommand, ClientLine};
use super::content::{Content, RequestId};
use crate::http::{Chunk, ContentEnd, HttpError, HttpResponse};

/// Something of a response's content, on its way to who waits for it.
pub(crate) enum Piece {
    Chunk(Chunk, Content),
    End(ContentEnd),
    Failed(HttpError),
}

/// The content of a response, to be taken as it comes: the answer to [`Requester::send_streaming`](super::Requester::send_streaming).
///
/// What is not taken is not read, beyond a window (256 KiB). Dropped before the content's end, it ends the connection: HTTP/1.1 has no
/// other way not to be sent the rest.
#[must_use = "dropped before its end, it ends the connection"]
pub struct ResponseBody {
    line: Arc<ClientLine>,
    request: RequestId,
    pieces: mpsc::UnboundedReceiver<Piece>,
    /// What was told last: the head, or the chunk that was taken.
    in_hand: Option<Content>,
    trailers: HeaderMap,
    /// There is nothing more, for this reason if not because it is complete.
    over: Option<Option<HttpError>>,
}

impl ResponseBody {
    /// The next piece; `None` when the content is complete. The bytes of the piece before are no longer in hand from then on.
    ///
    /// # Errors
    ///
    /// When the content will not be complete: the connection has ended, or the server broke a rule or a deadline.
    pub async fn next(&mut self) -> Option<Result<Chunk, HttpError>> {
        self.in_hand = None;
        if let Some(over) = self.over {
            return over.map(Err);
        }
        match self.pieces.recv().await.unwrap_or(Piece::Failed(HttpError::Truncated)) {
            Piece::Chunk(chunk, credit) => {
                self.in_hand = Some(credit);
                Some(Ok(chunk))
            }
            Piece::End(end) => {
                self.trailers = end.trailers;
                self.over = Some(None);
                None
            }
            Piece::Failed(error) => {
                self.over = Some(Some(error));
                Some(Err(error))
            }
        }
    }

    /// Whose content it is.
    #[must_use]
    pub fn request(&self) -> RequestId {
        self.request
    }

    /// The trailer fields, once the content is complete: those that frame, route or authenticate a message not among them (RFC 9110 §6.5.1).
    #[must_use]
    pub fn trailers(&self) -> &HeaderMap {
        &self.trailers
    }
}

impl Drop for ResponseBody {
    fn drop(&mut self) {
        if self.over.is_some() {
            return;
        }
        // The end may have come, and only not been taken.
        self.pieces.close();
        while let Ok(piece) = self.pieces.try_recv() {
            if matches!(piece, Piece::End(_) | Piece::Failed(_)) {
                return;
            }
        }
        self.line.push(ClientCommand::Cancel(self.request.number));
    }
}

impl fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ResponseBody({})", self.request)
    }
}

/// What a response is answered with that is taken as it comes.
pub(crate) type Answered = Result<(HttpResponse, ResponseBody), HttpError>;

/// Who waits for a response that is to be taken as it comes.
pub(crate) enum Streamed {
    Head(oneshot::Sender<Answered>),
    Content(mpsc::UnboundedSender<Piece>),
}

impl Streamed {
    /// There is a head: its content comes this way.
    pub(super) fn starts(self, line: &Arc<ClientLine>, response: HttpResponse, content: Content) -> Self {
        let Self::Head(tell) = self else { return self };
        let (pieces, taken) = mpsc::unbounded_channel();
        let (line, request) = (line.clone(), content.request());
        let body = ResponseBody { line, request, pieces: taken, in_hand: Some(content), trailers: HeaderMap::new(), over: None };
        // Who does not wait any more has dropped it, and so does this.
        let _ = tell.send(Ok((response, body)));
        Self::Content(pieces)
    }

    /// Whether or not it is taken, what it is worth comes back.
    pub(super) fn chunk(&self, chunk: Chunk, content: Content) {
        if let Self::Content(pieces) = self {
            let _ = pieces.send(Piece::Chunk(chunk, content));
        }
    }

    pub(super) fn ends(self, end: ContentEnd) {
        if let Self::Content(pieces) = self {
            let _ = pieces.send(Piece::End(end));
        }
    }

    pub(super) fn fails(self, error: HttpError) {
        match self {
            Self::Head(tell) => drop(tell.send(Err(error))),
            Self::Content(pieces) => drop(pieces.send(Piece::Failed(error))),
        }
    }
}
