//! What the crate is made of: the published faults of other HTTP and websocket libraries are not among it, whatever Cargo.lock comes to say.
//!
//! `cargo deny` asks the whole database, where it can be reached; this is the part of it that the requirements name, and needs nothing.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::cmp::Ordering;

/// A published fault: the crate, the first version of each line of versions that is good, its id, and what it was.
type Advisory = (&'static str, &'static [&'static str], &'static str, &'static str);

const ADVISORIES: &[Advisory] = &[
    ("actix-codec", &["0.3.0"], "RUSTSEC-2020-0049", "use after free for want of a Pin"),
    ("actix-http", &["2.0.0"], "RUSTSEC-2020-0048", "use after free for want of a Pin"),
    ("actix-http", &["2.2.1", "3.0.0"], "RUSTSEC-2021-0081", "request smuggling"),
    ("actix-http", &["3.12.1"], "actix-http 3.12.1", "request smuggling by Content-Length and Transfer-Encoding"),
    ("async-h1", &["2.3.0"], "RUSTSEC-2020-0093", "unread content is the next request"),
    ("bytes", &["1.11.1"], "RUSTSEC-2026-0007", "an overflow in BytesMut::reserve"),
    ("h2", &["0.3.24", "0.4.2"], "RUSTSEC-2024-0003", "resets without end"),
    ("h2", &["0.3.26", "0.4.4"], "RUSTSEC-2024-0332", "CONTINUATION without end"),
    ("h2", &["0.4.16"], "RUSTSEC-2026-0258", "empty DATA without end"),
    ("hyper", &["0.12.34"], "RUSTSEC-2020-0008", "content that no field announces"),
    ("hyper", &["0.12.36", "0.13.10", "0.14.3"], "RUSTSEC-2021-0020", "several Transfer-Encoding fields"),
    ("hyper", &["0.14.10"], "RUSTSEC-2021-0078", "a Content-Length that is no number"),
    ("hyper", &["0.14.10"], "RUSTSEC-2021-0079", "an overflow in a chunk's size"),
    ("openssl", &["0.10.72"], "RUSTSEC-2025-0022", "use after free in Md::fetch and Cipher::fetch"),
    ("pingora-core", &["0.8.0"], "RUSTSEC-2026-0033", "bytes behind an Upgrade, taken as upgraded before the 101"),
    ("pingora-core", &["0.8.0"], "RUSTSEC-2026-0034", "HTTP/1.0 with Transfer-Encoding"),
    ("tiny_http", &["0.6.3", "0.8.0"], "RUSTSEC-2020-0031", "request smuggling by Transfer-Encoding"),
    ("tungstenite", &["0.20.1"], "RUSTSEC-2023-0065", "a head that is parsed again with each read"),
    ("websocket", &["0.26.5"], "RUSTSEC-2022-0035", "memory for a length that is only declared"),
    ("ws", &[], "RUSTSEC-2020-0043", "output without a bound"),
];

/// Those that are looked for in vain would be no test.
const PRESENT: [&str; 4] = ["actix-codec", "actix-http", "bytes", "openssl"];

/// The packages of a lock file, by name and version.
fn locked(lock: &str) -> Vec<(&str, &str)> {
    lock.split("[[package]]")
        .skip(1)
        .map(|block| {
            let of = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)?.strip_suffix('"')).unwrap();
            (of("name = \""), of("version = \""))
        })
        .collect()
}

/// The numbers of a version. One before a release counts as less than it.
fn numbers(version: &str) -> [u64; 4] {
    let version = version.split('+').next().unwrap();
    let (release, before) = version.split_once('-').map_or((version, false), |(release, _)| (release, true));
    let mut numbers = release.split('.').map(|part| part.parse().unwrap());
    let mut next = || numbers.next().unwrap_or(0);
    [next(), next(), next(), u64::from(!before)]
}

/// Whether two versions are of one line, as cargo has it: the same up to the first number that is not 0.
fn same_line(one: [u64; 4], other: [u64; 4]) -> bool {
    one[0] == other[0] && (one[0] > 0 || one[1] == other[1])
}

/// Good is: not below the first good version of its own line, or of a line above all that were mended.
fn is_good(version: &str, first_good: &[&str]) -> bool {
    let version = numbers(version);
    let first_good: Vec<_> = first_good.iter().map(|good| numbers(good)).collect();
    match first_good.iter().find(|good| same_line(**good, version)) {
        Some(good) => version.cmp(good) != Ordering::Less,
        None => first_good.iter().max().is_some_and(|last| version > *last),
    }
}

#[test]
fn no_published_fault_is_among_the_dependencies() {
    let lock = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.lock")).unwrap();
    let packages = locked(&lock);
    assert!(packages.len() > 100, "{} packages", packages.len());
    for (name, first_good, id, what) in ADVISORIES {
        let versions: Vec<&str> = packages.iter().filter(|package| package.0 == *name).map(|package| package.1).collect();
        for version in &versions {
            assert!(is_good(version, first_good), "{name} {version} has {id}: {what}; good are {first_good:?}");
        }
        assert!(!versions.is_empty() || !PRESENT.contains(name), "{name} is thought to be among the dependencies");
        let here = if versions.is_empty() { "not here".into() } else { versions.join(", ") };
        println!("{id}: {name} from {first_good:?}, {here}: {what}");
    }
}

#[test]
fn versions_are_compared_as_cargo_does() {
    let smuggling: &[&str] = &["0.12.36", "0.13.10", "0.14.3"];
    for (version, good) in [
        ("0.12.35", false),
        ("0.12.36", true),
        ("0.13.9", false),
        ("0.13.10", true),
        ("0.14.2", false),
        ("0.14.3-rc.1", false),
        ("0.14.3", true),
        ("0.14.3+build", true),
        ("0.11.9", false),
        ("1.0.0", true),
    ] {
        assert_eq!(is_good(version, smuggling), good, "{version}");
    }
    assert!(!is_good("1.11.0", &["1.11.1"]) && is_good("1.12.2", &["1.11.1"]) && !is_good("0.9.2", &[]));
}

/// `forbid` cannot be taken back by any file.
#[test]
fn unsafe_code_is_forbidden() {
    let manifest = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).unwrap();
    let lints = manifest.split("[lints.rust]").nth(1).unwrap();
    assert!(lints.lines().take_while(|line| !line.starts_with('[')).any(|line| line == "unsafe_code = \"forbid\""));
}
