//! What both ends of an HTTP connection do with their stream: reading for HTTP, and writing what it has to say.

use std::io;
use std::ops::ControlFlow;
use std::task::{Context as TaskContext, Poll};
use std::time::Instant;

use bytes::BytesMut;

use super::buffers;
use super::transport::Transport;
use crate::http::Client;
use crate::output::Output;

/// Reads in one turn: then others on this arbiter have theirs.
const READS: usize = 4;

/// One end of an HTTP connection.
pub(super) trait Http {
    fn receive(&mut self, bytes: BytesMut, now: Instant);
    fn receive_eof(&mut self, now: Instant);
    fn receive_truncation(&mut self, now: Instant);
    fn output(&mut self) -> &mut Output;
    fn wrote(&mut self, now: Instant);
}

/// Why nothing more is read in this turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// There is nothing: the socket wakes the task when there is.
    Awaits,
    /// It is not wanted, or the others come first.
    Rests,
    /// There is something, and the budget of the process does not let it: that wakes the task when it may.
    Suspended,
}

/// Reads while there is something, it is wanted, and it may be read. Breaks when the connection is broken.
pub(super) fn read<H: Http>(
    http: &mut H,
    transport: &mut Transport,
    wants: impl Fn(&H) -> bool,
    mut may: impl FnMut(&H) -> bool,
    now: Instant,
    cx: &mut TaskContext<'_>,
) -> ControlFlow<io::Error, Reading> {
    use ControlFlow::{Break, Continue};
    for _ in 0..READS {
        if !wants(http) {
            return Continue(Reading::Rests);
        }
        match transport.poll_readable(cx) {
            Poll::Pending => return Continue(Reading::Awaits),
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(error)) => return Break(error),
        }
        // Asked only here: who has nothing to read holds up nobody.
        if !may(http) {
            return Continue(Reading::Suspended);
        }
        let mut buffer = buffers::take_read_buffer();
        let read = transport.poll_read(cx, &mut buffer);
        let arrived: BytesMut = buffer.split();
        buffers::give_read_buffer(buffer);
        match read {
            Poll::Pending => return Continue(Reading::Awaits),
            Poll::Ready(Ok(0)) => {
                if transport.is_truncated() {
                    http.receive_truncation(now);
                } else {
                    http.receive_eof(now);
                }
                return Continue(Reading::Awaits);
            }
            Poll::Ready(Ok(_)) => buffers::pieces(arrived, |piece| http.receive(piece, now)),
            Poll::Ready(Err(error)) => return Break(error),
        }
    }
    // There may be more; the others first.
    Continue(Reading::Rests)
}

/// Writes what there is to write. Breaks when the connection is broken.
pub(super) fn write(http: &mut impl Http, transport: &mut Transport, now: Instant, cx: &mut TaskContext<'_>) -> ControlFlow<io::Error> {
    while !http.output().is_empty() {
        let mut progress = false;
        let result = transport.poll_write(cx, http.output(), &mut progress);
        if progress {
            http.wrote(now);
        }
        match result {
            // What waited for room may be there now.
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(error)) => return ControlFlow::Break(error),
            Poll::Pending => break,
        }
    }
    if http.output().has_buffer() {
        buffers::take_write_buffer(http.output());
    }
    ControlFlow::Continue(())
}

impl Http for Client {
    fn receive(&mut self, bytes: BytesMut, now: Instant) {
        self.receive(bytes, now);
    }

    fn receive_eof(&mut self, now: Instant) {
        self.receive_eof(now);
    }

    fn receive_truncation(&mut self, now: Instant) {
        self.receive_truncation(now);
    }

    fn output(&mut self) -> &mut Output {
        self.output()
    }

    fn wrote(&mut self, now: Instant) {
        self.wrote(now);
    }
}
