//! A connection while it speaks HTTP: pages and health, and the request that makes it a WebSocket.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::SystemTime;

use super::client_address::{self, Client, Guest};
use super::metrics::{self, Audience, Ending, Failure, Format};
use super::route::Route;
use super::session::{Stage, Talk, Visit};
use super::shard::{DEADLINE, HELD, KEEPALIVE, Moving, Post, Shard};
use crate::http::{self, Event, Framing, Head, Reply, Served, Status};
use crate::net::{Close, Ctx, Token};
use crate::proto::handshake::{Answer, Refusal, Request, RequestError};
use crate::proto::{Connection, Keepalive};
use crate::relay::{self, ConnId, Dialect};

/// What a request came to.
enum Verdict {
    /// The response is in `out`, and these bytes follow it.
    Answered(http::Answer, Option<Arc<[u8]>>),
    /// The last response is in `out`.
    Parting(Ending),
    /// The 101 is in `out`, the greeting among the effects; frames begin behind the head.
    Open(Talk),
    /// Another loop has to judge it.
    Elsewhere,
}

/// Why there is no WebSocket, and how that is told.
struct Turned(Failure, Refusal);

impl From<RequestError> for Turned {
    fn from(error: RequestError) -> Self {
        Self(Failure::from(&error), error.into())
    }
}

impl Shard {
    /// More bytes of a visitor, or (`bytes` empty) room for more answers.
    pub(super) fn visit(
        &mut self,
        ctx: &mut Ctx<'_>,
        token: Token,
        conn: ConnId,
        mut visit: Box<Visit>,
        bytes: &[u8],
    ) {
        visit.bytes.extend_from_slice(bytes);
        let mut used = 0;
        loop {
            // Answers may be much larger than requests: who does not take them gets no more of them.
            if ctx.queued(token) >= ANSWERS_BYTES_MAX {
                break;
            }
            let step = match visit.requests.next(visit.bytes.get(used..).unwrap_or_default()) {
                Ok(step) => step,
                Err(fault) => {
                    http::refuse(&mut self.out, fault);
                    self.turned(conn, Failure::from(fault));
                    return self.part(ctx, token, Ending::Refused);
                }
            };
            let begun = used;
            used += step.used;
            match step.event {
                Event::Head(head) => match self.judge(ctx, token, conn, visit.guest, &head) {
                    Verdict::Answered(answer, body) => {
                        ctx.send_owned(token, &mut self.out);
                        if let Some(body) = body {
                            ctx.send_shared(token, body);
                        }
                        // A request without a body ends with its head.
                        let _ = visit.requests.next(&[]);
                        if !visit.requests.answered(answer) {
                            return self.part(ctx, token, Ending::Http);
                        }
                        ctx.set_timer(token, DEADLINE, self.common.config.handshake_timeout);
                    }
                    Verdict::Parting(why) => return self.part(ctx, token, why),
                    Verdict::Open(talk) => {
                        self.meter.opened(talk.dialect);
                        ctx.send_owned(token, &mut self.out);
                        ctx.clear_timer(token, DEADLINE);
                        ctx.set_timer(token, KEEPALIVE, self.common.config.ping_interval);
                        self.sessions.put(token, Stage::Talking(talk));
                        self.settle(ctx, None);
                        let mut frames = visit.bytes.split_off(used);
                        if !frames.is_empty() {
                            self.heard(ctx, token, &mut frames);
                        }
                        return;
                    }
                    Verdict::Elsewhere => {
                        visit.bytes.drain(..begun);
                        return self.hand_over(ctx, token, visit);
                    }
                },
                // Requests with bodies are refused with their heads.
                Event::Body(_) | Event::End => {}
                Event::More | Event::Wait | Event::Over => break,
            }
        }
        visit.bytes.drain(..used);
        if visit.bytes.is_empty() {
            // An idle visitor holds no buffer.
            visit.bytes = Vec::new();
        }
        self.sessions.put(token, Stage::Visiting(visit));
    }

    /// Sends what is in `out` as the last word. What else the client has to say must not turn it into a reset.
    pub(super) fn part(&mut self, ctx: &mut Ctx<'_>, token: Token, why: Ending) {
        self.sessions.put(token, Stage::Over(why));
        ctx.send_owned(token, &mut self.out);
        self.out.clear();
        ctx.clear_timer(token, DEADLINE);
        ctx.close(token, Close::Linger);
    }

    /// A visitor took too long.
    pub(super) fn visit_expired(&mut self, ctx: &mut Ctx<'_>, token: Token, busy: bool) {
        let handshaking = ctx.is_handshaking(token);
        let why = if busy || handshaking { Ending::Timeout } else { Ending::Http };
        if why == Ending::Timeout {
            self.turned(self.sessions.conn(token), Failure::Timeout);
        }
        if handshaking {
            // Nothing can be said before TLS is agreed on.
            self.sessions.put(token, Stage::Over(why));
            return ctx.close(token, Close::Now);
        }
        if busy {
            Refusal::new(408, "the request took too long").write(&mut self.out);
        }
        self.part(ctx, token, why);
    }

    /// Passes the connection to the loop whose hub knows everybody of its dialect.
    pub(super) fn hand_over(&mut self, ctx: &mut Ctx<'_>, token: Token, mut visit: Box<Visit>) {
        match ctx.release(token) {
            Some(stream) => {
                let name = self.name(self.sessions.conn(token));
                let life = self.lives.take(token);
                self.forget(ctx, token);
                let (bytes, guest) = (visit.bytes, visit.guest);
                let moving = Moving { stream, bytes, from: self.number, guest, name, life };
                let post = self.mails.first().map(|mail| mail.post(Post::Adopt(Box::new(moving))));
                // If that loop has ended, or is swamped, the socket closes here. Else the room for
                // another goes with it and comes back at its end.
                if matches!(post, Some(Ok(()))) {
                    ctx.set_connections_max(ctx.connections_max().saturating_sub(1));
                } else {
                    tracing::debug!(conn = %name, "hung up on: its loop takes no more");
                    self.meter.ended(Ending::Reset);
                }
            }
            None => {
                // An answer is still on its way; the request waits for it to leave, and is read anew then.
                visit.requests = self.requests();
                ctx.pause(token);
                ctx.set_timer(token, HELD, MOVE_RETRY);
                self.sessions.put(token, Stage::Visiting(visit));
            }
        }
    }

    fn judge(
        &mut self,
        ctx: &Ctx<'_>,
        token: Token,
        conn: ConnId,
        guest: Guest,
        head: &Head<'_>,
    ) -> Verdict {
        let request =
            Request::from_parts(head.method(), head.target(), head.minor(), head.fields());
        let route = Route::of(&self.common.config.paths, request.path(), request.query());
        let ours = || {
            self.common.files.has(head.path())
                || HEALTH.contains(&head.path())
                || self.shows_metrics(ctx, token, guest, head)
        };
        let door = self.common.config.paths.own_door(request.path());
        if !request.wants_websocket() && (door.is_none() || ours()) {
            return self.answer(ctx, token, guest, head);
        }
        match self.welcome(ctx, token, guest, head, &request, route) {
            Ok(verdict) => verdict,
            Err(Turned(why, refusal)) => {
                self.out.clear();
                self.turned(conn, why);
                refusal.write(&mut self.out);
                Verdict::Parting(Ending::Refused)
            }
        }
    }

    /// Counts somebody who gets no WebSocket.
    pub(super) fn turned(&self, conn: ConnId, why: Failure) {
        self.meter.failed(why);
        tracing::debug!(conn = %self.name(conn), reason = why.word(), "refused");
    }

    /// Whether this request may see the numbers.
    fn shows_metrics(&self, ctx: &Ctx<'_>, token: Token, guest: Guest, head: &Head<'_>) -> bool {
        // What came by a proxy is nobody's of this machine, wherever the proxy is.
        let by_proxy = guest.speaks_for_others || self.common.config.proxy_protocol;
        head.path() == METRICS
            && head.framing() == Framing::None
            && match self.common.config.metrics {
                Audience::Local => !by_proxy && metrics::is_local(ctx.remote(token), head),
                Audience::All => true,
                Audience::Nobody => false,
            }
    }

    /// An ordinary request.
    fn answer(&mut self, ctx: &Ctx<'_>, token: Token, guest: Guest, head: &Head<'_>) -> Verdict {
        let mut answer = head.answer();
        if self.draining || head.framing() != Framing::None {
            // Nothing here takes a body; closing saves reading it.
            answer = answer.closing();
        }
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let date = http::http_date(now);
        let plain = "text/plain; charset=utf-8";
        if head.framing() == Framing::None && !self.draining {
            match self.common.files.answer(head, &date, &mut self.out) {
                Served::Unknown => {}
                Served::Whole => return Verdict::Answered(answer, None),
                Served::Head(body) => return Verdict::Answered(answer, Some(body)),
            }
        }
        let shown = self.shows_metrics(ctx, token, guest, head);
        let page;
        let mut kind = plain;
        let (status, text) = match (head.path(), head.method()) {
            (METRICS, "GET" | "HEAD") if shown => {
                let format = Format::of(head.field("accept"));
                kind = format.content_type();
                page = self.common.metrics.page(format);
                (Status::Ok, page.as_str())
            }
            (METRICS, _) if shown => (Status::MethodNotAllowed, "only GET and HEAD\n"),
            ("/healthz", "GET" | "HEAD") => (Status::Ok, "ok\n"),
            ("/readyz", "GET" | "HEAD") if !self.draining => (Status::Ok, "ok\n"),
            _ if self.draining => {
                (Status::Unavailable, "the server is going down, try again soon\n")
            }
            ("/healthz" | "/readyz", _) => (Status::MethodNotAllowed, "only GET and HEAD\n"),
            _ => (Status::NotFound, "there is nothing here; the chat is at /\n"),
        };
        let mut reply = Reply::new(&mut self.out, answer, status)
            .field("Date", &date)
            .field("Cache-Control", "no-store")
            .field("X-Content-Type-Options", "nosniff");
        reply = match status {
            Status::MethodNotAllowed => reply.field("Allow", "GET, HEAD"),
            Status::Unavailable => reply.field("Retry-After", "1"),
            _ => reply,
        };
        reply.body(kind, text.as_bytes());
        if answer.keep_alive() {
            Verdict::Answered(answer, None)
        } else {
            Verdict::Parting(Ending::Http)
        }
    }

    /// A request for a WebSocket.
    fn welcome(
        &mut self,
        ctx: &Ctx<'_>,
        token: Token,
        guest: Guest,
        head: &Head<'_>,
        request: &Request<'_>,
        route: Option<Route>,
    ) -> Result<Verdict, Turned> {
        let conn = self.sessions.conn(token);
        let upgrade = request.upgrade()?;
        if head.framing() != Framing::None {
            return Err(turn(Failure::Body, 400, "a request for a WebSocket has no body"));
        }
        let config = &self.common.config;
        if let Some(origin) = request.origin()
            && !config.origins.is_empty()
            && !config.origins.iter().any(|allowed| allowed.eq_ignore_ascii_case(origin))
        {
            return Err(turn(Failure::Origin, 403, "this origin may not connect"));
        }
        if self.draining {
            return Err(turn(Failure::Draining, 503, "the server is going down, try again soon"));
        }
        let route = route
            .ok_or_else(|| turn(Failure::Path, 400, "nothing speaks WebSocket at this path"))?;
        if route.dialect.needs_one_hub() && self.number != 0 {
            return Ok(Verdict::Elsewhere);
        }
        let client = self.client_of(guest, head);
        if guest.speaks_for_others && !self.admits(conn, client) {
            return Err(Turned(
                Failure::Address,
                Refusal::new(429, "this address has its share of connections"),
            ));
        }
        let offered = upgrade.subprotocols();
        let subprotocol = subprotocol(offered, route.dialect, &config.subprotocols);
        let mut connection = Connection::server(Arc::clone(&self.common.codec));
        let policy = self.common.codec.deflate.as_ref();
        let agreed = policy.and_then(|policy| upgrade.deflate(policy));
        if let (Some((params, _)), Some(policy)) = (&agreed, policy) {
            connection.enable_deflate(params, policy);
        }
        let answer = Answer {
            subprotocol,
            extensions: agreed.as_ref().map(|(_, header)| &**header),
            ..Answer::default()
        };
        upgrade
            .accept(&answer, &mut self.out)
            .map_err(|error| turn(Failure::Internal, 500, error.to_string()))?;
        let address = client.to_string();
        let opening = relay::Opening {
            dialect: route.dialect,
            room: route.room.as_deref(),
            user: route.user.as_deref(),
            remote_addr: &address,
            remote_port: client.port,
            kept: route.room.as_deref().is_some_and(|room| self.bridge.keeps(room)),
        };
        self.hub
            .open(conn, &opening, &mut self.effects)
            .map_err(|error| turn(Failure::Name, 400, error.to_string()))?;
        let name = self.name(conn);
        self.lives.upgraded(token, name, client, route.dialect, agreed.is_some());
        let keepalive = Keepalive::new(ctx.now());
        Ok(Verdict::Open(Talk { connection, keepalive, dialect: route.dialect, ending: None }))
    }
}

fn turn(why: Failure, status: u16, body: impl Into<Cow<'static, str>>) -> Turned {
    Turned(why, Refusal::new(status, body))
}

impl Shard {
    /// Whom a request is from.
    fn client_of(&self, guest: Guest, head: &Head<'_>) -> Client {
        let config = &self.common.config;
        if !guest.speaks_for_others {
            return guest.client;
        }
        let (header, proxies) = (config.forwarded_header, &config.trusted_proxies);
        client_address::client_of(head.fields(), header, guest.client, proxies)
    }
}

/// The native chat's own name if it is offered there; else the first offered that is allowed.
fn subprotocol<'r>(offered: &[&'r str], dialect: Dialect, allowed: &[String]) -> Option<&'r str> {
    let own = match dialect {
        Dialect::Chat => offered.iter().find(|&&it| it == CHAT),
        _ => None,
    };
    let may = |name: &&&str| allowed.is_empty() || allowed.iter().any(|it| it == **name);
    own.or_else(|| offered.iter().find(may)).copied()
}

/// The native chat. A browser may offer other things beside it that are not for agreeing on.
const CHAT: &str = "chat.sockeye.v1";
/// For whoever watches over the server.
const HEALTH: [&str; 2] = ["/healthz", "/readyz"];
/// For who collects numbers.
const METRICS: &str = "/metrics";
/// Answers that wait for one visitor before its next request is looked at: the largest file and some.
const ANSWERS_BYTES_MAX: usize = 256 << 10;
/// How soon to try again to move a connection whose last answer is still leaving.
const MOVE_RETRY: std::time::Duration = std::time::Duration::from_millis(1);
