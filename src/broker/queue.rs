//! What waits for one node, in order, and how the node is told that something does.

use super::request::Event;
use std::fmt;
use std::sync::Arc;

/// What wakes a node; called outside of every lock.
pub(super) type Wake = Arc<dyn Fn() + Send + Sync>;

pub(super) struct Queue {
    events: Vec<Event>,
    /// Of entries and passings.
    bytes: usize,
    /// It was woken and has not polled since.
    woken: bool,
    wake: Wake,
}

impl Queue {
    pub(super) fn new(wake: Wake) -> Self {
        Self { events: Vec::new(), bytes: 0, woken: false, wake }
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether so many bytes more may wait. One message larger than the bound may, alone.
    pub(super) fn has_room(&self, bytes: usize, bytes_max: usize) -> bool {
        self.bytes == 0 || self.bytes + bytes <= bytes_max
    }

    /// Something that the node itself caused: it polls anyway.
    pub(super) fn push_own(&mut self, event: Event, bytes: usize) {
        self.events.push(event);
        self.bytes += bytes;
    }

    /// Something that another node caused. Whoever must be woken for it is added to `wakes`.
    pub(super) fn push(&mut self, event: Event, bytes: usize, wakes: &mut Vec<Wake>) {
        self.push_own(event, bytes);
        if !self.woken {
            self.woken = true;
            wakes.push(Arc::clone(&self.wake));
        }
    }

    /// Appends everything. Memory goes back and forth between the queue and the caller's vector.
    pub(super) fn take(&mut self, events: &mut Vec<Event>) {
        if events.is_empty() {
            std::mem::swap(events, &mut self.events);
        } else {
            events.append(&mut self.events);
        }
        if self.events.capacity() > KEPT_MAX {
            self.events = Vec::new();
        }
        self.bytes = 0;
        self.woken = false;
    }
}

/// Places of events that an empty queue keeps for the next: some 50 KiB, more than a turn of the loop brings.
const KEPT_MAX: usize = 1024;

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue")
            .field("events", &self.events.len())
            .field("bytes", &self.bytes)
            .field("woken", &self.woken)
            .finish_non_exhaustive()
    }
}
