//! Messages that go back as they came: a server's frame is the client's without the key, so that it can be
//! made where the client's lies.

use core::ops::Range;

use super::{Heard, Inbound, Input, Short};
use crate::proto::mask::unmask_to_front;
use crate::proto::{Kind, Outbound, apply_mask, utf8};

/// Messages that [`Inbound::echo`] turned round.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Echoed {
    /// Which of the input's bytes are the frames to send, one behind the other.
    pub frames: Range<usize>,
    /// Text messages among them.
    pub texts: usize,
    /// Binary messages among them.
    pub binaries: usize,
    /// Bytes of all their payloads.
    pub bytes: usize,
}

/// Longer messages stay where they are, as moving them costs more than sending from another place.
const MOVE_MAX: usize = 4 << 10;

impl Inbound {
    /// Turns the next messages into the frames that send them back, in the input itself: nothing is
    /// allocated and hardly anything copied. For a server's own echo; [`next`](Self::next) and
    /// [`Outbound::send`] do the same, and anything else, at more cost.
    ///
    /// `None`, and nothing has happened, if the next thing is not a whole, plain, valid message of up to
    /// 64 KiB, or if `reply` could not send it plainly just now: then `next` is to be asked. Otherwise the
    /// frames go out as they lie, behind what is in the caller's `out` so far, before anything else of the
    /// input is asked for that brings an answer of its own; more may follow from another call.
    ///
    /// ```
    /// use sockeye::proto::{Config, Connection, Input};
    ///
    /// // RFC 6455 §5.7: a single-frame masked text message, "Hello".
    /// let mut bytes = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
    ///
    /// let mut connection = Connection::server(Config::default());
    /// let (rx, tx) = connection.split_mut();
    /// let mut input = Input::new(&mut bytes);
    /// let echoed = rx.echo(&mut input, tx).unwrap();
    /// assert_eq!((echoed.texts, echoed.bytes, input.remaining()), (1, 5, 0));
    /// assert_eq!(&bytes[echoed.frames], b"\x81\x05Hello");
    /// ```
    pub fn echo(&mut self, input: &mut Input<'_>, reply: &Outbound) -> Option<Echoed> {
        if !self.is_between_messages() || self.heard != Heard::Open || !reply.is_plain() {
            return None;
        }
        let mut echoed: Option<Echoed> = None;
        while let Some(Short { kind, key: Some(key), head, len }) = self.short_message(input.rest())
        {
            let reply_head = if len < 126 { 2 } else { 4 };
            let from = input.at + head;
            let end = from + len;
            // The first stays where it is; the others close up.
            let to = match &echoed {
                None => from,
                Some(_) if len > MOVE_MAX => break,
                Some(before) => before.frames.end + reply_head,
            };
            if to < from && kind == Kind::Binary {
                unmask_to_front(key, &mut input.bytes[to..end], len);
            } else {
                let payload = &mut input.bytes[from..end];
                apply_mask(key, payload);
                if kind == Kind::Text && utf8::whole(payload).is_none() {
                    // As if it had not been looked at.
                    apply_mask(key, payload);
                    break;
                }
                if to < from {
                    input.bytes.copy_within(from..end, to);
                }
            }
            let first = 0x80 | if kind == Kind::Text { 1 } else { 2 };
            let [.., high, low] = len.to_be_bytes();
            if reply_head == 2 {
                input.bytes[to - 2..to].copy_from_slice(&[first, low]);
            } else {
                input.bytes[to - 4..to].copy_from_slice(&[first, 126, high, low]);
            }
            input.at = end;
            let start = to - reply_head;
            let echoed = echoed.get_or_insert(Echoed {
                frames: start..start,
                texts: 0,
                binaries: 0,
                bytes: 0,
            });
            echoed.frames.end = to + len;
            echoed.bytes += len;
            match kind {
                Kind::Text => echoed.texts += 1,
                Kind::Binary => echoed.binaries += 1,
            }
        }
        echoed
    }
}
