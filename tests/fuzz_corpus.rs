//! What the fuzzer found worth keeping, and what it once found wrong, holds without a fuzzer as well.
//! See `fuzz/README.md` for how the inputs came to be.

#![cfg(feature = "deflate")]

#[path = "../fuzz/bodies/mod.rs"]
mod bodies;

use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

/// Inputs worth keeping for what they cover, and those that once broke something.
const KEPT: [&str; 2] = ["corpus", "regressions"];

macro_rules! replay {
    ($($name:ident: $target:ident,)*) => {
        $(#[test]
        fn $name() {
            replay(stringify!($target), bodies::$target);
        })*

        /// Those with a test above, and the one that has a package of its own in `tests/differential`.
        const REPLAYED: &[&str] = &[$(stringify!($target),)* "differential_tungstenite"];
    };
}

replay! {
    kept_extensions_are_negotiated: extensions,
    kept_headers_are_parsed: header,
    kept_bytes_reach_a_client_in_any_cut: inbound_client,
    kept_compressed_bytes_reach_a_client_in_any_cut: inbound_deflate_client,
    kept_compressed_bytes_reach_a_server_in_any_cut: inbound_deflate_server,
    kept_bytes_reach_a_server_in_any_cut: inbound_server,
    kept_compressed_messages_are_what_another_makes_of_them: inflate,
    kept_payloads_are_masked: mask,
    kept_requests_are_judged: request,
    kept_responses_are_judged: response,
    kept_talks_arrive_as_they_were_sent: round_trip,
    kept_texts_are_judged: utf8,
}

#[test]
fn every_folder_of_kept_inputs_is_replayed() {
    for (target, _) in bodies::ALL {
        assert!(REPLAYED.contains(&target), "{target} has no test here");
    }
    for folder in KEPT.map(kept) {
        for path in files(&folder) {
            let name = path.file_name().map(OsString::from).expect("a file has a name");
            assert!(REPLAYED.iter().any(|known| name == *known), "{} is no target", path.display());
        }
    }
}

fn replay(target: &str, body: fn(&[u8])) {
    body(&[]);
    for path in KEPT.iter().flat_map(|folder| files(&kept(folder).join(target))) {
        let input = match fs::read(&path) {
            // A fuzzer at work puts shorter inputs in the place of longer ones.
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            read => read.expect("a kept input can be read"),
        };
        if catch_unwind(|| body(&input)).is_err() {
            panic!("{} breaks what {target} promises: see above", path.display());
        }
    }
}

fn kept(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(folder)
}

/// What is in a folder, sorted; nothing where there is no folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut files: Vec<_> =
        entries.map(|entry| entry.expect("the folder can be listed").path()).collect();
    files.sort();
    files
}
