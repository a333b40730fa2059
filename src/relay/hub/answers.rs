//! What the broker says: answers to questions, and the entries of logs that the hub follows.

use super::chat::{not_joined, user_of};
use super::{Effect, Hub, Role, emptied, send};
use crate::relay::ask::{Asked, What};
use crate::relay::command::Payload;
use crate::relay::dialect::Form;
use crate::relay::effect::{Kind, Shared};
use crate::relay::json::Value;
use crate::relay::log::{ContentKind, Entry, Opened, Page, Published, Refused};
use crate::relay::notice::{self, Event, Problem};
use crate::relay::{Ask, ConnId, Elsewhere, RoomName, UserName};
use std::borrow::Cow;
use std::mem;
use std::sync::Arc;

impl Hub {
    /// The answer to a [`Publish`](super::super::Publish).
    pub fn published(
        &mut self,
        ask: Ask,
        result: Result<Published, Refused>,
        out: &mut Vec<Effect>,
    ) {
        let Ask { conn, request: Some(asked) } = ask else {
            return;
        };
        let Some(chat) = self.chat(conn) else {
            return;
        };
        chat.question_ends();
        let id = asked.id.as_deref();
        let (name, place, seq) = match &asked.what {
            What::Say { room, seq } => ("room", room, *seq),
            What::Tell { to, seq } => ("to", to, *seq),
            What::Open { .. } | What::Page { .. } => return,
        };
        match result {
            Ok(Published { at, duplicate }) => {
                let event = Event::new("ack", &mut self.told).id(id).number_if("seq", seq);
                let event = event.text(name, place).cursor(at).so("duplicate", duplicate);
                let message = event.done();
                self.answer(conn, message, out);
            }
            Err(refused) => self.tell_problem(conn, id, seq, &refused.into(), out),
        }
    }

    /// The answer to an [`Effect::Open`]. Its channel's entries behind the head may have been given
    /// to [`entry`](Self::entry) before.
    pub fn opened(&mut self, ask: Ask, result: Result<Opened<'_>, Refused>, out: &mut Vec<Effect>) {
        let Ask { conn, request: Some(asked) } = ask else {
            return;
        };
        let Asked { id, what: What::Open { channel, number, newest } } = *asked else {
            return;
        };
        let Some((chat, inbox)) = self.chat_and_inbox(conn) else {
            return;
        };
        let id = id.as_deref();
        let replayed = chat.replayed();
        let Some(waited) = chat.opening_ends(number) else {
            // Left meanwhile. Who waits for an answer gets one.
            if id.is_some() {
                self.tell_problem(conn, id, None, &not_joined(), out);
            }
            return;
        };
        match result {
            Ok(opened) => {
                let replay = self.replay(&opened, newest, replayed);
                if let Some(chat) = self.chat(conn) {
                    chat.count_replay(replay.events.iter().map(Vec::len).sum());
                }
                if channel.starts_with('@') {
                    self.enter_inbox(conn, id, &inbox, &opened, replay, out);
                } else {
                    self.enter_room(conn, id, &channel, &inbox, &opened, replay, out);
                }
            }
            Err(refused) => {
                let room = Some(&*channel).filter(|channel| !channel.starts_with('@'));
                let message = Problem::from(refused).write(id, None, room, &mut self.told);
                out.push(Effect::Send { to: conn, message });
            }
        }
        out.extend(waited.into_iter().map(|message| Effect::Send { to: conn, message }));
        self.channel_opening_ends(&channel, out);
        self.told = emptied(mem::take(&mut self.told));
    }

    /// `hello`, and from now on direct messages.
    fn enter_inbox(
        &mut self,
        conn: ConnId,
        id: Option<&str>,
        inbox: &Arc<str>,
        opened: &Opened<'_>,
        replay: Replayed,
        out: &mut Vec<Effect>,
    ) {
        let session = self.session_name(conn);
        let Replayed { prev, more, .. } = replay;
        let event = Event::new("hello", &mut self.told)
            .id(id)
            .text("session", &session)
            .text("user", user_of(inbox))
            .text("server", SERVER)
            .object("limits", |event| notice::limits(event, &self.config))
            .object("inbox", |event| event.head(opened.head, prev, opened.recovered, more));
        out.push(Effect::Send { to: conn, message: event.done() });
        replay.send(conn, out);
        if let Some(inbox) = self.inboxes.inbox(inbox) {
            let held = inbox.held.behind(opened.head).cloned();
            out.extend(held.map(|message| Effect::Send { to: conn, message }));
        }
        self.inboxes.enter(inbox, conn);
        if let Some(chat) = self.chat(conn) {
            chat.in_inbox = true;
        }
    }

    /// `joined`, and from now on messages. The others hear of it if the person is new.
    #[allow(clippy::too_many_arguments, reason = "who, where, and what is there")]
    fn enter_room(
        &mut self,
        conn: ConnId,
        id: Option<&str>,
        room: &Arc<str>,
        inbox: &Arc<str>,
        opened: &Opened<'_>,
        replay: Replayed,
        out: &mut Vec<Effect>,
    ) {
        let again = self.chat(conn).is_some_and(|chat| chat.place(room).is_some());
        if !again {
            let change = self.presence.enter(room, inbox, None);
            if change.of_place && self.config.cluster {
                let (room, user) = (RoomName::of_shared(room), UserName::of_inbox(inbox));
                out.push(Effect::Elsewhere(Elsewhere::Entered { room, user }));
            }
            if change.of_room {
                self.announce(room, inbox, "join", out);
            }
        }
        let online = self.presence.online(room);
        let event = Event::new("joined", &mut self.told).id(id).text("room", room);
        let event = event.head(opened.head, replay.prev, opened.recovered, replay.more);
        let event = if online <= self.config.limits.chat.presence_members {
            event.texts("members", self.presence.people(room).map(|inbox| user_of(inbox)))
        } else {
            event
        };
        out.push(Effect::Send { to: conn, message: event.count("online", online).done() });
        replay.send(conn, out);
        if let Some(room) = self.rooms.room_mut(room) {
            room.kept = true;
            let held = room.held.behind(opened.head).cloned();
            out.extend(held.map(|message| Effect::Send { to: conn, message }));
        }
        if !again {
            let (place, _) = self.rooms.enter(room, Form::Chat, conn);
            if let Some(chat) = self.chat(conn) {
                chat.rooms.add(place);
            }
        }
    }

    /// The answer to an [`Effect::Read`].
    pub fn page(&mut self, ask: Ask, result: Result<Page<'_>, Refused>, out: &mut Vec<Effect>) {
        let Ask { conn, request: Some(asked) } = ask else {
            return;
        };
        let Asked { id, what: What::Page { channel, newest } } = *asked else {
            return;
        };
        let Some(chat) = self.chat(conn) else {
            return;
        };
        chat.question_ends();
        let id = id.as_deref();
        let page = match result {
            Ok(page) => page,
            Err(refused) => return self.tell_problem(conn, id, None, &refused.into(), out),
        };
        let limits = self.config.limits.chat;
        let events = render(page.entries, newest, limits.history, limits.history_bytes, 0);
        let more = page.more || events.len() < page.entries.len();
        let mut messages = vec![b'['];
        for event in &events {
            if messages.len() > 1 {
                messages.push(b',');
            }
            messages.extend_from_slice(event);
        }
        messages.push(b']');
        let event = Event::new("history", &mut self.told).id(id);
        let event = if channel.starts_with('@') {
            event.so("inbox", true)
        } else {
            event.text("room", &channel)
        };
        let event = event.number("epoch", page.epoch).json("messages", &messages).so("more", more);
        out.push(Effect::Send { to: conn, message: event.done() });
        self.told = emptied(mem::take(&mut self.told));
    }

    /// An entry of a log that the hub follows. Entries of others do nothing.
    pub fn entry(&mut self, entry: &Entry<'_>, out: &mut Vec<Effect>) {
        if entry.channel.starts_with('@') {
            self.direct(entry, out);
        } else {
            self.spread(entry, out);
        }
        self.told = emptied(mem::take(&mut self.told));
    }

    fn direct(&mut self, entry: &Entry<'_>, out: &mut Vec<Effect>) {
        let limits = &self.config.limits.chat;
        if let Some(inbox) = self.inboxes.inbox_mut(entry.channel) {
            let message = event(entry, &mut self.told);
            inbox.held.keep(entry.at, &message, limits.replay, limits.replay_bytes);
            send(inbox.sessions_but(None), message, out);
        }
    }

    fn spread(&mut self, entry: &Entry<'_>, out: &mut Vec<Effect>) {
        let limits = &self.config.limits.chat;
        let own = entry.origin.and_then(|conn| self.sessions.get(conn).map(|it| (conn, it)));
        let own_place = own.and_then(|(conn, session)| match &session.role {
            Role::Plain(_, plain) if *plain.place.room == *entry.channel => Some((conn, plain)),
            _ => None,
        });
        let Some(room) = self.rooms.room_mut(entry.channel) else {
            return;
        };
        room.kept = true;
        if !room.held.is_idle() || !room.members(Form::Chat).is_empty() {
            let message = event(entry, &mut self.told);
            room.held.keep(entry.at, &message, limits.replay, limits.replay_bytes);
            send(room.members(Form::Chat).to_vec(), message, out);
        }
        let plain = room.groups().filter(|group| group.0 != Form::Chat);
        let mut said = None;
        for (form, members) in plain {
            let receivers = match own_place {
                Some((_, own)) if own.place.form == form && !form.hears_itself() => {
                    let mut others = members.to_vec();
                    others.remove(own.place.at());
                    others
                }
                _ => members.to_vec(),
            };
            if receivers.is_empty() {
                continue;
            }
            let said: &Shared = said.get_or_insert_with(|| as_plain(entry));
            self.told.clear();
            let payload = Payload { kind: said.kind, bytes: &said.bytes };
            let message = form.tell(entry.from, payload, &mut self.told, &mut Some(said.clone()));
            send(receivers, message, out);
        }
    }

    /// What a newcomer is told of the past, who was told so many bytes of it in other rooms just now.
    fn replay(&mut self, opened: &Opened<'_>, newest: bool, replayed: usize) -> Replayed {
        let limits = self.config.limits.chat;
        let entries = opened.entries;
        let events = render(entries, newest, limits.replay, limits.replay_bytes, replayed);
        let told = if newest {
            entries.get(entries.len() - events.len()..)
        } else {
            entries.get(..events.len())
        };
        let told = told.unwrap_or_default();
        // Where nothing was left for this room, what will be told is behind all that there is; from a
        // cursor on it is known where to go on.
        let first = told.first().or(if newest { None } else { entries.first() });
        let prev = first.map_or(opened.head.offset, |first| first.prev);
        let last = told.last().map_or(prev, |last| last.at.offset);
        let more = last < opened.head.offset;
        Replayed { prev, more, events }
    }
}

/// Appears in `hello`.
const SERVER: &str = concat!("sockeye/", env!("CARGO_PKG_VERSION"));

/// A replay, ready to be sent.
struct Replayed {
    /// What the first message that will be told follows on.
    prev: u64,
    /// It does not reach the head.
    more: bool,
    events: Vec<Vec<u8>>,
}

impl Replayed {
    fn send(self, to: ConnId, out: &mut Vec<Effect>) {
        out.extend(self.events.into_iter().map(|event| {
            let message = Shared { kind: Kind::Text, bytes: event.into() };
            Effect::Send { to, message }
        }));
    }
}

/// Entries as events, oldest first, in so many bytes less those that are spent: the newest of them, or
/// the oldest. One at least where nothing is spent.
fn render(
    entries: &[Entry<'_>],
    newest: bool,
    count_max: usize,
    bytes_max: usize,
    spent: usize,
) -> Vec<Vec<u8>> {
    let mut events: Vec<Vec<u8>> = Vec::new();
    let mut bytes = spent;
    let mut add = |entry: &Entry<'_>| {
        let mut event = Vec::new();
        notice::entry(entry, &mut event);
        bytes += event.len();
        let is_first = spent == 0 && events.is_empty();
        let fits = is_first || (events.len() < count_max && bytes <= bytes_max);
        if fits {
            events.push(event);
        }
        fits
    };
    if newest {
        let _ = entries.iter().rev().all(&mut add);
        events.reverse();
    } else {
        let _ = entries.iter().all(&mut add);
    }
    events
}

fn event(entry: &Entry<'_>, scratch: &mut Vec<u8>) -> Shared {
    scratch.clear();
    notice::entry(entry, scratch);
    Shared::new(Kind::Text, scratch)
}

/// As members of plain dialects are told it: of JSON, a string as what it says.
fn as_plain(entry: &Entry<'_>) -> Shared {
    let kind = match entry.content {
        ContentKind::Binary => Kind::Binary,
        ContentKind::Text | ContentKind::Json => Kind::Text,
    };
    if entry.content == ContentKind::Json
        && let Some(text) = Value::of(&String::from_utf8_lossy(entry.body)).text()
    {
        let mut plain = Vec::new();
        text.unescape(&mut plain);
        // Half a character has no bytes of its own.
        let plain: Cow<'_, str> = String::from_utf8_lossy(&plain);
        return Shared::new(kind, plain.as_bytes());
    }
    Shared { kind, bytes: Arc::clone(entry.body) }
}
