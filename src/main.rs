//! The command line: read it, serve (or load, or connect), say how that went.

use std::env;
use std::io::{self, Write};
use std::process::ExitCode;

use sockeye::net::Address;
use sockeye::server::{Config, Task, UsageError, serve, write_manual};

fn main() -> ExitCode {
    match Task::read(env::args_os(), env::vars_os()) {
        Ok(Task::Serve { config, notes }) => run(*config, &notes),
        #[cfg(feature = "bench")]
        Ok(Task::Bench(args)) => sockeye::bench::run(*args),
        #[cfg(feature = "connect")]
        Ok(Task::Connect(args)) => sockeye::connect::run(*args),
        Ok(Task::Manual(folder)) => match write_manual(&folder) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                fail(&format!("cannot write the manual to {}: {error}", folder.display()), 1)
            }
        },
        Ok(Task::Print(text)) => match io::stdout().write_all(text.as_bytes()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&format!("cannot print: {error}"), 1),
        },
        Err(UsageError::Flags(error)) => error.exit(),
        Err(error) => fail(&error.to_string(), error.exit_code()),
    }
}

fn run(config: Config, notes: &[String]) -> ExitCode {
    let _log = match config.log.start() {
        Ok(guard) => guard,
        Err(error) => return fail(&format!("cannot log: {error}"), 1),
    };
    for note in notes {
        tracing::warn!("{note}");
    }
    let urls = config.clone();
    let listening = |address: &Address| {
        let url = urls.url(address);
        tracing::info!("chat on {url}");
        // For programs that start this one. Nobody may be there to read it.
        let _ = writeln!(io::stdout(), "chat on {url}");
    };
    match serve(config, listening) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error.to_string(), 1),
    }
}

/// One sentence, whether or not anybody can read it.
fn fail(why: &str, code: u8) -> ExitCode {
    let _ = writeln!(io::stderr(), "sockeye: {why}");
    ExitCode::from(code)
}
