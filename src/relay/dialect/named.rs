//! The named chat: a welcome with one's name, then `name -> message` to all, always as text.

use crate::relay::command::{Command, Payload};
use crate::relay::effect::Kind;

pub(super) const HEARS_ITSELF: bool = true;

pub(super) fn greeting(name: &str) -> String {
    format!("Welcome {name}")
}

pub(super) fn hear(kind: Kind, bytes: &[u8]) -> Command<'_> {
    Command::Say(Payload { kind, bytes })
}

/// Binary is read as UTF-8, with U+FFFD for what is not.
pub(super) fn tell(from: &str, said: &[u8], scratch: &mut Vec<u8>) -> Kind {
    scratch.extend_from_slice(from.as_bytes());
    scratch.extend_from_slice(b" -> ");
    for chunk in said.utf8_chunks() {
        scratch.extend_from_slice(chunk.valid().as_bytes());
        if !chunk.invalid().is_empty() {
            scratch.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
    Kind::Text
}
