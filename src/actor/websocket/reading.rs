//! Reading: how much, into whose memory, and when others come first.

use std::task::{Context as TaskContext, Poll};
use std::time::Instant;

use bytes::{BufMut, BytesMut};

use super::WebSocket;
use crate::actor::buffers;
use crate::actor::delivery::deliveries;
use crate::actor::large::{self, LARGE, Partial};
use crate::stage::{Pause, Phase};
use crate::websocket::{Role, header_len};

/// Reads in one turn: then others on this arbiter have theirs.
const READS: usize = 4;
/// What is read of a large frame at once.
const PIECE: usize = 1 << 20;
/// How often the turns of handlers come before a message is read on.
const PATIENCE: u8 = 4;
/// A frame longer than this is never expected: if small ones come instead, they share the memory.
const GUESS: usize = 128 << 10;

impl WebSocket {
    /// Reads while there is something, unless the handler has too much in hand or the peer does not take what is written. Tells whether
    /// the socket will wake the task when there is more. It is asked before it is read, except where it is likely to have something.
    pub(super) fn read(&mut self, likely: bool, now: Instant, cx: &mut TaskContext<'_>) -> bool {
        for turn in 0..READS {
            // Who has nothing to read holds up nobody: above the budget that is asked first.
            if self.share.is_pressed() && !self.pipeline.is_behind() && self.peer_takes() && self.handler_takes() {
                match self.transport.poll_readable(cx) {
                    Poll::Pending => {
                        self.pipeline.suspend(None, now);
                        return true;
                    }
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(_)) => self.lost(now),
                }
            }
            if !self.may_read(now) {
                return false;
            }
            // Read already: compressed messages of which so much came that the handler was to have its turn.
            if self.pipeline.is_behind() {
                let mut partial = std::mem::take(&mut self.partial);
                self.receive(&mut partial, now);
                self.partial = if partial.is_empty() { Partial::default() } else { partial };
                self.tell();
                continue;
            }
            if turn > 0 || !likely {
                match self.transport.poll_readable(cx) {
                    Poll::Pending => return true,
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(_)) => self.lost(now),
                }
            }
            if self.waited < PATIENCE && large::is_crowded() {
                self.waited += 1;
                return false;
            }
            match self.read_once(now, cx) {
                Poll::Pending => {
                    if self.transport.has_stirred() {
                        self.pipeline.stirred(now);
                    }
                    return true;
                }
                Poll::Ready(Ok(0)) => self.guarded(now, |pipeline| pipeline.receive_eof(now)),
                // The handler has it in hand now: the next read may have to wait for it, here or elsewhere.
                Poll::Ready(Ok(_)) => {
                    self.tell();
                    if self.share.is_on() {
                        self.weigh();
                    }
                }
                Poll::Ready(Err(error)) => {
                    tracing::debug!(socket = %self.line.id(), %error, "the connection broke");
                    self.lost(now);
                }
            }
        }
        // There may be more; the others first.
        false
    }

    fn read_once(&mut self, now: Instant, cx: &mut TaskContext<'_>) -> Poll<std::io::Result<usize>> {
        let had = self.partial.len();
        let missing = self.pipeline.missing(had);
        // Above the budget no more than the message that has begun: the beginning of the next would have to be read to its end, too.
        if self.share.is_finishing() {
            let header = header_len(self.role == Role::Server, 0).saturating_sub(had);
            return self.read_large(if missing > 0 { missing } else { header.max(1) }, now, cx);
        }
        // What a handler is given in one turn is what one read brings: of a large frame it is not read beyond the end.
        if had > 0 && missing.max(had) >= LARGE {
            let read = self.read_large(missing.max(1), now, cx);
            if matches!(read, Poll::Ready(Ok(n)) if n == missing) {
                let length = header_len(self.role == Role::Server, had + missing) + had + missing;
                self.expected = if length <= GUESS { length } else { 0 };
            }
            return read;
        }
        if had == 0 && self.expected > 0 {
            let read = self.read_large(self.expected, now, cx);
            if matches!(read, Poll::Ready(Ok(n)) if n != self.expected) {
                self.expected = 0;
            }
            return read;
        }
        let mut buffer = buffers::take_read_buffer();
        if had > 0 {
            buffer.extend_from_slice(&self.partial);
        }
        let read = self.transport.poll_read(cx, &mut buffer);
        if let Poll::Ready(Ok(1..)) = read {
            let mut arrived = buffer.split();
            self.receive(&mut arrived, now);
            self.keep(&arrived);
        }
        buffers::give_read_buffer(buffer);
        read
    }

    /// Reads into memory that a large frame has to itself.
    fn read_large(&mut self, missing: usize, now: Instant, cx: &mut TaskContext<'_>) -> Poll<std::io::Result<usize>> {
        let mut partial = std::mem::take(&mut self.partial);
        partial.make_room(missing);
        let read = self.transport.poll_read(cx, &mut (&mut *partial).limit(missing.min(PIECE)));
        if let Poll::Ready(Ok(1..)) = read {
            self.receive(&mut partial, now);
        }
        // What is not large, or nothing, does not stay in this memory.
        if self.pipeline.missing(partial.len()).max(partial.len()) >= LARGE {
            self.partial = partial;
        } else {
            self.keep(&partial);
        }
        read
    }

    #[inline]
    pub(super) fn receive(&mut self, bytes: &mut BytesMut, now: Instant) {
        if self.answers {
            buffers::lend_write_buffer(self.pipeline.output());
        }
        if self.upstream.is_some() && !self.pipeline.has_events() {
            self.pipeline.swap_events(&mut deliveries::get());
        }
        self.guarded(now, |pipeline| pipeline.receive(bytes, now));
    }

    /// Keeps the beginning of a frame, in memory of its own.
    #[inline]
    pub(super) fn keep(&mut self, rest: &[u8]) {
        self.partial = if rest.is_empty() { Partial::default() } else { Partial::copy(rest, self.pipeline.missing(rest.len()).max(1)) };
    }

    /// Whether the peer takes what is written.
    fn peer_takes(&mut self) -> bool {
        self.pipeline.output().len().max(self.behind) <= self.soft
    }

    /// Whether the handler takes what is read: if not, a wake is asked for.
    fn handler_takes(&mut self) -> bool {
        self.line.in_hand() <= self.window || !planted!(WindowNotReopened) && self.line.wake_below(self.window / 2 + 1)
    }

    pub(super) fn may_read(&mut self, now: Instant) -> bool {
        if !self.pipeline.wants_read() {
            return false;
        }
        // Over already: what comes is thrown away, and nobody has it in hand.
        if self.pipeline.phase() == Phase::Finishing {
            return true;
        }
        let pause = if !self.peer_takes() {
            Some(Pause::Peers)
        } else {
            let may = self.handler_takes() && self.share.may_read(self.pipeline.is_within_message());
            (!may).then_some(Pause::Ours)
        };
        self.pipeline.suspend(pause, now);
        pause.is_none()
    }
}
