//! Runs seeds by the thousand.
//!
//! ```text
//! simulation [--seeds N] [--from SEED] [--jobs N]     so many seeds, from this one on; a failing one is shown, and made small
//! simulation --seed SEED [--without FEATURE,…]         one, with all that happens in it
//! simulation --planted [--seeds N]                     each planted bug, until it is found (built with `--cfg planted`)
//! ```
//!
//! With `--bug NAME` one of the planted bugs is there. The last line is `N passed, N failed`: of seeds, or of bugs.

#![allow(clippy::unwrap_used, reason = "a test's program")]

mod world;

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use world::plan::FEATURES;
use world::{Outcome, Plan};

/// What was asked for.
struct Options {
    seeds: u64,
    from: u64,
    jobs: usize,
    seed: Option<u64>,
    without: Vec<&'static str>,
    bug: Option<String>,
    planted: bool,
}

fn options() -> Result<Options, String> {
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    let mut options = Options { seeds: 10_000, from: 0, jobs, seed: None, without: Vec::new(), bug: None, planted: false };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or(format!("{word} wants a value"));
        let number = |text: String| text.parse::<u64>().map_err(|error| format!("{text}: {error}"));
        match &*word {
            "--seeds" => options.seeds = number(value()?)?,
            "--from" => options.from = number(value()?)?,
            "--jobs" => options.jobs = number(value()?)?.max(1) as usize,
            "--seed" => options.seed = Some(number(value()?)?),
            "--bug" => options.bug = Some(value()?),
            "--planted" => options.planted = true,
            "--without" => {
                for name in value()?.split(',') {
                    let known = FEATURES.iter().find(|feature| **feature == name);
                    options.without.push(known.ok_or(format!("no feature is called {name}; there are {FEATURES:?}"))?);
                }
            }
            _ => return Err(format!("{word}? See the beginning of tests/simulation/program.rs")),
        }
    }
    Ok(options)
}

/// Runs one, with a bug if one is named.
fn run(seed: u64, without: &[&str], recorded: bool, bug: Option<&str>) -> Outcome {
    let bug = bug.map(planted::named);
    world::run(Plan::of(seed, without), recorded, move || planted::plant(bug))
}

#[cfg(planted)]
mod planted {
    use actix_sockets::Bug;

    pub(crate) fn named(name: &str) -> Bug {
        *Bug::ALL
            .iter()
            .find(|bug| format!("{bug:?}") == name)
            .unwrap_or_else(|| panic!("no bug is called {name}; there are {:?}", Bug::ALL))
    }

    pub(crate) fn plant(bug: Option<Bug>) {
        actix_sockets::plant(bug);
    }

    pub(crate) fn all() -> Vec<String> {
        Bug::ALL.iter().map(|bug| format!("{bug:?}")).collect()
    }
}

#[cfg(not(planted))]
mod planted {
    pub(crate) fn named(name: &str) {
        panic!("{name} is not there: this was built without `--cfg planted`");
    }

    pub(crate) fn plant(_: Option<()>) {}

    pub(crate) fn all() -> Vec<String> {
        Vec::new()
    }
}

/// What became of many seeds.
struct Swept {
    /// The lowest that failed.
    failed: Option<u64>,
    ran: u64,
    /// Messages.
    heard: u64,
    dropped: u64,
    /// Of all their hashes.
    hash: u64,
}

/// Runs seeds until all are run or one fails.
fn sweep(options: &Options, bug: Option<&str>) -> Swept {
    let (next, failed, heard, ran) = (AtomicU64::new(options.from), Mutex::new(None::<u64>), AtomicU64::new(0), AtomicU64::new(0));
    let (hash, dropped) = (AtomicU64::new(0), AtomicU64::new(0));
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..options.jobs {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= options.from + options.seeds {
                        return;
                    }
                    let outcome = run(seed, &options.without, false, bug);
                    heard.fetch_add(outcome.heard as u64, Ordering::Relaxed);
                    dropped.fetch_add(outcome.dropped as u64, Ordering::Relaxed);
                    hash.fetch_add(outcome.hash, Ordering::Relaxed);
                    let number = ran.fetch_add(1, Ordering::Relaxed) + 1;
                    if number.is_multiple_of(10_000) {
                        let (heard, dropped) = (heard.load(Ordering::Relaxed), dropped.load(Ordering::Relaxed));
                        eprintln!("{number} seeds, {heard} messages heard, {dropped} dropped");
                    }
                    if !outcome.wrong.is_empty() {
                        over.store(true, Ordering::Relaxed);
                        let mut failed = failed.lock().unwrap();
                        *failed = Some(failed.map_or(seed, |other| other.min(seed)));
                    }
                }
            });
        }
    });
    Swept {
        failed: failed.into_inner().unwrap(),
        ran: ran.into_inner(),
        heard: heard.into_inner(),
        dropped: dropped.into_inner(),
        hash: hash.into_inner(),
    }
}

/// Leaves out of a failing seed all that it fails without.
fn shrink(seed: u64, without: &[&'static str], bug: Option<&str>) -> Vec<&'static str> {
    let mut without = without.to_vec();
    for feature in FEATURES {
        let fewer = [&without[..], &[feature]].concat();
        if !without.contains(&feature) && !run(seed, &fewer, false, bug).wrong.is_empty() {
            without = fewer;
        }
    }
    without
}

/// Shows one seed: its plan, the last of what happened, and what is wrong.
fn show(seed: u64, without: &[&'static str], bug: Option<&str>, lines: usize) -> bool {
    let outcome = run(seed, without, true, bug);
    print!("{}", Plan::of(seed, without));
    for line in outcome.transcript.iter().skip(outcome.transcript.len().saturating_sub(lines)) {
        println!("{line}");
    }
    for wrong in &outcome.wrong {
        println!("wrong: {wrong}");
    }
    println!("hash {:016x}", outcome.hash);
    outcome.wrong.is_empty()
}

fn seeds(options: &Options) -> (u64, u64) {
    let began = Instant::now();
    let Swept { failed, ran, heard, dropped, hash } = sweep(options, options.bug.as_deref());
    let (seconds, first, last) = (began.elapsed().as_secs_f64(), options.from, options.from + ran - 1);
    println!(
        "{ran} seeds, {first} to {last}, in {seconds:.1} s, {:.0} a second; {heard} messages were heard, each compared; {dropped} were dropped, as was told",
        ran as f64 / seconds
    );
    println!("hash of all {hash:016x}");
    let Some(seed) = failed else { return (ran, 0) };
    let without = shrink(seed, &options.without, options.bug.as_deref());
    println!("seed {seed} fails, and does without {without:?}");
    show(seed, &without, options.bug.as_deref(), 60);
    let list = without.join(",");
    let (without, bug) = (if list.is_empty() { String::new() } else { format!(" --without {list}") }, options.bug.as_deref());
    println!(
        "once more: RUSTFLAGS='--cfg planted' cargo run --profile simulation --features test --example simulation -- --seed {seed}{without}{}",
        bug.map(|bug| format!(" --bug {bug}")).unwrap_or_default()
    );
    (ran - 1, 1)
}

/// Each bug must be found; and where it is, the same seed must pass without it.
fn bugs(options: &Options) -> (u64, u64) {
    let (mut passed, mut missed) = (0, 0);
    for bug in planted::all() {
        let Swept { failed: found, ran, .. } = sweep(options, Some(&bug));
        let innocent = found.is_none_or(|seed| run(seed, &[], false, None).wrong.is_empty());
        match found {
            Some(seed) if innocent => {
                let wrong = run(seed, &[], false, Some(&bug)).wrong;
                println!("{bug:24} found at seed {seed}: {}", wrong.first().map_or("", String::as_str));
                passed += 1;
            }
            Some(seed) => {
                println!("{bug:24} seed {seed} fails without it, too");
                missed += 1;
            }
            None => {
                println!("{bug:24} not found in {ran} seeds");
                missed += 1;
            }
        }
    }
    if passed + missed == 0 {
        println!("no bug is planted: build with RUSTFLAGS=\"--cfg planted\"");
        missed = 1;
    }
    (passed, missed)
}

fn main() -> ExitCode {
    // What is planned to panic, and what is found because it panics, is told in its place.
    std::panic::set_hook(Box::new(|_| {}));
    let options = match options() {
        Ok(options) => options,
        Err(what) => {
            eprintln!("{what}");
            return ExitCode::FAILURE;
        }
    };
    let (passed, failed) = match options.seed {
        Some(seed) => {
            let passed = show(seed, &options.without, options.bug.as_deref(), usize::MAX);
            (u64::from(passed), u64::from(!passed))
        }
        None if options.planted => bugs(&options),
        None => seeds(&options),
    };
    println!("{passed} passed, {failed} failed");
    ExitCode::from(u8::from(failed > 0))
}
