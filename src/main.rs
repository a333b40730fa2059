//! The command line: read it, serve (or load), say how that went.

use std::process::ExitCode;

use clap::Parser;
use sockeye::net::Address;
use sockeye::server::{Args, serve};

fn main() -> ExitCode {
    #[cfg(feature = "bench")]
    if std::env::args_os().nth(1).is_some_and(|word| word == "bench") {
        let words = std::env::args_os().skip(1);
        return sockeye::bench::run(sockeye::bench::Args::parse_from(words));
    }
    let config = Args::parse().into();
    let listening = |address: &Address| match address {
        Address::Tcp(address) => println!("chat on http://{address}/"),
        other => println!("chat on {other}"),
    };
    match serve(config, listening) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sockeye: {error}");
            ExitCode::FAILURE
        }
    }
}
