//! What both sides of a connection share: what waits to be written, and how the connection ends.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::{HttpEnd, HttpError, Settings};
use crate::output::{Output, Pace};

/// How a connection stands with its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closing {
    /// It does not end.
    Open,
    /// Write what waits, send FIN, then go on reading and discarding, so that no reset overtakes the last message (RFC 9112 §9.6).
    /// Reports of bytes, EOF, writes and time are still welcome: one of them leads to `Done` or `Abort`.
    AfterFlush,
    /// Nothing is left to do: drop the stream.
    Done,
    /// Drop the stream; what waits is lost.
    Abort,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    Ending,
    Done,
    Aborted,
}

/// The end of the bytes, in both directions.
#[derive(Debug)]
pub(super) struct Wire {
    pub(super) output: Output,
    /// Marks in the output, and where they are.
    pub(super) marks: VecDeque<(u64, u64)>,
    /// When bytes last came or left.
    pub(super) active: Instant,
    /// Whether the peer has sent FIN.
    pub(super) eof: bool,
    /// Since when output has made no progress, or since when there is none.
    progress: Instant,
    /// How fast it leaves.
    pace: Pace,
    state: State,
    /// The peer's FIN came before we began to end.
    peer_first: bool,
    /// The end waits for the peer's, as long as an idle connection does.
    pub(super) confirmed: Option<Duration>,
}

impl Wire {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            output: Output::new(),
            marks: VecDeque::new(),
            active: now,
            eof: false,
            progress: now,
            pace: Pace::default(),
            state: State::Open,
            peer_first: false,
            confirmed: None,
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// The output, to be appended to.
    pub(super) fn writing(&mut self, now: Instant) -> &mut Output {
        if self.output.is_empty() {
            self.progress = now;
        }
        self.active = now;
        &mut self.output
    }

    /// Wants to know when all has been written that is in the output now.
    pub(super) fn mark(&mut self, mark: u64) {
        self.marks.push_back((self.output.end(), mark));
    }

    /// The next mark whose bytes have all been written.
    pub(super) fn poll_written(&mut self) -> Option<u64> {
        let &(end, mark) = self.marks.front()?;
        if self.output.written() < end {
            return None;
        }
        self.marks.pop_front();
        Some(mark)
    }

    pub(super) fn wrote(&mut self, now: Instant, settings: &Settings) {
        self.pace.took(&self.output, settings.output_rate, settings.write_stall, now);
        self.progress = now;
        self.active = now;
        self.settle();
    }

    pub(super) fn received_eof(&mut self) {
        self.peer_first |= self.is_open();
        self.eof = true;
        self.settle();
    }

    /// No further message either way.
    #[cold]
    pub(super) fn end(&mut self, now: Instant) {
        if self.is_open() {
            self.state = State::Ending;
            if self.output.is_empty() {
                self.progress = now;
            }
            self.settle();
        }
    }

    pub(super) fn abort(&mut self) {
        self.state = State::Aborted;
        self.output.clear();
    }

    /// How the connection has come to its end, as far as it has.
    pub(super) fn ended(&self) -> HttpEnd {
        match self.state {
            State::Aborted => HttpEnd::Aborted,
            _ if self.peer_first => HttpEnd::PeerClosed,
            _ if self.confirmed.is_some() && self.eof => HttpEnd::ConfirmedClosed,
            _ => HttpEnd::Closed,
        }
    }

    fn settle(&mut self) {
        if self.state == State::Ending && self.eof && self.output.is_empty() {
            self.state = State::Done;
        }
    }

    pub(super) fn closing(&self) -> Closing {
        match self.state {
            State::Open => Closing::Open,
            State::Ending => Closing::AfterFlush,
            State::Done => Closing::Done,
            State::Aborted => Closing::Abort,
        }
    }

    /// When output has stalled for too long, or leaves too slowly, or the lingering is over.
    pub(super) fn deadline(&self, settings: &Settings) -> Option<Instant> {
        match self.state {
            State::Open | State::Ending if !self.output.is_empty() => {
                self.progress.checked_add(settings.write_stall).into_iter().chain(self.pace.deadline()).min()
            }
            State::Ending => self.progress.checked_add(settings.linger.max(self.confirmed.unwrap_or_default())),
            _ => None,
        }
    }

    /// Ends what [`deadline`](Self::deadline) says; with an error when the peer takes no bytes, or too few.
    pub(super) fn handle_timeout(&mut self, now: Instant, settings: &Settings) -> Option<HttpError> {
        if self.deadline(settings).is_none_or(|deadline| now < deadline) {
            return None;
        }
        if self.output.is_empty() {
            self.state = State::Done;
            return None;
        }
        let stalled = self.progress.checked_add(settings.write_stall).is_some_and(|deadline| deadline <= now);
        self.abort();
        Some(if stalled { HttpError::WriteTimeout } else { HttpError::SlowReader })
    }
}
