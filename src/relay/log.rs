//! What the broker's log says, as plain data. It orders and keeps elsewhere; the hub only tells its
//! members.

use super::ConnId;
use std::fmt;
use std::sync::Arc;

/// A place in a channel's log.
///
/// Clients of the chat dialect keep both numbers in a double, so that neither may exceed 2^53 - 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct Cursor {
    /// Which log: another number when the channel's log began anew.
    pub epoch: u64,
    /// Which entry of it; 0 is before the first.
    pub offset: u64,
}

/// What a message's bytes are.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ContentKind {
    /// UTF-8, from a client of a plain dialect.
    Text,
    /// Any bytes, from a client of a plain dialect.
    Binary,
    /// One JSON value, as its sender wrote it.
    Json,
}

/// One message of a channel's log. Borrows; cheap to copy.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// A room, or `@user`: that user's inbox.
    pub channel: &'a str,
    /// Its place.
    pub at: Cursor,
    /// The offset of the entry before it in the channel; 0 if it is the first.
    pub prev: u64,
    /// When the broker took it, in milliseconds since 1970 (UTC).
    pub at_ms: u64,
    /// Who said it.
    pub from: &'a str,
    /// Whom it was told to: a direct message has one.
    pub to: Option<&'a str>,
    /// What the bytes are.
    pub content: ContentKind,
    /// The message. If it is JSON, it is valid: who publishes past the hub asks
    /// [`is_json`](super::is_json) before.
    pub body: &'a Arc<[u8]>,
    /// The connection of **this** hub that said it: dialects whose clients do not hear themselves ask.
    /// Numbers of connections are each hub's own, so that it is none for what another hub published.
    pub origin: Option<ConnId>,
}

/// The place that a published message has got.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Published {
    /// Its place in the last of the channels that were named: of a direct message, in the sender's
    /// inbox.
    pub at: Cursor,
    /// It was published before, under the same producer and number; this is the place it got then.
    pub duplicate: bool,
}

/// What a channel's log holds for somebody who opens it.
#[derive(Clone, Copy, Debug)]
pub struct Opened<'a> {
    /// The last entry's place. With no entry yet, the epoch and an offset of 0.
    pub head: Cursor,
    /// What is to be replayed, oldest first, none behind the head. Of more than were asked for
    /// the first ones after a cursor, the last ones without.
    pub entries: &'a [Entry<'a>],
    /// Nothing between the cursor that was given and these entries is gone. True without one.
    pub recovered: bool,
}

/// Some entries in a row.
#[derive(Clone, Copy, Debug)]
pub struct Page<'a> {
    /// Of the log as it is now.
    pub epoch: u64,
    /// Oldest first.
    pub entries: &'a [Entry<'a>],
    /// There are more in the direction that was asked for.
    pub more: bool,
}

/// Why the broker did not do what was asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refused {
    /// It can't be reached, or can't keep anything now.
    Unavailable {
        /// When to try again, in milliseconds.
        retry_ms: u64,
    },
    /// Too much waits for it.
    Overloaded {
        /// When to try again, in milliseconds.
        retry_ms: u64,
    },
    /// The message is larger than it takes.
    TooLarge,
    /// The producer's number is below one that it has used, and too old to be looked up.
    OldNumber,
    /// It may not be.
    Forbidden,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unavailable { retry_ms } => write!(f, "unavailable for {retry_ms} ms"),
            Self::Overloaded { retry_ms } => write!(f, "overloaded for {retry_ms} ms"),
            Self::TooLarge => f.write_str("larger than the log takes"),
            Self::OldNumber => f.write_str("a number below one that was used"),
            Self::Forbidden => f.write_str("not allowed"),
        }
    }
}

impl std::error::Error for Refused {}
