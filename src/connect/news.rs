//! What the threads tell the course of things, and how far ahead of it they may run.

use std::sync::{Arc, Condvar, Mutex, PoisonError};

use super::link::End;
use super::opening::Opened;
use crate::client::{ClientError, Received};

/// Something happened. What concerns a connection carries its number, as an older one may still have news.
pub(super) enum News {
    /// An attempt to connect has come out.
    Opened(u32, Box<Result<Opened, ClientError>>),
    /// The server said this, in order.
    Heard(u32, Vec<Received>),
    /// All that was to be written is written.
    Drained(u32),
    /// The server broke the protocol: nothing more is said, and its end of TCP is waited for.
    Failed(u32),
    /// The connection is over.
    Ended(u32, End),
    /// A person entered this line.
    Typed(String),
    /// The input of a pipe brought these messages, the first of them with this number.
    Read(u64, Vec<Vec<u8>>),
    /// The input is over; with an error if it broke.
    InputEnd(Option<String>),
    /// Ctrl-C, Ctrl-D, or a signal.
    Quit,
}

/// How many batches a thread may send before the first of them is done with.
#[derive(Clone, Debug)]
pub(super) struct Gate(Arc<(Mutex<usize>, Condvar)>);

impl Gate {
    /// Lets so many through.
    pub(super) fn new(free: usize) -> Self {
        Self(Arc::new((Mutex::new(free), Condvar::new())))
    }

    /// Waits for its turn and takes it.
    pub(super) fn pass(&self) {
        let (free, freed) = &*self.0;
        let mut free = freed
            .wait_while(free.lock().unwrap_or_else(PoisonError::into_inner), |free| *free == 0)
            .unwrap_or_else(PoisonError::into_inner);
        *free -= 1;
    }

    /// One more may pass.
    pub(super) fn open(&self) {
        let (free, freed) = &*self.0;
        *free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        freed.notify_one();
    }
}
