//! The client for people and for pipes: what is typed or read is sent, what comes is shown or printed.
//!
//! It opens connections as [`client`](crate::client) does, and then reads and writes on threads of its own: pings are
//! answered and messages are shown while a person thinks. What a server says cannot drive the terminal.

mod args;
mod backoff;
mod command;
mod course;
mod error;
mod escape;
mod face;
mod goodbye;
mod hex;
mod json;
mod link;
mod news;
mod opening;
mod password;
mod pipe;
mod plain;
mod plan;
mod refusal;
mod screen;
mod socket;
mod terminal;
mod trust;

use std::process::ExitCode;

pub use args::Args;

/// Does what the command line asks for, until the connection has ended.
///
/// The exit code is 0 after a normal end, 1 when anything went wrong, 2 when the command line asks for what cannot be,
/// 130 when it was interrupted.
///
/// ```no_run
/// use clap::Parser;
/// use sockeye::connect::{Args, run};
///
/// fn main() -> std::process::ExitCode {
///     run(Args::parse_from(["connect", "ws://127.0.0.1:8080/echo", "-m", "hello", "--exit-after", "1"]))
/// }
/// ```
pub fn run(args: Args) -> ExitCode {
    match plan::Plan::new(args).and_then(course::run) {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            plain::say(&error.to_string());
            ExitCode::from(error.status())
        }
    }
}
