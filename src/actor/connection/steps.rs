//! Steps of a connection's turn: what precedes reading, what follows it when it is late, what comes behind writing, and what it waits for next.

use std::ops::ControlFlow::{self, Break, Continue};
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::Instant;

use super::{Above, Conversation, Parts, Turn, may_read, wants, write};
use crate::actor::budget::STEP;
use crate::actor::clock;
use crate::actor::http_line::HttpLine;
use crate::actor::timer::sooner;
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
    if above.owes_acks() {
        above.acknowledge(parts);
    }
    line.report(parts.http.unsent(), parts.http.waiting());
    if parts.http.events().is_empty() {
        Event::pool_put(std::mem::take(parts.http.events()));
    }
}

/// Ends the stream, as far as it is time to. Breaks when all is over.
#[inline]
pub(super) fn finish(parts: &mut Parts, cx: &mut TaskContext<'_>) -> ControlFlow<()> {
    match parts.http.closing() {
        Closing::Open => Continue(()),
        closing => end(closing, parts, cx),
    }
}

#[cold]
fn end(closing: Closing, parts: &mut Parts, cx: &mut TaskContext<'_>) -> ControlFlow<()> {
    if closing == Closing::Done || closing == Closing::AfterFlush && parts.http.output().is_empty() {
        parts.transport.seat().ends_well();
        parts.transport.finish(cx);
    }
    if matches!(closing, Closing::Done | Closing::Abort) { Break(()) } else { Continue(()) }
}

impl Conversation {
    /// Sees to it that somebody reads when there is something to be read, if it is to be. Tells whether the peer is heard.
    #[inline]
    pub(super) fn reads_on(
        &mut self,
        turn: Turn<'_>,
        is_armed: bool,
        line: &Arc<HttpLine>,
        now: Instant,
        cx: &mut TaskContext<'_>,
    ) -> bool {
        let Self { parts: Some(parts), above, awaits_bytes, is_fed, share, .. } = self else { return true };
        let reader = match turn {
            Turn::Feeder(reader) if above.may_be_fed() => reader,
            _ => None,
        };
        let nobody_does = !*awaits_bytes || *is_fed && matches!(turn, Turn::LastOfFeeder);
        let may = (reader.is_some() || nobody_does) && wants(parts, above.upstream.is_some()) && may_read(parts, share, line, now);
        match reader {
            _ if !may => return *awaits_bytes || parts.http.closing() != Closing::Open,
            // It has nothing else to do before there is something to be read.
            Some(reader) => {
                (*awaits_bytes, *is_fed) = (true, true);
                if !is_armed && parts.transport.poll_readable(&mut TaskContext::from_waker(reader)).is_ready() {
                    reader.wake_by_ref();
                }
            }
            // What kept us from reading was written in this turn, or only our turn is over, or that of the feeder, which may not come back.
            None => cx.waker().wake_by_ref(),
        }
        true
    }

    /// The peer is not heard: sees whether it is gone. Ready when all is over.
    #[cold]
    pub(super) fn watches(&mut self, now: Instant, cx: &mut TaskContext<'_>) -> Poll<()> {
        let Self { parts: Some(parts), above, watch, settings, .. } = self else { return Poll::Ready(()) };
        if let Poll::Ready(gone) = watch.poll(&parts.transport, !settings.http.allows_half_closed(), now, cx) {
            if above.is_gone(gone, &mut parts.http, now) {
                return Poll::Ready(());
            }
            watch.rest();
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    /// Sees to it that the connection is woken in time: when enough is given back, and at the next deadline.
    #[inline]
    pub(super) fn wakes_again(&mut self, line: &HttpLine, now: Instant, cx: &mut TaskContext<'_>) {
        let Self { parts: Some(parts), above, watch, timer, share, .. } = self else { return };
        if seldom(share.is_known()) || seldom(parts.http.awaits_back().is_some()) {
            let counted = if share.is_known() { parts.http.counts_back(STEP) } else { None };
            if parts.http.awaits_back().into_iter().chain(counted).min().is_some_and(|back| line.wake_at(back)) {
                cx.waker().wake_by_ref();
            }
        }
        let ours = sooner(sooner(above.register_by, above.look), watch.deadline());
        timer.arm(sooner(parts.http.deadline(), ours), now, cx);
    }
}
