//! What the loop calls: bytes in, sessions on, effects out. Holds no policy of its own but the order
//! in which things are said.

use std::net::IpAddr;
use std::sync::Arc;

use super::config::Config;
use super::page;
use super::route::Route;
use super::session::{Opening, Session, Stage};
use crate::net::{Close, Closed, Ctx, Driver, Peer, Sent, Timer, Token};
use crate::proto::handshake::{Answer, Refusal, Request, RequestReader};
use crate::proto::{
    self, CloseCode, CloseFrame, Connection, Duty, Event, Input, Keepalive, Message, Outbound,
    Prepared, Transport,
};
use crate::relay::{self, ConnId, Effect, Hub, Kind, Shared};

/// Handshake, and the answer to a close.
const DEADLINE: Timer = Timer::First;
/// The next look at a silent peer.
const KEEPALIVE: Timer = Timer::Second;
/// After SIGTERM, when patience ends.
const GRACE: u32 = 0;

/// The program inside the loop.
#[derive(Debug)]
pub(super) struct Harbour {
    config: Config,
    codec: Arc<proto::Config>,
    hub: Hub,
    /// By the token's index.
    sessions: Vec<Option<Session>>,
    opened: u64,
    draining: bool,
    /// Scratch, empty between calls.
    out: Vec<u8>,
    effects: Vec<Effect>,
}

/// What other threads tell the loop.
#[derive(Debug)]
pub(super) enum Post {
    /// Say goodbye to everybody and end.
    Drain,
}

/// What a whole request came to.
enum Verdict {
    /// The 101 is in `out`, the greeting in `effects`; frames begin here.
    Open(Connection, usize),
    /// An ordinary answer is in `out`.
    Answered,
}

impl Harbour {
    pub(super) fn new(config: Config) -> Self {
        Self {
            codec: Arc::new(config.codec.clone()),
            hub: Hub::new(config.hub.clone()),
            config,
            sessions: Vec::new(),
            opened: 0,
            draining: false,
            out: Vec::new(),
            effects: Vec::new(),
        }
    }

    fn session(&mut self, token: Token) -> Option<&mut Session> {
        let session = self.sessions.get_mut(token.index())?.as_mut()?;
        (session.token == token).then_some(session)
    }

    /// The session's stage, taken out so that the rest of the harbour can be used beside it.
    fn take(&mut self, token: Token) -> Option<(ConnId, Stage)> {
        let session = self.session(token)?;
        Some((session.conn, std::mem::replace(&mut session.stage, Stage::Over)))
    }

    fn put(&mut self, token: Token, stage: Stage) {
        if let Some(session) = self.session(token) {
            session.stage = stage;
        }
    }

    /// The request so far, and perhaps the first frames after it.
    fn opening(
        &mut self,
        ctx: &mut Ctx<'_>,
        token: Token,
        conn: ConnId,
        mut opening: Box<Opening>,
        bytes: &[u8],
    ) {
        let Opening { reader, head } = &mut *opening;
        head.extend_from_slice(bytes);
        let verdict = match reader.read(head) {
            Ok(None) => {
                self.put(token, Stage::Opening(opening));
                return;
            }
            Ok(Some(request)) => self.judge(ctx, token, conn, &request),
            Err(error) => Err(error.into()),
        };
        let (connection, head_len) = match verdict {
            Ok(Verdict::Open(connection, head_len)) => (connection, head_len),
            Ok(Verdict::Answered) => return self.part(ctx, token),
            Err(refusal) => {
                refusal.write(&mut self.out);
                return self.part(ctx, token);
            }
        };
        ctx.send_owned(token, &mut self.out);
        ctx.clear_timer(token, DEADLINE);
        ctx.set_timer(token, KEEPALIVE, self.config.ping_interval);
        let keepalive = Keepalive::new(self.config.ping_interval, self.config.pong_wait, ctx.now());
        self.put(token, Stage::Open(connection, keepalive));
        self.perform(ctx, None);
        let mut frames = head.split_off(head_len);
        if !frames.is_empty() {
            self.received(ctx, token, &mut frames);
        }
    }

    /// Sends what is in `out` as the last word. What else the client has to say must not turn it into a reset.
    fn part(&mut self, ctx: &mut Ctx<'_>, token: Token) {
        ctx.send_owned(token, &mut self.out);
        self.out.clear();
        ctx.clear_timer(token, DEADLINE);
        ctx.close(token, Close::Linger);
    }

    /// Judges a whole request.
    fn judge(
        &mut self,
        ctx: &Ctx<'_>,
        token: Token,
        conn: ConnId,
        request: &Request<'_>,
    ) -> Result<Verdict, Refusal> {
        if !request.wants_websocket() && page::answer(request, self.draining, &mut self.out) {
            return Ok(Verdict::Answered);
        }
        let upgrade = request.upgrade()?;
        let origins = &self.config.origins;
        if let Some(origin) = request.origin()
            && !origins.is_empty()
            && !origins.iter().any(|allowed| allowed.eq_ignore_ascii_case(origin))
        {
            return Err(Refusal::new(403, "this origin may not connect"));
        }
        if self.draining {
            return Err(Refusal::new(503, "the server is going down, try again soon"));
        }
        let route = Route::of(request);
        let mut connection = Connection::server(Arc::clone(&self.codec));
        let agreed = self.codec.deflate.as_ref().and_then(|policy| upgrade.deflate(policy));
        if let (Some((params, _)), Some(policy)) = (&agreed, &self.codec.deflate) {
            connection.enable_deflate(params, policy);
        }
        let answer = Answer {
            subprotocol: upgrade.first_subprotocol(),
            extensions: agreed.as_ref().map(|(_, header)| &**header),
            ..Answer::default()
        };
        upgrade
            .accept(&answer, &mut self.out)
            .map_err(|error| Refusal::new(500, error.to_string()))?;
        let (address, port) = match ctx.remote(token) {
            Some(Peer::Tcp(address)) => (shown(address.ip()), address.port()),
            _ => ("unix".to_owned(), 0),
        };
        let opening = relay::Opening {
            dialect: route.dialect,
            room: route.room.as_deref(),
            user: route.user.as_deref(),
            remote_addr: &address,
            remote_port: port,
            kept: false,
        };
        if let Err(error) = self.hub.open(conn, &opening, &mut self.effects) {
            self.out.clear();
            return Err(Refusal::new(400, error.to_string()));
        }
        Ok(Verdict::Open(connection, request.head_len()))
    }

    /// Bytes of an open WebSocket.
    fn talk(
        &mut self,
        ctx: &mut Ctx<'_>,
        token: Token,
        conn: ConnId,
        connection: &mut Connection,
        bytes: &mut [u8],
    ) {
        let mut out = std::mem::take(&mut self.out);
        let (rx, tx) = connection.split_mut();
        let mut input = Input::new(bytes);
        loop {
            let (kind, payload) = match rx.next(&mut input, tx, &mut out) {
                Ok(Some(Event::Text(text))) => (Kind::Text, text.as_bytes()),
                Ok(Some(Event::Binary(bytes))) => (Kind::Binary, bytes),
                Ok(Some(Event::Ping(_) | Event::Pong(_))) => continue,
                Ok(Some(Event::Close(_))) | Err(_) => {
                    // The answer, or the reason, is in `out`; the others need not wait for TCP.
                    self.hub.close(conn, &mut self.effects);
                    continue;
                }
                Ok(None) => break,
            };
            self.hub.message(conn, kind, payload, ctx.now(), &mut self.effects);
            // At once: what is owed to this peer stands before what the next message brings.
            self.perform(ctx, Some(Own { conn, tx, out: &mut out }));
        }
        self.perform(ctx, None);
        if !out.is_empty() && ctx.send_owned(token, &mut out) == Sent::Full {
            too_slow(ctx, token, tx, &mut out);
        }
        out.clear();
        self.out = out;
        match connection.transport() {
            Transport::KeepOpen | Transport::AwaitPeerClose => {}
            Transport::FlushThenClose => ctx.close(token, Close::Flush),
            Transport::FlushThenShutdownWrite => ctx.close(token, Close::Linger),
        }
    }

    /// Does what the hub wants done. `own`: the session that is being heard, which is not in its place.
    fn perform(&mut self, ctx: &mut Ctx<'_>, mut own: Option<Own<'_>>) {
        let mut effects = std::mem::take(&mut self.effects);
        for effect in effects.drain(..) {
            match effect {
                Effect::Send { to, message } => {
                    let Some(message) = as_message(&message) else { continue };
                    match &mut own {
                        Some(own) if own.conn == to => own.message(message),
                        _ => self.send(ctx, to, message),
                    }
                }
                Effect::SendMany { to, message } => {
                    let Some(message) = as_message(&message) else { continue };
                    let prepared = self.prepare(message);
                    for to in to {
                        match &mut own {
                            Some(own) if own.conn == to => own.message(message),
                            _ => self.send_prepared(ctx, to, &prepared),
                        }
                    }
                }
                Effect::Close { conn, code, reason } => {
                    let frame = CloseCode::new(code).map(|code| CloseFrame { code, reason });
                    match &mut own {
                        Some(own) if own.conn == conn => own.close(frame),
                        _ => self.close(ctx, conn, frame),
                    }
                }
                // One loop has one hub, and no broker yet.
                Effect::Elsewhere(_)
                | Effect::Introduce { .. }
                | Effect::Follow(_)
                | Effect::Unfollow(_)
                | Effect::Publish(_)
                | Effect::Open { .. }
                | Effect::Read { .. } => {}
            }
        }
        self.effects = effects;
    }

    /// Encodes a message for many, and compresses it once if that is on.
    fn prepare(&self, message: Message<'_>) -> Prepared {
        let prepared = Prepared::new(message);
        match &self.codec.deflate {
            Some(policy) if message.as_bytes().len() >= policy.compress_from => {
                prepared.with_deflate(policy.server_max_window_bits, policy.level)
            }
            _ => prepared,
        }
    }

    fn open_session(&mut self, conn: ConnId) -> Option<(Token, &mut Connection)> {
        let index = usize::try_from(conn.0 & u64::from(u32::MAX)).ok()?;
        let session = self.sessions.get_mut(index)?.as_mut()?;
        match &mut session.stage {
            Stage::Open(connection, _) if session.conn == conn => Some((session.token, connection)),
            _ => None,
        }
    }

    fn send(&mut self, ctx: &mut Ctx<'_>, to: ConnId, message: Message<'_>) {
        if let Some((token, connection)) = self.open_session(to) {
            let (_, tx) = connection.split_mut();
            let mut out = Vec::new();
            if write(tx, message, &mut out) && ctx.send_owned(token, &mut out) == Sent::Full {
                too_slow(ctx, token, tx, &mut out);
            }
        }
    }

    fn send_prepared(&mut self, ctx: &mut Ctx<'_>, to: ConnId, prepared: &Prepared) {
        if let Some((token, connection)) = self.open_session(to) {
            let (_, tx) = connection.split_mut();
            let sent = tx.shared(prepared).map(|bytes| ctx.send_shared(token, Arc::clone(bytes)));
            if sent == Ok(Sent::Full) {
                too_slow(ctx, token, tx, &mut Vec::new());
            }
        }
    }

    fn close(&mut self, ctx: &mut Ctx<'_>, conn: ConnId, frame: Option<CloseFrame<'_>>) {
        let timeout = self.config.close_timeout;
        if let Some((token, connection)) = self.open_session(conn) {
            let mut out = Vec::new();
            if connection.split_mut().1.close(frame, &mut out).is_ok() {
                ctx.send_owned(token, &mut out);
                ctx.set_timer(token, DEADLINE, timeout);
            }
        }
    }

    fn drain(&mut self, ctx: &mut Ctx<'_>) {
        self.draining = true;
        ctx.stop_listening();
        ctx.set_alarm(GRACE, self.config.grace);
        let goodbye =
            CloseFrame { code: CloseCode::GOING_AWAY, reason: "the server is going down" };
        let conns: Vec<ConnId> = self.sessions.iter().flatten().map(|it| it.conn).collect();
        for conn in conns {
            self.close(ctx, conn, Some(goodbye));
        }
        self.end_if_alone(ctx, 0);
    }

    fn end_if_alone(&self, ctx: &mut Ctx<'_>, leaving: usize) {
        if self.draining && ctx.connections() <= leaving {
            ctx.stop();
        }
    }
}

impl Driver for Harbour {
    type Mail = Post;

    fn accepted(&mut self, ctx: &mut Ctx<'_>, token: Token, _: usize, _: Peer) {
        let index = token.index();
        if self.sessions.len() <= index {
            self.sessions.resize_with(index + 1, || None);
        }
        // The index finds the session, the count tells it from those that had its place before.
        self.opened += 1;
        let conn = ConnId(self.opened << 32 | index as u64);
        let opening = Opening { reader: RequestReader::new(self.config.head), head: Vec::new() };
        let stage = Stage::Opening(Box::new(opening));
        self.sessions[index] = Some(Session { token, conn, stage });
        ctx.set_timer(token, DEADLINE, self.config.handshake_timeout);
    }

    fn received(&mut self, ctx: &mut Ctx<'_>, token: Token, bytes: &mut [u8]) {
        match self.take(token) {
            Some((conn, Stage::Opening(opening))) => {
                self.opening(ctx, token, conn, opening, bytes);
            }
            Some((conn, Stage::Open(mut connection, mut keepalive))) => {
                keepalive.heard(ctx.now());
                self.talk(ctx, token, conn, &mut connection, bytes);
                self.put(token, Stage::Open(connection, keepalive));
            }
            Some((_, Stage::Over)) | None => {}
        }
    }

    fn closed(&mut self, ctx: &mut Ctx<'_>, token: Token, _: Closed) {
        if let Some(session) = self.session(token) {
            let conn = session.conn;
            self.sessions[token.index()] = None;
            self.hub.close(conn, &mut self.effects);
            self.perform(ctx, None);
        }
        self.end_if_alone(ctx, 1);
    }

    fn timer(&mut self, ctx: &mut Ctx<'_>, token: Token, timer: Timer) {
        let Some(session) = self.session(token) else {
            return;
        };
        match (&mut session.stage, timer) {
            (Stage::Open(connection, keepalive), KEEPALIVE) => {
                let now = ctx.now();
                // A peer that has much to take is not read from, so its pongs wait; whether it takes
                // anything is the loop's to watch.
                if ctx.queued(token) > 0 {
                    keepalive.heard(now);
                }
                let mut duty = keepalive.duty(now);
                if duty == Duty::Ping {
                    let mut out = Vec::new();
                    if connection.split_mut().1.ping(b"", &mut out).is_ok() {
                        ctx.send_owned(token, &mut out);
                    }
                    duty = keepalive.duty(now);
                }
                match duty {
                    Duty::WaitUntil(due) => {
                        ctx.set_timer(token, KEEPALIVE, due.saturating_sub(now));
                    }
                    Duty::Ping | Duty::GiveUp => ctx.close(token, Close::Now),
                }
            }
            (Stage::Opening(_), DEADLINE) => {
                session.stage = Stage::Over;
                Refusal::new(408, "the request took too long").write(&mut self.out);
                self.part(ctx, token);
            }
            (_, DEADLINE) => ctx.close(token, Close::Now),
            _ => {}
        }
    }

    fn alarm(&mut self, ctx: &mut Ctx<'_>, _: u32) {
        ctx.stop();
    }

    fn message(&mut self, ctx: &mut Ctx<'_>, Post::Drain: Post) {
        self.drain(ctx);
    }
}

/// The session that is being heard: what it is sent goes where its pongs go, so that order holds.
struct Own<'a> {
    conn: ConnId,
    tx: &'a mut Outbound,
    out: &'a mut Vec<u8>,
}

impl Own<'_> {
    fn message(&mut self, message: Message<'_>) {
        write(self.tx, message, self.out);
    }

    fn close(&mut self, frame: Option<CloseFrame<'_>>) {
        // A second close is no error: it is closing.
        let _ = self.tx.close(frame, self.out);
    }
}

/// Whether it could be said: not after a close.
fn write(tx: &mut Outbound, message: Message<'_>, out: &mut Vec<u8>) -> bool {
    match message {
        Message::Text(text) => tx.text(text, out).is_ok(),
        Message::Binary(bytes) => tx.binary(bytes, out).is_ok(),
    }
}

/// What the hub hands out as text is UTF-8, since only that came in.
fn as_message(shared: &Shared) -> Option<Message<'_>> {
    match shared.kind {
        Kind::Text => std::str::from_utf8(&shared.bytes).ok().map(Message::Text),
        Kind::Binary => Some(Message::Binary(&shared.bytes)),
    }
}

/// A peer that does not read: what waits is dropped but for the frame under way, and it is told to come back.
fn too_slow(ctx: &mut Ctx<'_>, token: Token, tx: &mut Outbound, out: &mut Vec<u8>) {
    out.clear();
    ctx.discard_unsent(token);
    let frame = CloseFrame { code: CloseCode::TRY_AGAIN_LATER, reason: "too slow" };
    if tx.close(Some(frame), out).is_ok() {
        ctx.send_owned(token, out);
    }
    ctx.close(token, Close::Linger);
}

/// An address as ws shows it on a socket for both families: `::ffff:127.0.0.1`.
fn shown(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_string(),
        IpAddr::V6(address) => address.to_string(),
    }
}
