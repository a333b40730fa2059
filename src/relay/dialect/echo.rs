//! `/echo`: text and binary come back as they came. Test suites run against it.

use crate::relay::command::{Command, Payload};
use crate::relay::effect::Kind;

pub(super) fn hear(kind: Kind, bytes: &[u8]) -> Command<'_> {
    Command::Answer(Payload { kind, bytes })
}
