//! Codec states that wait for their next message: a few per thread instead of one per connection.

use std::cell::RefCell;

/// States without an owner. Lives in a thread-local, so taking and giving needs no lock.
pub(super) struct Pool<T>(RefCell<Vec<T>>);

/// How many states of a kind a thread keeps. A thread works on one message at a time, so one is in use
/// and more come back only from messages that were received in pieces side by side. 8 inflaters are
/// 0.6 MiB, 8 compressors 3 MiB.
pub(super) const KEPT_MAX: usize = 8;

impl<T> Pool<T> {
    pub(super) const fn new() -> Self {
        Self(RefCell::new(Vec::new()))
    }

    /// The state that was given back last of those that fit.
    pub(super) fn take(&self, fits: impl Fn(&T) -> bool) -> Option<T> {
        let mut states = self.0.borrow_mut();
        let at = states.iter().rposition(fits)?;
        Some(states.remove(at))
    }

    /// Keeps the state, in place of the one unused for longest if there are too many.
    pub(super) fn give(&self, state: T) {
        let mut states = self.0.borrow_mut();
        if states.len() >= KEPT_MAX {
            states.remove(0);
        }
        states.push(state);
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.borrow().len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_gives_back_the_latest_that_fits_and_forgets_the_oldest() {
        let pool = Pool::new();
        assert_eq!(pool.take(|_| true), None);
        for state in 0..20 {
            pool.give(state);
        }
        assert_eq!(pool.len(), KEPT_MAX);
        assert_eq!(pool.take(|state| state % 2 == 0), Some(18));
        assert_eq!(pool.take(|_| true), Some(19));
        assert_eq!(pool.take(|state| *state < 12), None);
    }
}
