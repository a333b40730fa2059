//! What a server counts, and who may see it. Each loop writes numbers of its own and no other's; whoever asks
//! for the page adds them up. Nothing here locks, allocates or looks anything up for a message.

mod apart;
mod audience;
mod labels;
mod page;
mod process;
mod text;

use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use super::turn::{Said, Toll};
use crate::broker::Cluster;
use crate::net::{self, Count, Tally};
use crate::proto::CloseCode;
use crate::relay::Dialect;

pub(super) use apart::Apart;
pub use audience::Audience;
pub(super) use audience::is_local;
pub(super) use labels::{Ending, Failure, dialect_word};
pub(super) use text::Format;

/// What all loops have counted.
#[derive(Debug)]
pub(super) struct Metrics {
    meters: Vec<Arc<Meter>>,
    /// Known when the loops are made, of which each is given its meter before.
    sources: OnceLock<Sources>,
    connections_max: usize,
    started: SystemTime,
}

/// What is counted elsewhere.
#[derive(Debug)]
pub(super) struct Sources {
    pub(super) loops: Vec<Arc<net::Counters>>,
    pub(super) cluster: Cluster,
}

impl Metrics {
    /// For so many loops.
    pub(super) fn new(loops: usize, connections_max: usize) -> Self {
        Self {
            meters: (0..loops).map(|_| Arc::default()).collect(),
            sources: OnceLock::new(),
            connections_max,
            started: SystemTime::now(),
        }
    }

    /// Of one loop.
    pub(super) fn meter(&self, number: u8) -> Arc<Meter> {
        self.meters.get(usize::from(number)).map(Arc::clone).unwrap_or_default()
    }

    /// Now there are loops.
    pub(super) fn attach(&self, sources: Sources) {
        let _ = self.sources.set(sources);
    }
}

/// What one loop counts, and it alone; on cache lines of its own.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Meter {
    /// Sockets open now.
    pub(super) sockets: Count,
    pub(super) accepted: Count,
    ended: [Count; Ending::COUNT],
    /// WebSockets open now, and those that were opened, by dialect.
    websockets: [Count; 6],
    opened: [Count; 6],
    failed: [Count; Failure::COUNT],
    /// Messages by dialect, text before binary.
    heard: [[Count; 2]; 6],
    said: [[Count; 2]; 6],
    pub(super) fan_out: Tally,
    close_heard: [Count; labels::CODES.len()],
    close_said: [Count; labels::CODES.len()],
    pub(super) pings_said: Count,
    pub(super) pings_heard: Count,
    pub(super) pongs_heard: Count,
    pub(super) slow: Count,
    /// How often somebody was not heard because other loops were behind.
    pub(super) waits: Count,
    /// Bytes before and after.
    pub(super) deflated: [Count; 2],
    pub(super) inflated: [Count; 2],
    /// As the hub says.
    pub(super) rate_limited: Count,
    pub(super) rooms: Count,
    pub(super) users: Count,
    pub(super) sessions: Count,
}

impl Default for Meter {
    fn default() -> Self {
        Self {
            sockets: Count::default(),
            accepted: Count::default(),
            ended: Default::default(),
            websockets: Default::default(),
            opened: Default::default(),
            failed: Default::default(),
            heard: Default::default(),
            said: Default::default(),
            fan_out: Tally::new(&FAN_OUT),
            close_heard: Default::default(),
            close_said: Default::default(),
            pings_said: Count::default(),
            pings_heard: Count::default(),
            pongs_heard: Count::default(),
            slow: Count::default(),
            waits: Count::default(),
            deflated: Default::default(),
            inflated: Default::default(),
            rate_limited: Count::default(),
            rooms: Count::default(),
            users: Count::default(),
            sessions: Count::default(),
        }
    }
}

impl Meter {
    pub(super) fn ended(&self, why: Ending) {
        one_more(&self.ended, why as usize);
    }

    pub(super) fn opened(&self, dialect: Dialect) {
        one_more(&self.opened, dialect as usize);
        one_more(&self.websockets, dialect as usize);
    }

    /// A WebSocket is none any more.
    pub(super) fn gone(&self, dialect: Dialect) {
        if let Some(count) = self.websockets.get(dialect as usize) {
            count.sub(1);
        }
    }

    pub(super) fn failed(&self, why: Failure) {
        one_more(&self.failed, why as usize);
    }

    /// One peer's turn is over.
    pub(super) fn turn(&self, dialect: Dialect, toll: &Toll) {
        if let Some(kinds) = self.heard.get(dialect as usize) {
            kinds.iter().zip(toll.heard.messages).for_each(|(kind, count)| kind.add(count));
        }
        self.said(dialect, &toll.told);
    }

    /// Messages go out to one.
    #[inline]
    pub(super) fn said(&self, dialect: Dialect, said: &Said) {
        if let Some(kinds) = self.said.get(dialect as usize) {
            kinds.iter().zip(said.messages).for_each(|(kind, count)| kind.add(count));
        }
    }

    pub(super) fn close_heard(&self, code: Option<CloseCode>) {
        one_more(&self.close_heard, labels::place_of(code));
    }

    pub(super) fn close_said(&self, code: Option<CloseCode>) {
        one_more(&self.close_said, labels::place_of(code));
    }
}

#[inline]
fn one_more(counts: &[Count], at: usize) {
    if let Some(count) = counts.get(at) {
        count.add(1);
    }
}

/// From two to the largest rooms that one loop is fit for.
const FAN_OUT: [u64; 13] = [2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 100_000];

#[cfg(test)]
mod tests {
    #[test]
    fn text_stands_before_binary() {
        use crate::relay::Kind;
        assert_eq!((Kind::Text as usize, Kind::Binary as usize), (0, 1));
    }
}
