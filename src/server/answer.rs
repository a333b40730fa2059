//! What a peer is answered while it is heard: bytes of our own, and between them long payloads of its own
//! that go back from where they were read, uncopied. It knows no frames.

use std::io::IoSlice;
use std::ops::Range;

use crate::net::{Ctx, Sent, Token};

/// In order. Empty between turns, but for the memory.
#[derive(Default, Debug)]
pub(super) struct Answer {
    /// Our own bytes: heads, short payloads, control frames.
    pub(super) own: Vec<u8>,
    /// What goes between them, in order.
    lent: Vec<Lent>,
    lent_bytes: usize,
}

/// A part of what was read, and after how many of our own bytes it stands.
#[derive(Debug)]
struct Lent {
    after: usize,
    part: Range<usize>,
}

impl Answer {
    /// All bytes so far.
    pub(super) fn len(&self) -> usize {
        self.own.len() + self.lent_bytes
    }

    /// Continues with this part of what was read, as it stands there when the answer is sent.
    pub(super) fn lend(&mut self, part: Range<usize>) {
        self.lent_bytes += part.len();
        self.lent.push(Lent { after: self.own.len(), part });
    }

    /// Whether parts of what was read are in it, without which it cannot be sent.
    pub(super) fn is_lent(&self) -> bool {
        !self.lent.is_empty()
    }

    /// Sends what there is and `payload` behind it, without a copy of what the socket takes. If it is
    /// refused both stay. Nothing may be lent.
    pub(super) fn send_with(&mut self, ctx: &mut Ctx<'_>, token: Token, payload: &[u8]) {
        debug_assert!(!self.is_lent(), "what was lent must not be overtaken");
        let mut slices = [IoSlice::new(&self.own), IoSlice::new(payload)];
        if ctx.send_slices(token, &mut slices) == Sent::Full {
            self.own.extend_from_slice(payload);
        } else {
            self.own.clear();
        }
    }

    /// Sends all of it, and is empty unless it is refused. `at_once`: not when the turn ends, with what others
    /// may have for this peer, but now, while its socket is in the processor's cache.
    pub(super) fn send(
        &mut self,
        ctx: &mut Ctx<'_>,
        token: Token,
        read: &[u8],
        at_once: bool,
    ) -> Sent {
        if self.lent.is_empty() {
            if !at_once {
                return ctx.send_owned(token, &mut self.own);
            }
            let sent = ctx.send_slices(token, &mut [IoSlice::new(&self.own)]);
            if sent != Sent::Full {
                self.own.clear();
            }
            return sent;
        }
        let sent = match &*self.lent {
            // What most echoes come to.
            [Lent { part, .. }] if self.own.is_empty() => {
                let part = read.get(part.clone()).unwrap_or_default();
                ctx.send_slices(token, &mut [IoSlice::new(part)])
            }
            lent => {
                let mut slices = Vec::with_capacity(2 * lent.len() + 1);
                let mut from = 0;
                for Lent { after, part } in lent {
                    if from < *after {
                        slices.push(IoSlice::new(self.own.get(from..*after).unwrap_or_default()));
                    }
                    slices.push(IoSlice::new(read.get(part.clone()).unwrap_or_default()));
                    from = *after;
                }
                slices.push(IoSlice::new(self.own.get(from..).unwrap_or_default()));
                ctx.send_slices(token, &mut slices)
            }
        };
        if !matches!(sent, Sent::Full) {
            self.clear();
        }
        sent
    }

    /// Drops what was to be said, and memory beyond what most turns take.
    pub(super) fn clear(&mut self) {
        self.own.clear();
        if self.own.capacity() > ANSWER_KEPT_MAX {
            self.own = Vec::new();
        }
        self.lent.clear();
        self.lent_bytes = 0;
    }
}

/// 1 MiB: twice the answers of a turn. One message that came back large must not pin memory for ever.
const ANSWER_KEPT_MAX: usize = 1 << 20;

/// Where the bytes of a read stand in memory, to tell payloads that stand there from others.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    begin: usize,
    len: usize,
}

impl Place {
    pub(super) fn of(read: &[u8]) -> Self {
        Self { begin: read.as_ptr().addr(), len: read.len() }
    }

    /// Which part of the read this is, if it is one.
    pub(super) fn part(self, payload: &[u8]) -> Option<Range<usize>> {
        let from = payload.as_ptr().addr().checked_sub(self.begin)?;
        let part = from..from.checked_add(payload.len())?;
        (part.end <= self.len).then_some(part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_answer_leaves_no_large_buffer() {
        let mut answer = Answer::default();
        answer.own.resize(ANSWER_KEPT_MAX, 0);
        answer.clear();
        assert!(answer.own.capacity() >= ANSWER_KEPT_MAX, "what is usual is kept");
        answer.own.resize(ANSWER_KEPT_MAX + 1, 0);
        answer.clear();
        assert_eq!(answer.own.capacity(), 0);
    }

    #[test]
    fn a_part_of_a_read_is_known_and_nothing_else() {
        let read = [0; 100];
        let place = Place::of(&read);
        assert_eq!(place.part(&read[10..30]), Some(10..30));
        assert_eq!(place.part(&read), Some(0..100));
        assert_eq!(Place::of(&read[20..60]).part(&read[10..30]), None);
        assert_eq!(Place::of(&read[20..60]).part(&read[50..70]), None);
        assert_eq!(place.part(&[0; 10]), None);
    }
}
