//! How often somebody may ask: a token bucket for each, in bounded memory.
//!
//! Pure as the protocols are: who asks, and when, are arguments. [`RateLimit`](crate::RateLimit) is built of it.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

/// How many are remembered unless told otherwise.
const KEYS: usize = 65_536;

/// A token bucket for each key: `tokens` at once, and as many more in each `per`, evenly.
///
/// A key that is not remembered has a full bucket. Of those that have asked, at least the last half of [`keys`](Self::keys) are remembered, and never more than
/// all of these: whoever comes from tens of thousands of addresses is not stopped by a limit for each.
///
/// ```
/// use std::time::{Duration, Instant};
/// use actix_sockets::rate::Buckets;
///
/// # fn asks(now: Instant) {
/// let mut buckets = Buckets::new(2, Duration::from_secs(10));
/// assert_eq!(buckets.take("anna", now), Ok(()));
/// assert_eq!(buckets.take("anna", now), Ok(()));
/// assert_eq!(buckets.take("anna", now), Err(Duration::from_secs(5)));
/// assert_eq!(buckets.take("bert", now), Ok(()));
/// assert_eq!(buckets.take("anna", now + Duration::from_secs(5)), Ok(()));
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Buckets<K> {
    /// In how long a time one token comes.
    each: Duration,
    /// In how long a time an empty bucket is full.
    all: Duration,
    /// How many keys one of the two maps may have.
    half: usize,
    /// When each bucket will be full. Two generations: when the young one is as large as may be it becomes the old one, and that is forgotten.
    young: HashMap<K, Instant>,
    old: HashMap<K, Instant>,
}

impl<K: Eq + Hash> Buckets<K> {
    /// So many tokens in this time, one at least.
    #[must_use]
    pub fn new(tokens: u32, per: Duration) -> Self {
        let each = per / tokens.max(1);
        Self { each, all: each * tokens.max(1), half: KEYS / 2, young: HashMap::new(), old: HashMap::new() }
    }

    /// How many keys are remembered at most: 65 536, two at least.
    #[must_use]
    pub fn keys(mut self, keys: usize) -> Self {
        self.half = (keys / 2).max(1);
        self
    }

    /// How many are remembered now.
    #[must_use]
    pub fn remembered(&self) -> usize {
        self.young.len() + self.old.len()
    }

    /// Takes a token out of this one's bucket.
    ///
    /// # Errors
    ///
    /// The bucket is empty: how long it takes until there is a token. Nothing has changed then.
    pub fn take(&mut self, key: K, now: Instant) -> Result<(), Duration> {
        let full = self.young.get(&key).or_else(|| self.old.get(&key)).map_or(now, |full| (*full).max(now));
        let Some(then) = full.checked_add(self.each) else { return Err(self.each) };
        let missing = then.saturating_duration_since(now);
        if missing > self.all {
            return Err(missing - self.all);
        }
        self.old.remove(&key);
        self.young.insert(key, then);
        if self.young.len() >= self.half {
            self.old = std::mem::take(&mut self.young);
        }
        Ok(())
    }
}
