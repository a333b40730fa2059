//! Sessions of the chat dialect: what becomes of their requests. What needs the log goes out as a
//! question; its answer comes to `answers`.

use super::{Effect, Hub, RATE_LIMITED, Role, Session, emptied, send};
use crate::relay::ask::{Asked, What};
use crate::relay::dialect::Form;
use crate::relay::dialect::chat::{self as wire, Op, Request, Target};
use crate::relay::effect::{Kind, Publish, Replay, Shared};
use crate::relay::log::{ContentKind, Cursor};
use crate::relay::notice::{Code, Event, Problem};
use crate::relay::places::Places;
use crate::relay::quota::{Faults, Meter};
use crate::relay::room::Membership;
use crate::relay::{Ask, ConnId, Elsewhere, RoomName, UserName};
use std::mem;
use std::sync::Arc;
use std::time::Duration;

/// What is known of a session beyond its meter. Kept small: there are as many as people.
#[derive(Default, Debug)]
pub(super) struct Chat {
    /// Who it is, as `@user`. None until the first request.
    pub(super) inbox: Option<Arc<str>>,
    /// `user\nproducer`: names have no line feeds, so that no two users share one.
    producer: Option<Arc<str>>,
    pub(super) rooms: Places,
    /// What waits for the log; most of the time nothing, and no box.
    waiting: Option<Box<Waiting>>,
    faults: Faults,
    /// Of the last opening.
    number: u32,
    pub(super) unacked: u16,
    over_rate: u16,
    pub(super) in_inbox: bool,
}

/// Never without an opening.
#[derive(Default, Debug)]
struct Waiting {
    openings: Vec<UnderWay>,
    /// Answers that need no log, and must not stand before the first `hello`.
    answers: Vec<Shared>,
}

#[derive(Debug)]
struct UnderWay {
    channel: Arc<str>,
    number: u32,
}

impl Chat {
    /// One of its places is another now.
    pub(super) fn moves_to(&mut self, left: &Membership) {
        if let Some(place) = self.rooms.of_mut(&left.room) {
            place.moves_to(left);
        }
    }

    pub(super) fn place(&self, room: &str) -> Option<&Membership> {
        self.rooms.of(room)
    }

    fn opening_begins(&mut self, channel: &Arc<str>) -> u32 {
        self.number = self.number.wrapping_add(1);
        let one = UnderWay { channel: Arc::clone(channel), number: self.number };
        self.waiting.get_or_insert_default().openings.push(one);
        self.number
    }

    /// What waited for it; `None` if it is given up.
    pub(super) fn opening_ends(&mut self, number: u32) -> Option<Vec<Shared>> {
        let waiting = self.waiting.as_mut()?;
        let at = waiting.openings.iter().position(|it| it.number == number)?;
        let ended = waiting.openings.swap_remove(at);
        let is_inbox = ended.channel.starts_with('@');
        let answers = if is_inbox { mem::take(&mut waiting.answers) } else { Vec::new() };
        if waiting.openings.is_empty() {
            self.waiting = None;
        }
        Some(answers)
    }

    /// Gives up the openings of a room and says how many there were.
    fn give_up(&mut self, room: &str) -> usize {
        let of_room = self.under_way().filter(|it| &*it.channel == room);
        let numbers: Vec<u32> = of_room.map(|it| it.number).collect();
        numbers.into_iter().filter(|&number| self.opening_ends(number).is_some()).count()
    }

    fn under_way(&self) -> impl Iterator<Item = &UnderWay> {
        self.waiting.iter().flat_map(|waiting| &waiting.openings)
    }

    /// Keeps an answer until `hello` is told; returns it if that was, or if too much waits.
    fn keep_answer(&mut self, answer: Shared, bytes_max: usize) -> Option<Shared> {
        let greeted = self.in_inbox || !self.inbox.as_ref().is_some_and(|it| self.is_opening(it));
        let waiting = match &mut self.waiting {
            Some(waiting) if !greeted => waiting,
            _ => return Some(answer),
        };
        let bytes: usize = waiting.answers.iter().map(|it| it.bytes.len()).sum();
        if bytes + answer.bytes.len() > bytes_max {
            return Some(answer);
        }
        waiting.answers.push(answer);
        None
    }

    fn is_opening(&self, channel: &str) -> bool {
        self.under_way().any(|it| &*it.channel == channel)
    }
}

impl Hub {
    pub(super) fn open_chat(
        &mut self,
        conn: ConnId,
        room: Option<RoomName>,
        user: Option<UserName>,
        out: &mut Vec<Effect>,
    ) {
        let role = Role::Chat(Box::default());
        self.sessions.insert(conn, Session { meter: Meter::default(), role });
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
        for under_way in chat.waiting.take().into_iter().flat_map(|waiting| waiting.openings) {
            self.channel_opening_ends(&under_way.channel, out);
        }
        let Some(inbox) = chat.inbox else {
            return;
        };
        if chat.in_inbox && self.inboxes.leave(&inbox, conn) {
            out.push(Effect::Unfollow(Arc::clone(&inbox)));
        }
        for place in chat.rooms.all() {
            self.part(place, &inbox, out);
        }
    }

    pub(super) fn hear_chat(
        &mut self,
        conn: ConnId,
        kind: Kind,
        bytes: &[u8],
        now: Duration,
        out: &mut Vec<Effect>,
    ) {
        let Some(Session { meter, role: Role::Chat(chat) }) = self.sessions.get_mut(&conn) else {
            return;
        };
        let limits = self.config.limits;
        let request = wire::hear(kind, bytes, &limits);
        if let Some(rates) = &self.config.chat_rates
            && let Err(wait) = meter.admit(rates, bytes.len(), now)
        {
            chat.over_rate = chat.over_rate.saturating_add(1);
            if chat.over_rate >= limits.chat.over_rate {
                return self.expel(conn, RATE_LIMITED, "too many messages", out);
            }
            let (id, seq) = match &request {
                Ok(request) => (request.id, request.op.seq()),
                Err(fault) => (fault.id, fault.seq),
            };
            let message =
                "You send more than the relay takes: wait \"retry\" ms, then send this again.";
            let problem = Problem::new(Code::RateLimited, message).retry_ms(millis_up(wait));
            self.tell_problem(conn, id, seq, &problem, out);
            return;
        }
        chat.over_rate = 0;
        match request {
            Ok(request) => self.obey_request(conn, request, out),
            Err(fault) => {
                let forgiven = chat.faults.forgive(limits.chat.faults, now);
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

    fn hello(
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
            chat.producer = Some(scoped(&inbox, &producer));
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
    fn become_user(&mut self, conn: ConnId, user: Option<UserName>) {
        let inbox = match user {
            Some(user) => user.inbox(),
            None => format!("@guest-{}", self.session_name(conn)).into(),
        };
        let inbox = self.inboxes.shared(&inbox).unwrap_or(inbox);
        if let Some(chat) = self.chat(conn) {
            chat.inbox = Some(inbox);
        }
    }

    fn open_inbox(
        &mut self,
        conn: ConnId,
        id: Option<&str>,
        replay: Replay,
        out: &mut Vec<Effect>,
    ) {
        let Some((chat, inbox)) = self.chat_and_inbox(conn) else {
            return;
        };
        let number = chat.opening_begins(&inbox);
        if self.inboxes.opening_begins(&inbox) {
            out.push(Effect::Follow(Arc::clone(&inbox)));
        }
        self.ask_to_open(conn, id, inbox, number, replay, out);
    }

    fn join(
        &mut self,
        conn: ConnId,
        id: Option<&str>,
        room: &RoomName,
        replay: Replay,
        out: &mut Vec<Effect>,
    ) -> Result<(), Problem> {
        let rooms_max = self.config.limits.rooms_per_connection;
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
        let number = chat.opening_begins(room.shared());
        if self.rooms.opening_begins(room.shared()) {
            out.push(Effect::Follow(Arc::clone(room.shared())));
        }
        self.ask_to_open(conn, id, Arc::clone(room.shared()), number, replay, out);
        Ok(())
    }

    fn ask_to_open(
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

    fn leave_room(
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
            let producer = chat.producer.get_or_insert_with(|| scoped(&inbox, &session));
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
            if chat.unacked >= max {
                let message = format!("{max} requests wait for their answers: wait for some.");
                return Err(Problem::new(Code::RateLimited, message).retry_ms(A_SECOND_MS));
            }
            chat.unacked += 1;
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

    /// A place is given up for good: who stays is told if the person is gone with it.
    fn part(&mut self, place: &Membership, inbox: &Arc<str>, out: &mut Vec<Effect>) {
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
        match &mut self.sessions.get_mut(&conn)?.role {
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

const A_SECOND_MS: u64 = 1000;

pub(super) fn user_of(inbox: &str) -> &str {
    inbox.strip_prefix('@').unwrap_or(inbox)
}

fn is_inbox_of(inbox: &str, user: &UserName) -> bool {
    user_of(inbox) == user.as_str()
}

fn scoped(inbox: &str, producer: &str) -> Arc<str> {
    format!("{}\n{producer}", user_of(inbox)).into()
}

pub(super) fn not_joined() -> Problem {
    Problem::new(Code::NotJoined, "You are not in this room: join it first.")
}

fn too_many_wait() -> Problem {
    let message = "Too many requests to enter wait for their answers: wait for some.";
    Problem::new(Code::RateLimited, message).retry_ms(A_SECOND_MS)
}

fn ask(conn: ConnId, id: Option<&str>, what: What) -> Ask {
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
