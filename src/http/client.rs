//! The client's side of one connection: requests in, bytes out; bytes in, responses out (RFC 9112 §9).

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use http::header::CONNECTION;
use http::{Method, StatusCode, Version};

use super::client_event::{ClientEvent, Incoming, Outgoing, Queued, Waiting};
use super::content::{ContentDecoder, Framing, Piece};
use super::decode::{ResponseDecoder, has_token};
use super::input::Input;
use super::rate::ContentClock;
use super::wire::{Closing, Wire};
use super::{ContentEnd, HttpEnd, HttpError, HttpResponse, RequestNumber, Settings};
use crate::output::Output;

/// What a piece of content is worth besides its bytes: many short ones are not had for nothing.
const OVERHEAD: usize = size_of::<ClientEvent>();

/// The client's side of one HTTP/1.1 connection, without I/O and clock.
///
/// After each call: take all events, write [`output`](Self::output), heed [`closing`](Self::closing), and arm a timer for
/// [`deadline`](Self::deadline).
///
/// Requests are sent in the order they are given, each in its turn: behind one that waits for its response only if both are idempotent, and no more than
/// [`Settings::in_flight_limit`] at a time (RFC 9112 §9.3.2). See `asking.rs`.
#[derive(Debug)]
pub struct Client {
    pub(super) settings: Arc<Settings>,
    pub(super) wire: Wire,
    input: Input,
    decoder: ResponseDecoder,
    incoming: Option<Box<Incoming>>,
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
    interim: u32,
    /// What was told of content as it came, and not given back.
    in_hands: usize,
    /// They are more than the window allows: nothing is read until enough is taken.
    held_up: bool,
    /// The peer's FIN came without being announced.
    truncated: bool,
    /// Marks in the output, and where they are.
    pub(super) marks: VecDeque<(u64, u64)>,
    /// The connection is TLS.
    pub(super) secure: bool,
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
            decoder: ResponseDecoder::default(),
            incoming: None,
            queue: VecDeque::new(),
            queued_bytes: 0,
            waiting: VecDeque::new(),
            outgoing: None,
            next: 0,
            interim: 0,
            in_hands: 0,
            held_up: false,
            truncated: false,
            marks: VecDeque::new(),
            secure: false,
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
        self.parse(now);
    }

    /// The stream was cut off: it has ended without saying that this is its end (RFC 8446 §6.1). A response that only the connection's end
    /// would end is incomplete, whatever has come of it (RFC 9112 §8).
    pub fn receive_truncation(&mut self, now: Instant) {
        self.truncated = true;
        self.receive_eof(now);
    }

    /// All has been parsed that came before the peer's FIN.
    fn take_eof(&mut self, now: Instant) {
        match self.incoming.take() {
            Some(_) if self.truncated => self.fail(HttpError::Truncated, now),
            Some(mut incoming) => match (incoming.decoder.finish(), incoming.response) {
                (Ok(content), Some(head)) => self.deliver(HttpResponse { content, ..head }, true, now),
                (Ok(_), None) => self.complete(ContentEnd::default(), true, now),
                (Err(error), _) => self.fail(error, now),
            },
            None if !self.input.is_empty() => self.fail(HttpError::Truncated, now),
            None if self.in_hand() > 0 => self.fail(HttpError::Closed, now),
            None => self.end(now),
        }
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
        self.wire.wrote(now);
        self.pump(now);
    }

    /// Whether bytes should be read for HTTP's sake: not after a 101, nor after the end, nor while more content is told than was taken.
    #[must_use]
    pub fn wants_read(&self) -> bool {
        self.wire.is_open() && !self.wire.eof && !self.switched && !self.held_up
    }

    /// Takes back what events were `worth`: who had them in hand no longer does. Reading goes on at half the window.
    pub fn give_back(&mut self, worth: usize, now: Instant) {
        self.in_hands = self.in_hands.saturating_sub(worth);
        if !self.held_up || self.in_hands > self.settings.content_window / 2 {
            return;
        }
        self.held_up = false;
        if let Some(incoming) = &mut self.incoming {
            // The delay was ours.
            incoming.clock = ContentClock::new(now, &self.settings);
        }
        self.parse(now);
        self.input.keep();
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
        self.wire.confirmed = true;
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

    fn hand_out(&mut self, worth: usize) {
        self.in_hands = self.in_hands.saturating_add(worth);
        self.held_up |= self.in_hands > self.settings.content_window;
    }

    /// Whether content waits until enough is given back. The end of what has a length is known with its last byte.
    fn is_held_up(&self) -> bool {
        self.held_up && self.incoming.as_ref().is_none_or(|incoming| incoming.decoder.left() != Some(0))
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

    /// When [`handle_timeout`](Self::handle_timeout) is to be called, unless something else happens before.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let wire = self.wire.deadline(&self.settings);
        if !self.wire.is_open() || self.switched {
            return wire;
        }
        [wire, self.response_deadline(), self.content_deadline(), self.continue_deadline(), self.idle_deadline()]
            .into_iter()
            .flatten()
            .min()
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
            match self.in_hand() {
                0 => self.end(now),
                _ => self.fail(HttpError::Abandoned, now),
            }
        } else if due(self.continue_deadline()) {
            // "the client … MAY proceed to send the content" (RFC 9110 §10.1.1).
            self.go_on(now);
        }
    }

    fn response_deadline(&self) -> Option<Instant> {
        let oldest = self.waiting.front()?;
        if self.incoming.is_some() || self.is_outgoing(oldest.number) {
            return None;
        }
        oldest.since.checked_add(self.settings.response_timeout)
    }

    /// While we do not read, the server is not to blame.
    fn content_deadline(&self) -> Option<Instant> {
        if self.held_up { None } else { self.incoming.as_ref()?.clock.deadline() }
    }

    /// Nothing is under way but the connection itself, or content that is given to nobody any more.
    fn idle_deadline(&self) -> Option<Instant> {
        let idle = match self.waiting.front() {
            None => true,
            Some(oldest) => self.incoming.is_none() && self.is_outgoing(oldest.number),
        };
        if idle { self.wire.active.checked_add(self.settings.idle_timeout) } else { None }
    }

    fn parse(&mut self, now: Instant) {
        while self.wire.is_open() && !self.switched && !self.is_held_up() {
            if self.incoming.is_some() {
                if !self.parse_content(now) {
                    break;
                }
                continue;
            }
            if self.input.is_empty() {
                break;
            }
            if self.waiting.is_empty() {
                return self.fail(HttpError::UnexpectedResponse, now);
            }
            match self.decoder.decode(&mut self.input, &self.settings) {
                Ok(None) => break,
                Ok(Some(response)) => self.take_head(response, now),
                Err(error) => self.fail(error, now),
            }
        }
        if self.wire.eof && self.wire.is_open() && !self.switched && !self.held_up {
            self.take_eof(now);
        }
    }

    /// Reads content. False when more must come first.
    fn parse_content(&mut self, now: Instant) -> bool {
        let (Some(incoming), Some(waiting)) = (&mut self.incoming, self.waiting.front()) else { return true };
        let before = self.input.len();
        let (settings, number) = (&self.settings, waiting.number);
        if incoming.response.is_none() {
            match incoming.decoder.piece(&mut self.input, settings) {
                Ok(None) => {
                    incoming.clock.received(before - self.input.len(), now, settings);
                    return false;
                }
                Ok(Some(Piece::Data(chunk))) => {
                    incoming.clock.received(before - self.input.len(), now, settings);
                    let worth = chunk.data.len() + chunk.extensions.len() + OVERHEAD;
                    self.hand_out(worth);
                    self.events.push_back(ClientEvent::Chunk { number, chunk, worth });
                }
                Ok(Some(Piece::End(end))) => {
                    let close = self.incoming.take().is_some_and(|incoming| incoming.close);
                    self.complete(end, close, now);
                }
                Err(error) => self.fail(error, now),
            }
            return true;
        }
        match incoming.decoder.decode(&mut self.input, settings) {
            Ok(None) => {
                incoming.clock.received(before - self.input.len(), now, settings);
                return false;
            }
            Ok(Some(content)) => {
                if let Some(Incoming { response: Some(head), close, .. }) = self.incoming.take().map(|incoming| *incoming) {
                    self.deliver(HttpResponse { content, ..head }, close, now);
                }
            }
            Err(error) => self.fail(error, now),
        }
        true
    }

    /// A head is complete: an interim one, the switch, or the head of the response.
    fn take_head(&mut self, response: HttpResponse, now: Instant) {
        let Some(waiting) = self.waiting.front() else { return };
        let number = waiting.number;
        let tunnel = waiting.method == Method::CONNECT && response.status.is_success();
        if tunnel || response.status == StatusCode::SWITCHING_PROTOCOLS {
            if !tunnel && !waiting.upgrade {
                return self.fail(HttpError::UnexpectedSwitch, now);
            }
            self.switched = true;
            self.waiting.pop_front();
            self.events.push_back(ClientEvent::Response { number, response });
            // What was sent behind it is not HTTP's any more.
            return self.forget(None, HttpError::Closed);
        }
        if response.status.is_informational() {
            self.interim += 1;
            if self.interim > self.settings.interim_limit {
                self.fail(HttpError::TooManyInterim, now);
            } else if response.status == StatusCode::CONTINUE && self.is_outgoing(number) {
                self.go_on(now);
            }
            return;
        }
        let framing = match Framing::of_response(&waiting.method, response.status, response.version, &response.headers) {
            Ok(framing) => framing,
            Err(error) => return self.fail(error, now),
        };
        let mut close = waiting.close || !persists(&response);
        if self.is_outgoing(number) {
            let unasked = self.outgoing.take_if(|outgoing| close || outgoing.expects.is_some() || !response.status.is_success());
            // The content is not wanted (RFC 9112 §9.5, RFC 9110 §10.1.1), and what was announced cannot be left out but by the connection's end.
            close |= unasked.is_some();
        }
        let streamed = waiting.streamed;
        if framing == Framing::Length(0) && !streamed {
            return self.deliver(response, close, now);
        }
        let decoder =
            if streamed { ContentDecoder::streamed(framing, &self.settings) } else { ContentDecoder::new(framing, &self.settings) };
        match decoder.map(ContentDecoder::mending) {
            Ok(decoder) => {
                let clock = ContentClock::new(now, &self.settings);
                let response = if streamed {
                    let (length, worth) = (decoder.left(), self.settings.content_window.saturating_add(1));
                    self.hand_out(worth);
                    self.events.push_back(ClientEvent::ResponseStart { number, response, length, worth });
                    None
                } else {
                    Some(response)
                };
                self.incoming = Some(Box::new(Incoming { response, decoder, clock, close }));
            }
            Err(error) => self.fail(error, now),
        }
    }

    fn deliver(&mut self, response: HttpResponse, close: bool, now: Instant) {
        let Some(waiting) = self.waiting.front() else { return };
        self.events.push_back(ClientEvent::Response { number: waiting.number, response });
        self.answered(close, now);
    }

    /// The content of a response that was told as it came is complete.
    fn complete(&mut self, end: ContentEnd, close: bool, now: Instant) {
        let Some(waiting) = self.waiting.front() else { return };
        self.events.push_back(ClientEvent::ContentEnd { number: waiting.number, end });
        self.answered(close, now);
    }

    /// The oldest request has its response.
    fn answered(&mut self, close: bool, now: Instant) {
        self.interim = 0;
        self.waiting.pop_front();
        if let Some(next) = self.waiting.front_mut() {
            // Its turn begins now.
            next.since = next.since.max(now);
        }
        match (close, self.in_hand()) {
            (true, 0) => {
                if self.outgoing.is_none() {
                    return self.end(now);
                }
                self.last = true;
            }
            (true, _) => return self.fail(HttpError::Closed, now),
            (false, _) => {}
        }
        self.settle(now);
    }

    /// What may be sent is; and if nothing is left to be done before the end, this is it.
    pub(super) fn settle(&mut self, now: Instant) {
        self.pump(now);
        if self.last && self.in_hand() == 0 && self.outgoing.is_none() && !self.switched {
            self.end(now);
        }
    }

    fn fail(&mut self, error: HttpError, now: Instant) {
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
    fn forget(&mut self, number: Option<RequestNumber>, error: HttpError) {
        let number = number.or_else(|| self.waiting.front().map(|waiting| waiting.number));
        let written = self.wire.output.written();
        for waiting in std::mem::take(&mut self.waiting) {
            let (told, sent) = (Some(waiting.number) == number, waiting.begin < written);
            let error = match error {
                HttpError::Closed | HttpError::WriteTimeout if !sent => HttpError::NotSent,
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

    fn end(&mut self, now: Instant) {
        self.last = true;
        self.outgoing = None;
        self.input = Input::default();
        self.wire.end(now);
    }
}

/// Whether the connection goes on behind this response (RFC 9112 §9.3).
fn persists(response: &HttpResponse) -> bool {
    let headers = &response.headers;
    !has_token(headers, &CONNECTION, "close") && (response.version != Version::HTTP_10 || has_token(headers, &CONNECTION, "keep-alive"))
}
