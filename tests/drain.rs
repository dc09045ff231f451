//! The plan by which websockets are told to leave (T33), as a function of how many, how long and chance.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::time::Duration;

use actix_sockets::drain::{Batch, plan};
use proptest::prelude::*;

const SPREAD: Duration = Duration::from_secs(5);

#[test]
fn nobody_is_told_where_nobody_is() {
    assert_eq!(plan(0, SPREAD, 1), []);
}

#[test]
fn a_few_are_told_at_once() {
    for sockets in 1..=10 {
        assert_eq!(plan(sockets, SPREAD, 1), [Batch { after: Duration::ZERO, size: sockets }]);
    }
}

#[test]
fn a_hundred_within_a_tenth_of_the_spread_and_ten_thousand_over_all_of_it() {
    let last = |sockets| plan(sockets, SPREAD, 7).last().unwrap().after;
    assert!((Duration::from_millis(450)..Duration::from_millis(500)).contains(&last(100)), "{:?}", last(100));
    assert!((Duration::from_millis(4950)..SPREAD).contains(&last(10_000)), "{:?}", last(10_000));
    let largest = plan(10_000, SPREAD, 7).iter().map(|batch| batch.size).max();
    assert_eq!(largest, Some(100));
}

#[test]
fn without_a_spread_all_are_told_at_once() {
    assert!(plan(10_000, Duration::ZERO, 7).iter().all(|batch| batch.after.is_zero()));
}

/// Two servers that end together do not keep step.
#[test]
fn chance_is_in_it() {
    let (one, other) = (plan(1000, SPREAD, 1), plan(1000, SPREAD, 2));
    assert_eq!(one, plan(1000, SPREAD, 1));
    let apart = one.iter().zip(&other).skip(1).filter(|(one, other)| one.after != other.after).count();
    assert_eq!(apart, 99);
}

proptest! {
    /// Everybody is told once, within the spread, in the order of time, each batch in its own step.
    #[test]
    fn everybody_is_told_in_time(sockets in 0..100_000_usize, spread in 0..60_000_u64, seed: u64) {
        let spread = Duration::from_millis(spread);
        let batches = plan(sockets, spread, seed);
        prop_assert_eq!(batches.iter().map(|batch| batch.size).sum::<usize>(), sockets);
        prop_assert!(batches.len() <= 100);
        let (least, most) = (batches.iter().map(|batch| batch.size).min(), batches.iter().map(|batch| batch.size).max());
        prop_assert!(most.unwrap_or(0) - least.unwrap_or(0) <= 1);
        for (index, batch) in batches.iter().enumerate() {
            let step = spread / 100;
            let index = u32::try_from(index).unwrap();
            prop_assert!(batch.after >= step * index && batch.after <= step * (index + 1), "{batch:?} of step {index}");
            prop_assert!(batch.after <= spread);
        }
    }
}
