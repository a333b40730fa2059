//! What the hub must remember of a request until its answer comes: carried by who answers, so that
//! the hub keeps no table of them.

use super::ConnId;
use std::sync::Arc;

/// Who asked, and what for. Opaque: goes out with an effect and comes back with its answer, once.
///
/// An answer for a connection that is gone meanwhile does nothing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ask {
    pub(super) conn: ConnId,
    /// None for a client that hears no answers.
    pub(super) request: Option<Box<Asked>>,
}

impl Ask {
    /// The connection that is waiting.
    pub fn conn(&self) -> ConnId {
        self.conn
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Asked {
    /// As written.
    pub(super) id: Option<Box<str>>,
    pub(super) what: What,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum What {
    Say {
        room: Arc<str>,
        seq: Option<u64>,
    },
    /// `to` is a name, without `@`.
    Tell {
        to: Arc<str>,
        seq: Option<u64>,
    },
    /// A room, or one's inbox: then the answer is a `hello`. `number` tells it from earlier ones.
    Open {
        channel: Arc<str>,
        number: u32,
        newest: bool,
    },
    Page {
        channel: Arc<str>,
        newest: bool,
    },
}
