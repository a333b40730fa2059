//! Why there is no conversation, each in a sentence with its remedy.

use std::fmt;
use std::io;

use super::plan::Plan;
use crate::client::{ClientError, Refusal};

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
        ClientError::Tls(problem) if problem.contains("UnknownIssuer") => {
            "name the certificate of its authority with --ca FILE".into()
        }
        ClientError::Tls(problem) if problem.contains("CaUsedAsEndEntity") => {
            "its certificate is an authority's own, which only --insecure believes".into()
        }
        ClientError::Tls(problem) if problem.contains("NotValidForName") => {
            "the certificate is for another name than the URL has".into()
        }
        ClientError::Tls(problem) if problem.contains("InvalidContentType") => {
            format!("the server may speak no TLS on this port; try {}", plain_url())
        }
        ClientError::Handshake(_) if !secure => {
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
