//! How the program is told what to do, and how it says what it does: settings from flags, environment
//! and file, mistakes in them, logs. By the real binary.

#![cfg(feature = "server")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod help;
mod logs;
mod mistakes;
mod program;
mod sources;
