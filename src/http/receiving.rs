//! A request's content on its way in: collected, told as it comes, or read and discarded (RFC 9110 §6.4).
//!
//! **Told as it comes.** The handler has in hand what it was told and has not given back. While that is more than a window nothing is parsed
//! and nothing is read, so that the peer feels TCP's own back-pressure; all this goes on at half the window. The start of a request alone is
//! worth more than the window: until it is given back, the content is not asked for.
//!
//! **Whose time it is.** While the handler has too much in hand, the deadline is that of its answer; otherwise it is the peer's, who has
//! to keep up the minimum rate.

use std::time::Instant;

use http::Method;

use super::connection::Server;
use super::content::{ContentDecoder, Framing, Piece};
use super::encode::CONTINUE;
use super::exchange::{Answer, Exchange, Incoming, Steering, Way, asks_for_websocket, persists};
use super::input::Input;
use super::rate::ContentClock;
use super::{Event, HttpError, HttpRequest, RequestNumber};

/// What a piece of content is worth besides its bytes: many short ones are not had for nothing.
const OVERHEAD: usize = size_of::<Event>();

/// How content is told that is told as it comes.
#[derive(Debug, Default)]
pub(super) struct ToldContent {
    /// It is: otherwise it is told with its request, when it is complete.
    pub(super) wanted: bool,
    /// What the handler has in hand.
    in_hand: usize,
    /// What of it is the start of a request, and no bytes.
    start: usize,
    /// Since when that is too much.
    pub(super) stopped: Option<Instant>,
}

impl ToldContent {
    /// Bytes that the handler has in hand.
    pub(super) fn buffered(&self) -> usize {
        // What is given back does not say what it was: only where nothing but the start can be in hand it is known to be no bytes.
        if self.in_hand == self.start { 0 } else { self.in_hand }
    }
}

/// What came of trying to take some content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    Made,
    NeedsMore,
    /// There may be more; the handler first, or the peer that takes no bytes.
    Stopped,
}

impl Server {
    /// From now on the content of a request is told as it comes, by [`Event::RequestStart`], [`Event::Chunk`] and
    /// [`Event::ContentEnd`]. A request without content is told as ever.
    pub fn stream_content(&mut self) {
        self.told.wanted = true;
    }

    /// Takes back what events were `worth`: who had them in hand no longer does.
    pub fn give_back(&mut self, worth: usize, now: Instant) {
        self.told.in_hand = self.told.in_hand.saturating_sub(worth);
        if self.told.in_hand < self.told.start {
            // The start is back: what is left are bytes, of the requests before.
            self.told.start = 0;
        }
        if self.told.stopped.is_none() || self.told.in_hand > self.settings.content_window / 2 {
            return;
        }
        self.told.stopped = None;
        let Some(incoming) = &mut self.incoming else { return };
        incoming.clock = ContentClock::new(now, &self.settings);
        if let Way::Told(number) = incoming.way
            && let Some(index) = self.index(number)
        {
            self.exchanges[index].told = false;
        }
        self.ask_for_content(now);
        self.parse(now);
    }

    /// How much must be given back until content goes on, if it does not.
    #[must_use]
    pub fn awaits_back(&self) -> Option<usize> {
        self.told.stopped.map(|_| self.told.in_hand.saturating_sub(self.settings.content_window / 2))
    }

    /// The request whose content is told as it comes, and is not complete.
    pub(super) fn telling(&self) -> Option<RequestNumber> {
        match self.incoming.as_ref()?.way {
            Way::Told(number) => Some(number),
            _ => None,
        }
    }

    /// Whether no content is taken for now, for a reason of ours.
    pub(super) fn is_content_stopped(&self) -> bool {
        let telling = self.telling().is_some();
        // Who only answers what it is told then never has too much unsent.
        telling && (self.told.stopped.is_some() || self.unsent() > self.settings.output_soft_limit)
    }

    /// Content is to come: the request waits for it, or is told at once.
    #[inline(never)]
    pub(super) fn expect_content(&mut self, request: HttpRequest, steering: Steering, framing: Framing, expected: bool, now: Instant) {
        let told = self.told.wanted;
        let decoder = if told { ContentDecoder::streamed(framing, &self.settings) } else { ContentDecoder::new(framing, &self.settings) };
        let decoder = match decoder {
            Ok(decoder) => decoder,
            Err(error) => return self.fail(error, request.method, now),
        };
        let length = decoder.left();
        let way = if told { Way::Told(self.start_request(request, steering, length, now)) } else { Way::Whole(request, steering) };
        let clock = ContentClock::new(now, &self.settings);
        self.incoming = Some(Box::new(Incoming { way, decoder, clock, continue_due: expected }));
        self.ask_for_content(now);
    }

    fn start_request(&mut self, mut request: HttpRequest, steering: Steering, length: Option<u64>, now: Instant) -> RequestNumber {
        request.secure = self.is_secure();
        let close = !persists(&request, steering);
        self.last |= close;
        // None is upgraded: a handshake has no content.
        let upgrade = asks_for_websocket(&request, steering);
        let method = self.told_method(&mut request, upgrade);
        if self.dresses {
            self.dress(&mut request);
        }
        let kept = self.keeps.then(|| Box::new(request.clone()));
        let number = self.open(Exchange { kept, ..Exchange::new(method, request.version, close, now) });
        let worth = self.settings.content_window.saturating_add(1);
        self.told.start = worth;
        // What is held of earlier requests has cost this one no time.
        self.told.stopped = None;
        self.hand_out(worth, now);
        self.events.push_back(Event::RequestStart { number, request, length, worth });
        number
    }

    fn hand_out(&mut self, worth: usize, now: Instant) {
        self.told.in_hand = self.told.in_hand.saturating_add(worth);
        if self.told.in_hand > self.settings.content_window {
            self.told.stopped = self.told.stopped.or(Some(now));
        }
    }

    /// Writes `100 Continue`, if it is due, nothing must precede it, and the content is wanted.
    pub(super) fn ask_for_content(&mut self, now: Instant) {
        let Some(incoming) = &mut self.incoming else { return };
        if !incoming.continue_due {
            return;
        }
        match incoming.way {
            Way::Whole(..) if self.exchanges.is_empty() => {}
            Way::Told(number) if number.0 == self.oldest && self.told.stopped.is_none() => {}
            _ => return,
        }
        incoming.continue_due = false;
        let answered = matches!(incoming.way, Way::Told(_)) && self.exchanges.front().is_some_and(|front| front.answer != Answer::Awaited);
        // RFC 9110 §10.1.1: not behind the head of the answer; and who has begun to send does not wait to be asked.
        if answered || (matches!(incoming.way, Way::Told(_)) && !self.input.is_empty()) {
            return;
        }
        incoming.clock = ContentClock::new(now, &self.settings);
        self.wire.writing(now).put(CONTINUE);
    }

    /// Takes a piece of the content that is coming.
    #[inline(never)]
    pub(super) fn receive_content(&mut self, now: Instant) -> Progress {
        let stopped = self.is_content_stopped();
        let Some(incoming) = &mut self.incoming else { return Progress::Made };
        // The end of what has a length is known with its last byte.
        if stopped && incoming.decoder.left() != Some(0) {
            return Progress::Stopped;
        }
        self.told.start = 0;
        let before = self.input.len();
        let excerpt = self.excerpt();
        let Some(incoming) = &mut self.incoming else { return Progress::Made };
        if let Way::Whole(..) = incoming.way {
            let whole = incoming.decoder.decode(&mut self.input, &self.settings);
            incoming.clock.received(before - self.input.len(), now, &self.settings);
            if whole.is_err() {
                self.at_fault = excerpt;
            }
            return self.take_whole(whole, now);
        }
        let piece = incoming.decoder.piece(&mut self.input, &self.settings);
        let received = before - self.input.len();
        if received > 0 && std::mem::take(&mut incoming.continue_due) {
            // It has not waited to be asked: its time begins.
            incoming.clock = ContentClock::new(now, &self.settings);
        }
        incoming.clock.received(received, now, &self.settings);
        match (piece, &mut incoming.way) {
            (Ok(None), _) => return Progress::NeedsMore,
            (Ok(Some(Piece::Data(chunk))), &mut Way::Told(number)) => {
                let worth = chunk.data.len() + chunk.extensions.len() + OVERHEAD;
                self.hand_out(worth, now);
                self.events.push_back(Event::Chunk { number, chunk, worth });
            }
            (Ok(Some(Piece::End(end))), &mut Way::Told(number)) => {
                self.incoming = None;
                if let Some(index) = self.index(number) {
                    self.exchanges[index].since = now;
                }
                self.events.push_back(Event::ContentEnd { number, end });
            }
            (Ok(Some(Piece::Data(chunk))), Way::Drained(_, left)) => match left.checked_sub(chunk.data.len() as u64) {
                Some(rest) => *left = rest,
                None => self.leave_content(now),
            },
            (Ok(Some(Piece::End(_))), Way::Drained(..)) => self.incoming = None,
            (Ok(Some(_)), Way::Whole(..)) => {}
            (Err(error), _) => {
                self.at_fault = excerpt;
                self.fail_content(error, now);
            }
        }
        Progress::Made
    }

    fn take_whole(&mut self, whole: Result<Option<bytes::Bytes>, HttpError>, now: Instant) -> Progress {
        match whole {
            Ok(None) => return Progress::NeedsMore,
            Ok(Some(content)) => {
                if let Some(Incoming { way: Way::Whole(request, steering), .. }) = self.incoming.take().map(|incoming| *incoming) {
                    self.accept(HttpRequest { content, ..request }, steering, now);
                }
            }
            Err(error) => self.fail_content(error, now),
        }
        Progress::Made
    }

    /// The content breaks a rule or a deadline.
    pub(super) fn fail_content(&mut self, error: HttpError, now: Instant) {
        match self.incoming.as_ref().map(|incoming| &incoming.way) {
            Some(Way::Whole(request, _)) => {
                let method = request.method.clone();
                self.fail(error, method, now);
            }
            Some(&Way::Told(number)) => {
                self.abandon_content(error);
                self.refuse(error, now);
                self.refuse_rest(number, error, now);
            }
            Some(Way::Drained(..)) => {
                self.events.push_back(Event::Failed(error));
                self.leave_content(now);
            }
            None => self.fail(error, Method::GET, now),
        }
    }

    /// The answer to a request whose content has failed, if there is none yet. One that has begun cannot be taken back: it is cut.
    fn refuse_rest(&mut self, number: RequestNumber, error: HttpError, now: Instant) {
        let Some(index) = self.index(number) else { return };
        self.exchanges[index].close = true;
        match self.exchanges[index].answer {
            Answer::Awaited => {
                let mut refusal = self.refusal(error);
                self.answer(index, &mut refusal, now);
            }
            Answer::Streaming(_) => self.abort(),
            Answer::Complete => {}
        }
    }

    /// The peer has ended, and content with it.
    pub(super) fn lose_content(&mut self, now: Instant) {
        match self.telling() {
            Some(_) => self.fail_content(HttpError::Incomplete, now),
            None => self.incoming = None,
        }
    }

    /// Tells that content which is told as it comes will not be complete.
    pub(super) fn abandon_content(&mut self, error: HttpError) {
        if let Some(number) = self.telling() {
            self.events.push_back(Event::ContentAborted { number, error });
        }
        self.incoming = None;
    }

    /// Of requests that nobody has heard of yet nobody will: their answers would go nowhere.
    pub(super) fn forget_untold(&mut self) {
        self.told.stopped = None;
        let Some(untold) = self.events.iter().find_map(Event::begins) else { return };
        let mut worth = 0;
        self.events.retain(|event| {
            let stays = event.number().is_none_or(|number| number < untold);
            worth += if stays { 0 } else { event.worth() };
            stays
        });
        self.told.in_hand = self.told.in_hand.saturating_sub(worth);
    }

    /// The request is answered: how much of its content is still read? Tells whether the connection must close behind the answer.
    pub(super) fn drain_content(&mut self, number: RequestNumber) -> bool {
        let limit = self.settings.drain_limit;
        let Some(incoming) = self.incoming.as_mut().filter(|incoming| matches!(incoming.way, Way::Told(told) if told == number)) else {
            return false;
        };
        incoming.way = Way::Drained(number, limit);
        // Who was not asked for its content may send it or not (RFC 9110 §10.1.1).
        std::mem::take(&mut incoming.continue_due) || incoming.decoder.left().is_some_and(|left| left > limit)
    }

    /// More unwanted content comes than is worth reading: what follows it is not found.
    fn leave_content(&mut self, now: Instant) {
        let Some(Way::Drained(number, _)) = self.incoming.take().map(|incoming| incoming.way) else { return };
        self.last = true;
        self.input = Input::default();
        match self.index(number) {
            Some(index) => self.exchanges[index].close = true,
            None => self.end(now),
        }
    }
}
