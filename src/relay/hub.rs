//! The hub: who is here, and who is told what. Knows no wire language, no socket and no clock; what it
//! wants done it appends as effects.

use super::command::{Command, Payload};
use super::dialect::{self, Context, Dialect, Form};
use super::effect::{Effect, Kind, Said, Shared};
use super::key::Key;
use super::limits::Config;
use super::quota::Meter;
use super::room::{Membership, Rooms};
use super::users::Users;
use super::{ConnId, NameError, RoomName, UserName};
use std::collections::BTreeMap;
use std::fmt;
use std::mem;
use std::time::Duration;

/// Sessions, rooms and users, as a function of what is called.
///
/// - [`open`](Self::open) when a connection is open, [`message`](Self::message) for each whole message
///   of it, [`close`](Self::close) as soon as it is no longer open: at the first close frame of either
///   side, or when it breaks. A connection that is closing is told nothing more, and not heard.
/// - Each appends to the caller's effects; those hold in their order. Same calls, same effects.
///
/// ```
/// use sockeye::relay::{Config, ConnId, Dialect, Effect, Hub, Kind, Opening, Shared};
/// use std::time::Duration;
///
/// let mut hub = Hub::new(Config::default());
/// let mut effects = Vec::new();
/// let opening = Opening {
///     dialect: Dialect::Broadcast,
///     room: None,
///     user: None,
///     remote_addr: "127.0.0.1",
///     remote_port: 50000,
/// };
/// hub.open(ConnId(1), &opening, &mut effects)?;
/// hub.open(ConnId(2), &opening, &mut effects)?;
/// hub.message(ConnId(1), Kind::Text, b"hello", Duration::ZERO, &mut effects);
/// let hello = Shared::new(Kind::Text, b"hello");
/// assert_eq!(effects, [Effect::Send { to: ConnId(2), message: hello }]);
/// # Ok::<(), sockeye::relay::OpenError>(())
/// ```
#[derive(Debug)]
pub struct Hub {
    config: Config,
    sessions: BTreeMap<ConnId, Session>,
    rooms: Rooms,
    users: Users,
    /// What a dialect wrote, and what a form made of it: empty between calls.
    heard: Vec<u8>,
    told: Vec<u8>,
}

/// What the upgrade said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Opening<'a> {
    /// The wire language.
    pub dialect: Dialect,
    /// The room asked for; none or an empty one is the default room.
    pub room: Option<&'a str>,
    /// The name asked for; without one it is address and port.
    pub user: Option<&'a str>,
    /// As text, without a port. People see it where they gave no name: IPv4 as `::ffff:127.0.0.1`.
    pub remote_addr: &'a str,
    /// In decimal.
    pub remote_port: u16,
}

/// What is known of a connection. One that is only echoed to has no heap.
#[derive(Debug)]
struct Session {
    dialect: Dialect,
    /// Only where a room may show it.
    name: Option<UserName>,
    rooms: Vec<Membership>,
    ids: Vec<Key>,
    meter: Meter,
}

/// Scratch that is larger is given back after use: one large message must not pin memory for ever.
const SCRATCH_KEPT_MAX: usize = 64 << 10;

impl Hub {
    /// A hub without connections.
    pub fn new(config: Config) -> Self {
        Self {
            config,
            sessions: BTreeMap::new(),
            rooms: Rooms::default(),
            users: Users::new(dialect::known_from_the_start()),
            heard: Vec::new(),
            told: Vec::new(),
        }
    }

    /// Takes a connection in, and greets it if its dialect does.
    ///
    /// # Errors
    ///
    /// A name that may not be, or a number that is in use; nothing has changed then. To refuse an
    /// upgrade instead of closing, ask [`RoomName::new`] and [`UserName::new`] before it.
    pub fn open(
        &mut self,
        conn: ConnId,
        opening: &Opening<'_>,
        out: &mut Vec<Effect>,
    ) -> Result<(), OpenError> {
        if self.sessions.contains_key(&conn) {
            return Err(OpenError::InUse(conn));
        }
        let asked = |name: Option<&'_ str>| name.is_some_and(|name| !name.is_empty());
        let room = match opening.room {
            Some(room) if asked(opening.room) => RoomName::new(room).map_err(OpenError::Room)?,
            _ => self.config.default_room.clone(),
        };
        let name = match opening.user {
            Some(user) if asked(opening.user) => UserName::new(user).map_err(OpenError::User)?,
            _ => UserName::of_address(opening.remote_addr, opening.remote_port),
        };
        if let Some(greeting) = opening.dialect.greeting(name.as_str()) {
            let message = Shared::new(Kind::Text, greeting.as_bytes());
            out.push(Effect::Send { to: conn, message });
        }
        let form = opening.dialect.form();
        let session = Session {
            dialect: opening.dialect,
            name: form.map(|_| name),
            rooms: Vec::new(),
            ids: Vec::new(),
            meter: Meter::default(),
        };
        self.sessions.insert(conn, session);
        if let Some(form) = form {
            self.enter(conn, room, form);
        }
        Ok(())
    }

    /// Hears a whole message. `now` is any clock that does not go back; only quotas ask for it.
    /// Messages of connections that are not open are ignored.
    pub fn message(
        &mut self,
        conn: ConnId,
        kind: Kind,
        bytes: &[u8],
        now: Duration,
        out: &mut Vec<Effect>,
    ) {
        let Some(session) = self.sessions.get_mut(&conn) else {
            return;
        };
        if let Some(rates) = &self.config.rates
            && !session.meter.admit(rates, bytes.len(), now)
        {
            self.close(conn, out);
            out.push(Effect::Close { conn, code: RATE_LIMITED, reason: "too many messages" });
            return;
        }
        let mut heard = mem::take(&mut self.heard);
        let context = Context { limits: &self.config.limits, zone: &self.config.zone };
        let command = session.dialect.hear(kind, bytes, &context, &mut heard);
        self.obey(conn, command, out);
        self.heard = emptied(heard);
    }

    /// Forgets a connection: its rooms, its ids. What others are told of it is appended; the dialects
    /// of today announce nothing. Does nothing for a connection that is not there.
    pub fn close(&mut self, conn: ConnId, out: &mut Vec<Effect>) {
        let _ = out;
        let Some(session) = self.sessions.remove(&conn) else {
            return;
        };
        for membership in &session.rooms {
            self.leave(membership);
        }
        for id in &session.ids {
            self.users.release(id, conn);
        }
    }

    /// Tells the members here what was said in a room of another hub.
    pub fn said_elsewhere(&mut self, said: &Said, out: &mut Vec<Effect>) {
        let mut told = mem::take(&mut self.told);
        let mut message = Some(said.message.clone());
        let bytes = &said.message.bytes;
        for (form, members) in self.rooms.groups(&said.room) {
            let payload = Payload { kind: said.message.kind, bytes };
            let own = form.tell(said.from.as_str(), payload, &mut told, &mut message);
            send(members.to_vec(), own, out);
            told.clear();
        }
        self.told = emptied(told);
    }

    /// How many connections are open.
    pub fn connections(&self) -> usize {
        self.sessions.len()
    }

    /// How many rooms have somebody in them.
    pub fn rooms(&self) -> usize {
        self.rooms.len()
    }

    /// Whether nothing is left of anybody.
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty() && self.rooms.is_empty() && self.users.is_empty()
    }

    fn obey(&mut self, conn: ConnId, command: Command<'_>, out: &mut Vec<Effect>) {
        match command {
            Command::Nothing => {}
            Command::Answer(payload) => {
                out.push(Effect::Send { to: conn, message: payload.shared() });
            }
            Command::Say(payload) => self.say(conn, payload, out),
            Command::Register { id, answer } => {
                if let Some(known) = self.register(conn, id)
                    && let Some(answer) = answer
                    && !known
                {
                    let message = Shared::new(Kind::Text, answer.as_bytes());
                    out.push(Effect::Send { to: conn, message });
                }
            }
            Command::Tell { to, copy, payload } => {
                let receiver = to.and_then(|id| self.users.newest(&id));
                let receivers = [copy.then_some(conn), receiver];
                if receivers.iter().any(Option::is_some) {
                    let message = payload.shared();
                    for to in receivers.into_iter().flatten() {
                        out.push(Effect::Send { to, message: message.clone() });
                    }
                }
            }
        }
    }

    fn say(&mut self, conn: ConnId, payload: Payload<'_>, out: &mut Vec<Effect>) {
        let Some(session) = self.sessions.get(&conn) else {
            return;
        };
        let (Some(from), Some(place)) = (&session.name, session.rooms.first()) else {
            return;
        };
        let mut told = mem::take(&mut self.told);
        let mut as_said = None;
        for (form, members) in self.rooms.groups(&place.room) {
            let receivers = match members.split_at_checked(place.at) {
                Some((before, [_, after @ ..])) if form == place.form && !form.hears_itself() => {
                    [before, after].concat()
                }
                _ => members.to_vec(),
            };
            if !receivers.is_empty() {
                let message = form.tell(from.as_str(), payload, &mut told, &mut as_said);
                send(receivers, message, out);
                told.clear();
            }
        }
        if self.config.cluster {
            let message = as_said.unwrap_or_else(|| payload.shared());
            let (room, from) = (place.room.clone(), from.clone());
            out.push(Effect::Elsewhere(Said { room, from, message }));
        }
        self.told = emptied(told);
    }

    /// Whether the id was known before; `None` if the connection may not have it.
    fn register(&mut self, conn: ConnId, id: Key) -> Option<bool> {
        let limits = &self.config.limits;
        let ids = &mut self.sessions.get_mut(&conn)?.ids;
        if !ids.contains(&id) {
            let bytes: usize = ids.iter().map(Key::len).sum();
            let fits = ids.len() < limits.ids_per_connection
                && bytes + id.len() <= limits.ids_bytes_per_connection;
            if !fits {
                return None;
            }
            ids.reserve_exact(1);
            ids.push(id.clone());
        }
        Some(self.users.register(&id, conn))
    }

    fn enter(&mut self, conn: ConnId, room: RoomName, form: Form) {
        if let Some(session) = self.sessions.get_mut(&conn)
            && session.rooms.len() < self.config.limits.rooms_per_connection
            && session.rooms.iter().all(|membership| membership.room != room)
        {
            session.rooms.reserve_exact(1);
            session.rooms.push(self.rooms.enter(room, form, conn));
        }
    }

    /// For a session that is no longer in the table.
    fn leave(&mut self, left: &Membership) {
        if let Some(moved) = self.rooms.leave(left)
            && let Some(session) = self.sessions.get_mut(&moved)
            && let Some(place) = session.rooms.iter_mut().find(|place| place.room == left.room)
        {
            place.at = left.at;
        }
    }
}

/// 4029: in the range of applications, and of those that tell a client to come back.
const RATE_LIMITED: u16 = 4029;

impl Payload<'_> {
    fn shared(self) -> Shared {
        Shared::new(self.kind, self.bytes)
    }
}

impl Form {
    /// The message for members of this form; what was said as it is becomes one message for all.
    fn tell(
        self,
        from: &str,
        said: Payload<'_>,
        scratch: &mut Vec<u8>,
        as_said: &mut Option<Shared>,
    ) -> Shared {
        match self.write(from, said.bytes, scratch) {
            Some(kind) => Shared::new(kind, scratch),
            None => as_said.get_or_insert_with(|| said.shared()).clone(),
        }
    }
}

fn send(to: Vec<ConnId>, message: Shared, out: &mut Vec<Effect>) {
    match to.as_slice() {
        [] => {}
        &[to] => out.push(Effect::Send { to, message }),
        _ => out.push(Effect::SendMany { to, message }),
    }
}

fn emptied(mut scratch: Vec<u8>) -> Vec<u8> {
    scratch.clear();
    if scratch.capacity() > SCRATCH_KEPT_MAX { Vec::new() } else { scratch }
}

/// Why a connection is not taken in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OpenError {
    /// The name of a room that may not be.
    Room(NameError),
    /// The name of a person that may not be.
    User(NameError),
    /// The number belongs to a connection that is open: the caller's mistake.
    InUse(ConnId),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Room(error) => write!(f, "room: {error}"),
            Self::User(error) => write!(f, "user: {error}"),
            Self::InUse(conn) => write!(f, "connection {} is already open", conn.0),
        }
    }
}

impl std::error::Error for OpenError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_message_leaves_no_large_buffer() {
        let mut hub = Hub::new(Config::default());
        let mut out = Vec::new();
        for (number, dialect) in [(1, Dialect::Im), (2, Dialect::Named)] {
            let opening =
                Opening { dialect, room: None, user: None, remote_addr: "::1", remote_port: 1 };
            hub.open(ConnId(number), &opening, &mut out).unwrap();
            for len in [10, 1 << 20, 10] {
                let content = "x".repeat(len);
                let text = format!(r#"{{"type":"get-enter","content":"{content}"}}"#);
                hub.message(ConnId(number), Kind::Text, text.as_bytes(), Duration::ZERO, &mut out);
                assert!(hub.heard.capacity() <= SCRATCH_KEPT_MAX && hub.heard.is_empty());
                assert!(hub.told.capacity() <= SCRATCH_KEPT_MAX && hub.told.is_empty());
            }
        }
    }

    #[test]
    fn a_session_is_small() {
        assert!(size_of::<Session>() <= 96, "{} bytes", size_of::<Session>());
    }
}
