//! What a process may have buffered for its peers, all connections together: who has how much, who must wait, and who goes on.
//!
//! A value that decides: `W` is what wakes a connection. Above the limit nobody begins to read; below seven eighths of it those who wait go on, in the order in
//! which they came. A message that has begun to come can be got rid of in one way only: it is read to its end.
//! So of those who wait within a message one at a time goes on.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Who has how much. Whatever is decided takes no longer for many connections than for few, but for waking them all: there is one ledger, and one lock.
#[derive(Debug)]
pub(crate) struct Ledger<W> {
    limit: usize,
    total: usize,
    shares: HashMap<u64, Share<W>>,
    /// Who has something, least first; of several with as much, who came first is last.
    by_size: BTreeSet<(usize, Reverse<u64>)>,
    /// More than the limit was counted, and not yet few enough bytes since.
    pressed: bool,
    /// How often that has begun.
    times: u64,
    /// Who must not read, by ticket: oldest first.
    waiting: BTreeMap<u64, u64>,
    /// Those of them that are within a message.
    within: BTreeMap<u64, u64>,
    ticket: u64,
    /// The one that goes on although there is no room: until its message is complete, or it is gone.
    finishing: Option<u64>,
}

/// What one connection has.
#[derive(Debug)]
struct Share<W> {
    bytes: usize,
    wake: W,
    /// It is its peer that could end a part of it.
    owed: bool,
    /// It waits, since it drew this.
    ticket: Option<u64>,
}

impl<W> Share<W> {
    fn new(wake: W) -> Self {
        Self { bytes: 0, wake, owed: false, ticket: None }
    }
}

impl<W: Clone> Ledger<W> {
    pub(crate) fn new() -> Self {
        Self {
            limit: usize::MAX,
            total: 0,
            shares: HashMap::new(),
            by_size: BTreeSet::new(),
            pressed: false,
            times: 0,
            waiting: BTreeMap::new(),
            within: BTreeMap::new(),
            ticket: 0,
            finishing: None,
        }
    }

    pub(crate) fn total(&self) -> usize {
        self.total
    }

    pub(crate) fn is_pressed(&self) -> bool {
        self.pressed
    }

    /// Which time it is that there is too much, if there is.
    pub(crate) fn pressed(&self) -> Option<u64> {
        self.pressed.then_some(self.times)
    }

    /// Another limit. Gives whom to wake.
    pub(crate) fn set_limit(&mut self, bytes: usize) -> Vec<W> {
        self.limit = bytes;
        self.weigh()
    }

    /// This connection has so much now. Gives whom to wake.
    pub(crate) fn settle(&mut self, id: u64, bytes: usize, wake: impl FnOnce() -> W) -> Vec<W> {
        let share = self.shares.entry(id).or_insert_with(|| Share::new(wake()));
        let before = std::mem::replace(&mut share.bytes, bytes);
        if bytes == 0 && share.ticket.is_none() {
            self.shares.remove(&id);
        }
        self.by_size.remove(&(before, Reverse(id)));
        if bytes > 0 {
            self.by_size.insert((bytes, Reverse(id)));
        }
        self.total = self.total - before + bytes;
        self.weigh()
    }

    /// Whether it is the peer that could end a part of what this connection has: a message that is not all there, or output that it does not take.
    pub(crate) fn is_owed(&mut self, id: u64, owed: bool) {
        if let Some(share) = self.shares.get_mut(&id) {
            share.owed = owed;
        }
    }

    /// This connection is gone. Gives whom to wake.
    pub(crate) fn leave(&mut self, id: u64) -> Vec<W> {
        self.waits_no_more(id);
        if let Some(share) = self.shares.remove(&id) {
            self.by_size.remove(&(share.bytes, Reverse(id)));
            self.total -= if planted!(ShareKept) { 0 } else { share.bytes };
        }
        if self.finishing == Some(id) {
            self.finishing = None;
        }
        let mut woken = self.weigh();
        if self.finishing.is_none() {
            // Also if it had no more than been woken for its turn: it does not take it now.
            woken.extend(self.next());
        }
        woken
    }

    /// Whether it may read. If not it is woken when it may.
    pub(crate) fn may_read(&mut self, id: u64, within_message: bool, wake: impl FnOnce() -> W) -> bool {
        if !self.pressed || self.finishing == Some(id) || planted!(BudgetUnheeded) {
            return true;
        }
        if within_message && self.finishing.is_none() {
            self.finishing = Some(id);
            self.waits_no_more(id);
            return true;
        }
        let share = self.shares.entry(id).or_insert_with(|| Share::new(wake()));
        let ticket = *share.ticket.get_or_insert(self.ticket);
        if ticket == self.ticket {
            self.ticket += 1;
            self.waiting.insert(ticket, id);
        }
        if within_message {
            self.within.insert(ticket, id);
        } else {
            self.within.remove(&ticket);
        }
        false
    }

    fn waits_no_more(&mut self, id: u64) {
        if let Some(ticket) = self.shares.get_mut(&id).and_then(|share| share.ticket.take()) {
            self.waiting.remove(&ticket);
            self.within.remove(&ticket);
        }
    }

    /// A message of this connection is complete: the next one's turn.
    pub(crate) fn finished(&mut self, id: u64) -> Vec<W> {
        if self.finishing != Some(id) {
            return Vec::new();
        }
        self.finishing = None;
        self.next().into_iter().collect()
    }

    /// Whose turn it is to read a message to its end.
    fn next(&self) -> Option<W> {
        let (_, next) = self.within.first_key_value()?;
        self.shares.get(next).map(|share| share.wake.clone())
    }

    /// Who has most, if that is too much for all together; of several with as much, who came first.
    pub(crate) fn largest(&self) -> Option<W> {
        let (_, Reverse(largest)) = self.by_size.last().filter(|_| self.total > self.limit)?;
        self.shares.get(largest).map(|share| share.wake.clone())
    }

    /// Who is to go, when there has been too much for too long: of those whose peers could have ended it, as many as it takes, largest first. Handlers give back what
    /// they have.
    pub(crate) fn overdue(&self) -> Vec<W> {
        let mut over = self.total.saturating_sub(self.room());
        let owed = self.by_size.iter().rev().filter_map(|(_, Reverse(id))| self.shares.get(id).filter(|share| share.owed));
        let gone = owed.take_while(|share| {
            let goes = over > 0;
            over = over.saturating_sub(share.bytes);
            goes
        });
        gone.map(|share| share.wake.clone()).collect()
    }

    /// With so much, those who wait go on.
    fn room(&self) -> usize {
        self.limit - self.limit / 8
    }

    /// Is there too much? May those go on who wait?
    fn weigh(&mut self) -> Vec<W> {
        let mut woken = Vec::new();
        if self.total > self.limit {
            self.times += u64::from(!self.pressed);
            self.pressed = true;
        } else if self.total <= self.room() {
            self.pressed = planted!(PressedForGood);
            self.finishing = None;
            self.within.clear();
            // All of them, as one that is woken may have nothing to read. Who comes too late finds itself stopped again.
            for id in std::mem::take(&mut self.waiting).into_values() {
                if let Some(share) = self.shares.get_mut(&id) {
                    share.ticket = None;
                    woken.push(share.wake.clone());
                    if share.bytes == 0 {
                        self.shares.remove(&id);
                    }
                }
            }
        }
        woken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    /// Waking is saying one's number.
    fn ledger() -> Ledger<u64> {
        let mut ledger = Ledger::new();
        assert!(ledger.set_limit(MIB).is_empty());
        ledger
    }

    #[test]
    fn above_the_limit_nobody_begins_and_below_seven_eighths_they_go_on_in_order() {
        let mut ledger = ledger();
        assert!(ledger.settle(1, MIB, || 1).is_empty() && ledger.may_read(2, false, || 2), "n");
        assert!(ledger.settle(1, MIB + 1, || 1).is_empty(), "n + 1");
        for id in [2, 3, 2, 1] {
            assert!(!ledger.may_read(id, false, || id));
        }
        assert!(ledger.settle(1, MIB, || 1).is_empty() && !ledger.may_read(4, false, || 4), "not yet");
        assert_eq!(ledger.settle(1, MIB - MIB / 8, || 1), [2, 3, 1, 4]);
        assert!(ledger.may_read(9, false, || 9));
        assert_eq!(ledger.settle(1, 0, || 1), [0; 0], "nobody waits");
        assert_eq!((ledger.total(), ledger.shares.len(), ledger.by_size.len()), (0, 0, 0), "nothing is kept of those at rest");
        assert_eq!((ledger.waiting.len(), ledger.within.len()), (0, 0));
    }

    #[test]
    fn one_at_a_time_reads_its_message_to_the_end() {
        let mut ledger = ledger();
        for id in 1..=3 {
            ledger.settle(id, MIB / 2, || id);
        }
        assert!(ledger.may_read(1, true, || 1) && ledger.may_read(1, true, || 1));
        assert!(!ledger.may_read(4, false, || 4) && !ledger.may_read(2, true, || 2) && !ledger.may_read(3, true, || 3));
        assert_eq!(ledger.finished(1), [2]);
        assert!(ledger.may_read(2, true, || 2) && !ledger.may_read(1, true, || 1));
        assert_eq!(ledger.finished(1), [0; 0], "it was not its turn");
        assert_eq!(ledger.leave(2), [3], "who is gone holds up nobody");
        assert_eq!(ledger.total(), MIB);
        assert_eq!(ledger.leave(3), [4, 1]);
    }

    #[test]
    fn who_leaves_before_its_turn_holds_up_nobody() {
        let mut ledger = ledger();
        for id in 1..=4 {
            ledger.settle(id, if id == 4 { MIB } else { MIB / 16 }, || id);
        }
        assert!(ledger.may_read(1, true, || 1) && !ledger.may_read(2, true, || 2) && !ledger.may_read(3, true, || 3));
        assert_eq!(ledger.finished(1), [2]);
        assert_eq!(ledger.leave(2), [3], "it was woken, and is gone before it has asked");
    }

    #[test]
    fn those_whose_peers_could_end_it_are_overdue_largest_first() {
        let mut ledger = ledger();
        assert_eq!(ledger.pressed(), None);
        for (id, bytes) in [(1, MIB / 2), (2, MIB / 8), (3, MIB / 4), (4, MIB / 16), (5, MIB / 8)] {
            ledger.settle(id, bytes, || id);
        }
        assert_eq!((ledger.pressed(), ledger.overdue()), (Some(1), vec![]), "all of it is in hand");
        (2..=6).for_each(|id| ledger.is_owed(id, true));
        assert_eq!(ledger.overdue(), [3], "that is room enough");
        ledger.settle(1, MIB, || 1);
        assert_eq!(ledger.overdue(), [3, 2, 5, 4], "all of them, and of those with as much who came first");
        ledger.is_owed(2, false);
        assert_eq!(ledger.overdue(), [3, 5, 4]);
        (1..=5).for_each(|id| drop(ledger.leave(id)));
        assert_eq!((ledger.pressed(), ledger.overdue()), (None, vec![]));
        ledger.settle(1, 2 * MIB, || 1);
        assert_eq!(ledger.pressed(), Some(2));
    }

    #[test]
    fn the_largest_is_found_where_there_is_too_much() {
        let mut ledger = ledger();
        ledger.settle(1, MIB / 2, || 1);
        ledger.settle(2, MIB / 4, || 2);
        assert_eq!(ledger.largest(), None);
        ledger.settle(3, MIB / 4 + 1, || 3);
        assert_eq!(ledger.largest(), Some(1));
        ledger.settle(3, MIB / 2, || 3);
        assert_eq!(ledger.largest(), Some(1), "of those with as much, who came first");
        assert_eq!(ledger.set_limit(usize::MAX), [0; 0]);
        assert_eq!(ledger.largest(), None);
    }
}
