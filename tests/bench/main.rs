//! The load tool as its users run it: the real binary against the real server, and against one that
//! loses, doubles and swaps messages, where the tool must not believe that all is well.

#![cfg(all(feature = "server", feature = "bench"))]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod crooked;
mod errors;
mod modes;
mod process;
mod secure;
mod wrongs;
