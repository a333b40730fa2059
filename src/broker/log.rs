//! One channel's log: gives places, keeps the newest entries, says honestly what is gone.

use super::entry::{Content, Cursor, Entry};
use super::limits::Limits;
use super::request::Replay;
use std::collections::VecDeque;
use std::sync::Arc;

#[derive(Debug)]
pub(super) struct Log {
    head: Cursor,
    /// The highest offset that is not kept any more, or never was: all above are there.
    lost: u64,
    /// Offsets grow, with holes where an entry was too large to keep.
    entries: VecDeque<Arc<Entry>>,
    bytes: usize,
}

impl Log {
    pub(super) fn new(epoch: u64) -> Self {
        Self { head: Cursor { epoch, offset: 0 }, lost: 0, entries: VecDeque::new(), bytes: 0 }
    }

    pub(super) fn head(&self) -> Cursor {
        self.head
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Gives the next place, and keeps the entry if it fits at all.
    pub(super) fn append(
        &mut self,
        channel: Arc<str>,
        at_ms: u64,
        content: Content,
        limits: &Limits,
    ) -> Arc<Entry> {
        let prev = self.head.offset;
        self.head.offset += 1;
        let bytes = content.bytes();
        let entry = Arc::new(Entry { channel, at: self.head, prev, at_ms, content });
        let bytes_max = limits.bytes_per_channel.min(limits.bytes);
        if bytes > bytes_max || limits.entries_per_channel == 0 {
            self.lost = self.head.offset;
            return entry;
        }
        self.entries.push_back(Arc::clone(&entry));
        self.bytes += bytes;
        while self.entries.len() > limits.entries_per_channel || self.bytes > bytes_max {
            self.evict_oldest();
        }
        entry
    }

    pub(super) fn evict_oldest(&mut self) {
        let Some(oldest) = self.entries.pop_front() else {
            return;
        };
        self.bytes -= oldest.content.bytes();
        self.lost = self.lost.max(oldest.at.offset);
        if self.entries.len() <= self.entries.capacity() / 4 {
            self.entries.shrink_to(self.entries.len() * 2);
        }
    }

    /// What is asked of the past, and whether nothing is missing from it.
    pub(super) fn replay(&self, replay: Replay, limit: usize) -> (Vec<Arc<Entry>>, bool) {
        match replay {
            Replay::None => (Vec::new(), true),
            Replay::Last(count) => (self.last(0, count.min(limit)), true),
            Replay::After(cursor) => {
                let ours = cursor.epoch == self.head.epoch && cursor.offset <= self.head.offset;
                if !ours {
                    return (self.last(0, limit), false);
                }
                let begin = self.first_after(cursor.offset);
                let whole = cursor.offset >= self.lost && self.entries.len() - begin <= limit;
                (self.last(begin, limit), whole)
            }
        }
    }

    /// A page, and whether the limit cut it.
    pub(super) fn page(
        &self,
        before: Option<u64>,
        after: Option<u64>,
        limit: usize,
    ) -> (Vec<Arc<Entry>>, bool) {
        let begin = after.map_or(0, |after| self.first_after(after));
        let end = before.map_or(self.entries.len(), |before| {
            self.entries.partition_point(|entry| entry.at.offset < before)
        });
        let end = end.max(begin);
        let count = limit.min(end - begin);
        let from = if after.is_some() { begin } else { end - count };
        let page = self.entries.range(from..from + count).cloned().collect();
        (page, count < end - begin)
    }

    fn first_after(&self, offset: u64) -> usize {
        self.entries.partition_point(|entry| entry.at.offset <= offset)
    }

    /// The last entries from an index on.
    fn last(&self, begin: usize, limit: usize) -> Vec<Arc<Entry>> {
        let begin = begin.max(self.entries.len().saturating_sub(limit));
        self.entries.range(begin..).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        entries_per_channel: 4,
        bytes_per_channel: 2000,
        bytes: 1 << 20,
        channels: 9,
        idle_ms: 9,
        producers: 9,
        producer_bytes: 999,
        remembered: 9,
        remember_ms: 9,
        queue_bytes: 999,
    };

    fn append(log: &mut Log, len: usize) -> Arc<Entry> {
        let content =
            Content { from: "ann".into(), to: None, kind: 1, body: vec![7; len].into(), origin: 1 };
        log.append("tea".into(), 5, content, &LIMITS)
    }

    /// A log of epoch 3 with so many small entries appended.
    fn log(entries: u64) -> Log {
        let mut log = Log::new(3);
        for _ in 0..entries {
            append(&mut log, 1);
        }
        log
    }

    fn offsets(entries: &[Arc<Entry>]) -> Vec<u64> {
        entries.iter().map(|entry| entry.at.offset).collect()
    }

    fn after(log: &Log, epoch: u64, offset: u64, limit: usize) -> (Vec<u64>, bool) {
        let (entries, recovered) = log.replay(Replay::After(Cursor { epoch, offset }), limit);
        (offsets(&entries), recovered)
    }

    fn page(log: &Log, before: Option<u64>, after: Option<u64>, limit: usize) -> (Vec<u64>, bool) {
        let (entries, more) = log.page(before, after, limit);
        (offsets(&entries), more)
    }

    #[test]
    fn places_begin_at_one_and_name_the_one_before() {
        let mut log = Log::new(3);
        assert_eq!(log.head(), Cursor { epoch: 3, offset: 0 });
        let places: Vec<_> = (0..3).map(|_| append(&mut log, 1)).collect();
        assert_eq!(offsets(&places), [1, 2, 3]);
        assert_eq!(places.iter().map(|entry| entry.prev).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(log.head(), Cursor { epoch: 3, offset: 3 });
    }

    #[test]
    fn what_is_after_a_cursor_is_recovered_as_long_as_all_of_it_is_there() {
        let log = log(6);
        assert_eq!(after(&log, 3, 6, 9), (vec![], true));
        assert_eq!(after(&log, 3, 3, 9), (vec![4, 5, 6], true));
        assert_eq!(after(&log, 3, 2, 9), (vec![3, 4, 5, 6], true));
        assert_eq!(after(&log, 3, 1, 9), (vec![3, 4, 5, 6], false), "2 is gone");
        assert_eq!(after(&log, 3, 0, 9), (vec![3, 4, 5, 6], false));
    }

    #[test]
    fn a_cursor_of_another_log_or_of_the_future_recovers_nothing_and_gets_the_last() {
        let log = log(6);
        assert_eq!(after(&log, 2, 6, 2), (vec![5, 6], false));
        assert_eq!(after(&log, 4, 3, 9), (vec![3, 4, 5, 6], false));
        assert_eq!(after(&log, 3, 7, 9), (vec![3, 4, 5, 6], false));
    }

    #[test]
    fn a_limit_that_cuts_the_replay_keeps_the_newest_and_says_so() {
        let log = log(4);
        assert_eq!(after(&log, 3, 1, 3), (vec![2, 3, 4], true));
        assert_eq!(after(&log, 3, 1, 2), (vec![3, 4], false));
        assert_eq!(after(&log, 3, 4, 0), (vec![], true));
        assert_eq!(after(&log, 3, 3, 0), (vec![], false));
        assert_eq!(offsets(&log.replay(Replay::Last(2), 9).0), [3, 4]);
        assert_eq!(offsets(&log.replay(Replay::Last(9), 3).0), [2, 3, 4]);
        assert_eq!(log.replay(Replay::None, 9), (vec![], true));
    }

    #[test]
    fn an_entry_that_is_too_large_moves_the_head_and_leaves_a_hole() {
        let mut log = log(2);
        let large = append(&mut log, 2000);
        assert_eq!((large.at.offset, large.prev), (3, 2));
        append(&mut log, 1);
        assert_eq!(after(&log, 3, 0, 9), (vec![1, 2, 4], false));
        assert_eq!(after(&log, 3, 2, 9), (vec![4], false));
        assert_eq!(after(&log, 3, 3, 9), (vec![4], true));
        for _ in 0..2 {
            append(&mut log, 1);
        }
        assert_eq!(after(&log, 3, 3, 9), (vec![4, 5, 6], true), "2 is gone after 3 was");
        assert_eq!(after(&log, 3, 2, 9), (vec![4, 5, 6], false));
    }

    #[test]
    fn bytes_are_bounded_and_counted_back_to_zero() {
        let mut log = Log::new(3);
        for len in [1000, 900, 700, 1, 1, 1, 1600] {
            append(&mut log, len);
            assert!(log.bytes() <= LIMITS.bytes_per_channel && log.len() <= 4);
        }
        assert_eq!(after(&log, 3, 0, 9).0, [6, 7]);
        while log.len() > 0 {
            log.evict_oldest();
        }
        assert_eq!((log.bytes(), log.entries.capacity()), (0, 0));
        assert_eq!(after(&log, 3, 7, 9), (vec![], true));
        assert_eq!(after(&log, 3, 6, 9), (vec![], false));
    }

    #[test]
    fn a_page_ends_at_the_head_or_before_a_bound_or_begins_after_one() {
        let log = log(6);
        assert_eq!(page(&log, None, None, 2), (vec![5, 6], true));
        assert_eq!(page(&log, None, None, 4), (vec![3, 4, 5, 6], false));
        assert_eq!(page(&log, Some(5), None, 1), (vec![4], true));
        assert_eq!(page(&log, Some(5), None, 2), (vec![3, 4], false));
        assert_eq!(page(&log, None, Some(3), 2), (vec![4, 5], true));
        assert_eq!(page(&log, None, Some(4), 2), (vec![5, 6], false));
        assert_eq!(page(&log, Some(6), Some(3), 1), (vec![4], true));
        assert_eq!(page(&log, Some(6), Some(3), 9), (vec![4, 5], false));
        assert_eq!(page(&log, Some(2), Some(5), 9), (vec![], false));
        assert_eq!(page(&log, Some(0), None, 9), (vec![], false));
        assert_eq!(page(&log, None, Some(u64::MAX), 9), (vec![], false));
        assert_eq!(page(&log, None, None, 0), (vec![], true));
    }
}
