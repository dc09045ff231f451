//! Large frames: the memory that they are read into, and when their handlers' turns come first.
//!
//! A large frame has memory to itself, and when its handler has dropped it, the next one is read into the same: so large messages cost no
//! fresh pages, and often find their memory in the processor's cache. What an arbiter keeps for this, and gives for what a peer has only
//! announced, has a limit.

use std::cell::{Cell, RefCell};
use std::ops::{Deref, DerefMut};

use bytes::BytesMut;

use super::buffers::READ;

/// From this many bytes on, a frame that is not all there has memory to itself. The sizes of such memory are multiples of it.
pub(crate) const LARGE: usize = 16 << 10;
/// What an arbiter keeps or lends of memory for large frames. Beyond, it keeps none, and lends about twice what has come.
const BUDGET: usize = 8 << 20;
/// With this much before the handlers of an arbiter their turns come first: it should be in the cache still when they answer.
const CROWD: usize = 128 << 10;
/// So many reads are put off for them until one has its turn. If none has, they live elsewhere, or wait for something else.
const IN_VAIN: u32 = 64;

#[derive(Default)]
struct Memory {
    /// Given back, with its size; perhaps still in the hands of a handler. The newest is last.
    kept: Vec<(usize, BytesMut)>,
    /// The sizes of all that is kept, and of all that is lent.
    resting: usize,
    lent: usize,
}

thread_local! {
    static MEMORY: RefCell<Memory> = RefCell::default();
    /// Bytes that handlers have been told since the last of them had its turn, and how many reads were put off for them.
    static BEFORE_HANDLERS: Cell<(usize, u32)> = const { Cell::new((0, 0)) };
}

impl Memory {
    /// Memory for `have` bytes that have come of a frame, and for those that are `missing`, or a part of them.
    fn lend(&mut self, have: usize, missing: usize) -> Partial {
        let whole = (have + missing).next_multiple_of(LARGE);
        // The newest first: it is the likeliest to be in the cache. None that is far too large: a handler may keep it for long.
        let fits = |(size, bytes): &mut (usize, BytesMut)| (whole..=2 * whole).contains(size) && bytes.try_reclaim(*size);
        let (size, bytes) = if let Some(at) = self.kept.iter_mut().rposition(fits) {
            let (size, bytes) = self.kept.remove(at);
            self.resting -= size;
            (size, bytes)
        } else {
            // What a peer announces and does not send costs it nothing, and us little.
            let size = if self.lent + whole <= BUDGET { whole } else { whole.min(have + have.max(READ)) };
            self.make_way(size);
            (size, BytesMut::with_capacity(size))
        };
        self.lent += size;
        Partial { bytes, lent: size }
    }

    fn give_back(&mut self, size: usize, mut bytes: BytesMut) {
        self.lent -= size;
        self.make_way(size);
        if self.lent + self.resting + size <= BUDGET {
            bytes.clear();
            self.resting += size;
            self.kept.push((size, bytes));
        }
    }

    /// Drops what has been kept longest, until there is room for this much or nothing is kept.
    fn make_way(&mut self, size: usize) {
        let mut over = (self.lent + self.resting + size).saturating_sub(BUDGET);
        let dropped = self.kept.iter().take_while(|(size, _)| (over > 0).then(|| over = over.saturating_sub(*size)).is_some()).count();
        self.resting -= self.kept.drain(..dropped).map(|(size, _)| size).sum::<usize>();
    }
}

/// What has come of a frame that is not all there. If that is large, its memory goes back to the arbiter when it is dropped.
#[derive(Debug, Default)]
pub(crate) struct Partial {
    bytes: BytesMut,
    /// The size of the arbiter's memory that this is, if it is.
    lent: usize,
}

impl Partial {
    /// A copy of `bytes`, with room for those that are `missing` or a part of them.
    pub(crate) fn copy(bytes: &[u8], missing: usize) -> Self {
        let mut partial = if bytes.len() + missing < LARGE {
            Self { bytes: BytesMut::with_capacity(bytes.len() + missing), lent: 0 }
        } else {
            MEMORY.with_borrow_mut(|memory| memory.lend(bytes.len(), missing))
        };
        partial.bytes.extend_from_slice(bytes);
        partial
    }

    /// If there is no room for more: room for what is `missing` or a part of it.
    pub(crate) fn make_room(&mut self, missing: usize) {
        if self.bytes.capacity() == self.bytes.len() {
            *self = Self::copy(&self.bytes, missing);
        }
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if self.lent > 0 {
            let (size, bytes) = (self.lent, std::mem::take(&mut self.bytes));
            let _ = MEMORY.try_with(|memory| memory.borrow_mut().give_back(size, bytes));
        }
    }
}

/// What a handshake has left unread.
impl From<BytesMut> for Partial {
    fn from(bytes: BytesMut) -> Self {
        Self { bytes, lent: 0 }
    }
}

impl Deref for Partial {
    type Target = BytesMut;

    fn deref(&self) -> &BytesMut {
        &self.bytes
    }
}

impl DerefMut for Partial {
    fn deref_mut(&mut self) -> &mut BytesMut {
        &mut self.bytes
    }
}

/// A handler has been told this much at once.
#[inline]
pub(crate) fn told(bytes: usize) {
    if bytes >= LARGE {
        let (before, put_off) = BEFORE_HANDLERS.get();
        BEFORE_HANDLERS.set((before + bytes, put_off));
    }
}

/// A handler on this arbiter has had its turn.
#[inline]
pub(crate) fn handled() {
    let _ = BEFORE_HANDLERS.try_with(|before| before.set((0, 0)));
}

/// Whether a read is put off, as so much has been told that handlers should have their turns before.
#[inline]
pub(crate) fn is_crowded() -> bool {
    let (before, put_off) = BEFORE_HANDLERS.get();
    let crowded = before >= CROWD && put_off < IN_VAIN;
    if crowded {
        BEFORE_HANDLERS.set((before, put_off + 1));
    }
    crowded
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    fn sums() -> (usize, usize) {
        MEMORY.with_borrow(|memory| {
            assert_eq!(memory.resting, memory.kept.iter().map(|(size, _)| size).sum::<usize>());
            (memory.lent, memory.resting)
        })
    }

    #[test]
    fn memory_is_used_again_once_the_handler_has_dropped_it() {
        let mut first = Partial::copy(b"begun", 2 * LARGE);
        let place = first.as_ptr();
        let frame = first.split().freeze();
        drop(first);
        assert_eq!(sums(), (0, 3 * LARGE));
        let other = Partial::copy(b"", 2 * LARGE);
        assert_ne!(other.as_ptr(), place, "a handler has it in hand");
        drop(frame);
        let again = Partial::copy(b"", 2 * LARGE);
        assert_eq!((again.as_ptr(), again.capacity()), (place, 3 * LARGE));
        assert_eq!(sums(), (5 * LARGE, 0));
        drop((other, again));
        assert_eq!(sums(), (0, 5 * LARGE));
        assert_eq!(Partial::copy(b"", LARGE / 4 * 3).lent, 0, "a small frame has memory of its own size");
        assert_eq!(Partial::copy(b"", LARGE).capacity(), 2 * LARGE, "the next size, not the largest");
    }

    #[test]
    fn reads_are_put_off_for_handlers_with_much_before_them_but_not_in_vain() {
        told(CROWD - 1);
        assert!(!is_crowded());
        told(LARGE - 1);
        assert!(!is_crowded(), "small messages are no crowd");
        told(LARGE);
        assert!(is_crowded());
        handled();
        assert!(!is_crowded());
        told(CROWD);
        assert_eq!((0..1000).filter(|_| is_crowded()).count(), IN_VAIN as usize);
        told(CROWD);
        assert!(!is_crowded(), "nobody takes turns here");
        handled();
        told(CROWD);
        assert!(is_crowded(), "somebody does");
    }

    #[test]
    fn what_is_only_announced_costs_no_more_than_the_budget() {
        let announced: Vec<_> = (0..8).map(|_| Partial::copy(b"begun", MIB - 5)).collect();
        assert_eq!(sums(), (BUDGET, 0));
        let mut beyond = Partial::copy(&[7; 100], MIB);
        assert_eq!(beyond.capacity(), READ + 100, "one read ahead");
        beyond.resize(READ + 100, 7);
        beyond.make_room(MIB - READ);
        assert_eq!(beyond.capacity(), 2 * (READ + 100), "as much as has come");
        assert!(beyond.iter().all(|&byte| byte == 7) && beyond.len() == READ + 100);
        drop(announced);
        drop(beyond);
        let (lent, resting) = sums();
        assert!(lent == 0 && resting <= BUDGET, "{resting}");
        let giant = Partial::copy(b"", 2 * BUDGET);
        assert!(giant.capacity() == READ && sums().1 + READ <= BUDGET);
    }
}
