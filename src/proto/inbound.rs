//! Bytes from the peer become events here. Knows RFC 6455 section 5; knows no sockets, no time, no chat.

use alloc::{boxed::Box, sync::Arc, vec::Vec};

#[cfg(feature = "deflate")]
use super::deflate::{Inflate, Step};
use super::{
    CloseCode, CloseFrame, Config, Ended, Event, Header, Kind, MaskKey, OpCode, Outbound, Part,
    Role, Utf8, Violation, apply_mask, utf8,
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
            pings: 0,
        }
    }

    /// Bytes not yet used up. After a close frame or a violation there are none: what follows is ignored.
    #[inline]
    pub fn remaining(&self) -> usize {
        self.bytes.len() - self.at
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
    /// What a cut left unfinished; `None` between messages.
    partial: Option<Box<Partial>>,
    #[cfg(feature = "deflate")]
    inflate: Option<Box<Inflate>>,
    role: Role,
    pub(super) heard: Heard,
    /// The longest whole message that needs no other look than the one at its header.
    short_max: u16,
}

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

#[derive(Debug, Default)]
struct Partial {
    /// The bytes of a header that was cut.
    head: [u8; Header::MAX_LEN],
    head_len: usize,
    frame: Option<Frame>,
    message: Option<Assembly>,
    /// The message so far, unmasked and inflated; or, read in parts, what was just inflated.
    buffer: Vec<u8>,
    /// The control frame so far.
    control: Vec<u8>,
}

/// A frame whose header was read.
#[derive(Clone, Copy, Debug)]
struct Frame {
    opcode: OpCode,
    fin: bool,
    key: Option<MaskKey>,
    /// Bytes of payload still to come.
    remaining: u64,
}

/// A message whose first frame was seen and whose end was not.
#[derive(Clone, Copy, Debug)]
struct Assembly {
    kind: Kind,
    compressed: bool,
    fragments: u32,
    /// Bytes declared by its frames.
    declared: u64,
    /// Bytes handed on, after inflating.
    #[cfg_attr(not(feature = "deflate"), allow(dead_code))]
    produced: u64,
    text: Utf8,
    /// Is taken in parts: nothing is kept.
    in_parts: bool,
    /// There is compressed data that has not been inflated.
    #[cfg_attr(not(feature = "deflate"), allow(dead_code))]
    inflating: bool,
    /// The last frame's last byte is there.
    arrived: bool,
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

/// What the frame layer found next.
enum Piece {
    /// Unmasked payload of the message in progress, at this range of the input.
    Data(usize, usize),
    /// A whole control frame.
    Control(OpCode, Place),
}

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
        if self.partial.is_none()
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
        let found = match self.find_part(input) {
            Ok(Some(found)) => found,
            Ok(None) => {
                reply.settle_pongs(out);
                return Ok(None);
            }
            Err(violation) => return Err(self.heard.fail(violation, reply, out)),
        };
        match found {
            Found::Data { kind, place, fin } => {
                let bytes = match place {
                    Some((start, end)) => input.bytes.get(start..end).unwrap_or_default(),
                    None => self.partial.as_ref().map_or(&[][..], |partial| &partial.buffer),
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

    /// A whole, plain message of up to 64 KiB at the start of `bytes`: the common case, judged by
    /// its first bytes. Anything else, also anything wrong, is left to the full path.
    #[inline]
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

    fn next_event<'s>(
        &'s mut self,
        input: &'s mut Input<'_>,
        reply: &mut Outbound,
        out: &mut Vec<u8>,
    ) -> Result<Option<Event<'s>>, Violation> {
        let found = match self.find_message(input) {
            Ok(Some(found)) => found,
            Ok(None) => {
                reply.settle_pongs(out);
                return Ok(None);
            }
            Err(violation) => return Err(self.heard.fail(violation, reply, out)),
        };
        match found {
            Found::Data { kind, place, .. } => {
                let Self { partial, heard, .. } = self;
                let bytes = match place {
                    Some((start, end)) => input.bytes.get(start..end).unwrap_or_default(),
                    None => partial.as_ref().map_or(&[][..], |partial| &partial.buffer),
                };
                match kind {
                    Kind::Binary => Ok(Some(Event::Binary(bytes))),
                    // An assembled text was judged as it arrived; this makes it a `str` without `unsafe`.
                    Kind::Text => match utf8::whole(bytes) {
                        Some(text) => Ok(Some(Event::Text(text))),
                        None => Err(heard.fail(Violation::InvalidUtf8, reply, out)),
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
            let (start, end) = match self.advance(input)? {
                None => return Ok(None),
                Some(Piece::Control(opcode, place)) => {
                    return Ok(Some(Found::Control(opcode, place)));
                }
                Some(Piece::Data(start, end)) => (start, end),
            };
            if self.assembly().is_some_and(|message| message.compressed) {
                self.inflate_all(input, start, end)?;
            } else if let Some(partial) = self.partial.as_mut() {
                partial.buffer.extend_from_slice(input.bytes.get(start..end).unwrap_or_default());
            }
            if let Some(kind) = self.finish_if_arrived()? {
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
            if let Some(Partial { message: Some(message), buffer, .. }) =
                self.partial.as_deref_mut()
            {
                if message.in_parts {
                    buffer.clear();
                } else {
                    // The caller changed over from `next`: what was kept is the first part.
                    message.in_parts = true;
                    if !buffer.is_empty() {
                        let kind = message.kind;
                        return Ok(Some(Found::Data { kind, place: None, fin: false }));
                    }
                }
                if message.inflating
                    && let Some(found) = self.inflate_part(input)?
                {
                    return Ok(Some(found));
                }
            }
            let (start, end) = match self.advance(input)? {
                None => return Ok(None),
                Some(Piece::Control(opcode, place)) => {
                    return Ok(Some(Found::Control(opcode, place)));
                }
                Some(Piece::Data(start, end)) => (start, end),
            };
            let Some(message) = self.assembly_mut() else {
                continue;
            };
            message.in_parts = true;
            if message.compressed {
                message.inflating = true;
                #[cfg(feature = "deflate")]
                {
                    input.held = start;
                }
                continue;
            }
            let (kind, fin) = (message.kind, message.arrived);
            self.finish_if_arrived()?;
            if fin || start < end {
                return Ok(Some(Found::Data { kind, place: Some((start, end)), fin }));
            }
        }
    }

    /// Clears away what the last event borrowed. False if nothing the peer says counts any more.
    fn go_on(&mut self, input: &mut Input<'_>) -> bool {
        if self.heard != Heard::Open {
            // §1.4, §7.1.7: after the close frame, or after failure, what still comes is ignored.
            self.partial = None;
            #[cfg(feature = "deflate")]
            {
                self.inflate = None;
            }
            input.discard();
            return false;
        }
        if let Some(partial) = self.partial.as_mut() {
            if partial.frame.is_none_or(|frame| !frame.opcode.is_control()) {
                partial.control.clear();
            }
            if partial.is_settled() {
                self.partial = None;
            }
        }
        true
    }

    /// A message that lies whole and plain in the input: handed out where it is.
    fn whole_frame(&mut self, input: &mut Input<'_>) -> Result<Option<Found>, Violation> {
        if self.partial.is_some() {
            return Ok(None);
        }
        let Some((header, used)) = Header::parse(input.rest())? else {
            return Ok(None);
        };
        let kind = match header.opcode {
            OpCode::Text => Kind::Text,
            OpCode::Binary => Kind::Binary,
            _ => return Ok(None),
        };
        let start = input.at + used;
        let Some(end) = usize::try_from(header.len).ok().and_then(|len| start.checked_add(len))
        else {
            return Ok(None);
        };
        if !header.fin || header.rsv != 0 || end > input.bytes.len() {
            return Ok(None);
        }
        self.judge(&header)?;
        input.at = end;
        if let Some(key) = header.mask {
            apply_mask(key, input.bytes.get_mut(start..end).unwrap_or_default());
        }
        Ok(Some(Found::Data { kind, place: Some((start, end)), fin: true }))
    }

    /// The next payload of the message in progress, or a whole control frame.
    fn advance(&mut self, input: &mut Input<'_>) -> Result<Option<Piece>, Violation> {
        loop {
            let resumed = self.partial.as_mut().and_then(|partial| partial.frame.take());
            let mut frame = match resumed {
                Some(frame) => frame,
                None => match self.header(input)? {
                    Some(header) => self.begin(&header)?,
                    None => return Ok(None),
                },
            };
            let here =
                usize::try_from(frame.remaining).unwrap_or(usize::MAX).min(input.remaining());
            let (start, end) = (input.at, input.at + here);
            input.at = end;
            frame.remaining -= here as u64;
            let payload = input.bytes.get_mut(start..end).unwrap_or_default();
            if let Some(key) = frame.key {
                frame.key = Some(apply_mask(key, payload));
            }
            if frame.opcode.is_control() {
                if frame.remaining == 0
                    && self.partial.as_ref().is_none_or(|p| p.control.is_empty())
                {
                    return Ok(Some(Piece::Control(frame.opcode, Some((start, end)))));
                }
                let partial = self.partial.get_or_insert_default();
                partial.control.extend_from_slice(payload);
                if frame.remaining == 0 {
                    return Ok(Some(Piece::Control(frame.opcode, None)));
                }
                partial.frame = Some(frame);
                return Ok(None);
            }
            let partial = self.partial.get_or_insert_default();
            let ended = frame.remaining == 0;
            if !ended {
                partial.frame = Some(frame);
            }
            let Some(message) = partial.message.as_mut() else {
                continue;
            };
            message.arrived = ended && frame.fin;
            // §8.1: text is judged as its octets arrive, not when the frame or the message ends.
            if message.kind == Kind::Text && !message.compressed {
                message.text.feed(payload).map_err(|_| Violation::InvalidUtf8)?;
            }
            if start < end || message.arrived {
                return Ok(Some(Piece::Data(start, end)));
            }
            if !ended {
                return Ok(None);
            }
        }
    }

    /// Reads a header, whose bytes may have come in several inputs.
    fn header(&mut self, input: &mut Input<'_>) -> Result<Option<Header>, Violation> {
        let rest = input.rest();
        if let Some(partial) = self.partial.as_mut()
            && partial.head_len > 0
        {
            let carried = partial.head_len;
            let here = rest.len().min(Header::MAX_LEN - carried);
            partial.head[carried..carried + here].copy_from_slice(&rest[..here]);
            let Some((header, used)) = Header::parse(&partial.head[..carried + here])? else {
                partial.head_len += here;
                input.at += here;
                return Ok(None);
            };
            partial.head_len = 0;
            input.at += used.saturating_sub(carried);
            return Ok(Some(header));
        }
        if let Some((header, used)) = Header::parse(rest)? {
            input.at += used;
            return Ok(Some(header));
        }
        if !rest.is_empty() {
            let here = rest.len().min(Header::MAX_LEN);
            let partial = self.partial.get_or_insert_default();
            partial.head[..here].copy_from_slice(&rest[..here]);
            partial.head_len = here;
            input.at += here;
        }
        Ok(None)
    }

    /// Whether a frame with this header is welcome here and now.
    fn judge(&self, header: &Header) -> Result<(), Violation> {
        // §5.1: a client masks every frame, a server none.
        match (self.role, header.mask) {
            (Role::Server, None) => return Err(Violation::Unmasked),
            (Role::Client, Some(_)) => return Err(Violation::Masked),
            _ => {}
        }
        // §5.2: reserved bits are 0 unless an agreed extension says otherwise; RFC 7692 §6: RSV1 may
        // stand on the first frame of a message, never on a continuation or a control frame.
        let begins = matches!(header.opcode, OpCode::Text | OpCode::Binary);
        let allowed = if begins && self.inflates() { Header::RSV1 } else { 0 };
        if header.rsv & !allowed != 0 {
            return Err(Violation::ReservedBits(header.rsv));
        }
        let limits = &self.config.limits;
        if header.len > limits.frame_bytes_max {
            return Err(Violation::FrameTooLarge { len: header.len, max: limits.frame_bytes_max });
        }
        if header.opcode.is_control() {
            return Ok(());
        }
        // §5.4: fragments of one message do not mix with those of another.
        let (fragments, declared, compressed) = match (self.assembly(), begins) {
            (None, true) => (0, 0, header.rsv & Header::RSV1 != 0),
            (Some(message), false) => (message.fragments, message.declared, message.compressed),
            (None, false) => return Err(Violation::NothingToContinue),
            (Some(_), true) => return Err(Violation::MessageUnfinished(header.opcode)),
        };
        if !begins && fragments >= limits.fragments_max {
            return Err(Violation::TooManyFragments { max: limits.fragments_max });
        }
        // A compressed message is bounded by what it inflates to, as that is what is kept.
        let len = declared.saturating_add(header.len);
        if len > limits.message_bytes_max && !compressed {
            return Err(Violation::MessageTooLarge { len, max: limits.message_bytes_max });
        }
        Ok(())
    }

    fn begin(&mut self, header: &Header) -> Result<Frame, Violation> {
        self.judge(header)?;
        if !header.opcode.is_control() {
            let partial = self.partial.get_or_insert_default();
            let message = partial.message.get_or_insert(Assembly {
                kind: if header.opcode == OpCode::Text { Kind::Text } else { Kind::Binary },
                compressed: header.rsv & Header::RSV1 != 0,
                fragments: 0,
                declared: 0,
                produced: 0,
                text: Utf8::default(),
                in_parts: false,
                inflating: false,
                arrived: false,
            });
            message.fragments = message.fragments.saturating_add(1);
            message.declared = message.declared.saturating_add(header.len);
        }
        Ok(Frame {
            opcode: header.opcode,
            fin: header.fin,
            key: header.mask,
            remaining: header.len,
        })
    }

    /// Ends the message in progress if its last byte is there, and says of which kind it was.
    fn finish_if_arrived(&mut self) -> Result<Option<Kind>, Violation> {
        let Some(partial) = self.partial.as_mut() else {
            return Ok(None);
        };
        let Some(message) = partial.message.filter(|message| message.arrived) else {
            return Ok(None);
        };
        // §5.6: a text ends between two characters.
        if !message.text.is_complete() {
            return Err(Violation::InvalidUtf8);
        }
        partial.message = None;
        Ok(Some(message.kind))
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
        self.partial = None;
        #[cfg(feature = "deflate")]
        {
            self.inflate = None;
        }
    }

    fn assembly(&self) -> Option<&Assembly> {
        self.partial.as_ref()?.message.as_ref()
    }

    fn assembly_mut(&mut self) -> Option<&mut Assembly> {
        self.partial.as_mut()?.message.as_mut()
    }
}

/// Without permessage-deflate no message is compressed: RSV1 was refused at its header.
#[cfg(not(feature = "deflate"))]
impl Inbound {
    fn inflates(&self) -> bool {
        false
    }

    fn inflate_all(&mut self, _: &Input<'_>, _: usize, _: usize) -> Result<(), Violation> {
        Err(Violation::ReservedBits(Header::RSV1))
    }

    fn inflate_part(&mut self, _: &mut Input<'_>) -> Result<Option<Found>, Violation> {
        Err(Violation::ReservedBits(Header::RSV1))
    }
}

#[cfg(feature = "deflate")]
impl Inbound {
    /// What is inflated at once when a message is taken in parts: 16 KiB holds most messages whole
    /// and is small beside the inflater's own window.
    const PART_MAX: usize = 16 << 10;

    fn inflates(&self) -> bool {
        self.inflate.is_some()
    }

    /// Inflates all of a piece onto the message so far.
    fn inflate_all(
        &mut self,
        input: &Input<'_>,
        start: usize,
        end: usize,
    ) -> Result<(), Violation> {
        let max = self.config.limits.message_bytes_max;
        let (Some(inflate), Some(partial)) = (self.inflate.as_mut(), self.partial.as_mut()) else {
            return Err(Violation::Deflate);
        };
        let Partial { message: Some(message), buffer, .. } = &mut **partial else {
            return Err(Violation::Deflate);
        };
        let mut compressed = input.bytes.get(start..end).unwrap_or_default();
        loop {
            let before = buffer.len();
            let room = usize::try_from(max - message.produced).unwrap_or(usize::MAX);
            let (used, step) = inflate
                .step(compressed, message.arrived, buffer, room)
                .map_err(|_| Violation::Deflate)?;
            compressed = compressed.get(used..).unwrap_or_default();
            let fresh = buffer.get(before..).unwrap_or_default();
            message.produced += fresh.len() as u64;
            if message.kind == Kind::Text {
                message.text.feed(fresh).map_err(|_| Violation::InvalidUtf8)?;
            }
            match step {
                Step::NeedInput | Step::Done => return Ok(()),
                Step::OutputFull if message.produced >= max => {
                    return Err(Violation::InflatedTooLarge { max });
                }
                Step::OutputFull => {}
            }
        }
    }

    /// Inflates the next part of what is held; `None` when more input is needed for that.
    fn inflate_part(&mut self, input: &mut Input<'_>) -> Result<Option<Found>, Violation> {
        let max = self.config.limits.message_bytes_max;
        let (Some(inflate), Some(partial)) = (self.inflate.as_mut(), self.partial.as_mut()) else {
            return Err(Violation::Deflate);
        };
        let Partial { message: Some(message), buffer, .. } = &mut **partial else {
            return Err(Violation::Deflate);
        };
        let held = input.bytes.get(input.held..input.at).unwrap_or_default();
        let room =
            usize::try_from(max - message.produced).unwrap_or(usize::MAX).min(Self::PART_MAX);
        let (used, step) =
            inflate.step(held, message.arrived, buffer, room).map_err(|_| Violation::Deflate)?;
        input.held += used;
        message.produced += buffer.len() as u64;
        if message.kind == Kind::Text {
            message.text.feed(buffer).map_err(|_| Violation::InvalidUtf8)?;
        }
        let kind = message.kind;
        match step {
            Step::OutputFull if buffer.is_empty() => Err(Violation::InflatedTooLarge { max }),
            Step::OutputFull => Ok(Some(Found::Data { kind, place: None, fin: false })),
            Step::NeedInput => {
                message.inflating = false;
                let data = Found::Data { kind, place: None, fin: false };
                Ok((!buffer.is_empty()).then_some(data))
            }
            Step::Done => {
                message.inflating = false;
                self.finish_if_arrived()?;
                Ok(Some(Found::Data { kind, place: None, fin: true }))
            }
        }
    }
}

impl Partial {
    /// Nothing is begun: whatever is still in the buffers was handed out.
    fn is_settled(&self) -> bool {
        self.head_len == 0 && self.frame.is_none() && self.message.is_none()
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
