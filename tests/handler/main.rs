//! A server of one's own on the `Handler` API: the examples replay the recorded sessions of the tutorials' chats,
//! and every option, answer and bound is seen from outside.

#![cfg(all(feature = "serve", feature = "deflate", feature = "tls", feature = "net-tls"))]
#![allow(dead_code, unreachable_pub, reason = "not every `main` of an example is run here")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../serve/actor.rs"]
mod actor;
mod doors;
mod ending;
mod examples;
mod options;
mod probe;
#[path = "../support/replay.rs"]
mod replay;
mod sending;
