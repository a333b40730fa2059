//! A WebSocket implementation written from scratch: a sans-IO codec for RFC 6455 and RFC 7692, the
//! opening handshake for both roles, a blocking client, and a chat relay.
//!
//! Everything the protocol says is in [`proto`], as state machines that are given bytes and give
//! bytes back. They know no sockets, clocks, threads or randomness, so they fit wherever bytes come
//! from: a thread, an event loop, an async runtime, a test. Begin with [`proto::Connection`]; its page
//! is all that most embedders need.
//!
//! | floor | for | begin at |
//! |---|---|---|
//! | 1 | frame headers and masks by themselves: no state, no allocation | [`proto::Header`], [`proto::apply_mask`] |
//! | 2 | a connection: messages, control frames, the closing handshake | [`proto::Connection`] |
//! | 3 | the opening handshake, both sides | `proto::handshake` |
//! | | a client that opens URLs | `client::Client` |
//! | | a server of one's own, in ten lines | `serve::Server` |
//! | | a `Stream` and `Sink` of messages on tokio's IO | `aio::WebSocketStream` |
//! | | the relay: event loop, rooms, log, program | `net`, `relay`, `broker`, `server` |
//!
//! # Features
//!
//! | feature | what it adds | needs |
//! |---|---|---|
//! | (none) | the codec, `no_std` + alloc | simdutf8 |
//! | `std` | the widest vectors that the CPU has, found at run time | |
//! | `handshake` | `proto::handshake`, still `no_std` | httparse, sha1, base64 |
//! | `deflate` | `proto::deflate`: permessage-deflate | `std`, `handshake`, flate2 on zlib-rs |
//! | `client` | `client`: a blocking client on `std::net` | `std`, `handshake`, url, getrandom, thiserror |
//! | `tls` | `wss://` for it | `client`, rustls |
//! | `tokio` | `aio`: messages as `Stream` and `Sink` over tokio's IO; with `client` also `connect_async` | `std`, `handshake`, tokio, bytes, futures-core, futures-sink, getrandom, thiserror |
//! | `tokio-tls` | `wss://` for `connect_async` | `tokio`, `tls`, tokio-rustls |
//! | `net` | `net`: an event loop that knows no protocol | `std`, mio, socket2 |
//! | `net-tls` | TLS on its connections | `net`, rustls |
//! | `serve` | `serve`: a WebSocket server of one's own, with `deflate` and `net-tls` if they are on | `net`, `handshake` |
//! | `http` | `http`: the little HTTP/1.1 of a relay | `std`, httparse |
//! | `relay` | `relay`: rooms, users, wire languages | `std` |
//! | `broker` | `broker`: who orders and keeps messages, and carries them between nodes | `std` |
//! | `server` | `server`: the relay as a program | `deflate`, `net-tls`, `http`, `relay`, `broker`, clap, serde, signal-hook, toml, tracing, url |
//! | `bench` | `bench`: the load tool | `client`, `deflate`, `net`, clap, hdrhistogram, indicatif, rlimit, serde_json, signal-hook |
//! | `connect` | `connect`: the client at the terminal and in pipes | `client`, `deflate`, `tls`, clap, rustix, rustyline, serde_json, signal-hook |
//!
//! The default is all of them; `default-features = false` is the codec alone.

#![cfg_attr(not(any(feature = "std", test)), no_std)]

extern crate alloc;

#[cfg(feature = "tokio")]
pub mod aio;
#[cfg(feature = "bench")]
pub mod bench;
#[cfg(feature = "broker")]
pub mod broker;
#[cfg(feature = "client")]
pub mod client;
#[cfg(feature = "connect")]
pub mod connect;
#[cfg(feature = "http")]
pub mod http;
#[cfg(feature = "net")]
pub mod net;
pub mod proto;
#[cfg(feature = "relay")]
pub mod relay;
#[cfg(feature = "serve")]
pub mod serve;
#[cfg(feature = "server")]
pub mod server;
#[cfg(any(feature = "bench", feature = "connect"))]
mod units;

/// The examples of the README, so that they are compiled and run.
#[cfg(all(doctest, feature = "client", feature = "deflate", feature = "serve", feature = "tokio"))]
#[doc = include_str!("../README.md")]
struct Readme;
