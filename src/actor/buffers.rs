//! The buffers of one arbiter, which its connections read and write through.
//!
//! A connection at rest owns none. Reading goes to a buffer that the arbiter keeps; what is decoded from it are slices of it, and it is
//! used again from the start when the last of them has been dropped. Handlers may hold on to a few buffers so. Once they hold on to that many,
//! what is short is copied out of the next, until one of the few is free again: so a byte that is kept costs no 64 KiB. Writing is put together in another one; what the socket does not
//! take is kept by the connection, in memory of its own size.

use std::cell::{Cell, RefCell};

use bytes::{Bytes, BytesMut};

use crate::hint::seldom;
use crate::output::Output;

/// How much is read at most in one go.
pub(crate) const READ: usize = 64 << 10;
/// With less room than this, a read buffer is spent.
const ROOM: usize = 16 << 10;
/// Spent read buffers that are kept until what was decoded from them is dropped. With as many held on to, short slices are copied.
const RESTING: usize = 8;
/// From this on a slice is not short: it may hold on to a read buffer, four times what it counts for.
const SHORT: usize = READ / 4;
/// In pieces of this size HTTP is read while short slices are copied: a head holds on to no more.
const PIECE: usize = 4 << 10;
/// Write buffers that are kept, and how large they may be; how large they are at first.
const WRITERS: usize = 16;
const WRITE: usize = 64 << 10;
const FIRST: usize = 8 << 10;

struct Buffers {
    read: BytesMut,
    resting: Vec<BytesMut>,
    write: Vec<BytesMut>,
}

thread_local! {
    static BUFFERS: RefCell<Buffers> =
        RefCell::new(Buffers { read: BytesMut::new(), resting: Vec::new(), write: Vec::new() });
    /// As many read buffers are held on to as may be.
    static COPIES: Cell<bool> = const { Cell::new(false) };
}

impl Buffers {
    /// A buffer with room, in place of one that is spent: the same, if nobody holds on to it, or another.
    #[inline(never)]
    fn next(&mut self, mut spent: BytesMut) -> BytesMut {
        if spent.try_reclaim(READ) {
            return spent;
        }
        // While short slices are copied it is a long one that holds on to it: that counts for much of it. So it need not be watched.
        if spent.capacity() > 0 && self.resting.len() < RESTING {
            self.resting.push(spent);
        }
        self.rested().unwrap_or_else(|| {
            COPIES.set(self.resting.len() == RESTING);
            BytesMut::with_capacity(READ)
        })
    }

    /// One that nobody holds on to any more. Then there is room for another that is.
    #[inline(never)]
    fn rested(&mut self) -> Option<BytesMut> {
        let at = self.resting.iter_mut().position(|buffer| buffer.try_reclaim(READ))?;
        COPIES.set(false);
        Some(self.resting.swap_remove(at))
    }
}

/// Takes the arbiter's read buffer: empty, with room. To be [given back](give_read_buffer).
#[inline]
pub(crate) fn take_read_buffer() -> BytesMut {
    BUFFERS.with_borrow_mut(|buffers| {
        let buffer = std::mem::take(&mut buffers.read);
        if seldom(COPIES.get())
            && let Some(rested) = buffers.rested()
        {
            return rested;
        }
        if buffer.capacity() - buffer.len() >= ROOM { buffer } else { buffers.next(buffer) }
    })
}

/// What a handler is told, so that it holds on to no more than it may: a slice of what was read, or a copy.
#[inline]
pub(crate) fn detach(data: &mut Bytes) {
    if seldom(COPIES.get()) && data.len() < SHORT {
        *data = Bytes::copy_from_slice(data);
    }
}

/// What was read of HTTP, for the same reason: as it is, or in pieces.
#[inline]
pub(crate) fn pieces(arrived: BytesMut, mut receive: impl FnMut(BytesMut)) {
    if seldom(COPIES.get()) {
        arrived.chunks(PIECE).for_each(|piece| receive(BytesMut::from(piece)));
    } else {
        receive(arrived);
    }
}

#[inline]
pub(crate) fn give_read_buffer(mut buffer: BytesMut) {
    buffer.clear();
    BUFFERS.with_borrow_mut(|buffers| buffers.read = buffer);
}

/// Takes one of the arbiter's write buffers. To be [given back](give_write).
pub(crate) fn take_write() -> BytesMut {
    let kept = BUFFERS.with_borrow_mut(|buffers| buffers.write.pop());
    kept.unwrap_or_else(|| BytesMut::with_capacity(FIRST))
}

pub(crate) fn give_write(mut buffer: BytesMut) {
    buffer.clear();
    // A buffer of which slices are out, or that a partial write has moved along, is whole again or it is not kept.
    if buffer.capacity() >= FIRST || buffer.try_reclaim(FIRST) {
        BUFFERS.with_borrow_mut(|buffers| {
            if buffer.capacity() <= WRITE && buffers.write.len() < WRITERS {
                buffers.write.push(buffer);
            }
        });
    }
}

/// Lends one of the arbiter's write buffers to `output`, unless it has a buffer.
#[inline]
pub(crate) fn lend_write_buffer(output: &mut Output) {
    if !output.has_buffer() {
        output.lend_buffer(take_write());
    }
}

/// Takes the write buffer back. What waits in it stays with the connection, in memory of its own size.
#[inline]
pub(crate) fn take_write_buffer(output: &mut Output) {
    if let Some(buffer) = output.take_buffer() {
        give_write(buffer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads one byte, and then as much as spends the buffer. Gives the byte, as a handler is told it, and whether it lies in the buffer.
    fn reads_a_byte() -> (Bytes, bool) {
        let mut buffer = take_read_buffer();
        let place = buffer.as_ptr();
        buffer.extend_from_slice(&[7]);
        let mut byte = buffer.split().freeze();
        detach(&mut byte);
        buffer.extend_from_slice(&[0; READ - ROOM]);
        drop(buffer.split());
        give_read_buffer(buffer);
        let within = byte.as_ptr() == place;
        (byte, within)
    }

    #[test]
    fn t31_a_few_buffers_are_held_on_to_and_no_more() {
        let mut held: Vec<_> = (0..100).map(|_| reads_a_byte()).collect();
        assert_eq!(held.iter().filter(|(_, within)| *within).count(), RESTING);
        assert!(held.iter().all(|(byte, _)| byte[..] == [7]));
        // One is let go of: there is room for one more.
        held.remove(3);
        assert!(reads_a_byte().1, "it is free when it is asked for next");
        let kept = reads_a_byte();
        assert!(kept.1 && !reads_a_byte().1);
        drop((held, kept));
        assert!(reads_a_byte().1);
    }

    #[test]
    fn what_is_long_is_never_copied() {
        let held: Vec<_> = (0..=RESTING).map(|_| reads_a_byte()).collect();
        assert!(COPIES.get());
        for _ in 0..3 {
            let mut buffer = take_read_buffer();
            let place = buffer.as_ptr();
            buffer.resize(SHORT, 7);
            let mut slice = buffer.split().freeze();
            detach(&mut slice);
            give_read_buffer(buffer);
            assert_eq!(slice.as_ptr(), place);
        }
        BUFFERS.with_borrow(|buffers| assert_eq!(buffers.resting.len(), RESTING));
        drop(held);
    }

    #[test]
    fn http_is_read_in_pieces_while_short_slices_are_copied() {
        let read = |length: usize| {
            let mut lengths = Vec::new();
            pieces(BytesMut::from(&vec![7; length][..]), |piece| lengths.push(piece.len()));
            lengths
        };
        assert_eq!(read(10_000), [10_000]);
        let _held: Vec<_> = (0..=RESTING).map(|_| reads_a_byte()).collect();
        assert_eq!(read(10_000), [PIECE, PIECE, 10_000 - 2 * PIECE]);
    }
}
