//! A log-linear histogram of nanoseconds: 64 steps for each power of two (under 1.6 % wide).
pub struct Hist {
    counts: Vec<u64>,
    pub total: u64,
    pub max: u64,
}

const SUB: u32 = 6;

fn index(v: u64) -> usize {
    let v = v.max(1 << SUB);
    let exp = 63 - v.leading_zeros();
    (((exp - SUB) as usize) << SUB) + ((v >> (exp - SUB)) as usize - (1 << SUB))
}

fn value(i: usize) -> u64 {
    let exp = i >> SUB;
    ((1u64 << SUB) + (i & ((1 << SUB) - 1)) as u64) << exp
}

impl Hist {
    pub fn new() -> Self {
        Hist { counts: vec![0; index(1 << 40) + 1], total: 0, max: 0 }
    }
    #[inline]
    pub fn add(&mut self, ns: u64, times: u64) {
        let i = index(ns).min(self.counts.len() - 1);
        self.counts[i] += times;
        self.total += times;
        self.max = self.max.max(ns);
    }
    pub fn clear(&mut self) {
        self.counts.fill(0);
        self.total = 0;
        self.max = 0;
    }
    /// Microseconds at the given share of all values.
    pub fn at(&self, share: f64) -> f64 {
        let want = ((self.total as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        for (i, c) in self.counts.iter().enumerate() {
            seen += c;
            if seen >= want {
                return value(i) as f64 / 1000.0;
            }
        }
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_hold_their_values() {
        for v in [64u64, 65, 127, 128, 1000, 123_456, 1 << 33, (1 << 33) + 12345] {
            let low = value(index(v));
            assert!(low <= v && (v - low) as f64 <= v as f64 / 64.0 + 1.0, "{v} {low}");
        }
        let mut h = Hist::new();
        (1..=1000).for_each(|v| h.add(v * 1000, 1));
        assert!((h.at(0.5) - 500.0).abs() < 10.0 && (h.at(0.99) - 990.0).abs() < 17.0);
    }
}
