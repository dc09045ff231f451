//! Bytes that wait to be written: small pieces copied together, large ones queued as they are, so that a turn's work leaves in one
//! (vectored) write and a large payload is never copied.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, Bytes, BytesMut};

mod pace;

pub(crate) use pace::Pace;

/// From this size on a piece is queued by reference; below it is copied behind what is there.
pub(crate) const COPY_BELOW: usize = 8 << 10;

/// Output in order: any number of large pieces, each behind the small bytes that precede it.
#[derive(Debug, Default)]
pub struct Output {
    /// Whole pieces, oldest first.
    pieces: VecDeque<Bytes>,
    /// Bytes in `pieces`.
    queued: usize,
    /// The newest bytes, behind `pieces`.
    tail: BytesMut,
    /// All bytes that were ever written away.
    written: u64,
    /// How many more the stream has taken, of a record whose rest it has not.
    ahead: usize,
}

impl Output {
    /// An empty output that owns no memory.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes that wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.queued + self.tail.len()
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The position in the stream of output behind everything that waits: once [`written`](Self::written) has reached it, all of
    /// that has left.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.written + self.len() as u64
    }

    /// How many bytes have left since the beginning.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written
    }

    /// How many bytes the stream has taken since the beginning: those that have left, and those of a record of TLS that has not left as a whole.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.written + self.ahead as u64
    }

    /// The stream has taken so many bytes of a record, whose plaintext waits until all of it has left.
    pub fn take_ahead(&mut self, bytes: usize) {
        self.ahead = (self.ahead + bytes).min(self.len());
    }

    /// The buffer for small pieces: what is appended to it is next in order.
    #[must_use]
    pub fn tail(&mut self) -> &mut BytesMut {
        &mut self.tail
    }

    /// Appends a copy of `bytes`.
    pub fn put(&mut self, bytes: &[u8]) {
        self.tail.extend_from_slice(bytes);
    }

    /// Appends `bytes`: by reference when large, as a copy when small.
    pub fn push(&mut self, bytes: Bytes) {
        if bytes.len() < COPY_BELOW {
            return self.put(&bytes);
        }
        if !self.tail.is_empty() {
            // The tail is often a lent buffer: what must wait behind it gets memory of its own size.
            self.queued += self.tail.len();
            self.pieces.push_back(self.tail.split().freeze());
        }
        self.queued += bytes.len();
        self.pieces.push_back(bytes);
    }

    /// Appends all of `other`, which is empty then. Nothing is copied if there is nothing before it: the buffers change owners.
    pub fn append(&mut self, other: &mut Self) {
        if self.is_empty() {
            std::mem::swap(&mut self.pieces, &mut other.pieces);
            std::mem::swap(&mut self.queued, &mut other.queued);
            std::mem::swap(&mut self.tail, &mut other.tail);
            return;
        }
        while let Some(piece) = other.pieces.pop_front() {
            self.push(piece);
        }
        self.put(&other.tail);
        other.clear();
    }

    /// Whether there is a buffer for small pieces.
    #[inline]
    #[must_use]
    pub fn has_buffer(&self) -> bool {
        self.tail.capacity() > 0
    }

    /// Lends a buffer for small pieces, to be had back with [`take_buffer`](Self::take_buffer). Dropped if there is one.
    pub fn lend_buffer(&mut self, buffer: BytesMut) {
        if !self.has_buffer() {
            self.tail = buffer;
        }
    }

    /// Takes the buffer for small pieces back. What waits in it is kept in memory of its own size; if that is most of the buffer, the
    /// buffer stays, so that what waits long is not copied again and again.
    pub fn take_buffer(&mut self) -> Option<BytesMut> {
        let waiting = self.tail.len();
        if waiting > 0 && self.tail.capacity() <= 4 * waiting {
            return None;
        }
        let rest = if waiting == 0 { BytesMut::new() } else { BytesMut::from(&self.tail[..]) };
        self.tail.clear();
        Some(std::mem::replace(&mut self.tail, rest))
    }

    /// Fills `slices` with what comes next, and tells how many were filled.
    pub fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let tail = (!self.tail.is_empty()).then_some(&self.tail[..]);
        let mut filled = 0;
        for (slot, piece) in slices.iter_mut().zip(self.pieces.iter().map(|piece| &piece[..]).chain(tail)) {
            *slot = IoSlice::new(piece);
            filled += 1;
        }
        filled
    }

    /// The next contiguous bytes.
    #[must_use]
    pub fn front(&self) -> &[u8] {
        self.pieces.front().map_or(&self.tail[..], |piece| &piece[..])
    }

    /// Whether [`front`](Self::front) is all there is.
    #[must_use]
    pub fn is_contiguous(&self) -> bool {
        self.pieces.is_empty() || (self.pieces.len() == 1 && self.tail.is_empty())
    }

    /// Forgets the first `n` bytes, which have been written.
    ///
    /// # Panics
    ///
    /// When `n` exceeds [`len`](Self::len).
    #[inline]
    pub fn advance(&mut self, n: usize) {
        self.written += n as u64;
        self.ahead = self.ahead.saturating_sub(n);
        let of_tail = if self.pieces.is_empty() { n } else { self.advance_pieces(n) };
        if of_tail == self.tail.len() {
            self.tail.clear();
        } else {
            self.tail.advance(of_tail);
        }
    }

    /// Forgets what of the first `n` bytes are whole pieces, or of one. Tells how many are not.
    #[inline(never)]
    fn advance_pieces(&mut self, mut n: usize) -> usize {
        while let Some(piece) = self.pieces.front_mut() {
            if n < piece.len() {
                piece.advance(n);
                self.queued -= n;
                return 0;
            }
            n -= piece.len();
            self.queued -= piece.len();
            self.pieces.pop_front();
        }
        n
    }

    /// Forgets everything that waits.
    pub fn clear(&mut self) {
        self.pieces.clear();
        self.queued = 0;
        self.tail.clear();
        self.ahead = 0;
    }

    /// Takes the first `n` bytes at most out, as one copy: for tests, and for wires that want contiguous bytes.
    pub fn take(&mut self, n: usize) -> Vec<u8> {
        let mut taken = Vec::with_capacity(n.min(self.len()));
        while taken.len() < n && !self.is_empty() {
            let front = self.front();
            let part = front.len().min(n - taken.len());
            taken.extend_from_slice(&front[..part]);
            self.advance(part);
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_and_large_pieces_leave_in_order_whatever_the_cuts() {
        let large = |byte: u8, n: usize| Bytes::from(vec![byte; n]);
        for cut in [1, 2, 3, 4095, 8192, 10_000, usize::MAX] {
            let mut output = Output::new();
            output.put(b"abc");
            output.push(large(b'x', COPY_BELOW));
            output.push(Bytes::from_static(b"def"));
            output.put(b"g");
            output.push(large(b'y', COPY_BELOW + 1));
            let all = [&b"abc"[..], &[b'x'; COPY_BELOW], b"defg", &[b'y'; COPY_BELOW + 1]].concat();
            assert_eq!(output.len(), all.len());
            assert_eq!(output.end(), all.len() as u64);
            let mut got = Vec::new();
            while !output.is_empty() {
                got.extend(output.take(cut.min(output.len())));
            }
            assert_eq!(got, all);
            assert_eq!(output.written(), all.len() as u64);
        }
    }

    #[test]
    fn appended_output_comes_behind_and_positions_stay_true() {
        for before in ["", "before "] {
            let mut output = Output::new();
            output.put(b"gone");
            output.advance(4);
            output.put(before.as_bytes());
            let mut other = Output::new();
            other.put(b"small ");
            other.push(Bytes::from(vec![b'x'; COPY_BELOW]));
            other.put(b" end");
            output.append(&mut other);
            assert!(other.is_empty());
            let all = [before.as_bytes(), b"small ", &[b'x'; COPY_BELOW], b" end"].concat();
            assert_eq!(output.end(), 4 + all.len() as u64);
            assert_eq!(output.take(usize::MAX), all);
            assert_eq!(output.written(), output.end());
        }
    }

    #[test]
    fn a_lent_buffer_comes_back_and_what_waits_in_it_stays() {
        let mut output = Output::new();
        output.lend_buffer(BytesMut::with_capacity(1 << 16));
        output.put(b"sent, waiting");
        output.advance(6);
        let mut back = output.take_buffer().expect("little waits in a large buffer");
        assert!(back.is_empty() && back.try_reclaim(1 << 15));
        assert!(output.take_buffer().is_none(), "what waits is not copied again");
        assert_eq!(output.take(100), b"waiting");
    }
}
