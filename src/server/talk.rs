//! A connection while it speaks WebSocket: its messages go to the hub, and what the hub wants done is done.

use std::sync::Arc;
use std::time::Duration;

use super::answer::{Answer, Place};
use super::life::Lives;
use super::metrics::{Ending, Meter};
use super::session::{Session, Stage, Talk};
use super::shard::{DEADLINE, HELD, Shard};
use crate::net::{Close, Ctx, Driver, Sent, Token};
use crate::proto::{
    CloseCode, CloseFrame, Event, Header, Input, Message, Outbound, Prepared, ReadyState, Transport,
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
        let mut spent = 0;
        // Of this turn, counted in once.
        let (mut messages, mut answers) = ([0; 2], [0; 2]);
        self.told = 0;
        let echoes = talk.dialect == Dialect::Echo && self.hub.only_echoes();
        let may_deflate = self.common.codec.deflate.is_some();
        let answers_max = if echoes && !may_deflate { ECHO_ANSWERS_MAX } else { TURN_ANSWERS_MAX };
        loop {
            // A read can hold a thousand messages that each come to a large answer: the others have their
            // turn between, and what waits for this peer does not grow beyond its marks at once.
            let enough = answer.len() >= answers_max || spent + self.told >= TURN_BYTES_MAX;
            if enough && input.remaining() > 0 {
                break;
            }
            let heard = match rx.next(&mut input, tx, &mut answer.own) {
                Ok(Some(Event::Text(text))) => Message::Text(text),
                Ok(Some(Event::Binary(bytes))) => Message::Binary(bytes),
                Ok(Some(Event::Ping(_))) => {
                    self.meter.pings_heard.add(1);
                    continue;
                }
                Ok(Some(Event::Pong(_))) => {
                    self.meter.pongs_heard.add(1);
                    continue;
                }
                Ok(Some(Event::Close(frame))) => {
                    let code = frame.map(|frame| frame.code);
                    self.meter.close_heard(code);
                    self.lives.closing(token, code);
                    if talk.ending.is_none() {
                        self.meter.close_said(code);
                        talk.ending = Some(Ending::Closed);
                    }
                    // Ours is in the answer; the others need not wait for TCP.
                    self.hub.close(conn, &mut self.effects);
                    continue;
                }
                Err(violation) => {
                    let name = self.name(conn);
                    tracing::debug!(conn = %name, %violation, "closed for breaking the protocol");
                    let code = Some(violation.close_code());
                    self.lives.closing(token, code);
                    if talk.ending.is_none() {
                        self.meter.close_said(code);
                        talk.ending = Some(Ending::Violation);
                    }
                    self.hub.close(conn, &mut self.effects);
                    continue;
                }
                Ok(None) => break,
            };
            let (kind, payload) = match heard {
                Message::Text(text) => (Kind::Text, text.as_bytes()),
                Message::Binary(bytes) => (Kind::Binary, bytes),
            };
            spent += payload.len() + MESSAGE_COST;
            messages[kind as usize] += 1;
            self.lives.heard(token, payload.len());
            if echoes && payload.len() < LEND_MIN && !may_deflate {
                // What most are, in as few steps as it takes.
                if tell(tx, heard, &mut answer.own) {
                    answers[kind as usize] += 1;
                    self.lives.said(token, payload.len());
                }
                continue;
            }
            if echoes {
                let (said, ending, answer) = (&mut answers, &mut talk.ending, &mut answer);
                let mut own = Own { conn, token, said, heard: None, tx, answer, ending };
                own.back(ctx, heard, place, may_deflate, &self.meter, &mut self.lives);
                continue;
            }
            self.hub.message(conn, kind, payload, ctx.now(), &mut self.effects);
            // At once: what is owed to this peer stands before what the next message brings.
            let (said, ending) = (&mut answers, &mut talk.ending);
            let heard = Some((heard, place));
            let answer = &mut answer;
            self.settle(ctx, Some(Own { conn, token, said, heard, tx, answer, ending }));
        }
        let (packed, plain) = input.inflated();
        if packed > 0 {
            self.meter.inflated[0].add(packed);
            self.meter.inflated[1].add(plain);
        }
        // What other loops have room for now may come back to this very peer, which is still not in its place.
        let (said, ending) = (&mut answers, &mut talk.ending);
        let own = Own { conn, token, said, heard: None, tx, answer: &mut answer, ending };
        self.settle(ctx, Some(own));
        self.meter.turn(talk.dialect, messages, answers);
        let rest = input.remaining();
        ctx.give_back(token, bytes.get(len - rest..).unwrap_or_default());
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
    pub(super) fn settle(&mut self, ctx: &mut Ctx<'_>, mut own: Option<Own<'_>>) {
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
                if let Some(own) = own.as_mut().filter(|own| own.conn == to)
                    && let Some((heard, place)) = own.heard
                {
                    let may_deflate = self.common.codec.deflate.is_some();
                    own.back(ctx, heard, place, may_deflate, &self.meter, &mut self.lives);
                }
            }
            Effect::Send { to, message } => {
                let Some(message) = as_message(&message) else { return };
                match own {
                    Some(own) if own.conn == to => {
                        own.message(message, &self.meter, &mut self.lives);
                    }
                    _ => self.send(ctx, to, message),
                }
            }
            Effect::SendMany { to, message } => {
                let Some(message) = as_message(&message) else { return };
                let prepared = self.prepare(message);
                self.told += to.len() * RECEIVER_COST;
                self.meter.fan_out.observe(to.len() as u64);
                for to in to {
                    match own {
                        Some(own) if own.conn == to => {
                            own.message(message, &self.meter, &mut self.lives);
                        }
                        _ => self.send_prepared(ctx, to, message, &prepared),
                    }
                }
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

    /// Encodes a message for many, and compresses it once if that is on.
    fn prepare(&self, message: Message<'_>) -> Prepared {
        let prepared = Prepared::new(message);
        match &self.common.codec.deflate {
            Some(policy) if message.as_bytes().len() >= policy.compress_from => {
                let prepared = prepared.with_deflate(policy.server_max_window_bits, policy.level);
                if let Some(packed) = prepared.compressed_len() {
                    self.meter.deflated[0].add(message.as_bytes().len() as u64);
                    self.meter.deflated[1].add(packed as u64);
                }
                prepared
            }
            _ => prepared,
        }
    }

    fn send(&mut self, ctx: &mut Ctx<'_>, to: ConnId, message: Message<'_>) {
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
                self.meter.said(talk.dialect, kind_of(message));
                self.lives.said(token, message.as_bytes().len());
            }
        }
    }

    fn send_prepared(
        &mut self,
        ctx: &mut Ctx<'_>,
        to: ConnId,
        message: Message<'_>,
        prepared: &Prepared,
    ) {
        if let Some((token, talk)) = self.sessions.talk(to) {
            let (_, tx) = talk.connection.split_mut();
            match tx.shared(prepared).map(|bytes| ctx.send_shared(token, Arc::clone(bytes))) {
                Ok(Sent::Full) => {
                    too_slow(ctx, token, talk.dialect, &self.meter, tx, &mut Vec::new());
                    talk.ends(Ending::Slow);
                }
                Ok(Sent::Queued | Sent::High) => {
                    self.meter.said(talk.dialect, kind_of(message));
                    self.lives.said(token, message.as_bytes().len());
                }
                // It closes, or is gone.
                Ok(Sent::Gone) | Err(_) => {}
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

/// The session that is being heard: what it is sent goes where its pongs go, so that order holds.
pub(super) struct Own<'a> {
    conn: ConnId,
    token: Token,
    /// Messages that it was told in this turn, by kind.
    said: &'a mut [u64; 2],
    /// What it says just now, and in which read.
    heard: Option<(Message<'a>, Place)>,
    tx: &'a mut Outbound,
    answer: &'a mut Answer,
    /// Why it ends, once it does.
    ending: &'a mut Option<Ending>,
}

impl Own<'_> {
    #[inline]
    fn message(&mut self, message: Message<'_>, meter: &Meter, lives: &mut Lives) {
        if write(meter, self.tx, message, &mut self.answer.own) {
            self.said(message, lives);
        }
    }

    #[inline]
    fn said(&mut self, message: Message<'_>, lives: &mut Lives) {
        self.said[kind_of(message) as usize] += 1;
        lives.said(self.token, message.as_bytes().len());
    }

    /// Says to it what it said. A long payload that may not be compressed goes back from where it stands.
    #[inline]
    fn back(
        &mut self,
        ctx: &mut Ctx<'_>,
        heard: Message<'_>,
        place: Place,
        may_deflate: bool,
        meter: &Meter,
        lives: &mut Lives,
    ) {
        let payload = heard.as_bytes();
        let part = place.part(payload).filter(|part| part.len() >= LEND_MIN);
        let at_once = part.is_none() && payload.len() >= AT_ONCE_MIN && !self.answer.is_lent();
        if may_deflate || (part.is_none() && !at_once) {
            return self.message(heard, meter, lives);
        }
        let (kind, len) = (heard.kind(), payload.len() as u64);
        if self.tx.head(kind, len, true, &mut self.answer.own).is_err() {
            // It is closing.
            return;
        }
        self.said(heard, lives);
        match part {
            Some(part) => self.answer.lend(part),
            None => self.answer.send_with(ctx, self.token, payload),
        }
    }

    fn close(
        &mut self,
        frame: Option<CloseFrame<'_>>,
        why: Ending,
        meter: &Meter,
        lives: &mut Lives,
    ) {
        // A second close is no error: it is closing.
        if self.tx.close(frame, &mut self.answer.own).is_ok() {
            let code = frame.map(|frame| frame.code);
            meter.close_said(code);
            lives.closing(self.token, code);
            self.ending.get_or_insert(why);
        }
    }
}

/// Whether it could be said: not after a close.
#[inline]
fn tell(tx: &mut Outbound, message: Message<'_>, out: &mut Vec<u8>) -> bool {
    match message {
        Message::Text(text) => tx.text(text, out).is_ok(),
        Message::Binary(bytes) => tx.binary(bytes, out).is_ok(),
    }
}

/// Whether it could be said: not after a close.
fn write(meter: &Meter, tx: &mut Outbound, message: Message<'_>, out: &mut Vec<u8>) -> bool {
    let before = out.len();
    let written = tell(tx, message, out);
    let frame = out.get(before..).unwrap_or_default();
    // RFC 7692 §6: the bit that tells a compressed message.
    if frame.first().is_some_and(|first| first & 0x40 != 0)
        && let Ok(Some((_, head_len))) = Header::parse(frame)
    {
        meter.deflated[0].add(message.as_bytes().len() as u64);
        meter.deflated[1].add((frame.len() - head_len) as u64);
    }
    written
}

fn kind_of(message: Message<'_>) -> Kind {
    match message {
        Message::Text(_) => Kind::Text,
        Message::Binary(_) => Kind::Binary,
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
fn too_slow(
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
/// What a message counts beside its bytes, as small ones are work, too.
const MESSAGE_COST: usize = 256;
/// What each receiver of a message for many counts. A fraction of a message of its own: a crowded room is
/// told some dozen messages in one turn, so that each socket is written to once for all of them.
const RECEIVER_COST: usize = 32;
/// Bytes of answers that one turn of one peer may bring: a socket's usual send buffer.
const TURN_ANSWERS_MAX: usize = 64 << 10;
/// The same of an echo, which is as long as what asks for it: twice a read, so that echoing one is one turn.
const ECHO_ANSWERS_MAX: usize = 512 << 10;
/// Shorter payloads are copied: 4 KiB cost less to copy than two slices more in the system call.
const LEND_MIN: usize = 4 << 10;
/// What was put together of many reads is not put into another buffer, but offered to the socket from
/// where it is: from 64 KiB on, where a copy costs more than a system call of its own.
const AT_ONCE_MIN: usize = 64 << 10;
/// The hub's, for who sends more than it may.
const RATE_LIMITED: u16 = 4029;
/// The native chat's: come back and resume, nothing is lost.
const SLOW_CONSUMER: u16 = 4008;
/// How long a speaker waits for other loops before it is heard again.
const CONGESTION_WAIT: Duration = Duration::from_millis(10);
