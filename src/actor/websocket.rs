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

use super::budget::{STEP, Share};
use super::buffers;
use super::clock;
use super::delivery::{Delivery, Observers, deliveries};
use super::large::{self, Partial};
use super::line::{ALL, Ack, Line, Signal, Signals};
use super::socket::SendStatus;
use super::stats::count;
use super::timer::Timer;
use super::transport::Transport;
use super::upgrade::Handled;
use super::upstream::Upstream;
use crate::stage::{By, Close, Command, Interest, Outcome, Phase, Pipeline};
use crate::websocket::{CloseCode, Role};
use bytes::BytesMut;

mod reading;

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
    /// When to look after the handler.
    look: Option<Instant>,
    /// Frames told to the handler.
    messages: u64,
    /// Messages encoded here; those of scopes the line knows.
    sent: u64,
}

/// What an upgrade hands over.
pub(crate) struct Takeover {
    pub(crate) transport: Transport,
    pub(crate) role: Role,
    pub(crate) handled: Handled,
    pub(crate) unsent: crate::output::Output,
    pub(crate) unread: BytesMut,
    /// Who waits for what of it to have been written: see [`WebSocket::acks`].
    pub(crate) acks: VecDeque<(u64, Ack)>,
    /// What the handler hears before all else.
    pub(crate) first: VecDeque<Delivery>,
}

impl WebSocket {
    /// Starts it on this arbiter.
    pub(crate) fn take_over(takeover: Takeover) {
        let Takeover { transport, role, handled, unsent, unread, acks, first } = takeover;
        let Handled { settings, chain, mut upstream, masks, observers } = handled;
        let now = clock::now();
        let line = Line::new(transport.seat().id(), settings.unsent(), transport.write_half().clone());
        let keys: crate::stage::Masks = match (role, masks) {
            (Role::Server, _) => Box::new(|| [0; 4]),
            (Role::Client, Some(masks)) => masks,
            (Role::Client, None) => Box::new(rand::random),
        };
        let mut pipeline = Pipeline::new(settings.codec(role), keys, chain, now)
            .message_within(settings.message_within)
            .pongs_within(settings.soft)
            .stall_within(settings.write_stall)
            .linger(settings.closing);
        pipeline.take_over(unsent);
        if !planted!(SeatNotMoved) {
            transport.seat().take(&line);
        }
        let share = Share::new(Arc::<Line>::downgrade(&line), transport.seat().whose());
        transport.seat().upgrades();
        let mut look = None;
        if let Some(upstream) = &mut upstream {
            upstream.attach(&line);
            look = upstream.must_be_asked().then(|| now + LOOK);
        }
        let mut websocket = Self {
            transport,
            line,
            upstream,
            observers,
            role,
            answers: pipeline.wants(Interest::MESSAGES_IN),
            soft: settings.soft,
            pipeline,
            window: settings.window,
            partial: unread.into(),
            expected: 0,
            waited: 0,
            acks,
            flooded: false,
            calm: false,
            behind: 0,
            share,
            timer: Timer::default(),
            look,
            messages: 0,
            sent: 0,
        };
        // Before anybody can speak: what waits already is to be written first.
        websocket.line.report(websocket.pipeline.output().len(), true, websocket.pipeline.life());
        websocket.line.set_direct(websocket.is_direct());
        websocket.deliver(first);
        // What came behind the handshake is the first that is read.
        if !websocket.partial.is_empty() {
            let mut unread = std::mem::take(&mut websocket.partial);
            websocket.receive(&mut unread, now);
            websocket.keep(&unread);
        }
        websocket.tell();
        drop(actix_rt::spawn(websocket));
    }

    /// One turn. Ready when all is over.
    fn turn(&mut self, cx: &mut TaskContext<'_>) -> Poll<()> {
        let now = clock::now();
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
        if self.timer.rings(now) {
            self.guarded(now, |pipeline| pipeline.handle_timeout(now));
            self.look_after(now);
        }
        // Nobody has said anything: it is most likely the socket that has woken us.
        let waits = self.read(!stirred, now, cx);
        self.tell();
        self.settle(now);
        if self.write(now, cx).is_break() {
            self.lost(now);
        }
        self.tell();
        self.rest();
        self.report(stirred);
        match self.pipeline.phase() {
            Phase::Open => {}
            Phase::Finishing if self.pipeline.output().is_empty() => {
                self.transport.seat().ends_well();
                self.transport.finish(cx);
            }
            Phase::Finishing => {}
            Phase::Done => {
                if !self.pipeline.is_aborted() {
                    self.transport.finish(cx);
                }
                return Poll::Ready(());
            }
        }
        if self.share.is_on() {
            self.count(cx);
        }
        if self.behind > 0 || (self.is_over() && self.line.hosts()) {
            self.go_on(cx);
        }
        let deadline = [self.pipeline.deadline(), self.look].into_iter().flatten().min();
        self.timer.arm(deadline, now, cx);
        // What kept us from reading is over by now, or only our turn is.
        if !waits && self.may_read(now) && !planted!(TurnNotTakenUp) {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    /// How much is to be taken of what handlers have said: where something may be dropped, no more than can be written soon. What waits goes before a
    /// verdict that waits, and before our own last words.
    #[inline]
    fn room(&mut self) -> usize {
        if !self.line.keeps() || self.is_over() { ALL } else { self.line.room(self.pipeline.output().len()) }
    }

    /// Nothing that comes later will be sent.
    fn is_over(&self) -> bool {
        self.pipeline.is_unsettled() || self.pipeline.has_closed()
    }

    /// Tells the process what is buffered here. What handlers have in hand they give back without a turn of ours: so one is asked for.
    fn count(&mut self, cx: &TaskContext<'_>) {
        let in_hand = self.weigh();
        if (STEP..=self.window).contains(&in_hand) && self.line.wake_below((in_hand - STEP).max(1)) {
            cx.waker().wake_by_ref();
        }
    }

    /// Counts it. Gives what handlers have in hand of it.
    fn weigh(&mut self) -> usize {
        let in_hand = self.line.in_hand();
        self.share.settle(self.pipeline.output().len() + self.behind + in_hand + self.partial.len() + self.pipeline.gathered());
        in_hand
    }

    /// What waits as frames, here or above, is taken as soon as there is room for it, and at once if nothing can come behind it.
    fn go_on(&mut self, cx: &TaskContext<'_>) {
        if self.is_over() {
            self.line.hurry();
        }
        if self.room() > 0 && self.line.has_more() {
            cx.waker().wake_by_ref();
        }
    }

    /// Whether data frames may be encoded where they are sent.
    fn is_direct(&self) -> bool {
        self.role == Role::Server && !self.pipeline.has_closed() && !self.pipeline.wants(Interest::DATA_OUT)
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
            let reason = "all together have buffered too much, and this websocket most of it";
            self.guarded(now, |pipeline| pipeline.fail(CloseCode::POLICY_VIOLATION, reason, now));
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

    /// What handlers have said, down the stages.
    #[inline]
    fn say(&mut self, mut entries: VecDeque<super::line::Entry>, now: Instant) {
        if entries.is_empty() {
            return;
        }
        buffers::lend_write_buffer(self.pipeline.output());
        let (acks, sent) = (&mut self.acks, &mut self.sent);
        let spoken = catch_unwind(AssertUnwindSafe(|| {
            for entry in entries.drain(..) {
                let message = matches!(&entry.command, Command::Frame(frame) if frame.opcode.is_data() && frame.fin);
                let before = self.pipeline.output().end();
                self.pipeline.command(entry.command, now);
                let end = self.pipeline.output().end();
                *sent += u64::from(message && end > before);
                // What was not encoded, as it may not be sent or a stage has kept it back, is not acknowledged.
                if let Some(ack) = entry.ack
                    && end > before
                {
                    acks.push_back((end, ack));
                }
            }
        }));
        if spoken.is_err() {
            self.pipeline.panicked(now);
        }
        Line::done_with(entries);
    }

    /// The verdict that waits takes effect if nobody has anything in hand.
    fn settle(&mut self, now: Instant) {
        if self.pipeline.is_unsettled() && (planted!(VerdictAtOnce) || self.line.wake_below(1) && self.line.is_empty()) {
            self.guarded(now, |pipeline| pipeline.settle(now));
        }
    }

    /// Hands the pipeline's events to the handler.
    #[inline]
    fn tell(&mut self) {
        if self.pipeline.has_events() {
            self.waited = 0;
            let mut events = VecDeque::new();
            self.pipeline.swap_events(&mut events);
            if self.pipeline.has_ended() {
                self.log_end(&events);
            }
            self.deliver(events);
        }
    }

    /// What has ended it, said once: a limit, a rule, the peer, the handler.
    fn log_end(&self, events: &VecDeque<Delivery>) {
        if let Some(Delivery::Closed(Outcome { code, reason, by, clean })) = events.back() {
            tracing::debug!(socket = %self.line.id(), %code, %reason, ?by, clean, "the websocket is closed");
        }
    }

    /// A websocket at rest has no memory for events.
    #[inline]
    fn rest(&mut self) {
        if self.upstream.is_some() {
            let mut events = VecDeque::new();
            self.pipeline.swap_events(&mut events);
            deliveries::put(events);
        }
    }

    fn deliver(&mut self, mut deliveries: VecDeque<Delivery>) {
        self.share.told();
        if !self.observers.is_empty() {
            deliveries.iter().for_each(|delivery| self.observers.notice(delivery, &self.line));
        }
        if let Some(Delivery::Closed(outcome)) = deliveries.back() {
            self.transport.seat().counters().closed(outcome.code);
        }
        if let Some(upstream) = &mut self.upstream {
            let mut worth = 0;
            for delivery in &deliveries {
                match delivery {
                    Delivery::Frame(frame) => {
                        worth += Line::worth(frame.data.len());
                        self.messages += 1;
                    }
                    other => worth += other.worth(),
                }
            }
            self.line.hand_out(worth);
            large::told(worth);
            upstream.deliver(&mut deliveries);
        }
        deliveries::put(deliveries);
    }

    /// Writes what there is to write. Breaks when the connection is broken.
    fn write(&mut self, now: Instant, cx: &mut TaskContext<'_>) -> std::ops::ControlFlow<()> {
        let output = self.pipeline.output();
        if output.is_empty() {
            buffers::take_write_buffer(output);
            return std::ops::ControlFlow::Continue(());
        }
        let mut progress = false;
        let result = self.transport.poll_write(cx, output, &mut progress);
        buffers::take_write_buffer(output);
        let written = if planted!(AckBeforeWrite) { output.end() } else { output.written() };
        while self.acks.front().is_some_and(|(position, _)| *position <= written) {
            let _ = self.acks.pop_front().map(|(_, ack)| ack.send(Ok(SendStatus::Sent)));
        }
        if let Poll::Ready(Err(error)) = &result {
            tracing::debug!(socket = %self.line.id(), %error, "the connection broke");
            return std::ops::ControlFlow::Break(());
        }
        self.pipeline.wrote(progress, now);
        // A pong that was kept back.
        if result.is_ready() && !self.pipeline.output().is_empty() {
            cx.waker().wake_by_ref();
        }
        std::ops::ControlFlow::Continue(())
    }

    /// Tells the senders how much is unsent, and the handler when there is room again.
    #[inline]
    fn report(&mut self, stirred: bool) {
        let (waiting, open) = (self.pipeline.output().len(), !self.pipeline.has_closed());
        // Nobody has sent anything, all that was said is written, as it was the last time.
        let calm = waiting == 0 && open;
        if calm && self.calm && !stirred && !self.line.hosts() {
            return;
        }
        let (most, unsent) = self.line.report(waiting, open, self.pipeline.life());
        self.behind = unsent - waiting;
        // Also if all of it left within this turn: whoever saw it and waits for room must hear that there is some.
        self.flooded |= most.max(unsent) > self.soft;
        // Nothing is told behind `Closed`.
        if unsent <= self.soft && std::mem::take(&mut self.flooded) && !self.pipeline.has_ended() && !planted!(DrainedForgotten) {
            self.deliver(VecDeque::from([Delivery::Drained]));
        }
        self.calm = calm && !self.flooded && self.behind == 0;
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
