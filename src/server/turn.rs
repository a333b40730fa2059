//! One peer's turn: what it said, what it is told at once, and what that came to.

use super::answer::{Answer, Place};
use super::life::Lives;
use super::metrics::{Ending, Meter};
use crate::net::{Ctx, Token};
use crate::proto::{CloseFrame, Echoed, Header, Inbound, Input, Message, Outbound};
use crate::relay::{ConnId, Kind};

/// Whose turn it is, and what of it outlives a message.
pub(super) struct Turn<'a> {
    pub(super) conn: ConnId,
    pub(super) token: Token,
    /// Where the read stands that is being heard.
    pub(super) place: Place,
    pub(super) toll: &'a mut Toll,
    pub(super) answer: &'a mut Answer,
    /// Why the session ends, once it does.
    pub(super) ending: &'a mut Option<Ending>,
    /// So many bytes of the input there must be before there is more to hear.
    pub(super) awaits: Option<usize>,
}

impl Turn<'_> {
    /// What is done to the session itself, while it says this.
    #[inline]
    pub(super) fn own<'s>(
        &'s mut self,
        tx: &'s mut Outbound,
        heard: Option<Message<'s>>,
    ) -> Own<'s> {
        let Turn { conn, token, place, ref mut toll, ref mut answer, ref mut ending, .. } = *self;
        Own { conn, token, place, heard, toll, tx, answer, ending }
    }

    /// Whether a long message is under way that is heard when it is there: then it is lent from where it was
    /// read to, without being put together.
    #[inline]
    pub(super) fn awaits_more(
        &mut self,
        rx: &mut Inbound,
        input: &Input<'_>,
        tx: &mut Outbound,
    ) -> bool {
        let whole = rx.awaits(input, tx, &mut self.answer.own);
        self.awaits = whole.filter(|&whole| whole <= AWAITED_MAX);
        self.awaits.is_some()
    }

    /// Sends back what lies in the read as it is to go out. Returns what that counts for.
    #[inline]
    pub(super) fn echoed(&mut self, echoed: Echoed) -> usize {
        let Echoed { frames, texts, binaries, bytes } = echoed;
        let spent = frames.len() + (texts + binaries) * MESSAGE_COST;
        let mut said = Said { messages: [0; 2], bytes: bytes as u64 };
        said.messages[Kind::Text as usize] = texts as u64;
        said.messages[Kind::Binary as usize] = binaries as u64;
        self.toll.heard.add(&said);
        self.toll.told.add(&said);
        self.answer.lend(frames);
        spent
    }
}

/// What was said in a turn, counted in once: messages by kind, and their bytes, inflated.
#[derive(Default, Debug)]
pub(super) struct Toll {
    /// By the peer.
    pub(super) heard: Said,
    /// To the peer.
    pub(super) told: Said,
}

/// Messages by [`Kind`], and all their bytes.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Said {
    pub(super) messages: [u64; 2],
    pub(super) bytes: u64,
}

impl Said {
    /// A message.
    #[inline]
    pub(super) fn message(&mut self, message: Message<'_>) {
        self.messages[kind_of(message) as usize] += 1;
        self.bytes += message.as_bytes().len() as u64;
    }

    /// All of these.
    #[inline]
    pub(super) fn add(&mut self, more: &Self) {
        self.messages.iter_mut().zip(more.messages).for_each(|(sum, count)| *sum += count);
        self.bytes += more.bytes;
    }

    /// Messages of all kinds.
    pub(super) fn count(&self) -> u64 {
        self.messages.iter().sum()
    }
}

/// The session that is being heard: what it is sent goes where its pongs go, so that order holds.
pub(super) struct Own<'a> {
    pub(super) conn: ConnId,
    token: Token,
    place: Place,
    /// What it says just now.
    heard: Option<Message<'a>>,
    toll: &'a mut Toll,
    tx: &'a mut Outbound,
    answer: &'a mut Answer,
    ending: &'a mut Option<Ending>,
}

impl Own<'_> {
    #[inline]
    pub(super) fn message(&mut self, message: Message<'_>, meter: &Meter) {
        if write(meter, self.tx, message, &mut self.answer.own) {
            self.toll.told.message(message);
        }
    }

    /// Says to it what it said; what may not be compressed, if it is long, from where it stands.
    #[inline]
    pub(super) fn back(&mut self, ctx: &mut Ctx<'_>, may_deflate: bool, meter: &Meter) {
        let Some(heard) = self.heard else {
            return;
        };
        if may_deflate {
            return self.message(heard, meter);
        }
        let payload = heard.as_bytes();
        let part = self.place.part(payload).filter(|part| part.len() >= LEND_MIN);
        let at_once = part.is_none() && payload.len() >= AT_ONCE_MIN && !self.answer.is_lent();
        let begun = if part.is_some() || at_once {
            self.tx.head(heard.kind(), payload.len() as u64, true, &mut self.answer.own).is_ok()
        } else {
            tell(self.tx, heard, &mut self.answer.own)
        };
        if !begun {
            // It is closing.
            return;
        }
        self.toll.told.message(heard);
        match part {
            Some(part) => self.answer.lend(part),
            None if at_once => self.answer.send_with(ctx, self.token, payload),
            None => {}
        }
    }

    pub(super) fn close(
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
pub(super) fn write(
    meter: &Meter,
    tx: &mut Outbound,
    message: Message<'_>,
    out: &mut Vec<u8>,
) -> bool {
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

pub(super) fn kind_of(message: Message<'_>) -> Kind {
    match message {
        Message::Text(_) => Kind::Text,
        Message::Binary(_) => Kind::Binary,
    }
}

/// Shorter payloads are copied: 4 KiB cost less to copy than two slices more in the system call.
const LEND_MIN: usize = 4 << 10;
/// What was put together of many reads is not put into another buffer, but offered to the socket from
/// where it is: from 64 KiB on, where a copy costs more than a system call of its own.
const AT_ONCE_MIN: usize = 64 << 10;
/// What a message counts beside its bytes, as small ones are work, too.
pub(super) const MESSAGE_COST: usize = 256;
/// Longer messages are unmasked as they come, since the others would wait for milliseconds.
const AWAITED_MAX: usize = 4 << 20;
