//! The client's responses: each read behind the other, and told whole or as it comes (RFC 9112 §6, §9.3).

use std::time::Instant;

use http::header::CONNECTION;
use http::{Method, StatusCode, Version};

use super::client::Client;
use super::client_event::{ClientEvent, Incoming};
use super::content::{ContentDecoder, Framing, Piece};
use super::decode::has_token;
use super::rate::ContentClock;
use super::{ContentEnd, HttpError, HttpResponse};

/// What a piece of content is worth besides its bytes: many short ones are not had for nothing.
const OVERHEAD: usize = size_of::<ClientEvent>();

impl Client {
    /// Takes back what events were `worth`: who had them in hand no longer does. Reading goes on at half the window.
    pub fn give_back(&mut self, worth: usize, now: Instant) {
        self.in_hands = self.in_hands.saturating_sub(worth);
        if self.in_hands <= self.settings.content_window {
            // The start alone is worth more.
            self.start = 0;
        }
        if !self.held_up || self.in_hands > self.settings.content_window / 2 {
            return;
        }
        self.held_up = false;
        // The delay was ours.
        self.wire.active = now;
        if let Some(incoming) = self.incoming.as_mut().filter(|incoming| incoming.response.is_some()) {
            incoming.clock = ContentClock::new(now, &self.settings);
        }
        self.parse(now);
        self.input.keep();
    }

    fn hand_out(&mut self, worth: usize) {
        self.in_hands = self.in_hands.saturating_add(worth);
        self.held_up |= self.in_hands > self.settings.content_window;
    }

    /// Whether content waits until enough is given back. The end of what has a length is known with its last byte.
    fn is_held_up(&self) -> bool {
        self.held_up && self.incoming.as_ref().is_none_or(|incoming| incoming.decoder.left() != Some(0))
    }

    pub(super) fn parse(&mut self, now: Instant) {
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
            // RFC 9112 §9.2: what comes before a request has begun to leave answers none, whenever it is looked at.
            let (at, written) = (self.received - self.input.len() as u64, self.wire.output.written());
            if self.waiting.front().is_none_or(|waiting| waiting.begin >= written || waiting.behind.is_some_and(|behind| at < behind)) {
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
                // What is told as it comes has nobody wait for all of it.
                let clock = if streamed { ContentClock::patient() } else { ContentClock::new(now, &self.settings) };
                let response = if streamed {
                    let (length, worth) = (decoder.left(), self.settings.content_window.saturating_add(1));
                    self.start = worth;
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
            next.wrote(self.wire.output.written(), now);
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
}

/// Whether the connection goes on behind this response (RFC 9112 §9.3).
fn persists(response: &HttpResponse) -> bool {
    let headers = &response.headers;
    !has_token(headers, &CONNECTION, "close") && (response.version != Version::HTTP_10 || has_token(headers, &CONNECTION, "keep-alive"))
}
