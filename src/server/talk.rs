//! A connection while it speaks WebSocket: its messages go to the hub, and what the hub wants done is done.

use std::time::Duration;

use super::answer::Place;
use super::metrics::{Ending, Meter};
use super::session::{Session, Stage, Talk};
use super::shard::{DEADLINE, HELD, Shard};
use super::turn::{MESSAGE_COST, Own, Said, Toll, Turn, kind_of, write};
use crate::net::{Close, Ctx, Driver, Sent, Token};
use crate::proto::{
    CloseCode, CloseFrame, Event, Inbound, Input, Message, Outbound, ReadyState, Transport,
    Violation,
};
use crate::relay::{ConnId, Dialect, Effect, Kind, Shared};

impl Shard {
    /// Bytes of an open WebSocket.
    pub(super) fn talk(
        &mut self,
        ctx: &mut Ctx<'_>,
        token: Token,
        conn: ConnId,
        mut talk: Talk,
        bytes: &mut [u8],
    ) {
        talk.keepalive.heard(ctx.now());
        if self.bridge.is_holding() && talk.dialect != Dialect::Echo {
            ctx.give_back(token, bytes);
            self.wait_for_others(ctx, token);
            return self.sessions.put(token, Stage::Talking(talk));
        }
        let mut answer = std::mem::take(&mut self.answer);
        let was_open = talk.connection.ready_state() == ReadyState::Open;
        let (rx, tx) = talk.connection.split_mut();
        let (len, place) = (bytes.len(), Place::of(bytes));
        let mut input = Input::new(bytes);
        let mut toll = Toll::default();
        self.told = 0;
        let echoes = talk.dialect == Dialect::Echo && self.hub.only_echoes();
        let ending = &mut talk.ending;
        let (answered, awaits) = (&mut answer, None);
        let mut turn =
            Turn { conn, token, place, toll: &mut toll, answer: answered, ending, awaits };
        self.hear(ctx, rx, &mut input, tx, &mut turn, echoes);
        let (packed, plain) = input.inflated();
        if packed > 0 {
            self.meter.inflated[0].add(packed);
            self.meter.inflated[1].add(plain);
        }
        // What other loops have room for now may come back to this very peer, which is still not in its place.
        self.settle(ctx, Some(turn.own(tx, None)));
        let awaits = turn.awaits;
        self.meter.turn(talk.dialect, &toll);
        self.lives.turn(token, &toll);
        let rest = input.remaining();
        let rest = bytes.get(len - rest..).unwrap_or_default();
        match awaits {
            Some(whole) => ctx.gather(token, rest, whole),
            None => ctx.give_back(token, rest),
        }
        // Nobody else has a word for an echo, so that there is nothing to wait for.
        if answer.len() > 0 && answer.send(ctx, token, bytes, echoes) == Sent::Full {
            too_slow(ctx, token, talk.dialect, &self.meter, tx, &mut answer.own);
            talk.ends(Ending::Slow);
        }
        answer.clear();
        self.answer = answer;
        if was_open && talk.connection.ready_state() == ReadyState::Closing {
            // We began to close: whatever else the peer says, it has so long to agree.
            ctx.set_timer(token, DEADLINE, self.common.config.close_timeout);
        }
        match talk.connection.transport() {
            Transport::KeepOpen | Transport::AwaitPeerClose => {}
            Transport::FlushThenClose => ctx.close(token, Close::Flush),
            Transport::FlushThenShutdownWrite => ctx.close(token, Close::Linger),
        }
        self.sessions.put(token, Stage::Talking(talk));
        if self.bridge.is_congested() {
            self.wait_for_others(ctx, token);
        }
    }

    /// Hears what there is. `echoes`: it goes back, and nobody else has a word for it; else the hub is told, and
    /// what that leads to is done at once.
    fn hear(
        &mut self,
        ctx: &mut Ctx<'_>,
        rx: &mut Inbound,
        input: &mut Input<'_>,
        tx: &mut Outbound,
        turn: &mut Turn<'_>,
        echoes: bool,
    ) {
        let may_deflate = self.may_deflate();
        let answers_max = if echoes && !may_deflate { ECHO_ANSWERS_MAX } else { TURN_ANSWERS_MAX };
        let mut spent = 0;
        loop {
            // A read can hold a thousand messages that each come to a large answer: the others have their
            // turn between, and what waits for this peer does not grow beyond its marks at once.
            let enough = turn.answer.len() >= answers_max || spent + self.told >= TURN_BYTES_MAX;
            if enough && input.remaining() > 0 {
                return;
            }
            // Nearly all echoes, as they lie.
            if echoes && let Some(echoed) = rx.echo(input, tx) {
                spent += turn.echoed(echoed);
                continue;
            }
            if turn.awaits_more(rx, input, tx) {
                return;
            }
            let heard = match rx.next(input, tx, &mut turn.answer.own) {
                Ok(Some(Event::Text(text))) => Message::Text(text),
                Ok(Some(Event::Binary(bytes))) => Message::Binary(bytes),
                Ok(None) => return,
                other => {
                    self.besides(other, turn);
                    continue;
                }
            };
            spent += heard.as_bytes().len() + MESSAGE_COST;
            turn.toll.heard.message(heard);
            let mut own = turn.own(tx, Some(heard));
            if echoes {
                own.back(ctx, may_deflate, &self.meter);
                continue;
            }
            let (kind, payload) = (kind_of(heard), heard.as_bytes());
            self.hub.message(own.conn, kind, payload, ctx.now(), &mut self.effects);
            // At once: what is owed to this peer stands before what the next message brings.
            self.settle_but_for_crowds(ctx, Some(own));
        }
    }

    pub(super) fn may_deflate(&self) -> bool {
        self.common.codec.deflate.is_some()
    }

    /// What is no message: control frames, and what breaks the protocol. The codec has answered it.
    #[cold]
    fn besides(&mut self, event: Result<Option<Event<'_>>, Violation>, turn: &mut Turn<'_>) {
        let (code, ending) = match event {
            Ok(Some(Event::Ping(_))) => return self.meter.pings_heard.add(1),
            Ok(Some(Event::Pong(_))) => return self.meter.pongs_heard.add(1),
            Ok(Some(Event::Close(frame))) => {
                let code = frame.map(|frame| frame.code);
                self.meter.close_heard(code);
                (code, Ending::Closed)
            }
            Err(violation) => {
                let conn = self.name(turn.conn);
                tracing::debug!(%conn, %violation, "closed for breaking the protocol");
                (Some(violation.close_code()), Ending::Violation)
            }
            Ok(None | Some(Event::Text(_) | Event::Binary(_))) => return,
        };
        self.lives.closing(turn.token, code);
        if turn.ending.is_none() {
            self.meter.close_said(code);
            *turn.ending = Some(ending);
        }
        // Ours is in the answer; the others need not wait for TCP.
        self.hub.close(turn.conn, &mut self.effects);
    }

    /// Other loops have not taken what was said: who says it is not heard meanwhile.
    fn wait_for_others(&mut self, ctx: &mut Ctx<'_>, token: Token) {
        self.meter.waits.add(1);
        ctx.pause(token);
        ctx.set_timer(token, HELD, CONGESTION_WAIT);
    }

    /// Hears a connection again that had to wait, if what it waited for is over.
    pub(super) fn go_on(&mut self, ctx: &mut Ctx<'_>, token: Token) {
        // What is held for them goes out as soon as they have room.
        self.settle(ctx, None);
        let now = ctx.now();
        if self.bridge.is_behind()
            && let Some(Session { stage: Stage::Talking(talk), .. }) = self.sessions.of(token)
        {
            // It is not its fault that nothing is heard of it.
            talk.keepalive.heard(now);
            return self.wait_for_others(ctx, token);
        }
        ctx.resume(token);
        self.drained(ctx, token);
    }

    /// Does what the hub wants done, and what that leads to. `own`: the session that is being heard,
    /// which is not in its place.
    pub(super) fn settle(&mut self, ctx: &mut Ctx<'_>, own: Option<Own<'_>>) {
        self.settle_but_for_crowds(ctx, own);
        self.tell_crowd(ctx);
    }

    /// The same, but what many are told may gather until the next [`settle`](Self::settle), with what they are
    /// told besides.
    fn settle_but_for_crowds(&mut self, ctx: &mut Ctx<'_>, mut own: Option<Own<'_>>) {
        loop {
            let mut effects = std::mem::take(&mut self.effects);
            for effect in effects.drain(..) {
                self.perform(ctx, effect, &mut own);
            }
            self.effects = effects;
            if !self.bridge.receive(&mut self.hub, &mut self.effects) {
                break;
            }
        }
    }

    fn perform(&mut self, ctx: &mut Ctx<'_>, effect: Effect, own: &mut Option<Own<'_>>) {
        match effect {
            Effect::Back { to } => {
                if let Some(own) = own.as_mut().filter(|own| own.conn == to) {
                    own.back(ctx, self.may_deflate(), &self.meter);
                }
            }
            Effect::Send { to, message } => {
                let Some(message) = as_message(&message) else { return };
                match own {
                    Some(own) if own.conn == to => own.message(message, &self.meter),
                    _ => self.send(ctx, to, message),
                }
            }
            Effect::SendMany { to, message } => {
                let Some(message) = as_message(&message) else { return };
                self.told += to.len() * RECEIVER_COST;
                if let Some(own) = own.as_mut().filter(|own| to.contains(&own.conn)) {
                    own.message(message, &self.meter);
                }
                self.tell_many(ctx, to, message);
            }
            Effect::Close { conn, code, reason } => {
                let frame = CloseCode::new(code).map(|code| CloseFrame { code, reason });
                let why = if code == RATE_LIMITED { Ending::RateLimited } else { Ending::Expelled };
                match own {
                    Some(own) if own.conn == conn => {
                        own.close(frame, why, &self.meter, &mut self.lives)
                    }
                    _ => self.close(ctx, conn, frame, why),
                }
            }
            other => self.bridge.carry(other),
        }
    }

    fn send(&mut self, ctx: &mut Ctx<'_>, to: ConnId, message: Message<'_>) {
        self.tell_crowd(ctx);
        if let Some((token, talk)) = self.sessions.talk(to) {
            let (_, tx) = talk.connection.split_mut();
            let mut out = Vec::new();
            if !write(&self.meter, tx, message, &mut out) {
                return;
            }
            if ctx.send_owned(token, &mut out) == Sent::Full {
                too_slow(ctx, token, talk.dialect, &self.meter, tx, &mut out);
                talk.ends(Ending::Slow);
            } else {
                let mut said = Said::default();
                said.message(message);
                self.meter.said(talk.dialect, &said);
                self.lives.said(token, &said);
            }
        }
    }

    /// Begins the closing handshake with one that is not being heard just now.
    pub(super) fn close(
        &mut self,
        ctx: &mut Ctx<'_>,
        conn: ConnId,
        frame: Option<CloseFrame<'_>>,
        why: Ending,
    ) {
        self.tell_crowd(ctx);
        let timeout = self.common.config.close_timeout;
        if let Some((token, talk)) = self.sessions.talk(conn) {
            let mut out = Vec::new();
            if talk.connection.split_mut().1.close(frame, &mut out).is_ok() {
                let code = frame.map(|frame| frame.code);
                self.meter.close_said(code);
                self.lives.closing(token, code);
                talk.ends(why);
                ctx.send_owned(token, &mut out);
                ctx.set_timer(token, DEADLINE, timeout);
            }
        }
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
pub(super) fn too_slow(
    ctx: &mut Ctx<'_>,
    token: Token,
    dialect: Dialect,
    meter: &Meter,
    tx: &mut Outbound,
    out: &mut Vec<u8>,
) {
    meter.slow.add(1);
    out.clear();
    ctx.discard_unsent(token);
    let code = match dialect {
        Dialect::Chat => CloseCode::new(SLOW_CONSUMER).unwrap_or(CloseCode::TRY_AGAIN_LATER),
        _ => CloseCode::TRY_AGAIN_LATER,
    };
    if tx.close(Some(CloseFrame { code, reason: "too slow" }), out).is_ok() {
        meter.close_said(Some(code));
        ctx.send_owned(token, out);
    }
    ctx.close(token, Close::Linger);
}

/// Bytes of messages, inflated, that one turn of one peer may bring: a millisecond of work.
const TURN_BYTES_MAX: usize = 1 << 20;
/// What each receiver of a message for many counts. A fraction of a message of its own: a crowded room is
/// told some dozen messages in one turn, so that each socket is written to once for all of them.
const RECEIVER_COST: usize = 32;
/// Bytes of answers that one turn of one peer may bring: a socket's usual send buffer.
const TURN_ANSWERS_MAX: usize = 64 << 10;
/// The same of an echo, which is as long as what asks for it: twice a read, so that echoing one is one turn.
const ECHO_ANSWERS_MAX: usize = 512 << 10;
/// The hub's, for who sends more than it may.
const RATE_LIMITED: u16 = 4029;
/// The native chat's: come back and resume, nothing is lost.
const SLOW_CONSUMER: u16 = 4008;
/// How long a speaker waits for other loops before it is heard again.
const CONGESTION_WAIT: Duration = Duration::from_millis(10);
