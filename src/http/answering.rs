//! The server's answers: whole or streamed, each in its turn (RFC 9112 §9.3.2).

use std::time::Instant;

use bytes::{Bytes, BytesMut};
use http::{Method, Version};

use super::connection::Server;
use super::content::is_sent_without_content;
use super::encode::{self, Announced, LAST_CHUNK, Persistence};
use super::exchange::{Answer, Chunks};
use super::{HttpDate, HttpResponse, RequestNumber, RespondError};

impl Server {
    /// Answers a request. The response leaves when those to earlier requests have; the next request is parsed then.
    ///
    /// # Errors
    ///
    /// When the request is not in hand (any more), or the status is 1xx. Nothing has changed then.
    pub fn respond(&mut self, number: RequestNumber, response: HttpResponse, date: &HttpDate, now: Instant) -> Result<(), RespondError> {
        let index = self.awaiting(number, &response)?;
        self.clock = Some((now, *date));
        self.answer(index, response, now);
        Ok(())
    }

    /// Begins a response whose length is not known: chunked, or in HTTP/1.0 ended by closing (RFC 9112 §7.1). Its content, if it has
    /// any, is the first chunk.
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
        let chunks = match announced {
            _ if bodiless => Chunks::Dropped,
            Announced::Chunked => Chunks::Framed,
            _ => {
                exchange.close = true;
                Chunks::Bare
            }
        };
        exchange.answer = Answer::Streaming(chunks);
        self.put_head(index, &response, announced, now);
        self.put_chunk(index, chunks, response.content, now);
        Ok(())
    }

    /// Appends to a streamed response. Empty chunks are passed over: an empty chunk would end the content.
    ///
    /// # Errors
    ///
    /// When no response to this request is being streamed. Nothing has changed then.
    pub fn chunk(&mut self, number: RequestNumber, bytes: Bytes, now: Instant) -> Result<(), RespondError> {
        let (index, chunks) = self.streaming(number)?;
        self.put_chunk(index, chunks, bytes, now);
        Ok(())
    }

    /// Ends a streamed response.
    ///
    /// # Errors
    ///
    /// As [`chunk`](Self::chunk).
    pub fn finish(&mut self, number: RequestNumber, now: Instant) -> Result<(), RespondError> {
        let (index, chunks) = self.streaming(number)?;
        if chunks == Chunks::Framed {
            self.put(index, Bytes::from_static(LAST_CHUNK), now);
        }
        self.exchanges[index].answer = Answer::Complete;
        self.settle(now);
        Ok(())
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

    pub(super) fn answer(&mut self, index: usize, response: HttpResponse, now: Instant) {
        let exchange = &mut self.exchanges[index];
        exchange.answer = Answer::Complete;
        exchange.close |= exchange.method == Method::CONNECT && response.status.is_success();
        let announced = encode::announced(&exchange.method, exchange.version, response.status, Some(response.content.len()));
        let bodiless = is_sent_without_content(&exchange.method, response.status);
        self.put_head(index, &response, announced, now);
        if !bodiless && !response.content.is_empty() {
            self.put(index, response.content, now);
        }
        self.settle(now);
    }

    fn put_head(&mut self, index: usize, response: &HttpResponse, announced: Announced, now: Instant) {
        let exchange = &mut self.exchanges[index];
        exchange.close |= encode::asks_to_close(&response.headers);
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
        exchange.held.push(head.freeze());
    }

    fn put_chunk(&mut self, index: usize, chunks: Chunks, bytes: Bytes, now: Instant) {
        match chunks {
            _ if bytes.is_empty() => {}
            Chunks::Dropped => {}
            Chunks::Bare => self.put(index, bytes, now),
            Chunks::Framed => {
                let mut head = BytesMut::with_capacity(18);
                encode::chunk_head(&mut head, bytes.len());
                self.put(index, head.freeze(), now);
                self.put(index, bytes, now);
                self.put(index, Bytes::from_static(b"\r\n"), now);
            }
        }
    }

    /// Writes bytes of a response, now or in its turn.
    fn put(&mut self, index: usize, bytes: Bytes, now: Instant) {
        match index {
            0 => self.wire.writing(now).push(bytes),
            _ => self.exchanges[index].held.push(bytes),
        }
    }
}
