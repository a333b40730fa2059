//! What the loop knows of one connection. Kept small: it is most of what an idle connection costs.

use std::io::{self, IoSlice};

use super::outbox::{Outbox, Spare};
use super::stream::{Stream, Writer};
use super::timer::Handle;
use super::tls::Scratch;

#[derive(Debug)]
pub(super) struct Connection {
    pub(super) stream: Stream,
    pub(super) outbox: Outbox,
    /// The driver's three, and `OWN`.
    pub(super) timers: [Option<Handle>; 4],
    /// Bytes dropped by a lingering close.
    pub(super) dropped: u32,
    pub(super) listener: u16,
    pub(super) after: After,
    pub(super) input: Input,
    pub(super) output: Output,
    /// As far as is known, a write would be taken.
    pub(super) writable: bool,
    /// The driver wants no input for now.
    pub(super) paused: bool,
    /// The outbox went above its high mark and has not come down to the low one.
    pub(super) choked: bool,
    /// Bytes left since the stall timer was set.
    pub(super) moved: bool,
    pub(super) held: Held,
    pub(super) listed: Listed,
    /// Closed; the driver hears of it at the end of the turn.
    pub(super) gone: bool,
}

/// Which of the loop's lists it stands in: two facts in one byte.
#[derive(Clone, Copy, Debug)]
pub(super) struct Listed(u8);

impl Listed {
    /// Its input is to be read.
    pub(super) const READY: u8 = 1;
    /// Its outbox is to be written.
    pub(super) const DIRTY: u8 = 2;

    /// Puts it in a list. False if it stands there already.
    pub(super) fn enter(&mut self, list: u8) -> bool {
        let new = self.0 & list == 0;
        self.0 |= list;
        new
    }

    pub(super) fn leave(&mut self, list: u8) {
        self.0 &= !list;
    }
}

/// What is known of the peer's bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Input {
    /// A read would find nothing.
    Waiting,
    /// A read would give something, as far as is known.
    Ready,
    /// And the end or an error stands behind it: a short read is not the last.
    UntilEnd,
    /// The peer sent its last byte.
    Ended,
}

/// Bytes that were read and that the driver has yet to hear.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Held {
    Nothing,
    /// It gave them back. They come before any that would be read.
    GivenBack,
    /// More is put behind them, until it is given all at once.
    Gathering,
}

/// Whether the peer may expect more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Output {
    Open,
    /// Until all that waits is sent.
    Ending,
    Ended,
}

/// What happens once nothing waits to be sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum After {
    Keep,
    Close,
    Linger,
}

/// The reactor's own timer among a connection's: stalled, or lingered long enough.
pub(super) const OWN: usize = 3;

impl Connection {
    pub(super) fn new(stream: Stream, listener: u16) -> Self {
        Self {
            stream,
            outbox: Outbox::default(),
            timers: [None; 4],
            dropped: 0,
            listener,
            after: After::Keep,
            input: Input::Waiting,
            output: Output::Open,
            writable: true,
            paused: false,
            choked: false,
            moved: false,
            held: Held::Nothing,
            listed: Listed(0),
            gone: false,
        }
    }

    pub(super) fn readable(&self) -> bool {
        matches!(self.input, Input::Ready | Input::UntilEnd)
    }

    pub(super) fn wants_input(&self) -> bool {
        !self.gone
            && self.input != Input::Ended
            && match self.after {
                // What waits cannot leave before the handshake is done.
                After::Keep => !self.paused && (!self.choked || self.stream.is_handshaking()),
                After::Close => self.stream.is_handshaking(),
                After::Linger => true,
            }
    }

    pub(super) fn takes_output(&self) -> bool {
        !self.gone && self.output == Output::Open && self.after == After::Keep
    }

    /// Whether anything waits to be sent: the driver's bytes, or TLS's.
    pub(super) fn owes(&self) -> bool {
        !self.outbox.is_empty() || self.stream.unsent() > 0
    }

    /// Whether bytes may go to the socket as they are, past the outbox.
    pub(super) fn may_write_through(&self) -> bool {
        self.writable && self.outbox.is_empty() && !self.stream.is_tls()
    }

    /// Offers the slices to the socket, and takes away what went. Returns how much that was.
    pub(super) fn write_slices_through(
        &mut self,
        slices: &mut &mut [IoSlice<'_>],
    ) -> io::Result<usize> {
        let taken = self.stream.write_plain_slices(slices)?;
        self.moved |= taken > 0;
        self.writable = slices.is_empty();
        Ok(taken)
    }

    /// What counts against the marks.
    pub(super) fn cost(&self) -> usize {
        self.outbox.cost() + self.stream.unsent()
    }

    /// Sends what waits, as much as is taken, and TLS's goodbye behind the last of it. True if any left.
    pub(super) fn flush(&mut self, spare: &mut Spare, scratch: &mut Scratch) -> io::Result<bool> {
        let (mut all, mut bytes) = self.stream.flush(scratch)?;
        if all && !self.outbox.is_empty() && !self.stream.is_handshaking() {
            let (emptied, more) =
                self.outbox.flush(&mut Writer { stream: &mut self.stream, scratch }, spare)?;
            bytes += more;
            all = emptied;
        }
        let last = self.output == Output::Ending || self.after != After::Keep;
        if all && last && self.outbox.is_empty() {
            self.stream.say_goodbye(scratch)?;
        }
        if all && self.stream.unsent() > 0 {
            let (emptied, more) = self.stream.flush(scratch)?;
            bytes += more;
            all = emptied;
        }
        self.writable = all;
        Ok(bytes > 0)
    }
}
