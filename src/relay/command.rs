//! What a client may ask, whatever its dialect.

use super::effect::Kind;
use super::key::Key;

/// What one message asks for.
#[derive(Debug)]
pub(super) enum Command<'a> {
    /// It means nothing, or is against a limit: the connection goes on.
    Nothing,
    /// Send this to who asked.
    Back,
    /// Say this in the room.
    Say(Payload<'a>),
    /// From now on messages to this id are for who asked. The answer is for an id that nobody holds.
    Register { id: Key, answer: Option<&'static str> },
    /// Send this to the newest holder of an id, and a copy to who asked before.
    Tell { to: Option<Key>, copy: bool, payload: Payload<'a> },
}

/// A message's content: what came in, or what a dialect made of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Payload<'a> {
    pub(super) kind: Kind,
    pub(super) bytes: &'a [u8],
}
