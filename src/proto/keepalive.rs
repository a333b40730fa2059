//! Whether a silent peer is still there, as a function of `now`. Sends nothing and owns no timer.

use core::time::Duration;

/// When to ping a silent peer and when to give it up.
///
/// Time is an argument: `now` is any clock that never goes back, as a duration since a moment of
/// the caller's choice. So is the patience, which is the same for many connections: eight bytes each
/// are enough.
///
/// ```
/// # use std::time::Duration;
/// use sockeye::proto::{Duty, Keepalive};
/// let s = Duration::from_secs;
/// // Ping after 25 s of silence, give up 30 s after the ping.
/// let (ping_after, pong_wait) = (s(25), s(30));
/// let mut keepalive = Keepalive::new(s(0));
/// let mut duty = |keepalive: &mut Keepalive, now| keepalive.duty(ping_after, pong_wait, now);
/// assert_eq!(duty(&mut keepalive, s(10)), Duty::WaitUntil(s(25)));
/// assert_eq!(duty(&mut keepalive, s(25)), Duty::Ping);
/// assert_eq!(duty(&mut keepalive, s(26)), Duty::WaitUntil(s(55)));
/// keepalive.heard(s(27)); // the pong, or anything else
/// assert_eq!(duty(&mut keepalive, s(30)), Duty::WaitUntil(s(52)));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Keepalive {
    /// The moment of the last sign of life or, while a ping waits for its answer, of that ping, in
    /// milliseconds; the lowest bit says whether one does.
    since: u64,
}

/// What [`Keepalive::duty`] asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Duty {
    /// Nothing before this moment. A sign of life while a ping waits for its answer brings it nearer: ask
    /// again after `ping_after` at the latest, or when there was one.
    WaitUntil(Duration),
    /// Send a ping now. It is taken as sent.
    Ping,
    /// The peer did not answer: end the transport; there is nobody to say goodbye to.
    GiveUp,
}

impl Keepalive {
    /// The peer is there now.
    #[inline]
    pub fn new(now: Duration) -> Self {
        Self { since: millis(now) << 1 }
    }

    /// Bytes came from the peer: any bytes are a sign of life, not only a pong.
    #[inline]
    pub fn heard(&mut self, now: Duration) {
        *self = Self::new(now);
    }

    /// What is due at `now`, if a ping is due after `ping_after` of silence and the end when `pong_wait`
    /// more has passed without a sign of life. Whole milliseconds count. Asking often costs nothing;
    /// asking late only makes things late.
    pub fn duty(&mut self, ping_after: Duration, pong_wait: Duration, now: Duration) -> Duty {
        let pinged = self.since & PINGED != 0;
        let wait = if pinged { pong_wait } else { ping_after };
        let due = (self.since >> 1).saturating_add(millis(wait));
        if millis(now) < due {
            return Duty::WaitUntil(Duration::from_millis(due));
        }
        if pinged {
            return Duty::GiveUp;
        }
        self.since = millis(now) << 1 | PINGED;
        Duty::Ping
    }
}

/// A ping waits for its answer.
const PINGED: u64 = 1;

/// At most 2^63 - 1, three hundred million years, so that a bit is left.
fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX).min(u64::MAX >> 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[test]
    fn a_peer_that_talks_is_never_pinged() {
        let mut keepalive = Keepalive::new(s(0));
        for now in 0..1000 {
            assert_eq!(
                keepalive.duty(s(25), s(30), s(now)),
                Duty::WaitUntil(s(now.max(1) - 1 + 25))
            );
            keepalive.heard(s(now));
        }
    }

    #[test]
    fn a_silent_peer_is_pinged_once_and_then_given_up() {
        let mut keepalive = Keepalive::new(s(100));
        assert_eq!(keepalive.duty(s(25), s(30), s(124)), Duty::WaitUntil(s(125)));
        assert_eq!(keepalive.duty(s(25), s(30), s(125)), Duty::Ping);
        assert_eq!(keepalive.duty(s(25), s(30), s(125)), Duty::WaitUntil(s(155)));
        assert_eq!(keepalive.duty(s(25), s(30), s(154)), Duty::WaitUntil(s(155)));
        assert_eq!(keepalive.duty(s(25), s(30), s(155)), Duty::GiveUp);
    }

    #[test]
    fn a_late_question_leaves_the_peer_its_whole_time_to_answer() {
        let mut keepalive = Keepalive::new(s(0));
        assert_eq!(keepalive.duty(s(25), s(30), s(1000)), Duty::Ping);
        assert_eq!(keepalive.duty(s(25), s(30), s(1001)), Duty::WaitUntil(s(1030)));
    }

    #[test]
    fn times_beyond_all_clocks_do_not_overflow() {
        let mut keepalive = Keepalive::new(Duration::MAX);
        assert!(matches!(
            keepalive.duty(Duration::MAX, Duration::MAX, Duration::MAX),
            Duty::WaitUntil(_) | Duty::Ping
        ));
    }

    #[test]
    fn a_connections_share_of_it_is_one_word() {
        assert_eq!(size_of::<Keepalive>(), 8);
    }
}
