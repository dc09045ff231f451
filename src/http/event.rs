//! What a server's connection tells, and what it leaves behind.

use std::collections::VecDeque;
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
        /// A copy of it, if it is [kept](super::Server::keep_requests); of its content none that is told as it comes.
        request: Option<Box<HttpRequest>>,
    },
    /// The connection is over. Not told by the [`Server`](super::Server) itself: whoever drops it knows, and asks it for
    /// [its word](super::Server::ended).
    Ended(HttpEnd),
    /// The peer broke HTTP or a limit. The connection ends; where an answer is due it is on its way.
    Failed(HttpError),
}

impl Event {
    /// The request that begins with it.
    pub(crate) fn begins(&self) -> Option<RequestNumber> {
        match self {
            Self::Request { number, .. } | Self::RequestStart { number, .. } => Some(*number),
            _ => None,
        }
    }

    /// The request that it is about.
    pub(crate) fn number(&self) -> Option<RequestNumber> {
        match self {
            Self::Request { number, .. }
            | Self::RequestStart { number, .. }
            | Self::Chunk { number, .. }
            | Self::ContentEnd { number, .. }
            | Self::ContentAborted { number, .. }
            | Self::TimedOut { number, .. } => Some(*number),
            Self::Ended(_) | Self::Failed(_) => None,
        }
    }

    /// What is to be [given back](super::Server::give_back) when nobody has it in hand any more.
    #[must_use]
    pub fn worth(&self) -> usize {
        match self {
            Self::RequestStart { worth, .. } | Self::Chunk { worth, .. } => *worth,
            _ => 0,
        }
    }
}

/// How a connection came to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HttpEnd {
    /// In order, and we began: its last response said so, it was idle, or it was told to.
    Closed,
    /// It was told to wait for the peer's end, and that came.
    ConfirmedClosed,
    /// It was cut off by us: what waited was lost.
    Aborted,
    /// In order, and the peer began.
    PeerClosed,
    /// The transport failed, as it says.
    ErrorClosed(String),
}

impl fmt::Display for HttpEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("closed"),
            Self::ConfirmedClosed => f.write_str("closed, which the peer has confirmed"),
            Self::Aborted => f.write_str("aborted"),
            Self::PeerClosed => f.write_str("closed by the peer"),
            Self::ErrorClosed(error) => write!(f, "broken: {error}"),
        }
    }
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
    /// The [marks](super::Server::mark) that have not been given, in order: where they are in the output ([`Output::written`]), and which they are.
    pub marks: VecDeque<(u64, u64)>,
}
