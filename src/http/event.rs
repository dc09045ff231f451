//! What a server's connection tells, and what it leaves behind.

use std::fmt;

use bytes::BytesMut;

use super::{Chunk, ContentEnd, HttpError, HttpRequest};
use crate::output::Output;

/// Which request of its connection: 0 is the first. An answer names the request it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestNumber(pub(super) u64);

impl RequestNumber {
    /// The number of the request that so many precede.
    pub(crate) fn behind(earlier: u64) -> Self {
        Self(earlier)
    }

    /// The number as such.
    #[must_use]
    pub fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for RequestNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What happens on a [`Server`](super::Server).
#[non_exhaustive]
#[derive(Debug)]
pub enum Event {
    /// A request, complete with its content. It waits for an answer.
    Request {
        /// To be named in the answer.
        number: RequestNumber,
        /// The request.
        request: HttpRequest,
    },
    /// The head of a request whose content is [told as it comes](super::Server::stream_content). It waits for an answer, which may be given
    /// before the content is complete. Nothing of the content is read, nor asked for, before `worth` has been
    /// [given back](super::Server::give_back).
    RequestStart {
        /// To be named in the answer.
        number: RequestNumber,
        /// The request, without its content.
        request: HttpRequest,
        /// How long the content will be, where that is known.
        length: Option<u64>,
        /// What is to be given back when the content is wanted.
        worth: usize,
    },
    /// Some of the content.
    Chunk {
        /// The request it belongs to.
        number: RequestNumber,
        /// The piece; never an empty one.
        chunk: Chunk,
        /// What is to be given back when it is in nobody's hands any more.
        worth: usize,
    },
    /// The content is complete.
    ContentEnd {
        /// The request it belongs to.
        number: RequestNumber,
        /// Its trailers.
        end: ContentEnd,
    },
    /// The content will not be complete: no [`ContentEnd`](Self::ContentEnd) follows. Not told to who has answered: that ends the content, too.
    ContentAborted {
        /// The request it belongs to.
        number: RequestNumber,
        /// Why.
        error: HttpError,
    },
    /// A request has not been answered in time. It still can be, for [`Settings::timeout_timeout`](super::Settings::timeout_timeout).
    TimedOut {
        /// The request that waits.
        number: RequestNumber,
    },
    /// The peer broke HTTP or a limit. The connection ends; where an answer is due it is on its way.
    Failed(HttpError),
}

/// What [`Server::into_switched`](super::Server::into_switched) leaves of the connection.
#[non_exhaustive]
#[derive(Debug)]
pub struct Parts {
    /// What waits to be written; the head of the 101 comes last.
    pub output: Output,
    /// What came behind the request: bytes of the new protocol.
    pub unread: BytesMut,
    /// The request that asked for the upgrade.
    pub request: HttpRequest,
    /// Whether the peer has sent FIN already.
    pub eof: bool,
}
