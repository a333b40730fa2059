//! The client as its users run it: the real binary against the real server, against peers that say exactly what a
//! script tells them to, in pipes, and at a terminal of the test's own.

#![cfg(all(feature = "server", feature = "connect"))]
// The modules of a test reach no further than the test, and a helper that fails is a test that fails.
#![allow(unreachable_pub, clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod bounds;
mod ends;
mod json;
#[allow(dead_code, reason = "the client's own tests use all of it")]
#[path = "../client/peer.rs"]
mod peer;
mod pipes;
mod process;
mod pty;
mod refusals;
#[path = "../support/mod.rs"]
mod support;
mod terminal;
mod ways;
