//! Admission, on a time of its own.

use std::net::IpAddr;
use std::time::Duration;

use crate::actor::clock;
use crate::admission::{Admission, Limits, Refused, Silent, Wait};

const UNLIMITED: Limits = Limits { connections: usize::MAX, per_address: usize::MAX, ipv6_prefix: 64, rate: None };

fn ip(text: &str) -> Option<IpAddr> {
    Some(text.parse().expect("an address"))
}

#[test]
fn so_many_at_a_time_and_no_more() {
    let now = clock::now();
    let mut admission = Admission::new(Limits { connections: 2, ..UNLIMITED });
    assert_eq!((admission.reserve(now), admission.reserve(now), admission.reserve(now)), (Ok(()), Ok(()), Err(Wait::Leave)));
    admission.cancel();
    assert_eq!((admission.open(), admission.reserve(now), admission.reserve(now)), (1, Ok(()), Err(Wait::Leave)));
    admission.leave(None);
    assert_eq!((admission.reserve(now), admission.open()), (Ok(()), 2));
}

#[test]
fn so_many_from_one_address() {
    let now = clock::now();
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
    let now = clock::now();
    for (bits, same) in [(64, true), (65, false), (128, false), (0, true), (200, false)] {
        let mut admission = Admission::new(Limits { per_address: 1, ipv6_prefix: bits, ..UNLIMITED });
        admission.count(ip("2001:db8:0:1::1"), now).expect("the first");
        assert_eq!(admission.count(ip("2001:db8:0:1:8000::1"), now).is_err(), same, "/{bits}");
    }
}

#[test]
fn what_has_no_address_is_not_counted_by_it() {
    let now = clock::now();
    let mut admission = Admission::new(Limits { per_address: 0, ..UNLIMITED });
    assert_eq!(admission.count(None, now), Ok(None));
    assert!(admission.count(ip("10.0.0.1"), now).is_err());
    assert!(admission.addresses() == 0);
}

#[test]
fn so_many_in_a_second() {
    let now = clock::now();
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
fn of_those_who_say_nothing_the_oldest_goes() {
    let mut silent = Silent::new(2);
    assert_eq!((silent.comes("a"), silent.comes("b")), ((0, None), (1, None)), "n");
    assert_eq!(silent.comes("c"), (2, Some("a")), "n + 1");
    silent.speaks(0);
    silent.speaks(1);
    assert_eq!(silent.comes("d"), (3, None), "b has spoken; a was gone already, and counts once");
    assert_eq!(silent.comes("e"), (4, Some("c")));
    assert_eq!(Silent::new(0).comes("a"), (0, None), "one at least");
}
