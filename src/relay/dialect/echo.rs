//! `/echo`: text and binary come back as they came. Test suites run against it.

use crate::relay::command::Command;

pub(super) fn hear<'a>() -> Command<'a> {
    Command::Back
}
