//! What hostile, broken and absent clients can do to the real binary, each while a good client makes
//! its rounds: it stays served, and the server's memory stays bounded.
//!
//! `cargo test --test abuse -- --nocapture --test-threads 1` prints the worst round trip and the memory of each.

#![cfg(all(feature = "server", target_os = "linux"))]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[allow(dead_code, reason = "shared with the other tests of the binary")]
#[path = "../serve/actor.rs"]
mod actor;
#[allow(dead_code, reason = "shared with the other tests of the binary")]
#[path = "../serve/process.rs"]
mod process;

mod bombs;
mod chats;
mod crowds;
mod ends;
mod floods;
mod frames;
mod heads;
mod secrets;
mod shards;
mod silence;
mod trial;
