//! One request and its response, as the server holds them.

use std::time::Instant;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, HeaderName, TRANSFER_ENCODING, UPGRADE};
use http::{Method, Version};

use super::content::ContentDecoder;
use super::decode::has_token;
use super::rate::ContentClock;
use super::{HttpRequest, RequestNumber};

/// A request in hand.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) method: Method,
    pub(super) version: Version,
    /// Whether the connection closes behind the response.
    pub(super) close: bool,
    /// When the request was complete; while its content is told as it comes, when its head was.
    pub(super) since: Instant,
    /// Whether `TimedOut` has been told.
    pub(super) told: bool,
    pub(super) answer: Answer,
    /// How many interim responses have gone ahead of it.
    pub(super) interim: u32,
    /// The request, if it asks for an upgrade.
    pub(super) upgrade: Option<Box<HttpRequest>>,
    /// The request, if requests are kept until they are answered.
    pub(super) kept: Option<Box<HttpRequest>>,
    /// Bytes of content that were told with the request.
    pub(super) content: usize,
    /// What is to be written when the earlier responses have been.
    pub(super) held: Vec<Held>,
}

/// A part of a response that waits for its turn.
#[derive(Debug)]
pub(super) enum Held {
    Bytes(Bytes),
    /// Whoever made this mark wants to know when what precedes it has been written.
    Mark(u64),
}

impl Exchange {
    pub(super) fn new(method: Method, version: Version, close: bool, now: Instant) -> Self {
        Self {
            method,
            version,
            close,
            since: now,
            told: false,
            answer: Answer::Awaited,
            interim: 0,
            upgrade: None,
            kept: None,
            content: 0,
            held: Vec::new(),
        }
    }

    /// Whether what follows the request may be of another protocol: behind an upgrade (RFC 9110 §7.8), and in a tunnel (RFC 9110 §9.3.6).
    pub(super) fn may_end_http(&self) -> bool {
        self.upgrade.is_some() || self.method == Method::CONNECT
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Awaited,
    /// Chunks are to come; how they are written.
    Streaming(Chunks),
    Complete,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chunks {
    /// With the chunked transfer coding.
    Framed,
    /// As they are, until the connection closes: HTTP/1.0.
    Bare,
    /// As they are, and that many bytes more.
    Counted(u64),
    /// Not at all: the answer to HEAD, 204, 304.
    Dropped,
}

/// A request whose content is coming.
#[derive(Debug)]
pub(super) struct Incoming {
    pub(super) way: Way,
    pub(super) decoder: ContentDecoder,
    pub(super) clock: ContentClock,
    /// Whether `100 Continue` waits: for the responses to earlier requests, or for a handler that takes the content.
    pub(super) continue_due: bool,
}

/// What becomes of content that is coming.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "it lies in a box already")]
pub(super) enum Way {
    /// It is collected; the request is told when it is complete.
    Whole(HttpRequest, Steering),
    /// It is told as it comes; the request is in hand.
    Told(RequestNumber),
    /// Nobody wants it: the request has been answered. That many bytes more are read and discarded.
    Drained(RequestNumber, u64),
}

/// Which of the fields that steer a connection a request has: seen as they are collected, as most requests have none of them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Steering {
    /// Those that frame the content.
    pub(super) framing: bool,
    pub(super) expect: bool,
    pub(super) connection: bool,
    pub(super) upgrade: bool,
}

impl Steering {
    /// A field of this name is there.
    #[inline]
    pub(super) fn see(&mut self, name: &HeaderName) {
        match *name {
            CONTENT_LENGTH | TRANSFER_ENCODING => self.framing = true,
            EXPECT => self.expect = true,
            CONNECTION => self.connection = true,
            UPGRADE => self.upgrade = true,
            _ => {}
        }
    }
}

/// Whether the request asks for an upgrade to websocket (RFC 9110 §7.8).
pub(super) fn asks_for_websocket(request: &HttpRequest, steering: Steering) -> bool {
    steering.upgrade && request.version != Version::HTTP_10 && has_token(&request.headers, &UPGRADE, "websocket")
}

/// Whether the connection goes on behind this request (RFC 9112 §9.3).
pub(super) fn persists(request: &HttpRequest, steering: Steering) -> bool {
    let headers = &request.headers;
    if !steering.connection {
        return request.version != Version::HTTP_10;
    }
    !has_token(headers, &CONNECTION, "close") && (request.version != Version::HTTP_10 || has_token(headers, &CONNECTION, "keep-alive"))
}
