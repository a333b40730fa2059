//! `/chat`, what clients say: one JSON object per text message, `op` names what is asked. Unknown
//! members are ignored, `null` is as good as none, the last of duplicates counts. Knows nobody; what the
//! requests do is the hub's affair, how it answers is `notice`'s.

use crate::relay::effect::Kind;
use crate::relay::json::{self, Value, WHOLE_MAX};
use crate::relay::limits::Limits;
use crate::relay::log::Cursor;
use crate::relay::notice::{Code, Problem};
use crate::relay::{RoomName, UserName};

/// What one message asks for, and under which id.
#[derive(Debug)]
pub(in crate::relay) struct Request<'a> {
    /// As written.
    pub(in crate::relay) id: Option<&'a str>,
    pub(in crate::relay) op: Op<'a>,
}

#[derive(Debug)]
pub(in crate::relay) enum Op<'a> {
    Hello { user: Option<UserName>, producer: Option<String>, resume: Vec<(Target, Cursor)> },
    Join { room: RoomName, since: Option<Cursor>, history: Option<u64> },
    Leave { room: RoomName },
    Say { room: RoomName, seq: Option<u64>, body: &'a str },
    Tell { to: UserName, seq: Option<u64>, body: &'a str },
    Signal { to: Target, body: &'a str },
    History { of: Option<RoomName>, before: Option<u64>, after: Option<u64>, limit: Option<u64> },
    Who { room: RoomName },
    Ping { t: Option<&'a str> },
}

/// A room, or a user's inbox.
#[derive(Debug)]
pub(in crate::relay) enum Target {
    Room(RoomName),
    User(UserName),
}

/// What is wrong with a message, and what its answer repeats.
#[derive(Debug)]
pub(in crate::relay) struct Fault<'a> {
    pub(in crate::relay) id: Option<&'a str>,
    pub(in crate::relay) seq: Option<u64>,
    pub(in crate::relay) problem: Problem,
}

/// Reads a message.
pub(in crate::relay) fn hear<'a>(
    kind: Kind,
    bytes: &'a [u8],
    limits: &Limits,
) -> Result<Request<'a>, Fault<'a>> {
    let fault =
        |code, message: String| Fault { id: None, seq: None, problem: Problem::new(code, message) };
    let bytes_max = limits.chat.message_bytes;
    if bytes.len() > bytes_max {
        let message =
            format!("A message of {} bytes exceeds {bytes_max}: make it shorter.", bytes.len());
        return Err(fault(Code::TooLarge, message));
    }
    if kind == Kind::Binary {
        let message = "Binary messages mean nothing here: send JSON as text.";
        return Err(fault(Code::BadRequest, message.to_owned()));
    }
    let text = str::from_utf8(bytes).ok();
    let Some(members) = text.and_then(|text| Members::read(text, limits.json_depth)) else {
        let message = format!(
            "This is not a JSON object, or nested deeper than {}: send one such as {{\"op\":\"ping\"}}.",
            limits.json_depth
        );
        return Err(fault(Code::BadRequest, message));
    };
    let seq = members.seq.and_then(Value::whole);
    let id = match members.id.map(Value::as_written) {
        Some(id) if id.len() > limits.chat.id_bytes => {
            let message = format!(
                "An id of {} bytes exceeds {}: choose a shorter one.",
                id.len(),
                limits.chat.id_bytes
            );
            return Err(Fault { id: None, seq, problem: Problem::new(Code::BadRequest, message) });
        }
        id => id,
    };
    match members.op(limits) {
        Ok(op) => Ok(Request { id, op }),
        Err(problem) => Err(Fault { id, seq, problem }),
    }
}

/// All members that some request has, as written.
#[derive(Default)]
struct Members<'a> {
    op: Option<Value<'a>>,
    id: Option<Value<'a>>,
    user: Option<Value<'a>>,
    producer: Option<Value<'a>>,
    resume: Option<Value<'a>>,
    room: Option<Value<'a>>,
    since: Option<Value<'a>>,
    history: Option<Value<'a>>,
    to: Option<Value<'a>>,
    seq: Option<Value<'a>>,
    body: Option<Value<'a>>,
    inbox: Option<Value<'a>>,
    before: Option<Value<'a>>,
    after: Option<Value<'a>>,
    limit: Option<Value<'a>>,
    t: Option<Value<'a>>,
}

impl<'a> Members<'a> {
    fn read(text: &'a str, depth_max: u8) -> Option<Self> {
        let mut all = Self::default();
        json::members(text, depth_max, |name, value| {
            let places = [
                ("op", &mut all.op),
                ("id", &mut all.id),
                ("user", &mut all.user),
                ("producer", &mut all.producer),
                ("resume", &mut all.resume),
                ("room", &mut all.room),
                ("since", &mut all.since),
                ("history", &mut all.history),
                ("to", &mut all.to),
                ("seq", &mut all.seq),
                ("body", &mut all.body),
                ("inbox", &mut all.inbox),
                ("before", &mut all.before),
                ("after", &mut all.after),
                ("limit", &mut all.limit),
                ("t", &mut all.t),
            ];
            if let Some((known, place)) = places.into_iter().find(|(known, _)| name.is(known)) {
                // `null` is a body like any other, and an id, and what a clock may say.
                let counts = !value.is_null() || ["body", "id", "t"].contains(&known);
                *place = counts.then_some(value);
            }
        })?;
        Some(all)
    }

    fn op(&self, limits: &Limits) -> Result<Op<'a>, Problem> {
        let op = self.op.and_then(Value::string);
        let op = op.ok_or_else(|| bad(format!("A request needs an \"op\": {OPS}.")))?;
        Ok(match op.as_str() {
            "hello" => self.hello(limits)?,
            "join" => Op::Join {
                room: self.room()?,
                since: self.since.map(|since| cursor("since", since, limits)).transpose()?,
                history: whole("history", self.history)?,
            },
            "leave" => Op::Leave { room: self.room()? },
            "say" => Op::Say { room: self.room()?, seq: self.seq()?, body: self.body(limits)? },
            "tell" => {
                let to = self.to.ok_or_else(|| bad("This needs a \"to\": the name of a user."))?;
                Op::Tell { to: user("to", to)?, seq: self.seq()?, body: self.body(limits)? }
            }
            "signal" => {
                let to = match (self.room, self.to) {
                    (Some(_), None) => Target::Room(self.room()?),
                    (None, Some(to)) => Target::User(user("to", to)?),
                    _ => return Err(bad("A signal needs either a \"room\" or a \"to\".")),
                };
                Op::Signal { to, body: self.body(limits)? }
            }
            "history" => {
                let of = match (self.room, self.inbox.map(Value::as_written)) {
                    (Some(_), None | Some("false")) => Some(self.room()?),
                    (None, Some("true")) => None,
                    _ => {
                        let remedy = "History needs either a \"room\" or \"inbox\":true.";
                        return Err(bad(remedy));
                    }
                };
                Op::History {
                    of,
                    before: whole("before", self.before)?,
                    after: whole("after", self.after)?,
                    limit: whole("limit", self.limit)?,
                }
            }
            "who" => Op::Who { room: self.room()? },
            "ping" => Op::Ping { t: self.t.map(Value::as_written) },
            _ => {
                let message = format!("There is no such \"op\": the relay knows {OPS}.");
                return Err(Problem::new(Code::UnknownOp, message));
            }
        })
    }

    fn hello(&self, limits: &Limits) -> Result<Op<'a>, Problem> {
        let bytes_max = limits.chat.producer_bytes;
        let producer = match self.producer {
            None => None,
            Some(producer) => {
                let plain = producer.string().filter(|producer| {
                    (1..=bytes_max).contains(&producer.len())
                        && !producer.chars().any(char::is_control)
                });
                let problem = || {
                    bad(format!(
                        "A \"producer\" is a string of 1 to {bytes_max} bytes without control characters."
                    ))
                };
                Some(plain.ok_or_else(problem)?)
            }
        };
        let mut resume = Vec::new();
        if let Some(channels) = self.resume {
            let wrong = || {
                bad("\"resume\" is an object of channels: {\"room\":{\"epoch\":1,\"offset\":2}}.")
            };
            let mut all = Ok(());
            let count_max = limits.rooms_per_connection + 1;
            json::members(channels.as_written(), limits.json_depth, |name, value| {
                if all.is_ok() && resume.len() >= count_max {
                    let message =
                        format!("\"resume\" names more than {count_max} channels: name fewer.");
                    all = Err(Problem::new(Code::TooLarge, message));
                }
                if all.is_ok() {
                    let name = name.string();
                    let channel = name.ok_or_else(wrong).and_then(|name| target(&name));
                    match channel.and_then(|it| Ok((it, cursor("resume", value, limits)?))) {
                        Ok(one) => resume.push(one),
                        Err(problem) => all = Err(problem),
                    }
                }
            })
            .ok_or_else(wrong)?;
            all?;
        }
        let user = self.user.map(|name| user("user", name)).transpose()?;
        Ok(Op::Hello { user, producer, resume })
    }

    fn room(&self) -> Result<RoomName, Problem> {
        let room = self.room.ok_or_else(|| bad("This needs a \"room\"."))?;
        room.string()
            .ok_or_else(|| bad("A \"room\" is a string."))
            .and_then(|room| room_name(&room))
    }

    fn seq(&self) -> Result<Option<u64>, Problem> {
        whole("seq", self.seq)
    }

    fn body(&self, limits: &Limits) -> Result<&'a str, Problem> {
        let body = self.body.ok_or_else(|| bad("This needs a \"body\": any JSON value."))?;
        let (body, bytes_max) = (body.as_written(), limits.chat.body_bytes);
        if body.len() > bytes_max {
            let message =
                format!("A body of {} bytes exceeds {bytes_max}: make it shorter.", body.len());
            return Err(Problem::new(Code::TooLarge, message));
        }
        Ok(body)
    }
}

const OPS: &str = "hello, join, leave, say, tell, signal, history, who, ping";

fn bad(message: impl Into<String>) -> Problem {
    Problem::new(Code::BadRequest, message.into())
}

fn room_name(name: &str) -> Result<RoomName, Problem> {
    RoomName::new(name).map_err(|error| bad(format!("No room can have this name: {error}.")))
}

fn user_name(name: &str) -> Result<UserName, Problem> {
    UserName::new(name).map_err(|error| bad(format!("No user can have this name: {error}.")))
}

fn user(member: &str, name: Value<'_>) -> Result<UserName, Problem> {
    let name =
        name.string().ok_or_else(|| bad(format!("\"{member}\" is a string: a user's name.")))?;
    user_name(&name)
}

fn target(channel: &str) -> Result<Target, Problem> {
    match channel.strip_prefix('@') {
        Some(user) => user_name(user).map(Target::User),
        None => room_name(channel).map(Target::Room),
    }
}

fn whole(member: &str, value: Option<Value<'_>>) -> Result<Option<u64>, Problem> {
    let Some(value) = value else {
        return Ok(None);
    };
    let wrong = || bad(format!("\"{member}\" is a whole number from 0 to {WHOLE_MAX}."));
    value.whole().map(Some).ok_or_else(wrong)
}

fn cursor(member: &str, value: Value<'_>, limits: &Limits) -> Result<Cursor, Problem> {
    let (mut epoch, mut offset) = (None, None);
    let read = json::members(value.as_written(), limits.json_depth, |name, value| {
        if name.is("epoch") {
            epoch = value.whole();
        } else if name.is("offset") {
            offset = value.whole();
        }
    });
    match (read, epoch, offset) {
        (Some(()), Some(epoch), Some(offset)) => Ok(Cursor { epoch, offset }),
        _ => {
            let shape = "{\"epoch\":1,\"offset\":2}, both whole numbers as the relay told them";
            Err(bad(format!("A cursor in \"{member}\" is {shape}.")))
        }
    }
}
