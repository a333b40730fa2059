//! What is said, and its place: plain data, shared and never copied. Interprets nothing.

use std::sync::Arc;

/// A place in a channel. One value: an offset means nothing beside another epoch.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Cursor {
    /// Which of the logs that the channel has had: 1 to 2^53 - 1, so that JavaScript reads it exactly.
    pub epoch: u64,
    /// 1 for the first entry of a log, then one more for each; 0 is before all.
    pub offset: u64,
}

/// What somebody says. The broker looks at none of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Content {
    /// By whom.
    pub from: Arc<str>,
    /// To whom, where it is for one.
    pub to: Option<Arc<str>>,
    /// The caller's own mark.
    pub kind: u8,
    /// The message.
    pub body: Arc<[u8]>,
    /// The caller's own number, such as a session's that must not hear itself.
    pub origin: u64,
}

/// A kept message, with its place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// In which channel.
    pub channel: Arc<str>,
    /// Where in it.
    pub at: Cursor,
    /// The offset before, 0 for the first: whoever has that one has missed nothing.
    pub prev: u64,
    /// When it was published, in milliseconds since 1970 (UTC), as its node told.
    pub at_ms: u64,
    /// What.
    pub content: Content,
}

/// Something that is told and forgotten.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Passing {
    /// To the nodes that follow this channel or its family; none means every node.
    pub channel: Option<Arc<str>>,
    /// What.
    pub content: Content,
}

impl Content {
    /// Bytes that it holds at most, those shared with others included.
    pub(super) fn bytes(&self) -> usize {
        /// What stands around a message wherever it waits: the entry, the counts of its two `Arc`s, and
        /// its place in a queue that may be half empty.
        const AROUND: usize = size_of::<Entry>() + 2 * 16 + 2 * size_of::<usize>();
        let to = self.to.as_ref().map_or(0, |to| to.len());
        AROUND + self.from.len() + to + self.body.len()
    }
}
