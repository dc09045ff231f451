//! Content that is told as it comes: its start, how it fails, and the sender of its pieces.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use super::line::Peer;
use super::socket::SocketId;
use crate::http::{HttpError, HttpRequest, RequestNumber};

/// Which request of which connection: unique in this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId {
    /// The connection's name.
    pub connection: SocketId,
    /// Which of its requests.
    pub number: RequestNumber,
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, request {}", self.connection, self.number)
    }
}

/// The sender of content that is told as it comes: of a [`Chunk`](crate::Chunk), a [`ContentEnd`](crate::ContentEnd), a
/// [`ContentAborted`]. It says which request the content is of.
///
/// It also stands for the bytes that came with it: "they are in hand as long as you hold their sender". While more than the
/// [window](crate::http::Settings::content_window) (256 KiB) is in hand nothing more is read, and the peer feels TCP's own back-pressure. A
/// clone stands for nothing. Two are equal when they are of the same request.
pub struct Content {
    request: RequestId,
    peer: Arc<dyn Peer>,
    worth: usize,
}

impl Content {
    pub(crate) fn new(peer: Arc<dyn Peer>, request: RequestId, worth: usize) -> Self {
        Self { request, peer, worth }
    }

    /// Whose content it is: the same as [`Responder::request`](super::Responder::request).
    #[must_use]
    pub fn request(&self) -> RequestId {
        self.request
    }

    /// The connection's name.
    #[must_use]
    pub fn id(&self) -> SocketId {
        self.request.connection
    }
}

impl Clone for Content {
    /// Another name of the same content, which stands for none of its bytes.
    fn clone(&self) -> Self {
        Self { request: self.request, peer: self.peer.clone(), worth: 0 }
    }
}

impl Drop for Content {
    fn drop(&mut self) {
        if self.worth > 0 {
            self.peer.take_back(self.worth);
        }
    }
}

impl PartialEq for Content {
    fn eq(&self, other: &Self) -> bool {
        self.request == other.request
    }
}

impl Eq for Content {}

impl Hash for Content {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.request.hash(state);
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Content({})", self.request)
    }
}

/// A request has begun whose content is told as it comes: its [`Chunk`](crate::Chunk)s follow, then [`ContentEnd`](crate::ContentEnd) or
/// [`ContentAborted`]. Its sender is the [`Responder`](super::Responder), which may answer at any time: who has answered hears no more
/// of the content, but for what was on its way already. It cannot be upgraded, since a handshake has no content (what would be content to one reader is frames to
/// another): [`handshake::accept`](crate::handshake::accept) refuses it with a 400, and an [`UpgradeServer`](super::UpgradeServer) in answer to it is a 500. A
/// handshake is told as an [`HttpRequest`], whatever the handler has asked for.
///
/// Asked for with [`Register::hears`](super::Register::hears).
#[derive(Debug)]
pub struct RequestStart {
    /// The request, without its content.
    pub request: HttpRequest,
    /// How many bytes of content follow, where the peer has said so.
    pub length: Option<u64>,
    /// As long as you hold this nothing of the content is read; a peer that expects to be asked for it (`Expect: 100-continue`, RFC 9110
    /// §10.1.1) is asked when you let go of it, unless you have answered before. It is dropped with the message, so that a handler
    /// that does nothing about it has the content come at once.
    pub content: Content,
}

/// Content that was told as it came will not be complete. No [`ContentEnd`](crate::ContentEnd) follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentAborted {
    /// Why: the peer has broken a rule, a limit or a deadline, or the connection has ended.
    pub error: HttpError,
}
