//! The protocols are pure: only `src/actor/` knows the actors, the runtime, the network, the clock and chance.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::fs;
use std::path::{Path, PathBuf};

/// What a pure file may not name. `tokio_util::codec` is traits and buffers, and is allowed.
const FORBIDDEN: [&str; 8] = ["actix", "actix_rt", "tokio::", "std::net", "Instant::now", "SystemTime::now", "rand::", "crate::actor"];

/// Each must be there, with something in it.
const FOLDERS: [&str; 6] = ["http", "proxy", "stage", "tls", "upgrade", "websocket"];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// The first forbidden word in a line, standing as a word of its own.
fn impurity(line: &str) -> Option<&'static str> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    FORBIDDEN.into_iter().find(|word| {
        line.match_indices(word).any(|(at, _)| {
            let before = line[..at].chars().next_back().is_some_and(is_word);
            let after = !word.ends_with("::") && line[at + word.len()..].chars().next().is_some_and(is_word);
            !before && !after
        })
    })
}

#[test]
fn only_the_actor_folder_knows_the_world() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut seen = 0;
    for path in sources(&src) {
        let name = path.strip_prefix(&src).unwrap();
        if name.starts_with("actor") || name == Path::new("lib.rs") {
            continue;
        }
        seen += 1;
        for (number, line) in fs::read_to_string(&path).unwrap().lines().enumerate() {
            let found = impurity(line);
            assert!(found.is_none(), "{}:{}: {} in: {line}", name.display(), number + 1, found.unwrap());
        }
    }
    for folder in FOLDERS {
        assert!(sources(&src.join(folder)).len() > 2, "{folder} is there to be looked at");
    }
    assert!(seen > 20, "{seen} files were looked at");
}

#[test]
fn it_can_fail() {
    for impure in
        ["use actix::Actor;", "tokio::time::sleep", "let now = Instant::now();", "use crate::actor::Socket;", "    rand::random()"]
    {
        assert!(impurity(impure).is_some(), "{impure}");
    }
    for pure in ["use actix_sockets::Frame;", "use tokio_util::codec::Decoder;", "strand::x", "use bytes::Bytes;", "exactix"] {
        assert!(impurity(pure).is_none(), "{pure}");
    }
}
