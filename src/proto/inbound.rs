//! Bytes from the peer become events here. Knows RFC 6455 section 5; knows no sockets, no time, no chat.

mod assembly;
mod echo;
mod frames;
#[cfg(feature = "deflate")]
mod inflating;

use alloc::{boxed::Box, sync::Arc, vec::Vec};

use assembly::{Assembly, Partial};
pub use echo::Echoed;
use frames::Piece;

#[cfg(feature = "deflate")]
use super::deflate::Inflate;
use super::{
    CloseCode, CloseFrame, Config, Ended, Event, Kind, MaskKey, OpCode, Outbound, Part, Role,
    Violation, apply_mask, utf8,
};

/// Bytes that came from the transport, lent to the codec, which unmasks them in place.
///
/// Feed it to [`Inbound::next`] until that returns `None`: then everything in it is used up, and
/// what belongs to an unfinished frame is remembered.
#[derive(Debug)]
pub struct Input<'b> {
    bytes: &'b mut [u8],
    /// Everything before is used up.
    at: usize,
    /// From here to `at` stands compressed data that is unmasked and not yet inflated.
    #[cfg(feature = "deflate")]
    held: usize,
    /// Compressed bytes, and what they inflated to.
    #[cfg(feature = "deflate")]
    inflated: (u64, u64),
    pings: u32,
}

impl<'b> Input<'b> {
    /// Lends `bytes`, in the order in which the transport gave them.
    #[inline]
    pub fn new(bytes: &'b mut [u8]) -> Self {
        Self {
            bytes,
            at: 0,
            #[cfg(feature = "deflate")]
            held: 0,
            #[cfg(feature = "deflate")]
            inflated: (0, 0),
            pings: 0,
        }
    }

    /// Bytes not yet used up. After a close frame or a violation there are none: what follows is ignored.
    #[inline]
    pub fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// Bytes of this input that belonged to compressed messages, and how many they inflated to.
    #[cfg(feature = "deflate")]
    #[inline]
    pub fn inflated(&self) -> (u64, u64) {
        self.inflated
    }

    #[inline]
    fn rest(&self) -> &[u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    fn discard(&mut self) {
        self.at = self.bytes.len();
    }
}

/// The receiving half of a [`Connection`](super::Connection).
///
/// At rest, between two messages, it is a few words and owns nothing on the heap.
#[derive(Debug)]
pub struct Inbound {
    config: Arc<Config>,
    /// What a cut left unfinished. Between messages the memory of one that was handed out, for the next one of
    /// the same input; `None` between inputs.
    partial: Option<Box<Partial>>,
    #[cfg(feature = "deflate")]
    inflate: Option<Box<Inflate>>,
    pub(super) role: Role,
    pub(super) heard: Heard,
    /// The longest whole message that needs no other look than the one at its header.
    short_max: u16,
}

/// What of a message is unmasked and kept at once: 8 KiB are still in the first-level cache for the
/// second look.
const PIECE_MAX: usize = 8 << 10;

/// How the peer's side of the conversation stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Heard {
    /// It may say more.
    Open,
    /// It said goodbye, with this code.
    Close(Option<CloseCode>),
    /// It broke the protocol: nothing it says counts any more.
    Fault,
    /// The transport ended, in this way.
    Eof(Ended),
}

impl Heard {
    /// The one place where a connection fails (RFC 6455 §7.1.7).
    #[cold]
    fn fail(&mut self, violation: Violation, reply: &mut Outbound, out: &mut Vec<u8>) -> Violation {
        *self = Self::Fault;
        reply.fail(violation.close_code(), out);
        violation
    }
}

/// A short whole message, by its header.
struct Short {
    kind: Kind,
    key: Option<MaskKey>,
    head: usize,
    len: usize,
}

/// A range of the input; `None` for the buffer in [`Partial`] that belongs to the thing found.
type Place = Option<(usize, usize)>;

/// What is to be handed to the caller. Holds places instead of borrows.
enum Found {
    Data { kind: Kind, place: Place, fin: bool },
    Control(OpCode, Place),
}

impl Inbound {
    pub(super) fn new(config: Arc<Config>, role: Role) -> Self {
        let limits = &config.limits;
        let short_max = limits.message_bytes_max.min(limits.frame_bytes_max).min(0xFFFF);
        Self {
            partial: None,
            #[cfg(feature = "deflate")]
            inflate: None,
            role,
            heard: Heard::Open,
            short_max: u16::try_from(short_max).unwrap_or(u16::MAX),
            config,
        }
    }

    #[cfg(feature = "deflate")]
    pub(super) fn enable_deflate(&mut self, inflate: Inflate) {
        self.inflate = Some(Box::new(inflate));
    }

    /// The next thing that the peer said, with messages whole; `None` when the input is used up.
    ///
    /// The answers that the protocol demands (a pong, the answer to a close, the close after a
    /// violation) are appended to `out` on the way, in order with what the caller appends there.
    /// A message that lies whole and uncompressed in the input is neither copied nor allocated.
    /// After a close frame or an error the rest of the input is ignored.
    ///
    /// In the middle of a message taken with [`next_part`](Self::next_part) it skips what is left of that.
    ///
    /// # Errors
    ///
    /// What the peer did wrong (RFC 6455 §7.1.7). The connection has failed, the close frame is in `out`.
    #[inline]
    pub fn next<'s>(
        &'s mut self,
        input: &'s mut Input<'_>,
        reply: &mut Outbound,
        out: &mut Vec<u8>,
    ) -> Result<Option<Event<'s>>, Violation> {
        if self.is_between_messages()
            && self.heard == Heard::Open
            && let Some(found) = self.short_message(input.rest())
        {
            let start = input.at + found.head;
            let end = start + found.len;
            input.at = end;
            let payload = &mut input.bytes[start..end];
            if let Some(key) = found.key {
                apply_mask(key, payload);
            }
            return match found.kind {
                Kind::Binary => Ok(Some(Event::Binary(payload))),
                Kind::Text => match utf8::whole(payload) {
                    Some(text) => Ok(Some(Event::Text(text))),
                    None => Err(self.heard.fail(Violation::InvalidUtf8, reply, out)),
                },
            };
        }
        self.next_event(input, reply, out)
    }

    /// The next thing that the peer said, with messages in parts as they arrive: a message of any
    /// size passes through bounded memory. A plain part borrows from the input; a compressed one is
    /// inflated at most 16 KiB at a time. [`Limits`](super::Limits) hold all the same; whoever
    /// wants messages without a bound sets `message_bytes_max` to `u64::MAX`.
    ///
    /// In the middle of a message that [`next`](Self::next) was assembling, its first part is what
    /// had been kept.
    ///
    /// # Errors
    ///
    /// As for [`next`](Self::next). Parts handed out before the violation may belong to a message
    /// that is now known to be bad.
    pub fn next_part<'s>(
        &'s mut self,
        input: &'s mut Input<'_>,
        reply: &mut Outbound,
        out: &mut Vec<u8>,
    ) -> Result<Option<Part<'s>>, Violation> {
        let found = self.find_part(input);
        let Some(found) = self.settled(found, reply, out)? else {
            return Ok(None);
        };
        match found {
            Found::Data { kind, place, fin } => {
                let bytes = match place {
                    Some((start, end)) => input.bytes.get(start..end).unwrap_or_default(),
                    None => self.partial.as_ref().map_or(&[][..], |partial| &partial.bytes),
                };
                Ok(Some(Part::Data { kind, bytes, fin }))
            }
            Found::Control(opcode, place) => {
                match self.control(opcode, place, input, reply, out)? {
                    Control::Ping(payload) => Ok(Some(Part::Ping(payload))),
                    Control::Pong(payload) => Ok(Some(Part::Pong(payload))),
                    Control::Close(frame) => Ok(Some(Part::Close(frame))),
                }
            }
        }
    }

    /// Whether nothing is unfinished: no frame and no message was begun.
    #[inline]
    pub fn is_between_messages(&self) -> bool {
        self.partial.as_ref().is_none_or(|partial| partial.is_settled())
    }

    /// How many bytes of the input there must be for the long message at its front to lie there whole, if
    /// there are fewer so far: with a transport that can wait for them it need not be put together. Then this
    /// is the end of the input, as `None` of [`next`](Self::next) is, but for those bytes, which are to come
    /// again; who does not want to wait asks `next`. Tells of plain binary messages of 64 KiB and more, in one
    /// frame, that are welcome; text is judged as it comes.
    ///
    /// ```
    /// use sockeye::proto::{Config, Connection, Input};
    ///
    /// // A binary message of 100,000 bytes, of which one has come.
    /// let mut bytes = [0x82, 0xFF, 0, 0, 0, 0, 0, 1, 0x86, 0xA0, 1, 2, 3, 4, 5];
    /// let mut connection = Connection::server(Config::default());
    /// let (rx, tx) = connection.split_mut();
    /// let mut out = Vec::new();
    /// assert_eq!(rx.awaits(&Input::new(&mut bytes), tx, &mut out), Some(14 + 100_000));
    /// ```
    #[inline]
    pub fn awaits(
        &mut self,
        input: &Input<'_>,
        reply: &mut Outbound,
        out: &mut Vec<u8>,
    ) -> Option<usize> {
        match input.rest() {
            &[0x82, second, ..] if second & 0x7F == 127 => {
                let whole = self.long_message(input.rest())?;
                // Nothing is owed, or kept, while it is waited for.
                self.partial = None;
                reply.settle_pongs(out);
                Some(whole)
            }
            _ => None,
        }
    }

    /// A whole, plain message of up to 64 KiB at the start of `bytes`: the common case, judged by
    /// its first bytes. Anything else, also anything wrong, is left to the full path.
    #[inline(always)]
    fn short_message(&self, bytes: &[u8]) -> Option<Short> {
        let &[first, second, ..] = bytes else {
            return None;
        };
        let kind = match first {
            0x81 => Kind::Text,
            0x82 => Kind::Binary,
            _ => return None,
        };
        let masked = second & 0x80 != 0;
        let (len_end, len) = match second & 0x7F {
            126 => {
                let len = u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?);
                if len < 126 {
                    return None;
                }
                (4, len)
            }
            127 => return None,
            short => (2, u16::from(short)),
        };
        if len > self.short_max || masked != (self.role == Role::Server) {
            return None;
        }
        let (key, head) = if masked {
            let key = bytes.get(len_end..len_end + 4)?;
            (Some(MaskKey(key.try_into().ok()?)), len_end + 4)
        } else {
            (None, len_end)
        };
        let len = usize::from(len);
        (bytes.len() >= head + len).then_some(Short { kind, key, head, len })
    }

    #[inline(never)]
    fn next_event<'s>(
        &'s mut self,
        input: &'s mut Input<'_>,
        reply: &mut Outbound,
        out: &mut Vec<u8>,
    ) -> Result<Option<Event<'s>>, Violation> {
        let found = self.find_message(input);
        let Some(found) = self.settled(found, reply, out)? else {
            return Ok(None);
        };
        match found {
            Found::Data { kind, place: None, .. } => {
                let partial = self.partial.as_ref();
                Ok(Some(match kind {
                    Kind::Binary => Event::Binary(partial.map_or(&[], |partial| &partial.bytes)),
                    Kind::Text => Event::Text(partial.map_or("", |partial| &partial.text)),
                }))
            }
            Found::Data { kind, place: Some((start, end)), .. } => {
                let bytes = input.bytes.get(start..end).unwrap_or_default();
                match kind {
                    Kind::Binary => Ok(Some(Event::Binary(bytes))),
                    Kind::Text => match utf8::whole(bytes) {
                        Some(text) => Ok(Some(Event::Text(text))),
                        None => Err(self.heard.fail(Violation::InvalidUtf8, reply, out)),
                    },
                }
            }
            Found::Control(opcode, place) => {
                match self.control(opcode, place, input, reply, out)? {
                    Control::Ping(payload) => Ok(Some(Event::Ping(payload))),
                    Control::Pong(payload) => Ok(Some(Event::Pong(payload))),
                    Control::Close(frame) => Ok(Some(Event::Close(frame))),
                }
            }
        }
    }

    /// What was found, after what the search itself demands: at the end of the input what is owed is
    /// paid and nothing is kept for later; a fault fails the connection.
    fn settled(
        &mut self,
        found: Result<Option<Found>, Violation>,
        reply: &mut Outbound,
        out: &mut Vec<u8>,
    ) -> Result<Option<Found>, Violation> {
        match found {
            Ok(Some(found)) => Ok(Some(found)),
            Ok(None) => {
                if self.is_between_messages() {
                    self.partial = None;
                }
                reply.settle_pongs(out);
                Ok(None)
            }
            Err(violation) => Err(self.heard.fail(violation, reply, out)),
        }
    }

    /// Keeps a piece of a message, in a buffer that has room for what else of its frame is there.
    fn keep(&mut self, input: &Input<'_>, start: usize, end: usize) -> Result<(), Violation> {
        let partial = self.partial_mut();
        let piece = input.bytes.get(start..end).unwrap_or_default();
        let left = partial.frame.as_ref().map_or(0, |frame| frame.remaining);
        let here = usize::try_from(left).unwrap_or(usize::MAX).min(input.remaining());
        partial.make_room(piece.len() + here, left.saturating_add(piece.len() as u64));
        partial.keep(piece)
    }

    /// Finds the next whole message or control frame.
    fn find_message(&mut self, input: &mut Input<'_>) -> Result<Option<Found>, Violation> {
        loop {
            if !self.go_on(input) {
                return Ok(None);
            }
            if self.assembly().is_some_and(|message| message.in_parts) {
                // The caller changed over from `next_part`: the rest of that message is skipped.
                match self.find_part(input)? {
                    Some(Found::Data { .. }) => continue,
                    other => return Ok(other),
                }
            }
            if let Some(found) = self.whole_frame(input)? {
                return Ok(Some(found));
            }
            let (start, end) = match self.advance(input, PIECE_MAX)? {
                None => return Ok(None),
                Some(Piece::Control(opcode, place)) => {
                    return Ok(Some(Found::Control(opcode, place)));
                }
                Some(Piece::Data(start, end)) => (start, end),
            };
            #[cfg(feature = "deflate")]
            if self.assembly().is_some_and(|message| message.compressed) {
                self.inflate_all(input, start, end)?;
            } else {
                self.keep(input, start, end)?;
            }
            #[cfg(not(feature = "deflate"))]
            self.keep(input, start, end)?;
            if let Some(kind) = self.partial_mut().finish_if_arrived()? {
                return Ok(Some(Found::Data { kind, place: None, fin: true }));
            }
        }
    }

    /// Finds the next part of a message, or the next control frame.
    fn find_part(&mut self, input: &mut Input<'_>) -> Result<Option<Found>, Violation> {
        loop {
            if !self.go_on(input) {
                return Ok(None);
            }
            if let Some(found) = self.kept_part() {
                return Ok(Some(found));
            }
            #[cfg(feature = "deflate")]
            if self.assembly().is_some_and(|message| message.inflating)
                && let Some(found) = self.inflate_part(input)?
            {
                return Ok(Some(found));
            }
            let (start, end) = match self.advance(input, usize::MAX)? {
                None => return Ok(None),
                Some(Piece::Control(opcode, place)) => {
                    return Ok(Some(Found::Control(opcode, place)));
                }
                Some(Piece::Data(start, end)) => (start, end),
            };
            let partial = self.partial_mut();
            let Some(message) = partial.message.as_mut() else {
                continue;
            };
            message.in_parts = true;
            #[cfg(feature = "deflate")]
            if message.compressed {
                message.inflating = true;
                input.held = start;
                continue;
            }
            message.judge(input.bytes.get(start..end).unwrap_or_default())?;
            let (kind, fin) = (message.kind, message.arrived);
            partial.finish_if_arrived()?;
            if fin || start < end {
                return Ok(Some(Found::Data { kind, place: Some((start, end)), fin }));
            }
        }
    }

    /// In the middle of a message: if the caller changed over from `next`, what was kept is the
    /// first part, else what the last part borrowed is cleared away.
    fn kept_part(&mut self) -> Option<Found> {
        let Partial { message: Some(message), bytes, text, .. } = self.partial.as_deref_mut()?
        else {
            return None;
        };
        if message.in_parts {
            bytes.clear();
            return None;
        }
        message.in_parts = true;
        let kind = message.kind;
        if kind == Kind::Text {
            *bytes = core::mem::take(text).into_bytes();
            bytes.extend_from_slice(message.utf8.unfinished());
        }
        (!bytes.is_empty()).then_some(Found::Data { kind, place: None, fin: false })
    }

    /// Clears away what the last event borrowed. False if nothing the peer says counts any more.
    fn go_on(&mut self, input: &mut Input<'_>) -> bool {
        if self.heard != Heard::Open {
            // §1.4, §7.1.7: after the close frame, or after failure, what still comes is ignored.
            self.forget();
            input.discard();
            return false;
        }
        if let Some(partial) = self.partial.as_mut() {
            if partial.frame.is_none_or(|frame| !frame.opcode.is_control()) {
                partial.control.clear();
            }
            if partial.is_settled() {
                partial.clear();
            }
        }
        true
    }

    /// A control frame is complete: answers it as the protocol demands.
    fn control<'s>(
        &'s mut self,
        opcode: OpCode,
        place: Place,
        input: &'s mut Input<'_>,
        reply: &mut Outbound,
        out: &mut Vec<u8>,
    ) -> Result<Control<'s>, Violation> {
        input.pings += u32::from(opcode == OpCode::Ping);
        let Self { partial, heard, config, .. } = self;
        let payload = match place {
            Some((start, end)) => input.bytes.get(start..end).unwrap_or_default(),
            None => partial.as_ref().map_or(&[][..], |partial| &partial.control),
        };
        match opcode {
            // §5.5.2: a ping is answered with its own payload.
            OpCode::Ping => {
                let burst = input.pings > config.limits.pings_per_read;
                reply.answer_ping(payload, burst, out);
                Ok(Control::Ping(payload))
            }
            OpCode::Close => match close_body(payload) {
                Ok(frame) => {
                    *heard = Heard::Close(frame.map(|frame| frame.code));
                    // §5.5.1: a close is answered with a close, with the code that came.
                    reply.write_close(frame, out);
                    input.at = input.bytes.len();
                    Ok(Control::Close(frame))
                }
                Err(violation) => Err(heard.fail(violation, reply, out)),
            },
            _ => Ok(Control::Pong(payload)),
        }
    }

    /// The transport ended: nothing will complete what is unfinished.
    pub(super) fn end(&mut self, ended: Ended) {
        self.heard = Heard::Eof(ended);
        self.forget();
    }

    fn forget(&mut self) {
        self.partial = None;
        #[cfg(feature = "deflate")]
        {
            self.inflate = None;
        }
    }

    #[cfg(feature = "deflate")]
    fn inflates(&self) -> bool {
        self.inflate.is_some()
    }

    /// Without permessage-deflate no message is compressed: RSV1 is refused at its header.
    #[cfg(not(feature = "deflate"))]
    fn inflates(&self) -> bool {
        false
    }

    /// What is unfinished, from now on if nothing was.
    fn partial_mut(&mut self) -> &mut Partial {
        self.partial.get_or_insert_default()
    }

    fn assembly(&self) -> Option<&Assembly> {
        self.partial.as_ref()?.message.as_ref()
    }
}

/// A control frame that was understood.
enum Control<'a> {
    Ping(&'a [u8]),
    Pong(&'a [u8]),
    Close(Option<CloseFrame<'a>>),
}

/// §5.5.1: the body of a close frame is nothing, or a code and a reason in UTF-8.
fn close_body(body: &[u8]) -> Result<Option<CloseFrame<'_>>, Violation> {
    match body {
        [] => Ok(None),
        [_] => Err(Violation::CloseBodyTooShort),
        [high, low, reason @ ..] => {
            let number = u16::from_be_bytes([*high, *low]);
            let code = CloseCode::new(number).ok_or(Violation::CloseCode(number))?;
            let reason = utf8::whole(reason).ok_or(Violation::CloseReasonNotUtf8)?;
            Ok(Some(CloseFrame { code, reason }))
        }
    }
}
