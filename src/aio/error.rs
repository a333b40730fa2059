//! What can go wrong, by who is to blame.

use std::io;

use thiserror::Error as Explained;

#[cfg(feature = "client")]
use crate::client::ClientError;
use crate::proto::handshake::{ComposeError, Refusal};
use crate::proto::{CloseCode, SendError, Violation};

/// Why a call on an open connection failed.
#[derive(Debug, Explained)]
#[non_exhaustive]
pub enum Error {
    /// The peer broke the protocol. It is told so by a close frame with
    /// [`close_code`](Self::close_code); what it says from now on is not listened to.
    #[error("protocol violation by the peer: {0}")]
    Violation(#[from] Violation),
    /// The peer ended the transport without a close frame: what it last sent may be missing. APIs report
    /// this as 1006.
    #[error("the peer ended the connection without a close frame")]
    NoClose,
    /// The call cannot be made in this state; nothing has changed. After a close that is
    /// [`SendError::Closed`].
    #[error(transparent)]
    Send(#[from] SendError),
    /// The transport failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Error {
    /// The code that the peer is told, if it is to blame.
    pub fn close_code(&self) -> Option<CloseCode> {
        match self {
            Self::Violation(violation) => Some(violation.close_code()),
            _ => None,
        }
    }
}

/// Why a server did not open a WebSocket.
#[derive(Debug, Explained)]
#[non_exhaustive]
pub enum AcceptError {
    /// The request was refused, by RFC 6455 §4.2.1 or by the callback. The client has been told.
    #[error("upgrade refused with {}: {}", .0.status(), .0.body())]
    Refused(Refusal),
    /// The callback's reply could not stand in a response. The client has been told 500.
    #[error(transparent)]
    Compose(#[from] ComposeError),
    /// The client ended the connection in the middle of its request.
    #[error("the client closed the connection before its request was whole")]
    NoRequest,
    /// The transport failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Why a client did not open a WebSocket: as for the blocking client, by the same names.
#[cfg(feature = "client")]
pub type ConnectError = ClientError;
