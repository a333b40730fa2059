//! One connection's state, from its first byte to its last.

use super::client_address::Guest;
use super::metrics::Ending;
use crate::http::Requests;
use crate::net::{Closed, Token};
use crate::proto::{Connection, Keepalive};
use crate::relay::{ConnId, Dialect};

/// A socket with what is known of it.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) token: Token,
    pub(super) stage: Stage,
}

impl Session {
    /// Why it ended, if TCP did so: the first cause counts.
    pub(super) fn ending(&self, tcp: Closed) -> Ending {
        let tcp = match tcp {
            Closed::Stalled => Some(Ending::Stalled),
            Closed::Tls => Some(Ending::Tls),
            Closed::Failed(_) => Some(Ending::Reset),
            _ => None,
        };
        match &self.stage {
            Stage::Announcing(_) | Stage::Visiting(_) => tcp.unwrap_or(Ending::Http),
            Stage::Talking(talk) => talk.ending.or(tcp).unwrap_or(Ending::Closed),
            Stage::Over(why) => *why,
        }
    }
}

/// How far it has come.
#[derive(Debug)]
pub(super) enum Stage {
    /// The PROXY protocol: what has come of its header.
    Announcing(Vec<u8>),
    /// HTTP: pages, and the request that makes it a WebSocket.
    Visiting(Box<Visit>),
    /// A WebSocket.
    Talking(Talk),
    /// Refused or over, for this reason: what still comes is not looked at.
    Over(Ending),
}

/// Requests, one after the other, and what has come of the next.
#[derive(Debug)]
pub(super) struct Visit {
    pub(super) requests: Requests,
    pub(super) bytes: Vec<u8>,
    pub(super) guest: Guest,
}

/// An open WebSocket.
#[derive(Debug)]
pub(super) struct Talk {
    pub(super) connection: Connection,
    pub(super) keepalive: Keepalive,
    pub(super) dialect: Dialect,
    /// Why it ends, once it does.
    pub(super) ending: Option<Ending>,
}

impl Talk {
    /// It ends for this reason, unless it does already.
    pub(super) fn ends(&mut self, why: Ending) {
        self.ending.get_or_insert(why);
    }
}

/// All sessions of a loop, by the index of their token; and the names that hubs know them by.
#[derive(Debug)]
pub(super) struct Sessions {
    shard: u8,
    places: Vec<Option<Session>>,
}

/// 2^24: more sockets than a process may have.
const INDEX_BITS: u32 = 24;
/// A place is not used more often, so that no name comes again.
const GENERATION_BITS: u32 = 32;

impl Sessions {
    pub(super) fn new(shard: u8) -> Self {
        Self { shard, places: Vec::new() }
    }

    /// Its name in the hub, and in every hub of the cluster: what the token says, and the shard. The index
    /// finds it, the generation tells it from those that had its place before, the shard from those of
    /// other loops. Never 0, which is nobody.
    pub(super) fn conn(&self, token: Token) -> ConnId {
        let shard = u64::from(self.shard) << (INDEX_BITS + GENERATION_BITS);
        let generation = u64::from(token.generation().wrapping_add(1)) << INDEX_BITS;
        ConnId(shard | generation | token.index() as u64)
    }

    /// Gives a connection its session.
    pub(super) fn begin(&mut self, token: Token, stage: Stage) -> ConnId {
        let index = token.index();
        if self.places.len() <= index {
            self.places.resize_with(index + 1, || None);
        }
        if let Some(place) = self.places.get_mut(index) {
            *place = Some(Session { token, stage });
        }
        self.conn(token)
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
        let conn = self.conn(token);
        let session = self.of(token)?;
        Some((conn, std::mem::replace(&mut session.stage, Stage::Over(Ending::Http))))
    }

    pub(super) fn put(&mut self, token: Token, stage: Stage) {
        if let Some(session) = self.of(token) {
            session.stage = stage;
        }
    }

    /// The open WebSocket that hubs know by this name, if it is here.
    pub(super) fn talk(&mut self, conn: ConnId) -> Option<(Token, &mut Talk)> {
        let index = usize::try_from(conn.0 & ((1 << INDEX_BITS) - 1)).ok()?;
        let token = self.places.get(index)?.as_ref()?.token;
        if self.conn(token) != conn {
            return None;
        }
        match &mut self.places.get_mut(index)?.as_mut()?.stage {
            Stage::Talking(talk) => Some((token, talk)),
            Stage::Announcing(_) | Stage::Visiting(_) | Stage::Over(_) => None,
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Session> {
        self.places.iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Slots;

    #[test]
    fn a_place_is_small() {
        let bytes = size_of::<Option<Session>>();
        assert!(bytes <= 96, "{bytes} bytes");
    }

    #[test]
    fn a_name_finds_its_session_and_none_that_had_the_place_before() {
        let mut slots = Slots::new();
        let mut sessions = [Sessions::new(0), Sessions::new(1)];
        let mut names = std::collections::BTreeSet::new();
        let mut before = None;
        for _ in 0..3 {
            let token = slots.insert(()).unwrap();
            let [conn, other] = sessions.each_mut().map(|it| {
                let talk = Talk {
                    connection: Connection::server(crate::proto::Config::default()),
                    keepalive: Keepalive::new(std::time::Duration::ZERO),
                    dialect: Dialect::Echo,
                    ending: None,
                };
                it.begin(token, Stage::Talking(talk))
            });
            assert!(conn.0 != 0 && names.insert(conn) && names.insert(other));
            let [here, _] = &mut sessions;
            assert_eq!(here.talk(conn).map(|found| found.0), Some(token));
            assert!(here.talk(other).is_none());
            assert!(before.is_none_or(|before| here.talk(before).is_none()));
            here.end(token);
            assert!(here.talk(conn).is_none());
            before = Some(conn);
            slots.remove(token);
        }
    }
}
