//! Why there is no conversation, each in a sentence with its remedy.

use std::fmt;
use std::io;

use super::plan::Plan;
use crate::client::{ClientError, Refusal, tls};

/// Why it ended before it began, or could not go on.
#[derive(Debug)]
pub(super) enum ConnectError {
    /// What was asked for does not fit together.
    Usage(String),
    /// A thread or a signal handler could not be set up.
    System(io::Error),
    /// Nobody takes what is printed.
    Output(io::Error),
}

impl ConnectError {
    /// 2 for what the command line is to blame for, else 1.
    pub(super) fn status(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::System(_) | Self::Output(_) => 1,
        }
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(problem) => f.write_str(problem),
            Self::System(error) => write!(f, "cannot set up the connection: {error}"),
            Self::Output(error) => write!(f, "cannot print: {error}"),
        }
    }
}

impl std::error::Error for ConnectError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Usage(_) => None,
            Self::System(source) | Self::Output(source) => Some(source),
        }
    }
}

/// Why a connection could not be opened: one sentence, with what may help.
pub(super) fn sentence(error: &ClientError, plan: &Plan) -> String {
    let hint = hint(error, plan);
    let said = match error {
        ClientError::Refused(refusal) => {
            format!("the server answered {}", status_line(refusal))
        }
        ClientError::TimedOut => {
            format!("cannot open {}: nothing came of it within {:?}", plan.shown_url, plan.timeout)
        }
        ClientError::Connect { address, source } if is_lookup(source) => {
            format!("cannot find the host of {address}: {source}")
        }
        ClientError::Connect { .. } | ClientError::Url { .. } | ClientError::Proxy(_) => {
            error.to_string()
        }
        ClientError::Tls(problem) if days_ago(problem).is_some() => format!(
            "cannot open {}: the server's certificate expired {} days ago",
            plan.shown_url,
            days_ago(problem).unwrap_or_default()
        ),
        other => format!("cannot open {}: {other}", plan.shown_url),
    };
    match hint {
        Some(hint) => format!("{said}; {hint}"),
        None => said,
    }
}

/// `403 Forbidden`.
pub(super) fn status_line(refusal: &Refusal) -> String {
    format!("{} {}", refusal.status, refusal.reason).trim_end().to_owned()
}

/// The system's resolver has no kind of its own for its errors.
fn is_lookup(error: &io::Error) -> bool {
    error.raw_os_error().is_none() && error.to_string().starts_with("failed to lookup")
}

/// How long ago a certificate expired, where the fault tells it in seconds.
fn days_ago(fault: &str) -> Option<u64> {
    let (_, after) = fault.split_once("certificate expired")?;
    let (before, _) = after.split_once(" seconds ago")?;
    let seconds: u64 = before.rsplit(['(', ' ']).next()?.parse().ok()?;
    Some(seconds / (24 * 60 * 60))
}

/// Whether the server ended it in the middle of the handshake.
fn is_hang_up(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
}

fn secure_url(plan: &Plan) -> String {
    format!("wss{}", plan.shown_url.trim_start_matches("http").trim_start_matches("ws"))
}

fn hint(error: &ClientError, plan: &Plan) -> Option<String> {
    let secure = plan.url.starts_with("wss") || plan.url.starts_with("https");
    let plain_url =
        || format!("ws{}", plan.shown_url.trim_start_matches("https").trim_start_matches("wss"));
    Some(match error {
        ClientError::Connect { source, .. } if is_lookup(source) => "is the name right?".into(),
        ClientError::Connect { source, .. } => match source.kind() {
            io::ErrorKind::ConnectionRefused => "is the server running?".into(),
            io::ErrorKind::NotFound if plan.unix.is_some() => "is the server running?".into(),
            _ => return None,
        },
        ClientError::TimedOut => {
            "is the address right, and does a firewall stand between? --timeout gives it longer"
                .into()
        }
        ClientError::Tls(problem) if problem.contains("InvalidContentType") => {
            format!("the server may speak no TLS on this port; try {}", plain_url())
        }
        ClientError::Tls(problem) => {
            let remedy = tls::remedy(problem)?;
            // Where there is no other way in by this command line.
            let by_force = ["CaUsedAsEndEntity", "certificate expired"];
            if by_force.iter().any(|sign| problem.contains(sign)) {
                format!("{remedy}, or take --insecure")
            } else {
                remedy.into()
            }
        }
        // The first byte of TLS's answers to what is none.
        ClientError::Handshake(answer)
            if !secure && answer.to_string().contains("0x15 at byte 0") =>
        {
            format!("it speaks TLS on this port: write {}", secure_url(plan))
        }
        ClientError::Io(error) if is_hang_up(error) && secure => {
            "does it speak TLS on this port? ws:// is without".into()
        }
        ClientError::Handshake(_) if !secure => {
            "is there a WebSocket server on this port? If it speaks TLS, write wss://".into()
        }
        ClientError::Io(error) if is_hang_up(error) => {
            "is there a WebSocket server on this port? If it speaks TLS, write wss://".into()
        }
        ClientError::Proxy(answer) if answer.starts_with("407") => {
            "log in with --proxy http://NAME:PASSWORD@HOST:PORT".into()
        }
        ClientError::Refused(refusal) => return refused_hint(refusal, plan.user_given),
        _ => return None,
    })
}

fn refused_hint(refusal: &Refusal, user_given: bool) -> Option<String> {
    Some(match refusal.status {
        301 | 302 | 303 | 307 | 308 => {
            let to = refusal.header("location")?;
            let to = to.replacen("http", "ws", usize::from(to.starts_with("http")));
            format!("it sends you to {to}, which is not followed by itself")
        }
        401 if user_given => "it does not know this name and password".into(),
        401 => "log in with --user NAME".into(),
        403 => "some servers ask for an --origin they know, or a --header".into(),
        404 => "is the path right?".into(),
        200 => "there is a page, and no WebSocket".into(),
        400 if refusal.body.windows(10).any(|it| it.eq_ignore_ascii_case(b"HTTPS port")) => {
            "write wss://".into()
        }
        _ => return None,
    })
}

/// Whether the next attempt may fare better.
pub(super) fn may_pass(error: &ClientError) -> bool {
    match error {
        ClientError::Connect { .. }
        | ClientError::TimedOut
        | ClientError::Io(_)
        | ClientError::Proxy(_) => true,
        ClientError::Refused(refusal) => {
            matches!(refusal.status, 408 | 425 | 429 | 500..=599)
        }
        _ => false,
    }
}
