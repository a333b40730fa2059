//! What the hub wants done: plain data, appended to the caller's vector. Nothing is done here.

use super::{ConnId, RoomName, UserName};
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
    /// Pass to every other hub of the cluster, for [`Hub::said_elsewhere`](super::Hub::said_elsewhere).
    /// Only if [`Config::cluster`](super::Config::cluster) is on.
    Elsewhere(Said),
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
