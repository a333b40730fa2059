//! One connection's state, from its first byte to its last.

use crate::net::Token;
use crate::proto::handshake::RequestReader;
use crate::proto::{Connection, Keepalive};
use crate::relay::ConnId;

/// A socket with what is known of it.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) token: Token,
    /// Its name in the hub.
    pub(super) conn: ConnId,
    pub(super) stage: Stage,
}

/// How far it has come.
#[derive(Debug)]
pub(super) enum Stage {
    /// The request is being read.
    Opening(Box<Opening>),
    /// A WebSocket.
    Open(Connection, Keepalive),
    /// Refused or over: what still comes is not looked at.
    Over,
}

/// The bytes of a request so far.
#[derive(Debug)]
pub(super) struct Opening {
    pub(super) reader: RequestReader,
    pub(super) head: Vec<u8>,
}
