//! Why a run could not begin, each in one sentence with its remedy.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use crate::proto::handshake::Refused;

/// Why there are no figures.
#[derive(Debug)]
pub(super) enum BenchError {
    /// What was asked for does not fit together.
    Usage(String),
    /// The host has no address.
    Resolve {
        /// The host.
        host: String,
        /// What the system said.
        source: io::Error,
    },
    /// Nobody answers there.
    Connect {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// Somebody answers, but with no WebSocket.
    Refused {
        /// As it was given.
        url: String,
        /// What was wrong.
        problem: String,
    },
    /// More connections than the system lets this process have.
    Descriptors {
        /// What the run takes.
        needed: u64,
        /// What is allowed.
        limit: u64,
    },
    /// There is no such process, or it may not be looked at.
    Process {
        /// Its number.
        pid: u32,
        /// What the system said.
        source: io::Error,
    },
    /// An event loop, a thread or a signal handler could not be set up.
    System(io::Error),
    /// The report could not be written.
    Output(io::Error),
}

impl BenchError {
    /// 2 for what the command line is to blame for, else 1.
    pub(super) fn status(&self) -> u8 {
        match self {
            Self::Usage(_) | Self::Descriptors { .. } | Self::Process { .. } => 2,
            _ => 1,
        }
    }
}

impl fmt::Display for BenchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(problem) => f.write_str(problem),
            Self::Resolve { host, source } => {
                write!(f, "cannot find the host {host}: {source}; is the name right?")
            }
            Self::Connect { address, source } => {
                let remedy = match source.kind() {
                    io::ErrorKind::ConnectionRefused => "; is the server running?",
                    io::ErrorKind::TimedOut => {
                        "; is the address right, and does a firewall stand between?"
                    }
                    io::ErrorKind::AddrNotAvailable => {
                        "; out of local ports, or --source-ip is no address of this machine"
                    }
                    _ => "",
                };
                write!(f, "cannot connect to {address}: {source}{remedy}")
            }
            Self::Refused { url, problem } => write!(f, "cannot open {url}: {problem}"),
            Self::Descriptors { needed, limit } => write!(
                f,
                "the run needs {needed} file descriptors and the limit is {limit}; allow more with `ulimit -n {needed}` or ask for fewer connections"
            ),
            Self::Process { pid, source } => {
                let why = match source.kind() {
                    io::ErrorKind::NotFound => "there is none of that number".to_owned(),
                    _ => source.to_string(),
                };
                write!(f, "cannot watch the process {pid}: {why}")
            }
            Self::System(error) => write!(f, "cannot set up the run: {error}"),
            Self::Output(error) => write!(f, "cannot write the report: {error}"),
        }
    }
}

/// What may help where an upgrade was refused, to be put behind it; empty if nobody can tell.
pub(super) fn remedy(refused: &Refused) -> String {
    match refused.status {
        301 | 302 | 303 | 307 | 308 => match refused.header("location") {
            Some(to) => {
                let to = to.replacen("http", "ws", usize::from(to.starts_with("http")));
                format!("; it sends you to {to}, which is not followed by itself")
            }
            None => String::new(),
        },
        401 => "; log in with ws://NAME:PASSWORD@host/ or --header 'Authorization: ...'".into(),
        403 => "; some servers ask for a --header 'Origin: ...' they know".into(),
        404 => "; is the path right?".into(),
        200 => "; there is a page, and no WebSocket".into(),
        _ => String::new(),
    }
}

impl std::error::Error for BenchError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Resolve { source, .. }
            | Self::Connect { source, .. }
            | Self::Process { source, .. } => Some(source),
            Self::System(source) | Self::Output(source) => Some(source),
            Self::Usage(_) | Self::Refused { .. } | Self::Descriptors { .. } => None,
        }
    }
}
