//! The user directory: which connection an id's messages go to. The newest holder gets them; when it
//! goes, the one before it does again.

use super::ConnId;
use super::key::Key;
use std::collections::BTreeMap;

/// All ids that somebody holds.
#[derive(Debug)]
pub(super) struct Users {
    /// Holders from the oldest to the newest; never none.
    held: BTreeMap<Key, Vec<ConnId>>,
    /// Ids that count as known though nobody has held them yet.
    foretold: Vec<Key>,
}

impl Users {
    pub(super) fn new(foretold: Vec<Key>) -> Self {
        Self { held: BTreeMap::new(), foretold }
    }

    /// Makes a connection the newest holder, and says whether the id was known before.
    pub(super) fn register(&mut self, id: &Key, conn: ConnId) -> bool {
        let foretold = self.foretold.iter().position(|known| known == id);
        if let Some(index) = foretold {
            self.foretold.remove(index);
        }
        let known = self.held.contains_key(id);
        let holders = self.held.entry(id.clone()).or_insert_with(|| Vec::with_capacity(1));
        holders.retain(|&holder| holder != conn);
        holders.push(conn);
        known || foretold.is_some()
    }

    pub(super) fn newest(&self, id: &Key) -> Option<ConnId> {
        self.held.get(id)?.last().copied()
    }

    pub(super) fn release(&mut self, id: &Key, conn: ConnId) {
        if let Some(holders) = self.held.get_mut(id) {
            holders.retain(|&holder| holder != conn);
            if holders.is_empty() {
                self.held.remove(id);
            } else if holders.len() < holders.capacity() / 4 {
                holders.shrink_to(holders.len() * 2);
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }
}
