//! The real binary on real sockets: the recorded sessions of the tutorials' chats, and its manners as
//! a program.

#![cfg(feature = "server")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod actor;
mod golden;
mod manners;
mod process;
#[path = "../support/replay.rs"]
mod replay;
