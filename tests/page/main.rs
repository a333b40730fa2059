//! The page in a real browser, with the real server behind it: people chat, lose their connection, and
//! write what would be dangerous if it were markup. Skipped with a printed reason where there is no
//! Chromium; with `SOCKEYE_REQUIRE_TOOLS=1` that fails.

#![cfg(feature = "server")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod browser;
mod chat;
mod looks;
#[allow(dead_code, reason = "shared with the tests of the program, which use all of it")]
#[path = "../serve/process.rs"]
mod process;
mod proxy;
mod scripted;
mod sockets;
mod talking;
