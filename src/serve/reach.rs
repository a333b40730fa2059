//! One client within reach: what may be said to it and what comes of that. Knows neither handler nor other clients.

use std::sync::Arc;
use std::time::Duration;

use super::peers::Line;
use crate::net::{self, Close, Ctx, Timer, Token};
use crate::proto::{CloseCode, CloseFrame, Message, Outbound, Prepared, SendError, SendOptions};

/// What became of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sent {
    /// It is on its way.
    Sent,
    /// It is taken, but waits behind others, this many bytes in all: there were more than the high mark. The
    /// peer's own messages are not read until it has caught up, and [`on_drain`](super::Handler::on_drain) says
    /// when that is.
    Queued(usize),
    /// It is not taken: too much waits. `on_drain` says when there is room.
    Full,
    /// It is not taken: the client is gone, or the connection is closing.
    Closed,
    /// It is not taken: it may not be sent so.
    Misused(SendError),
}

impl Sent {
    /// Whether it was taken.
    pub const fn is_taken(self) -> bool {
        matches!(self, Self::Sent | Self::Queued(_))
    }
}

/// Until when a close must be answered, or a request be whole.
pub(super) const DEADLINE: Timer = Timer::First;
/// The next look at a silent peer.
pub(super) const KEEPALIVE: Timer = Timer::Second;

/// The sending end of one open WebSocket. What stands in `out` already (pongs) goes first.
#[derive(Debug)]
pub(super) struct Reach<'a> {
    pub(super) token: Token,
    pub(super) tx: &'a mut Outbound,
    pub(super) line: &'a mut Line,
    pub(super) out: &'a mut Vec<u8>,
}

impl Reach<'_> {
    pub(super) fn send(
        &mut self,
        ctx: &mut Ctx<'_>,
        message: Message<'_>,
        options: SendOptions,
    ) -> Sent {
        self.say(ctx, |tx, out| tx.send(message, options, out))
    }

    pub(super) fn ping(&mut self, ctx: &mut Ctx<'_>, payload: &[u8]) -> Sent {
        self.say(ctx, |tx, out| tx.ping(payload, out))
    }

    pub(super) fn share(&mut self, ctx: &mut Ctx<'_>, prepared: &Prepared) -> Sent {
        if let Some(refused) = self.refused(ctx) {
            return refused;
        }
        match self.tx.shared(prepared) {
            Ok(bytes) => {
                let sent = ctx.send_shared(self.token, Arc::clone(bytes));
                self.became(ctx, sent)
            }
            Err(error) => misused(error),
        }
    }

    /// Begins the closing handshake; a second time is once too often and does nothing.
    pub(super) fn close(
        &mut self,
        ctx: &mut Ctx<'_>,
        frame: Option<CloseFrame<'_>>,
        timeout: Duration,
    ) -> Result<(), SendError> {
        match self.tx.close(frame, self.out) {
            Ok(()) => {}
            Err(SendError::Closed) => return Ok(()),
            Err(error) => return Err(error),
        }
        self.line.closing = true;
        if ctx.send_owned(self.token, self.out) == net::Sent::Full {
            // The last word has room where what nobody took is dropped.
            ctx.discard_unsent(self.token);
            ctx.send_owned(self.token, self.out);
        }
        self.out.clear();
        ctx.set_timer(self.token, DEADLINE, timeout);
        Ok(())
    }

    /// Gives up a peer that does not read.
    pub(super) fn too_slow(&mut self, ctx: &mut Ctx<'_>) {
        self.out.clear();
        ctx.discard_unsent(self.token);
        let frame = CloseFrame { code: CloseCode::TRY_AGAIN_LATER, reason: "too slow" };
        if self.tx.close(Some(frame), self.out).is_ok() {
            ctx.send_owned(self.token, self.out);
        }
        self.out.clear();
        self.line.closing = true;
        ctx.close(self.token, Close::Linger);
    }

    /// Asks before it encodes: a compressor that remembers must not remember what is never sent.
    fn say(
        &mut self,
        ctx: &mut Ctx<'_>,
        encode: impl FnOnce(&mut Outbound, &mut Vec<u8>) -> Result<(), SendError>,
    ) -> Sent {
        if let Some(refused) = self.refused(ctx) {
            return refused;
        }
        if let Err(error) = encode(self.tx, self.out) {
            return misused(error);
        }
        let sent = ctx.send_owned(self.token, self.out);
        self.out.clear();
        self.became(ctx, sent)
    }

    fn refused(&mut self, ctx: &mut Ctx<'_>) -> Option<Sent> {
        if self.line.closing || self.line.over {
            return Some(Sent::Closed);
        }
        if !self.out.is_empty() {
            // If it is not taken it stays, and neither is the message.
            ctx.send_owned(self.token, self.out);
        }
        ctx.refuses(self.token).map(|refused| self.became(ctx, refused))
    }

    fn became(&mut self, ctx: &Ctx<'_>, sent: net::Sent) -> Sent {
        match sent {
            net::Sent::Queued => Sent::Sent,
            net::Sent::High => {
                self.line.choked = true;
                Sent::Queued(ctx.queued(self.token))
            }
            net::Sent::Full => {
                self.line.choked = true;
                Sent::Full
            }
            net::Sent::Gone => Sent::Closed,
        }
    }
}

fn misused(error: SendError) -> Sent {
    match error {
        SendError::Closed => Sent::Closed,
        error => Sent::Misused(error),
    }
}
