//! The README and the examples say the same.

/// The README's first example is `examples/shout.rs`, so that what is read is what runs.
#[test]
fn the_readme_has_the_example_as_it_is() {
    let readme = include_str!("../README.md");
    let example = include_str!("../examples/shout.rs");
    let code = &example[example.find("use ").unwrap_or_default()..];
    assert!(readme.contains(&format!("```rust\n{code}```\n")), "README.md should have examples/shout.rs, from its first `use` on");
}
