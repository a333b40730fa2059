//! The load tool: connections by the thousand, messages by the million, and what became of each.
//!
//! It speaks through this crate's codec and event loop, with a fresh mask key for every frame, as any client does. It
//! does not judge: it counts what was sent, what came and when, what that cost the server and what it cost itself.

mod args;
mod body;
mod course;
mod dial;
mod entropy;
mod error;
mod json;
mod line;
mod plan;
mod report;
mod shared;
mod talk;
mod tally;
mod text;
mod watch;
mod worker;

use std::io::{self, Write};
use std::process::ExitCode;

pub use args::Args;
use error::BenchError;

/// Runs what the command line asks for, prints the report on standard output and progress on standard error.
///
/// Ctrl-C ends the run early, with the figures so far; a second one ends the process. The exit code is 0 when
/// everything arrived, 1 when something failed or was lost, 2 when the run could not begin as asked, 130 when it
/// was interrupted.
///
/// ```no_run
/// use clap::Parser;
/// use sockeye::bench::{Args, run};
///
/// fn main() -> std::process::ExitCode {
///     run(Args::parse_from(["bench", "ws://127.0.0.1:8080/echo", "-c", "10", "--depth", "16"]))
/// }
/// ```
pub fn run(args: Args) -> ExitCode {
    let json = args.json;
    let outcome = course::run(args).and_then(|report| {
        let text = if json { json::document(&report) } else { text::page(&report) };
        io::stdout().lock().write_all(text.as_bytes()).map_err(BenchError::Output)?;
        Ok(report.status())
    });
    match outcome {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            eprintln!("sockeye bench: {error}");
            ExitCode::from(error.status())
        }
    }
}
