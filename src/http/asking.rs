//! The client's requests: each sent in its turn, whole or streamed (RFC 9112 §9.3.2, RFC 9110 §10.1.1).

use std::time::Instant;

use http::header::{CONTENT_LENGTH, EXPECT, HOST};
use http::{HeaderMap, Method, Version};

use super::client::Client;
use super::client_event::{ClientEvent, Coding, Given, Held, Outgoing, Queued, Streams, Waiting};
use super::content::content_length;
use super::decode::elements;
use super::encode;
use super::{Chunk, ContentEnd, HttpError, HttpRequest, RequestNumber, trailers};

impl Client {
    /// Sends a request: now, or when it is its turn (RFC 9112 §9.3.2). `Host` and the content's length are added where they are missing: the target's
    /// authority, or the connection's [host](Self::host). An absolute URI is sent in origin-form.
    ///
    /// A request that cannot be sent is told of by [`ClientEvent::Unanswered`].
    pub fn request(&mut self, request: HttpRequest, now: Instant) -> RequestNumber {
        self.begin(request, Streams::default(), now)
    }

    /// Sends a request of which some goes in pieces, as [`request`](Self::request) does. Content that is to follow is chunked (RFC 9112 §7.1), or as
    /// long as the request's `Content-Length` says and held to it; what the request has is its beginning. Such a request is sent when no
    /// other waits for its response.
    pub fn begin(&mut self, request: HttpRequest, streams: Streams, now: Instant) -> RequestNumber {
        let number = RequestNumber(self.next);
        self.next += 1;
        let mut queued = Queued { number, request: Box::new(request), streams, held: Held::default() };
        if let Err(error) = self.check(&queued) {
            self.events.push_back(ClientEvent::Unanswered { number, error });
            return number;
        }
        if streams.content {
            let content = std::mem::take(&mut queued.request.content);
            queued.held.take(content.into());
        }
        self.last |= queued.is_last();
        self.queued_bytes += queued.bytes();
        self.queue.push_back(queued);
        self.pump(now);
        number
    }

    /// Whether a request would be taken: the connection is open and none before asks to close it, and not too many wait for their turn.
    #[must_use]
    pub fn can_request(&self) -> bool {
        self.room().is_ok()
    }

    /// Appends to content that is streamed, which waits for its turn and for `100 Continue`. Empty pieces are passed over: an empty chunk would end the
    /// content. Extensions of chunks that are malformed, or have no chunk to go with, are left out.
    ///
    /// # Errors
    ///
    /// [`HttpError::Closed`] when the request is not being streamed (any more); [`HttpError::ContentMismatch`] when the content would be longer than its
    /// `Content-Length`. Nothing was sent then.
    pub fn chunk(&mut self, number: RequestNumber, chunk: impl Into<Chunk>, now: Instant) -> Result<(), HttpError> {
        let chunk = chunk.into();
        match &mut self.outgoing {
            Some(outgoing) if outgoing.number == number && outgoing.held.end.is_none() => {
                if let Coding::Length(left) = outgoing.coding
                    && left < (outgoing.held.bytes + chunk.data.len()) as u64
                {
                    return Err(HttpError::ContentMismatch);
                }
                outgoing.held.take(chunk);
                self.push_content(now);
                Ok(())
            }
            _ => {
                let queued = self.queue.iter_mut().find(|queued| queued.number == number);
                let queued = queued.filter(|queued| queued.streams.content && queued.held.end.is_none()).ok_or(HttpError::Closed)?;
                if let Some(length) = queued.request.headers.get(CONTENT_LENGTH)
                    && content_length(length.as_bytes())? < (queued.held.bytes + chunk.data.len()) as u64
                {
                    return Err(HttpError::ContentMismatch);
                }
                self.queued_bytes += chunk.data.len();
                queued.held.take(chunk);
                Ok(())
            }
        }
    }

    /// Ends content that is streamed. Trailers need the chunked coding, and those that frame, route or authenticate must not be any (RFC 9110
    /// §6.5.1): they are left out.
    ///
    /// # Errors
    ///
    /// [`HttpError::Closed`] when the request is not being streamed (any more). [`HttpError::ContentMismatch`] when the content is shorter than its
    /// `Content-Length`: the request fails, and with it the connection if anything of it was sent.
    pub fn finish(&mut self, number: RequestNumber, end: ContentEnd, now: Instant) -> Result<(), HttpError> {
        match &mut self.outgoing {
            Some(outgoing) if outgoing.number == number && outgoing.held.end.is_none() => {
                if matches!(outgoing.coding, Coding::Length(left) if left > outgoing.held.bytes as u64) {
                    self.fail_at(Some(number), HttpError::ContentMismatch, now);
                    return Err(HttpError::ContentMismatch);
                }
                outgoing.held.end = Some(end);
                self.push_content(now);
                Ok(())
            }
            _ => {
                let at = self.queue.iter().position(|queued| queued.number == number).ok_or(HttpError::Closed)?;
                let queued = &mut self.queue[at];
                if !queued.streams.content || queued.held.end.is_some() {
                    return Err(HttpError::Closed);
                }
                if let Some(length) = queued.request.headers.get(CONTENT_LENGTH)
                    && content_length(length.as_bytes())? > queued.held.bytes as u64
                {
                    self.withdraw(at, HttpError::ContentMismatch);
                    return Err(HttpError::ContentMismatch);
                }
                queued.held.end = Some(end);
                Ok(())
            }
        }
    }

    /// Gives up content that is streamed: a request of which nothing was sent is forgotten, else the connection ends, so that nobody takes it for
    /// complete (RFC 9112 §8).
    pub fn abandon(&mut self, number: RequestNumber, now: Instant) {
        if self.outgoing.as_ref().is_some_and(|outgoing| outgoing.number == number && outgoing.held.end.is_none()) {
            self.fail_at(Some(number), HttpError::Abandoned, now);
        } else if let Some(at) = self.queue.iter().position(|queued| queued.number == number && queued.held.end.is_none()) {
            self.withdraw(at, HttpError::Abandoned);
        }
    }

    /// Forgets a request of which nothing was sent.
    fn withdraw(&mut self, at: usize, error: HttpError) {
        if let Some(queued) = self.queue.remove(at) {
            self.queued_bytes -= queued.bytes();
            self.events.push_back(ClientEvent::Unanswered { number: queued.number, error });
        }
    }

    /// Wants to know when all has been written that was said of this request until now: [`poll_written`](Self::poll_written) gives the
    /// mark then. It never does if the request is not in hand, or ends before.
    pub fn mark(&mut self, number: RequestNumber, mark: u64) {
        let queued = self.queue.iter_mut().find(|queued| queued.number == number).map(|queued| &mut queued.held);
        let outgoing = self.outgoing.as_mut().filter(|outgoing| outgoing.number == number && outgoing.expects.is_some());
        match queued.or(outgoing.map(|outgoing| &mut outgoing.held)) {
            Some(held) => held.given.push_back(Given::Mark(mark)),
            None => self.wire.mark(mark),
        }
    }

    /// The next [mark](Self::mark) whose bytes have all been written.
    #[must_use]
    pub fn poll_written(&mut self) -> Option<u64> {
        self.wire.poll_written()
    }

    /// Bytes of requests that have not been written: content that waits for its turn, too.
    #[must_use]
    pub fn unsent(&self) -> usize {
        self.wire.output.len() + self.queued_bytes + self.outgoing.as_ref().map_or(0, |outgoing| outgoing.held.bytes)
    }

    /// The request whose content is being streamed, and how many bytes of it and of all before it have not been written. What waits behind it is not
    /// among them: it has no turn before this one's end.
    pub(crate) fn streaming(&self) -> Option<(RequestNumber, usize)> {
        self.outgoing.as_ref().map(|outgoing| (outgoing.number, self.wire.output.len() + outgoing.held.bytes))
    }

    fn room(&self) -> Result<(), HttpError> {
        let bytes = self.queued_bytes >= self.settings.queue_bytes_limit;
        match () {
            () if !self.wire.is_open() || self.wire.eof || self.switched || self.last => Err(HttpError::NotSent),
            () if self.queue.len() >= self.settings.queue_limit || bytes => Err(HttpError::QueueFull),
            () => Ok(()),
        }
    }

    /// What must not leave, and what cannot.
    fn check(&self, queued: &Queued) -> Result<(), HttpError> {
        self.room()?;
        let Queued { request, streams, .. } = queued;
        let HttpRequest { method, uri, headers, .. } = &**request;
        match (method == Method::CONNECT, uri.path_and_query()) {
            (true, _) if uri.authority().is_none() => return Err(HttpError::TargetForm),
            (false, Some(path)) if path.as_str() == "*" && method != Method::OPTIONS => return Err(HttpError::TargetForm),
            _ => {}
        }
        // What is for https is not said in the clear: its credentials, to begin with.
        if request.secure && !self.secure {
            return Err(HttpError::Insecure);
        }
        if headers.get_all(HOST).iter().nth(1).is_some() {
            return Err(HttpError::Host);
        }
        if queued.expects() && !headers.get_all(EXPECT).iter().flat_map(elements).all(|it| it.eq_ignore_ascii_case(b"100-continue")) {
            return Err(HttpError::Expectation);
        }
        if streams.content {
            let declared = declared(headers)?;
            if declared.is_none() && request.version == Version::HTTP_10 {
                return Err(HttpError::TransferEncoding);
            }
            if declared.is_some_and(|length| length < request.content.len() as u64) {
                return Err(HttpError::ContentMismatch);
            }
        }
        Ok(())
    }

    /// Sends what may be sent.
    pub(super) fn pump(&mut self, now: Instant) {
        while self.queue.front().is_some_and(|next| self.may_send(next))
            && let Some(next) = self.queue.pop_front()
        {
            self.queued_bytes -= next.bytes();
            self.send(next, now);
        }
    }

    /// A request is sent behind others only where their repetition would do no harm, should the connection end before they are answered (RFC
    /// 9112 §9.3.2); and not while much waits to be written.
    fn may_send(&self, next: &Queued) -> bool {
        if !self.wire.is_open() || self.switched || self.outgoing.is_some() || self.wire.output.len() > self.settings.output_soft_limit {
            return false;
        }
        let Some(last) = self.waiting.back() else { return true };
        let harmless = self.settings.pipeline_any_method || (last.method.is_idempotent() && next.request.method.is_idempotent());
        self.waiting.len() < self.settings.in_flight_limit && harmless && !last.close && !last.may_end_http() && !next.is_slow()
    }

    fn send(&mut self, mut queued: Queued, now: Instant) {
        let expects = queued.expects();
        let output = self.wire.writing(now);
        self.waiting.push_back(Waiting::new(&queued, output.end(), now));
        let coding = match (queued.streams.content, declared(&queued.request.headers)) {
            (false, _) => Coding::Length(queued.request.content.len() as u64),
            (true, Ok(Some(length))) => Coding::Length(length),
            (true, _) => Coding::Chunked,
        };
        let ours = encode::Ours { host: self.host.as_ref(), agent: self.settings.user_agent.as_ref() };
        encode::request_head(output.tail(), &queued.request, coding, expects, ours);
        let content = std::mem::take(&mut queued.request.content);
        if !expects && !queued.streams.content {
            let output = self.wire.writing(now);
            if !content.is_empty() {
                output.push(content);
            }
            let end = Some(output.end());
            if let Some(waiting) = self.waiting.back_mut() {
                waiting.end = end;
            }
            for given in &queued.held.given {
                if let Given::Mark(mark) = given {
                    self.wire.mark(*mark);
                }
            }
            return;
        }
        if !queued.streams.content {
            queued.held.take(content.into());
            queued.held.end = Some(ContentEnd::default());
        }
        let expects = if expects { now.checked_add(self.settings.continue_timeout) } else { None };
        self.outgoing = Some(Outgoing { number: queued.number, coding, expects, held: queued.held });
        self.push_content(now);
    }

    /// Writes the content that may be written, and what ends it.
    fn push_content(&mut self, now: Instant) {
        let Some(outgoing) = &mut self.outgoing else { return };
        if outgoing.expects.is_some() {
            return;
        }
        outgoing.held.bytes = 0;
        for given in outgoing.held.given.drain(..) {
            let Chunk { data, extensions } = match given {
                Given::Chunk(chunk) => chunk,
                Given::Mark(mark) => {
                    self.wire.mark(mark);
                    continue;
                }
            };
            let output = self.wire.writing(now);
            match &mut outgoing.coding {
                Coding::Chunked => {
                    encode::chunk_head(output.tail(), data.len(), &extensions);
                    output.push(data);
                    output.put(b"\r\n");
                }
                Coding::Length(left) => {
                    *left -= data.len() as u64;
                    output.push(data);
                }
            }
        }
        let Some(end) = outgoing.held.end.take() else { return };
        if outgoing.coding == Coding::Chunked {
            trailers::write(self.wire.writing(now).tail(), &end);
        }
        if let Some(waiting) = self.waiting.iter_mut().find(|waiting| waiting.number == outgoing.number) {
            // The request is complete now: its response is due once it has left.
            (waiting.since, waiting.end) = (now, Some(self.wire.output.end()).filter(|end| *end > self.wire.output.written()));
        }
        self.outgoing = None;
        self.settle(now);
    }

    /// `100 Continue` has come, or is waited for no longer.
    pub(super) fn go_on(&mut self, now: Instant) {
        if let Some(outgoing) = &mut self.outgoing {
            outgoing.expects = None;
            self.push_content(now);
        }
    }

    /// Until when content waits for `100 Continue`.
    pub(super) fn continue_deadline(&self) -> Option<Instant> {
        self.outgoing.as_ref()?.expects
    }

    /// Whether the content of this request is still to come.
    pub(super) fn is_outgoing(&self, number: RequestNumber) -> bool {
        self.outgoing.as_ref().is_some_and(|outgoing| outgoing.number == number)
    }
}

impl Held {
    /// Empty pieces are passed over: an empty chunk would end the content.
    fn take(&mut self, chunk: Chunk) {
        if !chunk.data.is_empty() {
            self.bytes += chunk.data.len();
            self.given.push_back(Given::Chunk(chunk));
        }
    }
}

/// The user's own length of content that is streamed.
fn declared(headers: &HeaderMap) -> Result<Option<u64>, HttpError> {
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    match (lengths.next(), lengths.next()) {
        (None, _) => Ok(None),
        (Some(length), None) => content_length(length.as_bytes()).map(Some),
        (Some(_), Some(_)) => Err(HttpError::ContentLength),
    }
}
