//! One loop thread: its sockets, its sessions and its hub, a small node of a cluster. What the loop calls
//! is here; what it comes to, by stage, is in `visit` and `talk`.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::answer::Answer;
use super::bridge::Bridge;
use super::client_address::{self, Client, Guest};
use super::common::Common;
use super::crowd::Crowd;
use super::life::{Life, Lives, Name};
use super::metrics::{Ending, Failure, Meter};
use super::proxy_protocol::{self, Announced};
use super::session::{Session, Sessions, Stage, Visit};
use crate::http::{self, Requests};
use crate::net::{Close, Closed, Ctx, Driver, Mail, Peer, Stream, Timer, Token};
use crate::proto::{CloseCode, CloseFrame, Duty};
use crate::relay::{self, ConnId, Effect, Hub};

/// Handshake, and the answer to a close.
pub(super) const DEADLINE: Timer = Timer::First;
/// The next look at a silent peer.
pub(super) const KEEPALIVE: Timer = Timer::Second;
/// When to go on with a connection that was stopped: to be moved, or because others cannot follow.
pub(super) const HELD: Timer = Timer::Third;
/// After SIGTERM, when patience ends.
const GRACE: u32 = 0;
/// Over how long those who are sent away come back: a restart must be no storm.
const RECONNECT_SPREAD: Duration = Duration::from_secs(5);

/// The program inside one loop.
#[derive(Debug)]
pub(super) struct Shard {
    pub(super) number: u8,
    pub(super) common: Arc<Common>,
    pub(super) hub: Hub,
    pub(super) bridge: Bridge,
    pub(super) sessions: Sessions,
    /// Of all loops, by their numbers.
    pub(super) mails: Vec<Mail<Post>>,
    pub(super) draining: bool,
    /// Connections that other loops took in and passed on with the room for them.
    lodgers: HashMap<ConnId, Lodger>,
    /// What is counted here.
    pub(super) meter: Arc<Meter>,
    /// What the log tells of connections.
    pub(super) lives: Lives,
    /// What telling many has cost since a turn began, in the measure that `talk` bounds turns by.
    pub(super) told: usize,
    pub(super) crowd: Crowd,
    /// Scratch, empty between calls.
    pub(super) out: Vec<u8>,
    pub(super) answer: Answer,
    pub(super) effects: Vec<Effect>,
}

/// Whence a connection came that another loop took in.
#[derive(Clone, Copy, Debug)]
struct Lodger {
    /// To whom the room for it is given back.
    from: u8,
    /// What it was called there.
    name: Name,
}

/// What other threads tell a loop.
#[derive(Debug)]
pub(super) enum Post {
    /// Say goodbye to everybody and end.
    Drain,
    /// The broker has something for this node.
    News,
    /// A connection that belongs here.
    Adopt(Box<Moving>),
    /// One connection that was passed on has ended, so that there is room for another here.
    Room,
}

/// A connection on its way from one loop to another.
#[derive(Debug)]
pub(super) struct Moving {
    pub(super) stream: Stream,
    /// What it has said and nobody has answered.
    pub(super) bytes: Vec<u8>,
    /// The loop that took it in.
    pub(super) from: u8,
    pub(super) name: Name,
    pub(super) life: Option<Box<Life>>,
    /// Whom it is from, which the socket may not tell.
    pub(super) guest: Guest,
}

impl Shard {
    /// A loop's program. It serves nobody before [`attach`](Self::attach).
    pub(super) fn new(number: u8, common: Arc<Common>, bridge: Bridge, hub_id: u64) -> Self {
        Self {
            number,
            hub: Hub::new(relay::Config { hub_id, ..common.config.hub.clone() }),
            bridge,
            sessions: Sessions::new(number),
            mails: Vec::new(),
            draining: false,
            lodgers: HashMap::new(),
            meter: common.metrics.meter(number),
            lives: Lives::default(),
            told: 0,
            crowd: Crowd::default(),
            out: Vec::new(),
            answer: Answer::default(),
            effects: Vec::new(),
            common,
        }
    }

    /// Makes the loops known to each other.
    pub(super) fn attach(&mut self, mails: Vec<Mail<Post>>) {
        if let Some(own) = mails.get(usize::from(self.number)) {
            self.bridge.attach(own.clone());
        }
        self.mails = mails;
    }

    /// A new connection, here or from another loop. False if it is turned away.
    fn begin(
        &mut self,
        ctx: &mut Ctx<'_>,
        token: Token,
        guest: Guest,
        lodger: Option<Lodger>,
    ) -> bool {
        let visit = Visit { requests: self.requests(), bytes: Vec::new(), guest };
        ctx.set_timer(token, DEADLINE, self.common.config.handshake_timeout);
        let conn = self.sessions.begin(token, Stage::Visiting(Box::new(visit)));
        if let Some(lodger) = lodger {
            self.lodgers.insert(conn, lodger);
        }
        // Whom a trusted proxy passes on is counted when the request says who that is.
        if !guest.speaks_for_others && !self.admits(conn, guest.client) {
            self.sessions.put(token, Stage::Over(Ending::Address));
            ctx.close(token, Close::Now);
            return false;
        }
        true
    }

    /// What the log calls it.
    pub(super) fn name(&self, conn: ConnId) -> Name {
        self.lodgers.get(&conn).map_or(Name(conn), |lodger| lodger.name)
    }

    /// Lets whoever counts know how the hub stands.
    fn publish(&self) {
        self.meter.rooms.set(self.hub.rooms() as u64);
        self.meter.users.set(self.hub.users() as u64);
        self.meter.sessions.set(self.hub.connections() as u64);
        self.meter.rate_limited.set(self.hub.rate_limited());
    }

    /// Counts a connection in, unless its address has its share.
    pub(super) fn admits(&self, conn: ConnId, client: Client) -> bool {
        let admitted = client.ip.is_none_or(|ip| self.common.admission.admit(conn, ip));
        if !admitted {
            let name = self.name(conn);
            tracing::info!(conn = %name, address = %client, "turned away: this address has its share");
            self.meter.failed(Failure::Address);
        }
        admitted
    }

    /// Waits for the PROXY protocol's header, if the peer may speak it.
    fn await_announcement(&mut self, ctx: &mut Ctx<'_>, token: Token, client: Client) {
        self.sessions.begin(token, Stage::Announcing(Vec::new()));
        if !client_address::is_trusted(client, &self.common.config.trusted_proxies) {
            return self.no_proxy(ctx, token, client, "it is no trusted proxy");
        }
        ctx.set_timer(token, DEADLINE, self.common.config.handshake_timeout);
    }

    /// Hangs up on one that ought to speak the PROXY protocol and does not, or may not.
    fn no_proxy(&mut self, ctx: &mut Ctx<'_>, token: Token, peer: Client, why: &str) {
        let name = self.name(self.sessions.conn(token));
        tracing::info!(conn = %name, address = %peer, reason = why, "turned away");
        self.meter.failed(Failure::Proxy);
        self.sessions.put(token, Stage::Over(Ending::Proxy));
        ctx.close(token, Close::Now);
    }

    /// More bytes of a PROXY protocol's header.
    fn announcing(
        &mut self,
        ctx: &mut Ctx<'_>,
        token: Token,
        mut header: Vec<u8>,
        bytes: &mut [u8],
    ) {
        // Mostly all of it is there.
        let held = header.len();
        header.extend_from_slice(bytes);
        let proxy = Client::of(ctx.remote(token));
        let trusted = &self.common.config.trusted_proxies;
        let (guest, used) = match proxy_protocol::read(&header) {
            Ok(None) => return self.sessions.put(token, Stage::Announcing(header)),
            Ok(Some((Announced::Client(address), used))) => {
                (client_address::guest(address.into(), trusted), used)
            }
            Ok(Some((Announced::Own, used))) => (client_address::guest(proxy, trusted), used),
            Ok(Some((Announced::Unknown, used))) => {
                // Nor is believed what a stranger's requests say.
                (Guest { client: proxy, speaks_for_others: false }, used)
            }
            Err(fault) => return self.no_proxy(ctx, token, proxy, &fault.to_string()),
        };
        if !self.begin(ctx, token, guest, None) {
            return;
        }
        let rest = bytes.get_mut(used.saturating_sub(held)..).unwrap_or_default();
        if !self.start_tls(ctx, token, rest) && !rest.is_empty() {
            self.heard(ctx, token, rest);
        }
    }

    /// Whether the connection speaks TLS from here on; `received` is then taken.
    fn start_tls(&mut self, ctx: &mut Ctx<'_>, token: Token, received: &[u8]) -> bool {
        let Some(tls) =
            self.common.tls.as_ref().filter(|_| Client::of(ctx.remote(token)).ip.is_some())
        else {
            return false;
        };
        if let Err(error) = ctx.start_tls_with(token, tls.current(), received) {
            let name = self.name(self.sessions.conn(token));
            tracing::warn!(conn = %name, %error, "no TLS session");
            ctx.close(token, Close::Now);
        }
        true
    }

    /// The reader of a connection's requests, before its first.
    pub(super) fn requests(&self) -> Requests {
        Requests::new(http::Limits {
            head_bytes_max: self.common.config.head.head_bytes_max,
            fields_max: self.common.config.head.headers_max,
            ..http::Limits::default()
        })
    }

    /// Bytes of a peer, whatever it is to us.
    pub(super) fn heard(&mut self, ctx: &mut Ctx<'_>, token: Token, bytes: &mut [u8]) {
        match self.sessions.take(token) {
            Some((conn, Stage::Visiting(visit))) => self.visit(ctx, token, conn, visit, bytes),
            Some((conn, Stage::Talking(talk))) => self.talk(ctx, token, conn, talk, bytes),
            Some((_, Stage::Announcing(header))) => self.announcing(ctx, token, header, bytes),
            Some((_, Stage::Over(_))) | None => {}
        }
    }

    /// The connection is another's, or nobody's.
    pub(super) fn forget(&mut self, ctx: &mut Ctx<'_>, token: Token) {
        if self.sessions.end(token).is_some() {
            let conn = self.sessions.conn(token);
            self.meter.sockets.sub(1);
            self.common.admission.leave(conn);
            if let Some(lodger) = self.lodgers.remove(&conn) {
                self.give_back_room(ctx, lodger.from);
            }
            self.hub.close(conn, &mut self.effects);
            self.settle(ctx, None);
        }
    }

    /// Takes a connection of another loop, and the room for it: all loops together never have more.
    fn adopt(&mut self, ctx: &mut Ctx<'_>, moving: Moving) {
        let Moving { stream, mut bytes, from, guest, name, life } = moving;
        ctx.set_connections_max(ctx.connections_max() + 1);
        let Ok(token) = ctx.adopt(stream, 0) else {
            self.meter.ended(Ending::Reset);
            return self.give_back_room(ctx, from);
        };
        self.lives.put(token, life);
        self.meter.sockets.add(1);
        if self.begin(ctx, token, guest, Some(Lodger { from, name })) {
            self.heard(ctx, token, &mut bytes);
        }
    }

    fn give_back_room(&mut self, ctx: &mut Ctx<'_>, to: u8) {
        // Where nobody takes it the room stays here and is not lost.
        let mail = self.mails.get(usize::from(to));
        if mail.is_some_and(|mail| mail.post(Post::Room).is_ok()) {
            ctx.set_connections_max(ctx.connections_max().saturating_sub(1));
        }
    }

    fn drain(&mut self, ctx: &mut Ctx<'_>) {
        self.draining = true;
        ctx.stop_listening();
        ctx.set_alarm(GRACE, self.common.config.grace);
        let loops = u8::try_from(self.mails.len()).unwrap_or(u8::MAX);
        self.hub.drain(RECONNECT_SPREAD, self.number, loops, &mut self.effects);
        self.settle(ctx, None);
        let goodbye =
            CloseFrame { code: CloseCode::GOING_AWAY, reason: "the server is going down" };
        let mut talking = Vec::new();
        for session in self.sessions.iter() {
            match &session.stage {
                Stage::Talking(_) => talking.push(self.sessions.conn(session.token)),
                // Who has asked is told; who has not, or who leaves already, needs no word.
                Stage::Visiting(visit) if visit.requests.is_busy() => {}
                Stage::Visiting(_) | Stage::Announcing(_) => {
                    ctx.close(session.token, Close::Flush);
                }
                Stage::Over(_) => {}
            }
        }
        for conn in talking {
            self.close(ctx, conn, Some(goodbye), Ending::Draining);
        }
        self.end_if_alone(ctx, 0);
    }

    fn end_if_alone(&self, ctx: &mut Ctx<'_>, leaving: usize) {
        if self.draining && ctx.connections() <= leaving {
            ctx.stop();
        }
    }

    /// The next look at a silent peer.
    fn keep_alive(&mut self, ctx: &mut Ctx<'_>, token: Token) {
        let name = self.name(self.sessions.conn(token));
        let Some(Session { stage: Stage::Talking(talk), .. }) = self.sessions.of(token) else {
            return;
        };
        let now = ctx.now();
        let (ping_after, pong_wait) =
            (self.common.config.ping_interval, self.common.config.pong_wait);
        // A peer that has much to take is not read from, so its pongs wait; whether it takes
        // anything is the loop's to watch. Who is in the midst of a long message is not heard either.
        if ctx.queued(token) > 0 || ctx.has_gathered(token) {
            talk.keepalive.heard(now);
        }
        let mut duty = talk.keepalive.duty(ping_after, pong_wait, now);
        if duty == Duty::Ping {
            let mut out = Vec::new();
            if talk.connection.split_mut().1.ping(b"", &mut out).is_ok() {
                self.meter.pings_said.add(1);
                ctx.send_owned(token, &mut out);
            }
            duty = talk.keepalive.duty(ping_after, pong_wait, now);
        }
        match duty {
            // An answer brings the next ping nearer than the end that is due without one.
            Duty::WaitUntil(due) => {
                ctx.set_timer(token, KEEPALIVE, due.saturating_sub(now).min(ping_after));
            }
            Duty::Ping | Duty::GiveUp => {
                talk.ends(Ending::Silent);
                tracing::debug!(conn = %name, "silent for too long, given up");
                ctx.close(token, Close::Now);
            }
        }
    }
}

impl Driver for Shard {
    type Mail = Post;

    fn accepted(&mut self, ctx: &mut Ctx<'_>, token: Token, _: usize, peer: Peer) {
        self.meter.sockets.add(1);
        self.meter.accepted.add(1);
        self.lives.begin(token, Name(self.sessions.conn(token)), Some(peer));
        let client = Client::of(Some(peer));
        if self.common.config.proxy_protocol {
            return self.await_announcement(ctx, token, client);
        }
        let guest = client_address::guest(client, &self.common.config.trusted_proxies);
        if self.begin(ctx, token, guest, None) {
            self.start_tls(ctx, token, &[]);
        }
    }

    fn received(&mut self, ctx: &mut Ctx<'_>, token: Token, bytes: &mut [u8]) {
        self.heard(ctx, token, bytes);
    }

    fn drained(&mut self, ctx: &mut Ctx<'_>, token: Token) {
        // Requests may wait that there was no room to answer.
        if let Some(Session { stage: Stage::Visiting(_), .. }) = self.sessions.of(token) {
            self.heard(ctx, token, &mut []);
            self.publish();
        }
    }

    fn finished(&mut self, ctx: &mut Ctx<'_>, token: Token) {
        if let Some(Session { stage: Stage::Talking(talk), .. }) = self.sessions.of(token) {
            talk.ends(Ending::Left);
        }
        ctx.close(token, Close::Flush);
    }

    fn turn_ended(&mut self, _: &mut Ctx<'_>) {
        self.publish();
    }

    fn closed(&mut self, ctx: &mut Ctx<'_>, token: Token, why: Closed) {
        if let Some(session) = self.sessions.of(token) {
            let why = session.ending(why);
            if why == Ending::Tls && matches!(session.stage, Stage::Visiting(_)) {
                self.meter.failed(Failure::Tls);
            }
            if let Stage::Talking(talk) = &session.stage {
                self.meter.gone(talk.dialect);
            }
            self.meter.ended(why);
            self.lives.end(token, self.name(self.sessions.conn(token)), why);
        }
        self.forget(ctx, token);
        self.publish();
        self.end_if_alone(ctx, 1);
    }

    fn timer(&mut self, ctx: &mut Ctx<'_>, token: Token, timer: Timer) {
        match timer {
            KEEPALIVE => self.keep_alive(ctx, token),
            HELD => self.go_on(ctx, token),
            DEADLINE => match self.sessions.of(token).map(|it| &it.stage) {
                Some(Stage::Visiting(visit)) => {
                    let busy = visit.requests.is_busy();
                    self.visit_expired(ctx, token, busy);
                }
                Some(Stage::Announcing(_)) => {
                    self.turned(self.sessions.conn(token), Failure::Timeout);
                    self.sessions.put(token, Stage::Over(Ending::Timeout));
                    ctx.close(token, Close::Now);
                }
                _ => ctx.close(token, Close::Now),
            },
        }
    }

    fn alarm(&mut self, ctx: &mut Ctx<'_>, _: u32) {
        ctx.stop();
    }

    fn message(&mut self, ctx: &mut Ctx<'_>, mail: Post) {
        match mail {
            Post::Drain => self.drain(ctx),
            Post::News => {
                self.bridge.rang();
                self.settle(ctx, None);
            }
            Post::Adopt(moving) => self.adopt(ctx, *moving),
            Post::Room => ctx.set_connections_max(ctx.connections_max() + 1),
        }
    }

    fn accept_failed(&mut self, _: &mut Ctx<'_>, _: usize, error: &io::Error) {
        tracing::warn!(%error, "cannot accept connections for now; raise the limit of open files (ulimit -n)");
    }
}
