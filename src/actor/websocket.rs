//! One websocket: a [`Pipeline`] and the transport it took over from HTTP, as a task of its arbiter.
//!
//! It works in *turns*. A turn takes what handlers have said, reads what has come, hands what that brings to the handler, and writes what is
//! to be written, once. Everything that decides anything is in the pipeline; here are the waiting and the waking.

use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::{Duration, Instant};

use bytes::BytesMut;

use super::budget::Share;
use super::clock;
use super::delivery::{Delivery, Observers};
use super::large::Partial;
use super::line::{ALL, Ack, Line, Signal, Signals};
use super::stats::count;
use super::timer::Timer;
use super::transport::Transport;
use super::upstream::Upstream;
use crate::stage::{By, Close, Command, Outcome, Phase, Pipeline};
use crate::websocket::{CloseCode, Role};

mod reading;
mod takeover;
mod telling;
mod writing;

pub(crate) use takeover::Takeover;

/// How often, and for how long, is read on before it is judged who is late: so what sockets hold is read, as a rule.
const TIMES: u8 = 64;
const MOMENT: Duration = Duration::from_millis(1);

/// How often a handler that was given by its address is looked after.
pub(crate) const LOOK: Duration = Duration::from_secs(5);

/// What is behind a [`Socket`](super::Socket). It is started by an upgrade, and ends with its connection.
///
/// All that it is told comes by a queue, so it needs no mailbox: it is a task of its arbiter.
pub struct WebSocket {
    pipeline: Pipeline<Delivery>,
    transport: Transport,
    line: Arc<Line>,
    upstream: Option<Box<dyn Upstream<Delivery>>>,
    observers: Observers,
    role: Role,
    /// A stage looks at whole messages: it may answer them while they are read.
    answers: bool,
    soft: usize,
    window: usize,
    /// The beginning of a frame that is not all there.
    partial: Partial,
    /// The length of the frame that was read last, if it was large but not too large for a guess: the next may be like it.
    expected: usize,
    /// How often a read has waited for handlers with large messages.
    waited: u8,
    /// Who waits for the output to have been written up to a position.
    acks: VecDeque<(u64, Ack)>,
    /// More than the soft limit waited at the end of the last turn: [`Drained`](super::Drained) is owed.
    flooded: bool,
    /// Nothing waited then, and nothing was owed.
    calm: bool,
    /// Bytes that waited behind the output then, as frames.
    behind: usize,
    /// What it has of the process's budget.
    share: Share,
    timer: Timer,
    /// It has rung, and more may come that was there in time.
    late: Option<Late>,
    /// When to look after the handler.
    look: Option<Instant>,
    /// Frames told to the handler.
    messages: u64,
    /// Messages encoded here; those of scopes the line knows.
    sent: u64,
}

/// How often has been read on since something was due, and what had been received by then.
struct Late {
    times: u8,
    seen: u64,
}

impl WebSocket {
    /// One turn. Ready when all is over.
    fn turn(&mut self, cx: &mut TaskContext<'_>) -> Poll<()> {
        let now = clock::now();
        let stirred = self.hear(now, cx);
        // Nobody has said anything: it is most likely the socket that has woken us.
        let received = self.transport.received();
        let waits = self.read(!stirred, now, cx);
        self.tell();
        if self.timer.rings(now) {
            self.judge(received, now, cx);
        }
        self.settle(now);
        if self.write(now, cx).is_break() {
            self.lost(now);
        }
        self.tell();
        self.rest();
        self.report(stirred);
        if self.finish(cx) {
            return Poll::Ready(());
        }
        if self.share.is_on() {
            self.count(cx);
        }
        if self.behind > 0 || (self.is_over() && self.line.hosts()) {
            self.go_on(cx);
        }
        let deadline = match self.late {
            None => [self.pipeline.deadline(), self.look].into_iter().flatten().min(),
            Some(_) => Some(now + MOMENT),
        };
        self.timer.arm(deadline, now, cx);
        // What kept us from reading is over by now, or only our turn is.
        if !waits && self.may_read(now) && !planted!(TurnNotTakenUp) {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    /// Takes what handlers have said and what is signalled, and a verdict that waited for their answers. Tells whether there was anything to be taken.
    #[inline]
    fn hear(&mut self, now: Instant, cx: &mut TaskContext<'_>) -> bool {
        // In this order: what was said before the last credit came back is among what is taken then.
        let answered = self.line.in_hand() == 0;
        let stirred = self.line.is_stirred();
        if stirred {
            let room = self.room();
            let (entries, signals) = self.line.take(cx.waker(), self.pipeline.output(), room);
            // What was said first goes first, also if whoever said it is gone by now.
            self.say(entries, now);
            if !signals.is_empty() {
                self.heed(signals, now);
            }
        }
        if self.pipeline.is_unsettled() && answered && self.line.is_empty() {
            self.guarded(now, |pipeline| pipeline.settle(now));
        }
        stirred
    }

    /// Does what is due, behind what could be read and written by now: we may be late, and what the peer did in time was in time. Where something was read there may be
    /// more than one turn reads, and than the operating system has room for: that comes first, but not without end, for a peer that never stops.
    #[cold]
    fn judge(&mut self, received: u64, now: Instant, cx: &mut TaskContext<'_>) {
        let Late { times, seen } = self.late.take().unwrap_or(Late { times: 0, seen: received });
        if self.transport.received() > seen && times < TIMES {
            self.late = Some(Late { times: times + 1, seen: self.transport.received() });
            return;
        }
        self.press(now);
        if self.write(now, cx).is_break() {
            return self.lost(now);
        }
        // The peer's Close may have just come.
        self.settle(now);
        self.guarded(now, |pipeline| pipeline.handle_timeout(now));
        self.look_after(now);
    }

    /// Ends the stream, as far as it is time to. Tells whether all is over.
    #[inline]
    fn finish(&mut self, cx: &mut TaskContext<'_>) -> bool {
        match self.pipeline.phase() {
            Phase::Open => false,
            Phase::Finishing => {
                if self.pipeline.output().is_empty() {
                    self.transport.seat().ends_well();
                    self.transport.finish(cx);
                }
                false
            }
            Phase::Done => {
                if !self.pipeline.is_aborted() {
                    self.transport.finish(cx);
                }
                true
            }
        }
    }

    /// Nothing that comes later will be sent.
    fn is_over(&self) -> bool {
        self.pipeline.is_unsettled() || self.pipeline.has_closed()
    }

    /// Signals from outside.
    fn heed(&mut self, signals: Signals, now: Instant) {
        if signals.has(Signal::Check) {
            self.look = self.look.map(|_| now);
            self.look_after(now);
        }
        if signals.has(Signal::HandlerGone) {
            self.handler_is_gone(now);
        }
        if signals.has(Signal::Overflow) {
            let reason = "too much is unsent: the peer does not read fast enough";
            self.guarded(now, |pipeline| pipeline.fail(CloseCode::POLICY_VIOLATION, reason, now));
        }
        if signals.has(Signal::OverBudget) {
            let reason = "all together have buffered too much, and this websocket much of it";
            self.guarded(now, |pipeline| pipeline.fail(CloseCode::POLICY_VIOLATION, reason, now));
            // The room is wanted now, not when the closing handshake is over.
            self.partial = Partial::default();
        }
        if signals.has(Signal::GoAway) {
            let reason = if self.role == Role::Server { "the server is shutting down" } else { "the client is going away" };
            let close = Close::new(CloseCode::GOING_AWAY, reason);
            self.guarded(now, |pipeline| pipeline.command(Command::Close(close), now));
        }
        if signals.has(Signal::Abort) {
            self.lost(now);
        }
    }

    /// The verdict that waits takes effect if nobody has anything in hand.
    fn settle(&mut self, now: Instant) {
        if self.pipeline.is_unsettled() && (planted!(VerdictAtOnce) || self.line.wake_below(1) && self.line.is_empty()) {
            self.guarded(now, |pipeline| pipeline.settle(now));
        }
    }

    /// A stage that panics ends its websocket, and nothing else.
    #[inline]
    fn guarded(&mut self, now: Instant, work: impl FnOnce(&mut Pipeline<Delivery>)) {
        let pipeline = &mut self.pipeline;
        if catch_unwind(AssertUnwindSafe(|| work(pipeline))).is_err() {
            tracing::error!(socket = %self.line.id(), "a stage panicked: the websocket is closed with 1011");
            self.pipeline.panicked(now);
        }
    }

    /// The transport is lost, whatever a stage makes of it.
    fn lost(&mut self, now: Instant) {
        self.guarded(now, |pipeline| pipeline.lost(now));
        if !self.pipeline.is_aborted() {
            // A stage has panicked: there is none any more.
            self.pipeline.lost(now);
        }
    }

    fn look_after(&mut self, now: Instant) {
        if self.look.is_some_and(|look| look <= now) {
            self.look = Some(now + LOOK);
            if self.upstream.as_ref().is_some_and(|upstream| !upstream.connected()) {
                self.look = None;
                self.handler_is_gone(now);
            }
        }
    }

    fn handler_is_gone(&mut self, now: Instant) {
        tracing::warn!(socket = %self.line.id(), "the frame handler is gone: the websocket is closed with 1011");
        count(&self.transport.seat().counters().handler_deaths);
        self.guarded(now, |pipeline| pipeline.fail(CloseCode::INTERNAL_ERROR, "the frame handler is gone", now));
    }
}

/// The last words: whatever ends it, the handler hears [`Closed`](super::Closed), once, and acked sends are answered.
impl Drop for WebSocket {
    fn drop(&mut self) {
        // What a scope has written in part is the output's: no last words go within it.
        drop(self.line.take(std::task::Waker::noop(), self.pipeline.output(), ALL));
        let sent = self.sent + self.line.sent_in_scopes();
        self.line.close();
        self.tell();
        self.transport.seat().counters().messages(self.messages, sent);
        if self.pipeline.has_ended() && !(planted!(ClosedTwice) && self.pipeline.is_aborted()) {
            return;
        }
        let reason = "the arbiter stopped";
        let outcome = Outcome { code: CloseCode::GOING_AWAY, reason: reason.into(), by: By::Us, clean: false };
        let last = VecDeque::from([Delivery::Closed(outcome)]);
        self.log_end(&last);
        self.deliver(last);
        if self.pipeline.phase() == Phase::Open && self.role == Role::Server {
            let mut words = BytesMut::new();
            let close = Close::new(CloseCode::GOING_AWAY, reason).frame();
            if crate::websocket::Codec::new(self.role).encode(&close, || [0; 4], &mut words).is_ok() {
                self.transport.last_words(self.pipeline.output(), &words);
            }
        }
    }
}

impl fmt::Debug for WebSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WebSocket({}, {:?})", self.line.id(), self.pipeline)
    }
}

/// Takes turns for as long as the websocket lives.
impl Future for WebSocket {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<()> {
        self.turn(cx)
    }
}
