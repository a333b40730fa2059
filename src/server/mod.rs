//! The harbour: here the codec, the hub and the event loop meet. Bytes of a socket become messages of
//! a session, messages become effects, effects become bytes of other sockets.
//!
//! Several loops, a thread and a hub each; they speak through the broker. What a client may ask for by
//! its path: [`Route`].

mod admission;
mod answer;
mod args;
mod bridge;
mod client_address;
mod common;
mod config;
mod crowd;
mod forwarded;
mod harbour;
mod installing;
mod life;
mod log;
mod metrics;
mod notify;
mod pages;
mod paths;
mod proxy_protocol;
mod route;
mod session;
mod settings;
mod shard;
mod talk;
mod tls;
mod turn;
mod visit;

use std::fmt;
use std::io;
use std::net::SocketAddr;

use crate::net::Address;

pub use args::{Task, UsageError, command};
pub use client_address::{ForwardedHeader, TrustedProxy};
pub use config::{Config, History, Listen, SHARDS_MAX, TlsFiles};
pub use harbour::serve;
pub use installing::write_manual;
pub use log::{Log, LogFormat, LogGuard};
pub use metrics::Audience;
pub use paths::{Door, Paths};
pub use route::Route;
pub use tls::{Reloadable, TlsError};

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
    /// The address that the metrics alone are to have cannot be listened on.
    Metrics {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The certificate or its key.
    Tls(TlsError),
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
            Self::Metrics { address, source } => write!(
                f,
                "cannot listen on {address} for metrics: {source}; choose another with --metrics-listen"
            ),
            Self::Tls(error) => error.fmt(f),
            Self::System(error) => write!(f, "cannot run the event loop: {error}"),
        }
    }
}

impl std::error::Error for ServeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Tls(error) => Some(error),
            Self::Listen { source, .. } | Self::Metrics { source, .. } | Self::System(source) => {
                Some(source)
            }
        }
    }
}
