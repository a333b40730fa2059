//! How much one connection may send: a token bucket as a function of `now`. Keeps 16 bytes per
//! connection, no clock, no timer.

use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

/// What a connection may send on average, and how far it may run ahead.
///
/// A message's size is judged by what was sent before it: one that is larger than a burst passes,
/// and is paid for by silence afterwards.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rates {
    /// Messages per second.
    ///
    /// 100: ten times a fast typist, a shared drawing's worth of mouse moves.
    pub messages_per_second: NonZeroU32,
    /// Bytes of messages per second, as they are after inflating.
    ///
    /// 1 MiB: a photograph every few seconds.
    pub bytes_per_second: NonZeroU64,
    /// How much of the average may come at once.
    ///
    /// 10 s: what a client has saved up while it was offline.
    pub burst: Duration,
}

impl Default for Rates {
    fn default() -> Self {
        Self {
            messages_per_second: NonZeroU32::new(100).expect("100 is not zero"),
            bytes_per_second: NonZeroU64::new(1 << 20).expect("1 MiB is not zero"),
            burst: Duration::from_secs(10),
        }
    }
}

/// What a connection has used. Two moments in nanoseconds: when all that it sent is paid for.
#[derive(Default, Debug)]
pub(super) struct Meter {
    messages_paid_at: u64,
    bytes_paid_at: u64,
}

impl Meter {
    /// Counts a message of `len` bytes at `now`, if it may pass.
    ///
    /// # Errors
    ///
    /// How long until it may; nothing was counted.
    pub(super) fn admit(
        &mut self,
        rates: &Rates,
        len: usize,
        now: Duration,
    ) -> Result<(), Duration> {
        let now = nanos(now.as_nanos());
        let ahead_max = now.saturating_add(nanos(rates.burst.as_nanos()));
        let messages = self.messages_paid_at.max(now);
        let bytes = self.bytes_paid_at.max(now);
        let a_message = nanos(SECOND / u128::from(rates.messages_per_second.get()));
        let its_bytes = nanos((len as u128) * SECOND / u128::from(rates.bytes_per_second.get()));
        // Nothing owed is always well, so that a burst of zero still lets a steady sender pass.
        let over = messages.saturating_add(a_message).saturating_sub(ahead_max);
        let messages_wait = over.min(messages - now);
        let over = bytes.saturating_add(1).saturating_sub(ahead_max);
        let bytes_wait = over.min(bytes - now);
        let wait = messages_wait.max(bytes_wait);
        if wait > 0 {
            return Err(Duration::from_nanos(wait));
        }
        self.messages_paid_at = messages.saturating_add(a_message);
        self.bytes_paid_at = bytes.saturating_add(its_bytes);
        Ok(())
    }
}

/// The faults of a connection: each is paid for by a second, and so many may be owed.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Faults {
    paid_at: u64,
}

impl Faults {
    /// Counts one; whether it is still forgiven.
    pub(super) fn forgive(&mut self, burst: u32, now: Duration) -> bool {
        let now = nanos(now.as_nanos());
        let a_fault = nanos(SECOND);
        self.paid_at = self.paid_at.max(now).saturating_add(a_fault);
        self.paid_at - now <= a_fault.saturating_mul(u64::from(burst))
    }
}

const SECOND: u128 = 1_000_000_000;

/// 584 years of them fit; beyond that time stands still.
fn nanos(nanos: u128) -> u64 {
    u64::try_from(nanos).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(messages: u32, bytes: u64, burst: Duration) -> Rates {
        Rates {
            messages_per_second: NonZeroU32::new(messages).unwrap(),
            bytes_per_second: NonZeroU64::new(bytes).unwrap(),
            burst,
        }
    }

    fn admitted(meter: &mut Meter, rates: &Rates, len: usize, now: Duration) -> usize {
        (0..1000).take_while(|_| meter.admit(rates, len, now).is_ok()).count()
    }

    #[test]
    fn a_burst_is_as_many_as_the_rate_gives_in_its_time_and_then_the_rate_holds() {
        let rates = rates(10, 1 << 30, Duration::from_secs(2));
        let mut meter = Meter::default();
        let start = Duration::from_secs(1000);
        assert_eq!(admitted(&mut meter, &rates, 1, start), 20);
        assert_eq!(admitted(&mut meter, &rates, 1, start + Duration::from_millis(99)), 0);
        assert_eq!(admitted(&mut meter, &rates, 1, start + Duration::from_millis(100)), 1);
        assert_eq!(admitted(&mut meter, &rates, 1, start + Duration::from_secs(60)), 20);
    }

    #[test]
    fn bytes_count_as_messages_do() {
        let rates = rates(1000, 1000, Duration::from_secs(1));
        let mut meter = Meter::default();
        assert_eq!(admitted(&mut meter, &rates, 100, Duration::from_secs(5)), 10);
        assert_eq!(admitted(&mut meter, &rates, 0, Duration::from_secs(5)), 0);
    }

    #[test]
    fn a_message_larger_than_a_burst_passes_and_is_paid_for_by_silence() {
        let rates = rates(1000, 1000, Duration::from_secs(1));
        let mut meter = Meter::default();
        let at = Duration::from_secs;
        assert!(meter.admit(&rates, 5000, at(10)).is_ok());
        assert_eq!(meter.admit(&rates, 1, at(13)), Err(at(1) + Duration::from_nanos(1)));
        assert!(meter.admit(&rates, 1, at(15)).is_ok());
    }

    #[test]
    fn without_a_burst_a_steady_sender_passes_and_a_hasty_one_does_not() {
        let rates = rates(10, 1 << 30, Duration::ZERO);
        let mut meter = Meter::default();
        for tick in 0..50 {
            assert!(meter.admit(&rates, 1, Duration::from_millis(100 * tick)).is_ok(), "{tick}");
        }
        let hasty = meter.admit(&rates, 1, Duration::from_millis(4950));
        assert_eq!(hasty, Err(Duration::from_millis(50)));
    }

    #[test]
    fn no_moment_and_no_length_overflow() {
        let rates = rates(1, 1, Duration::MAX);
        let mut meter = Meter::default();
        for now in [Duration::ZERO, Duration::MAX, Duration::ZERO] {
            _ = meter.admit(&rates, usize::MAX, now);
        }
    }

    #[test]
    fn who_waits_as_long_as_told_may_send_and_not_a_moment_before() {
        let rates = rates(7, 1000, Duration::from_secs(3));
        let mut meter = Meter::default();
        let mut now = Duration::from_secs(100);
        for _ in 0..200 {
            if let Err(wait) = meter.admit(&rates, 90, now) {
                let early = now + wait - Duration::from_nanos(1);
                assert_eq!(meter.admit(&rates, 90, early), Err(Duration::from_nanos(1)));
                now += wait;
                assert_eq!(meter.admit(&rates, 90, now), Ok(()));
            }
        }
        assert!(now > Duration::from_secs(110), "{now:?}");
    }

    #[test]
    fn so_many_faults_are_forgiven_and_then_one_a_second() {
        let mut faults = Faults::default();
        let start = Duration::from_secs(9);
        assert_eq!((0..100).take_while(|_| faults.forgive(60, start)).count(), 60);
        let mut faults = Faults::default();
        for _ in 0..60 {
            faults.forgive(60, start);
        }
        assert!(faults.forgive(60, start + Duration::from_secs(1)));
        assert!(!faults.forgive(60, start + Duration::from_secs(1)));
    }
}
