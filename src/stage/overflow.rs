//! What becomes of a message that is offered while as much waits as may: the policies of the hard limit, as a value.
//!
//! They choose among messages that wait to be written as frames: not encoded, and not compressed. So what is dropped is unknown to every stage
//! below, a compressor too. Fragments of one message are dropped together or not at all, control frames never.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::websocket::{Frame, OpCode};

/// The policy of the hard limit of unsent bytes: what becomes of a message offered when that much waits.
///
/// A control frame passes it as far as one message may, and meets no policy beyond; a Close always does. A message of which a fragment is on its way to the wire can be dropped no more: one that meets the
/// limit with a later fragment closes the websocket, whatever the policy, unless messages behind its beginning can make room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Overflow {
    /// The websocket is closed with 1008. The default: nothing is lost that the handler does not learn of.
    #[default]
    Close,
    /// The message offered is dropped.
    DropNewest,
    /// Those that have waited longest are dropped to make room; the one offered, if there is none that can be.
    DropOldest,
    /// A message with a [key](Frame::keyed) takes the place of the one of the same key that waits, at the limit or not: what is sent is the newest of each
    /// key. What is offered at the limit and has no such place closes the websocket with 1008.
    Conflate,
}

/// Which message a policy has dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dropped {
    /// The one that was offered when as much waited as may: [`Overflow::DropNewest`].
    Newest,
    /// One that had waited longest, for a newer one: [`Overflow::DropOldest`].
    Oldest,
    /// One whose place another of the same key has taken: [`Overflow::Conflate`].
    Conflated,
}

/// How many frames of a websocket were dropped, and why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drops {
    /// As [`Dropped::Newest`].
    pub newest: u64,
    /// As [`Dropped::Oldest`].
    pub oldest: u64,
    /// As [`Dropped::Conflated`].
    pub conflated: u64,
}

impl Drops {
    /// All of them.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.newest + self.oldest + self.conflated
    }

    fn count(&mut self, how: Dropped) {
        *match how {
            Dropped::Newest => &mut self.newest,
            Dropped::Oldest => &mut self.oldest,
            Dropped::Conflated => &mut self.conflated,
        } += 1;
    }
}

/// What a message is the newest of: see [`Overflow::Conflate`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Key {
    /// A number.
    Number(u64),
    /// A name.
    Name(Arc<str>),
}

impl From<u64> for Key {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<&str> for Key {
    fn from(name: &str) -> Self {
        Self::Name(name.into())
    }
}

impl From<String> for Key {
    fn from(name: String) -> Self {
        Self::Name(name.into())
    }
}

/// What it costs to remember a key, besides a name's bytes: an entry of a table and one of a queue.
const PLACE: usize = 64;

impl Key {
    fn weight(&self) -> usize {
        match self {
            Self::Number(_) => PLACE,
            Self::Name(name) => PLACE + name.len(),
        }
    }
}

/// A message with its key.
#[derive(Clone, Debug)]
pub struct Keyed {
    /// What the message is the newest of.
    pub key: Key,
    /// The message.
    pub frame: Frame,
}

impl Frame {
    /// This message as the newest of its key: where [`Overflow::Conflate`] is the policy it takes the place of one of the same key that waits to be
    /// written. A fragment or a control frame has no key, whatever is said here.
    #[must_use]
    pub fn keyed(self, key: impl Into<Key>) -> Keyed {
        Keyed { key: key.into(), frame: self }
    }
}

/// One thing in a queue of what waits.
pub(crate) trait Waiting {
    /// The frame, if it is one.
    fn frame(&self) -> Option<&Frame>;
    /// What it counts for.
    fn length(&self) -> usize;
}

/// What is to be done with a frame that was offered.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It goes behind all that waits.
    Take,
    /// It takes the place of the one that waits here.
    Replace(usize),
    /// It is dropped.
    Drop(Dropped),
    /// There is no room and there can be none: for this policy that is the end.
    Full,
}

/// A policy, and what it must remember of the queue it acts on.
#[derive(Debug)]
pub(crate) struct Policy {
    overflow: Overflow,
    /// The beginning of a message was dropped: so will be what is offered of its rest.
    cut: Option<Dropped>,
    /// Where the message of a key waits: counted from the first that was ever in the queue.
    places: HashMap<Key, u64>,
    /// The same in their order.
    order: VecDeque<(u64, Key)>,
    /// What both cost.
    keys: usize,
    /// How many have left the queue at its front.
    left: u64,
    pub(crate) drops: Drops,
}

fn is_data<E: Waiting>(item: &E) -> bool {
    item.frame().is_some_and(|frame| frame.opcode.is_data())
}

/// The first frame of a message, or all of it.
fn begins<E: Waiting>(item: &E) -> bool {
    item.frame().is_some_and(|frame| frame.opcode.is_data() && frame.opcode != OpCode::Continuation)
}

impl Policy {
    pub(crate) fn new(overflow: Overflow) -> Self {
        Self { overflow, cut: None, places: HashMap::new(), order: VecDeque::new(), keys: 0, left: 0, drops: Drops::default() }
    }

    /// Whether the next fragment may be one of a message whose beginning was dropped.
    pub(crate) fn is_cutting(&self) -> bool {
        self.cut.is_some()
    }

    /// A data frame is offered while there is too much by `over` bytes; 0: there is room. What is dropped for it comes out of the queue into `gone`.
    pub(crate) fn offer<E: Waiting>(
        &mut self,
        items: &mut VecDeque<E>,
        offered: &Frame,
        key: Option<&Key>,
        over: usize,
        gone: &mut Vec<(E, Dropped)>,
    ) -> Verdict {
        match self.ask(items, offered, key, over) {
            Verdict::Full => {}
            verdict => return verdict,
        }
        let goes_on = offered.opcode == OpCode::Continuation;
        match self.overflow {
            Overflow::DropNewest if !goes_on => self.cut(offered, Dropped::Newest),
            Overflow::DropNewest => match begun(items) {
                Some(at) => {
                    self.remove(items, at, Dropped::Newest, gone);
                    self.cut(offered, Dropped::Newest)
                }
                None => Verdict::Full,
            },
            Overflow::DropOldest => {
                let mut over = over;
                while over > 0
                    && let Some(at) = items.iter().position(begins)
                {
                    let (freed, whole) = self.remove(items, at, Dropped::Oldest, gone);
                    if !whole && goes_on {
                        // It was the message that this fragment is one of.
                        return self.cut(offered, Dropped::Oldest);
                    }
                    over = over.saturating_sub(freed);
                }
                match over {
                    0 => Verdict::Take,
                    _ if goes_on => Verdict::Full,
                    _ => self.cut(offered, Dropped::Newest),
                }
            }
            Overflow::Close | Overflow::Conflate => Verdict::Full,
        }
    }

    /// The same without the policy: what finds no room is told so, and nothing is dropped for it.
    pub(crate) fn ask<E: Waiting>(&mut self, items: &VecDeque<E>, offered: &Frame, key: Option<&Key>, over: usize) -> Verdict {
        if let Some(how) = self.cut {
            if offered.opcode == OpCode::Continuation {
                return self.cut(offered, how);
            }
            self.cut = None;
        }
        let place = key.filter(|_| offered.is_whole()).and_then(|key| self.places.get(key));
        if let Some(&place) = place {
            let at = ((place - self.left) as usize).saturating_sub(usize::from(planted!(PlaceOfAnother)));
            return if over <= items[at].length() { Verdict::Replace(at) } else { Verdict::Full };
        }
        if over == 0 { Verdict::Take } else { Verdict::Full }
    }

    /// It is dropped, and so will be the rest of its message.
    fn cut(&mut self, offered: &Frame, how: Dropped) -> Verdict {
        self.cut = (!offered.fin).then_some(how);
        self.drops.count(how);
        Verdict::Drop(how)
    }

    /// Drops a message that begins here. Gives what it counted for, and whether it was there as a whole.
    fn remove<E: Waiting>(&mut self, items: &mut VecDeque<E>, begin: usize, how: Dropped, gone: &mut Vec<(E, Dropped)>) -> (usize, bool) {
        let (mut at, mut freed) = (begin, 0);
        while at < items.len() {
            if !is_data(&items[at]) {
                at += 1;
                continue;
            }
            if freed > 0 && begins(&items[at]) {
                return (freed, true);
            }
            if let Some(item) = items.remove(at) {
                freed += item.length();
                let fin = item.frame().is_some_and(|frame| frame.fin);
                if !planted!(DropUntold) {
                    self.drops.count(how);
                }
                gone.push((item, how));
                if fin {
                    return (freed, true);
                }
            }
        }
        (freed, false)
    }

    /// What the keys cost of the messages that wait: it counts as the messages do.
    #[inline]
    pub(crate) fn keys(&self) -> usize {
        self.keys
    }

    /// What it would cost to remember this one.
    pub(crate) fn weighs(&self, key: &Key) -> usize {
        if self.overflow == Overflow::Conflate { key.weight() } else { 0 }
    }

    /// What was taken is the last of the queue now.
    pub(crate) fn queued(&mut self, key: Key, length: usize) {
        if self.overflow == Overflow::Conflate {
            self.keys += self.weighs(&key);
            let place = self.left + length as u64 - 1;
            self.places.insert(key.clone(), place);
            self.order.push_back((place, key));
        }
    }

    /// One has taken the place of another.
    pub(crate) fn replaced(&mut self) {
        self.drops.count(Dropped::Conflated);
    }

    /// So many have left the queue at its front.
    pub(crate) fn took(&mut self, items: usize) {
        self.left += items as u64;
        while let Some((place, _)) = self.order.front()
            && *place < self.left
            && let Some((_, key)) = self.order.pop_front()
        {
            self.keys -= key.weight();
            self.places.remove(&key);
        }
    }

    /// All is over, but for the count.
    pub(crate) fn close(&mut self) {
        *self = Self { drops: self.drops, ..Self::new(self.overflow) };
    }
}

/// Where the message begins that the last data frame of the queue has left unfinished; `None` if that beginning is not there.
fn begun<E: Waiting>(items: &VecDeque<E>) -> Option<usize> {
    for (at, frame) in items.iter().enumerate().rev().filter_map(|(at, item)| item.frame().map(|frame| (at, frame))) {
        match frame.opcode {
            opcode if opcode.is_control() => {}
            _ if frame.fin => return None,
            OpCode::Continuation => {}
            _ => return Some(at),
        }
    }
    None
}
