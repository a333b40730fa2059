//! Sockeye: a WebSocket implementation written from scratch.

#![cfg_attr(not(any(feature = "std", test)), no_std)]

extern crate alloc;

pub mod proto;
