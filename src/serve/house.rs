//! What the loop calls: bytes become openings and messages for the handler, and what it says goes out.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::clients::{Clients, Socket};
use super::handle::{Moving, Parcel, Post, Shared};
use super::handler::{End, Handler, Opening};
use super::peers::{ClientId, Line, Peers, Stage, Talk, Visit};
use super::reach::{DEADLINE, KEEPALIVE, Reach, Sent};
use crate::net::{self, Close, Closed, Ctx, Driver, Peer, Timer, Token};
use crate::proto::handshake::{Answer, Refusal};
use crate::proto::{
    CloseCode, CloseFrame, Config, Connection, Duty, Event, Input, Keepalive, Message, Transport,
};

/// The driver of a server's loop.
pub(super) struct House<H> {
    handler: H,
    shared: Arc<Shared>,
    codec: Arc<Config>,
    peers: Peers,
    /// For what is said to the one who is heard, empty between calls.
    out: Vec<u8>,
    stopping: bool,
}

impl<H: Handler> House<H> {
    pub(super) fn new(handler: H, shared: Arc<Shared>) -> Self {
        let codec = Config::default().max_payload(shared.options.max_payload);
        #[cfg(feature = "deflate")]
        let codec = Config { deflate: shared.options.per_message_deflate, ..codec };
        let (peers, out) = (Peers::default(), Vec::new());
        Self { handler, shared, codec: Arc::new(codec), peers, out, stopping: false }
    }

    /// Before the first turn.
    pub(super) fn begin(&mut self, ctx: &mut Ctx<'_>) {
        if let Some(tick) = self.shared.options.tick {
            ctx.set_alarm(TICK, tick);
        }
    }

    fn clients<'a>(&'a mut self, ctx: &'a mut Ctx<'_>) -> (&'a mut H, Clients<'a>) {
        let options = &self.shared.options;
        let clients = Clients { ctx: ctx.reborrow(), peers: &mut self.peers, options, own: None };
        (&mut self.handler, clients)
    }

    /// A new connection, accepted here or elsewhere.
    fn welcome(&mut self, ctx: &mut Ctx<'_>, token: Token, remote: SocketAddr) {
        let visit = Box::new(Visit::new(&self.shared.options, remote));
        self.peers.begin(token, Stage::Visiting(visit));
        ctx.set_timer(token, DEADLINE, self.shared.options.handshake_timeout);
    }

    fn heard(&mut self, ctx: &mut Ctx<'_>, id: ClientId, bytes: &mut [u8]) {
        match self.peers.take(id) {
            Some(Stage::Visiting(visit)) => self.visit(ctx, id, visit, bytes),
            Some(Stage::Talking(talk)) => self.talk(ctx, id, talk, bytes),
            Some(Stage::Heard | Stage::Over) => self.peers.put(id, Stage::Over),
            None => {}
        }
    }

    fn visit(&mut self, ctx: &mut Ctx<'_>, id: ClientId, mut visit: Box<Visit>, bytes: &[u8]) {
        visit.bytes.extend_from_slice(bytes);
        let Visit { reader, bytes, remote } = &mut *visit;
        let request = match reader.read(bytes) {
            Ok(Some(request)) => request,
            Ok(None) => return self.peers.put(id, Stage::Visiting(visit)),
            Err(error) => return self.refuse(ctx, id, &error.into()),
        };
        let secure = ctx.is_tls(id.0);
        let opening = Opening { request: &request, remote: *remote, secure, subprotocol: None };
        let (connection, opening) = match self.judge(opening) {
            Ok(opened) => opened,
            Err(refusal) => {
                self.out.clear();
                return self.refuse(ctx, id, &refusal);
            }
        };
        ctx.send_owned(id.0, &mut self.out);
        ctx.clear_timer(id.0, DEADLINE);
        let options = &self.shared.options;
        ctx.set_timer(id.0, KEEPALIVE, options.ping_interval);
        let keepalive = Keepalive::new(ctx.now());
        let line = Line {
            remote: *remote,
            gauge: self.shared.join(id),
            held: Default::default(),
            choked: false,
            closing: false,
            over: false,
        };
        let talk = Box::new(Talk { connection, keepalive, line });
        self.with(ctx, id, talk, |handler, socket| handler.on_open(socket, &opening));
        let frames_at = request.head_len();
        if let Some(frames) = bytes.get_mut(frames_at..)
            && !frames.is_empty()
        {
            self.heard(ctx, id, frames);
        }
    }

    /// Whether a request becomes a WebSocket. The 101 is in `out` then.
    fn judge<'a>(&mut self, opening: Opening<'a>) -> Result<(Connection, Opening<'a>), Refusal> {
        let upgrade = opening.request.upgrade()?;
        if self.shared.options.path.as_deref().is_some_and(|path| path != opening.path()) {
            return Err(Refusal::new(400, "nothing speaks WebSocket at this path"));
        }
        if self.stopping {
            return Err(Refusal::new(503, "the server is going down, try again soon"));
        }
        self.handler.verify(&opening)?;
        let subprotocol = match upgrade.subprotocols() {
            [] => None,
            offered => self.handler.select_protocol(offered, &opening),
        };
        let connection = Connection::server(Arc::clone(&self.codec));
        #[cfg(feature = "deflate")]
        let (connection, agreed) = {
            let mut connection = connection;
            let policy = self.codec.deflate.as_ref();
            let agreed = policy.and_then(|policy| upgrade.deflate(policy));
            if let (Some((params, _)), Some(policy)) = (&agreed, policy) {
                connection.enable_deflate(params, policy);
            }
            (connection, agreed.map(|(_, header)| header))
        };
        #[cfg(not(feature = "deflate"))]
        let agreed: Option<String> = None;
        let answer = Answer { subprotocol, extensions: agreed.as_deref(), ..Answer::default() };
        upgrade
            .accept(&answer, &mut self.out)
            .map_err(|error| Refusal::new(500, error.to_string()))?;
        Ok((connection, Opening { subprotocol, ..opening }))
    }

    fn refuse(&mut self, ctx: &mut Ctx<'_>, id: ClientId, refusal: &Refusal) {
        refusal.write(&mut self.out);
        ctx.send_owned(id.0, &mut self.out);
        self.out.clear();
        ctx.clear_timer(id.0, DEADLINE);
        ctx.close(id.0, Close::Linger);
        self.peers.put(id, Stage::Over);
    }

    /// Calls the handler for one client that has said nothing just now.
    fn with(
        &mut self,
        ctx: &mut Ctx<'_>,
        id: ClientId,
        mut talk: Box<Talk>,
        call: impl FnOnce(&mut H, &mut Socket<'_>),
    ) {
        let mut out = std::mem::take(&mut self.out);
        let remote = talk.line.remote;
        let (_, tx) = talk.connection.split_mut();
        let own = Reach { token: id.0, tx, line: &mut talk.line, out: &mut out };
        let (handler, mut clients) = self.clients(ctx);
        clients.own = Some((id, own));
        call(handler, &mut Socket { id, remote, clients });
        self.out = out;
        self.settle(ctx, id, talk);
    }

    fn talk(&mut self, ctx: &mut Ctx<'_>, id: ClientId, mut talk: Box<Talk>, bytes: &mut [u8]) {
        talk.keepalive.heard(ctx.now());
        let mut out = std::mem::take(&mut self.out);
        let Talk { connection, line, .. } = &mut *talk;
        let (rx, tx) = connection.split_mut();
        let (len, waited) = (bytes.len(), ctx.queued(id.0));
        let mut input = Input::new(bytes);
        let mut spent = 0;
        // An echo of what was read is one turn's; whatever is much longer than that has several.
        let answers_max = TURN_ANSWERS_MAX.max(2 * len);
        let mut awaits = None;
        loop {
            let answered = (ctx.queued(id.0) + out.len()).saturating_sub(waited);
            let enough = answered >= answers_max || spent >= TURN_BYTES_MAX;
            if enough && input.remaining() > 0 {
                break;
            }
            awaits = rx.awaits(&input, tx, &mut out).filter(|&whole| whole <= AWAITED_MAX);
            if awaits.is_some() {
                break;
            }
            let event = rx.next(&mut input, tx, &mut out);
            let end = match event {
                Ok(None) => break,
                Ok(Some(Event::Close(None))) => End { code: 1005, was_clean: true, ..End::ABRUPT },
                Ok(Some(Event::Close(Some(frame)))) => End {
                    code: frame.code.as_u16(),
                    reason: frame.reason,
                    was_clean: true,
                    fault: None,
                },
                Err(fault) => End { fault: Some(fault), ..End::ABRUPT },
                Ok(Some(event)) => {
                    let remote = line.remote;
                    let own = Reach { token: id.0, tx: &mut *tx, line: &mut *line, out: &mut out };
                    let (handler, mut clients) = self.clients(ctx);
                    clients.own = Some((id, own));
                    let mut socket = Socket { id, remote, clients };
                    spent += MESSAGE_COST;
                    match event {
                        Event::Text(text) => {
                            spent += text.len();
                            handler.on_message(&mut socket, Message::Text(text));
                        }
                        Event::Binary(bytes) => {
                            spent += bytes.len();
                            handler.on_message(&mut socket, Message::Binary(bytes));
                        }
                        Event::Ping(payload) => handler.on_ping(&mut socket, payload),
                        Event::Pong(payload) => handler.on_pong(&mut socket, payload),
                        Event::Close(_) => {}
                    }
                    continue;
                }
            };
            if !std::mem::replace(&mut line.over, true) {
                self.shared.leave(id);
                let (handler, mut clients) = self.clients(ctx);
                handler.on_close(&mut clients, id, &end);
            }
        }
        let rest = input.remaining();
        let rest = bytes.get(len - rest..).unwrap_or_default();
        match awaits {
            Some(whole) => ctx.gather(id.0, rest, whole),
            None => ctx.give_back(id.0, rest),
        }
        self.out = out;
        self.settle(ctx, id, talk);
    }

    /// Sends what was said to a client, does with TCP what the protocol asks for, and puts it in its place.
    fn settle(&mut self, ctx: &mut Ctx<'_>, id: ClientId, mut talk: Box<Talk>) {
        if !self.out.is_empty() && ctx.send_owned(id.0, &mut self.out) == net::Sent::Full {
            let (_, tx) = talk.connection.split_mut();
            let out = &mut self.out;
            Reach { token: id.0, tx, line: &mut talk.line, out }.too_slow(ctx);
        }
        self.out.clear();
        match talk.connection.transport() {
            Transport::KeepOpen | Transport::AwaitPeerClose => {}
            Transport::FlushThenClose => ctx.close(id.0, Close::Flush),
            Transport::FlushThenShutdownWrite => ctx.close(id.0, Close::Linger),
        }
        let stage = if talk.line.over { Stage::Over } else { Stage::Talking(talk) };
        self.peers.put(id, stage);
    }

    /// A message that another thread sent.
    fn deliver(&mut self, ctx: &mut Ctx<'_>, id: ClientId, parcel: Parcel) {
        if let Some(mut to) = self.peers.reach(id) {
            to.line.held.push_back(parcel);
            forward(ctx, &mut to);
        }
        self.relieve(ctx, id);
    }

    /// Says that there is room, if somebody was told to wait and it is true.
    fn relieve(&mut self, ctx: &mut Ctx<'_>, id: ClientId) {
        let low = self.shared.options.net.marks.low;
        if let Some(line) = self.peers.line(id)
            && !line.choked
            && line.gauge.relieved(low)
        {
            self.drain(ctx, id);
        }
    }

    fn drain(&mut self, ctx: &mut Ctx<'_>, id: ClientId) {
        match self.peers.take(id) {
            Some(Stage::Talking(talk)) => {
                self.with(ctx, id, talk, |handler, socket| handler.on_drain(socket));
            }
            Some(other) => self.peers.put(id, other),
            None => {}
        }
    }

    fn relieve_everybody(&mut self, ctx: &mut Ctx<'_>) {
        if self.shared.everybody.relieved(self.shared.options.net.marks.low) {
            let (handler, mut clients) = self.clients(ctx);
            handler.on_broadcast_drain(&mut clients);
        }
    }

    /// Tells everybody goodbye.
    fn stop(&mut self, ctx: &mut Ctx<'_>) {
        if std::mem::replace(&mut self.stopping, true) {
            return;
        }
        ctx.stop_listening();
        ctx.set_alarm(GRACE, self.shared.options.close_timeout);
        let goodbye =
            CloseFrame { code: CloseCode::GOING_AWAY, reason: "the server is going down" };
        let ids: Vec<ClientId> = self.peers.iter().map(|peer| peer.id).collect();
        for id in ids {
            if let Some(mut to) = self.peers.reach(id) {
                let timeout = self.shared.options.close_timeout;
                // The reason is short enough.
                let _ = to.close(ctx, Some(goodbye), timeout);
            } else if matches!(self.peers.get(id), Some(Stage::Visiting(_))) {
                ctx.close(id.0, Close::Flush);
            }
        }
        self.end_if_alone(ctx, 0);
    }

    fn end_if_alone(&self, ctx: &mut Ctx<'_>, leaving: usize) {
        if self.stopping && ctx.connections() <= leaving {
            ctx.stop();
        }
    }

    /// The next look at a silent peer.
    fn keep_alive(&mut self, ctx: &mut Ctx<'_>, id: ClientId) {
        let Some(Stage::Talking(talk)) = self.peers.of(id) else { return };
        let (now, options) = (ctx.now(), &self.shared.options);
        let duty_of = |keepalive: &mut Keepalive| {
            keepalive.duty(options.ping_interval, options.idle_timeout, now)
        };
        // A peer that has much to take is not read from, so its pongs wait; whether it takes anything is
        // the loop's to watch. Who is in the midst of a long message is not heard either.
        if ctx.queued(id.0) > 0 || ctx.has_gathered(id.0) {
            talk.keepalive.heard(now);
        }
        let mut duty = duty_of(&mut talk.keepalive);
        if duty == Duty::Ping {
            let mut out = Vec::new();
            if talk.connection.split_mut().1.ping(b"", &mut out).is_ok() {
                ctx.send_owned(id.0, &mut out);
            }
            duty = duty_of(&mut talk.keepalive);
        }
        match duty {
            // An answer brings the next ping nearer than the end that is due without one.
            Duty::WaitUntil(due) => {
                let look = due.saturating_sub(now).min(options.ping_interval);
                ctx.set_timer(id.0, KEEPALIVE, look);
            }
            Duty::Ping | Duty::GiveUp => ctx.close(id.0, Close::Now),
        }
    }
}

/// Sends what other threads sent, as far as the peer keeps up.
fn forward(ctx: &mut Ctx<'_>, to: &mut Reach<'_>) {
    while !to.line.choked
        && let Some(parcel) = to.line.held.pop_front()
    {
        let (message, options) = parcel.message();
        if to.send(ctx, message, options) == Sent::Full {
            return to.line.held.push_front(parcel);
        }
        to.line.gauge.sub(parcel.cost());
    }
    if to.line.held.is_empty() {
        // At rest a connection owns no heap for this.
        to.line.held = Default::default();
    }
}

impl<H: Handler> Driver for House<H> {
    type Mail = Post;

    fn accepted(&mut self, ctx: &mut Ctx<'_>, token: Token, _: usize, peer: Peer) {
        let remote = match peer {
            Peer::Tcp(remote) => remote,
            Peer::Unix => SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        };
        self.welcome(ctx, token, remote);
        #[cfg(feature = "net-tls")]
        if let Some(tls) = &self.shared.options.tls
            && ctx.start_tls(token, Arc::clone(tls)).is_err()
        {
            ctx.close(token, Close::Now);
        }
    }

    fn received(&mut self, ctx: &mut Ctx<'_>, token: Token, bytes: &mut [u8]) {
        self.heard(ctx, ClientId(token), bytes);
    }

    fn drained(&mut self, ctx: &mut Ctx<'_>, token: Token) {
        let id = ClientId(token);
        let Some(mut to) = self.peers.reach(id).filter(|to| to.line.choked) else { return };
        to.line.choked = false;
        forward(ctx, &mut to);
        if !to.line.choked {
            // Whoever was told to wait hears of it now, in the loop or beside it.
            to.line.gauge.relieved(usize::MAX);
            self.drain(ctx, id);
        }
    }

    fn closed(&mut self, ctx: &mut Ctx<'_>, token: Token, _: Closed) {
        let id = ClientId(token);
        if let Some(Stage::Talking(_)) = self.peers.end(id) {
            self.shared.leave(id);
            let (handler, mut clients) = self.clients(ctx);
            handler.on_close(&mut clients, id, &End::ABRUPT);
        }
        self.end_if_alone(ctx, 1);
    }

    fn timer(&mut self, ctx: &mut Ctx<'_>, token: Token, timer: Timer) {
        let id = ClientId(token);
        match (timer, self.peers.get(id)) {
            (KEEPALIVE, _) => self.keep_alive(ctx, id),
            (_, Some(Stage::Visiting(visit))) if !visit.bytes.is_empty() => {
                self.refuse(ctx, id, &Refusal::new(408, "the request took too long"));
            }
            _ => ctx.close(token, Close::Now),
        }
    }

    fn alarm(&mut self, ctx: &mut Ctx<'_>, alarm: u32) {
        if alarm == GRACE {
            let left: Vec<ClientId> = self.peers.iter().map(|peer| peer.id).collect();
            for id in left {
                ctx.close(id.0, Close::Now);
            }
            return self.end_if_alone(ctx, 0);
        }
        self.begin(ctx);
        let (handler, mut clients) = self.clients(ctx);
        handler.on_tick(&mut clients);
    }

    fn message(&mut self, ctx: &mut Ctx<'_>, mail: Post) {
        match mail {
            Post::Send(id, parcel) => self.deliver(ctx, id, parcel),
            Post::Broadcast(prepared, cost) => {
                self.clients(ctx).1.broadcast_prepared(&prepared, None);
                self.shared.everybody.sub(cost);
                self.relieve_everybody(ctx);
            }
            Post::Adopt(moving) => {
                let Moving { stream, remote, mut bytes } = *moving;
                if let Ok(token) = ctx.adopt(stream, 0) {
                    self.welcome(ctx, token, remote);
                    if !bytes.is_empty() {
                        self.heard(ctx, ClientId(token), &mut bytes);
                    }
                }
            }
            Post::Nudge => {}
        }
    }

    fn accept_failed(&mut self, _: &mut Ctx<'_>, _: usize, error: &io::Error) {
        self.handler.on_accept_error(error);
    }

    fn turn_ended(&mut self, ctx: &mut Ctx<'_>) {
        if !self.shared.attention.swap(false, Ordering::AcqRel) {
            return;
        }
        let urgent = std::mem::take(&mut *self.shared.urgent());
        for (id, code, reason) in urgent.closes {
            // Its length was looked at when it was given.
            let _ = self.clients(ctx).1.close(id, code, &reason);
        }
        for starved in urgent.starved {
            match starved {
                Some(id) => self.relieve(ctx, id),
                None => self.relieve_everybody(ctx),
            }
        }
        if urgent.stop {
            self.stop(ctx);
        }
    }
}

/// Alarms.
const GRACE: u32 = 0;
const TICK: u32 = 1;

/// Bytes of messages, inflated, that one turn of one peer may bring: a millisecond of work.
const TURN_BYTES_MAX: usize = 1 << 20;
/// What a message counts beside its bytes, as small ones are work, too.
const MESSAGE_COST: usize = 256;
/// Binary messages of 64 KiB and more are heard once they are whole, from where they were read to; longer ones
/// are unmasked as they come, since the others would wait for milliseconds.
const AWAITED_MAX: usize = 4 << 20;
/// Bytes of answers that one turn of one peer may bring, or twice what it said if that is more: a socket's usual
/// send buffer.
const TURN_ANSWERS_MAX: usize = 64 << 10;
