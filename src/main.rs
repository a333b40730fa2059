//! The command line: read it, serve, say how that went.

use std::process::ExitCode;

use clap::Parser;
use sockeye::net::Address;
use sockeye::server::{Args, serve};

fn main() -> ExitCode {
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
