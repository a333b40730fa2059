//! Runs sockeye and its peers over the same bytes, interleaved round by round, and prints medians.

mod harness;
mod mask;
mod parse;

fn main() -> std::process::ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some("mask") => mask::run(),
        Some("parse") => parse::run(),
        _ => {
            eprintln!("usage: cargo run --release -- mask|parse");
            return std::process::ExitCode::FAILURE;
        }
    }
    std::process::ExitCode::SUCCESS
}
