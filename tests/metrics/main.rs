//! The numbers and the log of the real binary: a parser takes the page, every number moves when it should, nobody
//! sees it who should not, each connection has one name in the log, and what is written about all that is true.

#![cfg(all(feature = "server", feature = "client", feature = "tls"))]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../serve/actor.rs"]
#[expect(dead_code, reason = "other tests need more of it")]
mod actor;
mod audience;
mod lives;
mod moves;
mod page;
mod server;
mod words;
