//! The harbour: here the codec, the hub and the event loop meet. Bytes of a socket become messages of
//! a session, messages become effects, effects become bytes of other sockets.
//!
//! One loop, one thread. What a client may ask for by its path: [`Route`].

mod args;
mod config;
mod driver;
mod log;
mod page;
mod paths;
mod route;
mod session;
mod settings;

use std::fmt;
use std::io;
use std::thread;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::net::{Address, ListenOptions, Listener, Reactor};

pub use args::{Task, UsageError, command};
pub use config::{Config, History, Listen, SHARDS_MAX, TlsFiles};
use driver::{Harbour, Post};
pub use log::{Log, LogFormat, LogGuard};
pub use paths::{Door, Paths};
pub use route::Route;

/// Why the server could not start or go on. One sentence with its remedy.
#[derive(Debug)]
#[non_exhaustive]
pub enum ServeError {
    /// An address that cannot be listened on.
    Listen {
        /// The address.
        address: Address,
        /// What the system said.
        source: io::Error,
    },
    /// The event loop or the signal handlers could not be set up.
    System(io::Error),
}

impl fmt::Display for ServeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listen { address, source } => {
                let remedy = match source.kind() {
                    io::ErrorKind::AddrInUse => {
                        "another program has it; end that or choose another with --listen"
                    }
                    io::ErrorKind::PermissionDenied => "choose a port above 1023 with --listen",
                    io::ErrorKind::AddrNotAvailable => {
                        "no interface of this machine has it; choose another with --listen"
                    }
                    _ => "choose another with --listen",
                };
                write!(f, "cannot listen on {address}: {source}; {remedy}")
            }
            Self::System(error) => write!(f, "cannot run the event loop: {error}"),
        }
    }
}

impl std::error::Error for ServeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Listen { source, .. } | Self::System(source) => Some(source),
        }
    }
}

/// Serves until SIGTERM or SIGINT, then says goodbye with 1001 to everybody and returns when all are
/// gone or [`Config::grace`] has passed. A second signal ends the process at once.
///
/// `listening` is told each address once it can be connected to.
///
/// # Errors
///
/// See [`ServeError`].
pub fn serve(config: Config, mut listening: impl FnMut(&Address)) -> Result<(), ServeError> {
    // Before anybody is told that there is a server to end.
    let mut signals = Signals::new([SIGTERM, SIGINT]).map_err(ServeError::System)?;
    let mut listeners = Vec::new();
    for wanted in &config.listen {
        let address = &wanted.address;
        let failed = |source| ServeError::Listen { address: address.clone(), source };
        match Listener::bind(address, &ListenOptions::default()) {
            Ok(listener) => {
                listening(&listener.address().map_err(failed)?);
                listeners.push(listener);
            }
            // A machine without IPv6 is no reason not to serve, if nobody asked for it.
            Err(error) if wanted.may_lack && error.kind() != io::ErrorKind::AddrInUse => {}
            Err(error) => return Err(failed(error)),
        }
    }
    let limits = config.net_limits();
    let mut reactor =
        Reactor::new(Harbour::new(config), listeners, limits).map_err(ServeError::System)?;
    let mail = reactor.mail();
    let handle = signals.handle();
    let watcher = thread::spawn(move || {
        for (nth, signal) in signals.forever().enumerate() {
            if nth > 0 || mail.post(Post::Drain).is_err() {
                // What a process reports that a signal ended.
                std::process::exit(128 + signal);
            }
        }
    });
    let outcome = reactor.run().map_err(ServeError::System);
    handle.close();
    let _ = watcher.join();
    outcome
}
