//! One function for each fuzz target: bytes in, a panic where a promise is broken. What the bytes
//! mean is written above each. They depend on nothing but sockeye, httparse and miniz_oxide.

#![allow(dead_code, unreachable_pub)] // each user of this module takes its own part of it

mod bytes;
mod extensions;
mod header;
mod inbound;
mod inflate;
mod mask;
mod request;
mod response;
mod round_trip;
mod run;
mod utf8;

pub use extensions::extensions;
pub use header::header;
pub use inbound::{inbound_client, inbound_deflate_client, inbound_deflate_server, inbound_server};
pub use inflate::inflate;
pub use mask::mask;
pub use request::request;
pub use response::response;
pub use round_trip::round_trip;
pub use utf8::utf8;

/// A body with the name of its target, which is that of its corpus.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const ALL: [Target; 12] = [
    ("extensions", extensions),
    ("header", header),
    ("inbound_client", inbound_client),
    ("inbound_deflate_client", inbound_deflate_client),
    ("inbound_deflate_server", inbound_deflate_server),
    ("inbound_server", inbound_server),
    ("inflate", inflate),
    ("mask", mask),
    ("request", request),
    ("response", response),
    ("round_trip", round_trip),
    ("utf8", utf8),
];
