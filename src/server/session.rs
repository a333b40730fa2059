//! One connection's state, from its first byte to its last.

use crate::http::Requests;
use crate::net::Token;
use crate::proto::{Connection, Keepalive};
use crate::relay::{ConnId, Dialect};

/// A socket with what is known of it.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) token: Token,
    /// Its name in the hub, and in every hub of the cluster.
    pub(super) conn: ConnId,
    pub(super) stage: Stage,
}

/// How far it has come.
#[derive(Debug)]
pub(super) enum Stage {
    /// HTTP: pages, and the request that makes it a WebSocket.
    Visiting(Box<Visit>),
    /// A WebSocket.
    Talking(Talk),
    /// Refused or over: what still comes is not looked at.
    Over,
}

/// Requests, one after the other, and what has come of the next.
#[derive(Debug)]
pub(super) struct Visit {
    pub(super) requests: Requests,
    pub(super) bytes: Vec<u8>,
}

/// An open WebSocket.
#[derive(Debug)]
pub(super) struct Talk {
    pub(super) connection: Connection,
    pub(super) keepalive: Keepalive,
    pub(super) dialect: Dialect,
}

/// All sessions of a loop, by the index of their token; and the names that hubs know them by.
#[derive(Debug)]
pub(super) struct Sessions {
    shard: u8,
    opened: u64,
    places: Vec<Option<Session>>,
}

/// 2^24: more sockets than a process may have.
const INDEX_BITS: u32 = 24;
/// Four thousand million connections of one loop pass before a number comes again.
const OPENED_BITS: u32 = 32;

impl Sessions {
    pub(super) fn new(shard: u8) -> Self {
        Self { shard, opened: 0, places: Vec::new() }
    }

    /// Gives a connection its session. The index finds it, the count tells it from those that had its
    /// place before, the shard from those of other loops.
    pub(super) fn begin(&mut self, token: Token, stage: Stage) -> ConnId {
        let index = token.index();
        if self.places.len() <= index {
            self.places.resize_with(index + 1, || None);
        }
        self.opened += 1;
        let opened = self.opened & ((1 << OPENED_BITS) - 1);
        let shard = u64::from(self.shard) << (INDEX_BITS + OPENED_BITS);
        let conn = ConnId(shard | opened << INDEX_BITS | index as u64);
        if let Some(place) = self.places.get_mut(index) {
            *place = Some(Session { token, conn, stage });
        }
        conn
    }

    pub(super) fn end(&mut self, token: Token) -> Option<Session> {
        self.of(token)?;
        self.places.get_mut(token.index())?.take()
    }

    pub(super) fn of(&mut self, token: Token) -> Option<&mut Session> {
        let session = self.places.get_mut(token.index())?.as_mut()?;
        (session.token == token).then_some(session)
    }

    /// The session's stage, taken out so that the rest of the shard can be used beside it.
    pub(super) fn take(&mut self, token: Token) -> Option<(ConnId, Stage)> {
        let session = self.of(token)?;
        Some((session.conn, std::mem::replace(&mut session.stage, Stage::Over)))
    }

    pub(super) fn put(&mut self, token: Token, stage: Stage) {
        if let Some(session) = self.of(token) {
            session.stage = stage;
        }
    }

    /// The open WebSocket that hubs know by this name, if it is here.
    pub(super) fn talk(&mut self, conn: ConnId) -> Option<(Token, &mut Talk)> {
        let index = usize::try_from(conn.0 & ((1 << INDEX_BITS) - 1)).ok()?;
        let session = self.places.get_mut(index)?.as_mut()?;
        match &mut session.stage {
            Stage::Talking(talk) if session.conn == conn => Some((session.token, talk)),
            _ => None,
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Session> {
        self.places.iter().flatten()
    }
}
