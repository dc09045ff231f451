//! How much of a queue is taken at a time, what becomes of what finds no room, and who hears of it.
//!
//! A websocket that closes at the hard limit takes all that there is, and encodes it. Where a policy may drop something, and above stage actors, what
//! waits stays in the queue as frames, and no more is taken than the end below has room for.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::task::Waker;

use super::{Ack, Entry, Line, Peer, Side, Signals, entries, frame_length, length};
use crate::actor::queue::Inner;
use crate::actor::socket::{SendError, SendStatus};
use crate::output::Output;
use crate::stage::{Command, Dropped, Drops, Key, Life, Verdict};
use crate::websocket::Frame;

/// Room for all.
pub(crate) const ALL: usize = usize::MAX;

impl Line {
    /// As [`push`](Self::push), where the policy of the hard limit may not be to close, and with a key.
    #[inline(never)]
    pub(crate) fn push_by_policy(
        &self,
        command: Command,
        key: Option<Key>,
        ack: Option<Ack>,
        policy: bool,
    ) -> Result<SendStatus, SendError> {
        match command {
            Command::Frame(frame) if self.has_policy() => self.offer(frame, key, ack, policy),
            command => self.push_or_close(command, ack, policy),
        }
    }

    fn offer(&self, frame: Frame, key: Option<Key>, ack: Option<Ack>, policy: bool) -> Result<SendStatus, SendError> {
        let mut gone = Vec::new();
        let mut line = self.queue.lock();
        let result = self.judge(&mut line, frame, key, ack, policy, &mut gone);
        // Whoever waits for them, and whatever they hold, is told without the lock.
        drop(line);
        for (entry, how) in gone {
            if let Entry { ack: Some(ack), .. } = entry {
                let _ = ack.send(Err(SendError::Dropped(how)));
            }
        }
        result
    }

    fn judge(
        &self,
        line: &mut Inner<Entry, Side>,
        frame: Frame,
        key: Option<Key>,
        ack: Option<Ack>,
        policy: bool,
        gone: &mut Vec<(Entry, Dropped)>,
    ) -> Result<SendStatus, SendError> {
        if line.closed {
            return Err(SendError::Closed);
        }
        let unsent = self.waiting(line);
        self.shows(&mut line.side, unsent);
        let (items, side) = (&mut line.items, &mut line.side);
        let has_room = side.has_room(&frame, unsent, self.limits.hard);
        let verdict = match &mut side.policy {
            _ if side.overflown && frame.opcode.is_data() => Verdict::Full,
            Some(chosen) if frame.opcode.is_data() => {
                let over = (unsent + 1).saturating_sub(self.limits.hard);
                if policy { chosen.offer(items, &frame, key.as_ref(), over, gone) } else { chosen.ask(items, &frame, key.as_ref(), over) }
            }
            _ if has_room => Verdict::Take,
            _ => Verdict::Full,
        };
        let freed: usize = gone.iter().map(|(entry, _)| length(&entry.command)).sum();
        side.queued -= freed;
        if freed > 0 {
            // Who saw that much, and waits for room, must hear that there is some, also if it was made by dropping.
            side.seen = side.seen.max(unsent);
        }
        let length_of_it = frame_length(&frame);
        let after = unsent.saturating_sub(freed) + length_of_it;
        match verdict {
            Verdict::Take => {
                let is_data = frame.opcode.is_data();
                let key = key.filter(|_| is_data && frame.is_whole());
                let of_its_key = match (&key, &side.policy) {
                    (Some(key), Some(policy)) => policy.weighs(key),
                    _ => 0,
                };
                let after = after + of_its_key;
                if is_data {
                    side.beyond = length_of_it + of_its_key;
                }
                self.append(line, Command::Frame(frame), ack);
                if let (Some(key), Some(policy)) = (key, &mut line.side.policy) {
                    policy.queued(key, line.items.len());
                }
                self.shows(&mut line.side, after);
                Ok(self.status(after))
            }
            Verdict::Replace(at) => {
                let entry = Entry { command: Command::Frame(frame), ack };
                let new = length(&entry.command);
                let older = std::mem::replace(&mut items[at], entry);
                let old = length(&older.command);
                side.queued = side.queued - old + new;
                // It is taken whole, too, and may be longer than the older one by any number.
                side.beyond = new;
                self.shows(side, after - old);
                // Or shorter: that makes room as dropping does.
                side.seen = side.seen.max(unsent);
                if let Some(policy) = &mut side.policy {
                    policy.replaced();
                }
                gone.push((older, Dropped::Conflated));
                // There is another sum to be told and counted, although nothing more is to be taken.
                if new != old {
                    self.wake(line);
                }
                Ok(self.status(after - old))
            }
            Verdict::Drop(how) => Err(SendError::Dropped(how)),
            Verdict::Full => {
                if policy && frame.opcode.is_data() {
                    self.overflow(line);
                }
                Err(SendError::Full)
            }
        }
    }

    /// How many frames the policy has dropped.
    pub(crate) fn drops(&self) -> Drops {
        self.queue.lock().side.policy.as_ref().map(|policy| policy.drops).unwrap_or_default()
    }

    /// Whether what waits may stay in the queue.
    #[inline]
    pub(crate) fn keeps(&self) -> bool {
        self.keeps
    }

    /// How much may be taken while so much is encoded.
    #[inline]
    pub(crate) fn room(&self, encoded: usize) -> usize {
        if self.keeps { self.limits.ahead().saturating_sub(encoded) } else { ALL }
    }

    /// How much the stage actor above may hand down.
    pub(crate) fn room_for_above(&self) -> usize {
        let line = self.queue.lock();
        if line.closed || line.side.last { ALL } else { self.limits.ahead().saturating_sub(line.side.unsent()) }
    }

    /// What was pushed and signalled since the last time; of what was pushed no more than there is room for, and the one that goes beyond. What was
    /// encoded already goes to the output, before the rest.
    #[inline]
    pub(crate) fn take(&self, waker: &Waker, output: &mut Output, room: usize) -> (VecDeque<Entry>, Signals) {
        self.stirred.store(false, Ordering::Release);
        let mut line = self.queue.lock();
        if !line.side.encoded.is_empty() {
            line.side.output += line.side.encoded.len();
            output.append(&mut line.side.encoded);
        }
        let signals = std::mem::take(&mut line.side.signals);
        if room < line.side.queued && signals.is_empty() && !line.side.last {
            return (self.take_some(&mut line, waker, room), signals);
        }
        line.side.output += std::mem::take(&mut line.side.queued);
        let items = line.take(waker);
        if let Some(policy) = &mut line.side.policy {
            policy.took(items.len());
        }
        (items, signals)
    }

    #[inline(never)]
    fn take_some(&self, line: &mut Inner<Entry, Side>, waker: &Waker, room: usize) -> VecDeque<Entry> {
        line.register(waker);
        // There is more.
        self.stirred.store(true, Ordering::Release);
        let (mut some, mut taken) = (entries::get(), 0);
        while taken < room
            && let Some(entry) = line.items.pop_front()
        {
            taken += length(&entry.command);
            some.push_back(entry);
        }
        line.side.queued -= taken;
        line.side.output += taken;
        if let Some(policy) = &mut line.side.policy {
            policy.took(some.len());
        }
        some
    }

    /// No room is waited for any more, here and above: what has been said must go out now.
    pub(crate) fn hurry(&self) {
        let mut line = self.queue.lock();
        if !line.side.last {
            line.side.last = true;
            self.wake(&mut line);
        }
        Self::tell_above(&mut line);
    }

    fn tell_above(line: &mut Inner<Entry, Side>) {
        if let Some(waiting) = line.side.room.take() {
            waiting.wake();
        }
    }

    /// Tells whoever waits for room if there is some.
    #[inline]
    fn tell_room(&self, line: &mut Inner<Entry, Side>) {
        if line.side.room.is_some() && line.side.unsent() < self.limits.ahead() {
            Self::tell_above(line);
        }
    }

    /// Tells the websocket how much senders on this line may have seen waiting: it may owe them a `Drained`. Tells whether it does, so that it
    /// must have a turn for it: what is handed down wakes it behind all that was seen; where nothing is, [`stir`](Self::stir) does.
    pub(crate) fn tell_seen(&self) -> bool {
        let Some(below) = &self.below else { return false };
        let shown = std::mem::take(&mut self.queue.lock().side.seen);
        below.line().saw(shown.max(self.unsent() + below.buffered_amount()));
        shown > self.limits.soft
    }

    fn saw(&self, bytes: usize) {
        match &self.below {
            Some(below) => below.line().saw(bytes),
            None => {
                let mut line = self.queue.lock();
                line.side.seen = line.side.seen.max(bytes);
            }
        }
    }

    /// The websocket below takes a turn.
    pub(crate) fn stir(&self) {
        match &self.below {
            Some(below) => below.line().stir(),
            None => Peer::nudge(self),
        }
    }

    /// A command of this [`length`], which a stage actor has taken, is on the line below now, and counts there.
    pub(crate) fn handed_down(&self, length: usize) {
        let mut line = self.queue.lock();
        line.side.output = line.side.output.saturating_sub(length);
        self.tell_room(&mut line);
    }

    /// Whether something waits to be taken here.
    pub(crate) fn has_more(&self) -> bool {
        !self.queue.lock().items.is_empty()
    }

    /// Bytes that wait here and above for room below; and whether any do here.
    pub(crate) fn held_back(&self) -> (usize, bool) {
        let line = self.queue.lock();
        (line.side.unsent() + line.side.above, !line.items.is_empty())
    }

    /// So many bytes wait above for room in this line, and this wants to know when there is some. As long as there are, nothing is
    /// [`Drained`](crate::Drained).
    pub(crate) fn set_above(&self, bytes: usize, waits: Option<&Waker>) {
        let mut line = self.queue.lock();
        line.side.above = bytes;
        line.side.room = waits.cloned();
        if line.closed || line.side.last {
            Self::tell_above(&mut line);
        }
        self.tell_room(&mut line);
        if bytes == 0 {
            self.wake(&mut line);
        }
    }

    /// At the end of a websocket's turn: how much of what was taken is still to be written, whether frames are sent at all any more, and how
    /// the peer is. Gives the most that has waited since the last time, as a sender may have seen it, and what waits now.
    #[inline]
    pub(crate) fn report(&self, bytes: usize, open: bool, life: Life) -> (usize, usize) {
        let mut line = self.queue.lock();
        line.side.life = Some(life);
        line.side.direct &= open;
        let most = line.side.unsent().max(std::mem::take(&mut line.side.seen));
        line.side.output = bytes;
        self.tell_room(&mut line);
        (most.max(bytes), line.side.unsent() + line.side.above)
    }
}
