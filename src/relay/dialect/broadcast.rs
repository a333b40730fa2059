//! `/broadcast`: everything goes to the others of the room, as it came. Nobody is announced.

use crate::relay::command::{Command, Payload};
use crate::relay::effect::Kind;

pub(super) const HEARS_ITSELF: bool = false;

pub(super) fn hear(kind: Kind, bytes: &[u8]) -> Command<'_> {
    Command::Say(Payload { kind, bytes })
}
