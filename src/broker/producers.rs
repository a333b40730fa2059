//! Who numbered which messages, and where they went: what makes a resend harmless. Knows no channels.

use super::entry::Cursor;
use super::limits::Limits;
use super::order::Order;
use super::request::{Bounded, Once, Refusal};
use super::table::Table;
use std::collections::VecDeque;
use std::sync::Arc;

#[derive(Debug)]
pub(super) struct Producers {
    table: Table<Producer>,
    by_use: Order,
    bytes: usize,
    now_ms: u64,
}

#[derive(Debug)]
struct Producer {
    name: Arc<str>,
    /// Numbers and places, oldest first; the numbers grow.
    recent: VecDeque<(u64, Places)>,
    last: u64,
    heard_ms: u64,
    bytes: usize,
}

/// Nearly all messages go to one channel: those take no memory of their own.
#[derive(Debug)]
enum Places {
    One(Cursor),
    Several(Box<[Cursor]>),
}

/// What is known of a number.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// It comes next.
    New,
    /// It was appended there.
    Known(Vec<Cursor>),
    /// It is neither, and `last` is the highest.
    Old { last: u64 },
}

impl Producers {
    pub(super) fn new() -> Self {
        Self { table: Table::new(), by_use: Order::new(), bytes: 0, now_ms: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Time goes on. Forgets some of those whose time is over; the others have their turn.
    pub(super) fn age(&mut self, at_ms: u64, limits: &Limits) {
        self.now_ms = self.now_ms.max(at_ms);
        for _ in 0..AT_ONCE {
            if !self.forget_first(limits) {
                break;
            }
        }
    }

    /// A resend that is known counts as a sign of life.
    pub(super) fn judge(&mut self, once: &Once) -> Verdict {
        let Some(slot) = self.table.find(&once.producer) else {
            return Verdict::New;
        };
        let Some(producer) = self.table.get_mut(slot) else {
            return Verdict::New;
        };
        if once.seq > producer.last {
            return Verdict::New;
        }
        match producer.recent.binary_search_by_key(&once.seq, |&(seq, _)| seq) {
            Ok(index) => {
                let places = producer.recent.get(index).map(|(_, places)| places.to_vec());
                producer.heard_ms = self.now_ms;
                self.by_use.touch(slot);
                Verdict::Known(places.unwrap_or_default())
            }
            Err(_) => Verdict::Old { last: producer.last },
        }
    }

    /// Makes room for one more message, so that [`remember`](Self::remember) can't fail.
    pub(super) fn make_room(&mut self, once: &Once, limits: &Limits) -> Result<(), Refusal> {
        loop {
            let known = self.table.find(&once.producer).and_then(|slot| self.table.get(slot));
            let (one_more, bytes) = match known {
                Some(producer) => (0, producer.growth(limits)),
                None => (1, Producer::bytes_at_first(&once.producer)),
            };
            let full = if self.table.len() + one_more > limits.producers {
                Refusal::Full { what: Bounded::Producers, max: limits.producers }
            } else if self.bytes + bytes > limits.producer_bytes {
                Refusal::Full { what: Bounded::ProducerBytes, max: limits.producer_bytes }
            } else {
                return Ok(());
            };
            if !self.forget_first(limits) {
                return Err(full);
            }
        }
    }

    /// Remembers where a message went, and forgets the oldest of its producer.
    pub(super) fn remember(&mut self, once: Once, places: &[Cursor], limits: &Limits) {
        let slot = self.table.find(&once.producer).unwrap_or_else(|| {
            let name = Arc::clone(&once.producer);
            self.table.insert(name, Producer::new(Arc::clone(&once.producer)))
        });
        let Some(producer) = self.table.get_mut(slot) else {
            return;
        };
        producer.last = once.seq;
        producer.heard_ms = self.now_ms;
        if producer.recent.len() >= limits.remembered {
            producer.recent.pop_front();
        }
        if limits.remembered > 0 {
            producer.recent.push_back((once.seq, Places::new(places)));
        }
        self.bytes -= producer.bytes;
        producer.bytes = producer.count_bytes();
        self.bytes += producer.bytes;
        self.by_use.touch(slot);
    }

    /// Forgets the one that was silent for longest, if it was so for long enough.
    fn forget_first(&mut self, limits: &Limits) -> bool {
        let Some(slot) = self.by_use.first() else {
            return false;
        };
        let Some(producer) = self.table.get(slot) else {
            return false;
        };
        if self.now_ms - producer.heard_ms <= limits.remember_ms {
            return false;
        }
        let (name, bytes) = (Arc::clone(&producer.name), producer.bytes);
        self.by_use.remove(slot);
        self.table.remove(&name);
        self.bytes -= bytes;
        true
    }
}

/// Forgetting keeps pace with any number of new producers if each of them makes two go.
const AT_ONCE: usize = 2;

impl Producer {
    /// The table's slot and index, the order's link, and the counts of the name's `Arc`.
    const AROUND: usize = size_of::<Self>() + 5 * size_of::<usize>() + 16 + 16;

    /// What a queue takes that holds anything at all.
    const FIRST: usize = 4;

    fn new(name: Arc<str>) -> Self {
        Self { name, recent: VecDeque::new(), last: 0, heard_ms: 0, bytes: 0 }
    }

    fn bytes_at_first(name: &str) -> usize {
        Self::AROUND + name.len() + Self::FIRST * size_of::<(u64, Places)>() + Places::SEVERAL
    }

    /// By how much one message more can make it grow.
    fn growth(&self, limits: &Limits) -> usize {
        let full =
            self.recent.len() == self.recent.capacity() && self.recent.len() < limits.remembered;
        let queue = if full { self.recent.capacity().max(Self::FIRST) } else { 0 };
        queue * size_of::<(u64, Places)>() + Places::SEVERAL
    }

    fn count_bytes(&self) -> usize {
        let places: usize = self.recent.iter().map(|(_, places)| places.heap_bytes()).sum();
        let queue = self.recent.capacity() * size_of::<(u64, Places)>();
        Self::AROUND + self.name.len() + queue + places
    }
}

impl Places {
    /// Heap of two places, the most that there are.
    const SEVERAL: usize = 2 * size_of::<Cursor>();

    fn new(places: &[Cursor]) -> Self {
        match places {
            &[one] => Self::One(one),
            _ => Self::Several(places.into()),
        }
    }

    fn to_vec(&self) -> Vec<Cursor> {
        match self {
            &Self::One(one) => vec![one],
            Self::Several(places) => places.to_vec(),
        }
    }

    fn heap_bytes(&self) -> usize {
        match self {
            Self::One(_) => 0,
            Self::Several(places) => size_of_val::<[Cursor]>(places),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600_000;

    fn once(producer: &str, seq: u64) -> Once {
        Once { producer: producer.into(), seq }
    }

    fn place(offset: u64) -> Vec<Cursor> {
        vec![Cursor { epoch: 1, offset }]
    }

    /// A message comes: what is known, and room and memory if it is new.
    fn hear(
        producers: &mut Producers,
        name: &str,
        seq: u64,
        at_ms: u64,
        limits: &Limits,
    ) -> Result<Verdict, Refusal> {
        producers.age(at_ms, limits);
        let verdict = producers.judge(&once(name, seq));
        if verdict == Verdict::New {
            producers.make_room(&once(name, seq), limits)?;
            producers.remember(once(name, seq), &place(seq), limits);
        }
        Ok(verdict)
    }

    #[test]
    fn the_last_are_known_with_their_places_and_older_ones_are_refused_by_number() {
        let limits = Limits { remembered: 3, ..Limits::default() };
        let mut producers = Producers::new();
        for seq in [2, 4, 6, 8, 10] {
            assert_eq!(hear(&mut producers, "ann", seq, 0, &limits), Ok(Verdict::New));
        }
        for (seq, verdict) in [
            (10, Verdict::Known(place(10))),
            (8, Verdict::Known(place(8))),
            (6, Verdict::Known(place(6))),
            (4, Verdict::Old { last: 10 }),
            (0, Verdict::Old { last: 10 }),
            (7, Verdict::Old { last: 10 }),
            (11, Verdict::New),
        ] {
            assert_eq!(producers.judge(&once("ann", seq)), verdict, "{seq}");
        }
        assert_eq!(producers.judge(&once("bob", 1)), Verdict::New, "numbers are a producer's own");
    }

    #[test]
    fn a_message_to_two_channels_is_known_with_both_places() {
        let limits = Limits::default();
        let mut producers = Producers::new();
        let both = [Cursor { epoch: 1, offset: 7 }, Cursor { epoch: 2, offset: 9 }];
        producers.make_room(&once("ann", 1), &limits).unwrap();
        producers.remember(once("ann", 1), &both, &limits);
        assert_eq!(producers.judge(&once("ann", 1)), Verdict::Known(both.to_vec()));
    }

    #[test]
    fn a_full_table_refuses_until_an_hour_of_silence_makes_room() {
        let limits = Limits { producers: 2, ..Limits::default() };
        let full = Err(Refusal::Full { what: Bounded::Producers, max: 2 });
        let mut producers = Producers::new();
        hear(&mut producers, "ann", 1, 0, &limits).unwrap();
        hear(&mut producers, "bob", 1, 10, &limits).unwrap();
        assert_eq!(hear(&mut producers, "eve", 1, HOUR, &limits), full);
        assert_eq!(hear(&mut producers, "ann", 1, HOUR, &limits), Ok(Verdict::Known(place(1))));
        assert_eq!(hear(&mut producers, "eve", 1, HOUR + 10, &limits), full);
        assert_eq!(hear(&mut producers, "eve", 1, HOUR + 11, &limits), Ok(Verdict::New));
        assert_eq!(hear(&mut producers, "bob", 1, HOUR + 11, &limits), full, "it was bob who went");
        assert_eq!(hear(&mut producers, "ann", 2, HOUR + 11, &limits), Ok(Verdict::New));
    }

    #[test]
    fn the_bytes_of_all_are_bounded_and_counted_back_to_zero() {
        let limits = Limits { producer_bytes: 4000, ..Limits::default() };
        let mut producers = Producers::new();
        let mut refused = 0;
        for seq in 1..200 {
            let name = if seq % 3 == 0 { format!("p{seq}") } else { "ann".to_owned() };
            if let Err(refusal) = hear(&mut producers, &name, seq, 0, &limits) {
                let full = Refusal::Full { what: Bounded::ProducerBytes, max: 4000 };
                assert_eq!(refusal, full);
                refused += 1;
            }
            assert!(producers.bytes() <= limits.producer_bytes, "{}", producers.bytes());
        }
        assert!(refused > 0 && producers.len() > 2);
        let long_after = 3 * HOUR;
        for _ in 0..producers.len() {
            producers.age(long_after, &limits);
        }
        assert_eq!((producers.len(), producers.bytes()), (0, 0));
    }

    #[test]
    fn a_clock_that_steps_back_ages_nobody() {
        let limits = Limits { producers: 1, ..Limits::default() };
        let mut producers = Producers::new();
        hear(&mut producers, "ann", 1, 5 * HOUR, &limits).unwrap();
        hear(&mut producers, "ann", 2, 0, &limits).unwrap();
        assert!(hear(&mut producers, "bob", 1, 6 * HOUR, &limits).is_err());
        assert!(hear(&mut producers, "bob", 1, 6 * HOUR + 1, &limits).is_ok());
    }

    #[test]
    fn a_remembered_message_is_small() {
        assert!(size_of::<(u64, Places)>() <= 32, "{} bytes", size_of::<(u64, Places)>());
    }
}
