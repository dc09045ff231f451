//! The client's side of one connection: requests in, bytes out; bytes in, responses out (RFC 9112 §9).

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use http::HeaderValue;

use super::client_event::{ClientEvent, Incoming, Outgoing, Queued, Waiting};
use super::decode::ResponseDecoder;
use super::input::Input;
use super::wire::{Closing, Wire};
use super::{HttpEnd, HttpError, RequestNumber, Settings};
use crate::output::Output;

/// The client's side of one HTTP/1.1 connection, without I/O and clock.
///
/// After each call: take all events, write [`output`](Self::output), heed [`closing`](Self::closing), and arm a timer for
/// [`deadline`](Self::deadline).
///
/// Requests are sent in the order they are given, each in its turn: behind one that waits for its response only if both are idempotent, and no more than
/// [`Settings::in_flight_limit`] at a time (RFC 9112 §9.3.2). How they are sent is in `asking.rs`, how responses are read in `hearing.rs`, and until when in
/// `client_deadlines.rs`; what is held is counted in `client_held.rs`.
#[derive(Debug)]
pub struct Client {
    pub(super) settings: Arc<Settings>,
    pub(super) wire: Wire,
    pub(super) input: Input,
    /// Bytes received, those that are not parsed among them.
    pub(super) received: u64,
    pub(super) decoder: ResponseDecoder,
    pub(super) incoming: Option<Box<Incoming>>,
    /// Requests that are not sent yet, oldest first.
    pub(super) queue: VecDeque<Queued>,
    /// Bytes of content in `queue`.
    pub(super) queued_bytes: usize,
    /// Requests that are sent and have no response, oldest first.
    pub(super) waiting: VecDeque<Waiting>,
    /// Content of the newest of them that is still to be sent.
    pub(super) outgoing: Option<Outgoing>,
    /// The next request's number.
    pub(super) next: u64,
    /// Interim responses to the oldest request.
    pub(super) interim: u32,
    /// What was told of content as it came, and not given back.
    pub(super) in_hands: usize,
    /// What of it is the start of a response, and no bytes.
    pub(super) start: usize,
    /// They are more than the window allows: nothing is read until enough is taken.
    pub(super) held_up: bool,
    /// It is not read, for a reason that is not its own.
    pub(super) suspended: Option<Instant>,
    /// The peer's FIN came without being announced.
    pub(super) truncated: bool,
    /// The connection is TLS.
    pub(super) secure: bool,
    /// What `Host` says where a request does not.
    pub(super) host: Option<HeaderValue>,
    /// Whether no further request is taken: the newest one closes the connection.
    pub(super) last: bool,
    /// Whether a response has come with which HTTP is over.
    pub(super) switched: bool,
    pub(super) events: VecDeque<ClientEvent>,
}

impl Client {
    /// A connection that was made just now. Settings can be given as such, or shared as an `Arc`.
    #[must_use]
    pub fn new(settings: impl Into<Arc<Settings>>, now: Instant) -> Self {
        Self {
            settings: settings.into(),
            wire: Wire::new(now),
            input: Input::default(),
            received: 0,
            decoder: ResponseDecoder::default(),
            incoming: None,
            queue: VecDeque::new(),
            queued_bytes: 0,
            waiting: VecDeque::new(),
            outgoing: None,
            next: 0,
            interim: 0,
            in_hands: 0,
            start: 0,
            held_up: false,
            suspended: None,
            truncated: false,
            secure: false,
            host: None,
            last: false,
            switched: false,
            events: VecDeque::new(),
        }
    }

    /// The same connection, under TLS or not: a request that is [for TLS](super::HttpRequest::secure) is not sent in the clear.
    #[must_use]
    pub fn secure(mut self, secure: bool) -> Self {
        self.secure = secure;
        self
    }

    /// The same connection, to this host: its name, and its port unless that is the scheme's default (RFC 9110 §7.2). So says `Host` in a request that has none, and
    /// whose target names no authority; without it, such a `Host` is empty.
    #[must_use]
    pub fn host(mut self, host: Option<HeaderValue>) -> Self {
        self.host = host;
        self
    }

    /// Takes what was read. What is complete becomes events, whose content and header values are slices of `bytes`; what is not is
    /// copied.
    pub fn receive(&mut self, bytes: BytesMut, now: Instant) {
        self.wire.active = now;
        if !self.wire.is_open() {
            return;
        }
        self.received += bytes.len() as u64;
        self.input.append(bytes);
        self.parse(now);
        self.input.keep();
    }

    /// Takes the peer's FIN. It may be what ends a response (RFC 9112 §6.3).
    pub fn receive_eof(&mut self, now: Instant) {
        self.wire.received_eof();
        self.parse(now);
    }

    /// The stream was cut off: it has ended without saying that this is its end (RFC 8446 §6.1). A response that only the connection's end
    /// would end is incomplete, whatever has come of it (RFC 9112 §8).
    pub fn receive_truncation(&mut self, now: Instant) {
        self.truncated = true;
        self.receive_eof(now);
    }

    /// The stream is broken: nothing comes or goes any more.
    pub fn receive_reset(&mut self, now: Instant) {
        if self.wire.is_open() && !self.switched {
            let inside = self.incoming.is_some() || !self.input.is_empty();
            self.fail(if inside { HttpError::Truncated } else { HttpError::Closed }, now);
        }
        self.wire.abort();
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

    /// To be called after bytes of [`output`](Self::output) have been written: requests may have waited for it.
    pub fn wrote(&mut self, now: Instant) {
        self.wire.wrote(now, &self.settings);
        let written = self.wire.output.written();
        if let Some(oldest) = self.waiting.front_mut() {
            oldest.wrote(written, now);
        }
        for waiting in self.waiting.iter_mut().rev().take_while(|waiting| waiting.behind.is_none()) {
            if waiting.begin < written {
                waiting.behind = Some(self.received);
            }
        }
        self.pump(now);
    }

    /// Whether bytes should be read for HTTP's sake: not after a 101, nor after the end, nor while more content is told than was taken.
    #[must_use]
    pub fn wants_read(&self) -> bool {
        self.wire.is_open() && !self.wire.eof && !self.switched && !self.held_up
    }

    /// From now on a response's head may take so long.
    pub fn set_response_timeout(&mut self, within: Duration) {
        Arc::make_mut(&mut self.settings).response_timeout = within;
    }

    /// From now on the connection may be idle for so long.
    pub fn set_idle_timeout(&mut self, time: Duration) {
        Arc::make_mut(&mut self.settings).idle_timeout = time;
    }

    /// Ends the connection when what waits has been written: requests in hand are not answered any more.
    pub fn close(&mut self, now: Instant) {
        if self.wire.is_open() && !self.switched {
            // What waits is written before the end: whether it is done is not known.
            for waiting in std::mem::take(&mut self.waiting) {
                self.events.push_back(ClientEvent::Unanswered { number: waiting.number, error: HttpError::Closed });
            }
            self.forget(None, HttpError::Closed);
            self.end(now);
        }
    }

    /// As [`close`](Self::close), and the server has an idle timeout for its own end; what it sends until then is discarded.
    pub fn close_confirmed(&mut self, now: Instant) {
        self.wire.confirmed = Some(self.settings.idle_timeout);
        self.close(now);
    }

    /// How the connection has ended.
    #[must_use]
    pub fn ended(&self) -> HttpEnd {
        self.wire.ended()
    }

    /// Gives up a response, and with it the connection, as what is still to come of it is wanted by nobody (RFC 9112 §9.5).
    pub fn cancel(&mut self, number: RequestNumber, now: Instant) {
        if self.waiting.iter().any(|waiting| waiting.number == number) {
            self.fail_at(Some(number), HttpError::Abandoned, now);
        }
    }

    /// How many requests wait for their responses, sent or not.
    #[must_use]
    pub fn in_hand(&self) -> usize {
        self.queue.len() + self.waiting.len()
    }

    /// How many of them are not sent yet.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.queue.len()
    }

    /// Whether a 101 has come, or the 2xx to a CONNECT, with which HTTP is over.
    #[must_use]
    pub fn is_switched(&self) -> bool {
        self.switched
    }

    /// What came behind the head of that response: bytes of the new protocol, never parsed as HTTP.
    #[must_use]
    pub fn into_unread(self) -> BytesMut {
        self.input.into_bytes()
    }

    /// Whether the connection ends, and how.
    #[must_use]
    pub fn closing(&self) -> Closing {
        self.wire.closing()
    }

    /// Ends the connection when all requests have their responses; no further one is taken.
    pub fn close_gracefully(&mut self, now: Instant) {
        self.last = true;
        self.settle(now);
    }

    /// What may be sent is; and if nothing is left to be done before the end, this is it.
    pub(super) fn settle(&mut self, now: Instant) {
        self.pump(now);
        if self.last && self.in_hand() == 0 && self.outgoing.is_none() && !self.switched {
            self.end(now);
        }
    }

    pub(super) fn fail(&mut self, error: HttpError, now: Instant) {
        self.fail_at(None, error, now);
    }

    /// The connection fails, by what concerns this request, or the oldest.
    pub(super) fn fail_at(&mut self, number: Option<RequestNumber>, error: HttpError, now: Instant) {
        self.forget(number, error);
        self.events.push_back(ClientEvent::Failed(error));
        // What waits to be written has no reader any more.
        self.wire.output.clear();
        self.end(now);
    }

    /// All requests in hand will have no response: this one, or the oldest, for this reason; of the others is told whether they were sent.
    pub(super) fn forget(&mut self, number: Option<RequestNumber>, error: HttpError) {
        let number = number.or_else(|| self.waiting.front().map(|waiting| waiting.number));
        let written = self.wire.output.written();
        for waiting in std::mem::take(&mut self.waiting) {
            let (told, sent) = (Some(waiting.number) == number, waiting.begin < written);
            let error = match error {
                HttpError::Closed | HttpError::WriteTimeout | HttpError::SlowReader if !sent => HttpError::NotSent,
                error if told => error,
                _ if sent => HttpError::Closed,
                _ => HttpError::NotSent,
            };
            self.events.push_back(ClientEvent::Unanswered { number: waiting.number, error });
        }
        for queued in std::mem::take(&mut self.queue) {
            self.events.push_back(ClientEvent::Unanswered { number: queued.number, error: HttpError::NotSent });
        }
        (self.incoming, self.outgoing, self.queued_bytes) = (None, None, 0);
    }

    pub(super) fn end(&mut self, now: Instant) {
        self.last = true;
        self.outgoing = None;
        self.input = Input::default();
        self.wire.end(now);
    }
}
