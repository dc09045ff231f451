//! What a client's connection tells, and how it holds a request and its response.

use std::collections::VecDeque;
use std::time::Instant;

use http::Method;
use http::header::{EXPECT, UPGRADE};

use super::content::ContentDecoder;
use super::encode;
use super::rate::ContentClock;
use super::{Chunk, ContentEnd, HttpError, HttpRequest, HttpResponse, RequestNumber};

/// What happens on a [`Client`](super::Client).
#[non_exhaustive]
#[derive(Debug)]
pub enum ClientEvent {
    /// The final response to a request, complete with its content; or a 101 or the 2xx to a CONNECT, with which HTTP is over (RFC 9110
    /// §15.2.2, §9.3.6).
    Response {
        /// The request it answers.
        number: RequestNumber,
        /// The response.
        response: HttpResponse,
    },
    /// The head of the final response to a request whose response is told as it comes: see [`Streams::response`]. Its content is empty.
    ResponseStart {
        /// The request it answers.
        number: RequestNumber,
        /// The response's head.
        response: HttpResponse,
        /// How long the content will be, where that is known.
        length: Option<u64>,
        /// What is to be given back when the content is wanted: nothing of it is read before.
        worth: usize,
    },
    /// Some of its content. While what was told is worth more than [`Settings::content_window`](super::Settings::content_window) and not
    /// [given back](super::Client::give_back), nothing is read.
    Chunk {
        /// The request it answers.
        number: RequestNumber,
        /// The piece; never an empty one.
        chunk: Chunk,
        /// What is to be given back when it is in nobody's hands any more.
        worth: usize,
    },
    /// The end of its content, and of the response.
    ContentEnd {
        /// The request it answers.
        number: RequestNumber,
        /// The trailers.
        end: ContentEnd,
    },
    /// A request has no response, or no complete one, and will have none. What the error says of it says also whether it may be sent again: see
    /// [`HttpError::may_be_sent_again`].
    Unanswered {
        /// The request.
        number: RequestNumber,
        /// What happened to it.
        error: HttpError,
    },
    /// The connection ends for this reason: a rule or a limit that was broken, a deadline, the peer's end in the midst of something. Each request
    /// that has no response was told of before.
    Failed(HttpError),
}

/// What of a request and its response goes in pieces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Streams {
    /// The request's content is to follow, by [`Client::chunk`](super::Client::chunk) and [`Client::finish`](super::Client::finish).
    pub content: bool,
    /// The response is told as it comes.
    pub response: bool,
}

/// A request that waits for its turn to be sent.
#[derive(Debug)]
pub(super) struct Queued {
    pub(super) number: RequestNumber,
    pub(super) request: Box<HttpRequest>,
    pub(super) streams: Streams,
    /// What was given of content that is streamed.
    pub(super) held: Held,
}

impl Queued {
    /// Whether nothing is to be sent behind it.
    pub(super) fn is_last(&self) -> bool {
        encode::asks_to_close(&self.request.headers)
    }

    /// Whether its content comes later than its head: then it is sent when no other waits for its response.
    pub(super) fn is_slow(&self) -> bool {
        self.streams.content || self.expects()
    }

    /// Whether the server is asked before the content is sent (RFC 9110 §10.1.1). Where none is to come there is nothing to ask for.
    pub(super) fn expects(&self) -> bool {
        let Self { request, streams, .. } = self;
        let content = if streams.content { encode::declared_length(&request.headers) != Some(0) } else { !request.content.is_empty() };
        content && request.headers.contains_key(EXPECT)
    }

    /// What it is worth while it waits.
    pub(super) fn bytes(&self) -> usize {
        self.request.content.len() + self.held.bytes
    }
}

/// Content that waits until it may be sent.
#[derive(Debug, Default)]
pub(super) struct Held {
    pub(super) given: VecDeque<Given>,
    /// Bytes in `given`.
    pub(super) bytes: usize,
    /// There is no more.
    pub(super) end: Option<ContentEnd>,
}

/// What is given of a request behind its head.
#[derive(Debug)]
pub(super) enum Given {
    Chunk(Chunk),
    /// Somebody wants to know when all before this has been written.
    Mark(u64),
}

/// A request that was sent, or is being sent, and waits for its response.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) number: RequestNumber,
    pub(super) method: Method,
    /// Whether it asks to leave HTTP.
    pub(super) upgrade: bool,
    /// Whether it asks to close.
    pub(super) close: bool,
    /// Whether its response is told as it comes.
    pub(super) streamed: bool,
    /// Where its first byte stands in the output.
    pub(super) begin: u64,
    /// Where its last byte does, until it has left.
    pub(super) end: Option<u64>,
    /// How many bytes had been received when its first byte had left.
    pub(super) behind: Option<u64>,
    /// Since when its response is due.
    pub(super) since: Instant,
}

impl Waiting {
    pub(super) fn new(queued: &Queued, begin: u64, now: Instant) -> Self {
        Self {
            number: queued.number,
            method: queued.request.method.clone(),
            upgrade: queued.request.headers.contains_key(UPGRADE),
            close: queued.is_last(),
            streamed: queued.streams.response,
            begin,
            end: None,
            behind: None,
            since: now,
        }
    }

    /// Whether what follows may be of another protocol (RFC 9110 §7.8, §9.3.6).
    pub(super) fn may_end_http(&self) -> bool {
        self.upgrade || self.method == Method::CONNECT
    }

    /// So much has been written. From when all of it has, the response is due.
    pub(super) fn wrote(&mut self, written: u64, now: Instant) {
        if self.end.take_if(|end| *end <= written).is_some() {
            self.since = now;
        }
    }
}

/// Content of the newest request that was begun, as far as it has not been sent.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) number: RequestNumber,
    pub(super) coding: Coding,
    /// Until when it waits for `100 Continue` (RFC 9110 §10.1.1).
    pub(super) expects: Option<Instant>,
    pub(super) held: Held,
}

/// How content is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Chunked,
    /// As it is: so many bytes more.
    Length(u64),
}

/// A response whose content is coming.
#[derive(Debug)]
pub(super) struct Incoming {
    /// Its head, unless that was told.
    pub(super) response: Option<HttpResponse>,
    pub(super) decoder: ContentDecoder,
    pub(super) clock: ContentClock,
    pub(super) close: bool,
}
