//! Sessions of the chat dialect: what becomes of their requests. What needs the log goes out as a
//! question; its answer comes to `answers`.

use super::session::Chat;
use super::{Effect, Hub, RATE_LIMITED, Role, Session, emptied, send};
use crate::relay::ask::{Asked, What};
use crate::relay::dialect::Form;
use crate::relay::dialect::chat::{self as wire, Op, Request, Target};
use crate::relay::effect::{Kind, Publish, Replay, Shared};
use crate::relay::log::ContentKind;
use crate::relay::notice::{Code, Event, Problem};
use crate::relay::{Ask, ConnId, Elsewhere, RoomName, UserName};
use std::mem;
use std::sync::Arc;
use std::time::Duration;

impl Hub {
    pub(super) fn hear_chat(
        &mut self,
        conn: ConnId,
        kind: Kind,
        bytes: &[u8],
        now: Duration,
        out: &mut Vec<Effect>,
    ) {
        let Some(Session { role: Role::Chat(chat), .. }) = self.sessions.get_mut(conn) else {
            return;
        };
        let limits = self.config.limits;
        let request = wire::hear(kind, bytes, &limits);
        let busy = chat.speaks();
        if let Some(rates) = &self.config.chat_rates
            && let Err(wait) = busy.meter.admit(rates, bytes.len(), now)
        {
            busy.over_rate = busy.over_rate.saturating_add(1);
            self.rate_limited += 1;
            if busy.over_rate >= limits.chat.over_rate {
                return self.expel(conn, RATE_LIMITED, "too many messages", out);
            }
            let (id, seq) = match &request {
                Ok(request) => (request.id, request.op.seq()),
                Err(fault) => (fault.id, fault.seq),
            };
            let message = "You send more than the relay takes: wait \"retry\" ms, then send this again, a message under a new \"seq\".";
            let problem = Problem::new(Code::RateLimited, message).retry_ms(millis_up(wait));
            self.tell_problem(conn, id, seq, &problem, out);
            return;
        }
        // Even a flood has one admitted now and then: that pays for one, not for all.
        busy.over_rate = busy.over_rate.saturating_sub(1);
        match request {
            Ok(request) => self.obey_request(conn, request, out),
            Err(fault) => {
                let forgiven = busy.faults.forgive(limits.chat.faults, now);
                self.tell_problem(conn, fault.id, fault.seq, &fault.problem, out);
                if !forgiven {
                    self.expel(conn, POLICY, "too many messages that mean nothing", out);
                }
            }
        }
        self.told = emptied(mem::take(&mut self.told));
    }

    fn obey_request(&mut self, conn: ConnId, request: Request<'_>, out: &mut Vec<Effect>) {
        let Request { id, op } = request;
        let seq = op.seq();
        let nobody_yet = self.chat(conn).is_some_and(|chat| chat.inbox.is_none());
        if nobody_yet && !matches!(op, Op::Hello { .. }) {
            self.become_user(conn, None);
            self.open_inbox(conn, None, Replay::None, out);
        }
        let done = match op {
            Op::Hello { user, producer, resume } => {
                self.hello(conn, id, user, producer, resume, out)
            }
            Op::Join { room, since, history } => {
                let replay = match (since, history) {
                    (Some(cursor), _) => Replay::After(cursor),
                    (None, Some(0) | None) => Replay::None,
                    (None, Some(last)) => {
                        Replay::Last(self.at_most(last, self.config.limits.chat.replay))
                    }
                };
                self.join(conn, id, &room, replay, out)
            }
            Op::Leave { room } => self.leave_room(conn, id, room.shared(), out),
            Op::Say { room, seq, body } => self.say_kept(conn, id, &room, seq, body, out),
            Op::Tell { to, seq, body } => self.tell(conn, id, &to, seq, body, out),
            Op::Signal { to, body } => self.signal(conn, &to, body, out),
            Op::History { of, before, after, limit } => {
                let limit = limit.map_or(self.config.limits.chat.history, |limit| {
                    self.at_most(limit, self.config.limits.chat.history)
                });
                self.history(conn, id, of.as_ref(), (before, after), limit, out)
            }
            Op::Who { room } => {
                self.who(conn, id, room.as_str(), out);
                Ok(())
            }
            Op::Ping { t } => {
                let event = Event::new("pong", &mut self.told).id(id);
                let event = t.into_iter().fold(event, |event, t| event.json("t", t.as_bytes()));
                let message = event.done();
                self.answer(conn, message, out);
                Ok(())
            }
        };
        if let Err(problem) = done {
            self.tell_problem(conn, id, seq, &problem, out);
        }
    }

    fn say_kept(
        &mut self,
        conn: ConnId,
        id: Option<&str>,
        room: &RoomName,
        seq: Option<u64>,
        body: &str,
        out: &mut Vec<Effect>,
    ) -> Result<(), Problem> {
        let room = room.as_str();
        // Who is coming in may speak: a client that comes back sends what it has at once.
        let known = self.chat(conn).and_then(|chat| {
            let place = chat.place(room).map(|place| &place.room);
            let coming = || chat.under_way().map(|it| &it.channel).find(|it| ***it == *room);
            place.or_else(coming).cloned()
        });
        let room = known.ok_or_else(not_joined)?;
        let what = What::Say { room: Arc::clone(&room), seq };
        self.publish(conn, ask(conn, id, what), vec![room], None, seq, body, out)
    }

    fn tell(
        &mut self,
        conn: ConnId,
        id: Option<&str>,
        to: &UserName,
        seq: Option<u64>,
        body: &str,
        out: &mut Vec<Effect>,
    ) -> Result<(), Problem> {
        let Some((_, inbox)) = self.chat_and_inbox(conn) else {
            return Ok(());
        };
        let theirs = to.inbox();
        let channels = if theirs == inbox { vec![inbox] } else { vec![theirs, inbox] };
        let to = Arc::clone(to.shared());
        let what = What::Tell { to: Arc::clone(&to), seq };
        self.publish(conn, ask(conn, id, what), channels, Some(to), seq, body, out)
    }

    #[allow(clippy::too_many_arguments, reason = "the parts of one message")]
    fn publish(
        &mut self,
        conn: ConnId,
        ask: Ask,
        channels: Vec<Arc<str>>,
        to: Option<Arc<str>>,
        seq: Option<u64>,
        body: &str,
        out: &mut Vec<Effect>,
    ) -> Result<(), Problem> {
        self.count_question(conn)?;
        let session = self.session_name(conn);
        let Some((chat, inbox)) = self.chat_and_inbox(conn) else {
            return Ok(());
        };
        let once = seq.map(|seq| {
            let producer = chat.speaks().producer.get_or_insert_with(|| scoped(&inbox, &session));
            (Arc::clone(producer), seq)
        });
        out.push(Effect::Publish(Publish {
            ask,
            channels,
            from: user_of(&inbox).into(),
            to,
            content: ContentKind::Json,
            body: body.as_bytes().into(),
            once,
            origin: conn,
        }));
        Ok(())
    }

    /// One more question whose answer is owed.
    fn count_question(&mut self, conn: ConnId) -> Result<(), Problem> {
        let max = self.config.limits.chat.unacked;
        if let Some(chat) = self.chat(conn) {
            let busy = chat.speaks();
            if busy.unacked >= max {
                let message = format!("{max} requests wait for their answers: wait for some.");
                return Err(Problem::new(Code::RateLimited, message).retry_ms(A_SECOND_MS));
            }
            busy.unacked += 1;
        }
        Ok(())
    }

    fn signal(
        &mut self,
        conn: ConnId,
        to: &Target,
        body: &str,
        out: &mut Vec<Effect>,
    ) -> Result<(), Problem> {
        let Some((chat, inbox)) = self.chat_and_inbox(conn) else {
            return Ok(());
        };
        let channel = match to {
            Target::Room(room) => {
                let place = chat.place(room.as_str()).ok_or_else(not_joined)?;
                Arc::clone(&place.room)
            }
            Target::User(user) => user.inbox(),
        };
        self.spread_signal(&channel, user_of(&inbox), body.as_bytes(), Some(conn), out);
        if self.config.cluster {
            let (from, body) = (UserName::of_inbox(&inbox), body.as_bytes().into());
            out.push(Effect::Elsewhere(Elsewhere::Signal { channel, from, body }));
        }
        Ok(())
    }

    /// Tells a signal to all sessions here that it is for, but its own.
    pub(super) fn spread_signal(
        &mut self,
        channel: &str,
        from: &str,
        body: &[u8],
        own: Option<ConnId>,
        out: &mut Vec<Effect>,
    ) {
        let receivers = if channel.starts_with('@') {
            self.inboxes.inbox(channel).map(|inbox| inbox.sessions_but(own)).unwrap_or_default()
        } else {
            let members = self.rooms.room(channel).map_or(&[][..], |room| room.members(Form::Chat));
            members.iter().copied().filter(|&member| Some(member) != own).collect()
        };
        if receivers.is_empty() {
            return;
        }
        let event = Event::new("signal", &mut self.told);
        let event = match channel.strip_prefix('@') {
            Some(user) => event.text("to", user),
            None => event.text("room", channel),
        };
        send(receivers, event.text("from", from).json("body", body).done(), out);
    }

    fn history(
        &mut self,
        conn: ConnId,
        id: Option<&str>,
        of: Option<&RoomName>,
        (before, after): (Option<u64>, Option<u64>),
        limit: usize,
        out: &mut Vec<Effect>,
    ) -> Result<(), Problem> {
        let Some((chat, inbox)) = self.chat_and_inbox(conn) else {
            return Ok(());
        };
        let channel = match of {
            None => inbox,
            Some(room) => {
                let place = chat.place(room.as_str()).ok_or_else(not_joined)?;
                Arc::clone(&place.room)
            }
        };
        self.count_question(conn)?;
        let what = What::Page { channel: Arc::clone(&channel), newest: after.is_none() };
        out.push(Effect::Read { ask: ask(conn, id, what), channel, before, after, limit });
        Ok(())
    }

    fn who(&mut self, conn: ConnId, id: Option<&str>, room: &str, out: &mut Vec<Effect>) {
        let online = self.presence.online(room);
        let max = self.config.limits.chat.who_members;
        let members = self.presence.people(room).take(max).map(|inbox| user_of(inbox));
        let event = Event::new("who", &mut self.told).id(id).text("room", room);
        let event = event.texts("members", members).count("online", online);
        let message = event.so("more", online > max).done();
        self.answer(conn, message, out);
    }

    pub(super) fn tell_problem(
        &mut self,
        conn: ConnId,
        id: Option<&str>,
        seq: Option<u64>,
        problem: &Problem,
        out: &mut Vec<Effect>,
    ) {
        let message = problem.write(id, seq, None, &mut self.told);
        self.answer(conn, message, out);
    }

    /// Tells one session something, but not before its `hello`.
    pub(super) fn answer(&mut self, conn: ConnId, message: Shared, out: &mut Vec<Effect>) {
        let bytes_max = self.config.limits.chat.replay_bytes;
        let message = match self.chat(conn) {
            Some(chat) => chat.keep_answer(message, bytes_max),
            None => Some(message),
        };
        out.extend(message.map(|message| Effect::Send { to: conn, message }));
    }

    pub(super) fn chat(&mut self, conn: ConnId) -> Option<&mut Chat> {
        match &mut self.sessions.get_mut(conn)?.role {
            Role::Chat(chat) => Some(chat),
            Role::Echo | Role::Plain(..) | Role::Ids(..) => None,
        }
    }

    /// None for who has said nothing yet.
    pub(super) fn chat_and_inbox(&mut self, conn: ConnId) -> Option<(&mut Chat, Arc<str>)> {
        let chat = self.chat(conn)?;
        let inbox = Arc::clone(chat.inbox.as_ref()?);
        Some((chat, inbox))
    }

    /// Unlike any other session's, on any hub, if the hub has an id.
    pub(super) fn session_name(&self, conn: ConnId) -> String {
        match self.config.hub_id {
            0 => base36(conn.0),
            hub => format!("{}-{}", base36(conn.0), base36(hub)),
        }
    }

    fn at_most(&self, asked: u64, max: usize) -> usize {
        usize::try_from(asked).map_or(max, |asked| asked.min(max))
    }
}

impl Op<'_> {
    fn seq(&self) -> Option<u64> {
        match self {
            Op::Say { seq, .. } | Op::Tell { seq, .. } => *seq,
            _ => None,
        }
    }
}

/// §7.4.1 of RFC 6455: a policy is violated.
const POLICY: u16 = 1008;

pub(super) const A_SECOND_MS: u64 = 1000;

pub(super) fn user_of(inbox: &str) -> &str {
    inbox.strip_prefix('@').unwrap_or(inbox)
}

pub(super) fn is_inbox_of(inbox: &str, user: &UserName) -> bool {
    user_of(inbox) == user.as_str()
}

pub(super) fn scoped(inbox: &str, producer: &str) -> Arc<str> {
    format!("{}\n{producer}", user_of(inbox)).into()
}

pub(super) fn not_joined() -> Problem {
    Problem::new(Code::NotJoined, "You are not in this room: join it first.")
}

pub(super) fn ask(conn: ConnId, id: Option<&str>, what: What) -> Ask {
    Ask { conn, request: Some(Box::new(Asked { id: id.map(Into::into), what })) }
}

fn millis_up(wait: Duration) -> u64 {
    u64::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

fn base36(mut number: u64) -> String {
    let mut digits = Vec::new();
    loop {
        digits.extend(char::from_digit((number % 36) as u32, 36));
        number /= 36;
        if number == 0 {
            return digits.iter().rev().collect();
        }
    }
}
