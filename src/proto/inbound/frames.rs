//! The frame layer: headers and payloads, whole or in pieces, from input that may be cut anywhere.
//! Judges each frame by its header; what becomes of the messages is the inbound half's affair.

use super::{Assembly, Found, Heard, Inbound, Input, Place};
use crate::proto::{Header, Kind, MaskKey, OpCode, Role, Violation, apply_mask};

/// A frame whose header was read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub(super) opcode: OpCode,
    pub(super) fin: bool,
    pub(super) key: Option<MaskKey>,
    /// Bytes of payload still to come.
    pub(super) remaining: u64,
}

/// What the frame layer found next.
pub(super) enum Piece {
    /// Unmasked payload of the message in progress, at this range of the input.
    Data(usize, usize),
    /// A whole control frame.
    Control(OpCode, Place),
}

impl Inbound {
    /// A message that lies whole and plain in the input: handed out where it is.
    pub(super) fn whole_frame(
        &mut self,
        input: &mut Input<'_>,
    ) -> Result<Option<Found>, Violation> {
        if !self.is_between_messages() {
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

    /// The next payload of the message in progress, at most `piece_max` bytes of it, or a whole
    /// control frame.
    pub(super) fn advance(
        &mut self,
        input: &mut Input<'_>,
        piece_max: usize,
    ) -> Result<Option<Piece>, Violation> {
        loop {
            let resumed = self.partial.as_mut().and_then(|partial| partial.frame.take());
            let mut frame = match resumed {
                Some(frame) => frame,
                None => match self.header(input)? {
                    Some(header) => self.begin(&header)?,
                    None => return Ok(None),
                },
            };
            let here = usize::try_from(frame.remaining).unwrap_or(usize::MAX);
            let here = here.min(input.remaining()).min(piece_max);
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
                let partial = self.partial_mut();
                partial.control.extend_from_slice(payload);
                if frame.remaining == 0 {
                    return Ok(Some(Piece::Control(frame.opcode, None)));
                }
                partial.frame = Some(frame);
                return Ok(None);
            }
            let partial = self.partial_mut();
            let ended = frame.remaining == 0;
            if !ended {
                partial.frame = Some(frame);
            }
            let Some(message) = partial.message.as_mut() else {
                continue;
            };
            message.arrived = ended && frame.fin;
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
            let partial = self.partial_mut();
            partial.head[..here].copy_from_slice(&rest[..here]);
            partial.head_len = here;
            input.at += here;
        }
        Ok(None)
    }

    /// For [`awaits`](Self::awaits), where a long message seems to begin.
    #[cold]
    pub(super) fn long_message(&self, rest: &[u8]) -> Option<usize> {
        if !self.is_between_messages() || self.heard != Heard::Open {
            return None;
        }
        let (header, head_len) = Header::parse(rest).ok()??;
        self.judge(&header).ok()?;
        let whole = usize::try_from(header.len).ok()?.checked_add(head_len)?;
        (whole > rest.len()).then_some(whole)
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
            let partial = self.partial_mut();
            let message = partial.message.get_or_insert_with(|| {
                let kind = if header.opcode == OpCode::Text { Kind::Text } else { Kind::Binary };
                Assembly::new(kind, header.rsv & Header::RSV1 != 0)
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
}
