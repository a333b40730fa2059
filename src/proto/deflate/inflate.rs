//! A compressed message becomes its bytes here (RFC 7692 section 7.2.2), never more of them than there
//! is room for. Knows no frames and no limits of its own.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::fmt;

use flate2::{Decompress, FlushDecompress, Status};

use super::negotiate::WindowBits;
use super::pool::Pool;

/// Inflates the messages of one direction of a connection.
///
/// Between messages it holds no zlib state: that comes from the thread's pool with the first bytes of a
/// message and goes back at its end. With takeover the window is kept here, as many bytes as were agreed
/// and came; without, nothing.
pub(crate) struct Inflate {
    /// The state at work, in the middle of a message.
    working: Option<Box<Working>>,
    /// The last bytes of the messages so far, with takeover. In the middle of a message, a spare buffer.
    kept: Option<Box<VecDeque<u8>>>,
    window_bits: WindowBits,
    takeover: bool,
}

/// Why [`Inflate::step`] came back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    /// All input is consumed and the message goes on.
    NeedInput,
    /// The room is used up and the message has more bytes.
    OutputFull,
    /// The message is complete.
    Done,
}

/// The message cannot be inflated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum InflateError {
    /// Not a DEFLATE stream, or one that reaches back further than there is something.
    Corrupt,
    /// It ends in the middle of a block.
    Truncated,
}

impl fmt::Display for InflateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Corrupt => "compressed message is corrupt",
            Self::Truncated => "compressed message ends in the middle of a block",
        })
    }
}

impl core::error::Error for InflateError {}

impl Inflate {
    /// `takeover`: a message may refer to the last `window_bits` of the messages before it.
    pub(crate) fn new(window_bits: WindowBits, takeover: bool) -> Self {
        Self {
            working: None,
            kept: None,
            window_bits,
            takeover,
        }
    }

    /// Inflates the next `input` of the current message, appending at most `room` bytes to `out`
    /// (grows it as bytes are produced). Returns how much input was consumed, and why it stopped.
    ///
    /// `last`: the message ends with `input`. After [`Step::OutputFull`] the call is repeated with the
    /// rest of the input, which may be empty, and more room. The end of the message is found without
    /// room as well: a message of exactly `room` bytes is [`Step::Done`].
    ///
    /// After an error the connection is to be failed; further input counts as a new message.
    pub(crate) fn step(
        &mut self,
        input: &[u8],
        last: bool,
        out: &mut Vec<u8>,
        room: usize,
    ) -> Result<(usize, Step), InflateError> {
        let mut working = match self.working.take() {
            Some(working) => working,
            None => self.begin(),
        };
        match working.step(input, last, out, room, self.takeover) {
            Ok(stop @ (_, Step::Done)) => {
                self.end(working);
                Ok(stop)
            }
            Ok(stop) => {
                self.working = Some(working);
                Ok(stop)
            }
            Err(error) => {
                give(working);
                Err(error)
            }
        }
    }

    fn begin(&mut self) -> Box<Working> {
        let mut working = take();
        working.window.clear();
        if self.takeover {
            let kept = self.kept.get_or_insert_default();
            core::mem::swap(&mut **kept, &mut working.window);
        }
        working.window_bytes = self.window_bits.bytes();
        working.ended = true;
        working
    }

    fn end(&mut self, mut working: Box<Working>) {
        if let Some(kept) = &mut self.kept {
            core::mem::swap(&mut **kept, &mut working.window);
        }
        give(working);
    }
}

impl Drop for Inflate {
    fn drop(&mut self) {
        if let Some(working) = self.working.take() {
            give(working);
        }
    }
}

std::thread_local! {
    static POOL: Pool<Box<Working>> = const { Pool::new() };
}

fn take() -> Box<Working> {
    POOL.try_with(|pool| pool.take(|_| true))
        .ok()
        .flatten()
        .unwrap_or_else(|| Box::new(Working::new()))
}

/// Where the thread is ending there is no pool any more, and the state is freed.
fn give(working: Box<Working>) {
    let _ = POOL.try_with(|pool| pool.give(working));
}

/// What one message needs while it is inflated.
struct Working {
    /// Always with the largest window: it is allocated whatever was asked for, reads what any smaller one
    /// wrote, and is the only one that can be reset without allocating. So one pool serves every agreement.
    zlib: Decompress,
    /// The bytes before those that zlib has seen since it was last reset: of the messages before with
    /// takeover, and of this one.
    window: VecDeque<u8>,
    window_bytes: usize,
    /// No stream is open: nothing came yet, or a block with BFINAL ended it and nothing came since.
    ended: bool,
    /// The last four bytes of input.
    trail: u32,
    /// The last call filled all the space it was given, so that zlib may hold back more.
    full: bool,
}

/// §7.2.2: the end of the empty block that the sender cut off, and after it an empty block with BFINAL.
/// zlib reports the end of the stream after the last of these bytes only if the message ended where a
/// message can, so that a truncated one is found out.
const TAIL: [u8; 6] = [0x00, 0x00, 0xFF, 0xFF, 0x03, 0x00];

/// The output of one call is at least and at most this, room permitting: not less, since a call costs
/// some hundred nanoseconds; not more, since it is allocated before it is known to be needed.
const SPACE: core::ops::RangeInclusive<usize> = 64..=16 * 1024;

impl Working {
    fn new() -> Self {
        Self {
            zlib: Decompress::new_with_window_bits(false, WindowBits::MAX.bits()),
            window: VecDeque::new(),
            window_bytes: 0,
            ended: true,
            trail: 0,
            full: false,
        }
    }

    /// Begins a DEFLATE stream that may refer to the window.
    fn restart(&mut self) {
        self.zlib.reset(false);
        self.ended = false;
        self.trail = u32::MAX;
        self.full = false;
        let (older, newer) = self.window.as_slices();
        for part in [older, newer] {
            if !part.is_empty() {
                self.zlib
                    .set_dictionary(part)
                    .expect("a raw stream takes a dictionary at any time");
            }
        }
    }

    fn step(
        &mut self,
        input: &[u8],
        last: bool,
        out: &mut Vec<u8>,
        room: usize,
        takeover: bool,
    ) -> Result<(usize, Step), InflateError> {
        let mut used = 0;
        // Where the bytes begin that the window has not got yet.
        let mut unseen = out.len();
        let end = out.len().saturating_add(room);

        loop {
            let rest = input.get(used..).unwrap_or_default();
            // §7.2.3.4: a sender may end its blocks with BFINAL; the next byte begins a new stream.
            if self.ended && !rest.is_empty() {
                self.remember(out, &mut unseen);
                self.restart();
            }
            if self.ended {
                break;
            }
            let took = self.pump(rest, out, end)?;
            self.note(rest.get(..took).unwrap_or_default());
            used += took;
            if !self.ended {
                break;
            }
        }
        let step = if used < input.len() {
            Step::OutputFull
        } else if !last {
            Step::NeedInput
        } else {
            self.finish()?
        };
        // Without takeover the window only serves what follows in this message.
        if takeover || step != Step::Done {
            self.remember(out, &mut unseen);
        }
        Ok((used, step))
    }

    /// All of the message is consumed: is it complete?
    fn finish(&mut self) -> Result<Step, InflateError> {
        // No bytes at all, or a sender that ended with BFINAL and spared the byte of §7.2.3.4: neither can
        // mean anything else than the end.
        if self.ended {
            return Ok(Step::Done);
        }
        // The same holds for a sender that left the four bytes in their place: where they are cut off,
        // the last byte holds the end of a block's header, which is zeros up to the top bit.
        let tail = match self.trail {
            0x0000_FFFF => TAIL.get(4..).unwrap_or_default(),
            _ => &TAIL[..],
        };
        let held_back = self.full;
        let mut nothing = Vec::new();
        // Without space zlib stops before the first byte of the tail if there is output to come.
        let used = self
            .pump(tail, &mut nothing, 0)
            .map_err(|_| InflateError::Truncated)?;
        if self.ended && used == tail.len() {
            Ok(Step::Done)
        } else if held_back && used == 0 {
            Ok(Step::OutputFull)
        } else {
            Err(InflateError::Truncated)
        }
    }

    /// Keeps the end of what was consumed in mind.
    fn note(&mut self, input: &[u8]) {
        let end = input
            .get(input.len().saturating_sub(4)..)
            .unwrap_or_default();
        for &byte in end {
            self.trail = self.trail << 8 | u32::from(byte);
        }
    }

    /// Inflates until the input is consumed and nothing is held back, or `out` has reached `end`, or the
    /// stream ended. Returns how much input was consumed.
    fn pump(&mut self, input: &[u8], out: &mut Vec<u8>, end: usize) -> Result<usize, InflateError> {
        let mut used = 0;
        loop {
            let rest = input.get(used..).unwrap_or_default();
            let room = end.saturating_sub(out.len());
            if rest.is_empty() && (!self.full || room == 0) {
                return Ok(used);
            }
            let (took, made, space) = self.inflate(rest, out, room)?;
            used += took;
            self.full = made == space && !self.ended;
            let idle = took == 0 && made == 0;
            if self.ended || (idle && (space == 0 || rest.is_empty())) {
                return Ok(used);
            }
            // zlib has input and space, and yet does nothing: it never will.
            if idle {
                return Err(InflateError::Corrupt);
            }
        }
    }

    /// One call of zlib: how much it took and made, and the space it had.
    fn inflate(
        &mut self,
        input: &[u8],
        out: &mut Vec<u8>,
        room: usize,
    ) -> Result<(usize, usize, usize), InflateError> {
        let took_before = self.zlib.total_in();
        let len = out.len();

        // Text grows about fourfold; if this one grows further, its space doubles with each call.
        let want = input
            .len()
            .saturating_mul(4)
            .clamp(*SPACE.start(), *SPACE.end())
            .min(room);
        if out.capacity() - len < want {
            out.reserve_exact(want.max(len.min(room)));
        }
        let mut space = out.capacity() - len;

        let status = if space <= room {
            self.zlib.decompress_vec(input, out, FlushDecompress::None)
        } else {
            // There is more space than may be used. What is lent to zlib has to be cleared first.
            space = want;
            out.resize(len + space, 0);
            let made_before = self.zlib.total_out();
            let status = match out.get_mut(len..) {
                Some(space) => self.zlib.decompress(input, space, FlushDecompress::None),
                None => Ok(Status::BufError),
            };
            out.truncate(len + distance(made_before, self.zlib.total_out()));
            status
        };
        match status {
            Ok(status) => self.ended = status == Status::StreamEnd,
            Err(_) => return Err(InflateError::Corrupt),
        }
        let took = distance(took_before, self.zlib.total_in());
        Ok((took, out.len() - len, space))
    }

    /// Moves the window on by what was appended to `out` since the last time.
    fn remember(&mut self, out: &[u8], unseen: &mut usize) {
        let new = out.get(*unseen..).unwrap_or_default();
        *unseen = out.len();
        let new = new
            .get(new.len().saturating_sub(self.window_bytes)..)
            .unwrap_or_default();

        let len = self.window.len() + new.len();
        self.window.drain(..len.saturating_sub(self.window_bytes));
        let len = self.window.len() + new.len();
        if len > self.window.capacity() {
            // By doubling, but never past what was agreed.
            let target = len.max(self.window.capacity() * 2).min(self.window_bytes);
            self.window.reserve_exact(target - self.window.len());
        }
        self.window.extend(new);
    }
}

/// How far one of zlib's counters moved within a call.
fn distance(before: u64, after: u64) -> usize {
    usize::try_from(after - before).expect("a call moves no further than its slice is long")
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compress, Compression, FlushCompress};
    use std::vec;

    const ROOM: usize = 1 << 20;

    fn whole(inflate: &mut Inflate, message: &[u8]) -> Result<Vec<u8>, InflateError> {
        let mut out = Vec::new();
        let (used, step) = inflate.step(message, true, &mut out, ROOM)?;
        assert_eq!((used, step), (message.len(), Step::Done));
        Ok(out)
    }

    fn fresh(takeover: bool) -> Inflate {
        Inflate::new(WindowBits::MAX, takeover)
    }

    /// The message in pieces of `cut` bytes into rooms of `room`, as a streaming caller would.
    fn pieces(
        inflate: &mut Inflate,
        message: &[u8],
        cut: usize,
        room: usize,
    ) -> Result<Vec<u8>, InflateError> {
        let mut all = Vec::new();
        let mut cuts = message.chunks(cut).peekable();
        let mut rest = cuts.next().unwrap_or_default();
        loop {
            let mut out = Vec::new();
            let last = cuts.peek().is_none();
            let (used, step) = inflate.step(rest, last, &mut out, room)?;
            assert!(out.len() <= room);
            rest = &rest[used..];
            all.extend(out);
            match step {
                Step::Done => {
                    assert!(last && rest.is_empty());
                    return Ok(all);
                }
                Step::OutputFull => {}
                Step::NeedInput => {
                    assert!(rest.is_empty());
                    rest = cuts
                        .next()
                        .expect("only the middle of a message needs more");
                }
            }
        }
    }

    fn deflated(payload: &[u8]) -> Vec<u8> {
        let mut zlib = Compress::new_with_window_bits(Compression::new(6), false, 15);
        let mut out = Vec::with_capacity(payload.len() + 1024);
        zlib.compress_vec(payload, &mut out, FlushCompress::Sync)
            .unwrap();
        assert_eq!(zlib.total_in(), payload.len() as u64);
        out.truncate(out.len() - 4);
        out
    }

    fn text(len: usize) -> Vec<u8> {
        let words = ["ape ", "bee ", "cat ", "doe ", "elk ", "fox ", "gnu "];
        let mut seed = 7u32;
        let mut text = Vec::new();
        while text.len() < len {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            text.extend_from_slice(words[(seed >> 16) as usize % words.len()].as_bytes());
        }
        text.truncate(len);
        text
    }

    #[test]
    fn the_rfc_example_of_one_block() {
        // §7.2.3.1
        let hello = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
        assert_eq!(whole(&mut fresh(false), &hello).unwrap(), b"Hello");
        for cut in 1..hello.len() {
            assert_eq!(pieces(&mut fresh(false), &hello, cut, 1).unwrap(), b"Hello");
        }
    }

    #[test]
    fn the_rfc_example_of_a_shared_window() {
        // §7.2.3.2
        let hello = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
        let again = [0xf2, 0x00, 0x11, 0x00, 0x00];
        let mut inflate = fresh(true);
        assert_eq!(whole(&mut inflate, &hello).unwrap(), b"Hello");
        assert_eq!(whole(&mut inflate, &hello).unwrap(), b"Hello");
        assert_eq!(whole(&mut inflate, &again).unwrap(), b"Hello");

        let mut inflate = fresh(false);
        assert_eq!(whole(&mut inflate, &hello).unwrap(), b"Hello");
        assert_eq!(whole(&mut inflate, &again), Err(InflateError::Corrupt));
    }

    #[test]
    fn the_rfc_example_of_a_stored_block() {
        // §7.2.3.3
        let stored = [
            0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00,
        ];
        assert_eq!(whole(&mut fresh(false), &stored).unwrap(), b"Hello");
    }

    #[test]
    fn the_rfc_example_of_bfinal() {
        // §7.2.3.4
        let bfinal = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00];
        assert_eq!(whole(&mut fresh(false), &bfinal).unwrap(), b"Hello");
        // A sender that forgets the byte which makes room for the tail.
        assert_eq!(whole(&mut fresh(false), &bfinal[..7]).unwrap(), b"Hello");
    }

    #[test]
    fn the_rfc_example_of_two_blocks() {
        // §7.2.3.5
        let two = [
            0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00,
        ];
        assert_eq!(whole(&mut fresh(false), &two).unwrap(), b"Hello");
        for cut in 1..two.len() {
            assert_eq!(pieces(&mut fresh(true), &two, cut, 2).unwrap(), b"Hello");
        }
    }

    #[test]
    fn the_rfc_example_of_an_empty_message_and_one_without_any_byte() {
        // §7.2.3.6
        for takeover in [false, true] {
            let mut inflate = fresh(takeover);
            assert_eq!(whole(&mut inflate, &[0x00]).unwrap(), b"");
            assert_eq!(whole(&mut inflate, &[]).unwrap(), b"");
            let mut out = Vec::new();
            assert_eq!(
                inflate.step(&[], false, &mut out, 0),
                Ok((0, Step::NeedInput))
            );
            assert_eq!(
                inflate.step(&[0x00], true, &mut out, 0),
                Ok((1, Step::Done))
            );
        }
    }

    #[test]
    fn blocks_may_follow_bfinal_and_refer_to_what_was_before_it() {
        // "Hello" with BFINAL, then §7.2.3.2's reference to it, with and without takeover.
        let message = [
            0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0xf2, 0x00, 0x11, 0x00, 0x00,
        ];
        for takeover in [false, true] {
            let mut inflate = fresh(takeover);
            assert_eq!(whole(&mut inflate, &message).unwrap(), b"HelloHello");
            for cut in 1..message.len() {
                for room in 1..11 {
                    let all = pieces(&mut inflate, &message, cut, room).unwrap();
                    assert_eq!(all, b"HelloHello", "cut {cut} room {room}");
                }
            }
        }
    }

    #[test]
    fn the_window_outlives_bfinal_from_message_to_message() {
        let bfinal = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00];
        let again = [0xf2, 0x00, 0x11, 0x00, 0x00];
        let mut inflate = fresh(true);
        for _ in 0..3 {
            assert_eq!(whole(&mut inflate, &bfinal).unwrap(), b"Hello");
            assert_eq!(whole(&mut inflate, &again).unwrap(), b"Hello");
        }
    }

    #[test]
    fn a_sender_that_does_not_cut_the_tail_off_is_understood() {
        let hello = [
            0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00, 0x00, 0xff, 0xff,
        ];
        for cut in 1..=hello.len() {
            for room in [5, 6] {
                let all = pieces(&mut fresh(true), &hello, cut, room).unwrap();
                assert_eq!(all, b"Hello", "cut {cut}");
            }
        }
        // The last fragment has no bytes at all, since there was nothing to flush any more.
        let mut out = Vec::new();
        let mut inflate = fresh(false);
        inflate.step(&hello, false, &mut out, 5).unwrap();
        assert_eq!(inflate.step(&[], true, &mut out, 0), Ok((0, Step::Done)));
        // But the four bytes are not the end of just anything.
        let stop = inflate.step(&[0x00, 0x00, 0xff, 0xff], true, &mut out, 5);
        assert_eq!(stop, Err(InflateError::Truncated));
    }

    #[test]
    fn ten_thousand_streams_with_bfinal_make_one_message() {
        let mut message = [0x03, 0x00].repeat(10_000);
        message.push(0x00);
        assert_eq!(whole(&mut fresh(true), &message).unwrap(), b"");
    }

    #[test]
    fn a_message_of_exactly_the_room_is_done_and_one_more_byte_is_not() {
        for len in [0, 1, 63, 64, 65, 1000, 16_384, 16_385, 70_000] {
            let message = deflated(&text(len));
            for capacity in [0, len, len + 1, len * 2 + 100] {
                let mut inflate = fresh(false);
                let mut out = Vec::with_capacity(capacity);
                let stop = inflate.step(&message, true, &mut out, len);
                assert_eq!(stop, Ok((message.len(), Step::Done)), "{len} in {capacity}");
                assert_eq!(out, text(len));
                if len > 0 {
                    let mut out = Vec::with_capacity(capacity);
                    let (_, step) = fresh(false)
                        .step(&message, true, &mut out, len - 1)
                        .unwrap();
                    assert_eq!(step, Step::OutputFull, "{len} in {capacity}");
                    assert_eq!(out, text(len - 1));
                }
            }
        }
    }

    #[test]
    fn after_a_full_room_the_message_goes_on_where_it_stopped() {
        let message = deflated(&text(5000));
        for room in [1, 2, 63, 64, 100, 4999] {
            let all = pieces(&mut fresh(false), &message, message.len(), room).unwrap();
            assert_eq!(all, text(5000));
        }
    }

    #[test]
    fn a_bomb_stops_at_the_room_and_its_memory_too() {
        // After a full flush nothing refers back, so the same mebibyte can be repeated.
        let mut zlib = Compress::new_with_window_bits(Compression::new(9), false, 15);
        let mut mebibyte = Vec::with_capacity(1 << 16);
        zlib.compress_vec(&vec![0; 1 << 20], &mut mebibyte, FlushCompress::Full)
            .unwrap();
        let mut bomb = mebibyte.repeat(100);
        bomb.truncate(bomb.len() - 4);
        assert!(bomb.len() < 120 << 10);

        let room = 64 << 10;
        for piece in [bomb.len(), 1000] {
            let mut inflate = fresh(false);
            let mut out = Vec::new();
            let stopped = bomb.chunks(piece).any(|input| {
                let left = room - out.len();
                let (_, step) = inflate.step(input, false, &mut out, left).unwrap();
                step == Step::OutputFull
            });
            assert!(stopped);
            assert_eq!(out.len(), room);
            assert!(out.capacity() <= room, "{}", out.capacity());
        }
    }

    #[test]
    fn space_grows_with_what_was_produced_and_not_with_the_room() {
        let message = deflated(&text(1000));
        let mut out = Vec::new();
        fresh(false)
            .step(&message, true, &mut out, usize::MAX)
            .unwrap();
        assert_eq!(out, text(1000));
        assert!(
            out.capacity() <= 4 * message.len().max(500),
            "{}",
            out.capacity()
        );
    }

    #[test]
    fn a_truncated_message_is_found_out() {
        for payload in [text(10), text(3000)] {
            let message = deflated(&payload);
            for len in 1..message.len() {
                let mut out = Vec::new();
                let stop = fresh(false).step(&message[..len], true, &mut out, ROOM);
                assert_eq!(
                    stop,
                    Err(InflateError::Truncated),
                    "{len} of {}",
                    message.len()
                );
            }
        }
        // A stored block of 5 bytes with 2 of them.
        let stored = [0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65];
        let stop = fresh(false).step(&stored, true, &mut Vec::new(), ROOM);
        assert_eq!(stop, Err(InflateError::Truncated));
    }

    #[test]
    fn what_is_not_deflate_is_corrupt() {
        let cases: [&[u8]; 5] = [
            &[0x06],                                           // block type 3
            &[0x00, 0x05, 0x00, 0x00, 0x00, 0x00],             // LEN and NLEN disagree
            &[0xf2, 0x00, 0x11, 0x00, 0x00],                   // refers to nothing
            &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x07], // garbage after BFINAL
            &[0xff; 20],
        ];
        for case in cases {
            let stop = fresh(true).step(case, true, &mut Vec::new(), ROOM);
            assert_eq!(stop, Err(InflateError::Corrupt), "{case:x?}");
        }
    }

    #[test]
    fn any_bytes_end_without_panic_and_a_flipped_bit_harms_only_its_message() {
        let message = deflated(&text(300));
        for bit in 0..message.len() * 8 {
            let mut bytes = message.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let mut inflate = fresh(false);
            for cut in [bytes.len(), 7] {
                let _ = pieces(&mut inflate, &bytes, cut, 100);
                assert_eq!(whole(&mut fresh(false), &message).unwrap(), text(300));
            }
        }
    }

    #[test]
    fn an_idle_inflater_holds_no_state_and_its_window_is_what_was_agreed() {
        assert!(size_of::<Inflate>() <= 24);
        std::thread::spawn(|| {
            let pooled = || POOL.with(Pool::len);
            let message = deflated(&text(40_000));
            let mut inflate = fresh(false);
            whole(&mut inflate, &message).unwrap();
            assert_eq!(pooled(), 1);
            assert!(inflate.working.is_none() && inflate.kept.is_none());

            let mut small = Inflate::new(WindowBits::MIN, true);
            whole(&mut small, &message).unwrap();
            assert_eq!(pooled(), 1, "one state serves all agreements");
            assert!(small.working.is_none());
            assert!(small.kept.as_ref().unwrap().capacity() <= 512);

            // In the middle of a message each has its own, and gives it back when dropped.
            let mut many: Vec<_> = (0..20).map(|_| fresh(false)).collect();
            for inflate in &mut many {
                let mut out = Vec::new();
                inflate.step(&message[..50], false, &mut out, ROOM).unwrap();
            }
            assert_eq!(pooled(), 0);
            drop(many);
            assert_eq!(pooled(), super::super::pool::KEPT_MAX);
        })
        .join()
        .unwrap();
    }

    #[test]
    fn a_message_goes_on_in_another_thread() {
        let message = deflated(&text(1000));
        let mut inflate = fresh(true);
        let mut out = Vec::new();
        inflate
            .step(&message[..100], false, &mut out, ROOM)
            .unwrap();
        let out = std::thread::spawn(move || {
            inflate.step(&message[100..], true, &mut out, ROOM).unwrap();
            out
        });
        assert_eq!(out.join().unwrap(), text(1000));
    }
}
