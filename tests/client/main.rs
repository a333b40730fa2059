//! The blocking client against real sockets on this machine: real servers made of this crate's own
//! codec, and peers that say exactly what a script tells them to.

#![cfg(feature = "client")]
// The modules of a test reach no further than the test, and a helper that fails is a test that fails.
#![allow(unreachable_pub, clippy::unwrap_used)]

mod bodies;
mod closing;
#[cfg(feature = "deflate")]
mod deflate;
mod opening;
mod peer;
mod proxy;
#[path = "../support/mod.rs"]
mod support;
mod talking;
#[cfg(feature = "tls")]
mod tls;
