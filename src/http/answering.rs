//! The server's answers: whole or streamed, each in its turn (RFC 9112 §9.3.2).

use std::time::Instant;

use bytes::{Bytes, BytesMut};
use http::{Method, StatusCode, Version};

use super::connection::Server;
use super::content::is_sent_without_content;
use super::encode::{self, Announced, Persistence};
use super::exchange::{Answer, Chunks, Held};
use super::{Chunk, ContentEnd, HttpDate, HttpEnd, HttpResponse, RequestNumber, RespondError, trailers};

impl Server {
    /// Answers a request. The response leaves when those to earlier requests have; the next request is parsed then.
    ///
    /// # Errors
    ///
    /// When the request is not in hand (any more), or the status is 1xx. Nothing has changed then.
    pub fn respond(
        &mut self,
        number: RequestNumber,
        mut response: HttpResponse,
        date: &HttpDate,
        now: Instant,
    ) -> Result<(), RespondError> {
        self.answer_with(number, &mut response, date, now)
    }

    /// As [`respond`](Self::respond), and takes the content out of the response.
    pub(crate) fn answer_with(
        &mut self,
        number: RequestNumber,
        response: &mut HttpResponse,
        date: &HttpDate,
        now: Instant,
    ) -> Result<(), RespondError> {
        let index = self.awaiting(number, response)?;
        self.clock = Some((now, *date));
        self.answer(index, response, now);
        Ok(())
    }

    /// Begins a response whose content is still to come; what it has of it is the first chunk. With one `Content-Length` of the
    /// user's it has that length, and is held to it. Otherwise it is chunked, or in HTTP/1.0 ended by closing (RFC 9112 §7.1).
    ///
    /// # Errors
    ///
    /// As [`respond`](Self::respond).
    pub fn start(&mut self, number: RequestNumber, response: HttpResponse, date: &HttpDate, now: Instant) -> Result<(), RespondError> {
        let index = self.awaiting(number, &response)?;
        self.clock = Some((now, *date));
        let exchange = &mut self.exchanges[index];
        let bodiless = is_sent_without_content(&exchange.method, response.status);
        let announced = encode::announced(&exchange.method, exchange.version, response.status, None);
        let length = encode::declared_length(&response.headers);
        let (announced, chunks) = match (announced, length) {
            (announced @ (Announced::Length(_) | Announced::Theirs), _) => (announced, Chunks::Dropped),
            (_, Some(_)) if exchange.method == Method::HEAD && response.status != StatusCode::NO_CONTENT => {
                (Announced::Theirs, Chunks::Dropped)
            }
            (_, None) if bodiless && self.settings.chunkless_streaming => (Announced::Nothing, Chunks::Dropped),
            (announced, _) if bodiless => (announced, Chunks::Dropped),
            (_, Some(length)) => (Announced::Theirs, Chunks::Counted(length)),
            (Announced::Chunked, None) if !self.settings.chunkless_streaming => (Announced::Chunked, Chunks::Framed),
            (_, None) => (Announced::Nothing, Chunks::Bare),
        };
        exchange.close |= chunks == Chunks::Bare;
        exchange.close |= exchange.method == Method::CONNECT && response.status.is_success();
        if self.incoming.as_ref().is_some_and(|incoming| incoming.continue_due) && self.telling() == Some(number) {
            // It is not asked for its content any more, and may send it or not (RFC 9110 §10.1.1).
            self.exchanges[index].close = true;
        }
        self.exchanges[index].answer = Answer::Streaming(chunks);
        self.put_head(index, &response, announced, now);
        self.put_chunk(index, response.content.into(), now)
    }

    /// Appends to a streamed response. Empty chunks are passed over: an empty chunk would end the content.
    ///
    /// # Errors
    ///
    /// When no response to this request is being streamed: nothing has changed then. With more than the length announced,
    /// [`RespondError::Length`]: the connection is aborted, as what was sent cannot be mended.
    pub fn chunk(&mut self, number: RequestNumber, chunk: impl Into<Chunk>, now: Instant) -> Result<(), RespondError> {
        let (index, _) = self.streaming(number)?;
        self.put_chunk(index, chunk.into(), now)
    }

    /// Ends a streamed response, without trailers.
    ///
    /// # Errors
    ///
    /// As [`finish_with`](Self::finish_with).
    pub fn finish(&mut self, number: RequestNumber, now: Instant) -> Result<(), RespondError> {
        self.finish_with(number, &ContentEnd::default(), now)
    }

    /// Ends a streamed response. Its trailers are sent where it is chunked (RFC 9112 §7.1.2), and only those that may be any: none that
    /// frame, route or authenticate (RFC 9110 §6.5.1).
    ///
    /// # Errors
    ///
    /// When no response to this request is being streamed: nothing has changed then. With less than the length announced,
    /// [`RespondError::Length`]: the connection is aborted, so that nobody takes it for complete.
    pub fn finish_with(&mut self, number: RequestNumber, end: &ContentEnd, now: Instant) -> Result<(), RespondError> {
        let (index, chunks) = self.streaming(number)?;
        match chunks {
            Chunks::Framed => {
                let mut out = BytesMut::new();
                trailers::write(&mut out, end);
                self.put(index, out.freeze(), now);
            }
            Chunks::Counted(1..) => {
                self.abort();
                return Err(RespondError::Length);
            }
            _ => {}
        }
        self.exchanges[index].close |= self.drain_content(number);
        self.exchanges[index].answer = Answer::Complete;
        self.settle(now);
        Ok(())
    }

    /// Sends an interim response, 103 Early Hints say, ahead of the answer (RFC 9110 §15.2): [`Settings::interim_limit`](super::Settings::interim_limit) of
    /// them at most. HTTP/1.0 has none: it is passed over there.
    ///
    /// # Errors
    ///
    /// When the request is not in hand, its answer has begun, the status is not 1xx, or 101, or there have been as many as may be. Nothing has changed then.
    pub fn interim(&mut self, number: RequestNumber, response: &HttpResponse, now: Instant) -> Result<(), RespondError> {
        let index = self.index(number).ok_or(RespondError::NotInHand)?;
        let exchange = &mut self.exchanges[index];
        if exchange.answer != Answer::Awaited {
            return Err(RespondError::OutOfTurn);
        }
        if !response.status.is_informational() || response.status == StatusCode::SWITCHING_PROTOCOLS {
            return Err(RespondError::NotInterim);
        }
        if exchange.interim >= self.settings.interim_limit {
            return Err(RespondError::TooManyInterim);
        }
        exchange.interim += 1;
        if exchange.version != Version::HTTP_10 {
            let mut head = BytesMut::new();
            encode::response_head(&mut head, response, Announced::Nothing, Persistence::Implied, None, None);
            self.put(index, head.freeze(), now);
        }
        Ok(())
    }

    /// Wants to know when all has been written that was said of this request until now: [`poll_written`](Self::poll_written) gives the
    /// mark then.
    pub fn mark(&mut self, number: RequestNumber, mark: u64) {
        match self.index(number) {
            Some(index @ 1..) => self.exchanges[index].held.push(Held::Mark(mark)),
            _ => self.wire.mark(mark),
        }
    }

    /// The next [mark](Self::mark) whose bytes have all been written.
    #[must_use]
    pub fn poll_written(&mut self) -> Option<u64> {
        self.wire.poll_written()
    }

    /// Bytes of responses that have not been written: those that wait for their turn, too.
    #[must_use]
    pub fn unsent(&self) -> usize {
        self.wire.output.len() + self.held
    }

    /// Whether no more than the soft limit has not been written of what goes before the next piece of this response. Responses that wait for the end of the
    /// first take no room from it.
    #[must_use]
    pub fn has_room(&self, number: RequestNumber) -> bool {
        let unsent = if self.index(number) == Some(0) { self.wire.output.len() } else { self.unsent() };
        unsent <= self.settings.output_soft_limit
    }

    /// How many bytes wait for the end of the first response, and which that is.
    pub(crate) fn waiting(&self) -> (usize, RequestNumber) {
        (self.held, RequestNumber(self.oldest))
    }

    /// Whether the response that has begun to this request has no content, whatever is said of it: that to HEAD, 204, 304 (RFC 9110 §6.4.1).
    #[must_use]
    pub fn is_without_content(&self, number: RequestNumber) -> bool {
        matches!(self.streaming(number), Ok((_, Chunks::Dropped)))
    }

    /// Whether a response to this request has begun and not ended.
    #[must_use]
    pub fn is_streaming(&self, number: RequestNumber) -> bool {
        self.streaming(number).is_ok()
    }

    /// Ends the connection when what waits has been written: requests in hand are not answered any more, and those that have not been told are not told. Inside a
    /// streamed response that only the connection's end would end, as in HTTP/1.0, it is [aborted](Self::abort): half of it must not pass for whole (RFC 9112 §8).
    pub fn close(&mut self, now: Instant) {
        self.break_off(now);
        self.forget_untold();
    }

    /// As [`close`](Self::close), and the peer has an idle timeout for its own end; what it sends until then is discarded.
    pub fn close_confirmed(&mut self, now: Instant) {
        self.wire.confirmed = Some(self.times.idle);
        self.close(now);
    }

    /// How the connection has ended.
    #[must_use]
    pub fn ended(&self) -> HttpEnd {
        self.wire.ended()
    }

    /// Ends the connection at once: what waits to be written is lost.
    pub fn abort(&mut self) {
        self.clear();
        self.wire.abort();
    }

    pub(super) fn index(&self, number: RequestNumber) -> Option<usize> {
        let index = usize::try_from(number.0.checked_sub(self.oldest)?).ok()?;
        (index < self.exchanges.len()).then_some(index)
    }

    fn awaiting(&self, number: RequestNumber, response: &HttpResponse) -> Result<usize, RespondError> {
        let index = self.index(number).ok_or(RespondError::NotInHand)?;
        match self.exchanges[index].answer {
            Answer::Awaited if response.status.is_informational() => Err(RespondError::Interim),
            Answer::Awaited => Ok(index),
            Answer::Streaming(_) => Err(RespondError::OutOfTurn),
            Answer::Complete => Err(RespondError::NotInHand),
        }
    }

    fn streaming(&self, number: RequestNumber) -> Result<(usize, Chunks), RespondError> {
        let index = self.index(number).ok_or(RespondError::NotInHand)?;
        match self.exchanges[index].answer {
            Answer::Streaming(chunks) => Ok((index, chunks)),
            Answer::Awaited => Err(RespondError::OutOfTurn),
            Answer::Complete => Err(RespondError::NotInHand),
        }
    }

    pub(super) fn answer(&mut self, index: usize, response: &mut HttpResponse, now: Instant) {
        let drained = self.incoming.is_some() && self.drain_content(RequestNumber(self.oldest + index as u64));
        let exchange = &mut self.exchanges[index];
        exchange.close |= drained;
        exchange.answer = Answer::Complete;
        exchange.close |= exchange.method == Method::CONNECT && response.status.is_success();
        let announced = encode::announced(&exchange.method, exchange.version, response.status, Some(response.content.len()));
        let bodiless = is_sent_without_content(&exchange.method, response.status);
        self.put_head(index, response, announced, now);
        if !bodiless && !response.content.is_empty() {
            self.put(index, std::mem::take(&mut response.content), now);
        }
        self.settle(now);
    }

    fn put_head(&mut self, index: usize, response: &HttpResponse, announced: Announced, now: Instant) {
        let exchange = &mut self.exchanges[index];
        exchange.close |= encode::asks_to_close(&response.headers);
        // RFC 9112 §9.6: behind a `close` no further request is processed.
        self.last |= exchange.close;
        let persistence = match (exchange.close, exchange.version) {
            (true, _) => Persistence::Close,
            (false, Version::HTTP_10) => Persistence::KeepAlive,
            (false, _) => Persistence::Implied,
        };
        let date = self.clock.as_ref().map(|(_, date)| date);
        let server = self.settings.server_header.as_ref();
        if index == 0 || planted!(AnswerOvertakes) {
            return encode::response_head(self.wire.writing(now).tail(), response, announced, persistence, date, server);
        }
        let mut head = BytesMut::new();
        encode::response_head(&mut head, response, announced, persistence, date, server);
        self.held += head.len();
        exchange.held.push(Held::Bytes(head.freeze()));
    }

    fn put_chunk(&mut self, index: usize, chunk: Chunk, now: Instant) -> Result<(), RespondError> {
        let Chunk { data, extensions } = chunk;
        let Answer::Streaming(chunks) = &mut self.exchanges[index].answer else { return Ok(()) };
        if data.is_empty() {
            return Ok(());
        }
        match chunks {
            Chunks::Dropped => {}
            Chunks::Bare => self.put(index, data, now),
            Chunks::Counted(left) => match left.checked_sub(data.len() as u64) {
                Some(rest) => {
                    *left = rest;
                    self.put(index, data, now);
                }
                None => {
                    self.abort();
                    return Err(RespondError::Length);
                }
            },
            Chunks::Framed if index == 0 => {
                let out = self.wire.writing(now);
                encode::chunk_head(out.tail(), data.len(), &extensions);
                out.push(data);
                out.put(b"\r\n");
            }
            Chunks::Framed => {
                let mut head = BytesMut::with_capacity(18 + extensions.len());
                encode::chunk_head(&mut head, data.len(), &extensions);
                self.put(index, head.freeze(), now);
                self.put(index, data, now);
                self.put(index, Bytes::from_static(b"\r\n"), now);
            }
        }
        Ok(())
    }

    /// Writes bytes of a response, now or in its turn.
    fn put(&mut self, index: usize, bytes: Bytes, now: Instant) {
        match index {
            0 => self.wire.writing(now).push(bytes),
            _ => {
                self.held += bytes.len();
                self.exchanges[index].held.push(Held::Bytes(bytes));
            }
        }
    }
}
