//! The client's side of one connection: requests in, bytes out; bytes in, responses out (RFC 9112 §9).

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use bytes::BytesMut;
use http::header::{CONNECTION, UPGRADE};
use http::{Method, StatusCode, Version};

use super::content::{ContentDecoder, Framing};
use super::decode::{ResponseDecoder, has_token};
use super::encode;
use super::input::Input;
use super::rate::ContentClock;
use super::wire::{Closing, Wire};
use super::{HttpError, HttpRequest, HttpResponse, RequestNumber, Settings};
use crate::output::Output;

/// What happens on a [`Client`].
#[non_exhaustive]
#[derive(Debug)]
pub enum ClientEvent {
    /// The final response to a request, complete with its content; or a 101, with which HTTP is over (RFC 9110 §15.2.2).
    Response {
        /// The request it answers.
        number: RequestNumber,
        /// The response.
        response: HttpResponse,
    },
    /// The connection ends, and so do the requests that have no response yet.
    Failed(HttpError),
}

/// A request that waits for its response.
#[derive(Debug)]
struct Waiting {
    method: Method,
    /// Whether it asks to leave HTTP.
    upgrade: bool,
    /// Whether it asks to close.
    close: bool,
    since: Instant,
}

/// A response whose content is coming.
#[derive(Debug)]
struct Incoming {
    response: HttpResponse,
    decoder: ContentDecoder,
    clock: ContentClock,
    close: bool,
}

/// The client's side of one HTTP/1.1 connection, without I/O and clock.
///
/// After each call: take all events, write [`output`](Self::output), heed [`closing`](Self::closing), and arm a timer for
/// [`deadline`](Self::deadline).
#[derive(Debug)]
pub struct Client {
    settings: Arc<Settings>,
    wire: Wire,
    input: Input,
    decoder: ResponseDecoder,
    incoming: Option<Box<Incoming>>,
    /// Requests without a response, oldest first; the oldest has the number `oldest`.
    waiting: VecDeque<Waiting>,
    oldest: u64,
    /// Interim responses to the oldest request.
    interim: u32,
    /// Whether a 101 has come.
    switched: bool,
    events: VecDeque<ClientEvent>,
}

impl Client {
    /// A connection that was made just now. Settings can be given as such, or shared as an `Arc`.
    #[must_use]
    pub fn new(settings: impl Into<Arc<Settings>>, now: Instant) -> Self {
        Self {
            settings: settings.into(),
            wire: Wire::new(now),
            input: Input::default(),
            decoder: ResponseDecoder::default(),
            incoming: None,
            waiting: VecDeque::new(),
            oldest: 0,
            interim: 0,
            switched: false,
            events: VecDeque::new(),
        }
    }

    /// Whether a request can be sent: the connection is open, and the request before asks neither to close it nor to leave HTTP.
    #[must_use]
    pub fn can_request(&self) -> bool {
        let last = self.waiting.back().is_some_and(|waiting| waiting.close || waiting.upgrade);
        self.wire.is_open() && !self.wire.eof && !self.switched && !last
    }

    /// Writes a request; it may follow others that wait for their responses (RFC 9112 §9.3.2). `Host` and the content's length are
    /// added where they are missing; an absolute URI is sent in origin-form.
    ///
    /// On a connection that ends, [`HttpError::Closed`] follows.
    pub fn request(&mut self, request: HttpRequest, now: Instant) -> RequestNumber {
        let number = RequestNumber(self.oldest + self.waiting.len() as u64);
        let closing = self.waiting.back().is_some_and(|waiting| waiting.close);
        if !self.wire.is_open() || self.switched || closing {
            self.events.push_back(ClientEvent::Failed(HttpError::Closed));
            if !closing {
                self.oldest += 1;
            }
            return number;
        }
        let output = self.wire.writing(now);
        encode::request_head(output.tail(), &request);
        self.waiting.push_back(Waiting {
            upgrade: request.headers.contains_key(UPGRADE),
            close: encode::asks_to_close(&request.headers),
            method: request.method,
            since: now,
        });
        if !request.content.is_empty() {
            output.push(request.content);
        }
        number
    }

    /// Takes what was read. What is complete becomes events, whose content and header values are slices of `bytes`; what is not is
    /// copied.
    pub fn receive(&mut self, bytes: BytesMut, now: Instant) {
        self.wire.active = now;
        if !self.wire.is_open() {
            return;
        }
        self.input.append(bytes);
        self.parse(now);
        self.input.keep();
    }

    /// Takes the peer's FIN. It may be what ends a response (RFC 9112 §6.3).
    pub fn receive_eof(&mut self, now: Instant) {
        self.wire.received_eof();
        if self.switched || !self.wire.is_open() {
            return;
        }
        match self.incoming.take() {
            Some(mut incoming) => match incoming.decoder.finish() {
                Ok(content) => self.deliver(HttpResponse { content, ..incoming.response }, true, now),
                Err(error) => self.fail(error, now),
            },
            None if !self.input.is_empty() => self.fail(HttpError::Truncated, now),
            None if !self.waiting.is_empty() => self.fail(HttpError::Closed, now),
            None => self.end(now),
        }
    }

    /// The stream was cut off: it has ended without saying that this is its end (RFC 8446 §6.1). A response that only the connection's end
    /// would end is incomplete, whatever has come of it (RFC 9112 §8).
    pub fn receive_truncation(&mut self, now: Instant) {
        self.wire.received_eof();
        if self.incoming.is_some() && !self.switched && self.wire.is_open() {
            self.fail(HttpError::Truncated, now);
        } else {
            self.receive_eof(now);
        }
    }

    /// The next event, if there is one.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<ClientEvent> {
        self.events.pop_front()
    }

    /// What waits to be written. Report progress to [`wrote`](Self::wrote).
    #[must_use]
    pub fn output(&mut self) -> &mut Output {
        &mut self.wire.output
    }

    /// To be called after bytes of [`output`](Self::output) have been written.
    pub fn wrote(&mut self, now: Instant) {
        self.wire.wrote(now);
    }

    /// Whether bytes should be read for HTTP's sake: not after a 101, nor after the end.
    #[must_use]
    pub fn wants_read(&self) -> bool {
        self.wire.is_open() && !self.wire.eof && !self.switched
    }

    /// How many requests wait for their responses.
    #[must_use]
    pub fn in_hand(&self) -> usize {
        self.waiting.len()
    }

    /// Whether a 101 has come, with which HTTP is over.
    #[must_use]
    pub fn is_switched(&self) -> bool {
        self.switched
    }

    /// What came behind the head of the 101: bytes of the new protocol, never parsed as HTTP.
    #[must_use]
    pub fn into_unread(self) -> BytesMut {
        self.input.into_bytes()
    }

    /// Whether the connection ends, and how.
    #[must_use]
    pub fn closing(&self) -> Closing {
        self.wire.closing()
    }

    /// Ends the connection, if no response is awaited; else the last of them ends it.
    pub fn close_gracefully(&mut self, now: Instant) {
        match self.waiting.back_mut() {
            Some(waiting) => waiting.close = true,
            None => self.end(now),
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called, unless something else happens before.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let wire = self.wire.deadline(&self.settings);
        if !self.wire.is_open() || self.switched {
            return wire;
        }
        [wire, self.response_deadline(), self.content_deadline(), self.idle_deadline()].into_iter().flatten().min()
    }

    /// Does what is due. To be called at [`deadline`](Self::deadline); at other times it does no harm.
    pub fn handle_timeout(&mut self, now: Instant) {
        let due = |deadline: Option<Instant>| deadline.is_some_and(|deadline| deadline <= now);
        let open = self.wire.is_open();
        if self.wire.handle_timeout(now, &self.settings) && open {
            self.fail(HttpError::WriteTimeout, now);
        }
        if !self.wire.is_open() || self.switched {
            return;
        }
        if due(self.response_deadline()) {
            self.fail(HttpError::ResponseTimeout, now);
        } else if due(self.content_deadline()) {
            self.fail(HttpError::ContentTimeout, now);
        } else if due(self.idle_deadline()) {
            self.end(now);
        }
    }

    fn response_deadline(&self) -> Option<Instant> {
        if self.incoming.is_some() {
            return None;
        }
        self.waiting.front()?.since.checked_add(self.settings.response_timeout)
    }

    fn content_deadline(&self) -> Option<Instant> {
        self.incoming.as_ref()?.clock.deadline()
    }

    fn idle_deadline(&self) -> Option<Instant> {
        if self.waiting.is_empty() { self.wire.active.checked_add(self.settings.idle_timeout) } else { None }
    }

    fn parse(&mut self, now: Instant) {
        while self.wire.is_open() && !self.switched && !self.input.is_empty() {
            if let Some(incoming) = &mut self.incoming {
                let before = self.input.len();
                match incoming.decoder.decode(&mut self.input, &self.settings) {
                    Ok(None) => return incoming.clock.received(before - self.input.len(), now, &self.settings),
                    Ok(Some(content)) => {
                        if let Some(incoming) = self.incoming.take() {
                            self.deliver(HttpResponse { content, ..incoming.response }, incoming.close, now);
                        }
                    }
                    Err(error) => self.fail(error, now),
                }
                continue;
            }
            if self.waiting.is_empty() {
                return self.fail(HttpError::UnexpectedResponse, now);
            }
            match self.decoder.decode(&mut self.input, &self.settings) {
                Ok(None) => return,
                Ok(Some(response)) => self.take_head(response, now),
                Err(error) => self.fail(error, now),
            }
        }
    }

    /// A head is complete: an interim one, the switch, or the head of the response.
    fn take_head(&mut self, response: HttpResponse, now: Instant) {
        let Some(waiting) = self.waiting.front() else { return };
        if response.status == StatusCode::SWITCHING_PROTOCOLS {
            if !waiting.upgrade {
                return self.fail(HttpError::UnexpectedSwitch, now);
            }
            self.switched = true;
            self.waiting.pop_front();
            self.events.push_back(ClientEvent::Response { number: RequestNumber(self.oldest), response });
            self.oldest += 1;
            return;
        }
        if response.status.is_informational() {
            self.interim += 1;
            if self.interim > self.settings.interim_limit {
                self.fail(HttpError::TooManyInterim, now);
            }
            return;
        }
        let framing = match Framing::of_response(&waiting.method, response.status, response.version, &response.headers) {
            Ok(framing) => framing,
            Err(error) => return self.fail(error, now),
        };
        let close = waiting.close || !persists(&response);
        if framing == Framing::Length(0) {
            return self.deliver(response, close, now);
        }
        match ContentDecoder::new(framing, &self.settings) {
            Ok(decoder) => {
                let clock = ContentClock::new(now, &self.settings);
                self.incoming = Some(Box::new(Incoming { response, decoder, clock, close }));
            }
            Err(error) => self.fail(error, now),
        }
    }

    fn deliver(&mut self, response: HttpResponse, close: bool, now: Instant) {
        self.events.push_back(ClientEvent::Response { number: RequestNumber(self.oldest), response });
        self.oldest += 1;
        self.interim = 0;
        let close = self.waiting.pop_front().is_some_and(|waiting| waiting.close) || close;
        if let Some(next) = self.waiting.front_mut() {
            // Its turn begins now.
            next.since = next.since.max(now);
        }
        match (close, self.waiting.is_empty()) {
            (true, true) => self.end(now),
            (true, false) => self.fail(HttpError::Closed, now),
            (false, _) => {}
        }
    }

    fn fail(&mut self, error: HttpError, now: Instant) {
        self.events.push_back(ClientEvent::Failed(error));
        // What waits to be written has no reader any more.
        self.wire.output.clear();
        self.end(now);
    }

    fn end(&mut self, now: Instant) {
        self.oldest += self.waiting.len() as u64;
        self.waiting = VecDeque::new();
        self.incoming = None;
        self.input = Input::default();
        self.wire.end(now);
    }
}

/// Whether the connection goes on behind this response (RFC 9112 §9.3).
fn persists(response: &HttpResponse) -> bool {
    let headers = &response.headers;
    !has_token(headers, &CONNECTION, "close") && (response.version != Version::HTTP_10 || has_token(headers, &CONNECTION, "keep-alive"))
}
