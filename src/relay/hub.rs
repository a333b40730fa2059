//! The hub: who is here, and who is told what. Knows no wire language, no socket and no clock; what it
//! wants done it appends as effects. The plain dialects' messages are judged here; the chat dialect's
//! in `hub/chat` and `hub/entrance`, what others answer and tell in `hub/answers` and `hub/others`.

mod answers;
mod chat;
mod entrance;
mod others;
mod session;

use self::session::Chat;
use super::command::{Command, Payload};
use super::dialect::{self, Context, Dialect, Form};
use super::effect::{Effect, Kind, Publish, Said, Shared};
use super::inbox::Inboxes;
use super::key::Key;
use super::limits::Config;
use super::ordered::Ordered;
use super::presence::Presence;
use super::quota::Meter;
use super::room::{Membership, Rooms};
use super::users::Users;
use super::{Ask, ConnId, ContentKind, Elsewhere, NameError, RoomName, UserName};
use std::fmt;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

/// Sessions, rooms and users, as a function of what is called.
///
/// - [`open`](Self::open) when a connection is open, [`message`](Self::message) for each whole message
///   of it, [`close`](Self::close) as soon as it is no longer open: at the first close frame of either
///   side, or when it breaks. A connection that is closing is told nothing more, and not heard.
/// - [`entry`](Self::entry) for each entry of a channel's log while the hub follows it, in the log's
///   order, each once; [`published`](Self::published), [`opened`](Self::opened) and
///   [`page`](Self::page) for each [`Ask`], once. Those of one connection in the order of its asks,
///   if its client is to see the answers in the order of its requests.
/// - [`node_up`](Self::node_up) before the first and [`node_down`](Self::node_down) after the last
///   [`elsewhere`](Self::elsewhere) of another hub. A gap in what a hub says is a down and an up.
/// - [`drain`](Self::drain) when the process is going to end.
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
///     kept: false,
/// };
/// hub.open(ConnId(1), &opening, &mut effects)?;
/// hub.open(ConnId(2), &opening, &mut effects)?;
/// assert_eq!(effects, [Effect::Follow("lobby".into())]);
/// effects.clear();
/// hub.message(ConnId(1), Kind::Text, b"hello", Duration::ZERO, &mut effects);
/// let hello = Shared::new(Kind::Text, b"hello");
/// assert_eq!(effects, [Effect::Send { to: ConnId(2), message: hello }]);
/// # Ok::<(), sockeye::relay::OpenError>(())
/// ```
#[derive(Debug)]
pub struct Hub {
    config: Config,
    sessions: Ordered<ConnId, Session>,
    rooms: Rooms,
    inboxes: Inboxes,
    presence: Presence,
    users: Users,
    /// Messages that were refused, and connections closed, for their rate.
    rate_limited: u64,
    /// The number of the last opening, whoever's.
    openings: u32,
    /// What a dialect wrote: empty between calls.
    heard: Vec<u8>,
    /// What somebody is told, while it is written. Who writes clears it first.
    told: Vec<u8>,
}

/// What the upgrade said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Opening<'a> {
    /// The wire language.
    pub dialect: Dialect,
    /// The room asked for; none or an empty one is the default room, or none in the chat dialect.
    pub room: Option<&'a str>,
    /// The name asked for; without one it is address and port, or a guest's in the chat dialect.
    pub user: Option<&'a str>,
    /// As text, without a port. People see it where they gave no name: IPv4 as `::ffff:127.0.0.1`.
    pub remote_addr: &'a str,
    /// In decimal.
    pub remote_port: u16,
    /// The broker has a log of that room: what is said there goes into it.
    pub kept: bool,
}

/// What is known of a connection. One that is only echoed to has no heap.
#[derive(Debug)]
struct Session {
    /// Where rates are set, from the first message on; sessions of the chat dialect have their own.
    meter: Option<Box<Meter>>,
    role: Role,
}

#[derive(Debug)]
enum Role {
    Echo,
    /// In one room, under a name.
    Plain(Dialect, Box<Plain>),
    /// Under ids of the user directory.
    #[allow(clippy::box_collection, reason = "8 bytes of each session's entry, not 24")]
    #[expect(clippy::box_collection, reason = "one word for those who have none, or one")]
    Ids(Dialect, Box<Vec<Key>>),
    Chat(Box<Chat>),
}

#[derive(Debug)]
struct Plain {
    name: UserName,
    place: Membership,
}

/// Scratch that is larger is given back after use: one large message must not pin memory for ever.
const SCRATCH_KEPT_MAX: usize = 64 << 10;

impl Hub {
    /// A hub without connections.
    pub fn new(config: Config) -> Self {
        Self {
            config,
            sessions: Ordered::new(),
            rooms: Rooms::default(),
            inboxes: Inboxes::default(),
            presence: Presence::default(),
            users: Users::new(dialect::known_from_the_start()),
            rate_limited: 0,
            openings: 0,
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
        if self.sessions.contains(conn) {
            return Err(OpenError::InUse(conn));
        }
        let asked = |name: &&str| !name.is_empty();
        let room = opening.room.filter(asked).map(RoomName::new).transpose();
        let room = room.map_err(OpenError::Room)?;
        let name = opening.user.filter(asked).map(UserName::new).transpose();
        let name = name.map_err(OpenError::User)?;
        let role = match opening.dialect {
            Dialect::Echo => Role::Echo,
            dialect @ (Dialect::Directory | Dialect::Im) => Role::Ids(dialect, Box::default()),
            Dialect::Chat => {
                self.open_chat(conn, room, name, out);
                return Ok(());
            }
            dialect @ (Dialect::Broadcast | Dialect::Named) => {
                let name = name.unwrap_or_else(|| {
                    UserName::of_address(opening.remote_addr, opening.remote_port)
                });
                if let Some(greeting) = dialect.greeting(name.as_str()) {
                    let message = Shared::new(Kind::Text, greeting.as_bytes());
                    out.push(Effect::Send { to: conn, message });
                }
                let room = room.unwrap_or_else(|| self.config.default_room.clone());
                let form = dialect.form().unwrap_or(Form::AsSaid);
                let (place, is_new) = self.rooms.enter(room.shared(), form, conn);
                if is_new {
                    out.push(Effect::Follow(Arc::clone(room.shared())));
                }
                let kept = opening.kept || self.presence.online(room.as_str()) > 0;
                if let Some(room) = self.rooms.room_mut(room.as_str()) {
                    room.kept |= kept;
                }
                Role::Plain(dialect, Box::new(Plain { name, place }))
            }
        };
        self.sessions.insert(conn, Session { meter: None, role });
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
        let Some(session) = self.sessions.get_mut(conn) else {
            return;
        };
        let dialect = match session.role {
            Role::Echo => Dialect::Echo,
            Role::Plain(dialect, _) | Role::Ids(dialect, _) => dialect,
            Role::Chat(_) => return self.hear_chat(conn, kind, bytes, now, out),
        };
        if let Some(rates) = &self.config.rates
            && session.meter.get_or_insert_default().admit(rates, bytes.len(), now).is_err()
        {
            self.rate_limited += 1;
            return self.expel(conn, RATE_LIMITED, "too many messages", out);
        }
        let mut heard = mem::take(&mut self.heard);
        let context = Context { limits: &self.config.limits, zone: &self.config.zone };
        let command = dialect.hear(kind, bytes, &context, &mut heard);
        self.obey(conn, command, out);
        self.heard = emptied(heard);
    }

    /// Whether all that [`message`](Self::message) comes to for a connection of the echo dialect is
    /// [`Effect::Back`], so that whoever hears a thousand of them need not ask each time.
    pub fn only_echoes(&self) -> bool {
        self.config.rates.is_none()
    }

    /// Forgets a connection: its rooms, its ids. What others are told of it is appended. Does nothing
    /// for a connection that is not there.
    pub fn close(&mut self, conn: ConnId, out: &mut Vec<Effect>) {
        let Some(session) = self.sessions.remove(conn) else {
            return;
        };
        match session.role {
            Role::Echo => {}
            Role::Plain(_, plain) => self.leave(&plain.place, out),
            Role::Ids(_, ids) => {
                for id in ids.iter() {
                    self.users.release(id, conn);
                }
            }
            Role::Chat(chat) => self.close_chat(conn, *chat, out),
        }
    }

    /// How many connections are open.
    pub fn connections(&self) -> usize {
        self.sessions.len()
    }

    /// How many rooms have somebody in them.
    pub fn rooms(&self) -> usize {
        self.rooms.len()
    }

    /// How many named users of the chat dialect are here, or about to be.
    pub fn users(&self) -> usize {
        self.inboxes.len()
    }

    /// How many messages were refused so far, and connections closed, because they sent more than the
    /// [rates](Config::rates) allow.
    pub fn rate_limited(&self) -> u64 {
        self.rate_limited
    }

    /// Whether somebody here is in this inbox (`@user`), or about to be: from [`Effect::Follow`] to
    /// [`Effect::Unfollow`] of it.
    pub fn has_inbox(&self, inbox: &str) -> bool {
        self.inboxes.inbox(inbox).is_some()
    }

    /// Whether nothing is left of anybody, here and on other hubs.
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
            && self.rooms.is_empty()
            && self.inboxes.is_empty()
            && self.presence.is_empty()
            && self.users.is_empty()
    }

    /// Closes for a fault of the client's.
    fn expel(&mut self, conn: ConnId, code: u16, reason: &'static str, out: &mut Vec<Effect>) {
        self.close(conn, out);
        out.push(Effect::Close { conn, code, reason });
    }

    fn obey(&mut self, conn: ConnId, command: Command<'_>, out: &mut Vec<Effect>) {
        match command {
            Command::Nothing => {}
            Command::Back => out.push(Effect::Back { to: conn }),
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
        let Some(Role::Plain(_, plain)) = self.sessions.get(conn).map(|session| &session.role)
        else {
            return;
        };
        let Plain { name: from, place } = &**plain;
        let Some(room) = self.rooms.room(&place.room) else {
            return;
        };
        if room.kept {
            out.push(Effect::Publish(Publish {
                ask: Ask { conn, request: None },
                channels: vec![Arc::clone(&place.room)],
                from: Arc::clone(from.shared()),
                to: None,
                content: match payload.kind {
                    Kind::Text => ContentKind::Text,
                    Kind::Binary => ContentKind::Binary,
                },
                body: payload.bytes.into(),
                once: None,
                origin: conn,
            }));
            return;
        }
        let mut told = mem::take(&mut self.told);
        let mut as_said = None;
        for (form, members) in room.groups() {
            let receivers = match members.split_at_checked(place.at()) {
                Some((before, [_, after @ ..])) if form == place.form && !form.hears_itself() => {
                    [before, after].concat()
                }
                _ => members.to_vec(),
            };
            if !receivers.is_empty() {
                told.clear();
                let message = form.tell(from.as_str(), payload, &mut told, &mut as_said);
                send(receivers, message, out);
            }
        }
        if self.config.cluster {
            let message = as_said.unwrap_or_else(|| payload.shared());
            let (room, from) = (RoomName::of_shared(&place.room), from.clone());
            out.push(Effect::Elsewhere(Elsewhere::Said(Said { room, from, message })));
        }
        self.told = emptied(told);
    }

    /// Whether the id was known before; `None` if the connection may not have it.
    fn register(&mut self, conn: ConnId, id: Key) -> Option<bool> {
        let limits = &self.config.limits;
        let Role::Ids(_, ids) = &mut self.sessions.get_mut(conn)?.role else {
            return None;
        };
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

    /// Gives up a place that its session has no longer.
    fn leave(&mut self, left: &Membership, out: &mut Vec<Effect>) {
        let changed = self.rooms.leave(left);
        if let Some(moved) = changed.moved
            && let Some(session) = self.sessions.get_mut(moved)
        {
            match &mut session.role {
                Role::Plain(_, plain) => plain.place.moves_to(left),
                Role::Chat(chat) => chat.moves_to(left),
                Role::Echo | Role::Ids(..) => {}
            }
        }
        if changed.gone {
            out.push(Effect::Unfollow(Arc::clone(&left.room)));
        }
    }
}

/// In the range of applications, and of those that tell a client to come back.
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
            let opening = Opening {
                dialect,
                room: None,
                user: None,
                remote_addr: "::1",
                remote_port: 1,
                kept: false,
            };
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
        assert!(size_of::<Session>() <= 24, "{} bytes", size_of::<Session>());
    }
}
