//! What can go wrong for a client, by who is to blame.

use std::io;

use thiserror::Error;

#[cfg(feature = "deflate")]
use crate::proto::deflate::NegotiationError;
use crate::proto::handshake::{ComposeError, ResponseError};
use crate::proto::{SendError, Violation};

/// Why a connection could not be opened, or why a call on an open one failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The URL is not one that a WebSocket client can open. Carries what is wrong with it.
    #[error("cannot open {url:?}: {problem}")]
    Url {
        /// As it was given, without user and password.
        url: String,
        /// A clause that says what is wrong.
        problem: String,
    },
    /// A host name without an address, or no address that answers.
    #[error("cannot connect to {address}: {source}")]
    Connect {
        /// Host and port.
        address: String,
        /// What the system said of the last address tried.
        source: io::Error,
    },
    /// The proxy did not open the way. Carries its status, or what was wrong with its answer.
    #[error("the proxy refused: {0}")]
    Proxy(String),
    /// TLS could not be set up, or broke: a certificate that is not trusted, a CA file that cannot be read.
    #[error("TLS: {0}")]
    Tls(String),
    /// The options cannot stand in a request.
    #[error(transparent)]
    Compose(#[from] ComposeError),
    /// The server answered with something other than 101: status, headers and body.
    #[error("upgrade refused with {} {}", .0.status, .0.reason)]
    Refused(Box<Refusal>),
    /// The server's answer is no valid handshake (RFC 6455 §4.1).
    #[error("handshake failed: {0}")]
    Handshake(ResponseError),
    /// The server's answer to the offer of permessage-deflate breaks RFC 7692 §7.1.
    #[cfg(feature = "deflate")]
    #[error("handshake failed: permessage-deflate: {0}")]
    Deflate(#[from] NegotiationError),
    /// The server broke the protocol. The connection is over.
    #[error("protocol violation by the server: {0}")]
    Violation(#[from] Violation),
    /// The call cannot be made in this state.
    #[error(transparent)]
    Send(#[from] SendError),
    /// The time that was allowed has passed.
    #[error("timed out")]
    TimedOut,
    /// The transport failed.
    #[error(transparent)]
    Io(io::Error),
}

/// An answer that refuses the upgrade: a redirect, a demand to log in, an error page.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// The status code.
    pub status: u16,
    /// The reason phrase, which may be empty.
    pub reason: String,
    /// Names and values of the headers, in order.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body, or the first 64 KiB of it.
    pub body: Vec<u8>,
}

impl Refusal {
    /// The value of the first header of that name, in any case, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        text_of(&self.headers, name)
    }
}

/// The value of the first header of that name, in any case, if it is text.
pub(super) fn text_of<'h>(headers: &'h [(String, Vec<u8>)], name: &str) -> Option<&'h str> {
    let (_, value) = headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name))?;
    std::str::from_utf8(value).ok()
}

impl From<io::Error> for ClientError {
    fn from(error: io::Error) -> Self {
        #[cfg(feature = "tls")]
        if let Some(tls) = error.get_ref().and_then(|it| it.downcast_ref::<rustls::Error>()) {
            return Self::Tls(tls.to_string());
        }
        match error.kind() {
            // A kernel that gave the peer up. To call again would be of no use.
            io::ErrorKind::TimedOut if cfg!(unix) && error.raw_os_error().is_some() => {
                Self::Io(error)
            }
            // A socket's time-out is reported as either, depending on the system.
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => Self::TimedOut,
            _ => Self::Io(error),
        }
    }
}
