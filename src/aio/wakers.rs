//! Who waits for the transport to take bytes. A transport remembers one waker for writing, the last
//! that asked; here two tasks may wait, one that reads and owes a pong, and one that sends.

use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Wake, Waker};

/// On whose behalf something is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Side {
    /// The task that polls the stream.
    Stream,
    /// The task that polls the sink.
    Sink,
}

/// The waker that the transport is given: it wakes whoever waits here.
#[derive(Default, Debug)]
pub(super) struct Wakers(Mutex<Waiting>);

#[derive(Default, Debug)]
struct Waiting {
    stream: Option<Waker>,
    sink: Option<Waker>,
}

impl Waiting {
    fn of(&mut self, side: Side) -> &mut Option<Waker> {
        match side {
            Side::Stream => &mut self.stream,
            Side::Sink => &mut self.sink,
        }
    }
}

impl Wakers {
    /// `waker` waits from now on, in the place of who waited on this side before.
    pub(super) fn register(&self, side: Side, waker: &Waker) {
        let mut waiting = self.lock();
        match waiting.of(side) {
            Some(known) => known.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
    }

    /// Wakes who waits on one side, if anybody does.
    pub(super) fn wake_one(&self, side: Side) {
        let waker = self.lock().of(side).take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        // Nothing panics while it is held, and there is nothing in it that could be half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Wakers {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.wake_one(Side::Stream);
        self.wake_one(Side::Sink);
    }
}
