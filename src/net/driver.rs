//! What the loop asks of whoever gives its bytes a meaning, and the words they speak.

use std::io;

use super::ctx::Ctx;
use super::slots::Token;
use super::stream::Peer;

/// The program inside the loop. Each method is called on the loop's thread and must not block; what it
/// sends leaves when the turn ends, all at once.
///
/// Between `accepted` and `closed`, which come once each, a token is alive. Calls on a dead token do nothing.
pub trait Driver {
    /// What other threads may post to this loop.
    type Mail: Send;

    /// Someone connected to the listener of this index. Call [`Ctx::close`] to turn them away.
    fn accepted(&mut self, ctx: &mut Ctx<'_>, token: Token, listener: usize, peer: Peer);

    /// Bytes came. They are lent for the call, to be changed in place.
    fn received(&mut self, ctx: &mut Ctx<'_>, token: Token, bytes: &mut [u8]);

    /// The peer will send nothing more, but may still read. Sends what waits and closes, unless overridden.
    fn finished(&mut self, ctx: &mut Ctx<'_>, token: Token) {
        ctx.close(token, Close::Flush);
    }

    /// What waited for the peer had been above the high mark and is now at the low mark or below.
    fn drained(&mut self, ctx: &mut Ctx<'_>, token: Token) {
        let _ = (ctx, token);
    }

    /// The connection is gone, for whatever reason; the token is dead after this call.
    fn closed(&mut self, ctx: &mut Ctx<'_>, token: Token, why: Closed);

    /// A timer of the connection is due. It is not pending any more.
    fn timer(&mut self, ctx: &mut Ctx<'_>, token: Token, timer: Timer) {
        let _ = (ctx, token, timer);
    }

    /// An alarm of the loop itself is due.
    fn alarm(&mut self, ctx: &mut Ctx<'_>, alarm: u32) {
        let _ = (ctx, alarm);
    }

    /// Another thread posted this.
    fn message(&mut self, ctx: &mut Ctx<'_>, mail: Self::Mail) {
        let _ = (ctx, mail);
    }

    /// No connection can be accepted for now; it is tried again soon. Said once until it works again.
    fn accept_failed(&mut self, ctx: &mut Ctx<'_>, listener: usize, error: &io::Error) {
        let _ = (ctx, listener, error);
    }

    /// All that was ready has been handled; what was gathered meanwhile can be sent now.
    fn turn_ended(&mut self, ctx: &mut Ctx<'_>) {
        let _ = ctx;
    }
}

/// How to close.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Close {
    /// At once; what waits is dropped.
    Now,
    /// When what waits is sent. Input is no longer read. Right when the peer is known to be done.
    ///
    /// A peer that takes a little now and then can draw this out; the connection's timers still fire, and
    /// `Now` ends it.
    Flush,
    /// When what waits is sent, say so (FIN), then read and drop until the peer is done too, within
    /// [`Limits::linger`](super::Limits::linger). Closing with input unread would reset the connection, and
    /// the peer might lose the last thing it was told.
    Linger,
}

/// Why a connection is gone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Closed {
    /// The driver asked for it.
    Asked,
    /// Bytes waited and the peer took none for [`Limits::stall`](super::Limits::stall).
    Stalled,
    /// TLS failed: what the peer sent is no TLS, its handshake or a record was wrong or cut off, or it said
    /// that ours was. It was told by an alert, if one could be sent.
    Tls,
    /// The connection broke, as by a reset.
    Failed(io::ErrorKind),
}

/// What became of bytes to be sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sent {
    /// They wait for the end of the turn.
    Queued,
    /// They wait, and now there is more than the high mark: the peer is slow. Its input is not read
    /// until it caught up.
    High,
    /// Too much waits already, and the peer takes none of it for now; they were not taken.
    Full,
    /// There is no such connection, or its write side is closed; they were not taken.
    Gone,
}

/// The timers that each connection has. Setting one that is pending moves it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Timer {
    /// One.
    First,
    /// Another.
    Second,
    /// A third.
    Third,
}
