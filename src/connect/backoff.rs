//! How long to wait before another attempt, and when to stop trying.

use std::time::Duration;

/// Half a second: a server that restarts in a moment is found again soon.
const FIRST: Duration = Duration::from_millis(500);

/// Half a minute: a server that was away for hours is found again soon after.
const LONGEST: Duration = Duration::from_secs(30);

/// Attempts in a row, each after twice the time of the one before.
#[derive(Clone, Debug)]
pub(super) struct Backoff {
    tries: u32,
    made: u32,
}

impl Backoff {
    /// At most so many attempts in a row.
    pub(super) fn new(tries: u32) -> Self {
        Self { tries, made: 0 }
    }

    /// Things went well: the next attempt is a first one again.
    pub(super) fn reset(&mut self) {
        self.made = 0;
    }

    /// Attempts made in a row.
    pub(super) fn made(&self) -> u32 {
        self.made
    }

    /// How long to wait before the next attempt; `None` when enough were made. `luck`, of 0 to 1, spreads those who
    /// lost the same server over the upper half of the time.
    pub(super) fn next(&mut self, luck: f64) -> Option<Duration> {
        if self.made >= self.tries {
            return None;
        }
        let doubled = FIRST.saturating_mul(1 << self.made.min(16)).min(LONGEST);
        self.made += 1;
        Some(doubled.mul_f64(0.5 + luck.clamp(0.0, 1.0) / 2.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_half_a_minute() {
        let mut backoff = Backoff::new(100);
        let waits: Vec<Option<Duration>> = (0..9).map(|_| backoff.next(1.0)).collect();
        let expected = [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000];
        assert_eq!(waits, expected.map(|ms| Some(Duration::from_millis(ms))));
    }

    #[test]
    fn luck_spreads_over_the_upper_half() {
        assert_eq!(Backoff::new(1).next(0.0), Some(Duration::from_millis(250)));
        assert_eq!(Backoff::new(1).next(1.0), Some(Duration::from_millis(500)));
    }

    #[test]
    fn after_so_many_attempts_it_gives_up_and_after_success_it_begins_anew() {
        let mut backoff = Backoff::new(2);
        assert!(backoff.next(0.5).is_some() && backoff.next(0.5).is_some());
        assert_eq!(backoff.next(0.5), None);
        backoff.reset();
        assert_eq!(backoff.next(1.0), Some(FIRST));
    }
}
