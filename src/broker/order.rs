//! Slots of a table in the order of their use, every change in constant time. Knows numbers only.

/// A ring of links with an anchor at 0; slot `n` has link `n + 1`. Who is not in the ring links itself.
#[derive(Debug)]
pub(super) struct Order {
    links: Vec<Link>,
}

#[derive(Clone, Copy, Debug)]
struct Link {
    before: usize,
    after: usize,
}

const ANCHOR: usize = 0;

impl Order {
    pub(super) fn new() -> Self {
        Self { links: vec![Link { before: ANCHOR, after: ANCHOR }] }
    }

    /// The slot that was not used for longest.
    pub(super) fn first(&self) -> Option<usize> {
        self.links[ANCHOR].after.checked_sub(1)
    }

    pub(super) fn contains(&self, slot: usize) -> bool {
        self.links.get(slot + 1).is_some_and(|link| link.after != slot + 1)
    }

    /// Puts a slot, new or not, behind all others.
    pub(super) fn touch(&mut self, slot: usize) {
        let at = slot + 1;
        if self.links[ANCHOR].before == at {
            return;
        }
        while self.links.len() <= at {
            let alone = self.links.len();
            self.links.push(Link { before: alone, after: alone });
        }
        self.unlink(at);
        let last = self.links[ANCHOR].before;
        self.links[last].after = at;
        self.links[at] = Link { before: last, after: ANCHOR };
        self.links[ANCHOR].before = at;
    }

    pub(super) fn remove(&mut self, slot: usize) {
        if self.contains(slot) {
            self.unlink(slot + 1);
        }
        if self.first().is_none() {
            *self = Self::new();
        }
    }

    fn unlink(&mut self, at: usize) {
        let Link { before, after } = self.links[at];
        self.links[before].after = after;
        self.links[after].before = before;
        self.links[at] = Link { before: at, after: at };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn slots(order: &mut Order) -> Vec<usize> {
        std::iter::from_fn(|| {
            let first = order.first()?;
            order.remove(first);
            Some(first)
        })
        .collect()
    }

    proptest! {
        #[test]
        fn it_is_the_list_that_one_would_write_naively(
            steps in prop::collection::vec((any::<bool>(), 0..6usize), 0..60)
        ) {
            let mut order = Order::new();
            let mut naive = Vec::new();
            for (touch, slot) in steps {
                naive.retain(|&other| other != slot);
                if touch {
                    naive.push(slot);
                    order.touch(slot);
                } else {
                    order.remove(slot);
                }
                prop_assert_eq!(order.first(), naive.first().copied());
                for slot in 0..8 {
                    prop_assert_eq!(order.contains(slot), naive.contains(&slot));
                }
            }
            prop_assert_eq!(slots(&mut order), naive);
        }
    }
}
