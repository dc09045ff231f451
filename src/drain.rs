//! How a server's websockets are told to leave: in batches, so that they do not all come back at once.
//!
//! A server that ends tells each of its websockets 1001 (RFC 6455 §7.4.1), and most clients connect again as soon as they hear it: to whoever serves in its
//! place. Ten thousand at a time are a storm to that one. So they are told in batches, and when a batch is told is left to chance within bounds, so
//! that servers which end together do not keep step.

use std::time::Duration;

/// In how many steps a spread is divided.
const STEPS: usize = 100;
/// A batch is of so many at least, if there are so many: fewer are no storm, and need not wait for each other.
const LEAST: usize = 10;

/// So many are told, so long after the beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    /// How long after the beginning.
    pub after: Duration,
    /// How many.
    pub size: usize,
}

/// When to tell so many websockets, within this spread of time, in the order of time. The seed is the chance in it: the same seed gives the same plan.
///
/// There are up to a hundred batches, of about the same size, and of ten at least. The first is told at once; the others each at some moment of its own hundredth
/// of the spread: up to ten websockets are told at once, a hundred within a tenth of the spread, a thousand and more over all of it.
#[must_use]
pub fn plan(sockets: usize, spread: Duration, seed: u64) -> Vec<Batch> {
    let batches = sockets.div_ceil(LEAST).min(STEPS);
    let step = spread / STEPS as u32;
    let mut chance = Chance(seed);
    (0..batches)
        .map(|index| {
            let after = if index == 0 { Duration::ZERO } else { step * index as u32 + step.mul_f64(chance.next()) };
            // The first ones take what is left over.
            Batch { after, size: sockets / batches + usize::from(index < sockets % batches) }
        })
        .collect()
}

/// SplitMix64: no secret hangs on it.
struct Chance(u64);

impl Chance {
    /// From 0 to 1, without 1.
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}
