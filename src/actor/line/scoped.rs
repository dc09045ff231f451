//! What is encoded where it is sent: from when a scope is opened until what it has encoded is written, or waits before the queue.

use std::sync::atomic::Ordering;

use super::Line;
use crate::actor::home::here;
use crate::output::Output;

impl Line {
    /// Begins a scope on this thread: gives how many bytes may be encoded in it, if any.
    pub(in crate::actor) fn open_scope(&self) -> Option<usize> {
        if self.home != here() {
            return None;
        }
        let mut line = self.queue.lock();
        let limit = if self.keeps { self.limits.ahead() } else { self.limits.hard };
        let room = limit.saturating_sub(line.side.unsent());
        if !line.side.direct || line.closed || !line.items.is_empty() || line.side.scoped || room == 0 {
            return None;
        }
        // What comes may be the rest of a message whose beginning was dropped.
        if line.side.policy.as_ref().is_some_and(|policy| policy.is_cutting()) {
            return None;
        }
        line.side.scoped = true;
        self.disturbed.store(false, Ordering::Relaxed);
        Some(room)
    }

    /// Takes what was encoded in a scope, so many messages, the last frame of which was so long, and ends it. If nothing else waits it is written at once: the
    /// websocket need not be woken for it.
    pub(in crate::actor) fn close_scope(&self, encoded: &mut Output, messages: u64, last: usize) {
        let mut line = self.queue.lock();
        line.side.scoped = false;
        if encoded.is_empty() || line.closed {
            return encoded.clear();
        }
        line.side.sent += messages;
        let seen = line.side.unsent() + encoded.len();
        if seen > self.limits.soft {
            // Whoever saw it, and waits for room, must hear that there is some, also if all of it leaves now.
            line.side.seen = line.side.seen.max(seen);
            self.wake(&mut line);
        }
        let first = line.side.output == 0 && line.side.encoded.is_empty() || planted!(ScopeOvertakes);
        if let (true, Some(write)) = (first, &self.write) {
            // The websocket cannot take a turn meanwhile: it lives on this thread.
            drop(line);
            encoded.advance(write.try_write(encoded));
            if encoded.is_empty() {
                return;
            }
            line = self.queue.lock();
        }
        line.side.encoded.append(encoded);
        line.side.beyond = last;
        self.wake(&mut line);
    }

    /// Messages that were encoded in scopes.
    pub(crate) fn sent_in_scopes(&self) -> u64 {
        self.queue.lock().side.sent
    }

    /// Whether somebody has pushed since the scope was opened.
    #[inline]
    pub(in crate::actor) fn is_disturbed(&self) -> bool {
        self.disturbed.load(Ordering::Acquire)
    }

    /// Whether data frames may be encoded where they are sent.
    pub(crate) fn set_direct(&self, direct: bool) {
        self.queue.lock().side.direct = direct;
    }
}
