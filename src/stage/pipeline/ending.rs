//! How a websocket comes to its end: verdicts and when they take effect, FIN, failure, a transport that is lost.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use super::{Phase, Pipeline};
use crate::stage::{By, Chain, Close, Command, Ends, Event, Outcome};
use crate::websocket::CloseCode;

/// How long a verdict waits for the frames before it to be answered.
const TURN: Duration = Duration::from_millis(250);

impl<T: From<Event>> Pipeline<T> {
    /// The peer sent its FIN, or the connection broke: nothing more will be read.
    pub fn receive_eof(&mut self, now: Instant) {
        self.eof = true;
        // It waits its turn, too; and a verdict that waits already comes first.
        if self.base.phase == Phase::Open && self.verdict.is_none() {
            self.judge(Event::Ended, now);
        }
        self.deaf = true;
        self.arm(now);
    }

    /// The transport is lost, in both directions.
    pub fn lost(&mut self, now: Instant) {
        if let Some((verdict, _)) = self.verdict.take() {
            self.chain.event(verdict, now, self.life, &mut self.base);
        }
        self.chain.event(Event::Ended, now, self.life, &mut self.base);
        self.base.output.clear();
        self.base.phase = Phase::Done;
    }

    /// Fails the websocket with this code and reason, whatever the chain is doing.
    pub fn fail(&mut self, code: CloseCode, reason: impl Into<Cow<'static, str>>, now: Instant) {
        self.deaf = true;
        self.verdict = None;
        self.command(Command::Fail(code, reason.into()), now);
        self.arm(now);
    }

    /// A stage has panicked: what is left of the chain is thrown away, the peer is told 1011 and the handler that it is over.
    pub fn panicked(&mut self, now: Instant) {
        self.chain = Chain::new();
        self.base.answers_ping = false;
        self.messages_to = None;
        self.deaf = true;
        self.verdict = None;
        let reason = "a stage panicked";
        if self.base.phase == Phase::Open {
            self.base.write(Close::new(CloseCode::INTERNAL_ERROR, reason).frame());
            self.base.phase = Phase::Finishing;
        }
        let outcome = Outcome { code: CloseCode::INTERNAL_ERROR, reason: reason.into(), by: By::Us, clean: false };
        self.base.top(Event::Closed(outcome));
        self.arm(now);
    }

    /// Everything that was read has been handled, and what the handler said about it has been given to [`command`](Self::command): a
    /// verdict that waited takes effect now.
    pub fn settle(&mut self, now: Instant) {
        if let Some((verdict, _)) = self.verdict.take() {
            self.chain.event(verdict, now, self.life, &mut self.base);
            if self.eof {
                self.chain.event(Event::Ended, now, self.life, &mut self.base);
            }
            self.arm(now);
        }
    }

    /// Whether something waits for [`settle`](Self::settle).
    #[must_use]
    pub fn is_unsettled(&self) -> bool {
        self.verdict.is_some()
    }

    /// What a stage has refused is judged like what the codec refuses.
    #[inline]
    pub(super) fn refuse(&mut self, now: Instant) {
        if let Some(error) = self.base.refused.take()
            && !self.deaf
            && self.base.phase == Phase::Open
        {
            self.judge(Event::Failed(error), now);
        }
    }

    /// Nothing more is decoded; the verdict waits for what was read before it.
    pub(super) fn judge(&mut self, verdict: Event, now: Instant) {
        self.deaf = true;
        // We do not read now: silence is not the peer's.
        self.life.suspended = true;
        self.verdict = Some((verdict, now + TURN));
    }
}
