//! Runs sockeye and its peers, interleaved round by round, and tells medians: their codecs over the same bytes in memory,
//! or the servers under the same load.

mod harness;
mod mask;
mod net;
mod parse;
#[cfg(feature = "servers")]
mod servers;

use std::process::ExitCode;

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some("mask") => mask::run(),
        Some("parse") => parse::run(),
        Some("net") => return net::run(),
        // One of the servers, as a process of its own.
        #[cfg(feature = "servers")]
        Some("serve") => {
            if let Err(error) = servers::run(std::env::args().skip(2)) {
                eprintln!("{error}");
                return ExitCode::FAILURE;
            }
        }
        _ => {
            eprintln!("usage: cargo run --release -- mask|parse [ROUNDS], or net (see net --help)");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
