//! What a channel's newcomers must not miss: the entries that come while their openings are under way.
//! The log's answer and the entries behind it may come in any order; a newcomer is told them in the
//! log's.

use super::effect::Shared;
use super::log::Cursor;
use std::collections::VecDeque;

/// Nothing but a null while no opening is under way.
#[derive(Default, Debug)]
pub(super) struct Held(Option<Box<Openings>>);

/// Never of zero openings.
#[derive(Default, Debug)]
struct Openings {
    under_way: usize,
    bytes: usize,
    entries: VecDeque<(Cursor, Shared)>,
}

impl Held {
    pub(super) fn begin(&mut self) {
        self.0.get_or_insert_default().under_way += 1;
    }

    /// With the last opening goes what was held for it.
    pub(super) fn end(&mut self) {
        if let Some(openings) = &mut self.0 {
            openings.under_way -= 1;
            if openings.under_way == 0 {
                self.0 = None;
            }
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.0.is_none()
    }

    /// Keeps a message for who is coming. Over a limit the oldest go: what is behind them does not
    /// follow on what the newcomer has, so that it knows.
    pub(super) fn keep(
        &mut self,
        at: Cursor,
        message: &Shared,
        count_max: usize,
        bytes_max: usize,
    ) {
        let Some(openings) = &mut self.0 else {
            return;
        };
        openings.bytes += message.bytes.len();
        openings.entries.push_back((at, message.clone()));
        while openings.entries.len() > count_max || openings.bytes > bytes_max {
            let Some((_, oldest)) = openings.entries.pop_front() else {
                break;
            };
            openings.bytes -= oldest.bytes.len();
        }
    }

    /// What came behind this head of the log.
    pub(super) fn behind(&self, head: Cursor) -> impl Iterator<Item = &Shared> {
        let entries = self.0.iter().flat_map(|openings| &openings.entries);
        entries
            .filter(move |(at, _)| at.epoch == head.epoch && at.offset > head.offset)
            .map(|(_, message)| message)
    }
}
