//! Who is let in: how many connections at a time, how many from one address, how many in a second.
//!
//! Pure as the protocols are: addresses and the time are arguments. Whoever accepts asks [`reserve`](Admission::reserve) before, and says
//! where the connection came from behind it, with [`count`](Admission::count).

use core::net::{IpAddr, Ipv6Addr};
use std::collections::HashMap;
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
    /// Handshakes of TLS in progress.
    pub(crate) handshakes: usize,
}

/// Why none is to be accepted now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// Until one leaves, or a handshake has ended.
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
    handshakes: usize,
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
        Self { limits, open: 0, handshakes: 0, by_address: HashMap::new(), tokens, since: None, untold: 0, told: None }
    }

    /// How many there are, those with them that are being accepted.
    #[cfg(test)]
    fn open(&self) -> usize {
        self.open
    }

    /// Room for one more. It is to be given back with [`leave`](Self::leave), or with [`cancel`](Self::cancel) if nobody came.
    ///
    /// # Errors
    ///
    /// There is none now.
    pub(crate) fn reserve(&mut self, now: Instant) -> Result<(), Wait> {
        if self.open >= self.limits.connections || self.handshakes >= self.limits.handshakes {
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

    /// A handshake of TLS begins.
    pub(crate) fn shakes(&mut self) {
        self.handshakes += 1;
    }

    /// A handshake of TLS has ended, however.
    pub(crate) fn shaken(&mut self) {
        self.handshakes -= 1;
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

#[cfg(test)]
mod tests {
    use super::*;

    const UNLIMITED: Limits =
        Limits { connections: usize::MAX, per_address: usize::MAX, ipv6_prefix: 64, rate: None, handshakes: usize::MAX };

    fn ip(text: &str) -> Option<IpAddr> {
        Some(text.parse().expect("an address"))
    }

    #[test]
    fn so_many_at_a_time_and_no_more() {
        let now = Instant::now();
        let mut admission = Admission::new(Limits { connections: 2, ..UNLIMITED });
        assert_eq!((admission.reserve(now), admission.reserve(now), admission.reserve(now)), (Ok(()), Ok(()), Err(Wait::Leave)));
        admission.cancel();
        assert_eq!((admission.open(), admission.reserve(now), admission.reserve(now)), (1, Ok(()), Err(Wait::Leave)));
        admission.leave(None);
        assert_eq!((admission.reserve(now), admission.open()), (Ok(()), 2));
    }

    #[test]
    fn so_many_from_one_address() {
        let now = Instant::now();
        let mut admission = Admission::new(Limits { per_address: 2, ..UNLIMITED });
        let mut comes = |from: &str, after: Duration| admission.count(ip(from), now + after);
        let key = comes("10.0.0.1", Duration::ZERO).expect("the first");
        comes("::ffff:10.0.0.1", Duration::ZERO).expect("the same address, the second");
        comes("10.0.0.2", Duration::ZERO).expect("another");
        assert_eq!(comes("10.0.0.1", Duration::ZERO), Err(Refused { tell: Some(1) }));
        assert_eq!(comes("10.0.0.1", Duration::from_millis(500)), Err(Refused { tell: None }));
        assert_eq!(comes("10.0.0.1", Duration::from_millis(999)), Err(Refused { tell: None }));
        assert_eq!(comes("10.0.0.1", Duration::from_secs(1)), Err(Refused { tell: Some(3) }), "once a second, with those between");
        admission.reserve(now).expect("there is room");
        admission.leave(key);
        assert_eq!(admission.count(ip("10.0.0.1"), now), Ok(key), "one of its two has gone");
    }

    #[test]
    fn an_ipv6_address_is_its_network() {
        let now = Instant::now();
        for (bits, same) in [(64, true), (65, false), (128, false), (0, true), (200, false)] {
            let mut admission = Admission::new(Limits { per_address: 1, ipv6_prefix: bits, ..UNLIMITED });
            admission.count(ip("2001:db8:0:1::1"), now).expect("the first");
            assert_eq!(admission.count(ip("2001:db8:0:1:8000::1"), now).is_err(), same, "/{bits}");
        }
    }

    #[test]
    fn what_has_no_address_is_not_counted_by_it() {
        let now = Instant::now();
        let mut admission = Admission::new(Limits { per_address: 0, ..UNLIMITED });
        assert_eq!(admission.count(None, now), Ok(None));
        assert!(admission.count(ip("10.0.0.1"), now).is_err());
        assert!(admission.by_address.is_empty());
    }

    #[test]
    fn so_many_in_a_second() {
        let now = Instant::now();
        let mut admission = Admission::new(Limits { rate: Some(10), ..UNLIMITED });
        for _ in 0..10 {
            admission.reserve(now).expect("a second's worth at once");
        }
        let next = now + Duration::from_millis(100);
        assert_eq!(admission.reserve(now), Err(Wait::Until(next)));
        assert_eq!(admission.reserve(now + Duration::from_millis(60)), Err(Wait::Until(next)), "what has passed is counted once");
        assert_eq!(admission.reserve(next), Ok(()));
        assert!(admission.reserve(next).is_err());
        admission.cancel();
        assert_eq!(admission.reserve(next), Ok(()), "nobody came");
        // Over any time: no more than the rate, and a second's worth.
        let (mut let_in, mut time) = (0, next);
        while time < next + Duration::from_secs(100) {
            match admission.reserve(time) {
                Ok(()) => let_in += 1,
                Err(Wait::Until(until)) => {
                    assert!(until > time && until <= time + Duration::from_millis(101));
                    time = until;
                }
                Err(Wait::Leave) => panic!("there is room"),
            }
        }
        assert!((998..=1000).contains(&let_in), "{let_in}");
        // A pause of a day is worth a second.
        let later = time + Duration::from_secs(86_400);
        assert_eq!((0..100).filter(|_| admission.reserve(later).is_ok()).count(), 10);
    }

    #[test]
    fn so_many_handshakes() {
        let now = Instant::now();
        let mut admission = Admission::new(Limits { handshakes: 1, ..UNLIMITED });
        admission.reserve(now).expect("there is room");
        admission.shakes();
        assert_eq!(admission.reserve(now), Err(Wait::Leave));
        admission.shaken();
        assert_eq!(admission.reserve(now), Ok(()));
    }
}
