//! The targets, as a library that the programs share. They stand in `tests/fuzz/targets`, where `cargo test` runs them too.

#![forbid(unsafe_code)]

#[path = "../tests/fuzz/targets/mod.rs"]
mod targets;

/// Runs a target once.
///
/// # Panics
///
/// When what the target promises does not hold, and when there is none of that name.
pub fn run(name: &str, input: &[u8]) {
    let target = targets::ALL.iter().find(|target| target.0 == name);
    target.unwrap_or_else(|| panic!("no target is called {name}")).1(input);
}
