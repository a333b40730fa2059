//! What a node may ask, what it is answered, and everything else that it is told.

use super::entry::{Content, Cursor, Entry, Passing};
use std::fmt;
use std::sync::Arc;

/// The caller's own number of a request.
pub type Ticket = u64;

/// A node of the cluster. Numbers are not used again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct NodeId(pub u32);

/// What makes a resend harmless.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Once {
    /// Who numbers its messages. The caller has made it part of its user, so that nobody can use up
    /// the numbers of somebody else.
    pub producer: Arc<str>,
    /// Greater than every number that this producer used before; gaps are allowed.
    pub seq: u64,
}

/// What of the past is wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Replay {
    /// Nothing.
    None,
    /// Everything behind a place where the asker was.
    After(Cursor),
    /// The last so many.
    Last(usize),
}

/// What a node may ask.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Request {
    /// Append to one channel or two, all or none. A channel without a log gets one.
    Publish {
        /// Where. The same name twice is one entry.
        channels: Vec<Arc<str>>,
        /// What.
        content: Content,
        /// Its number, where it may be sent again.
        once: Option<Once>,
    },
    /// Where does the channel stand, and what did I miss?
    Open {
        /// Which.
        channel: Arc<str>,
        /// A channel without a log gets one. Otherwise only one that had a log before does, as the place
        /// where it stands would not be known without; any other stands at the beginning of the log that
        /// the first message will make, and costs nothing until then.
        keep: bool,
        /// What of the past.
        replay: Replay,
        /// Entries at most; the newest are given.
        limit: usize,
    },
    /// A page of the past, empty where nothing was ever said. Bounds are offsets of the present epoch: compare with that of the answer's
    /// head before believing it.
    ///
    /// With `after` the page begins there; otherwise it ends at `before`, or at the head.
    Read {
        /// Which.
        channel: Arc<str>,
        /// Only offsets below.
        before: Option<u64>,
        /// Only offsets above.
        after: Option<u64>,
        /// Entries at most.
        limit: usize,
    },
}

/// What became of a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It is in the log, as durably as the broker makes anything.
    Published {
        /// For each channel as asked. Of a resend: where it went the first time, whatever it says now.
        places: Vec<Cursor>,
        /// It was there before, and was not appended again.
        duplicate: bool,
    },
    /// The channel has a log, or none was needed to answer.
    Opened {
        /// The newest place. Entries up to here stood before this event, later ones stand behind it.
        head: Cursor,
        /// The replay, oldest first; it ends at the head.
        entries: Vec<Arc<Entry>>,
        /// Nothing between the asked cursor and the head is missing from the entries; also where no
        /// cursor was asked. If not, the entries are the last that there are.
        recovered: bool,
    },
    /// A page of the past.
    Page {
        /// The newest place.
        head: Cursor,
        /// Oldest first.
        entries: Vec<Arc<Entry>>,
        /// Others of the range are there, beyond the limit.
        more: bool,
    },
    /// Nothing was done.
    Refused(Refusal),
}

/// Why nothing was done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// The number is not above the last of its producer, and is no longer (or never was) in the memory:
    /// it can't be said whether it was appended, and appending it now would break the order.
    OutOfOrder {
        /// The number.
        seq: u64,
        /// The highest number that was appended.
        last: u64,
    },
    /// Too much is there of something bounded, and none of it may be dropped yet. Come back later.
    Full {
        /// Of what.
        what: Bounded,
        /// How much there may be: logs and producers by number, else bytes.
        max: usize,
    },
    /// There is nothing to read: the channel's log was dropped.
    NoLog,
    /// A message goes to one channel or two.
    Channels {
        /// To how many it should have gone.
        count: usize,
    },
}

/// What there can be too much of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bounded {
    /// Logs, all of them followed by somebody.
    Logs,
    /// Producers, all of them active within the time that they are remembered.
    Producers,
    /// Bytes of what these producers' last messages were.
    ProducerBytes,
    /// Bytes that wait for a node which does not poll.
    QueueBytes,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfOrder { seq, last } => {
                write!(f, "seq {seq} is not above {last}, the last of its producer")
            }
            Self::Full { what, max } => write!(f, "no more than {max} {what}"),
            Self::NoLog => write!(f, "the log of the channel was dropped"),
            Self::Channels { count } => write!(f, "{count} channels, not one or two"),
        }
    }
}

impl std::error::Error for Refusal {}

impl fmt::Display for Bounded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Logs => "logs",
            Self::Producers => "active producers",
            Self::ProducerBytes => "bytes of active producers",
            Self::QueueBytes => "bytes waiting for a node",
        })
    }
}

/// Something that a node is told. Cheap to clone but for pages.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// A request of this node is done.
    Done {
        /// Which.
        ticket: Ticket,
        /// How.
        outcome: Outcome,
    },
    /// A new entry of a followed channel or family, whoever published it.
    Entry(Arc<Entry>),
    /// Another node passes something on.
    Passed {
        /// Which node.
        from: NodeId,
        /// What.
        passing: Arc<Passing>,
    },
    /// Another node is there.
    NodeUp(NodeId),
    /// Another node is gone, and nothing more of it comes.
    NodeDown(NodeId),
}
