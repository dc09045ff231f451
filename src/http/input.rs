//! What was read and is not parsed yet.

use std::ops::{Deref, DerefMut};

use bytes::BytesMut;

/// Bytes between two reads. What is parsed from them are slices of what was read; what waits for more is copied, so that no large read buffer
/// is retained for it.
#[derive(Debug, Default)]
pub(super) struct Input {
    bytes: BytesMut,
    /// They lie in a read buffer, which is not ours to keep.
    lent: bool,
}

impl Input {
    /// Takes what was read, behind what waits. Parse it, then [`keep`](Self::keep) the rest.
    pub(super) fn append(&mut self, read: BytesMut) {
        self.lent = self.bytes.is_empty();
        if self.lent {
            self.bytes = read;
        } else {
            self.bytes.extend_from_slice(&read);
        }
    }

    /// Keeps what is left, in memory of its own; nothing is none.
    pub(super) fn keep(&mut self) {
        if self.bytes.is_empty() {
            self.bytes = BytesMut::new();
        } else if self.lent {
            self.bytes = BytesMut::from(&self.bytes[..]);
        }
        self.lent = false;
    }

    pub(super) fn into_bytes(self) -> BytesMut {
        self.bytes
    }
}

impl Deref for Input {
    type Target = BytesMut;

    fn deref(&self) -> &BytesMut {
        &self.bytes
    }
}

impl DerefMut for Input {
    fn deref_mut(&mut self) -> &mut BytesMut {
        &mut self.bytes
    }
}
