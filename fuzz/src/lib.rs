//! What the fuzz targets run. The bodies know nothing of libFuzzer, so that `cargo test` of the
//! package beside this one compiles them too and replays what the fuzzer found.

#[path = "../bodies/mod.rs"]
pub mod bodies;

#[path = "../bodies/differential_tungstenite.rs"]
mod differential_tungstenite;

pub use differential_tungstenite::differential_tungstenite;
