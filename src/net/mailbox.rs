//! How other threads reach a loop: a bounded queue and a waker. A full box says so and gives the
//! message back; what to do then is the sender's policy.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mio::{Registry, Token, Waker};

/// The sending end. Clone it freely; posting wakes the loop once for all that it has not seen yet.
pub struct Mail<M> {
    shared: Arc<Shared<M>>,
}

/// Why a message was not taken, and the message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Undelivered<M> {
    /// As many messages wait as the box holds.
    Full(M),
    /// The loop has ended.
    Gone(M),
}

impl<M> Mail<M> {
    /// Puts a message into the box.
    ///
    /// # Errors
    /// The box is full or its loop is gone; the message comes back.
    pub fn post(&self, mail: M) -> Result<(), Undelivered<M>> {
        let first = {
            let mut queue = self.shared.queue();
            if self.shared.gone.load(Ordering::Acquire) {
                return Err(Undelivered::Gone(mail));
            }
            if queue.len() >= self.shared.capacity {
                return Err(Undelivered::Full(mail));
            }
            queue.push_back(mail);
            queue.len() == 1
        };
        // The loop takes everything at once, so only the first message since needs to wake it.
        if first && self.shared.waker.wake().is_err() {
            // The eventfd can only fail when it is full or gone; either way it is readable or unheard.
        }
        Ok(())
    }

    /// How many messages wait.
    pub fn waiting(&self) -> usize {
        self.shared.queue().len()
    }
}

impl<M> Clone for Mail<M> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<M> fmt::Debug for Mail<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mail").field("capacity", &self.shared.capacity).finish_non_exhaustive()
    }
}

/// The receiving end, the loop's.
pub(super) struct Mailbox<M> {
    shared: Arc<Shared<M>>,
    /// What was taken last time: its memory is swapped in for the next batch.
    batch: VecDeque<M>,
}

impl<M> Mailbox<M> {
    pub(super) fn new(registry: &Registry, token: Token, capacity: usize) -> io::Result<Self> {
        let shared = Shared {
            queue: Mutex::new(VecDeque::new()),
            capacity,
            waker: Waker::new(registry, token)?,
            gone: AtomicBool::new(false),
        };
        Ok(Self { shared: Arc::new(shared), batch: VecDeque::new() })
    }

    pub(super) fn sender(&self) -> Mail<M> {
        Mail { shared: Arc::clone(&self.shared) }
    }

    /// Everything that waits now. Hand it back with `done`.
    pub(super) fn take(&mut self) -> VecDeque<M> {
        let mut batch = std::mem::take(&mut self.batch);
        std::mem::swap(&mut batch, &mut *self.shared.queue());
        batch
    }

    /// Returns an emptied batch. Kept for the next unless a burst made it large.
    pub(super) fn done(&mut self, mut batch: VecDeque<M>) {
        batch.clear();
        if batch.capacity() <= 1024 {
            self.batch = batch;
        }
    }
}

impl<M> fmt::Debug for Mailbox<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailbox").finish_non_exhaustive()
    }
}

impl<M> Drop for Mailbox<M> {
    fn drop(&mut self) {
        let mut queue = self.shared.queue();
        self.shared.gone.store(true, Ordering::Release);
        let left = std::mem::take(&mut *queue);
        drop(queue);
        drop(left);
    }
}

struct Shared<M> {
    queue: Mutex<VecDeque<M>>,
    capacity: usize,
    waker: Waker,
    gone: AtomicBool,
}

impl<M> Shared<M> {
    /// A sender that panicked in `push_back` left the queue whole: poison says nothing here.
    fn queue(&self) -> MutexGuard<'_, VecDeque<M>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
