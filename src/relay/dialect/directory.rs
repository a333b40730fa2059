//! `/direct`: who is online says under which id; JSON with another `type` is forwarded to who has the
//! id in `to`, byte for byte, in the kind of frame that it came in. Nothing is answered, nothing checked.

use super::Context;
use crate::relay::command::{Command, Payload};
use crate::relay::effect::Kind;
use crate::relay::json;
use crate::relay::key::{Key, Space};

pub(super) fn hear<'a>(kind: Kind, bytes: &'a [u8], context: &Context<'_>) -> Command<'a> {
    let limits = context.limits;
    // Binary frames may hold JSON with a stray byte in a string; it is read as U+FFFD and forwarded as it is.
    let text = String::from_utf8_lossy(bytes);
    let (mut message_type, mut from, mut to) = (None, None, None);
    let read = json::members(&text, limits.json_depth, |name, value| {
        // The last of duplicates counts.
        if name.is("type") {
            message_type = Some(value);
        } else if name.is("from") {
            from = Some(value);
        } else if name.is("to") {
            to = Some(value);
        }
    });
    if read.is_none() {
        return Command::Nothing;
    }
    let key = |id| Key::new(Space::Directory, id, limits.id_bytes);
    if message_type.is_some_and(|value| value.is("online")) {
        return match from.and_then(key) {
            Some(id) => Command::Register { id, answer: None },
            None => Command::Nothing,
        };
    }
    Command::Tell { to: to.and_then(key), copy: false, payload: Payload { kind, bytes } }
}
