//! When something is due. A hashed wheel: setting and cancelling cost the same whatever is pending.
//! It has no clock: time comes as an argument, counted from any fixed moment.

use std::num::NonZeroU32;
use std::time::Duration;

/// The name of one pending timer. Harmless once it fired or was cancelled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Handle {
    index: u32,
    generation: NonZeroU32,
}

/// Timers with an item each. They fire in the order of their due ticks, and in the order they were
/// set within a tick; never early, late by up to one tick.
///
/// ```
/// # use sockeye::net::Wheel;
/// # use std::time::Duration;
/// let ms = Duration::from_millis;
/// let mut wheel = Wheel::new(ms(10));
/// wheel.set(ms(50), "later");
/// let soon = wheel.set(ms(20), "soon");
/// wheel.set(ms(30), "then");
/// wheel.cancel(soon);
/// assert_eq!(wheel.wait(ms(0)), Some(ms(30)));
/// assert_eq!(wheel.pop(ms(29)), None);
/// assert_eq!((wheel.pop(ms(60)), wheel.pop(ms(60))), (Some("then"), Some("later")));
/// ```
#[derive(Debug)]
pub struct Wheel<T> {
    tick_nanos: u128,
    buckets: Box<[Bucket]>,
    /// One bit for each bucket that holds anything.
    occupied: [u64; BUCKETS / 64],
    entries: Vec<Entry<T>>,
    free: u32,
    len: usize,
    /// The tick that was or is being fired.
    cursor: u64,
    /// Where to go on in the cursor's bucket; `NONE` when it is done.
    scan: u32,
}

impl<T> Wheel<T> {
    /// An empty wheel (32 KiB) that counts in `tick`s, at least a nanosecond each.
    pub fn new(tick: Duration) -> Self {
        Self {
            tick_nanos: tick.as_nanos().max(1),
            buckets: vec![Bucket { first: NONE, last: NONE }; BUCKETS].into(),
            occupied: [0; BUCKETS / 64],
            entries: Vec::new(),
            free: NONE,
            len: 0,
            cursor: 0,
            scan: NONE,
        }
    }

    /// Lets `item` fire at `at`, or at the next tick if that has passed.
    pub fn set(&mut self, at: Duration, item: T) -> Handle {
        let due = at.as_nanos().div_ceil(self.tick_nanos);
        let due = u64::try_from(due).unwrap_or(u64::MAX).max(self.cursor.saturating_add(1));
        let bucket = bucket_of(due);
        let last = self.buckets[bucket].last;
        let fresh = Entry {
            due,
            previous: last,
            next: NONE,
            generation: NonZeroU32::MIN,
            item: Some(item),
        };
        let (index, generation) = match self.entries.get_mut(self.free as usize) {
            Some(entry) => {
                let index = std::mem::replace(&mut self.free, entry.next);
                let generation = entry.generation;
                *entry = Entry { generation, ..fresh };
                (index, generation)
            }
            None => {
                let index = u32::try_from(self.entries.len())
                    .ok()
                    .filter(|&it| it != NONE)
                    .expect("memory ends long before 2^32 timers");
                self.entries.push(fresh);
                (index, NonZeroU32::MIN)
            }
        };
        match self.entries.get_mut(last as usize) {
            Some(before) => before.next = index,
            None => self.buckets[bucket].first = index,
        }
        self.buckets[bucket].last = index;
        self.occupied[bucket / 64] |= 1 << (bucket % 64);
        self.len += 1;
        Handle { index, generation }
    }

    /// Takes a timer back; `None` if it fired or was cancelled before.
    pub fn cancel(&mut self, handle: Handle) -> Option<T> {
        let entry = self.entries.get(handle.index as usize)?;
        if entry.generation != handle.generation {
            return None;
        }
        self.unlink(handle.index)
    }

    /// The next item that is due at `now`; call until `None`. What is set meanwhile waits its turn,
    /// at least a tick, and what is cancelled meanwhile does not fire.
    pub fn pop(&mut self, now: Duration) -> Option<T> {
        let now = self.ticks(now);
        loop {
            while let Some(entry) = self.entries.get(self.scan as usize) {
                let index = self.scan;
                self.scan = entry.next;
                if entry.due <= self.cursor {
                    return self.unlink(index);
                }
            }
            match self.next_occupied() {
                Some(tick) if tick <= now => {
                    self.cursor = tick;
                    self.scan = self.buckets[bucket_of(tick)].first;
                }
                _ => {
                    self.cursor = self.cursor.max(now);
                    return None;
                }
            }
        }
    }

    /// How long after `now` to look again; `None` when nothing is pending. Sometimes too soon: what is
    /// due more than a turn of the wheel ahead (4,096 ticks) shares its bucket.
    pub fn wait(&self, now: Duration) -> Option<Duration> {
        Some(self.due()?.saturating_sub(now))
    }

    /// When to look next, in the same sense.
    pub fn due(&self) -> Option<Duration> {
        let nanos = u128::from(self.next_occupied()?).saturating_mul(self.tick_nanos);
        Some(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
    }

    /// How many are pending.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn ticks(&self, now: Duration) -> u64 {
        u64::try_from(now.as_nanos() / self.tick_nanos).unwrap_or(u64::MAX)
    }

    /// The first tick after the cursor whose bucket holds something.
    fn next_occupied(&self) -> Option<u64> {
        let start = self.cursor.saturating_add(1);
        let first = bucket_of(start);
        let words = BUCKETS / 64;
        // The first word twice: the bits from `first` on, and at last those before it.
        (0..=words).find_map(|step| {
            let at = (first / 64 + step) % words;
            let mut word = self.occupied[at];
            if step == 0 {
                word &= u64::MAX << (first % 64);
            } else if step == words {
                word &= !(u64::MAX << (first % 64));
            }
            (word != 0).then(|| {
                let bucket = at * 64 + word.trailing_zeros() as usize;
                let ahead = (bucket + BUCKETS - first) % BUCKETS;
                start.saturating_add(ahead as u64)
            })
        })
    }

    fn unlink(&mut self, index: u32) -> Option<T> {
        let free = self.free;
        let entry = self.entries.get_mut(index as usize)?;
        let item = entry.item.take()?;
        let (previous, next, bucket) = (entry.previous, entry.next, bucket_of(entry.due));
        entry.generation = entry.generation.checked_add(1).unwrap_or(NonZeroU32::MIN);
        entry.next = free;
        self.free = index;
        self.len -= 1;
        if self.scan == index {
            self.scan = next;
        }
        match self.entries.get_mut(previous as usize) {
            Some(before) => before.next = next,
            None => self.buckets[bucket].first = next,
        }
        match self.entries.get_mut(next as usize) {
            Some(after) => after.previous = previous,
            None => self.buckets[bucket].last = previous,
        }
        if self.buckets[bucket].first == NONE {
            self.occupied[bucket / 64] &= !(1 << (bucket % 64));
        }
        Some(item)
    }
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    first: u32,
    last: u32,
}

#[derive(Debug)]
struct Entry<T> {
    due: u64,
    previous: u32,
    next: u32,
    generation: NonZeroU32,
    item: Option<T>,
}

const NONE: u32 = u32::MAX;

/// 4,096 buckets: 41 s in ticks of 10 ms, so that what a connection usually waits for is visited once.
const BUCKETS: usize = 4096;

fn bucket_of(tick: u64) -> usize {
    usize::try_from(tick % BUCKETS as u64).expect("below the number of buckets")
}
