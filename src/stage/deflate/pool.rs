//! What a thread keeps for all its connections: compressors and inflaters between two messages, and buffers.

use std::cell::RefCell;

use bytes::{Bytes, BytesMut};
use flate2::{Compress, Compression, Decompress};

/// How many compressors, and how many inflaters, a thread keeps: only messages in fragments need more than one at a time.
const KEPT: usize = 4;
/// How large the buffer is that most messages fit into.
const SCRATCH: usize = 16 << 10;
/// From this size on a message gets memory of its own.
const LARGE: usize = 8 << 10;
/// How large the memory is that smaller ones share.
const SHARED: usize = 64 << 10;

/// The smallest window that the backend has. Its compressor never looks farther back than its window less 262 bytes (a longest match, a
/// shortest one, and one), so that with a window of 512 bytes all distances are at most 250: what was agreed to be 8 bits is kept.
const SMALLEST: u8 = 9;
const LARGEST: u8 = 15;

#[derive(Default)]
struct Pool {
    inflaters: Vec<Decompress>,
    compressors: Vec<(u8, u8, Compress)>,
    scratch: Vec<u8>,
    shared: BytesMut,
}

thread_local! {
    static POOL: RefCell<Pool> = RefCell::default();
}

/// An inflater, for any window: the backend's takes the same memory for all, and only the one with the largest is cheap to reset.
pub(super) fn inflater() -> Decompress {
    POOL.with_borrow_mut(|pool| pool.inflaters.pop()).unwrap_or_else(|| Decompress::new(false))
}

/// The inflater is no longer needed.
pub(super) fn put_inflater(mut inflater: Decompress) {
    POOL.with_borrow_mut(|pool| {
        if pool.inflaters.len() < KEPT {
            inflater.reset(false);
            pool.inflaters.push(inflater);
        }
    });
}

/// A compressor for one message.
pub(super) fn compressor(level: u8, window_bits: u8) -> Compress {
    let kept = POOL.with_borrow_mut(|pool| {
        let at = pool.compressors.iter().position(|(its_level, its_bits, _)| (*its_level, *its_bits) == (level, window_bits))?;
        Some(pool.compressors.swap_remove(at).2)
    });
    kept.unwrap_or_else(|| new_compressor(level, window_bits))
}

/// A compressor that a connection keeps.
pub(super) fn new_compressor(level: u8, window_bits: u8) -> Compress {
    Compress::new_with_window_bits(Compression::new(level.into()), false, window_bits.clamp(SMALLEST, LARGEST))
}

/// A compressor from [`compressor`] is no longer needed.
pub(super) fn put_compressor(level: u8, window_bits: u8, mut compressor: Compress) {
    POOL.with_borrow_mut(|pool| {
        compressor.reset();
        // The one that was used last stays: settings may differ, and none should keep the others out for ever.
        if pool.compressors.len() == KEPT {
            pool.compressors.remove(0);
        }
        pool.compressors.push((level, window_bits, compressor));
    });
}

/// Where something of unknown length is written: the thread's scratch buffer, which becomes memory of its own if that is too small.
pub(super) struct Sink {
    pub(super) written: Vec<u8>,
}

impl Sink {
    pub(super) fn new() -> Self {
        let mut written = POOL.with_borrow_mut(|pool| std::mem::take(&mut pool.scratch));
        written.reserve_exact(SCRATCH.saturating_sub(written.capacity()));
        Self { written }
    }

    /// Makes room for at least one byte more, and for as many as there are already, but for no more than `most`.
    pub(super) fn make_room(&mut self, most: usize) {
        if self.is_full() {
            self.written.reserve_exact(self.written.len().min(most).max(1));
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.written.len() == self.written.capacity()
    }

    /// What was written: a little of it as a slice of memory that others share, much as memory of its own.
    pub(super) fn take(&mut self) -> Bytes {
        if self.written.is_empty() {
            return Bytes::new();
        }
        if self.written.len() < LARGE {
            return POOL.with_borrow_mut(|pool| {
                if pool.shared.capacity() < self.written.len() {
                    pool.shared.reserve(SHARED);
                }
                pool.shared.extend_from_slice(&self.written);
                self.written.clear();
                pool.shared.split().freeze()
            });
        }
        let mut written = std::mem::take(&mut self.written);
        written.shrink_to_fit();
        written.into()
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        if self.written.capacity() == SCRATCH {
            let mut written = std::mem::take(&mut self.written);
            written.clear();
            let _ = POOL.try_with(|pool| pool.borrow_mut().scratch = written);
        }
    }
}
