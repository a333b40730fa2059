//! Coming in and going, in the chat dialect: who one is, one's inbox, rooms joined and left.

use super::chat::{A_SECOND_MS, ask, is_inbox_of, not_joined, scoped};
use super::session::Chat;
use super::{Effect, Hub, Role, Session};
use crate::relay::ask::What;
use crate::relay::dialect::chat::Target;
use crate::relay::effect::Replay;
use crate::relay::log::Cursor;
use crate::relay::notice::{Code, Event, Problem};
use crate::relay::room::Membership;
use crate::relay::{ConnId, Elsewhere, RoomName, UserName};
use std::mem;
use std::sync::Arc;

impl Hub {
    pub(super) fn open_chat(
        &mut self,
        conn: ConnId,
        room: Option<RoomName>,
        user: Option<UserName>,
        out: &mut Vec<Effect>,
    ) {
        let role = Role::Chat(Box::default());
        self.sessions.insert(conn, Session { meter: None, role });
        if user.is_some() || room.is_some() {
            self.become_user(conn, user);
            self.open_inbox(conn, None, Replay::None, out);
        }
        if let Some(room) = room
            && let Err(problem) = self.join(conn, None, &room, Replay::None, out)
        {
            self.tell_problem(conn, None, None, &problem, out);
        }
    }

    pub(super) fn close_chat(&mut self, conn: ConnId, mut chat: Chat, out: &mut Vec<Effect>) {
        let (inbox, rooms) = (chat.inbox.take(), mem::take(&mut chat.rooms));
        let in_inbox = chat.in_inbox;
        for under_way in chat.openings() {
            self.channel_opening_ends(&under_way.channel, out);
        }
        let Some(inbox) = inbox else {
            return;
        };
        if in_inbox && self.inboxes.leave(&inbox, conn) {
            out.push(Effect::Unfollow(Arc::clone(&inbox)));
        }
        for place in rooms.all() {
            self.part(place, &inbox, out);
        }
    }

    pub(super) fn hello(
        &mut self,
        conn: ConnId,
        id: Option<&str>,
        user: Option<UserName>,
        producer: Option<String>,
        resume: Vec<(Target, Cursor)>,
        out: &mut Vec<Effect>,
    ) -> Result<(), Problem> {
        let rooms_max = self.config.limits.rooms_per_connection;
        let Some(chat) = self.chat(conn) else {
            return Ok(());
        };
        match (&chat.inbox, &user) {
            (Some(mine), Some(user)) if !is_inbox_of(mine, user) => {
                let message = "This session is somebody else's already: open another connection.";
                return Err(Problem::new(Code::Forbidden, message));
            }
            (Some(_), _) if chat.under_way().count() > rooms_max => return Err(too_many_wait()),
            (Some(_), _) => {}
            (None, _) => self.become_user(conn, user),
        }
        let Some((chat, inbox)) = self.chat_and_inbox(conn) else {
            return Ok(());
        };
        if let Some(producer) = producer {
            chat.speaks().producer = Some(scoped(&inbox, &producer));
        }
        let mut own = Replay::None;
        for (target, cursor) in &resume {
            if let Target::User(user) = target
                && is_inbox_of(&inbox, user)
            {
                own = Replay::After(*cursor);
            }
        }
        self.open_inbox(conn, id, own, out);
        for (target, cursor) in resume {
            let problem = match target {
                Target::Room(room) => {
                    let joined = self.join(conn, None, &room, Replay::After(cursor), out);
                    joined.err().map(|problem| (problem, Some(room)))
                }
                Target::User(user) if is_inbox_of(&inbox, &user) => None,
                Target::User(_) => Some((
                    Problem::new(Code::Forbidden, "Only your own inbox can be resumed."),
                    None,
                )),
            };
            if let Some((problem, room)) = problem {
                let room = room.as_ref().map(RoomName::as_str);
                let message = problem.write(id, None, room, &mut self.told);
                self.answer(conn, message, out);
            }
        }
        Ok(())
    }

    /// Without a name, a guest.
    pub(super) fn become_user(&mut self, conn: ConnId, user: Option<UserName>) {
        let inbox = match user {
            Some(user) => user.inbox(),
            None => format!("@guest-{}", self.session_name(conn)).into(),
        };
        let inbox = self.inboxes.shared(&inbox).unwrap_or(inbox);
        if let Some(chat) = self.chat(conn) {
            chat.inbox = Some(inbox);
        }
    }

    pub(super) fn open_inbox(
        &mut self,
        conn: ConnId,
        id: Option<&str>,
        replay: Replay,
        out: &mut Vec<Effect>,
    ) {
        let number = self.next_opening();
        let Some((chat, inbox)) = self.chat_and_inbox(conn) else {
            return;
        };
        chat.opening_begins(&inbox, number);
        if self.inboxes.opening_begins(&inbox) {
            out.push(Effect::Follow(Arc::clone(&inbox)));
        }
        self.ask_to_open(conn, id, inbox, number, replay, out);
    }

    pub(super) fn join(
        &mut self,
        conn: ConnId,
        id: Option<&str>,
        room: &RoomName,
        replay: Replay,
        out: &mut Vec<Effect>,
    ) -> Result<(), Problem> {
        let rooms_max = self.config.limits.rooms_per_connection;
        let number = self.next_opening();
        let Some(chat) = self.chat(conn) else {
            return Ok(());
        };
        let is_new = chat.place(room.as_str()).is_none() && !chat.is_opening(room.as_str());
        let of_rooms = chat.under_way().filter(|it| !it.channel.starts_with('@'));
        let joining = of_rooms.filter(|it| chat.place(&it.channel).is_none()).count();
        if is_new && chat.rooms.all().len() + joining >= rooms_max {
            let message =
                format!("You are in {rooms_max} rooms, the most there may be: leave one first.");
            return Err(Problem::new(Code::TooLarge, message));
        }
        if chat.under_way().count() > rooms_max {
            return Err(too_many_wait());
        }
        chat.opening_begins(room.shared(), number);
        if self.rooms.opening_begins(room.shared()) {
            out.push(Effect::Follow(Arc::clone(room.shared())));
        }
        self.ask_to_open(conn, id, Arc::clone(room.shared()), number, replay, out);
        Ok(())
    }

    fn next_opening(&mut self) -> u32 {
        self.openings = self.openings.wrapping_add(1);
        self.openings
    }

    pub(super) fn ask_to_open(
        &self,
        conn: ConnId,
        id: Option<&str>,
        channel: Arc<str>,
        number: u32,
        replay: Replay,
        out: &mut Vec<Effect>,
    ) {
        let newest = matches!(replay, Replay::Last(_));
        let what = What::Open { channel: Arc::clone(&channel), number, newest };
        let limit = self.config.limits.chat.replay;
        out.push(Effect::Open { ask: ask(conn, id, what), channel, replay, limit });
    }

    pub(super) fn leave_room(
        &mut self,
        conn: ConnId,
        id: Option<&str>,
        room: &Arc<str>,
        out: &mut Vec<Effect>,
    ) -> Result<(), Problem> {
        let Some((chat, inbox)) = self.chat_and_inbox(conn) else {
            return Ok(());
        };
        let given_up = chat.give_up(room);
        let place = chat.rooms.remove(room);
        if place.is_none() && given_up == 0 {
            return Err(not_joined());
        }
        for _ in 0..given_up {
            self.channel_opening_ends(room, out);
        }
        if let Some(place) = place {
            self.part(&place, &inbox, out);
        }
        let message = Event::new("left", &mut self.told).id(id).text("room", room).done();
        self.answer(conn, message, out);
        Ok(())
    }

    /// A place is given up for good: who stays is told if the person is gone with it.
    pub(super) fn part(&mut self, place: &Membership, inbox: &Arc<str>, out: &mut Vec<Effect>) {
        self.leave(place, out);
        let change = self.presence.leave(&place.room, inbox, None);
        if change.of_place && self.config.cluster {
            let (room, user) = (RoomName::of_shared(&place.room), UserName::of_inbox(inbox));
            out.push(Effect::Elsewhere(Elsewhere::Left { room, user }));
        }
        if change.of_room {
            self.announce(&place.room, inbox, "leave", out);
        }
    }

    /// An opening of a channel here is over; nobody may be left in it.
    pub(super) fn channel_opening_ends(&mut self, channel: &Arc<str>, out: &mut Vec<Effect>) {
        let gone = if channel.starts_with('@') {
            self.inboxes.opening_ends(channel)
        } else {
            self.rooms.opening_ends(channel)
        };
        if gone {
            out.push(Effect::Unfollow(Arc::clone(channel)));
        }
    }
}

fn too_many_wait() -> Problem {
    let message = "Too many requests to enter wait for their answers: wait for some.";
    Problem::new(Code::RateLimited, message).retry_ms(A_SECOND_MS)
}
