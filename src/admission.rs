//! Who is let in: how many connections at a time, how many from one address, how many in a second.
//!
//! Pure as the protocols are: addresses and the time are arguments. Whoever accepts asks [`reserve`](Admission::reserve) before, and says
//! where the connection came from behind it, with [`count`](Admission::count).

use core::net::{IpAddr, Ipv6Addr};
use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

/// How many are let in. `None` and `usize::MAX` are no limit.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    /// Connections at a time.
    pub(crate) connections: usize,
    /// Connections at a time from one address.
    pub(crate) per_address: usize,
    /// How many leading bits of an IPv6 address count as the address.
    pub(crate) ipv6_prefix: u8,
    /// New connections in a second; as many at once.
    pub(crate) rate: Option<u32>,
}

/// Why none is to be accepted now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// Until one leaves.
    Leave,
    /// Until then: the rate allows the next.
    Until(Instant),
}

/// One that has come is not let in. Not each is worth a line in a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    /// How many were refused since somebody was told, this one with them; `None` if somebody was told less than a second ago.
    pub(crate) tell: Option<u64>,
}

/// The connections of one listener, as far as they are counted.
#[derive(Debug)]
pub(crate) struct Admission {
    limits: Limits,
    open: usize,
    by_address: HashMap<IpAddr, usize>,
    /// How many may come at once, in billionths, and since when that is so.
    tokens: u64,
    since: Option<Instant>,
    untold: u64,
    told: Option<Instant>,
}

/// A token of the rate, in the unit that they are counted in.
const TOKEN: u64 = 1_000_000_000;
/// How often a refusal is told.
const TELL: Duration = Duration::from_secs(1);

impl Admission {
    pub(crate) fn new(limits: Limits) -> Self {
        let tokens = u64::from(limits.rate.unwrap_or(0)) * TOKEN;
        Self { limits, open: 0, by_address: HashMap::new(), tokens, since: None, untold: 0, told: None }
    }

    /// Whether nobody can ever come.
    pub(crate) fn is_shut(&self) -> bool {
        self.limits.connections == 0
    }

    /// How many there are, those with them that are being accepted.
    #[cfg(test)]
    pub(crate) fn open(&self) -> usize {
        self.open
    }

    /// How many addresses are known.
    #[cfg(test)]
    pub(crate) fn addresses(&self) -> usize {
        self.by_address.len()
    }

    /// Room for one more. It is to be given back with [`leave`](Self::leave), or with [`cancel`](Self::cancel) if nobody came.
    ///
    /// # Errors
    ///
    /// There is none now.
    pub(crate) fn reserve(&mut self, now: Instant) -> Result<(), Wait> {
        if self.open >= self.limits.connections {
            return Err(Wait::Leave);
        }
        if let Some(rate) = self.limits.rate {
            self.fill(rate, now);
            if self.tokens < TOKEN {
                return Err(Wait::Until(now + Duration::from_nanos((TOKEN - self.tokens).div_ceil(u64::from(rate.max(1))))));
            }
            self.tokens -= TOKEN;
        }
        self.open += 1;
        Ok(())
    }

    /// What the rate has allowed meanwhile; no more than a second's worth is kept.
    fn fill(&mut self, rate: u32, now: Instant) {
        let since = *self.since.get_or_insert(now);
        // A second is all that counts, so the product stays within bounds.
        let passed = now.saturating_duration_since(since).min(TELL).as_nanos() as u64;
        self.tokens = (self.tokens + passed * u64::from(rate)).min(u64::from(rate.max(1)) * TOKEN);
        self.since = Some(since.max(now));
    }

    /// Nobody came for whom room was reserved.
    pub(crate) fn cancel(&mut self) {
        self.open -= 1;
        if self.limits.rate.is_some() {
            self.tokens += TOKEN;
        }
    }

    /// One has come from here. What is given back is to be given to [`leave`](Self::leave).
    ///
    /// # Errors
    ///
    /// There are too many from here: it is to leave.
    pub(crate) fn count(&mut self, from: Option<IpAddr>, now: Instant) -> Result<Option<IpAddr>, Refused> {
        if self.limits.per_address == usize::MAX {
            return Ok(None);
        }
        let Some(key) = from.map(|address| prefix(address, self.limits.ipv6_prefix)) else { return Ok(None) };
        let there = self.by_address.entry(key).or_default();
        if *there < self.limits.per_address {
            *there += 1;
            return Ok(Some(key));
        }
        if *there == 0 {
            self.by_address.remove(&key);
        }
        Err(self.refuse(now))
    }

    /// One is refused, for whatever reason.
    pub(crate) fn refuse(&mut self, now: Instant) -> Refused {
        self.untold += 1;
        let due = self.told.is_none_or(|told| now.saturating_duration_since(told) >= TELL);
        Refused {
            tell: due.then(|| {
                self.told = Some(now);
                std::mem::take(&mut self.untold)
            }),
        }
    }

    /// One that came from here is gone.
    pub(crate) fn leave(&mut self, key: Option<IpAddr>) {
        self.open -= 1;
        if let Some(key) = key
            && let Some(there) = self.by_address.get_mut(&key)
        {
            *there -= 1;
            if *there == 0 {
                self.by_address.remove(&key);
            }
        }
    }
}

/// Those who have come and said nothing yet, oldest first. Where there are too many it is the oldest that goes: it has had the most time. `W` is how one is called.
#[derive(Debug)]
pub(crate) struct Silent<W> {
    limit: usize,
    next: u64,
    there: BTreeMap<u64, W>,
}

impl<W> Silent<W> {
    /// So many of them, one at least.
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit: limit.max(1), next: 0, there: BTreeMap::new() }
    }

    /// One more. Gives its ticket, and who is to go for it.
    pub(crate) fn comes(&mut self, call: W) -> (u64, Option<W>) {
        let goes = if self.there.len() >= self.limit { self.there.pop_first() } else { None };
        let ticket = self.next;
        self.next += 1;
        self.there.insert(ticket, call);
        (ticket, goes.map(|(_, call)| call))
    }

    /// It has spoken, or is gone.
    pub(crate) fn speaks(&mut self, ticket: u64) {
        self.there.remove(&ticket);
    }
}

/// What counts as one address: an IPv4 address, also where it is written as one of IPv6; of other IPv6 addresses the first bits.
fn prefix(address: IpAddr, bits: u8) -> IpAddr {
    match address.to_canonical() {
        v4 @ IpAddr::V4(_) => v4,
        IpAddr::V6(v6) => {
            let kept = u128::MAX.checked_shl(128 - u32::from(bits.min(128))).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & kept))
        }
    }
}
