//! What a loop counts of itself, for whoever watches it from another thread. Counts only: what the numbers
//! mean to an operator, and where they are shown, is decided elsewhere.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A number that one thread changes and any thread may read.
///
/// A load and a store, no locked instruction: as cheap as a plain integer. If two threads changed it, changes
/// would be lost.
///
/// ```
/// # use sockeye::net::Count;
/// let count = Count::default();
/// count.add(3);
/// count.sub(1);
/// assert_eq!(count.get(), 2);
/// ```
#[derive(Default, Debug)]
pub struct Count(AtomicU64);

impl Count {
    /// More by so much.
    #[inline]
    pub fn add(&self, more: u64) {
        self.set(self.get().wrapping_add(more));
    }

    /// Less by so much, at least 0.
    #[inline]
    pub fn sub(&self, less: u64) {
        self.set(self.get().saturating_sub(less));
    }

    /// This from now on.
    #[inline]
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// What it is now.
    #[inline]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How values are spread: how many lie up to each of some bounds, and their sum. Like [`Count`] it has one
/// writer.
///
/// ```
/// # use sockeye::net::Tally;
/// let tally = Tally::new(&[1, 10, 100]);
/// for value in [1, 2, 1000] {
///     tally.observe(value);
/// }
/// assert_eq!(tally.counts().collect::<Vec<_>>(), [1, 1, 0, 1]);
/// assert_eq!(tally.sum(), 1003);
/// ```
#[derive(Debug)]
pub struct Tally {
    bounds: &'static [u64],
    counts: [Count; Tally::BOUNDS + 1],
    sum: Count,
}

impl Tally {
    /// Most bounds there may be.
    pub const BOUNDS: usize = 15;

    /// Of these bounds, which rise; those beyond [`BOUNDS`](Self::BOUNDS) are left out.
    pub fn new(bounds: &'static [u64]) -> Self {
        let bounds = bounds.get(..Self::BOUNDS).unwrap_or(bounds);
        Self { bounds, counts: Default::default(), sum: Count::default() }
    }

    /// Of times, in nanoseconds: from 50 microseconds, a turn of an idle loop, to 5 seconds, when clients give up.
    pub fn of_times() -> Self {
        Self::new(&TIMES)
    }

    /// Counts a value in.
    #[inline]
    pub fn observe(&self, value: u64) {
        // Nearly always among the first.
        let at = self.bounds.iter().position(|&bound| value <= bound).unwrap_or(self.bounds.len());
        if let Some(count) = self.counts.get(at) {
            count.add(1);
        }
        self.sum.add(value);
    }

    /// Counts a time in, as nanoseconds.
    #[inline]
    pub fn observe_time(&self, time: Duration) {
        self.observe(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    }

    /// The bounds.
    pub fn bounds(&self) -> &'static [u64] {
        self.bounds
    }

    /// How many values lie above the bound before and up to each bound, and how many above the last.
    pub fn counts(&self) -> impl Iterator<Item = u64> + '_ {
        self.counts.iter().take(self.bounds.len() + 1).map(Count::get)
    }

    /// All values together.
    pub fn sum(&self) -> u64 {
        self.sum.get()
    }
}

/// Of one loop. It alone writes; on cache lines of its own, so that reading or writing it costs no other loop.
#[derive(Debug)]
#[repr(align(128))]
pub struct Counters {
    /// Bytes that sockets gave, as they were on the wire (of TLS: encrypted).
    pub bytes_in: Count,
    /// Bytes that sockets took, as they were on the wire.
    pub bytes_out: Count,
    /// Bytes that wait for peers to take them, now. What TLS has encrypted already is not among them.
    pub waiting: Count,
    /// How long a turn took, from the end of waiting to the last write: for so long whoever came last had to
    /// wait. Nanoseconds.
    pub turns: Tally,
    /// How long after a timer was due the loop came to look at it. Nanoseconds.
    pub late: Tally,
    /// How often no connection could be accepted, as for want of descriptors.
    pub accept_failed: Count,
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            bytes_in: Count::default(),
            bytes_out: Count::default(),
            waiting: Count::default(),
            turns: Tally::of_times(),
            late: Tally::of_times(),
            accept_failed: Count::default(),
        }
    }
}

/// Nanoseconds.
const TIMES: [u64; Tally::BOUNDS] = [
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    5_000_000_000,
];
