//! Who may know whom: what `docs/architecture.md` says of the folders of `src/` is so.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::fs;
use std::path::Path;

/// The code of every file below `folder`, without comments.
fn code(folder: &str) -> Vec<(String, String)> {
    let mut files = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)];
    while let Some(folder) = folders.pop() {
        if folder.is_file() {
            let text = fs::read_to_string(&folder).unwrap();
            let lines: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
            files.push((folder.display().to_string(), lines.join("\n")));
        } else {
            folders.extend(fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    assert!(!files.is_empty());
    files
}

fn never(folder: &str, words: &[&str]) {
    for (file, code) in code(folder) {
        for word in words {
            assert!(!code.contains(word), "{file} names {word}");
        }
    }
}

/// Pure inside: no actor, no runtime, no clock, no chance.
#[test]
fn only_the_actors_know_actix_tokio_the_clock_and_chance() {
    for folder in [
        "src/http",
        "src/upgrade",
        "src/websocket",
        "src/stage",
        "src/tls",
        "src/proxy",
        "src/proxies.rs",
        "src/output.rs",
        "src/budget.rs",
        "src/admission.rs",
        "src/drain.rs",
        "src/rate.rs",
    ] {
        never(folder, &["actix", "tokio::", "Instant::now", "SystemTime::now", "rand::", "std::net", "std::thread"]);
    }
}

#[test]
fn nothing_points_back() {
    never("src/output.rs", &["crate::"]);
    never("src/budget.rs", &["crate::"]);
    never("src/drain.rs", &["crate::"]);
    never("src/rate.rs", &["crate::"]);
    never("src/tls", &["crate::"]);
    never("src/proxy", &["crate::"]);
    never("src/admission.rs", &["crate::"]);
    never("src/proxies.rs", &["crate::actor", "crate::stage", "crate::websocket", "crate::http"]);
    never("src/http", &["crate::actor", "crate::stage", "crate::upgrade", "crate::websocket"]);
    never("src/websocket", &["crate::actor", "crate::stage", "crate::upgrade", "crate::http"]);
    never("src/upgrade", &["crate::actor", "crate::stage", "crate::websocket"]);
    never("src/stage", &["crate::actor", "crate::upgrade", "crate::http"]);
}

/// So that virtual time drives all of them: see `actix_sockets::test`.
#[test]
fn the_actors_ask_one_clock() {
    for (file, code) in code("src/actor") {
        assert!(file.ends_with("clock.rs") || !code.contains("Instant::now"), "{file} has a clock of its own");
    }
}

/// The table of `src/actor/` names every file there is, and none that is not.
#[test]
fn the_architecture_names_the_files_of_the_actors() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/architecture.md")).unwrap();
    let rows = page.lines().skip_while(|line| *line != "In `src/actor/`:").take_while(|line| !line.starts_with("## "));
    let mut named: Vec<&str> = rows.flat_map(|row| row.split('`')).filter(|word| word.ends_with(".rs")).collect();
    let actor = root.join("src/actor").display().to_string();
    let files = code("src/actor").into_iter().map(|(file, _)| file[actor.len() + 1..].to_owned());
    let mut there: Vec<String> = files.filter(|file| file != "mod.rs" && !file.ends_with("tests.rs")).collect();
    named.sort_unstable();
    there.sort_unstable();
    assert_eq!(named, there, "left: what the page names; right: what there is");
}
