//! The load-bearing walls, held by reading the sources.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::path::{Path, PathBuf};

/// The islands: none imports another; they meet in `server` only (and `proto` in `client`).
const ISLANDS: [&str; 5] = ["proto", "relay", "broker", "net", "http"];

fn sources(below: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(below) else {
        return;
    };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|it| it == "rs") && !path.ends_with("tests.rs") {
            found.push(path);
        }
    }
}

fn sources_of(room: &str) -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(room);
    let mut paths = Vec::new();
    sources(&root, &mut paths);
    paths.into_iter().map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect()
}

/// Lines of code, without comments, doc examples and unit tests.
fn code(text: &str) -> impl Iterator<Item = &str> {
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    code.lines().filter(|line| !line.trim_start().starts_with("//"))
}

#[test]
fn no_island_imports_another() {
    for island in ISLANDS {
        for (path, text) in sources_of(island) {
            for other in ISLANDS
                .into_iter()
                .chain(["serve", "server", "client", "bench", "connect"])
                .filter(|&other| other != island)
            {
                let import = format!("crate::{other}");
                let found = code(&text).find(|line| line.contains(&import));
                assert_eq!(found, None, "{} reaches into {other}", path.display());
            }
        }
    }
}

/// A server of one's own is a harbour, too, but for codec and loop alone: who embeds it gets no chat and no pages.
#[test]
fn the_face_for_embedders_imports_codec_and_event_loop_only() {
    let sources = sources_of("serve");
    assert!(!sources.is_empty());
    for (path, text) in sources {
        for other in ["relay", "broker", "http", "server", "client", "bench", "connect"] {
            let import = format!("crate::{other}");
            let found = code(&text).find(|line| {
                line.split(&import)
                    .skip(1)
                    .any(|after| !after.starts_with(|c: char| c.is_alphanumeric()))
            });
            assert_eq!(found, None, "{} reaches into {other}", path.display());
        }
    }
}

#[test]
fn the_codec_knows_no_io_clock_threads_randomness_or_logging() {
    let forbidden = [
        "std::net",
        "std::io",
        "std::fs",
        "std::thread::",
        "std::time",
        "Instant",
        "SystemTime",
        "getrandom",
        "mio::",
        "tracing::",
        "println!",
        "eprintln!",
        "log::",
    ];
    for (path, text) in sources_of("proto") {
        for word in forbidden {
            let found = code(&text).find(|line| line.contains(word));
            assert_eq!(found, None, "{} names {word}", path.display());
        }
    }
}

#[test]
fn the_broker_knows_no_io_clock_threads_or_randomness() {
    let forbidden =
        ["std::net", "std::io", "std::fs", "std::thread", "std::time", "Instant", "getrandom"];
    let sources = sources_of("broker");
    assert!(!sources.is_empty());
    for (path, text) in sources {
        for word in forbidden {
            let found = code(&text).find(|line| line.contains(word));
            assert_eq!(found, None, "{} names {word}", path.display());
        }
    }
}

#[test]
fn only_the_event_loop_names_mio() {
    for (path, text) in sources_of("") {
        let net = path.to_string_lossy().contains("/net/");
        let found = code(&text).find(|line| line.contains("mio::"));
        assert!(net || found.is_none(), "{}: {found:?}", path.display());
    }
}

#[test]
fn unsafe_code_stands_in_the_mask_kernels_only() {
    for (path, text) in sources_of("") {
        let allowed = path.to_string_lossy().contains("mask");
        let found =
            code(&text).find(|line| line.contains("unsafe ") && !line.contains("unsafe_code"));
        assert!(allowed || found.is_none(), "{}: {found:?}", path.display());
    }
}

#[test]
fn nothing_reserves_by_a_declared_length_in_the_inbound_half() {
    for (path, text) in sources_of("proto") {
        if path.to_string_lossy().contains("inbound") {
            let found = code(&text)
                .find(|line| line.contains("reserve(") || line.contains("with_capacity("));
            assert_eq!(found, None, "{}", path.display());
        }
    }
}
