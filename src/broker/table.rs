//! Things by name, each with a number that stays while it is there. Drops nothing by itself.

use std::collections::HashMap;
use std::sync::Arc;

/// The map is only asked, never walked, so that its order changes nothing.
#[derive(Debug)]
pub(super) struct Table<T> {
    by_name: HashMap<Arc<str>, usize>,
    slots: Vec<Option<T>>,
    free: Vec<usize>,
}

impl<T> Table<T> {
    pub(super) fn new() -> Self {
        Self { by_name: HashMap::new(), slots: Vec::new(), free: Vec::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.by_name.len()
    }

    pub(super) fn find(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    pub(super) fn get(&self, slot: usize) -> Option<&T> {
        self.slots.get(slot)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, slot: usize) -> Option<&mut T> {
        self.slots.get_mut(slot)?.as_mut()
    }

    /// A new name; one that is there already would lose its thing.
    pub(super) fn insert(&mut self, name: Arc<str>, thing: T) -> usize {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        self.slots[slot] = Some(thing);
        let before = self.by_name.insert(name, slot);
        debug_assert_eq!(before, None, "the name has a slot");
        slot
    }

    /// Takes a name out. An empty table keeps no memory.
    pub(super) fn remove(&mut self, name: &str) -> Option<T> {
        let slot = self.by_name.remove(name)?;
        let thing = self.slots.get_mut(slot)?.take();
        self.free.push(slot);
        if self.by_name.is_empty() {
            *self = Self::new();
        }
        thing
    }

    /// Every slot number that may be in use, in order.
    pub(super) fn slots(&self) -> std::ops::Range<usize> {
        0..self.slots.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_used_again_and_an_empty_table_has_none() {
        let mut table = Table::new();
        assert_eq!(table.insert("a".into(), 1), 0);
        assert_eq!(table.insert("b".into(), 2), 1);
        assert_eq!(table.remove("a"), Some(1));
        assert_eq!(table.remove("a"), None);
        assert_eq!(table.find("a"), None);
        assert_eq!(table.get(0), None);
        assert_eq!(table.insert("c".into(), 3), 0);
        assert_eq!((table.find("b"), table.find("c"), table.len()), (Some(1), Some(0), 2));
        table.remove("b");
        table.remove("c");
        assert_eq!((table.len(), table.slots()), (0, 0..0));
    }
}
