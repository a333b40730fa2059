//! Sockeye: a WebSocket implementation written from scratch.

#![cfg_attr(not(any(feature = "std", test)), no_std)]

extern crate alloc;

#[cfg(feature = "client")]
pub mod client;
pub mod proto;
#[cfg(feature = "relay")]
pub mod relay;
