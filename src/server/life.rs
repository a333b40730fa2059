//! A connection's life as the log tells it at `debug`: when it came, what it became, how it ended and what it
//! had said and heard by then. Where nobody listens nothing is kept. No message, no name and no room gets
//! into it.

use std::fmt;
use std::time::Instant;

use super::client_address::Client;
use super::metrics::{Ending, dialect_word};
use super::turn::{Said, Toll};
use crate::net::{Peer, Token};
use crate::proto::CloseCode;
use crate::relay::{ConnId, Dialect};

/// What a connection is called in the log, by all loops that have it and never again by another: loop, use
/// of the place and place, in hexadecimal. Text, as JSON's numbers are too small for it in many programs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Name(pub(super) ConnId);

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ConnId(conn) = self.0;
        write!(f, "{:x}-{:x}-{:x}", conn >> 56, (conn >> 24) & 0xFFFF_FFFF, conn & 0xFF_FFFF)
    }
}

/// The lives that are being followed, by the index of their connections' tokens.
#[derive(Default, Debug)]
pub(super) struct Lives(Vec<Option<Box<Life>>>);

/// What has happened so far.
#[derive(Debug)]
pub(super) struct Life {
    begun: Instant,
    heard: Said,
    said: Said,
    code: Option<CloseCode>,
}

impl Lives {
    /// A connection came.
    pub(super) fn begin(&mut self, token: Token, name: Name, peer: Option<Peer>) {
        if !tracing::enabled!(tracing::Level::DEBUG) {
            return;
        }
        match peer {
            Some(Peer::Tcp(address)) => tracing::debug!(conn = %name, %address, "opened"),
            Some(Peer::Unix) => tracing::debug!(conn = %name, address = "unix", "opened"),
            None => tracing::debug!(conn = %name, "opened"),
        }
        let life = Life {
            begun: Instant::now(),
            heard: Said::default(),
            said: Said::default(),
            code: None,
        };
        self.put(token, Some(Box::new(life)));
    }

    /// Out of here, to another loop.
    pub(super) fn take(&mut self, token: Token) -> Option<Box<Life>> {
        self.0.get_mut(token.index())?.take()
    }

    /// From another loop.
    pub(super) fn put(&mut self, token: Token, life: Option<Box<Life>>) {
        if life.is_none() && self.0.is_empty() {
            return;
        }
        if self.0.len() <= token.index() {
            self.0.resize_with(token.index() + 1, || None);
        }
        if let Some(place) = self.0.get_mut(token.index()) {
            *place = life;
        }
    }

    #[inline]
    fn of(&mut self, token: Token) -> Option<&mut Life> {
        self.0.get_mut(token.index())?.as_deref_mut()
    }

    /// It became a WebSocket, of this client, which the socket may not tell.
    pub(super) fn upgraded(
        &mut self,
        token: Token,
        name: Name,
        client: Client,
        dialect: Dialect,
        deflate: bool,
    ) {
        if self.of(token).is_some() {
            let dialect = dialect_word(dialect);
            tracing::debug!(conn = %name, address = %client, dialect, deflate, "upgraded");
        }
    }

    /// It had a turn.
    #[inline]
    pub(super) fn turn(&mut self, token: Token, toll: &Toll) {
        if let Some(life) = self.of(token) {
            life.heard.add(&toll.heard);
            life.said.add(&toll.told);
        }
    }

    /// It is told this.
    #[inline]
    pub(super) fn said(&mut self, token: Token, said: &Said) {
        if let Some(life) = self.of(token) {
            life.said.add(said);
        }
    }

    /// A close frame went either way; the first says why.
    pub(super) fn closing(&mut self, token: Token, code: Option<CloseCode>) {
        if let Some(life) = self.of(token) {
            life.code = life.code.or(code);
        }
    }

    /// It is gone.
    pub(super) fn end(&mut self, token: Token, name: Name, why: Ending) {
        let Some(life) = self.take(token) else {
            return;
        };
        let Life { begun, heard, said, code } = *life;
        tracing::debug!(
            conn = %name,
            reason = why.word(),
            code = code.map(CloseCode::as_u16),
            seconds = begun.elapsed().as_secs_f64(),
            messages_in = heard.count(),
            bytes_in = heard.bytes,
            messages_out = said.count(),
            bytes_out = said.bytes,
            "closed",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_loop_use_and_place() {
        let name = |conn| Name(ConnId(conn)).to_string();
        assert_eq!(name((3 << 56) | (0xFFFF_FFFF << 24) | 0xABCDEF), "3-ffffffff-abcdef");
        assert_eq!(name((1 << 24) | 7), "0-1-7");
    }
}
