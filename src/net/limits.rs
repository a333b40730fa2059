//! What one loop takes on. Every number has its reason here and nowhere else.

use std::time::Duration;

use super::outbox::Marks;

/// The bounds of one loop thread.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Connections at once. At the limit nothing more is accepted until one ends; the listen backlog holds
    /// those who come. Default 131,072: ten megabytes of places.
    pub connections_max: usize,
    /// Bytes of the read buffer that all connections share. Default 256 KiB: a dozen messages of 16 KiB, of which one is
    /// cut in two and must be put together, and little enough to stay in the processor's cache.
    pub read_bytes: usize,
    /// Bytes read from one connection before others have their turn. Default 256 KiB: some hundred
    /// microseconds of work.
    pub read_budget: usize,
    /// Bytes that drivers have given back, over all connections, beyond which only 4 KiB are read at once, as they may
    /// be given back too. Default 16 MiB: sixty-four connections that send nothing but hard work; ten
    /// more add four megabytes a thousand.
    pub given_back_bytes_max: usize,
    /// Connections accepted from one listener before others have their turn. Default 64.
    pub accept_budget: usize,
    /// How long to wait after `accept` found no descriptor or memory. Default 100 ms: ten attempts a
    /// second cost nothing, and service is back long before anyone notices.
    pub accept_retry: Duration,
    /// How much may wait for one peer.
    pub marks: Marks,
    /// How long a peer may take nothing at all while bytes wait for it. Default 10 s: longer than the usual
    /// gap of a phone between two cells.
    pub stall: Duration,
    /// How long a lingering close waits for the peer's end. Default 5 s.
    pub linger: Duration,
    /// Bytes a lingering close reads and drops meanwhile. Default 4 MiB: what may be under way from an honest
    /// peer that has not yet heard that we are done.
    pub linger_bytes_max: usize,
    /// Messages that the mailbox holds. Default 4,096.
    pub mailbox_max: usize,
    /// The grain of timers. Default 10 ms.
    pub tick: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 131_072,
            read_bytes: 256 << 10,
            read_budget: 256 << 10,
            given_back_bytes_max: 16 << 20,
            accept_budget: 64,
            accept_retry: Duration::from_millis(100),
            marks: Marks::default(),
            stall: Duration::from_secs(10),
            linger: Duration::from_secs(5),
            linger_bytes_max: 4 << 20,
            mailbox_max: 4096,
            tick: Duration::from_millis(10),
        }
    }
}
