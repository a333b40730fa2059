//! Places for connections, and names for them that never mean another. A place is used again, its
//! token is not: a token whose connection is gone finds nothing, whoever sits there now.

/// The name of one connection, for as long as it lives and never after.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Token {
    index: u32,
    generation: u32,
}

impl Token {
    /// Which place it is: small numbers, used again after a connection is gone. A driver may keep
    /// its own state in a `Vec` by this index, as `closed` tells it when to let go.
    pub fn index(self) -> usize {
        self.index as usize
    }

    /// How often the place was used before. Never comes again: a place that was used 2^32 - 1 times is not used
    /// any more.
    pub fn generation(self) -> u32 {
        self.generation
    }

    /// Index and generation in one number, to travel through the system's event queue.
    pub(super) fn to_bits(self) -> usize {
        const { assert!(usize::BITS >= 64, "a token travels in one 64-bit word") };
        (self.generation as usize) << 32 | self.index as usize
    }

    pub(super) fn from_bits(bits: usize) -> Self {
        let [a, b, c, d, e, f, g, h] = (bits as u64).to_be_bytes();
        Self {
            index: u32::from_be_bytes([e, f, g, h]),
            generation: u32::from_be_bytes([a, b, c, d]),
        }
    }
}

/// A slab: O(1) insert, find and remove; freed places are used again, last freed first.
///
/// ```
/// # use sockeye::net::Slots;
/// let mut slots = Slots::new();
/// let old = slots.insert("one").unwrap();
/// assert_eq!(slots.remove(old), Some("one"));
/// let new = slots.insert("two").unwrap();
/// assert_eq!(new.index(), old.index());
/// assert_eq!((slots.get(old), slots.get(new)), (None, Some(&"two")));
/// ```
#[derive(Debug)]
pub struct Slots<T> {
    entries: Vec<Entry<T>>,
    /// The last freed place; `NONE` when all are taken.
    free: u32,
    len: usize,
}

impl<T> Slots<T> {
    /// Bytes one place takes, state included.
    pub const PLACE_BYTES: usize = size_of::<Entry<T>>();

    /// An empty slab. Allocates nothing.
    pub const fn new() -> Self {
        Self { entries: Vec::new(), free: NONE, len: 0 }
    }

    /// Gives `state` a place and a name; `None` when there are 2^32 - 65,536 already.
    pub fn insert(&mut self, state: T) -> Option<Token> {
        let index = self.free;
        if let Some(entry) = self.entries.get_mut(index as usize)
            && let Content::Free { next } = entry.content
        {
            self.free = next;
            entry.content = Content::Taken(state);
            self.len += 1;
            return Some(Token { index, generation: entry.generation });
        }
        let index = u32::try_from(self.entries.len()).ok().filter(|&it| it < INDEX_END)?;
        self.entries.push(Entry { generation: 0, content: Content::Taken(state) });
        self.len += 1;
        Some(Token { index, generation: 0 })
    }

    /// The name that the next [`insert`](Self::insert) will give.
    pub fn next_token(&self) -> Option<Token> {
        match self.entries.get(self.free as usize) {
            Some(entry) => Some(Token { index: self.free, generation: entry.generation }),
            None => {
                let index = u32::try_from(self.entries.len()).ok().filter(|&it| it < INDEX_END)?;
                Some(Token { index, generation: 0 })
            }
        }
    }

    /// What `token` names, if it still does.
    #[inline]
    pub fn get(&self, token: Token) -> Option<&T> {
        match self.entries.get(token.index as usize) {
            Some(Entry { generation, content: Content::Taken(state) })
                if *generation == token.generation =>
            {
                Some(state)
            }
            _ => None,
        }
    }

    /// What `token` names, if it still does.
    #[inline]
    pub fn get_mut(&mut self, token: Token) -> Option<&mut T> {
        match self.entries.get_mut(token.index as usize) {
            Some(Entry { generation, content: Content::Taken(state) })
                if *generation == token.generation =>
            {
                Some(state)
            }
            _ => None,
        }
    }

    /// Takes it out; from now on `token` names nothing.
    pub fn remove(&mut self, token: Token) -> Option<T> {
        self.get(token)?;
        let entry = self.entries.get_mut(token.index as usize)?;
        entry.generation = entry.generation.saturating_add(1);
        let content = std::mem::replace(&mut entry.content, Content::Free { next: self.free });
        if entry.generation == u32::MAX {
            // Worn out: its names would come again. Some hundred bytes in four thousand million uses.
            entry.content = Content::Free { next: NONE };
        } else {
            self.free = token.index;
        }
        self.len -= 1;
        match content {
            Content::Taken(state) => Some(state),
            Content::Free { .. } => None,
        }
    }

    /// How many places are taken.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The names of all that are here, by index.
    pub fn tokens(&self) -> impl Iterator<Item = Token> + '_ {
        (0..).zip(&self.entries).filter_map(|(index, entry)| match entry.content {
            Content::Taken(_) => Some(Token { index, generation: entry.generation }),
            Content::Free { .. } => None,
        })
    }
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[derive(Debug)]
struct Entry<T> {
    generation: u32,
    content: Content<T>,
}

#[derive(Debug)]
enum Content<T> {
    Taken(T),
    Free { next: u32 },
}

const NONE: u32 = u32::MAX;

/// Indices from here on name what is no connection: listeners and the waker.
pub(super) const INDEX_END: u32 = 0xFFFF_0000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_that_is_worn_out_is_not_used_again() {
        let mut slots = Slots::new();
        let first = slots.insert(1).unwrap();
        slots.remove(first);
        // As if it had been used so often.
        slots.entries[0].generation = u32::MAX - 1;
        let last = slots.insert(2).unwrap();
        assert_eq!((last.index(), last.generation()), (0, u32::MAX - 1));
        assert_eq!(slots.remove(last), Some(2));
        let other = slots.insert(3).unwrap();
        assert_eq!((other.index(), slots.get(last), slots.get(other)), (1, None, Some(&3)));
        assert_eq!((slots.len(), slots.remove(other)), (1, Some(3)));
        assert_eq!(slots.next_token().map(Token::index), Some(1));
    }
}
