//! The async adapter: cancelled at every await, in two halves, against peers that do not read, and over
//! real sockets.

#![cfg(all(feature = "tokio-tls", feature = "deflate"))]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod cancelled;
mod ends;
mod halves;
mod memory;
mod opening;
mod pipe;
mod room;
