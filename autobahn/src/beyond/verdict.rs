//! What a case came to, and how several tries become one verdict.

use std::fmt;

/// Why a case did not pass.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Wrong {
    /// The testee broke a rule: what was expected and what was seen.
    Failed(String),
    /// The rule does not apply to this testee, or it leaves the choice.
    Undecided(String),
}

pub(crate) type Tried<T = ()> = Result<T, Wrong>;

/// A failure.
pub(crate) fn failed<T>(what: impl fmt::Display) -> Tried<T> {
    Err(Wrong::Failed(what.to_string()))
}

/// Nothing to judge.
pub(crate) fn undecided<T>(why: impl fmt::Display) -> Tried<T> {
    Err(Wrong::Undecided(why.to_string()))
}

/// Fails with the sentence unless it holds.
pub(crate) fn ensure(holds: bool, otherwise: impl fmt::Display) -> Tried {
    if holds { Ok(()) } else { failed(otherwise) }
}

/// Failures after which a sweep is given up: each may have cost a time-out.
const SWEEP_FAILURES_MAX: usize = 8;

/// Tries every item, and tells all failures in one.
pub(crate) fn sweep<T: fmt::Display>(
    items: impl IntoIterator<Item = T>,
    mut each: impl FnMut(&T) -> Tried,
) -> Tried {
    let (mut tried, mut failures) = (0, Vec::new());
    for item in items {
        tried += 1;
        match each(&item) {
            Ok(()) => {}
            Err(Wrong::Failed(seen)) => {
                failures.push(format!("{item}: {seen}"));
                if failures.len() == SWEEP_FAILURES_MAX {
                    break;
                }
            }
            Err(undecided) => return Err(undecided),
        }
    }
    match failures.len() {
        0 => Ok(()),
        n => failed(format!("{n} of the {tried} tried: {}", failures.join("; "))),
    }
}

/// Bytes for a sentence.
pub(crate) fn shown(bytes: &[u8]) -> String {
    match bytes.len() {
        0 => "nothing".to_owned(),
        len @ 1..=60 => format!("\"{}\" ({len} octets)", bytes.escape_ascii()),
        len => format!("\"{}...\" ({len} octets)", bytes[..40].escape_ascii()),
    }
}
