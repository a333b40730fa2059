//! A map for keys that mostly come in rising order, as numbers of connections do: places behind the last
//! are filled to the end, where a B-tree leaves every other one empty. Knows nothing of what it holds.

use std::mem;

/// Sorted runs of entries, one behind the other. Walks go in the order of the keys.
#[derive(Debug)]
pub(super) struct Ordered<K, V> {
    runs: Vec<Run<K, V>>,
    len: usize,
    /// Where the last change looked: run and place. Who is heard has often more to say.
    last: (usize, usize),
}

/// Never empty. The first key stands beside the entries, so that a search touches one run only.
#[derive(Debug)]
struct Run<K, V> {
    first: K,
    entries: Vec<(K, V)>,
}

impl<K: Copy + Ord, V> Ordered<K, V> {
    pub(super) fn new() -> Self {
        Self { runs: Vec::new(), len: 0, last: (0, 0) }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(super) fn contains(&self, key: K) -> bool {
        self.get(key).is_some()
    }

    pub(super) fn get(&self, key: K) -> Option<&V> {
        let entries = &self.runs.get(self.run_of(key))?.entries;
        let at = place_of(entries, key).ok()?;
        entries.get(at).map(|entry| &entry.1)
    }

    pub(super) fn get_mut(&mut self, key: K) -> Option<&mut V> {
        let (run, at) = self.last;
        let known = self.runs.get(run).and_then(|run| run.entries.get(at));
        if known.is_none_or(|entry| entry.0 != key) {
            let run = self.run_of(key);
            let at = place_of(&self.runs.get(run)?.entries, key).ok()?;
            self.last = (run, at);
        }
        let (run, at) = self.last;
        self.runs.get_mut(run)?.entries.get_mut(at).map(|entry| &mut entry.1)
    }

    /// Puts a value in; what stood there comes back.
    pub(super) fn insert(&mut self, key: K, value: V) -> Option<V> {
        let at_run = self.run_of(key);
        let Some(run) = self.runs.get_mut(at_run) else {
            self.runs.push(Run::new(key, value));
            self.len += 1;
            return None;
        };
        let at = match place_of(&run.entries, key) {
            Ok(at) => return Some(mem::replace(&mut run.entries[at].1, value)),
            Err(at) => at,
        };
        self.len += 1;
        if run.entries.len() < RUN_MAX {
            run.insert(at, key, value);
            return None;
        }
        let behind = if at == RUN_MAX {
            Run::new(key, value)
        } else {
            let mut behind = run.split();
            match at.checked_sub(run.entries.len()) {
                Some(at) => behind.insert(at, key, value),
                None => run.insert(at, key, value),
            }
            behind
        };
        self.runs.insert(at_run + 1, behind);
        self.join(at_run + 1);
        self.join(at_run.wrapping_sub(1));
        None
    }

    pub(super) fn remove(&mut self, key: K) -> Option<V> {
        let at_run = self.run_of(key);
        let run = self.runs.get_mut(at_run)?;
        let at = place_of(&run.entries, key).ok()?;
        let (_, value) = run.entries.remove(at);
        self.len -= 1;
        match run.entries.first() {
            Some(&(first, _)) => run.first = first,
            None => drop(self.runs.remove(at_run)),
        }
        self.join(at_run);
        self.join(at_run.wrapping_sub(1));
        if self.runs.len() < self.runs.capacity() / 4 {
            self.runs.shrink_to(self.runs.len() * 2);
        }
        Some(value)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (K, &V)> {
        let entries = self.runs.iter().flat_map(|run| &run.entries);
        entries.map(|(key, value)| (*key, value))
    }

    /// The run that a key belongs to: the last that begins at or before it, or the first.
    fn run_of(&self, key: K) -> usize {
        self.runs.partition_point(|run| run.first <= key).saturating_sub(1)
    }

    /// Makes one of two neighbours that both have room enough.
    fn join(&mut self, at: usize) {
        let (Some(run), Some(next)) = (self.runs.get(at), self.runs.get(at.wrapping_add(1))) else {
            return;
        };
        if run.entries.len() + next.entries.len() <= JOIN_MAX {
            let mut next = self.runs.remove(at + 1);
            self.runs[at].entries.append(&mut next.entries);
        }
    }
}

impl<K: Copy + Ord, V> Run<K, V> {
    fn new(key: K, value: V) -> Self {
        Self { first: key, entries: vec![(key, value)] }
    }

    fn insert(&mut self, at: usize, key: K, value: V) {
        self.entries.insert(at, (key, value));
        if at == 0 {
            self.first = key;
        }
    }

    /// Gives away the second half of a full run.
    fn split(&mut self) -> Self {
        let entries = self.entries.split_off(RUN_MAX / 2);
        Self { first: entries[0].0, entries }
    }
}

fn place_of<K: Copy + Ord, V>(entries: &[(K, V)], key: K) -> Result<usize, usize> {
    entries.binary_search_by_key(&key, |entry| entry.0)
}

/// 64 entries: what stands around them does not count beside them, and to put one in between moves 2 KiB
/// at most.
const RUN_MAX: usize = 64;
/// Neighbours together, so that runs are more than a third full on average, and one that was just joined
/// is not split by the next.
const JOIN_MAX: usize = RUN_MAX * 3 / 4;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    impl<K: Copy + Ord, V> Ordered<K, V> {
        fn check(&self) {
            let keys: Vec<K> = self.iter().map(|entry| entry.0).collect();
            assert!(keys.is_sorted_by(|one, next| one < next));
            assert_eq!(keys.len(), self.len);
            for run in &self.runs {
                assert!(!run.entries.is_empty() && run.entries.len() <= RUN_MAX);
                assert!(run.first == run.entries[0].0);
            }
            for two in self.runs.windows(2) {
                let together = two[0].entries.len() + two[1].entries.len();
                assert!(together > JOIN_MAX, "{together} in two runs");
            }
        }
    }

    proptest! {
        #[test]
        fn it_is_the_map_that_one_knows(
            steps in prop::collection::vec((0..5u8, 0..400u32, 0..40u32), 1..40)
        ) {
            let mut map = Ordered::new();
            let mut known = BTreeMap::new();
            let mut next = 400;
            for (value, (what, key, count)) in steps.into_iter().enumerate() {
                // Many at a time, or no run would ever be full.
                for step in 0..count {
                    let key = (key + step * 7) % 400;
                    match what {
                        0 => prop_assert_eq!(map.insert(key, value), known.insert(key, value)),
                        1 | 2 => {
                            next += 1;
                            prop_assert_eq!(map.insert(next, value), known.insert(next, value));
                        }
                        3 => prop_assert_eq!(map.remove(key), known.remove(&key)),
                        _ => {
                            let first = known.keys().next().copied().unwrap_or(key);
                            prop_assert_eq!(map.remove(first), known.remove(&first));
                        }
                    }
                    prop_assert_eq!(map.get(key), known.get(&key));
                    prop_assert_eq!(map.get_mut(next), known.get_mut(&next));
                    // Again, and where it looked before.
                    prop_assert_eq!(map.get_mut(next), known.get_mut(&next));
                    prop_assert_eq!(map.get_mut(key), known.get_mut(&key));
                }
                map.check();
                prop_assert_eq!(map.len(), known.len());
            }
            prop_assert!(map.iter().eq(known.iter().map(|(&key, value)| (key, value))));
        }
    }

    #[test]
    fn keys_in_rising_order_leave_no_place_empty() {
        let mut map = Ordered::new();
        for key in 0..10 * RUN_MAX {
            map.insert(key, ());
        }
        assert_eq!(map.runs.len(), 10);
        assert!(map.runs.iter().all(|run| run.entries.capacity() == RUN_MAX));
        for key in 0..10 * RUN_MAX {
            map.remove(key);
        }
        assert!(map.is_empty() && map.runs.capacity() < 10);
    }
}
