//! Deterministic simulation: the library's own actors at both ends of a connection, in a world that one seed makes.
//!
//! What is random in a run comes of its seed: the network (`actix_sockets::test::Network`), the settings, who says what and when, masks and nonces. Time is
//! virtual, one thread runs it all. So a seed that fails, fails again, and the program says how to see it.
//!
//! Here some hundred seeds are run as they come, on every set of features that has `test`; `tests/run` runs ten thousand, and the planted bugs, with
//! `program.rs`.

#![allow(clippy::unwrap_used, reason = "a test")]

mod world;

use std::env;
use std::process::Command;

use world::{Plan, run};

#[test]
fn seeds_as_they_come() {
    world_without_noise();
    let (mut heard, mut dropped) = (0, 0);
    for seed in 0..200 {
        let outcome = run(Plan::of(seed, &[]), false, || {});
        assert!(outcome.wrong.is_empty(), "seed {seed}: {:#?}", outcome.wrong);
        heard += outcome.heard;
        dropped += outcome.dropped;
    }
    assert!(heard > 1_000, "{heard} messages were heard");
    assert!(dropped > 100, "{dropped} messages were dropped");
}

/// `Drained` was told behind `Closed`; not told where dropping made the room; not told of what was seen above a hosted stage. A streamed request waited for
/// room that only its own end could make. And faults of the books themselves.
#[test]
fn seeds_that_have_failed() {
    world_without_noise();
    for seed in [
        4_758, 6_531, 6_800, 25_598, 72_666, 77_259, 86_676, 91_078, 384_968, 516_481, 45, 685, 4_746, 118_239, 174_368, 267_135, 1_794,
        1_905, 4_105, 11_747, 41_166, 58_666, 166_447, 305_631, 526_360, 534_944, 535_481,
    ] {
        let outcome = run(Plan::of(seed, &[]), false, || {});
        assert!(outcome.wrong.is_empty(), "seed {seed}: {:#?}", outcome.wrong);
    }
}

#[test]
fn a_seed_is_the_same_each_time() {
    world_without_noise();
    for seed in 0..20 {
        let [once, again] = [(); 2].map(|()| run(Plan::of(seed, &[]), true, || {}));
        assert_eq!(once.transcript, again.transcript, "seed {seed}");
        assert_eq!(once.hash, again.hash, "seed {seed}");
        assert!(!once.transcript.is_empty(), "seed {seed}");
    }
}

/// Whatever addresses, hashers' keys and clocks it has.
#[test]
fn a_seed_is_the_same_in_another_process() {
    const OTHER: &str = "SIMULATION_IN_ANOTHER_PROCESS";
    world_without_noise();
    let hashes: Vec<String> = (20..40).map(|seed| format!("{:016x}", run(Plan::of(seed, &[]), false, || {}).hash)).collect();
    if env::var_os(OTHER).is_some() {
        return println!("{}", hashes.join(" "));
    }
    let this = ["--exact", "a_seed_is_the_same_in_another_process", "--nocapture"];
    let other = Command::new(env::current_exe().unwrap()).args(this).env(OTHER, "1").output().unwrap();
    let told = String::from_utf8_lossy(&other.stdout);
    assert!(told.contains(&hashes.join(" ")), "{told} in place of {hashes:?}");
}

/// Panics that are planned are not shown.
fn world_without_noise() {
    std::panic::set_hook(Box::new(|info| {
        if !info.payload().is::<world::Planned>() {
            eprintln!("{info}");
        }
    }));
}
