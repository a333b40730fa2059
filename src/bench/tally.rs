//! What a thread counts while it talks. Added up at the end.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use super::watch::Turns;

/// Counts of one thread, or of all.
#[derive(Debug)]
pub(super) struct Tally {
    /// Messages of the whole run, warm-up included.
    pub(super) sent: u64,
    /// Those that came back, or each copy that reached a receiver.
    pub(super) received: u64,
    /// What should have come: in a broadcast a message for each receiver.
    pub(super) expected: u64,
    /// Second copies, and such as came after a later one.
    pub(super) late: u64,
    /// Those that came after a gap that was never filled, or filled late.
    pub(super) skipped: u64,
    /// Messages without a stamp, or with another's: greetings and the like.
    pub(super) other: u64,
    /// While measuring.
    pub(super) window_sent: u64,
    pub(super) window_received: u64,
    pub(super) window_bytes: u64,
    /// When the last of a counted run came.
    pub(super) last_ns: u64,
    pub(super) latency: Histogram<u64>,
    /// From before `connect` to the 101.
    pub(super) opening: Histogram<u64>,
    pub(super) opened: u64,
    /// Of these, that agreed on compression.
    pub(super) deflated: u64,
    /// Never opened.
    pub(super) failed: u64,
    /// Opened and ended by somebody else.
    pub(super) broken: u64,
    /// Handshakes that ended as they should, while measuring.
    pub(super) window_closed: u64,
    pub(super) errors: BTreeMap<String, u64>,
    pub(super) close_codes: BTreeMap<u16, u64>,
    /// What each thread had of the processors, while measuring.
    pub(super) turns: Vec<Turns>,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            sent: 0,
            received: 0,
            expected: 0,
            late: 0,
            skipped: 0,
            other: 0,
            window_sent: 0,
            window_received: 0,
            window_bytes: 0,
            last_ns: 0,
            latency: histogram(),
            opening: histogram(),
            opened: 0,
            deflated: 0,
            failed: 0,
            broken: 0,
            window_closed: 0,
            errors: BTreeMap::new(),
            close_codes: BTreeMap::new(),
            turns: Vec::new(),
        }
    }
}

impl Tally {
    pub(super) fn error(&mut self, what: impl Into<String>) {
        *self.errors.entry(what.into()).or_default() += 1;
    }

    pub(super) fn add(&mut self, other: Self) {
        self.sent += other.sent;
        self.received += other.received;
        self.expected += other.expected;
        self.late += other.late;
        self.skipped += other.skipped;
        self.other += other.other;
        self.window_sent += other.window_sent;
        self.window_received += other.window_received;
        self.window_bytes += other.window_bytes;
        self.last_ns = self.last_ns.max(other.last_ns);
        for (mine, theirs) in
            [(&mut self.latency, &other.latency), (&mut self.opening, &other.opening)]
        {
            mine.add(theirs).expect("all histograms have the same bounds");
        }
        self.opened += other.opened;
        self.deflated += other.deflated;
        self.failed += other.failed;
        self.broken += other.broken;
        self.window_closed += other.window_closed;
        for (what, count) in other.errors {
            *self.errors.entry(what).or_default() += count;
        }
        for (code, count) in other.close_codes {
            *self.close_codes.entry(code).or_default() += count;
        }
        self.turns.extend(other.turns);
    }

    /// What was sent and never came.
    pub(super) fn lost(&self) -> u64 {
        self.expected.saturating_sub(self.received)
    }
}

/// Nanoseconds up to a minute, to three digits: 300 KB. Longer counts as a minute.
fn histogram() -> Histogram<u64> {
    Histogram::new_with_max(60_000_000_000, 3).expect("the bounds are legal")
}
