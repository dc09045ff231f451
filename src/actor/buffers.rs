//! The buffers of one arbiter, which its connections read and write through.
//!
//! A connection at rest owns none. Reading goes to a buffer that the arbiter keeps; what is decoded from it are slices of it, and it is
//! used again from the start when the last of them has been dropped. Writing is put together in another one; what the socket does not
//! take is kept by the connection, in memory of its own size.

use std::cell::RefCell;

use bytes::BytesMut;

use crate::output::Output;

/// How much is read at most in one go.
pub(crate) const READ: usize = 64 << 10;
/// With less room than this, a read buffer is spent.
const ROOM: usize = 16 << 10;
/// Spent read buffers that are kept until what was decoded from them is dropped.
const RESTING: usize = 8;
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
}

/// Takes the arbiter's read buffer: empty, with room. To be [given back](give_read_buffer).
#[inline]
pub(crate) fn take_read_buffer() -> BytesMut {
    BUFFERS.with_borrow_mut(|buffers| {
        let mut buffer = std::mem::take(&mut buffers.read);
        if buffer.capacity() - buffer.len() >= ROOM || buffer.try_reclaim(READ) {
            return buffer;
        }
        if buffers.resting.len() == RESTING {
            buffers.resting.remove(0);
        }
        if buffer.capacity() > 0 {
            buffers.resting.push(buffer);
        }
        match buffers.resting.iter_mut().position(|buffer| buffer.try_reclaim(READ)) {
            Some(at) => buffers.resting.swap_remove(at),
            None => BytesMut::with_capacity(READ),
        }
    })
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
