//! The real binary on real sockets: the recorded sessions of the tutorials' chats, the native chat, one
//! loop and several, TLS, the ways in, and its manners as a program.

#![cfg(all(feature = "server", feature = "client", feature = "tls"))]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod actor;
mod chat;
mod chatter;
mod crowds;
mod doors;
mod golden;
mod manners;
mod process;
mod proxied;
#[path = "../support/replay.rs"]
mod replay;
mod shards;
mod tls;
