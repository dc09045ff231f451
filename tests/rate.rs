//! Token buckets: how often somebody may ask, in bounded memory.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::time::{Duration, Instant};

use actix_sockets::rate::Buckets;
use proptest::prelude::*;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn so_many_at_once_and_then_evenly() {
    let (mut buckets, now) = (Buckets::new(3, 3 * SECOND), Instant::now());
    for _ in 0..3 {
        assert_eq!(buckets.take(1, now), Ok(()));
    }
    assert_eq!(buckets.take(1, now), Err(SECOND));
    assert_eq!(buckets.take(1, now + SECOND / 4), Err(SECOND * 3 / 4));
    assert_eq!(buckets.take(1, now + SECOND), Ok(()));
    assert_eq!(buckets.take(1, now + SECOND), Err(SECOND));
    // An hour is worth a full bucket, no more.
    let later = now + 3600 * SECOND;
    assert_eq!((0..10).filter(|_| buckets.take(1, later).is_ok()).count(), 3);
}

#[test]
fn each_has_its_own() {
    let (mut buckets, now) = (Buckets::new(1, SECOND), Instant::now());
    assert_eq!((buckets.take("a", now), buckets.take("b", now)), (Ok(()), Ok(())));
    assert_eq!((buckets.take("a", now), buckets.take("b", now)), (Err(SECOND), Err(SECOND)));
}

#[test]
fn none_is_as_good_as_one() {
    let (mut buckets, now) = (Buckets::new(0, SECOND), Instant::now());
    assert_eq!((buckets.take(1, now), buckets.take(1, now)), (Ok(()), Err(SECOND)));
}

/// Many addresses: no more is remembered than was said, and who has asked lately is still limited.
#[test]
fn memory_is_bounded() {
    let (mut buckets, now) = (Buckets::new(1, 3600 * SECOND).keys(1000), Instant::now());
    let mut most = 0;
    for key in 0..200_000_u32 {
        assert_eq!(buckets.take(key, now), Ok(()));
        most = most.max(buckets.remembered());
        if key >= 499 {
            assert!(buckets.take(key - 499, now).is_err(), "{key}: the last five hundred are remembered");
        }
    }
    println!("200000 keys: {most} remembered, limit 1000");
    assert!(most <= 1000);
}

proptest! {
    /// In no stretch of time does anybody get more than a full bucket and what flows in meanwhile; who waits as long as told gets one.
    #[test]
    fn the_rate_holds(tokens in 1..50_u32, per in 1..10_000_u64, pauses in prop::collection::vec(0..500_u64, 1..60)) {
        let per = Duration::from_millis(per);
        let (mut buckets, begin) = (Buckets::new(tokens, per), Instant::now());
        let (mut now, mut taken) = (begin, Vec::new());
        for pause in pauses {
            now += Duration::from_millis(pause);
            match buckets.take(1, now) {
                Ok(()) => taken.push(now),
                Err(wait) => {
                    prop_assert!(wait > Duration::ZERO && wait <= per);
                    prop_assert!(buckets.clone().take(1, now + wait).is_ok());
                    prop_assert!(buckets.clone().take(1, now + wait - Duration::from_nanos(1)).is_err());
                }
            }
        }
        for (first, from) in taken.iter().enumerate() {
            for (last, to) in taken.iter().enumerate().skip(first) {
                let flown = (*to - *from).as_secs_f64() * f64::from(tokens) / per.as_secs_f64();
                prop_assert!((last - first + 1) as f64 <= f64::from(tokens) + flown + 1e-3);
            }
        }
    }
}
