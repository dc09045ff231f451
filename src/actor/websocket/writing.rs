//! Writing: what handlers have said goes down the stages, and what came of it to the peer; and who is told how much of it waits.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context as TaskContext, Poll};
use std::time::Instant;

use super::WebSocket;
use crate::actor::budget::{Held, STEP};
use crate::actor::buffers;
use crate::actor::delivery::Delivery;
use crate::actor::line::{ALL, Entry, Line};
use crate::actor::socket::SendStatus;
use crate::stage::{Command, Interest};
use crate::websocket::Role;

impl WebSocket {
    /// What handlers have said, down the stages.
    #[inline]
    pub(super) fn say(&mut self, mut entries: VecDeque<Entry>, now: Instant) {
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

    /// Whether data frames may be encoded where they are sent.
    pub(super) fn is_direct(&self) -> bool {
        self.role == Role::Server && !self.pipeline.has_closed() && !self.pipeline.wants(Interest::DATA_OUT)
    }

    /// How much is to be taken of what handlers have said: where something may be dropped, no more than can be written soon. What waits goes before a
    /// verdict that waits, and before our own last words.
    #[inline]
    pub(super) fn room(&mut self) -> usize {
        if !self.line.keeps() || self.is_over() { ALL } else { self.line.room(self.pipeline.output().len()) }
    }

    /// Writes what there is to write. Breaks when the connection is broken.
    #[inline]
    pub(super) fn write(&mut self, now: Instant, cx: &mut TaskContext<'_>) -> ControlFlow<()> {
        let output = self.pipeline.output();
        if output.is_empty() {
            buffers::take_write_buffer(output);
            return ControlFlow::Continue(());
        }
        let mut progress = false;
        let result = self.transport.poll_write(cx, output, &mut progress);
        buffers::take_write_buffer(output);
        self.acknowledge();
        if let Poll::Ready(Err(error)) = &result {
            tracing::debug!(socket = %self.line.id(), %error, "the connection broke");
            return ControlFlow::Break(());
        }
        self.pipeline.wrote(progress, now);
        // A pong that was kept back.
        if result.is_ready() && !self.pipeline.output().is_empty() {
            cx.waker().wake_by_ref();
        }
        ControlFlow::Continue(())
    }

    /// Answers those who wait for something to be written that is.
    #[inline]
    fn acknowledge(&mut self) {
        let output = self.pipeline.output();
        let written = if planted!(AckBeforeWrite) { output.end() } else { output.written() };
        while self.acks.front().is_some_and(|(position, _)| *position <= written) {
            let _ = self.acks.pop_front().map(|(_, ack)| ack.send(Ok(SendStatus::Sent)));
        }
    }

    /// Offers the socket what is written next, before it is judged whether the peer takes anything.
    pub(super) fn press(&mut self, now: Instant) {
        if self.transport.press(self.pipeline.output()) {
            self.acknowledge();
            self.pipeline.wrote(true, now);
        }
    }

    /// Tells the senders how much is unsent, and the handler when there is room again.
    #[inline]
    pub(super) fn report(&mut self, stirred: bool) {
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

    /// What waits as frames, here or above, is taken as soon as there is room for it, and at once if nothing can come behind it.
    pub(super) fn go_on(&mut self, cx: &TaskContext<'_>) {
        if self.is_over() {
            self.line.hurry();
        }
        if self.room() > 0 && self.line.has_more() {
            cx.waker().wake_by_ref();
        }
    }

    /// Tells the process what is buffered here. What handlers have in hand they give back without a turn of ours: so one is asked for.
    pub(super) fn count(&mut self, cx: &TaskContext<'_>) {
        let in_hand = self.weigh();
        if (STEP..=self.window).contains(&in_hand) && self.line.wake_below((in_hand - STEP).max(1)) {
            cx.waker().wake_by_ref();
        }
    }

    /// Counts it. Gives what handlers have in hand of it.
    pub(super) fn weigh(&mut self) -> usize {
        let in_hand = self.line.in_hand();
        let unsent = self.pipeline.output().len() + self.behind;
        let bytes = unsent + in_hand + self.partial.len() + self.pipeline.gathered();
        self.share.settle(Held::of(bytes, unsent, self.pipeline.is_within_message()));
        in_hand
    }
}
