//! Bytes of which a driver wants many at once: read straight to where they will be lent from, once all are there.

use std::collections::HashMap;
use std::io;
use std::time::Duration;

use super::slots::Token;
use super::stream::Stream;
use super::tls::Scratch;

/// What is being put together on a loop. Few connections have any.
#[derive(Debug, Default)]
pub(super) struct Gatherings {
    begun: HashMap<Token, Gathering>,
    /// The memory of those that are done, for the next.
    spare: Vec<Vec<u8>>,
    /// Bytes of all of it.
    spare_bytes: usize,
    /// The fewest that were spare at any time since they were last reviewed.
    idle: usize,
}

#[derive(Debug)]
struct Gathering {
    bytes: Vec<u8>,
    /// How many there are to be.
    until: usize,
    /// More came since somebody asked.
    moved: bool,
}

impl Gatherings {
    /// Begins with these, fewer than `until`.
    pub(super) fn begin(&mut self, token: Token, first: &[u8], until: usize) {
        // A much larger one would be read full of what comes behind.
        let fits = |it: &Vec<u8>| it.capacity() / 2 <= until.saturating_add(MORE);
        let spare = self.spare.iter().rposition(fits).map(|at| self.spare.swap_remove(at));
        let mut bytes = spare.unwrap_or_default();
        self.spare_bytes -= bytes.capacity();
        self.idle = self.idle.min(self.spare.len());
        bytes.reserve_exact(room(first.len(), until).max(first.len()));
        bytes.extend_from_slice(first);
        self.begun.insert(token, Gathering { bytes, until, moved: true });
    }

    pub(super) fn drop(&mut self, token: Token) {
        if let Some(Gathering { bytes, .. }) = self.begun.remove(&token) {
            self.keep(bytes);
        }
    }

    /// Reads once. How much was asked for, and what the socket gave.
    pub(super) fn read(
        &mut self,
        token: Token,
        stream: &mut Stream,
        scratch: &mut Scratch,
    ) -> (usize, io::Result<usize>) {
        let Some(Gathering { bytes, until, moved }) = self.begun.get_mut(&token) else {
            return (0, Err(io::ErrorKind::WouldBlock.into()));
        };
        if bytes.len() == bytes.capacity() {
            bytes.reserve_exact(room(bytes.len(), *until).saturating_sub(bytes.len()).max(1));
        }
        let (most, count) = stream.read_behind(bytes, scratch);
        *moved |= matches!(count, Ok(1..));
        (most, count)
    }

    /// The bytes, if all are there.
    pub(super) fn take_whole(&mut self, token: Token) -> Option<Vec<u8>> {
        let Gathering { bytes, until, .. } = self.begun.get(&token)?;
        if bytes.len() < *until {
            return None;
        }
        self.begun.remove(&token).map(|it| it.bytes)
    }

    /// Keeps the memory of what was lent.
    pub(super) fn keep(&mut self, mut bytes: Vec<u8>) {
        if self.spare_bytes + bytes.capacity() <= ROOM_KEPT_MAX {
            bytes.clear();
            self.spare_bytes += bytes.capacity();
            self.spare.push(bytes);
        }
    }

    /// To be called [now and then](REVIEW): gives back memory that was not needed since the last time.
    pub(super) fn review(&mut self) {
        for unused in self.spare.drain(..self.idle) {
            self.spare_bytes -= unused.capacity();
        }
        self.idle = self.spare.len();
    }

    /// Whether memory is kept.
    pub(super) fn has_spare(&self) -> bool {
        !self.spare.is_empty()
    }

    /// Whether more came since the last question.
    pub(super) fn moved(&mut self, token: Token) -> bool {
        self.begun.get_mut(&token).is_some_and(|it| std::mem::take(&mut it.moved))
    }
}

/// How much room there is to be when so many have come: a number that is only promised costs nothing.
fn room(came: usize, until: usize) -> usize {
    until.saturating_add(MORE).min(came.saturating_mul(4).max(ROOM_MIN))
}

/// 256 KiB, as much as is read at once of others.
const ROOM_MIN: usize = 256 << 10;
/// 64 bytes more than there must be: a read that does not fill them has emptied the socket, or another would
/// have to ask.
const MORE: usize = 64;
/// 64 MiB are kept for the next at most: for that long the system need not clear them for each message anew.
const ROOM_KEPT_MAX: usize = 64 << 20;
/// How often to see what memory was not needed.
pub(super) const REVIEW: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_promised_takes_no_room_before_it_comes() {
        assert_eq!(room(10, 16 << 20), 256 << 10);
        assert_eq!(room(10, 100_000), 100_000 + MORE);
        assert_eq!(room(1 << 20, 16 << 20), 4 << 20);
        assert_eq!(room(8 << 20, 16 << 20), (16 << 20) + MORE);
    }

    #[test]
    fn memory_is_kept_for_as_long_as_it_is_needed() {
        let token = Token::from_bits(7);
        let mut gatherings = Gatherings::default();
        for _ in 0..3 {
            gatherings.keep(Vec::with_capacity(1 << 20));
        }
        gatherings.keep(Vec::with_capacity(ROOM_KEPT_MAX));
        assert_eq!((gatherings.spare.len(), gatherings.spare_bytes), (3, 3 << 20));
        gatherings.review();
        assert_eq!(gatherings.spare.len(), 3, "they are new");
        gatherings.begin(token, &[1], 1 << 20);
        assert!(gatherings.take_whole(token).is_none());
        gatherings.drop(token);
        gatherings.review();
        assert_eq!(gatherings.spare.len(), 1, "two were not needed");
        gatherings.review();
        assert!(!gatherings.has_spare() && gatherings.spare_bytes == 0);
        // What would be read full of what comes behind is not taken.
        gatherings.keep(Vec::with_capacity(1 << 20));
        gatherings.begin(token, &[1], 70_000);
        assert!(gatherings.has_spare());
    }
}
