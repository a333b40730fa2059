//! A password that no command line shows: from the environment, or from a person, unseen.

use std::env;
use std::io::{self, BufRead, IsTerminal, Write};
use std::thread;

use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::course::INTERRUPTED;
use super::error::ConnectError;

/// The variable that is looked at first.
const VARIABLE: &str = "SOCKEYE_PASSWORD";

/// The password of this user.
pub(super) fn of(user: &str) -> Result<String, ConnectError> {
    if let Ok(password) = env::var(VARIABLE) {
        return Ok(password);
    }
    if !io::stdin().is_terminal() {
        return Err(ConnectError::Usage(format!(
            "--user {user} has no password; set {VARIABLE}, or write --user {user}:PASSWORD"
        )));
    }
    ask(user).map_err(|error| ConnectError::Usage(format!("cannot read a password: {error}")))
}

fn ask(user: &str) -> io::Result<String> {
    let stdin = io::stdin();
    let before = tcgetattr(&stdin)?;
    let mut unseen = before.clone();
    unseen.local_modes.remove(LocalModes::ECHO);
    // Whoever thinks better of it gets a terminal back that shows what is typed.
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let (handle, modes) = (signals.handle(), before.clone());
    let watch = move || {
        if signals.forever().next().is_some() {
            let _ = tcsetattr(io::stdin(), OptionalActions::Drain, &modes);
            let _ = writeln!(io::stderr());
            std::process::exit(INTERRUPTED.into());
        }
    };
    thread::Builder::new().name("signals".into()).spawn(watch)?;
    let mut err = io::stderr();
    write!(err, "Password of {user}: ")?;
    err.flush()?;
    tcsetattr(&stdin, OptionalActions::Drain, &unseen)?;
    let mut line = String::new();
    let read = stdin.lock().read_line(&mut line);
    handle.close();
    tcsetattr(&stdin, OptionalActions::Drain, &before)?;
    writeln!(err)?;
    read?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}
