//! All channels: who follows which, and the logs, bounded together. Queues nothing. A channel of which
//! nothing was said and that nobody follows by its name costs nothing.

use super::entry::{Content, Cursor, Entry};
use super::limits::Limits;
use super::log::Log;
use super::order::Order;
use super::request::NodeId;
use super::table::Table;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

#[derive(Debug)]
pub(super) struct Channels {
    /// Those that somebody follows or that have a log.
    table: Table<Channel>,
    /// Who follows all channels whose names begin in some way.
    families: BTreeMap<NodeId, Vec<Box<str>>>,
    /// Logs that nobody follows: these may be dropped whole.
    unfollowed: Order,
    /// Logs with entries: these may lose some.
    holding: Order,
    logs: usize,
    bytes: usize,
    /// Of the logs whose channels had none before: a channel without a log stands at its beginning, and
    /// the first log that it gets begins there.
    first_epoch: u64,
    /// The highest that was given.
    last_epoch: u64,
    /// Channels, by a number made of their names, whose logs were dropped since `first_epoch` began:
    /// their next ones have epochs of their own.
    dropped: BTreeSet<u64>,
    now_ms: u64,
}

#[derive(Debug)]
struct Channel {
    name: Arc<str>,
    followers: Vec<NodeId>,
    log: Option<Log>,
    used_ms: u64,
}

impl Channels {
    /// Epochs are above the given number.
    pub(super) fn new(last_epoch: u64) -> Self {
        Self {
            table: Table::new(),
            families: BTreeMap::new(),
            unfollowed: Order::new(),
            holding: Order::new(),
            logs: 0,
            bytes: 0,
            first_epoch: last_epoch + 1,
            last_epoch: last_epoch + 1,
            dropped: BTreeSet::new(),
            now_ms: 0,
        }
    }

    /// Time goes on. Drops some of the logs whose time is over; the others have their turn.
    pub(super) fn age(&mut self, at_ms: u64, limits: &Limits) {
        self.now_ms = self.now_ms.max(at_ms);
        for _ in 0..AT_ONCE {
            let Some(slot) = self.unfollowed.first() else {
                return;
            };
            let idle_since = self.table.get(slot).map_or(self.now_ms, |channel| channel.used_ms);
            if self.now_ms - idle_since <= limits.idle_ms {
                return;
            }
            self.drop_log(slot, limits);
        }
    }

    pub(super) fn follow_family(&mut self, family: &str, node: NodeId) {
        let families = self.families.entry(node).or_default();
        if !families.iter().any(|known| **known == *family) {
            families.push(family.into());
        }
    }

    /// Who follows its family is told of the channel anyway: then only a log that is there is held.
    pub(super) fn follow(&mut self, name: &str, node: NodeId) {
        let slot = match self.table.find(name) {
            Some(slot) => slot,
            None if self.has_family(name, node) => return,
            None => self.insert(name.into()),
        };
        let Some(channel) = self.table.get_mut(slot) else {
            return;
        };
        if !channel.followers.contains(&node) {
            channel.followers.push(node);
        }
        self.unfollowed.remove(slot);
    }

    pub(super) fn unfollow(&mut self, name: &str, node: NodeId) {
        if let Some(slot) = self.table.find(name) {
            self.unfollow_slot(slot, node);
        }
    }

    /// A node is gone: it follows nothing.
    pub(super) fn forget(&mut self, node: NodeId) {
        self.families.remove(&node);
        for slot in self.table.slots() {
            self.unfollow_slot(slot, node);
        }
    }

    /// Who is to be told of a channel, each once.
    pub(super) fn followers(&self, name: &str) -> impl Iterator<Item = NodeId> {
        let channel = self.table.find(name).and_then(|slot| self.table.get(slot));
        let by_name = channel.map_or(&[][..], |channel| &channel.followers);
        let others = self.families.iter().filter(|(node, _)| !by_name.contains(node));
        let by_family = others.filter(move |(_, families)| is_of(families, name));
        by_name.iter().copied().chain(by_family.map(|(&node, _)| node))
    }

    fn has_family(&self, name: &str, node: NodeId) -> bool {
        self.families.get(&node).is_some_and(|families| is_of(families, name))
    }

    pub(super) fn log(&self, name: &str) -> Option<&Log> {
        self.table.get(self.table.find(name)?)?.log.as_ref()
    }

    /// Where a channel stands that has no log: at the beginning of the one that it will have. None if it
    /// had one that was dropped, since then it may not seem that nothing was said.
    pub(super) fn beginning(&self, name: &str) -> Option<Cursor> {
        let was_dropped = self.dropped.contains(&number_of(name));
        (!was_dropped).then_some(self.first_head())
    }

    fn first_head(&self) -> Cursor {
        Cursor { epoch: self.first_epoch, offset: 0 }
    }

    /// The log of a channel counts as used now.
    pub(super) fn touch(&mut self, name: &str) {
        if let Some(slot) = self.table.find(name) {
            self.touch_slot(slot);
        }
    }

    /// Gives each of these a log that has none. Room is made among those that nobody follows; false if
    /// there are not enough of them.
    pub(super) fn open(&mut self, names: &[Arc<str>], limits: &Limits) -> bool {
        let mut missing = 0;
        for (index, name) in names.iter().enumerate() {
            if self.log(name).is_some() {
                self.touch(name);
            } else if !names[..index].contains(name) {
                missing += 1;
            }
        }
        while self.logs + missing > limits.channels {
            // Those that are asked for were used just now: one of them in front means that there is no other.
            let Some(slot) = self.unfollowed.first().filter(|&slot| !self.is_one_of(slot, names))
            else {
                return false;
            };
            self.drop_log(slot, limits);
        }
        for name in names {
            self.give_log(name);
        }
        true
    }

    /// Appends to a log, which is there, and keeps within the bytes of all.
    pub(super) fn append(
        &mut self,
        name: &str,
        at_ms: u64,
        content: Content,
        limits: &Limits,
    ) -> Option<Arc<Entry>> {
        let slot = self.table.find(name)?;
        let channel = self.table.get_mut(slot)?;
        let log = channel.log.as_mut()?;
        let bytes_before = log.bytes();
        let entry = log.append(Arc::clone(&channel.name), at_ms, content, limits);
        self.bytes = self.bytes - bytes_before + log.bytes();
        self.touch_slot(slot);
        while self.bytes > limits.bytes {
            let Some(oldest) = self.holding.first() else {
                break;
            };
            self.evict(oldest);
        }
        Some(entry)
    }

    pub(super) fn logs(&self) -> usize {
        self.logs
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Walks over all; for figures.
    pub(super) fn count(&self) -> (usize, usize) {
        let channels = self.table.slots().filter_map(|slot| self.table.get(slot));
        channels.fold((0, 0), |(follows, entries), channel| {
            (follows + channel.followers.len(), entries + channel.log.as_ref().map_or(0, Log::len))
        })
    }

    fn insert(&mut self, name: Arc<str>) -> usize {
        let channel = Channel {
            name: Arc::clone(&name),
            followers: Vec::new(),
            log: None,
            used_ms: self.now_ms,
        };
        self.table.insert(name, channel)
    }

    fn give_log(&mut self, name: &Arc<str>) {
        let slot = self.table.find(name).unwrap_or_else(|| self.insert(Arc::clone(name)));
        let Some(channel) = self.table.get_mut(slot).filter(|channel| channel.log.is_none()) else {
            return;
        };
        let epoch = if self.dropped.contains(&number_of(name)) {
            self.last_epoch += 1;
            self.last_epoch
        } else {
            self.first_epoch
        };
        channel.log = Some(Log::new(epoch));
        self.logs += 1;
        self.touch_slot(slot);
    }

    fn touch_slot(&mut self, slot: usize) {
        let Some(channel) = self.table.get_mut(slot) else {
            return;
        };
        let Some(log) = &channel.log else {
            return;
        };
        channel.used_ms = self.now_ms;
        if channel.followers.is_empty() {
            self.unfollowed.touch(slot);
        }
        if log.len() > 0 {
            self.holding.touch(slot);
        }
    }

    fn unfollow_slot(&mut self, slot: usize, node: NodeId) {
        let Some(channel) = self.table.get_mut(slot) else {
            return;
        };
        let before = channel.followers.len();
        channel.followers.retain(|&follower| follower != node);
        if channel.followers.len() == before || !channel.followers.is_empty() {
            return;
        }
        channel.followers = Vec::new();
        if channel.log.is_some() {
            self.touch_slot(slot);
        } else {
            let name = Arc::clone(&channel.name);
            self.table.remove(&name);
        }
    }

    fn is_one_of(&self, slot: usize, names: &[Arc<str>]) -> bool {
        self.table.get(slot).is_some_and(|channel| names.contains(&channel.name))
    }

    fn evict(&mut self, slot: usize) {
        let log = self.table.get_mut(slot).and_then(|channel| channel.log.as_mut());
        let Some(log) = log else {
            self.holding.remove(slot);
            return;
        };
        let before = log.bytes();
        log.evict_oldest();
        self.bytes = self.bytes - before + log.bytes();
        if log.len() == 0 {
            self.holding.remove(slot);
        }
    }

    /// Only where nobody follows.
    fn drop_log(&mut self, slot: usize, limits: &Limits) {
        self.unfollowed.remove(slot);
        self.holding.remove(slot);
        let Some(channel) = self.table.get(slot) else {
            return;
        };
        let name = Arc::clone(&channel.name);
        if let Some(log) = self.table.remove(&name).and_then(|channel| channel.log) {
            self.logs -= 1;
            self.bytes -= log.bytes();
            // A log in which nothing ever stood can begin again as it was.
            if log.head() != self.first_head() {
                self.remember_drop(&name, limits);
            }
        }
    }

    /// If too many are to be remembered, they are forgotten with all beginnings that were told.
    fn remember_drop(&mut self, name: &str, limits: &Limits) {
        self.dropped.insert(number_of(name));
        if self.dropped.len() > limits.channels {
            self.dropped = BTreeSet::new();
            self.last_epoch += 1;
            self.first_epoch = self.last_epoch;
        }
    }
}

fn is_of(families: &[Box<str>], name: &str) -> bool {
    families.iter().any(|family| name.starts_with(&**family))
}

/// Eight bytes for a name. Two names that share them have an epoch more than they need.
fn number_of(name: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish()
}

/// Dropping keeps pace with any number of new logs if each of them makes two go.
const AT_ONCE: usize = 2;
