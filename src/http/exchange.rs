//! One request and its response, as the server holds them.

use std::time::Instant;

use bytes::Bytes;
use http::header::CONNECTION;
use http::{Method, Version};

use super::HttpRequest;
use super::content::ContentDecoder;
use super::decode::has_token;
use super::rate::ContentClock;

/// A request in hand.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) method: Method,
    pub(super) version: Version,
    /// Whether the connection closes behind the response.
    pub(super) close: bool,
    /// When the request was complete.
    pub(super) since: Instant,
    /// Whether `TimedOut` has been told.
    pub(super) told: bool,
    pub(super) answer: Answer,
    /// The request, if it asks for an upgrade.
    pub(super) upgrade: Option<Box<HttpRequest>>,
    /// What is to be written when the earlier responses have been.
    pub(super) held: Vec<Bytes>,
}

impl Exchange {
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
    /// Not at all: the answer to HEAD, 204, 304.
    Dropped,
}

/// A request whose content is coming.
#[derive(Debug)]
pub(super) struct Incoming {
    pub(super) request: HttpRequest,
    pub(super) decoder: ContentDecoder,
    pub(super) clock: ContentClock,
    /// Whether `100 Continue` waits for the responses to earlier requests.
    pub(super) continue_due: bool,
}

/// Whether the connection goes on behind this request (RFC 9112 §9.3).
pub(super) fn persists(request: &HttpRequest) -> bool {
    let headers = &request.headers;
    if !headers.contains_key(CONNECTION) {
        return request.version != Version::HTTP_10;
    }
    !has_token(headers, &CONNECTION, "close") && (request.version != Version::HTTP_10 || has_token(headers, &CONNECTION, "keep-alive"))
}
