//! A network between the two ends of a connection in memory: as bad as a test wants it, and the same each time for the same seed.

use std::sync::Arc;
use std::time::Duration;

mod wire;

pub(crate) use wire::{Wire, WireReader, WireWriter};

/// What both directions of a connection are like. Chained setters; a network that none was called of takes all at once and loses nothing.
///
/// ```
/// use std::time::Duration;
/// use actix_sockets::test::Network;
///
/// let slow = Network::seeded(7).latency(Duration::from_millis(20), Duration::from_millis(80)).pieces(100).capacity(4096);
/// ```
#[derive(Clone, Debug)]
pub struct Network {
    seed: u64,
    latency: (Duration, Duration),
    pieces: usize,
    capacity: usize,
    forgetful: bool,
}

impl Network {
    /// All that is left to chance comes of this seed.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self { seed, latency: (Duration::ZERO, Duration::ZERO), pieces: usize::MAX, capacity: 64 << 10, forgetful: false }
    }

    /// How long a piece takes to the other end: from `least` to `most`, in whole milliseconds; none overtakes another. Default: no time.
    #[must_use]
    pub fn latency(mut self, least: Duration, most: Duration) -> Self {
        self.latency = (least, most.max(least));
        self
    }

    /// One write and one read move from one to so many bytes. Default: what there is.
    #[must_use]
    pub fn pieces(mut self, most: usize) -> Self {
        self.pieces = most.max(1);
        self
    }

    /// How many bytes may be on the way and unread, in each direction, before none is taken: 64 KiB.
    #[must_use]
    pub fn capacity(mut self, bytes: usize) -> Self {
        self.capacity = bytes.max(1);
        self
    }

    /// Whether a reset destroys what has come and was not read, as it may (RFC 9112 §9.6). Default: no.
    #[must_use]
    pub fn forgetful(mut self, forgetful: bool) -> Self {
        self.forgetful = forgetful;
        self
    }

    /// The two directions of a connection: what the first one's writer writes, the second's reader reads.
    pub(super) fn wires(&self) -> [Arc<Wire>; 2] {
        [1, 2].map(|way: u64| Wire::start(self, Chance(self.seed ^ way.wrapping_mul(0x9e37_79b9_7f4a_7c15))))
    }
}

/// Chance out of a seed (SplitMix64): the same numbers each time.
#[derive(Debug)]
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From nought to `most`.
    fn up_to(&mut self, most: u64) -> u64 {
        if most == u64::MAX { self.next() } else { self.next() % (most + 1) }
    }
}
