//! The Autobahn suite against sockeye: finds the suite, starts the testee, runs one against the other,
//! and compares the verdicts with `expected.json`. What a case demands is the suite's own affair.

mod args;
mod beyond;
mod cases;
mod certificate;
mod child;
mod failure;
mod kept;
mod page;
mod progress;
mod role;
mod run;
mod table;
mod verdicts;
mod wstest;

use clap::Parser as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args = args::Args::parse();
    let ran = match &args.command {
        None => run::run(&args),
        Some(args::Other::Beyond(beyond)) => beyond::run(beyond),
    };
    match ran {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::from(failure.status())
        }
    }
}
