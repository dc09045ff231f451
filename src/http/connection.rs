//! The server's side of one connection: bytes in, requests out; responses in, bytes out (RFC 9112 §9).

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use bytes::BytesMut;
use http::header::{EXPECT, RANGE};
use http::uri::Scheme;
use http::{Method, Version};

use super::content::Framing;
use super::deadlines::Times;
use super::decode::{RequestDecoder, elements};
use super::dressing::Dress;
use super::encode::HttpDate;
use super::exchange::{Answer, Exchange, Held, Incoming, Steering, Way, asks_for_websocket, persists};
use super::input::Input;
use super::receiving::{Progress, ToldContent};
use super::wire::{Closing, Wire};
use super::{Event, HttpError, HttpRequest, RequestNumber, Settings};
use crate::output::Output;

/// The server's side of one HTTP/1.1 connection, without I/O and clock.
///
/// After each call: take all events, write [`output`](Self::output), heed [`closing`](Self::closing) and
/// [`wants_read`](Self::wants_read), and arm a timer for [`deadline`](Self::deadline).
#[derive(Debug)]
pub struct Server {
    pub(super) settings: Arc<Settings>,
    pub(super) wire: Wire,
    /// What has come and is not parsed yet.
    pub(super) input: Input,
    pub(super) decoder: RequestDecoder,
    /// When the first byte of the head came that is incomplete.
    pub(super) head_since: Option<Instant>,
    pub(super) incoming: Option<Box<Incoming>>,
    /// Content is told as it comes, and how much of it is in the handler's hands.
    pub(super) told: ToldContent,
    /// Requests in hand, oldest first; the oldest has the number `oldest`.
    pub(super) exchanges: VecDeque<Exchange>,
    pub(super) oldest: u64,
    /// Whether no further request is taken: the newest one closes the connection.
    pub(super) last: bool,
    pub(super) events: VecDeque<Event>,
    /// The wall-clock time and when it was told, for the answers that we give by ourselves.
    pub(super) clock: Option<(Instant, HttpDate)>,
    /// How long things may take: the settings', unless this connection was told otherwise.
    pub(super) times: Times,
    /// A copy of each request is kept until it is answered.
    pub(super) keeps: bool,
    /// What is known of the peer, and told where it is asked for.
    pub(super) dress: Dress,
    /// It is, or something else is changed of a request before it is told.
    pub(super) dresses: bool,
    /// HEAD is told as GET.
    pub(super) hides_head: bool,
    /// Bytes that break a rule, for the log.
    pub(super) at_fault: Option<Box<str>>,
    /// Bytes of responses that wait for their turn.
    pub(super) held: usize,
    /// The connection is TLS.
    secure: bool,
    /// Since when nothing is read, for a reason of ours.
    pub(super) suspended: Option<Instant>,
}

impl Server {
    /// A connection that was accepted just now. Settings can be given as such, or shared as an `Arc`.
    #[must_use]
    pub fn new(settings: impl Into<Arc<Settings>>, now: Instant) -> Self {
        let settings = settings.into();
        Self {
            times: Times::of(&settings),
            keeps: false,
            dress: Dress::default(),
            dresses: Dress::is_asked_for(&settings),
            hides_head: settings.transparent_head_requests,
            settings,
            wire: Wire::new(now),
            input: Input::default(),
            decoder: RequestDecoder::default(),
            head_since: None,
            incoming: None,
            told: ToldContent::default(),
            exchanges: VecDeque::new(),
            oldest: 0,
            last: false,
            events: VecDeque::new(),
            clock: None,
            at_fault: None,
            held: 0,
            secure: false,
            suspended: None,
        }
    }

    /// The same connection, under TLS or not: its requests tell so.
    #[must_use]
    pub fn secure(mut self, secure: bool) -> Self {
        self.secure = secure;
        self
    }

    pub(super) fn is_secure(&self) -> bool {
        self.secure
    }

    /// The same connection, told the wall-clock time: without it, error answers before the first response carry no `Date`.
    #[must_use]
    pub fn with_date(mut self, date: &HttpDate, now: Instant) -> Self {
        self.clock = Some((now, *date));
        self
    }

    /// Takes what was read. What is complete becomes events, whose content and header values are slices of `bytes`; what is not is
    /// copied, so that no large read buffer is retained.
    pub fn receive(&mut self, bytes: BytesMut, now: Instant) {
        self.wire.active = now;
        if !self.wire.is_open() {
            return;
        }
        self.input.append(bytes);
        self.parse(now);
        self.input.keep();
    }

    /// Takes the peer's FIN: requests in hand are answered, then the connection closes (RFC 9112 §9.6); at once, where the peer
    /// [may not](Settings::allow_half_closed) close its side only.
    pub fn receive_eof(&mut self, now: Instant) {
        self.wire.received_eof();
        self.parse(now);
        if !self.settings.allow_half_closed && self.wire.is_open() {
            // What it has asked for it will not read.
            self.break_off(now);
        }
    }

    /// A copy of each request is kept until it is answered, so that [`Event::TimedOut`] has it.
    pub fn keep_requests(&mut self) {
        self.keeps = true;
    }

    /// HEAD is told as HEAD, whatever the [settings](Settings::transparent_head_requests) say: for a handler that knows what to do about it.
    pub fn tell_head(&mut self) {
        self.hides_head = false;
    }

    /// The next event, if there is one.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// All events, oldest first: for those who take them all at once, or keep the queue's memory.
    #[must_use]
    pub fn events(&mut self) -> &mut VecDeque<Event> {
        &mut self.events
    }

    /// What waits to be written. Report progress to [`wrote`](Self::wrote).
    #[must_use]
    pub fn output(&mut self) -> &mut Output {
        &mut self.wire.output
    }

    /// To be called after bytes of [`output`](Self::output) have been written: resumes what had to wait for it.
    pub fn wrote(&mut self, now: Instant) {
        self.wire.wrote(now, &self.settings);
        if let Some(incoming) = &mut self.incoming
            && self.suspended.is_none()
        {
            incoming.clock.stirred(now, &self.settings);
        }
        if !self.input.is_empty() || self.incoming.is_some() {
            self.parse(now);
        }
    }

    /// Whether bytes should be read for HTTP's sake. False while the requests in hand are as many as allowed and enough waits behind
    /// them, while the handler has as much content in hand as it may, and after the end; what [`Closing::AfterFlush`] asks to be read is discarded.
    #[must_use]
    pub fn wants_read(&self) -> bool {
        let enough = match self.incoming {
            Some(_) => self.is_content_stopped(),
            None => self.is_paused() && self.input.len() >= self.settings.head_limit,
        };
        self.wire.is_open() && !self.wire.eof && !enough
    }

    /// Whether the connection ends, and how.
    #[must_use]
    pub fn closing(&self) -> Closing {
        self.wire.closing()
    }

    /// Ends the connection when the requests in hand have been answered; no further request is taken.
    pub fn close_gracefully(&mut self, now: Instant) {
        self.last = true;
        self.head_since = None;
        match self.exchanges.back_mut() {
            // What is coming is in hand, too, and the last: its request is told when it is complete, and closes.
            _ if self.incoming.as_ref().is_some_and(|incoming| matches!(incoming.way, Way::Whole(..))) => {}
            Some(exchange) => exchange.close = true,
            None => self.end(now),
        }
    }

    /// How many requests wait for their answer or its end.
    #[must_use]
    pub fn in_hand(&self) -> usize {
        self.exchanges.len()
    }

    /// Whether no head is parsed for now.
    fn is_paused(&self) -> bool {
        self.last
            || self.exchanges.len() >= self.settings.pipelining_limit
            || self.exchanges.back().is_some_and(Exchange::may_end_http)
            || self.wire.output.len() > self.settings.output_soft_limit
    }

    pub(super) fn parse(&mut self, now: Instant) {
        while self.wire.is_open() {
            if self.incoming.is_some() {
                match self.receive_content(now) {
                    Progress::Made => continue,
                    Progress::NeedsMore => break,
                    Progress::Stopped => return,
                }
            }
            if self.input.is_empty() {
                break;
            }
            if self.is_paused() {
                // The delay is ours now, not the peer's.
                self.head_since = None;
                return;
            }
            let excerpt = self.excerpt();
            match self.decoder.decode(&mut self.input, &self.settings) {
                Ok(Some((request, steering))) => {
                    self.head_since = None;
                    self.take_head(request, steering, now);
                }
                Ok(None) => {
                    // An empty line before the request-line is no beginning.
                    self.head_since = if self.input.is_empty() { None } else { self.head_since.or(Some(now)) };
                    break;
                }
                Err(error) => {
                    self.at_fault = excerpt;
                    self.fail(error, self.decoder.method(), now);
                }
            }
        }
        if self.wire.eof && self.wire.is_open() {
            self.parsed_all(now);
        }
    }

    /// No more is to come: what is incomplete now stays so.
    #[cold]
    fn parsed_all(&mut self, now: Instant) {
        self.head_since = None;
        self.lose_content(now);
        if self.exchanges.is_empty() {
            self.end(now);
        }
    }

    /// A head is complete.
    #[inline]
    fn take_head(&mut self, request: HttpRequest, steering: Steering, now: Instant) {
        if !self.secure && request.uri.scheme() == Some(&Scheme::HTTPS) {
            return self.fail(HttpError::Misdirected, request.method, now);
        }
        if steering.framing || steering.expect {
            return self.take_framed(request, steering, now);
        }
        self.accept(request, steering, now);
    }

    /// Is there content, and does the peer wait to be asked for it (RFC 9110 §10.1.1)?
    #[inline(never)]
    fn take_framed(&mut self, request: HttpRequest, steering: Steering, now: Instant) {
        let mut framing = Framing::Length(0);
        if steering.framing {
            framing = match Framing::of_request(request.version, &request.headers) {
                Ok(framing) => framing,
                Err(error) => return self.fail(error, request.method, now),
            };
        }
        let mut expected = false;
        if steering.expect {
            for expectation in request.headers.get_all(EXPECT).iter().flat_map(elements) {
                if !expectation.eq_ignore_ascii_case(b"100-continue") {
                    return self.fail(HttpError::Expectation, request.method, now);
                }
                expected = request.version != Version::HTTP_10;
            }
        }
        if framing == Framing::Length(0) {
            return self.accept(request, steering, now);
        }
        self.expect_content(request, steering, framing, expected, now);
    }

    /// A request is complete.
    #[inline]
    pub(super) fn accept(&mut self, mut request: HttpRequest, steering: Steering, now: Instant) {
        request.secure = self.secure;
        let close = self.last || !persists(&request, steering);
        let upgrade = asks_for_websocket(&request, steering);
        self.last |= close;
        let method = self.told_method(&mut request, upgrade);
        if self.dresses {
            self.dress(&mut request);
        }
        if upgrade {
            request.detach();
        }
        let upgrade = upgrade.then(|| Box::new(request.clone()));
        let kept = self.keeps.then(|| Box::new(request.clone()));
        let content = request.content.len();
        let number = self.open(Exchange { upgrade, kept, content, ..Exchange::new(method, request.version, close, now) });
        if self.events.capacity() == 0 {
            self.events.reserve_exact(1);
        }
        self.events.push_back(Event::Request { number, request });
    }

    /// The method, which steers how the request is answered; what is told of it may be another. To a request for an upgrade HEAD says that it is
    /// none (RFC 6455 §4.1).
    #[inline]
    pub(super) fn told_method(&self, request: &mut HttpRequest, upgrade: bool) -> Method {
        let method = request.method.clone();
        if self.hides_head && !upgrade && method == Method::HEAD {
            tell_as_get(request);
        }
        method
    }

    #[inline(always)]
    pub(super) fn open(&mut self, exchange: Exchange) -> RequestNumber {
        let number = RequestNumber(self.oldest + self.exchanges.len() as u64);
        if self.exchanges.capacity() == 0 {
            // One is all that most connections ever have.
            self.exchanges.reserve_exact(1);
        }
        self.exchanges.push_back(exchange);
        number
    }

    /// Lets the responses leave whose turn it is, then takes the requests that waited.
    pub(super) fn settle(&mut self, now: Instant) {
        while self.exchanges.front().is_some_and(|exchange| exchange.answer == Answer::Complete) {
            let close = self.exchanges.pop_front().is_some_and(|exchange| exchange.close);
            self.oldest += 1;
            if close {
                return self.end(now);
            }
            if self.exchanges.front().is_some_and(|next| !next.held.is_empty()) {
                self.release(now);
            }
        }
        if self.incoming.is_some() {
            self.ask_for_content(now);
        }
        if !self.input.is_empty() || self.wire.eof {
            self.parse(now);
        }
    }

    /// What was held of the response whose turn it is now leaves.
    #[inline(never)]
    fn release(&mut self, now: Instant) {
        let Some(next) = self.exchanges.front_mut() else { return };
        for held in next.held.drain(..) {
            match held {
                Held::Bytes(bytes) => {
                    self.held -= bytes.len();
                    self.wire.writing(now).push(bytes);
                }
                Held::Mark(mark) => self.wire.mark(mark),
            }
        }
    }

    #[cold]
    pub(super) fn end(&mut self, now: Instant) {
        self.clear();
        self.wire.end(now);
    }

    /// Ends the connection, whatever is in hand. A response that only the connection's end would end must not pass for whole: it is cut (RFC 9112 §8).
    pub(super) fn break_off(&mut self, now: Instant) {
        let bare = self.is_bare();
        self.end(now);
        if bare {
            self.wire.abort();
        }
    }

    /// Forgets all that cannot come to an end any more. Numbers are not given out twice.
    pub(super) fn clear(&mut self) {
        self.oldest += self.exchanges.len() as u64;
        self.exchanges = VecDeque::new();
        self.held = 0;
        self.abandon_content(HttpError::Incomplete);
        self.head_since = None;
        self.input = Input::default();
        self.last = true;
    }
}

fn tell_as_get(request: &mut HttpRequest) {
    request.method = Method::GET;
    // Of HEAD it means nothing, whatever GET would make of it (RFC 9110 §14.2).
    request.headers.remove(RANGE);
}
