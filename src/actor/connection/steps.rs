//! Steps of a connection's turn: what precedes reading, what follows it when it is late, and what comes behind writing.

use std::ops::ControlFlow::{self, Break, Continue};
use std::sync::Arc;
use std::task::Context as TaskContext;
use std::time::Instant;

use super::{Above, Parts, write};
use crate::actor::clock;
use crate::actor::http_line::HttpLine;
use crate::actor::upstream::Parcel;
use crate::hint::seldom;
use crate::http::{Closing, Event};

/// Heeds the signals, does what handlers have said, and takes back what they have let go of. Breaks when all is over.
#[inline]
pub(super) fn hear(parts: &mut Parts, above: &mut Above, line: &Arc<HttpLine>, now: Instant, cx: &TaskContext<'_>) -> ControlFlow<()> {
    let (commands, signals) = line.take(cx.waker());
    if seldom(!signals.is_empty()) && above.heed(signals, line, parts, now) {
        return Break(());
    }
    above.obey(commands, line, parts, now)?;
    let back = line.given_back();
    if seldom(back > 0) {
        parts.http.give_back(back, now);
    }
    Continue(())
}

/// Does what is due, behind what could be read and written by now: we may be late, and what the peer did in time was in time. Breaks when all is over.
#[cold]
pub(super) fn judge(parts: &mut Parts, above: &mut Above, line: &Arc<HttpLine>, now: Instant, cx: &mut TaskContext<'_>) -> ControlFlow<()> {
    if parts.transport.press(parts.http.output()) {
        parts.http.wrote(now);
    }
    write(parts, above, now, cx)?;
    parts.http.handle_timeout(now, &clock::http_date(now));
    above.look_after(line, parts, now)
}

/// Tells what has come of writing: what waited for that may have been parsed, and somebody may wait for what was written.
#[inline]
pub(super) fn tell_the_rest(parts: &mut Parts, above: &mut Above, line: &Arc<HttpLine>, now: Instant, cx: &mut TaskContext<'_>) {
    if seldom(above.lobby.is_some()) {
        above.let_in(line, parts, now, cx);
    }
    if seldom(above.is_function || above.fast.is_some()) {
        // They answer, and that is to be written, too.
        if !parts.http.events().is_empty() {
            cx.waker().wake_by_ref();
        }
    } else {
        above.deliver(line, parts, now, cx);
    }
    above.acknowledge(parts);
    line.report(parts.http.unsent(), parts.http.waiting());
    if parts.http.events().is_empty() {
        Event::pool_put(std::mem::take(parts.http.events()));
    }
}

/// Ends the stream, as far as it is time to. Breaks when all is over.
#[inline]
pub(super) fn finish(parts: &mut Parts, cx: &mut TaskContext<'_>) -> ControlFlow<()> {
    match parts.http.closing() {
        Closing::Open => {}
        Closing::AfterFlush if parts.http.output().is_empty() => {
            parts.transport.seat().ends_well();
            parts.transport.finish(cx);
        }
        Closing::AfterFlush => {}
        Closing::Done => {
            parts.transport.seat().ends_well();
            parts.transport.finish(cx);
            return Break(());
        }
        Closing::Abort => return Break(()),
    }
    Continue(())
}
