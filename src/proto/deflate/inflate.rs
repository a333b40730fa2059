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
    kept: Option<Box<Window>>,
    window_bits: WindowBits,
    takeover: bool,
}

impl core::fmt::Debug for Inflate {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self { window_bits, takeover, .. } = self;
        f.debug_struct("Inflate")
            .field("window_bits", window_bits)
            .field("takeover", takeover)
            .finish_non_exhaustive()
    }
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
        Self { working: None, kept: None, window_bits, takeover }
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
        working.window.0.clear();
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
    window: Window,
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
            window: Window::default(),
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
        let (older, newer) = self.window.0.as_slices();
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
        let used = self.pump(tail, &mut nothing, 0).map_err(|_| InflateError::Truncated)?;
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
        let end = input.get(input.len().saturating_sub(4)..).unwrap_or_default();
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
        let want = input.len().saturating_mul(4).clamp(*SPACE.start(), *SPACE.end()).min(room);
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
        self.window.push(new, self.window_bytes);
    }
}

/// The last bytes of what was inflated.
#[derive(Default)]
struct Window(VecDeque<u8>);

impl Window {
    /// Appends, and forgets all but the last `size` bytes.
    fn push(&mut self, new: &[u8], size: usize) {
        let new = new.get(new.len().saturating_sub(size)..).unwrap_or_default();
        let overflow = (self.0.len() + new.len()).saturating_sub(size);
        self.0.drain(..overflow);
        let len = self.0.len() + new.len();
        if len > self.0.capacity() {
            // By doubling, but never past what was agreed.
            let target = len.max(self.0.capacity() * 2).min(size);
            self.0.reserve_exact(target - self.0.len());
        }
        self.0.extend(new);
    }
}

/// How far one of zlib's counters moved within a call.
fn distance(before: u64, after: u64) -> usize {
    usize::try_from(after - before).expect("a call moves no further than its slice is long")
}

#[cfg(test)]
mod tests;
