//! What the loop knows of one connection. Kept small: it is most of what an idle connection costs.

use super::outbox::Outbox;
use super::stream::Stream;
use super::timer::Handle;

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
    /// As far as is known, a read would give something. Cleared by a read that says otherwise.
    pub(super) readable: bool,
    /// As far as is known, a write would be taken.
    pub(super) writable: bool,
    /// The end or an error stands behind the bytes: a short read is not the last.
    pub(super) until_end: bool,
    /// The driver wants no input for now.
    pub(super) paused: bool,
    /// The outbox went above its high mark and has not come down to the low one.
    pub(super) choked: bool,
    /// The peer sent its last byte.
    pub(super) read_ended: bool,
    /// Shut the write side once the outbox is empty.
    pub(super) shut_wanted: bool,
    pub(super) write_shut: bool,
    /// Bytes left since the stall timer was set.
    pub(super) moved: bool,
    pub(super) in_ready: bool,
    /// The driver gave back bytes, which come before any that would be read.
    pub(super) gave_back: bool,
    pub(super) in_dirty: bool,
    /// Closed; the driver hears of it at the end of the turn.
    pub(super) gone: bool,
}

/// What happens once the outbox is empty.
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
            readable: false,
            writable: true,
            until_end: false,
            paused: false,
            choked: false,
            read_ended: false,
            shut_wanted: false,
            write_shut: false,
            moved: false,
            in_ready: false,
            gave_back: false,
            in_dirty: false,
            gone: false,
        }
    }

    pub(super) fn wants_input(&self) -> bool {
        !self.gone
            && !self.read_ended
            && match self.after {
                After::Keep => !self.paused && !self.choked,
                After::Close => false,
                After::Linger => true,
            }
    }

    pub(super) fn takes_output(&self) -> bool {
        !self.gone && !self.shut_wanted && !self.write_shut && self.after == After::Keep
    }
}
