//! What the hub wants done: plain data, appended to the caller's vector. Nothing is done here.

use super::{Ask, ConnId, ContentKind, Cursor, Elsewhere, NodeId, RoomName, UserName};
use std::sync::Arc;

/// Which of the two types of message it is. A relay keeps it: text goes out as text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Kind {
    /// UTF-8.
    Text,
    /// Any bytes.
    Binary,
}

/// A whole message that many receivers share: cloning counts, it does not copy.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shared {
    /// How it travels.
    pub kind: Kind,
    /// The payload. UTF-8 if the kind is text and all text that came in was.
    pub bytes: Arc<[u8]>,
}

impl Shared {
    /// Copies the bytes once, into one allocation.
    pub fn new(kind: Kind, bytes: &[u8]) -> Self {
        Self { kind, bytes: bytes.into() }
    }
}

/// Something that the caller has to do. Effects hold in the order in which they were appended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Effect {
    /// Send to one.
    Send {
        /// The receiver.
        to: ConnId,
        /// What.
        message: Shared,
    },
    /// Send back to who is being heard what it said, unchanged. Only [`Hub::message`](super::Hub::message)
    /// asks for it; the caller has the message at hand, so that no echo is copied.
    Back {
        /// Who is being heard.
        to: ConnId,
    },
    /// Send to several; encode (and compress) once.
    SendMany {
        /// Two receivers or more, each once, in an order that depends on earlier calls only.
        to: Vec<ConnId>,
        /// What.
        message: Shared,
    },
    /// Close. The hub has forgotten the connection already; a later
    /// [`Hub::close`](super::Hub::close) of it does nothing.
    Close {
        /// Which.
        conn: ConnId,
        /// Legal on the wire (RFC 6455 §7.4).
        code: u16,
        /// A sentence for a log, at most 123 bytes.
        reason: &'static str,
    },
    /// From now on, give every entry of this channel's log to [`Hub::entry`](super::Hub::entry), and
    /// what other hubs say about it to [`Hub::elsewhere`](super::Hub::elsewhere).
    Follow(Arc<str>),
    /// Nobody here is in the channel any more.
    Unfollow(Arc<str>),
    /// Put a message into the log; the answer goes to [`Hub::published`](super::Hub::published).
    Publish(Publish),
    /// Say where the log of a channel ends and what is to be replayed of it, for
    /// [`Hub::opened`](super::Hub::opened). The channel is followed already.
    Open {
        /// Who asks.
        ask: Ask,
        /// A room, or `@user`.
        channel: Arc<str>,
        /// What is to be replayed.
        replay: Replay,
        /// At most so many entries.
        limit: usize,
    },
    /// Read entries of a channel's log, for [`Hub::page`](super::Hub::page). With no bound, or only
    /// the upper one, the newest below it; with the lower one, the oldest above it. Answered oldest first.
    Read {
        /// Who asks.
        ask: Ask,
        /// A room, or `@user`.
        channel: Arc<str>,
        /// Offsets below this one.
        before: Option<u64>,
        /// Offsets above this one.
        after: Option<u64>,
        /// At most so many entries.
        limit: usize,
    },
    /// Pass to the other hubs of the cluster that it is for, for
    /// [`Hub::elsewhere`](super::Hub::elsewhere). Only if [`Config::cluster`](super::Config::cluster)
    /// is on.
    Elsewhere(Elsewhere),
    /// Pass to one other hub, which is new. To tell it to all does no harm.
    Introduce {
        /// Which.
        to: NodeId,
        /// Who is here.
        what: Elsewhere,
    },
}

/// A message for the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Publish {
    /// Who asks.
    pub ask: Ask,
    /// The channels that it goes into, all or none: one; of a direct message first the receiver's
    /// inbox, last the sender's.
    pub channels: Vec<Arc<str>>,
    /// Who says it.
    pub from: Arc<str>,
    /// Whom it is told to: a direct message has one.
    pub to: Option<Arc<str>>,
    /// What the bytes are.
    pub content: ContentKind,
    /// The message.
    pub body: Arc<[u8]>,
    /// Publish only what was not published before under this producer and number. The producer is
    /// its user's: two users' equal names for one are two.
    pub once: Option<(Arc<str>, u64)>,
    /// The connection that says it, for [`Entry::origin`](super::Entry::origin) on this hub.
    pub origin: ConnId,
}

/// What is to be replayed to who opens a channel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Replay {
    /// Nothing.
    None,
    /// What is behind this place; of more than the limit, the oldest.
    After(Cursor),
    /// So many of the newest.
    Last(usize),
}

/// Something said in a room, before any dialect gives it its form. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Said {
    /// Where.
    pub room: RoomName,
    /// By whom.
    pub from: UserName,
    /// What, as the sender wrote it.
    pub message: Shared,
}
