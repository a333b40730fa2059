//! Whether a silent peer is still there, as a function of `now`. Sends nothing and owns no timer.

use core::time::Duration;

/// When to ping a silent peer and when to give it up.
///
/// Time is an argument: `now` is any clock that never goes back, as a duration since a moment of
/// the caller's choice. 24 bytes a connection.
///
/// ```
/// # use std::time::Duration;
/// use sockeye::proto::{Duty, Keepalive};
/// let s = Duration::from_secs;
/// // Ping after 25 s of silence, give up 30 s after the ping.
/// let mut keepalive = Keepalive::new(s(25), s(30), s(0));
/// assert_eq!(keepalive.duty(s(10)), Duty::WaitUntil(s(25)));
/// assert_eq!(keepalive.duty(s(25)), Duty::Ping);
/// assert_eq!(keepalive.duty(s(26)), Duty::WaitUntil(s(55)));
/// keepalive.heard(s(27)); // the pong, or anything else
/// assert_eq!(keepalive.duty(s(30)), Duty::WaitUntil(s(52)));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Keepalive {
    ping_after_ms: u32,
    pong_wait_ms: u32,
    /// The moment of the last sign of life or, while a ping waits for its answer, of that ping.
    since_ms: u64,
    pinged: bool,
}

/// What [`Keepalive::duty`] asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Duty {
    /// Nothing before this moment.
    WaitUntil(Duration),
    /// Send a ping now. It is taken as sent.
    Ping,
    /// The peer did not answer: end the transport; there is nobody to say goodbye to.
    GiveUp,
}

impl Keepalive {
    /// Pings after `ping_after` of silence and gives up when `pong_wait` more has passed without a
    /// sign of life. Whole milliseconds count; 49 days at most.
    pub fn new(ping_after: Duration, pong_wait: Duration, now: Duration) -> Self {
        let ms = |time: Duration| u32::try_from(time.as_millis()).unwrap_or(u32::MAX);
        Self {
            ping_after_ms: ms(ping_after),
            pong_wait_ms: ms(pong_wait),
            since_ms: millis(now),
            pinged: false,
        }
    }

    /// Bytes came from the peer: any bytes are a sign of life, not only a pong.
    #[inline]
    pub fn heard(&mut self, now: Duration) {
        self.since_ms = millis(now);
        self.pinged = false;
    }

    /// What is due at `now`. Asking often costs nothing; asking late only makes things late.
    pub fn duty(&mut self, now: Duration) -> Duty {
        let wait = if self.pinged { self.pong_wait_ms } else { self.ping_after_ms };
        let due = self.since_ms.saturating_add(u64::from(wait));
        if millis(now) < due {
            return Duty::WaitUntil(Duration::from_millis(due));
        }
        if self.pinged {
            return Duty::GiveUp;
        }
        self.pinged = true;
        self.since_ms = millis(now);
        Duty::Ping
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[test]
    fn a_peer_that_talks_is_never_pinged() {
        let mut keepalive = Keepalive::new(s(25), s(30), s(0));
        for now in 0..1000 {
            assert_eq!(keepalive.duty(s(now)), Duty::WaitUntil(s(now.max(1) - 1 + 25)));
            keepalive.heard(s(now));
        }
    }

    #[test]
    fn a_silent_peer_is_pinged_once_and_then_given_up() {
        let mut keepalive = Keepalive::new(s(25), s(30), s(100));
        assert_eq!(keepalive.duty(s(124)), Duty::WaitUntil(s(125)));
        assert_eq!(keepalive.duty(s(125)), Duty::Ping);
        assert_eq!(keepalive.duty(s(125)), Duty::WaitUntil(s(155)));
        assert_eq!(keepalive.duty(s(154)), Duty::WaitUntil(s(155)));
        assert_eq!(keepalive.duty(s(155)), Duty::GiveUp);
    }

    #[test]
    fn a_late_question_leaves_the_peer_its_whole_time_to_answer() {
        let mut keepalive = Keepalive::new(s(25), s(30), s(0));
        assert_eq!(keepalive.duty(s(1000)), Duty::Ping);
        assert_eq!(keepalive.duty(s(1001)), Duty::WaitUntil(s(1030)));
    }

    #[test]
    fn times_beyond_all_clocks_do_not_overflow() {
        let mut keepalive = Keepalive::new(Duration::MAX, Duration::MAX, Duration::MAX);
        assert!(matches!(keepalive.duty(Duration::MAX), Duty::WaitUntil(_) | Duty::Ping));
    }
}
