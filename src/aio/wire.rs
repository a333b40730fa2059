//! The way out: bytes that are owed to the transport, and who is woken when it takes some. Knows no frames.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use tokio::io::AsyncWrite;

use super::wakers::{Side, Wakers};

/// 4 KiB: what a connection keeps of its write buffer when all is sent, so that small messages cost no
/// allocation. More is given back.
const KEPT_BYTES: usize = 4 * 1024;

/// What is owed to the transport.
#[derive(Default, Debug)]
pub(super) struct Wire {
    /// Whole frames, in order.
    pub(super) out: Vec<u8>,
    /// Bytes of `out` that the transport has taken.
    written: usize,
    /// The transport took bytes that it may not have passed on.
    unflushed: bool,
    /// The last attempt ended with bytes left.
    backed_up: bool,
    fate: Fate,
    /// Made when somebody waits for the first time.
    wakers: Option<(Arc<Wakers>, Waker)>,
}

#[derive(Default, Debug)]
enum Fate {
    #[default]
    Open,
    /// Said that nothing follows.
    Shut,
    /// Failed; the error is there until somebody was told.
    Failed(Option<io::Error>),
}

impl Wire {
    /// Bytes that the transport has not taken.
    pub(super) fn pending(&self) -> usize {
        self.out.len() - self.written
    }

    /// Whether the transport would not take all that it was offered last.
    pub(super) fn is_backed_up(&self) -> bool {
        self.backed_up
    }

    /// Why nothing can be sent any more; the transport's own words are said once.
    pub(super) fn failure(&mut self) -> Option<io::Error> {
        match &mut self.fate {
            Fate::Open | Fate::Shut => None,
            Fate::Failed(error) => {
                Some(error.take().unwrap_or_else(|| io::ErrorKind::BrokenPipe.into()))
            }
        }
    }

    /// Takes out what was not sent.
    pub(super) fn take_unsent(&mut self) -> Vec<u8> {
        let mut out = std::mem::take(&mut self.out);
        out.drain(..self.written);
        self.written = 0;
        out
    }

    /// Wakes the task that sends: what it waits for will not come by itself.
    pub(super) fn wake_sink(&self) {
        if let Some((wakers, _)) = &self.wakers {
            wakers.wake_one(Side::Sink);
        }
    }

    /// Writes until at most `left` bytes wait. The reading task does nothing with an error, so that it is
    /// kept for [`failure`](Self::failure).
    pub(super) fn poll_write<S: AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        side: Side,
        cx: &mut Context<'_>,
        left: usize,
    ) -> Poll<io::Result<()>> {
        if let Fate::Failed(_) = self.fate {
            self.clear();
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let mut progress = false;
        let outcome = loop {
            if self.pending() <= left {
                break Poll::Ready(Ok(()));
            }
            let rest = self.out.get(self.written..).unwrap_or_default();
            let write = |cx: &mut Context<'_>| Pin::new(&mut *stream).poll_write(cx, rest);
            match Self::poll_by(&mut self.wakers, side, cx, write) {
                Poll::Ready(Ok(0)) => break Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(n)) => {
                    self.written += n;
                    self.unflushed = true;
                    progress = true;
                }
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Poll::Ready(Err(error)) => break Poll::Ready(Err(error)),
                Poll::Pending => break Poll::Pending,
            }
        };
        self.backed_up = outcome.is_pending();
        if self.pending() == 0 {
            self.clear();
        } else if self.written >= self.pending() {
            // A transport that is never quite through must not make the part that it took grow. What
            // is moved is less than what was taken since the last time.
            self.out.drain(..self.written);
            self.written = 0;
        }
        if progress {
            self.wake_other(side);
        }
        self.noted(side, outcome)
    }

    /// Writes everything, and has the transport pass it on.
    pub(super) fn poll_flush<S: AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        side: Side,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_write(stream, side, cx, 0))?;
        if self.unflushed {
            let flush = |cx: &mut Context<'_>| Pin::new(&mut *stream).poll_flush(cx);
            let flushed = Self::poll_by(&mut self.wakers, side, cx, flush);
            ready!(self.noted(side, flushed))?;
            self.unflushed = false;
            self.wake_other(side);
        }
        Poll::Ready(Ok(()))
    }

    /// Flushes, then says that nothing follows. Once.
    pub(super) fn poll_shutdown<S: AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        side: Side,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        if !matches!(self.fate, Fate::Open) {
            return Poll::Ready(Ok(()));
        }
        ready!(self.poll_flush(stream, side, cx))?;
        let shutdown = |cx: &mut Context<'_>| Pin::new(&mut *stream).poll_shutdown(cx);
        let shut = ready!(Self::poll_by(&mut self.wakers, side, cx, shutdown));
        self.fate = Fate::Shut;
        self.wake_other(side);
        Poll::Ready(shut)
    }

    /// One attempt at the transport in the name of a side: whoever waits on the other stays known to it.
    fn poll_by<T>(
        wakers: &mut Option<(Arc<Wakers>, Waker)>,
        side: Side,
        cx: &mut Context<'_>,
        mut attempt: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        if wakers.is_none() {
            // Most connections never wait here, and need no wakers of their own.
            if let Poll::Ready(outcome) = attempt(cx) {
                return Poll::Ready(outcome);
            }
        }
        let (wakers, waker) = wakers.get_or_insert_with(|| {
            let wakers = Arc::new(Wakers::default());
            (Arc::clone(&wakers), Waker::from(wakers))
        });
        // Before the attempt: the transport may wake in the middle of it.
        wakers.register(side, cx.waker());
        attempt(&mut Context::from_waker(waker))
    }

    fn wake_other(&self, side: Side) {
        if let Some((wakers, _)) = &self.wakers {
            wakers.wake_one(if side == Side::Sink { Side::Stream } else { Side::Sink });
        }
    }

    /// After an error nothing is owed any more: nobody would take it.
    fn noted(&mut self, side: Side, outcome: Poll<io::Result<()>>) -> Poll<io::Result<()>> {
        let Poll::Ready(Err(error)) = outcome else {
            return outcome;
        };
        self.backed_up = false;
        self.clear();
        let (kept, told) = match side {
            Side::Stream => {
                let kind = error.kind();
                (Some(error), kind.into())
            }
            Side::Sink => (None, error),
        };
        self.fate = Fate::Failed(kept);
        self.wake_other(side);
        Poll::Ready(Err(told))
    }

    fn clear(&mut self) {
        self.out.clear();
        self.written = 0;
        self.out.shrink_to(KEPT_BYTES);
    }
}
