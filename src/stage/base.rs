//! The two ends of a websocket's stages: the codec and the output below, the events above.

use std::collections::VecDeque;
use std::fmt;

use super::pipeline::{Masks, Phase};
use super::{Command, Ends, Event};
use crate::output::Output;
use crate::websocket::{Codec, Frame, OpCode, ProtocolError};

/// What lies below the lowest stage and above the topmost.
pub(super) struct Base<T> {
    pub(super) codec: Codec,
    pub(super) masks: Masks,
    pub(super) output: Output,
    pub(super) events: VecDeque<T>,
    /// Bytes of payload in `events`, at most.
    pub(super) waiting: usize,
    /// A stage has refused what was read.
    pub(super) refused: Option<ProtocolError>,
    /// [`Event::Closed`] has been told: nothing comes behind it.
    pub(super) told: bool,
    /// A Close frame was written: no frame may follow it (RFC 6455 §5.5.1).
    pub(super) closed: bool,
    pub(super) phase: Phase,
    /// What comes down now is said about a ping.
    pub(super) answers_ping: bool,
    /// The newest pong that waits until less output does, and how much that is.
    pub(super) pong: Option<Frame>,
    pub(super) pongs_within: usize,
}

impl<T: From<Event>> Ends for Base<T> {
    #[inline]
    fn top(&mut self, event: Event) {
        if self.told {
            return;
        }
        self.told = matches!(event, Event::Closed(_));
        if let Event::Frame(frame) = &event {
            self.waiting += frame.data.len();
        }
        self.events.push_back(event.into());
    }

    #[inline]
    fn bottom(&mut self, command: Command) {
        match command {
            Command::Frame(pong) if self.answers_ping && pong.opcode == OpCode::Pong => self.answer(pong),
            Command::Frame(frame) => self.write(frame),
            Command::Finish if self.phase == Phase::Open => self.phase = Phase::Finishing,
            Command::Abort => self.phase = Phase::Done,
            Command::Refuse(error) => self.refused = self.refused.or(Some(error)),
            // Without a Closing stage below it, a close is the end of the transport.
            Command::Close(_) | Command::Fail(..) if self.phase == Phase::Open => self.phase = Phase::Finishing,
            _ => {}
        }
    }
}

impl<T> Base<T> {
    /// A pong answers a ping, and those before it (RFC 6455 §5.5.3): while output is blocked, the newest is kept.
    fn answer(&mut self, pong: Frame) {
        self.pong = None;
        if self.output.len() > self.pongs_within {
            self.pong = Some(pong);
        } else {
            self.write(pong);
        }
    }

    /// Writes the pong that waited, if that is over.
    #[inline]
    pub(super) fn release_pong(&mut self) {
        if self.output.len() <= self.pongs_within
            && let Some(pong) = self.pong.take()
        {
            self.write(pong);
        }
    }

    #[inline]
    pub(super) fn write(&mut self, frame: Frame) {
        if self.closed && !planted!(FrameAfterClose) || self.phase != Phase::Open {
            return;
        }
        let closes = frame.opcode == OpCode::Close;
        match self.codec.encode_into(frame, &mut self.masks, &mut self.output) {
            Ok(()) => self.closed = closes,
            Err(error) => tracing::error!(%error, "a frame was not sent: it would break the protocol"),
        }
    }
}

impl<T> fmt::Debug for Base<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Base").field("phase", &self.phase).field("closed", &self.closed).field("output", &self.output.len()).finish()
    }
}
